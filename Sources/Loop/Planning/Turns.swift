import Knowledge
import PlanningModel
import Vocabulary

/// A task that could be checkpointed now, below a ceiling of the network.
struct Turn {
    var task: TaskKnowledge
    var node: NodeID
    var terms: Terms
    var choice: ScheduleChoice

    private var situation: Situation { choice.situation }

    /// nil: it is not due, and no limit could make it begin ahead of its time.
    var upload: UploadAdmission.Upload? {
        let option = choice.best.option
        let limit = situation.limits.lostWorkSeconds?.rawValue
        // Never before the floor.
        guard choice.isDueNow || limit != nil && situation.unsavedSeconds >= situation.settings.floorSeconds.rawValue else { return nil }
        let bytes = max(1, option.sentBytes * option.replication)
        return UploadAdmission.Upload(
            bytes: bytes, valuePerByte: situation.failureRatePerSecond * situation.unsavedSeconds * situation.prices.timePerSecond / bytes,
            isDue: choice.isDueNow, slackSeconds: limit.map { $0 - option.costSeconds - option.exposureSeconds - situation.unsavedSeconds })
    }
}

/// Checkpoints below a policy's ceiling take their turns.
extension Draft {
    mutating func takeTurns() {
        // Those that a drained node is saved for are ordered already.
        let ordered = Set(decisions.filter { $0.mode == .enforce && ($0.kind == .checkpoint || $0.kind == .move) }.compactMap(\.task))
        for (name, turns) in turns.sorted(by: { $0.key < $1.key }) {
            guard let ceiling = knowledge.policies[name]?.policy.networkBytesPerSecond else { continue }
            let admission = UploadAdmission(ceilingBytesPerSecond: Double(ceiling.rawValue), stepSeconds: Planning.lookSeconds)
            let backlog = admission.backlog(of: begun(under: name), nowSeconds: findings.at.rawValue)
            let waiting = turns.filter { !ordered.contains($0.task.id) }.compactMap { turn in turn.upload.map { (turn: turn, upload: $0) } }
            for index in admission.admitted(waiting.map(\.upload), backlogBytes: backlog) {
                let (turn, upload) = waiting[index]
                guard var schedule = nextSchedules[turn.task.id] else { continue }
                let inputs: [DecisionInput?] = [
                    DecisionInput(name: "networkCeilingBytesPerSecond", value: Double(ceiling.rawValue)),
                    DecisionInput(name: "networkBacklogBytes", value: backlog), DecisionInput(name: "waitingUploads", value: Double(waiting.count)),
                    upload.isDue ? nil : DecisionInput(name: "aheadSeconds", value: turn.choice.best.dueSeconds ?? 0),
                    upload.slackSeconds.map { DecisionInput(name: "slackSeconds", value: $0) },
                ]
                checkpoint(
                    turn.task, on: turn.node, turn.terms, turn.choice, &schedule, inputs: inputs.compactMap { $0 },
                    because: Self.because(upload, waiting.count))
                nextSchedules[turn.task.id] = schedule
            }
        }
    }

    private static func because(_ upload: UploadAdmission.Upload, _ waiting: Int) -> String {
        if !upload.isDue { return " It begins ahead of its time: below the network's ceiling, \(waiting) could not all be in time after each other." }
        if let slack = upload.slackSeconds, slack < -1 {
            return " It waited for the network's ceiling \(plain(-slack)) s longer than the limit of lost work allows."
        }
        return ""
    }

    /// Uploads of this policy's tasks that began within the last hour, or are under way.
    private func begun(under policy: String) -> [(atSeconds: Double, bytes: Double)] {
        var begun: [(atSeconds: Double, bytes: Double)] = []
        for task in knowledge.liveTasks where task.sla.policy == policy {
            guard let underway = task.underway else { continue }
            let predicted = schedules[task.id]?.predicted
            let copies = underway.plan.replication.mean(memoryShare: predicted?.memoryShare ?? 1)
            begun.append((underway.orderedAt.rawValue, (predicted?.sentBytes.mean ?? 0) * copies))
        }
        for upload in knowledge.recentUploads where findings.at - upload.committedAt < Seconds.hours(1) {
            guard knowledge.tasks[upload.task]?.sla.policy == policy else { continue }
            begun.append((upload.capturedAt.rawValue, Double(upload.bytes.rawValue)))
        }
        return begun
    }
}
