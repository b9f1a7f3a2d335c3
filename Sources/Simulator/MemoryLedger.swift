import Ports
import Synchronization
import Vocabulary

/// A ledger in memory that outlives its manager. Breaks nothing by itself; see `FaultyLedger`.
package final class MemoryLedger: Ledger {
    private struct Origin: Hashable {
        var node: NodeID
        var incarnation: Incarnation
        var number: Int64
    }
    private struct State {
        var events: [EventRecord] = []
        var origins: Set<Origin> = []
        var decisions: [Decision] = []
        var outcomes: [Outcome] = []
    }
    private let state = Mutex(State())

    package init() {}

    /// Everything, in order.
    package var events: [EventRecord] { state.withLock { $0.events } }
    package var decisions: [Decision] { state.withLock { $0.decisions } }

    package func append(_ events: [EventRecord]) async throws(LedgerError) -> [EventRecord] {
        state.withLock { state in
            var appended: [EventRecord] = []
            for var record in events {
                if case .agent(let node, let incarnation, let number) = record.source,
                    !state.origins.insert(Origin(node: node, incarnation: incarnation, number: number)).inserted
                {
                    continue
                }
                record.sequence = Int64(state.events.count + 1)
                state.events.append(record)
                appended.append(record)
            }
            return appended
        }
    }

    package func record(_ decisions: [Decision]) async throws(LedgerError) {
        let clash = state.withLock { state -> DecisionID? in
            for decision in decisions {
                if let there = state.decisions.first(where: { $0.id == decision.id }) {
                    if there != decision { return decision.id }
                } else {
                    state.decisions.append(decision)
                }
            }
            return nil
        }
        if let clash { throw .failed(path: "memory", detail: "decision \(clash): another one with this name is recorded") }
    }

    package func record(_ outcomes: [Outcome]) async throws(LedgerError) {
        state.withLock { state in
            for outcome in outcomes where !state.outcomes.contains(outcome) { state.outcomes.append(outcome) }
        }
    }

    package func events(after sequence: Int64, limit: Int) async throws(LedgerError) -> [EventRecord] {
        state.withLock { Array($0.events.dropFirst(Int(sequence)).prefix(limit)) }
    }

    package func decisions(_ query: DecisionQuery) async throws(LedgerError) -> [Decision] {
        let found = state.withLock { $0.decisions }.filter { decision in
            (query.task.map { decision.task == $0 } ?? true) && (query.kinds.isEmpty || query.kinds.contains(decision.kind))
                && (query.since.map { decision.at >= $0 } ?? true) && (query.until.map { decision.at <= $0 } ?? true)
                && (query.before.map { (Int64(decision.id.rawValue.dropFirst()) ?? 0) < $0 } ?? true)
        }
        return Array((query.newestFirst ? found.reversed() : found).prefix(query.limit))
    }

    package func decision(_ id: DecisionID) async throws(LedgerError) -> Decision? { state.withLock { $0.decisions.last { $0.id == id } } }
    package func outcomes(of decision: DecisionID) async throws(LedgerError) -> [Outcome] {
        state.withLock { $0.outcomes.filter { $0.decision == decision } }
    }
    package func outcomes(task: TaskID?) async throws(LedgerError) -> [Outcome] {
        state.withLock { state in
            guard let task else { return state.outcomes }
            let decisions = Set(state.decisions.filter { $0.task == task }.map(\.id))
            return state.outcomes.filter { decisions.contains($0.decision) }
        }
    }
    package func acknowledged(node: NodeID, incarnation: Incarnation) async throws(LedgerError) -> Int64 {
        state.withLock { state in state.origins.filter { $0.node == node && $0.incarnation == incarnation }.map(\.number).max() ?? 0 }
    }
    package func decisionCounts(after: Int64, through: Int64) async throws(LedgerError) -> [DecisionCount] {
        let counted = decisions.filter { decision in
            Int64(decision.id.rawValue.dropFirst()).map { $0 > after && $0 <= through } ?? false
        }
        return Dictionary(grouping: counted) { DecisionCount.Subject(kind: $0.kind, mode: $0.mode) }
            .map { DecisionCount(subject: $0.key, count: Int64($0.value.count)) }
    }
    package func nextDecisionNumber() async throws(LedgerError) -> Int64 {
        state.withLock { state in (state.decisions.compactMap { Int64($0.id.rawValue.dropFirst()) }.max() ?? 0) + 1 }
    }
}

/// Any ledger as one process sees it: calls may fail before they are carried out or after it, may take time, and fail all once the process is
/// dead.
package struct FaultyLedger: Ledger {
    private let base: any Ledger
    private let faults: Faults
    private let pace: Pace?

    package init(_ base: any Ledger, faults: Faults, pace: Pace? = nil) {
        self.base = base
        self.faults = faults
        self.pace = pace
    }

    private func call<Value>(_ name: String, _ body: () async throws(LedgerError) -> Value) async throws(LedgerError) -> Value {
        try await faults.around("ledger.\(name)", .busy(path: "ledger")) { () throws(LedgerError) in
            if let pace, await !pace.pass("ledger.\(name)") { throw .busy(path: "ledger") }
            if faults.isDead { throw .busy(path: "ledger") }
            return try await body()
        }
    }

    package func append(_ events: [EventRecord]) async throws(LedgerError) -> [EventRecord] {
        try await call("append") { () throws(LedgerError) in try await base.append(events) }
    }
    package func record(_ decisions: [Decision]) async throws(LedgerError) {
        try await call("record") { () throws(LedgerError) in try await base.record(decisions) }
    }
    package func record(_ outcomes: [Outcome]) async throws(LedgerError) {
        try await call("record") { () throws(LedgerError) in try await base.record(outcomes) }
    }
    package func events(after sequence: Int64, limit: Int) async throws(LedgerError) -> [EventRecord] {
        try await call("events") { () throws(LedgerError) in try await base.events(after: sequence, limit: limit) }
    }
    package func decisions(_ query: DecisionQuery) async throws(LedgerError) -> [Decision] {
        try await call("decisions") { () throws(LedgerError) in try await base.decisions(query) }
    }
    package func decision(_ id: DecisionID) async throws(LedgerError) -> Decision? {
        try await call("decision") { () throws(LedgerError) in try await base.decision(id) }
    }
    package func outcomes(of decision: DecisionID) async throws(LedgerError) -> [Outcome] {
        try await call("outcomes") { () throws(LedgerError) in try await base.outcomes(of: decision) }
    }
    package func outcomes(task: TaskID?) async throws(LedgerError) -> [Outcome] {
        try await call("outcomes") { () throws(LedgerError) in try await base.outcomes(task: task) }
    }
    package func acknowledged(node: NodeID, incarnation: Incarnation) async throws(LedgerError) -> Int64 {
        try await call("acknowledged") { () throws(LedgerError) in try await base.acknowledged(node: node, incarnation: incarnation) }
    }
    package func decisionCounts(after: Int64, through: Int64) async throws(LedgerError) -> [DecisionCount] {
        try await call("decisionCounts") { () throws(LedgerError) in try await base.decisionCounts(after: after, through: through) }
    }
    package func nextDecisionNumber() async throws(LedgerError) -> Int64 {
        try await call("nextDecisionNumber") { () throws(LedgerError) in try await base.nextDecisionNumber() }
    }
}
