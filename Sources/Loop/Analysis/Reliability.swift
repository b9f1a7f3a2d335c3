import Knowledge
import PlanningModel
import Vocabulary

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How often nodes fail, learnt from all that was seen of them: for a fleet, asked for each node.
///
/// A node's rate is the sum of two. Its **own**: failures that came alone, pooled over its class, as a rate for all ages (`FailureRegimes`) and, where
/// the class has failed often enough to tell, as the hazard of a Weibull distribution at the node's age; each weighs as much as it is probable.
/// And its domain's: nodes of one domain that are lost within a minute of each other are one **outage**, which says as much as one failure, and
/// threatens each node of the domain.
///
/// Kept from cycle to cycle it goes through the nodes' histories only when one has changed, and fits a distribution only when a node was
/// lost, or as time goes by without (`fitMoment`). What it says depends on nothing but the knowledge and the time: a new one says the same.
package struct Reliability: Sendable {
    /// Losses so near to each other have one cause. Two nodes that fail once a day by themselves do so within a minute of each other once in four years.
    static let outageWindow = Seconds.minutes(1)
    /// Fewer failures of a class say nothing of a shape.
    private static let leastFailures = 5
    /// Lives that a shape is fitted to: of a class that has more, those of every second node, or every third, and so on.
    private static let lifeLimit = 1_000

    private var fleet: Fleet?
    private var version = -1
    private var seen: Seen?
    private var now = Timestamp(0)
    private var nodes: [NodeID: NodeKnowledge] = [:]
    private var classes: [String: NodeClass] = [:]
    private var domains: [String: Domain] = [:]

    package init() {}

    init(fleet: Fleet, knowledge: Knowledge, now: Timestamp) { learn(fleet, knowledge, now) }

    /// Where these are the same, nothing has happened but that nodes came back.
    private struct Seen: Hashable {
        var nodes: Int
        var losses: Int
    }

    private struct NodeClass {
        /// Failures that came alone, and time alive in lives that have ended.
        var failures = 0
        var endedExposure = 0.0
        /// Lives that go on: seen since when, and at which age.
        var alive: [(since: Timestamp, age: Seconds, isFitted: Bool)] = []
        /// A shape is fitted to the lives of one of so many nodes.
        var stride = 1
        /// Of any cause.
        var losses = 0
        var lastLoss: Timestamp?
        /// Those that have ended, oldest first, of the nodes that a shape is fitted to.
        var lives: [(lostAt: Timestamp, life: Lifetime)] = []
        /// As of now.
        var rate: FailureRate
        var interval = (lowPerSecond: 0.0, highPerSecond: 0.0)
        var fit: Fit?
    }

    private struct Fit {
        var losses: Int
        var moment: Timestamp
        var lifetimes: WeibullFit?
    }

    /// - Parameter knowledge: of the same ledger as before, as it is now.
    mutating func learn(_ fleet: Fleet, _ knowledge: Knowledge, _ now: Timestamp) {
        if version != knowledge.nodesVersion || self.fleet != fleet {
            version = knowledge.nodesVersion
            let seen = Seen(nodes: knowledge.nodes.count, losses: knowledge.nodes.values.reduce(0) { $0 + $1.failures })
            nodes = knowledge.nodes
            if self.fleet != fleet || self.seen != seen {
                self.fleet = fleet
                self.seen = seen
                recallLosses(fleet)
            }
            recallLiving(fleet)
            self.now = Timestamp(-1)
        }
        guard now != self.now else { return }
        self.now = now
        for place in domains.indices { domains.values[place].tell(now) }
        for name in classes.keys { tell(name, now) }
    }

    /// What changes when a node comes as well.
    private mutating func recallLiving(_ fleet: Fleet) {
        for place in classes.indices { classes.values[place].alive.removeAll(keepingCapacity: true) }
        var passed: [String: Int] = [:]
        for node in fleet.nodes {
            let number = passed[node.nodeClass, default: 0]
            passed[node.nodeClass] = number + 1
            guard let known = nodes[node.id], let since = known.aliveSince, let stride = classes[node.nodeClass]?.stride else { continue }
            classes[node.nodeClass]?.alive.append((since, known.ageWhenSeen, number.isMultiple(of: stride)))
        }
        for place in classes.indices {
            classes.values[place].alive.sort { ($0.since.rawValue, $1.age.rawValue) < ($1.since.rawValue, $0.age.rawValue) }
        }
        for place in domains.indices { domains.values[place].see(nodes) }
    }

    /// Everything that changes only when a node is lost.
    private mutating func recallLosses(_ fleet: Fleet) {
        let prior = Self.prior(fleet)
        domains = Dictionary(grouping: fleet.nodes, by: \.domain).mapValues { nodes in
            Domain(nodes.compactMap { self.nodes[$0.id] }, priorExposure: Seconds(prior.priorExposureSeconds))
        }
        let fits = classes.compactMapValues(\.fit)
        classes = [:]
        for (name, nodes) in Dictionary(grouping: fleet.nodes, by: \.nodeClass) {
            var kind = NodeClass(rate: prior)
            kind.stride = 1 + nodes.reduce(0) { $0 + 1 + (self.nodes[$1.id]?.lives.count ?? 0) } / (Self.lifeLimit + 1)
            for (number, node) in nodes.enumerated() {
                guard let known = self.nodes[node.id] else { continue }
                let domain = domains[node.domain].flatMap { $0.outages.isEmpty ? nil : $0 }
                var shared = 0
                for life in known.lives {
                    // For the class's own hazard an outage of the domain cuts a life off, as going on living does.
                    let isShared = domain?.outage(of: node.id, at: life.lostAt) != nil
                    if isShared { shared += 1 }
                    if number.isMultiple(of: kind.stride) { kind.lives.append((life.lostAt, Lifetime(life, failed: !isShared))) }
                }
                kind.failures += max(0, known.failures - shared)
                kind.losses += known.failures
                kind.endedExposure += known.endedExposure.rawValue
                if let lost = known.lastLostAt { kind.lastLoss = max(kind.lastLoss ?? lost, lost) }
            }
            kind.lives.sort { $0.lostAt.rawValue < $1.lostAt.rawValue }
            kind.fit = fits[name]
            classes[name] = kind
        }
    }

    private static func prior(_ fleet: Fleet) -> FailureRate {
        fleet.defaults.priorMTBFSeconds.map {
            FailureRate(expectedMTBFSeconds: $0.rawValue, pseudoFailures: fleet.defaults.priorWeight)
        } ?? FailureRate()
    }

    private mutating func tell(_ name: String, _ now: Timestamp) {
        guard let fleet, var kind = classes[name] else { return }
        var rate = Self.prior(fleet)
        rate.observe(
            failures: kind.failures, exposureSeconds: kind.alive.reduce(kind.endedExposure) { $0 + max(0, (now - $1.since).rawValue) })
        kind.rate = rate
        kind.interval = rate.credibleInterval(0.9)
        if let lost = kind.lastLoss, kind.failures >= Self.leastFailures {
            let moment = Self.fitMoment(lost, now)
            if kind.fit?.losses != kind.losses || kind.fit?.moment != moment {
                kind.fit = Fit(losses: kind.losses, moment: moment, lifetimes: Self.fitted(kind, moment))
            }
        } else {
            kind.fit = nil
        }
        classes[name] = kind
    }

    /// When lives that go on are looked at for a fit: at the class's last loss, and then at moments whose distance from it grows by a tenth each.
    static func fitMoment(_ lost: Timestamp, _ now: Timestamp) -> Timestamp {
        let passed = (now - lost).rawValue / 60
        return passed < 1 ? lost : lost + Seconds(60 * pow(1.1, (log(passed) / log(1.1)).rounded(.down)))
    }

    private static func fitted(_ kind: NodeClass, _ moment: Timestamp) -> WeibullFit? {
        var lives = kind.alive.filter { $0.isFitted && $0.since < moment }.map {
            Lifetime(seconds: ($0.age + (moment - $0.since)).rawValue, failed: false, seenFrom: $0.age.rawValue)
        }
        lives += kind.lives.map(\.life)
        return WeibullFit(lives).flatMap { $0.failures < leastFailures ? nil : $0 }
    }

    func node(_ node: Fleet.Node) -> NodeReliability? {
        guard let kind = classes[node.nodeClass], let domain = domains[node.domain] else { return nil }
        let known = nodes[node.id]
        let recent = known.map { $0.lives.reversed().prefix { now - $0.lostAt <= FailureRegimes.window }.count } ?? 0
        // An outage that it lived through threatens it as well.
        let near = domain.outages.reversed().prefix { now - $0.at <= FailureRegimes.window }.count { !$0.nodes.contains(node.id) }
        return NodeReliability(
            constant: FailureRegimes.rate(
                kind: kind.rate, kindInterval: kind.interval, recentFailures: recent + near,
                recentExposure: min(known?.exposure(at: now) ?? .zero, FailureRegimes.window)),
            lifetimes: kind.fit?.lifetimes, opinion: kind.rate.priorFailures, age: known?.age(at: now) ?? .zero, shared: domain.rate)
    }
}

/// Nodes that can fail together.
private struct Domain {
    struct Outage {
        var at: Timestamp
        var nodes: Set<NodeID>
    }
    /// Oldest first.
    private(set) var outages: [Outage] = []
    /// How often an outage takes a node of the domain: the outages' rate, times the share of nodes that they took on average. Nil: there were none.
    private(set) var rate: RateEstimate?
    private var nodes: [NodeKnowledge]
    private let priorExposure: Seconds

    init(_ nodes: [NodeKnowledge], priorExposure: Seconds) {
        self.priorExposure = priorExposure
        // A node by itself has no outages with others.
        guard nodes.count > 1 else {
            self.nodes = []
            return
        }
        // Of numbers, as there may be very many.
        var losses: [(at: Double, node: Int)] = []
        losses.reserveCapacity(nodes.reduce(0) { $0 + $1.lives.count })
        for (index, node) in nodes.enumerated() { for life in node.lives { losses.append((life.lostAt.rawValue, index)) } }
        losses.sort { $0.at < $1.at }
        let window = Reliability.outageWindow.rawValue
        var begin = 0
        while begin < losses.count {
            let first = losses[begin]
            var end = begin + 1
            while end < losses.count, losses[end].at - first.at <= window { end += 1 }
            if end > begin + 1, losses[begin..<end].contains(where: { $0.node != first.node }) {
                outages.append(Outage(at: Timestamp(first.at), nodes: Set(losses[begin..<end].map { nodes[$0.node].id })))
            }
            begin = end
        }
        self.nodes = outages.isEmpty ? [] : nodes
    }

    /// The same nodes, of which some may have come back.
    mutating func see(_ known: [NodeID: NodeKnowledge]) { nodes = nodes.compactMap { known[$0.id] } }

    mutating func tell(_ now: Timestamp) {
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
        // The last one that had begun.
        var (low, high) = (0, outages.count)
        while low < high {
            let middle = (low + high) / 2
            if outages[middle].at <= time { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let outage = outages[low - 1]
        return time - outage.at <= Reliability.outageWindow && outage.nodes.contains(node) ? outage : nil
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

extension Lifetime {
    fileprivate init(_ life: NodeKnowledge.Life, failed: Bool) {
        self.init(seconds: (life.ageWhenSeen + life.seconds).rawValue, failed: failed, seenFrom: life.ageWhenSeen.rawValue)
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
