import PlanningModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The distribution of the time that equal segments take, from its Laplace transform: no simulation's noise, and none of the approximations of
/// `FinishTimeDistribution`.
///
/// A try of length s fails at X with E[e^{−zX}; X < s] = λ/(λ+z)·(1 − e^{−(λ+z)s}) =: f(s); so the time beyond s of one segment has the transform
/// e^{−λs}/(1 − f(s)·ψ), where ψ = e^{−(λ+z)R}/(1 − f(R)) is the recovery's, its own failures included. K segments: the K-th power.
/// Inverted by the Fourier series method with Euler summation.
/// Source: J. Abate, W. Whitt, "Numerical inversion of Laplace transforms of probability distributions", ORSA Journal on Computing 7(1), 1995.
struct ExactFinish {
    var run: SegmentRun

    private struct Complex {
        var re: Double
        var im: Double
        static func + (a: Complex, b: Complex) -> Complex { Complex(re: a.re + b.re, im: a.im + b.im) }
        static func - (a: Complex, b: Complex) -> Complex { Complex(re: a.re - b.re, im: a.im - b.im) }
        static func * (a: Complex, b: Complex) -> Complex { Complex(re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re) }
        static func / (a: Complex, b: Complex) -> Complex {
            let size = b.re * b.re + b.im * b.im
            return Complex(re: (a.re * b.re + a.im * b.im) / size, im: (a.im * b.re - a.re * b.im) / size)
        }
        static func exponential(_ a: Complex) -> Complex { Complex(re: exp(a.re) * cos(a.im), im: exp(a.re) * sin(a.im)) }
        func power(_ exponent: Double) -> Complex {
            let size = pow(re * re + im * im, exponent / 2)
            let angle = atan2(im, re) * exponent
            return Complex(re: size * cos(angle), im: size * sin(angle))
        }
        func scaled(_ factor: Double) -> Complex { Complex(re: re * factor, im: im * factor) }
    }

    private static let one = Complex(re: 1, im: 0)

    /// Of P(T − Ks > y), a function of y.
    private func transform(_ z: Complex) -> Complex {
        let (rate, length, recovery) = (run.segment.failureRatePerSecond, run.segment.lengthSeconds, run.segment.recoverySeconds)
        let shifted = Complex(re: rate + z.re, im: z.im)
        func passed(_ seconds: Double) -> Complex { Complex.exponential(shifted.scaled(-seconds)) }
        func failed(_ seconds: Double) -> Complex { (Self.one - passed(seconds)).scaled(rate) / shifted }
        let recovered = passed(recovery) / (Self.one - failed(recovery))
        let beyond = Complex(re: exp(-rate * length), im: 0) / (Self.one - failed(length) * recovered)
        return (Self.one - beyond.power(run.count)) / z
    }

    /// P(T > seconds), for a time beyond the undisturbed one.
    func probability(beyond seconds: Double) -> Double {
        let y = seconds - run.count * run.segment.lengthSeconds
        precondition(y > 0, "the transform is inverted beyond the undisturbed time only")
        let a = 18.4
        let terms = 300
        let averaged = 15
        func term(_ k: Int) -> Double { transform(Complex(re: a / (2 * y), im: Double(k) * Double.pi / y)).re * (k % 2 == 0 ? 1 : -1) }
        var sum = term(0) / 2
        for k in 1...terms { sum += term(k) }
        // Binomial averages of the partial sums that follow.
        var weight = pow(0.5, Double(averaged))
        var mean = weight * sum
        for k in 1...averaged {
            sum += term(terms + k)
            weight *= Double(averaged - k + 1) / Double(k)
            mean += weight * sum
        }
        return min(1, max(0, exp(a / 2) / y * mean))
    }
}
