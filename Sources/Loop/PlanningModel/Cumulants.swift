#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Mean, variance and third central moment: what adds up when independent times follow each other.
struct Cumulants: Hashable, Sendable {
    var mean = 0.0
    var variance = 0.0
    var third = 0.0

    static func + (left: Cumulants, right: Cumulants) -> Cumulants {
        Cumulants(mean: left.mean + right.mean, variance: left.variance + right.variance, third: left.third + right.third)
    }

    func scaled(by factor: Double) -> Cumulants {
        Cumulants(mean: mean * factor, variance: variance * factor * factor, third: third * factor * factor * factor)
    }

    /// As many independent ones in a row; the number may be a fraction.
    func times(_ count: Double) -> Cumulants {
        Cumulants(mean: mean * count, variance: variance * count, third: third * count)
    }

    /// A failure's moment within a stretch of length 1, given that it fails: an exponential of rate a cut off at 1.
    ///
    /// Derivatives of ln((1 − e^{−a})/a); their series where the closed forms would cancel.
    static func cutExponential(_ a: Double) -> Cumulants {
        Cumulants(mean: cutMean(a), variance: cutVariance(a), third: cutThird(a))
    }

    /// A stretch of length 1 begun anew at each failure until it passes, at the rate r.
    ///
    /// It is 1 + ΣZ over a geometric number of failures with the odds e^r − 1, each at a cut-off exponential's moment Z.
    static func anew(_ r: Double) -> Cumulants {
        let lost = geometricSum(odds: expm1(r), of: cutExponential(r))
        return Cumulants(mean: anewMean(r), variance: anewVariance(r), third: lost.third)
    }

    /// A sum over a geometric number N of terms, where P(N ≥ 1)/P(N = 0) is `odds`.
    ///
    /// N has the cumulants o, o(1 + o), o(1 + o)(1 + 2o); those of the sum follow from the composition of the generating functions.
    static func geometricSum(odds o: Double, of one: Cumulants) -> Cumulants {
        let second = o * (1 + o)
        return Cumulants(
            mean: o * one.mean, variance: o * one.variance + second * one.mean * one.mean,
            third: o * one.third + 3 * second * one.mean * one.variance + second * (1 + 2 * o) * one.mean * one.mean * one.mean)
    }

    /// 1/a − 1/(e^a − 1), ½ at a = 0.
    static func cutMean(_ a: Double) -> Double { cutMean(a, odds: expm1(a)) }

    /// - Parameter odds: e^a − 1.
    static func cutMean(_ a: Double, odds: Double) -> Double {
        a < 1e-2 ? 0.5 - a / 12 * (1 - a * a / 60) : 1 / a - 1 / odds
    }

    /// 1/a² − 1/(4 sinh²(a/2)), 1/12 at a = 0.
    static func cutVariance(_ a: Double) -> Double {
        if a < 5e-2 { return (1 - a * a / 20 * (1 - 5 * a * a / 126)) / 12 }
        let half = sinh(a / 2)
        return 1 / (a * a) - 1 / (4 * half * half)
    }

    /// 2/a³ − cosh(a/2)/(4 sinh³(a/2)), 0 at a = 0.
    static func cutThird(_ a: Double) -> Double {
        if a < 0.4 { return a / 120 * (1 - a * a * 5 / 63 * (1 - a * a * 21 / 400)) }
        let half = sinh(a / 2)
        return 2 / (a * a * a) - cosh(a / 2) / (4 * half * half * half)
    }

    /// (e^r − 1)/r, 1 at r = 0.
    static func anewMean(_ r: Double) -> Double { r == 0 ? 1 : expm1(r) / r }

    /// (e^{2r} − 2re^r − 1)/r² = 2e^r(sinh r − r)/r², 0 at r = 0.
    static func anewVariance(_ r: Double) -> Double {
        if r < 0.3 { return exp(r) * r / 3 * (1 + r * r / 20 * (1 + r * r / 42 * (1 + r * r / 72))) }
        return 2 * exp(r) * (sinh(r) - r) / (r * r)
    }
}
