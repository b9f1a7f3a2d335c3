import Analysis
import Knowledge
import Vocabulary

/// A history of nodes and one task, told as events.
struct History {
    var records: [EventRecord] = []
    var fleet: Fleet
    private var incarnations = 0

    static let task = TaskID("t-1")
    static let capabilities = HypervisorCapabilities(uri: "", driver: "QEMU", version: "7", acceleration: .emulation, captureWays: [])

    init(nodes: [Fleet.Node], mtbf: Seconds = .hours(24 * 30), weight: Double = 1) {
        fleet = Fleet(
            name: "f", nodes: nodes, store: .directory("/s"), imagesDirectory: "/i", defaults: .init(priorMTBFSeconds: mtbf, priorWeight: weight))
    }

    mutating func happen(_ event: Event, at seconds: Double) {
        records.append(EventRecord(sequence: Int64(records.count + 1), at: Timestamp(seconds), source: .manager, event: event))
    }

    mutating func join(_ node: String, at seconds: Double, uptime: Double? = nil) {
        incarnations += 1
        happen(
            .nodeJoined(
                node: NodeID(node), incarnation: Incarnation("\(incarnations)"), hypervisor: Self.capabilities,
                uptimeSeconds: uptime.map { Seconds($0) }), at: seconds)
    }

    mutating func lose(_ node: String, at seconds: Double) {
        happen(.nodeLost(node: NodeID(node), phi: 9, silentSeconds: .zero), at: seconds)
    }

    mutating func submit(work: Double, at seconds: Double = 0, on node: String = "a") {
        let spec = TaskSpec(image: "demo", memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(256), run: "x", workSeconds: Seconds(work))
        let sla = TaskSLA(
            name: "t", labels: [:], task: spec, progress: .cpuTime, deadline: nil, limits: Limits(), preference: .named("balanced"), policy: "p")
        happen(
            .taskSubmitted(
                TaskSubmission(
                    task: Self.task, sla: sla, version: DocumentVersion(name: "t", digest: "sha256:t"), submittedAt: Timestamp(seconds))), at: seconds
        )
        happen(.taskPlaced(task: Self.task, epoch: .first, node: NodeID(node)), at: seconds)
        happen(.taskStarted(task: Self.task, epoch: .first, node: NodeID(node)), at: seconds)
    }

    mutating func sample(_ fraction: Double, at seconds: Double, epoch: Epoch = .first, written: ByteCount = .zero) {
        happen(
            .progressSeen(
                ProgressSample(
                    task: Self.task, epoch: epoch, node: NodeID("a"), at: Timestamp(seconds), fraction: fraction, cpuSeconds: .zero,
                    blockWrittenBytes: written)), at: seconds)
    }

    /// A checkpoint that is captured and committed after `upload` seconds.
    mutating func checkpoint(
        _ number: Int, of task: TaskID = History.task, captured: Double, upload: Double, sent: ByteCount, nonZero: ByteCount, disk: ByteCount = .zero,
        commit: Bool = true, sampled: [SampledRatio]? = nil
    ) {
        let order = OrderID("o\(task)-\(number)")
        let id = CheckpointID(epoch: .first, number: number)
        let node = NodeID("a")
        happen(
            .checkpointOrdered(task: task, epoch: .first, node: node, order: order, CheckpointOrder(codec: .zstd, replication: 1), decision: nil),
            at: captured - 0.1)
        happen(.checkpointStarted(task: task, epoch: .first, checkpoint: id, node: node, order: order), at: captured - 0.1)
        happen(.checkpointCaptured(task: task, epoch: .first, checkpoint: id, stopSeconds: Seconds(0.1), progress: nil), at: captured)
        guard commit else { return }
        happen(
            .checkpointCommitted(
                CheckpointRecord(
                    id: id, task: task, node: node, epoch: .first, parent: nil, capturedAt: Timestamp(captured),
                    committedAt: Timestamp(captured + upload), way: .liveSnapshot, progress: nil, stopSeconds: Seconds(0.1),
                    latencySeconds: Seconds(upload + 0.5), uploadSeconds: Seconds(upload), compressSeconds: Seconds(0.2), memoryBytes: .mebibytes(90),
                    diskBytes: disk, nonZeroBytes: nonZero, sentBytes: sent, codec: .zstd, replication: 1, includedBase: false, order: order,
                    sampledRatios: sampled)),
            at: captured + upload)
    }

    var knowledge: Knowledge { Knowledge().folding(records) }

    func findings(at now: Double, observed: Bool = true) -> Findings {
        Analysis.assess(
            knowledge,
            live: LiveView(
                now: Timestamp(now), managerSince: Timestamp(now),
                observations: observed
                    ? [Self.task: TaskObservation(task: Self.task, epoch: .first, state: .running, sample: nil, checkpointing: nil)] : [:]),
            fleet: fleet, schedules: [:])
    }
}
