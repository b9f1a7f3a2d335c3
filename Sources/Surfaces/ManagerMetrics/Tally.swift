import Vocabulary

/// What is counted, folded from the ledger's events: the same events give the same counts, so counters go on where they were after the
/// manager was started again. Of a task only what is open is kept, until it ends.
package struct Tally: Hashable, Sendable {
    package private(set) var counts = Exposition()
    private var watched: [TaskID: Watched] = [:]

    package init() {}

    /// An SLA's promises, as counted: those that were put to the test.
    package enum Promise: String, CaseIterable { case deadline, lostWork = "lost-work", recovery, stoppedShare = "stopped-share" }

    /// A task that has not ended.
    private struct Watched: Hashable {
        var submission: TaskSubmission
        var epoch = Epoch.first
        var node: NodeID?
        /// When it began to run in this life, and from what; nil: it does not run.
        var startedAt: Timestamp?
        var from: CheckpointID?
        var down: Down?
        /// When its committed checkpoints were captured; those from which it can still go on.
        var captures: [CheckpointID: Timestamp] = [:]
        /// Of orders and checkpoints under way.
        var ordered: [OrderID: Codec] = [:]
        var started: [CheckpointID: Codec] = [:]
        /// Begun or captured, and not heard of since.
        var open: Set<CheckpointID> = []
        /// Those of them for which the guest has stood still.
        var captured: Set<CheckpointID> = []
        /// Nothing but its open checkpoints counts any more.
        var isEnded = false
        var runningSeconds = Seconds.zero
        var stopSeconds = Seconds.zero
        /// The worst of the interruptions that count against its SLA.
        var worstLost: Seconds?
        var worstRecovery: Seconds?

        var policy: String { submission.sla.policy }

        /// In no epoch and on no node, so that nothing but its checkpoints is about it.
        var ended: Watched {
            var ended = self
            ended.isEnded = true
            ended.epoch = Epoch(.max)
            (ended.node, ended.startedAt, ended.down) = (nil, nil, nil)
            return ended
        }
    }

    /// Since the last sign of life.
    private struct Down: Hashable {
        enum Cause: String, CaseIterable { case node, guest, asked }
        var at: Timestamp
        var detectedAt: Timestamp
        var cause: Cause
        var epoch: Epoch
        /// The life that ended: when it began, and from what; nil: it had not begun.
        var startedAt: Timestamp?
        var from: CheckpointID?
    }

    package mutating func fold(_ record: EventRecord) {
        counts.set(.events, [], Double(max(record.sequence, Int64(counts.value(.events) ?? 0))))
        switch record.event {
        case .policyLoaded(let policy, _): begin(policy)
        case .nodeJoined(let node, _, _, _): counts.add(.nodeFailures, [node.rawValue], 0)
        case .nodeLost(let node, _, let silent):
            counts.add(.nodeFailures, [node.rawValue])
            let at = record.at + (.zero - max(.zero, silent))
            for (id, task) in watched where task.node == node { interrupt(id, .node, at: at, detectedAt: record.at) }
        case .taskSubmitted(let submission):
            guard watched[submission.task] == nil else { return }
            watched[submission.task] = Watched(submission: submission)
            counts.add(.tasksSubmitted, [submission.sla.policy])
        case .taskPlaced(let task, let epoch, let node) where watched[task]?.epoch == epoch: watched[task]?.node = node
        case .taskStarted(let task, let epoch, let node) where watched[task]?.epoch == epoch: run(task, on: node, from: nil, at: record.at)
        case .taskFound(let task, let epoch, let node) where watched[task]?.epoch == epoch:
            run(task, on: node, from: watched[task]?.from, at: record.at)
        case .epochRaised(let task, let epoch, let node, let from):
            guard let known = watched[task], epoch > known.epoch else { return }
            // A life that ends by another one, of whose end nobody told, is its node's doing.
            interrupt(task, .node, at: record.at)
            // A life that never began, because it could not be resumed there, interrupts nothing anew.
            if let down = watched[task]?.down, down.epoch == known.epoch { counts.add(.interruptions, [known.policy, down.cause.rawValue]) }
            watched[task]?.epoch = epoch
            watched[task]?.node = node
            watched[task]?.from = from
            watched[task]?.ordered = [:]
        case .taskResumed(let resumption) where watched[resumption.task]?.epoch == resumption.epoch: resume(resumption, at: record.at)
        case .taskFailed(let task, let epoch, _, _) where watched[task]?.epoch == epoch: interrupt(task, .guest, at: record.at)
        case .restoreAsked(let task, _): interrupt(task, .asked, at: record.at)
        case .progressSeen(let sample) where watched[sample.task]?.epoch == sample.epoch: takeBack(sample.task, heardAt: sample.at)
        case .taskFinished(let task, let epoch, _, _) where watched[task]?.epoch == epoch:
            takeBack(task, heardAt: record.at)
            end(task, "finished", at: record.at)
        case .taskCancelled(let task, _): end(task, "cancelled", at: record.at)
        case .taskGivenUp(let task, _): end(task, "given-up", at: record.at)

        case .checkpointOrdered(let task, let epoch, _, let order, let plan, _) where watched[task]?.epoch == epoch:
            watched[task]?.ordered[order] = plan.codec
        case .checkpointStarted(let task, let epoch, let checkpoint, _, let order) where watched[task]?.epoch == epoch:
            let codec = watched[task]?.ordered.removeValue(forKey: order)
            watched[task]?.started[checkpoint] = codec
            watched[task]?.open.insert(checkpoint)
        case .checkpointCaptured(let task, _, let checkpoint, let stop, _):
            guard watched[task]?.captures[checkpoint] == nil, watched[task]?.captured.insert(checkpoint).inserted == true else { return }
            watched[task]?.open.insert(checkpoint)
            stood(task, for: stop)
        case .checkpointCommitted(let checkpoint): commit(checkpoint)
        case .checkpointFailed(let task, _, let checkpoint, _, let order, _): abandon(checkpoint, of: task, order, as: "failed")
        case .staleCommitRefused(let task, _, let checkpoint, _): abandon(checkpoint, of: task, nil, as: "refused")
        case .checkpointsPruned(let task, let gone): for checkpoint in gone { watched[task]?.captures[checkpoint] = nil }
        default: break
        }
    }

    /// All that may be counted of a policy, from 0 on: a counter that appears with its first count would hide that count from rates.
    private mutating func begin(_ policy: CheckpointPolicy) {
        let name = policy.name
        for codec in Codec.allCases {
            for outcome in ["committed", "failed", "refused"] { counts.add(.checkpoints, [name, codec.rawValue, outcome], 0) }
            counts.add(.sentBytes, [name, codec.rawValue], 0)
            counts.add(.contentBytes, [name, codec.rawValue], 0)
        }
        for metric in [Metric.stopSeconds, .compressSeconds, .uploadSeconds, .latencySeconds, .recoverySeconds, .lostWorkSeconds] {
            counts.begin(metric, [name])
        }
        for cause in Down.Cause.allCases { counts.add(.interruptions, [name, cause.rawValue], 0) }
        for from in ["checkpoint", "beginning"] { counts.add(.resumptions, [name, from], 0) }
        for state in ["finished", "given-up", "cancelled"] { counts.add(.tasksEnded, [name, state], 0) }
        for promise in Promise.allCases {
            for outcome in ["kept", "broken"] { counts.add(.promises, [name, promise.rawValue, outcome], 0) }
        }
        counts.add(.tasksSubmitted, [name], 0)
        counts.add(.penalties, [name, policy.currency], 0)
    }

    // MARK: Lives

    private mutating func run(_ task: TaskID, on node: NodeID, from: CheckpointID?, at time: Timestamp) {
        // Told again by an order that was carried out again.
        guard let known = watched[task], known.startedAt == nil else { return }
        watched[task]?.node = node
        watched[task]?.startedAt = time
        watched[task]?.from = from
        watched[task]?.down = nil
    }

    private mutating func interrupt(_ task: TaskID, _ cause: Down.Cause, at time: Timestamp, detectedAt: Timestamp? = nil) {
        guard let known = watched[task], known.down == nil, known.startedAt != nil || known.node != nil else { return }
        let at = max(time, known.startedAt ?? time)
        watched[task]?.down = Down(
            at: at, detectedAt: detectedAt ?? at, cause: cause, epoch: known.epoch, startedAt: known.startedAt, from: known.from)
        if let startedAt = known.startedAt { watched[task]?.runningSeconds += at - startedAt }
        watched[task]?.startedAt = nil
    }

    /// A node that was taken for lost, and is heard of again before its task was resumed elsewhere: nothing was lost.
    private mutating func takeBack(_ task: TaskID, heardAt time: Timestamp) {
        guard let down = watched[task]?.down, down.cause == .node, let startedAt = down.startedAt, time > down.detectedAt,
            watched[task]?.epoch == down.epoch
        else { return }
        watched[task]?.down = nil
        watched[task]?.startedAt = startedAt
        watched[task]?.runningSeconds -= down.at - startedAt
    }

    private mutating func resume(_ resumption: ResumeRecord, at time: Timestamp) {
        guard let known = watched[resumption.task], known.startedAt == nil else { return }
        counts.add(.resumptions, [known.policy, resumption.checkpoint == nil ? "beginning" : "checkpoint"])
        if let down = known.down {
            let recovery = max(.zero, time - down.at)
            let lost = lostWork(known, down, backTo: resumption.checkpoint)
            counts.observe(.recoverySeconds, [known.policy], recovery)
            if let lost { counts.observe(.lostWorkSeconds, [known.policy], lost) }
            if down.cause != .asked {
                watched[resumption.task]?.worstRecovery = max(known.worstRecovery ?? .zero, recovery)
                if let lost { watched[resumption.task]?.worstLost = max(known.worstLost ?? .zero, lost) }
            }
        }
        // What was captured after the checkpoint that is gone on from is off its line of descent.
        if let checkpoint = resumption.checkpoint, let captured = known.captures[checkpoint] {
            watched[resumption.task]?.captures = known.captures.filter { $0.value <= captured }
        }
        run(resumption.task, on: resumption.node, from: resumption.checkpoint, at: time)
    }

    /// Time that the guest had run since the capture of what it goes on from, as in the report of a task.
    private func lostWork(_ task: Watched, _ down: Down, backTo checkpoint: CheckpointID?) -> Seconds? {
        guard let startedAt = down.startedAt else { return .zero }
        let ran = max(.zero, down.at - startedAt)
        guard let checkpoint, checkpoint != down.from else { return ran }
        guard let captured = task.captures[checkpoint] else { return nil }
        if captured >= startedAt { return max(.zero, down.at - captured) }
        guard let from = down.from.flatMap({ task.captures[$0] }) else { return nil }
        return ran + max(.zero, from - captured)
    }

    // MARK: Checkpoints

    private mutating func commit(_ checkpoint: CheckpointRecord) {
        guard let known = watched[checkpoint.task], known.captures[checkpoint.id] == nil else { return }
        let labels = [known.policy, checkpoint.codec.rawValue]
        counts.add(.checkpoints, labels + ["committed"])
        counts.add(.sentBytes, labels, Double(checkpoint.sentBytes.rawValue))
        counts.add(.contentBytes, labels, Double(checkpoint.nonZeroBytes.rawValue))
        counts.observe(.compressSeconds, [known.policy], checkpoint.compressSeconds)
        counts.observe(.uploadSeconds, [known.policy], checkpoint.uploadSeconds)
        counts.observe(.latencySeconds, [known.policy], checkpoint.latencySeconds)
        watched[checkpoint.task]?.captures[checkpoint.id] = checkpoint.capturedAt
        watched[checkpoint.task]?.started[checkpoint.id] = nil
        watched[checkpoint.task]?.ordered[checkpoint.order] = nil
        // One in a ledger made anew was never seen captured.
        if watched[checkpoint.task]?.captured.remove(checkpoint.id) == nil { stood(checkpoint.task, for: checkpoint.stopSeconds) }
        close(checkpoint.id, of: checkpoint.task)
    }

    private mutating func close(_ checkpoint: CheckpointID, of task: TaskID) {
        watched[task]?.open.remove(checkpoint)
        if let known = watched[task], known.isEnded, known.open.isEmpty { watched[task] = nil }
    }

    private mutating func stood(_ task: TaskID, for stop: Seconds) {
        guard let known = watched[task] else { return }
        counts.observe(.stopSeconds, [known.policy], stop)
        watched[task]?.stopSeconds += stop
    }

    private mutating func abandon(_ checkpoint: CheckpointID, of task: TaskID, _ order: OrderID?, as outcome: String) {
        guard let known = watched[task] else { return }
        let codec = known.started[checkpoint] ?? order.flatMap { known.ordered[$0] }
        counts.add(.checkpoints, [known.policy, codec?.rawValue ?? "unknown", outcome])
        watched[task]?.started[checkpoint] = nil
        watched[task]?.captured.remove(checkpoint)
        if let order { watched[task]?.ordered[order] = nil }
        close(checkpoint, of: task)
    }

    // MARK: The end

    /// It ended while it was down: what it would have gone on from, had it been waited for.
    private mutating func count(_ down: Down, of task: inout Watched) {
        let isRaised = task.epoch != down.epoch
        if !isRaised { counts.add(.interruptions, [task.policy, down.cause.rawValue]) }
        let checkpoint = isRaised ? task.from : task.captures.max { $0.value < $1.value }?.key
        guard let lost = lostWork(task, down, backTo: checkpoint) else { return }
        counts.observe(.lostWorkSeconds, [task.policy], lost)
        if down.cause != .asked { task.worstLost = max(task.worstLost ?? .zero, lost) }
    }

    private mutating func end(_ task: TaskID, _ state: String, at time: Timestamp) {
        guard var known = watched[task], !known.isEnded else { return }
        watched[task] = known.open.isEmpty ? nil : known.ended
        if let down = known.down { count(down, of: &known) }
        let sla = known.submission.sla
        counts.add(.tasksEnded, [known.policy, state])
        let running = known.runningSeconds + (known.startedAt.map { max(.zero, time - $0) } ?? .zero)
        func judge(_ promise: Promise, _ isKept: Bool) { counts.add(.promises, [known.policy, promise.rawValue, isKept ? "kept" : "broken"]) }
        if let deadline = sla.deadline?.time(submitted: known.submission.submittedAt) {
            let lateness = time - deadline
            if state == "finished" || state == "given-up" || lateness > .zero { judge(.deadline, state == "finished" && lateness <= .zero) }
            if let penalty = sla.penalty {
                let owed = penalty.owed(lateness: lateness)
                counts.add(.penalties, [known.policy, owed.currency], owed.amount)
            }
        }
        if let limit = sla.limits.lostWorkSeconds, let worst = known.worstLost { judge(.lostWork, worst <= limit) }
        if let limit = sla.limits.recoverySeconds {
            // Never again, though it was waited for.
            let isOpen = known.down.map { $0.cause != .asked && (state == "given-up" || time - $0.at > limit) } ?? false
            if isOpen || known.worstRecovery != nil { judge(.recovery, !isOpen && known.worstRecovery.map { $0 <= limit } ?? true) }
        }
        if let limit = sla.limits.stoppedShare, running > .zero { judge(.stoppedShare, known.stopSeconds / running <= limit) }
    }
}
