#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What is believed of a failure rate: a gamma distribution, conjugate to failures that come at a constant rate.
///
/// The prior is worth a number of failures seen in that many expected MTBFs; observation adds failures and time at
/// risk. Posterior: Gamma(a + failures, b + exposure). Source: Gelman et al., Bayesian Data Analysis, 3rd edition, 2.6.
package struct FailureRate: Hashable, Sendable {
    /// a of the prior: failures that it is worth.
    package let priorFailures: Double
    /// b of the prior: seconds in which they came.
    package let priorExposureSeconds: Double
    package private(set) var failures: Int = 0
    package private(set) var exposureSeconds: Double = 0

    /// - Parameters:
    ///   - expectedMTBFSeconds: what is thought of the node before anything is known of it, > 0.
    ///   - pseudoFailures: how sure one is of it, as the number of failures that the opinion is worth, > 0. 1 is a guess.
    package init(expectedMTBFSeconds: Double, pseudoFailures: Double = 1) {
        precondition(expectedMTBFSeconds > 0 && pseudoFailures > 0, "a prior needs an MTBF and a weight above zero")
        priorFailures = pseudoFailures
        priorExposureSeconds = pseudoFailures * expectedMTBFSeconds
    }

    /// Adds failures and time at risk, seconds; both may be zero.
    package mutating func observe(failures: Int, exposureSeconds: Double) {
        precondition(failures >= 0 && exposureSeconds >= 0, "failures and exposure only grow")
        self.failures += failures
        self.exposureSeconds += exposureSeconds
    }

    private var shape: Double { priorFailures + Double(failures) }
    private var rateSeconds: Double { priorExposureSeconds + exposureSeconds }

    /// Failures a second, the posterior's mean.
    package var meanPerSecond: Double { shape / rateSeconds }
    package var standardErrorPerSecond: Double { shape.squareRoot() / rateSeconds }

    /// The rate that the true one is below with this probability, 1/s.
    package func quantilePerSecond(_ probability: Double) -> Double {
        GammaFunction.inverseLower(shape, probability) / rateSeconds
    }

    /// The interval that holds the true rate with probability `mass` and leaves as much out below as above, 1/s.
    package func credibleInterval(_ mass: Double = 0.9) -> (lowPerSecond: Double, highPerSecond: Double) {
        (quantilePerSecond((1 - mass) / 2), quantilePerSecond((1 + mass) / 2))
    }
}
