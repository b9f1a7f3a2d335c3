#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How probable a late finish is at most: far cheaper than the distribution of the finish, and enough where a deadline is far away.
///
/// Chernoff's bound: P(T > t) ≤ e^{−θt}·E[e^{θT}] for any θ > 0. The generating function of a segment's time is known: it passes
/// with p = e^{−λs}, and each failed try multiplies by that of its loss (an exponential cut off at s) and of the recovery after it, so that
///
///     E[e^{θ(T − s)}] = p/(1 − (1 − p)·M(θ)),    (1 − p)·M(θ) = λs·A((θ − λ)s) · e^{(θ − λ)R}/(1 − λR·A((θ − λ)R)),    A(x) = (eˣ − 1)/x
///
/// as long as both denominators are above zero. Source: H. Chernoff, Ann. Math. Statist. 23 (1952) 493.
package enum TailBound {
    /// - Returns: ln of a bound on P(T > seconds), at most 0.
    package static func logProbability(_ runs: [SegmentRun], beyond seconds: Double) -> Double {
        var minimum = 0.0
        var failures = 0.0
        var loss = 0.0
        for run in runs where run.count > 0 {
            minimum += run.count * run.segment.lengthSeconds
            failures += run.count * run.segment.expectedFailedTries
            loss = max(loss, run.segment.lengthSeconds + run.segment.recoverySeconds)
        }
        let slack = seconds - minimum
        guard slack > 0 else { return 0 }
        guard failures > 0 else { return -.infinity }
        // The best θ if failures were rare and each cost the most that one can.
        var theta = log(slack / loss / failures) / loss
        for _ in 0..<4 where theta > 0 {
            let bound = runs.reduce(-theta * slack) { $0 + ($1.count > 0 ? $1.count * logGenerating($1.segment, theta) : 0) }
            if bound < 0 { return bound }
            theta /= 2
        }
        return 0
    }

    /// ln E[e^{θ(T − s)}]; infinity where it does not exist.
    private static func logGenerating(_ segment: Segment, _ theta: Double) -> Double {
        let rate = segment.failureRatePerSecond
        let (length, recovery) = (segment.lengthSeconds, segment.recoverySeconds)
        let again = 1 - rate * recovery * Cumulants.anewMean((theta - rate) * recovery)
        guard again > 0 else { return .infinity }
        let passed = 1 - rate * length * Cumulants.anewMean((theta - rate) * length) * exp((theta - rate) * recovery) / again
        return passed > 0 ? -rate * length - log(passed) : .infinity
    }
}
