import Vocabulary

/// Everything that happened and was decided, in order, for ever. Append-only: nothing in it is changed or removed.
package protocol Ledger: Sendable {
    /// Appends in one transaction. An agent's event that is there already (same node, incarnation and number) is passed over.
    /// - Returns: those appended, with their sequence numbers.
    func append(_ events: [EventRecord]) async throws(LedgerError) -> [EventRecord]
    /// Records decisions, with events of the same moment, in one transaction, before anything is carried out.
    func record(_ decisions: [Decision]) async throws(LedgerError)
    func record(_ outcomes: [Outcome]) async throws(LedgerError)
    /// Events after `sequence`, oldest first, at most `limit`.
    func events(after sequence: Int64, limit: Int) async throws(LedgerError) -> [EventRecord]
    func decisions(_ query: DecisionQuery) async throws(LedgerError) -> [Decision]
    func decision(_ id: DecisionID) async throws(LedgerError) -> Decision?
    func outcomes(of decision: DecisionID) async throws(LedgerError) -> [Outcome]
    func outcomes(task: TaskID?) async throws(LedgerError) -> [Outcome]
    /// Highest number of this incarnation's events that is safe; 0 for none.
    func acknowledged(node: NodeID, incarnation: Incarnation) async throws(LedgerError) -> Int64
    /// The next number for a decision.
    func nextDecisionNumber() async throws(LedgerError) -> Int64
    /// How many decisions of each kind there are with a number above `after` and up to `through`.
    func decisionCounts(after: Int64, through: Int64) async throws(LedgerError) -> [DecisionCount]
}

/// Sees every event of a ledger once and in its order, from the first one on.
package protocol EventWitness: Sendable {
    func saw(_ records: [EventRecord])
}

package struct DecisionCount: Hashable, Sendable {
    package struct Subject: Hashable, Sendable {
        package var kind: Decision.Kind
        package var mode: CheckpointPolicy.Mode
        package init(kind: Decision.Kind, mode: CheckpointPolicy.Mode) {
            self.kind = kind
            self.mode = mode
        }
    }
    package var subject: Subject
    package var count: Int64
    package init(subject: Subject, count: Int64) {
        self.subject = subject
        self.count = count
    }
}

package struct DecisionQuery: Hashable, Sendable {
    package var task: TaskID?
    package var kinds: [Decision.Kind]
    package var since: Timestamp?
    /// Only those with a lower number.
    package var before: Int64?
    package var newestFirst: Bool
    package var limit: Int
    package init(
        task: TaskID? = nil, kinds: [Decision.Kind] = [], since: Timestamp? = nil, before: Int64? = nil, newestFirst: Bool = false, limit: Int = 1_000
    ) {
        self.task = task
        self.kinds = kinds
        self.since = since
        self.before = before
        self.newestFirst = newestFirst
        self.limit = limit
    }
}

package enum LedgerError: Error, Hashable, Sendable {
    case cannotOpen(path: String, detail: String)
    /// Made by a later version of Cairn.
    case tooNew(path: String)
    case full(path: String)
    case busy(path: String)
    case failed(path: String, detail: String)
    package var isRetryable: Bool {
        switch self {
        case .busy, .full: true
        case .cannotOpen, .tooNew, .failed: false
        }
    }
}

extension LedgerError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotOpen(let path, let detail): "cannot open the ledger \(path): \(detail)"
        case .tooNew(let path): "the ledger \(path) was made by a later version of Cairn: use that version"
        case .full(let path): "no space left for the ledger \(path)"
        case .busy(let path): "the ledger \(path) is locked by another process"
        case .failed(let path, let detail): "the ledger \(path) failed: \(detail)"
        }
    }
}
