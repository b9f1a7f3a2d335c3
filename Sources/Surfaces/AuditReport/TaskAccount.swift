import Vocabulary

/// Turns one task's story into its part of the report.
struct TaskAccount {
    let story: TaskStory
    let state: String
    let decisions: [Decision]
    let outcomes: [DecisionID: [Outcome]]
    let context: DeclarationContext
    let now: Timestamp
    /// Only what came from then on is told and counted; promises are judged by all of it.
    var since: Timestamp?

    private var submission: TaskSubmission { story.submission }
    private var sla: TaskSLA { submission.sla }
    /// The end, or when the report was made.
    private var until: Timestamp { story.ending?.at ?? now }
    private var deadline: Timestamp? { sla.deadline?.time(submitted: submission.submittedAt) }

    var report: TaskReport {
        let failures = self.failures
        let checkpoints = self.checkpoints
        let happened = self.happened
        let promises = PromiseJudge(
            sla: sla, submittedAt: submission.submittedAt, ending: story.ending, happened: happened,
            cost: cost(checkpoints, failures, since: nil), failures: failures, now: now
        ).promises
        let judge = HindsightJudge(account: self, checkpoints: checkpoints, failures: failures)
        let told = decisions.filter { isTold($0.at) }
        let (verdict, sentence) = Self.verdict(promises, story.ending, happened)
        return TaskReport(
            task: submission.task, state: state, verdict: verdict, sentence: sentence, promised: promised, happened: happened, promises: promises,
            cost: cost(checkpoints.filter { isTold($0.at) }, failures.filter { isTold($0.at.time) }, since: since),
            lives: lives.filter { isTold($0.endedAt?.time) }, failures: failures.filter { isTold($0.at.time) },
            checkpoints: checkpoints.filter { isTold($0.at) },
            predictions: PredictionReport.summaries(told.flatMap { outcomes[$0.id] ?? [] }),
            decisions: told.map { DecisionReport($0, outcomes: outcomes[$0.id] ?? [], hindsight: judge.hindsight(of: $0)) },
            timeline: timeline.filter { isTold($0.at.time) })
    }

    /// What has no time yet is told.
    private func isTold(_ time: Timestamp?) -> Bool {
        guard let time, let since else { return true }
        return time >= since
    }

    static func verdict(_ promises: [Promise], _ ending: TaskStory.Ending?, _ happened: Happened) -> (Standing, String) {
        let broken = promises.filter { $0.standing == .broken }
        if !broken.isEmpty { return (.broken, "Broken: " + broken.map { PromiseJudge.title($0.name) }.joined(separator: ", ") + ".") }
        switch ending {
        case .finished: return (.kept, "Finished, and no promise was broken.")
        case .cancelled(let by, _): return (.notObserved, "Cancelled by \(by): whether the promises would have been kept was not observed.")
        case .givenUp(let reason, _): return (.notObserved, "Given up (\(reason)); it had no promise that this breaks.")
        case nil: return (.notObserved, "Not finished: no promise is broken so far.")
        }
    }

    private var promised: Promised {
        let policy = context.policy(for: sla)
        let inForce = policy.flatMap { PricesInForce(sla.preference, $0) }
        let preference: String
        switch sla.preference {
        case .named(let name): preference = name
        case .prices: preference = "its own prices"
        }
        return Promised(
            name: sla.name, sla: submission.version, policy: sla.policy, preference: preference, prices: inForce?.prices, currency: policy?.currency,
            workSeconds: sla.task.workSeconds, deadline: deadline.map(Moment.init), deadlineConfidence: sla.deadline?.confidence,
            lostWorkSeconds: sla.limits.lostWorkSeconds, recoverySeconds: sla.limits.recoverySeconds, stoppedShare: sla.limits.stoppedShare,
            penaltyAmount: sla.penalty?.amount.amount, penaltyPerSeconds: sla.penalty?.perSeconds, penaltyCap: sla.penalty?.cap?.amount,
            penaltyCurrency: sla.penalty?.amount.currency)
    }

    private var happened: Happened {
        var result: String?
        var reason: String?
        switch story.ending {
        case .finished(let digest, _): result = digest
        case .cancelled(let by, _): reason = "cancelled by \(by)"
        case .givenUp(let why, _): reason = why
        case nil: break
        }
        var lateness: Seconds?
        if let deadline {
            let difference = span(deadline, until)
            // Early only by a finish; late by any end, and while it goes on.
            if case .finished = story.ending { lateness = difference } else if difference > .zero { lateness = difference }
        }
        let grows: Bool
        switch story.ending {
        case .finished, .cancelled: grows = false
        case .givenUp, nil: grows = true
        }
        let owed = sla.penalty.flatMap { penalty in deadline.map { _ in penalty.owed(lateness: lateness ?? .zero).amount } }
        let isCapped = owed.flatMap { owed in sla.penalty?.cap.map { owed >= $0.amount } } ?? false
        return Happened(
            submittedAt: Moment(submission.submittedAt), startedAt: story.lives.compactMap(\.startedAt).first.map(Moment.init),
            endedAt: story.ending.map { Moment($0.at) }, result: result, reason: reason, node: story.lives.last?.node, epoch: story.currentEpoch,
            progress: result == nil ? story.samples.map(\.fraction).max() ?? 0 : 1, elapsedSeconds: span(submission.submittedAt, until),
            latenessSeconds: lateness, penaltyOwed: owed, penaltyIsFinal: owed.map { _ in !grows || isCapped })
    }

    private var lives: [Life] {
        story.lives.map { life in
            Life(
                epoch: life.epoch, node: life.node, from: life.from, startedAt: life.startedAt.map(Moment.init),
                startProgress: life.from.flatMap { story.checkpoint($0)?.progress } ?? 0, endedAt: life.endedAt.map(Moment.init), end: life.end,
                fetchSeconds: life.resumption?.fetchSeconds, restoreSeconds: life.resumption?.restoreSeconds,
                fetchedBytes: life.resumption?.fetchedBytes, union: life.union)
        }
    }

    // MARK: Failures

    private var failures: [Interruption] {
        story.interruptions.map { broken in
            let life = story.lives[broken.life]
            let next = story.lives.dropFirst(broken.life + 1).first
            let again = story.lives.dropFirst(broken.life + 1).first { $0.startedAt != nil }
            let checkpoint = again.map(\.from) ?? next?.from ?? newestCommitted(upTo: life.epoch)
            let lost = lostWork(life, at: broken.at, backTo: checkpoint)
            let recovery = again?.startedAt.map { span(broken.at, $0) }
            let inForce = decisions.last { $0.at <= broken.at && ($0.kind == .schedule || $0.kind == .checkpoint) && $0.chosen != nil }
            let foretold = inForce.flatMap { decision in
                decision.chosen.flatMap { decision.alternatives.indices.contains($0) ? decision.alternatives[$0].violations : nil }
            }
            return Interruption(
                cause: broken.cause, reason: broken.reason, node: life.node, epoch: life.epoch, at: Moment(broken.at),
                detectedAt: Moment(broken.detectedAt),
                checkpoint: checkpoint, lostWorkSeconds: lost, lostProgress: lostProgress(life, backTo: checkpoint),
                lostWorkStanding: standing(lost, against: sla.limits.lostWorkSeconds, broken.cause), resumedAt: again?.startedAt.map(Moment.init),
                resumedOn: again?.node, recoverySeconds: recovery, recoveryStanding: recoveryStanding(recovery, broken),
                foretold: foretold ?? [], foretoldBy: foretold?.isEmpty == false ? inForce?.id : nil)
        }
    }

    private func newestCommitted(upTo epoch: Epoch) -> CheckpointID? {
        story.checkpoints.filter { $0.record != nil && $0.epoch <= epoch }.max {
            ($0.capturedAt ?? $0.startedAt ?? now) < ($1.capturedAt ?? $1.startedAt ?? now)
        }?.id
    }

    /// Time that the guest ran after the capture of what it can go on from. A life that began from an older checkpoint than it is taken
    /// back to counts from its own start: what came before was lost already.
    private func lostWork(_ life: TaskStory.Story, at failure: Timestamp, backTo checkpoint: CheckpointID?) -> Seconds? {
        guard let started = life.startedAt else { return .zero }
        let ran = max(.zero, span(started, failure))
        guard let checkpoint, checkpoint != life.from else { return ran }
        guard let captured = story.checkpoint(checkpoint)?.capturedAt else { return nil }
        if captured >= started { return max(.zero, span(captured, failure)) }
        // Older even than what this life began from, which has proved useless: that much more is lost.
        guard let from = life.from.flatMap({ story.checkpoint($0) })?.capturedAt else { return nil }
        return ran + max(.zero, span(captured, from))
    }

    private func lostProgress(_ life: TaskStory.Story, backTo checkpoint: CheckpointID?) -> Double? {
        guard life.startedAt != nil, let reached = story.samples.filter({ $0.epoch == life.epoch }).map(\.fraction).max() else { return nil }
        guard let checkpoint else { return reached }
        return story.checkpoint(checkpoint)?.progress.map { max(0, ((reached - $0) * 1e6).rounded() / 1e6) }
    }

    private func standing(_ value: Seconds?, against limit: Seconds?, _ cause: Interruption.Cause) -> Standing {
        guard let value, let limit, cause.counts else { return .notObserved }
        return value <= limit ? .kept : .broken
    }

    private func recoveryStanding(_ recovery: Seconds?, _ broken: TaskStory.Break) -> Standing {
        if let recovery { return standing(recovery, against: sla.limits.recoverySeconds, broken.cause) }
        // It has not run again yet: broken as soon as the time is over, open until then.
        guard let limit = sla.limits.recoverySeconds, broken.cause.counts else { return .notObserved }
        switch story.ending {
        case .cancelled, .finished: return span(broken.at, until) > limit ? .broken : .notObserved
        case .givenUp: return .broken
        case nil: return span(broken.at, now) > limit ? .broken : .notObserved
        }
    }

    // MARK: Checkpoints and cost

    private var checkpoints: [CheckpointReport] {
        story.checkpoints.map { made in
            let record = made.record
            let isOver = story.ending != nil || made.epoch < story.currentEpoch
            let status: CheckpointReport.Status = record != nil ? (made.prunedAt != nil ? .pruned : .committed) : made.trouble?.status ?? .unfinished
            return CheckpointReport(
                checkpoint: made.id, status: status, epoch: made.epoch, node: made.node, decision: made.decision,
                startedAt: made.startedAt.map(Moment.init),
                capturedAt: made.capturedAt.map(Moment.init), committedAt: record.map { Moment($0.committedAt) }, progress: made.progress,
                way: record?.way,
                stopSeconds: made.stopSeconds ?? record?.stopSeconds, latencySeconds: record?.latencySeconds, uploadSeconds: record?.uploadSeconds,
                compressSeconds: record?.compressSeconds, memoryBytes: record?.memoryBytes, diskBytes: record?.diskBytes,
                nonZeroBytes: record?.nonZeroBytes, sentBytes: record?.sentBytes, codec: record?.codec, replication: record?.replication,
                storedBytes: record?.bytesInStore,
                includedBase: record?.includedBase, resumptions: story.lives.count { $0.from == made.id && $0.startedAt != nil },
                reason: made.trouble?.reason ?? (status == .unfinished && isOver ? "not heard of again" : nil))
        }
    }

    private func cost(_ checkpoints: [CheckpointReport], _ failures: [Interruption], since: Timestamp?) -> TaskCost {
        func later(_ time: Timestamp) -> Timestamp { since.map { max($0, time) } ?? time }
        let running = story.lives.compactMap { life in
            life.startedAt.map { max(.zero, span(later($0), max(later($0), life.endedAt ?? until))) }
        }.reduce(.zero, +)
        let stops = checkpoints.compactMap(\.stopSeconds)
        let stopped = rounded(stops.reduce(.zero, +))
        let committed = checkpoints.filter { $0.committedAt != nil }
        func sum(_ part: (CheckpointReport) -> Seconds?) -> Seconds { rounded(committed.compactMap(part).reduce(.zero, +)) }
        let stored = committed.compactMap(\.storedBytes).reduce(.zero, +)
        let fetched = story.lives.filter { life in life.startedAt.map { $0 >= later($0) } ?? false }.compactMap(\.resumption?.fetchedBytes)
            .reduce(.zero, +)
        let kept = keptGiBHours(since: since)
        let elapsed = max(.zero, span(later(submission.submittedAt), max(later(submission.submittedAt), until)))
        let inForce = context.policy(for: sla).flatMap { PricesInForce(sla.preference, $0) }
        return TaskCost(
            committedCheckpoints: committed.count, failedCheckpoints: checkpoints.count { $0.status == .failed || $0.status == .refused },
            runningSeconds: rounded(running), stopSeconds: stopped, stoppedShare: running > .zero ? stopped / running : nil,
            longestStopSeconds: stops.max(),
            uploadSeconds: sum(\.uploadSeconds), compressSeconds: sum(\.compressSeconds), latencySeconds: sum(\.latencySeconds),
            sentBytes: committed.compactMap(\.sentBytes).reduce(.zero, +),
            storedBytes: stored, fetchedBytes: fetched,
            lostWorkSeconds: rounded(failures.compactMap(\.lostWorkSeconds).reduce(.zero, +)), downSeconds: rounded(downTime(failures)),
            storedGiBHours: kept, currency: inForce?.currency,
            timeCost: inForce.map { money($0.timePerHour * elapsed.rawValue / 3_600) },
            networkCost: inForce.map { money($0.networkPerGiB * (stored + fetched).gibibytes) },
            storageCost: inForce.map { money($0.storagePerGiBHour * kept) }, penaltyOwed: penalty(since: since),
            penaltyCurrency: sla.penalty?.amount.currency)
    }

    /// Bytes in the store over time.
    private func keptGiBHours(since: Timestamp?) -> Double {
        story.checkpoints.reduce(0) { sum, made in
            guard let record = made.record else { return sum }
            let from = since.map { max($0, record.committedAt) } ?? record.committedAt
            let hours = max(0, ((made.prunedAt ?? now) - from).rawValue / 3_600)
            return sum + record.bytesInStore.gibibytes * hours
        }
    }

    /// What is owed by now, without what was owed before.
    private func penalty(since: Timestamp?) -> Double? {
        guard let penalty = sla.penalty, let deadline else { return sla.penalty.map { _ in 0 } }
        func owed(at time: Timestamp) -> Double { penalty.owed(lateness: max(.zero, span(deadline, time))).amount }
        return money(owed(at: until) - (since.map { owed(at: min($0, until)) } ?? 0))
    }

    /// Without the noise of its last digits.
    private func money(_ amount: Double) -> Double { (amount * 1e9).rounded() / 1e9 }

    /// A task that fails again before it ran again is down once.
    private func downTime(_ failures: [Interruption]) -> Seconds {
        var down = Seconds.zero
        var counted: Moment?
        for failure in failures {
            let from = max(failure.at, counted ?? failure.at)
            let to = failure.resumedAt ?? Moment(until)
            down += max(.zero, span(from.time, to.time))
            counted = max(to, counted ?? to)
        }
        return down
    }

    /// At most this many points are shown; the first and last of each life are.
    static let timelineLimit = 400

    private var timeline: [ProgressPoint] {
        let samples = story.samples.sorted { $0.at < $1.at }
        let step = max(1, (samples.count + Self.timelineLimit - 1) / Self.timelineLimit)
        return samples.enumerated().filter { index, sample in
            index.isMultiple(of: step) || index == samples.count - 1 || samples[index + 1].epoch != sample.epoch
                || index > 0 && samples[index - 1].epoch != sample.epoch
        }.map { ProgressPoint(at: Moment($1.at), progress: $1.fraction, epoch: $1.epoch) }
    }
}

extension CheckpointRecord {
    /// With all copies; a record of an earlier version says what was sent.
    var bytesInStore: ByteCount { storedBytes ?? ByteCount(sentBytes.rawValue * Int64(replication.memory)) }
}

extension CheckpointReport {
    /// The newest that was heard of it while it was made.
    var at: Timestamp? { (committedAt ?? capturedAt ?? startedAt)?.time }
}

extension ByteCount {
    var gibibytes: Double { Double(rawValue) / 0x1p30 }
}
