import Knowledge
import PlanningModel
import Vocabulary

/// When a running task is checkpointed, and how; and which checkpoints are kept.
extension Draft {
    mutating func schedule(_ task: TaskKnowledge, on node: NodeID) {
        guard let finding = finding(of: task.id), self.finding(of: node)?.standing != .lost else { return }
        let terms = Terms(task: task, finding: finding, policy: knowledge.policies[task.sla.policy])
        let choice = ScheduleChoice(terms)
        var schedule = standing(task, on: node, terms, choice)
        if isDue(task, finding, terms, choice, schedule) { checkpoint(task, on: node, terms, choice, &schedule) }
        nextSchedules[task.id] = schedule
    }

    /// The schedule in force stays until another one is really another.
    private mutating func standing(_ task: TaskKnowledge, on node: NodeID, _ terms: Terms, _ choice: ScheduleChoice) -> Schedule {
        let interval = choice.best.intervalSeconds.map { Seconds($0) }
        let order = CheckpointOrder(codec: Codec(rawValue: choice.best.option.name) ?? .none, replication: terms.settings.replication)
        let plan = StandingPlan(
            task: task.id, epoch: task.epoch, intervalSeconds: terms.settings.mode == .enforce ? interval : nil, order: order)
        let basis = Schedule.Basis(
            mode: terms.settings.mode, sla: task.submission.version,
            policy: terms.policy?.version ?? DocumentVersion(name: task.sla.policy, digest: ""),
            rules: terms.rules, binding: choice.binding)
        if var old = schedules[task.id], old.node == node, old.basis == basis, old.standing.epoch == task.epoch, old.standing.order == order,
            isAlike(old.standing.intervalSeconds, plan.intervalSeconds)
        {
            old.predicted = terms.costs(order.codec)
            return old
        }
        let id = decide(
            .schedule, task: task, node: node, mode: terms.settings.mode, policy: terms.policy?.version, inputs: choice.inputs(terms),
            alternatives: choice.alternatives, chosen: choice.index, binding: choice.binding, rules: terms.rules, choice.sentence(terms, on: node)
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

    private func isDue(_ task: TaskKnowledge, _ finding: TaskFinding, _ terms: Terms, _ choice: ScheduleChoice, _ schedule: Schedule) -> Bool {
        guard task.underway == nil, finding.progress < 1, let due = choice.best.dueSeconds, due <= 0.5 else { return false }
        // A guest that has not been seen to run has nothing to save.
        guard !task.samples.isEmpty, self.finding(of: schedule.node)?.standing == .trusted else { return false }
        // After failures: 5, 10, 20 … s, at most 5 min.
        if task.failedCheckpointsInARow > 0, let failure = task.lastCheckpointFailure {
            let wait = min(300, 5 * Double(1 << min(task.failedCheckpointsInARow - 1, 10)))
            if (findings.at - failure.at).rawValue < wait { return false }
        }
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

    private mutating func checkpoint(
        _ task: TaskKnowledge, on node: NodeID, _ terms: Terms, _ choice: ScheduleChoice, _ schedule: inout Schedule
    ) {
        let order = schedule.standing.order
        var inputs = choice.inputs(terms)
        if let costs = terms.costs(order.codec) {
            for (name, estimate) in [
                ("compressSeconds", costs.compressSeconds), ("uploadSeconds", costs.uploadSeconds),
            ] { inputs.append(DecisionInput(name: name, value: estimate.mean, standardError: estimate.standardError)) }
        }
        let exposed = terms.finding.exposedSeconds
        decide(
            .checkpoint, task: task, node: node, mode: terms.settings.mode, policy: terms.policy?.version, inputs: inputs,
            alternatives: choice.alternatives, chosen: choice.index, binding: choice.binding, rules: terms.rules,
            "\(task.id): checkpoint now (\(describe(choice.best))): a failure would lose \(plain(exposed)) s of work, and "
                + "one is expected on \(node) every \(plain(1 / max(terms.finding.failureRate.perSecond, 1e-12))) s\(choice.boundBy)."
        ) { _ in [.checkpoint(task: task.id, node: node, epoch: task.epoch, order)] }
        if terms.settings.mode == .audit { schedule.lastAuditedAt = findings.at }
    }

    /// Keeps the newest, as many and those as young as the policy says. What is to go is ordered until it has gone.
    mutating func prune(_ task: TaskKnowledge) {
        guard let finding = finding(of: task.id), case .running(let node) = task.state, task.underway == nil else { return }
        let terms = Terms(task: task, finding: finding, policy: knowledge.policies[task.sla.policy])
        let keep = max(1, terms.settings.keepLast)
        let young = terms.settings.keepForSeconds.map { length in task.committed.count { findings.at - $0.capturedAt <= length } } ?? 0
        let count = max(keep, young)
        guard terms.settings.mode == .enforce, task.committed.count > count else { return }
        let kept = task.committed.suffix(count).map(\.id)
        guard nextSchedules[task.id]?.prunedTo != kept.first else { return }
        nextSchedules[task.id]?.prunedTo = kept.first
        decide(
            .prune, task: task, node: node, policy: terms.policy?.version,
            "\(task.id): of \(task.committed.count) checkpoints the newest \(count) are kept, as the policy says."
        ) { _ in [.prune(task: task.id, node: node, epoch: task.epoch, keep: kept)] }
    }
}

/// The interval and the codec for one task, chosen by the policy's strategy, with what they were chosen over.
struct ScheduleChoice {
    private(set) var best: Candidate
    private(set) var alternatives: [Alternative]
    private(set) var index: Int
    private(set) var binding: String?
    private let never: Candidate?

    init(_ terms: Terms) {
        let unsaved =
            terms.task.underway?.capturedAt != nil ? terms.finding.sinceCaptureSeconds.rawValue : terms.finding.exposedSeconds.rawValue
        let objective = terms.objective(
            work: terms.finding.workLeftSeconds.mean, unsaved: unsaved, rate: terms.finding.failureRate.perSecond)
        let candidates: [Candidate]
        if case .adaptive = terms.settings.strategy {
            let minimum = objective.minimise(over: terms.options)
            best = minimum.best
            candidates = minimum.alternatives + ScheduleChoice.neighbours(of: minimum, objective, floor: terms.settings.floorSeconds)
            index = minimum.bestIndex
            binding = minimum.binding.first?.name.rawValue
        } else {
            let option =
                terms.costs(terms.codecByTime)?.option(replication: terms.settings.replication) ?? terms.options[0]
            let rule = ScheduleChoice.rule(terms.settings.strategy).choose(
                workSeconds: objective.outlook.workSeconds, unsavedSeconds: unsaved, stopSeconds: option.costSeconds,
                failureRatePerSecond: objective.outlook.failureRatePerSecond, bounds: objective.limits.bounds)
            best = objective.evaluate(option, intervalSeconds: rule.intervalSeconds)
            candidates = [best] + (best.intervalSeconds == nil ? [] : [objective.evaluate(option, intervalSeconds: nil)])
            index = 0
            binding = rule.binding
        }
        alternatives = candidates.map { alternative($0, named: $0.intervalSeconds == nil ? "never, \($0.option.name)" : describe($0), terms) }
        let codec = candidates[index].option.name
        never = candidates.first { $0.intervalSeconds == nil && $0.option.name == codec }
    }

    /// The same with twice and with half the interval: what they would cost shows how much the interval matters, and lets owners' preferences
    /// be compared over more than one.
    private static func neighbours(of minimum: Minimum, _ objective: CostObjective, floor: Seconds) -> [Candidate] {
        guard let interval = minimum.best.intervalSeconds else { return [] }
        return [interval * 2, interval / 2].filter { $0 >= floor.rawValue && $0 < objective.outlook.wholeSeconds }.map {
            objective.evaluate(minimum.best.option, intervalSeconds: $0)
        }
    }

    private static func rule(_ strategy: IntervalStrategy) -> IntervalRule {
        switch strategy {
        case .exact, .adaptive: .exact
        case .daly: .daly
        case .young: .young
        case .fixed(let interval): .fixed(seconds: interval.rawValue)
        case .never: .never
        }
    }

    func inputs(_ terms: Terms) -> [DecisionInput] {
        let finding = terms.finding
        let option = best.option
        let costs = terms.costs(Codec(rawValue: option.name) ?? .none)
        func input(_ name: String, _ estimate: Estimate?) -> DecisionInput? {
            estimate.map { DecisionInput(name: name, value: $0.mean, standardError: $0.standardError) }
        }
        var inputs: [DecisionInput?] = [
            DecisionInput(
                name: "failureRatePerSecond", value: finding.failureRate.perSecond, standardError: finding.failureRate.standardError),
            input("workLeftSeconds", finding.workLeftSeconds), DecisionInput(name: "progress", value: finding.progress),
            DecisionInput(name: "exposedSeconds", value: finding.exposedSeconds.rawValue),
            input("stopSeconds", costs?.stopSeconds), input("interferenceSeconds", costs?.interferenceSeconds),
            input("latencySeconds", costs?.latencySeconds), input("recoverySeconds", costs?.recoverySeconds), input("sentBytes", costs?.sentBytes),
            DecisionInput(name: "priceTimePerHour", value: terms.prices.timePerHour),
            DecisionInput(name: "priceNetworkPerGiB", value: terms.prices.networkPerGiB),
            DecisionInput(name: "priceStoragePerGiBHour", value: terms.prices.storagePerGiBHour),
        ]
        if let left = finding.timeToDeadlineSeconds { inputs.append(DecisionInput(name: "timeToDeadlineSeconds", value: left.rawValue)) }
        if let equation1 = terms.equation1 {
            inputs.append(DecisionInput(name: "equation1CompressedSeconds", value: equation1.verdict.compressedSeconds))
            inputs.append(DecisionInput(name: "equation1UncompressedSeconds", value: equation1.verdict.uncompressedSeconds))
        }
        if let sequential = terms.equation1(.sequential) {
            inputs.append(DecisionInput(name: "equation1SequentialCompressedSeconds", value: sequential.verdict.compressedSeconds))
        }
        return inputs.compactMap { $0 }
    }

    var boundBy: String { binding.map { "; bound by the \($0)" } ?? "" }

    func sentence(_ terms: Terms, on node: NodeID) -> String {
        let finding = terms.finding
        let mtbf = finding.failureRate.perSecond > 0 ? "\(plain(finding.failureRate.mtbfSeconds)) s" : "no failures"
        let expected = "it is expected to need \(plain(best.expectedSeconds)) s more"
        let met = best.probabilityMet.map { " and to meet its deadline with a probability of \(share($0))" } ?? ""
        let preference =
            switch terms.task.sla.preference {
            case .named(let name): name
            case .prices: "its own prices"
            }
        let prices = "\(preference): time \(plain(terms.prices.timePerHour)) an hour, network \(plain(terms.prices.networkPerGiB)) a GiB"
        let broken = best.violated.map { "\($0.name.rawValue) cannot be kept (\(plain($0.value)) where \(plain($0.limit)) is the limit)" }
        let trouble = broken.isEmpty ? "" : "; " + broken.joined(separator: ", ")
        let strategy = terms.settings.strategy.name
        guard best.intervalSeconds != nil else {
            return
                "\(terms.task.id) on \(node): no checkpoint (\(strategy); \(prices)): with an MTBF of \(mtbf) \(expected)\(met)\(boundBy)\(trouble)."
        }
        let saving = never.map { never -> String in
            let more = never.terms.total / max(best.terms.total, 1e-12) - 1
            if more > 2 {
                return more < 1e6
                    ? "; never checkpointing would cost \(plain(more + 1)) times as much" : "; without checkpoints it would hardly ever finish"
            }
            return more > 0.005 ? "; never checkpointing would cost \(share(more)) more" : ""
        }
        return "\(terms.task.id) on \(node): a checkpoint \(describe(best)) (\(strategy); \(prices)): with an MTBF of \(mtbf) \(expected)\(met)"
            + "\(saving ?? "")\(boundBy)\(trouble)."
    }
}
