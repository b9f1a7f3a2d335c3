import CheckpointEngine
import Knowledge
import Ports
import Vocabulary

/// Carries out the manager's side of a plan's steps. What a node has to do becomes an event that its orders are derived from, so a step
/// that was interrupted is simply planned again.
package struct StepExecution: Sendable {
    private let catalog: CheckpointCatalog
    private let fence: any Fence
    private let fleet: Fleet
    private let time: any TimeSource

    package init(catalog: CheckpointCatalog, fence: any Fence, fleet: Fleet, time: any TimeSource) {
        self.catalog = catalog
        self.fence = fence
        self.fleet = fleet
        self.time = time
    }

    package struct Outcome: Sendable {
        package var events: [EventRecord] = []
        /// Why the decision's further steps must wait; nil: go on.
        package var trouble: String?
    }

    package func carryOut(
        _ step: PlanStep, of decision: Decision, findings: Findings, knowledge: Knowledge
    ) async -> Outcome {
        switch step {
        case .start(let task, let node): return await place(task, knowledge.tasks[task]?.submission, on: node)
        case .checkpoint(let task, let node, let epoch, let order):
            return happened(
                .checkpointOrdered(
                    task: task, epoch: epoch, node: node, order: OrderID("checkpoint-\(decision.id)"), order, decision: decision.id))
        case .declareLost(let node):
            let finding = findings.nodes.first { $0.node == node }
            return happened(.nodeLost(node: node, phi: finding?.phi ?? 0, silentSeconds: finding?.silentSeconds ?? .zero))
        case .fence(let node): return await fenceOff(node, knowledge.nodes[node]?.processes)
        case .resume(let task, let node, let epoch): return await resume(task, on: node, after: epoch, knowledge)
        case .takeOff(let task, let node, let epoch):
            // What has changed meanwhile is planned for again.
            guard let known = knowledge.tasks[task], known.epoch == epoch, known.state == .running(node) else { return Outcome() }
            return happened(.restoreAsked(task: task, by: "the drain of \(node)"))
        case .giveUp(let task, let reason): return happened(.taskGivenUp(task: task, reason: reason))
        // Sent with the orders and standing plans of the next heartbeat.
        case .arm, .stop, .prune, .merge: return Outcome()
        }
    }

    private func happened(_ event: Event) -> Outcome { Outcome(events: [EventRecord(at: time.now(), source: .manager, event: event)]) }

    private func place(_ task: TaskID, _ submission: TaskSubmission?, on node: NodeID) async -> Outcome {
        do throws(EngineError) {
            let owner = try await catalog.openFirst(of: task, submission: submission, for: node)
            return happened(.taskPlaced(task: task, epoch: .first, node: owner))
        } catch { return Outcome(trouble: "\(task) cannot be placed yet: \(error)") }
    }

    private func fenceOff(_ node: NodeID, _ processes: NodeProcesses?) async -> Outcome {
        guard let declared = fleet.nodes.first(where: { $0.id == node }) else { return Outcome(trouble: "node \(node) is not in the fleet") }
        // Processes that nobody has told of cannot be ended, and must not be said to have been. The store's fence holds all the same.
        let method = declared.fence == .process && processes == nil ? .storeOnly : declared.fence
        do throws(FenceError) {
            var detail = try await fence.fence(node, method: method, processes: processes)
            if method != declared.fence { detail += "; its processes are not known, as it has never reported them" }
            return happened(.nodeFenced(node: node, method: method.name, detail: detail))
        } catch {
            var outcome = happened(.fenceFailed(node: node, reason: "\(error)"))
            outcome.trouble = "\(error); its tasks wait"
            return outcome
        }
    }

    /// Seals the epoch in the store, so that nothing of it can be committed any more, and only then looks for the newest checkpoint.
    private func resume(_ task: TaskID, on node: NodeID, after epoch: Epoch, _ knowledge: Knowledge) async -> Outcome {
        guard let known = knowledge.tasks[task] else { return Outcome(trouble: "no task \(task)") }
        do throws(EngineError) {
            let raised = try await catalog.raiseEpoch(of: task, from: epoch, for: node)
            var outcome = Outcome()
            // What a node committed and could not report any more.
            for record in raised.committed where !known.committed.contains(where: { $0.id == record.id }) {
                outcome.events.append(EventRecord(at: time.now(), source: .manager, event: .checkpointCommitted(record)))
            }
            if raised.epoch > known.epoch {
                outcome.events += happened(.epochRaised(task: task, epoch: raised.epoch, node: raised.node, from: raised.from)).events
            }
            // It had come to its end, and its node did not live to tell.
            if let ended = raised.ended { outcome.events += happened(Self.event(of: ended)).events }
            return outcome
        } catch {
            return Outcome(trouble: "\(task) cannot be resumed yet: \(error)")
        }
    }
}

extension StepExecution {
    /// A task's end that the store knows of, as an event.
    package static func event(of end: EndRecord) -> Event {
        switch end.outcome {
        case .finished(let result): .taskFinished(task: end.task, epoch: end.epoch, node: end.node ?? NodeID("unknown"), result: result)
        case .givenUp(let reason): .taskGivenUp(task: end.task, reason: reason)
        case .cancelled(let by): .taskCancelled(task: end.task, by: by)
        }
    }
}

extension FenceMethod {
    package var name: String {
        switch self {
        case .process: "process"
        case .command: "command"
        case .storeOnly: "store-only"
        }
    }
}
