/// What Analysis makes of what is known.

package struct Findings: Hashable, Sendable, Codable {
    package var at: Timestamp
    package var nodes: [NodeFinding]
    package var tasks: [TaskFinding]
    package init(at: Timestamp, nodes: [NodeFinding], tasks: [TaskFinding]) {
        self.at = at
        self.nodes = nodes
        self.tasks = tasks
    }
}

package struct NodeFinding: Hashable, Sendable, Codable {
    package enum Standing: String, Hashable, Sendable, Codable { case unknown, trusted, suspected, lost }
    package var node: NodeID
    package var standing: Standing
    /// Suspicion by phi accrual: −log10 of the probability that a live node would be silent this long.
    package var phi: Double
    package var silentSeconds: Seconds
    package var failureRate: RateEstimate
    package init(node: NodeID, standing: Standing, phi: Double, silentSeconds: Seconds, failureRate: RateEstimate) {
        self.node = node
        self.standing = standing
        self.phi = phi
        self.silentSeconds = silentSeconds
        self.failureRate = failureRate
    }
}

/// A failure rate, in failures a second, with its 90 % credible interval.
package struct RateEstimate: Hashable, Sendable, Codable {
    package var perSecond: Double
    package var standardError: Double
    package var lowPerSecond: Double
    package var highPerSecond: Double
    package var failures: Int
    package var exposureSeconds: Seconds
    /// Where the failures of the class speak for a rate that changes with a node's age.
    package var hazard: Hazard?
    package init(
        perSecond: Double, standardError: Double, lowPerSecond: Double, highPerSecond: Double, failures: Int, exposureSeconds: Seconds,
        hazard: Hazard? = nil
    ) {
        self.perSecond = perSecond
        self.standardError = standardError
        self.lowPerSecond = lowPerSecond
        self.highPerSecond = highPerSecond
        self.failures = failures
        self.exposureSeconds = exposureSeconds
        self.hazard = hazard
    }
    package var mtbfSeconds: Seconds { Seconds(1 / perSecond) }

    /// A Weibull distribution of lives, and what was asked of it.
    package struct Hazard: Hashable, Sendable, Codable {
        /// Below 1 a node fails most often just after it has started.
        package var shape: Double
        package var shapeStandardError: Double
        package var scaleSeconds: Seconds
        /// How probable it is that this describes the class, and not one rate for all ages.
        package var probability: Probability
        /// How long the node has lived, and the time to come that the rate is the mean of.
        package var ageSeconds: Seconds
        package var overSeconds: Seconds
        package init(
            shape: Double, shapeStandardError: Double, scaleSeconds: Seconds, probability: Probability, ageSeconds: Seconds, overSeconds: Seconds
        ) {
            self.shape = shape
            self.shapeStandardError = shapeStandardError
            self.scaleSeconds = scaleSeconds
            self.probability = probability
            self.ageSeconds = ageSeconds
            self.overSeconds = overSeconds
        }
    }
}

/// Predicted costs of the next checkpoint of a task with one codec.
package struct CheckpointCosts: Hashable, Sendable, Codable {
    package var codec: Codec
    package var stopSeconds: Estimate
    package var interferenceSeconds: Estimate
    package var latencySeconds: Estimate
    package var recoverySeconds: Estimate
    /// Sent over the network for one copy.
    package var sentBytes: Estimate
    /// Memory's share of a checkpoint's bytes, 0 to 1; the rest is delta.
    package var memoryShare: Double
    /// Time to compress alone, and to upload alone what this codec leaves.
    package var compressSeconds: Estimate
    package var uploadSeconds: Estimate
    package init(
        codec: Codec, stopSeconds: Estimate, interferenceSeconds: Estimate, latencySeconds: Estimate, recoverySeconds: Estimate,
        sentBytes: Estimate, memoryShare: Double = 0.9, compressSeconds: Estimate, uploadSeconds: Estimate
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

/// What merging layers is predicted to do.
package struct MergeCosts: Hashable, Sendable, Codable {
    /// Merged over unmerged size, 0 to 1.
    package var shrink: Estimate
    package var secondsPerMebibyte: Estimate
    /// Nothing is known: a fifth of what is merged is hidden by later layers, 5 ms a MiB (measured: 45 to 60 ms for 10 MiB under emulation).
    package init(
        shrink: Estimate = Estimate(mean: 0.8, standardError: 0.2, observations: 0),
        secondsPerMebibyte: Estimate = Estimate(mean: 0.005, standardError: 0.005, observations: 0)
    ) {
        self.shrink = shrink
        self.secondsPerMebibyte = secondsPerMebibyte
    }
}

package struct TaskFinding: Hashable, Sendable, Codable {
    package var task: TaskID
    package var node: NodeID?
    package var epoch: Epoch
    /// Share of work done, 0 to 1, extrapolated to now from the last sample.
    package var progress: Double
    /// Seconds of work done for each second that passes, relative to the declared speed.
    package var speed: Estimate
    /// Time the task would still need, undisturbed, on this node.
    package var workLeftSeconds: Estimate
    /// Work since the last committed checkpoint (or the start): what a failure now would lose.
    package var exposedSeconds: Seconds
    /// Work since the last capture, committed or not.
    package var sinceCaptureSeconds: Seconds
    /// One entry a codec.
    package var costs: [CheckpointCosts]
    /// Of its node over the interval to come, and its own.
    package var failureRate: RateEstimate
    /// Failures of the task itself alone; nil: there were none.
    package var ownFailureRate: RateEstimate?
    /// How long its progress has stood still, where that is long for this task; nil: it moves, or nothing tells.
    package var stalledSeconds: Seconds?
    package var merging: MergeCosts
    /// Expected finish if the plan in force goes on.
    package var forecast: FinishForecast?
    package var timeToDeadlineSeconds: Seconds?
    /// Its node still shows a guest of this epoch.
    package var isObservedRunning: Bool
    package init(
        task: TaskID, node: NodeID?, epoch: Epoch, progress: Double, speed: Estimate, workLeftSeconds: Estimate, exposedSeconds: Seconds,
        sinceCaptureSeconds: Seconds, costs: [CheckpointCosts], failureRate: RateEstimate, ownFailureRate: RateEstimate? = nil,
        stalledSeconds: Seconds? = nil, merging: MergeCosts = MergeCosts(), forecast: FinishForecast?, timeToDeadlineSeconds: Seconds?,
        isObservedRunning: Bool
    ) {
        self.task = task
        self.node = node
        self.epoch = epoch
        self.progress = progress
        self.speed = speed
        self.workLeftSeconds = workLeftSeconds
        self.exposedSeconds = exposedSeconds
        self.sinceCaptureSeconds = sinceCaptureSeconds
        self.costs = costs
        self.failureRate = failureRate
        self.ownFailureRate = ownFailureRate
        self.stalledSeconds = stalledSeconds
        self.merging = merging
        self.forecast = forecast
        self.timeToDeadlineSeconds = timeToDeadlineSeconds
        self.isObservedRunning = isObservedRunning
    }
}

/// The distribution of the time a task still needs.
package struct FinishForecast: Hashable, Sendable, Codable {
    package var expectedFinish: Timestamp
    package var standardDeviationSeconds: Seconds
    package var medianFinish: Timestamp
    package var p90Finish: Timestamp
    package var p99Finish: Timestamp
    package var p10Finish: Timestamp?
    /// nil without a deadline.
    package var probabilityMet: Probability?
    /// Penalty that is owed on average; nil without a deadline or a penalty.
    package var expectedPenalty: Money?
    package init(
        expectedFinish: Timestamp, standardDeviationSeconds: Seconds, medianFinish: Timestamp, p90Finish: Timestamp, p99Finish: Timestamp,
        p10Finish: Timestamp? = nil, probabilityMet: Probability?, expectedPenalty: Money? = nil
    ) {
        self.expectedFinish = expectedFinish
        self.standardDeviationSeconds = standardDeviationSeconds
        self.medianFinish = medianFinish
        self.p90Finish = p90Finish
        self.p99Finish = p99Finish
        self.p10Finish = p10Finish
        self.probabilityMet = probabilityMet
        self.expectedPenalty = expectedPenalty
    }
}
