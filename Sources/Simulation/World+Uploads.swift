import PlanningModel
import Vocabulary

/// Uploads below a policy's ceiling take their turns.
extension World {
    /// A checkpoint is due: it is taken at once or, below a ceiling, when its turn comes.
    mutating func want(_ index: Int, _ order: CheckpointOrder, as id: OrderID?) {
        guard admission != nil else { return capture(index, order, as: id) }
        guard tasks[index].phase == .running, tasks[index].underway == nil else { return }
        tasks[index].wanted = TaskRun.Wanted(order: order, id: id)
        look()
    }

    /// Whose turn has come is captured. Nothing without a ceiling.
    mutating func look() {
        guard let admission else { return }
        backlog = (max(0, backlog.bytes - admission.ceilingBytesPerSecond * (now - backlog.at)), now)
        var waiting: [(index: Int, upload: UploadAdmission.Upload)] = []
        // Those below the floor may not begin yet, and matter for when is looked next.
        var young: [UploadAdmission.Upload] = []
        for index in tasks.indices where tasks[index].phase == .running && tasks[index].underway == nil {
            guard let upload = upload(index) else { continue }
            if tasks[index].wanted != nil || tasks[index].work - tasks[index].capturedWork >= candidacy.policy.settings.floorSeconds.rawValue {
                waiting.append((index, upload))
            } else {
                young.append(upload)
            }
        }
        let admitted = admission.admitted(waiting.map(\.upload), backlogBytes: backlog.bytes)
        for place in admitted {
            let index = waiting[place].index
            guard let order = tasks[index].wanted?.order ?? tasks[index].standingOrder else { continue }
            backlog.bytes += waiting[place].upload.bytes
            capture(index, order, as: tasks[index].wanted?.id)
        }
        let left = waiting.indices.filter { !admitted.contains($0) }.map { waiting[$0] }
        var next = admission.latestStartSeconds(left.map(\.upload) + young) - admission.stepSeconds
        if left.contains(where: { tasks[$0.index].wanted != nil }) {
            next = min(next, backlog.bytes / admission.ceilingBytesPerSecond - admission.stepSeconds)
        }
        guard next.isFinite else { return }
        let time = now + max(admission.stepSeconds, next)
        guard time < nextLook else { return }
        nextLook = time
        queue.push(.look, 0, at: time)
    }

    /// nil: it is not due, and nothing bounds what it may lose.
    private mutating func upload(_ index: Int) -> UploadAdmission.Upload? {
        let limit = tasks[index].submission.sla.limits.lostWorkSeconds?.rawValue
        let isDue = tasks[index].wanted != nil
        guard isDue || limit != nil && tasks[index].interval != nil, let schedule = tasks[index].schedule, let costs = schedule.predicted else {
            return nil
        }
        tasks[index].advance(to: now)
        let unsaved = tasks[index].work - tasks[index].savedWork
        let bytes = max(1, costs.sentBytes.mean * schedule.standing.order.replication.mean(memoryShare: costs.memoryShare))
        let price = scenario.tasks[index].prices.timePerSecond
        return UploadAdmission.Upload(
            bytes: bytes, valuePerByte: tasks[index].failureRatePerSecond * unsaved * price / bytes, isDue: isDue,
            slackSeconds: limit.map { $0 - costs.latencySeconds.mean - unsaved })
    }
}
