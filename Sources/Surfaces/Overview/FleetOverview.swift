import AuditReport
import Knowledge
import Vocabulary

/// The fleet at a glance. The JSON contract is in docs/json.md.
package struct FleetOverview: Hashable, Sendable, Codable {
    package static let schema = "cairn.fleet/v1"
    package var schema = FleetOverview.schema
    /// When everything here was so: of the loop's newest turn.
    package var at: Moment
    package var fleet: String
    package var version: String
    package var startedAt: Moment
    package var cycles: Int64
    package var heartbeatSeconds: Seconds
    /// Suspicion from which a node is watched, and from which it is lost.
    package var suspectPhi: Double
    package var lostPhi: Double
    package var nodes: [NodeOverview]
    package var store: StoreOverview
    package var totals: FleetTotals
    package var policies: [PolicyOverview]
    /// The first of `totals.tasks`: those that live first, the newest first.
    package var tasks: [TaskBrief]

    /// - Parameter taskLimit: how many tasks are listed; totals are of all.
    package init(_ outlook: Outlook, taskLimit: Int = 200) {
        let known = outlook.knowledge
        at = Moment(outlook.findings.at)
        fleet = outlook.fleet.name
        version = outlook.version
        startedAt = Moment(outlook.startedAt)
        cycles = outlook.cycles
        heartbeatSeconds = outlook.fleet.defaults.heartbeatSeconds
        suspectPhi = outlook.fleet.defaults.suspectPhi
        lostPhi = outlook.fleet.defaults.lostPhi
        let live = known.liveTasks
        let tasksOf = Dictionary(grouping: live.lazy.map { (node: $0.node, id: $0.id) }, by: \.node)
        let schedulesOf = Dictionary(grouping: outlook.schedules.values, by: \.node)
        let findings = Dictionary(outlook.findings.nodes.map { ($0.node, $0) }, uniquingKeysWith: { first, _ in first })
        nodes = outlook.fleet.nodes.map { node in
            NodeOverview(
                node, known: known.nodes[node.id], finding: findings[node.id], tasks: tasksOf[node.id]?.map(\.id) ?? [],
                schedules: schedulesOf[node.id] ?? [], at: outlook.findings.at)
        }
        store = StoreOverview(known.store, location: outlook.fleet.store)
        totals = FleetTotals(outlook, live: live, nodes: nodes)
        policies = known.policies.values.sorted { $0.policy.name < $1.policy.name }.map { PolicyOverview($0) }
        tasks = TaskBrief.all(outlook, limit: taskLimit)
    }
}

package struct NodeOverview: Hashable, Sendable, Codable {
    package var node: NodeID
    package var nodeClass: String
    package var standing: NodeFinding.Standing
    /// Nothing is placed there, and what runs there is moved away.
    package var isDraining: Bool
    package var drainAskedBy: String?
    package var isFenced: Bool
    /// Suspicion, at most 300: a double tells no smaller probability.
    package var phi: Double
    package var silentSeconds: Seconds
    /// As estimated, with a 90 % credible interval.
    package var failuresPerHour: Double
    package var failuresLowPerHour: Double
    package var failuresHighPerHour: Double
    /// nil: no failure is expected.
    package var mtbfSeconds: Seconds?
    package var failures: Int
    package var exposureSeconds: Seconds
    package var lastLostAt: Moment?
    package var capacity: Int
    package var tasks: [TaskID]
    /// Between checkpoints of the tasks there, as decided last; nil: none are taken.
    package var shortestIntervalSeconds: Seconds?
    package var longestIntervalSeconds: Seconds?
    package var hypervisor: String?
    package var acceleration: HypervisorCapabilities.Acceleration?

    init(_ node: Fleet.Node, known: NodeKnowledge?, finding: NodeFinding?, tasks: [TaskID], schedules: [Schedule], at now: Timestamp) {
        self.node = node.id
        nodeClass = node.nodeClass
        standing = finding?.standing ?? known?.standing ?? .unknown
        isDraining = known?.drain != nil
        drainAskedBy = known?.drain?.by
        isFenced = known?.isFenced ?? false
        phi = min(finding?.phi ?? 0, 300)
        silentSeconds = finding?.silentSeconds ?? .zero
        let rate = finding?.failureRate
        failuresPerHour = (rate?.perSecond ?? 0) * 3_600
        failuresLowPerHour = (rate?.lowPerSecond ?? 0) * 3_600
        failuresHighPerHour = (rate?.highPerSecond ?? 0) * 3_600
        mtbfSeconds = rate.flatMap { $0.perSecond > 0 ? $0.mtbfSeconds : nil }
        failures = known?.failures ?? 0
        exposureSeconds = known?.exposure(at: now) ?? .zero
        lastLostAt = known?.lastLostAt.map { Moment($0) }
        capacity = node.capacity
        self.tasks = tasks
        let intervals = schedules.compactMap(\.standing.intervalSeconds)
        shortestIntervalSeconds = intervals.min()
        longestIntervalSeconds = intervals.max()
        hypervisor = known?.capabilities.map { "\($0.driver) \($0.version)" }
        acceleration = known?.capabilities?.acceleration
    }
}

package struct StoreOverview: Hashable, Sendable, Codable {
    package enum Standing: String, Hashable, Sendable, Codable { case healthy, degraded, unreachable, unknown }
    package var standing: Standing
    /// What kind it is: `directory`, `webhdfs`, `ftp`, `sftp`.
    package var kind: String
    /// Why not healthy; nil: nothing to say.
    package var detail: String?
    package var liveHosts: Int?
    package var freeBytes: ByteCount?

    init(_ health: StoreHealth?, location: StoreLocation) {
        switch location {
        case .directory: kind = "directory"
        case .webHDFS: kind = "webhdfs"
        case .ftp: kind = "ftp"
        case .sftp: kind = "sftp"
        }
        guard let health else {
            standing = .unknown
            return
        }
        standing = !health.reachable ? .unreachable : health.detail.isEmpty ? .healthy : .degraded
        detail = health.detail.isEmpty ? nil : health.detail
        liveHosts = health.liveHosts
        freeBytes = health.freeBytes
    }
}

package struct FleetTotals: Hashable, Sendable, Codable {
    package var nodes: Int
    package var trustedNodes: Int
    package var lostNodes: Int
    /// All that were ever submitted.
    package var tasks: Int
    package var liveTasks: Int
    package var runningTasks: Int
    package var finishedTasks: Int
    package var givenUpTasks: Int
    package var cancelledTasks: Int
    /// Live ones whose deadline is less sure than their SLA asks for.
    package var tasksAtRisk: Int
    /// In the store, of all tasks.
    package var checkpoints: Int
    /// Sent for those, before replication.
    package var checkpointBytes: ByteCount
    package var interruptions: Int
    package var resumptions: Int
    /// Work that would be lost if everything failed now.
    package var exposedSeconds: Seconds
    package var moneyAtRisk: [MoneyAtRisk]

    package struct MoneyAtRisk: Hashable, Sendable, Codable {
        package var currency: String
        package var amount: Double
    }

    init(_ outlook: Outlook, live: [TaskKnowledge], nodes fleet: [NodeOverview]) {
        nodes = fleet.count
        trustedNodes = fleet.filter { $0.standing == .trusted }.count
        lostNodes = fleet.filter { $0.standing == .lost }.count
        tasks = outlook.knowledge.tasks.count
        liveTasks = live.count
        var (running, finished, givenUp, cancelled) = (0, 0, 0, 0)
        var (kept, keptBytes, interrupted) = (0, ByteCount.zero, 0)
        for task in outlook.knowledge.tasks.values {
            switch task.state {
            case .running: running += 1
            case .finished: finished += 1
            case .givenUp: givenUp += 1
            case .cancelled: cancelled += 1
            case .submitted, .placed, .resuming, .interrupted: break
            }
            kept += task.committed.count
            keptBytes = task.committed.reduce(keptBytes) { $0 + $1.sentBytes }
            interrupted += task.interruptions.count
        }
        (runningTasks, finishedTasks, givenUpTasks, cancelledTasks) = (running, finished, givenUp, cancelled)
        (checkpoints, checkpointBytes, interruptions) = (kept, keptBytes, interrupted)
        resumptions = outlook.knowledge.resumptions
        let findings = Dictionary(outlook.findings.tasks.map { ($0.task, $0) }, uniquingKeysWith: { first, _ in first })
        var (exposed, risky) = (Seconds.zero, 0)
        var money: [String: Double] = [:]
        for task in live {
            let brief = TaskBrief(task, finding: findings[task.id], schedule: nil, at: outlook.findings.at)
            exposed = exposed + (brief.exposedSeconds ?? .zero)
            if brief.isAtRisk { risky += 1 }
            if let amount = brief.moneyAtRisk, let currency = brief.currency { money[currency, default: 0] += amount }
        }
        exposedSeconds = exposed
        tasksAtRisk = risky
        moneyAtRisk = money.sorted { $0.key < $1.key }.map { MoneyAtRisk(currency: $0.key, amount: $0.value) }
    }
}

package struct PolicyOverview: Hashable, Sendable, Codable {
    package var version: DocumentVersion
    /// In force.
    package var mode: CheckpointPolicy.Mode
    /// As the file says.
    package var declaredMode: CheckpointPolicy.Mode
    /// Who set another mode than the file's; nil: nobody did.
    package var modeSetBy: String?
    package var strategy: String
    package var currency: String
    package var floorSeconds: Seconds
    package var ceilingSeconds: Seconds
    package var keepLast: Int
    package var rules: [String]

    init(_ loaded: Knowledge.LoadedPolicy) {
        version = loaded.version
        declaredMode = loaded.policy.settings.mode
        mode = loaded.modeSet?.mode ?? declaredMode
        modeSetBy = loaded.modeSet?.by
        strategy = loaded.policy.settings.strategy.name
        currency = loaded.policy.currency
        floorSeconds = loaded.policy.settings.floorSeconds
        ceilingSeconds = loaded.policy.settings.ceilingSeconds
        keepLast = loaded.policy.settings.keepLast
        rules = loaded.policy.rules.map(\.name)
    }
}
