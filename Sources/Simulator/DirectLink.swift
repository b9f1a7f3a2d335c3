import Ports
import Synchronization
import Vocabulary

/// An agent's link to a manager in the same process.
///
/// May be cut; may lose a report before the manager hears it, or the manager's answer; may deliver a report twice, or an old one once more
/// before the new one; may take its time. The manager behind it may be gone, and be another one later.
package final class DirectLink: ManagerLink {
    package struct Trouble: Hashable, Sendable {
        /// Probabilities, 0 to 1, for each exchange.
        package var loseReport: Double
        package var loseAnswer: Double
        package var duplicate: Double
        package var replay: Double
        package var delay: Double
        package var delaySeconds: Seconds
        package init(
            loseReport: Double = 0, loseAnswer: Double = 0, duplicate: Double = 0, replay: Double = 0, delay: Double = 0,
            delaySeconds: Seconds = Seconds(2)
        ) {
            self.loseReport = loseReport
            self.loseAnswer = loseAnswer
            self.duplicate = duplicate
            self.replay = replay
            self.delay = delay
            self.delaySeconds = delaySeconds
        }
    }
    private struct State {
        var isCut = false
        var trouble = Trouble()
        var previous: NodeReport?
        var exchanges = 0
    }
    private let state = Mutex(State())
    private let manager: @Sendable () -> (any ManagerCommands)?
    private let time: any TimeSource
    private let random: SeededRandom

    /// - Parameter manager: who is the manager now; nil: nobody.
    package init(time: any TimeSource, random: SeededRandom, manager: @escaping @Sendable () -> (any ManagerCommands)?) {
        self.time = time
        self.random = random
        self.manager = manager
    }

    package func cut(_ isCut: Bool) { state.withLock { $0.isCut = isCut } }
    package var isCut: Bool { state.withLock { $0.isCut } }
    package func trouble(_ trouble: Trouble) { state.withLock { $0.trouble = trouble } }
    /// How often the manager answered.
    package var exchanges: Int { state.withLock { $0.exchanges } }

    package func exchange(_ report: NodeReport) async throws(LinkError) -> NodeOrders {
        let (trouble, previous) = state.withLock { state in
            defer { state.previous = report }
            return (state.trouble, state.previous)
        }
        if random.happens(trouble.delay) {
            do { try await time.sleep(for: trouble.delaySeconds) } catch { throw .unreachable(detail: "cancelled") }
        }
        guard !isCut else { throw .unreachable(detail: "the link is cut") }
        if random.happens(trouble.loseReport) { throw .unreachable(detail: "the report was lost") }
        if let previous, random.happens(trouble.replay) { _ = try await send(previous) }
        if random.happens(trouble.duplicate) { _ = try await send(report) }
        let orders = try await send(report)
        if random.happens(trouble.loseAnswer) || isCut { throw .unreachable(detail: "the answer was lost") }
        state.withLock { $0.exchanges += 1 }
        return orders
    }

    private func send(_ report: NodeReport) async throws(LinkError) -> NodeOrders {
        guard let manager = manager() else { throw .unreachable(detail: "there is no manager") }
        do throws(CommandError) { return try await manager.exchange(report) } catch {
            switch error {
            case .failed(let detail): throw .unreachable(detail: detail)
            case .invalid, .notFound, .conflict: throw .refused(detail: "\(error)")
            }
        }
    }
}
