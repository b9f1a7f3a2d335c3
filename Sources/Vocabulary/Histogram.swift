/// How many values of which size were seen, and their sum.
package struct Histogram: Hashable, Sendable, Codable {
    /// Upper bounds, each inclusive, ascending.
    package let bounds: [Double]
    /// Values within each bound and above the one before it; the last are those above all bounds.
    package private(set) var counts: [Int64]
    package private(set) var sum = 0.0

    package init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds ascend")
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    package var count: Int64 { counts.reduce(0, +) }

    package mutating func observe(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }
}
