/// All that the choice of an interval and a codec is made from: what was known, and what the policy and the SLA said. Kept with the decision, so that it can be
/// made again, to the last bit, and made otherwise: with another number in it, or under another policy.
package struct Situation: Hashable, Sendable, Codable {
    /// The policy's, with those rules applied that held.
    package var settings: CheckpointPolicy.Settings
    /// What a checkpoint is predicted to cost, with each codec there is; at least one.
    package var costs: [Costs]

    /// Time that the task would still need undisturbed, and work done since the checkpoint that a failure now would fall back to.
    package var workLeftSeconds: Double
    package var unsavedSeconds: Double
    package var failureRatePerSecond: Double
    package var keptCheckpoints: Int

    package var prices: Prices
    package var limits: Limits
    package var meetProbability: Probability?
    /// Negative when it has passed; nil without a deadline.
    package var timeToDeadlineSeconds: Seconds?
    /// What is owed for a second of lateness, and the most; nil where nothing is, or where there is no most.
    package var penaltyPerSecond: Double?
    package var penaltyCap: Double?
    /// P(deadline met) as it was forecast with the schedule that was in force: what rules of a policy ask for.
    package var forecastMet: Probability?

    /// Set by somebody over the policy and its rules.
    package var modeSet: CheckpointPolicy.Mode?
    /// Where a node is chosen: those that could take the task, in the fleet's order. `failureRatePerSecond` is of the node that it was on.
    package var nodes: [NodeOption]?
    /// Where checkpoints are pruned: how long ago each of those kept was captured, oldest first.
    package var checkpointAges: [Seconds]?

    /// A node that could take the task.
    package struct NodeOption: Hashable, Sendable, Codable {
        package var node: NodeID
        /// Other tasks that are there, or on their way.
        package var tasks: Int
        package var failureRatePerSecond: Double
        /// How long it has been up; nil in decisions that were recorded before this was.
        package var ageSeconds: Seconds?
        package init(node: NodeID, tasks: Int, failureRatePerSecond: Double, ageSeconds: Seconds?) {
            self.node = node
            self.tasks = tasks
            self.failureRatePerSecond = failureRatePerSecond
            self.ageSeconds = ageSeconds
        }
    }

    /// Of one checkpoint with one codec.
    package struct Costs: Hashable, Sendable, Codable {
        package var codec: Codec
        package var stopSeconds: Double
        package var interferenceSeconds: Double
        package var latencySeconds: Double
        package var recoverySeconds: Double
        /// For one copy.
        package var sentBytes: Double
        /// Memory's share of them, 0 to 1.
        package var memoryShare: Double
        /// Compression alone, and the upload alone of what it leaves.
        package var compressSeconds: Double
        package var uploadSeconds: Double
        package init(
            codec: Codec, stopSeconds: Double, interferenceSeconds: Double, latencySeconds: Double, recoverySeconds: Double, sentBytes: Double,
            memoryShare: Double, compressSeconds: Double, uploadSeconds: Double
        ) {
            self.codec = codec
            self.stopSeconds = stopSeconds
            self.interferenceSeconds = interferenceSeconds
            self.latencySeconds = latencySeconds
            self.recoverySeconds = recoverySeconds
            self.sentBytes = sentBytes
            self.memoryShare = memoryShare
            self.compressSeconds = compressSeconds
            self.uploadSeconds = uploadSeconds
        }
    }

    package init(
        settings: CheckpointPolicy.Settings, costs: [Costs], workLeftSeconds: Double, unsavedSeconds: Double, failureRatePerSecond: Double,
        keptCheckpoints: Int, prices: Prices, limits: Limits, meetProbability: Probability? = nil, timeToDeadlineSeconds: Seconds? = nil,
        penaltyPerSecond: Double? = nil, penaltyCap: Double? = nil, forecastMet: Probability? = nil
    ) {
        self.settings = settings
        self.costs = costs
        self.workLeftSeconds = workLeftSeconds
        self.unsavedSeconds = unsavedSeconds
        self.failureRatePerSecond = failureRatePerSecond
        self.keptCheckpoints = keptCheckpoints
        self.prices = prices
        self.limits = limits
        self.meetProbability = meetProbability
        self.timeToDeadlineSeconds = timeToDeadlineSeconds
        self.penaltyPerSecond = penaltyPerSecond
        self.penaltyCap = penaltyCap
        self.forecastMet = forecastMet
    }
}

/// The nearest value of one input, all others as they were, from which on a decision would have been another.
package struct Counterfactual: Hashable, Sendable, Codable {
    package enum Change: String, Hashable, Sendable, Codable {
        /// A checkpoint would have been due at once; or one that was would not have been.
        case checkpointNow
        case checkpointLater
        /// Checkpoints would have been planned where none were; or none where some were.
        case checkpoints
        case noCheckpoints
        /// Another codec.
        case codec
    }
    /// `mtbfSeconds`, `priceNetworkPerGiB`, `stopSeconds`…: as in a decision's inputs, the unit at its end.
    package var input: String
    package var actual: Double
    package var threshold: Double
    package var change: Change
    /// What would have been chosen there, as alternatives are named.
    package var instead: String
    package init(input: String, actual: Double, threshold: Double, change: Change, instead: String) {
        self.input = input
        self.actual = actual
        self.threshold = threshold
        self.change = change
        self.instead = instead
    }
}
