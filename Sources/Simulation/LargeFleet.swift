import Analysis
import Knowledge
import Planning
import Vocabulary

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Very many running tasks, as a manager would know them: to measure what a cycle of its analysis and planning takes.
///
/// Tasks run for some hours to some weeks and are at all stages; half of them have a deadline; preferences are mixed. Each has taken some
/// checkpoints, nodes have failed, and in each cycle each task has shown progress.
package struct LargeFleet {
    package let tasks: Int
    private let fleet: Fleet
    private var knowledge = Knowledge()
    private var reliability = Reliability()
    private var live: LiveView
    private var schedules: [TaskID: Schedule] = [:]
    private var nextDecision: Int64 = 1
    private var ordered: [TaskID] = []
    private var places: [TaskID: Int] = [:]
    private var stream: RandomStream
    private var guests: [(id: TaskID, node: NodeID, fraction: Double, work: Double, number: Int)] = []

    private static let begin = Timestamp(946_684_800)
    private static let perNode = 20

    package init(tasks count: Int, seed: UInt64 = 1) {
        tasks = count
        let nodes = (0..<max(3, (count + Self.perNode - 1) / Self.perNode)).map {
            Fleet.Node(id: NodeID("node-\($0)"), nodeClass: "class-\($0 % 3)", domain: "domain-\($0 / 20)", capacity: Self.perNode * 2)
        }
        fleet = Fleet(name: "large", nodes: nodes, store: .directory("/large"), imagesDirectory: "/large")
        let week = Self.begin + .hours(24 * 7)
        live = LiveView(now: week, managerSince: Self.begin)
        stream = RandomStream(seed: seed, run: 0, .arrivals)
        var records: [EventRecord] = []
        func tell(_ event: Event, at time: Timestamp) { records.append(EventRecord(at: time, source: .manager, event: event)) }
        tell(.policyLoaded(Self.policy, version: DocumentVersion(name: "large", digest: "large")), at: Self.begin)
        for node in nodes {
            tell(.nodeJoined(node: node.id, incarnation: Incarnation("1"), hypervisor: Self.capabilities), at: Self.begin)
            // Some were lost once, and are back.
            if stream.fraction() < 0.3 {
                let lost = Self.begin + Seconds(stream.fraction() * 24 * 3600 * 6)
                tell(.nodeLost(node: node.id, phi: 9, silentSeconds: Seconds(6)), at: lost)
                tell(.nodeFenced(node: node.id, method: "large", detail: ""), at: lost)
                tell(.nodeJoined(node: node.id, incarnation: Incarnation("2"), hypervisor: Self.capabilities), at: lost + .hours(1))
            }
            var beats = LiveView.Heartbeats(first: week + Seconds(-200))
            for second in 1...200 { beats.heard(at: week + Seconds(Double(second) - 200)) }
            live.heartbeats[node.id] = beats
        }
        let preferences = ["finish-sooner", "balanced", "save-network"]
        for index in 0..<count {
            let work = exp2(2 + 6 * stream.fraction()) * 3600
            let hasDeadline = index % 2 == 0
            let sla = TaskSLA(
                name: "task",
                task: TaskSpec(
                    image: "demo", memoryBytes: .mebibytes(Int64(128 << (index % 5))), deltaBytes: .mebibytes(512), run: "work",
                    workSeconds: Seconds(work)), progress: .cpuTime,
                deadline: hasDeadline ? Deadline(moment: .within(Seconds(work * 1.5)), confidence: Probability(0.9)) : nil,
                limits: Limits(lostWorkSeconds: index % 3 == 0 ? .hours(1) : nil),
                penalty: hasDeadline ? Penalty(amount: Money(1, "EUR"), perSeconds: .hours(1), cap: Money(50, "EUR")) : nil,
                preference: .named(preferences[index % 3]), policy: "large")
            let id = TaskID("task-\(index)")
            let node = nodes[index % nodes.count].id
            let ran = min(0.95 * work, 24 * 3600 * stream.fraction())
            let began = week + Seconds(-ran)
            let version = DocumentVersion(name: "task", digest: "task")
            tell(.taskSubmitted(TaskSubmission(task: id, sla: sla, version: version, submittedAt: began)), at: began)
            tell(.taskPlaced(task: id, epoch: .first, node: node), at: began)
            tell(.taskStarted(task: id, epoch: .first, node: node), at: began)
            guests.append((id, node, 0, work, 0))
            places[id] = index
            for number in 1...10 {
                let at = began + Seconds(ran * Double(number) / 10.5)
                guests[index].number = number
                guests[index].fraction = (at - began).rawValue / work
                Self.checkpoint(guests[index], sla.task, at, &stream).forEach { tell($0.event, at: $0.at) }
            }
            for second in 0..<60 {
                guests[index].fraction = (ran - 59 + Double(second)) / work
                tell(Self.progress(guests[index], week + Seconds(Double(second) - 59)), at: week)
            }
            knowledge.fold(records)
            records.removeAll(keepingCapacity: true)
        }
    }

    /// A second passes, of which each task tells; then it is analysed and planned, as the manager does it, and what is decided is in force.
    package mutating func pass() {
        live.now = live.now + Seconds(1)
        for node in fleet.nodes { live.heartbeats[node.id]?.heard(at: live.now) }
        for id in ordered {
            guard let index = places[id], let task = knowledge.tasks[id]?.sla.task else { continue }
            guests[index].number += 1
            knowledge.fold(
                Self.checkpoint(guests[index], task, live.now + Seconds(-0.9), &stream)
                    .map { EventRecord(at: $0.at, source: .manager, event: $0.event) })
        }
        ordered = []
        for index in guests.indices {
            guests[index].fraction += 1 / guests[index].work
            knowledge.fold([EventRecord(at: live.now, source: .manager, event: Self.progress(guests[index], live.now))])
            live.observations[guests[index].id] = TaskObservation(
                task: guests[index].id, epoch: .first, state: .running, sample: nil, checkpointing: nil)
        }
    }

    /// - Returns: decisions.
    package mutating func cycle() -> Int {
        let findings = Analysis.assess(knowledge, live: live, fleet: fleet, schedules: schedules, reliability: &reliability)
        let plan = Planning.plan(knowledge, findings: findings, fleet: fleet, schedules: schedules, nextDecision: nextDecision)
        nextDecision += Int64(plan.decisions.count)
        schedules = plan.schedules
        for decision in plan.decisions {
            for case .checkpoint(let task, _, _, _) in decision.steps { ordered.append(task) }
        }
        return plan.decisions.count
    }

    private static let capabilities = HypervisorCapabilities(
        uri: "simulated:", driver: "simulation", version: "1", acceleration: .kvm, captureWays: [.backgroundSnapshot])

    /// What the simulator's speed is measured with: 200 tasks of a week on 50 nodes that fail once in three days.
    package static func scenario(seed: UInt64) -> Scenario {
        let nodes = (1...50).map { Fleet.Node(id: NodeID("node-\($0)")) }
        let tasks = (0..<200).map { index in
            let sla = TaskSLA(
                name: "task",
                task: TaskSpec(
                    image: "demo", memoryBytes: .mebibytes(512), deltaBytes: .mebibytes(512), run: "work", workSeconds: .hours(24 * 7)),
                progress: .cpuTime, policy: policy.name)
            return Scenario.Task(
                sla: sla, version: DocumentVersion(name: "task", digest: "task"), submittedAfter: Seconds(Double(index) * 60),
                prices: policy.preferences["balanced"] ?? Prices(timePerHour: 1, networkPerGiB: 0, storagePerGiBHour: 0))
        }
        return Scenario(
            fleet: Fleet(name: "fast", nodes: nodes, store: .directory("/fast"), imagesDirectory: "/fast"), tasks: tasks,
            failures: .law(.exponential, mtbfSeconds: 3 * 86_400, repair: .exponential, downSeconds: 3_600), horizon: .hours(24 * 60), seed: seed)
    }

    package static var trials: [(name: String, candidacy: Candidacy)] {
        [("adaptive", .adaptive), ("exact", .exact), ("fixed 10 min", .fixed(.minutes(10))), ("fixed 1 min", .fixed(.minutes(1)))].map {
            name, strategy in
            var policy = policy
            policy.name = name
            policy.settings.strategy = strategy
            return (name, Candidacy(policy: policy, version: DocumentVersion(name: name, digest: name)))
        }
    }

    package static var policy: CheckpointPolicy {
        CheckpointPolicy(
            name: "large", currency: "EUR",
            preferences: [
                "finish-sooner": Prices(timePerHour: 6, networkPerGiB: 0.001, storagePerGiBHour: 0.0001),
                "balanced": Prices(timePerHour: 3, networkPerGiB: 0.01, storagePerGiBHour: 0.0002),
                "save-network": Prices(timePerHour: 1, networkPerGiB: 0.02, storagePerGiBHour: 0.0005),
            ], settings: .init(strategy: .adaptive, floorSeconds: Seconds(10)))
    }

    private static func progress(_ guest: (id: TaskID, node: NodeID, fraction: Double, work: Double, number: Int), _ at: Timestamp) -> Event {
        .progressSeen(
            ProgressSample(
                task: guest.id, epoch: .first, node: guest.node, at: at, fraction: min(1, max(0, guest.fraction)), cpuSeconds: .zero,
                blockWrittenBytes: ByteCount(Int64(max(0, guest.fraction) * guest.work * 65_536))))
    }

    private static func checkpoint(
        _ guest: (id: TaskID, node: NodeID, fraction: Double, work: Double, number: Int), _ task: TaskSpec, _ at: Timestamp,
        _ stream: inout RandomStream
    ) -> [(event: Event, at: Timestamp)] {
        let id = CheckpointID(epoch: .first, number: guest.number)
        let content = ByteCount(Int64(Double(task.memoryBytes.rawValue) * (0.4 + 0.2 * stream.fraction())))
        let sent = ByteCount(Int64(Double(content.rawValue) * 0.4))
        let upload = Seconds(Double(sent.rawValue) / 90e6)
        let order = OrderID("standing-\(guest.id)-\(guest.number)")
        return [
            (progress(guest, at), at), (.checkpointStarted(task: guest.id, epoch: .first, checkpoint: id, node: guest.node, order: order), at),
            (.checkpointCaptured(task: guest.id, epoch: .first, checkpoint: id, stopSeconds: Seconds(0.15), progress: guest.fraction), at),
            (
                .checkpointCommitted(
                    CheckpointRecord(
                        id: id, task: guest.id, node: guest.node, epoch: .first, parent: nil, capturedAt: at, committedAt: at + upload,
                        way: .backgroundSnapshot, progress: guest.fraction, stopSeconds: Seconds(0.15), latencySeconds: upload + Seconds(0.4),
                        uploadSeconds: upload, compressSeconds: Seconds(Double(content.rawValue) / 250e6), memoryBytes: content,
                        diskBytes: .mebibytes(2), nonZeroBytes: content, sentBytes: sent, codec: .zstd, replication: 2, includedBase: false,
                        order: order)), at + upload
            ),
            (
                .checkpointsPruned(
                    task: guest.id, checkpoints: guest.number > 3 ? [CheckpointID(epoch: .first, number: guest.number - 3)] : []), at + upload
            ),
        ]
    }
}
