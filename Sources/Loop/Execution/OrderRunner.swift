import CheckpointEngine
import Ports
import Vocabulary

/// Carries out orders on a node. Each outcome is written to the journal before anything else is done, so it is told even if the agent
/// dies; an order that was interrupted is carried out again and finds what was done already.
package struct OrderRunner: Sendable {
    private let engine: CheckpointEngine
    private let journal: any EventJournal
    private let node: NodeID
    private let time: any TimeSource

    package init(engine: CheckpointEngine, journal: any EventJournal, node: NodeID, time: any TimeSource) {
        self.engine = engine
        self.journal = journal
        self.node = node
        self.time = time
    }

    /// - Parameter progress: the task's progress as last seen, 0 to 1; asked for at the instant of capture.
    package func carryOut(_ order: Order, progress: @escaping @Sendable () async -> Double?) async throws(LedgerError) {
        switch order.action {
        case .start(let submission): try await start(submission, order)
        case .resume(let submission, let from): try await resume(submission, from, order)
        case .checkpoint(let plan): try await checkpoint(order, plan, progress: progress)
        case .stop: try await stop(order)
        case .prune(let keep, let drop): try await prune(order, keep, drop)
        case .merge(let how): try await merge(order, how)
        }
    }

    private func say(_ event: Event) async throws(LedgerError) { try await journal.write(event, at: time.now()) }

    private func start(_ submission: TaskSubmission, _ order: Order) async throws(LedgerError) {
        let failure: EngineError?
        do throws(EngineError) {
            try await engine.begin(submission, epoch: order.epoch)
            failure = nil
        } catch { failure = error }
        if let failure {
            try await say(.taskRefused(task: order.task, epoch: order.epoch, node: node, reason: "\(failure)"))
        } else {
            try await say(.taskStarted(task: order.task, epoch: order.epoch, node: node))
        }
    }

    private func resume(_ submission: TaskSubmission, _ from: CheckpointID?, _ order: Order) async throws(LedgerError) {
        let outcome: Result<ResumeRecord, EngineError>
        do throws(EngineError) { outcome = .success(try await engine.restore(submission, from: from, epoch: order.epoch)) } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(let record): try await say(.taskResumed(record))
        case .failure(let error): try await say(.taskRefused(task: order.task, epoch: order.epoch, node: node, reason: "\(error)"))
        }
    }

    private func checkpoint(_ order: Order, _ plan: CheckpointOrder, progress: @escaping @Sendable () async -> Double?) async throws(LedgerError) {
        let checkpoint: CheckpointID
        if let assigned = try await journal.assignment(of: order.id) {
            // Its outcome is in the journal already and on its way.
            guard !assigned.isFinished else { return }
            checkpoint = assigned.checkpoint
        } else {
            let next: Result<CheckpointID, EngineError>
            do throws(EngineError) { next = .success(try engine.nextCheckpoint(of: order.task, epoch: order.epoch)) } catch { next = .failure(error) }
            switch next {
            case .success(let id): checkpoint = id
            case .failure(let error):
                try await say(
                    .checkpointFailed(
                        task: order.task, epoch: order.epoch, checkpoint: CheckpointID("none"), node: node, order: order.id, reason: "\(error)"))
                return
            }
            try await journal.assign(checkpoint, to: order.id)
        }
        try await say(.checkpointStarted(task: order.task, epoch: order.epoch, checkpoint: checkpoint, node: node, order: order.id))
        let outcome: Result<CheckpointRecord, EngineError>
        do throws(EngineError) {
            outcome = .success(
                try await engine.checkpoint(order.task, epoch: order.epoch, id: checkpoint, order: order.id, plan: plan, progress: await progress()))
        } catch { outcome = .failure(error) }
        switch outcome {
        case .success(let record):
            try await say(
                .checkpointCaptured(
                    task: order.task, epoch: order.epoch, checkpoint: checkpoint, stopSeconds: record.stopSeconds, progress: record.progress))
            try await say(.checkpointCommitted(record))
        case .failure(.staleEpoch):
            try await say(.staleCommitRefused(task: order.task, epoch: order.epoch, checkpoint: checkpoint, node: node))
            // Somebody else has the task now: this guest must not run.
            try await stop(order)
        case .failure(let error):
            try await say(
                .checkpointFailed(task: order.task, epoch: order.epoch, checkpoint: checkpoint, node: node, order: order.id, reason: "\(error)"))
        }
        try await journal.finish(order.id)
    }

    private func stop(_ order: Order) async throws(LedgerError) {
        do throws(EngineError) { try await engine.stop(order.task, epoch: order.epoch) } catch {
            try await say(.orderFailed(order: order.id, node: node, task: order.task, reason: "\(error)"))
        }
    }

    private func prune(_ order: Order, _ keep: [CheckpointID], _ drop: [CheckpointID]) async throws(LedgerError) {
        let outcome: Result<[CheckpointID], EngineError>
        do throws(EngineError) { outcome = .success(try await engine.prune(order.task, epoch: order.epoch, keep: keep, drop: drop)) } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(let gone): try await say(.checkpointsPruned(task: order.task, checkpoints: gone))
        case .failure(let error): try await say(.orderFailed(order: order.id, node: node, task: order.task, reason: "\(error)"))
        }
    }

    private func merge(_ order: Order, _ how: MergeOrder) async throws(LedgerError) {
        let outcome: Result<MergeRecord, EngineError>
        do throws(EngineError) { outcome = .success(try await engine.merge(order.task, epoch: order.epoch, order: how)) } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(let record): try await say(.layersMerged(record))
        case .failure(let error): try await say(.orderFailed(order: order.id, node: node, task: order.task, reason: "\(error)"))
        }
    }
}
