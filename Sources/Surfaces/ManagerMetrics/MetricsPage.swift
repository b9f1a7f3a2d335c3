import Knowledge
import Ports
import Vocabulary

/// What Prometheus reads of a manager.
///
/// The number of series is bounded by what lives: those of tasks are of tasks that have not ended, which fall out when they end; what ended is
/// in counters by policy. The others are by node of the fleet, policy, codec and kind.
package struct MetricsPage: Sendable {
    private let tally: LedgerTally
    private let source: any OutlookSource
    private let health: @Sendable () async -> ManagerHealth
    private let cycles: @Sendable () async -> Histogram
    private let ledgerBytes: @Sendable () -> ByteCount?

    /// - Parameters:
    ///   - cycles: how long the turns of the manager's loop took, in seconds.
    ///   - ledgerBytes: what the ledger's files take; nil: not known.
    package init(
        tally: LedgerTally, source: any OutlookSource, health: @escaping @Sendable () async -> ManagerHealth,
        cycles: @escaping @Sendable () async -> Histogram, ledgerBytes: @escaping @Sendable () -> ByteCount?
    ) {
        self.tally = tally
        self.source = source
        self.health = health
        self.cycles = cycles
        self.ledgerBytes = ledgerBytes
    }

    package func text() async throws(LedgerError) -> String {
        var page = try await tally.counts()
        if let bytes = ledgerBytes() { page.set(.ledgerBytes, [], Double(bytes.rawValue)) }
        page.add(await health(), cycles: await cycles())
        if let outlook = await source.outlook() { page.add(outlook) }
        return page.text
    }
}

extension Exposition {
    package mutating func add(_ outlook: Outlook) {
        addTasks(outlook)
        addNodes(outlook)
    }

    package mutating func add(_ health: ManagerHealth, cycles: Histogram) {
        if let store = health.store {
            set(.storeReachable, [], store.reachable ? 1 : 0)
            if let hosts = store.liveHosts { set(.storeHosts, [], Double(hosts)) }
            if let free = store.freeBytes { set(.storeFree, [], Double(free.rawValue)) }
        }
        set(.buildInfo, [health.version], 1)
        set(.startTime, [], health.startedAt.rawValue)
        set(.cycleSeconds, [], cycles)
        if let last = health.lastCycleAt { set(.lastCycle, [], last.rawValue) }
    }

    // MARK: Tasks

    private mutating func addTasks(_ outlook: Outlook) {
        for policy in outlook.knowledge.policies.keys {
            for state in ["submitted", "placed", "running", "interrupted", "resuming"] { set(.tasks, [policy, state], 0) }
        }
        var findings: [TaskID: TaskFinding] = [:]
        for finding in outlook.findings.tasks { findings[finding.task] = finding }
        for task in outlook.knowledge.tasks.values where !task.state.isFinal {
            let labels = [task.id.rawValue, task.sla.policy]
            add(.tasks, [task.sla.policy, task.state.name])
            set(.taskInfo, labels + [task.node?.rawValue ?? "", task.state.name], 1)
            set(.taskProgress, labels, findings[task.id]?.progress ?? task.highestProgress)
            if let deadline = task.sla.deadline {
                set(.wantedProbability, labels, deadline.confidence.rawValue)
                set(.deadlineDistance, labels, (deadline.time(submitted: task.submission.submittedAt) - outlook.findings.at).rawValue)
            }
            if let limit = task.sla.limits.lostWorkSeconds { set(.exposureLimit, labels, limit.rawValue) }
            if let interval = outlook.schedules[task.id]?.standing.intervalSeconds { set(.interval, labels, interval.rawValue) }
            if let newest = task.newestCommitted { set(.newestCheckpoint, labels, newest.capturedAt.rawValue) }
            set(.stalled, labels, task.isStalled ? 1 : 0)
            set(.failedInARow, labels, Double(task.failedCheckpointsInARow))
            if let finding = findings[task.id] { add(finding, task, labels, outlook) }
        }
    }

    private mutating func add(_ finding: TaskFinding, _ task: TaskKnowledge, _ labels: [String], _ outlook: Outlook) {
        set(.exposureSeconds, labels, finding.exposedSeconds.rawValue)
        if let (prices, currency) = task.prices(outlook.knowledge) {
            set(.exposureMoney, labels + [currency], finding.exposedSeconds.rawValue * prices.timePerSecond)
        }
        guard let forecast = finding.forecast else { return }
        if let met = forecast.probabilityMet { set(.probabilityMet, labels, met.rawValue) }
        for (percentile, time) in [("50", forecast.medianFinish), ("90", forecast.p90Finish), ("99", forecast.p99Finish)] {
            set(.forecastFinish, labels + [percentile], time.rawValue)
        }
    }

    // MARK: Nodes

    private mutating func addNodes(_ outlook: Outlook) {
        let findings = Dictionary(outlook.findings.nodes.map { ($0.node, $0) }, uniquingKeysWith: { first, _ in first })
        let tasks = Dictionary(grouping: outlook.knowledge.tasks.values.filter { !$0.state.isFinal }, by: \.node)
        for node in outlook.fleet.nodes {
            let known = outlook.knowledge.nodes[node.id]
            let finding = findings[node.id]
            let name = node.id.rawValue
            set(
                .nodeInfo,
                [name, node.nodeClass, known?.capabilities?.driver ?? "", known?.capabilities?.acceleration.rawValue ?? ""], 1)
            let standing = finding?.standing ?? known?.standing ?? .unknown
            for other in [NodeFinding.Standing.unknown, .trusted, .suspected, .lost] {
                set(.nodeStanding, [name, other.rawValue], other == standing ? 1 : 0)
            }
            set(.nodeCapacity, [name], Double(node.capacity))
            set(.nodeTasks, [name], Double(tasks[node.id]?.count ?? 0))
            add(.nodeFailures, [name], 0)
            guard let finding else { continue }
            // A node that is silent for hours is as suspect as can be.
            set(.nodePhi, [name], min(finding.phi, 1_000))
            set(.nodeSilence, [name], finding.silentSeconds.rawValue)
            set(.nodeFailureRate, [name], finding.failureRate.perSecond)
        }
    }
}

extension TaskKnowledge {
    /// The owner's prices, and what they are in; nil when the policy is not there, or does not have them any more.
    func prices(_ knowledge: Knowledge) -> (Prices, currency: String)? {
        guard let policy = knowledge.policies[sla.policy]?.policy else { return nil }
        switch sla.preference {
        case .prices(let prices): return (prices, policy.currency)
        case .named(let name): return policy.preferences[name].map { ($0, policy.currency) }
        }
    }
}
