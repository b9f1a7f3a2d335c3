import Vocabulary

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// CAIRN_SEEDS in the environment asks for that many times more cases than the suite makes by itself.
let thoroughness = max(1, getenv("CAIRN_SEEDS").flatMap { Int(String(cString: $0)) } ?? 1)

/// Situations of all kinds, as a seed repeats them (SplitMix64).
struct Situations {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func share() -> Double { Double((next() >> 11) + 1) * 0x1p-53 }
    mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * share() }
    mutating func logUniform(_ low: Double, _ high: Double) -> Double { exp(uniform(log(low), log(high))) }
    mutating func chance(_ probability: Double) -> Bool { share() <= probability }
    mutating func one<T>(of values: [T]) -> T { values[Int(next() % UInt64(values.count))] }

    static let strategies: [IntervalStrategy] = [.adaptive, .exact, .daly, .young, .fixed(Seconds(300))]

    /// - Parameters:
    ///   - ways: how many codecs there are to choose from.
    ///   - limited: with limits of the SLA, and bounds that bind now and then; without, hardly any bound and no deadline.
    mutating func situation(strategy: IntervalStrategy, ways: Int, limited: Bool) -> Situation {
        let work = logUniform(60, 30 * 86_400)
        let stop = logUniform(0.05, 30)
        let recovery = logUniform(5, 300)
        let codecs: [Codec] = [.zstd, .gzip, .none]
        let floor = limited ? logUniform(1, 100) : 0.001
        let ceiling = limited ? floor * logUniform(2, 1e4) : 1e12
        return Situation(
            settings: .init(
                strategy: strategy, floorSeconds: Seconds(floor), ceilingSeconds: Seconds(ceiling), codecs: Array(codecs.prefix(ways)),
                replication: 2,
                keepLast: 3),
            costs: codecs.prefix(ways).map { codec in
                let interference = uniform(0, stop)
                let latency = (stop + interference) * uniform(1, 4)
                return Situation.Costs(
                    codec: codec, stopSeconds: stop, interferenceSeconds: interference, latencySeconds: latency, recoverySeconds: recovery,
                    sentBytes: logUniform(1e6, 1e10), memoryShare: 0.9, compressSeconds: latency * share(), uploadSeconds: latency * share())
            }, workLeftSeconds: work, unsavedSeconds: chance(0.5) ? 0 : uniform(0, min(work, 3600)),
            failureRatePerSecond: 1 / logUniform(600, 30 * 86_400), keptCheckpoints: Int(uniform(0, 4)),
            prices: Prices(timePerHour: 1, networkPerGiB: logUniform(1e-3, 1), storagePerGiBHour: limited ? 1e-4 : 0),
            limits: limited
                ? Limits(
                    lostWorkSeconds: chance(0.5) ? nil : Seconds(logUniform(120, 1e5)),
                    recoverySeconds: chance(0.7) ? nil : Seconds(logUniform(30, 600)),
                    stoppedShare: chance(0.5) ? nil : logUniform(1e-3, 0.3)) : Limits(),
            meetProbability: limited && chance(0.3) ? Probability(0.95) : nil,
            timeToDeadlineSeconds: limited && chance(0.5) ? Seconds(work * uniform(0.9, 3)) : nil,
            penaltyPerSecond: limited && chance(0.5) ? 1e-3 : nil, penaltyCap: 100)
    }
}
