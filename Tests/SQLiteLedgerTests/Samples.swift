import Vocabulary

/// One of every kind of event and decision, with every optional part there at least once and missing at least once.
enum Samples {
    static let task = TaskID("primes-1")
    static let node = NodeID("node-a")
    static let checkpointID = CheckpointID(epoch: .first, number: 3)
    static let order = OrderID("o000001-000003")
    static let version = DocumentVersion(name: "primes", digest: "sha256:" + String(repeating: "ab", count: 32))
    static let prices = Prices(timePerHour: 0.1, networkPerGiB: 0.05, storagePerGiBHour: 1e-4)

    static let sla = TaskSLA(
        name: "primes", labels: ["team": "\"quoted\" ü 🧮\u{0007}"],
        task: TaskSpec(image: "demo", memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "hashchain /data 60", workSeconds: Seconds(60)),
        progress: .console(pattern: #"progress (\d+)/(\d+)"#, result: "result (.*)", failure: nil),
        deadline: Deadline(moment: .within(.minutes(4)), confidence: Probability(0.95)),
        limits: Limits(lostWorkSeconds: Seconds(30), recoverySeconds: Seconds(60), stoppedShare: 0.05),
        penalty: Penalty(amount: Money(2.5, "EUR"), perSeconds: .minutes(1), cap: Money(100, "EUR")), preference: .prices(prices), policy: "default")

    static let policy = CheckpointPolicy(
        name: "default", currency: "EUR", preferences: ["balanced": prices],
        settings: .init(strategy: .fixed(Seconds(600))),
        rules: [
            .init(
                name: "batch", when: .init(labels: ["class": "batch"], probabilityMetBelow: Probability(0.9)),
                set: .init(mode: .audit, codecs: [.zstd])),
            .init(name: "flaky", when: .init(mtbfBelowSeconds: .hours(1), checkpointAboveBytes: .gibibytes(1)), set: .init(strategy: .daly)),
        ])

    static let plan = CheckpointOrder(codec: .zstd, replication: 2)
    static let capabilities = HypervisorCapabilities(
        uri: "qemu:///embed", driver: "QEMU", version: "7.2.0", acceleration: .emulation, captureWays: [.liveSnapshot, .saveRestore])

    static func checkpoint(parent: CheckpointID? = nil, progress: Double? = nil) -> CheckpointRecord {
        CheckpointRecord(
            id: checkpointID, task: task, node: node, epoch: .first, parent: parent, capturedAt: Timestamp(1_767_323_045.123456),
            committedAt: Timestamp(1_767_323_047),
            way: .liveSnapshot, progress: progress, stopSeconds: Seconds(0.081), latencySeconds: Seconds(2), uploadSeconds: Seconds(1.5),
            compressSeconds: Seconds(0.7), memoryBytes: .mebibytes(128), diskBytes: .mebibytes(5), nonZeroBytes: .mebibytes(40),
            sentBytes: .mebibytes(11),
            codec: .zstd, replication: 2, includedBase: parent == nil, order: order)
    }

    static let sample = ProgressSample(
        task: task, epoch: .first, node: node, at: Timestamp(1_767_323_044.5), fraction: 1.0 / 3, cpuSeconds: Seconds(20.25),
        blockWrittenBytes: .mebibytes(3))

    static let events: [Event] = [
        .managerStarted(version: "1.0.0"), .policyLoaded(policy, version: DocumentVersion(name: "default", digest: "sha256:0")),
        .policyRejected(name: "default.yaml", problems: ["line 3: unknown key", "line 9: a unit is missing"]),
        .taskSubmitted(TaskSubmission(task: task, sla: sla, version: version, submittedAt: Timestamp(1_767_323_000), wantedNode: node)),
        .taskSubmitted(
            TaskSubmission(
                task: TaskID("other-2"), sla: TaskSLA(name: "other", task: sla.task, progress: .cpuTime), version: version, submittedAt: Timestamp(0))
        ),
        .taskCancelled(task: task, by: "somebody"), .restoreAsked(task: task, by: "somebody"),
        .epochRaised(task: task, epoch: Epoch(2), node: node, from: checkpointID), .epochRaised(task: task, epoch: Epoch(3), node: node, from: nil),
        .taskPlaced(task: task, epoch: .first, node: node), .taskStarted(task: task, epoch: .first, node: node),
        .taskResumed(
            ResumeRecord(
                task: task, node: node, epoch: Epoch(2), checkpoint: checkpointID, fetchSeconds: Seconds(1), restoreSeconds: Seconds(2),
                fetchedBytes: .mebibytes(12))),
        .taskRefused(task: task, epoch: .first, node: node, reason: "no room"), .progressSeen(sample),
        .unionSeen(task: task, epoch: .first, node: node, MountedUnion(kind: .backingFile, options: "rw,noatime")),
        .taskFinished(task: task, epoch: Epoch(2), node: node, result: "0f1e2d"),
        .taskFailed(task: task, epoch: .first, node: node, reason: "out of memory"),
        .taskStalled(task: task, epoch: .first, node: node, progress: 0.4, stalledSeconds: Seconds(600)),
        .taskGivenUp(task: task, reason: "it failed three times"),
        .checkpointOrdered(task: task, epoch: .first, node: node, order: order, plan, decision: DecisionID("d000001")),
        .checkpointOrdered(task: task, epoch: .first, node: node, order: order, plan, decision: nil),
        .checkpointStarted(task: task, epoch: .first, checkpoint: checkpointID, node: node, order: order),
        .checkpointCaptured(task: task, epoch: .first, checkpoint: checkpointID, stopSeconds: Seconds(0.1), progress: 0.5),
        .checkpointCaptured(task: task, epoch: .first, checkpoint: checkpointID, stopSeconds: Seconds(0.1), progress: nil),
        .checkpointCommitted(checkpoint(parent: CheckpointID(epoch: .first, number: 2), progress: 0.25)), .checkpointCommitted(checkpoint()),
        .checkpointFailed(task: task, epoch: .first, checkpoint: checkpointID, node: node, order: order, reason: "the store is full"),
        .staleCommitRefused(task: task, epoch: .first, checkpoint: checkpointID, node: node),
        .checkpointsPruned(task: task, checkpoints: [checkpointID]),
        .layersMerged(
            MergeRecord(
                task: task, node: node, epoch: .first, layersBefore: 9, layersAfter: 2, bytesBefore: .mebibytes(9), bytesAfter: .mebibytes(5),
                elapsedSeconds: Seconds(0.5))),
        .taskFound(task: task, epoch: .first, node: node), .taskEndStored(task: task),
        .ledgerRebuilt(version: "1.0.0", store: "directory /store", tasks: 3),
        .nodeJoined(node: node, incarnation: Incarnation("i-1"), hypervisor: capabilities),
        .nodeJoined(node: node, incarnation: Incarnation("i-2"), hypervisor: capabilities, uptimeSeconds: Seconds(86_400.5)),
        .nodeProcessesChanged(
            node: node,
            NodeProcesses(agent: ProcessIdentity(pid: 7, startTicks: 70), guests: [ProcessIdentity(pid: 8, startTicks: 80)], directory: "/work")),
        .nodeSuspected(node: node, phi: 3.5, silentSeconds: Seconds(4)),
        .nodeTrusted(node: node), .nodeLost(node: node, phi: .infinity, silentSeconds: Seconds(9)),
        .nodeDrainAsked(node: node, by: "somebody"), .nodeDrainEnded(node: node, by: "somebody"),
        .policyModeSet(name: "default", mode: .audit, by: "somebody"), .policyModeSet(name: "default", mode: nil, by: "somebody"),
        .checkpointVerified(task: task, checkpoint: checkpointID, problems: ["a part is missing"], by: "somebody"),
        .nodeFenced(node: node, method: "process", detail: "pid 12"), .fenceFailed(node: node, reason: "the switch does not answer"),
        .storeHealthChanged(StoreHealth(reachable: true, detail: "", liveHosts: 3, freeBytes: .gibibytes(7))),
        .storeHealthChanged(StoreHealth(reachable: false, detail: "connection refused")),
        .orderFailed(order: order, node: node, task: task, reason: "no such task"),
        .orderFailed(order: order, node: node, task: nil, reason: "no such task"),
    ]

    static func decision(_ number: Int, kind: Decision.Kind = .schedule, task: TaskID? = task, at: Double = 0) -> Decision {
        Decision(
            id: DecisionID("d" + padded(number)), at: Timestamp(at), kind: kind, task: task, node: node, mode: .enforce, sla: version,
            policy: version,
            models: "1",
            inputs: [
                DecisionInput(name: "stopSeconds", value: 0.1, standardError: 0.02), DecisionInput(name: "mtbfSeconds", value: .infinity),
            ],
            situation: kind == .schedule
                ? Situation(
                    settings: .init(strategy: .fixed(.minutes(2)), replication: Replication(base: 3, memory: 1, delta: 2)),
                    costs: [
                        Situation.Costs(
                            codec: .zstd, stopSeconds: 0.1, interferenceSeconds: 1 / 3, latencySeconds: 2, recoverySeconds: 12, sentBytes: 1e9 / 7,
                            memoryShare: 0.9, compressSeconds: 0.5, uploadSeconds: 1)
                    ], workLeftSeconds: 100, unsavedSeconds: 20, failureRatePerSecond: 1 / 3e7, keptCheckpoints: 1,
                    prices: Prices(timePerHour: 1, networkPerGiB: 0.01, storagePerGiBHour: 0), limits: Limits(lostWorkSeconds: Seconds(30)),
                    timeToDeadlineSeconds: Seconds(-3), penaltyPerSecond: 0.1, forecastMet: Probability(0.97)) : nil,
            alternatives: [
                Alternative(
                    name: "every 2m with zstd", intervalSeconds: .minutes(2), codec: .zstd, replication: 2, timeCost: 0.1, networkCost: 0.2,
                    storageCost: 0.3,
                    penaltyCost: 0.4, expectedSeconds: Seconds(100), expectedSentBytes: .mebibytes(80), probabilityMet: Probability(0.97)),
                Alternative(name: "never", timeCost: .infinity, violations: ["lost work 60 s > 30 s"]),
            ],
            chosen: 0, binding: number % 2 == 0 ? "lost work" : nil, rules: ["flaky"], sentence: "Checkpoint every 2 minutes.", steps: steps)
    }

    static let steps: [PlanStep] = [
        .start(task: task, node: node), .arm(StandingPlan(task: task, epoch: .first, intervalSeconds: .minutes(2), order: plan), node: node),
        .arm(StandingPlan(task: task, epoch: .first, intervalSeconds: nil, order: plan), node: node),
        .checkpoint(task: task, node: node, epoch: .first, plan), .declareLost(node: node), .fence(node: node),
        .resume(task: task, node: node, epoch: Epoch(2)), .giveUp(task: task, reason: "enough"), .stop(task: task, node: node, epoch: .first),
        .prune(task: task, node: node, epoch: .first, keep: [checkpointID]),
        .takeOff(task: task, node: node, epoch: .first),
    ]
}
