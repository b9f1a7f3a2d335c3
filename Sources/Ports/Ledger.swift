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
    /// Where the chain over its records ends; nil: it has none.
    func proof() async throws(LedgerError) -> LedgerProof?
    /// What the ledger holds about a task, or about everything, at one moment.
    func excerpt(_ query: ExcerptQuery) async throws(LedgerError) -> LedgerExcerpt
    /// Every policy that was loaded and every task that was submitted, oldest first.
    func declarations() async throws(LedgerError) -> [EventRecord]
    /// Decisions of a kind of which nothing has come that is recorded.
    func unsettled(_ kind: Decision.Kind) async throws(LedgerError) -> Set<DecisionID>
}

extension Ledger {
    package func proof() async throws(LedgerError) -> LedgerProof? { nil }

    package func declarations() async throws(LedgerError) -> [EventRecord] {
        try await excerpt(ExcerptQuery()).events.filter { record in
            switch record.event {
            case .policyLoaded, .taskSubmitted: true
            default: false
            }
        }
    }

    package func unsettled(_ kind: Decision.Kind) async throws(LedgerError) -> Set<DecisionID> {
        let made = try await decisions(DecisionQuery(kinds: [kind], limit: .max)).map(\.id)
        return Set(made).subtracting(try await outcomes(task: nil).map(\.decision))
    }

    /// In the ledger's order; page by page, so that no single answer is as long as the ledger.
    package func everyEvent() async throws(LedgerError) -> [EventRecord] {
        var all: [EventRecord] = []
        while case let page = try await events(after: all.last?.sequence ?? 0, limit: 10_000), !page.isEmpty { all += page }
        return all
    }

    /// By the other questions, one after the other.
    package func excerpt(_ query: ExcerptQuery) async throws(LedgerError) -> LedgerExcerpt {
        // In this order: an outcome that is read has its decision, and a decision the events behind it.
        let proof = try await proof()
        let outcomes = try await outcomes(task: query.task)
        let decisions = try await decisions(DecisionQuery(task: query.task, since: query.decisionsSince, limit: .max))
        var events: [EventRecord] = []
        var last: Int64 = 0
        while case let page = try await self.events(after: last, limit: 10_000), let newest = page.last {
            events += page.filter { record in query.task.map { record.event.task == nil || record.event.task == $0 } ?? true }
            last = newest.sequence
        }
        return LedgerExcerpt(events: events, decisions: decisions, outcomes: outcomes, proof: proof)
    }
}

/// What shall be read at one moment.
package struct ExcerptQuery: Hashable, Sendable {
    /// This task's records, and events that are about no task; nil: of all tasks.
    package var task: TaskID?
    /// No decisions, and outcomes of decisions, from before.
    package var decisionsSince: Timestamp?
    package init(task: TaskID? = nil, decisionsSince: Timestamp? = nil) {
        self.task = task
        self.decisionsSince = decisionsSince
    }
}

package struct LedgerExcerpt: Hashable, Sendable {
    /// In the ledger's order.
    package var events: [EventRecord]
    package var decisions: [Decision]
    package var outcomes: [Outcome]
    package var proof: LedgerProof?
    package init(events: [EventRecord], decisions: [Decision], outcomes: [Outcome], proof: LedgerProof? = nil) {
        self.events = events
        self.decisions = decisions
        self.outcomes = outcomes
        self.proof = proof
    }
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
    package var until: Timestamp?
    /// Only those with a lower number.
    package var before: Int64?
    package var newestFirst: Bool
    package var limit: Int
    package init(
        task: TaskID? = nil, kinds: [Decision.Kind] = [], since: Timestamp? = nil, until: Timestamp? = nil, before: Int64? = nil,
        newestFirst: Bool = false, limit: Int = 1_000
    ) {
        self.until = until
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
