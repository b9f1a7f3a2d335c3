import Foundation
import Ports
import Vocabulary

@testable import AuditReport

/// A ledger's content that is made up: two tasks with different preferences on two nodes, of which node-a is lost at 61 s.
///
///     primes-1  finish-sooner  node-a  0–61 s, checkpoints captured at 20, 40 (58: never committed); lost; on node-b from 70.4 s; done at 141 s
///     sums-1    save-network   node-b  2–121 s, one checkpoint at 70 s; done at 121 s, before its deadline
struct Scene {
    /// 2026-01-02T03:04:05Z
    static let start = 1_767_323_045.0
    var events: [EventRecord] = []
    var decisions: [Decision] = []
    var outcomes: [Outcome] = []

    let primes = TaskID("primes-1")
    let sums = TaskID("sums-1")
    let a = NodeID("node-a")
    let b = NodeID("node-b")
    let policyVersion = DocumentVersion(name: "default", digest: "sha256:" + String(repeating: "0f", count: 32))

    static let sooner = Prices(timePerHour: 3.6, networkPerGiB: 0.001, storagePerGiBHour: 0.0001)
    static let saving = Prices(timePerHour: 0.36, networkPerGiB: 0.5, storagePerGiBHour: 0.0001)

    static func at(_ seconds: Double) -> Timestamp { Timestamp(start + seconds) }

    mutating func add(_ seconds: Double, _ event: Event) {
        events.append(EventRecord(sequence: Int64(events.count + 1), at: Self.at(seconds), source: .manager, event: event))
    }

    func sla(_ name: String, preference: String, deadline: Double?, limits: Limits = Limits(), penalty: Penalty? = nil) -> TaskSLA {
        TaskSLA(
            name: name,
            task: TaskSpec(image: "demo", memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "hashchain", workSeconds: Seconds(110)),
            progress: .console(pattern: "progress (.*)", result: "result (.*)", failure: nil),
            deadline: deadline.map { Deadline(moment: .within(Seconds($0)), confidence: Probability(0.95)) }, limits: limits, penalty: penalty,
            preference: .named(preference), policy: "default")
    }

    func submission(_ task: TaskID, _ sla: TaskSLA, at seconds: Double) -> TaskSubmission {
        TaskSubmission(
            task: task, sla: sla, version: DocumentVersion(name: sla.name, digest: "sha256:" + String(repeating: "ab", count: 32)),
            submittedAt: Self.at(seconds))
    }

    func checkpoint(
        _ task: TaskID, _ epoch: Int, _ number: Int, node: NodeID, captured: Double, latency: Double, progress: Double, order: String,
        mebibytes: Int64 = 11,
        base: Bool = false
    ) -> CheckpointRecord {
        CheckpointRecord(
            id: CheckpointID(epoch: Epoch(epoch), number: number), task: task, node: node, epoch: Epoch(epoch),
            parent: number > 1 ? CheckpointID(epoch: Epoch(epoch), number: number - 1) : nil, capturedAt: Self.at(captured),
            committedAt: Self.at(captured + latency),
            way: .liveSnapshot, progress: progress, stopSeconds: Seconds(0.084), latencySeconds: Seconds(latency),
            uploadSeconds: Seconds(latency - 0.4),
            compressSeconds: Seconds(0.6), memoryBytes: .mebibytes(128), diskBytes: .mebibytes(5), nonZeroBytes: .mebibytes(40),
            sentBytes: .mebibytes(mebibytes), codec: .zstd, replication: 2, includedBase: base, order: OrderID(order))
    }

    func alternative(
        _ interval: Double?, _ codec: Codec, time: Double, network: Double, expected: Double, mebibytes: Int64, met: Double, violations: [String] = []
    ) -> Alternative {
        let name = interval.map { "every \(Int($0)) s, \(codec == .none ? "uncompressed" : codec.rawValue), 2 copies" } ?? "never, \(codec.rawValue)"
        return Alternative(
            name: name, intervalSeconds: interval.map { Seconds($0) }, codec: codec, replication: 2, timeCost: time, networkCost: network,
            storageCost: 0.0000004,
            penaltyCost: 0.002, expectedSeconds: Seconds(expected), expectedSentBytes: .mebibytes(mebibytes), probabilityMet: Probability(met),
            violations: violations)
    }

    func decision(
        _ number: Int, _ seconds: Double, _ kind: Decision.Kind, task: TaskID?, node: NodeID, sentence: String, inputs: [DecisionInput] = [],
        alternatives: [Alternative] = [], chosen: Int? = nil, binding: String? = nil, rules: [String] = [], steps: [PlanStep] = []
    ) -> Decision {
        Decision(
            id: DecisionID("d" + padded(number)), at: Self.at(seconds), kind: kind, task: task, node: node, mode: .enforce,
            sla: task.map { DocumentVersion(name: $0.rawValue, digest: "sha256:" + String(repeating: "ab", count: 32)) }, policy: policyVersion,
            models: "1",
            inputs: inputs, alternatives: alternatives, chosen: chosen, binding: binding, rules: rules, sentence: sentence, steps: steps)
    }

    /// Prices as the planner records them.
    func inputs(_ prices: Prices) -> [DecisionInput] {
        [
            DecisionInput(name: "failureRatePerSecond", value: 0.004, standardError: 0.002),
            DecisionInput(name: "workLeftSeconds", value: 108, standardError: 2),
            DecisionInput(name: "stopSeconds", value: 0.1, standardError: 0.03),
            DecisionInput(name: "interferenceSeconds", value: 0.4, standardError: 0.1),
            DecisionInput(name: "latencySeconds", value: 2.2, standardError: 0.5),
            DecisionInput(name: "recoverySeconds", value: 11, standardError: 4),
            DecisionInput(name: "sentBytes", value: 11 * 1_048_576, standardError: 1_048_576),
            DecisionInput(name: "priceTimePerHour", value: prices.timePerHour),
            DecisionInput(name: "priceNetworkPerGiB", value: prices.networkPerGiB),
            DecisionInput(name: "priceStoragePerGiBHour", value: prices.storagePerGiBHour),
        ]
    }

    /// The events of the whole story.
    static var whole: Scene {
        var scene = Scene()
        scene.open()
        scene.tell()
        scene.decide()
        return scene
    }

    mutating func open() {
        add(-1, .managerStarted(version: "1.0.0"))
        add(
            -1,
            .policyLoaded(
                CheckpointPolicy(
                    name: "default", currency: "EUR",
                    preferences: ["finish-sooner": Self.sooner, "save-network": Self.saving], settings: .init()), version: policyVersion))
        let capabilities = HypervisorCapabilities(
            uri: "qemu:///embed", driver: "QEMU", version: "7.2.0", acceleration: .emulation, captureWays: [.liveSnapshot, .saveRestore])
        add(-0.5, .nodeJoined(node: a, incarnation: Incarnation("i-a"), hypervisor: capabilities))
        add(-0.4, .nodeJoined(node: b, incarnation: Incarnation("i-b"), hypervisor: capabilities))
    }

    mutating func tell() {
        let limits = Limits(lostWorkSeconds: Seconds(25), recoverySeconds: Seconds(30), stoppedShare: 0.05)
        let penalty = Penalty(amount: Money(2.5, "EUR"), perSeconds: .minutes(1), cap: Money(100, "EUR"))
        add(0, .taskSubmitted(submission(primes, sla("primes", preference: "finish-sooner", deadline: 135, limits: limits, penalty: penalty), at: 0)))
        add(0.2, .taskSubmitted(submission(sums, sla("sums", preference: "save-network", deadline: 240, limits: limits, penalty: penalty), at: 0.2)))
        add(0.3, .taskPlaced(task: primes, epoch: .first, node: a))
        add(0.3, .taskPlaced(task: sums, epoch: .first, node: b))
        add(2, .taskStarted(task: primes, epoch: .first, node: a))
        add(2.1, .taskStarted(task: sums, epoch: .first, node: b))
        var timed: [(Double, Event)] = []
        // Both run at a hundredth a second or a little less; primes-1 until node-a falls silent at 61 s.
        for second in stride(from: 4.0, through: 60, by: 4) { timed.append((second, sample(primes, 1, a, second, (second - 2) / 110))) }
        for second in stride(from: 4.0, through: 120, by: 4) { timed.append((second, sample(sums, 1, b, second, (second - 2) / 119))) }
        timed += checkpointing(primes, 1, 1, a, captured: 20, progress: 0.163, order: "checkpoint-d000005", latency: 2.4, base: true)
        timed += checkpointing(primes, 1, 2, a, captured: 40, progress: 0.345, order: "checkpoint-d000006", latency: 2.1)
        timed.append(
            (
                57.9,
                .checkpointStarted(
                    task: primes, epoch: .first, checkpoint: CheckpointID(epoch: .first, number: 3), node: a, order: OrderID("checkpoint-d000007"))
            ))
        timed.append(
            (
                58,
                .checkpointCaptured(
                    task: primes, epoch: .first, checkpoint: CheckpointID(epoch: .first, number: 3), stopSeconds: Seconds(0.09), progress: 0.508)
            ))
        timed += checkpointing(sums, 1, 1, b, captured: 70, progress: 0.571, order: "checkpoint-d000010", latency: 3, base: true)
        timed += [
            (64, .nodeSuspected(node: a, phi: 3.2, silentSeconds: Seconds(3))), (66.2, .nodeLost(node: a, phi: 8.4, silentSeconds: Seconds(5.2))),
            (66.3, .nodeFenced(node: a, method: "process", detail: "2 processes ended")),
            (66.5, .epochRaised(task: primes, epoch: Epoch(2), node: b, from: CheckpointID(epoch: .first, number: 2))),
            (
                70.4,
                .taskResumed(
                    ResumeRecord(
                        task: primes, node: b, epoch: Epoch(2), checkpoint: CheckpointID(epoch: .first, number: 2), fetchSeconds: Seconds(0.9),
                        restoreSeconds: Seconds(2.4), fetchedBytes: .mebibytes(24)))
            ),
            (141, .taskFinished(task: primes, epoch: Epoch(2), node: b, result: "3b1f9c2d7a60e4")),
            (121, .taskFinished(task: sums, epoch: .first, node: b, result: "77e0c1aa94d2b5")),
        ]
        for second in stride(from: 72.0, through: 140, by: 4) { timed.append((second, sample(primes, 2, b, second, 0.345 + (second - 70.4) / 110))) }
        timed += checkpointing(primes, 2, 1, b, captured: 96, progress: 0.578, order: "checkpoint-d000012", latency: 2)
        for (seconds, event) in timed.sorted(by: { $0.0 < $1.0 }) { add(seconds, event) }
    }

    func sample(_ task: TaskID, _ epoch: Int, _ node: NodeID, _ seconds: Double, _ fraction: Double) -> Event {
        .progressSeen(
            ProgressSample(
                task: task, epoch: Epoch(epoch), node: node, at: Self.at(seconds), fraction: min(1, fraction), cpuSeconds: Seconds(seconds),
                blockWrittenBytes: .zero))
    }

    func checkpointing(
        _ task: TaskID, _ epoch: Int, _ number: Int, _ node: NodeID, captured: Double, progress: Double, order: String, latency: Double,
        base: Bool = false
    ) -> [(Double, Event)] {
        let id = CheckpointID(epoch: Epoch(epoch), number: number)
        let decision = DecisionID(String(order.dropFirst("checkpoint-".count)))
        return [
            (
                captured - 0.2,
                .checkpointOrdered(
                    task: task, epoch: Epoch(epoch), node: node, order: OrderID(order), CheckpointOrder(codec: .zstd, replication: 2),
                    decision: decision)
            ),
            (captured - 0.1, .checkpointStarted(task: task, epoch: Epoch(epoch), checkpoint: id, node: node, order: OrderID(order))),
            (captured, .checkpointCaptured(task: task, epoch: Epoch(epoch), checkpoint: id, stopSeconds: Seconds(0.084), progress: progress)),
            (
                captured + latency,
                .checkpointCommitted(
                    checkpoint(task, epoch, number, node: node, captured: captured, latency: latency, progress: progress, order: order, base: base))
            ),
        ]
    }

    mutating func decide() {
        let plan = CheckpointOrder(codec: .zstd, replication: 2)
        decisions = [
            decision(1, 0.3, .place, task: primes, node: a, sentence: "primes-1 starts on node-a: both nodes are as good, and it has no other task."),
            decision(2, 0.3, .place, task: sums, node: b, sentence: "sums-1 starts on node-b: node-a has a task already."),
            decision(
                3, 4, .schedule, task: primes, node: a,
                sentence: "primes-1 on node-a: a checkpoint every 20 s, zstd, 2 copies: with an MTBF of 250 s it is expected to need 125 s more.",
                inputs: inputs(Self.sooner),
                alternatives: [
                    alternative(20, .zstd, time: 0.125, network: 0.00011, expected: 125, mebibytes: 110, met: 0.62),
                    alternative(
                        60, .zstd, time: 0.134, network: 0.000021, expected: 134, mebibytes: 22, met: 0.55,
                        violations: ["maximum lost work: 62 where 25 is the limit"]),
                    alternative(
                        nil, .zstd, time: 0.141, network: 0, expected: 141, mebibytes: 0, met: 0.5,
                        violations: ["maximum lost work: 108 where 25 is the limit"]),
                    alternative(20, .none, time: 0.129, network: 0.0004, expected: 129, mebibytes: 400, met: 0.6),
                ], chosen: 0, binding: "maximum lost work",
                steps: [.arm(StandingPlan(task: primes, epoch: .first, intervalSeconds: Seconds(20), order: plan), node: a)]),
            decision(
                4, 4.2, .schedule, task: sums, node: b,
                sentence: "sums-1 on node-b: a checkpoint every 60 s, zstd, 2 copies: with an MTBF of 250 s it is expected to need 134 s more.",
                inputs: inputs(Self.saving),
                alternatives: [
                    alternative(20, .zstd, time: 0.0125, network: 0.0537, expected: 125, mebibytes: 110, met: 0.999),
                    alternative(60, .zstd, time: 0.0134, network: 0.0107, expected: 134, mebibytes: 22, met: 0.9993),
                    alternative(
                        nil, .zstd, time: 0.0361, network: 0, expected: 361, mebibytes: 0, met: 0.41,
                        violations: ["deadline confidence: 0.41 where 0.95 is the limit"]),
                ], chosen: 1, steps: [.arm(StandingPlan(task: sums, epoch: .first, intervalSeconds: Seconds(60), order: plan), node: b)]),
            decision(5, 19.8, .checkpoint, task: primes, node: a, sentence: "primes-1: checkpoint now: a failure would lose 18 s of work."),
            decision(6, 39.8, .checkpoint, task: primes, node: a, sentence: "primes-1: checkpoint now: a failure would lose 20 s of work."),
            decision(7, 57.8, .checkpoint, task: primes, node: a, sentence: "primes-1: checkpoint now: a failure would lose 18 s of work."),
            decision(8, 66.2, .declareLost, task: nil, node: a, sentence: "Node node-a has been silent for 5.2 s: it is declared lost and fenced."),
            decision(
                9, 66.2, .resume, task: primes, node: b,
                sentence: "primes-1 is resumed on node-b from checkpoint e000001-c000002, because node-a was lost.",
                inputs: [
                    DecisionInput(name: "recoverySeconds", value: 11, standardError: 4), DecisionInput(name: "lostWorkSeconds", value: 24),
                ]),
            decision(
                10, 69.8, .checkpoint, task: sums, node: b, sentence: "sums-1: checkpoint now: a failure would lose 68 s of work.",
                inputs: [DecisionInput(name: "stopSeconds", value: 0.1, standardError: 0.03)]),
            decision(
                12, 95.8, .checkpoint, task: primes, node: b, sentence: "primes-1: checkpoint now: a failure would lose 25 s of work.",
                rules: ["flaky"]),
        ]
        outcomes = [
            Outcome(decision: DecisionID("d000005"), at: Self.at(22.4), quantity: "stopSeconds", predicted: 0.2, observed: 0.084),
            Outcome(decision: DecisionID("d000005"), at: Self.at(22.4), quantity: "sentBytes", predicted: 20 * 1_048_576, observed: 11 * 1_048_576),
            Outcome(decision: DecisionID("d000006"), at: Self.at(42.1), quantity: "stopSeconds", predicted: 0.1, observed: 0.084),
            Outcome(decision: DecisionID("d000006"), at: Self.at(42.1), quantity: "sentBytes", predicted: 12 * 1_048_576, observed: 11 * 1_048_576),
            Outcome(decision: DecisionID("d000009"), at: Self.at(70.4), quantity: "recoverySeconds", predicted: 11, observed: 9.4),
            Outcome(decision: DecisionID("d000009"), at: Self.at(70.4), quantity: "lostWorkSeconds", predicted: 24, observed: 21),
            Outcome(decision: DecisionID("d000010"), at: Self.at(73), quantity: "stopSeconds", predicted: 0.1, observed: 0.084),
            Outcome(decision: DecisionID("d000003"), at: Self.at(141), quantity: "finishSeconds", predicted: nil, observed: 141),
        ]
    }

    /// Where its ledger ended.
    static let proof = LedgerProof(
        head: LedgerHead(ledger: String(repeating: "1d", count: 16), record: 117, digest: String(repeating: "c4", count: 32)),
        signed: SignedHead(
            head: LedgerHead(ledger: String(repeating: "1d", count: 16), record: 110, digest: String(repeating: "b3", count: 32)),
            atEpochSeconds: at(142), key: String(repeating: "5e", count: 32), fingerprint: "sha256:" + String(repeating: "7a", count: 32),
            signature: String(repeating: "6f", count: 64)))

    func report(task: TaskID? = nil, at seconds: Double = 150, period: ReportPeriod? = nil) -> Report {
        Report.make(
            from: LedgerExcerpt(events: events, decisions: decisions, outcomes: outcomes, proof: Self.proof), generatedAt: Self.at(seconds),
            task: task, period: period)
    }
}
