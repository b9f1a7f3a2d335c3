import Knowledge
import PlanningModel
import Vocabulary

/// Which nodes are lost, and where tasks go.
extension Draft {
    /// A node is declared lost and fenced before anything of it is resumed; a fence that failed is tried again.
    mutating func declareNodesLost() {
        for finding in findings.nodes where finding.standing == .lost {
            let inputs = [
                DecisionInput(name: "phi", value: finding.phi), DecisionInput(name: "silentSeconds", value: finding.silentSeconds.rawValue),
                DecisionInput(name: "lostPhi", value: fleet.defaults.lostPhi),
            ]
            let known = knowledge.nodes[finding.node]
            if known?.standing != .lost {
                decide(
                    .declareLost, node: finding.node, inputs: inputs,
                    "Node \(finding.node) has been silent for \(plain(finding.silentSeconds)) s; a live node would be with a probability of "
                        + "1 in 10^\(Int(finding.phi.rounded())): it is declared lost and fenced."
                ) { _ in [.declareLost(node: finding.node), .fence(node: finding.node)] }
            } else if known?.isFenced == false, knowledge.load(of: finding.node) > 0 {
                decide(
                    .declareLost, node: finding.node, inputs: inputs, "Node \(finding.node) is lost and not fenced yet: fence it, again if need be."
                ) {
                    _ in [.fence(node: finding.node)]
                }
            }
        }
    }

    /// First start: on the node asked for, else where the expected cost is least.
    mutating func place(_ task: TaskKnowledge) {
        let refused = task.lastRefusal.map { findings.at - $0.at < Seconds(30) ? Set([$0.node]) : [] } ?? []
        guard let choice = choice(for: task, among: { task.submission.wantedNode == nil || $0 == task.submission.wantedNode }, avoiding: refused)
        else {
            return
        }
        let best = choice.alternatives[choice.index]
        arriving[choice.node, default: 0] += 1
        let met = best.probabilityMet.map { ", its deadline is met with a probability of \(share($0.rawValue))" } ?? ""
        decide(
            .place, task: task, node: choice.node, policy: knowledge.policies[task.sla.policy]?.version,
            inputs: [DecisionInput(name: "finishSeconds", value: best.expectedSeconds.rawValue)], situation: choice.situation,
            alternatives: choice.alternatives, chosen: choice.index,
            "\(task.id) starts on \(choice.node): it is expected to take \(plain(best.expectedSeconds)) s there\(met)."
        ) { _ in [.start(task: task.id, node: choice.node)] }
    }

    /// The node is lost and fenced: the task goes on elsewhere.
    mutating func resume(_ task: TaskKnowledge, from node: NodeID) {
        guard let lost = knowledge.nodes[node], let lostAt = lost.lastLostAt else { return }
        let silent = findings.at - lostAt + lost.lastSilence
        resume(task, why: "its node \(node) is lost", silent: silent) { $0 != node }
    }

    /// The guest failed, or is to be taken back, on a node that lives.
    mutating func recover(_ task: TaskKnowledge, on node: NodeID) {
        guard let finding = finding(of: task.id) else { return }
        if isFenced(node) { return resume(task, from: node) }
        let failures = task.interruptions.reversed().prefix { interruption in
            if case .task = interruption.cause { return interruption.resumableProgress == task.resumableProgress }
            return false
        }
        if failures.count >= 3, case .task(let reason)? = task.interruptions.last?.cause {
            decide(
                .giveUp, task: task, node: node, inputs: [DecisionInput(name: "failuresFromHere", value: Double(failures.count))],
                "\(task.id) is given up: it failed \(failures.count) times from the same state (progress \(share(task.resumableProgress))), last with: \(reason)."
            ) { _ in [.giveUp(task: task.id, reason: "failed \(failures.count) times from the same state, last with: \(reason)")] }
            return
        }
        if task.fruitlessFailures >= 6, case .task(let reason)? = task.interruptions.last?.cause {
            let count = task.fruitlessFailures
            decide(
                .giveUp, task: task, node: node,
                inputs: [
                    DecisionInput(name: "fruitlessFailures", value: Double(count)),
                    DecisionInput(name: "ownFailures", value: Double(task.ownFailures)),
                    DecisionInput(name: "progress", value: task.highestProgress),
                ],
                "\(task.id) is given up: it failed \(count) times without getting further than a progress of \(share(task.highestProgress)), on whatever "
                    + "node and from whatever checkpoint, last with: \(reason)."
            ) { _ in
                [
                    .giveUp(
                        task: task.id,
                        reason: "failed \(count) times without getting further than \(share(task.highestProgress)), last with: \(reason)")
                ]
            }
            return
        }
        // The guest that failed must be gone first.
        guard !finding.isObservedRunning else { return }
        let why: String
        switch task.interruptions.last?.cause {
        case .task(let reason): why = "it failed (\(reason))"
        case .asked: why = "it was asked for"
        case .node, nil: why = task.lastRefusal.map { "node \($0.node) could not take it (\($0.reason))" } ?? "it was interrupted"
        }
        // A node that refused is asked again only after half a minute, when no other takes it.
        let refusal = task.lastRefusal
        if resume(task, why: why, silent: .zero, among: { $0 != refusal?.node }) { return }
        if let refusal, findings.at - refusal.at >= Seconds(30) { resume(task, why: why, silent: .zero) { $0 == refusal.node } }
    }

    // MARK: Draining

    private func isDraining(_ node: NodeID) -> Bool { knowledge.nodes[node]?.drain != nil }

    /// Takes a running task off a node that is drained: a checkpoint first, so that no work is lost; then its guest ends, and it is resumed
    /// elsewhere. It stays where it is as long as no other node can take it.
    mutating func drain(_ task: TaskKnowledge, on node: NodeID) {
        guard let drain = knowledge.nodes[node]?.drain, finding(of: node)?.standing == .trusted, task.underway == nil, !task.samples.isEmpty,
            let choice = choice(for: task, among: { $0 != node }, avoiding: [])
        else { return }
        let why = "node \(node) is drained, as \(drain.by) asked"
        if let saved = task.newestCommitted, saved.capturedAt >= drain.since, saved.epoch == task.epoch {
            arriving[choice.node, default: 0] += 1
            decide(
                .move, task: task, node: node, policy: knowledge.policies[task.sla.policy]?.version, alternatives: choice.alternatives,
                chosen: choice.index,
                "\(task.id) is taken off \(node) and goes on from checkpoint \(saved.id), because \(why); \(choice.node) can take it."
            ) { _ in [.takeOff(task: task.id, node: node, epoch: task.epoch)] }
        } else if !waitsAfterFailure(task), !decisions.contains(where: { $0.kind == .checkpoint && $0.task == task.id && $0.mode == .enforce }) {
            let order = nextSchedules[task.id]?.standing.order ?? CheckpointOrder(codec: .zstd, replication: 1)
            decide(
                .checkpoint, task: task, node: node, policy: knowledge.policies[task.sla.policy]?.version,
                "\(task.id): checkpoint now, because \(why)."
            ) { _ in [.checkpoint(task: task.id, node: node, epoch: task.epoch, order)] }
        }
    }

    private func isTrusted(_ node: NodeID) -> Bool { finding(of: node)?.standing == .trusted }

    /// - Returns: false when no node can take it.
    @discardableResult
    private mutating func resume(_ task: TaskKnowledge, why: String, silent: Seconds, among allowed: (NodeID) -> Bool) -> Bool {
        guard let finding = finding(of: task.id), let choice = choice(for: task, among: allowed, avoiding: []) else { return false }
        arriving[choice.node, default: 0] += 1
        let recovery = finding.costs.first { $0.codec == task.newestCommitted?.codec ?? .zstd }?.recoverySeconds
        let from =
            task.newestCommitted.map { "from checkpoint \($0.id) (progress \(share($0.progress ?? 0)))" }
            ?? "from its beginning, as nothing of it was committed"
        decide(
            .resume, task: task, node: choice.node, policy: knowledge.policies[task.sla.policy]?.version,
            inputs: [
                DecisionInput(name: "silentSeconds", value: silent.rawValue),
                DecisionInput(name: "recoverySeconds", value: recovery?.mean ?? 0, standardError: recovery?.standardError),
                DecisionInput(name: "lostWorkSeconds", value: finding.exposedSeconds.rawValue),
            ], situation: choice.situation, alternatives: choice.alternatives, chosen: choice.index,
            "\(task.id) is resumed on \(choice.node) \(from), because \(why): about \(plain(finding.exposedSeconds)) s of work are lost."
        ) { _ in [.resume(task: task.id, node: choice.node, epoch: task.epoch)] }
        return true
    }

    // MARK: Choosing

    /// Of the trusted nodes with room.
    private func choice(for task: TaskKnowledge, among allowed: (NodeID) -> Bool, avoiding: Set<NodeID>) -> NodeChoice? {
        guard let finding = finding(of: task.id) else { return nil }
        let nodes = fleet.nodes.compactMap { node -> Situation.NodeOption? in
            guard allowed(node.id), !avoiding.contains(node.id), isTrusted(node.id), !isDraining(node.id),
                let rate = self.finding(of: node.id)?.failureRate
            else {
                return nil
            }
            let load = knowledge.load(of: node.id) - (task.node == node.id ? 1 : 0) + arriving[node.id, default: 0]
            guard load < node.capacity else { return nil }
            return Situation.NodeOption(
                node: node.id, tasks: load, failureRatePerSecond: rate.perSecond,
                ageSeconds: knowledge.nodes[node.id]?.age(at: findings.at) ?? .zero)
        }
        let left = max(0, (1 - task.resumableProgress) * task.sla.task.workSeconds.rawValue)
        let terms = Terms(task: task, finding: finding, policy: knowledge.policies[task.sla.policy])
        var situation = terms.situation(work: left, unsaved: 0, rate: finding.failureRate.perSecond)
        situation.nodes = nodes
        return NodeChoice(situation)
    }
}
