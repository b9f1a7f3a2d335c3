/// A situation, and what a policy must decide in it (`kind: PolicyTest`).
package struct PolicyTest: Hashable, Sendable {
    package var name: String
    /// Files, absolute or relative to the test's own.
    package var policyFile: String
    package var taskFile: String
    package var situation: Situation
    package var expected: Expected

    package init(name: String, policyFile: String, taskFile: String, situation: Situation, expected: Expected) {
        self.name = name
        self.policyFile = policyFile
        self.taskFile = taskFile
        self.situation = situation
        self.expected = expected
    }

    /// The task runs on a node whose failure rate is known.
    package struct Situation: Hashable, Sendable {
        /// Of the node.
        package var mtbfSeconds: Seconds
        /// Since the task was submitted, and began to run.
        package var elapsedSeconds: Seconds
        /// 0 to 1.
        package var progress: Double
        /// Work since the newest checkpoint; nil: there is none.
        package var sinceCheckpointSeconds: Seconds?
        /// What checkpoints have cost; nil: nothing is known yet.
        package var costs: Costs?
        package init(mtbfSeconds: Seconds, elapsedSeconds: Seconds, progress: Double, sinceCheckpointSeconds: Seconds?, costs: Costs?) {
            self.mtbfSeconds = mtbfSeconds
            self.elapsedSeconds = elapsedSeconds
            self.progress = progress
            self.sinceCheckpointSeconds = sinceCheckpointSeconds
            self.costs = costs
        }
    }

    package struct Costs: Hashable, Sendable {
        package var stopSeconds: Seconds
        package var latencySeconds: Seconds
        /// With zstd.
        package var sentBytes: ByteCount
        package init(stopSeconds: Seconds, latencySeconds: Seconds, sentBytes: ByteCount) {
            self.stopSeconds = stopSeconds
            self.latencySeconds = latencySeconds
            self.sentBytes = sentBytes
        }
    }

    /// What is not given may be anything.
    package struct Expected: Hashable, Sendable {
        package enum Interval: Hashable, Sendable {
            case never
            case within(ClosedRange<Seconds>)
        }
        package var interval: Interval?
        package var codecs: [Codec]?
        /// Whether a checkpoint is taken now.
        package var isNow: Bool?
        package var replication: Int?
        package var mode: CheckpointPolicy.Mode?
        /// Names of the rules that apply, in their order.
        package var rules: [String]?
        package init(
            interval: Interval? = nil, codecs: [Codec]? = nil, isNow: Bool? = nil, replication: Int? = nil, mode: CheckpointPolicy.Mode? = nil,
            rules: [String]? = nil
        ) {
            self.interval = interval
            self.codecs = codecs
            self.isNow = isNow
            self.replication = replication
            self.mode = mode
            self.rules = rules
        }
    }
}
