import PlanningModel
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Segments and plans")
struct SegmentTests {
    @Test("The expected time is e^{λR}(1/λ)(e^{λs} − 1)")
    func expected() {
        // s = 65, R = 15, M = 360: e^{15/360} = 1.042547, e^{65/360} − 1 = 0.197883, 360·0.197883·1.042547 = 74.2687.
        let segment = Segment(lengthSeconds: 65, recoverySeconds: 15, failureRatePerSecond: 1 / 360.0)
        #expect(abs(segment.expectedSeconds - 74.2687) < 1e-4)
        // E N = 0.197883, Var N = 0.237041; E X = 360 − 65/0.197883 = 31.5232, E Y = 360·0.0425469 = 15.3169;
        // Var X = 351.13, Var Y = 3.253; 0.197883·354.38 + 0.237041·46.8401² = 590.25.
        #expect(abs(segment.varianceSquareSeconds - 590.25) < 0.02)
    }

    @Test("Without failures the time is the length, and nothing varies", arguments: [0, 1e-300, 1e-30, 1e-18])
    func reliable(rate: Double) {
        let segment = Segment(lengthSeconds: 65, recoverySeconds: 15, failureRatePerSecond: rate)
        #expect(segment.expectedSeconds == 65)
        #expect(segment.varianceSquareSeconds >= 0)
        #expect(segment.varianceSquareSeconds < 1e-10)
    }

    @Test("Series and closed forms meet: no jump as λ grows from nothing")
    func smooth() {
        var before = 0.0
        var rate = 1e-9
        while rate < 0.1 {
            let segment = Segment(lengthSeconds: 100, recoverySeconds: 40, failureRatePerSecond: rate)
            // Divided by λ all three change slowly: by less than the step and its consequences.
            let now = segment.varianceSquareSeconds / rate
            if before > 0, rate < 1e-3 { #expect(now >= before && now < before * 1.02, "λ \(rate)") }
            before = now
            rate *= 1.02
        }
        for boundary in [1e-2, 5e-2, 0.3, 0.4] {
            let below = Segment(lengthSeconds: 1, recoverySeconds: 1, failureRatePerSecond: boundary * (1 - 1e-9))
            let above = Segment(lengthSeconds: 1, recoverySeconds: 1, failureRatePerSecond: boundary * (1 + 1e-9))
            #expect(abs(below.expectedSeconds / above.expectedSeconds - 1) < 1e-8)
            #expect(abs(below.varianceSquareSeconds / above.varianceSquareSeconds - 1) < 1e-7)
            #expect(abs(below.thirdCumulantCubicSeconds / above.thirdCumulantCubicSeconds - 1) < 1e-6)
        }
    }

    @Test("Hopeless nodes give huge numbers, not infinite ones")
    func hopeless() {
        let segment = Segment(lengthSeconds: 1e9, recoverySeconds: 1e9, failureRatePerSecond: 1)
        #expect(segment.expectedSeconds.isFinite && segment.expectedSeconds > 1e100)
    }

    /// λs by R/s: from nodes that hardly fail to ones on which a segment is tried seven times, with recoveries from none to longer than the segment.
    static let moments: [(Double, Double)] = [0.01, 0.1, 0.5, 1, 2].flatMap { exponent in [0.0, 0.1, 0.5, 1.5].map { (exponent, $0) } }

    @Test("Mean and variance of one segment over a grid", arguments: Array(moments.enumerated()))
    func grid(index: Int, numbers: (Double, Double)) {
        let (exponent, recovery) = numbers
        let run = SegmentRun(Segment(lengthSeconds: 100, recoverySeconds: 100 * recovery, failureRatePerSecond: exponent / 100))
        let seed = UInt64(1_000 + index)
        var random = Seeded(seed)
        let sample = Sample((0..<(20_000 * min(10, thoroughness))).map { _ in FinishTimeTests.draw([run], &random) })
        let named = "seed \(seed), λs \(exponent), R/s \(recovery)"
        #expect(abs(run.segment.expectedSeconds - sample.mean) < 3 * sample.meanError, "\(named)")
        #expect(abs(run.segment.varianceSquareSeconds - sample.variance) < 3 * sample.varianceError, "\(named)")
    }

    /// W, u, τ, C, I, L, R, M: lengths of all kinds, latencies longer than the stop, unsaved work, overdue ones, none.
    static let cases: [[Double]] = [
        [2400, 0, 60, 5, 0, 5, 15, 360],
        [600, 0, 100, 4, 2, 20, 10, 300],
        [600, 30, 100, 4, 2, 30, 10, 200],
        [500, 130, 100, 4, 0, 40, 30, 400],
        [300, 0, 1e9, 4, 2, 20, 60, 250],
        [1000, 0, 180, 20, 10, 90, 5, 500],
        [200, 50, 40, 0.5, 0, 0, 0, 100],
        [7200, 100, 1800, 1, 5, 60, 45, 36_000],
    ]

    @Test("Mean, variance and bytes agree with the process itself", arguments: Array(cases.enumerated()))
    func simulation(index: Int, numbers: [Double]) {
        let outlook = Outlook(workSeconds: numbers[0], unsavedSeconds: numbers[1], failureRatePerSecond: 1 / numbers[7])
        let option = CheckpointOption(
            name: "case", stopSeconds: numbers[3], interferenceSeconds: numbers[4], latencySeconds: numbers[5], recoverySeconds: numbers[6],
            sentBytes: 1000, replication: 2)
        let plan = CheckpointPlan(outlook: outlook, option: option, intervalSeconds: numbers[2])
        let process = TaskProcess(outlook: outlook, option: option, plan: plan)
        let seed = UInt64(7 + index)
        var random = Seeded(seed)
        var times: [Double] = []
        var uploads: [Double] = []
        var worst = 0.0
        for _ in 0..<(10_000 * thoroughness) {
            let life = process.live(&random)
            times.append(life.seconds)
            uploads.append(life.uploads)
            worst = max(worst, life.largestLossSeconds)
        }
        let sample = Sample(times)
        #expect(abs(plan.expectedSeconds - sample.mean) < 3 * sample.meanError, "seed \(seed): \(plan.expectedSeconds) against \(sample.mean)")
        #expect(
            abs(plan.varianceSquareSeconds - sample.variance) < 3 * sample.varianceError,
            "seed \(seed): \(plan.varianceSquareSeconds) against \(sample.variance) ± \(sample.varianceError)")
        #expect(worst <= plan.largestLossSeconds + 1e-6)
        let sent = Sample(uploads)
        let objective = CostObjective(outlook: outlook, prices: ObjectivePrices(perSecond: 1))
        let predicted = objective.evaluate(option, intervalSeconds: numbers[2]).expectedSentBytes / 2000
        #expect(abs(predicted - sent.mean) <= 3 * sent.meanError + 1e-9, "seed \(seed): \(predicted) uploads against \(sent.mean)")
    }

    @Test("A plan's parts add up to the work and its checkpoints")
    func parts() {
        let outlook = Outlook(workSeconds: 600, unsavedSeconds: 30, failureRatePerSecond: 0)
        let option = CheckpointOption(name: "o", stopSeconds: 4, interferenceSeconds: 2, latencySeconds: 30)
        // First after 70 s, then every 100 s: at 70, 170, …, 570; the last 30 s would end 6 s after L − C − I = 24 s, so it is taken.
        let plan = CheckpointPlan(outlook: outlook, option: option, intervalSeconds: 100)
        #expect(plan.checkpoints == 6)
        #expect(plan.dueSeconds == 70)
        #expect(abs(plan.undisturbedSeconds - (600 + 6 * 6)) < 1e-9)
        #expect(plan.expectedSeconds == plan.undisturbedSeconds)
        #expect(plan.largestLossSeconds == 130)
        // With 20 s left after it, the last one would be durable only after the end: it is left out.
        let shorter = CheckpointPlan(
            outlook: Outlook(workSeconds: 590, unsavedSeconds: 30, failureRatePerSecond: 0), option: option, intervalSeconds: 100)
        #expect(shorter.checkpoints == 5)
        #expect(abs(shorter.undisturbedSeconds - (590 + 5 * 6)) < 1e-9)
        // Overdue: now.
        let overdue = CheckpointPlan(
            outlook: Outlook(workSeconds: 500, unsavedSeconds: 130, failureRatePerSecond: 0), option: option, intervalSeconds: 100)
        #expect(overdue.dueSeconds == 0)
        #expect(overdue.checkpoints == 5)
        #expect(overdue.largestLossSeconds == 160)
        // Nothing left, nothing to do.
        let done = CheckpointPlan(outlook: Outlook(workSeconds: 0, unsavedSeconds: 50, failureRatePerSecond: 1), option: option, intervalSeconds: 10)
        #expect(done.intervalSeconds == nil)
        #expect(done.expectedSeconds == 0)
    }
}
