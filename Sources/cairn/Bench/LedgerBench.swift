import Analysis
import AuditReport
import Foundation
import Knowledge
import Planning
import Ports
import SQLiteLedger
import Vocabulary

/// What a large ledger is made of.
struct LedgerShape: Hashable, Codable {
    var tasks: Int
    /// How long each task has been running, days.
    var days: Double
    var checkpointEverySeconds: Seconds
    /// Decisions about when to checkpoint, for each checkpoint that is taken.
    var schedulesPerCheckpoint: Int
    var sampleEverySeconds: Seconds

    var checkpointsPerTask: Int { Int(days * 86_400 / checkpointEverySeconds.rawValue) }
    var decisionsPerTask: Int { 1 + checkpointsPerTask * (1 + schedulesPerCheckpoint) }
    var samplesPerTask: Int { Int(days * 86_400 / sampleEverySeconds.rawValue) }
}

/// Fills a ledger with the lives of tasks: the events that agents and manager would have recorded, with decisions that the planner made for one
/// such task and that are told of each.
struct LedgerMaker {
    let shape: LedgerShape
    private let start = Timestamp(1_767_225_600)
    private let nodes = (1...100).map { NodeID("node-\($0)") }
    private let policy = CheckpointPolicy(
        name: "default", currency: "EUR", preferences: ["balanced": Prices(timePerHour: 1, networkPerGiB: 0.01, storagePerGiBHour: 0.0001)],
        settings: .init())
    private let version = DocumentVersion(name: "default", digest: "sha256:" + String(repeating: "0f", count: 32))
    private let incarnation = Incarnation("5f0c7a52-63f4-4b1e-9d39-0b1f8f6f2f11")

    init(shape: LedgerShape) { self.shape = shape }

    private func task(_ number: Int) -> TaskID { TaskID("simulation-\(number)") }
    private func node(_ number: Int) -> NodeID { nodes[number % nodes.count] }

    private func submission(_ number: Int) -> TaskSubmission {
        let work = Seconds(shape.days * 86_400 * 1.1)
        let sla = TaskSLA(
            name: "simulation",
            task: TaskSpec(image: "demo", memoryBytes: .mebibytes(4_096), deltaBytes: .mebibytes(1_024), run: "simulate", workSeconds: work),
            progress: .console(pattern: #"progress (\d+)/(\d+)"#, result: "result (.*)", failure: nil),
            deadline: Deadline(moment: .within(work * 1.2), confidence: Probability(0.95)),
            limits: Limits(lostWorkSeconds: shape.checkpointEverySeconds * 2, recoverySeconds: .minutes(10), stoppedShare: 0.02),
            penalty: Penalty(amount: Money(5, "EUR"), perSeconds: .hours(1), cap: Money(500, "EUR")), preference: .named("balanced"),
            policy: "default")
        return TaskSubmission(
            task: task(number), sla: sla, version: DocumentVersion(name: "simulation", digest: "sha256:" + String(repeating: "ab", count: 32)),
            submittedAt: start)
    }

    private func sample(_ number: Int, at time: Timestamp) -> ProgressSample {
        ProgressSample(
            task: task(number), epoch: .first, node: node(number), at: time,
            fraction: min(1, (time - start) / Seconds(shape.days * 86_400 * 1.1)), cpuSeconds: (time - start) * 0.97,
            blockWrittenBytes: ByteCount(Int64((time - start).rawValue * 1e5)))
    }

    private func agent(_ number: Int, _ counter: inout [NodeID: Int64], _ time: Timestamp, _ event: Event) -> EventRecord {
        counter[node(number), default: 0] += 1
        return EventRecord(
            at: time, source: .agent(node: node(number), incarnation: incarnation, number: counter[node(number)] ?? 0), event: event)
    }

    /// What the planner decides about one such task: a place, then when to checkpoint, then a checkpoint.
    private func models() throws -> (place: Decision, schedule: Decision, checkpoint: Decision) {
        let fleet = Fleet(
            name: "bench", nodes: nodes.prefix(4).map { Fleet.Node(id: $0) }, store: .directory("/store"), imagesDirectory: "/images",
            defaults: .init(priorMTBFSeconds: shape.checkpointEverySeconds * 100))
        var events = opening.enumerated().map { EventRecord(sequence: Int64($0 + 1), at: start, source: .manager, event: $1) }
        func happen(_ time: Timestamp, _ event: Event) {
            events.append(EventRecord(sequence: Int64(events.count + 1), at: time, source: .manager, event: event))
        }
        func plan(_ time: Timestamp) -> [Decision] {
            let known = Knowledge().folding(events)
            let heard = Dictionary(uniqueKeysWithValues: nodes.map { ($0, LiveView.Heartbeats(first: time)) })
            let seen = TaskObservation(task: task(0), epoch: .first, state: .running, sample: sample(0, at: time), checkpointing: nil)
            let live = LiveView(now: time, managerSince: start, heartbeats: heard, observations: [task(0): seen])
            let findings = Analysis.assess(known, live: live, fleet: fleet, schedules: [:])
            return Planning.plan(known, findings: findings, fleet: fleet, schedules: [:], nextDecision: 1).decisions
        }
        happen(start, .taskSubmitted(submission(0)))
        let placed = plan(start)
        happen(start, .taskPlaced(task: task(0), epoch: .first, node: node(0)))
        happen(start, .taskStarted(task: task(0), epoch: .first, node: node(0)))
        let later = start + shape.checkpointEverySeconds * 3
        for step in 1...20 { happen(later, .progressSeen(sample(0, at: start + (later - start) * (Double(step) / 20)))) }
        let running = plan(later)
        guard let place = placed.first(where: { $0.kind == .place }), let schedule = running.first(where: { $0.kind == .schedule }) else {
            throw Failure.notDone("the planner decides nothing about the task of the bench: \((placed + running).map(\.sentence))")
        }
        var checkpoint = running.first { $0.kind == .checkpoint } ?? schedule
        checkpoint.kind = .checkpoint
        return (place, schedule, checkpoint)
    }

    private var opening: [Event] {
        let capabilities = HypervisorCapabilities(
            uri: "qemu:///system", driver: "QEMU", version: "7.2.0", acceleration: .kvm, captureWays: [.liveSnapshot, .saveRestore])
        return [.managerStarted(version: Release.version), .policyLoaded(policy, version: version)]
            + nodes.map { .nodeJoined(node: $0, incarnation: incarnation, hypervisor: capabilities) }
    }

    private func told(_ model: Decision, _ number: Int64, of task: TaskID, on node: NodeID, at time: Timestamp) -> Decision {
        var decision = model
        let digits = String(number)
        decision.id = DecisionID("d" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits)
        decision.at = time
        decision.task = task
        decision.node = node
        // Numbers are never twice the same: what is measured is not how well repetitions are kept.
        for index in decision.inputs.indices { decision.inputs[index].value *= 1 + Double(number % 997) * 1e-6 }
        for index in decision.alternatives.indices { decision.alternatives[index].timeCost *= 1 + Double(number % 991) * 1e-6 }
        return decision
    }

    /// - Parameter progress: called with the number of tasks that are in the ledger.
    func fill(_ ledger: SQLiteLedger, progress: (Int) -> Void) async throws {
        let models = try models()
        var counters: [NodeID: Int64] = [:]
        var decision: Int64 = 0
        _ = try await ledger.append(opening.map { EventRecord(at: start, source: .manager, event: $0) })
        for number in 0..<shape.tasks {
            let (task, node) = (task(number), node(number))
            var decisions: [Decision] = []
            var outcomes: [Outcome] = []
            var timed: [EventRecord] = []
            func decide(_ model: Decision, _ time: Timestamp) -> Decision {
                decision += 1
                let made = told(model, decision, of: task, on: node, at: time)
                decisions.append(made)
                return made
            }
            _ = decide(models.place, start)
            timed.append(EventRecord(at: start, source: .manager, event: .taskSubmitted(submission(number))))
            timed.append(EventRecord(at: start, source: .manager, event: .taskPlaced(task: task, epoch: .first, node: node)))
            timed.append(agent(number, &counters, start, .taskStarted(task: task, epoch: .first, node: node)))
            for step in stride(from: 1, through: shape.samplesPerTask, by: 1) {
                let time = start + shape.sampleEverySeconds * Double(step)
                timed.append(agent(number, &counters, time, .progressSeen(sample(number, at: time))))
            }
            for step in stride(from: 1, through: shape.checkpointsPerTask, by: 1) {
                let time = start + shape.checkpointEverySeconds * Double(step)
                for schedule in 0..<shape.schedulesPerCheckpoint {
                    _ = decide(models.schedule, Timestamp(time.rawValue - 100 * Double(shape.schedulesPerCheckpoint - schedule)))
                }
                let made = decide(models.checkpoint, time)
                timed += checkpoint(number, step, made, at: time, &counters)
                outcomes += [("stopSeconds", 0.1, 0.084), ("latencySeconds", 20, 19.1), ("sentBytes", 2e8, 1.9e8), ("uploadSeconds", 18, 18.4)].map {
                    Outcome(decision: made.id, at: time + Seconds(21), quantity: $0.0, predicted: $0.1, observed: $0.2 * (1 + Double(step) * 1e-6))
                }
            }
            let events = timed.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
            _ = try await ledger.append(events)
            try await ledger.record(decisions)
            try await ledger.record(outcomes)
            progress(number + 1)
        }
    }

    private func checkpoint(
        _ number: Int, _ step: Int, _ decision: Decision, at time: Timestamp, _ counters: inout [NodeID: Int64]
    ) -> [EventRecord] {
        let (task, node) = (task(number), node(number))
        let id = CheckpointID(epoch: .first, number: step)
        let order = OrderID("checkpoint-\(decision.id)")
        let fraction = sample(number, at: time).fraction
        let record = CheckpointRecord(
            id: id, task: task, node: node, epoch: .first, parent: step > 1 ? CheckpointID(epoch: .first, number: step - 1) : nil,
            capturedAt: time + Seconds(1), committedAt: time + Seconds(20), way: .liveSnapshot, progress: fraction, stopSeconds: Seconds(0.084),
            latencySeconds: Seconds(19.1), uploadSeconds: Seconds(18.4), compressSeconds: Seconds(6.1), memoryBytes: .mebibytes(4_096),
            diskBytes: .mebibytes(120), nonZeroBytes: .mebibytes(900), sentBytes: .mebibytes(190), codec: .zstd, replication: 2,
            includedBase: step == 1, order: order)
        var records = [
            EventRecord(
                at: time, source: .manager,
                event: .checkpointOrdered(
                    task: task, epoch: .first, node: node, order: order, CheckpointOrder(codec: .zstd, replication: 2), decision: decision.id))
        ]
        let told: [(Double, Event)] = [
            (0.5, .checkpointStarted(task: task, epoch: .first, checkpoint: id, node: node, order: order)),
            (1, .checkpointCaptured(task: task, epoch: .first, checkpoint: id, stopSeconds: Seconds(0.084), progress: fraction)),
            (20, .checkpointCommitted(record)),
        ]
        for (seconds, event) in told { records.append(agent(number, &counters, time + Seconds(seconds), event)) }
        // Two are kept, as a policy keeps them.
        if step > 2 {
            records.append(
                agent(
                    number, &counters, time + Seconds(22),
                    .checkpointsPruned(task: task, checkpoints: [CheckpointID(epoch: .first, number: step - 2)])))
        }
        return records
    }
}

/// Times of what people wait for, on one ledger.
struct LedgerMeasurement: Codable {
    var shape: LedgerShape
    var decisions: Int
    var events: Int64
    var fileBytes: ByteCount
    var bytesPerTaskDay: ByteCount
    /// Bytes of each table and index.
    var parts: [LedgerPart]
    /// From opening the file until the manager knows what it knew.
    var startupSeconds: Seconds
    /// All tasks of the fleet, with state, progress and checkpoints, from what the manager knows, as JSON.
    var fleetSeconds: Seconds
    var taskReportSeconds: Seconds
    var taskReportBytes: Int
    var appendSeconds: Seconds
    var verifySeconds: Seconds
    var verifiedRecords: Int64
}

struct LedgerBench {
    let path: String
    let shape: LedgerShape
    let say: (String) -> Void

    func measure(verifying: Bool) async throws -> LedgerMeasurement {
        let clock = ContinuousClock()
        func timed<Value>(_ body: () async throws -> Value) async throws -> (Value, Seconds) {
            let begun = clock.now
            let value = try await body()
            let took = (clock.now - begun).components
            return (value, Seconds(Double(took.seconds) + Double(took.attoseconds) * 1e-18))
        }
        let (known, startup) = try await timed {
            let ledger = try SQLiteLedger.open(path: path)
            var known = Knowledge()
            while case let page = try await ledger.events(after: known.sequence, limit: 5_000), !page.isEmpty { known = known.folding(page) }
            _ = try await ledger.unsettled(.checkpoint)
            try ledger.close()
            return known
        }
        say("startup: \(Words.duration(startup))")
        let (_, fleet) = try await timed { JSONText.of(known.tasks.values.sorted { $0.id < $1.id }.map { FleetRow($0) }).utf8.count }
        say("fleet: \(Words.duration(fleet))")
        let ledger = try SQLiteLedger.open(path: path)
        let middle = TaskID("simulation-\(shape.tasks / 2)")
        let (page, report) = try await timed {
            try await Report.read(from: ledger, generatedAt: Timestamp(Date().timeIntervalSince1970), task: middle).html()
        }
        say("report of \(middle): \(Words.duration(report)), \(Words.bytes(Double(page.utf8.count)))")
        let count = 200
        let (_, append) = try await timed {
            for number in 1...count {
                _ = try await ledger.append([
                    EventRecord(at: Timestamp(Double(number)), source: .manager, event: .nodeTrusted(node: NodeID("node-1")))
                ])
            }
        }
        let parts = try await ledger.parts()
        let decisions = try await ledger.nextDecisionNumber() - 1
        try ledger.close()
        var verified: (LedgerVerification, Seconds)?
        if verifying {
            verified = try await timed { try await SQLiteLedger.verify(path: path) }
            if let found = verified?.0.findings.first { throw Failure.notDone("the ledger of the bench is not as it was written: \(found)") }
        }
        let size = (try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int64) ?? 0
        return LedgerMeasurement(
            shape: shape, decisions: Int(decisions), events: known.sequence, fileBytes: ByteCount(size),
            bytesPerTaskDay: ByteCount(Int64(Double(size) / Double(shape.tasks) / shape.days)), parts: parts, startupSeconds: startup,
            fleetSeconds: fleet, taskReportSeconds: report, taskReportBytes: page.utf8.count, appendSeconds: append * (1 / Double(count)),
            verifySeconds: verified?.1 ?? .zero, verifiedRecords: verified?.0.records ?? 0)
    }

    private struct FleetRow: Encodable {
        var task: TaskID
        var state: String
        var node: NodeID?
        var progress: Double
        var checkpoints: Int
        init(_ task: TaskKnowledge) {
            self.task = task.id
            state = task.state.name
            node = task.node
            progress = task.highestProgress
            checkpoints = task.committed.count
        }
    }
}
