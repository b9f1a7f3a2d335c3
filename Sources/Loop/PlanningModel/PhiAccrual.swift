#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Suspicion that grows with silence: −log₁₀ of the probability that a live node would be silent this long.
///
/// φ = 1 is wrong one time in ten, φ = 8 one in a hundred million, if the times between heartbeats are normal with
/// the mean and the deviation of those seen last.
/// Source: N. Hayashibara et al., "The φ accrual failure detector", SRDS 2004, equations 1 to 4; the least deviation
/// and the acceptable pause as in Akka's detector, which keep a very regular node from being declared lost for one
/// late message.
package struct PhiAccrual: Hashable, Sendable {
    /// Deviation that is assumed at least, seconds, > 0.
    package let minimumDeviationSeconds: Double
    /// Silence on top of the mean interval that causes no suspicion, seconds.
    package let acceptablePauseSeconds: Double
    /// Intervals remembered.
    package let window: Int
    private var intervals: [Double]
    private var oldest = 0
    /// When the last heartbeat came, seconds on the caller's clock; nil before the first.
    package private(set) var lastHeartbeatSeconds: Double?

    /// - Parameters:
    ///   - expectedIntervalSeconds: what stands in for history until there is some, > 0.
    ///   - window: how many intervals are remembered, at least 2.
    package init(expectedIntervalSeconds: Double, minimumDeviationSeconds: Double, acceptablePauseSeconds: Double, window: Int = 100) {
        precondition(expectedIntervalSeconds > 0 && minimumDeviationSeconds > 0 && acceptablePauseSeconds >= 0 && window >= 2)
        self.minimumDeviationSeconds = minimumDeviationSeconds
        self.acceptablePauseSeconds = acceptablePauseSeconds
        self.window = window
        // Two of them, a quarter to either side, so that the first suspicion is not built on certainty.
        intervals = [expectedIntervalSeconds * 0.75, expectedIntervalSeconds * 1.25]
    }

    /// Notes a heartbeat. One that is not later than the last (a clock set back, a repeat) is no news and changes nothing.
    package mutating func heartbeat(atSeconds now: Double) {
        guard let last = lastHeartbeatSeconds else {
            lastHeartbeatSeconds = now
            return
        }
        guard now > last else { return }
        lastHeartbeatSeconds = now
        if intervals.count < window {
            intervals.append(now - last)
        } else {
            intervals[oldest] = now - last
            oldest = (oldest + 1) % window
        }
    }

    /// Forgets when the last heartbeat came but not how they used to come: after the watcher itself was away, its own
    /// absence must not count as the node's silence.
    package mutating func resume(atSeconds now: Double) {
        lastHeartbeatSeconds = now
    }

    package var meanIntervalSeconds: Double { intervals.reduce(0, +) / Double(intervals.count) }

    package var deviationSeconds: Double {
        let mean = meanIntervalSeconds
        let square = intervals.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(intervals.count)
        return max(square.squareRoot(), minimumDeviationSeconds)
    }

    /// φ at a time on the same clock as the heartbeats; 0 before the first. Always finite, never falls as silence goes on.
    package func phi(atSeconds now: Double) -> Double {
        guard let last = lastHeartbeatSeconds else { return 0 }
        let late = now - last - meanIntervalSeconds - acceptablePauseSeconds
        return max(0, -NormalTail.logarithm(late / deviationSeconds) / M_LN10)
    }

    /// The silence, seconds, after which φ exceeds `threshold` (0.302 and above): what detection takes.
    package func silenceSeconds(reaching threshold: Double) -> Double {
        var low = 0.0
        var high = 1.0
        func phi(_ deviations: Double) -> Double { -NormalTail.logarithm(deviations) / M_LN10 }
        while phi(high) < threshold { high *= 2 }
        for _ in 0..<100 where high - low > 1e-12 * high {
            let middle = (low + high) / 2
            if phi(middle) < threshold { low = middle } else { high = middle }
        }
        return meanIntervalSeconds + acceptablePauseSeconds + high * deviationSeconds
    }
}
