/// Exchange rates that bring everything to one currency, per SI unit.
package struct ObjectivePrices: Hashable, Sendable {
    /// Price of a second that the task takes.
    package var perSecond: Double
    /// Price of a byte sent over the network; every copy counts.
    package var perByteSent: Double
    /// Price of a byte kept in the store for a second; every copy counts.
    package var perByteSecondStored: Double
    package init(perSecond: Double, perByteSent: Double = 0, perByteSecondStored: Double = 0) {
        self.perSecond = perSecond
        self.perByteSent = perByteSent
        self.perByteSecondStored = perByteSecondStored
    }
}

/// What is owed for lateness: linear in time, up to a cap.
package struct LatenessPenalty: Hashable, Sendable {
    /// Per second late.
    package var amountPerSecond: Double
    /// The most that is owed; infinity where there is no cap.
    package var capAmount: Double
    package init(amountPerSecond: Double, capAmount: Double = .infinity) {
        self.amountPerSecond = max(0, amountPerSecond)
        self.capAmount = max(0, capAmount)
    }

    /// E[min(cap, amount·(T − deadline)⁺)]: the difference of two expected latenesses, after the deadline and after
    /// the time when the cap is reached.
    package func expected(_ finish: FinishTimeDistribution, deadlineSeconds: Double) -> Double {
        if amountPerSecond == 0 || capAmount == 0 { return 0 }
        let late = finish.expectedLateness(after: deadlineSeconds)
        let beyondCap = capAmount == .infinity ? 0 : finish.expectedLateness(after: deadlineSeconds + capAmount / amountPerSecond)
        return max(0, amountPerSecond * (late - beyondCap))
    }
}

/// Limits that no price buys off; nil means none. Seconds; shares and probabilities 0 to 1.
package struct ObjectiveLimits: Hashable, Sendable {
    package var lostWorkSeconds: Double?
    package var recoverySeconds: Double?
    package var stoppedShare: Double?
    /// P(deadline met) that is asked for; without a deadline it says nothing.
    package var meetProbability: Double?
    package var bounds: IntervalBounds
    package init(
        lostWorkSeconds: Double? = nil, recoverySeconds: Double? = nil, stoppedShare: Double? = nil, meetProbability: Double? = nil,
        bounds: IntervalBounds = IntervalBounds()
    ) {
        self.lostWorkSeconds = lostWorkSeconds
        self.recoverySeconds = recoverySeconds
        self.stoppedShare = stoppedShare
        self.meetProbability = meetProbability
        self.bounds = bounds
    }
}

/// J, term by term, in the currency of the prices.
package struct CostTerms: Hashable, Sendable {
    package var time: Double
    package var network: Double
    package var storage: Double
    package var penalty: Double
    package init(time: Double = 0, network: Double = 0, storage: Double = 0, penalty: Double = 0) {
        self.time = time
        self.network = network
        self.storage = storage
        self.penalty = penalty
    }
    package var total: Double { time + network + storage + penalty }
}

/// One limit held against one candidate.
package struct LimitVerdict: Hashable, Sendable {
    package enum Name: String, Hashable, Sendable, CaseIterable {
        case floor, ceiling
        case lostWork = "maximum lost work"
        case recovery = "maximum recovery"
        case stoppedShare = "maximum stopped share"
        case meetProbability = "deadline confidence"
        /// Not declared but physical: a checkpoint cannot be due before the last one is durable.
        case upload = "upload time"
    }
    package var name: Name
    /// What the candidate would bring.
    package var value: Double
    package var limit: Double
    /// By how much it is broken, in the limit's unit; 0 where it is kept.
    package var excess: Double
    package var isMet: Bool { excess == 0 }
    /// The excess over the limit, so that limits of different units can be compared.
    package var relativeExcess: Double { excess / max(limit, 1e-9) }

    /// Rounding in the last digits breaks no limit.
    init(_ name: Name, _ value: Double, atMost limit: Double) {
        self.name = name
        self.value = value
        self.limit = limit
        excess = value <= limit * (1 + 1e-9) ? 0 : value - limit
    }

    init(_ name: Name, _ value: Double, atLeast limit: Double) {
        self.name = name
        self.value = value
        self.limit = limit
        excess = value >= limit * (1 - 1e-9) ? 0 : limit - value
    }
}

/// One option with one interval, and all that is predicted of it.
package struct Candidate: Hashable, Sendable {
    package var option: CheckpointOption
    package var intervalSeconds: Double?
    /// Useful work from now until the next checkpoint, seconds; 0: now; nil: none is taken.
    package var dueSeconds: Double?
    package var checkpoints: Double
    package var terms: CostTerms
    package var expectedSeconds: Double
    package var standardDeviationSeconds: Double
    /// Over the network from now on, copies, repeated uploads and recoveries included, bytes.
    package var expectedSentBytes: Double
    package var expectedStoredByteSeconds: Double
    /// nil without a deadline.
    package var probabilityMet: Double?
    package var largestLossSeconds: Double
    package var stoppedShare: Double
    /// Every limit that was declared, kept or not.
    package var verdicts: [LimitVerdict]

    package var violated: [LimitVerdict] { verdicts.filter { !$0.isMet } }
    package var isFeasible: Bool { verdicts.allSatisfy(\.isMet) }
    /// How far outside it is: bounds of the policy apart from limits of the SLA, each in shares of the limit.
    var violation: (bounds: Double, limits: Double) {
        var bounds = 0.0
        var limits = 0.0
        for verdict in verdicts where !verdict.isMet {
            switch verdict.name {
            case .floor, .ceiling, .upload: bounds += verdict.relativeExcess
            case .lostWork, .recovery, .stoppedShare, .meetProbability: limits += verdict.relativeExcess
            }
        }
        return (bounds, limits)
    }

    /// Less violation first, bounds before limits; then less cost; fewer checkpoints where all is equal.
    package func isBetter(than other: Candidate) -> Bool {
        let (mine, theirs) = (violation, other.violation)
        if mine.bounds != theirs.bounds { return mine.bounds < theirs.bounds }
        if mine.limits != theirs.limits { return mine.limits < theirs.limits }
        if terms.total != other.terms.total { return terms.total < other.terms.total }
        return checkpoints < other.checkpoints
    }
}

/// The cheapest candidate that keeps every limit, and what it was chosen over.
package struct Minimum: Hashable, Sendable {
    package var best: Candidate
    /// Each option with its best interval within the limits and with none, in the order that the options were given; and the
    /// cheapest if no limit had bound, where one did.
    package var alternatives: [Candidate]
    /// The limits that kept the cheapest candidate of all from being chosen, the one broken most first; empty where none bound.
    package var binding: [LimitVerdict]
    /// False: no candidate keeps every limit, and `best` is the one that breaks them least.
    package var isFeasible: Bool { best.isFeasible }
    package var bestIndex: Int { alternatives.firstIndex(of: best) ?? 0 }
}
