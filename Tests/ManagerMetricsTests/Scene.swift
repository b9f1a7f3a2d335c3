import Knowledge
import Vocabulary

/// Events of a small fleet, by hand.
struct Scene {
    var events: [EventRecord] = []
    let a = NodeID("a")
    let b = NodeID("b")
    static let policy = CheckpointPolicy(
        name: "default", currency: "EUR", preferences: ["balanced": Prices(timePerHour: 36, networkPerGiB: 0.01, storagePerGiBHour: 0.001)],
        settings: .init())

    init() {
        happen(0, .policyLoaded(Self.policy, version: DocumentVersion(name: "default", digest: "sha256:1")))
        for node in [a, b] {
            let capabilities = HypervisorCapabilities(uri: "qemu", driver: "QEMU", version: "7", acceleration: .kvm, captureWays: [.liveSnapshot])
            happen(0, .nodeJoined(node: node, incarnation: Incarnation("i-\(node)"), hypervisor: capabilities))
        }
    }

    mutating func happen(_ seconds: Double, _ event: Event) {
        events.append(EventRecord(sequence: Int64(events.count + 1), at: Timestamp(seconds), source: .manager, event: event))
    }

    /// Submitted at 0, deadline at 100, 10 EUR a minute late and 12 EUR at most, 20 s of work and 15 s of time to be lost, 5 % stopped.
    mutating func submit(_ name: String) -> TaskID {
        let task = TaskID(name)
        let spec = TaskSpec(image: "demo", memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "chain", workSeconds: Seconds(80))
        let sla = TaskSLA(
            name: name, task: spec, progress: .cpuTime, deadline: Deadline(moment: .within(Seconds(100)), confidence: Probability(0.9)),
            limits: Limits(lostWorkSeconds: Seconds(20), recoverySeconds: Seconds(15), stoppedShare: 0.05),
            penalty: Penalty(amount: Money(10, "EUR"), perSeconds: Seconds(60), cap: Money(12, "EUR")))
        happen(
            0,
            .taskSubmitted(
                TaskSubmission(task: task, sla: sla, version: DocumentVersion(name: name, digest: "sha256:2"), submittedAt: Timestamp(0))))
        return task
    }

    mutating func start(_ task: TaskID, _ seconds: Double, on node: NodeID) {
        happen(seconds, .taskPlaced(task: task, epoch: .first, node: node))
        happen(seconds, .taskStarted(task: task, epoch: .first, node: node))
    }

    func id(_ number: Int, epoch: Int = 1) -> CheckpointID { CheckpointID(epoch: Epoch(epoch), number: number) }

    mutating func begin(_ task: TaskID, _ seconds: Double, _ number: Int, epoch: Int = 1, codec: Codec = .zstd, on node: NodeID) -> OrderID {
        let order = OrderID("order-\(epoch)-\(number)")
        let plan = CheckpointOrder(codec: codec, replication: 1)
        happen(seconds, .checkpointOrdered(task: task, epoch: Epoch(epoch), node: node, order: order, plan, decision: nil))
        happen(seconds, .checkpointStarted(task: task, epoch: Epoch(epoch), checkpoint: id(number, epoch: epoch), node: node, order: order))
        happen(
            seconds,
            .checkpointCaptured(
                task: task, epoch: Epoch(epoch), checkpoint: id(number, epoch: epoch), stopSeconds: Seconds(0.5), progress: seconds / 100))
        return order
    }

    /// Captured at `seconds`, committed two seconds later: 0.5 s of stop, 100 bytes, 40 sent.
    /// - Parameter finishing: when its task finishes, between capture and commit.
    mutating func checkpoint(
        _ task: TaskID, _ seconds: Double, _ number: Int, epoch: Int = 1, codec: Codec = .zstd, finishing: Double? = nil, on node: NodeID
    ) {
        let order = begin(task, seconds, number, epoch: epoch, codec: codec, on: node)
        if let finishing { finish(task, finishing, epoch: epoch, on: node) }
        happen(
            seconds + 2,
            .checkpointCommitted(
                CheckpointRecord(
                    id: id(number, epoch: epoch), task: task, node: node, epoch: Epoch(epoch), parent: nil, capturedAt: Timestamp(seconds),
                    committedAt: Timestamp(seconds + 2), way: .liveSnapshot, progress: seconds / 100, stopSeconds: Seconds(0.5),
                    latencySeconds: Seconds(2), uploadSeconds: Seconds(1), compressSeconds: Seconds(0.75), memoryBytes: ByteCount(80),
                    diskBytes: ByteCount(20), nonZeroBytes: ByteCount(100), sentBytes: ByteCount(40), codec: codec, replication: 1,
                    includedBase: false, order: order)))
    }

    /// Raised at `seconds`, running again at `again`.
    mutating func resume(_ task: TaskID, _ seconds: Double, again: Double, epoch: Int, from checkpoint: CheckpointID?, on node: NodeID) {
        happen(seconds, .epochRaised(task: task, epoch: Epoch(epoch), node: node, from: checkpoint))
        happen(
            again,
            .taskResumed(
                ResumeRecord(
                    task: task, node: node, epoch: Epoch(epoch), checkpoint: checkpoint, fetchSeconds: Seconds(1), restoreSeconds: Seconds(1),
                    fetchedBytes: ByteCount(40))))
    }

    mutating func finish(_ task: TaskID, _ seconds: Double, epoch: Int = 1, on node: NodeID) {
        happen(seconds, .taskFinished(task: task, epoch: Epoch(epoch), node: node, result: "abc"))
    }

    var knowledge: Knowledge { Knowledge().folding(events) }
}
