extension Event {
    /// The task that it is about; nil: about a node, or about everything.
    package var task: TaskID? {
        switch self {
        case .taskSubmitted(let submission): submission.task
        case .taskCancelled(let task, _), .restoreAsked(let task, _), .epochRaised(let task, _, _, _), .taskPlaced(let task, _, _),
            .taskStarted(let task, _, _), .unionSeen(let task, _, _, _), .taskRefused(let task, _, _, _), .taskFinished(let task, _, _, _),
            .taskFailed(let task, _, _, _),
            .taskGivenUp(let task, _), .checkpointOrdered(let task, _, _, _, _, _), .checkpointStarted(let task, _, _, _, _),
            .checkpointCaptured(let task, _, _, _, _), .checkpointFailed(let task, _, _, _, _, _), .staleCommitRefused(let task, _, _, _),
            .checkpointsPruned(let task, _), .checkpointVerified(let task, _, _, _), .taskFound(let task, _, _), .taskEndStored(let task),
            .taskStalled(let task, _, _, _, _):
            task
        case .layersMerged(let merge): merge.task
        case .taskResumed(let resumption): resumption.task
        case .progressSeen(let sample): sample.task
        case .checkpointCommitted(let checkpoint): checkpoint.task
        case .orderFailed(_, _, let task, _): task
        case .managerStarted, .policyLoaded, .policyRejected, .policyModeSet, .nodeDrainAsked, .nodeDrainEnded, .nodeJoined, .nodeProcessesChanged,
            .nodeSuspected, .nodeTrusted, .nodeLost,
            .nodeFenced, .fenceFailed,
            .storeHealthChanged, .ledgerRebuilt:
            nil
        }
    }
}
