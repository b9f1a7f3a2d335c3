import Knowledge
import PlanningModel
import Vocabulary

/// When a running task is checkpointed, and how; and which checkpoints are kept.
extension Draft {
    mutating func schedule(_ task: TaskKnowledge, on node: NodeID) {
        guard let finding = finding(of: task.id), self.finding(of: node)?.standing != .lost else { return }
        let terms = Terms(task: task, finding: finding, policy: knowledge.policies[task.sla.policy])
        let unsaved = task.underway?.capturedAt != nil ? finding.sinceCaptureSeconds : finding.exposedSeconds
        // Without a schedule that might go on there is one to be recorded.
        var choice = ScheduleChoice(
            terms.situation(work: finding.workLeftSeconds.mean, unsaved: unsaved.rawValue, rate: finding.failureRate.perSecond),
            briefly: schedules[task.id] != nil)
        var schedule = standing(task, on: node, terms, &choice)
        if mayCheckpoint(task, finding, terms, choice, schedule) {
            if let policy = terms.policy?.policy, policy.networkBytesPerSecond != nil, terms.settings.mode == .enforce {
                turns[policy.name, default: []].append(Turn(task: task, node: node, terms: terms, choice: choice))
            } else if choice.isDueNow {
                checkpoint(task, on: node, terms, choice, &schedule)
            }
        }
        nextSchedules[task.id] = schedule
    }

    /// The schedule in force stays until another one is really another.
    /// - Parameter choice: made whole where it is recorded.
    private mutating func standing(_ task: TaskKnowledge, on node: NodeID, _ terms: Terms, _ choice: inout ScheduleChoice) -> Schedule {
        let interval = choice.best.intervalSeconds.map { Seconds($0) }
        let order = CheckpointOrder(codec: Codec(rawValue: choice.best.option.name) ?? .none, replication: terms.settings.replication)
        let plan = StandingPlan(
            task: task.id, epoch: task.epoch, intervalSeconds: terms.settings.mode == .enforce ? interval : nil, order: order)
        let basis = Schedule.Basis(
            mode: terms.settings.mode, sla: task.submission.version,
            policy: terms.policy?.version ?? DocumentVersion(name: task.sla.policy, digest: ""),
            rules: terms.rules, binding: choice.binding)
        if var old = schedules[task.id], old.node == node, old.basis == basis, old.standing.epoch == task.epoch, old.standing.order == order,
            isAlike(old.standing.intervalSeconds, plan.intervalSeconds),
            terms.settings.mode == .audit || choice.isAllowed(old.standing.intervalSeconds?.rawValue)
        {
            old.predicted = terms.costs(order.codec)
            return old
        }
        choice = choice.whole
        let id = decide(
            .schedule, task: task, node: node, mode: terms.settings.mode, policy: terms.policy?.version, inputs: choice.inputs(terms),
            situation: choice.situation, alternatives: choice.alternatives, chosen: choice.index, binding: choice.binding, rules: terms.rules,
            choice.sentence(terms, on: node)
        ) { _ in [.arm(plan, node: node)] }
        return Schedule(
            decision: id, decidedAt: findings.at, node: node, standing: plan, predicted: terms.costs(order.codec), basis: basis,
            lastAuditedAt: schedules[task.id]?.lastAuditedAt, prunedTo: schedules[task.id]?.prunedTo,
            mergedAfter: schedules[task.id]?.mergedAfter)
    }

    /// Within 15 % of each other.
    private func isAlike(_ a: Seconds?, _ b: Seconds?) -> Bool {
        switch (a, b) {
        case (nil, nil): true
        case (let a?, let b?): abs(a.rawValue - b.rawValue) <= 0.15 * max(a.rawValue, b.rawValue)
        default: false
        }
    }

    /// After failed checkpoints: 5, 10, 20 … s, at most 5 min.
    func waitsAfterFailure(_ task: TaskKnowledge) -> Bool {
        guard task.failedCheckpointsInARow > 0, let failure = task.lastCheckpointFailure else { return false }
        return (findings.at - failure.at).rawValue < min(300, 5 * Double(1 << min(task.failedCheckpointsInARow - 1, 10)))
    }

    /// Nothing is in the way of a checkpoint, if one is due.
    private func mayCheckpoint(
        _ task: TaskKnowledge, _ finding: TaskFinding, _ terms: Terms, _ choice: ScheduleChoice, _ schedule: Schedule
    ) -> Bool {
        guard task.underway == nil, finding.progress < 1, choice.best.intervalSeconds != nil else { return false }
        // A guest that has not been seen to run has nothing to save.
        guard !task.samples.isEmpty, self.finding(of: schedule.node)?.standing == .trusted else { return false }
        if waitsAfterFailure(task) { return false }
        if let audited = schedule.lastAuditedAt, let interval = choice.best.intervalSeconds, (findings.at - audited).rawValue < interval {
            return false
        }
        return !isOptionalStopTooLate(finding, terms, choice)
    }

    /// The safety rule: when W + R + C reaches the time left, stops that no limit demands end.
    private func isOptionalStopTooLate(_ finding: TaskFinding, _ terms: Terms, _ choice: ScheduleChoice) -> Bool {
        guard let left = finding.timeToDeadlineSeconds?.rawValue, left > 0, terms.task.sla.limits.lostWorkSeconds == nil else { return false }
        let option = choice.best.option
        return finding.workLeftSeconds.mean + option.recoverySeconds + option.stopSeconds >= left
    }

    /// - Parameters:
    ///   - inputs: besides what the interval was chosen from.
    ///   - because: what is to be said besides, a sentence.
    mutating func checkpoint(
        _ task: TaskKnowledge, on node: NodeID, _ terms: Terms, _ choice: ScheduleChoice, _ schedule: inout Schedule,
        inputs more: [DecisionInput] = [], because: String = ""
    ) {
        let order = schedule.standing.order
        let weighed = choice.whole
        var inputs = weighed.inputs(terms)
        if let costs = terms.costs(order.codec) {
            for (name, estimate) in [
                ("compressSeconds", costs.compressSeconds), ("uploadSeconds", costs.uploadSeconds),
            ] { inputs.append(DecisionInput(name: name, value: estimate.mean, standardError: estimate.standardError)) }
        }
        inputs += more
        let exposed = terms.finding.exposedSeconds
        decide(
            .checkpoint, task: task, node: node, mode: terms.settings.mode, policy: terms.policy?.version, inputs: inputs,
            situation: weighed.situation, alternatives: weighed.alternatives, chosen: weighed.index, binding: weighed.binding, rules: terms.rules,
            "\(task.id): checkpoint now (\(describe(weighed.best))): a failure would lose \(plain(exposed)) s of work, and "
                + "one is expected on \(node) every \(plain(1 / max(terms.finding.failureRate.perSecond, 1e-12))) s\(choice.boundBy).\(because)"
        ) { _ in [.checkpoint(task: task.id, node: node, epoch: task.epoch, order)] }
        if terms.settings.mode == .audit { schedule.lastAuditedAt = findings.at }
    }

    /// Keeps the newest, as many and those as young as the policy says. What is to go is ordered until it has gone.
    mutating func prune(_ task: TaskKnowledge) {
        guard task.committed.count > 1, task.underway == nil, case .running(let node) = task.state, let finding = finding(of: task.id) else { return }
        let terms = Terms(task: task, finding: finding, policy: knowledge.policies[task.sla.policy])
        guard task.committed.count > max(1, terms.settings.keepLast) else { return }
        var situation = terms.situation(work: finding.workLeftSeconds.mean, unsaved: 0, rate: finding.failureRate.perSecond)
        situation.checkpointAges = task.committed.map { findings.at - $0.capturedAt }
        let count = situation.keptCount
        guard terms.settings.mode == .enforce, task.committed.count > count else { return }
        let kept = task.committed.suffix(count).map(\.id)
        guard nextSchedules[task.id]?.prunedTo != kept.first else { return }
        nextSchedules[task.id]?.prunedTo = kept.first
        decide(
            .prune, task: task, node: node, policy: terms.policy?.version, situation: situation,
            "\(task.id): of \(task.committed.count) checkpoints the newest \(count) are kept, as the policy says."
        ) { _ in [.prune(task: task.id, node: node, epoch: task.epoch, keep: kept)] }
    }
}

extension Situation {
    /// How many of the newest checkpoints are kept, by the policy.
    var keptCount: Int {
        let young = settings.keepForSeconds.map { length in (checkpointAges ?? []).count { $0 <= length } } ?? 0
        return max(1, settings.keepLast, young)
    }
}
