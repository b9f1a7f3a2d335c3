import PlanningModel
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Failure rate")
struct FailureRateTests {
    @Test("Prior and observation add up")
    func posterior() {
        // Prior: 2 failures' worth of an MTBF of 10 h; then 3 failures in 5 h: 5 failures in 25 h.
        var rate = FailureRate(expectedMTBFSeconds: 36_000, pseudoFailures: 2)
        #expect(abs(rate.meanPerSecond - 1 / 36_000.0) < 1e-18)
        rate.observe(failures: 3, exposureSeconds: 18_000)
        #expect(abs(rate.meanPerSecond - 5 / 90_000.0) < 1e-16)
        #expect(abs(rate.standardErrorPerSecond - 5.0.squareRoot() / 90_000) < 1e-16)
        #expect(rate.failures == 3)
        #expect(rate.exposureSeconds == 18_000)
    }

    @Test("The credible interval is the gamma distribution's")
    func interval() {
        // Gamma(3, 3 h): quantiles 0.05 and 0.95 of Gamma(3, 1) are 0.81769145 and 6.29579362.
        let (low, high) = FailureRate(expectedMTBFSeconds: 3600, pseudoFailures: 3).credibleInterval(0.9)
        #expect(abs(low * 10_800 - 0.81769145) < 1e-7)
        #expect(abs(high * 10_800 - 6.29579362) < 1e-7)
    }

    @Test("Quiet time lowers the rate, and the true rate is found", arguments: 1...3)
    func learns(seed: UInt64) {
        var random = Seeded(seed)
        var rate = FailureRate(expectedMTBFSeconds: 1e6, pseudoFailures: 0.01)
        let before = rate.meanPerSecond
        rate.observe(failures: 0, exposureSeconds: 1000)
        #expect(rate.meanPerSecond < before)
        let truth = 1 / 500.0
        for _ in 0..<400 { rate.observe(failures: 1, exposureSeconds: random.exponential(rate: truth)) }
        // 400 failures leave a relative error of 1/20; the prior's 10,000 s at risk among 200,000 pull by 1/20 more.
        #expect(abs(rate.meanPerSecond - truth) < 4 * rate.standardErrorPerSecond + truth / 20, "seed \(seed)")
    }

    @Test("Nine of ten credible intervals hold the truth that the prior drew", arguments: 1...2)
    func calibrated(seed: UInt64) {
        var random = Seeded(seed)
        var held = 0
        let tries = 400
        for _ in 0..<tries {
            // A rate from the prior Gamma(2, 2000): the sum of two exponentials.
            let truth = (random.exponential(rate: 1) + random.exponential(rate: 1)) / 2000
            var rate = FailureRate(expectedMTBFSeconds: 1000, pseudoFailures: 2)
            var time = 0.0
            var failures = 0
            while true {
                time += random.exponential(rate: truth)
                if time > 4000 { break }
                failures += 1
            }
            rate.observe(failures: failures, exposureSeconds: 4000)
            let (low, high) = rate.credibleInterval(0.9)
            if low <= truth && truth <= high { held += 1 }
        }
        // 360 ± 3·√(400·0.9·0.1) = 360 ± 18.
        #expect(abs(held - 360) <= 18, "seed \(seed): \(held)")
    }
}

@Suite("Failure rate of which nothing is thought beforehand")
struct UnknownRateTests {
    /// ∫ λⁿ·λ^{k−1}e^{−λ(T + 600)} dλ from once a year on, by the trapezoidal rule in ln λ.
    private func integral(_ power: Int, _ failures: Int, _ time: Double, upTo limit: Double = 1) -> Double {
        let low = -log(365.25 * 86_400.0)
        let steps = 100_000
        let width = (log(limit) - low) / Double(steps)
        return (0...steps).reduce(0) { sum, step in
            let rate = exp(low + width * Double(step))
            let value = pow(rate, Double(power + failures)) * exp(-rate * (time + 600))
            return sum + (step == 0 || step == steps ? value / 2 : value)
        } * width
    }

    @Test("mean, error and quantiles are those of the density", arguments: [(0, 0.0), (0, 3e5), (0, 1e8), (1, 900), (3, 180), (7, 4e6), (2, 4e8)])
    func density(failures: Int, time: Double) {
        var rate = FailureRate()
        rate.observe(failures: failures, exposureSeconds: time)
        let whole = integral(0, failures, time)
        let mean = integral(1, failures, time) / whole
        #expect(abs(rate.meanPerSecond / mean - 1) < 1e-4, "\(1 / rate.meanPerSecond) s, \(1 / mean) s")
        let error = (integral(2, failures, time) / whole - mean * mean).squareRoot()
        #expect(abs(rate.standardErrorPerSecond / error - 1) < 1e-3)
        let (low, high) = rate.credibleInterval(0.9)
        #expect(abs(integral(0, failures, time, upTo: low) / whole - 0.05) < 1e-4)
        #expect(abs(integral(0, failures, time, upTo: high) / whole - 0.95) < 1e-4)
    }

    @Test("a node proves itself as time goes by, and failures count for more than what was not known")
    func proves() {
        var quiet = FailureRate()
        let before = 1 / quiet.meanPerSecond
        #expect(before > 3_600 && before < 4 * 3_600)
        quiet.observe(failures: 0, exposureSeconds: 30 * 86_400)
        #expect(1 / quiet.meanPerSecond > 60 * 86_400)
        var failing = FailureRate()
        failing.observe(failures: 50, exposureSeconds: 50 * 60)
        #expect(abs(1 / failing.meanPerSecond / 72 - 1) < 1e-9)
    }
}

@Suite("Fading mean")
struct FadingMeanTests {
    @Test("it is the recursive fit without inputs", arguments: UInt64(1)...3)
    func agrees(seed: UInt64) {
        var random = Seeded(seed)
        var fit = RecursiveFit(priorIntercept: 5, priorStandardError: 2)
        var mean = FadingMean()
        for _ in 0..<60 {
            let (a, b) = (fit.predict(), mean.predict(prior: 5, standardError: 2))
            #expect(abs(a.value / b.value - 1) < 1e-9 && abs(a.standardError / b.standardError - 1) < 1e-6)
            let value = 20 + random.exponential(rate: 1)
            fit.observe(value)
            mean.observe(value)
        }
        mean.observe(.nan)
        #expect(mean.observations == 60)
    }
}

@Suite("Recursive fit")
struct RecursiveFitTests {
    @Test("Until something is seen the prior answers, and says how little it knows")
    func prior() {
        let fit = RecursiveFit(priorIntercept: 2, priorSlopes: [0.01], typical: [100], priorStandardError: 1)
        let prediction = fit.predict([300])
        #expect(abs(prediction.value - 5) < 1e-9)
        #expect(prediction.standardError > 1)
        #expect(fit.predict([3000]).standardError > fit.predict([100]).standardError)
    }

    @Test("A line with noise is found, however wrong the prior", arguments: 1...4)
    func line(seed: UInt64) {
        var random = Seeded(seed)
        var fit = RecursiveFit(priorIntercept: 50, priorSlopes: [1e-6], typical: [1e8], priorStandardError: 20, memory: 0.98)
        for _ in 0..<120 {
            let bytes = random.uniform(1e7, 5e8)
            fit.observe([bytes], 0.4 + 2e-8 * bytes + 0.05 * random.normal())
        }
        #expect(abs(fit.intercept - 0.4) < 0.05, "seed \(seed)")
        #expect(abs(fit.slopes[0] - 2e-8) < 2e-10, "seed \(seed)")
        #expect(abs(fit.noise - 0.05) < 0.02, "seed \(seed)")
        let prediction = fit.predict([2e8])
        #expect(abs(prediction.value - 4.4) < 0.05)
        #expect(prediction.standardError > 0.03 && prediction.standardError < 0.08)
    }

    @Test("A default ten times off is all but gone after eight observations")
    func conservative() {
        var fit = RecursiveFit(priorIntercept: 10, priorStandardError: 5)
        for _ in 0..<8 { fit.observe(0.5) }
        // The prior's weight is 2⁻⁸ against 6.7: 0.5 + 9.5/256/6.7 = 0.5055.
        #expect(abs(fit.predict().value - 0.5055) < 0.001)
    }

    @Test("What changed is followed: the old is forgotten")
    func drift() {
        var fit = RecursiveFit(priorIntercept: 1, priorSlopes: [1], typical: [1], priorStandardError: 1, memory: 0.9)
        var random = Seeded(3)
        for _ in 0..<100 {
            let x = random.uniform(0, 2)
            fit.observe([x], 1 + x)
        }
        for _ in 0..<60 {
            let x = random.uniform(0, 2)
            fit.observe([x], 5 + 3 * x)
        }
        #expect(abs(fit.predict([1]).value - 8) < 0.1)
    }

    @Test("Inputs that never vary, a thousand times over, blow nothing up", arguments: [0.0, 1, 1e12])
    func noExcitation(x: Double) {
        var fit = RecursiveFit(priorIntercept: 1, priorSlopes: [1e-9, 0], typical: [1e8, 1], priorStandardError: 1)
        for _ in 0..<1000 { fit.observe([x, 0], 7) }
        let prediction = fit.predict([x, 0])
        #expect(abs(prediction.value - 7) < 0.01)
        #expect(prediction.standardError.isFinite && prediction.standardError < 0.5)
        #expect(fit.predict([2e8, 3]).value.isFinite)
        #expect(fit.predict([2e8, 3]).standardError.isFinite)
    }

    @Test("Nonsense is no observation; a prediction of a size is not negative")
    func robust() {
        var fit = RecursiveFit(priorIntercept: 1, priorSlopes: [0], typical: [1], priorStandardError: 1)
        fit.observe([.nan], 1)
        fit.observe([1], .infinity)
        #expect(fit.observations == 0)
        for x in 0..<20 { fit.observe([Double(x)], 20 - Double(x)) }
        #expect(fit.predict([100]).value < 0)
        #expect(fit.predictNonNegative([100]).value == 0)
    }

    @Test("One standard error holds two thirds of what comes, two hold nineteen of twenty", arguments: 1...3)
    func calibrated(seed: UInt64) {
        var random = Seeded(seed)
        var fit = RecursiveFit(priorIntercept: 0, priorSlopes: [1], typical: [2], priorStandardError: 1, memory: 0.97)
        var within = (one: 0, two: 0)
        for step in 0..<600 {
            let x = random.uniform(1, 3)
            let y = 3 + 2 * x + 0.3 * random.normal()
            if step >= 100 {
                let prediction = fit.predict([x])
                if abs(y - prediction.value) < prediction.standardError { within.one += 1 }
                if abs(y - prediction.value) < 2 * prediction.standardError { within.two += 1 }
            }
            fit.observe([x], y)
        }
        // 500 tries: 341 ± 3·10 and 477 ± 3·5, a little more where the error is rounded up.
        #expect(within.one > 305 && within.one < 390, "seed \(seed): \(within)")
        #expect(within.two > 460, "seed \(seed): \(within)")
    }
}

@Suite("Compression")
struct CompressionTests {
    @Test("Equation 1, one after the other and overlapped")
    func equation() {
        // 1 GB at ratio 0.4; compress 200 MB/s: 5 s; upload 100 MB/s: 4 s compressed, 10 s as it is.
        let sequential = Compression.weigh(form: .sequential, bytes: 1e9, ratio: 0.4, compressBytesPerSecond: 2e8, uploadBytesPerSecond: 1e8)
        #expect(sequential.compressedSeconds == 9)
        #expect(sequential.uncompressedSeconds == 10)
        #expect(sequential.pays)
        let pipelined = Compression.weigh(form: .pipelined, bytes: 1e9, ratio: 0.4, compressBytesPerSecond: 2e8, uploadBytesPerSecond: 1e8)
        #expect(pipelined.compressedSeconds == 5)
        // A link of 125 MB/s: 5 + 3.2 against 8 no longer pays in sequence, still pays overlapped.
        #expect(!Compression.weigh(form: .sequential, bytes: 1e9, ratio: 0.4, compressBytesPerSecond: 2e8, uploadBytesPerSecond: 1.25e8).pays)
        #expect(Compression.weigh(form: .pipelined, bytes: 1e9, ratio: 0.4, compressBytesPerSecond: 2e8, uploadBytesPerSecond: 1.25e8).pays)
    }

    @Test("What takes equally long does not pay")
    func tie() {
        #expect(!Compression.weigh(form: .sequential, compressSeconds: 2, uploadCompressedSeconds: 3, uploadUncompressedSeconds: 5).pays)
        #expect(!Compression.weigh(form: .pipelined, compressSeconds: 5, uploadCompressedSeconds: 3, uploadUncompressedSeconds: 5).pays)
    }
}

@Suite("Phi accrual")
struct PhiAccrualTests {
    func regular(_ interval: Double, _ count: Int, pause: Double = 0) -> PhiAccrual {
        var detector = PhiAccrual(expectedIntervalSeconds: interval, minimumDeviationSeconds: 0.1, acceptablePauseSeconds: pause, window: 50)
        for index in 0...count { detector.heartbeat(atSeconds: Double(index) * interval) }
        return detector
    }

    @Test("φ is −log₁₀ of the normal tail")
    func values() {
        let detector = regular(1, 200)
        // Mean 1, deviation at its least 0.1: at the mean 1 − Φ(0) = ½, φ = 0.30103; 3 deviations: −log₁₀ 0.0013499 = 2.8697.
        #expect(abs(detector.phi(atSeconds: 201) - 0.30103) < 1e-4)
        #expect(abs(detector.phi(atSeconds: 201.3) - 2.8697) < 1e-3)
        // 40 deviations: 804.608/2.302585 = 349.44, where the tail itself is below the smallest number.
        #expect(abs(detector.phi(atSeconds: 205) - 349.437) < 0.01)
        #expect(detector.phi(atSeconds: 1e9).isFinite)
    }

    @Test("An acceptable pause comes off the silence; nothing is suspected before the first heartbeat")
    func pause() {
        #expect(abs(regular(1, 200, pause: 2).phi(atSeconds: 203.3) - 2.8697) < 1e-3)
        let fresh = PhiAccrual(expectedIntervalSeconds: 1, minimumDeviationSeconds: 0.1, acceptablePauseSeconds: 0)
        #expect(fresh.phi(atSeconds: 1e6) == 0)
    }

    @Test("Suspicion never falls as silence goes on, and an irregular node is suspected later", arguments: 1...3)
    func monotone(seed: UInt64) {
        var random = Seeded(seed)
        var irregular = PhiAccrual(expectedIntervalSeconds: 1, minimumDeviationSeconds: 0.05, acceptablePauseSeconds: 0, window: 100)
        var now = 0.0
        for _ in 0..<300 {
            now += random.uniform(0.5, 1.5)
            irregular.heartbeat(atSeconds: now)
        }
        var before = 0.0
        for step in 0..<2000 {
            let phi = irregular.phi(atSeconds: now + Double(step) * 0.01)
            #expect(phi >= before - 1e-12, "seed \(seed)")
            before = phi
        }
        #expect(regular(1, 200).silenceSeconds(reaching: 8) < irregular.silenceSeconds(reaching: 8))
        #expect(abs(irregular.phi(atSeconds: now + irregular.silenceSeconds(reaching: 8)) - 8) < 1e-6)
    }

    @Test("The old is forgotten, repeats are no news, and the watcher's own absence is not held against the node")
    func window() {
        var detector = regular(1, 200)
        let last = 200.0
        detector.heartbeat(atSeconds: last)
        detector.heartbeat(atSeconds: last - 5)
        #expect(detector.lastHeartbeatSeconds == last)
        for index in 1...50 { detector.heartbeat(atSeconds: last + 3 * Double(index)) }
        #expect(abs(detector.meanIntervalSeconds - 3) < 1e-9)
        let end = last + 150
        #expect(detector.phi(atSeconds: end + 100) > 8)
        detector.resume(atSeconds: end + 100)
        #expect(detector.phi(atSeconds: end + 101) < 1)
        #expect(abs(detector.meanIntervalSeconds - 3) < 1e-9)
    }
}
