import Vocabulary

/// One task's life as the ledger tells it, event by event. As in Knowledge, what carries an epoch that is over does not count; unlike
/// Knowledge it forgets nothing.
struct TaskStory {
    let submission: TaskSubmission
    private(set) var lives: [Story] = []
    private(set) var interruptions: [Break] = []
    private(set) var checkpoints: [CheckpointStory] = []
    private(set) var samples: [ProgressSample] = []
    private(set) var ending: Ending?
    private var epoch = Epoch.first

    struct Story {
        var epoch: Epoch
        var node: NodeID
        var from: CheckpointID?
        var startedAt: Timestamp?
        var endedAt: Timestamp?
        var end: Life.End = .running
        var resumption: ResumeRecord?
        var union: MountedUnion?
    }

    /// Something that ended a life before its time.
    struct Break {
        var cause: Interruption.Cause
        var reason: String?
        var life: Int
        var at: Timestamp
        var detectedAt: Timestamp
    }

    struct CheckpointStory {
        var id: CheckpointID
        var epoch: Epoch
        var node: NodeID?
        var order: OrderID?
        var decision: DecisionID?
        var startedAt: Timestamp?
        var capturedAt: Timestamp?
        var progress: Double?
        var stopSeconds: Seconds?
        var record: CheckpointRecord?
        var trouble: (status: CheckpointReport.Status, reason: String)?
        var prunedAt: Timestamp?
    }

    enum Ending {
        case finished(result: String, at: Timestamp)
        case cancelled(by: String, at: Timestamp)
        case givenUp(reason: String, at: Timestamp)
        var at: Timestamp {
            switch self {
            case .finished(_, let at), .cancelled(_, let at), .givenUp(_, let at): at
            }
        }
    }

    init(submission: TaskSubmission) { self.submission = submission }

    var currentEpoch: Epoch { epoch }
    private var decisions: [OrderID: DecisionID] = [:]

    mutating func fold(_ record: EventRecord) {
        foldCheckpoint(record)
        guard ending == nil else { return }
        switch record.event {
        case .taskPlaced(_, let epoch, let node) where epoch == self.epoch: place(epoch, node, from: nil)
        case .taskStarted(_, let epoch, let node) where epoch == self.epoch:
            if lives.last?.epoch != epoch || lives.last?.node != node { place(epoch, node, from: nil) }
            lives[lives.count - 1].startedAt = record.at
        case .taskResumed(let resumption) where resumption.epoch == epoch:
            if lives.last?.epoch != epoch || lives.last?.node != resumption.node { place(epoch, resumption.node, from: resumption.checkpoint) }
            lives[lives.count - 1].startedAt = record.at
            lives[lives.count - 1].resumption = resumption
            lives[lives.count - 1].from = resumption.checkpoint
        case .unionSeen(_, let epoch, _, let union) where epoch == self.epoch && !lives.isEmpty: lives[lives.count - 1].union = union
        case .taskRefused(_, let epoch, _, _) where epoch == self.epoch:
            if lives.last?.startedAt == nil { end(.superseded, at: record.at) }
        case .epochRaised(_, let epoch, let node, let from) where epoch > self.epoch:
            if lives.last?.end == .running { interrupt(.superseded, nil, at: record.at, detectedAt: record.at, as: .superseded) }
            self.epoch = epoch
            place(epoch, node, from: from)
        case .taskFailed(_, let epoch, _, let reason) where epoch == self.epoch:
            interrupt(.guestFailed, reason, at: record.at, detectedAt: record.at, as: .guestFailed)
        case .restoreAsked(_, let by): interrupt(.restoreAsked, "asked for by \(by)", at: record.at, detectedAt: record.at, as: .restoreAsked)
        case .nodeLost(let node, _, let silent):
            guard lives.last?.node == node else { return }
            interrupt(.nodeLost, nil, at: Timestamp(record.at.rawValue - max(0, silent.rawValue)), detectedAt: record.at, as: .nodeLost)
        case .progressSeen(let sample) where sample.epoch == epoch:
            samples.append(sample)
            takeBack(ifHeardAt: sample.at)
        case .taskFinished(_, let epoch, _, let result) where epoch == self.epoch:
            takeBack(ifHeardAt: record.at)
            end(.finished, at: record.at)
            ending = .finished(result: result, at: record.at)
        case .taskCancelled(_, let by):
            end(.cancelled, at: record.at)
            ending = .cancelled(by: by, at: record.at)
        case .taskGivenUp(_, let reason):
            end(.givenUp, at: record.at)
            ending = .givenUp(reason: reason, at: record.at)
        default: break
        }
    }

    private mutating func place(_ epoch: Epoch, _ node: NodeID, from: CheckpointID?) {
        // Placed again before it ever ran: the first place is no life.
        if let last = lives.last, last.epoch == epoch, last.startedAt == nil { lives.removeLast() }
        lives.append(Story(epoch: epoch, node: node, from: from))
    }

    private mutating func end(_ end: Life.End, at time: Timestamp) {
        guard let last = lives.last, last.end == .running else { return }
        lives[lives.count - 1].end = end
        lives[lives.count - 1].endedAt = max(time, last.startedAt ?? time)
    }

    private mutating func interrupt(_ cause: Interruption.Cause, _ reason: String?, at time: Timestamp, detectedAt: Timestamp, as how: Life.End) {
        guard let last = lives.last, last.end == .running else { return }
        let at = max(time, last.startedAt ?? time)
        interruptions.append(Break(cause: cause, reason: reason, life: lives.count - 1, at: at, detectedAt: detectedAt))
        end(how, at: at)
    }

    /// A node that was taken for lost, and is heard of again before its task was resumed elsewhere: nothing was lost.
    private mutating func takeBack(ifHeardAt time: Timestamp) {
        guard let last = interruptions.last, last.cause == .nodeLost, last.life == lives.count - 1, time > last.detectedAt else { return }
        interruptions.removeLast()
        lives[lives.count - 1].end = .running
        lives[lives.count - 1].endedAt = nil
    }

    // MARK: Checkpoints

    private mutating func foldCheckpoint(_ record: EventRecord) {
        switch record.event {
        case .checkpointOrdered(_, _, _, let order, _, let decision): decisions[order] = decision
        case .checkpointStarted(_, let epoch, let checkpoint, let node, let order):
            with(checkpoint, epoch) { story in
                story.startedAt = record.at
                story.node = node
                story.order = order
            }
        case .checkpointCaptured(_, let epoch, let checkpoint, let stop, let progress):
            with(checkpoint, epoch) { story in
                story.capturedAt = record.at
                story.stopSeconds = stop
                story.progress = progress
            }
        case .checkpointCommitted(let committed):
            with(committed.id, committed.epoch) { story in
                guard story.record == nil else { return }
                story.record = committed
                story.node = committed.node
                story.order = committed.order
                story.capturedAt = committed.capturedAt
                story.progress = committed.progress ?? story.progress
                story.trouble = nil
            }
        case .checkpointFailed(_, let epoch, let checkpoint, let node, let order, let reason):
            with(checkpoint, epoch) { story in
                story.node = node
                story.order = order
                if story.record == nil { story.trouble = (.failed, reason) }
            }
        case .staleCommitRefused(_, let epoch, let checkpoint, let node):
            with(checkpoint, epoch) { story in
                story.node = node
                if story.record == nil { story.trouble = (.refused, "its epoch was over") }
            }
        case .checkpointsPruned(_, let gone):
            for index in checkpoints.indices where gone.contains(checkpoints[index].id) { checkpoints[index].prunedAt = record.at }
        default: break
        }
    }

    private mutating func with(_ id: CheckpointID, _ epoch: Epoch, _ change: (inout CheckpointStory) -> Void) {
        let index: Int
        if let there = checkpoints.lastIndex(where: { $0.id == id }) {
            index = there
        } else {
            checkpoints.append(CheckpointStory(id: id, epoch: epoch))
            index = checkpoints.count - 1
        }
        change(&checkpoints[index])
        if checkpoints[index].decision == nil, let order = checkpoints[index].order { checkpoints[index].decision = decisions[order] }
    }

    func checkpoint(_ id: CheckpointID) -> CheckpointStory? { checkpoints.last { $0.id == id } }
}
