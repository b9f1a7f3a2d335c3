/// What happened. The ledger keeps events in order and for ever; all that is known is folded from them.
package struct EventRecord: Hashable, Sendable, Codable {
    /// Position in the ledger, from 1; 0 before it is there.
    package var sequence: Int64
    package var at: Timestamp
    package var source: EventSource
    package var event: Event
    package init(sequence: Int64 = 0, at: Timestamp, source: EventSource, event: Event) {
        self.sequence = sequence
        self.at = at
        self.source = source
        self.event = event
    }
}

/// Who saw it. An agent's events carry its incarnation and a number of their own, so that one that is sent twice is kept once.
package enum EventSource: Hashable, Sendable, Codable {
    case manager
    case agent(node: NodeID, incarnation: Incarnation, number: Int64)
}

package enum Event: Hashable, Sendable, Codable {
    case managerStarted(version: String)
    case policyLoaded(CheckpointPolicy, version: DocumentVersion)
    case policyRejected(name: String, problems: [String])
    /// Somebody wants the policy in another mode than its file says, whatever its rules say; nil: in the file's again.
    case policyModeSet(name: String, mode: CheckpointPolicy.Mode?, by: String)

    case taskSubmitted(TaskSubmission)
    case taskCancelled(task: TaskID, by: String)
    /// Somebody wants the task taken back to its newest checkpoint.
    case restoreAsked(task: TaskID, by: String)
    /// Everything below that carries an epoch counts only in the epoch in force.
    case epochRaised(task: TaskID, epoch: Epoch, node: NodeID, from: CheckpointID?)
    /// The task shall start on this node; in force until it has, or the node is lost.
    case taskPlaced(task: TaskID, epoch: Epoch, node: NodeID)
    case taskStarted(task: TaskID, epoch: Epoch, node: NodeID)
    case taskResumed(ResumeRecord)
    case taskRefused(task: TaskID, epoch: Epoch, node: NodeID, reason: String)
    /// What the guest's base and delta are united by: once a life, and again by an agent that starts again.
    case unionSeen(task: TaskID, epoch: Epoch, node: NodeID, MountedUnion)
    /// At most one in a few seconds for each task.
    case progressSeen(ProgressSample)
    case taskFinished(task: TaskID, epoch: Epoch, node: NodeID, result: String)
    /// The guest itself failed, or its domain vanished while the node lived.
    case taskFailed(task: TaskID, epoch: Epoch, node: NodeID, reason: String)
    /// Its guest runs and its progress has not risen for much longer than it ever took to. Once, until it rises again.
    case taskStalled(task: TaskID, epoch: Epoch, node: NodeID, progress: Double, stalledSeconds: Seconds)
    /// Cairn stops trying.
    case taskGivenUp(task: TaskID, reason: String)

    /// The node shall take a checkpoint; in force until it is committed or has failed.
    case checkpointOrdered(task: TaskID, epoch: Epoch, node: NodeID, order: OrderID, CheckpointOrder, decision: DecisionID?)
    case checkpointStarted(task: TaskID, epoch: Epoch, checkpoint: CheckpointID, node: NodeID, order: OrderID)
    case checkpointCaptured(task: TaskID, epoch: Epoch, checkpoint: CheckpointID, stopSeconds: Seconds, progress: Double?)
    case checkpointCommitted(CheckpointRecord)
    case checkpointFailed(task: TaskID, epoch: Epoch, checkpoint: CheckpointID, node: NodeID, order: OrderID, reason: String)
    /// A node tried to commit in an epoch that is over.
    case staleCommitRefused(task: TaskID, epoch: Epoch, checkpoint: CheckpointID, node: NodeID)
    case checkpointsPruned(task: TaskID, checkpoints: [CheckpointID])
    /// All of it was read from the store and compared with its digests; with what was wrong.
    case checkpointVerified(task: TaskID, checkpoint: CheckpointID, problems: [String], by: String)
    case layersMerged(MergeRecord)
    /// The task is seen to run, or to have run, in an epoch of which nobody told that it began.
    case taskFound(task: TaskID, epoch: Epoch, node: NodeID)
    /// The store knows that the task has ended.
    case taskEndStored(task: TaskID)
    /// Everything before it was made anew from what the store holds.
    case ledgerRebuilt(version: String, store: String, tasks: Int)

    /// `uptimeSeconds`: how long its machine had been up by then; nil: it does not say.
    case nodeJoined(node: NodeID, incarnation: Incarnation, hypervisor: HypervisorCapabilities, uptimeSeconds: Seconds? = nil)
    /// Its agent or its guests are others than before.
    case nodeProcessesChanged(node: NodeID, NodeProcesses)
    case nodeSuspected(node: NodeID, phi: Double, silentSeconds: Seconds)
    case nodeTrusted(node: NodeID)
    case nodeLost(node: NodeID, phi: Double, silentSeconds: Seconds)
    /// Nothing shall be placed there, and what runs there shall go on elsewhere, until the drain ends.
    case nodeDrainAsked(node: NodeID, by: String)
    case nodeDrainEnded(node: NodeID, by: String)
    case nodeFenced(node: NodeID, method: String, detail: String)
    case fenceFailed(node: NodeID, reason: String)

    case storeHealthChanged(StoreHealth)
    /// An order that could not be carried out, with what to do.
    case orderFailed(order: OrderID, node: NodeID, task: TaskID?, reason: String)
}

package struct TaskSubmission: Hashable, Sendable, Codable {
    package var task: TaskID
    package var sla: TaskSLA
    package var version: DocumentVersion
    package var submittedAt: Timestamp
    /// The node asked for by whoever submitted it; nil: Cairn chooses.
    package var wantedNode: NodeID?
    /// Who may act on it beside operators; nil: nobody.
    package var owner: String?
    /// Who submitted it; nil: not told.
    package var by: String?
    package init(
        task: TaskID, sla: TaskSLA, version: DocumentVersion, submittedAt: Timestamp, wantedNode: NodeID? = nil, owner: String? = nil,
        by: String? = nil
    ) {
        self.task = task
        self.sla = sla
        self.version = version
        self.submittedAt = submittedAt
        self.wantedNode = wantedNode
        self.owner = owner
        self.by = by
    }
}

package struct ProgressSample: Hashable, Sendable, Codable {
    package var task: TaskID
    package var epoch: Epoch
    package var node: NodeID
    package var at: Timestamp
    /// Share of the work that is done, 0 to 1.
    package var fraction: Double
    /// Virtual CPU time used in this epoch; the hypervisor's counter restarts at a restore, so differences are summed.
    package var cpuSeconds: Seconds
    package var blockWrittenBytes: ByteCount
    package init(task: TaskID, epoch: Epoch, node: NodeID, at: Timestamp, fraction: Double, cpuSeconds: Seconds, blockWrittenBytes: ByteCount) {
        self.task = task
        self.epoch = epoch
        self.node = node
        self.at = at
        self.fraction = fraction
        self.cpuSeconds = cpuSeconds
        self.blockWrittenBytes = blockWrittenBytes
    }
}

package struct StoreHealth: Hashable, Sendable, Codable {
    package var reachable: Bool
    /// Why not, or what is degraded; empty when all is well.
    package var detail: String
    /// Live replicas' hosts where the store has them (DataNodes).
    package var liveHosts: Int?
    package var freeBytes: ByteCount?
    package init(reachable: Bool, detail: String, liveHosts: Int? = nil, freeBytes: ByteCount? = nil) {
        self.reachable = reachable
        self.detail = detail
        self.liveHosts = liveHosts
        self.freeBytes = freeBytes
    }
}

/// What the hypervisor of a node can do, found by trying.
package struct HypervisorCapabilities: Hashable, Sendable, Codable {
    package enum Acceleration: String, Hashable, Sendable, Codable { case kvm, emulation, xen }
    package var uri: String
    package var driver: String
    package var version: String
    package var acceleration: Acceleration
    package var captureWays: [CaptureWay]
    /// Layers of a running guest's disk can be merged; nil (from before this was told): they cannot.
    package var mergesLayers: Bool?
    package init(
        uri: String, driver: String, version: String, acceleration: Acceleration, captureWays: [CaptureWay], mergesLayers: Bool? = nil
    ) {
        self.uri = uri
        self.driver = driver
        self.version = version
        self.acceleration = acceleration
        self.captureWays = captureWays
        self.mergesLayers = mergesLayers
    }
}
