import Analysis
import CheckpointEngine
import Execution
import Knowledge
import Planning
import Ports
import Vocabulary

/// Where policies come from, and that they change while the manager runs.
package protocol PolicySource: Sendable {
    /// What has changed since the last call; each document is whole and valid, or rejected with its problems.
    func changes() async -> [PolicyChange]
}

package enum PolicyChange: Hashable, Sendable {
    case loaded(CheckpointPolicy, version: DocumentVersion)
    case rejected(name: String, problems: [String])
}

/// The autonomic manager: monitor, analyse, plan, execute, over knowledge. Source: Kephart & Chess, The vision of autonomic computing, 2003.
package actor Manager {
    let configuration: Configuration
    let chronicle: Chronicle
    let ledger: any Ledger
    let store: any CheckpointStore
    let catalog: CheckpointCatalog
    let execution: StepExecution
    let policies: any PolicySource
    let time: any TimeSource
    private let log: @Sendable (String) -> Void
    private let startedAt: Timestamp

    private var heartbeats: [NodeID: LiveView.Heartbeats] = [:]
    var reports: [NodeID: NodeReport] = [:]
    var schedules: [TaskID: Schedule] = [:]
    /// What Analysis has made of the nodes' histories.
    var reliability = Reliability()
    /// Names given to tasks in this manager's life, told to the ledger or not yet.
    var submitted: Set<TaskID> = []
    var prunes: [TaskID: [CheckpointID]] = [:]
    /// Merges ordered and not heard of yet.
    var merges: [TaskID: Merging] = [:]
    struct Merging {
        var id: OrderID
        var epoch: Epoch
        var order: MergeOrder
    }
    /// In how many reports in a row a node has shown a task of which nobody told that it began there.
    private var sightings: [TaskID: Absence] = [:]
    /// Decisions' numbers below this are taken, recorded or not yet.
    private var nextDecision: Int64 = 0
    /// In how many reports in a row a node has not shown a task that should run there.
    private var absences: [TaskID: Absence] = [:]
    private struct Absence {
        var epoch: Epoch
        var reports = 0
    }
    private var troubles = Troubles()
    /// Of the newest turn of the loop.
    private(set) var newestOutlook: Outlook?
    private var cycles: Int64 = 0
    private var lastCycleAt: Timestamp?
    private var lastLookAt: Timestamp?
    /// How long the turns of the loop took, in seconds.
    package private(set) var cycleTimes = Histogram(bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])

    package struct Configuration: Sendable {
        package var fleet: Fleet
        package var version: String
        package var cycle: Seconds
        /// Reads a declaration; all of its problems at once as `.invalid`.
        package var readSLA: @Sendable (_ text: String, _ file: String) throws(CommandError) -> (TaskSLA, DocumentVersion)
        package init(
            fleet: Fleet, version: String, cycle: Seconds,
            readSLA: @escaping @Sendable (_ text: String, _ file: String) throws(CommandError) -> (TaskSLA, DocumentVersion)
        ) {
            self.fleet = fleet
            self.version = version
            self.cycle = cycle
            self.readSLA = readSLA
        }
    }

    package init(
        configuration: Configuration, ledger: any Ledger, store: any CheckpointStore, fence: any Fence, policies: any PolicySource,
        time: any TimeSource, witness: (any EventWitness)? = nil, log: @escaping @Sendable (String) -> Void
    ) {
        self.configuration = configuration
        self.ledger = ledger
        self.store = store
        self.policies = policies
        self.time = time
        self.log = log
        chronicle = Chronicle(ledger: ledger, witness: witness)
        catalog = CheckpointCatalog(store: store, time: time)
        execution = StepExecution(catalog: catalog, fence: fence, fleet: configuration.fleet, time: time)
        startedAt = time.now()
    }

    /// Recalls what the ledger holds; to be called once, before anything else.
    package func begin() async throws(LedgerError) {
        try await chronicle.recall()
        try await note(.managerStarted(version: configuration.version))
        try await loadPolicies()
        // What a manager that was killed had heard of and not settled yet.
        let unsettled = try await ledger.unsettled(.checkpoint)
        try await settle(
            await chronicle.knowledge.tasks.values.flatMap(\.committed)
                .map { EventRecord(at: $0.committedAt, source: .manager, event: .checkpointCommitted($0)) }
                .filter { record in
                    guard case .decision(let id) = Settlement.subject(of: record) else { return false }
                    return unsettled.contains(id)
                })
    }

    /// - Parameter turned: called after every turn of the loop, also one that was lost.
    package func run(turned: @Sendable () -> Void = {}) async throws {
        while !Task.isCancelled {
            do { try await runOnce() } catch let error as LedgerError where error.isRetryable { log("this cycle is lost: \(error)") }
            turned()
            try await time.sleep(for: configuration.cycle)
        }
    }

    /// One turn of the loop, from observed state.
    package func runOnce() async throws {
        let begun = time.now()
        try await monitor()
        let known = await chronicle.knowledge
        let findings = Analysis.assess(
            known, live: view(), fleet: configuration.fleet, schedules: schedules, reliability: &reliability)
        try await noteStandings(findings, known)
        try await noteStalls(findings, known)
        let recorded = try await ledger.nextDecisionNumber()
        let number = max(nextDecision, recorded)
        let plan = Planning.plan(known, findings: findings, fleet: configuration.fleet, schedules: schedules, nextDecision: number)
        nextDecision = number + Int64(plan.decisions.count)
        let decisions = plan.decisions.filter { !troubles.isWaiting($0, at: findings.at) }
        try await ledger.record(decisions)
        schedules = plan.schedules
        newestOutlook = Outlook(
            fleet: configuration.fleet, version: configuration.version, startedAt: startedAt, cycles: cycles, knowledge: known, findings: findings,
            schedules: schedules)
        for decision in decisions { try await carryOut(decision, findings) }
        try await storeEnds()
        cycles += 1
        let ended = time.now()
        cycleTimes.observe(max(.zero, ended - begun).rawValue)
        lastCycleAt = ended
    }

    /// A number that no other decision has, though a command and the loop decide at the same time.
    func takeDecisionNumber() async throws(LedgerError) -> Int64 {
        let recorded = try await ledger.nextDecisionNumber()
        let number = max(nextDecision, recorded)
        nextDecision = number + 1
        return number
    }

    // MARK: Monitor

    private func monitor() async throws(LedgerError) {
        excuseOwnAbsence()
        try await loadPolicies()
        // The store is asked every tenth cycle: its answer costs it something.
        if cycles % 10 == 0 {
            let health = await store.health()
            let before = await chronicle.knowledge.store
            if before?.reachable != health.reachable || before?.liveHosts != health.liveHosts || before?.detail != health.detail {
                try await note(.storeHealthChanged(health))
            }
        }
    }

    /// A manager that was suspended, or whose clock was set forward, must not take its own absence for the nodes' silence. It was away when
    /// neither the loop turned nor anybody was heard for longer than both take; called wherever either happens, before anything else.
    private func excuseOwnAbsence() {
        let now = time.now()
        defer { lastLookAt = now }
        guard let lastLookAt, now - lastLookAt > configuration.cycle + configuration.fleet.defaults.heartbeatSeconds * 2, !heartbeats.isEmpty else {
            return
        }
        for node in heartbeats.keys { heartbeats[node]?.excuse(until: now) }
        log("nothing was heard or done for \(rounded(now - lastLookAt)) s: this manager was away, and no node is blamed")
    }

    private func loadPolicies() async throws(LedgerError) {
        for change in await policies.changes() {
            switch change {
            case .loaded(let policy, let version):
                guard await chronicle.knowledge.policies[policy.name]?.version != version else { continue }
                log("policy \(policy.name) is in force (\(version.digest.prefix(19)))")
                try await note(.policyLoaded(policy, version: version))
            case .rejected(let name, let problems):
                log("policy file \(name) is not valid; what was in force stays in force:\n\(problems.joined(separator: "\n"))")
                try await note(.policyRejected(name: name, problems: problems))
            }
        }
    }

    private func view() -> LiveView {
        var observations: [TaskID: TaskObservation] = [:]
        for report in reports.values {
            for seen in report.tasks where seen.epoch >= observations[seen.task]?.epoch ?? .first { observations[seen.task] = seen }
        }
        return LiveView(now: time.now(), managerSince: startedAt, heartbeats: heartbeats, observations: observations)
    }

    private func noteStandings(_ findings: Findings, _ known: Knowledge) async throws(LedgerError) {
        for finding in findings.nodes {
            switch (known.nodes[finding.node]?.standing, finding.standing) {
            case (.trusted, .suspected):
                log("node \(finding.node) is silent for \(rounded(finding.silentSeconds)) s (phi \(rounded(Seconds(finding.phi)))): suspected")
                try await note(.nodeSuspected(node: finding.node, phi: finding.phi, silentSeconds: finding.silentSeconds))
            case (.suspected, .trusted): try await note(.nodeTrusted(node: finding.node))
            default: break
            }
        }
    }

    private func noteStalls(_ findings: Findings, _ known: Knowledge) async throws(LedgerError) {
        for finding in findings.tasks {
            guard let stalled = finding.stalledSeconds, let node = finding.node, known.tasks[finding.task]?.isStalled == false else { continue }
            let percent = (finding.progress * 1000).rounded() / 10
            log("\(finding.task): its guest runs on \(node) and stands still at \(percent) % for \(rounded(stalled)) s: look at its console")
            try await note(
                .taskStalled(task: finding.task, epoch: finding.epoch, node: node, progress: finding.progress, stalledSeconds: stalled))
        }
    }

    // MARK: Execute

    private func carryOut(_ decision: Decision, _ findings: Findings) async throws(LedgerError) {
        if decision.kind != .prune { log(decision.sentence) }
        guard decision.mode == .enforce else { return }
        for step in decision.steps {
            if case .prune(let task, _, _, let keep) = step { prunes[task] = keep }
            if case .merge(let task, _, let epoch, let order) = step {
                merges[task] = Merging(id: OrderID("merge-\(decision.id)"), epoch: epoch, order: order)
            }
            let outcome = await execution.carryOut(step, of: decision, findings: findings, knowledge: await chronicle.knowledge)
            try await settle(try await chronicle.append(outcome.events))
            if let trouble = outcome.trouble {
                log(trouble)
                troubles.met(decision, at: time.now())
                return
            }
        }
        troubles.overcame(decision)
    }

    func note(_ event: Event) async throws(LedgerError) {
        try await chronicle.append([EventRecord(at: time.now(), source: .manager, event: event)])
    }

    /// Puts what came true beside what was predicted.
    func settle(_ appended: [EventRecord]) async throws(LedgerError) {
        let known = await chronicle.knowledge
        for record in appended {
            guard let subject = Settlement.subject(of: record) else { continue }
            let decision: Decision?
            switch subject {
            case .decision(let id): decision = try await ledger.decision(id)
            case .newest(let kind, let task):
                decision = try await ledger.decisions(DecisionQuery(task: task, kinds: [kind], newestFirst: true, limit: 1)).first
            }
            guard let decision, try await ledger.outcomes(of: decision.id).isEmpty else { continue }
            try await ledger.record(Settlement.outcomes(of: decision, record, knowledge: known))
        }
    }

    func tell(_ text: String) { log(text) }

    // MARK: The agents' side

    func hear(_ report: NodeReport) async throws(LedgerError) -> NodeOrders {
        let now = time.now()
        excuseOwnAbsence()
        let isNew = reports[report.node].map { $0.incarnation != report.incarnation } ?? true
        // Before anything is awaited: between two awaits the loop may look, and must not see a node without a heartbeat.
        if isNew || heartbeats[report.node] == nil {
            heartbeats[report.node] = LiveView.Heartbeats(first: now)
        } else {
            heartbeats[report.node]?.heard(at: now)
        }
        reports[report.node] = report
        let known = await chronicle.knowledge.nodes[report.node]
        if known?.incarnation != report.incarnation || known?.standing == .lost {
            log(
                "node \(report.node) is here: \(report.capabilities.driver) \(report.capabilities.version), \(report.capabilities.acceleration.rawValue)"
            )
            try await note(
                .nodeJoined(
                    node: report.node, incarnation: report.incarnation, hypervisor: report.capabilities, uptimeSeconds: report.uptimeSeconds))
        }
        if known?.processes != report.processes { try await note(.nodeProcessesChanged(node: report.node, report.processes)) }
        let appended = try await chronicle.append(report.events)
        for record in appended { tellOf(record.event) }
        try await settle(appended)
        try await noteAbsences(report)
        try await noteSightings(report)
        var acknowledged: Int64 = 0
        for case .agent(_, _, let number) in report.events.map(\.source) { acknowledged = max(acknowledged, number) }
        let knowledge = await chronicle.knowledge
        let orders = Orders.inForce(for: report, knowledge: knowledge, prunes: prunes, merges: merges)
        let inForce = knowledge.tasks(on: report.node).compactMap { schedules[$0.id] }.filter { $0.node == report.node }
        return NodeOrders(acknowledged: acknowledged, orders: orders, standing: inForce.map(\.standing))
    }

    /// A task that runs as far as anybody knows, and that its node does not have: its disk was replaced, or wiped.
    private func noteAbsences(_ report: NodeReport) async throws(LedgerError) {
        for task in await chronicle.knowledge.tasks(on: report.node) where task.state == .running(report.node) {
            // The first reports after a start may not show it yet, and a long backlog may hold its end.
            guard !report.tasks.contains(where: { $0.task == task.id && $0.epoch == task.epoch }), report.events.count < 100 else {
                absences[task.id] = nil
                continue
            }
            var absence = absences[task.id].flatMap { $0.epoch == task.epoch ? $0 : nil } ?? Absence(epoch: task.epoch)
            absence.reports += 1
            absences[task.id] = absence
            guard absence.reports >= 5 else { continue }
            absences[task.id] = nil
            let event = Event.taskFailed(task: task.id, epoch: task.epoch, node: report.node, reason: "the node does not have it any more")
            tellOf(event)
            try await note(event)
        }
    }

    /// A guest that runs as it should, though its start or resumption was told to a ledger that was lost: it is not told again.
    private func noteSightings(_ report: NodeReport) async throws(LedgerError) {
        for task in await chronicle.knowledge.tasks(on: report.node) {
            let isExpected: Bool =
                switch task.state {
                case .placed, .resuming: true
                default: false
                }
            guard isExpected, report.events.isEmpty,
                report.tasks.contains(where: { $0.task == task.id && $0.epoch == task.epoch && $0.state == .running })
            else {
                sightings[task.id] = nil
                continue
            }
            var sighting = sightings[task.id].flatMap { $0.epoch == task.epoch ? $0 : nil } ?? Absence(epoch: task.epoch)
            sighting.reports += 1
            sightings[task.id] = sighting
            guard sighting.reports >= 5 else { continue }
            sightings[task.id] = nil
            try await note(.taskFound(task: task.id, epoch: task.epoch, node: report.node))
        }
    }

    /// Tells the store which tasks have ended, so that nobody resumes them who has the store alone.
    private func storeEnds() async throws(LedgerError) {
        let known = await chronicle.knowledge
        for task in known.tasks.values where task.state.isFinal && !task.isEndStored {
            let failure: EngineError?
            do throws(EngineError) {
                if let record = try await end(of: task) { try await catalog.recordEnd(record) }
                failure = nil
            } catch { failure = error }
            if let failure {
                log("\(task.id): the store is not told yet that it has ended: \(failure)")
                return
            }
            try await note(.taskEndStored(task: task.id))
        }
    }

    /// - Returns: nil for a task that the store has never heard of.
    private func end(of task: TaskKnowledge) async throws(EngineError) -> EndRecord? {
        guard let epoch = try await catalog.newestEpoch(of: task.id) else { return nil }
        let outcome: EndRecord.Outcome
        switch task.state {
        case .finished(let result): outcome = .finished(result: result)
        case .givenUp(let reason): outcome = .givenUp(reason: reason)
        case .cancelled: outcome = .cancelled(by: "the operator")
        case .submitted, .placed, .running, .interrupted, .resuming: return nil
        }
        return EndRecord(task: task.id, epoch: epoch, outcome: outcome, node: nil, at: task.endedAt ?? time.now())
    }

    func lastHeard(_ node: NodeID) -> Timestamp? { heartbeats[node]?.last }

    private func tellOf(_ event: Event) {
        switch event {
        case .checkpointCommitted(let checkpoint):
            log(
                "\(checkpoint.task): checkpoint \(checkpoint.id) is safe: stopped \(rounded(checkpoint.stopSeconds)) s, "
                    + "\(rounded(Seconds(checkpoint.sentBytes.mebibytes))) MiB sent, \(rounded(checkpoint.latencySeconds)) s in all")
        case .taskResumed(let resumption):
            log("\(resumption.task): runs again on \(resumption.node) from \(resumption.checkpoint?.rawValue ?? "its beginning")")
        case .taskFinished(let task, _, let node, let result): log("\(task): finished on \(node) with \(result)")
        case .taskFailed(let task, _, let node, let reason): log("\(task): failed on \(node): \(reason)")
        case .checkpointFailed(let task, _, let checkpoint, _, _, let reason): log("\(task): checkpoint \(checkpoint) failed: \(reason)")
        case .orderFailed(let order, let node, let task, let reason):
            if let task, merges[task]?.id == order { merges[task] = nil }
            log("node \(node) could not carry out \(order): \(reason)")
        case .taskRefused(let task, _, let node, let reason): log("node \(node) could not take \(task): \(reason)")
        case .staleCommitRefused(let task, let epoch, _, let node): log("\(task): the stale node \(node) was refused a commit in epoch \(epoch)")
        case .checkpointsPruned(let task, _): prunes[task] = nil
        case .layersMerged(let merge):
            merges[merge.task] = nil
            if merge.layersAfter < merge.layersBefore {
                log(
                    "\(merge.task): \(merge.layersBefore) layers merged into \(merge.layersAfter) in \(rounded(merge.elapsedSeconds)) s, "
                        + "\(rounded(Seconds(merge.bytesBefore.mebibytes))) MiB into \(rounded(Seconds(merge.bytesAfter.mebibytes))) MiB")
            }
        default: break
        }
    }

    func healthNow() async -> ManagerHealth {
        let known = await chronicle.knowledge
        return ManagerHealth(
            version: configuration.version, startedAt: startedAt, cycles: cycles, lastCycleAt: lastCycleAt, store: known.store,
            liveTasks: known.tasks.values.count { !$0.state.isFinal })
    }
}

/// For log lines: two decimals.
func rounded(_ value: Seconds) -> Double { (value.rawValue * 100).rounded() / 100 }
