import Ports
import Vocabulary

/// What was promised, what happened and what it cost, computed from the ledger's content alone. The JSON contract is in docs/json.md.
package struct Report: Hashable, Sendable, Codable {
    package static let schema = "cairn.report/v1"
    package var schema = Report.schema
    package var generatedAt: Moment
    /// First and last event; nil when there are none.
    package var from: Moment?
    package var to: Moment?
    /// What it is restricted to; nil: from the beginning until it was made.
    package var period: ReportPeriod?
    /// The head of the ledger that it was made from; nil: the ledger has no chain.
    package var proof: LedgerProof?
    package var eventCount: Int
    package var decisionCount: Int
    /// Broken if any task's is, else not observed if any task's is; not observed without tasks.
    package var verdict: Standing
    package var totals: Totals
    package var tasks: [TaskReport]
    /// Decisions about no single task: nodes declared lost.
    package var decisions: [DecisionReport]
    package var nodes: [ReportedNode]
    package var policies: [PolicyReport]
    /// How good the forecasts of all decisions that it tells about were.
    package var calibration: Calibration
    /// Trouble with the store, fences and declarations.
    package var incidents: [Incident]
}

/// How a promise stands. Nothing is claimed that was not observed.
package enum Standing: String, Hashable, Sendable, Codable, CaseIterable {
    case kept
    case broken
    /// It was not put to the test, or its time has not come.
    case notObserved

    package var words: String {
        switch self {
        case .kept: "kept"
        case .broken: "broken"
        case .notObserved: "not observed"
        }
    }

}

package struct TaskReport: Hashable, Sendable, Codable {
    package var task: TaskID
    /// `finished`, `running`… as `cairn task list` shows it.
    package var state: String
    package var verdict: Standing
    /// The verdict in a sentence.
    package var sentence: String
    package var promised: Promised
    package var happened: Happened
    package var promises: [Promise]
    package var cost: TaskCost
    package var lives: [Life]
    package var failures: [Interruption]
    package var checkpoints: [CheckpointReport]
    package var predictions: [PredictionReport]
    package var decisions: [DecisionReport]
    /// Progress over time, thinned to at most a few hundred points.
    package var timeline: [ProgressPoint]
}

package struct Promised: Hashable, Sendable, Codable {
    package var name: String
    package var sla: DocumentVersion
    package var policy: String
    /// A preference's name, or `its own prices`.
    package var preference: String
    package var prices: Prices?
    package var currency: String?
    package var workSeconds: Seconds
    package var deadline: Moment?
    package var deadlineConfidence: Probability?
    package var lostWorkSeconds: Seconds?
    package var recoverySeconds: Seconds?
    package var stoppedShare: Double?
    package var penaltyAmount: Double?
    package var penaltyPerSeconds: Seconds?
    package var penaltyCap: Double?
    package var penaltyCurrency: String?
}

package struct Happened: Hashable, Sendable, Codable {
    package var submittedAt: Moment
    package var startedAt: Moment?
    package var endedAt: Moment?
    /// The digest that the guest printed; only of a finished task.
    package var result: String?
    /// Why it was given up, or by whom it was cancelled.
    package var reason: String?
    package var node: NodeID?
    package var epoch: Epoch
    /// Highest share of work that was seen, 0 to 1.
    package var progress: Double
    /// From submission to the end, or until the report was made.
    package var elapsedSeconds: Seconds
    /// Finish against the deadline, negative when early; nil without a deadline, or while it is not finished and not yet late.
    package var latenessSeconds: Seconds?
    package var penaltyOwed: Double?
    /// False while the penalty still grows.
    package var penaltyIsFinal: Bool?
}

/// One promise of the SLA beside what was observed.
package struct Promise: Hashable, Sendable, Codable {
    package enum Name: String, Hashable, Sendable, Codable, CaseIterable { case deadline, lostWork, recovery, stoppedShare }
    package enum Unit: String, Hashable, Sendable, Codable { case seconds, share }
    package var name: Name
    package var unit: Unit
    /// For the deadline: seconds from submission.
    package var limit: Double
    /// The worst that was seen; nil: nothing was.
    package var observed: Double?
    package var standing: Standing
    package var sentence: String
    /// The decision that had recorded that the limit could not be kept.
    package var foretoldBy: DecisionID?
}

package struct TaskCost: Hashable, Sendable, Codable {
    package var committedCheckpoints: Int
    package var failedCheckpoints: Int
    /// Time that the guest ran, in all of its lives.
    package var runningSeconds: Seconds
    /// Time that it stood still for checkpoints, also for those that were never committed.
    package var stopSeconds: Seconds
    package var stoppedShare: Double?
    package var longestStopSeconds: Seconds?
    package var uploadSeconds: Seconds
    package var compressSeconds: Seconds
    package var latencySeconds: Seconds
    /// After compression, before replication.
    package var sentBytes: ByteCount
    /// As the store was asked to keep it: sent bytes times copies.
    package var storedBytes: ByteCount
    package var fetchedBytes: ByteCount
    package var lostWorkSeconds: Seconds
    /// From failures until the task ran again.
    package var downSeconds: Seconds
    /// What was kept in the store, over time: from a checkpoint's commit until it was pruned, or until now.
    package var storedGiBHours: Double
    /// At the prices that the owner prefers: of the time since submission, of all that was sent and fetched, of what was kept. nil: the
    /// prices are not known.
    package var currency: String?
    package var timeCost: Double?
    package var networkCost: Double?
    package var storageCost: Double?
    /// What came to be owed, in the SLA's own currency; nil: it has no penalty.
    package var penaltyOwed: Double?
    package var penaltyCurrency: String?
}

/// From when to when a report tells.
package struct ReportPeriod: Hashable, Sendable, Codable {
    package var since: Moment?
    package var until: Moment?
    package init(since: Moment?, until: Moment?) {
        self.since = since
        self.until = until
    }
}

/// One epoch of a task: on which node, from what, and how it ended.
package struct Life: Hashable, Sendable, Codable {
    package enum End: String, Hashable, Sendable, Codable {
        case finished, nodeLost, guestFailed, restoreAsked, superseded, cancelled, givenUp, running
    }
    package var epoch: Epoch
    package var node: NodeID
    package var from: CheckpointID?
    package var startedAt: Moment?
    package var startProgress: Double
    package var endedAt: Moment?
    package var end: End
    package var fetchSeconds: Seconds?
    package var restoreSeconds: Seconds?
    package var fetchedBytes: ByteCount?
    /// What the guest's base and delta are united by; nil: not told.
    package var union: MountedUnion?
}

/// An interruption of a task, what it cost, and how it went on.
package struct Interruption: Hashable, Sendable, Codable {
    package enum Cause: String, Hashable, Sendable, Codable {
        case nodeLost, guestFailed
        /// Somebody asked for it: no failure, and held against no limit.
        case restoreAsked
        /// Resumed elsewhere with no failure on record.
        case superseded
        package var words: String {
            switch self {
            case .nodeLost: "node lost"
            case .guestFailed: "guest failed"
            case .restoreAsked: "restore asked for"
            case .superseded: "resumed elsewhere"
            }
        }
        var counts: Bool { self == .nodeLost || self == .guestFailed }
    }
    package var cause: Cause
    package var reason: String?
    package var node: NodeID
    package var epoch: Epoch
    /// The last that was heard of it.
    package var at: Moment
    package var detectedAt: Moment
    /// The checkpoint to go on from; nil: from the beginning.
    package var checkpoint: CheckpointID?
    /// Time that the guest ran between that checkpoint's capture and the failure; nil: not known.
    package var lostWorkSeconds: Seconds?
    package var lostProgress: Double?
    package var lostWorkStanding: Standing
    package var resumedAt: Moment?
    package var resumedOn: NodeID?
    package var recoverySeconds: Seconds?
    package var recoveryStanding: Standing
    /// Limits that the decision in force had recorded as not to be kept, and its name.
    package var foretold: [String]
    package var foretoldBy: DecisionID?
}

package struct CheckpointReport: Hashable, Sendable, Codable {
    package enum Status: String, Hashable, Sendable, Codable {
        case committed
        /// Committed, and removed from the store since.
        case pruned
        case failed
        /// Its node was in an epoch that is over.
        case refused
        /// Not heard of again.
        case unfinished
    }
    package var checkpoint: CheckpointID
    package var status: Status
    package var epoch: Epoch
    package var node: NodeID?
    package var decision: DecisionID?
    package var startedAt: Moment?
    package var capturedAt: Moment?
    package var committedAt: Moment?
    package var progress: Double?
    package var way: CaptureWay?
    package var stopSeconds: Seconds?
    package var latencySeconds: Seconds?
    package var uploadSeconds: Seconds?
    package var compressSeconds: Seconds?
    package var memoryBytes: ByteCount?
    package var diskBytes: ByteCount?
    package var nonZeroBytes: ByteCount?
    package var sentBytes: ByteCount?
    package var codec: Codec?
    package var replication: Replication?
    /// Sent bytes times the copies of each.
    package var storedBytes: ByteCount?
    package var includedBase: Bool?
    /// Times that the task was resumed from it.
    package var resumptions: Int
    package var reason: String?
}

/// How good the predictions of one quantity were.
package struct PredictionReport: Hashable, Sendable, Codable {
    package var quantity: String
    package var count: Int
    package var meanPredicted: Double
    package var meanObserved: Double
    /// Observed less predicted.
    package var meanError: Double
    package var meanAbsoluteError: Double
    /// Median of observed over predicted; nil where nothing but zero was predicted.
    package var medianRatio: Double?
}

package struct ProgressPoint: Hashable, Sendable, Codable {
    package var at: Moment
    package var progress: Double
    package var epoch: Epoch
}

package struct ReportedNode: Hashable, Sendable, Codable {
    package var node: NodeID
    package var standing: NodeFinding.Standing
    package var hypervisor: String?
    package var failures: Int
    package var exposureSeconds: Seconds
    package var lostAt: [Moment]
    package var fencedAt: [Moment]
}

package struct PolicyReport: Hashable, Sendable, Codable {
    package var version: DocumentVersion
    package var loadedAt: Moment
    package var currency: String
    package var preferences: [String: Prices]
}

package struct Incident: Hashable, Sendable, Codable {
    package var at: Moment
    package var sentence: String
}
