import Knowledge
import PlanningModel
import Vocabulary

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How often nodes fail, learnt from all that was seen of them: made once for a fleet, asked for each node.
///
/// A node's rate is the sum of two. Its **own**: failures that came alone, pooled over its class, as a rate for all ages (`FailureRegimes`) and, where
/// the class has failed often enough to tell, as the hazard of a Weibull distribution at the node's age; each weighs as much as it is probable.
/// And its domain's: nodes of one domain that are lost within a minute of each other are one **outage**, which says as much as one failure, and
/// threatens each node of the domain.
struct Reliability {
    /// Losses so near to each other have one cause. Two nodes that fail once a day by themselves do so within a minute of each other once in four years.
    static let outageWindow = Seconds.minutes(1)
    /// Fewer failures of a class say nothing of a shape.
    private static let leastFailures = 5
    /// The newest lives of a class that a shape is fitted to.
    private static let lifeLimit = 1_000

    private let knowledge: Knowledge
    private let now: Timestamp
    private var classes: [String: NodeClass] = [:]
    private var domains: [String: Domain] = [:]

    private struct NodeClass {
        var rate: FailureRate
        var lifetimes: WeibullFit?
    }

    init(fleet: Fleet, knowledge: Knowledge, now: Timestamp) {
        self.knowledge = knowledge
        self.now = now
        let prior = FailureRate(expectedMTBFSeconds: fleet.defaults.priorMTBFSeconds.rawValue, pseudoFailures: fleet.defaults.priorWeight)
        for (name, nodes) in Dictionary(grouping: fleet.nodes, by: \.domain) {
            domains[name] = Domain(
                nodes.compactMap { knowledge.nodes[$0.id] }, priorExposure: Seconds(prior.priorExposureSeconds), now: now)
        }
        for (name, nodes) in Dictionary(grouping: fleet.nodes, by: \.nodeClass) {
            var rate = prior
            var lives: [(lostAt: Timestamp, life: Lifetime)] = []
            for node in nodes {
                guard let known = knowledge.nodes[node.id] else { continue }
                let domain = domains[node.domain]
                let shared = known.lives.count { domain?.outage(of: node.id, at: $0.lostAt) != nil }
                rate.observe(failures: max(0, known.failures - shared), exposureSeconds: known.exposure(at: now).rawValue)
                // For the class's own hazard an outage of the domain cuts a life off, as going on living does.
                lives += known.lives.map {
                    ($0.lostAt, Lifetime(seconds: $0.seconds.rawValue, failed: domain?.outage(of: node.id, at: $0.lostAt) == nil))
                }
                if known.age(at: now) > .zero { lives.append((now, Lifetime(seconds: known.age(at: now).rawValue, failed: false))) }
            }
            if lives.count > Self.lifeLimit { lives = lives.sorted { $0.lostAt < $1.lostAt }.suffix(Self.lifeLimit) }
            let fit = rate.failures < Self.leastFailures ? nil : WeibullFit(lives.map(\.life))
            classes[name] = NodeClass(rate: rate, lifetimes: fit.flatMap { $0.failures < Self.leastFailures ? nil : $0 })
        }
    }

    func node(_ node: Fleet.Node) -> NodeReliability? {
        guard let kind = classes[node.nodeClass], let domain = domains[node.domain] else { return nil }
        let known = knowledge.nodes[node.id]
        let recent = known?.lives.count { now - $0.lostAt <= FailureRegimes.window } ?? 0
        // An outage that it lived through threatens it as well.
        let near = domain.outages.count { now - $0.at <= FailureRegimes.window && !$0.nodes.contains(node.id) }
        return NodeReliability(
            constant: FailureRegimes.rate(
                kind: kind.rate, recentFailures: recent + near,
                recentExposure: min(known?.exposure(at: now) ?? .zero, FailureRegimes.window)),
            lifetimes: kind.lifetimes, opinion: kind.rate.priorFailures, age: known?.age(at: now) ?? .zero, shared: domain.rate)
    }
}

/// Nodes that can fail together.
private struct Domain {
    struct Outage {
        var at: Timestamp
        var nodes: Set<NodeID>
    }
    private(set) var outages: [Outage] = []
    /// How often an outage takes a node of the domain: the outages' rate, times the share of nodes that they took on average. Nil: there were none.
    private(set) var rate: RateEstimate?

    init(_ nodes: [NodeKnowledge], priorExposure: Seconds, now: Timestamp) {
        let losses = nodes.flatMap { node in node.lives.map { (at: $0.lostAt, node: node.id) } }.sorted { ($0.at, $0.node) < ($1.at, $1.node) }
        for loss in losses {
            if let last = outages.last, loss.at - last.at <= Reliability.outageWindow {
                outages[outages.count - 1].nodes.insert(loss.node)
            } else {
                outages.append(Outage(at: loss.at, nodes: [loss.node]))
            }
        }
        outages.removeAll { $0.nodes.count < 2 }
        guard !outages.isEmpty else { return }
        let count = Double(outages.count)
        let share = outages.reduce(0) { $0 + Double($1.nodes.count) } / (count * Double(nodes.count))
        // What is thought of nodes beforehand is quiet time here: without an outage there is no rate of them.
        let exposure = (nodes.map { $0.exposure(at: now) }.max() ?? .zero) + priorExposure
        func quantile(_ probability: Double) -> Double { share * GammaFunction.inverseLower(count, probability) / exposure.rawValue }
        rate = RateEstimate(
            perSecond: share * count / exposure.rawValue, standardError: share * count.squareRoot() / exposure.rawValue, lowPerSecond: quantile(0.05),
            highPerSecond: quantile(0.95), failures: outages.count, exposureSeconds: exposure)
    }

    func outage(of node: NodeID, at time: Timestamp) -> Outage? {
        outages.first { $0.nodes.contains(node) && time >= $0.at && time - $0.at <= Reliability.outageWindow }
    }
}

/// How often one node fails from now on.
struct NodeReliability {
    /// As one rate for all ages.
    let constant: RateEstimate
    let lifetimes: WeibullFit?
    /// Failures that the declared opinion is worth: it speaks for one rate.
    let opinion: Double
    let age: Seconds
    let shared: RateEstimate?

    /// The mean rate over a time to come.
    func rate(over: Seconds) -> RateEstimate {
        var rate = constant
        if let lifetimes {
            let failures = Double(lifetimes.failures)
            let weight = lifetimes.weightAgainstExponential * failures / (failures + opinion)
            let hazard = lifetimes.rate(age: age.rawValue, over: max(1, over.rawValue))
            let mean = weight * hazard.perSecond + (1 - weight) * constant.perSecond
            func square(_ value: Double, _ error: Double) -> Double { value * value + error * error }
            let variance =
                weight * square(hazard.perSecond, hazard.standardError)
                + (1 - weight) * square(constant.perSecond, constant.standardError) - mean * mean
            // The hazard's logarithm is nearly normal: 90 % within 1.645 of its errors.
            let spread = exp(min(1.645 * hazard.standardError / max(hazard.perSecond, 1e-300), 50))
            let low = weight > 0.9 ? hazard.perSecond / spread : min(constant.lowPerSecond, hazard.perSecond / spread)
            let high = weight > 0.9 ? hazard.perSecond * spread : max(constant.highPerSecond, hazard.perSecond * spread)
            rate.perSecond = mean
            rate.standardError = max(0, variance).squareRoot()
            if weight >= 0.1 { (rate.lowPerSecond, rate.highPerSecond) = (min(low, mean), max(high, mean)) }
            rate.hazard = RateEstimate.Hazard(
                shape: lifetimes.shape, shapeStandardError: lifetimes.shapeStandardError, scaleSeconds: Seconds(lifetimes.scaleSeconds),
                probability: Probability(weight), ageSeconds: age, overSeconds: over)
        }
        return shared.map { rate.adding($0) } ?? rate
    }

    /// The mean rate over the interval that it makes best itself: τ = √(2C/λ(τ)), at most all the work.
    ///
    /// Halfway in logarithms at each step, so that it settles for rising hazards as well.
    func rate(checkpointSeconds: Double, workSeconds: Double) -> RateEstimate {
        var over = max(1, workSeconds)
        guard lifetimes != nil else { return rate(over: Seconds(over)) }
        for _ in 0..<12 {
            let young = Interval.young(stopSeconds: max(0.1, checkpointSeconds), failureRatePerSecond: rate(over: Seconds(over)).perSecond)
            over = (over * min(max(1, young), max(1, workSeconds))).squareRoot()
        }
        return rate(over: Seconds(over))
    }
}

extension RateEstimate {
    /// Failures of another cause besides; the interval is wide enough for both.
    func adding(_ other: RateEstimate) -> RateEstimate {
        var sum = self
        sum.perSecond += other.perSecond
        sum.standardError = (standardError * standardError + other.standardError * other.standardError).squareRoot()
        sum.lowPerSecond += other.lowPerSecond
        sum.highPerSecond += other.highPerSecond
        return sum
    }
}
