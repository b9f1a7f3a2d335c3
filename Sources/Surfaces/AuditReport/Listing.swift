import Knowledge
import Vocabulary

/// The short lists of the commands, as text and as JSON.
package enum Listing {
    // MARK: Tasks

    package struct TaskLine: Hashable, Sendable, Codable {
        package var task: TaskID
        package var name: String
        package var state: String
        package var node: NodeID?
        package var epoch: Epoch
        package var progress: Double
        package var preference: String
        package var policy: String
        package var submittedAt: Moment
        package var deadline: Moment?
        package var endedAt: Moment?
        package var result: String?
        package var reason: String?
        package var checkpoints: Int
        package var newestCheckpoint: CheckpointID?
        package var interruptions: Int
    }

    package static func tasks(_ knowledge: Knowledge) -> [TaskLine] {
        knowledge.tasks.values.sorted { ($0.submission.submittedAt, $0.id) < ($1.submission.submittedAt, $1.id) }.map(line)
    }

    package static func line(_ task: TaskKnowledge) -> TaskLine {
        var result: String?
        var reason: String?
        switch task.state {
        case .finished(let digest): result = digest
        case .givenUp(let why): reason = why
        case .submitted, .placed, .running, .interrupted, .resuming, .cancelled: break
        }
        let preference: String
        switch task.sla.preference {
        case .named(let name): preference = name
        case .prices: preference = "its own prices"
        }
        return TaskLine(
            task: task.id, name: task.sla.name, state: task.state.name, node: task.node, epoch: task.epoch, progress: result == nil ? task.highestProgress : 1,
            preference: preference, policy: task.sla.policy, submittedAt: Moment(task.submission.submittedAt), deadline: task.deadline.map(Moment.init),
            endedAt: task.endedAt.map(Moment.init), result: result, reason: reason, checkpoints: task.committed.count,
            newestCheckpoint: task.newestCommitted?.id, interruptions: task.interruptions.count)
    }

    package static func text(_ tasks: [TaskLine], now: Timestamp, width: Int = 80) -> String {
        guard !tasks.isEmpty else { return "No tasks.\n" }
        var page = TextPage(width: width)
        page.table(
            [
                .init(title: "TASK"), .init(title: "STATE"), .init(title: "NODE"), .init(title: "DONE", isRight: true), .init(title: "SAVED", isRight: true),
                .init(title: "TO DEADLINE", isRight: true), .init(title: "PREFERENCE"),
            ],
            tasks.map { task in
                let left = task.deadline.map { Words.duration(span(task.endedAt?.time ?? now, $0.time)) } ?? "-"
                return [
                    task.task.rawValue, task.state, task.node?.rawValue ?? "-", Words.share((task.progress * 1_000).rounded(.down) / 1_000), "\(task.checkpoints)", left,
                    task.preference,
                ]
            }, indent: 0)
        return page.text
    }

    // MARK: Checkpoints

    package struct CheckpointLine: Hashable, Sendable, Codable {
        package var task: TaskID
        package var checkpoint: CheckpointReport
    }

    package static func checkpoints(_ report: Report) -> [CheckpointLine] {
        report.tasks.flatMap { task in task.checkpoints.map { CheckpointLine(task: task.task, checkpoint: $0) } }
    }

    package static func text(_ checkpoints: [CheckpointLine], width: Int = 80) -> String {
        guard !checkpoints.isEmpty else { return "No checkpoints.\n" }
        var page = TextPage(width: width)
        page.table(
            [
                .init(title: "TASK"), .init(title: "CHECKPOINT"), .init(title: "DONE", isRight: true), .init(title: "STOPPED", isRight: true),
                .init(title: "SENT", isRight: true), .init(title: "NODE"), .init(title: "STATUS"),
            ],
            checkpoints.map { line in
                let made = line.checkpoint
                return [
                    line.task.rawValue, made.checkpoint.rawValue, made.progress.map(Words.share) ?? "-", made.stopSeconds.map(Words.duration) ?? "-",
                    made.sentBytes.map { Words.bytes($0) } ?? "-", made.node?.rawValue ?? "-", made.statusWords,
                ]
            }, indent: 0)
        return page.text
    }

    // MARK: Decisions

    package static func text(_ decisions: [DecisionReport], width: Int = 80) -> String {
        guard !decisions.isEmpty else { return "No decisions.\n" }
        var page = TextPage(width: width)
        page.table(
            [.init(title: "DECISION"), .init(title: "WHEN"), .init(title: "KIND"), .init(title: "SENTENCE", takesRest: true)],
            decisions.map { [$0.decision.rawValue, Words.moment($0.at.time), $0.kind.rawValue, $0.sentence + ($0.mode == .audit ? " (Audit)" : "")] }, indent: 0)
        return page.text
    }
}
