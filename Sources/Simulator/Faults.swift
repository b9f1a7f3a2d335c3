import Ports
import Synchronization
import Vocabulary

/// What goes wrong in the calls of one process to the outside world, counted across all ports that share it.
///
/// A fault strikes *before* a call (nothing has happened) or *after* it (it has happened, and nobody will hear so: a lost answer). One that
/// crashes takes every later call with it, as for a process that is dead, until `revive`.
package final class Faults: Sendable {
    package enum Moment: String, Hashable, Sendable, CaseIterable { case before, after }

    private struct State {
        var calls = 0
        var names: [String] = []
        var crash: (call: Int, moment: Moment)?
        var isDead = false
        var planned: [Planned] = []
        var random: (source: SeededRandom, probability: Double, matching: String)?
        /// Reads of these paths that come to something else: how many more.
        var misread: [String: Int] = [:]
    }
    /// Strikes calls whose names start with `prefix`, after letting `skipping` of them pass, `times` times.
    private struct Planned {
        var prefix: String
        var moment: Moment
        var skipping: Int
        var times: Int
    }
    private let state = Mutex(State())

    package init() {}

    /// Calls so far, and what they were, in order: `store.write tasks/t/…`.
    package var calls: Int { state.withLock { $0.calls } }
    package var names: [String] { state.withLock { $0.names } }
    package var isDead: Bool { state.withLock { $0.isDead } }

    /// The process dies at the call of this number, counted from 1.
    package func crash(at call: Int, _ moment: Moment) { state.withLock { $0.crash = (call, moment) } }
    package func die() { state.withLock { $0.isDead = true } }
    package func revive() {
        state.withLock { state in
            state.isDead = false
            state.crash = nil
        }
    }

    package func fail(_ prefix: String, _ moment: Moment = .before, skipping: Int = 0, times: Int = 1) {
        state.withLock { $0.planned.append(Planned(prefix: prefix, moment: moment, skipping: skipping, times: times)) }
    }
    /// So many reads of a path give a byte that is another.
    package func misread(_ path: String, times: Int = 1) { state.withLock { $0.misread[path] = times } }
    func isMisread(_ path: String) -> Bool {
        state.withLock { state in
            guard let times = state.misread[path], times > 0 else { return false }
            state.misread[path] = times - 1
            return true
        }
    }
    /// Each call that starts with `matching` fails with this probability, before it or after it.
    package func fail(_ matching: String, probability: Double, random: SeededRandom) {
        state.withLock { $0.random = probability > 0 ? (random, probability, matching) : nil }
    }

    /// Runs one call of a port.
    func around<Value, Failure: Error>(
        _ name: String, _ failure: Failure, _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let (moment, isLast) = strike(name)
        if moment == .before { throw failure }
        let outcome: Result<Value, Failure>
        do throws(Failure) { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        if isLast { die() }
        // It may have died while the call was on its way.
        if moment == .after || isDead { throw failure }
        return try outcome.get()
    }

    /// - Returns: when the fault strikes, and whether the process dies of it after the call.
    private func strike(_ name: String) -> (moment: Moment?, isLast: Bool) {
        state.withLock { state in
            state.calls += 1
            state.names.append(name)
            if state.isDead { return (.before, false) }
            if let crash = state.crash, crash.call == state.calls {
                state.isDead = crash.moment == .before
                return (crash.moment, crash.moment == .after)
            }
            for index in state.planned.indices where name.hasPrefix(state.planned[index].prefix) && state.planned[index].times > 0 {
                if state.planned[index].skipping > 0 {
                    state.planned[index].skipping -= 1
                    continue
                }
                state.planned[index].times -= 1
                return (state.planned[index].moment, false)
            }
            if let random = state.random, name.hasPrefix(random.matching), random.source.happens(random.probability) {
                return (random.source.happens(0.5) ? .before : .after, false)
            }
            return (nil, false)
        }
    }
}

/// How long a port's calls take on the virtual clock, by the beginning of their names (`store.commit`). What is not named takes no time.
package struct Pace: Sendable {
    package var time: VirtualTime
    package var seconds: [String: Seconds]
    package init(time: VirtualTime, seconds: [String: Seconds]) {
        self.time = time
        self.seconds = seconds
    }

    func pass(_ name: String) async -> Bool {
        guard let length = seconds.first(where: { name.hasPrefix($0.key) })?.value else { return true }
        do { try await time.sleep(for: length) } catch { return false }
        return true
    }
}
