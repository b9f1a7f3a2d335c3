#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The distribution of the time that a row of segments takes.
///
/// The time is the undisturbed time plus an excess that failures cause. With probability P₀ = e^{−λΣs} there is no
/// failure and no excess; given that there is one, the excess is taken as a gamma distribution with the mean and the
/// variance that the segments' moments give it. A normal distribution would be too optimistic in the tail, and any
/// smooth distribution misses the mass at the undisturbed time, which for short tasks is most of it.
package struct FinishTimeDistribution: Hashable, Sendable {
    /// The time that no failure makes shorter, seconds.
    package let minimumSeconds: Double
    package let meanSeconds: Double
    package let varianceSquareSeconds: Double
    /// P₀, that no failure comes.
    package let undisturbedProbability: Double
    /// Shape and scale (seconds) of the excess given a failure; shape 0 where there cannot be one.
    let shape: Double
    let scaleSeconds: Double

    package init(_ runs: [SegmentRun]) {
        var minimum = 0.0
        var excess = 0.0
        var variance = 0.0
        var logUndisturbed = 0.0
        for run in runs where run.count > 0 {
            minimum += run.count * run.segment.lengthSeconds
            excess += run.count * run.segment.expectedExcessSeconds
            variance += run.count * run.segment.varianceSquareSeconds
            logUndisturbed += run.count * run.segment.logUndisturbedProbability
        }
        self.init(minimumSeconds: minimum, excessSeconds: excess, varianceSquareSeconds: variance, logUndisturbedProbability: logUndisturbed)
    }

    /// A time that no failure can change.
    package static func certain(seconds: Double) -> FinishTimeDistribution {
        FinishTimeDistribution(minimumSeconds: seconds, excessSeconds: 0, varianceSquareSeconds: 0, logUndisturbedProbability: 0)
    }

    init(minimumSeconds: Double, excessSeconds: Double, varianceSquareSeconds: Double, logUndisturbedProbability: Double) {
        self.minimumSeconds = minimumSeconds
        self.meanSeconds = minimumSeconds + excessSeconds
        self.varianceSquareSeconds = varianceSquareSeconds
        undisturbedProbability = exp(logUndisturbedProbability)
        let disturbed = -expm1(logUndisturbedProbability)
        guard disturbed > 0, excessSeconds > 0 else {
            shape = 0
            scaleSeconds = 0
            return
        }
        // E[D | D > 0] and E[D² | D > 0] from those of D, which is 0 with probability P₀.
        let mean = excessSeconds / disturbed
        let square = (varianceSquareSeconds + excessSeconds * excessSeconds) / disturbed
        let spread = max(square - mean * mean, 1e-12 * mean * mean)
        shape = mean * mean / spread
        scaleSeconds = spread / mean
    }

    package var standardDeviationSeconds: Double { varianceSquareSeconds.squareRoot() }

    /// P(T ≤ seconds).
    package func probability(by seconds: Double) -> Double {
        1 - probability(beyond: seconds)
    }

    /// P(T > seconds), accurate where it is small.
    package func probability(beyond seconds: Double) -> Double {
        let over = seconds - minimumSeconds
        if over < 0 { return 1 }
        if shape == 0 { return 0 }
        return (1 - undisturbedProbability) * GammaFunction.regularized(shape, over / scaleSeconds).upper
    }

    /// The earliest time by which the task has finished with this probability, seconds.
    package func quantile(_ probability: Double) -> Double {
        if shape == 0 || probability <= undisturbedProbability { return minimumSeconds }
        let given = (probability - undisturbedProbability) / (1 - undisturbedProbability)
        return minimumSeconds + scaleSeconds * GammaFunction.inverseLower(shape, given)
    }

    /// E[(T − seconds)⁺]: by how much it is late on average, being early counting as nothing.
    package func expectedLateness(after seconds: Double) -> Double {
        let over = seconds - minimumSeconds
        if over <= 0 { return meanSeconds - seconds }
        if shape == 0 { return 0 }
        // E[(G − k)⁺] = αβ·Q(α + 1, k/β) − k·Q(α, k/β), with Q(α + 1, x) = Q(α, x) + x^α e^{−x}/Γ(α + 1).
        let x = over / scaleSeconds
        let tail = GammaFunction.regularized(shape, x).upper
        let density = exp(shape * log(x) - x - GammaFunction.logarithm(shape + 1))
        let beyond = shape * scaleSeconds * (tail + density) - over * tail
        return max(0, (1 - undisturbedProbability) * beyond)
    }
}
