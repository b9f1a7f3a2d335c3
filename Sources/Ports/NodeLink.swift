import Vocabulary

/// The agent's side of the link to the manager: one exchange a heartbeat.
package protocol ManagerLink: Sendable {
    /// Tells what was seen, hears what to do. Safe to repeat.
    /// - Throws: when the manager is away; the agent then goes on with its standing plans.
    func exchange(_ report: NodeReport) async throws(LinkError) -> NodeOrders
}

package enum LinkError: Error, Hashable, Sendable {
    case unreachable(detail: String)
    /// The manager answered, and will not have this node (unknown, or another incarnation has taken its place).
    case refused(detail: String)
    case garbled(detail: String)
    package var isRetryable: Bool {
        switch self {
        case .unreachable, .garbled: true
        case .refused: false
        }
    }
}

extension LinkError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let detail): "the manager does not answer: \(detail)"
        case .refused(let detail): "the manager refuses this node: \(detail)"
        case .garbled(let detail): "the manager's answer cannot be read: \(detail)"
        }
    }
}

/// Makes a node harmless.
package protocol Fence: Sendable {
    /// When it returns, the node's guests run no more (or, for `.storeOnly`, cannot commit).
    /// - Parameter processes: what the node last reported of itself.
    /// - Returns: what was done, for the ledger.
    func fence(_ node: NodeID, method: FenceMethod, processes: NodeProcesses?) async throws(FenceError) -> String
}

package enum FenceError: Error, Hashable, Sendable {
    case commandFailed(node: NodeID, status: Int32, detail: String)
    case stillAlive(node: NodeID, detail: String)
    package var isRetryable: Bool { true }
}

extension FenceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .commandFailed(let node, let status, let detail): "fencing \(node): the command ended with \(status): \(detail)"
        case .stillAlive(let node, let detail): "fencing \(node): still alive: \(detail)"
        }
    }
}
