import Knowledge
import PlanningModel
import Vocabulary

/// What the next checkpoint of a task will cost, learnt from every checkpoint and resumption there was, the newest most.
///
/// Nothing is known of the first one; the defaults are on the cautious side of what was measured with QEMU under emulation on
/// a small machine: a stop of 0.5 s, half of the memory not zero, zstd at 200 MB/s and gzip at 35 MB/s leaving half, 50 MB/s of upload.
///
/// Uploads that run at the same time share the store's link, and their tasks a node's cores, by how much is learnt: a time goes with bytes·(1 + n/2), as
/// if half of what n others take were missing, and with bytes·n/2 for as much more or less as is seen.
struct CostModel {
    private let own: [TaskID: [Observation]]
    private let all: ArraySlice<Observation>
    private let stop: RecursiveFit
    private let upload: RecursiveFit
    private let latency: RecursiveFit
    private let concurrency: RecursiveFit
    private let compress: [Codec: RecursiveFit]
    private let recover: RecursiveFit
    private let detection: Seconds
    private let merges: [MergeRecord]

    private struct Observation {
        var record: CheckpointRecord
        var around: Knowledge.Circumstances
    }

    private static let mebibyte = 1_048_576.0
    /// What is older weighs less than a ten-millionth (0.95³²⁰).
    private static let remembered = 320

    init(knowledge: Knowledge, detection: Seconds) {
        self.detection = detection
        merges = knowledge.merges
        let observations = zip(knowledge.checkpoints, knowledge.circumstances).map { Observation(record: $0, around: $1) }
        own = Dictionary(grouping: observations, by: \.record.task)
        all = observations.suffix(Self.remembered)
        // Seconds against 100 MiB of memory image, and of what the delta took in.
        var stop = RecursiveFit(
            priorIntercept: 0.4, priorSlopes: [0.1 / (100 * Self.mebibyte), 0], typical: [100 * Self.mebibyte, 100 * Self.mebibyte],
            priorStandardError: 0.3)
        // Seconds against bytes sent, alone and beside others.
        var upload = RecursiveFit(
            priorIntercept: 0.2, priorSlopes: [1 / 50e6, 0], typical: [50 * Self.mebibyte, 50 * Self.mebibyte], priorStandardError: 1)
        // Capture's own time and the commit, and whichever is longer of compression and upload.
        var latency = RecursiveFit(priorIntercept: 1, priorSlopes: [1], typical: [1], priorStandardError: 1)
        var concurrency = RecursiveFit(priorIntercept: 0, priorStandardError: 0.5)
        var compress: [Codec: RecursiveFit] = [
            .gzip: RecursiveFit(
                priorIntercept: 0, priorSlopes: [1 / 35e6, 0], typical: [50 * Self.mebibyte, 50 * Self.mebibyte], priorStandardError: 1),
            .zstd: RecursiveFit(
                priorIntercept: 0, priorSlopes: [1 / 200e6, 0], typical: [50 * Self.mebibyte, 50 * Self.mebibyte], priorStandardError: 0.3),
        ]
        for observation in all {
            let (record, others) = (observation.record, observation.around.concurrentUploads)
            stop.observe([Double(record.memoryBytes.rawValue), Double(record.diskBytes.rawValue)], record.stopSeconds.rawValue)
            upload.observe(Self.shared(Double(record.sentBytes.rawValue), others), record.uploadSeconds.rawValue)
            latency.observe([max(record.uploadSeconds, record.compressSeconds).rawValue], record.latencySeconds.rawValue)
            concurrency.observe(others)
            compress[record.codec]?.observe(Self.shared(Double(record.nonZeroBytes.rawValue), others), record.compressSeconds.rawValue)
        }
        // Fetch at 100 MB/s, and two seconds to restore.
        var recover = RecursiveFit(priorIntercept: 2, priorSlopes: [1 / 100e6], typical: [50 * Self.mebibyte], priorStandardError: 2)
        for record in knowledge.resumptions.suffix(Self.remembered) where record.checkpoint != nil {
            recover.observe([Double(record.fetchedBytes.rawValue)], (record.fetchSeconds + record.restoreSeconds).rawValue)
        }
        self.stop = stop
        self.upload = upload
        self.latency = latency
        self.concurrency = concurrency
        self.compress = compress
        self.recover = recover
    }

    private static func shared(_ bytes: Double, _ others: Double) -> [Double] { [bytes * (1 + others / 2), bytes * others / 2] }

    func costs(of task: TaskKnowledge) -> [CheckpointCosts] { Codec.allCases.map { costs(of: task, codec: $0) } }

    private func costs(of task: TaskKnowledge, codec: Codec) -> CheckpointCosts {
        // The base system goes with the first checkpoint only and would mislead about the next ones.
        let own = (own[task.id] ?? []).filter { !$0.record.includedBase }.suffix(Self.remembered)
        let records = own.map(\.record)
        let dirty = dirtyBytes(of: task, own)
        let content = content(of: task, own, dirty: dirty)
        let memory = learnt(records.map { Double($0.memoryBytes.rawValue) }, prior: content.mean, spread: 0.25)
        let disk = learnt(records.map { Double($0.diskBytes.rawValue) }, prior: 0, spread: 0)
        let whole = records.suffix(10).map { (memory: Double($0.memoryBytes.rawValue), all: Double(($0.memoryBytes + $0.diskBytes).rawValue)) }
        let bytes = whole.reduce(0) { $0 + $1.all }
        // Nothing seen: images of memory are large, and deltas small.
        let memoryShare = bytes > 0 ? whole.reduce(0) { $0 + $1.memory } / bytes : 0.9
        let others = predicted(concurrency, []).mean
        let sent = product(content, ratio(of: codec, own: records))
        let compressing =
            compress[codec].map { predicted($0, Self.shared(content.mean, others)) } ?? Estimate(mean: 0, standardError: 0, observations: 0)
        let uploading = predicted(upload, Self.shared(sent.mean, others))
        let durable = predicted(latency, [max(compressing.mean, uploading.mean)])
        let recovering = predicted(recover, [sent.mean])
        return CheckpointCosts(
            codec: codec, stopSeconds: predicted(stop, [memory.mean, disk.mean]),
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

    /// What the guest will have written when the next one is taken: as much as before the others, or what it has written already.
    private func dirtyBytes(of task: TaskKnowledge, _ own: ArraySlice<Observation>) -> Double {
        let seen = own.compactMap { $0.around.dirtyBytes.map { Double($0.rawValue) } }
        let now = task.dirtyBytes.map { Double($0.rawValue) } ?? 0
        return seen.isEmpty ? now : max(now, learnt(seen, prior: seen[0], spread: 0.5).mean)
    }

    /// Bytes that are not zero: those that are there each time, mostly memory, and those that were written since the checkpoint before.
    private func content(of task: TaskKnowledge, _ own: ArraySlice<Observation>, dirty: Double) -> Estimate {
        let memory = 0.5 * Double(task.sla.task.memoryBytes.rawValue)
        // A byte of the delta written counts once, at first; how often really (over and over the same, or as zeros) is learnt.
        var fit = RecursiveFit(
            priorIntercept: memory, priorSlopes: [1], typical: [50 * Self.mebibyte], priorStandardError: max(memory * 0.25, 1e-6))
        for observation in own {
            fit.observe([Double((observation.around.dirtyBytes ?? .zero).rawValue)], Double(observation.record.nonZeroBytes.rawValue))
        }
        return predicted(fit, [min(dirty, Double(task.sla.task.deltaBytes.rawValue))])
    }

    /// Bytes sent for each byte that is not zero.
    private func ratio(of codec: Codec, own: [CheckpointRecord]) -> Estimate {
        func ratios(_ records: [CheckpointRecord]) -> [Double] {
            records.filter { $0.codec == codec && $0.nonZeroBytes > .zero && !$0.includedBase }
                .map { Double($0.sentBytes.rawValue) / Double($0.nonZeroBytes.rawValue) }
        }
        let seen = ratios(own)
        return learnt(seen.isEmpty ? ratios(all.map(\.record)) : seen, prior: codec == .none ? 1 : 0.5, spread: codec == .none ? 0.01 : 0.3)
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
