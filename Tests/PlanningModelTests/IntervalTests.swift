import PlanningModel
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Closed-form intervals")
struct IntervalTests {
    /// C = 5 min; M = 24 h, 6 h, 15 min.
    @Test(
        "Published values, in minutes, to every digit given",
        arguments: [(1440.0, 116.690, 116.690), (360.0, 56.713, 56.714), (15.0, 9.141, 9.1665)])
    func golden(mtbfMinutes: Double, daly: Double, exact: Double) {
        let rate = 1 / (mtbfMinutes * 60)
        #expect(abs(Interval.daly(stopSeconds: 300, failureRatePerSecond: rate) / 60 - daly) < 0.0005)
        #expect(abs(Interval.exact(stopSeconds: 300, failureRatePerSecond: rate) / 60 - exact) < 0.0005)
        // √(2·5·M), by hand.
        #expect(abs(Interval.young(stopSeconds: 300, failureRatePerSecond: rate) / 60 - (10 * mtbfMinutes).squareRoot()) < 1e-9)
    }

    /// The same cases, √(10·1440) = 120, √3600 = 60, √150 = 12.2474 min.
    @Test("Young's values to every digit", arguments: [(1440.0, 120.0), (360.0, 60.0), (15.0, 12.2474)])
    func young(mtbfMinutes: Double, interval: Double) {
        #expect(abs(Interval.young(stopSeconds: 300, failureRatePerSecond: 1 / (mtbfMinutes * 60)) / 60 - interval) < 0.0001)
    }

    @Test("Daly's estimate is the MTBF itself where a checkpoint takes two of them")
    func dalyAboveTwo() {
        #expect(Interval.daly(stopSeconds: 200, failureRatePerSecond: 0.01) == 100)
        #expect(Interval.daly(stopSeconds: 900, failureRatePerSecond: 0.01) == 100)
    }

    @Test("A node that never fails needs no checkpoint")
    func noFailures() {
        #expect(Interval.young(stopSeconds: 5, failureRatePerSecond: 0) == .infinity)
        #expect(Interval.daly(stopSeconds: 5, failureRatePerSecond: 0) == .infinity)
        #expect(Interval.exact(stopSeconds: 5, failureRatePerSecond: 0) == .infinity)
        #expect(Interval.segments(workSeconds: 1e6, stopSeconds: 5, failureRatePerSecond: 0) == 1)
    }

    @Test("All three agree where checkpoints are cheap, and the exact one lies below Young's", arguments: 1...3)
    func agree(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<200 {
            let mtbf = random.logUniform(60, 1e7)
            let stop = mtbf * random.logUniform(1e-9, 1e-3)
            let exact = Interval.exact(stopSeconds: stop, failureRatePerSecond: 1 / mtbf)
            #expect(abs(Interval.daly(stopSeconds: stop, failureRatePerSecond: 1 / mtbf) / exact - 1) < 1e-5, "seed \(seed)")
            let young = Interval.young(stopSeconds: stop, failureRatePerSecond: 1 / mtbf)
            #expect(exact <= young && exact > young * 0.98, "seed \(seed)")
        }
    }

    @Test("Finite work: a short task on a reliable node never, on a failing one sometimes")
    func segments() {
        // Two minutes, C = 5 s. M = 24 h: τ* ≈ √(2·5·86400) = 930 s, longer than the task.
        #expect(Interval.segments(workSeconds: 120, stopSeconds: 5, failureRatePerSecond: 1 / 86_400.0) == 1)
        // M = 3 min: τ* = 180·u with u + ln(1 − u) = −1/36, about 40 s: three segments of 40 s.
        #expect(Interval.segments(workSeconds: 120, stopSeconds: 5, failureRatePerSecond: 1 / 180.0) == 3)
        // W just above τ* can still be cheaper in one piece: floor and ceiling are compared by their cost.
        #expect(Interval.segments(workSeconds: 1000, stopSeconds: 5, failureRatePerSecond: 1 / 86_400.0) == 1)
    }

    @Test("No other number of segments is cheaper by more than a trace", arguments: 1...3)
    func segmentsAreBest(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<100 {
            let rate = 1 / random.logUniform(60, 1e5)
            let stop = random.logUniform(0.1, 30)
            let work = random.logUniform(10, 2e4)
            func cost(_ count: Int) -> Double {
                let useful = rate * work / Double(count)
                return (Double(count - 1) * expm1(useful + rate * stop) + expm1(useful)) / rate
            }
            let chosen = Interval.segments(workSeconds: work, stopSeconds: stop, failureRatePerSecond: rate)
            let best = (1...(2 * chosen + 2)).map(cost).min() ?? 0
            #expect(cost(chosen) <= best * 1.02, "seed \(seed): W \(work), C \(stop), λ \(rate), K \(chosen)")
        }
    }

    @Test("Cost up: interval not shorter; failure rate up: not longer", arguments: 1...3)
    func monotone(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<200 {
            let rate = random.logUniform(1e-8, 1e-1)
            let stop = random.logUniform(1e-3, 1e4)
            let more = random.uniform(1, 3)
            let base = Interval.exact(stopSeconds: stop, failureRatePerSecond: rate)
            #expect(Interval.exact(stopSeconds: stop * more, failureRatePerSecond: rate) >= base * (1 - 1e-12), "seed \(seed)")
            #expect(Interval.exact(stopSeconds: stop, failureRatePerSecond: rate * more) <= base * (1 + 1e-12), "seed \(seed)")
        }
    }
}

@Suite("Strategies without prices")
struct IntervalRuleTests {
    let bounds = IntervalBounds(floorSeconds: 10, ceilingSeconds: 3600)

    @Test("Each rule gives its formula's interval, counted from the last checkpoint")
    func rules() {
        // Young: √(2·8·14400) = 480 s; 100 s of it have passed.
        let young = IntervalRule.young.choose(
            workSeconds: 10_000, unsavedSeconds: 100, stopSeconds: 8, failureRatePerSecond: 1 / 14_400.0, bounds: bounds)
        #expect(abs((young.intervalSeconds ?? 0) - 480) < 1e-9)
        #expect(abs((young.dueSeconds ?? 0) - 380) < 1e-9)
        #expect(young.binding == nil)
        let fixed = IntervalRule.fixed(seconds: 600).choose(
            workSeconds: 10_000, unsavedSeconds: 700, stopSeconds: 8, failureRatePerSecond: 0, bounds: bounds)
        #expect(fixed.intervalSeconds == 600)
        #expect(fixed.dueSeconds == 0)
        // Exact: whole segments. W = 9600, C = 8, M = 14400: τ* ≈ 477.3, 9600/477.3 = 20.1.
        let exact = IntervalRule.exact.choose(workSeconds: 9600, stopSeconds: 8, failureRatePerSecond: 1 / 14_400.0, bounds: bounds)
        #expect(abs((exact.intervalSeconds ?? 0) - 480) < 1e-9)
    }

    @Test("Floor and ceiling bind and say so")
    func bound() {
        let low = IntervalRule.young.choose(workSeconds: 1000, stopSeconds: 0.01, failureRatePerSecond: 1 / 60.0, bounds: bounds)
        #expect(low.intervalSeconds == 10)
        #expect(low.binding == "floor")
        let high = IntervalRule.daly.choose(workSeconds: 1e6, stopSeconds: 60, failureRatePerSecond: 1e-7, bounds: bounds)
        #expect(high.intervalSeconds == 3600)
        #expect(high.binding == "ceiling")
        let reliable = IntervalRule.exact.choose(workSeconds: 1e6, stopSeconds: 60, failureRatePerSecond: 0, bounds: bounds)
        #expect(reliable.intervalSeconds == 3600)
        #expect(reliable.unboundedSeconds == nil)
    }

    @Test("Never is never; a task that ends before its interval takes none")
    func never() {
        let never = IntervalRule.never.choose(workSeconds: 1e6, stopSeconds: 1, failureRatePerSecond: 1, bounds: bounds)
        #expect(never.intervalSeconds == nil)
        let short = IntervalRule.fixed(seconds: 600).choose(workSeconds: 500, stopSeconds: 1, failureRatePerSecond: 1e-4, bounds: bounds)
        #expect(short.intervalSeconds == nil)
        #expect(short.dueSeconds == nil)
    }
}
