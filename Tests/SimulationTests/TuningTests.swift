import Testing
import Vocabulary

@testable import Simulation

@Suite("Policies are tuned for a goal")
struct TuningTests {
    private let base = CheckpointPolicy(
        name: "base", currency: "EUR",
        preferences: ["balanced": Prices(timePerHour: 3, networkPerGiB: 0.01, storagePerGiBHour: 0.0002)], settings: .init())

    /// A world that is a formula: fewer bytes and more misses the dearer the network, no use in anything else.
    private func metrics(_ policy: CheckpointPolicy) -> [Metric: Double] {
        let price = policy.preferences["balanced"]?.networkPerGiB ?? 0
        return [.sentBytes: 1e9 / (1 + price * 100), .deadlineMissShare: 0.001 * price * 100, .totalCost: 1]
    }

    private func searched(_ base: CheckpointPolicy, _ goal: Tuning.Goal, most: Int) -> Tuning {
        var tuning = Tuning(base, goal: goal, most: most)
        while true {
            let asked = tuning.next()
            if asked.isEmpty { return tuning }
            tuning.tell(asked.map(metrics))
        }
    }

    @Test("the least network that keeps the deadlines is found near where they begin to be missed")
    func least() throws {
        // Misses reach 1 % at a price of 0.1: bytes are 1e9/11 = 9.09e7 there. Steps end at a factor of √2.
        let goal = Tuning.Goal(least: .sentBytes, bounds: [.init(metric: .deadlineMissShare, atMost: 0.01)])
        let tuning = searched(base, goal, most: 200)
        let best = try #require(tuning.ranked.first)
        let price = try #require(best.policy.preferences["balanced"]?.networkPerGiB)
        #expect(price <= 0.1 && price > 0.1 / 2, "\(price)")
        #expect(goal.excess(best.metrics) == 0)
        #expect(tuning.trials[0].policy == base && Set(tuning.trials.map(\.policy)).count == tuning.trials.count)
    }

    @Test("a base that misses too many is led back to where it does not")
    func backIntoBounds() throws {
        var dear = base
        dear.preferences["balanced"]?.networkPerGiB = 10
        let tuning = searched(dear, Tuning.Goal(least: .sentBytes, bounds: [.init(metric: .deadlineMissShare, atMost: 0.01)]), most: 200)
        #expect(tuning.ranked.first.map { tuning.goal.excess($0.metrics) } == 0)
    }

    @Test("no more are tried than allowed, and nothing where nothing can be tuned")
    func budget() {
        let goal = Tuning.Goal(least: .sentBytes, bounds: [])
        #expect(searched(base, goal, most: 7).trials.count == 7)
        var never = base
        never.settings.strategy = .never
        #expect(searched(never, goal, most: 50).trials.count == 1)
    }

    @Test("what is asked for never contradicts itself")
    func valid() {
        var narrow = base
        narrow.settings.floorSeconds = Seconds(100)
        narrow.settings.ceilingSeconds = Seconds(150)
        var fixed = narrow
        fixed.settings.strategy = .fixed(Seconds(120))
        for policy in [narrow, fixed] {
            let tuning = searched(policy, Tuning.Goal(least: .deadlineMissShare, bounds: []), most: 100)
            for trial in tuning.trials {
                let settings = trial.policy.settings
                #expect(settings.floorSeconds >= Seconds(1) && settings.floorSeconds <= settings.ceilingSeconds)
                if case .fixed(let every) = settings.strategy { #expect((settings.floorSeconds...settings.ceilingSeconds).contains(every)) }
            }
        }
    }

    @Test("in the simulator, the least network sends less than the base and takes no longer than asked for")
    func simulated() throws {
        let simulation = Simulation(Trial.mixed(deadlines: false))
        let base = Trial.policy(.fixed(Seconds(600)))
        let undisturbed = simulation.run(0, base).metrics
        let most = try #require(undisturbed[.finishSeconds]) * 1.1
        var tuning = Tuning(
            base.policy, goal: Tuning.Goal(least: .sentBytes, bounds: [.init(metric: .finishSeconds, atMost: most)]), most: 9)
        while true {
            let asked = tuning.next()
            if asked.isEmpty { break }
            tuning.tell(asked.map { simulation.run(0, Candidacy(policy: $0, version: base.version)).metrics })
        }
        let best = try #require(tuning.ranked.first)
        #expect(tuning.trials[0].metrics == undisturbed)
        #expect(try #require(best.metrics[.sentBytes]) < #require(undisturbed[.sentBytes]))
        #expect(try #require(best.metrics[.finishSeconds]) <= most)
    }
}
