#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A stretch of time that must pass without a failure to count, tried again after each failure until it does.
///
/// Failures come at an exponential rate at all times. After one, `recoverySeconds` must pass undisturbed (detect, fence,
/// fetch, resume, and work that has to be done a second time before the stretch's beginning is reached again); a
/// failure within it begins it anew. Then the stretch is tried again.
///
/// Derivation of the moments. With a = λs and r = λR, a try fails with probability 1 − e^{−a}, so the number N of
/// failed tries is geometric: E N = e^a − 1, Var N = e^a(e^a − 1). A failed try lasts X, an exponential cut off at s:
/// E X = 1/λ − s/(e^a − 1), Var X = 1/λ² − s²e^a/(e^a − 1)². The recovery after it lasts Y, which is a stretch of
/// length R with nothing to recover: E Y = (e^r − 1)/λ, Var Y = (e^{2r} − 2re^r − 1)/λ². The time is T = s + Σ(Xᵢ + Yᵢ) over N
/// terms that are independent of each other and of N, hence
///
///     E T   = s + E N·(E X + E Y)                    = e^{λR}·(1/λ)·(e^{λs} − 1)
///     Var T = E N·(Var X + Var Y) + Var N·(E X + E Y)²
///
/// Source for E T: Bougeret et al., SC'11, proposition 1; for recovery lengthened by the latency of a checkpoint:
/// N. Vaidya, "Impact of checkpoint latency on overhead ratio of a checkpointing scheme", IEEE ToC 46(8), 1997, equation 4.
///
/// Exponents are cut off at 250, far beyond any use, so that results stay finite and can be compared and recorded.
package struct Segment: Hashable, Sendable {
    /// s, seconds.
    package var lengthSeconds: Double
    /// R, seconds: what must pass after each failure before the stretch is tried again.
    package var recoverySeconds: Double
    /// λ, 1/s.
    package var failureRatePerSecond: Double

    package init(lengthSeconds: Double, recoverySeconds: Double, failureRatePerSecond: Double) {
        self.lengthSeconds = max(0, lengthSeconds)
        self.recoverySeconds = max(0, recoverySeconds)
        self.failureRatePerSecond = max(0, failureRatePerSecond)
    }

    /// λs and λR.
    private var exponents: (length: Double, recovery: Double) {
        (min(failureRatePerSecond * lengthSeconds, 250), min(failureRatePerSecond * recoverySeconds, 250))
    }

    /// E T, seconds.
    package var expectedSeconds: Double { lengthSeconds + expectedExcessSeconds }

    /// E N: failures of the stretch itself, those during recovery not counted.
    package var expectedFailedTries: Double { expm1(exponents.length) }

    /// ln P(N = 0).
    package var logUndisturbedProbability: Double { -exponents.length }

    /// E T − s, seconds: exact to the last digits for small λ as well.
    package var expectedExcessSeconds: Double {
        let (a, r) = exponents
        let odds = expm1(a)
        return odds * (lengthSeconds * Cumulants.cutMean(a, odds: odds) + recoverySeconds * Cumulants.anewMean(r))
    }

    /// Var T, s².
    package var varianceSquareSeconds: Double {
        let (a, r) = exponents
        let loss = meanLossSeconds(a, r)
        let spread = lengthSeconds * lengthSeconds * Cumulants.cutVariance(a) + recoverySeconds * recoverySeconds * Cumulants.anewVariance(r)
        return expm1(a) * (spread + exp(a) * loss * loss)
    }

    /// Third cumulant of T, s³, from those of N (with o = e^a − 1: o, o(1+o), o(1+o)(1+2o)) and of X + Y.
    package var thirdCumulantCubicSeconds: Double {
        let (a, r) = exponents
        let one = Cumulants.cutExponential(a).scaled(by: lengthSeconds)
        return Cumulants.geometricSum(odds: expm1(a), of: one + Cumulants.anew(r).scaled(by: recoverySeconds)).third
    }

    /// E X + E Y: what one failure costs on average, seconds.
    private func meanLossSeconds(_ a: Double, _ r: Double) -> Double {
        lengthSeconds * Cumulants.cutMean(a) + recoverySeconds * Cumulants.anewMean(r)
    }

    /// X: how much of the stretch has passed when it fails.
    var loss: Cumulants { Cumulants.cutExponential(exponents.length).scaled(by: lengthSeconds) }
    /// Y: the recovery after it, its own failures included.
    var recovery: Cumulants { Cumulants.anew(exponents.recovery).scaled(by: recoverySeconds) }
    /// P(no failure comes during a recovery).
    var smoothRecoveryProbability: Double { exp(-exponents.recovery) }
}

/// Equal segments in a row.
package struct SegmentRun: Hashable, Sendable {
    package var segment: Segment
    /// How many; a fraction where a number of checkpoints is searched for as if it were real.
    package var count: Double
    package init(_ segment: Segment, count: Double = 1) {
        self.segment = segment
        self.count = count
    }
}
