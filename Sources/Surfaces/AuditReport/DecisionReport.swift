import Vocabulary

/// A decision with what came of it, as `cairn decisions --json`, `cairn explain --json` and the report show it.
package struct DecisionReport: Hashable, Sendable, Codable {
    package var decision: DecisionID
    package var at: Moment
    package var kind: Decision.Kind
    package var task: TaskID?
    package var node: NodeID?
    package var mode: CheckpointPolicy.Mode
    package var sla: DocumentVersion?
    package var policy: DocumentVersion?
    package var models: String
    package var sentence: String
    package var binding: String?
    package var rules: [String]
    package var inputs: [DecisionInput]
    package var alternatives: [AlternativeReport]
    package var steps: [String]
    package var outcomes: [OutcomeReport]
    /// Whether it turned out well; nil: it was not acted on, or it is of a kind that nothing can be said of.
    package var hindsight: Hindsight?

    package init(_ decision: Decision, outcomes: [Outcome], hindsight: Hindsight? = nil) {
        self.hindsight = hindsight
        self.decision = decision.id
        at = Moment(decision.at)
        kind = decision.kind
        task = decision.task
        node = decision.node
        mode = decision.mode
        sla = decision.sla
        policy = decision.policy
        models = decision.models
        sentence = decision.sentence
        binding = decision.binding
        rules = decision.rules
        inputs = decision.inputs
        alternatives = decision.alternatives.enumerated().map { AlternativeReport($1, isChosen: $0 == decision.chosen) }
        steps = decision.steps.map(\.words)
        self.outcomes = outcomes.filter { $0.decision == decision.id }.map(OutcomeReport.init)
    }

    package var chosen: AlternativeReport? { alternatives.first { $0.isChosen } }
}

package struct AlternativeReport: Hashable, Sendable, Codable {
    package var name: String
    package var isChosen: Bool
    /// nil: never.
    package var intervalSeconds: Seconds?
    package var codec: Codec?
    package var replication: Double?
    package var timeCost: Double
    package var networkCost: Double
    package var storageCost: Double
    package var penaltyCost: Double
    package var totalCost: Double
    package var expectedSeconds: Seconds
    package var expectedSentBytes: ByteCount
    package var probabilityMet: Probability?
    package var violations: [String]

    init(_ alternative: Alternative, isChosen: Bool) {
        name = alternative.name
        self.isChosen = isChosen
        intervalSeconds = alternative.intervalSeconds
        codec = alternative.codec
        replication = alternative.replication
        timeCost = alternative.timeCost
        networkCost = alternative.networkCost
        storageCost = alternative.storageCost
        penaltyCost = alternative.penaltyCost
        totalCost = alternative.totalCost
        expectedSeconds = alternative.expectedSeconds
        expectedSentBytes = alternative.expectedSentBytes
        probabilityMet = alternative.probabilityMet
        violations = alternative.violations
    }
}

package struct OutcomeReport: Hashable, Sendable, Codable {
    package var at: Moment
    package var quantity: String
    package var predicted: Double?
    package var observed: Double

    init(_ outcome: Outcome) {
        at = Moment(outcome.at)
        quantity = outcome.quantity
        predicted = outcome.predicted
        observed = outcome.observed
    }

    var words: String {
        "\(quantity): \(Words.quantity(quantity, observed))" + (predicted.map { ", predicted \(Words.quantity(quantity, $0))" } ?? "")
    }
}

extension PlanStep {
    /// For people: what shall be done.
    package var words: String {
        switch self {
        case .start(let task, let node): "start \(task) on \(node)"
        case .arm(let plan, let node):
            plan.intervalSeconds.map { "\(node) checkpoints \(plan.task) every \(Words.duration($0)) (\(plan.order.words))" }
                ?? "\(node) does not checkpoint \(plan.task)"
        case .checkpoint(let task, let node, let epoch, let order): "checkpoint \(task) on \(node) in epoch \(epoch) (\(order.words))"
        case .declareLost(let node): "declare \(node) lost"
        case .fence(let node): "fence \(node)"
        case .resume(let task, let node, let epoch): "resume \(task) on \(node) after epoch \(epoch)"
        case .giveUp(let task, let reason): "give \(task) up: \(reason)"
        case .stop(let task, let node, let epoch): "stop \(task) on \(node) in epoch \(epoch)"
        case .prune(let task, _, _, let keep): "keep of \(task) only \(keep.map(\.rawValue).joined(separator: ", "))"
        case .takeOff(let task, let node, let epoch): "take \(task) off \(node) in epoch \(epoch)"
        case .merge(let task, let node, _, let order):
            "merge layers of \(task) on \(node)\(order.keep.map { " above the lowest \($0)" } ?? "") within \(Words.duration(order.limitSeconds))"
        }
    }
}

extension CheckpointOrder {
    package var words: String { "codec \(codec.rawValue), \(replication) \(replication == 1 ? "copy" : "copies")" }
}
