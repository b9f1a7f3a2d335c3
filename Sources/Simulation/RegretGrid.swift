import Analysis
import Knowledge
import PlanningModel
import Vocabulary

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What it costs not to know: the planner, which has to learn everything, beside an oracle, which knows the law of failures, each node's age and
/// the guest's costs, and decides with the same optimiser. One task on four nodes, from its submission to its end, with nothing known
/// at its beginning; both meet the same failures and the same guest, lifetime by lifetime.
package struct RegretGrid: Sendable {
    package static let schemaName = "cairn.regret/v1"

    package struct Cell: Hashable, Sendable, Codable {
        package var law: String
        package var mtbfSeconds: Double
        package var workSeconds: Double
        package var lifetimes: Int
        /// Means of J a lifetime, in the policy's currency.
        package var plannerCost: Double
        package var oracleCost: Double
        /// Planner's over oracle's expected J, less one; and half the width of its 95 % confidence interval.
        package var regret: Double
        package var regretReach: Double
        package var failures: Double
        package var events: Int
    }

    package static let laws: [FailureLaw] = [.exponential, .weibull(shape: 0.5), .weibull(shape: 0.65), .weibull(shape: 0.8)]
    /// 10 min, 1 h, 6 h, 1 d, 7 d, 30 d.
    package static let lengths: [Double] = [600, 3_600, 21_600, 86_400, 604_800, 2_592_000]

    package var candidacy: Candidacy
    package var preference: String
    package var seed: UInt64
    package var lifetimes: Int

    package init(candidacy: Candidacy, preference: String, seed: UInt64, lifetimes: Int) {
        self.candidacy = candidacy
        self.preference = preference
        self.seed = seed
        self.lifetimes = lifetimes
    }

    /// What regret may be: a twentieth where failures come at one rate, a tenth where nodes' hazard falls with their age.
    package static func bound(_ law: FailureLaw) -> Double { law == .exponential ? 0.05 : 0.1 }

    package func scenario(_ law: FailureLaw, mtbf: Double, work: Double) -> Scenario {
        let sla = TaskSLA(
            name: "task",
            task: TaskSpec(
                image: "demo", memoryBytes: .mebibytes(512), deltaBytes: .mebibytes(512), run: "work", workSeconds: Seconds(work)),
            progress: .cpuTime, preference: .named(preference), policy: candidacy.policy.name)
        let prices = candidacy.policy.preferences[preference] ?? Prices(timePerHour: 1, networkPerGiB: 0, storagePerGiBHour: 0)
        var costs = GuestCosts()
        costs.writtenBytesPerSecond = 0
        let fleet = Fleet(
            name: "regret", nodes: (1...4).map { Fleet.Node(id: NodeID("node-\($0)")) }, store: .directory("/regret"), imagesDirectory: "/regret")
        var scenario = Scenario(
            fleet: fleet,
            tasks: [Scenario.Task(sla: sla, version: DocumentVersion(name: "task", digest: "task"), submittedAfter: .zero, prices: prices)],
            failures: .law(law, mtbfSeconds: mtbf, repair: .exponential, downSeconds: min(600, mtbf / 10)), costs: costs,
            horizon: Seconds(work * 20 + 86_400 * 30), seed: seed)
        // Nothing is known beforehand.
        scenario.tellsUptime = false
        return scenario
    }

    package func cell(_ law: FailureLaw, mtbf: Double, work: Double) -> Cell {
        let simulation = Simulation(scenario(law, mtbf: mtbf, work: work))
        var oracle = candidacy
        oracle.isOracle = true
        var planner: [Double] = []
        var best: [Double] = []
        var events = 0
        var failures = 0.0
        for run in 0..<lifetimes {
            let (ours, its) = (simulation.run(run, candidacy), simulation.run(run, oracle))
            planner.append(ours.metrics[.totalCost] ?? 0)
            best.append(its.metrics[.totalCost] ?? 0)
            events += ours.events + its.events
            failures += ours.metrics[.failures] ?? 0
        }
        let count = Double(lifetimes)
        let means = (planner: planner.reduce(0, +) / count, oracle: best.reduce(0, +) / count)
        let ratio = means.planner / means.oracle
        // Of a ratio of means, by its linearisation. Source: Law, Simulation Modeling and Analysis, 5th edition, 9.5.
        let rest = Interval95(zip(planner, best).map { ($0 - ratio * $1) / means.oracle })
        return Cell(
            law: law.text, mtbfSeconds: mtbf, workSeconds: work, lifetimes: lifetimes, plannerCost: means.planner, oracleCost: means.oracle,
            regret: ratio - 1, regretReach: rest.reach, failures: failures / count, events: events)
    }
}
