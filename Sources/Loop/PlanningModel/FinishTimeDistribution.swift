#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The distribution of the time that a row of segments takes.
///
/// The time is the undisturbed time plus an excess that failures cause. A normal distribution is too optimistic in
/// its tail, and no single smooth curve fits where a few failures, each with its recovery, put the mass into
/// separate heaps. So the excess is a mixture over the number n of failed tries, whose probabilities are exact:
///
///  - n = 0: nothing, with probability e^{−λΣs};
///  - n = 1: the recovery plus a cut-off exponential, exactly, unless the recovery fails too (gamma by two moments);
///  - n ≥ 2: the sum's first three moments, in a shifted gamma distribution, for each way that the failures are divided
///    between segments of different kinds; again apart for recoveries that fail;
///  - above twelve expected failures (forty in five segments or fewer): one shifted gamma distribution by the first three moments of the whole.
///
/// Tests compare it with simulation: within 0.01 between 0.5 and 0.999. Mean and variance are exact.
package struct FinishTimeDistribution: Hashable, Sendable {
    /// The time that no failure makes shorter, seconds.
    package let minimumSeconds: Double
    package let meanSeconds: Double
    package let varianceSquareSeconds: Double
    /// That no failure comes.
    package let undisturbedProbability: Double
    /// What failures add, each with its probability; together with `undisturbedProbability` they make 1.
    let parts: [ExcessPart]

    package init(_ runs: [SegmentRun]) {
        let total = Total(runs)
        self.init(total, parts: Self.mixture(total, runs))
    }

    /// Mass at the undisturbed time and one gamma distribution by two moments: cheap, and good enough to search with.
    init(roughly runs: [SegmentRun]) {
        let total = Total(roughly: runs)
        self.init(total, parts: [ExcessPart.gamma(weight: total.disturbed, of: total.excess.given(probability: total.disturbed))])
    }

    /// A time that no failure can change.
    package static func certain(seconds: Double) -> FinishTimeDistribution {
        FinishTimeDistribution([SegmentRun(Segment(lengthSeconds: seconds, recoverySeconds: 0, failureRatePerSecond: 0))])
    }

    private init(_ total: Total, parts: [ExcessPart]) {
        minimumSeconds = total.minimum
        meanSeconds = total.minimum + total.excess.mean
        varianceSquareSeconds = total.excess.variance
        let kept = total.disturbed > 0 ? parts.filter { $0.weight > 0 } : []
        self.parts = kept
        undisturbedProbability = kept.isEmpty ? 1 : exp(total.logUndisturbed)
    }

    package var standardDeviationSeconds: Double { varianceSquareSeconds.squareRoot() }

    /// P(T ≤ seconds).
    package func probability(by seconds: Double) -> Double { 1 - probability(beyond: seconds) }

    /// P(T > seconds).
    package func probability(beyond seconds: Double) -> Double {
        // Rounding in the last digits must not make the certain impossible.
        let over = seconds - minimumSeconds * (1 - 1e-12)
        if over < 0 { return 1 }
        return min(1, parts.reduce(0) { $0 + $1.weight * $1.probability(beyond: over) })
    }

    /// The earliest time by which the task has finished with this probability (0 to below 1), seconds; a ten-thousandth of the standard deviation later
    /// at most.
    package func quantile(_ probability: Double) -> Double {
        if parts.isEmpty || probability <= undisturbedProbability { return minimumSeconds }
        let beyond = 1 - min(probability, 1 - 1e-12)
        var low = minimumSeconds
        var high = meanSeconds + 2 * standardDeviationSeconds + 1e-9
        while self.probability(beyond: high) > beyond, high < 1e300 {
            low = high
            high += 2 * (high - minimumSeconds)
        }
        return Search.crossing(from: low, to: high, within: max(1e-7 * high, 1e-4 * standardDeviationSeconds)) {
            self.probability(beyond: $0) - beyond
        }
    }

    /// E[(T − seconds)⁺]: by how much it is late on average, being early counting as nothing.
    package func expectedLateness(after seconds: Double) -> Double {
        let over = seconds - minimumSeconds
        if over <= 0 { return meanSeconds - seconds }
        return parts.reduce(0) { $0 + $1.weight * $1.expectedBeyond(over) }
    }

    /// Sums over the row.
    private struct Total {
        var minimum = 0.0
        var excess = Cumulants()
        var logUndisturbed = 0.0
        var failedTries = 0.0
        var segments = 0.0
        var disturbed: Double { -expm1(logUndisturbed) }

        init(_ runs: [SegmentRun]) {
            self.init(roughly: runs)
            for run in runs where run.count > 0 { excess.third += run.count * run.segment.thirdCumulantCubicSeconds }
        }

        /// But for the third cumulant.
        init(roughly runs: [SegmentRun]) {
            for run in runs where run.count > 0 {
                let segment = run.segment
                minimum += run.count * segment.lengthSeconds
                excess.mean += run.count * segment.expectedExcessSeconds
                excess.variance += run.count * segment.varianceSquareSeconds
                logUndisturbed += run.count * segment.logUndisturbedProbability
                failedTries += run.count * segment.expectedFailedTries
                segments += run.count
            }
        }
    }

    private static func mixture(_ total: Total, _ runs: [SegmentRun]) -> [ExcessPart] {
        guard total.disturbed > 0 else { return [] }
        // Many failures in many segments blur into one heap; in few segments they keep apart for longer.
        if total.failedTries > (total.segments > 5 ? 12 : 40) || total.logUndisturbed < -600 {
            return [ExcessPart.shiftedGamma(weight: total.disturbed, of: total.excess)]
        }
        // Runs whose failures cost about the same are one group; the first, with unsaved work to do again, is mostly one of its own.
        let groups = FailureGroup.groups(runs)
        var ways = [(sum: FailureSum(), weight: 1.0)]
        for (index, group) in groups.enumerated() {
            let counts = failureCounts(group.runs)
            var more: [(sum: FailureSum, weight: Double)] = []
            more.reserveCapacity(ways.count * counts.count)
            for way in ways {
                for (count, probability) in counts.enumerated() where way.weight * probability > 1e-6 {
                    more.append((way.sum.adding(count, of: group, at: index), way.weight * probability))
                }
            }
            ways = more
        }
        var parts: [ExcessPart] = []
        parts.reserveCapacity(2 * ways.count + 2 * groups.count)
        for way in ways { way.sum.addParts(weight: way.weight, of: groups, to: &parts) }
        // What was too improbable to be listed is spread over the rest.
        let listed = parts.reduce(0) { $0 + $1.weight }
        for index in parts.indices { parts[index].weight *= total.disturbed / listed }
        return parts
    }

    /// P(n failed tries in all), n = 0, 1, 2, … until next to nothing is left: negative binomial for each run, convolved.
    private static func failureCounts(_ runs: [SegmentRun]) -> [Double] {
        var counts = [1.0]
        for run in runs where run.count > 0 {
            let passed = exp(run.segment.logUndisturbedProbability)
            let failed = -expm1(run.segment.logUndisturbedProbability)
            if run.count == 1 {
                // A geometric number more: g(n) = p·f(n) + q·g(n−1).
                var before = 0.0
                var made: [Double] = []
                var sum = 0.0
                while made.count < 400, made.count < counts.count || sum < 1 - 1e-5 {
                    let index = made.count
                    before = passed * (index < counts.count ? counts[index] : 0) + failed * before
                    made.append(before)
                    sum += before
                }
                counts = made
            } else {
                var one: [Double] = []
                var term = exp(run.count * run.segment.logUndisturbedProbability)
                var sum = 0.0
                while one.count < 400, sum < 1 - 1e-5 {
                    one.append(term)
                    sum += term
                    let n = Double(one.count)
                    term *= (n - 1 + run.count) / n * failed
                    if term == 0 { break }
                }
                var made = [Double](repeating: 0, count: counts.count + one.count - 1)
                for (i, a) in counts.enumerated() {
                    for (j, b) in one.enumerated() { made[i + j] += a * b }
                }
                counts = made
            }
        }
        return counts
    }
}
