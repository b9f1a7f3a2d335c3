import Knowledge
import Simulator
import Vocabulary

/// A fleet with a node, a running task with a checkpoint, one that was cancelled, and the decisions about them: what a manager would show.
struct Scene {
    static let task = TaskID("t-1")
    static let node = NodeID("a")
    private static let version = DocumentVersion(name: "default", digest: "sha256:" + String(repeating: "0", count: 64))
    private static let plan = CheckpointOrder(codec: .zstd, replication: Replication(base: 3, memory: 1, delta: 2))

    let ledger = MemoryLedger()
    let outlook: Outlook

    init(decisions: Int = 3) async throws {
        let prices = Prices(timePerHour: 1, networkPerGiB: 1, storagePerGiBHour: 1)
        let sla = TaskSLA(
            name: "t", labels: ["team": "x"],
            task: TaskSpec(memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "x", workSeconds: Seconds(100)), progress: .cpuTime,
            deadline: Deadline(moment: .within(Seconds(1_000)), confidence: Probability(0.9)),
            penalty: Penalty(amount: Money(1, "EUR"), perSeconds: .minutes(1), cap: nil))
        let checkpoint = CheckpointRecord(
            id: CheckpointID(epoch: .first, number: 1), task: Self.task, node: Self.node, epoch: .first, parent: nil, capturedAt: Timestamp(20),
            committedAt: Timestamp(22), way: .liveSnapshot, progress: 0.25, stopSeconds: Seconds(0.1), latencySeconds: Seconds(2),
            uploadSeconds: Seconds(1), compressSeconds: Seconds(0.5), memoryBytes: .mebibytes(128), diskBytes: .mebibytes(5),
            nonZeroBytes: .mebibytes(40), sentBytes: .mebibytes(11), codec: .zstd, replication: Self.plan.replication, includedBase: true,
            order: OrderID("o-1"))
        let capabilities = HypervisorCapabilities(uri: "q", driver: "QEMU", version: "7.2", acceleration: .emulation, captureWays: [.liveSnapshot])
        let events: [Event] = [
            .policyLoaded(
                CheckpointPolicy(name: "default", currency: "EUR", preferences: ["balanced": prices], settings: .init()), version: Self.version),
            .storeHealthChanged(StoreHealth(reachable: true, detail: "", liveHosts: 3, freeBytes: .gibibytes(1))),
            .nodeJoined(node: Self.node, incarnation: Incarnation("i"), hypervisor: capabilities),
            .taskSubmitted(TaskSubmission(task: Self.task, sla: sla, version: Self.version, submittedAt: Timestamp(1), owner: "ann", by: "ann")),
            .taskPlaced(task: Self.task, epoch: .first, node: Self.node), .taskStarted(task: Self.task, epoch: .first, node: Self.node),
            .checkpointCommitted(checkpoint),
            .taskSubmitted(TaskSubmission(task: TaskID("t-2"), sla: sla, version: Self.version, submittedAt: Timestamp(2))),
            .taskCancelled(task: TaskID("t-2"), by: "ann"),
        ]
        let appended = try await ledger.append(
            events.enumerated().map { EventRecord(at: Timestamp(Double($0.offset)), source: .manager, event: $0.element) })
        let all = (1...max(1, decisions)).map { Self.decision($0) }
        try await ledger.record(all)
        try await ledger.record([
            Outcome(decision: all[0].id, at: Timestamp(30), quantity: "stopSeconds", predicted: 0.2, observed: 0.1)
        ])

        let rate = RateEstimate(perSecond: 0.001, standardError: 0, lowPerSecond: 0.0005, highPerSecond: 0.002, failures: 0, exposureSeconds: .zero)
        let some = Estimate(mean: 1, standardError: 0.5, observations: 3)
        let finding = TaskFinding(
            task: Self.task, node: Self.node, epoch: .first, progress: 0.3, speed: some, workLeftSeconds: some, exposedSeconds: Seconds(5),
            sinceCaptureSeconds: Seconds(5),
            costs: [
                CheckpointCosts(
                    codec: .zstd, stopSeconds: some, interferenceSeconds: some, latencySeconds: some, recoverySeconds: some, sentBytes: some,
                    compressSeconds: some, uploadSeconds: some)
            ], failureRate: rate,
            forecast: FinishForecast(
                expectedFinish: Timestamp(110), standardDeviationSeconds: Seconds(4), medianFinish: Timestamp(109), p90Finish: Timestamp(115),
                p99Finish: Timestamp(120), p10Finish: Timestamp(100), probabilityMet: Probability(0.8), expectedPenalty: Money(0.5, "EUR")),
            timeToDeadlineSeconds: Seconds(900), isObservedRunning: true)
        outlook = Outlook(
            fleet: Fleet(name: "lab", nodes: [.init(id: Self.node), .init(id: NodeID("b"))], store: .directory("/s"), imagesDirectory: "/i"),
            version: "1", startedAt: Timestamp(0), cycles: 7, knowledge: Knowledge().folding(appended),
            findings: Findings(
                at: Timestamp(40),
                nodes: [NodeFinding(node: Self.node, standing: .trusted, phi: 0.1, silentSeconds: Seconds(0.5), failureRate: rate)], tasks: [finding]),
            schedules: [
                Self.task: Schedule(
                    decision: all[0].id, decidedAt: Timestamp(5), node: Self.node,
                    standing: StandingPlan(task: Self.task, epoch: .first, intervalSeconds: Seconds(30), order: Self.plan), predicted: nil,
                    basis: .init(mode: .enforce, sla: Self.version, policy: Self.version, rules: [], binding: nil))
            ])
    }

    private static func decision(_ number: Int) -> Decision {
        Decision(
            id: DecisionID("d" + padded(number)), at: Timestamp(Double(number)), kind: number % 2 == 1 ? .schedule : .place, task: task, node: node,
            mode: .enforce, sla: version, policy: version, models: "1",
            inputs: [DecisionInput(name: "mtbfSeconds", value: .infinity, standardError: nil)],
            alternatives: [
                Alternative(
                    name: "every 30 s", intervalSeconds: Seconds(30), codec: .zstd, replication: 1, timeCost: 1, networkCost: 2, storageCost: 3,
                    penaltyCost: 4, expectedSeconds: Seconds(110), expectedSentBytes: .mebibytes(40),
                    probabilityMet: Probability(0.9), violations: []),
                Alternative(
                    name: "never", intervalSeconds: nil, codec: nil, replication: nil, timeCost: .infinity, networkCost: 0, storageCost: 0,
                    penaltyCost: .infinity, expectedSeconds: Seconds(.infinity),
                    expectedSentBytes: .zero, probabilityMet: nil, violations: ["lostWork"]),
            ], chosen: 0, binding: "lostWork", rules: ["flaky"], sentence: "Because.",
            steps: [.arm(StandingPlan(task: task, epoch: .first, intervalSeconds: Seconds(30), order: plan), node: node)])
    }
}
