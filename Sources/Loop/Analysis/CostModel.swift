import Knowledge
import PlanningModel
import Vocabulary

/// What the next checkpoint of a task will cost, by what was folded of all checkpoints and resumptions there were (`CostHistory`).
struct CostModel {
    private let history: CostHistory
    private let detection: Seconds

    init(knowledge: Knowledge, detection: Seconds) {
        history = knowledge.costs
        self.detection = detection
    }

    func costs(of task: TaskKnowledge) -> [CheckpointCosts] {
        let own = task.costs
        let content = content(of: task)
        let memory = predicted(own.memoryBytes, prior: content.mean, spread: 0.25)
        let disk = predicted(own.diskBytes, prior: 0, spread: 0)
        let bytes = own.memoryBytes.total + own.diskBytes.total
        // Nothing seen: images of memory are large, and deltas small.
        let memoryShare = bytes > 0 ? own.memoryBytes.total / bytes : 0.9
        let others = history.concurrency.predict(prior: 0, standardError: 0.5).value
        let stop = predicted(history.stop, [memory.mean, disk.mean])
        return Codec.allCases.map { codec in
            let sent = product(content, ratio(of: codec, own))
            let compressing =
                history.compress[codec].map { predicted($0, CostHistory.shared(content.mean, beside: others)) }
                ?? Estimate(mean: 0, standardError: 0, observations: 0)
            let uploading = predicted(history.upload, CostHistory.shared(sent.mean, beside: others))
            let durable = predicted(history.latency, [max(compressing.mean, uploading.mean)])
            let recovering = predicted(history.recover, [sent.mean])
            return CheckpointCosts(
                codec: codec, stopSeconds: stop,
                // Not observed on its own: a twentieth of the time that compression and upload run behind the guest.
                interferenceSeconds: Estimate(mean: 0.05 * durable.mean, standardError: 0.05 * durable.mean, observations: 0),
                latencySeconds: durable,
                recoverySeconds: Estimate(
                    mean: recovering.mean + detection.rawValue, standardError: recovering.standardError, observations: recovering.observations),
                sentBytes: sent, memoryShare: memoryShare, compressSeconds: compressing, uploadSeconds: uploading)
        }
    }

    /// Of the task's own merges; of everybody's where it has none.
    func merging(of task: TaskKnowledge) -> MergeCosts {
        let seen = task.costs.merging.shrink.observations > 0 ? task.costs.merging : history.merging
        let unknown = MergeCosts()
        return MergeCosts(
            shrink: predicted(seen.shrink, prior: unknown.shrink.mean, spread: 0.25),
            secondsPerMebibyte: predicted(seen.secondsPerMebibyte, prior: unknown.secondsPerMebibyte.mean, spread: 1))
    }

    /// What the guest will have written when the next one is taken: as much as before the others, or what it has written already.
    private func dirtyBytes(of task: TaskKnowledge) -> Double {
        let now = task.dirtyBytes.map { Double($0.rawValue) } ?? 0
        return task.costs.firstDirtyBytes.map { max(now, predicted(task.costs.dirtyBytes, prior: $0, spread: 0.5).mean) } ?? now
    }

    /// Bytes that are not zero: those that are there each time, mostly memory, and those that were written since the checkpoint before.
    private func content(of task: TaskKnowledge) -> Estimate {
        predicted(
            task.costs.content ?? TaskCostHistory.unknownContent(task.sla.task),
            [min(dirtyBytes(of: task), Double(task.sla.task.deltaBytes.rawValue))])
    }

    /// Bytes sent for each byte that is not zero: the task's own; everybody's where it has none with this codec.
    private func ratio(of codec: Codec, _ own: TaskCostHistory) -> Estimate {
        predicted(
            own.ratios[codec] ?? history.ratios[codec] ?? FadingMean(), prior: codec == .none ? 1 : 0.5, spread: codec == .none ? 0.01 : 0.3)
    }

    /// - Parameter spread: how far off the prior may be, as a share of it.
    private func predicted(_ mean: FadingMean, prior: Double, spread: Double) -> Estimate {
        let prediction = mean.predict(prior: prior, standardError: max(prior * spread, 1e-6))
        return Estimate(mean: max(0, prediction.value), standardError: prediction.standardError, observations: mean.observations)
    }

    private func predicted(_ fit: RecursiveFit, _ inputs: [Double]) -> Estimate {
        let prediction = fit.predictNonNegative(inputs)
        return Estimate(mean: prediction.value, standardError: prediction.standardError, observations: fit.observations)
    }

    private func product(_ a: Estimate, _ b: Estimate) -> Estimate {
        let relative = (a.standardError / max(a.mean, 1e-9), b.standardError / max(b.mean, 1e-9))
        let mean = a.mean * b.mean
        return Estimate(
            mean: mean, standardError: mean * (relative.0 * relative.0 + relative.1 * relative.1).squareRoot(),
            observations: min(a.observations, b.observations))
    }
}
