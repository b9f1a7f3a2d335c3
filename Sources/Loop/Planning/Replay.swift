import PlanningModel
import Vocabulary

/// A recorded decision made again from the situation that was recorded with it: under the policy of then it must be the same to the last bit, under
/// another one it shows what would have been decided.
///
/// Each is made again by itself, from what was known then: what another decision before it would have changed is not followed up.
package struct Replay: Hashable, Sendable {
    /// As the decision of then.
    package var mode: CheckpointPolicy.Mode
    package var rules: [String]
    package var binding: String?
    package var alternatives: [Alternative]
    package var chosen: Int?
    package var replication: Replication
    /// A checkpoint would be due; nil where none is decided about.
    package var isDueNow: Bool?
    /// Where the task would go; nil where no node is chosen.
    package var node: NodeID?
    /// How many of the newest checkpoints would be kept; nil where none are pruned.
    package var keptCount: Int?
    /// The choice reckoned at the prices of then, so that it compares with what was chosen then.
    package var atRecordedPrices: Alternative?
    private var situation: Situation

    /// - Returns: nil for a decision that was recorded without its situation, as a policy has no say in it or as it was made by an earlier version.
    package init?(_ decision: Decision, sla: TaskSLA, policy: CheckpointPolicy) {
        guard let recorded = decision.situation, !recorded.costs.isEmpty else { return nil }
        let applied = policy.applied(
            labels: sla.labels, probabilityMet: recorded.forecastMet, failureRatePerSecond: recorded.failureRatePerSecond,
            uncompressedBytes: recorded.costs.first { $0.codec == .none }?.sentBytes)
        var anew = recorded
        anew.settings = applied.settings
        if let set = recorded.modeSet { anew.settings.mode = set }
        anew.prices = policy.prices(sla.preference)
        var priced = anew
        priced.prices = recorded.prices
        situation = anew
        mode = anew.settings.mode
        rules = applied.rules
        replication = applied.settings.replication
        switch decision.kind {
        case .schedule, .checkpoint:
            let choice = ScheduleChoice(anew)
            alternatives = choice.alternatives
            chosen = choice.index
            binding = choice.binding
            isDueNow = choice.isDueNow
            atRecordedPrices = alternative(
                priced.objective.evaluate(choice.best.option, intervalSeconds: choice.best.intervalSeconds),
                named: choice.alternatives[choice.index].name)
        case .place, .resume:
            guard let choice = NodeChoice(anew) else { return nil }
            // Where a task goes is carried out in every mode, and is recorded without rules.
            mode = decision.mode
            rules = decision.rules
            alternatives = choice.alternatives
            chosen = choice.index
            node = choice.node
            atRecordedPrices = alternative(choice.evaluated(in: priced), named: choice.alternatives[choice.index].name)
        case .prune:
            alternatives = []
            rules = decision.rules
            keptCount = anew.keptCount
        case .declareLost, .giveUp, .merge, .move, .rebuild: return nil
        }
    }

    /// Whether nothing of what was decided, and weighed, is different: not by the last bit.
    package func isExactly(_ decision: Decision) -> Bool {
        situation == decision.situation && mode == decision.mode && rules == decision.rules && binding == decision.binding
            && alternatives == decision.alternatives && chosen == decision.chosen
            && (decision.kind != .checkpoint || isDueNow == true || decision.wasAheadOfItsTime)
            && (node == nil || node == decision.node) && keptCount == decision.keptCount
    }

    /// What would have been done otherwise, in words; empty: the same.
    package func changes(from decision: Decision) -> [String] {
        var changes: [String] = []
        if let keptCount, keptCount != decision.keptCount { changes.append("the newest \(keptCount) kept and not \(decision.keptCount ?? 0)") }
        guard let before = decision.chosen.map({ decision.alternatives[$0] }), let after = chosen.map({ alternatives[$0] }) else { return changes }
        if let node, node != decision.node { changes.append("on \(node) and not on \(decision.node.map { "\($0)" } ?? "any node")") }
        if decision.kind == .checkpoint, isDueNow == false, !decision.wasAheadOfItsTime { changes.append("no checkpoint yet") }
        if mode != decision.mode { changes.append(mode == .audit ? "only watched" : "carried out") }
        if decision.kind == .schedule || decision.kind == .checkpoint {
            if !Self.isAlike(before.intervalSeconds, after.intervalSeconds) {
                changes.append(after.intervalSeconds.map { "every \(plain($0)) s" } ?? "never")
            }
            if after.intervalSeconds != nil || before.intervalSeconds != nil {
                if before.codec != after.codec, let codec = after.codec { changes.append(codec == .none ? "uncompressed" : codec.rawValue) }
                if let recorded = decision.situation?.settings.replication, recorded != replication { changes.append("\(replication) copies") }
            }
        }
        return changes
    }

    /// Within a hundredth: what is nearer is not another interval.
    private static func isAlike(_ a: Seconds?, _ b: Seconds?) -> Bool {
        switch (a, b) {
        case (nil, nil): true
        case (let a?, let b?): abs(a.rawValue - b.rawValue) <= 0.01 * max(a.rawValue, b.rawValue)
        default: false
        }
    }
}

extension Decision {
    /// A checkpoint that a ceiling of the network made begin before it was due.
    fileprivate var wasAheadOfItsTime: Bool { inputs.contains { $0.name == "aheadSeconds" } }
    fileprivate var keptCount: Int? {
        for case .prune(_, _, _, let keep) in steps { return keep.count }
        return nil
    }
}
