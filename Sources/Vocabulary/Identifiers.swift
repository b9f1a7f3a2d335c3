/// Names of things. Each is its own type so that a node is never taken for a task; each is encoded as
/// a bare string (an epoch as a bare number).

package protocol Identifier: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible
where RawValue == String {
    init(rawValue: String)
}

extension Identifier {
    package init(_ value: String) { self.init(rawValue: value) }
    package var description: String { rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A submitted task: the SLA's name and a suffix that makes it unique, `[a-z0-9-]`, at most 63 characters.
package struct TaskID: Identifier { package var rawValue: String; package init(rawValue: String) { self.rawValue = rawValue } }
/// A node that runs an agent, as the fleet names it.
package struct NodeID: Identifier { package var rawValue: String; package init(rawValue: String) { self.rawValue = rawValue } }
/// A checkpoint, unique within its task: `e000001-c000003` (epoch, then number within the epoch).
package struct CheckpointID: Identifier {
    package var rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package init(epoch: Epoch, number: Int) { rawValue = "e\(padded(epoch.rawValue))-c\(padded(number))" }
}
/// One recorded decision: `d` and a number that grows.
package struct DecisionID: Identifier { package var rawValue: String; package init(rawValue: String) { self.rawValue = rawValue } }
/// One order to a node; the same order carried out twice has the effect of once.
package struct OrderID: Identifier { package var rawValue: String; package init(rawValue: String) { self.rawValue = rawValue } }
/// One life of an agent's process: a new one at each start.
package struct Incarnation: Identifier { package var rawValue: String; package init(rawValue: String) { self.rawValue = rawValue } }

/// Which of a task's lives this is, from 1. Raised in the store, by an exclusive create, before the task
/// is resumed anywhere; what carries an older epoch is refused.
package struct Epoch: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package var rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }
    package init(_ value: Int) { rawValue = value }
    package static let first = Epoch(1)
    package var next: Epoch { Epoch(rawValue + 1) }
    package static func < (a: Epoch, b: Epoch) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }
}

/// Six digits, so that names sort as numbers do.
package func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
}

/// What a document was when it was used: its name and a digest of its text.
package struct DocumentVersion: Hashable, Sendable, Codable {
    package var name: String
    /// `sha256:` and 64 hexadecimal digits of the file's bytes.
    package var digest: String
    package init(name: String, digest: String) { self.name = name; self.digest = digest }
}
