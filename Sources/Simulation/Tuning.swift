import Vocabulary

/// Searches prices and limits of a policy for a stated goal: it asks for policies to be tried and is told what came of them.
///
/// A pattern search on a logarithmic scale, one change at a time, the best one taken; where none is better the steps become smaller.
/// Every policy meets the same failures (common random numbers), so that a difference is not chance's.
/// Source: Hooke & Jeeves, "Direct search solution of numerical and statistical problems", JACM 8 (1961).
package struct Tuning: Sendable {
    /// The least of one metric, with others held at most so high.
    package struct Goal: Hashable, Sendable, Codable {
        package struct Bound: Hashable, Sendable, Codable {
            package var metric: Metric
            package var atMost: Double
            package init(metric: Metric, atMost: Double) {
                self.metric = metric
                self.atMost = atMost
            }
        }
        package var least: Metric
        package var bounds: [Bound]
        package init(least: Metric, bounds: [Bound]) {
            self.least = least
            self.bounds = bounds
        }

        /// How far the bounds are exceeded, in all, relative to themselves; 0: they are kept.
        package func excess(_ metrics: [Metric: Double]) -> Double {
            bounds.reduce(0) { $0 + max(0, (metrics[$1.metric] ?? .infinity) - $1.atMost) / max($1.atMost, 1e-6) }
        }

        /// Bounds first, then what shall be least; a thousandth is no difference.
        func isBetter(_ one: [Metric: Double], than other: [Metric: Double]) -> Bool {
            let (mine, theirs) = (excess(one), excess(other))
            if mine != theirs { return mine < theirs }
            return (one[least] ?? .infinity) < (other[least] ?? .infinity) * 0.999
        }
    }

    package struct Trial: Hashable, Sendable {
        package var policy: CheckpointPolicy
        package var metrics: [Metric: Double]
        fileprivate var setting: [Double]
    }

    package let goal: Goal
    package let base: CheckpointPolicy
    /// Policies that are tried at most.
    package let most: Int
    /// In the order in which they were tried, the base first.
    package private(set) var trials: [Trial] = []
    private let knobs: [Knob]
    private var asked: [[Double]] = []
    private var best: Int?
    private var step = 4.0
    /// Below it a change is hardly one.
    private static let finest = 1.4

    package init(_ base: CheckpointPolicy, goal: Goal, most: Int) {
        self.base = base
        self.goal = goal
        self.most = max(1, most)
        knobs = Knob.of(base)
    }

    /// Those that are to be tried next, all of them at once; none: the search is over.
    package mutating func next() -> [CheckpointPolicy] {
        precondition(asked.isEmpty, "what was asked for before was not told")
        if trials.isEmpty { asked = [knobs.map { $0.value(base) }] }
        while asked.isEmpty, trials.count < most, step >= Self.finest, let best {
            let here = trials[best].setting
            for index in knobs.indices {
                for factor in [step, 1 / step] {
                    var there = here
                    there[index] = knobs[index].rounded(here[index] * factor)
                    if knobs[index].range.contains(there[index]), isNew(there), policy(there) != nil { asked.append(there) }
                }
            }
            if asked.isEmpty { step = step.squareRoot() }
        }
        asked = Array(asked.prefix(most - trials.count))
        return asked.compactMap(policy)
    }

    /// - Parameter metrics: of those asked for, in their order.
    package mutating func tell(_ metrics: [[Metric: Double]]) {
        precondition(metrics.count == asked.count, "one for each policy that was asked for")
        let before = best
        for (setting, metrics) in zip(asked, metrics) {
            guard let policy = policy(setting) else { continue }
            trials.append(Trial(policy: policy, metrics: metrics, setting: setting))
            if best.map({ goal.isBetter(metrics, than: trials[$0].metrics) }) ?? true { best = trials.count - 1 }
        }
        asked = []
        if before != nil, best == before { step = step.squareRoot() }
    }

    /// From the best on, those that keep the bounds before those that do not.
    package var ranked: [Trial] {
        trials.enumerated().sorted {
            let (a, b) = ($0.element.metrics, $1.element.metrics)
            let (first, second) = (goal.excess(a), goal.excess(b))
            if first != second { return first < second }
            let (x, y) = (a[goal.least] ?? .infinity, b[goal.least] ?? .infinity)
            return x != y ? x < y : $0.offset < $1.offset
        }.map(\.element)
    }

    private func isNew(_ setting: [Double]) -> Bool { !asked.contains(setting) && !trials.contains { $0.setting == setting } }

    /// nil: it contradicts itself.
    private func policy(_ setting: [Double]) -> CheckpointPolicy? {
        var policy = base
        for (knob, value) in zip(knobs, setting) { knob.set(&policy, value) }
        let settings = policy.settings
        guard settings.floorSeconds <= settings.ceilingSeconds else { return nil }
        if case .fixed(let every) = settings.strategy, every < settings.floorSeconds || every > settings.ceilingSeconds { return nil }
        return policy
    }
}

/// A number of a policy that is tuned.
private struct Knob: Sendable {
    var range: ClosedRange<Double>
    var isWhole: Bool
    var value: @Sendable (CheckpointPolicy) -> Double
    var set: @Sendable (inout CheckpointPolicy, Double) -> Void

    /// Whole seconds; else three digits.
    func rounded(_ value: Double) -> Double {
        guard !isWhole, value > 0, value.isFinite else { return value.rounded() }
        var scale = 1.0
        while value * scale < 100 { scale *= 10 }
        while value * scale >= 1_000 { scale /= 10 }
        return (value * scale).rounded() / scale
    }

    /// Those that the policy's strategy heeds.
    static func of(_ base: CheckpointPolicy) -> [Knob] {
        let longest = 30 * 86_400.0
        func seconds(
            _ value: @escaping @Sendable (CheckpointPolicy) -> Seconds, _ set: @escaping @Sendable (inout CheckpointPolicy, Seconds) -> Void
        ) -> Knob {
            Knob(range: 1...longest, isWhole: true, value: { value($0).rawValue }, set: { set(&$0, Seconds($1)) })
        }
        let ceiling = seconds(\.settings.ceilingSeconds) { $0.settings.ceilingSeconds = $1 }
        let floor = seconds(\.settings.floorSeconds) { $0.settings.floorSeconds = $1 }
        switch base.settings.strategy {
        case .never: return []
        case .fixed(let every):
            return [
                Knob(range: 1...longest, isWhole: true, value: { _ in every.rawValue }) { policy, value in
                    policy.settings.strategy = .fixed(Seconds(value))
                    policy.settings.floorSeconds = min(base.settings.floorSeconds, Seconds(value))
                    policy.settings.ceilingSeconds = max(base.settings.ceilingSeconds, Seconds(value))
                }
            ]
        case .exact, .daly, .young: return [ceiling, floor]
        case .adaptive:
            return [
                price(base, least: 0.001, { $0.networkPerGiB }, { $0.networkPerGiB = $1 }),
                price(base, least: 0.0001, { $0.storagePerGiBHour }, { $0.storagePerGiBHour = $1 }), ceiling, floor,
            ]
        }
    }

    /// One price of every preference, as a multiple of what it was; of one that was nothing, of `least`.
    private static func price(
        _ base: CheckpointPolicy, least: Double, _ value: @escaping @Sendable (Prices) -> Double,
        _ set: @escaping @Sendable (inout Prices, Double) -> Void
    ) -> Knob {
        Knob(range: 1e-4...1e6, isWhole: false, value: { _ in 1 }) { policy, factor in
            for (name, prices) in base.preferences where factor != 1 {
                // The other price may have been changed already.
                var changed = policy.preferences[name] ?? prices
                set(&changed, (value(prices) > 0 ? value(prices) : least) * factor)
                policy.preferences[name] = changed
            }
        }
    }
}
