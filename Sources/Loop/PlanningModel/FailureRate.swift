#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What is believed of a failure rate λ: a gamma distribution, conjugate to failures that come at a constant rate.
///
/// An opinion is worth a number of failures seen in that many expected MTBFs; observation adds failures and time at risk:
/// Gamma(a + failures, b + exposure). Source: Gelman et al., Bayesian Data Analysis, 3rd edition, 2.6.
///
/// Without an opinion not even the order of magnitude is known: Jeffreys' density of a scale, 1/λ, which gives every factor of two the same
/// probability, with an exponential decline where MTBFs are below ten minutes, and nothing above a year, where they could not be told
/// from never. With k failures in the time T the posterior's density goes with λ^{k−1}·e^{−λ(T + 10 min)}: the gamma
/// distribution that the failures alone make, cut off below. Without any failure the mean is about 1/(T·ln(year/T)), so that a node
/// proves itself as time goes by. Source: H. Jeffreys, Theory of Probability, 3rd edition, 3.1.
package struct FailureRate: Hashable, Sendable {
    /// a of the opinion: failures that it is worth; 0 without one.
    package let priorFailures: Double
    /// b of the opinion: seconds in which they came.
    package let priorExposureSeconds: Double
    /// Rates below it are thought impossible, 1/s.
    private let leastPerSecond: Double
    package private(set) var failures: Int = 0
    package private(set) var exposureSeconds: Double = 0

    /// - Parameters:
    ///   - expectedMTBFSeconds: what is thought of the node before anything is known of it, > 0.
    ///   - pseudoFailures: how sure one is of it, as the number of failures that the opinion is worth, > 0. 1 is a guess.
    package init(expectedMTBFSeconds: Double, pseudoFailures: Double = 1) {
        precondition(expectedMTBFSeconds > 0 && pseudoFailures > 0, "a prior needs an MTBF and a weight above zero")
        priorFailures = pseudoFailures
        priorExposureSeconds = pseudoFailures * expectedMTBFSeconds
        leastPerSecond = 0
    }

    /// Without an opinion.
    package init() {
        priorFailures = 0
        priorExposureSeconds = 600
        leastPerSecond = 1 / (365.25 * 86_400)
    }

    /// Adds failures and time at risk, seconds; both may be zero.
    package mutating func observe(failures: Int, exposureSeconds: Double) {
        precondition(failures >= 0 && exposureSeconds >= 0, "failures and exposure only grow")
        self.failures += failures
        self.exposureSeconds += exposureSeconds
    }

    private var shape: Double { priorFailures + Double(failures) }
    private var rateSeconds: Double { priorExposureSeconds + exposureSeconds }
    /// Where the density begins, in units of 1/rateSeconds.
    private var cut: Double { min(leastPerSecond * rateSeconds, 500) }

    /// Failures a second, the posterior's mean.
    package var meanPerSecond: Double { moments.first / rateSeconds }
    package var standardErrorPerSecond: Double {
        let (first, second) = moments
        return max(0, second - first * first).squareRoot() / rateSeconds
    }

    /// E x and E x² for x = λ·rateSeconds.
    private var moments: (first: Double, second: Double) {
        let (a, x) = (shape, cut)
        if x == 0 { return (a, a * (a + 1)) }
        if a == 0 {
            let whole = ExponentialIntegral.scaled(x)
            return (1 / whole, (1 + x) / whole)
        }
        // Γ(a + 1, x)/Γ(a, x) = a + x^a e^{−x}/Γ(a, x).
        let tail = GammaFunction.regularized(a, x).upper
        let front = tail > 0 ? exp(a * log(x) - x - GammaFunction.logarithm(a)) / tail : x
        let first = a + front
        return (first, (a + 1) * first + x * front)
    }

    /// The rate that the true one is below with this probability, 1/s.
    package func quantilePerSecond(_ probability: Double) -> Double {
        let (a, x) = (shape, cut)
        if x == 0 { return GammaFunction.inverseLower(a, probability) / rateSeconds }
        if a == 0 {
            let beyond = (1 - probability) * ExponentialIntegral.scaled(x)
            var (low, high) = (x, max(x * 2, 50))
            for _ in 0..<60 where high - low > 1e-9 * high {
                let middle = (low * high).squareRoot()
                if exp(x - middle) * ExponentialIntegral.scaled(middle) > beyond { low = middle } else { high = middle }
            }
            return high / rateSeconds
        }
        let below = GammaFunction.regularized(a, x).lower
        return max(x, GammaFunction.inverseLower(a, below + probability * (1 - below))) / rateSeconds
    }

    /// The interval that holds the true rate with probability `mass` and leaves as much out below as above, 1/s.
    package func credibleInterval(_ mass: Double = 0.9) -> (lowPerSecond: Double, highPerSecond: Double) {
        (quantilePerSecond((1 - mass) / 2), quantilePerSecond((1 + mass) / 2))
    }
}
