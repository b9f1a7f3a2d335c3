import Vocabulary

/// What could not be carried out is decided again only after a while: 1, 2, 4 … s, at most half a minute. A store or a fence that stays away
/// for an hour does not fill the ledger with the same decision at every turn of the loop.
struct Troubles {
    private struct Subject: Hashable {
        var kind: Decision.Kind
        var task: TaskID?
        var node: NodeID?
    }
    private struct Wait {
        var until: Timestamp
        var length: Seconds
    }
    private var waits: [Subject: Wait] = [:]
    static let longest = Seconds(30)

    /// Of the node it was about, or wherever the task was to go.
    private static func subject(_ decision: Decision) -> Subject {
        Subject(kind: decision.kind, task: decision.task, node: decision.task == nil ? decision.node : nil)
    }

    func isWaiting(_ decision: Decision, at now: Timestamp) -> Bool { waits[Self.subject(decision)].map { now < $0.until } ?? false }

    mutating func met(_ decision: Decision, at now: Timestamp) {
        let length = waits[Self.subject(decision)].map { min(Self.longest, $0.length * 2) } ?? Seconds(1)
        waits[Self.subject(decision)] = Wait(until: now + length, length: length)
    }

    mutating func overcame(_ decision: Decision) { waits[Self.subject(decision)] = nil }
}
