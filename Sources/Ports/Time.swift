import Vocabulary

/// The only source of time. The simulator's is virtual.
package protocol TimeSource: Sendable {
    func now() -> Timestamp
    func sleep(for length: Seconds) async throws
}

/// The only source of randomness (names, jitter).
package protocol RandomSource: Sendable {
    /// Uniform over all values.
    func next() -> UInt64
}
