import Analysis
import Knowledge
import Planning
import Vocabulary

/// A small world to plan in: events are folded, heartbeats are given, and the plan is made as the manager makes it.
struct Scene {
    var records: [EventRecord] = []
    var now = Timestamp(1_000)
    var fleet: Fleet
    var heard: [NodeID: Timestamp] = [:]
    var observations: [TaskID: TaskObservation] = [:]
    var schedules: [TaskID: Schedule] = [:]
    var policy: CheckpointPolicy

    static let prices = [
        "finish-sooner": Prices(timePerHour: 10, networkPerGiB: 0.01, storagePerGiBHour: 0.0001),
        "balanced": Prices(timePerHour: 1, networkPerGiB: 0.01, storagePerGiBHour: 0.0001),
        "save-network": Prices(timePerHour: 0.2, networkPerGiB: 0.5, storagePerGiBHour: 0.0001),
    ]

    init(nodes: [String] = ["a", "b"], mtbf: Seconds = .hours(24 * 30), settings: CheckpointPolicy.Settings = .init(floorSeconds: Seconds(5))) {
        fleet = Fleet(
            name: "f", nodes: nodes.map { Fleet.Node(id: NodeID($0)) }, store: .directory("/s"), imagesDirectory: "/i",
            defaults: .init(priorMTBFSeconds: mtbf))
        policy = CheckpointPolicy(name: "default", currency: "EUR", preferences: Self.prices, settings: settings)
        happen(.policyLoaded(policy, version: DocumentVersion(name: "default", digest: "sha256:p")), at: 0)
        for node in fleet.nodes {
            happen(.nodeJoined(node: node.id, incarnation: Incarnation("1"), hypervisor: Self.capabilities), at: 900)
            heard[node.id] = now
        }
    }

    static let capabilities = HypervisorCapabilities(
        uri: "", driver: "QEMU", version: "7", acceleration: .emulation, captureWays: [.liveSnapshot])

    mutating func happen(_ event: Event, at seconds: Double? = nil) {
        records.append(
            EventRecord(sequence: Int64(records.count + 1), at: seconds.map { Timestamp($0) } ?? now, source: .manager, event: event))
    }

    @discardableResult
    mutating func submit(
        _ name: String = "t-1", work: Double = 120, preference: Preference = .named("balanced"), limits: Limits = Limits(), deadline: Deadline? = nil,
        labels: [String: String] = [:], policy: String = "default"
    ) -> TaskID {
        let task = TaskID(name)
        let spec = TaskSpec(image: "demo", memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "hashchain", workSeconds: Seconds(work))
        let sla = TaskSLA(
            name: name, labels: labels, task: spec, progress: .cpuTime, deadline: deadline, limits: limits, preference: preference, policy: policy)
        happen(
            .taskSubmitted(
                TaskSubmission(task: task, sla: sla, version: DocumentVersion(name: name, digest: "sha256:\(name)"), submittedAt: now)))
        return task
    }

    /// Running on `node` since `seconds` ago, at the declared speed.
    mutating func run(_ task: TaskID, on node: String, for seconds: Double, of work: Double = 120) {
        let start = now.rawValue - seconds
        happen(.taskPlaced(task: task, epoch: .first, node: NodeID(node)), at: start)
        happen(.taskStarted(task: task, epoch: .first, node: NodeID(node)), at: start)
        sample(task, node, since: start, of: work)
    }

    mutating func sample(_ task: TaskID, _ node: String, epoch: Epoch = .first, since start: Double, from: Double = 0, of work: Double = 120) {
        var time = start
        while time <= now.rawValue {
            let sample = ProgressSample(
                task: task, epoch: epoch, node: NodeID(node), at: Timestamp(time), fraction: min(1, from + (time - start) / work), cpuSeconds: .zero,
                blockWrittenBytes: .zero)
            happen(.progressSeen(sample), at: time)
            time += 5
        }
        observations[task] = TaskObservation(task: task, epoch: epoch, state: .running, sample: nil, checkpointing: nil)
    }

    static func checkpoint(_ task: TaskID, epoch: Epoch = .first, number: Int, at: Double, progress: Double, codec: Codec = .zstd) -> CheckpointRecord
    {
        CheckpointRecord(
            id: CheckpointID(epoch: epoch, number: number), task: task, node: NodeID("a"), epoch: epoch, parent: nil, capturedAt: Timestamp(at - 2),
            committedAt: Timestamp(at), way: .liveSnapshot, progress: progress, stopSeconds: Seconds(0.15), latencySeconds: Seconds(2),
            uploadSeconds: Seconds(1), compressSeconds: Seconds(0.5), memoryBytes: .mebibytes(90), diskBytes: .mebibytes(2),
            nonZeroBytes: .mebibytes(60), sentBytes: .mebibytes(30), codec: codec, replication: 2, includedBase: false, order: OrderID("o\(number)"))
    }

    var knowledge: Knowledge { Knowledge().folding(records) }

    var findings: Findings {
        let live = LiveView(
            now: now, managerSince: Timestamp(800),
            heartbeats: heard.mapValues { last in
                var heartbeats = LiveView.Heartbeats(first: last - Seconds(20))
                for beat in 1...20 { heartbeats.heard(at: last - Seconds(20) + Seconds(Double(beat))) }
                return heartbeats
            }, observations: observations)
        return Analysis.assess(knowledge, live: live, fleet: fleet, schedules: schedules)
    }

    /// Plans, and keeps the schedules for the next time.
    mutating func plan() -> [Decision] {
        let plan = Planning.plan(knowledge, findings: findings, fleet: fleet, schedules: schedules, nextDecision: 1)
        schedules = plan.schedules
        return plan.decisions
    }
}

extension Timestamp {
    static func - (a: Timestamp, b: Seconds) -> Timestamp { Timestamp(a.rawValue - b.rawValue) }
}
