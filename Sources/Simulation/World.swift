import Analysis
import Knowledge
import Planning
import PlanningModel
import Vocabulary

/// One run: nodes that fail, links that are shared, guests that work, and the manager's analysis and planning, which decide.
///
/// What is known of each task is folded by `Knowledge` from the events that the live manager's execution and its agents would have recorded,
/// so the decisions made here are the ones that would be made there. Between two plannings a task goes on with its standing plan, as it
/// does on a node whose manager is away; planned is when something changed, and at moments that thin out (`PlanningMoments`).
struct World {
    let scenario: Scenario
    let candidacy: Candidacy
    /// As the policy on trial is told it.
    let fleet: Fleet
    let run: Int
    let horizon: Double
    /// Silence from which a node is declared lost, by Analysis' own judgement.
    let detectionSeconds: Double

    var now = 0.0
    var queue = EventQueue()
    var nodes: [NodeRun]
    var tasks: [TaskRun] = []
    var transfers: [Transfer] = []
    var freeTransfers: [Int] = []
    var activeTransfers: [Int] = []
    /// Of nodes and the policy; each task has its own.
    var known: Knowledge
    var heartbeats: [NodeID: LiveView.Heartbeats] = [:]
    /// What Analysis has made of the nodes' histories.
    var reliability = Reliability()
    /// Tasks that are on each node, or on their way to it.
    var loads: [NodeID: Int] = [:]
    var nextDecision: Int64 = 1
    var waiting: [Int] = []
    /// The newest checkpoints of all tasks: what costs of a task without history are learnt from.
    var recent: [EventRecord] = []
    var unfinished: Int
    /// Losses of nodes when all tasks were last planned because of them.
    var lossesPlanned = 0
    var losses = 0
    var events = 0
    var plannings = 0
    /// nil: nobody wants to know.
    var log: [Happening]?

    /// nil: the policy knows no ceiling, and what is due is taken at once.
    let admission: UploadAdmission?
    /// Bytes that the ceiling had not let through at a moment, and when uploads are looked at next.
    var backlog = (bytes: 0.0, at: 0.0)
    var nextLook = Double.infinity

    /// When the simulated world begins, by its own clock: 2000-01-01T00:00:00Z.
    static let origin = Timestamp(946_684_800)
    var timestamp: Timestamp { Self.origin + Seconds(now) }

    struct NodeRun {
        let id: NodeID
        var isUp = false
        /// The manager thinks that it is lost.
        var isDeclaredLost = false
        /// When it came up last, seconds from the beginning of the run; nil: before the run, and not known.
        var upSince: Double?
        /// How often it came up.
        var life: UInt32 = 0
        var outages: OutageStream
        var nextOutage: Outage?
        var tasks: [Int] = []
        var activeTransfers: [Int] = []
    }

    init(_ scenario: Scenario, _ candidacy: Candidacy, run: Int, detectionSeconds: Double) {
        self.scenario = scenario
        self.candidacy = candidacy
        var fleet = scenario.fleet
        if let told = candidacy.toldMTBFSeconds {
            fleet.defaults.priorMTBFSeconds = Seconds(told)
            fleet.defaults.priorWeight = 1e6
        }
        self.fleet = fleet
        self.run = run
        self.detectionSeconds = detectionSeconds
        horizon = scenario.horizon.rawValue
        unfinished = scenario.tasks.count
        admission = candidacy.policy.networkBytesPerSecond.map {
            UploadAdmission(ceilingBytesPerSecond: Double($0.rawValue), stepSeconds: Planning.lookSeconds)
        }
        // Tasks are planned one at a time, which does not show what the others send: uploads are admitted here, by the same rule.
        var policy = candidacy.policy
        policy.networkBytesPerSecond = nil
        known = Knowledge().folding([
            EventRecord(sequence: 1, at: Self.origin, source: .manager, event: .policyLoaded(policy, version: candidacy.version))
        ])
        nodes = scenario.fleet.nodes.enumerated().map { index, node in
            NodeRun(id: node.id, outages: OutageStream(scenario.failures, node: index, seed: scenario.seed, run: run))
        }
        for index in nodes.indices {
            let first = nodes[index].outages.next()
            nodes[index].nextOutage = first
            nodes[index].upSince = nodes[index].outages.lastUp
            queue.push(.nodeUp, index, at: first.map { $0.down <= 0 ? $0.up : 0 } ?? 0)
        }
        for (index, task) in scenario.tasks.enumerated() {
            var sla = task.sla
            sla.policy = candidacy.policy.name
            let submission = TaskSubmission(
                task: TaskID("\(sla.name)-\(index + 1)"), sla: sla, version: task.version,
                submittedAt: Self.origin + Seconds(max(0, task.submittedAfter.rawValue)))
            tasks.append(
                TaskRun(
                    submission, guest: Guest(scenario.costs, sla.task, seed: scenario.seed, run: run, index: index),
                    submittedAt: max(0, task.submittedAfter.rawValue), keepCount: max(1, candidacy.policy.settings.keepLast)))
            queue.push(.submit, index, at: tasks[index].submittedAt)
        }
    }

    mutating func simulate() -> RunResult {
        while unfinished > 0, let next = queue.pop(), next.time <= horizon {
            now = next.time
            let subject = Int(next.subject)
            switch next.kind {
            case .task:
                guard tasks[subject].version == next.version else { continue }
                events += 1
                taskIsDue(subject)
            case .transfer:
                guard transfers[subject].version == next.version else { continue }
                events += 1
                transferred(subject)
            case .submit:
                events += 1
                submit(subject)
            case .nodeDown:
                events += 1
                nodeFailed(subject)
            case .nodeUp:
                events += 1
                nodeCame(subject)
            case .nodeSilent:
                guard nodes[subject].life == next.version, !nodes[subject].isUp, !nodes[subject].isDeclaredLost else { continue }
                events += 1
                planNodes(silent: subject)
            case .look:
                guard next.time == nextLook else { continue }
                events += 1
                nextLook = .infinity
                look()
            case .nodeBare:
                guard nodes[subject].life == next.version, nodes[subject].isUp else { continue }
                events += 1
                nodeIsBare(subject)
            }
        }
        now = max(now, unfinished > 0 ? horizon : now)
        for index in tasks.indices where tasks[index].phase != .done { end(index, finished: false) }
        return RunResult(accounts: tasks.map(\.account), prices: scenario.tasks.map(\.prices), events: events, plannings: plannings)
    }

    mutating func note(_ event: Event) {
        known.fold([EventRecord(sequence: known.sequence + 1, at: timestamp, source: .manager, event: event)])
    }

    // MARK: Nodes

    private mutating func nodeCame(_ index: Int) {
        log?.append(Happening(at: now, .nodeUp(nodes[index].id)))
        if now > 0 { nodes[index].upSince = now }
        nodes[index].isUp = true
        nodes[index].isDeclaredLost = false
        nodes[index].life += 1
        // Heard until the end of time: a live node's heartbeats are no events here.
        heartbeats[nodes[index].id] = LiveView.Heartbeats(first: Self.origin + Seconds(horizon * 2))
        note(
            .nodeJoined(
                node: nodes[index].id, incarnation: Incarnation("life-\(nodes[index].life)"), hypervisor: Self.capabilities,
                uptimeSeconds: scenario.tellsUptime ? nodes[index].upSince.map { Seconds(now - $0) } : nil))
        if let outage = nodes[index].nextOutage, outage.up <= now { nodes[index].nextOutage = nodes[index].outages.next() }
        if let outage = nodes[index].nextOutage { queue.push(.nodeDown, index, at: max(now, outage.down)) }
        // Orders that it had not carried out are still in force.
        let ordered = waiting.filter { tasks[$0].lostFrom == index && tasks[$0].isOrdered }
        waiting.removeAll(where: ordered.contains)
        for task in ordered { occupy(index, by: task) }
        for task in nodes[index].tasks where tasks[task].isOrdered { beginLife(task) }
        // What ran on it is gone, which five reports show.
        if !bareTasks(index).isEmpty {
            queue.push(.nodeBare, index, at: now + 5 * scenario.fleet.defaults.heartbeatSeconds.rawValue, version: nodes[index].life)
        }
        planWaiting()
    }

    private static let capabilities = HypervisorCapabilities(
        uri: "simulated:", driver: "simulation", version: "1", acceleration: .kvm, captureWays: [.backgroundSnapshot])

    private mutating func nodeFailed(_ index: Int) {
        guard let outage = nodes[index].nextOutage else { return }
        log?.append(Happening(at: now, .nodeDown(nodes[index].id)))
        nodes[index].isUp = false
        heartbeats[nodes[index].id] = silence(since: now)
        queue.push(.nodeUp, index, at: max(now, outage.up))
        queue.push(.nodeSilent, index, at: now + detectionSeconds, version: nodes[index].life)
        for task in nodes[index].tasks { nodeFailed(under: task) }
    }

    private func silence(since time: Double) -> LiveView.Heartbeats {
        let beat = scenario.fleet.defaults.heartbeatSeconds
        var heartbeats = LiveView.Heartbeats(first: Self.origin + Seconds(time - 20 * beat.rawValue))
        for number in 1...20 { heartbeats.heard(at: Self.origin + Seconds(time) + beat * Double(number - 20)) }
        return heartbeats
    }

    /// The manager looks at its nodes, one of which should be found lost.
    private mutating func planNodes(silent index: Int) {
        plannings += 1
        let live = LiveView(now: timestamp, managerSince: Self.origin, heartbeats: heartbeats)
        // About this node alone: what is decided is about nothing else, and costs nothing for each other node.
        let findings = Analysis.assess(
            known, live: live, fleet: fleet, nodes: [fleet.nodes[index]], schedules: [:], reliability: &reliability)
        let plan = Planning.plan(known, findings: findings, fleet: fleet, schedules: [:], nextDecision: nextDecision)
        nextDecision += Int64(plan.decisions.count)
        for decision in plan.decisions { declareLost(decision, findings) }
        if !nodes[index].isDeclaredLost {
            queue.push(.nodeSilent, index, at: now + scenario.fleet.defaults.heartbeatSeconds.rawValue, version: nodes[index].life)
        }
    }

    /// Carries out a decision's `declareLost` and `fence`.
    mutating func declareLost(_ decision: Decision, _ findings: Findings) {
        for case .declareLost(let node) in decision.steps {
            guard let index = nodes.firstIndex(where: { $0.id == node }), let finding = findings.nodes.first(where: { $0.node == node }) else {
                continue
            }
            log?.append(Happening(at: now, .nodeLost(node)))
            nodes[index].isDeclaredLost = true
            losses += 1
            note(.nodeLost(node: node, phi: finding.phi, silentSeconds: finding.silentSeconds))
            note(.nodeFenced(node: node, method: "simulated", detail: ""))
            let gone = nodes[index].tasks
            nodes[index].tasks = []
            loads[node] = 0
            for task in gone { wasLost(task, with: index) }
            planAllAfterLosses()
        }
    }

    /// Rates are learnt from losses: the first few of them change much, each further one less. Everything is planned anew when there are a
    /// tenth more than last time.
    private mutating func planAllAfterLosses() {
        guard Double(losses) >= Double(lossesPlanned) * 1.1 + 1 else { return }
        lossesPlanned = losses
        for index in tasks.indices where tasks[index].phase == .running {
            tasks[index].nextPlanning = now
            arm(index)
        }
    }

    /// Tasks that ran on the node as far as the manager knows, and do not.
    private func bareTasks(_ index: Int) -> [Int] {
        nodes[index].tasks.filter { tasks[$0].phase == .down && !tasks[$0].isOrdered }
            + waiting.filter { tasks[$0].lostFrom == index && !tasks[$0].isOrdered }
    }

    private mutating func nodeIsBare(_ index: Int) {
        for task in bareTasks(index) {
            tellAll(task)
            tasks[task].tell(
                .taskFailed(
                    task: tasks[task].id, epoch: tasks[task].epoch, node: nodes[index].id, reason: "the node does not have it any more"),
                at: timestamp)
            waiting.removeAll { $0 == task }
            release(task)
            tasks[task].lostFrom = nil
            plan(task)
        }
    }

    /// The task is on no node any more.
    mutating func release(_ task: Int) {
        guard let node = tasks[task].node else { return }
        tasks[task].node = nil
        if let place = nodes[node].tasks.firstIndex(of: task) {
            nodes[node].tasks.remove(at: place)
            loads[nodes[node].id, default: 1] -= 1
        }
    }

    mutating func occupy(_ node: Int, by task: Int) {
        tasks[task].node = node
        tasks[task].lostFrom = nil
        nodes[node].tasks.append(task)
        loads[nodes[node].id, default: 0] += 1
    }

    /// Tasks that wait are planned again, in the order in which they began to wait, until one has to go on waiting. One whose node is back
    /// waits until that is seen not to have it.
    mutating func planWaiting() {
        var untried = waiting.filter { tasks[$0].lostFrom.map { !nodes[$0].isUp } ?? true }
        untried.reverse()
        while let task = untried.popLast() {
            guard let place = waiting.firstIndex(of: task) else { continue }
            waiting.remove(at: place)
            plan(task)
            if tasks[task].phase == .waiting {
                waiting.removeAll { $0 == task }
                waiting.insert(task, at: min(place, waiting.count))
                return
            }
        }
    }
}
