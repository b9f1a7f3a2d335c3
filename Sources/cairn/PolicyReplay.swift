import AuditReport
import Planning
import Vocabulary

/// Recorded decisions beside what another policy would have made of them; docs/json.md is the contract.
struct PolicyReplay: Encodable {
    struct Row: Encodable {
        var decision: DecisionID
        var at: Moment
        var kind: Decision.Kind
        var task: TaskID?
        /// Nothing of what was decided and weighed is different, not by the last bit.
        var isExact: Bool
        /// What would have been done otherwise; empty: the same.
        var changes: [String]
        /// What was chosen, and what would have been, both at the prices of then.
        var recorded: Choice?
        var replayed: Choice?
        /// Predicted, of what would have been less what was chosen; absent where one of them is not finite.
        var costDifference: Double?
    }

    struct Choice: Encodable {
        var name: String
        var totalCost: Double
        var expectedSeconds: Double
        var expectedSentBytes: Double
        var probabilityMet: Double?

        init(_ alternative: Alternative) {
            name = alternative.name
            totalCost = alternative.totalCost
            expectedSeconds = alternative.expectedSeconds.rawValue
            expectedSentBytes = Double(alternative.expectedSentBytes.rawValue)
            probabilityMet = alternative.probabilityMet?.rawValue
        }
    }

    /// Of schedules alone: each is about all that was left of its task.
    struct Sum: Encodable {
        var schedules = 0
        var changed = 0
        var meanCostDifference = 0.0
        var meanExpectedSecondsDifference = 0.0
        var meanExpectedSentBytesDifference = 0.0
    }

    var schema = "cairn.replay/v1"
    /// Absent: the policies of then.
    var policy: DocumentVersion?
    var decisions: [Row] = []
    /// By kind, those that hold no situation: no policy has a say in them, or an earlier version recorded them.
    var notReplayed: [String: Int] = [:]
    var sum = Sum()

    /// - Parameters:
    ///   - decisions: oldest first.
    ///   - policy: nil: each under that of then.
    init(_ decisions: [Decision], events: [EventRecord], under policy: CheckpointPolicy?, version: DocumentVersion?) {
        self.policy = version
        var slas: [TaskID: TaskSLA] = [:]
        var policies: [DocumentVersion: CheckpointPolicy] = [:]
        for record in events {
            switch record.event {
            case .taskSubmitted(let submission): slas[submission.task] = submission.sla
            case .policyLoaded(let policy, let version): policies[version] = policy
            default: break
            }
        }
        for decision in decisions {
            guard let sla = decision.task.flatMap({ slas[$0] }), let policy = policy ?? decision.policy.flatMap({ policies[$0] }),
                let replay = Replay(decision, sla: sla, policy: policy)
            else {
                notReplayed[decision.kind.rawValue, default: 0] += 1
                continue
            }
            let recorded = decision.chosen.map { decision.alternatives[$0] }
            let row = Row(
                decision: decision.id, at: Moment(decision.at), kind: decision.kind, task: decision.task, isExact: replay.isExactly(decision),
                changes: replay.changes(from: decision), recorded: recorded.map { Choice($0) }, replayed: replay.atRecordedPrices.map { Choice($0) },
                costDifference: Self.difference(recorded, replay.atRecordedPrices))
            self.decisions.append(row)
            if decision.kind == .schedule { count(row) }
        }
        guard sum.schedules > 0 else { return }
        sum.meanCostDifference /= Double(sum.schedules)
        sum.meanExpectedSecondsDifference /= Double(sum.schedules)
        sum.meanExpectedSentBytesDifference /= Double(sum.schedules)
    }

    private static func difference(_ recorded: Alternative?, _ replayed: Alternative?) -> Double? {
        guard let recorded, let replayed else { return nil }
        let difference = replayed.totalCost - recorded.totalCost
        return difference.isFinite ? difference : nil
    }

    /// Forecasts that are not finite do not count.
    private mutating func count(_ row: Row) {
        guard let difference = row.costDifference, let recorded = row.recorded, let replayed = row.replayed else { return }
        sum.schedules += 1
        if !row.changes.isEmpty { sum.changed += 1 }
        sum.meanCostDifference += difference
        sum.meanExpectedSecondsDifference += replayed.expectedSeconds - recorded.expectedSeconds
        sum.meanExpectedSentBytesDifference += replayed.expectedSentBytes - recorded.expectedSentBytes
    }

    func text(all: Bool) -> String {
        let shown = decisions.filter { all || (policy == nil ? !$0.isExact : !$0.changes.isEmpty) }
        var lines: [String] = []
        if !shown.isEmpty {
            let rows = shown.map { row in
                let changes =
                    row.changes.isEmpty ? (row.isExact ? "the same" : "the same choice, other numbers") : row.changes.joined(separator: ", ")
                return [
                    row.decision.rawValue, Words.moment(row.at.time), row.kind.rawValue, row.task?.rawValue ?? "", row.recorded?.name ?? "-", changes,
                    row.costDifference.map { Self.signed(Words.cost($0), $0) } ?? "",
                ]
            }
            lines.append(Terminal.columns([["decision", "at", "kind", "task", "was", "would have been", "cost"]] + rows))
            lines.append("")
        }
        let exact = decisions.count { $0.isExact }
        if policy == nil {
            lines.append(
                "\(decisions.count) decisions made again under their own policies: \(exact) the same to the last bit, \(decisions.count - exact) not")
        } else {
            let changed = decisions.count { !$0.changes.isEmpty }
            lines.append("\(decisions.count) decisions made again: \(changed) would have been others")
            if sum.schedules > 0 {
                lines.append(
                    "of \(Words.count(sum.schedules, "schedule")), on average and as predicted: cost "
                        + Self.signed(Words.cost(sum.meanCostDifference), sum.meanCostDifference) + ", time "
                        + Self.signed(Words.duration(Seconds(sum.meanExpectedSecondsDifference)), sum.meanExpectedSecondsDifference) + ", sent "
                        + Self.signed(Words.bytes(sum.meanExpectedSentBytesDifference), sum.meanExpectedSentBytesDifference))
            }
        }
        if !notReplayed.isEmpty {
            let kinds = notReplayed.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
            lines.append("not made again, as they hold no situation: \(kinds)")
        }
        return lines.joined(separator: "\n")
    }

    private static func signed(_ text: String, _ value: Double) -> String { value > 0 ? "+" + text : text }
}
