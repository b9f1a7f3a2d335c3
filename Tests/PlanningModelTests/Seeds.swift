#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Randomness that a seed repeats.
///
/// Source: G. Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// In (0, 1].
    mutating func share() -> Double { Double((next() >> 11) + 1) * 0x1p-53 }
    mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * share() }
    mutating func logUniform(_ low: Double, _ high: Double) -> Double { exp(uniform(log(low), log(high))) }
    mutating func exponential(rate: Double) -> Double { rate > 0 ? -log(share()) / rate : .infinity }
    /// Standard normal, by Box and Muller.
    mutating func normal() -> Double { (-2 * log(share())).squareRoot() * cos(2 * Double.pi * share()) }
}

/// CAIRN_SEEDS in the environment asks for that many times more cases and runs than the suite makes by itself.
let thoroughness = max(1, getenv("CAIRN_SEEDS").flatMap { Int(String(cString: $0)) } ?? 1)

/// Mean and variance of a sample, with the standard errors of both.
struct Sample {
    let values: [Double]
    let mean: Double
    let variance: Double
    let meanError: Double
    let varianceError: Double

    init(_ values: [Double]) {
        self.values = values.sorted()
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        var second = 0.0
        var fourth = 0.0
        for value in values {
            let square = (value - mean) * (value - mean)
            second += square
            fourth += square * square
        }
        self.mean = mean
        variance = second / (count - 1)
        meanError = (variance / count).squareRoot()
        varianceError = (max(0, fourth / count - variance * variance) / count).squareRoot()
    }

    func quantile(_ share: Double) -> Double { values[min(values.count - 1, Int(share * Double(values.count)))] }

    /// Share of the sample that is at most `value`.
    func share(by value: Double) -> Double {
        var low = 0
        var high = values.count
        while low < high {
            let middle = (low + high) / 2
            if values[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return Double(low) / Double(values.count)
    }
}
