/// What is recorded of checkpoints: each cost as it happened.

/// How memory and disk of one instant were got.
package enum CaptureWay: String, Hashable, Sendable, Codable {
    /// The guest stops for the state of its devices alone; then it runs, and each page of memory is saved as it was before it changes.
    case backgroundSnapshot
    /// An external snapshot of memory and disk for which the guest stands still.
    case pausedSnapshot
    /// A live external snapshot: the guest runs while memory is copied, and stops for the last of it.
    case liveSnapshot
    /// Pause, save, restore in place.
    case saveRestore
    /// Xen: the guest runs while memory is copied, is suspended for the last of it and for its disk, and goes on where it is.
    case liveSuspend
    /// Xen: the guest is suspended while memory is copied, and goes on where it is.
    case suspendResume
}

/// A committed checkpoint, as the ledger knows it. The store's manifest says more (docs/format.md).
package struct CheckpointRecord: Hashable, Sendable, Codable {
    package var id: CheckpointID
    package var task: TaskID
    package var node: NodeID
    package var epoch: Epoch
    package var parent: CheckpointID?
    package var capturedAt: Timestamp
    package var committedAt: Timestamp
    package var way: CaptureWay
    /// The task's progress when it was captured, 0 to 1, if known.
    package var progress: Double?
    /// The guest stood still, as the hypervisor's calls saw it.
    package var stopSeconds: Seconds
    /// From the capture's start until the manifest was committed.
    package var latencySeconds: Seconds
    /// Compression and upload, overlapped; the time spent in each alone.
    package var uploadSeconds: Seconds
    package var compressSeconds: Seconds
    package var memoryBytes: ByteCount
    package var diskBytes: ByteCount
    /// Bytes in it that are not zero.
    package var nonZeroBytes: ByteCount
    /// After compression, before replication.
    package var sentBytes: ByteCount
    package var codec: Codec
    package var replication: Replication
    /// Sent bytes times the copies of each; unknown of checkpoints of earlier versions.
    package var storedBytes: ByteCount?
    /// True when the upload included the base system, which is stored once.
    package var includedBase: Bool
    /// The order that it answers.
    package var order: OrderID
    /// What each of its disk layers takes in the store, before replication, lowest first; nil where format 1 does not say.
    package var layerBytes: [ByteCount]?
    /// What its base and delta are united by; nil: the guest has not told.
    package var union: MountedUnion?
    /// What other codecs than its own would have made of samples of its content; nil: nothing was sampled.
    package var sampledRatios: [SampledRatio]?

    package init(
        id: CheckpointID, task: TaskID, node: NodeID, epoch: Epoch, parent: CheckpointID?, capturedAt: Timestamp, committedAt: Timestamp,
        way: CaptureWay, progress: Double?, stopSeconds: Seconds, latencySeconds: Seconds, uploadSeconds: Seconds, compressSeconds: Seconds,
        memoryBytes: ByteCount, diskBytes: ByteCount, nonZeroBytes: ByteCount, sentBytes: ByteCount, codec: Codec, replication: Replication,
        storedBytes: ByteCount? = nil, includedBase: Bool, order: OrderID, layerBytes: [ByteCount]? = nil,
        union: MountedUnion? = nil, sampledRatios: [SampledRatio]? = nil
    ) {
        self.id = id
        self.task = task
        self.node = node
        self.epoch = epoch
        self.parent = parent
        self.capturedAt = capturedAt
        self.committedAt = committedAt
        self.way = way
        self.progress = progress
        self.stopSeconds = stopSeconds
        self.latencySeconds = latencySeconds
        self.uploadSeconds = uploadSeconds
        self.compressSeconds = compressSeconds
        self.memoryBytes = memoryBytes
        self.diskBytes = diskBytes
        self.nonZeroBytes = nonZeroBytes
        self.sentBytes = sentBytes
        self.codec = codec
        self.replication = replication
        self.storedBytes = storedBytes
        self.includedBase = includedBase
        self.order = order
        self.layerBytes = layerBytes
        self.union = union
        self.sampledRatios = sampledRatios
    }
}

/// Bytes out of a codec for each byte that went in, at most 1: what grows is kept as it is.
package struct SampledRatio: Hashable, Sendable, Codable {
    package var codec: Codec
    package var ratio: Double
    package init(codec: Codec, ratio: Double) {
        self.codec = codec
        self.ratio = ratio
    }
}

/// Layers of a running task's disk merged, and what it took.
package struct MergeRecord: Hashable, Sendable, Codable {
    package var task: TaskID
    package var node: NodeID
    package var epoch: Epoch
    /// Layers before and after, the one in use among them.
    package var layersBefore: Int
    package var layersAfter: Int
    /// Files of those that became one, and that one.
    package var bytesBefore: ByteCount
    package var bytesAfter: ByteCount
    package var elapsedSeconds: Seconds
    package init(
        task: TaskID, node: NodeID, epoch: Epoch, layersBefore: Int, layersAfter: Int, bytesBefore: ByteCount, bytesAfter: ByteCount,
        elapsedSeconds: Seconds
    ) {
        self.task = task
        self.node = node
        self.epoch = epoch
        self.layersBefore = layersBefore
        self.layersAfter = layersAfter
        self.bytesBefore = bytesBefore
        self.bytesAfter = bytesAfter
        self.elapsedSeconds = elapsedSeconds
    }
}

/// A task resumed from a checkpoint, and what it took.
package struct ResumeRecord: Hashable, Sendable, Codable {
    package var task: TaskID
    package var node: NodeID
    package var epoch: Epoch
    /// nil: there was no checkpoint, the task was started again from its beginning.
    package var checkpoint: CheckpointID?
    package var fetchSeconds: Seconds
    package var restoreSeconds: Seconds
    package var fetchedBytes: ByteCount
    package init(
        task: TaskID, node: NodeID, epoch: Epoch, checkpoint: CheckpointID?, fetchSeconds: Seconds, restoreSeconds: Seconds, fetchedBytes: ByteCount
    ) {
        self.task = task
        self.node = node
        self.epoch = epoch
        self.checkpoint = checkpoint
        self.fetchSeconds = fetchSeconds
        self.restoreSeconds = restoreSeconds
        self.fetchedBytes = fetchedBytes
    }
}
