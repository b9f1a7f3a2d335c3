#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// One part of the mixture that a finish time's excess is: a weight, a shift and a curve from there on.
struct ExcessPart: Hashable, Sendable {
    enum Curve: Hashable, Sendable {
        /// Of this rate (1/s), cut off at this length (s).
        case cutExponential(length: Double, rate: Double)
        /// Above a shape of 200 taken as a normal distribution with its first correction for skewness.
        case gamma(shape: Double, scale: Double)
    }
    var weight: Double
    var shift: Double
    var curve: Curve

    /// Gamma by mean and variance, from `shift` on.
    static func gamma(weight: Double, shift: Double = 0, of excess: Cumulants) -> ExcessPart {
        let mean = max(excess.mean - shift, 1e-12 * excess.mean, 1e-300)
        let variance = max(excess.variance, 1e-10 * mean * mean)
        return ExcessPart(weight: weight, shift: shift, curve: .gamma(shape: mean * mean / variance, scale: variance / mean))
    }

    /// Gamma by mean, variance and third moment; the shift follows from them. Without skewness it is nearly a normal one.
    static func shiftedGamma(weight: Double, of excess: Cumulants) -> ExcessPart {
        let deviation = max(excess.variance.squareRoot(), 1e-9 * excess.mean)
        let skewness = min(max(excess.third / (deviation * deviation * deviation), 1e-3), 10)
        let shape = 4 / (skewness * skewness)
        let scale = deviation * skewness / 2
        return ExcessPart(weight: weight, shift: excess.mean - shape * scale, curve: .gamma(shape: shape, scale: scale))
    }

    /// P(excess > x) for this part alone.
    func probability(beyond excess: Double) -> Double {
        let x = excess - shift
        if x <= 0 { return 1 }
        switch curve {
        case .cutExponential(let length, let rate):
            if x >= length { return 0 }
            // (e^{−λx} − e^{−λs})/(1 − e^{−λs}), which is 1 − x/s at λ = 0.
            let left = rate * (length - x)
            return rate * length < 1e-9 ? 1 - x / length : expm1(left) / expm1(rate * length)
        case .gamma(let shape, let scale):
            if shape <= 200 { return GammaFunction.regularized(shape, x / scale).upper }
            let root = shape.squareRoot()
            let z = (x / scale - shape) / root
            return min(1, max(0, NormalTail.upper(z) + (z * z - 1) * Self.bell(z) / (3 * root)))
        }
    }

    /// E[(excess − x)⁺] for this part alone, seconds: the integral of `probability(beyond:)` from x on.
    func expectedBeyond(_ excess: Double) -> Double {
        let x = excess - shift
        switch curve {
        case .cutExponential(let length, let rate):
            if x <= 0 { return length * Cumulants.cutMean(rate * length) - x }
            if x >= length { return 0 }
            let left = rate * (length - x)
            // Beyond x it is again a cut-off exponential, of length s − x.
            return probability(beyond: excess) * (length - x) * Cumulants.cutMean(left)
        case .gamma(let shape, let scale):
            if x <= 0 { return shape * scale - x }
            if shape <= 200 {
                // αβ·Q(α + 1, k) − x·Q(α, k) with k = x/β, and Q(α + 1, k) = Q(α, k) + k^α e^{−k}/Γ(α + 1).
                let k = x / scale
                let tail = GammaFunction.regularized(shape, k).upper
                let density = exp(shape * log(k) - k - GammaFunction.logarithm(shape + 1))
                return max(0, shape * scale * (tail + density) - x * tail)
            }
            let root = shape.squareRoot()
            let z = (x / scale - shape) / root
            return max(0, root * scale * (Self.bell(z) * (1 + z / (3 * root)) - z * NormalTail.upper(z)))
        }
    }

    private static func bell(_ z: Double) -> Double { exp(-z * z / 2) / (2 * Double.pi).squareRoot() }
}

/// Runs of segments in which a failure costs about the same.
struct FailureGroup {
    let runs: [SegmentRun]
    /// How likely the one failure that there is belongs to each run.
    private let shares: [Double]
    /// Cost of one failure whose recovery goes through, and of any, when it is not known in which run it was.
    let through: Cumulants
    let all: Cumulants
    /// ln P(no failure comes during a recovery).
    let logSmooth: Double

    /// - Parameter runs: at least one; all resemble each other.
    init(_ runs: [SegmentRun]) {
        self.runs = runs
        var shares = runs.map { $0.count * -expm1($0.segment.logUndisturbedProbability) }
        let sum = shares.reduce(0, +)
        for index in shares.indices { shares[index] /= sum }
        self.shares = shares
        through = Cumulants.mixed(zip(shares, runs).map { ($0, Self.through($1.segment)) })
        all = Cumulants.mixed(zip(shares, runs).map { ($0, $1.segment.loss + $1.segment.recovery) })
        logSmooth = zip(shares, runs).reduce(0) { $0 + $1.0 * log($1.1.segment.smoothRecoveryProbability) }
    }

    var recoverySeconds: Double { runs[0].segment.recoverySeconds }

    /// Groups of runs with the same recovery, and lengths that differ from the first one's by less than a quarter.
    static func groups(_ runs: [SegmentRun]) -> [FailureGroup] {
        var grouped: [[SegmentRun]] = []
        for run in runs where run.count > 0 && run.segment.expectedFailedTries > 0 {
            if let index = grouped.firstIndex(where: { resemble($0[0].segment, run.segment) }) {
                grouped[index].append(run)
            } else {
                grouped.append([run])
            }
        }
        return grouped.map(FailureGroup.init)
    }

    private static func resemble(_ first: Segment, _ other: Segment) -> Bool {
        abs(first.recoverySeconds - other.recoverySeconds) <= 1e-9 * first.recoverySeconds
            && abs(first.lengthSeconds - other.lengthSeconds) < 0.25 * max(first.lengthSeconds, other.lengthSeconds)
    }

    private static func through(_ segment: Segment) -> Cumulants {
        var cost = segment.loss
        cost.mean += segment.recoverySeconds
        return cost
    }

    /// One failure: exact where its recovery goes through, by two moments where that fails too.
    func addSingle(weight: Double, to parts: inout [ExcessPart]) {
        for (share, run) in zip(shares, runs) {
            let segment = run.segment
            let smooth = segment.smoothRecoveryProbability
            parts.append(
                ExcessPart(
                    weight: weight * share * smooth, shift: segment.recoverySeconds,
                    curve: .cutExponential(length: segment.lengthSeconds, rate: segment.failureRatePerSecond)))
            guard smooth < 1 else { continue }
            let rest = (segment.loss + segment.recovery).without(Self.through(segment), probability: smooth)
            parts.append(ExcessPart.gamma(weight: weight * share * (1 - smooth), shift: segment.recoverySeconds, of: rest))
        }
    }
}

/// So many failures in each group, and what they cost together.
struct FailureSum {
    private var failures = 0
    /// The group of the only failure; -1: there are none, or more.
    private var only = -1
    private var through = Cumulants()
    private var all = Cumulants()
    private var logSmooth = 0.0
    private var leastSeconds = 0.0

    /// - Parameter index: the group's, of all.
    func adding(_ count: Int, of group: FailureGroup, at index: Int) -> FailureSum {
        guard count > 0 else { return self }
        var sum = self
        let number = Double(count)
        sum.failures += count
        sum.only = sum.failures == 1 ? index : -1
        sum.through = through + group.through.times(number)
        sum.all = all + group.all.times(number)
        sum.logSmooth += number * group.logSmooth
        sum.leastSeconds += number * group.recoverySeconds
        return sum
    }

    /// Nothing without a failure; exact for one; by three moments for more, and by two where a recovery fails too.
    func addParts(weight: Double, of groups: [FailureGroup], to parts: inout [ExcessPart]) {
        if failures == 0 { return }
        if only >= 0 { return groups[only].addSingle(weight: weight, to: &parts) }
        let smooth = exp(logSmooth)
        parts.append(ExcessPart.shiftedGamma(weight: weight * smooth, of: through))
        if smooth < 1 {
            parts.append(ExcessPart.gamma(weight: weight * (1 - smooth), shift: leastSeconds, of: all.without(through, probability: smooth)))
        }
    }
}

extension Cumulants {
    /// Mean and variance given an event of this probability outside of which the value is zero.
    func given(probability: Double) -> Cumulants {
        without(Cumulants(), probability: 1 - probability)
    }

    /// Mean and variance of the rest of a mixture of which `part` has this probability.
    func without(_ part: Cumulants, probability: Double) -> Cumulants {
        let rest = 1 - probability
        guard rest > 0 else { return self }
        let restMean = (mean - probability * part.mean) / rest
        let square = variance + mean * mean - probability * (part.variance + part.mean * part.mean)
        return Cumulants(mean: max(restMean, 0), variance: max(0, square / rest - restMean * restMean))
    }

    static func mixed(_ parts: [(share: Double, cumulants: Cumulants)]) -> Cumulants {
        let mean = parts.reduce(0) { $0 + $1.share * $1.cumulants.mean }
        var mixed = Cumulants(mean: mean)
        for (share, part) in parts {
            let off = part.mean - mean
            mixed.variance += share * (part.variance + off * off)
            mixed.third += share * (part.third + 3 * part.variance * off + off * off * off)
        }
        return mixed
    }
}
