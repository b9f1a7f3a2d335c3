import Vocabulary

/// What an agent has to tell and has not been acknowledged, on its own disk: an event that was written survives the agent.
package protocol EventJournal: Sendable {
    /// Durable when it returns.
    func write(_ event: Event, at time: Timestamp) async throws(LedgerError)
    /// Not acknowledged, oldest first, at most `limit`; their numbers grow by one and are never used twice.
    func pending(limit: Int) async throws(LedgerError) -> [EventRecord]
    func acknowledge(through number: Int64) async throws(LedgerError)

    /// Which checkpoint answers an order, so that the same order never makes two.
    func assign(_ checkpoint: CheckpointID, to order: OrderID) async throws(LedgerError)
    func assignment(of order: OrderID) async throws(LedgerError) -> OrderAssignment?
    func finish(_ order: OrderID) async throws(LedgerError)
}

package struct OrderAssignment: Hashable, Sendable {
    package var checkpoint: CheckpointID
    package var isFinished: Bool
    package init(checkpoint: CheckpointID, isFinished: Bool) { self.checkpoint = checkpoint; self.isFinished = isFinished }
}
