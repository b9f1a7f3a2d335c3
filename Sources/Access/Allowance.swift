import Synchronization
import Vocabulary

/// How many requests each of many may make: buckets of tokens that fill at a rate.
///
/// Source: Turner, New directions in communications, IEEE Communications Magazine 24(10), 1986 (the leaky bucket as a meter).
package final class Allowance: Sendable {
    private struct Bucket {
        var level: Double
        var at: Double
    }
    private let perSecond: Double
    private let burst: Double
    /// Most buckets kept; full ones are forgotten first, since a new one is full.
    private let most: Int
    private let buckets = Mutex<[String: Bucket]>([:])

    package init(perSecond: Double, burst: Double, most: Int = 10_000) {
        precondition(perSecond > 0 && burst >= 1 && most >= 1)
        self.perSecond = perSecond
        self.burst = burst
        self.most = most
    }

    /// - Parameter now: of a clock that only goes forward, in seconds.
    /// - Returns: nil when one more is allowed; else how long to wait until it is.
    package func take(_ key: String, now: Double) -> Seconds? {
        buckets.withLock { buckets in
            if buckets[key] == nil, buckets.count >= most { makeRoom(&buckets, now) }
            var bucket = buckets[key] ?? Bucket(level: burst, at: now)
            bucket.level = level(bucket, now)
            bucket.at = now
            defer { buckets[key] = bucket }
            guard bucket.level < 1 else {
                bucket.level -= 1
                return nil
            }
            return Seconds((1 - bucket.level) / perSecond)
        }
    }

    private func level(_ bucket: Bucket, _ now: Double) -> Double { min(burst, bucket.level + max(0, now - bucket.at) * perSecond) }

    private func makeRoom(_ buckets: inout [String: Bucket], _ now: Double) {
        buckets = buckets.filter { level($0.value, now) < burst }
        // All in use: who was longest silent begins anew.
        if buckets.count >= most, let oldest = buckets.min(by: { $0.value.at < $1.value.at })?.key { buckets[oldest] = nil }
    }
}
