import Knowledge
import Vocabulary

/// What guests, agents and links do.
extension World {
    mutating func submit(_ index: Int) {
        tasks[index].since = now
        tasks[index].tell(.taskSubmitted(tasks[index].submission), at: timestamp)
        // What others have cost already: records of tasks that it does not know teach it costs alone.
        for record in recent { tasks[index].tell(record.event, at: record.at) }
        plan(index)
    }

    /// The earliest of what can happen next to a task by itself.
    mutating func arm(_ index: Int) {
        tasks[index].version &+= 1
        guard tasks[index].phase == .running else { return }
        let (since, work, speed) = (tasks[index].since, tasks[index].work, tasks[index].speed)
        var next = min(since + max(0, tasks[index].guest.workSeconds - work) / speed, max(tasks[index].nextPlanning, now))
        if let interval = tasks[index].interval, tasks[index].underway == nil, tasks[index].wanted == nil {
            next = min(next, since + max(0, tasks[index].capturedWork + interval - work) / speed)
        }
        queue.push(.task, index, at: next, version: tasks[index].version)
    }

    mutating func taskIsDue(_ index: Int) {
        tasks[index].advance(to: now)
        switch tasks[index].phase {
        case .running:
            // Within the rounding of the clock.
            let slack = 1e-6
            if tasks[index].work >= tasks[index].guest.workSeconds - slack { return end(index, finished: true) }
            if tasks[index].nextPlanning <= now + slack {
                plan(index)
            } else if tasks[index].underway == nil, tasks[index].wanted == nil, let interval = tasks[index].interval,
                let order = tasks[index].standingOrder,
                tasks[index].work >= tasks[index].capturedWork + interval - slack
            {
                want(index, order, as: nil)
                if tasks[index].phase == .running { arm(index) }
            } else {
                arm(index)
            }
        case .stopped: captured(index)
        case .starting: began(index)
        case .waiting, .down, .done: break
        }
    }

    // MARK: A checkpoint

    mutating func capture(_ index: Int, _ order: CheckpointOrder, as id: OrderID?) {
        guard tasks[index].phase == .running, tasks[index].underway == nil else { return }
        tasks[index].advance(to: now)
        tasks[index].wanted = nil
        tasks[index].captures += 1
        let number = tasks[index].captures
        let image = tasks[index].guest.image(
            order.codec, number: number, work: tasks[index].work - tasks[index].capturedWork, seed: scenario.seed, run: run, index: index)
        tasks[index].underway = TaskRun.Underway(
            number: number, capturedAt: now, work: tasks[index].work, image: image, order: order, orderID: id)
        log?.append(Happening(at: now, .captured(tasks[index].id, work: tasks[index].work)))
        tasks[index].capturedWork = tasks[index].work
        tasks[index].phase = .stopped
        tasks[index].version &+= 1
        queue.push(.task, index, at: now + image.stopSeconds, version: tasks[index].version)
    }

    private mutating func captured(_ index: Int) {
        guard let underway = tasks[index].underway, let node = tasks[index].node else { return }
        tasks[index].phase = .running
        tasks[index].speed = 1 - scenario.costs.interferenceShare
        tasks[index].underway?.sendingSince = now
        let image = underway.image
        let copies = underway.order.replication.mean(memoryShare: image.memoryBytes / max(1, image.memoryBytes + image.diskBytes))
        let transfer = begin(
            Transfer(
                task: index, node: node, bytes: image.sentBytes, left: image.sentBytes, since: now,
                mostBytesPerSecond: image.compressSeconds > 0 ? image.sentBytes / image.compressSeconds : .infinity, copies: copies,
                closingSeconds: scenario.costs.commitSeconds))
        tasks[index].upload = transfer
        arm(index)
    }

    private mutating func committed(_ index: Int, _ transfer: Transfer) {
        guard let underway = tasks[index].underway, let node = tasks[index].node else { return }
        tasks[index].advance(to: now)
        tasks[index].speed = 1
        tasks[index].underway = nil
        tasks[index].upload = nil
        log?.append(Happening(at: now, .committed(tasks[index].id, work: underway.work)))
        let stored = transfer.bytes * transfer.copies
        tasks[index].account.sentBytes += stored
        tasks[index].account.checkpoints += 1
        tasks[index].storeChanged(at: now)
        tasks[index].kept.append(stored)
        tasks[index].keptBytes += stored
        while tasks[index].kept.count > tasks[index].keepCount {
            let gone = tasks[index].kept.removeFirst()
            tasks[index].keptBytes -= gone
        }
        tasks[index].savedWork = underway.work
        tasks[index].newestBytes = transfer.bytes
        if tasks[index].commits.count == 4 * TaskRun.mostUntold { tasks[index].commits.removeFirst(3 * TaskRun.mostUntold) }
        tasks[index].commits.append(TaskRun.Committed(underway: underway, epoch: tasks[index].epoch, node: node, at: now))
        guard tasks[index].phase == .running else { return }
        if PlanningMoments.isDue(afterCheckpoint: tasks[index].account.checkpoints) { tasks[index].nextPlanning = now }
        arm(index)
        look()
    }

    // MARK: Links

    mutating func begin(_ transfer: Transfer) -> Int {
        let index: Int
        if let free = freeTransfers.popLast() {
            let version = transfers[free].version
            transfers[free] = transfer
            transfers[free].version = version
            index = free
        } else {
            index = transfers.count
            transfers.append(transfer)
        }
        transfers[index].isActive = true
        nodes[transfer.node].activeTransfers.append(index)
        if scenario.links.storeBytesPerSecond != nil { activeTransfers.append(index) }
        share(transfer.node)
        return index
    }

    /// Links are shared anew among those that use them.
    private mutating func share(_ node: Int) {
        if let store = scenario.links.storeBytesPerSecond {
            for index in activeTransfers {
                let each = store / Double(activeTransfers.count) / max(1, transfers[index].copies)
                setSpeed(index, min(each, scenario.links.nodeBytesPerSecond / Double(nodes[transfers[index].node].activeTransfers.count)))
            }
        } else {
            let each = scenario.links.nodeBytesPerSecond / Double(max(1, nodes[node].activeTransfers.count))
            for index in nodes[node].activeTransfers { setSpeed(index, each) }
        }
    }

    private mutating func setSpeed(_ index: Int, _ speed: Double) {
        let speed = min(speed, transfers[index].mostBytesPerSecond)
        guard speed != transfers[index].speed else { return }
        transfers[index].left = max(0, transfers[index].left - transfers[index].speed * (now - transfers[index].since))
        transfers[index].since = now
        transfers[index].speed = speed
        transfers[index].version &+= 1
        let left = transfers[index].left
        queue.push(.transfer, index, at: now + left / speed + transfers[index].closingSeconds, version: transfers[index].version)
    }

    /// Takes it off the links. - Returns: bytes that had gone through.
    @discardableResult
    private mutating func finish(_ index: Int) -> Double {
        let transfer = transfers[index]
        let left = max(0, transfer.left - transfer.speed * (now - transfer.since))
        transfers[index].isActive = false
        transfers[index].version &+= 1
        nodes[transfer.node].activeTransfers.removeAll { $0 == index }
        if scenario.links.storeBytesPerSecond != nil { activeTransfers.removeAll { $0 == index } }
        freeTransfers.append(index)
        share(transfer.node)
        return transfer.bytes - left
    }

    mutating func transferred(_ index: Int) {
        let transfer = transfers[index]
        finish(index)
        if tasks[transfer.task].fetch == index {
            fetched(transfer.task, transfer.bytes)
        } else if tasks[transfer.task].upload == index {
            committed(transfer.task, transfer)
        }
    }

    // MARK: Lives

    /// The node has got its order: to start the task, or to fetch and restore it.
    mutating func beginLife(_ index: Int) {
        guard let node = tasks[index].node else { return }
        tasks[index].advance(to: now)
        tasks[index].isOrdered = !nodes[node].isUp
        tasks[index].phase = nodes[node].isUp ? .starting : .down
        tasks[index].version &+= 1
        tasks[index].work = tasks[index].savedWork
        guard nodes[node].isUp else { return }
        tasks[index].fetchBegan = now
        tasks[index].restoringSince = nil
        if tasks[index].newestBytes > 0 {
            let bytes = tasks[index].newestBytes
            tasks[index].fetch = begin(
                Transfer(task: index, node: node, bytes: bytes, left: bytes, since: now, mostBytesPerSecond: .infinity, copies: 1, closingSeconds: 0))
        } else {
            queue.push(.task, index, at: now + scenario.costs.startSeconds, version: tasks[index].version)
        }
    }

    private mutating func fetched(_ index: Int, _ bytes: Double) {
        tasks[index].fetch = nil
        tasks[index].account.sentBytes += bytes
        tasks[index].restoringSince = now
        queue.push(.task, index, at: now + scenario.costs.restoreSeconds, version: tasks[index].version)
    }

    private mutating func began(_ index: Int) {
        guard let node = tasks[index].node else { return }
        let id = nodes[node].id
        if tasks[index].epoch == .first {
            tasks[index].tell(.taskStarted(task: tasks[index].id, epoch: .first, node: id), at: timestamp)
        } else {
            let restored = tasks[index].restoringSince
            tasks[index].tell(
                .taskResumed(
                    ResumeRecord(
                        task: tasks[index].id, node: id, epoch: tasks[index].epoch,
                        checkpoint: tasks[index].knowledge.tasks[tasks[index].id]?.newestCommitted?.id,
                        fetchSeconds: Seconds(restored.map { $0 - tasks[index].fetchBegan } ?? 0),
                        restoreSeconds: Seconds(now - (restored ?? tasks[index].fetchBegan)),
                        fetchedBytes: ByteCount(Int64(restored == nil ? 0 : tasks[index].newestBytes)))), at: timestamp)
        }
        log?.append(Happening(at: now, .running(tasks[index].id, id, tasks[index].epoch, work: tasks[index].work)))
        tasks[index].phase = .running
        tasks[index].speed = 1
        tasks[index].capturedWork = tasks[index].work
        tasks[index].lifeBegan = now
        tasks[index].workAtStart = tasks[index].work
        if let failed = tasks[index].failedAt {
            tasks[index].failedAt = nil
            if let most = tasks[index].submission.sla.limits.recoverySeconds, now - failed > most.rawValue { tasks[index].account.limitsBroken += 1 }
        }
        plan(index)
    }

    /// Its node fails under it, which nobody knows yet.
    mutating func nodeFailed(under index: Int) {
        guard tasks[index].phase != .down, tasks[index].phase != .done else { return }
        tasks[index].advance(to: now)
        let wasStarting = tasks[index].phase == .starting
        if let fetch = tasks[index].fetch {
            tasks[index].account.sentBytes += finish(fetch)
            tasks[index].fetch = nil
        }
        if let transfer = tasks[index].upload {
            tasks[index].account.sentBytes += finish(transfer) * transfers[transfer].copies
        }
        tasks[index].underway = nil
        tasks[index].upload = nil
        tasks[index].wanted = nil
        tasks[index].phase = .down
        tasks[index].version &+= 1
        tasks[index].isOrdered = wasStarting
        if tasks[index].failedAt == nil { tasks[index].failedAt = now }
        guard !wasStarting else { return }
        tasks[index].account.failures += 1
        log?.append(Happening(at: now, .failed(tasks[index].id, work: tasks[index].work)))
        // Progress as it was seen last, so that what is said to be lost is right.
        tellProgress(index)
        let lost = tasks[index].work - tasks[index].savedWork
        tasks[index].account.lostSeconds += lost
        tasks[index].account.workSeconds -= lost
        if let most = tasks[index].submission.sla.limits.lostWorkSeconds, lost > most.rawValue { tasks[index].account.limitsBroken += 1 }
        tasks[index].work = tasks[index].savedWork
    }

    /// Its node has been found to be lost and was fenced: it is to go on elsewhere.
    mutating func wasLost(_ index: Int, with node: Int) {
        tasks[index].node = nil
        tasks[index].lostFrom = node
        plan(index)
    }

    mutating func end(_ index: Int, finished: Bool) {
        tasks[index].advance(to: now)
        tasks[index].storeChanged(at: now)
        release(index)
        if let transfer = tasks[index].upload { tasks[index].account.sentBytes += finish(transfer) * transfers[transfer].copies }
        if let fetch = tasks[index].fetch { tasks[index].account.sentBytes += finish(fetch) }
        tasks[index].underway = nil
        tasks[index].upload = nil
        tasks[index].wanted = nil
        tasks[index].fetch = nil
        log?.append(Happening(at: now, finished ? .finished(tasks[index].id) : .ended(tasks[index].id)))
        tasks[index].phase = .done
        tasks[index].version &+= 1
        tasks[index].account.hasFinished = finished
        let sla = tasks[index].submission.sla
        let account = tasks[index].account
        if let deadline = sla.deadline?.time(submitted: tasks[index].submission.submittedAt) {
            let lateness = timestamp - deadline
            tasks[index].account.hasMissedDeadline = lateness > .zero || !finished
            tasks[index].account.penaltyOwed = sla.penalty?.owed(lateness: lateness).amount ?? 0
        }
        let running = account.workSeconds + account.lostSeconds + account.interferenceSeconds + account.stoppedSeconds
        if let most = sla.limits.stoppedShare, running > 0, account.stoppedSeconds > most * running { tasks[index].account.limitsBroken += 1 }
        // What the manager knew of it is needed no more.
        tasks[index].knowledge = Knowledge()
        unfinished -= 1
        if !waiting.isEmpty, unfinished > 0, finished { planWaiting() }
    }
}
