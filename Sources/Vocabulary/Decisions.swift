/// What was decided and why. A decision is recorded before it is acted on and never changed; what came of it is
/// recorded beside it.
package struct Decision: Hashable, Sendable, Codable {
    package enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// When the next checkpoint is due (or that none is), and how.
        case schedule
        /// Take a checkpoint now.
        case checkpoint
        case place
        case declareLost
        case resume
        case giveUp
        case prune
        /// Merge layers of a running task's disk.
        case merge
        /// The ledger was made anew from the store.
        case rebuild
        /// Take a task off a node that is drained.
        case move
    }
    package var id: DecisionID
    package var at: Timestamp
    package var kind: Kind
    package var task: TaskID?
    package var node: NodeID?
    package var mode: CheckpointPolicy.Mode
    package var sla: DocumentVersion?
    package var policy: DocumentVersion?
    /// Version of the models that computed it.
    package var models: String
    package var inputs: [DecisionInput]
    /// What the choice was made from, whole; nil where no interval was chosen.
    package var situation: Situation?
    package var alternatives: [Alternative]
    /// Index into `alternatives` of the one chosen; nil where there was no choice.
    package var chosen: Int?
    /// The limit that bound, if one did.
    package var binding: String?
    /// Names of the policy's rules that applied.
    package var rules: [String]
    /// One that a person understands.
    package var sentence: String
    package var steps: [PlanStep]
    package init(
        id: DecisionID, at: Timestamp, kind: Kind, task: TaskID?, node: NodeID?, mode: CheckpointPolicy.Mode, sla: DocumentVersion?,
        policy: DocumentVersion?, models: String, inputs: [DecisionInput], situation: Situation? = nil, alternatives: [Alternative],
        chosen: Int?, binding: String?, rules: [String], sentence: String, steps: [PlanStep]
    ) {
        self.id = id
        self.at = at
        self.kind = kind
        self.task = task
        self.node = node
        self.mode = mode
        self.sla = sla
        self.policy = policy
        self.models = models
        self.inputs = inputs
        self.situation = situation
        self.alternatives = alternatives
        self.chosen = chosen
        self.binding = binding
        self.rules = rules
        self.sentence = sentence
        self.steps = steps
    }
}

/// A number that a decision was made from. The name ends in the unit.
package struct DecisionInput: Hashable, Sendable, Codable {
    package var name: String
    package var value: Double
    package var standardError: Double?
    package init(name: String, value: Double, standardError: Double? = nil) {
        self.name = name
        self.value = value
        self.standardError = standardError
    }
}

/// One thing that could have been done, with its predicted cost by term in the policy's currency.
package struct Alternative: Hashable, Sendable, Codable {
    package var name: String
    package var intervalSeconds: Seconds?
    package var codec: Codec?
    /// Of a byte that is sent, on average.
    package var replication: Double?
    package var timeCost: Double
    package var networkCost: Double
    package var storageCost: Double
    package var penaltyCost: Double
    package var expectedSeconds: Seconds
    package var expectedSentBytes: ByteCount
    package var probabilityMet: Probability?
    /// Limits that it breaks, with by how much; empty: it is allowed.
    package var violations: [String]
    package init(
        name: String, intervalSeconds: Seconds? = nil, codec: Codec? = nil, replication: Double? = nil, timeCost: Double = 0, networkCost: Double = 0,
        storageCost: Double = 0, penaltyCost: Double = 0, expectedSeconds: Seconds = .zero, expectedSentBytes: ByteCount = .zero,
        probabilityMet: Probability? = nil, violations: [String] = []
    ) {
        self.name = name
        self.intervalSeconds = intervalSeconds
        self.codec = codec
        self.replication = replication
        self.timeCost = timeCost
        self.networkCost = networkCost
        self.storageCost = storageCost
        self.penaltyCost = penaltyCost
        self.expectedSeconds = expectedSeconds
        self.expectedSentBytes = expectedSentBytes
        self.probabilityMet = probabilityMet
        self.violations = violations
    }
    package var totalCost: Double { timeCost + networkCost + storageCost + penaltyCost }
}

/// What Execution carries out. Each step can be carried out again without harm.
package enum PlanStep: Hashable, Sendable, Codable {
    /// First start of a task, in epoch 1.
    case start(task: TaskID, node: NodeID)
    /// What the node goes on with.
    case arm(StandingPlan, node: NodeID)
    case checkpoint(task: TaskID, node: NodeID, epoch: Epoch, CheckpointOrder)
    case declareLost(node: NodeID)
    case fence(node: NodeID)
    /// Raise the epoch in the store, find the newest committed checkpoint, resume on `node`.
    case resume(task: TaskID, node: NodeID, epoch: Epoch)
    case giveUp(task: TaskID, reason: String)
    case stop(task: TaskID, node: NodeID, epoch: Epoch)
    case prune(task: TaskID, node: NodeID, epoch: Epoch, keep: [CheckpointID])
    case merge(task: TaskID, node: NodeID, epoch: Epoch, MergeOrder)
    /// End the running guest; the task is resumed elsewhere once it is gone.
    case takeOff(task: TaskID, node: NodeID, epoch: Epoch)
}

/// What came of a decision: a prediction beside what was observed, in the same unit.
package struct Outcome: Hashable, Sendable, Codable {
    package var decision: DecisionID
    package var at: Timestamp
    /// Ends in the unit: `stopSeconds`, `sentBytes`, `recoverySeconds`, `finishSeconds`…
    package var quantity: String
    package var predicted: Double?
    package var observed: Double
    package init(decision: DecisionID, at: Timestamp, quantity: String, predicted: Double?, observed: Double) {
        self.decision = decision
        self.at = at
        self.quantity = quantity
        self.predicted = predicted
        self.observed = observed
    }
}
