/// The mean of observations of which the old ones fade: a `RecursiveFit` without inputs, in four numbers. What is thought beforehand is
/// given when it is asked, and counts as one observation that fades much faster than they do.
package struct FadingMean: Hashable, Sendable {
    /// Weight of an observation after each later one.
    private static let memory = 0.95
    /// Weight that the prior keeps after each observation, and at least.
    private static let priorMemory = 0.5
    private static let trace = 1e-6

    private var weight = 0.0
    private var sum = 0.0
    private var squares = 0.0
    package private(set) var observations = 0

    package init() {}

    /// A value that is not finite is no observation.
    package mutating func observe(_ value: Double) {
        guard value.isFinite else { return }
        weight = Self.memory * weight + 1
        sum = Self.memory * sum + value
        squares = Self.memory * squares + value * value
        observations += 1
    }

    /// Of the observations alone; nil: there were none.
    package var mean: Double? { weight > 0 ? sum / weight : nil }
    /// Σ of the observations, faded: two of them that were observed together have the ratio of their means.
    package var total: Double { sum }

    /// What to expect, and how far off that may be.
    ///
    /// - Parameters:
    ///   - prior: what is expected as long as nothing is known.
    ///   - standardError: how far off an observation is expected to be then, > 0.
    package func predict(prior: Double, standardError: Double) -> FitPrediction {
        let kept = observations >= 20 ? Self.trace : max(Self.trace, Self.faded(observations))
        let whole = weight + kept
        let estimate = (sum + kept * prior) / whole
        let rest = max(0, squares - 2 * estimate * sum + estimate * estimate * weight)
        let free = weight * weight / (weight + 1)
        let noise = ((rest + kept * standardError * standardError) / (free + kept)).squareRoot()
        return FitPrediction(value: estimate, standardError: noise * (1 + 1 / whole).squareRoot())
    }

    private static func faded(_ observations: Int) -> Double {
        var faded = 1.0
        for _ in 0..<observations { faded *= priorMemory }
        return faded
    }
}
