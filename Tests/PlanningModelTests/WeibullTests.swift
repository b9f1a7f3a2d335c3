import PlanningModel
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Weibull lifetimes")
struct WeibullTests {
    static func lives(failed: [Double], censored: [Double] = []) -> [Lifetime] {
        failed.map { Lifetime(seconds: $0, failed: true) } + censored.map { Lifetime(seconds: $0, failed: false) }
    }

    @Test("Published: ten of twenty units failed (NIST/SEMATECH e-Handbook, 8.4.1.3)")
    func handbook() throws {
        let fit = try #require(
            WeibullFit(
                Self.lives(failed: [54, 187, 216, 240, 244, 335, 361, 373, 375, 386], censored: [Double](repeating: 500, count: 10))))
        #expect(abs(fit.scaleSeconds / 606.5280 - 1) < 1e-5)
        #expect(abs(fit.shape - 1.7208) < 5e-5)
        #expect(abs(fit.logLikelihood - -75.135) < 5e-4)
        #expect(abs(fit.meanSeconds / 540.737 - 1) < 1e-5)
        #expect(fit.failures == 10 && fit.lives == 20)
    }

    @Test("Published: 23 ball bearings, all failed (Lieblein & Zelen 1956; Lawless, 2nd edition, example 5.2.1: 81.88 and 2.10)")
    func bearings() throws {
        let fit = try #require(
            WeibullFit(
                Self.lives(failed: [
                    17.88, 28.92, 33.00, 41.52, 42.12, 45.60, 48.48, 51.84, 51.96, 54.12, 55.56, 67.80, 68.64, 68.64, 68.88, 84.12, 93.12, 98.64,
                    105.12, 105.84, 127.92, 128.04, 173.40,
                ])))
        #expect(abs(fit.scaleSeconds - 81.878) < 5e-4)
        #expect(abs(fit.shape - 2.1021) < 5e-5)
        #expect(abs(fit.logLikelihood - -113.691) < 5e-4)
    }

    @Test("Published: 26 patients, 14 censored (Edmunson 1979; survreg of R's survival package: 7.111 ± 0.293, −0.103 ± 0.254)")
    func ovarian() throws {
        let fit = try #require(
            WeibullFit(
                Self.lives(
                    failed: [59, 115, 156, 268, 329, 353, 365, 431, 464, 475, 563, 638],
                    censored: [377, 421, 448, 477, 744, 769, 770, 803, 855, 1040, 1106, 1129, 1206, 1227])))
        #expect(abs(log(fit.scaleSeconds) - 7.111) < 5e-4)
        #expect(abs(-log(fit.shape) - -0.103) < 5e-4)
        #expect(abs(fit.scaleStandardErrorSeconds / fit.scaleSeconds - 0.293) < 5e-4)
        #expect(abs(fit.shapeStandardError / fit.shape - 0.254) < 5e-4)
        #expect(abs(fit.logLikelihood - -97.954) < 5e-4)
        // Its exponential fit: −98.032. Twice the difference is 0.157, and √12 is what the second parameter is charged.
        #expect(abs(fit.likelihoodRatio - 0.1566) < 1e-3)
        #expect(abs(fit.weightAgainstExponential - 1 / (1 + 12.0.squareRoot() * exp(-0.0783))) < 1e-3)
    }

    @Test("What determines no shape gives none")
    func none() {
        #expect(WeibullFit([]) == nil)
        #expect(WeibullFit(Self.lives(failed: [10], censored: [20, 30])) == nil)
        // All at one time: ever steeper is ever better.
        #expect(WeibullFit(Self.lives(failed: [50, 50, 50])) == nil)
    }

    static func draw(_ shape: Double, _ scale: Double, _ random: inout Seeded) -> Double { scale * pow(random.exponential(rate: 1), 1 / shape) }

    /// The truth within its standard errors, and the largest likelihood of all.
    static func expect(_ fit: WeibullFit, of lives: [Lifetime], shape: Double, scale: Double, _ seed: UInt64) {
        // Of ln k and ln η, whose errors are nearly normal.
        #expect(abs(log(fit.shape / shape)) < 3.5 * fit.shapeStandardError / fit.shape, "seed \(seed)")
        #expect(abs(log(fit.scaleSeconds / scale)) < 3.5 * fit.scaleStandardErrorSeconds / fit.scaleSeconds, "seed \(seed)")
        func logLikelihood(_ k: Double, _ eta: Double) -> Double {
            lives.reduce(0) { sum, life in
                let ratio = life.seconds / eta
                return sum - pow(ratio, k) + pow(life.seenFrom / eta, k) + (life.failed ? log(k / eta) + (k - 1) * log(ratio) : 0)
            }
        }
        #expect(abs(logLikelihood(fit.shape, fit.scaleSeconds) - fit.logLikelihood) < 1e-6 * abs(fit.logLikelihood), "seed \(seed)")
        for (k, eta) in [(1.02, 1.0), (0.98, 1), (1, 1.02), (1, 0.98)] {
            #expect(logLikelihood(fit.shape * k, fit.scaleSeconds * eta) < fit.logLikelihood, "seed \(seed)")
        }
    }

    @Test("The truth is found within its standard errors, censored or not", arguments: [0.5, 0.7, 1, 1.6], 1...UInt64(3 * thoroughness))
    func finds(shape: Double, seed: UInt64) throws {
        var random = Seeded(seed)
        let scale = 40_000.0
        let lives = (0..<300).map { _ in
            let life = Self.draw(shape, scale, &random)
            let end = random.uniform(0, 3 * scale)
            return Lifetime(seconds: min(life, end), failed: life <= end)
        }
        let fit = try #require(WeibullFit(lives))
        Self.expect(fit, of: lives, shape: shape, scale: scale, seed)
        if shape <= 0.7 { #expect(fit.weightAgainstExponential > 0.99, "seed \(seed)") }
    }

    @Test("The truth is found in lives that were seen from some age on, and not if that age is left out", arguments: 1...UInt64(3 * thoroughness))
    func delayed(seed: UInt64) throws {
        var random = Seeded(seed)
        // So long that lives of less than a second are none.
        let (shape, scale) = (0.5, 1e7)
        // Nodes that have failed and been repaired for a long time are seen for a while.
        var lives: [Lifetime] = []
        for _ in 0..<400 {
            var begin = -20 * scale - random.uniform(0, scale)
            while begin < 2 * scale {
                let end = begin + Self.draw(shape, scale, &random)
                if end > 0 {
                    let from = max(0, -begin)
                    lives.append(Lifetime(seconds: min(end, 2 * scale) - begin, failed: end <= 2 * scale, seenFrom: from))
                }
                begin = end
            }
        }
        let fit = try #require(WeibullFit(lives))
        Self.expect(fit, of: lives, shape: shape, scale: scale, seed)
        let asNew = try #require(WeibullFit(lives.map { Lifetime(seconds: $0.seconds - $0.seenFrom, failed: $0.failed) }))
        #expect(abs(log(asNew.scaleSeconds / scale)) > 5 * asNew.scaleStandardErrorSeconds / asNew.scaleSeconds, "seed \(seed)")
    }

    @Test("Exponential lives are seldom taken for something else")
    func exponential() throws {
        var random = Seeded(11)
        var taken = 0
        for _ in 0..<200 {
            let lives = (0..<30).map { _ in Lifetime(seconds: 1000 * random.exponential(rate: 1), failed: true) }
            if try #require(WeibullFit(lives)).weightAgainstExponential > 0.5 { taken += 1 }
        }
        // Where LR > ln 30 = 3.4: 6.5 of a hundred, 13 ± 3.5 of 200.
        #expect(taken <= 24)
    }

    @Test("The hazard in force falls with age where the shape is below 1, and is 1/η throughout where it is 1")
    func hazard() throws {
        // k = ½ and η = 100 would give H(t) = √(t/100): between 0 and 100 1 failure, between 100 and 400 another one.
        var random = Seeded(5)
        let lives = (0..<4000).map { _ in Lifetime(seconds: Self.draw(0.5, 1e5, &random), failed: true) }
        let fit = try #require(WeibullFit(lives))
        let young = fit.rate(age: 0, over: 1e5)
        #expect(abs(young.perSecond * 1e5 - 1) < 0.1)
        let old = fit.rate(age: 1e5, over: 3e5)
        #expect(abs(old.perSecond * 3e5 - 1) < 0.1)
        #expect(young.standardError > 0 && young.standardError < 0.1 * young.perSecond)
        // The error is what the estimates of many such samples spread by.
        var rates: [Double] = []
        var errors: [Double] = []
        for _ in 0..<100 {
            let sample = (0..<60).map { _ in Lifetime(seconds: Self.draw(0.6, 1000, &random), failed: random.share() < 0.8) }
            guard let fit = WeibullFit(sample) else { continue }
            let rate = fit.rate(age: 50, over: 100)
            rates.append(rate.perSecond)
            errors.append(rate.standardError)
        }
        let spread = Sample(rates).variance.squareRoot()
        let told = Sample(errors).mean
        #expect(abs(told / spread - 1) < 0.35, "\(told) told, \(spread) seen")
    }
}
