import PlanningModel
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Cost objective")
struct CostObjectiveTests {
    let timeAlone = ObjectivePrices(perSecond: 1.0 / 3600)

    @Test("No prices, no deadline, a known rate: the exact optimum within 0.1 %", arguments: 1...5)
    func exact(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<15 {
            let mtbf = random.logUniform(600, 30 * 86_400)
            let cost = mtbf * random.logUniform(1e-6, 0.05)
            let option = CheckpointOption(name: "o", stopSeconds: cost, recoverySeconds: random.uniform(0, 100))
            let optimum = Interval.exact(stopSeconds: cost, failureRatePerSecond: 1 / mtbf)
            // So much work that a whole number of segments is no restriction.
            let outlook = Outlook(workSeconds: 20_000 * optimum, failureRatePerSecond: 1 / mtbf)
            let found = CostObjective(outlook: outlook, prices: timeAlone).minimise(over: [option])
            let interval = found.best.intervalSeconds ?? .infinity
            #expect(abs(interval / optimum - 1) < 1e-3, "seed \(seed): M \(mtbf), C \(cost): \(interval) against \(optimum)")
            #expect(found.binding.isEmpty && found.isFeasible)
        }
    }

    @Test(
        "The same over a grid of MTBFs from ten minutes to thirty days", arguments: [600, 3_600, 36_000, 86_400, 2_592_000] as [Double],
        [1e-6, 1e-4, 1e-2, 0.05] as [Double])
    func exactGrid(mtbf: Double, share: Double) {
        let option = CheckpointOption(name: "o", stopSeconds: mtbf * share, recoverySeconds: 60)
        let optimum = Interval.exact(stopSeconds: mtbf * share, failureRatePerSecond: 1 / mtbf)
        let outlook = Outlook(workSeconds: 20_000 * optimum, failureRatePerSecond: 1 / mtbf)
        let found = CostObjective(outlook: outlook, prices: timeAlone).minimise(over: [option]).best
        // Twenty thousand segments, and the best number of them: within half of one.
        #expect(abs((found.intervalSeconds ?? .infinity) / optimum - 1) < 1e-4)
        let closed = Double(Interval.segments(workSeconds: outlook.workSeconds, stopSeconds: mtbf * share, failureRatePerSecond: 1 / mtbf))
        #expect(abs(found.checkpoints + 1 - closed) <= 1)
    }

    @Test("Finite work: as many segments as the closed form says, or as cheap", arguments: 1...5)
    func finite(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<30 {
            let mtbf = random.logUniform(100, 1e6)
            let work = random.logUniform(60, 1e5)
            let option = CheckpointOption(name: "o", stopSeconds: random.logUniform(0.1, 60), recoverySeconds: 20)
            let objective = CostObjective(outlook: Outlook(workSeconds: work, failureRatePerSecond: 1 / mtbf), prices: timeAlone)
            let found = objective.minimise(over: [option]).best
            let count = Interval.segments(workSeconds: work, stopSeconds: option.stopSeconds, failureRatePerSecond: 1 / mtbf)
            let closed = objective.evaluate(option, intervalSeconds: count == 1 ? nil : work / Double(count))
            #expect(found.terms.total <= closed.terms.total * (1 + 1e-9), "seed \(seed)")
            #expect(
                abs(found.checkpoints + 1 - Double(count)) <= max(1, 0.01 * Double(count)), "seed \(seed): \(found.checkpoints + 1) against \(count)")
            // No number of checkpoints near it, nor any random interval, is cheaper.
            for _ in 0..<20 {
                let other = objective.evaluate(option, intervalSeconds: random.logUniform(work / 300, work * 2))
                #expect(
                    other.terms.total >= found.terms.total * (1 - 1e-6),
                    "seed \(seed): W \(work), M \(mtbf), τ \(String(describing: other.intervalSeconds))")
            }
        }
    }

    @Test("A two-minute task: never on a reliable node, sometimes on a failing one")
    func twoMinutes() {
        let option = CheckpointOption(name: "o", stopSeconds: 1, interferenceSeconds: 1, latencySeconds: 6, recoverySeconds: 15)
        func best(_ mtbf: Double) -> Candidate {
            CostObjective(outlook: Outlook(workSeconds: 120, failureRatePerSecond: 1 / mtbf), prices: timeAlone).minimise(over: [option]).best
        }
        #expect(best(30 * 86_400).intervalSeconds == nil)
        #expect(best(86_400).intervalSeconds == nil)
        // C' = 2 s, M = 180 s: √(2·2·180) = 27 s, some four segments.
        let failing = best(180)
        #expect((failing.intervalSeconds ?? 0) > 20 && (failing.intervalSeconds ?? 0) < 45)
    }

    @Test("A network price is a cost in seconds: the same interval as C' = C + I + price·B·r/p_time, within 0.1 %", arguments: 1...4)
    func networkPrice(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<10 {
            let mtbf = random.logUniform(1e6, 1e8)
            // The equality is one of first order in λC' and λR: both small here.
            let base = mtbf * random.logUniform(1e-8, 1e-5)
            let extra = base * random.uniform(0.2, 20)
            let bytes = random.logUniform(1e6, 1e10)
            let prices = ObjectivePrices(perSecond: 0.01, perByteSent: extra * 0.01 / (bytes * 3))
            let option = CheckpointOption(
                name: "o", stopSeconds: base * 0.6, interferenceSeconds: base * 0.4, latencySeconds: base, recoverySeconds: mtbf * 1e-5,
                sentBytes: bytes, replication: 3)
            let optimum = Interval.exact(stopSeconds: base + extra, failureRatePerSecond: 1 / mtbf)
            let outlook = Outlook(workSeconds: 20_000 * optimum, failureRatePerSecond: 1 / mtbf)
            let found = CostObjective(outlook: outlook, prices: prices).minimise(over: [option]).best
            let interval = found.intervalSeconds ?? .infinity
            #expect(abs(interval / optimum - 1) < 1e-3, "seed \(seed): \(interval) against \(optimum)")
            // Young's law with the dearer checkpoint: the interval grows by the square root.
            let young = Interval.young(stopSeconds: base, failureRatePerSecond: 1 / mtbf) * ((base + extra) / base).squareRoot()
            #expect(abs(interval / young - 1) < 0.01, "seed \(seed)")
        }
    }

    @Test("A dearer network favours the stronger codec; dear time the faster")
    func codecs() {
        // 4 GB raw; 1 GB after a codec that costs the task six seconds more.
        let raw = CheckpointOption(name: "none", stopSeconds: 2, latencySeconds: 40, recoverySeconds: 60, sentBytes: 4e9, replication: 2)
        let packed = CheckpointOption(
            name: "zstd", stopSeconds: 2, interferenceSeconds: 6, latencySeconds: 40, recoverySeconds: 60, sentBytes: 1e9, replication: 2)
        let outlook = Outlook(workSeconds: 86_400, failureRatePerSecond: 1 / 36_000.0)
        func best(_ perGB: Double) -> Candidate {
            CostObjective(outlook: outlook, prices: ObjectivePrices(perSecond: 1 / 3600.0, perByteSent: perGB / 1e9)).minimise(over: [raw, packed])
                .best
        }
        #expect(best(0).option.name == "none")
        #expect(best(0.01).option.name == "zstd")
        // Bytes never rise with the price of the network.
        var before = Double.infinity
        for price in [0, 1e-4, 1e-3, 1e-2, 0.1, 1] {
            let sent = best(price).expectedSentBytes
            #expect(sent <= before * (1 + 1e-9))
            before = sent
        }
    }

    @Test("Cost up: not more checkpoints; failure rate up: not fewer; network price up: not more bytes", arguments: 1...4)
    func monotone(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<20 {
            let option = CheckpointOption(name: "o", stopSeconds: random.logUniform(0.1, 20), recoverySeconds: 30, sentBytes: 1e9, replication: 2)
            let outlook = Outlook(workSeconds: random.logUniform(100, 1e5), failureRatePerSecond: 1 / random.logUniform(300, 1e6))
            let objective = CostObjective(outlook: outlook, prices: ObjectivePrices(perSecond: 1e-3, perByteSent: random.logUniform(1e-14, 1e-11)))
            let base = objective.minimise(over: [option]).best
            let more = random.uniform(1.05, 3)
            // A thousandth, for the search's own accuracy where checkpoints are many.
            var dearer = option
            dearer.stopSeconds *= more
            #expect(objective.minimise(over: [dearer]).best.checkpoints <= base.checkpoints * 1.001, "seed \(seed)")
            var failing = objective
            failing.outlook.failureRatePerSecond *= more
            #expect(failing.minimise(over: [option]).best.checkpoints >= base.checkpoints * 0.999, "seed \(seed)")
            var network = objective
            network.prices.perByteSent *= more
            #expect(network.minimise(over: [option]).best.expectedSentBytes <= base.expectedSentBytes * 1.001, "seed \(seed)")
        }
    }

    @Test("Stops end when the work, a recovery and a stop fill the time left")
    func nearDeadline() {
        let option = CheckpointOption(name: "o", stopSeconds: 2, interferenceSeconds: 3, recoverySeconds: 45)
        func ends(_ deadline: Double?) -> Bool {
            CostObjective(outlook: Outlook(workSeconds: 100, failureRatePerSecond: 1e-4), prices: timeAlone, deadlineSeconds: deadline)
                .optionalStopsEnd(option)
        }
        // 100 + 45 + 5 = 150.
        #expect(ends(150) && ends(-5))
        #expect(!ends(151) && !ends(nil))
    }

    @Test("Penalty: nothing without a deadline, all of it when it has long passed, in between what the distribution says")
    func penalty() {
        let outlook = Outlook(workSeconds: 1000, failureRatePerSecond: 0)
        let option = CheckpointOption(name: "o", stopSeconds: 1)
        func cost(_ deadline: Double?, cap: Double = .infinity) -> Double {
            CostObjective(
                outlook: outlook, prices: timeAlone, deadlineSeconds: deadline, penalty: LatenessPenalty(amountPerSecond: 0.5, capAmount: cap)
            ).evaluate(option, intervalSeconds: nil).terms.penalty
        }
        #expect(cost(nil) == 0)
        #expect(cost(1000) == 0)
        // 100 s late at 0.5 a second.
        #expect(abs(cost(900) - 50) < 1e-9)
        #expect(abs(cost(-1000) - 1000) < 1e-9)
        #expect(abs(cost(900, cap: 20) - 20) < 1e-9)
    }

    @Test("The expected penalty is what simulation pays", arguments: 1...3)
    func penaltySimulated(seed: UInt64) {
        let outlook = Outlook(workSeconds: 1200, failureRatePerSecond: 1 / 600.0)
        let option = CheckpointOption(name: "o", stopSeconds: 4, latencySeconds: 10, recoverySeconds: 30)
        let penalty = LatenessPenalty(amountPerSecond: 0.01, capAmount: 3)
        let deadline = 1500.0
        let plan = CheckpointPlan(outlook: outlook, option: option, intervalSeconds: 120)
        var random = Seeded(seed)
        let process = TaskProcess(outlook: outlook, option: option, plan: plan)
        let paid = Sample((0..<10_000).map { _ in min(3, 0.01 * max(0, process.live(&random).seconds - deadline)) })
        let expected = penalty.expected(plan.finish, deadlineSeconds: deadline)
        #expect(abs(expected - paid.mean) < 3 * paid.meanError + 0.01 * expected, "seed \(seed): \(expected) against \(paid.mean)")
    }

    @Test("Storage: what is kept on average, for as long as it takes")
    func storage() {
        // 900 s without failures, C = 0; τ = 300: two checkpoints, none, one, two kept in turn: one on average.
        let objective = CostObjective(
            outlook: Outlook(workSeconds: 900, failureRatePerSecond: 0, keepLast: 3), prices: ObjectivePrices(perSecond: 1, perByteSecondStored: 1e-9)
        )
        let option = CheckpointOption(name: "o", stopSeconds: 0, storedBytes: 1e6, replication: 2)
        let candidate = objective.evaluate(option, intervalSeconds: 300)
        #expect(abs(candidate.expectedStoredByteSeconds - 900 * 2e6) < 1)
        #expect(abs(candidate.terms.storage - 1.8) < 1e-9)
        // Three there already and three kept: always three.
        var full = objective
        full.outlook.keptCheckpoints = 3
        #expect(abs(full.evaluate(option, intervalSeconds: 300).expectedStoredByteSeconds - 900 * 6e6) < 1)
    }
}

@Suite("Limits")
struct ObjectiveLimitTests {
    let option = CheckpointOption(name: "o", stopSeconds: 2, interferenceSeconds: 3, latencySeconds: 20, recoverySeconds: 45)
    let outlook = Outlook(workSeconds: 36_000, failureRatePerSecond: 1 / 86_400.0)
    // τ* = √(2·5·86400) = 930 s, nearly.
    let prices = ObjectivePrices(perSecond: 1.0 / 3600)

    func minimum(_ limits: ObjectiveLimits) -> Minimum {
        CostObjective(outlook: outlook, prices: prices, limits: limits).minimise(over: [option])
    }

    @Test("Maximum lost work: the interval is τ ≤ limit − L")
    func lostWork() {
        let free = minimum(ObjectiveLimits())
        #expect(abs((free.best.intervalSeconds ?? 0) - 930) < 30)
        let found = minimum(ObjectiveLimits(lostWorkSeconds: 320))
        let interval = found.best.intervalSeconds ?? .infinity
        // 36000/300 = 120 whole segments.
        #expect(abs(interval - 300) < 1e-6)
        #expect(found.isFeasible)
        #expect(found.binding.map(\.name) == [.lostWork])
        #expect(found.best.terms.total > free.best.terms.total)
        // A limit that the optimum keeps does not bind.
        #expect(minimum(ObjectiveLimits(lostWorkSeconds: 2000)).binding.isEmpty)
    }

    @Test("Maximum share of time stopped: C/(τ + C) ≤ limit")
    func stoppedShare() {
        // 2/(τ + 2) ≤ 0.001: τ ≥ 1998 s.
        let found = minimum(ObjectiveLimits(stoppedShare: 0.001))
        let interval = found.best.intervalSeconds ?? .infinity
        #expect(interval >= 1998 * (1 - 1e-9) && interval < 2200)
        #expect(found.binding.map(\.name) == [.stoppedShare])
        #expect(found.isFeasible)
    }

    @Test("Floor and ceiling")
    func bounds() {
        let low = minimum(ObjectiveLimits(bounds: IntervalBounds(floorSeconds: 1500, ceilingSeconds: 1e6)))
        #expect((low.best.intervalSeconds ?? 0) >= 1500)
        #expect(low.binding.map(\.name) == [.floor])
        let high = minimum(ObjectiveLimits(bounds: IntervalBounds(floorSeconds: 0, ceilingSeconds: 600)))
        #expect((high.best.intervalSeconds ?? .infinity) <= 600 * (1 + 1e-9))
        #expect(high.binding.map(\.name) == [.ceiling])
        // On a node that never fails the ceiling alone asks for checkpoints.
        let reliable = CostObjective(
            outlook: Outlook(workSeconds: 5000, failureRatePerSecond: 0), prices: prices,
            limits: ObjectiveLimits(bounds: IntervalBounds(floorSeconds: 10, ceilingSeconds: 3600))
        ).minimise(over: [option])
        #expect(reliable.best.checkpoints == 1)
        #expect((reliable.best.intervalSeconds ?? .infinity) <= 3600)
        #expect(reliable.binding.map(\.name) == [.ceiling])
    }

    @Test("Recovery that takes too long cannot be helped by any interval; another option can")
    func recovery() {
        let found = minimum(ObjectiveLimits(recoverySeconds: 30))
        #expect(!found.isFeasible)
        #expect(found.best.violated.map(\.name) == [.recovery])
        #expect(found.best.violated.first?.excess == 15)
        var quicker = option
        quicker.name = "quicker"
        quicker.recoverySeconds = 25
        quicker.stopSeconds = 10
        let two = CostObjective(outlook: outlook, prices: prices, limits: ObjectiveLimits(recoverySeconds: 30)).minimise(over: [option, quicker])
        #expect(two.best.option.name == "quicker")
        #expect(two.isFeasible)
        #expect(two.binding.map(\.name) == [.recovery])
    }

    @Test("Limits that contradict each other: the least broken, and all broken ones named")
    func contradiction() {
        // τ ≤ 100 − 20 = 80 for lost work, τ ≥ 198 for a share of 0.01.
        let found = minimum(ObjectiveLimits(lostWorkSeconds: 100, stoppedShare: 0.01))
        #expect(!found.isFeasible)
        let broken = Set(found.best.violated.map(\.name))
        #expect(!broken.isEmpty && broken.isSubset(of: [.lostWork, .stoppedShare]))
        for candidate in found.alternatives {
            let excess = candidate.violated.reduce(0) { $0 + $1.relativeExcess }
            #expect(excess >= found.best.violated.reduce(0) { $0 + $1.relativeExcess } - 1e-9)
        }
    }

    @Test("More unsaved than may be lost: now")
    func overdue() {
        var late = outlook
        late.unsavedSeconds = 500
        let found = CostObjective(outlook: late, prices: prices, limits: ObjectiveLimits(lostWorkSeconds: 320)).minimise(over: [option])
        #expect(found.best.dueSeconds == 0)
        #expect(found.best.violated.map(\.name) == [.lostWork])
    }

    @Test("A confidence in the deadline is kept where an interval keeps it, and costs something")
    func confidence() {
        let near = Outlook(workSeconds: 3600, failureRatePerSecond: 1 / 1800.0)
        let cheap = CheckpointOption(name: "o", stopSeconds: 10, recoverySeconds: 60, sentBytes: 1e9, replication: 1)
        let dear = ObjectivePrices(perSecond: 1 / 3600.0, perByteSent: 2e-10)
        let free = CostObjective(outlook: near, prices: dear, deadlineSeconds: 5400).minimise(over: [cheap])
        let sure = CostObjective(outlook: near, prices: dear, limits: ObjectiveLimits(meetProbability: 0.97), deadlineSeconds: 5400).minimise(over: [
            cheap
        ])
        #expect((free.best.probabilityMet ?? 1) < 0.97)
        #expect(sure.isFeasible)
        #expect((sure.best.probabilityMet ?? 0) >= 0.97)
        #expect(sure.best.terms.total > free.best.terms.total)
        #expect(sure.binding.map(\.name) == [.meetProbability])
        // One that nothing reaches: as sure as can be.
        let never = CostObjective(outlook: near, prices: dear, limits: ObjectiveLimits(meetProbability: 0.99999), deadlineSeconds: 4000).minimise(
            over: [cheap])
        #expect(!never.isFeasible)
        #expect((never.best.probabilityMet ?? 0) >= (free.best.probabilityMet ?? 1) * 0.2)
    }

    @Test("Over random cases: limits and bounds are kept where they can be, and equal inputs give equal answers", arguments: 1...6)
    func properties(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<10 {
            let work = random.logUniform(60, 1e6)
            let outlook = Outlook(
                workSeconds: work, unsavedSeconds: random.share() < 0.5 ? 0 : random.uniform(0, work / 4),
                failureRatePerSecond: 1 / random.logUniform(100, 1e7),
                keptCheckpoints: Int(random.uniform(0, 5)))
            let options = (0..<3).map { index in
                let stop = random.logUniform(0.05, 30)
                let interference = random.uniform(0, stop)
                return CheckpointOption(
                    name: "option \(index)", stopSeconds: stop, interferenceSeconds: interference,
                    latencySeconds: (stop + interference) * random.uniform(1, 5),
                    recoverySeconds: random.logUniform(5, 300), sentBytes: random.logUniform(1e6, 1e10), storedBytes: 1e8, fetchedBytes: 1e9,
                    replication: 2)
            }
            let floor = random.logUniform(1, 100)
            let limits = ObjectiveLimits(
                lostWorkSeconds: random.share() < 0.5 ? nil : random.logUniform(30, 1e5),
                recoverySeconds: random.share() < 0.5 ? nil : random.logUniform(30, 600),
                stoppedShare: random.share() < 0.5 ? nil : random.logUniform(1e-3, 0.3),
                bounds: IntervalBounds(floorSeconds: floor, ceilingSeconds: floor * random.logUniform(2, 1e4)))
            let objective = CostObjective(
                outlook: outlook, prices: ObjectivePrices(perSecond: 1e-4, perByteSent: random.logUniform(1e-13, 1e-9), perByteSecondStored: 1e-17),
                limits: limits,
                deadlineSeconds: work * random.uniform(0.8, 3), penalty: LatenessPenalty(amountPerSecond: 1e-3, capAmount: 100))
            let found = objective.minimise(over: options)
            #expect(found == objective.minimise(over: options), "seed \(seed)")
            #expect(found.alternatives.contains(found.best))
            let named = "seed \(seed): \(objective)"
            for verdict in found.best.verdicts where verdict.name == .floor { #expect(verdict.isMet, "\(named)") }
            let total = found.best.terms.total
            #expect(total.isFinite && found.best.expectedSeconds.isFinite && found.best.expectedSentBytes.isFinite, "\(named)")
            // No interval on a grid is allowed and cheaper, nor allowed where none was found.
            for option in options {
                for step in 0...30 {
                    let other = objective.evaluate(option, intervalSeconds: 1 * pow(work * 2, Double(step) / 30))
                    guard other.isFeasible else { continue }
                    #expect(found.isFeasible, "\(named), τ \(String(describing: other.intervalSeconds))")
                    #expect(
                        other.terms.total >= total * (1 - 2e-3),
                        "\(named), \(option.name), τ \(String(describing: other.intervalSeconds)): \(other.terms.total) < \(total)")
                }
            }
        }
    }
}
