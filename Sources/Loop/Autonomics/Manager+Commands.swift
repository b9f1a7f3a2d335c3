import CheckpointEngine
import Knowledge
import Ports
import Vocabulary

extension Manager: ManagerCommands {
    package func exchange(_ report: NodeReport) async throws(CommandError) -> NodeOrders {
        guard configuration.fleet.nodes.contains(where: { $0.id == report.node }) else {
            throw .notFound(
                "the fleet \(configuration.fleet.name) has no node \(report.node): add it to the fleet's file and start the manager again")
        }
        if let rival = rival(of: report) {
            throw .conflict("another agent of the node \(report.node) is alive (process \(rival.pid)): one node is one agent; end one of them")
        }
        do throws(LedgerError) { return try await hear(report) } catch { throw .failed("\(error)") }
    }

    /// The process of another agent that goes by the same name and was heard within three heartbeats. One that was started in its place is
    /// heard when that time has passed.
    private func rival(of report: NodeReport) -> ProcessIdentity? {
        guard let last = reports[report.node], last.incarnation != report.incarnation, last.processes.agent != report.processes.agent,
            let heard = lastHeard(report.node), time.now() - heard < configuration.fleet.defaults.heartbeatSeconds * 3
        else { return nil }
        return last.processes.agent
    }

    package func submit(
        _ text: String, file: String, node: NodeID?, owner: String?, by: String
    ) async throws(CommandError) -> TaskID {
        let (sla, version) = try configuration.readSLA(text, file)
        let known = await chronicle.knowledge
        var problems: [String] = []
        if let loaded = known.policies[sla.policy] {
            if case .named(let name) = sla.preference, loaded.policy.preferences[name] == nil {
                let names = loaded.policy.preferences.keys.sorted().joined(separator: ", ")
                problems.append("\(file): spec.preference: the policy \(sla.policy) has no preference \(name); it has \(names)")
            }
            if let currency = sla.penalty?.amount.currency, currency != loaded.policy.currency {
                problems.append("\(file): spec.penalty.currency: \(currency), but the policy \(sla.policy) reckons in \(loaded.policy.currency)")
            }
        } else {
            let names = known.policies.keys.sorted().joined(separator: ", ")
            problems.append("\(file): spec.policy: no policy \(sla.policy) is loaded; there are: \(names)")
        }
        if let node, !configuration.fleet.nodes.contains(where: { $0.id == node }) {
            problems.append("no node \(node); the fleet has \(configuration.fleet.nodes.map(\.id.rawValue).joined(separator: ", "))")
        }
        guard problems.isEmpty else { throw .invalid(problems) }
        let task = try await newName(sla.name, known)
        let submission = TaskSubmission(task: task, sla: sla, version: version, submittedAt: time.now(), wantedNode: node, owner: owner, by: by)
        try await record(.taskSubmitted(submission))
        tell("\(task): submitted, prefers \(sla.preference.name); by \(by)\(owner.map { $0 == by ? "" : " for \($0)" } ?? "")")
        return task
    }

    /// Never used before: not in the ledger, not by a submission on its way, and not in the store, which may know of a ledger that was lost.
    private func newName(_ name: String, _ known: Knowledge) async throws(CommandError) -> TaskID {
        let stored: [TaskID]
        do throws(EngineError) { stored = try await catalog.tasks() } catch { throw .failed("\(error)") }
        let used = Set(stored).union(known.tasks.keys).union(submitted)
        var number = 1
        while used.contains(TaskID("\(name)-\(number)")) { number += 1 }
        let task = TaskID("\(name)-\(number)")
        submitted.insert(task)
        return task
    }

    package func cancel(_ task: TaskID, by: String) async throws(CommandError) {
        _ = try await live(task)
        try await record(.taskCancelled(task: task, by: by))
        tell("\(task): cancelled by \(by)")
    }

    package func checkpointNow(_ task: TaskID, by: String) async throws(CommandError) -> OrderID {
        let known = try await live(task)
        guard case .running(let node) = known.state else {
            throw .conflict("\(task) is \(known.state.name): only a running task can be checkpointed")
        }
        if let underway = known.underway { throw .conflict("\(task): a checkpoint is under way already (\(underway.order))") }
        let plan = schedules[task]?.standing.order ?? CheckpointOrder(codec: .zstd, replication: 1)
        do throws(LedgerError) {
            let id = DecisionID("d" + padded(Int(try await takeDecisionNumber())))
            let decision = Decision(
                id: id, at: time.now(), kind: .checkpoint, task: task, node: node, mode: .enforce, sla: known.submission.version, policy: nil,
                models: configuration.version, inputs: [], alternatives: [], chosen: nil, binding: nil, rules: [],
                sentence: "\(task): checkpoint now, because \(by) asked for it.",
                steps: [.checkpoint(task: task, node: node, epoch: known.epoch, plan)])
            try await ledger.record([decision])
            let order = Settlement.order(for: id)
            try await note(.checkpointOrdered(task: task, epoch: known.epoch, node: node, order: order, plan, decision: id))
            tell(decision.sentence)
            return order
        } catch { throw .failed("\(error)") }
    }

    package func restore(_ task: TaskID, by: String) async throws(CommandError) {
        let known = try await live(task)
        guard case .running = known.state else { throw .conflict("\(task) is \(known.state.name): only a running task can be taken back") }
        guard let newest = known.newestCommitted else { throw .conflict("\(task) has no committed checkpoint to be taken back to") }
        try await record(.restoreAsked(task: task, by: by))
        tell("\(task): taken back to \(newest.id), as \(by) asked")
    }

    package func prune(
        _ task: TaskID, keepLast: Int?, keepFor: Seconds?, isDryRun: Bool, by: String
    ) async throws(CommandError) -> PruneAnswer {
        let known = try await live(task)
        guard keepLast.map({ $0 >= 1 }) ?? true else { throw .invalid(["keepLast: of a task that lives, at least 1 checkpoint is kept"]) }
        guard keepLast != nil || keepFor != nil else { throw .invalid(["say what is kept: the newest so many, those younger than so long, or both"]) }
        let keep = Retention.kept(known.committed.map { ($0.id, $0.committedAt) }, keepLast: keepLast, keepFor: keepFor, now: time.now())
        var answer = PruneAnswer(task: task, keep: keep, remove: known.committed.map(\.id).filter { !keep.contains($0) }, order: nil)
        guard !isDryRun, !answer.remove.isEmpty, let newest = keep.last else { return answer }
        guard case .running(let node) = known.state else {
            throw .conflict("\(task) is \(known.state.name): its node prunes it while it runs")
        }
        try await decided(
            .prune, known, node, "\(task): of \(known.committed.count) checkpoints \(keep.count) are kept, because \(by) asked for it.",
            [.prune(task: task, node: node, epoch: known.epoch, keep: keep)])
        prunes[task] = keep
        answer.order = OrderID("prune-\(task)-\(newest)")
        return answer
    }

    package func merge(_ task: TaskID, by: String) async throws(CommandError) -> OrderID {
        let known = try await live(task)
        guard case .running(let node) = known.state else {
            throw .conflict("\(task) is \(known.state.name): only a running task's layers can be merged; at a resumption they are by themselves")
        }
        guard reports[node]?.capabilities.mergesLayers == true else {
            throw .conflict("\(task): the hypervisor of \(node) cannot merge layers of a running guest")
        }
        if let waiting = merges[task] { throw .conflict("\(task): a merge is under way already (\(waiting.id))") }
        let order = MergeOrder(keep: 0, limitSeconds: .minutes(10))
        let decision = try await decided(
            .merge, known, node, "\(task): merge all layers of its disk, because \(by) asked for it.",
            [.merge(task: task, node: node, epoch: known.epoch, order)])
        let merging = Merging(id: OrderID("merge-\(decision)"), epoch: known.epoch, order: order)
        merges[task] = merging
        return merging.id
    }

    /// Records a decision that somebody else made.
    @discardableResult
    private func decided(
        _ kind: Decision.Kind, _ task: TaskKnowledge, _ node: NodeID, _ sentence: String, _ steps: [PlanStep]
    ) async throws(CommandError) -> DecisionID {
        do throws(LedgerError) {
            let id = DecisionID("d" + padded(Int(try await takeDecisionNumber())))
            try await ledger.record([
                Decision(
                    id: id, at: time.now(), kind: kind, task: task.id, node: node, mode: .enforce, sla: task.submission.version, policy: nil,
                    models: configuration.version, inputs: [], alternatives: [], chosen: nil, binding: nil, rules: [], sentence: sentence,
                    steps: steps)
            ])
            tell(sentence)
            return id
        } catch { throw .failed("\(error)") }
    }

    package func health() async -> ManagerHealth { await healthNow() }

    // MARK: What an operator sets

    package func drain(_ node: NodeID, by: String) async throws(CommandError) {
        try await requireDeclared(node)
        guard await chronicle.knowledge.nodes[node]?.drain == nil else { throw .conflict("\(node) is being drained already") }
        try await record(.nodeDrainAsked(node: node, by: by))
        tell("node \(node) is drained, as \(by) asked: nothing is placed there, and its tasks go on elsewhere")
    }

    package func undrain(_ node: NodeID, by: String) async throws(CommandError) {
        try await requireDeclared(node)
        guard await chronicle.knowledge.nodes[node]?.drain != nil else { throw .conflict("\(node) is not being drained") }
        try await record(.nodeDrainEnded(node: node, by: by))
        tell("node \(node) takes tasks again, as \(by) asked")
    }

    private func requireDeclared(_ node: NodeID) async throws(CommandError) {
        guard configuration.fleet.nodes.contains(where: { $0.id == node }) else {
            throw .notFound("no node \(node); the fleet has \(configuration.fleet.nodes.map(\.id.rawValue).joined(separator: ", "))")
        }
    }

    package func setMode(_ mode: CheckpointPolicy.Mode?, ofPolicy name: String, by: String) async throws(CommandError) {
        guard let loaded = await chronicle.knowledge.policies[name] else { throw .notFound("no policy \(name) is loaded") }
        guard loaded.modeSet?.mode != mode else {
            throw .conflict(mode.map { "the policy \(name) is set to \($0.rawValue) already" } ?? "nobody has set the mode of the policy \(name)")
        }
        try await record(.policyModeSet(name: name, mode: mode, by: by))
        tell(mode.map { "policy \(name) is in mode \($0.rawValue), as \(by) asked" } ?? "policy \(name) is in its file's mode again, as \(by) asked")
    }

    package func verified(_ task: TaskID, _ checkpoint: CheckpointID, problems: [String], by: String) async throws(CommandError) {
        guard let known = await chronicle.knowledge.tasks[task] else { throw .notFound("no task \(task)") }
        guard known.committed.contains(where: { $0.id == checkpoint }) else { throw .notFound("\(task) has no checkpoint \(checkpoint)") }
        try await record(.checkpointVerified(task: task, checkpoint: checkpoint, problems: problems, by: by))
    }

    package func owner(of task: TaskID) async -> String? { await chronicle.knowledge.tasks[task]?.submission.owner }

    private func live(_ task: TaskID) async throws(CommandError) -> TaskKnowledge {
        guard let known = await chronicle.knowledge.tasks[task] else { throw .notFound("no task \(task)") }
        guard !known.state.isFinal else { throw .conflict("\(task) is \(known.state.name) already") }
        return known
    }

    private func record(_ event: Event) async throws(CommandError) {
        do throws(LedgerError) { try await note(event) } catch { throw .failed("\(error)") }
    }
}

extension Manager: OutlookSource {
    package func outlook() async -> Outlook? { newestOutlook }
}

extension Preference {
    /// For people: the name, or that the prices are the owner's own.
    package var name: String {
        switch self {
        case .named(let name): name
        case .prices: "prices of its own"
        }
    }
}
