/// What an agent and the manager tell each other. The agent speaks first, with every heartbeat; the answer
/// is what it shall do. Nothing needs to reach the agent from outside.

package struct NodeReport: Hashable, Sendable, Codable {
    package var node: NodeID
    package var incarnation: Incarnation
    package var capabilities: HypervisorCapabilities
    package var processes: NodeProcesses
    /// How long its machine has been up; nil: unknown, or the machine is not the node's own.
    package var uptimeSeconds: Seconds?
    package var sentAt: Timestamp
    package var tasks: [TaskObservation]
    /// Events that the manager has not acknowledged, oldest first; kept by the agent on disk until it has.
    package var events: [EventRecord]
    package init(
        node: NodeID, incarnation: Incarnation, capabilities: HypervisorCapabilities, processes: NodeProcesses, uptimeSeconds: Seconds? = nil,
        sentAt: Timestamp, tasks: [TaskObservation], events: [EventRecord]
    ) {
        self.node = node
        self.incarnation = incarnation
        self.capabilities = capabilities
        self.processes = processes
        self.uptimeSeconds = uptimeSeconds
        self.sentAt = sentAt
        self.tasks = tasks
        self.events = events
    }
}

/// What a node consists of on its machine: what a fence has to end where the node is processes on the manager's own machine.
package struct NodeProcesses: Hashable, Sendable, Codable {
    package var agent: ProcessIdentity
    /// Guests that run, as last seen.
    package var guests: [ProcessIdentity]
    /// The agent's own directory, absolute: a guest that was not seen yet has its files below it.
    package var directory: String
    package init(agent: ProcessIdentity, guests: [ProcessIdentity], directory: String) {
        self.agent = agent
        self.guests = guests
        self.directory = directory
    }
}

/// A process that cannot be mistaken for a later one with the same number.
package struct ProcessIdentity: Hashable, Sendable, Codable {
    package var pid: Int32
    /// Start time in clock ticks since boot (`/proc/PID/stat`, field 22).
    package var startTicks: UInt64
    package init(pid: Int32, startTicks: UInt64) { self.pid = pid; self.startTicks = startTicks }
}

package struct TaskObservation: Hashable, Sendable, Codable {
    package enum State: String, Hashable, Sendable, Codable { case starting, running, paused, finished, failed }
    package var task: TaskID
    package var epoch: Epoch
    package var state: State
    package var sample: ProgressSample?
    /// A checkpoint is being taken or uploaded.
    package var checkpointing: CheckpointID?
    package init(task: TaskID, epoch: Epoch, state: State, sample: ProgressSample?, checkpointing: CheckpointID?) {
        self.task = task
        self.epoch = epoch
        self.state = state
        self.sample = sample
        self.checkpointing = checkpointing
    }
}

package struct NodeOrders: Hashable, Sendable, Codable {
    /// Highest number of the agent's events that is safe in the ledger.
    package var acknowledged: Int64
    /// All orders in force for this node; one that is done already is answered by its outcome again.
    package var orders: [Order]
    /// For each task on this node: what to go on with when the manager is away.
    package var standing: [StandingPlan]
    package init(acknowledged: Int64, orders: [Order], standing: [StandingPlan]) {
        self.acknowledged = acknowledged
        self.orders = orders
        self.standing = standing
    }
}

package struct Order: Hashable, Sendable, Codable {
    package enum Action: Hashable, Sendable, Codable {
        case start(TaskSubmission)
        case checkpoint(CheckpointOrder)
        /// nil: from the beginning, since nothing was ever committed.
        case resume(TaskSubmission, from: CheckpointID?)
        /// Destroy the domain and forget the task (cancelled, or resumed elsewhere).
        case stop
        /// Remove from the store all but these; `drop` are those that are known to be there and are to go.
        case prune(keep: [CheckpointID], drop: [CheckpointID])
        /// Merge layers of the running guest's disk.
        case merge(MergeOrder)
    }
    package var id: OrderID
    package var task: TaskID
    package var epoch: Epoch
    package var action: Action
    package init(id: OrderID, task: TaskID, epoch: Epoch, action: Action) {
        self.id = id
        self.task = task
        self.epoch = epoch
        self.action = action
    }
}

package struct CheckpointOrder: Hashable, Sendable, Codable {
    package var codec: Codec
    package var replication: Replication
    package init(codec: Codec, replication: Replication) { self.codec = codec; self.replication = replication }
}

package struct MergeOrder: Hashable, Sendable, Codable {
    /// How many of the lowest layers stay as they are; nil: the node decides by their sizes.
    package var keep: Int?
    /// Where the node decides: frozen layers that are left at most.
    package var atMost: Int?
    package var limitSeconds: Seconds
    package init(keep: Int? = nil, atMost: Int? = nil, limitSeconds: Seconds = .minutes(1)) {
        self.keep = keep
        self.atMost = atMost
        self.limitSeconds = limitSeconds
    }
}

package struct StandingPlan: Hashable, Sendable, Codable {
    package var task: TaskID
    package var epoch: Epoch
    /// nil: never.
    package var intervalSeconds: Seconds?
    package var order: CheckpointOrder
    package init(task: TaskID, epoch: Epoch, intervalSeconds: Seconds?, order: CheckpointOrder) {
        self.task = task
        self.epoch = epoch
        self.intervalSeconds = intervalSeconds
        self.order = order
    }
}
