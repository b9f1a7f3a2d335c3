#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The principal branch of the function that inverts w·eʷ.
///
/// Source: R. M. Corless et al., "On the Lambert W function", Adv. Comput. Math. 5 (1996), equations 4.22 (the series
/// at the branch point) and 5.9 (Halley's iteration).
package enum LambertW {
    /// W₀(z), for z in [−1/e, ∞); the relative error is below 1e-12 except within 1e-10 of −1/e, where W₀ itself is
    /// only determined to the square root of z's last digit.
    ///
    /// Anything below −1/e by no more than rounding counts as −1/e; anything further has no real answer and gives NaN.
    package static func principal(_ z: Double) -> Double {
        if z.isNaN || z == .infinity { return z }
        let fromBranch = M_E * z + 1
        if fromBranch <= 0 { return fromBranch > -1e-12 ? -1 : .nan }
        var w: Double
        if fromBranch < 0.5 {
            let p = (2 * fromBranch).squareRoot()
            w = -1 + p * (1 + p * (-1.0 / 3 + p * (11.0 / 72 + p * (-43.0 / 540 + p * (769.0 / 17280)))))
            if fromBranch < 1e-6 { return w }
        } else if z < 3 {
            w = z < 0 ? z : 0.8 * log1p(z)
        } else {
            let l = log(z)
            w = l - log(l)
        }
        for _ in 0..<40 {
            let power = exp(w)
            let miss = w * power - z
            if miss == 0 { break }
            let step = miss / (power * (w + 1) - (w + 2) * miss / (2 * w + 2))
            w -= step
            if abs(step) <= 1e-15 * max(abs(w), 1e-300) { break }
        }
        return w
    }

    /// 1 + W₀(−e^{−(1+x)}) for x ≥ 0, which is 0 at x = 0 and rises to 1: the share of an MTBF that the exact optimum takes.
    ///
    /// Solved for itself, as u + ln(1 − u) = −x: going through W₀ would lose all digits where x is small, which is where
    /// every reliable node is. Newton's steps from the side on which they cannot overshoot; relative error below 1e-9.
    package static func onePlusPrincipalOfBranch(_ x: Double) -> Double {
        precondition(x >= 0, "the stop time over the MTBF is negative or not a number")
        if x == 0 { return 0 }
        if x < 1e-9 { return (2 * x).squareRoot() - 2 * x / 3 }
        if x > 35 { return 1 - exp(-1 - x) }
        // The function u + ln(1−u) + x is concave and falls on (0, 1): from the right of its zero, steps go left and stay right.
        var u = min((2 * x).squareRoot(), 1 - exp(-1 - x))
        u = max(u, 1e-300)
        for _ in 0..<60 {
            let miss = u + log1p(-u) + x
            let next = u + miss * (1 - u) / u
            let bounded = min(max(next, u / 4), (1 + u) / 2)
            // What is left after a step goes with its square; below that there is nothing but rounding, which would go on for ever.
            if abs(bounded - u) <= 1e-6 * u { return bounded }
            u = bounded
        }
        return u
    }
}

/// The gamma function's relatives that the distributions here stand on.
package enum GammaFunction {
    /// ln Γ(a), a > 0.
    package static func logarithm(_ a: Double) -> Double {
        var sign: Int32 = 0
        return lgamma_r(a, &sign)
    }

    /// P(a, x) and Q(a, x) = 1 − P(a, x), each accurate where it is the small one. a > 0; x ≤ 0 gives (0, 1).
    ///
    /// The series where x < a + 1, Legendre's continued fraction (by Lentz's method) elsewhere; above a = 1e5 the
    /// Wilson-Hilferty cube root, whose error there is below 1e-7. Absolute error below 1e-10 else.
    /// Source: DLMF 8.7.1, 8.9.2; E. B. Wilson, M. M. Hilferty, PNAS 17 (1931) 684.
    package static func regularized(_ a: Double, _ x: Double) -> (lower: Double, upper: Double) {
        if !(x > 0) { return (0, 1) }
        if x == .infinity { return (1, 0) }
        if a > 1e5 {
            let z = (cbrt(x / a) - (1 - 1 / (9 * a))) * (9 * a).squareRoot()
            return (NormalTail.upper(-z), NormalTail.upper(z))
        }
        let front = exp(a * log(x) - x - logarithm(a))
        if x < a + 1 {
            var term = 1 / a
            var sum = term
            var n = a
            for _ in 0..<100_000 {
                n += 1
                term *= x / n
                sum += term
                if term < sum * 1e-16 { break }
            }
            let lower = min(1, front * sum)
            return (lower, 1 - lower)
        }
        let tiny = 1e-300
        var b = x + 1 - a
        var c = 1 / tiny
        var d = 1 / (abs(b) < tiny ? tiny : b)
        var fraction = d
        for i in 1..<100_000 {
            let an = -Double(i) * (Double(i) - a)
            b += 2
            d = an * d + b
            if abs(d) < tiny { d = tiny }
            c = b + an / c
            if abs(c) < tiny { c = tiny }
            d = 1 / d
            let step = d * c
            fraction *= step
            if abs(step - 1) < 1e-15 { break }
        }
        let upper = min(1, max(0, front * fraction))
        return (1 - upper, upper)
    }

    /// The x with P(a, x) = p, for a > 0 and p in [0, 1]: 0 at p = 0, infinity at p = 1.
    ///
    /// Halley's steps from the Wilson-Hilferty cube, kept inside the bracket that they make; |P(a, x) − p| below 1e-12.
    /// Source: Press et al., Numerical Recipes, 3rd edition, 6.2.1; Abramowitz & Stegun, Handbook of Mathematical Functions, 26.2.23 and 26.4.17.
    package static func inverseLower(_ a: Double, _ p: Double) -> Double {
        if p <= 0 { return 0 }
        if p >= 1 { return .infinity }
        // P(a, x) ≤ x^a / Γ(a+1).
        let logGamma = logarithm(a)
        var low = exp((log(p) + logGamma + log(a)) / a)
        if low == 0 { return 0 }
        var high = Double.infinity
        let t = (-2 * log(min(p, 1 - p))).squareRoot()
        let deviate = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
        let root = 1 - 1 / (9 * a) + (p < 0.5 ? -deviate : deviate) / (3 * a.squareRoot())
        var x = max(low, root > 0 ? a * root * root * root : 0)
        for _ in 0..<200 {
            let miss = regularized(a, x).lower - p
            if miss > 0 { high = x } else { low = x }
            if abs(miss) < 1e-14 || high.isFinite && high - low <= 1e-14 * high { break }
            let newton = miss / exp((a - 1) * log(x) - x - logGamma)
            let step = newton / (1 - min(1, newton * ((a - 1) / x - 1)) / 2)
            let next = x - step
            // What is left after it goes with its third power.
            if abs(step) < 1e-6 * x { return next }
            x = next >= low && next <= high ? next : high == .infinity ? 2 * x : (low * high).squareRoot()
        }
        return x
    }
}

/// ∫ₓ^∞ e^{−t}/t dt and what stands on it.
package enum ExponentialIntegral {
    /// eˣ·E₁(x), x > 0, relative error below 1e-12: the series up to 1, the continued fraction beyond.
    /// Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 5.1.11, 5.1.22.
    package static func scaled(_ x: Double) -> Double {
        if !(x > 0) { return .infinity }
        if x <= 1 {
            var sum = -0.5772156649015329 - log(x)
            var term = -1.0
            for n in 1...40 {
                term *= -x / Double(n)
                sum += term / Double(n)
                if abs(term) < 1e-17 { break }
            }
            return exp(x) * sum
        }
        var b = x + 1
        var c = 1e300
        var d = 1 / b
        var fraction = d
        for i in 1..<1_000 {
            let an = -Double(i) * Double(i)
            b += 2
            d = 1 / (an * d + b)
            c = b + an / c
            let step = c * d
            fraction *= step
            if abs(step - 1) < 1e-15 { break }
        }
        return fraction
    }
}

/// The upper tail of the standard normal distribution, far out as well.
package enum NormalTail {
    /// 1 − Φ(z).
    package static func upper(_ z: Double) -> Double { 0.5 * erfc(z / 2.0.squareRoot()) }

    /// ln(1 − Φ(z)) for any z: finite where the probability itself has long become zero.
    ///
    /// Beyond z = 10 by the asymptotic series of Mills' ratio, whose error there is below 1e-8 of the logarithm.
    /// Source: DLMF 7.12.1.
    package static func logarithm(_ z: Double) -> Double {
        if z < 10 { return log(upper(z)) }
        let q = 1 / (z * z)
        return -z * z / 2 - log(z * (2 * Double.pi).squareRoot()) + log1p(-q * (1 - q * (3 - q * 15)))
    }
}
