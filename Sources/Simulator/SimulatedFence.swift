import Ports
import Synchronization
import Vocabulary

/// A machine's processes: each can be ended by its identity, and no number is used twice.
package final class SimulatedProcesses: Sendable {
    private struct State {
        var next: Int32 = 1_000
        var alive: [ProcessIdentity: @Sendable () -> Void] = [:]
    }
    private let state = Mutex(State())

    package init() {}

    /// - Parameter ended: called when somebody kills it.
    package func spawn(ended: @escaping @Sendable () -> Void) -> ProcessIdentity {
        state.withLock { state in
            state.next += 1
            let process = ProcessIdentity(pid: state.next, startTicks: UInt64(state.next))
            state.alive[process] = ended
            return process
        }
    }
    package func exited(_ process: ProcessIdentity) { state.withLock { $0.alive[process] = nil } }
    package func isAlive(_ process: ProcessIdentity) -> Bool { state.withLock { $0.alive[process] != nil } }
    /// - Returns: whether it was alive.
    @discardableResult
    package func kill(_ process: ProcessIdentity) -> Bool {
        let ended = state.withLock { $0.alive.removeValue(forKey: process) }
        ended?()
        return ended != nil
    }
}

/// Ends processes of `SimulatedProcesses`, as the real fence does those of this machine; `.command` ends everything of a node through what
/// the test gives. May fail as often as it is told to.
package final class SimulatedFence: Fence {
    package struct Call: Hashable, Sendable {
        package var node: NodeID
        package var method: FenceMethod
        package var processes: NodeProcesses?
    }
    private struct State {
        var calls: [Call] = []
        var failures = 0
    }
    private let state = Mutex(State())
    private let processes: SimulatedProcesses
    private let powerOff: @Sendable (NodeID) -> Void

    package init(processes: SimulatedProcesses, powerOff: @escaping @Sendable (NodeID) -> Void = { _ in }) {
        self.processes = processes
        self.powerOff = powerOff
    }

    package var calls: [Call] { state.withLock { $0.calls } }
    package func fail(times: Int) { state.withLock { $0.failures = times } }

    package func fence(_ node: NodeID, method: FenceMethod, processes target: NodeProcesses?) async throws(FenceError) -> String {
        let isFailing = state.withLock { state in
            state.calls.append(Call(node: node, method: method, processes: target))
            guard state.failures > 0 else { return false }
            state.failures -= 1
            return true
        }
        if isFailing { throw .stillAlive(node: node, detail: "it was told to") }
        switch method {
        case .storeOnly: return "the store refuses"
        case .command(let words):
            powerOff(node)
            return "\(words.joined(separator: " ")) ended with 0"
        case .process:
            let targets = target.map { [$0.agent] + $0.guests } ?? []
            let ended = targets.filter { processes.kill($0) }.count
            return "of \(targets.count) processes, \(ended) were alive and have been ended"
        }
    }
}
