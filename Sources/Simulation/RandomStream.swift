#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Random numbers that belong to one thing: this node's failures in this run, this task's seventh checkpoint.
///
/// A stream is found by its key and not by the order in which things happen, so that two policies meet the same failures and the same
/// costs however differently they act: common random numbers. Source: Law, Simulation Modeling and Analysis, 5th edition, 11.2. The mixing
/// is SplitMix64's: Steele, Lea & Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
package struct RandomStream: Sendable {
    package enum Purpose: UInt64, Sendable {
        case failures = 1, guest, checkpoint, traceOffset, arrivals
    }

    private var state: UInt64

    package init(seed: UInt64, run: Int, _ purpose: Purpose, _ entity: Int = 0, _ number: Int = 0) {
        var key = Self.mixed(seed &+ 0x9E37_79B9_7F4A_7C15)
        for part in [UInt64(truncatingIfNeeded: run), purpose.rawValue, UInt64(truncatingIfNeeded: entity), UInt64(truncatingIfNeeded: number)] {
            key = Self.mixed(key ^ (part &+ 0x9E37_79B9_7F4A_7C15))
        }
        state = key
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform, neither 0 nor 1.
    package mutating func fraction() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        return (Double(Self.mixed(state) >> 11) + 0.5) * 0x1p-53
    }

    /// Mean 0, standard deviation 1. Source: Box & Muller, Annals of Mathematical Statistics 29(2), 1958.
    package mutating func normal() -> Double {
        let radius = (-2 * log(fraction())).squareRoot()
        return radius * cos(2 * .pi * fraction())
    }

    /// A factor around 1: log-normal with median 1. `spread` is the standard deviation of its logarithm; 0 gives 1.
    package mutating func factor(spread: Double) -> Double {
        // Drawn in any case, so that what comes next is the same whatever the spread.
        let drawn = normal()
        return spread == 0 ? 1 : exp(spread * drawn)
    }
}
