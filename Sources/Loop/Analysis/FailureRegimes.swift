import PlanningModel
import Vocabulary

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Failures come in bursts: a node that failed is likely to fail again soon, which one rate for all time cannot say. So a node is in
/// one of two regimes, and its last hour tells in which: as its kind is, or failing, with an MTBF of the order of ten minutes.
///
/// Each regime's rate is gamma distributed; the weight of each follows from how likely the last hour is under it,
/// Γ(a + k)/Γ(a) · bᵃ/(b + T)ᵃ⁺ᵏ for k failures in the time T (the factor that both share left out).
/// Source: Gelman et al., Bayesian Data Analysis, 3rd edition, 2.6 (the gamma-Poisson model) and 22 (mixtures). That failures cluster:
/// Schroeder & Gibson, "A large-scale study of failures in high-performance computing systems", DSN 2006.
enum FailureRegimes {
    static let window = Seconds.hours(1)
    /// How likely a node of which nothing is known yet is to be failing. A kind that is well known is doubted less, and so is one that has been watched
    /// for long: that share of all hours is as good as a day's watching, and each hour that passes counts against it.
    private static let doubt = 0.005
    private static let doubtSeconds = 86_400.0
    /// A failing node, before anything is seen of it: one failure in ten minutes, worth one failure.
    private static let failingShape = 1.0
    private static let failingSeconds = 600.0

    /// - Parameter kindInterval: the 90 % credible interval of `kind`, which is the same for many nodes.
    static func rate(
        kind: FailureRate, kindInterval: (lowPerSecond: Double, highPerSecond: Double), recentFailures: Int, recentExposure: Seconds
    ) -> RateEstimate {
        let count = Double(recentFailures)
        let time = recentExposure.rawValue
        // The kind's opinion without the hour that is asked about: as it was given, or what was seen before where none was.
        let before = kind.priorFailures > 0 ? 0 : max(0.5, Double(kind.failures) - count)
        let usual = likelihood(
            shape: kind.priorFailures + before,
            seconds: kind.priorExposureSeconds + (kind.priorFailures > 0 ? 0 : max(0, kind.exposureSeconds - time)), count, time)
        let failing = likelihood(shape: failingShape, seconds: failingSeconds, count, time)
        let doubt = doubt / max(1, kind.priorFailures) * doubtSeconds / (doubtSeconds + kind.exposureSeconds)
        let weight = 1 / (1 + (1 - doubt) / doubt * exp(usual - failing))
        var burst = FailureRate(expectedMTBFSeconds: failingSeconds, pseudoFailures: failingShape)
        burst.observe(failures: recentFailures, exposureSeconds: time)

        let mean = weight * burst.meanPerSecond + (1 - weight) * kind.meanPerSecond
        func square(_ rate: FailureRate) -> Double {
            rate.standardErrorPerSecond * rate.standardErrorPerSecond + rate.meanPerSecond * rate.meanPerSecond
        }
        let variance = weight * square(burst) + (1 - weight) * square(kind) - mean * mean
        // The interval spans both regimes as long as neither has nine tenths of the weight for itself.
        let low = weight > 0.9 ? burst.credibleInterval(0.9).lowPerSecond : kindInterval.lowPerSecond
        let high = weight < 0.1 ? kindInterval.highPerSecond : burst.credibleInterval(0.9).highPerSecond
        return RateEstimate(
            perSecond: mean, standardError: max(0, variance).squareRoot(), lowPerSecond: min(low, mean), highPerSecond: max(high, mean),
            failures: kind.failures, exposureSeconds: Seconds(kind.exposureSeconds))
    }

    /// Logarithm of the likelihood.
    private static func likelihood(shape: Double, seconds: Double, _ count: Double, _ time: Double) -> Double {
        lgamma(shape + count) - lgamma(shape) + shape * log(seconds) - (shape + count) * log(seconds + time)
    }
}
