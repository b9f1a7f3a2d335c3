import PlanningModel
import Vocabulary

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What would have had to be different for another choice: the situation of a decision is planned for again, with one number of it changed.
package enum WhatIf {
    /// How far a number is changed, up and down, before it is taken not to matter.
    private static let farthest = 10_000.0
    private static let step = 1.5

    /// For each number that could have made another choice by itself, the nearest such value below and above; what is nearest first.
    package static func counterfactuals(of decision: Decision) -> [Counterfactual] {
        guard let situation = decision.situation, !situation.costs.isEmpty, decision.kind == .schedule || decision.kind == .checkpoint else {
            return []
        }
        let actual = Chosen(ScheduleChoice(situation, briefly: true))
        var found: [(Counterfactual, distance: Double)] = []
        for number in Number.all {
            let value = number.value(situation)
            guard value > 0, value.isFinite else { continue }
            for direction in [1.0, -1.0] {
                guard let (factor, outcome) = nearest(number, direction, situation, actual) else { continue }
                found.append(
                    (
                        Counterfactual(
                            input: number.name, actual: value, threshold: value * factor, change: actual.change(to: outcome),
                            instead: outcome.description
                        ), abs(log(factor))
                    ))
            }
        }
        return found.sorted { ($0.distance, $0.0.input) < ($1.distance, $1.0.input) }.map(\.0)
    }

    /// Steps of a factor of 1.5 until the choice is another, then bisection to a thousandth. Where a choice comes and goes within a step it is passed over.
    private static func nearest(_ number: Number, _ direction: Double, _ situation: Situation, _ actual: Chosen) -> (Double, Chosen)? {
        func outcome(_ factor: Double) -> Chosen { Chosen(ScheduleChoice(number.scaled(situation, factor), briefly: true)) }
        var same = 1.0
        var other = 1.0
        var chosen = actual
        while chosen == actual {
            same = other
            other *= direction > 0 ? step : 1 / step
            if other > farthest || other < 1 / farthest { return nil }
            chosen = outcome(other)
        }
        while abs(log(other / same)) > 1e-3 {
            let middle = (same * other).squareRoot()
            let there = outcome(middle)
            if there == actual {
                same = middle
            } else {
                other = middle
                chosen = there
            }
        }
        return (other, chosen)
    }

    /// What makes a choice another one: not a second more or less.
    private struct Chosen: Hashable, CustomStringConvertible {
        var isNever: Bool
        var isNow: Bool
        var codec: String
        var description: String

        init(_ choice: ScheduleChoice) {
            isNever = choice.best.intervalSeconds == nil
            isNow = choice.isDueNow
            codec = isNever ? "" : choice.best.option.name
            description = describe(choice.best)
        }

        static func == (a: Chosen, b: Chosen) -> Bool { (a.isNever, a.isNow, a.codec) == (b.isNever, b.isNow, b.codec) }
        func hash(into hasher: inout Hasher) { hasher.combine(codec) }

        func change(to other: Chosen) -> Counterfactual.Change {
            if isNow != other.isNow { return other.isNow ? .checkpointNow : other.isNever ? .noCheckpoints : .checkpointLater }
            if isNever != other.isNever { return other.isNever ? .noCheckpoints : .checkpoints }
            return .codec
        }
    }

    /// A number of the situation that may be changed.
    private struct Number {
        var name: String
        var value: (Situation) -> Double
        var scaled: (Situation, Double) -> Situation

        static var all: [Number] {
            [
                Number(name: "mtbfSeconds", value: { 1 / $0.failureRatePerSecond }) { situation, factor in
                    changed(situation) { $0.failureRatePerSecond /= factor }
                },
                Number(name: "workLeftSeconds", value: \.workLeftSeconds) { situation, factor in
                    changed(situation) { $0.workLeftSeconds *= factor }
                },
                Number(name: "exposedSeconds", value: \.unsavedSeconds) { situation, factor in
                    changed(situation) { $0.unsavedSeconds *= factor }
                },
                // Stops and all that they draw out: the latency grows with them.
                Number(name: "stopSeconds", value: { chosen($0).stopSeconds }) { situation, factor in
                    changed(situation) { situation in
                        for index in situation.costs.indices {
                            situation.costs[index].latencySeconds += situation.costs[index].stopSeconds * (factor - 1)
                            situation.costs[index].stopSeconds *= factor
                        }
                    }
                },
                Number(name: "sentBytes", value: { chosen($0).sentBytes }) { situation, factor in
                    changed(situation) { situation in
                        for index in situation.costs.indices { situation.costs[index].sentBytes *= factor }
                    }
                },
                Number(name: "priceTimePerHour", value: \.prices.timePerHour) { situation, factor in
                    changed(situation) { $0.prices.timePerHour *= factor }
                },
                Number(name: "priceNetworkPerGiB", value: \.prices.networkPerGiB) { situation, factor in
                    changed(situation) { $0.prices.networkPerGiB *= factor }
                },
                Number(name: "timeToDeadlineSeconds", value: { $0.timeToDeadlineSeconds?.rawValue ?? 0 }) { situation, factor in
                    changed(situation) { $0.timeToDeadlineSeconds = $0.timeToDeadlineSeconds.map { $0 * factor } }
                },
            ]
        }

        private static func changed(_ situation: Situation, _ change: (inout Situation) -> Void) -> Situation {
            var changed = situation
            change(&changed)
            return changed
        }

        /// Costs with the codec that was chosen.
        private static func chosen(_ situation: Situation) -> Situation.Costs {
            let name = ScheduleChoice(situation, briefly: true).best.option.name
            return situation.costs.first { $0.codec.rawValue == name } ?? situation.costs[0]
        }
    }
}
