import Ports
import Synchronization
import Vocabulary

/// A clock that stands still until it is told to go on.
///
/// Sleepers are woken one at a time, in the order of their moments (those of one moment in the order in which they went to sleep), and
/// whoever advances the clock may wait for each to come to rest before the next: as deterministic as Swift's concurrency allows.
/// Breaks nothing: it never runs backwards and never skips a sleeper.
package final class VirtualTime: TimeSource {
    private struct Sleeper {
        var number: Int64
        var until: Timestamp
        var wake: CheckedContinuation<Void, any Error>
    }
    private struct State {
        var now: Timestamp
        var number: Int64 = 0
        var sleepers: [Sleeper] = []
        var cancelled: Set<Int64> = []
    }
    private let state: Mutex<State>

    package init(start: Timestamp = Timestamp(1_000_000)) { state = Mutex(State(now: start)) }

    package func now() -> Timestamp { state.withLock { $0.now } }

    /// How many sleep now.
    package var sleeping: Int { state.withLock { $0.sleepers.count } }

    package func sleep(for length: Seconds) async throws {
        let number = state.withLock { state in
            state.number += 1
            return state.number
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if state.cancelled.remove(number) != nil { return true }
                    state.sleepers.append(Sleeper(number: number, until: state.now + max(.zero, length), wake: continuation))
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                guard let index = state.sleepers.firstIndex(where: { $0.number == number }) else {
                    // Not asleep yet; or woken already, and then nobody looks for it.
                    state.cancelled.insert(number)
                    return nil
                }
                return state.sleepers.remove(at: index)
            }
            sleeper?.wake.resume(throwing: CancellationError())
        }
    }

    /// Lets time pass.
    /// - Parameter settled: awaited after each sleeper that was woken, so that it comes to rest before the next wakes.
    package func advance(by length: Seconds, settled: () async -> Void = {}) async {
        let end = now() + length
        while let next = takeNext(before: end) {
            next.resume()
            await settled()
        }
        state.withLock { $0.now = end }
    }

    private func takeNext(before end: Timestamp) -> CheckedContinuation<Void, any Error>? {
        state.withLock { state in
            let due = state.sleepers.indices.filter { state.sleepers[$0].until <= end }
            func moment(_ index: Int) -> (Timestamp, Int64) { (state.sleepers[index].until, state.sleepers[index].number) }
            guard let first = due.min(by: { moment($0) < moment($1) }) else { return nil }
            let sleeper = state.sleepers.remove(at: first)
            state.now = max(state.now, sleeper.until)
            return sleeper.wake
        }
    }
}
