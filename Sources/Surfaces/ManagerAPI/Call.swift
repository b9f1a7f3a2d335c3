import Access
import Foundation
import Hummingbird
import NIOCore
import Ports
import Vocabulary

/// A request whose caller is known and may make it.
package struct Call: Sendable {
    package let request: Request
    package let caller: Caller
    /// What the path's `{…}` stand for.
    package let parameters: [String: String]
    package let query: Query
    /// It came by TLS.
    package let isEncrypted: Bool
    /// Whose token this is; nil: nobody's. For a page that takes one and sets `SessionCookie`.
    package let holder: @Sendable (_ token: String) -> Caller?

    package var task: TaskID { TaskID(parameters["task"] ?? "") }
    package var node: NodeID { NodeID(parameters["node"] ?? "") }

    /// Most bytes of a body, unless a route takes more.
    package static let bodyLimit = 1 << 20

    package func body(upTo limit: Int = bodyLimit) async throws -> Data {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit { throw Refusal.tooLarge(limit: limit) }
        do { return Data(buffer: try await request.body.collect(upTo: limit)) } catch is NIOTooManyBytesError {
            throw Refusal.tooLarge(limit: limit)
        } catch { throw CommandError.invalid(["the body broke off"]) }
    }
}

/// What stands behind the `?`.
package struct Query: Sendable {
    private let values: [String: [String]]

    /// - Throws: what cannot be read, all of it at once.
    init(_ text: String?) throws {
        var values: [String: [String]] = [:]
        var problems: [String] = []
        for pair in (text ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding
            }
            guard let name = parts[0], let value = parts.count > 1 ? parts[1] : "" else {
                problems.append("the query's \(pair) is not percent-encoded UTF-8")
                continue
            }
            values[name, default: []].append(value)
        }
        guard problems.isEmpty else { throw CommandError.invalid(problems) }
        self.values = values
    }

    /// - Throws: when there are others than these, or one twice.
    package func only(_ names: String...) throws {
        var problems: [String] = []
        for (name, values) in values.sorted(by: { $0.key < $1.key }) {
            if !names.contains(name) {
                let known = names.isEmpty ? "there is none here" : "there are \(names.joined(separator: ", "))"
                problems.append("\(name): no such parameter; \(known)")
            } else if values.count > 1 {
                problems.append("\(name): is given \(values.count) times")
            }
        }
        guard problems.isEmpty else { throw CommandError.invalid(problems) }
    }

    package subscript(_ name: String) -> String? { values[name]?.first }

    package func whole(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw CommandError.invalid(["\(name): \(text) is no whole number from \(range.lowerBound) to \(range.upperBound)"])
        }
        return number
    }

    package func number(_ name: String, upTo most: Double) throws -> Double? {
        guard let text = self[name] else { return nil }
        guard let number = Double(text), number >= 0, number <= most else {
            throw CommandError.invalid(["\(name): \(text) is no number from 0 to \(Int(most))"])
        }
        return number
    }

    package func choice<Value: RawRepresentable<String> & CaseIterable>(_ name: String, _: Value.Type) throws -> Value? {
        guard let text = self[name] else { return nil }
        guard let value = Value(rawValue: text) else {
            throw CommandError.invalid(["\(name): \(text) is none of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"])
        }
        return value
    }

    package func flag(_ name: String) throws -> Bool {
        switch self[name] {
        case nil, "false": return false
        case "true": return true
        case let text?: throw CommandError.invalid(["\(name): \(text) is neither true nor false"])
        }
    }
}
