import CheckpointEngine
import Ports
import Vocabulary

/// Makes a ledger anew from what a store holds: tasks, epochs, checkpoints and ends.
///
/// What cannot be found there is not made up. A task in whose newest epoch a checkpoint was committed has run there (`taskFound`); where none
/// was, its node is asked to start or resume it, which one that did so already answers by saying so. Tasks that were never placed, decisions,
/// heartbeats and progress between checkpoints are gone; policies and the fleet come from their files.
package struct LedgerRebuild: Sendable {
    private let catalog: CheckpointCatalog
    private let location: String
    private let version: String
    private let time: any TimeSource
    private let failpoint: FailpointHook?

    package init(store: any CheckpointStore, version: String, time: any TimeSource, failpoint: FailpointHook? = nil) {
        catalog = CheckpointCatalog(store: store, time: time)
        location = "\(store.properties.kind) \(store.properties.location)"
        self.version = version
        self.time = time
        self.failpoint = failpoint
    }

    /// One task as it was found.
    package struct Found: Hashable, Sendable {
        package enum State: Hashable, Sendable {
            /// It goes on when the manager runs.
            case live
            case ended(EndRecord.Outcome)
            /// Nothing says what the task is, or who has it: why.
            case unknown(reason: String)
        }
        package var task: TaskID
        package var state: State
        package var epoch: Epoch?
        package var node: NodeID?
        package var checkpoints: [CheckpointRecord]
    }

    /// - Parameters:
    ///   - ledger: a new one, in which nothing is recorded.
    ///   - passingOver: tasks that are known to have ended though the store does not say so (format 1): they are written down as cancelled.
    ///   - progress: called for each task.
    package func rebuild(
        into ledger: any Ledger, passingOver: Set<TaskID> = [], progress: (Found) -> Void
    ) async throws(RebuildError) -> [Found] {
        let there: [EventRecord]
        do throws(LedgerError) { there = try await ledger.events(after: 0, limit: 1) } catch { throw .ledger(error) }
        guard there.isEmpty else { throw .notEmpty }
        let tasks: [TaskID]
        do throws(EngineError) { tasks = try await catalog.tasks() } catch { throw .store(error) }
        var all: [Found] = []
        var events: [EventRecord] = []
        var newest: Int64 = 0
        for task in tasks {
            do throws(EngineError) {
                let (found, told) = try await read(task, isOver: passingOver.contains(task))
                events += told
                newest = max(newest, found.checkpoints.compactMap { Self.number(of: $0.order) }.max() ?? 0)
                all.append(found)
                progress(found)
                if let failpoint { try failpoint(.taskRead) }
            } catch { throw .store(error) }
        }
        // In the order in which it happened, as far as clocks agree; of one task, as it must have.
        let first = event(.ledgerRebuilt(version: version, store: location, tasks: all.count))
        // In one transaction, with nothing before it: a ledger is made anew or is empty.
        do throws(LedgerError) {
            try await ledger.record([decision(after: newest, tasks: all.count)])
            _ = try await ledger.append([first] + events)
        } catch { throw .ledger(error) }
        return all
    }

    private func event(_ event: Event, at moment: Timestamp? = nil) -> EventRecord {
        EventRecord(at: moment ?? time.now(), source: .manager, event: event)
    }

    /// Orders are named after decisions, and a node that has carried out an order of that name does not do so again: numbers go on above all
    /// that the old ledger may have given.
    private func decision(after newest: Int64, tasks: Int) -> Decision {
        let number = max(newest + 1, Int64(time.now().rawValue))
        return Decision(
            id: DecisionID("d" + padded(Int(number))), at: time.now(), kind: .rebuild, task: nil, node: nil, mode: .enforce, sla: nil, policy: nil,
            models: version, inputs: [DecisionInput(name: "tasks", value: Double(tasks))], alternatives: [], chosen: nil, binding: nil, rules: [],
            sentence: "The ledger is made anew from the store \(location); decisions before this one are not known.", steps: [])
    }

    private static func number(of order: OrderID) -> Int64? {
        order.rawValue.hasPrefix("checkpoint-d") ? Int64(order.rawValue.dropFirst("checkpoint-d".count)) : nil
    }

    private func read(_ task: TaskID, isOver: Bool) async throws(EngineError) -> (Found, [EventRecord]) {
        guard let newest = try await catalog.newestEpoch(of: task) else {
            return (Found(task: task, state: .unknown(reason: "it has no epoch"), epoch: nil, node: nil, checkpoints: []), [])
        }
        let epochs = try await catalog.epochs(of: task)
        let line = try await catalog.committed(task)
        let checkpoints = line.map(\.record)
        guard let current = epochs.last, current.epoch == newest else {
            let reason = "the record of its epoch \(newest) is damaged"
            return (Found(task: task, state: .unknown(reason: reason), epoch: newest, node: nil, checkpoints: checkpoints), [])
        }
        guard let submission = epochs.first?.submission ?? line.last?.submission else {
            let reason = "nothing was committed of it, and format 1 does not keep what was submitted"
            return (Found(task: task, state: .unknown(reason: reason), epoch: newest, node: current.node, checkpoints: []), [])
        }
        let end: EndRecord?
        do throws(EngineError) { end = try await catalog.ended(task) } catch .damaged(let what, let detail) {
            return (
                Found(
                    task: task, state: .unknown(reason: "\(what) is damaged: \(detail)"), epoch: newest, node: current.node, checkpoints: checkpoints),
                []
            )
        }
        var events = [event(.taskSubmitted(submission), at: submission.submittedAt)]
        for epoch in epochs {
            if epoch.epoch == .first {
                events.append(event(.taskPlaced(task: task, epoch: .first, node: epoch.node), at: epoch.at))
            } else {
                events.append(event(.epochRaised(task: task, epoch: epoch.epoch, node: epoch.node, from: epoch.from), at: epoch.at))
            }
            let here = checkpoints.filter { $0.epoch == epoch.epoch }
            if let earliest = here.first {
                events.append(event(.taskFound(task: task, epoch: epoch.epoch, node: epoch.node), at: earliest.capturedAt))
            }
            events += here.map { event(.checkpointCommitted($0), at: $0.committedAt) }
        }
        var state = Found.State.live
        if let end {
            state = .ended(end.outcome)
            events += [event(StepExecution.event(of: end), at: end.at), event(.taskEndStored(task: task))]
        } else if isOver {
            state = .ended(.cancelled(by: "whoever made the ledger anew"))
            events.append(event(.taskCancelled(task: task, by: "whoever made the ledger anew")))
        }
        return (Found(task: task, state: state, epoch: newest, node: current.node, checkpoints: checkpoints), events)
    }
}

package enum RebuildError: Error, Hashable, Sendable {
    case store(EngineError)
    case ledger(LedgerError)
    case notEmpty
}

extension RebuildError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .store(let error): "\(error)"
        case .ledger(let error): "\(error)"
        case .notEmpty: "the ledger holds something already: give the path of a file that is not there"
        }
    }
}
