#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The expected cost of a task's remaining life, and the search for the interval and the option that make it least.
///
///     J(τ, option) = p_time·E[T] + p_network·E[bytes sent] + p_storage·E[byte-seconds kept] + E[penalty(T)]
///
/// subject to the limits. With a known failure rate, no network price and no deadline the minimum is the exact
/// optimum of `Interval`; a network price acts like an addition of p_network·B·r/p_time to the checkpoint's cost.
package struct CostObjective: Hashable, Sendable {
    package var outlook: Outlook
    package var prices: ObjectivePrices
    package var limits: ObjectiveLimits
    /// From now, seconds; negative when it has passed; nil where there is none.
    package var deadlineSeconds: Double?
    package var penalty: LatenessPenalty?

    package init(
        outlook: Outlook, prices: ObjectivePrices, limits: ObjectiveLimits = ObjectiveLimits(), deadlineSeconds: Double? = nil,
        penalty: LatenessPenalty? = nil
    ) {
        self.outlook = outlook
        self.prices = prices
        self.limits = limits
        self.deadlineSeconds = deadlineSeconds
        self.penalty = penalty
    }

    /// All that is predicted of one option with one interval (nil: never).
    package func evaluate(_ option: CheckpointOption, intervalSeconds: Double?) -> Candidate {
        let plan = CheckpointPlan(outlook: outlook, option: option, intervalSeconds: intervalSeconds)
        var terms = freeTerms(plan, option)
        var met: Double?
        if let deadlineSeconds {
            if plan.isSure(by: deadlineSeconds) {
                met = 1
            } else {
                let finish = plan.finish
                met = finish.probability(by: deadlineSeconds)
                terms.penalty = expectedPenalty(finish)
            }
        }
        return Candidate(
            option: option, intervalSeconds: plan.intervalSeconds, dueSeconds: plan.dueSeconds, checkpoints: plan.checkpoints,
            terms: terms, expectedSeconds: plan.expectedSeconds,
            standardDeviationSeconds: plan.varianceSquareSeconds.squareRoot(),
            expectedSentBytes: sentBytes(plan, option), expectedStoredByteSeconds: storedByteSeconds(plan, option), probabilityMet: met,
            largestLossSeconds: plan.largestLossSeconds, stoppedShare: plan.stoppedShare, verdicts: verdicts(plan, option, met))
    }

    private func expectedPenalty(_ finish: @autoclosure () -> FinishTimeDistribution) -> Double {
        guard let penalty, let deadlineSeconds else { return 0 }
        return penalty.expected(finish(), deadlineSeconds: deadlineSeconds)
    }

    private func freeTerms(_ plan: CheckpointPlan, _ option: CheckpointOption) -> CostTerms {
        CostTerms(
            time: prices.perSecond * plan.expectedSeconds, network: prices.perByteSent * sentBytes(plan, option),
            storage: prices.perByteSecondStored * storedByteSeconds(plan, option))
    }

    /// Bytes over the network from now on.
    ///
    /// Each checkpoint is uploaded until one upload of length w = L − C gets through: e^{λw} − 1 of them fail, each
    /// having sent the share 1/λw − 1/(e^{λw} − 1) on average, which makes (e^{λw} − 1)/λw uploads in all. Failures come at
    /// the rate λ all the time, so λ·E[T] of them fetch a checkpoint (by Wald's equation).
    private func sentBytes(_ plan: CheckpointPlan, _ option: CheckpointOption) -> Double {
        let rate = outlook.failureRatePerSecond
        let uploads = Cumulants.anewMean(min(rate * max(0, option.latencySeconds - option.stopSeconds), 250))
        return plan.checkpoints * option.sentBytes * option.replication * uploads + rate * plan.expectedSeconds * option.fetchedBytes
    }

    /// Bytes kept in the store, times how long: in the i-th of n + 1 segments of equal expected length, min(kept + i, keepLast).
    private func storedByteSeconds(_ plan: CheckpointPlan, _ option: CheckpointOption) -> Double {
        if prices.perByteSecondStored == 0 && option.storedBytes == 0 { return 0 }
        let room = Double(max(0, outlook.keepLast - outlook.keptCheckpoints))
        let start = Double(min(outlook.keptCheckpoints, outlook.keepLast))
        let taken = plan.checkpoints
        let added = taken <= room ? taken * (taken + 1) / 2 : room * (room + 1) / 2 + (taken - room) * room
        let kept = start + added / (taken + 1)
        return option.storedBytes * option.replication * kept * plan.expectedSeconds
    }

    private func verdicts(_ plan: CheckpointPlan, _ option: CheckpointOption, _ met: Double?) -> [LimitVerdict] {
        var verdicts: [LimitVerdict] = []
        if let interval = plan.intervalSeconds {
            if limits.bounds.floorSeconds > 0 { verdicts.append(LimitVerdict(.floor, interval, atLeast: limits.bounds.floorSeconds)) }
            if limits.bounds.ceilingSeconds < .infinity { verdicts.append(LimitVerdict(.ceiling, interval, atMost: limits.bounds.ceilingSeconds)) }
            if plan.checkpoints > 1 { verdicts.append(LimitVerdict(.upload, interval, atLeast: option.exposureSeconds)) }
        } else if limits.bounds.ceilingSeconds < .infinity {
            // Never is an interval too: as long as the work that no checkpoint would cover.
            verdicts.append(LimitVerdict(.ceiling, outlook.wholeSeconds, atMost: limits.bounds.ceilingSeconds))
        }
        if let most = limits.lostWorkSeconds { verdicts.append(LimitVerdict(.lostWork, plan.largestLossSeconds, atMost: most)) }
        if let most = limits.recoverySeconds { verdicts.append(LimitVerdict(.recovery, option.recoverySeconds, atMost: most)) }
        if let most = limits.stoppedShare { verdicts.append(LimitVerdict(.stoppedShare, plan.stoppedShare, atMost: most)) }
        if let least = limits.meetProbability, let met { verdicts.append(LimitVerdict(.meetProbability, met, atLeast: least)) }
        return verdicts
    }

    /// Whether the deadline is so near that no stop is worth taking any more: the work, one recovery and one stop fill the time left.
    package func optionalStopsEnd(_ option: CheckpointOption) -> Bool {
        guard let deadlineSeconds else { return false }
        return outlook.workSeconds + option.recoverySeconds + option.costSeconds >= deadlineSeconds
    }

    /// The cheapest of all options and intervals, "never" among them, that keeps the limits.
    ///
    /// First without limits: where the cheapest of all keeps them, it is the answer and no limit binds. Else each option is
    /// searched within them. Where nothing keeps them, the candidate that breaks them least is returned.
    /// - Precondition: at least one option.
    /// - Parameter briefly: what cannot be the answer is not evaluated, and the answer is the only alternative.
    package func minimise(over options: [CheckpointOption], briefly: Bool = false) -> Minimum {
        precondition(!options.isEmpty, "nothing to choose from")
        var alternatives: [Candidate] = []
        var free: Candidate?
        /// The best so far keeps all limits, and nobody knows a cheaper one that does not: what is dearer without its penalty is out.
        var bar = Double.infinity
        for option in options {
            let intervals = unlimitedIntervals(option)
            if briefly, floorCost(option, intervals) > bar { continue }
            let never = evaluate(option, intervalSeconds: nil)
            var cheapest = never
            var within = never
            for interval in intervals {
                if within == cheapest, within.isFeasible, costWithoutPenalty(option, interval) > within.terms.total { continue }
                let candidate = evaluate(option, intervalSeconds: interval)
                if candidate.terms.total < cheapest.terms.total { cheapest = candidate }
                if candidate.isBetter(than: within) { within = candidate }
            }
            if free.map({ cheapest.terms.total < $0.terms.total }) ?? true { free = cheapest }
            if !cheapest.isFeasible {
                for interval in limitedIntervals(option, from: within) {
                    let candidate = evaluate(option, intervalSeconds: interval)
                    if candidate.isBetter(than: within) { within = candidate }
                }
            }
            within = settled(within, option)
            alternatives.append(within)
            if within.intervalSeconds != nil { alternatives.append(never) }
            if within.isFeasible, free.map({ $0.isFeasible }) ?? false { bar = min(bar, within.terms.total) }
        }
        var best = alternatives[0]
        for candidate in alternatives.dropFirst() where candidate.isBetter(than: best) { best = candidate }
        var binding: [LimitVerdict] = []
        if let free, !free.isFeasible {
            binding = free.violated.sorted { $0.relativeExcess > $1.relativeExcess }
            if !alternatives.contains(free) { alternatives.append(free) }
        }
        return Minimum(best: best, alternatives: briefly ? [best] : alternatives, binding: binding)
    }

    /// J but for its penalty, of the same plan as `evaluate` would weigh: never more than the whole.
    private func costWithoutPenalty(_ option: CheckpointOption, _ interval: Double?) -> Double {
        freeTerms(CheckpointPlan(outlook: outlook, option: option, intervalSeconds: interval), option).total
    }

    /// Below what an option can hardly cost: the least of what is worth evaluating of it, without its penalty, less a tenth of what that is above the undisturbed
    /// task; nothing is ruled out where segments are so few that one more or fewer makes a difference.
    private func floorCost(_ option: CheckpointOption, _ intervals: [Double]) -> Double {
        guard let first = intervals.first, outlook.wholeSeconds / first >= 10 else { return -.infinity }
        let least = intervals.reduce(costWithoutPenalty(option, nil)) { min($0, costWithoutPenalty(option, $1)) }
        return least - 0.1 * max(0, least - prices.perSecond * outlook.workSeconds)
    }

    /// One segment more or fewer as long as that is better: the search ends within a ten-thousandth of the best interval, which are several segments where there
    /// are many. What a dearer checkpoint or a better node changes then changes the right way, by whole segments.
    private func settled(_ start: Candidate, _ option: CheckpointOption) -> Candidate {
        guard let interval = start.intervalSeconds else { return start }
        let divided = interval >= outlook.unsavedSeconds ? outlook.wholeSeconds : outlook.workSeconds
        let count = (divided / interval).rounded()
        guard count < 1e5 else { return start }
        var best = start
        for direction in [-1.0, 1] {
            for step in 1...8 {
                let segments = count + direction * Double(step)
                guard segments >= 1 else { break }
                // Of two that keep the limits the cheaper is better, and none is cheaper than it is without its penalty.
                if best.isFeasible, costWithoutPenalty(option, divided / segments) > best.terms.total { break }
                let candidate = evaluate(option, intervalSeconds: divided / segments)
                guard candidate.isBetter(than: best) else { break }
                best = candidate
            }
        }
        return best
    }

    /// Intervals worth evaluating where nothing limits them: those around the relaxed minimum that divide the work into whole segments.
    private func unlimitedIntervals(_ option: CheckpointOption) -> [Double] {
        let whole = outlook.wholeSeconds
        guard outlook.workSeconds > 0 else { return [] }
        let low = max(option.exposureSeconds, whole / 1e7, 1e-3)
        guard low < whole / 2 else { return low < whole ? wholeSegments(near: whole / 2) : [] }
        return wholeSegments(near: relaxedMinimum(option, from: low, to: whole / 2)) + wholeSegments(near: whole / 2)
    }

    /// Intervals worth evaluating within the limits: the relaxed minimum between them, their ends, whole divisions that fit.
    private func limitedIntervals(_ option: CheckpointOption, from start: Candidate) -> [Double] {
        let whole = outlook.wholeSeconds
        guard outlook.workSeconds > 0 else { return [] }
        let floor = max(limits.bounds.floorSeconds, min(option.exposureSeconds, limits.bounds.ceilingSeconds), 1e-3)
        let ceiling = max(limits.bounds.ceilingSeconds, floor)
        var low = floor
        if let share = limits.stoppedShare { low = share > 0 ? max(low, option.stopSeconds * (1 / share - 1)) : ceiling }
        var high = min(ceiling, whole)
        if let most = limits.lostWorkSeconds { high = min(high, most - option.costSeconds - option.exposureSeconds) }
        low = min(max(low, floor), ceiling)
        high = min(max(high, floor), ceiling)
        if low > high { swap(&low, &high) }
        var intervals = [low, high]
        let inner = relaxedMinimum(option, from: low, to: max(low, min(high, whole / 2)))
        intervals.append(inner)
        for interval in wholeSegments(near: inner) + wholeSegments(near: high) { intervals.append(min(max(interval, low), high)) }
        intervals += surestIntervals(option, from: low, to: high, cheapest: start.intervalSeconds ?? high)
        return intervals
    }

    /// Where a confidence is asked for: the interval that makes meeting the deadline most likely, and the one nearest to the
    /// cheapest that is still likely enough.
    private func surestIntervals(_ option: CheckpointOption, from low: Double, to high: Double, cheapest: Double) -> [Double] {
        guard let least = limits.meetProbability, let deadlineSeconds, low < high else { return [] }
        func missed(_ interval: Double) -> Double {
            CheckpointPlan(outlook: outlook, option: option, intervalSeconds: interval).finish.probability(beyond: deadlineSeconds)
        }
        let surest = Search.minimum(from: low, to: high, of: missed)
        guard missed(surest) <= 1 - least else { return [surest] }
        var kept = surest
        var broken = min(max(cheapest, low), high)
        for _ in 0..<20 {
            let middle = (kept * broken).squareRoot()
            if missed(middle) <= 1 - least { kept = middle } else { broken = middle }
        }
        return [surest, kept]
    }

    /// Both divisions of the work into whole segments around an interval; counted from the last checkpoint where the next is
    /// still to come, from now where it is overdue.
    private func wholeSegments(near interval: Double) -> [Double] {
        let divided = interval >= outlook.unsavedSeconds ? outlook.wholeSeconds : outlook.workSeconds
        let count = min(divided / interval, 1e9)
        let few = max(interval >= outlook.unsavedSeconds ? 2 : 1, count.rounded(.down))
        let many = max(few, count.rounded(.up))
        return few == many ? [divided / few] : [divided / few, divided / many]
    }

    private func relaxedMinimum(_ option: CheckpointOption, from low: Double, to high: Double) -> Double {
        func relaxed(_ interval: Double) -> CheckpointPlan { CheckpointPlan(relaxed: outlook, option: option, intervalSeconds: interval) }
        func whole(_ interval: Double) -> CostTerms {
            let plan = relaxed(interval)
            var terms = freeTerms(plan, option)
            terms.penalty = expectedPenalty(plan.roughFinish)
            return terms
        }
        guard prices.perSecond > 0 else { return Search.minimum(from: low, to: high) { whole($0).total } }
        // Without a penalty there is one valley, and it is near the exact optimum for a checkpoint that costs what its bytes cost as well.
        let cost = option.costSeconds + prices.perByteSent * option.sentBytes * option.replication / prices.perSecond
        let near = Interval.exact(stopSeconds: cost, failureRatePerSecond: outlook.failureRatePerSecond)
        let found = Search.valley(from: low, to: high, near: near) { freeTerms(relaxed($0), option).total }
        guard penalty != nil, let deadlineSeconds, !relaxed(found).isSure(by: deadlineSeconds) else { return found }
        // No other can be better where hardly any penalty is expected: all are at least as dear without theirs.
        let there = whole(found)
        return there.penalty <= 1e-9 * there.total ? found : Search.minimum(from: low, to: high) { whole($0).total }
    }
}

/// The least value of a function of one positive variable, and where one crosses zero.
package enum Search {
    /// Where a function that falls from above zero at `low` to zero or below at `high` is no longer above zero, within a tolerance: inverse quadratic
    /// interpolation where the last three points allow it, bisection else, so that flat stretches and steps do no harm.
    /// Source: T. R. Chandrupatla, Advances in Engineering Software 28 (1997) 145.
    package static func crossing(from low: Double, to high: Double, within tolerance: Double, of excess: (Double) -> Double) -> Double {
        var (a, b, c) = (high, low, low)
        var (atA, atB) = (excess(high), excess(low))
        var atC = atB
        var share = 0.5
        for _ in 0..<200 {
            let next = a + share * (b - a)
            let there = excess(next)
            if (there > 0) == (atA > 0) {
                (c, atC) = (a, atA)
            } else {
                (c, atC) = (b, atB)
                (b, atB) = (a, atA)
            }
            (a, atA) = (next, there)
            let least = tolerance / abs(b - a)
            if !(least < 0.5) { break }
            let place = (a - b) / (c - b)
            let height = (atA - atB) / (atC - atB)
            share =
                height * height < place && (1 - height) * (1 - height) < 1 - place
                ? atA / (atB - atA) * atC / (atB - atC) + (c - a) / (b - a) * atA / (atC - atA) * atB / (atC - atB) : 0.5
            share = min(max(share, least), 1 - least)
        }
        return atA > 0 ? b : a
    }

    /// Of a function that falls, then rises: by steps from `near` until it is between two that are higher, then by parabolas through the three lowest,
    /// or golden sections where those do not shrink it. Relative accuracy 1e-5 of the argument.
    /// Source: R. P. Brent, Algorithms for Minimization without Derivatives, 1973, chapter 5.
    static func valley(from low: Double, to high: Double, near: Double, of cost: (Double) -> Double) -> Double {
        if !(high > low * (1 + 1e-12)) { return low }
        let (lowest, highest) = (log(low), log(high))
        func value(_ x: Double) -> Double { cost(x <= lowest ? low : x >= highest ? high : exp(x)) }
        var x = min(max(log(near), lowest), highest)
        if x.isNaN { x = (lowest + highest) / 2 }
        var step = 0.25
        var (left, right) = (max(lowest, x - step), min(highest, x + step))
        var (atLeft, at, atRight) = (value(left), value(x), value(right))
        while atLeft < at, left > lowest {
            step *= 2
            (right, atRight, x, at) = (x, at, left, atLeft)
            left = max(lowest, x - step)
            atLeft = value(left)
        }
        while atRight < at, right < highest {
            step *= 2
            (left, atLeft, x, at) = (x, at, right, atRight)
            right = min(highest, x + step)
            atRight = value(right)
        }
        // At an end of the range.
        if x <= lowest && at <= atRight || atLeft <= at && left <= lowest && atLeft <= value(min(right, left + 1e-4)) { return low }
        if x >= highest && at <= atLeft || atRight <= at && right >= highest && atRight <= value(max(left, right - 1e-4)) { return high }
        let golden = (3 - 5.0.squareRoot()) / 2
        // The lowest, the one above it, and the highest.
        var (second, atSecond, third, atThird) = (left, atLeft, right, atRight)
        if atSecond < at { (x, at, second, atSecond) = (second, atSecond, x, at) }
        if atThird < at { (x, at, third, atThird) = (third, atThird, x, at) }
        if atThird < atSecond { (second, atSecond, third, atThird) = (third, atThird, second, atSecond) }
        var (move, before) = (right - left, right - left)
        let tolerance = 1e-5
        for _ in 0..<60 {
            let middle = (left + right) / 2
            if abs(x - middle) <= 2 * tolerance - (right - left) / 2 { break }
            let r = (x - second) * (at - atThird)
            var q = (x - third) * (at - atSecond)
            var p = (x - third) * q - (x - second) * r
            q = 2 * (q - r)
            if q > 0 { p = -p } else { q = -q }
            if abs(p) < abs(q * before / 2), p > q * (left - x), p < q * (right - x) {
                (before, move) = (move, p / q)
            } else {
                before = x < middle ? right - x : left - x
                move = golden * before
            }
            let tried = abs(move) >= tolerance ? x + move : x + (move > 0 ? tolerance : -tolerance)
            let atTried = value(tried)
            if atTried <= at {
                if tried < x { right = x } else { left = x }
                (third, atThird, second, atSecond, x, at) = (second, atSecond, x, at, tried, atTried)
            } else {
                if tried < x { left = tried } else { right = tried }
                if atTried <= atSecond || second == x {
                    (third, atThird, second, atSecond) = (second, atSecond, tried, atTried)
                } else if atTried <= atThird || third == x || third == second {
                    (third, atThird) = (tried, atTried)
                }
            }
        }
        return exp(x)
    }

    /// A logarithmic grid finds the valley, a golden section its floor; relative accuracy 1e-4 of the argument, or better.
    static func minimum(from low: Double, to high: Double, of cost: (Double) -> Double) -> Double {
        if !(high > low * (1 + 1e-12)) { return low }
        let steps = max(4, min(32, Int((3 * log(high / low)).rounded(.up))))
        let width = log(high / low) / Double(steps)
        var best = 0
        var least = Double.infinity
        for index in 0...steps {
            let value = cost(low * exp(width * Double(index)))
            if value < least {
                least = value
                best = index
            }
        }
        var left = log(low) + width * Double(max(0, best - 1))
        var right = log(low) + width * Double(min(steps, best + 1))
        let ratio = (5.0.squareRoot() - 1) / 2
        var a = right - ratio * (right - left)
        var b = left + ratio * (right - left)
        var costA = cost(exp(a))
        var costB = cost(exp(b))
        while right - left > 1e-4 {
            if costA <= costB {
                right = b
                b = a
                costB = costA
                a = right - ratio * (right - left)
                costA = cost(exp(a))
            } else {
                left = a
                a = b
                costA = costB
                b = left + ratio * (right - left)
                costB = cost(exp(b))
            }
        }
        let found = exp(costA <= costB ? a : b)
        // A minimum at an end of the range is approached, not reached, by the section.
        let grid = low * exp(width * Double(best))
        let refined = min(max(found, low), high)
        return cost(refined) <= least ? refined : best == steps ? high : grid
    }
}
