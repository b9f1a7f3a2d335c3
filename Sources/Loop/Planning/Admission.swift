import Knowledge
import PlanningModel
import Vocabulary

/// Whether what an SLA promises can be kept, asked before its task is submitted: on the node that suits it best, as things are known now.
package struct Admission: Hashable, Sendable, Codable {
    package var task: TaskID
    /// Where it would do best.
    package var node: NodeID
    /// Every limit and the confidence in the deadline can be kept there.
    package var isKept: Bool
    /// How it would be checkpointed, with its expected cost by term.
    package var choice: Alternative
    /// The limit that bound, or the one that is broken most.
    package var binding: String?
    package var mtbfSeconds: Double
    package var deadlineSeconds: Double?
    package var confidence: Probability?
    /// Each is one change that would be enough by itself, what is nearest to what was declared first; empty where it can be kept, and where no one change is enough.
    package var wouldDo: [Change]

    /// Another declaration, or a better node.
    package struct Change: Hashable, Sendable, Codable {
        /// `deadlineSeconds`, `confidenceProbability`, `lostWorkSeconds`, `recoverySeconds`, `stoppedShare` or `mtbfSeconds`.
        package var name: String
        package var declared: Double
        package var enough: Double
        package init(name: String, declared: Double, enough: Double) {
            self.name = name
            self.declared = declared
            self.enough = enough
        }
    }

    /// - Parameters:
    ///   - task: one that was not started; placed on each node in turn, whether or not that one is there and has room.
    ///   - findings: of the same knowledge that `task` is from.
    /// - Returns: nil for a fleet of no nodes, or where there is no finding of the task.
    package static func of(_ task: TaskKnowledge, findings: Findings, policy: Knowledge.LoadedPolicy?) -> Admission? {
        guard let finding = findings.tasks.first(where: { $0.task == task.id }) else { return nil }
        let terms = Terms(task: task, finding: finding, policy: policy)
        var best: (node: NodeFinding, choice: ScheduleChoice)?
        for node in findings.nodes {
            let choice = ScheduleChoice(
                terms.situation(work: finding.workLeftSeconds.mean, unsaved: 0, rate: node.failureRate.perSecond))
            if best.map({ choice.best.isBetter(than: $0.choice.best) }) ?? true { best = (node, choice) }
        }
        guard let (node, choice) = best else { return nil }
        let kept = choice.best.isFeasible
        return Admission(
            task: task.id, node: node.node, isKept: kept, choice: choice.alternatives[choice.index],
            binding: choice.best.violated.max { $0.relativeExcess < $1.relativeExcess }?.name.rawValue ?? choice.binding,
            mtbfSeconds: 1 / node.failureRate.perSecond, deadlineSeconds: choice.situation.timeToDeadlineSeconds?.rawValue,
            confidence: choice.situation.timeToDeadlineSeconds == nil ? nil : choice.situation.meetProbability,
            wouldDo: kept ? [] : enough(choice.situation))
    }

    /// A declaration that can be loosened until all is kept: by a factor up to ten thousand, found to a hundredth and rounded to the looser side.
    private struct Knob: Sendable {
        var name: String
        var declared: @Sendable (Situation) -> Double?
        var loosened: @Sendable (inout Situation, Double) -> Void
    }

    private static let knobs = [
        Knob(name: "deadlineSeconds", declared: { $0.timeToDeadlineSeconds?.rawValue }) { $0.timeToDeadlineSeconds = Seconds($1) },
        Knob(name: "lostWorkSeconds", declared: { $0.limits.lostWorkSeconds?.rawValue }) { $0.limits.lostWorkSeconds = Seconds($1) },
        Knob(name: "recoverySeconds", declared: { $0.limits.recoverySeconds?.rawValue }) { $0.limits.recoverySeconds = Seconds($1) },
        Knob(name: "stoppedShare", declared: { $0.limits.stoppedShare }) { $0.limits.stoppedShare = min(1, $1) },
        Knob(name: "mtbfSeconds", declared: { 1 / $0.failureRatePerSecond }) { $0.failureRatePerSecond = 1 / $1 },
    ]

    private static func enough(_ situation: Situation) -> [Change] {
        var changes: [(Change, distance: Double)] = []
        func isKept(_ change: (inout Situation) -> Void) -> Bool {
            var changed = situation
            change(&changed)
            return ScheduleChoice(changed).best.isFeasible
        }
        for knob in knobs {
            guard let declared = knob.declared(situation), declared > 0, declared.isFinite else { continue }
            var low = 1.0
            var high = 1.0
            repeat {
                low = high
                high *= 2
            } while high < 10_000 && !isKept({ knob.loosened(&$0, declared * high) })
            guard isKept({ knob.loosened(&$0, declared * high) }) else { continue }
            while high / low > 1.01 {
                let middle = (low * high).squareRoot()
                if isKept({ knob.loosened(&$0, declared * middle) }) { high = middle } else { low = middle }
            }
            changes.append((Change(name: knob.name, declared: declared, enough: declared * high), high))
        }
        if let asked = situation.meetProbability?.rawValue, situation.timeToDeadlineSeconds != nil {
            // The surest that there is, if that is all that is missing.
            var (low, high) = (0.0, asked)
            if isKept({ $0.meetProbability = Probability(low) }) {
                while high - low > 0.001 {
                    let middle = (low + high) / 2
                    if isKept({ $0.meetProbability = Probability(middle) }) { low = middle } else { high = middle }
                }
                // One percent less confidence counts as much as one percent more time.
                if low > 0.01 { changes.append((Change(name: "confidenceProbability", declared: asked, enough: low), asked / low)) }
            }
        }
        return changes.sorted { ($0.distance, $0.0.name) < ($1.distance, $1.0.name) }.map(\.0)
    }
}
