#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How long something lasts: the time up between two failures of a node, or the time down after one.
package enum FailureLaw: Hashable, Sendable {
    case exponential
    /// Shape below 1: a node that has just failed is likely to fail again soon.
    case weibull(shape: Double)
    /// `sigma` is the standard deviation of the logarithm.
    case logNormal(sigma: Double)
    /// Always the mean.
    case fixed

    /// `exponential`, `weibull:0.7`, `lognormal:1.5` or `fixed`; nil: it is none of them, or its parameter is not within 0.1 to 10.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let parameter = parts.count == 2 ? Double(parts[1]).flatMap { (0.1...10).contains($0) ? $0 : nil } : nil
        switch (parts.first, parts.count, parameter) {
        case ("exponential", 1, _): self = .exponential
        case ("fixed", 1, _): self = .fixed
        case ("weibull", 2, let shape?): self = .weibull(shape: shape)
        case ("lognormal", 2, let sigma?): self = .logNormal(sigma: sigma)
        default: return nil
        }
    }

    /// As it is written.
    package var text: String {
        switch self {
        case .exponential: "exponential"
        case .weibull(let shape): "weibull:\(shape)"
        case .logNormal(let sigma): "lognormal:\(sigma)"
        case .fixed: "fixed"
        }
    }

    /// The scale of the Weibull distribution that it is, for a mean; nil: it is another.
    func weibull(mean: Double) -> (shape: Double, scale: Double)? {
        switch self {
        case .weibull(let shape): (shape, mean / tgamma(1 + 1 / shape))
        case .exponential: (1, mean)
        case .logNormal, .fixed: nil
        }
    }

    /// One length with this mean, by inversion of the distribution function (log-normal: of a normal number).
    package func draw(mean: Double, from stream: inout RandomStream) -> Double {
        switch self {
        case .exponential: return -mean * log(stream.fraction())
        case .weibull(let shape): return mean / tgamma(1 + 1 / shape) * pow(-log(stream.fraction()), 1 / shape)
        case .logNormal(let sigma): return mean * exp(sigma * stream.normal() - sigma * sigma / 2)
        case .fixed: return mean
        }
    }
}

/// Where outages come from.
package enum FailureSource: Hashable, Sendable {
    /// Each node for itself: time up by `law` with the mean `mtbfSeconds`, then time down by `repair` with the mean `downSeconds`.
    case law(FailureLaw, mtbfSeconds: Double, repair: FailureLaw, downSeconds: Double)
    /// As it was. The first run begins with the trace; each further one at a moment of its own, and goes on at the trace's
    /// beginning after its end. Node i of the fleet is `nodes[i]` of the trace.
    case trace(FailureTrace, nodes: [String])
}

/// One time down, seconds from the beginning of the run; `down` is negative where it began before that.
package struct Outage: Hashable, Sendable {
    package var down: Double
    package var up: Double
    package init(down: Double, up: Double) { self.down = down; self.up = up }
}

/// The outages of one node in one run, in order: each begins after the one before has ended. Whatever policy is tried, they are the same.
package struct OutageStream: Sendable {
    private enum Source {
        case law(FailureLaw, mtbf: Double, repair: FailureLaw, down: Double, RandomStream, time: Double)
        /// `outages` from the trace's beginning, within `period`; the run begins at `offset`.
        case trace([Outage], period: Double, offset: Double, index: Int, turn: Int)
    }
    private var source: Source
    /// When the last outage that was over before the run began had ended, seconds, not above zero; nil: none is known.
    package private(set) var lastUp: Double?

    package init(_ failures: FailureSource, node: Int, seed: UInt64, run: Int) {
        switch failures {
        case .law(let law, let mtbf, let repair, let down):
            // Begun ten lives before, so that the nodes are of all ages when the run begins.
            source = .law(
                law, mtbf: mtbf, repair: repair, down: down, RandomStream(seed: seed, run: run, .failures, node), time: -10 * (mtbf + down))
        case .trace(let trace, let nodes):
            var stream = RandomStream(seed: seed, run: run, .traceOffset)
            let offset = run == 0 ? 0 : stream.fraction() * trace.periodSeconds
            source = .trace(trace.outages(of: nodes[node]), period: trace.periodSeconds, offset: offset, index: 0, turn: 0)
        }
    }

    /// nil: there is none any more.
    package mutating func next() -> Outage? {
        while let outage = drawn() {
            if outage.up > 0 { return outage }
            lastUp = outage.up
        }
        return nil
    }

    private mutating func drawn() -> Outage? {
        switch source {
        case .law(let law, let mtbf, let repair, let length, var stream, let time):
            let down = time + law.draw(mean: mtbf, from: &stream)
            let up = down + repair.draw(mean: length, from: &stream)
            source = .law(law, mtbf: mtbf, repair: repair, down: length, stream, time: up)
            return Outage(down: down, up: up)
        case .trace(let outages, let period, let offset, let index, let turn):
            guard !outages.isEmpty else { return nil }
            let shift = Double(turn) * period - offset
            let last = index + 1 == outages.count
            source = .trace(outages, period: period, offset: offset, index: last ? 0 : index + 1, turn: last ? turn + 1 : turn)
            return Outage(down: outages[index].down + shift, up: outages[index].up + shift)
        }
    }
}
