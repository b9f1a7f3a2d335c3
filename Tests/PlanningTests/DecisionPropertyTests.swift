import Foundation
import PlanningModel
import Testing
import Vocabulary

@testable import Planning

@Suite("Whatever the situation")
struct DecisionPropertyTests {
    static let seeds = 1...UInt64(4 * thoroughness)

    private func interval(_ choice: ScheduleChoice) -> Double { choice.best.intervalSeconds ?? .infinity }

    @Test("floors, ceilings and limits are kept, by every strategy, or nothing at all could have kept them", arguments: seeds)
    func limits(seed: UInt64) {
        var situations = Situations(seed)
        for strategy in Situations.strategies {
            for _ in 0..<12 {
                let situation = situations.situation(strategy: strategy, ways: 3, limited: true)
                let choice = ScheduleChoice(situation)
                let named = "seed \(seed): \(situation)"
                if let interval = choice.best.intervalSeconds {
                    #expect(interval >= situation.settings.floorSeconds.rawValue * (1 - 1e-9), "\(named)")
                    if choice.best.isFeasible { #expect(interval <= situation.settings.ceilingSeconds.rawValue * (1 + 1e-9), "\(named)") }
                }
                // What is broken could not be helped: no interval within the policy's bounds keeps all limits. Strategies without prices know nothing of
                // deadlines: they answer for what may be lost and what may be stopped.
                let answersFor: Set<LimitVerdict.Name> = strategy == .adaptive ? Set(LimitVerdict.Name.allCases) : [.lostWork, .stoppedShare]
                guard choice.best.violated.contains(where: { answersFor.contains($0.name) }) else { continue }
                for option in strategy == .adaptive ? situation.options : [situation.optionByTime] {
                    for step in 0...40 {
                        let tried =
                            situation.settings.floorSeconds.rawValue
                            * pow(situation.settings.ceilingSeconds / situation.settings.floorSeconds, Double(step) / 40)
                        let other = situation.objective.evaluate(option, intervalSeconds: tried)
                        #expect(other.violated.contains { answersFor.contains($0.name) }, "\(named): \(tried)")
                    }
                }
            }
        }
    }

    @Test("a checkpoint is never due before the floor", arguments: seeds)
    func floor(seed: UInt64) {
        var situations = Situations(seed &+ 100)
        for _ in 0..<60 {
            var situation = situations.situation(strategy: situations.one(of: Situations.strategies), ways: 1, limited: true)
            situation.unsavedSeconds = situation.settings.floorSeconds.rawValue * situations.uniform(0.9, 1.1)
            if ScheduleChoice(situation).isDueNow { #expect(situation.unsavedSeconds >= situation.settings.floorSeconds.rawValue, "seed \(seed)") }
        }
    }

    @Test("a dearer checkpoint: the interval is not shorter", arguments: seeds)
    func cost(seed: UInt64) {
        var situations = Situations(seed &+ 200)
        for strategy in Situations.strategies {
            for _ in 0..<10 {
                let situation = situations.situation(strategy: strategy, ways: 1, limited: false)
                var dearer = situation
                let more = situations.logUniform(0.01, 30)
                dearer.costs[0].stopSeconds += more
                dearer.costs[0].latencySeconds += more
                let (before, after) = (ScheduleChoice(situation), ScheduleChoice(dearer))
                #expect(interval(after) >= interval(before) * (1 - 1e-9), "seed \(seed): \(more) s more: \(situation)")
            }
        }
    }

    @Test("a worse node: the interval is not longer", arguments: seeds)
    func rate(seed: UInt64) {
        var situations = Situations(seed &+ 300)
        for strategy in Situations.strategies {
            for _ in 0..<10 {
                var situation = situations.situation(strategy: strategy, ways: 1, limited: false)
                // A tenth of an MTBF is long for a checkpoint: beyond, repeated uploads are what is saved.
                situation.failureRatePerSecond = min(situation.failureRatePerSecond, 0.1 / situation.costs[0].latencySeconds)
                var worse = situation
                worse.failureRatePerSecond = min(
                    situation.failureRatePerSecond * situations.logUniform(1.01, 30), 0.1 / situation.costs[0].latencySeconds)
                let (before, after) = (ScheduleChoice(situation), ScheduleChoice(worse))
                #expect(interval(after) <= interval(before) * (1 + 1e-9), "seed \(seed): \(worse.failureRatePerSecond): \(situation)")
            }
        }
    }

    @Test("a dearer network: not a byte more is expected to be sent, whichever codec it takes", arguments: seeds)
    func network(seed: UInt64) {
        var situations = Situations(seed &+ 400)
        for limited in [false, true] {
            for _ in 0..<25 {
                let situation = situations.situation(strategy: .adaptive, ways: 3, limited: limited)
                var dearer = situation
                dearer.prices.networkPerGiB *= situations.logUniform(1.01, 100)
                let (before, after) = (ScheduleChoice(situation).best, ScheduleChoice(dearer).best)
                guard before.isFeasible else { continue }
                #expect(
                    after.expectedSentBytes <= before.expectedSentBytes * (1 + 1e-6), "seed \(seed): \(dearer.prices.networkPerGiB): \(situation)")
            }
        }
    }

    @Test("the same situation, written down and read again, gives the same choice to the last bit", arguments: seeds)
    func again(seed: UInt64) throws {
        var situations = Situations(seed &+ 500)
        for strategy in Situations.strategies + [.never] {
            for _ in 0..<5 {
                let situation = situations.situation(strategy: strategy, ways: 3, limited: true)
                let read = try JSONDecoder().decode(Situation.self, from: JSONEncoder().encode(situation))
                #expect(read == situation)
                let (once, again) = (ScheduleChoice(situation), ScheduleChoice(read))
                #expect(once.alternatives == again.alternatives && once.index == again.index && once.binding == again.binding)
                // Equality would take −0 for 0.
                #expect(once.best.terms.total.bitPattern == again.best.terms.total.bitPattern)
                #expect(once.best.intervalSeconds?.bitPattern == again.best.intervalSeconds?.bitPattern)
            }
        }
    }

    @Test("made briefly it is the same choice, to the last bit", arguments: seeds)
    func briefly(seed: UInt64) {
        var situations = Situations(seed &+ 600)
        for strategy in Situations.strategies + [.never, .adaptive, .adaptive, .adaptive] {
            for number in 0..<20 {
                let situation = situations.situation(strategy: strategy, ways: 1 + number % 3, limited: number % 2 == 0)
                let (whole, brief) = (ScheduleChoice(situation), ScheduleChoice(situation, briefly: true))
                #expect(whole.best == brief.best && whole.binding == brief.binding, "seed \(seed): \(situation)")
            }
        }
    }

    @Test("a recorded decision is made again from its record alone")
    func recorded() throws {
        var scene = Scene(nodes: ["a"], mtbf: Seconds(600))
        let task = scene.submit(work: 3_600, limits: Limits(lostWorkSeconds: Seconds(400)), deadline: nil)
        scene.run(task, on: "a", for: 60, of: 3_600)
        let decisions = scene.plan()
        #expect(decisions.map(\.kind).contains(.schedule))
        for decision in decisions where [.schedule, .checkpoint].contains(decision.kind) {
            let read = try JSONDecoder().decode(Decision.self, from: JSONEncoder().encode(decision))
            let again = ScheduleChoice(try #require(read.situation))
            #expect(again.alternatives == decision.alternatives)
            #expect(again.index == decision.chosen)
            #expect(again.binding == decision.binding)
        }
    }
}
