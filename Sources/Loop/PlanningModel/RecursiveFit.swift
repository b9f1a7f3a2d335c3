/// A predicted quantity and the standard error of predicting one observation of it.
package struct FitPrediction: Hashable, Sendable {
    package var value: Double
    package var standardError: Double
}

/// y ≈ a + b₁x₁ + …, fitted anew with each observation, the old ones fading.
///
/// Least squares with exponential forgetting, in the form of sums (information form), solved by Cholesky's method: with two to
/// four unknowns that is as cheap as the textbook's recursion for the covariance and, unlike it, cannot lose symmetry or
/// wind up when the inputs stop varying. The prior counts as observations at typical values, and fades much faster
/// than they do, so that a default that was ten times off is gone after a handful of observations; a trace of it
/// stays and decides only what the observations leave open.
/// Source: L. Ljung, System Identification, 2nd edition, 11.2 (recursive least squares with forgetting factor).
package struct RecursiveFit: Hashable, Sendable {
    /// Weight of an observation after each later one, (0, 1]; 0.95 remembers some twenty.
    package let memory: Double
    /// Weight that the prior keeps after each observation.
    private let priorMemory: Double
    /// Unknowns: a, and a slope for each input.
    private let size: Int
    /// Divides each input, so that all unknowns are of one size.
    private let typical: Row
    private let prior: Row
    private let priorNoise: Double
    private let priorWeight: Double

    private var information = Square()
    private var moments = Row()
    private var squares = 0.0
    private var weight = 0.0
    private var fading = 1.0
    private var estimate: Row
    private var factor = Square()
    package private(set) var observations = 0

    /// So many unknowns at most: they are kept in place, which makes fits cheap to copy.
    private static let mostUnknowns = 4
    private typealias Row = SIMD4<Double>
    /// Element (i, j) at 4·i + j.
    private typealias Square = SIMD16<Double>

    /// - Parameters:
    ///   - priorIntercept: a, as long as nothing is known.
    ///   - priorSlopes: b, one for each input (there may be none).
    ///   - typical: a typical value of each input, > 0.
    ///   - priorStandardError: how far off an observation is expected to be, in y's unit, > 0.
    ///   - priorWeight: observations that the prior is worth at first, > 0.
    ///   - memory: weight of an observation after each later one.
    ///   - priorMemory: weight of the prior after each observation.
    package init(
        priorIntercept: Double, priorSlopes: [Double] = [], typical: [Double] = [], priorStandardError: Double, priorWeight: Double = 1,
        memory: Double = 0.95, priorMemory: Double = 0.5
    ) {
        precondition(priorSlopes.count == typical.count, "one typical value for each slope")
        precondition(priorSlopes.count < Self.mostUnknowns, "more inputs than a fit has room for")
        precondition(typical.allSatisfy { $0 > 0 } && priorStandardError > 0 && priorWeight > 0, "scales and weights are above zero")
        precondition(memory > 0 && memory <= 1 && priorMemory > 0 && priorMemory <= 1, "a memory is a factor above 0 and at most 1")
        self.memory = memory
        self.priorMemory = priorMemory
        self.priorWeight = priorWeight
        priorNoise = priorStandardError * priorStandardError
        size = typical.count + 1
        var scales = Row(repeating: 1)
        var prior = Row()
        prior[0] = priorIntercept
        for (index, scale) in typical.enumerated() {
            scales[index + 1] = scale
            prior[index + 1] = priorSlopes[index] * scale
        }
        self.typical = scales
        self.prior = prior
        estimate = prior
        var whole = Square()
        for i in 0..<size {
            for j in 0..<size { whole[4 * i + j] = priorInformation(i, j) }
        }
        factor = Self.cholesky(whole, size)
    }

    /// What observations spread around (1, 1, …) by a half to either side tell: 1·1ᵀ, and ¼ more on each slope.
    private func priorInformation(_ i: Int, _ j: Int) -> Double { (i == j && i > 0 ? 1.25 : 1) * priorWeight }

    private func row(_ inputs: [Double]) -> Row {
        precondition(inputs.count == size - 1, "one value for each input of the fit")
        var row = Row()
        row[0] = 1
        for (index, input) in inputs.enumerated() { row[index + 1] = input / typical[index + 1] }
        return row
    }

    /// Takes in what came true for these inputs. A value that is not finite is no observation.
    package mutating func observe(_ inputs: [Double], _ value: Double) {
        guard value.isFinite, inputs.allSatisfy(\.isFinite) else { return }
        let row = row(inputs)
        for i in 0..<size {
            for j in 0..<size { information[4 * i + j] = memory * information[4 * i + j] + row[i] * row[j] }
            moments[i] = memory * moments[i] + row[i] * value
        }
        squares = memory * squares + value * value
        weight = memory * weight + 1
        fading = max(fading * priorMemory, 1e-6)
        observations += 1
        solve()
    }

    /// The same for a quantity that depends on nothing.
    package mutating func observe(_ value: Double) { observe([], value) }

    private mutating func solve() {
        var whole = information
        var right = moments
        for i in 0..<size {
            for j in 0..<size {
                whole[4 * i + j] += fading * priorInformation(i, j)
                right[i] += fading * priorInformation(i, j) * prior[j]
            }
        }
        factor = Self.cholesky(whole, size)
        estimate = Self.solve(factor, right, size)
    }

    /// a, and b in y's unit for one unit of each input.
    package var intercept: Double { estimate[0] }
    package var slopes: [Double] { (1..<size).map { estimate[$0] / typical[$0] } }

    /// Deviation of an observation from the fit, in y's unit.
    package var noise: Double {
        // What the faded observations leave unexplained; the cancellation's rounding is all that could make it negative.
        var rest = squares
        for i in 0..<size {
            rest -= 2 * estimate[i] * moments[i]
            for j in 0..<size { rest += estimate[i] * information[4 * i + j] * estimate[j] }
        }
        // Unknowns use up freedom: all of it at first, one each in the end.
        let free = weight * weight / (weight + Double(size))
        let kept = fading * priorWeight
        return ((max(0, rest) + kept * priorNoise) / (free + kept)).squareRoot()
    }

    /// What to expect for these inputs, and how far off that may be: the noise, and what the fit does not know.
    package func predict(_ inputs: [Double] = []) -> FitPrediction {
        let row = row(inputs)
        var value = 0.0
        for i in 0..<size { value += estimate[i] * row[i] }
        let forward = Self.forward(factor, row, size)
        var spread = 0.0
        for i in 0..<size { spread += forward[i] * forward[i] }
        return FitPrediction(value: value, standardError: noise * (1 + spread).squareRoot())
    }

    /// The same for a quantity that cannot be negative: times, sizes.
    package func predictNonNegative(_ inputs: [Double] = []) -> FitPrediction {
        var prediction = predict(inputs)
        prediction.value = max(0, prediction.value)
        return prediction
    }

    /// Lower triangle L of L·Lᵀ = matrix. Pivots are kept above zero: the matrix is positive but for rounding.
    private static func cholesky(_ matrix: Square, _ size: Int) -> Square {
        var lower = Square()
        for i in 0..<size {
            for j in 0...i {
                var sum = matrix[4 * i + j]
                for k in 0..<j { sum -= lower[4 * i + k] * lower[4 * j + k] }
                lower[4 * i + j] = i == j ? max(sum, 1e-13 * matrix[4 * i + i]).squareRoot() : sum / lower[4 * j + j]
            }
        }
        return lower
    }

    /// Solves L·x = right.
    private static func forward(_ lower: Square, _ right: Row, _ size: Int) -> Row {
        var x = right
        for i in 0..<size {
            for k in 0..<i { x[i] -= lower[4 * i + k] * x[k] }
            x[i] /= lower[4 * i + i]
        }
        return x
    }

    /// Solves L·Lᵀ·x = right.
    private static func solve(_ lower: Square, _ right: Row, _ size: Int) -> Row {
        var x = forward(lower, right, size)
        for i in stride(from: size - 1, through: 0, by: -1) {
            for k in (i + 1)..<max(size, i + 1) { x[i] -= lower[4 * k + i] * x[k] }
            x[i] /= lower[4 * i + i]
        }
        return x
    }
}
