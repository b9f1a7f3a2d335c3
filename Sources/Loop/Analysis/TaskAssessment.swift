import Knowledge
import PlanningModel
import Vocabulary

/// How far a task is, how fast it goes, what a failure would cost it, and when it will have finished.
struct TaskAssessment {
    let task: TaskKnowledge
    let live: LiveView
    let rate: RateEstimate?
    let model: CostModel

    func finding(schedule: Schedule?) -> TaskFinding {
        let samples = samples
        let speed = Self.speed(samples, work: task.sla.task.workSeconds)
        let progress = progress(samples, speed)
        let costs = model.costs(of: task)
        let left = (1 - progress) * task.sla.task.workSeconds.rawValue / speed.mean
        let workLeft = Estimate(mean: left, standardError: left * speed.standardError / speed.mean, observations: speed.observations)
        let rate = rate ?? RateEstimate(perSecond: 0, standardError: 0, lowPerSecond: 0, highPerSecond: 0, failures: 0, exposureSeconds: .zero)
        let seen = live.observations[task.id]
        var finding = TaskFinding(
            task: task.id, node: task.node, epoch: task.epoch, progress: progress, speed: speed, workLeftSeconds: workLeft,
            exposedSeconds: work(from: task.resumableProgress, to: progress, speed), sinceCaptureSeconds: sinceCapture(progress, speed), costs: costs,
            failureRate: rate, merging: model.merging(of: task), forecast: nil, timeToDeadlineSeconds: task.deadline.map { $0 - live.now },
            isObservedRunning: seen.map { $0.epoch == task.epoch && $0.state != .finished && $0.state != .failed } ?? false)
        finding.forecast = forecast(finding, schedule)
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
        var slopes: [Double] = []
        for (index, earlier) in recent.enumerated() {
            for later in recent.dropFirst(index + 1) where later.at - earlier.at >= Seconds(1) {
                slopes.append((later.fraction - earlier.fraction) * work.rawValue / (later.at - earlier.at).rawValue)
            }
        }
        guard !slopes.isEmpty else { return declared }
        slopes.sort()
        // A task that stands still is not forecast to take for ever: a hundredth of its speed at least.
        let median = min(max(slopes[slopes.count / 2], 0.01), 100)
        let spread = slopes[min(slopes.count - 1, slopes.count * 3 / 4)] - slopes[slopes.count / 4]
        let error = max(spread / 1.349 / Double(recent.count).squareRoot(), 4 / (last.at - first.at).rawValue)
        let precisions = (seen: 1 / (error * error), declared: 1 / (declared.standardError * declared.standardError))
        let precision = precisions.seen + precisions.declared
        return Estimate(
            mean: (precisions.seen * median + precisions.declared * declared.mean) / precision, standardError: 1 / precision.squareRoot(),
            observations: recent.count)
    }

    private func progress(_ samples: [ProgressSample], _ speed: Estimate) -> Double {
        guard case .running = task.state else { return max(task.highestProgress, task.progressAtStart) }
        guard let last = samples.last else { return task.progressAtStart }
        let passed = max(.zero, live.now - last.at)
        return min(1, max(task.progressAtStart, last.fraction) + speed.mean * passed.rawValue / task.sla.task.workSeconds.rawValue)
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
            p99Finish: live.now + Seconds(finish.quantile(0.99)),
            probabilityMet: finding.timeToDeadlineSeconds.map { Probability(finish.probability(by: $0.rawValue)) })
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
