import Ports
import Synchronization
import Vocabulary

/// An agent's journal in memory, which outlives the agent as a disk would. May lose nothing; once its process is dead all calls fail.
package final class MemoryJournal: EventJournal {
    private struct State {
        var number: Int64 = 0
        var pending: [EventRecord] = []
        var orders: [OrderID: OrderAssignment] = [:]
    }
    private let state = Mutex(State())
    private let node: NodeID
    private let name: Incarnation

    package init(node: NodeID, name: Incarnation) {
        self.node = node
        self.name = name
    }

    package func write(_ event: Event, at time: Timestamp) async throws(LedgerError) {
        state.withLock { state in
            state.number += 1
            state.pending.append(EventRecord(at: time, source: .agent(node: node, incarnation: name, number: state.number), event: event))
        }
    }
    package func pending(limit: Int) async throws(LedgerError) -> [EventRecord] { state.withLock { Array($0.pending.prefix(limit)) } }
    package func acknowledge(through number: Int64) async throws(LedgerError) {
        state.withLock { state in
            state.pending.removeAll { record in
                guard case .agent(_, _, let own) = record.source else { return false }
                return own <= number
            }
        }
    }
    package func assign(_ checkpoint: CheckpointID, to order: OrderID) async throws(LedgerError) {
        state.withLock { $0.orders[order] = OrderAssignment(checkpoint: checkpoint, isFinished: $0.orders[order]?.isFinished ?? false) }
    }
    package func assignment(of order: OrderID) async throws(LedgerError) -> OrderAssignment? { state.withLock { $0.orders[order] } }
    package func finish(_ order: OrderID) async throws(LedgerError) { state.withLock { $0.orders[order]?.isFinished = true } }
}

/// Any journal as one process sees it: calls may fail before they are carried out or after it, and fail all once the process is dead.
package struct FaultyJournal: EventJournal {
    private let base: any EventJournal
    private let faults: Faults

    package init(_ base: any EventJournal, faults: Faults) {
        self.base = base
        self.faults = faults
    }

    private func call<Value>(_ name: String, _ body: () async throws(LedgerError) -> Value) async throws(LedgerError) -> Value {
        try await faults.around("journal.\(name)", .busy(path: "journal"), body)
    }

    package func write(_ event: Event, at time: Timestamp) async throws(LedgerError) {
        try await call("write") { () throws(LedgerError) in try await base.write(event, at: time) }
    }
    package func pending(limit: Int) async throws(LedgerError) -> [EventRecord] {
        try await call("pending") { () throws(LedgerError) in try await base.pending(limit: limit) }
    }
    package func acknowledge(through number: Int64) async throws(LedgerError) {
        try await call("acknowledge") { () throws(LedgerError) in try await base.acknowledge(through: number) }
    }
    package func assign(_ checkpoint: CheckpointID, to order: OrderID) async throws(LedgerError) {
        try await call("assign") { () throws(LedgerError) in try await base.assign(checkpoint, to: order) }
    }
    package func assignment(of order: OrderID) async throws(LedgerError) -> OrderAssignment? {
        try await call("assignment") { () throws(LedgerError) in try await base.assignment(of: order) }
    }
    package func finish(_ order: OrderID) async throws(LedgerError) {
        try await call("finish") { () throws(LedgerError) in try await base.finish(order) }
    }
}
