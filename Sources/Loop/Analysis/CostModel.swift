import Knowledge
import PlanningModel
import Vocabulary

/// What the next checkpoint of a task will cost, learnt from every checkpoint and resumption there was.
///
/// Nothing is known of the first one; the defaults are on the cautious side of what was measured with QEMU under emulation on
/// a small machine: a stop of 0.5 s, half of the memory not zero, zstd at 200 MB/s and gzip at 35 MB/s leaving half, 50 MB/s of upload.
struct CostModel {
    private let checkpoints: [CheckpointRecord]
    private let stop: RecursiveFit
    private let upload: RecursiveFit
    private let latency: RecursiveFit
    private let compress: [Codec: RecursiveFit]
    private let recover: RecursiveFit
    private let detection: Seconds
    private let merges: [MergeRecord]

    private static let mebibyte = 1_048_576.0

    init(knowledge: Knowledge, detection: Seconds) {
        checkpoints = knowledge.checkpoints
        self.detection = detection
        merges = knowledge.merges
        // Seconds against 100 MiB of memory image.
        var stop = RecursiveFit(
            priorIntercept: 0.4, priorSlopes: [0.1 / (100 * Self.mebibyte)], typical: [100 * Self.mebibyte], priorStandardError: 0.3)
        // Seconds against bytes sent.
        var upload = RecursiveFit(priorIntercept: 0.2, priorSlopes: [1 / 50e6], typical: [50 * Self.mebibyte], priorStandardError: 1)
        // Capture's own time and the commit, and whichever is longer of compression and upload.
        var latency = RecursiveFit(priorIntercept: 1, priorSlopes: [1], typical: [1], priorStandardError: 1)
        var compress: [Codec: RecursiveFit] = [
            .gzip: RecursiveFit(priorIntercept: 0, priorSlopes: [1 / 35e6], typical: [50 * Self.mebibyte], priorStandardError: 1),
            .zstd: RecursiveFit(priorIntercept: 0, priorSlopes: [1 / 200e6], typical: [50 * Self.mebibyte], priorStandardError: 0.3),
        ]
        for record in knowledge.checkpoints {
            stop.observe([Double(record.memoryBytes.rawValue)], record.stopSeconds.rawValue)
            upload.observe([Double(record.sentBytes.rawValue)], record.uploadSeconds.rawValue)
            latency.observe([max(record.uploadSeconds, record.compressSeconds).rawValue], record.latencySeconds.rawValue)
            compress[record.codec]?.observe([Double(record.nonZeroBytes.rawValue)], record.compressSeconds.rawValue)
        }
        // Fetch at 100 MB/s, and two seconds to restore.
        var recover = RecursiveFit(priorIntercept: 2, priorSlopes: [1 / 100e6], typical: [50 * Self.mebibyte], priorStandardError: 2)
        for record in knowledge.resumptions where record.checkpoint != nil {
            recover.observe([Double(record.fetchedBytes.rawValue)], (record.fetchSeconds + record.restoreSeconds).rawValue)
        }
        self.stop = stop
        self.upload = upload
        self.latency = latency
        self.compress = compress
        self.recover = recover
    }

    func costs(of task: TaskKnowledge) -> [CheckpointCosts] { Codec.allCases.map { costs(of: task, codec: $0) } }

    private func costs(of task: TaskKnowledge, codec: Codec) -> CheckpointCosts {
        // The base system goes with the first checkpoint only and would mislead about the next ones.
        let own = checkpoints.filter { $0.task == task.id && !$0.includedBase }
        let content = learnt(
            own.map { Double($0.nonZeroBytes.rawValue) }, prior: 0.5 * Double(task.sla.task.memoryBytes.rawValue), spread: 0.25)
        let memory = learnt(own.map { Double($0.memoryBytes.rawValue) }, prior: content.mean, spread: 0.25)
        let whole = own.suffix(10).map { (memory: Double($0.memoryBytes.rawValue), all: Double(($0.memoryBytes + $0.diskBytes).rawValue)) }
        let bytes = whole.reduce(0) { $0 + $1.all }
        // Nothing seen: images of memory are large, and deltas small.
        let memoryShare = bytes > 0 ? whole.reduce(0) { $0 + $1.memory } / bytes : 0.9
        let sent = product(content, ratio(of: codec, own: own))
        let compressing = compress[codec].map { predicted($0, [content.mean]) } ?? Estimate(mean: 0, standardError: 0, observations: 0)
        let uploading = predicted(upload, [sent.mean])
        let durable = predicted(latency, [max(compressing.mean, uploading.mean)])
        let recovering = predicted(recover, [sent.mean])
        return CheckpointCosts(
            codec: codec, stopSeconds: predicted(stop, [memory.mean]),
            // Not observed on its own: a twentieth of the time that compression and upload run behind the guest.
            interferenceSeconds: Estimate(mean: 0.05 * durable.mean, standardError: 0.05 * durable.mean, observations: 0), latencySeconds: durable,
            recoverySeconds: Estimate(
                mean: recovering.mean + detection.rawValue, standardError: recovering.standardError, observations: recovering.observations),
            sentBytes: sent, memoryShare: memoryShare, compressSeconds: compressing, uploadSeconds: uploading)
    }

    /// Of the task's own merges; of everybody's where it has none.
    func merging(of task: TaskKnowledge) -> MergeCosts {
        let own = merges.filter { $0.task == task.id && $0.bytesBefore > .zero }
        let seen = own.isEmpty ? merges.filter { $0.bytesBefore > .zero } : own
        let unknown = MergeCosts()
        return MergeCosts(
            shrink: learnt(
                seen.map { min(1, Double($0.bytesAfter.rawValue) / Double($0.bytesBefore.rawValue)) }, prior: unknown.shrink.mean, spread: 0.25),
            secondsPerMebibyte: learnt(
                seen.map { $0.elapsedSeconds.rawValue / $0.bytesBefore.mebibytes }, prior: unknown.secondsPerMebibyte.mean, spread: 1))
    }

    /// Bytes sent for each byte that is not zero.
    private func ratio(of codec: Codec, own: [CheckpointRecord]) -> Estimate {
        func ratios(_ records: [CheckpointRecord]) -> [Double] {
            records.filter { $0.codec == codec && $0.nonZeroBytes > .zero && !$0.includedBase }
                .map { Double($0.sentBytes.rawValue) / Double($0.nonZeroBytes.rawValue) }
        }
        let seen = ratios(own)
        return learnt(seen.isEmpty ? ratios(checkpoints) : seen, prior: codec == .none ? 1 : 0.5, spread: codec == .none ? 0.01 : 0.3)
    }

    /// - Parameter spread: how far off the prior may be, as a share of it.
    private func learnt(_ values: [Double], prior: Double, spread: Double) -> Estimate {
        var fit = RecursiveFit(priorIntercept: prior, priorStandardError: max(prior * spread, 1e-6))
        for value in values { fit.observe([], value) }
        return predicted(fit, [])
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
