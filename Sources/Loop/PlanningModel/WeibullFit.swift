#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How long something lived, and whether a failure ended that life: a life that goes on, or was ended by something else, is censored.
package struct Lifetime: Hashable, Sendable {
    /// Age at the end, seconds; what is shorter than one counts as one, since no record is finer.
    package let seconds: Double
    package let failed: Bool
    /// Age from which on it was seen, seconds, below `seconds`: that it had lived until then says nothing of how many others had not.
    package let seenFrom: Double
    package init(seconds: Double, failed: Bool, seenFrom: Double = 0) {
        self.seconds = max(1, seconds, seenFrom + 1)
        self.failed = failed
        self.seenFrom = max(0, seenFrom)
    }
}

/// A Weibull distribution of lifetimes, fitted by maximum likelihood with right censoring and delayed entry.
///
/// The cumulative hazard is H(t) = (t/η)^k, for a shape k and a scale η. k = 1 is the exponential distribution; below 1 the
/// hazard is high after a start and falls from then on, as it does for nodes of real clusters.
///
/// For a given k the best scale is ηᵏ = Σtᵏ/d over all lives, d of which failed; what is left to solve rises with k and has one
/// zero: Σtᵏ ln t/Σtᵏ − 1/k − (1/d)Σ_failed ln t = 0, by Newton's steps in a bracket. A life that was not seen before the age a
/// counts H(t) − H(a) in place of H(t), so that each sum over t loses the same of a. Standard errors are those of ln k and ln η
/// by the observed information: positive quantities, so that their logarithms are closer to normal.
/// Source: J. F. Lawless, Statistical Models and Methods for Lifetime Data, 2nd edition, 5.2 and, for delayed entry (left truncation), 2.4. That
/// shapes are below 1: Schroeder & Gibson, "A large-scale study of failures in high-performance computing systems", DSN 2006.
package struct WeibullFit: Hashable, Sendable {
    /// k, no unit.
    package let shape: Double
    /// η, seconds.
    package let scaleSeconds: Double
    /// Lives that failed, of all that were seen.
    package let failures: Int
    package let lives: Int
    /// ln of the likelihood, and of that of the best exponential distribution for the same lives (times in seconds).
    package let logLikelihood: Double
    package let exponentialLogLikelihood: Double
    private let varianceOfLogShape: Double
    private let varianceOfLogScale: Double
    private let covarianceOfLogs: Double

    /// Shapes that are looked for.
    package static let shapes = 0.05...20.0

    /// - Returns: nil where the lives determine no shape: fewer than two failures, all of them at one time and later than everything else, or a
    ///   shape outside of `shapes`.
    package init?(_ lives: [Lifetime]) {
        guard let longest = lives.map(\.seconds).max() else { return nil }
        let failed = lives.filter(\.failed)
        guard failed.count >= 2 else { return nil }
        let count = Double(failed.count)
        // In units of the longest life, so that no power overflows.
        let logs = lives.map { log($0.seconds / longest) }
        let entries = lives.compactMap { $0.seenFrom > 0 ? log($0.seenFrom / longest) : nil }
        let meanLog = zip(lives, logs).reduce(0) { $0 + ($1.0.failed ? $1.1 : 0) } / count
        /// Σuᵏ, Σuᵏ ln u, Σuᵏ (ln u)², less the same of the ages before which lives were not seen.
        func sums(_ shape: Double) -> (Double, Double, Double) {
            var sums = (0.0, 0.0, 0.0)
            for logarithm in logs {
                let power = exp(shape * logarithm)
                sums.0 += power
                sums.1 += power * logarithm
                sums.2 += power * logarithm * logarithm
            }
            for logarithm in entries {
                let power = exp(shape * logarithm)
                sums.0 -= power
                sums.1 -= power * logarithm
                sums.2 -= power * logarithm * logarithm
            }
            return sums
        }
        func slope(_ shape: Double) -> (value: Double, derivative: Double) {
            let (zeroth, first, second) = sums(shape)
            let mean = first / zeroth
            return (mean - 1 / shape - meanLog, second / zeroth - mean * mean + 1 / (shape * shape))
        }
        var low = Self.shapes.lowerBound
        var high = Self.shapes.upperBound
        var shape = 1.0
        for _ in 0..<100 {
            let (value, derivative) = slope(shape)
            if value > 0 { high = shape } else { low = shape }
            let next = shape - value / derivative
            // With delayed entry it need not rise everywhere, and a step down a slope that falls leads away.
            let bounded = derivative > 0 && next > low && next < high ? next : (low * high).squareRoot()
            if abs(bounded - shape) <= 1e-12 * shape { break }
            shape = bounded
        }
        // It is looked for at an end only where it may be beyond.
        if !entries.isEmpty || shape < 1.01 * Self.shapes.lowerBound || shape > 0.99 * Self.shapes.upperBound {
            guard slope(Self.shapes.lowerBound).value < 0, slope(Self.shapes.upperBound).value > 0 else { return nil }
        }
        let power = sums(shape).0
        let logScale = log(power / count) / shape

        self.shape = shape
        self.lives = lives.count
        scaleSeconds = longest * exp(logScale)
        failures = failed.count
        // Σ_failed z − Σ_failed ln t + d ln k − Σ(t/η)ᵏ, with z = k ln(t/η); the last sum is d.
        let failedLogSeconds = count * (meanLog + log(longest))
        logLikelihood = count * log(shape) + count * shape * (meanLog - logScale) - failedLogSeconds - count
        let total = lives.reduce(0) { $0 + $1.seconds - $1.seenFrom }
        exponentialLogLikelihood = -count * log(total / count) - count
        // Observed information for (ln k, ln η): d + Σwz², k²d, −kΣwz, with w = (t/η)ᵏ.
        var first = 0.0
        var second = 0.0
        func inform(_ logarithm: Double, _ sign: Double) {
            let z = shape * (logarithm - logScale)
            let weight = sign * exp(z)
            first += weight * z
            second += weight * z * z
        }
        for logarithm in logs { inform(logarithm, 1) }
        for logarithm in entries { inform(logarithm, -1) }
        let determinant = count * (count + second) - first * first
        guard entries.isEmpty || (determinant > 0 && count + second > 0) else { return nil }
        varianceOfLogShape = count / determinant
        varianceOfLogScale = (count + second) / (shape * shape * determinant)
        covarianceOfLogs = first / (shape * determinant)
    }

    /// One that is known and not fitted: without errors, and as if a billion lives spoke for it.
    package init(shape: Double, scaleSeconds: Double) {
        precondition(shape > 0 && scaleSeconds > 0, "a Weibull distribution has a shape and a scale above zero")
        self.shape = shape
        self.scaleSeconds = scaleSeconds
        failures = 1_000_000_000
        lives = failures
        logLikelihood = 0
        exponentialLogLikelihood = -1e9
        varianceOfLogShape = 0
        varianceOfLogScale = 0
        covarianceOfLogs = 0
    }

    /// Of k itself, to first order.
    package var shapeStandardError: Double { shape * varianceOfLogShape.squareRoot() }
    /// Of η itself, to first order, seconds.
    package var scaleStandardErrorSeconds: Double { scaleSeconds * varianceOfLogScale.squareRoot() }
    /// η·Γ(1 + 1/k), seconds.
    package var meanSeconds: Double { scaleSeconds * exp(GammaFunction.logarithm(1 + 1 / shape)) }

    /// Twice the logarithm of the likelihoods' ratio; χ² distributed with one degree of freedom if the truth is exponential.
    package var likelihoodRatio: Double { max(0, 2 * (logLikelihood - exponentialLogLikelihood)) }

    /// How probable it is that the lives are Weibull and not exponential, when either was as likely before: by Schwarz's criterion, which charges
    /// ½ ln d for the second parameter.
    ///
    /// Source: R. E. Kass, A. E. Raftery, "Bayes factors", JASA 90, 1995, section 4.1.3. That failures count and not lives: C. T. Volinsky,
    /// A. E. Raftery, "Bayesian information criterion for censored survival models", Biometrics 56, 2000.
    package var weightAgainstExponential: Double { 1 / (1 + exp((log(Double(failures)) - likelihoodRatio) / 2)) }

    /// H(t), the expected number of failures of something repaired at once and as bad as old, up to the age `seconds`.
    package func cumulativeHazard(_ seconds: Double) -> Double {
        seconds <= 0 ? 0 : exp(shape * log(seconds / scaleSeconds))
    }

    /// The mean hazard between the ages `age` and `age + over`, 1/s, and its standard error by the delta method.
    ///
    /// - Precondition: age ≥ 0 and over > 0, seconds.
    package func rate(age: Double, over: Double) -> (perSecond: Double, standardError: Double) {
        precondition(age >= 0 && over > 0, "an age is negative, or a time to come is not above zero")
        /// H, and its derivatives by ln k and ln η.
        func terms(_ time: Double) -> (Double, Double, Double) {
            let hazard = cumulativeHazard(time)
            return hazard > 0 ? (hazard, shape * log(time / scaleSeconds) * hazard, -shape * hazard) : (0, 0, 0)
        }
        let (from, to) = (terms(age), terms(age + over))
        let byShape = (to.1 - from.1) / over
        let byScale = (to.2 - from.2) / over
        let variance = byShape * byShape * varianceOfLogShape + byScale * byScale * varianceOfLogScale + 2 * byShape * byScale * covarianceOfLogs
        return (max(0, to.0 - from.0) / over, max(0, variance).squareRoot())
    }
}
