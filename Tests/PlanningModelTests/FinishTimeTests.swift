import PlanningModel
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Finish time")
struct FinishTimeTests {
    /// Forty segments of 60 s of work and 5 s of checkpoint, 15 s to recover, M = 360 s.
    let golden = SegmentRun(Segment(lengthSeconds: 65, recoverySeconds: 15, failureRatePerSecond: 1 / 360.0), count: 40)

    static func draw(_ runs: [SegmentRun], _ random: inout Seeded) -> Double {
        var time = 0.0
        for run in runs {
            let segment = run.segment
            for _ in 0..<Int(run.count) {
                while true {
                    let tried = random.exponential(rate: segment.failureRatePerSecond)
                    if tried >= segment.lengthSeconds { break }
                    time += tried
                    while true {
                        let recovered = random.exponential(rate: segment.failureRatePerSecond)
                        if recovered >= segment.recoverySeconds { break }
                        time += recovered
                    }
                    time += segment.recoverySeconds
                }
                time += segment.lengthSeconds
            }
        }
        return time
    }

    @Test("The published case: mean 2970.5, variance about 23,600, P(T ≤ 3400) 0.992 where a normal has 0.997")
    func published() {
        let finish = FinishTimeDistribution([golden])
        // 40 · 74.2687 = 2970.75 and 40 · 590.25 = 23610; the published numbers come from a simulation.
        #expect(abs(finish.meanSeconds - 2970.75) < 0.01)
        #expect(abs(finish.varianceSquareSeconds - 23_610) < 1)
        #expect(abs(finish.probability(by: 3400) - 0.992) < 0.001)
        let normal = 1 - NormalTail.upper((3400 - finish.meanSeconds) / finish.standardDeviationSeconds)
        #expect(abs(normal - 0.997) < 0.001)

        let seed: UInt64 = 40
        var random = Seeded(seed)
        let sample = Sample((0..<(20_000 * thoroughness)).map { _ in Self.draw([golden], &random) })
        #expect(abs(finish.meanSeconds - sample.mean) < 3 * sample.meanError, "seed \(seed)")
        #expect(abs(finish.varianceSquareSeconds - sample.variance) < 3 * sample.varianceError, "seed \(seed)")
        #expect(abs(finish.probability(by: 3400) - sample.share(by: 3400)) < 0.002, "seed \(seed)")
    }

    /// K, λs, R/s: one heap and many, short recoveries and long ones.
    static let grid: [(Double, Double, Double)] = [
        (1, 0.05, 0.1), (1, 0.5, 2), (1, 2, 0.5), (2, 0.2, 2), (3, 0.5, 0.5), (3, 0.2, 0), (5, 0.2, 2), (10, 0.05, 2), (10, 0.5, 0.1), (10, 1, 1),
        (40, 0.01, 2), (40, 0.2, 0.5),
    ]
    static let wideGrid: [(Double, Double, Double)] = {
        var all: [(Double, Double, Double)] = []
        for count in [1.0, 2, 3, 5, 10, 40, 200] {
            for exponent in [0.01, 0.05, 0.2, 0.5, 1, 2] where count * expm1(exponent) < 260 {
                for recovery in [0, 0.1, 0.5, 2] { all.append((count, exponent, recovery)) }
            }
        }
        return all
    }()

    @Test("The whole grid against the inverted Laplace transform: within 0.01 between 0.5 and 0.999", arguments: [1.0, 2, 3, 5, 10, 40, 200])
    func exact(segments: Double) {
        var worst = (miss: 0.0, named: "")
        for (count, exponent, recovery) in Self.wideGrid where count == segments {
            let run = SegmentRun(
                Segment(lengthSeconds: 100, recoverySeconds: 100 * recovery, failureRatePerSecond: exponent / 100), count: count)
            let finish = FinishTimeDistribution([run])
            for step in 0...12 {
                let share = 1 - 0.5 * pow(0.002, Double(step) / 12)
                let time = finish.quantile(share)
                guard time > finish.minimumSeconds * (1 + 1e-9) else { continue }
                let miss = abs(finish.probability(beyond: time) - ExactFinish(run: run).probability(beyond: time))
                if miss > worst.miss { worst = (miss, "λs \(exponent), R/s \(recovery), at \(share)") }
            }
        }
        if thoroughness > 1 { print("finish time: K \(segments): worst \(worst.miss): \(worst.named)") }
        #expect(worst.miss < 0.01, "K \(segments): \(worst.named)")
    }

    @Test("The inversion itself agrees with simulation", arguments: Array([(1.0, 0.5, 2.0), (3, 0.5, 0.5), (40, 0.2, 0.5)].enumerated()))
    func inversion(index: Int, numbers: (Double, Double, Double)) {
        let (count, exponent, recovery) = numbers
        let run = SegmentRun(Segment(lengthSeconds: 100, recoverySeconds: 100 * recovery, failureRatePerSecond: exponent / 100), count: count)
        let seed = UInt64(60 + index)
        var random = Seeded(seed)
        let size = 40_000
        let sample = Sample((0..<size).map { _ in Self.draw([run], &random) })
        for share in [0.7, 0.9, 0.97, 0.99, 0.999] {
            let time = sample.quantile(share)
            let seen = 1 - sample.share(by: time)
            let error = (seen * (1 - seen) / Double(size)).squareRoot()
            #expect(abs(ExactFinish(run: run).probability(beyond: time) - seen) < 4 * error + 2e-4, "seed \(seed), K \(count) at \(share)")
        }
    }

    @Test("P(T ≤ t) is within 0.01 of simulation between 0.5 and 0.999", arguments: Array((thoroughness == 1 ? grid : wideGrid).enumerated()))
    func accuracy(index: Int, numbers: (Double, Double, Double)) {
        let (count, exponent, recovery) = numbers
        let runs = [SegmentRun(Segment(lengthSeconds: 100, recoverySeconds: 100 * recovery, failureRatePerSecond: exponent / 100), count: count)]
        let seed = UInt64(100 + index)
        compare(runs, seed, "K \(count), λs \(exponent), R/s \(recovery)")
    }

    private func compare(_ runs: [SegmentRun], _ seed: UInt64, _ named: String) {
        let finish = FinishTimeDistribution(runs)
        var random = Seeded(seed)
        let sample = Sample((0..<(30_000 * min(10, thoroughness))).map { _ in Self.draw(runs, &random) })
        #expect(abs(finish.meanSeconds - sample.mean) < 4 * sample.meanError + 1e-9, "seed \(seed)")
        var worst = 0.0
        var at = 0.0
        for step in 0...40 {
            let share = 1 - 0.5 * pow(0.002, Double(step) / 40)
            let time = sample.quantile(share)
            let miss = abs(finish.probability(by: time) - sample.share(by: time))
            if miss > worst { (worst, at) = (miss, share) }
        }
        if thoroughness > 1 { print("finish time: \(named): worst \(worst) at \(at)") }
        #expect(worst < 0.01, "\(named): at \(at); seed \(seed)")
    }

    @Test("Segments of different kinds: unsaved work, latency, a last one without a checkpoint", arguments: 1...UInt64(6 * thoroughness))
    func mixed(seed: UInt64) {
        var random = Seeded(seed)
        let work = random.logUniform(100, 5000)
        let outlook = Outlook(
            workSeconds: work, unsavedSeconds: random.uniform(0, work / 3), failureRatePerSecond: 1 / random.logUniform(work / 5, work * 5))
        let stop = random.logUniform(0.1, 10)
        let option = CheckpointOption(
            name: "o", stopSeconds: stop, latencySeconds: stop + random.uniform(0, work / 20), recoverySeconds: random.logUniform(1, work / 5))
        let plan = CheckpointPlan(outlook: outlook, option: option, intervalSeconds: work / random.uniform(1.2, 9))
        compare([plan.first, plan.middle, plan.last], seed, "\(outlook), \(plan.checkpoints) checkpoints")
    }

    @Test("Lateness is the area above the distribution", arguments: [(1.0, 0.3, 0.5), (4.0, 0.2, 1.0), (40.0, 0.18, 0.2), (300.0, 0.5, 0.1)])
    func lateness(count: Double, exponent: Double, recovery: Double) {
        let finish = FinishTimeDistribution([
            SegmentRun(Segment(lengthSeconds: 60, recoverySeconds: 60 * recovery, failureRatePerSecond: exponent / 60), count: count)
        ])
        #expect(abs(finish.expectedLateness(after: -100) - finish.meanSeconds - 100) < 1e-9)
        for probability in [0.3, 0.8, 0.97] {
            let from = finish.quantile(probability)
            // ∫P(T > t)dt from there to where nothing is left, by the midpoint rule.
            let end = finish.quantile(1 - 1e-9)
            let step = (end - from) / 4000
            var area = 0.0
            for index in 0..<4000 { area += step * finish.probability(beyond: from + (Double(index) + 0.5) * step) }
            #expect(abs(finish.expectedLateness(after: from) - area) < 2e-3 * area + 1e-6)
        }
    }

    @Test("Quantiles invert the distribution; it never falls", arguments: 1...4)
    func quantiles(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<20 {
            let length = random.logUniform(1, 1e4)
            let run = SegmentRun(
                Segment(
                    lengthSeconds: length, recoverySeconds: length * random.uniform(0, 3), failureRatePerSecond: random.logUniform(1e-4, 1) / length),
                count: random.logUniform(1, 100).rounded())
            let finish = FinishTimeDistribution([run])
            var before = 0.0
            for probability in [0.05, 0.5, 0.9, 0.99, 0.999] {
                let time = finish.quantile(probability)
                #expect(time >= before, "seed \(seed)")
                before = time
                #expect(finish.probability(by: time) >= probability - 1e-6, "seed \(seed), \(run)")
                if time > finish.minimumSeconds { #expect(finish.probability(by: time * (1 - 1e-6)) <= probability + 1e-3, "seed \(seed), \(run)") }
            }
        }
    }

    @Test("The bound on a late finish is never below what it bounds, and says that far deadlines are sure", arguments: 1...4)
    func tailBound(seed: UInt64) {
        var random = Seeded(seed)
        var sure = 0
        for _ in 0..<60 {
            let length = random.logUniform(1, 1e4)
            let rate = random.logUniform(1e-5, 0.5) / length
            let runs = (0..<3).map { _ in
                SegmentRun(
                    Segment(
                        lengthSeconds: length * random.uniform(0.2, 1), recoverySeconds: length * random.uniform(0, 2), failureRatePerSecond: rate),
                    count: random.logUniform(1, 100).rounded())
            }
            let finish = FinishTimeDistribution(runs)
            for deviations in [0.1, 1, 3, 10, 100, 1000] {
                let time = finish.meanSeconds + deviations * finish.standardDeviationSeconds
                let bound = TailBound.logProbability(runs, beyond: time)
                // The mixture's own tail is no exact one far out.
                let late = finish.probability(beyond: time)
                #expect(bound <= 0 && (late < 1e-4 || bound >= log(late)), "seed \(seed), \(runs), \(deviations): \(bound), \(late)")
                if bound < -46 {
                    sure += 1
                    #expect(late < 1e-9, "seed \(seed), \(runs), \(deviations): \(late)")
                }
            }
            #expect(TailBound.logProbability(runs, beyond: finish.minimumSeconds) == 0)
        }
        #expect(sure > 60)
    }

    @Test("A crossing is found through steps and flat stretches", arguments: [1e-9, 0.1, 0.3, 0.499, 0.5, 0.7, 0.999])
    func crossing(level: Double) {
        // Heaps at 2, 5 and 9, each after a flat stretch.
        func beyond(_ x: Double) -> Double { x < 2 ? 1 : x < 5 ? 0.7 - 0.01 * (x - 2) : x < 9 ? 0.5 - 0.05 * (x - 5) : 0.3 * exp(9 - x) }
        var asked = 0
        let found = Search.crossing(from: 0, to: 60, within: 1e-9) { x in
            asked += 1
            return beyond(x) - level
        }
        #expect(beyond(found) <= level)
        #expect(beyond(found - 2e-9) >= level)
        #expect(asked < 80)
    }

    @Test("What cannot fail is certain")
    func certain() {
        let finish = FinishTimeDistribution.certain(seconds: 100)
        #expect(finish.probability(by: 99.9) == 0)
        #expect(finish.probability(by: 100) == 1)
        #expect(finish.quantile(0.999) == 100)
        #expect(finish.expectedLateness(after: 60) == 40)
        #expect(finish.expectedLateness(after: 160) == 0)
        #expect(finish.standardDeviationSeconds == 0)
    }
}
