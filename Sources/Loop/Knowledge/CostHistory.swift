import PlanningModel
import Vocabulary

/// What surrounds a checkpoint, and its costs depend on besides its own sizes.
package struct Circumstances: Hashable, Sendable {
    /// Other tasks' uploads that were under way, the mean of when it was captured and when it was committed.
    package var concurrentUploads: Double
    /// Written by the guest since the capture before it, or since this life began; nil where that was not seen.
    package var dirtyBytes: ByteCount?
    package init(concurrentUploads: Double = 0, dirtyBytes: ByteCount? = nil) {
        self.concurrentUploads = concurrentUploads
        self.dirtyBytes = dirtyBytes
    }
}

/// What checkpoints, resumptions and merges of all tasks have cost, folded one by one, the newest weighing most: nothing has to be gone through
/// again to predict the next one, however many there were.
///
/// Nothing is known of the first one; the defaults are on the cautious side of what was measured with QEMU under emulation on
/// a small machine: a stop of 0.5 s, zstd at 200 MB/s and gzip at 35 MB/s, 50 MB/s of upload.
///
/// Uploads that run at the same time share the store's link, and their tasks a node's cores, by how much is learnt: a time goes with bytes·(1 + n/2), as
/// if half of what n others take were missing, and with bytes·n/2 for as much more or less as is seen.
package struct CostHistory: Hashable, Sendable {
    private static let mebibyte = 1_048_576.0

    /// Seconds against the memory image, and what the delta took in, bytes.
    package private(set) var stop = RecursiveFit(
        priorIntercept: 0.4, priorSlopes: [0.1 / (100 * mebibyte), 0], typical: [100 * mebibyte, 100 * mebibyte], priorStandardError: 0.3)
    /// Seconds against bytes sent, alone and beside others (`shared`).
    package private(set) var upload = RecursiveFit(
        priorIntercept: 0.2, priorSlopes: [1 / 50e6, 0], typical: [50 * mebibyte, 50 * mebibyte], priorStandardError: 1)
    /// Capture's own time and the commit, and whichever is longer of compression and upload, seconds.
    package private(set) var latency = RecursiveFit(priorIntercept: 1, priorSlopes: [1], typical: [1], priorStandardError: 1)
    /// Other uploads beside one.
    package private(set) var concurrency = FadingMean()
    /// Seconds against bytes that are not zero, alone and beside others.
    package private(set) var compress: [Codec: RecursiveFit] = [
        .gzip: RecursiveFit(
            priorIntercept: 0, priorSlopes: [1 / 35e6, 0], typical: [50 * mebibyte, 50 * mebibyte], priorStandardError: 1),
        .zstd: RecursiveFit(
            priorIntercept: 0, priorSlopes: [1 / 200e6, 0], typical: [50 * mebibyte, 50 * mebibyte], priorStandardError: 0.3),
    ]
    /// Seconds against bytes fetched: 100 MB/s, and two seconds to restore.
    package private(set) var recover = RecursiveFit(
        priorIntercept: 2, priorSlopes: [1 / 100e6], typical: [50 * mebibyte], priorStandardError: 2)
    /// Bytes sent for each byte that is not zero; of codecs that were not used by samples.
    package private(set) var ratios: [Codec: FadingMean] = [:]
    package private(set) var merging = MergeHistory()

    init() {}

    /// Bytes as the fits of times want them.
    package static func shared(_ bytes: Double, beside others: Double) -> [Double] { [bytes * (1 + others / 2), bytes * others / 2] }

    mutating func observe(_ record: CheckpointRecord, _ around: Circumstances) {
        let others = around.concurrentUploads
        stop.observe([Double(record.memoryBytes.rawValue), Double(record.diskBytes.rawValue)], record.stopSeconds.rawValue)
        upload.observe(Self.shared(Double(record.sentBytes.rawValue), beside: others), record.uploadSeconds.rawValue)
        latency.observe([max(record.uploadSeconds, record.compressSeconds).rawValue], record.latencySeconds.rawValue)
        concurrency.observe(others)
        compress[record.codec]?.observe(Self.shared(Double(record.nonZeroBytes.rawValue), beside: others), record.compressSeconds.rawValue)
        for (codec, ratio) in record.ratios { ratios[codec, default: FadingMean()].observe(ratio) }
    }

    mutating func observe(_ record: ResumeRecord) {
        guard record.checkpoint != nil else { return }
        recover.observe([Double(record.fetchedBytes.rawValue)], (record.fetchSeconds + record.restoreSeconds).rawValue)
    }

    mutating func observe(_ merge: MergeRecord) { merging.observe(merge) }
}

/// What merges of layers made of them.
package struct MergeHistory: Hashable, Sendable {
    /// Merged over unmerged size.
    package private(set) var shrink = FadingMean()
    package private(set) var secondsPerMebibyte = FadingMean()

    mutating func observe(_ merge: MergeRecord) {
        guard merge.bytesBefore > .zero, merge.layersAfter < merge.layersBefore else { return }
        shrink.observe(min(1, Double(merge.bytesAfter.rawValue) / Double(merge.bytesBefore.rawValue)))
        secondsPerMebibyte.observe(merge.elapsedSeconds.rawValue / merge.bytesBefore.mebibytes)
    }
}

/// What one task's own checkpoints consisted of. Those that took the base system along, which goes with the first one only, would mislead
/// about the next ones and are left out.
package struct TaskCostHistory: Hashable, Sendable {
    package private(set) var memoryBytes = FadingMean()
    package private(set) var diskBytes = FadingMean()
    /// Written between two captures.
    package private(set) var dirtyBytes = FadingMean()
    package private(set) var firstDirtyBytes: Double?
    /// Bytes that are not zero against bytes written; nil before the first one.
    package private(set) var content: RecursiveFit?
    package private(set) var ratios: [Codec: FadingMean] = [:]
    package private(set) var merging = MergeHistory()

    init() {}

    /// Bytes that are not zero, of a guest of which nothing is known: half of its memory; a byte of the delta written counts once. How often
    /// really (over and over the same, or as zeros) is learnt.
    package static func unknownContent(_ task: TaskSpec) -> RecursiveFit {
        let memory = 0.5 * Double(task.memoryBytes.rawValue)
        return RecursiveFit(
            priorIntercept: memory, priorSlopes: [1], typical: [50 * 1_048_576], priorStandardError: max(memory * 0.25, 1e-6))
    }

    mutating func observe(_ record: CheckpointRecord, _ around: Circumstances, of task: TaskSpec) {
        guard !record.includedBase else { return }
        memoryBytes.observe(Double(record.memoryBytes.rawValue))
        diskBytes.observe(Double(record.diskBytes.rawValue))
        if let dirty = around.dirtyBytes.map({ Double($0.rawValue) }) {
            if firstDirtyBytes == nil { firstDirtyBytes = dirty }
            dirtyBytes.observe(dirty)
        }
        var content = content ?? Self.unknownContent(task)
        content.observe([Double((around.dirtyBytes ?? .zero).rawValue)], Double(record.nonZeroBytes.rawValue))
        self.content = content
        for (codec, ratio) in record.ratios { ratios[codec, default: FadingMean()].observe(ratio) }
    }

    mutating func observe(_ merge: MergeRecord) { merging.observe(merge) }
}

extension CheckpointRecord {
    /// Bytes sent for each byte that is not zero, and what they would have been with other codecs; none where that says nothing about the next one.
    fileprivate var ratios: [(codec: Codec, ratio: Double)] {
        guard nonZeroBytes > .zero, !includedBase else { return [] }
        return [(codec, Double(sentBytes.rawValue) / Double(nonZeroBytes.rawValue))]
            + (sampledRatios ?? []).filter { $0.codec != codec }.map { ($0.codec, $0.ratio) }
    }
}
