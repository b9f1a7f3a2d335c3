#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// One way to take checkpoints (a codec, a replication factor) and what each would cost.
package struct CheckpointOption: Hashable, Sendable {
    /// Names it in what is recorded.
    package var name: String
    /// C: the guest stands still, seconds.
    package var stopSeconds: Double
    /// I: guest time lost while compression and upload run behind it, seconds.
    package var interferenceSeconds: Double
    /// L: from the pause until the checkpoint is durable, seconds; counted as C + I where it is given as less.
    package var latencySeconds: Double
    /// R: from a failure until the task runs again elsewhere, detection included, seconds.
    package var recoverySeconds: Double
    /// B: sent for one checkpoint after compression, before replication, bytes.
    package var sentBytes: Double
    /// Kept in the store for one checkpoint, before replication, bytes.
    package var storedBytes: Double
    /// Fetched from the store for one recovery, bytes.
    package var fetchedBytes: Double
    /// r: copies that the store makes; all of them travel.
    package var replication: Double

    package init(
        name: String, stopSeconds: Double, interferenceSeconds: Double = 0, latencySeconds: Double = 0, recoverySeconds: Double = 0,
        sentBytes: Double = 0, storedBytes: Double = 0, fetchedBytes: Double = 0, replication: Double = 1
    ) {
        self.name = name
        self.stopSeconds = max(0, stopSeconds)
        self.interferenceSeconds = max(0, interferenceSeconds)
        self.latencySeconds = max(0, latencySeconds)
        self.recoverySeconds = max(0, recoverySeconds)
        self.sentBytes = max(0, sentBytes)
        self.storedBytes = max(0, storedBytes)
        self.fetchedBytes = max(0, fetchedBytes)
        self.replication = max(0, replication)
    }

    /// C + I: what a checkpoint costs the task, seconds.
    package var costSeconds: Double { stopSeconds + interferenceSeconds }
    /// d = max(0, L − C − I): work done between a checkpoint and its becoming durable, seconds. A failure after that has to do it again.
    package var exposureSeconds: Double { max(0, latencySeconds - costSeconds) }
}

/// What remains to be done, and where.
package struct Outlook: Hashable, Sendable {
    /// W: time that the task would still need undisturbed, seconds.
    package var workSeconds: Double
    /// Work done since the last checkpoint (or the start), which a failure now would lose, seconds. While an upload
    /// is on its way: work since that capture, as its completion is what the plan goes on from.
    package var unsavedSeconds: Double
    /// λ of the node it runs on, 1/s.
    package var failureRatePerSecond: Double
    /// Checkpoints in the store now, and how many are kept at most.
    package var keptCheckpoints: Int
    package var keepLast: Int

    package init(workSeconds: Double, unsavedSeconds: Double = 0, failureRatePerSecond: Double, keptCheckpoints: Int = 0, keepLast: Int = 3) {
        self.workSeconds = max(0, workSeconds)
        self.unsavedSeconds = max(0, unsavedSeconds)
        self.failureRatePerSecond = max(0, failureRatePerSecond)
        self.keptCheckpoints = max(0, keptCheckpoints)
        self.keepLast = max(1, keepLast)
    }

    /// Work since the last checkpoint and all that is left: what the segments divide, seconds.
    package var wholeSeconds: Double { workSeconds + unsavedSeconds }
}

/// An interval, carried out from now to the end of the task.
///
///     now        capture    durable            capture    durable           end
///      |--- x₁ ---|-C-|-I+d-|                   |-C-|-I+d-|                  |
///      unsaved before it     |<------ τ + C + I ----------->|<- last − d ---->|
///
/// Segments run from durable to durable, since a failure falls back to the last checkpoint that is durable: the first
/// lasts x₁ + C + I + d and has the unsaved work to do again after a failure; each further one lasts τ + C + I and has d
/// to do again, the work done between its capture and its becoming durable (Vaidya's latency); the last
/// runs to the end of the task, which needs no checkpoint.
///
/// A checkpoint that would become durable only after the end is not taken.
package struct CheckpointPlan: Hashable, Sendable {
    /// τ, useful work between two checkpoints, seconds; nil: none is taken.
    package let intervalSeconds: Double?
    /// x₁, useful work from now until the next checkpoint, seconds; 0: now; nil: none.
    package let dueSeconds: Double?
    /// How many are taken if nothing fails; a fraction in the search's relaxed form alone.
    package let checkpoints: Double
    package let first: SegmentRun
    package let middle: SegmentRun
    package let last: SegmentRun
    /// Most work (and time) that one failure can cost under this plan: τ + L, or what is unsaved at the worst moment, seconds.
    package let largestLossSeconds: Double
    /// C/(τ + C), share of running time that the guest stands still; 0 without checkpoints.
    package let stoppedShare: Double
    /// From now to the end, failures and recoveries included, seconds.
    package let expectedSeconds: Double

    /// - Parameter intervalSeconds: τ, ≥ 0; nil for never.
    package init(outlook: Outlook, option: CheckpointOption, intervalSeconds: Double?) {
        guard let interval = intervalSeconds, interval < outlook.wholeSeconds, outlook.workSeconds > 0 else {
            self.init(never: outlook, option: option)
            return
        }
        let due = max(0, interval - outlook.unsavedSeconds)
        let rest = outlook.workSeconds - due
        var taken = max(1, (rest / max(interval, 1e-9) - 1e-9).rounded(.up))
        var last = rest - (taken - 1) * interval
        if last <= option.exposureSeconds {
            taken -= 1
            last += interval
        }
        if taken < 1 {
            self.init(never: outlook, option: option)
        } else {
            self.init(outlook: outlook, option: option, interval: interval, due: due, taken: taken, last: last)
        }
    }

    /// The plan with a real number of equal segments: what the search minimises before it settles on a whole number.
    init(relaxed outlook: Outlook, option: CheckpointOption, intervalSeconds interval: Double) {
        let due = max(0, interval - outlook.unsavedSeconds)
        let taken = max(1, (outlook.workSeconds - due) / interval)
        self.init(outlook: outlook, option: option, interval: interval, due: due, taken: taken, last: interval)
    }

    private init(never outlook: Outlook, option: CheckpointOption) {
        let rate = outlook.failureRatePerSecond
        intervalSeconds = nil
        dueSeconds = nil
        checkpoints = 0
        first = SegmentRun(
            Segment(lengthSeconds: outlook.workSeconds, recoverySeconds: option.recoverySeconds + outlook.unsavedSeconds, failureRatePerSecond: rate))
        middle = SegmentRun(Segment(lengthSeconds: 0, recoverySeconds: 0, failureRatePerSecond: rate), count: 0)
        last = middle
        largestLossSeconds = outlook.wholeSeconds
        stoppedShare = 0
        expectedSeconds = Self.expectedSeconds(first, middle, last)
    }

    private init(outlook: Outlook, option: CheckpointOption, interval: Double, due: Double, taken: Double, last lastWork: Double) {
        let rate = outlook.failureRatePerSecond
        let cost = option.costSeconds
        let exposure = option.exposureSeconds
        intervalSeconds = interval
        dueSeconds = due
        checkpoints = taken
        first = SegmentRun(
            Segment(
                lengthSeconds: due + cost + exposure, recoverySeconds: option.recoverySeconds + outlook.unsavedSeconds, failureRatePerSecond: rate))
        middle = SegmentRun(
            Segment(lengthSeconds: interval + cost, recoverySeconds: option.recoverySeconds + exposure, failureRatePerSecond: rate), count: taken - 1)
        last = SegmentRun(
            Segment(lengthSeconds: lastWork - exposure, recoverySeconds: option.recoverySeconds + exposure, failureRatePerSecond: rate))
        let between = max(due + outlook.unsavedSeconds, taken > 1 ? interval : 0)
        largestLossSeconds = max(between + cost + exposure, lastWork)
        stoppedShare = option.stopSeconds == 0 ? 0 : option.stopSeconds / (interval + option.stopSeconds)
        expectedSeconds = Self.expectedSeconds(first, middle, last)
    }

    private static func expectedSeconds(_ first: SegmentRun, _ middle: SegmentRun, _ last: SegmentRun) -> Double {
        first.segment.expectedSeconds + middle.count * middle.segment.expectedSeconds + last.count * last.segment.expectedSeconds
    }

    package var varianceSquareSeconds: Double {
        first.segment.varianceSquareSeconds + middle.count * middle.segment.varianceSquareSeconds + last.count * last.segment.varianceSquareSeconds
    }

    /// From now to the end if nothing fails, seconds.
    package var undisturbedSeconds: Double {
        first.segment.lengthSeconds + middle.count * middle.segment.lengthSeconds + last.count * last.segment.lengthSeconds
    }

    /// Whether it will have ended by then as surely as can be told in a `Double`: P(later) < 1e-20.
    func isSure(by seconds: Double) -> Bool { TailBound.logProbability([first, middle, last], beyond: seconds) < -46 }

    /// The time from now to the end.
    package var finish: FinishTimeDistribution { FinishTimeDistribution([first, middle, last]) }

    /// The same, cheaper and rougher, for the search.
    var roughFinish: FinishTimeDistribution { FinishTimeDistribution(roughly: [first, middle, last]) }
}
