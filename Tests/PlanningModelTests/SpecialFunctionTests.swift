import PlanningModel
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Reference values: mpmath 1.3 with 30 digits.
@Suite("Special functions")
struct SpecialFunctionTests {
    @Test(
        "W₀ has the reference values",
        arguments: [
            (-0.3678, -0.9793607149578285), (-0.36, -0.8060843159708178), (-0.3, -0.489402227180215), (-0.1, -0.111832559158963),
            (1e-9, 9.99999999e-10), (0.5, 0.3517337112491958), (1.0, 0.5671432904097839), (2.5, 0.9585863567287029), (10.0, 1.745528002740699),
            (1e6, 11.38335808614005), (1e300, 684.2472086297608),
        ])
    func lambert(z: Double, w: Double) {
        #expect(abs(LambertW.principal(z) - w) < 1e-12 * max(abs(w), 1e-3))
    }

    @Test("W₀ ends at the branch point, and grows without end")
    func lambertEnds() {
        #expect(abs(LambertW.principal(-exp(-1)) + 1) < 1e-7)
        #expect(LambertW.principal(-0.4).isNaN)
        #expect(LambertW.principal(0) == 0)
        #expect(LambertW.principal(.infinity) == .infinity)
    }

    @Test("W₀(z)·e^{W₀(z)} is z again", arguments: 1...4)
    func lambertInverts(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<500 {
            let z = random.share() < 0.5 ? random.uniform(-0.3678, 1) : random.logUniform(1e-12, 1e12)
            let w = LambertW.principal(z)
            #expect(abs(w * exp(w) - z) <= 1e-12 * max(abs(z), 1e-12), "seed \(seed), z \(z)")
        }
    }

    @Test(
        "1 + W₀ beside the branch point keeps its digits where W₀ itself loses them",
        arguments: [
            (1e-12, 1.414212895706507e-6), (1e-6, 0.001413546974288665), (0.003, 0.07547271083433421), (1.0 / 3.0, 0.6111001880623801),
            (2.0, 0.9475309025422851), (50.0, 1.0),
        ])
    func branch(x: Double, u: Double) {
        #expect(abs(LambertW.onePlusPrincipalOfBranch(x) - u) < 1e-9 * u)
    }

    @Test(
        "The incomplete gamma function has the reference values on both sides",
        arguments: [
            (0.5, 0.3, 0.561421973919, 0.438578026081), (3.0, 2.5, 0.45618688411667, 0.54381311588333),
            (3.0, 20.0, 0.99999954448505, 4.5551495055892e-7),
            (50.0, 40.0, 0.070335066659395, 0.92966493334061), (1000.0, 1100.0, 0.99894067674607, 0.00105932325393),
            (1e-3, 1e-2, 0.99596940303351, 0.0040305969664868), (0.2, 8.0, 0.9999873041508, 1.2695849195864e-5),
        ])
    func gamma(a: Double, x: Double, lower: Double, upper: Double) {
        let found = GammaFunction.regularized(a, x)
        #expect(abs(found.lower - lower) < 1e-10)
        #expect(abs(found.upper - upper) < max(1e-10 * upper, 2e-13))
    }

    @Test("Far out it stays between 0 and 1, and a huge shape is a normal distribution")
    func gammaEnds() {
        #expect(abs(GammaFunction.regularized(2e5, 200_500).lower - 0.86818422325472) < 1e-7)
        #expect(GammaFunction.regularized(5, 0).lower == 0)
        #expect(GammaFunction.regularized(5, -1).upper == 1)
        #expect(GammaFunction.regularized(5, .infinity).lower == 1)
        #expect(GammaFunction.regularized(5, 1e5).upper == 0)
        #expect(GammaFunction.regularized(1e-8, 1e-3).lower > 0.9999)
    }

    @Test("Quantiles invert the distribution", arguments: [0.01, 0.3, 1, 3, 40, 250, 5000])
    func gammaQuantile(a: Double) {
        for p in [1e-6, 0.01, 0.05, 0.5, 0.9, 0.99, 0.9999] {
            let x = GammaFunction.inverseLower(a, p)
            // With a tiny shape the quantile can lie below the smallest number there is.
            if x > 0 { #expect(abs(GammaFunction.regularized(a, x).lower - p) < 1e-9 * max(p, 1e-2), "a \(a), p \(p)") }
        }
        #expect(GammaFunction.inverseLower(a, 0) == 0)
        #expect(GammaFunction.inverseLower(a, 1) == .infinity)
    }

    @Test(
        "The normal tail's logarithm goes on where the tail itself is zero",
        arguments: [(0.0, -0.69314718055995), (3.0, -6.6077262215103), (9.0, -43.628149113332), (12.0, -75.410673001569), (40.0, -804.60844201375)])
    func normalTail(z: Double, logarithm: Double) {
        #expect(abs(NormalTail.logarithm(z) - logarithm) < 1e-7 * abs(logarithm))
    }
}

@Suite("Exponential integral")
struct ExponentialIntegralTests {
    /// Source: Abramowitz & Stegun, Handbook of Mathematical Functions, tables 5.1 and 5.2.
    @Test("published values", arguments: [(0.5, 0.5597735948), (1, 0.2193839344), (2, 0.0489005107), (10, 4.156968930e-6)])
    func published(x: Double, value: Double) {
        #expect(abs(ExponentialIntegral.scaled(x) * exp(-x) / value - 1) < 1e-8)
    }

    @Test("it goes on smoothly from the series to the fraction, and far out like 1/x")
    func ends() {
        #expect(abs(ExponentialIntegral.scaled(1) / ExponentialIntegral.scaled(1 + 1e-12) - 1) < 1e-10)
        #expect(abs(ExponentialIntegral.scaled(1e6) * 1e6 - 1) < 1e-5)
    }
}
