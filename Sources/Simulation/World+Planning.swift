import Analysis
import Knowledge
import Planning
import Vocabulary

/// The manager's turn of the loop for one task, and what execution makes of its decisions.
extension World {
    /// Analyses and plans one task with all that is known of it, of the nodes and of what checkpoints have cost, and carries out what is decided.
    mutating func plan(_ index: Int) {
        guard tasks[index].phase != .done else { return }
        plannings += 1
        tasks[index].advance(to: now)
        tellAll(index)
        let id = tasks[index].id
        let isRunning = tasks[index].phase == .running || tasks[index].phase == .stopped
        let knowledge = known.joined(withTasksOf: tasks[index].knowledge)
        var live = LiveView(now: timestamp, managerSince: Self.origin, heartbeats: heartbeats)
        if isRunning {
            live.observations[id] = TaskObservation(task: id, epoch: tasks[index].epoch, state: .running, sample: nil, checkpointing: nil)
        }
        let schedules = tasks[index].schedule.map { [id: $0] } ?? [:]
        // One that runs needs nothing of other nodes than its own.
        let asked = isRunning ? tasks[index].node.map { [fleet.nodes[$0]] } : nil
        let findings = Analysis.assess(
            knowledge, live: live, fleet: fleet, nodes: asked, schedules: schedules, reliability: &reliability,
            forecasts: tasks[index].submission.sla.deadline != nil, certainty: certainty(about: index))
        let plan = Planning.plan(
            knowledge, findings: findings, fleet: fleet, schedules: schedules, nextDecision: nextDecision,
            elsewhere: isRunning ? [:] : loads)
        nextDecision += Int64(plan.decisions.count)
        if let schedule = plan.schedules[id] {
            tasks[index].schedule = schedule
            tasks[index].interval = schedule.standing.intervalSeconds?.rawValue
            tasks[index].standingOrder = schedule.standing.order
        }
        tasks[index].nextPlanning = scenario.moments.next(
            after: now, lifeBegan: tasks[index].lifeBegan, left: tasks[index].guest.workSeconds - tasks[index].work)
        for decision in plan.decisions where decision.mode == .enforce { carryOut(decision, findings, index) }
        tasks[index].failureRatePerSecond = findings.tasks.first?.failureRate.perSecond ?? 0
        if tasks[index].interval == nil { tasks[index].wanted = nil }
        if tasks[index].phase == .running { arm(index) }
        look()
        if tasks[index].node == nil, tasks[index].phase != .done {
            tasks[index].phase = .waiting
            waiting.append(index)
        }
    }

    /// What an oracle need not learn; nil for everybody else.
    private func certainty(about index: Int) -> Certainty? {
        guard candidacy.isOracle, case .law(let law, let mtbf, _, _) = scenario.failures, let lives = law.weibull(mean: mtbf) else { return nil }
        return Certainty(
            shape: lives.shape, scaleSeconds: lives.scale,
            ages: Dictionary(uniqueKeysWithValues: nodes.map { ($0.id, Seconds($0.isUp ? now - ($0.upSince ?? 0) : 0)) }),
            costs: [
                tasks[index].id: tasks[index].guest.trueCosts(
                    scenario.links, detectionSeconds: detectionSeconds, work: tasks[index].interval ?? 0)
            ])
    }

    private mutating func carryOut(_ decision: Decision, _ findings: Findings, _ index: Int) {
        for step in decision.steps {
            switch step {
            case .start(_, let node):
                guard let place = nodes.firstIndex(where: { $0.id == node }) else { continue }
                tasks[index].tell(.taskPlaced(task: tasks[index].id, epoch: .first, node: node), at: timestamp)
                occupy(place, by: index)
                beginLife(index)
            case .checkpoint(_, _, _, let order): want(index, order, as: OrderID("checkpoint-\(decision.id)"))
            case .resume(_, let node, let epoch):
                guard let place = nodes.firstIndex(where: { $0.id == node }) else { continue }
                tasks[index].epoch = epoch.next
                tasks[index].tell(
                    .epochRaised(
                        task: tasks[index].id, epoch: epoch.next, node: node,
                        from: tasks[index].knowledge.tasks[tasks[index].id]?.newestCommitted?.id), at: timestamp)
                occupy(place, by: index)
                beginLife(index)
            case .giveUp(_, let reason):
                tasks[index].tell(.taskGivenUp(task: tasks[index].id, reason: reason), at: timestamp)
                end(index, finished: false)
            case .prune(_, _, _, let keep): prune(index, keep)
            // A node that another task's planning finds lost; its tasks, this one among them, are planned from there.
            case .declareLost:
                declareLost(decision, findings)
                return
            // What is armed is in the schedule; fences work; what ended here runs nowhere.
            default: break
            }
        }
    }

    private mutating func prune(_ index: Int, _ keep: [CheckpointID]) {
        let kept = Set(keep)
        let gone = (tasks[index].knowledge.tasks[tasks[index].id]?.committed ?? []).map(\.id).filter { !kept.contains($0) }
        tasks[index].tell(.checkpointsPruned(task: tasks[index].id, checkpoints: gone), at: timestamp)
        tasks[index].keepCount = max(1, keep.count)
    }

    // MARK: What agents would have reported

    mutating func tellAll(_ index: Int) {
        // What was written is counted from capture to capture, so the one before the first that is told matters too.
        if let skipped = tasks[index].commits.dropLast(TaskRun.mostUntold).last { tellCapture(index, skipped.underway, skipped.epoch, skipped.node) }
        for commit in tasks[index].commits.suffix(TaskRun.mostUntold) {
            if !commit.underway.isTold { tellCapture(index, commit.underway, commit.epoch, commit.node) }
            let record = self.record(of: commit, index)
            tasks[index].tell(.checkpointCommitted(record), at: Self.origin + Seconds(commit.at))
            if recent.count == 20 { recent.removeFirst() }
            recent.append(EventRecord(at: Self.origin + Seconds(commit.at), source: .manager, event: .checkpointCommitted(record)))
        }
        tasks[index].commits.removeAll(keepingCapacity: true)
        if let underway = tasks[index].underway, !underway.isTold, let node = tasks[index].node {
            tasks[index].underway?.isTold = true
            tellCapture(index, underway, tasks[index].epoch, node)
        }
        if tasks[index].phase == .running { tellProgress(index) }
        tasks[index].fold()
    }

    private mutating func tellCapture(_ index: Int, _ underway: TaskRun.Underway, _ epoch: Epoch, _ node: Int) {
        let task = tasks[index].id
        let checkpoint = CheckpointID(epoch: epoch, number: underway.number)
        let at = Self.origin + Seconds(underway.capturedAt)
        let progress = underway.work / tasks[index].guest.workSeconds
        tasks[index].tell(.progressSeen(sample(index, epoch, node, at: at, work: underway.work)), at: at)
        tasks[index].tell(
            .checkpointStarted(task: task, epoch: epoch, checkpoint: checkpoint, node: nodes[node].id, order: orderID(underway, index)), at: at)
        tasks[index].tell(
            .checkpointCaptured(
                task: task, epoch: epoch, checkpoint: checkpoint, stopSeconds: Seconds(underway.image.stopSeconds), progress: progress), at: at)
    }

    /// What its console would say.
    mutating func tellProgress(_ index: Int) {
        guard let node = tasks[index].node else { return }
        tasks[index].tell(
            .progressSeen(sample(index, tasks[index].epoch, node, at: timestamp, work: tasks[index].work)), at: timestamp)
    }

    private func sample(_ index: Int, _ epoch: Epoch, _ node: Int, at time: Timestamp, work: Double) -> ProgressSample {
        let inThisLife = max(0, work - tasks[index].workAtStart)
        return ProgressSample(
            task: tasks[index].id, epoch: epoch, node: nodes[node].id, at: time, fraction: min(1, work / tasks[index].guest.workSeconds),
            cpuSeconds: Seconds(inThisLife), blockWrittenBytes: ByteCount(Int64(inThisLife * tasks[index].guest.writtenBytesPerSecond)))
    }

    private func orderID(_ underway: TaskRun.Underway, _ index: Int) -> OrderID {
        underway.orderID ?? OrderID("standing-\(tasks[index].id)-\(underway.number)")
    }

    private func record(of commit: TaskRun.Committed, _ index: Int) -> CheckpointRecord {
        let underway = commit.underway
        let image = underway.image
        let copies = underway.order.replication.mean(memoryShare: image.memoryBytes / max(1, image.memoryBytes + image.diskBytes))
        return CheckpointRecord(
            id: CheckpointID(epoch: commit.epoch, number: underway.number), task: tasks[index].id, node: nodes[commit.node].id, epoch: commit.epoch,
            parent: nil, capturedAt: Self.origin + Seconds(underway.capturedAt), committedAt: Self.origin + Seconds(commit.at),
            way: .backgroundSnapshot, progress: underway.work / tasks[index].guest.workSeconds, stopSeconds: Seconds(image.stopSeconds),
            latencySeconds: Seconds(commit.at - underway.capturedAt),
            uploadSeconds: Seconds(commit.at - underway.sendingSince - scenario.costs.commitSeconds), compressSeconds: Seconds(image.compressSeconds),
            memoryBytes: ByteCount(Int64(image.memoryBytes)), diskBytes: ByteCount(Int64(image.diskBytes)),
            nonZeroBytes: ByteCount(Int64(image.nonZeroBytes)), sentBytes: ByteCount(Int64(image.sentBytes)), codec: underway.order.codec,
            replication: underway.order.replication, storedBytes: ByteCount(Int64(image.sentBytes * copies)), includedBase: false,
            order: orderID(underway, index))
    }
}
