import Vocabulary

/// One task: where it is in its life, and what it has cost.
///
///     submitted ──place──▶ placed ──started──▶ running ──result──▶ finished
///                            ▲                   │ │
///                            │        node lost  │ └─guest failed─▶ interrupted
///                            │                   ▼                      │
///                            │              (node's standing)           │
///                            └──── resuming ◀──epoch raised─────────────┘
///
/// From every state but the last ones: cancelled, given up.
package struct TaskKnowledge: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        case submitted
        case placed(NodeID)
        case running(NodeID)
        /// The guest failed or vanished while its node lived.
        case interrupted(NodeID)
        case resuming(NodeID, from: CheckpointID?)
        case finished(result: String)
        case givenUp(reason: String)
        case cancelled

        package var isFinal: Bool {
            switch self {
            case .finished, .givenUp, .cancelled: true
            case .submitted, .placed, .running, .interrupted, .resuming: false
            }
        }
        /// A word for people and JSON.
        package var name: String {
            switch self {
            case .submitted: "submitted"
            case .placed: "placed"
            case .running: "running"
            case .interrupted: "interrupted"
            case .resuming: "resuming"
            case .finished: "finished"
            case .givenUp: "given-up"
            case .cancelled: "cancelled"
            }
        }
    }

    /// A checkpoint on its way.
    package struct Underway: Hashable, Sendable {
        package var order: OrderID
        package var plan: CheckpointOrder
        package var orderedAt: Timestamp
        package var checkpoint: CheckpointID?
        package var capturedAt: Timestamp?
    }

    package struct Interruption: Hashable, Sendable {
        package enum Cause: Hashable, Sendable { case node, task(reason: String), asked }
        package var at: Timestamp
        package var epoch: Epoch
        package var cause: Cause
        /// Progress that there was to fall back to, 0 to 1.
        package var resumableProgress: Double
    }

    package let submission: TaskSubmission
    package private(set) var state = State.submitted
    package private(set) var epoch = Epoch.first
    /// When the guest began to run in this epoch.
    package private(set) var runningSince: Timestamp?
    /// Progress when it began to run in this epoch.
    package private(set) var progressAtStart = 0.0
    /// Samples of this epoch, oldest first, at most `sampleLimit`.
    package private(set) var samples: [ProgressSample] = []
    package private(set) var underway: Underway?
    /// Committed and not pruned, in the order of commitment; only those of this task's own line of descent.
    package private(set) var committed: [CheckpointRecord] = []
    package private(set) var lastCapture: Capture?
    /// Of those that are committed: when each was last read whole, at a resumption or by somebody who wanted to know.
    package private(set) var verifications: [CheckpointID: Verification] = [:]
    package private(set) var interruptions: [Interruption] = []
    package private(set) var failedCheckpointsInARow = 0
    package private(set) var lastCheckpointFailure: CheckpointFailure?
    package private(set) var lastRefusal: Refusal?
    package private(set) var endedAt: Timestamp?
    package private(set) var highestProgress = 0.0
    /// The store knows that it has ended.
    package private(set) var isEndStored = false
    /// When layers were last merged in this epoch, and how many there were afterwards; nil: not since it began.
    package private(set) var lastMerge: Merge?

    /// What its guest's base and delta are united by, as told in its newest life that told it.
    package private(set) var union: MountedUnion?
    /// Failures of its own, its nodes' not counted; and how many of them came since it last got further than at a failure before.
    package private(set) var ownFailures = 0
    package private(set) var fruitlessFailures = 0
    private var furthestAtFailure: Double?
    /// When its progress last rose in this life (or when this life began), and the longest that it ever took to rise.
    package private(set) var advancedAt: Timestamp?
    package private(set) var longestPause: Seconds?
    /// It was noted that it stands still, and it has not moved since.
    package private(set) var isStalled = false
    /// Written by the guest between the two latest captures, or from this life's beginning to its first; nil where no sample tells.
    package private(set) var dirtyBytesAtCapture: ByteCount?
    private var writtenAtCapture = ByteCount.zero
    private var ranInEndedLives = Seconds.zero
    /// What its own checkpoints consisted of.
    package private(set) var costs = TaskCostHistory()
    private var newestLearnt: CheckpointID?

    package static let sampleLimit = 60

    package struct Capture: Hashable, Sendable {
        package var at: Timestamp
        package var progress: Double?
    }
    package struct Verification: Hashable, Sendable {
        package var at: Timestamp
        /// Empty: it is as it was committed.
        package var problems: [String]
    }
    package struct Merge: Hashable, Sendable {
        package var at: Timestamp
        package var layers: Int
    }
    package struct CheckpointFailure: Hashable, Sendable {
        package var at: Timestamp
        package var reason: String
    }
    package struct Refusal: Hashable, Sendable {
        package var at: Timestamp
        package var node: NodeID
        package var reason: String
    }

    init(submission: TaskSubmission) { self.submission = submission }

    package var id: TaskID { submission.task }
    package var sla: TaskSLA { submission.sla }
    package var node: NodeID? {
        switch state {
        case .placed(let node), .running(let node), .interrupted(let node), .resuming(let node, _): node
        case .submitted, .finished, .givenUp, .cancelled: nil
        }
    }
    package var deadline: Timestamp? { sla.deadline?.time(submitted: submission.submittedAt) }
    package var newestCommitted: CheckpointRecord? { committed.last }
    /// Progress that a failure now would fall back to, 0 to 1.
    package var resumableProgress: Double { newestCommitted?.progress ?? 0 }

    /// Time that its guest was seen to run, in all lives.
    package func ranSeconds(at now: Timestamp) -> Seconds { ranInEndedLives + running(until: now) }

    private func running(until time: Timestamp) -> Seconds {
        guard case .running = state, let runningSince else { return .zero }
        return max(.zero, time - runningSince)
    }

    /// Written since the latest capture, or since this life began; nil where no sample tells.
    package var dirtyBytes: ByteCount? {
        samples.last.map { $0.blockWrittenBytes > writtenAtCapture ? $0.blockWrittenBytes - writtenAtCapture : .zero }
    }

    /// - Returns: false: it was taken in already. A task's checkpoints are committed one after another, in the order of their numbers.
    mutating func learn(from checkpoint: CheckpointRecord, _ around: Circumstances) -> Bool {
        if let newestLearnt, checkpoint.id <= newestLearnt { return false }
        newestLearnt = checkpoint.id
        costs.observe(checkpoint, around, of: sla.task)
        return true
    }

    // Everything with an epoch counts only in the epoch in force.
    mutating func fold(_ record: EventRecord) {
        guard !state.isFinal || isAboutCheckpoints(record.event) else { return }
        switch record.event {
        case .taskPlaced(_, let epoch, let node) where epoch == self.epoch:
            guard case .submitted = state else { return }
            state = .placed(node)
        case .taskStarted(_, let epoch, let node) where epoch == self.epoch:
            // Told again by an order that was carried out again, it must not undo what came after.
            guard case .placed = state else { return }
            begin(on: node, progress: 0, at: record.at)
        case .epochRaised(_, let epoch, let node, let from) where epoch > self.epoch:
            interrupt(at: record.at)
            self.epoch = epoch
            state = .resuming(node, from: from)
            // What was committed after the checkpoint that is resumed from is off the line of descent.
            if let from, let index = committed.lastIndex(where: { $0.id == from }) { committed.removeSubrange((index + 1)...) }
            if from == nil { committed = [] }
        case .taskResumed(let resumption) where resumption.epoch == epoch:
            guard case .resuming = state else { return }
            // A damaged checkpoint may have been passed over for an earlier one.
            if let used = committed.lastIndex(where: { $0.id == resumption.checkpoint }) { committed.removeSubrange((used + 1)...) }
            let progress = committed.last { $0.id == resumption.checkpoint }?.progress ?? 0
            // Each part is compared with its digest when it is fetched.
            if let used = resumption.checkpoint { verifications[used] = Verification(at: record.at, problems: []) }
            begin(on: resumption.node, progress: progress, at: record.at)
        case .taskRefused(_, let epoch, let node, let reason) where epoch == self.epoch:
            lastRefusal = Refusal(at: record.at, node: node, reason: reason)
            state = .interrupted(node)
        case .taskFound(_, let epoch, let node) where epoch == self.epoch:
            switch state {
            case .placed: begin(on: node, progress: 0, at: record.at)
            case .resuming(_, let from): begin(on: node, progress: committed.last { $0.id == from }?.progress ?? 0, at: record.at)
            default: return
            }
        case .layersMerged(let merge):
            costs.observe(merge)
            if merge.epoch == epoch { lastMerge = Merge(at: record.at, layers: merge.layersAfter) }
        case .taskEndStored: isEndStored = true
        case .progressSeen(let sample) where sample.epoch == epoch:
            // A source that fell back counts from there: what matters is that it moves.
            if samples.last.map({ sample.fraction > $0.fraction }) ?? (sample.fraction > progressAtStart) { advanced(at: sample.at) }
            samples.append(sample)
            if samples.count > Self.sampleLimit { samples.removeFirst(samples.count - Self.sampleLimit) }
            highestProgress = max(highestProgress, sample.fraction)
        case .unionSeen(_, let epoch, _, let seen) where epoch == self.epoch: union = seen
        case .taskFinished(_, let epoch, _, let result) where epoch == self.epoch: end(.finished(result: result), at: record.at)
        case .taskFailed(_, let epoch, let node, let reason) where epoch == self.epoch:
            // An agent that starts again says it again.
            guard case .running = state else { return }
            interruptions.append(Interruption(at: record.at, epoch: epoch, cause: .task(reason: reason), resumableProgress: resumableProgress))
            failedByItself()
            ranInEndedLives = ranSeconds(at: record.at)
            underway = nil
            state = .interrupted(node)
        case .restoreAsked:
            guard case .running(let node) = state else { return }
            interruptions.append(Interruption(at: record.at, epoch: epoch, cause: .asked, resumableProgress: resumableProgress))
            ranInEndedLives = ranSeconds(at: record.at)
            underway = nil
            state = .interrupted(node)
        case .taskStalled(_, let epoch, _, _, _) where epoch == self.epoch: isStalled = true
        case .taskCancelled: end(.cancelled, at: record.at)
        case .taskGivenUp(_, let reason): end(.givenUp(reason: reason), at: record.at)

        case .checkpointOrdered(_, let epoch, _, let order, let plan, _) where epoch == self.epoch:
            underway = Underway(order: order, plan: plan, orderedAt: record.at)
        case .checkpointStarted(_, let epoch, let checkpoint, _, let order) where epoch == self.epoch:
            if underway?.order != order {
                underway = Underway(order: order, plan: CheckpointOrder(codec: .none, replication: 1), orderedAt: record.at)
            }
            underway?.checkpoint = checkpoint
        case .checkpointCaptured(_, let epoch, _, _, let progress) where epoch == self.epoch:
            dirtyBytesAtCapture = dirtyBytes
            if let written = samples.last?.blockWrittenBytes { writtenAtCapture = written }
            lastCapture = Capture(at: record.at, progress: progress)
            underway?.capturedAt = record.at
        case .checkpointCommitted(let checkpoint) where checkpoint.epoch == epoch:
            if !committed.contains(where: { $0.id == checkpoint.id }) { committed.append(checkpoint) }
            failedCheckpointsInARow = 0
            if underway?.order == checkpoint.order { underway = nil }
        case .checkpointFailed(_, let epoch, _, _, let order, let reason) where epoch == self.epoch:
            failedCheckpointsInARow += 1
            lastCheckpointFailure = CheckpointFailure(at: record.at, reason: reason)
            if underway?.order == order { underway = nil }
        case .checkpointsPruned(_, let gone):
            committed.removeAll { gone.contains($0.id) }
            for checkpoint in gone { verifications[checkpoint] = nil }
        case .checkpointVerified(_, let checkpoint, let problems, _):
            if committed.contains(where: { $0.id == checkpoint }) { verifications[checkpoint] = Verification(at: record.at, problems: problems) }
        default: break
        }
    }

    private func isAboutCheckpoints(_ event: Event) -> Bool {
        switch event {
        case .checkpointCommitted, .checkpointsPruned, .checkpointVerified, .taskEndStored: true
        default: false
        }
    }

    private mutating func begin(on node: NodeID, progress: Double, at time: Timestamp) {
        state = .running(node)
        runningSince = time
        progressAtStart = progress
        samples = []
        underway = nil
        lastCapture = nil
        lastMerge = nil
        advancedAt = time
        isStalled = false
        writtenAtCapture = .zero
        dirtyBytesAtCapture = nil
    }

    private mutating func advanced(at time: Timestamp) {
        if let advancedAt { longestPause = max(longestPause ?? .zero, time - advancedAt) }
        advancedAt = time
        isStalled = false
    }

    /// Further is a hundredth of the work, or a minute of it where that is less.
    private mutating func failedByItself() {
        ownFailures += 1
        let further = min(0.01, 60 / max(sla.task.workSeconds.rawValue, 1))
        if let furthestAtFailure, highestProgress < furthestAtFailure + further {
            fruitlessFailures += 1
        } else {
            fruitlessFailures = 1
            furthestAtFailure = highestProgress
        }
    }

    /// An epoch that ends without the guest's own failure ended with its node's.
    private mutating func interrupt(at time: Timestamp) {
        switch state {
        case .running, .placed, .resuming:
            interruptions.append(Interruption(at: time, epoch: epoch, cause: .node, resumableProgress: resumableProgress))
        case .interrupted, .submitted, .finished, .givenUp, .cancelled: break
        }
        ranInEndedLives = ranSeconds(at: time)
        underway = nil
        runningSince = nil
        samples = []
        lastCapture = nil
    }

    private mutating func end(_ state: State, at time: Timestamp) {
        ranInEndedLives = ranSeconds(at: time)
        self.state = state
        endedAt = time
        underway = nil
    }
}
