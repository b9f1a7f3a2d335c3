import AuditReport
import Knowledge
import Vocabulary

/// A task in a line: where it is, and how sure its deadline is.
package struct TaskBrief: Hashable, Sendable, Codable {
    package var task: TaskID
    /// As `cairn task list` shows it.
    package var state: String
    package var isLive: Bool
    package var node: NodeID?
    package var epoch: Epoch
    package var preference: String
    package var policy: String
    package var labels: [String: String]
    /// 0 to 1; of a task that lives, extrapolated to now.
    package var progress: Double
    package var workSeconds: Seconds
    package var submittedAt: Moment
    package var endedAt: Moment?
    package var result: String?
    package var reason: String?
    package var deadline: Moment?
    package var deadlineConfidence: Probability?
    package var timeToDeadlineSeconds: Seconds?
    package var expectedFinish: Moment?
    package var probabilityMet: Probability?
    /// The SLA asks for more than `probabilityMet`, or the deadline has passed.
    package var isAtRisk: Bool
    /// Penalty that is to be expected of the forecast.
    package var moneyAtRisk: Double?
    package var currency: String?
    /// Work that a failure now would lose.
    package var exposedSeconds: Seconds?
    /// Between checkpoints, as decided last; nil: none are taken.
    package var intervalSeconds: Seconds?
    package var scheduleDecision: DecisionID?
    /// In the store: committed and not pruned.
    package var checkpoints: Int
    package var newestCheckpoint: CheckpointID?
    package var newestCheckpointAt: Moment?
    package var isCheckpointing: Bool
    package var interruptions: Int

    init(_ task: TaskKnowledge, finding: TaskFinding?, schedule: Schedule?, at now: Timestamp) {
        self.task = task.id
        state = task.state.name
        isLive = !task.state.isFinal
        node = task.node
        epoch = task.epoch
        preference = task.sla.preference.title
        policy = task.sla.policy
        labels = task.sla.labels
        workSeconds = task.sla.task.workSeconds
        submittedAt = Moment(task.submission.submittedAt)
        endedAt = task.endedAt.map { Moment($0) }
        deadline = task.deadline.map { Moment($0) }
        deadlineConfidence = task.sla.deadline?.confidence
        let lived = isLive ? finding : nil
        progress = lived?.progress ?? task.highestProgress
        switch task.state {
        case .finished(let digest):
            result = digest
            progress = 1
        case .givenUp(let why): reason = why
        default: break
        }
        timeToDeadlineSeconds = isLive ? task.deadline.map { $0 - now } : nil
        expectedFinish = lived?.forecast.map { Moment($0.expectedFinish) }
        probabilityMet = lived?.forecast?.probabilityMet
        let met = probabilityMet ?? Probability(1)
        isAtRisk =
            isLive && ((timeToDeadlineSeconds ?? Seconds(1)) <= .zero || (deadlineConfidence.map { met < $0 } ?? false))
        moneyAtRisk = lived?.forecast?.expectedPenalty?.amount
        currency = task.sla.penalty?.amount.currency
        exposedSeconds = lived?.exposedSeconds
        intervalSeconds = isLive ? schedule?.standing.intervalSeconds : nil
        scheduleDecision = isLive ? schedule?.decision : nil
        checkpoints = task.committed.count
        newestCheckpoint = task.newestCommitted?.id
        newestCheckpointAt = task.newestCommitted.map { Moment($0.committedAt) }
        isCheckpointing = task.underway != nil
        interruptions = task.interruptions.count
    }

    /// Those that live, the newest first, and then those that have ended, the one that ended last first.
    package static func all(_ outlook: Outlook, limit: Int = .max) -> [TaskBrief] {
        let findings = Dictionary(outlook.findings.tasks.map { ($0.task, $0) }, uniquingKeysWith: { first, _ in first })
        // Few words are sorted, and not all that is known of each.
        let sorted = outlook.knowledge.tasks.values.map { task in
            (isFinal: task.state.isFinal, at: task.endedAt ?? task.submission.submittedAt, id: task.id)
        }.sorted { a, b in
            if a.isFinal != b.isFinal { return b.isFinal }
            return a.at == b.at ? a.id < b.id : a.at > b.at
        }
        return sorted.prefix(limit).compactMap { place in
            outlook.knowledge.tasks[place.id].map {
                TaskBrief($0, finding: findings[place.id], schedule: outlook.schedules[place.id], at: outlook.findings.at)
            }
        }
    }
}

extension Preference {
    /// A preference's name, or that the prices are the owner's own.
    var title: String {
        switch self {
        case .named(let name): name
        case .prices: "its own prices"
        }
    }
}
