/// Quantities as types, so that a unit mistake does not compile. Each one is encoded as a bare number;
/// the key that holds it ends in the unit (`stopSeconds`, `sentBytes`).

/// A length of time in seconds. Negative values mean "before" and appear only in differences.
package struct Seconds: RawRepresentable, Hashable, Comparable, Sendable, Codable, AdditiveArithmetic {
    package var rawValue: Double
    package init(rawValue: Double) { self.rawValue = rawValue }
    package init(_ value: Double) { rawValue = value }
    package static let zero = Seconds(0)
    package static func minutes(_ value: Double) -> Seconds { Seconds(value * 60) }
    package static func hours(_ value: Double) -> Seconds { Seconds(value * 3600) }
    package static func < (a: Seconds, b: Seconds) -> Bool { a.rawValue < b.rawValue }
    package static func + (a: Seconds, b: Seconds) -> Seconds { Seconds(a.rawValue + b.rawValue) }
    package static func - (a: Seconds, b: Seconds) -> Seconds { Seconds(a.rawValue - b.rawValue) }
    package static func * (a: Seconds, factor: Double) -> Seconds { Seconds(a.rawValue * factor) }
    package static func / (a: Seconds, b: Seconds) -> Double { a.rawValue / b.rawValue }
}

/// A moment: seconds since 1970-01-01T00:00:00Z.
package struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable, Codable {
    package var rawValue: Double
    package init(rawValue: Double) { self.rawValue = rawValue }
    package init(_ secondsSinceEpoch: Double) { rawValue = secondsSinceEpoch }
    package static func < (a: Timestamp, b: Timestamp) -> Bool { a.rawValue < b.rawValue }
    package static func + (a: Timestamp, b: Seconds) -> Timestamp { Timestamp(a.rawValue + b.rawValue) }
    package static func - (a: Timestamp, b: Timestamp) -> Seconds { Seconds(a.rawValue - b.rawValue) }
}

/// A number of bytes, never negative.
package struct ByteCount: RawRepresentable, Hashable, Comparable, Sendable, Codable, AdditiveArithmetic {
    package var rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }
    package init(_ value: some BinaryInteger) { rawValue = Int64(value) }
    package static let zero = ByteCount(0)
    package static func mebibytes(_ value: Int64) -> ByteCount { ByteCount(value << 20) }
    package static func gibibytes(_ value: Int64) -> ByteCount { ByteCount(value << 30) }
    package static func < (a: ByteCount, b: ByteCount) -> Bool { a.rawValue < b.rawValue }
    package static func + (a: ByteCount, b: ByteCount) -> ByteCount { ByteCount(a.rawValue + b.rawValue) }
    package static func - (a: ByteCount, b: ByteCount) -> ByteCount { ByteCount(a.rawValue - b.rawValue) }
    package var mebibytes: Double { Double(rawValue) / 1_048_576 }
}

/// A probability, 0 to 1 inclusive.
package struct Probability: RawRepresentable, Hashable, Comparable, Sendable, Codable {
    package var rawValue: Double
    /// Clamps to 0...1; a value that is not a number becomes 0.
    package init(rawValue: Double) { self.rawValue = rawValue.isNaN ? 0 : min(max(rawValue, 0), 1) }
    package init(_ value: Double) { self.init(rawValue: value) }
    package static func < (a: Probability, b: Probability) -> Bool { a.rawValue < b.rawValue }
}

/// An amount of money. Micro-units (a millionth of the currency's unit) keep sums exact.
package struct Money: Hashable, Sendable, Codable {
    package var microunits: Int64
    /// ISO 4217 code, for example `EUR`.
    package var currency: String
    package init(microunits: Int64, currency: String) { self.microunits = microunits; self.currency = currency }
    package init(_ amount: Double, _ currency: String) { self.init(microunits: Int64((amount * 1e6).rounded()), currency: currency) }
    package var amount: Double { Double(microunits) / 1e6 }
}

/// A number that was learnt, with how sure we are of it.
package struct Estimate: Hashable, Sendable, Codable {
    package var mean: Double
    package var standardError: Double
    /// Observations behind it; 0 means that it is a default.
    package var observations: Int
    package init(mean: Double, standardError: Double, observations: Int) {
        self.mean = mean
        self.standardError = standardError
        self.observations = observations
    }
}
