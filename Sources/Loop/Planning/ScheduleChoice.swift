import Knowledge
import PlanningModel
import Vocabulary

/// The interval and the codec for one task, chosen by the policy's strategy, with what they were chosen over. A pure function of the situation.
///
/// Made `briefly` it makes the same choice without what it was chosen over, which only a decision that is recorded needs.
struct ScheduleChoice {
    let situation: Situation
    private(set) var best: Candidate
    private(set) var alternatives: [Alternative]
    private(set) var index: Int
    private(set) var binding: String?
    private let never: Candidate?
    private let isBrief: Bool

    /// The same choice with what it was chosen over.
    var whole: ScheduleChoice { isBrief ? ScheduleChoice(situation) : self }

    init(_ situation: Situation, briefly: Bool = false) {
        self.situation = situation
        isBrief = briefly
        let objective = situation.objective
        let candidates: [Candidate]
        if case .adaptive = situation.settings.strategy {
            let minimum = objective.minimise(over: situation.options, briefly: briefly)
            best = minimum.best
            candidates =
                briefly
                ? [best] : minimum.alternatives + ScheduleChoice.neighbours(of: minimum, objective, floor: situation.settings.floorSeconds)
            index = minimum.bestIndex
            binding = minimum.binding.first?.name.rawValue
        } else {
            let option = situation.optionByTime
            let bounds = ScheduleChoice.bounds(objective.limits, option)
            let rule = ScheduleChoice.rule(situation.settings.strategy).choose(
                workSeconds: objective.outlook.workSeconds, unsavedSeconds: objective.outlook.unsavedSeconds, stopSeconds: option.costSeconds,
                failureRatePerSecond: objective.outlook.failureRatePerSecond, bounds: bounds.seconds)
            best = objective.evaluate(option, intervalSeconds: rule.intervalSeconds)
            candidates = [best] + (briefly || best.intervalSeconds == nil ? [] : [objective.evaluate(option, intervalSeconds: nil)])
            index = 0
            binding = rule.binding.map { ($0 == "floor" ? bounds.floor : bounds.ceiling).rawValue }
        }
        alternatives = briefly ? [] : candidates.map { alternative($0, named: $0.intervalSeconds == nil ? "never, \($0.option.name)" : describe($0)) }
        let codec = candidates[index].option.name
        never = candidates.first { $0.intervalSeconds == nil && $0.option.name == codec }
    }

    /// A checkpoint is due, within half a second, and not before the floor.
    var isDueNow: Bool {
        guard let due = best.dueSeconds else { return false }
        return due <= 0 || due <= 0.5 && situation.unsavedSeconds >= situation.settings.floorSeconds.rawValue
    }

    /// Whether another interval keeps all bounds and limits of work that the best one keeps; confidence in the deadline, which changes from second to second, left out.
    func isAllowed(_ interval: Double?) -> Bool {
        let kept = Set(best.violated.map(\.name))
        var objective = situation.objective
        (objective.deadlineSeconds, objective.penalty) = (nil, nil)
        return objective.evaluate(best.option, intervalSeconds: interval).violated.allSatisfy {
            $0.name == .meetProbability || kept.contains($0.name)
        }
    }

    /// The policy's bounds, narrowed by what the SLA lets be lost, τ ≤ limit − L, and by how long the guest may stand still, τ ≥ C·(1/share − 1).
    /// Bounds of the policy before limits; what may be lost before what may be stopped.
    private static func bounds(_ limits: ObjectiveLimits, _ option: CheckpointOption) -> (
        seconds: IntervalBounds, floor: LimitVerdict.Name, ceiling: LimitVerdict.Name
    ) {
        var seconds = limits.bounds
        var names = (floor: LimitVerdict.Name.floor, ceiling: LimitVerdict.Name.ceiling)
        if let most = limits.lostWorkSeconds {
            let longest = max(seconds.floorSeconds, most - option.costSeconds - option.exposureSeconds)
            if longest < seconds.ceilingSeconds {
                seconds.ceilingSeconds = longest
                names.ceiling = .lostWork
            }
        }
        if let share = limits.stoppedShare, share > 0 {
            let shortest = min(seconds.ceilingSeconds, option.stopSeconds * (1 / share - 1))
            if shortest > seconds.floorSeconds {
                seconds.floorSeconds = shortest
                names.floor = .stoppedShare
            }
        }
        return (seconds, names.floor, names.ceiling)
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
        if let hazard = finding.failureRate.hazard {
            inputs += [
                DecisionInput(name: "weibullShape", value: hazard.shape, standardError: hazard.shapeStandardError),
                DecisionInput(name: "weibullProbability", value: hazard.probability.rawValue),
                DecisionInput(name: "nodeAgeSeconds", value: hazard.ageSeconds.rawValue),
            ]
        }
        if let own = finding.ownFailureRate {
            inputs.append(DecisionInput(name: "ownFailureRatePerSecond", value: own.perSecond, standardError: own.standardError))
        }
        if let left = finding.timeToDeadlineSeconds { inputs.append(DecisionInput(name: "timeToDeadlineSeconds", value: left.rawValue)) }
        if let equation1 = situation.equation1 {
            inputs.append(DecisionInput(name: "equation1CompressedSeconds", value: equation1.verdict.compressedSeconds))
            inputs.append(DecisionInput(name: "equation1UncompressedSeconds", value: equation1.verdict.uncompressedSeconds))
        }
        if let sequential = situation.equation1(.sequential) {
            inputs.append(DecisionInput(name: "equation1SequentialCompressedSeconds", value: sequential.verdict.compressedSeconds))
        }
        return inputs.compactMap { $0 }
    }

    var boundBy: String { binding.map { "; bound by the \($0)" } ?? "" }

    /// Where the rate is one of the node's age.
    private func age(_ finding: TaskFinding) -> String {
        guard let hazard = finding.failureRate.hazard, hazard.probability.rawValue > 0.5 else { return "" }
        return " at its node's age of \(plain(hazard.ageSeconds)) s (shape \(plain(hazard.shape)))"
    }

    func sentence(_ terms: Terms, on node: NodeID) -> String {
        let finding = terms.finding
        let mtbf = finding.failureRate.perSecond > 0 ? "\(plain(finding.failureRate.mtbfSeconds)) s\(age(finding))" : "no failures"
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
