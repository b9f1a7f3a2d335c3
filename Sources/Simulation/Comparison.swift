#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A mean over runs, with its 95 % confidence interval.
package struct Interval95: Hashable, Sendable, Codable {
    package var mean: Double
    /// Absent with a single run, which says nothing about how far others would be off.
    package var standardError: Double?
    package var low: Double?
    package var high: Double?

    /// Student's t over values that are independent of each other. Source: Law, Simulation Modeling and Analysis, 5th edition, 9.4.
    package init(_ values: [Double]) {
        let count = Double(values.count)
        let mean = values.reduce(0, +) / max(1, count)
        self.mean = mean
        guard values.count > 1 else { return }
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let error = (squares / (count - 1) / count).squareRoot()
        let reach = StudentT.quantile975(freedom: values.count - 1) * error
        standardError = error
        low = mean - reach
        high = mean + reach
    }

    /// Half of its width; 0 with a single run.
    package var reach: Double { high.map { $0 - mean } ?? 0 }
    /// Whether zero is outside: a difference that chance would hardly make.
    package var isCertain: Bool { if let low, let high { low > 0 || high < 0 } else { false } }
}

enum StudentT {
    /// The 97.5 % point. Exact for one and two degrees of freedom; else the expansion around the normal one, off by at most 0.2 %.
    /// Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.5.
    static func quantile975(freedom: Int) -> Double {
        let x = 1.959963984540054
        let n = Double(max(1, freedom))
        switch freedom {
        case ...1: return 12.706204736432095
        case 2: return 4.302652729696142
        default:
            let (x3, x5, x7, x9) = (pow(x, 3), pow(x, 5), pow(x, 7), pow(x, 9))
            let g1 = (x3 + x) / 4
            let g2 = (5 * x5 + 16 * x3 + 3 * x) / 96
            let g3 = (3 * x7 + 19 * x5 + 17 * x3 - 15 * x) / 384
            let g4 = (79 * x9 + 776 * x7 + 1482 * x5 - 1920 * x3 - 945 * x) / 92_160
            return x + g1 / n + g2 / (n * n) + g3 / pow(n, 3) + g4 / pow(n, 4)
        }
    }
}

/// What came of all runs of all policies. The same scenario and runs give the same bytes, however many runs went on at once.
package struct SimulationReport: Hashable, Sendable, Codable {
    package static let schemaName = "cairn.simulation/v1"

    package struct Policy: Hashable, Sendable, Codable {
        package var name: String
        package var digest: String
        /// The mean time between failures that it was told; absent: it had to learn.
        package var toldMTBFSeconds: Double?
        /// Means over tasks and runs, by the name of the metric.
        package var metrics: [String: Interval95]
        package subscript(_ metric: Metric) -> Interval95 { metrics[metric.rawValue] ?? Interval95([]) }
    }

    /// `policy` minus `against`, run by run on the same failures.
    package struct Difference: Hashable, Sendable, Codable {
        package var policy: String
        package var against: String
        package var metrics: [String: Interval95]
        package subscript(_ metric: Metric) -> Interval95 { metrics[metric.rawValue] ?? Interval95([]) }
    }

    package var schema = SimulationReport.schemaName
    package var seed: UInt64
    package var runs: Int
    package var tasks: Int
    package var nodes: Int
    package var failures: String
    package var horizonSeconds: Double
    package var detectionSeconds: Double
    /// What costs are in.
    package var currency: String
    package var costs: GuestCosts
    package var links: Links
    package var events: Int
    package var plannings: Int
    /// In the order in which they were given.
    package var policies: [Policy]
    /// Each against the first.
    package var differences: [Difference]

    /// - Parameters:
    ///   - results: for each candidate, its runs in their order.
    package init(_ simulation: Simulation, candidates: [Candidacy], results: [[RunResult]], failures: String) {
        let scenario = simulation.scenario
        seed = scenario.seed
        runs = results.first?.count ?? 0
        tasks = scenario.tasks.count
        nodes = scenario.fleet.nodes.count
        self.failures = failures
        horizonSeconds = scenario.horizon.rawValue
        detectionSeconds = simulation.detectionSeconds
        currency = candidates.first?.policy.currency ?? ""
        costs = scenario.costs
        links = scenario.links
        events = results.reduce(0) { $0 + $1.reduce(0) { $0 + $1.events } }
        plannings = results.reduce(0) { $0 + $1.reduce(0) { $0 + $1.plannings } }
        func intervals(_ value: (Metric, Int) -> Double) -> [String: Interval95] {
            var intervals: [String: Interval95] = [:]
            for metric in Metric.allCases {
                intervals[metric.rawValue] = Interval95((0..<(results.first?.count ?? 0)).map { value(metric, $0) })
            }
            return intervals
        }
        policies = zip(candidates, results).map { candidate, runs in
            Policy(
                name: candidate.policy.name, digest: candidate.version.digest, toldMTBFSeconds: candidate.toldMTBFSeconds,
                metrics: intervals { runs[$1].metrics[$0] ?? 0 })
        }
        differences = zip(candidates, results).dropFirst().map { candidate, runs in
            Difference(
                policy: candidate.policy.name, against: candidates[0].policy.name,
                metrics: intervals { (runs[$1].metrics[$0] ?? 0) - (results[0][$1].metrics[$0] ?? 0) })
        }
    }
}
