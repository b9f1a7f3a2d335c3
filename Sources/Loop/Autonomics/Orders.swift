import Knowledge
import Ports
import Vocabulary

/// The orders in force for a node, derived afresh from what is known whenever it asks: nothing is sent and forgotten.
enum Orders {
    static func inForce(for report: NodeReport, knowledge: Knowledge, prunes: [TaskID: [CheckpointID]], merges: [TaskID: Manager.Merging]) -> [Order]
    {
        var orders: [Order] = []
        for task in knowledge.tasks(on: report.node) {
            if let order = order(for: task, prunes: prunes[task.id], merging: merges[task.id]) { orders.append(order) }
        }
        for seen in report.tasks where mustStop(seen, on: report.node, knowledge) {
            orders.append(Order(id: OrderID("stop-\(seen.task)-e\(seen.epoch)"), task: seen.task, epoch: seen.epoch, action: .stop))
        }
        return orders
    }

    private static func order(for task: TaskKnowledge, prunes: [CheckpointID]?, merging: Manager.Merging?) -> Order? {
        switch task.state {
        case .placed: return Order(id: OrderID("start-\(task.id)-e\(task.epoch)"), task: task.id, epoch: task.epoch, action: .start(task.submission))
        case .resuming(_, let from):
            return Order(
                id: OrderID("resume-\(task.id)-e\(task.epoch)"), task: task.id, epoch: task.epoch, action: .resume(task.submission, from: from))
        case .running:
            if let underway = task.underway {
                return Order(id: underway.order, task: task.id, epoch: task.epoch, action: .checkpoint(underway.plan))
            }
            if let keep = prunes, let newest = keep.last {
                let drop = task.committed.map(\.id).filter { !keep.contains($0) && $0 < newest }
                return Order(id: OrderID("prune-\(task.id)-\(newest)"), task: task.id, epoch: task.epoch, action: .prune(keep: keep, drop: drop))
            }
            if let merging, merging.epoch == task.epoch {
                return Order(id: merging.id, task: task.id, epoch: task.epoch, action: .merge(merging.order))
            }
            return nil
        case .submitted, .interrupted, .finished, .givenUp, .cancelled: return nil
        }
    }

    /// A guest that this node should not be running: of a task that ended, went elsewhere, or is to be taken back.
    private static func mustStop(_ seen: TaskObservation, on node: NodeID, _ knowledge: Knowledge) -> Bool {
        // Not in this ledger: somebody else's, or of a ledger that was lost. Not ours to end.
        guard let task = knowledge.tasks[seen.task] else { return false }
        if case .interrupted = task.state { return true }
        return task.state.isFinal || task.node != node || task.epoch != seen.epoch
    }
}
