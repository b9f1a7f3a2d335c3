import Testing
import Vocabulary

@testable import Planning

@Suite("What would have changed a decision")
struct WhatIfTests {
    func decision(_ situation: Situation) -> Decision {
        Decision(
            id: DecisionID("d000001"), at: Timestamp(0), kind: .schedule, task: TaskID("t"), node: NodeID("a"), mode: .enforce, sla: nil, policy: nil,
            models: "2", inputs: [], situation: situation, alternatives: [], chosen: nil, binding: nil, rules: [], sentence: "", steps: [])
    }

    /// C = 5 s, M = 10 h, 900 s since the last checkpoint of a task that has 10 h left.
    var situation: Situation {
        Situation(
            settings: .init(strategy: .young, floorSeconds: Seconds(10), ceilingSeconds: .hours(24), codecs: [.zstd]),
            costs: [costs(.zstd, interference: 0, latency: 5, sent: 1e8)], workLeftSeconds: 36_000, unsavedSeconds: 300,
            failureRatePerSecond: 1 / 36_000.0, keptCheckpoints: 1, prices: Prices(timePerHour: 1, networkPerGiB: 0, storagePerGiBHour: 0),
            limits: Limits())
    }

    func costs(_ codec: Codec, interference: Double, latency: Double, sent: Double) -> Situation.Costs {
        Situation.Costs(
            codec: codec, stopSeconds: 5, interferenceSeconds: interference, latencySeconds: latency, recoverySeconds: 60, sentBytes: sent,
            memoryShare: 0.9, compressSeconds: 1, uploadSeconds: 2)
    }

    @Test("the MTBF below which Young's interval has passed, by hand")
    func young() throws {
        // √(2·5·36000) = 600 s, 300 of which have passed: due when √(10·M) = 300.5, M = 9030 s, a quarter of what it was.
        let found = WhatIf.counterfactuals(of: decision(situation))
        let now = try #require(found.first { $0.input == "mtbfSeconds" && $0.change == .checkpointNow })
        #expect(abs(now.threshold / 9_030 - 1) < 2e-3)
        #expect(abs(now.actual - 36_000) < 1e-6)
        #expect(now.threshold <= 9_030 * (1 + 1e-9))
        // Above √(10·M) = 36,300 s, M = 1.318e8 s, none at all.
        let never = try #require(found.first { $0.input == "mtbfSeconds" && $0.change == .noCheckpoints })
        #expect(abs(never.threshold / 1.31769e8 - 1) < 2e-3)
        #expect(never.instead == "never")
        // 599.5 s and more since the last checkpoint.
        let unsaved = try #require(found.first { $0.input == "exposedSeconds" && $0.change == .checkpointNow })
        #expect(abs(unsaved.threshold / 599.5 - 1) < 2e-3)
        // Young knows no prices.
        #expect(!found.contains { $0.input.hasPrefix("price") })
    }

    @Test(
        "what is found is true: just beyond the threshold the choice is the other one, just before it is the same",
        arguments: 1...UInt64(2 * thoroughness))
    func holds(seed: UInt64) {
        var situations = Situations(seed)
        var count = 0
        for _ in 0..<3 {
            let situation = situations.situation(strategy: .adaptive, ways: 2, limited: false)
            let choice = ScheduleChoice(situation)
            for found in WhatIf.counterfactuals(of: decision(situation)) where found.input == "mtbfSeconds" {
                count += 1
                func at(_ mtbf: Double) -> ScheduleChoice {
                    var changed = situation
                    changed.failureRatePerSecond = 1 / mtbf
                    return ScheduleChoice(changed)
                }
                func key(_ choice: ScheduleChoice) -> String {
                    "\(choice.isDueNow) \(choice.best.intervalSeconds == nil ? "never" : choice.best.option.name)"
                }
                let away = found.threshold > found.actual ? 1.0 : -1.0
                #expect(key(at(found.threshold * (1 - away * 2e-3))) == key(choice), "seed \(seed)")
                #expect(key(at(found.threshold)) != key(choice), "seed \(seed)")
            }
        }
        #expect(count > 0)
    }

    @Test("a dearer network would have chosen another codec, and a decision without a situation has nothing to say")
    func codec() throws {
        var two = situation
        two.settings.strategy = .adaptive
        two.settings.codecs = [.none, .zstd]
        two.prices = Prices(timePerHour: 1, networkPerGiB: 0.0001, storagePerGiBHour: 0)
        // A GB as it is, a quarter of it for two seconds more.
        two.costs = [costs(.none, interference: 0, latency: 20, sent: 1e9), costs(.zstd, interference: 2, latency: 20, sent: 2.5e8)]
        let choice = ScheduleChoice(two)
        #expect(choice.best.option.name == "none")
        let found = WhatIf.counterfactuals(of: decision(two))
        let other = try #require(found.first { $0.input == "priceNetworkPerGiB" && $0.change == .codec })
        #expect(other.threshold > other.actual)
        #expect(other.instead.contains("zstd"))
        // 2 s at 1/3600 a second buy 2·0.75e9/2³⁰ GiB: 3.98e-4 a GiB, to first order.
        #expect(abs(other.threshold / 3.98e-4 - 1) < 0.03)
        var without = decision(two)
        without.situation = nil
        #expect(WhatIf.counterfactuals(of: without).isEmpty)
    }
}
