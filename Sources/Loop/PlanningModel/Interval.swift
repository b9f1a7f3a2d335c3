#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The useful work between two checkpoints, in closed form, from what a checkpoint costs and how often the node fails.
///
/// `stopSeconds` is all that a checkpoint costs the task: stop time plus interference (C + I), plus anything else
/// that has been brought to seconds. A failure rate of 0 gives infinity: never.
package enum Interval {
    /// τ = √(2·C·M), seconds.
    ///
    /// Source: J. W. Young, "A first order approximation to the optimum checkpoint interval", CACM 17(9), 1974.
    package static func young(stopSeconds: Double, failureRatePerSecond: Double) -> Double {
        if failureRatePerSecond <= 0 { return .infinity }
        return (2 * stopSeconds / failureRatePerSecond).squareRoot()
    }

    /// τ = √(2CM)·[1 + ⅓√(C/2M) + ⅑(C/2M)] − C where C < 2M, else M; seconds.
    ///
    /// Source: J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", FGCS 22(3),
    /// 2006, equation 37.
    package static func daly(stopSeconds: Double, failureRatePerSecond: Double) -> Double {
        if failureRatePerSecond <= 0 { return .infinity }
        let mtbf = 1 / failureRatePerSecond
        if stopSeconds >= 2 * mtbf { return mtbf }
        let half = stopSeconds / (2 * mtbf)
        return (2 * stopSeconds * mtbf).squareRoot() * (1 + half.squareRoot() / 3 + half / 9) - stopSeconds
    }

    /// τ = M·[1 + W₀(−e^{−(1+C/M)})], the optimum for exponential failures and unending work; seconds.
    ///
    /// Source: M. Bougeret et al., "Checkpointing strategies for parallel jobs", SC'11, theorem 1.
    package static func exact(stopSeconds: Double, failureRatePerSecond: Double) -> Double {
        if failureRatePerSecond <= 0 { return .infinity }
        return LambertW.onePlusPrincipalOfBranch(stopSeconds * failureRatePerSecond) / failureRatePerSecond
    }

    /// Number of equal segments in which finite work is cheapest: 1 means that no checkpoint is taken at all.
    ///
    /// Whichever of ⌊W/τ*⌋ (at least 1) and ⌈W/τ*⌉ has the lower expected time; the fewer where they are equal. The last
    /// segment ends with the task, not with a checkpoint, so K segments hold K − 1 checkpoints; recovery is a factor
    /// common to all and does not matter here.
    package static func segments(workSeconds: Double, stopSeconds: Double, failureRatePerSecond: Double) -> Int {
        let best = exact(stopSeconds: stopSeconds, failureRatePerSecond: failureRatePerSecond)
        if !(workSeconds > best) { return 1 }
        // A checkpoint that costs nothing would be taken without end; a billion is as good.
        let ideal = min(workSeconds / best, 1e9)
        let few = Int(ideal.rounded(.down))
        let many = Int(ideal.rounded(.up))
        func cost(_ count: Int) -> Double {
            let useful = failureRatePerSecond * workSeconds / Double(count)
            return Double(count - 1) * expm1(useful + failureRatePerSecond * stopSeconds) + expm1(useful)
        }
        return cost(many) < cost(few) ? many : few
    }
}

/// What a policy allows an interval to be, seconds.
package struct IntervalBounds: Hashable, Sendable {
    package var floorSeconds: Double
    package var ceilingSeconds: Double
    /// - Precondition: 0 ≤ floor ≤ ceiling.
    package init(floorSeconds: Double = 0, ceilingSeconds: Double = .infinity) {
        precondition(floorSeconds >= 0 && floorSeconds <= ceilingSeconds, "an interval's floor is negative or above its ceiling")
        self.floorSeconds = floorSeconds
        self.ceilingSeconds = ceilingSeconds
    }
}

/// The strategies that know no prices: each gives an interval from the task's and the node's numbers alone.
package enum IntervalRule: Hashable, Sendable {
    case young, daly, exact
    case fixed(seconds: Double)
    case never

    /// The interval that the rule asks for, brought between floor and ceiling.
    ///
    /// A rule whose interval reaches beyond the end of the task takes no checkpoint, unless the ceiling demands one.
    /// `never` means never, whatever the ceiling.
    /// - Parameters:
    ///   - workSeconds: work left from now on.
    ///   - unsavedSeconds: work done since the last checkpoint (or the start).
    ///   - stopSeconds: what one checkpoint costs the task, C + I.
    package func choose(
        workSeconds: Double, unsavedSeconds: Double = 0, stopSeconds: Double, failureRatePerSecond: Double, bounds: IntervalBounds
    ) -> IntervalChoice {
        let whole = workSeconds + unsavedSeconds
        let asked: Double
        switch self {
        case .never: return IntervalChoice(intervalSeconds: nil, dueSeconds: nil, unboundedSeconds: nil, binding: nil)
        case .young: asked = Interval.young(stopSeconds: stopSeconds, failureRatePerSecond: failureRatePerSecond)
        case .daly: asked = Interval.daly(stopSeconds: stopSeconds, failureRatePerSecond: failureRatePerSecond)
        case .fixed(let seconds): asked = seconds
        case .exact:
            let count = Interval.segments(workSeconds: whole, stopSeconds: stopSeconds, failureRatePerSecond: failureRatePerSecond)
            asked = count == 1 ? .infinity : whole / Double(count)
        }
        let allowed = min(max(asked, bounds.floorSeconds), bounds.ceilingSeconds)
        let wanted = asked < whole ? asked : nil
        guard allowed < whole else {
            return IntervalChoice(intervalSeconds: nil, dueSeconds: nil, unboundedSeconds: wanted, binding: wanted == nil ? nil : "floor")
        }
        return IntervalChoice(
            intervalSeconds: allowed, dueSeconds: max(0, allowed - unsavedSeconds), unboundedSeconds: wanted,
            binding: allowed > asked ? "floor" : allowed < asked ? "ceiling" : nil)
    }
}

/// What a rule asked for and what it got.
package struct IntervalChoice: Hashable, Sendable {
    /// Useful work between two checkpoints; nil: no checkpoint is taken.
    package var intervalSeconds: Double?
    /// Useful work from now until the next one, 0 for now; nil: none.
    package var dueSeconds: Double?
    /// What it would have been without floor and ceiling; nil: none would have been taken.
    package var unboundedSeconds: Double?
    /// "floor" or "ceiling", when that changed it.
    package var binding: String?
}
