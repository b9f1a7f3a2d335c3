import Vocabulary

/// What may be asked of the manager, by agents and by people.
package protocol ManagerCommands: Sendable {
    func exchange(_ report: NodeReport) async throws(CommandError) -> NodeOrders
    /// - Parameters:
    ///   - text: the declaration as the owner wrote it; the manager reads and checks it itself.
    ///   - file: what to call it in messages.
    ///   - owner: who may act on it beside operators; nil: nobody.
    func submit(_ text: String, file: String, node: NodeID?, owner: String?, by: String) async throws(CommandError) -> TaskID
    func cancel(_ task: TaskID, by: String) async throws(CommandError)
    func checkpointNow(_ task: TaskID, by: String) async throws(CommandError) -> OrderID
    /// Ends the running guest and resumes the task from its newest checkpoint.
    func restore(_ task: TaskID, by: String) async throws(CommandError)
    /// Removes all but the newest `keepLast` checkpoints of a running task and those younger than `keepFor` (nil: no matter how old).
    /// - Parameter isDryRun: says what would go, and does nothing.
    func prune(_ task: TaskID, keepLast: Int?, keepFor: Seconds?, isDryRun: Bool, by: String) async throws(CommandError) -> PruneAnswer
    /// Merges the layers of a running task's disk.
    func merge(_ task: TaskID, by: String) async throws(CommandError) -> OrderID
    /// Places nothing on the node any more, checkpoints what runs there and resumes it elsewhere, until the drain is ended.
    func drain(_ node: NodeID, by: String) async throws(CommandError)
    func undrain(_ node: NodeID, by: String) async throws(CommandError)
    /// - Parameter mode: in force over the policy's file and its rules; nil: the file's again.
    func setMode(_ mode: CheckpointPolicy.Mode?, ofPolicy name: String, by: String) async throws(CommandError)
    /// A checkpoint was read whole and compared with its digests.
    /// - Parameter problems: what was wrong; empty: nothing.
    func verified(_ task: TaskID, _ checkpoint: CheckpointID, problems: [String], by: String) async throws(CommandError)
    func health() async -> ManagerHealth
    /// Who owns a task; nil: nobody, or there is no such task.
    func owner(of task: TaskID) async -> String?
}

package struct PruneAnswer: Hashable, Sendable, Codable {
    package var task: TaskID
    package var keep: [CheckpointID]
    package var remove: [CheckpointID]
    /// nil: nothing was ordered.
    package var order: OrderID?
    package init(task: TaskID, keep: [CheckpointID], remove: [CheckpointID], order: OrderID?) {
        self.task = task
        self.keep = keep
        self.remove = remove
        self.order = order
    }
}

package struct ManagerHealth: Hashable, Sendable, Codable {
    package var version: String
    package var startedAt: Timestamp
    package var cycles: Int64
    package var lastCycleAt: Timestamp?
    package var store: StoreHealth?
    package var liveTasks: Int
    package init(version: String, startedAt: Timestamp, cycles: Int64, lastCycleAt: Timestamp?, store: StoreHealth?, liveTasks: Int) {
        self.version = version
        self.startedAt = startedAt
        self.cycles = cycles
        self.lastCycleAt = lastCycleAt
        self.store = store
        self.liveTasks = liveTasks
    }
}

package enum CommandError: Error, Hashable, Sendable {
    /// What was sent cannot be used; all problems at once, for people.
    case invalid([String])
    case notFound(String)
    /// Not now, or not in this state.
    case conflict(String)
    case failed(String)

    package var messages: [String] {
        switch self {
        case .invalid(let problems): problems
        case .notFound(let what), .conflict(let what), .failed(let what): [what]
        }
    }
}

extension CommandError: CustomStringConvertible {
    package var description: String { messages.joined(separator: "\n") }
}
