import Knowledge
import PlanningModel
import Vocabulary

/// How far a task is, how fast it goes, what a failure would cost it, and when it will have finished.
struct TaskAssessment {
    let task: TaskKnowledge
    let live: LiveView
    let node: NodeReliability?
    let model: CostModel
    var knownCosts: [CheckpointCosts]?

    func finding(schedule: Schedule?, withForecast: Bool = true) -> TaskFinding {
        let samples = samples
        let speed = Self.speed(samples, work: task.sla.task.workSeconds)
        let progress = progress(samples, speed)
        let costs = knownCosts ?? model.costs(of: task)
        let left = (1 - progress) * task.sla.task.workSeconds.rawValue / speed.mean
        let workLeft = Estimate(mean: left, standardError: left * speed.standardError / speed.mean, observations: speed.observations)
        // Without a node nothing can fail.
        var rate = RateEstimate(perSecond: 0, standardError: 0, lowPerSecond: 0, highPerSecond: 0, failures: 0, exposureSeconds: .zero)
        if let node {
            let cost = costs.map { $0.stopSeconds.mean + $0.interferenceSeconds.mean }.min() ?? 0
            rate = node.rate(checkpointSeconds: cost, workSeconds: left)
        }
        let own = ownFailureRate
        if let own { rate = rate.adding(own) }
        let seen = live.observations[task.id]
        var finding = TaskFinding(
            task: task.id, node: task.node, epoch: task.epoch, progress: progress, speed: speed, workLeftSeconds: workLeft,
            exposedSeconds: work(from: task.resumableProgress, to: progress, speed), sinceCaptureSeconds: sinceCapture(progress, speed), costs: costs,
            failureRate: rate, ownFailureRate: own, stalledSeconds: stalled(samples), merging: model.merging(of: task), forecast: nil,
            timeToDeadlineSeconds: task.deadline.map { $0 - live.now },
            isObservedRunning: seen.map { $0.epoch == task.epoch && $0.state != .finished && $0.state != .failed } ?? false)
        if withForecast { finding.forecast = forecast(finding, schedule) }
        return finding
    }

    /// Samples of this epoch, the latest observation last.
    private var samples: [ProgressSample] {
        var samples = task.samples
        if let latest = live.observations[task.id]?.sample, latest.epoch == task.epoch, latest.at > samples.last?.at ?? Timestamp(0) {
            samples.append(latest)
        }
        return samples
    }

    /// Work done for each second that passes, relative to what was declared.
    ///
    /// What is seen is the median slope of all pairs of the last twenty samples, which a stall or a jump does not move. A guest that has
    /// just begun boots, and says little about its speed: what is seen in T seconds is taken for uncertain by 4 s/T at least, and weighed by
    /// its precision against the declaration, which is taken for right within a quarter.
    /// Source: P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968; Gelman et al., Bayesian Data
    /// Analysis, 3rd edition, 2.5 (normal prior, normal observation).
    static func speed(_ samples: [ProgressSample], work: Seconds) -> Estimate {
        let declared = Estimate(mean: 1, standardError: 0.25, observations: 0)
        let recent = samples.suffix(20)
        guard let first = recent.first, let last = recent.last, last.at - first.at >= Seconds(1) else { return declared }
        guard let slopes = pairSlopes(recent) else { return declared }
        // A task that stands still is not forecast to take for ever: a hundredth of its speed at least.
        let median = min(max(slopes[slopes.count / 2] * work.rawValue, 0.01), 100)
        let spread = slopes[min(slopes.count - 1, slopes.count * 3 / 4)] * work.rawValue - slopes[slopes.count / 4] * work.rawValue
        let error = max(spread / 1.349 / Double(recent.count).squareRoot(), 4 / (last.at - first.at).rawValue)
        let precisions = (seen: 1 / (error * error), declared: 1 / (declared.standardError * declared.standardError))
        let precision = precisions.seen + precisions.declared
        return Estimate(
            mean: (precisions.seen * median + precisions.declared * declared.mean) / precision, standardError: 1 / precision.squareRoot(),
            observations: recent.count)
    }

    /// Where it is now: the last nine samples, each brought to the time of the last by the slope that they share, and their median; from there on by
    /// its speed, for a minute at most. A sample that is far off, up or down, changes nothing; a source that really jumped is believed after five.
    private func progress(_ samples: [ProgressSample], _ speed: Estimate) -> Double {
        guard case .running = task.state else { return max(task.highestProgress, task.progressAtStart) }
        guard let last = samples.last else { return task.progressAtStart }
        let passed = min(max(.zero, live.now - last.at), .minutes(1))
        return min(1, max(task.progressAtStart, Self.level(samples)) + speed.mean * passed.rawValue / task.sla.task.workSeconds.rawValue)
    }

    static func level(_ samples: [ProgressSample]) -> Double {
        let recent = samples.suffix(9)
        guard let last = recent.last else { return 0 }
        guard let slope = pairSlopes(recent).map({ median($0) }) else { return last.fraction }
        return min(1, max(0, median(recent.map { $0.fraction + slope * (last.at - $0.at).rawValue }.sorted())))
    }

    /// Fractions a second between all pairs that are at least a second apart, sorted; nil where there is none.
    private static func pairSlopes(_ samples: ArraySlice<ProgressSample>) -> [Double]? {
        let points = samples.map { (at: $0.at.rawValue, fraction: $0.fraction) }
        var slopes: [Double] = []
        slopes.reserveCapacity(points.count * (points.count - 1) / 2)
        for (index, earlier) in points.enumerated() {
            for later in points[(index + 1)...] where later.at - earlier.at >= 1 {
                slopes.append((later.fraction - earlier.fraction) / (later.at - earlier.at))
            }
        }
        if slopes.isEmpty { return nil }
        slopes.sort()
        return slopes
    }

    private static func median(_ sorted: [Double]) -> Double {
        sorted.count % 2 == 1 ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
    }

    /// Of the task itself: its failures over the time that it ran, ten minutes added, so that one in the first moments does not seem to be its rule.
    private var ownFailureRate: RateEstimate? {
        guard task.ownFailures > 0 else { return nil }
        let exposure = task.ranSeconds(at: live.now) + .minutes(10)
        let count = Double(task.ownFailures)
        func quantile(_ probability: Double) -> Double { GammaFunction.inverseLower(count, probability) / exposure.rawValue }
        return RateEstimate(
            perSecond: count / exposure.rawValue, standardError: count.squareRoot() / exposure.rawValue, lowPerSecond: quantile(0.05),
            highPerSecond: quantile(0.95), failures: task.ownFailures, exposureSeconds: exposure)
    }

    /// A task is taken to stand still when samples go on coming and none has risen for three times as long as any rise ever took, two minutes at least;
    /// where none has ever risen, after a tenth of the work, ten minutes at least.
    private func stalled(_ samples: [ProgressSample]) -> Seconds? {
        guard case .running = task.state, let last = samples.last, let advanced = task.advancedAt, last.fraction < 1 else { return nil }
        // The latest may not be folded yet.
        if let folded = task.samples.last, last.fraction > folded.fraction { return nil }
        let patience = task.longestPause.map { max(.minutes(2), $0 * 3) } ?? max(.minutes(10), task.sla.task.workSeconds * 0.1)
        let still = last.at - advanced
        return still > patience ? still : nil
    }

    private func work(from earlier: Double, to later: Double, _ speed: Estimate) -> Seconds {
        Seconds(max(0, later - earlier) * task.sla.task.workSeconds.rawValue / speed.mean)
    }

    private func sinceCapture(_ progress: Double, _ speed: Estimate) -> Seconds {
        guard let capture = task.lastCapture else { return work(from: task.progressAtStart, to: progress, speed) }
        guard let captured = capture.progress else { return max(.zero, live.now - capture.at) }
        return work(from: captured, to: progress, speed)
    }

    private func forecast(_ finding: TaskFinding, _ schedule: Schedule?) -> FinishForecast? {
        let codec = schedule?.standing.order.codec ?? .none
        guard let costs = finding.costs.first(where: { $0.codec == codec }) else { return nil }
        let plan = CheckpointPlan(
            outlook: Outlook(
                workSeconds: finding.workLeftSeconds.mean, unsavedSeconds: finding.exposedSeconds.rawValue,
                failureRatePerSecond: finding.failureRate.perSecond),
            option: costs.option(replication: schedule?.standing.order.replication ?? 1),
            intervalSeconds: schedule?.standing.intervalSeconds?.rawValue)
        let finish = plan.finish
        return FinishForecast(
            expectedFinish: live.now + Seconds(plan.expectedSeconds), standardDeviationSeconds: Seconds(finish.standardDeviationSeconds),
            medianFinish: live.now + Seconds(finish.quantile(0.5)), p90Finish: live.now + Seconds(finish.quantile(0.9)),
            p99Finish: live.now + Seconds(finish.quantile(0.99)), p10Finish: live.now + Seconds(finish.quantile(0.1)),
            probabilityMet: finding.timeToDeadlineSeconds.map { Probability(finish.probability(by: $0.rawValue)) },
            expectedPenalty: expectedPenalty(finish, finding.timeToDeadlineSeconds))
    }

    private func expectedPenalty(_ finish: FinishTimeDistribution, _ timeToDeadline: Seconds?) -> Money? {
        guard let penalty = task.sla.penalty, let timeToDeadline else { return nil }
        let terms = LatenessPenalty(
            amountPerSecond: penalty.amount.amount / penalty.perSeconds.rawValue, capAmount: penalty.cap?.amount ?? .infinity)
        return Money(terms.expected(finish, deadlineSeconds: timeToDeadline.rawValue), penalty.amount.currency)
    }
}

extension CheckpointCosts {
    /// As the planning model wants it.
    package func option(replication: Replication) -> CheckpointOption {
        CheckpointOption(
            name: codec.rawValue, stopSeconds: stopSeconds.mean, interferenceSeconds: interferenceSeconds.mean, latencySeconds: latencySeconds.mean,
            recoverySeconds: recoverySeconds.mean, sentBytes: sentBytes.mean, storedBytes: sentBytes.mean, fetchedBytes: sentBytes.mean,
            replication: replication.mean(memoryShare: memoryShare))
    }
}
