import Analysis
import Knowledge
import PlanningModel
import Vocabulary

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What a dearer network does: the same task under the same failures, planned with prices of the network from cheap to dear.
///
/// Twice: as it is expected by the model, with the failure rate and costs known, which no chance blurs; and as it came out in the simulator, where
/// everything had to be learnt.
package struct Frontier: Hashable, Sendable, Codable {
    package static let schemaName = "cairn.frontier/v1"

    package struct Point: Hashable, Sendable, Codable {
        package var networkPerGiB: Double
        /// Absent: no checkpoint pays.
        package var intervalSeconds: Double?
        package var codec: String
        package var expectedSeconds: Double
        package var expectedSentBytes: Double
        package var finishSeconds: Interval95
        package var sentBytes: Interval95
    }

    package var schema = Frontier.schemaName
    package var seed: UInt64
    package var lifetimes: Int
    package var mtbfSeconds: Double
    package var workSeconds: Double
    package var timePerHour: Double
    package var points: [Point]

    /// Prices from a thousandth of a unit a GiB on, each twice the one before.
    package static let prices = [0] + (0..<12).map { 0.001 * Double(1 << $0) }

    package init(_ candidacy: Candidacy, timePerHour: Double, mtbf: Double, work: Double, lifetimes: Int, seed: UInt64) {
        self.seed = seed
        self.lifetimes = lifetimes
        self.timePerHour = timePerHour
        (mtbfSeconds, workSeconds) = (mtbf, work)
        points = Self.prices.map { price in
            var candidacy = candidacy
            candidacy.policy.preferences["frontier"] = Prices(timePerHour: timePerHour, networkPerGiB: price, storagePerGiBHour: 0)
            let grid = RegretGrid(candidacy: candidacy, preference: "frontier", seed: seed, lifetimes: lifetimes)
            let scenario = grid.scenario(.exponential, mtbf: mtbf, work: work)
            let best = Self.expected(scenario, candidacy.policy.settings)
            let simulation = Simulation(scenario)
            let runs = (0..<lifetimes).map { simulation.run($0, candidacy).metrics }
            return Point(
                networkPerGiB: price, intervalSeconds: best.intervalSeconds, codec: best.option.name, expectedSeconds: best.expectedSeconds,
                expectedSentBytes: best.expectedSentBytes, finishSeconds: Interval95(runs.map { $0[.finishSeconds] ?? 0 }),
                sentBytes: Interval95(runs.map { $0[.sentBytes] ?? 0 }))
        }
    }

    private static func expected(_ scenario: Scenario, _ settings: CheckpointPolicy.Settings) -> Candidate {
        let task = scenario.tasks[0]
        var even = scenario
        even.costs = scenario.costs.even
        let guest = Guest(even.costs, task.sla.task, seed: scenario.seed, run: 0, index: 0)
        let options = guest.trueCosts(scenario.links, detectionSeconds: Simulation(scenario).detectionSeconds, work: 0)
            .filter { settings.codecs.contains($0.codec) }.map { $0.option(replication: settings.replication) }
        let objective = CostObjective(
            outlook: Outlook(
                workSeconds: task.sla.task.workSeconds.rawValue, failureRatePerSecond: 1 / scenario.meanMTBFSeconds, keepLast: settings.keepLast),
            prices: ObjectivePrices(perSecond: task.prices.timePerSecond, perByteSent: task.prices.networkPerByte),
            limits: ObjectiveLimits(
                bounds: IntervalBounds(floorSeconds: settings.floorSeconds.rawValue, ceilingSeconds: settings.ceilingSeconds.rawValue)))
        return objective.minimise(over: options).best
    }

    /// Whether each dearer price was expected to send no more, and to finish no earlier.
    package var isMonotone: Bool {
        zip(points, points.dropFirst()).allSatisfy {
            $1.expectedSentBytes <= $0.expectedSentBytes * (1 + 1e-9) && $1.expectedSeconds >= $0.expectedSeconds * (1 - 1e-9)
        }
    }

    package var rows: [[String]] {
        [["A GIB", "INTERVAL", "CODEC", "EXPECTED", "EXPECTED TO SEND", "FINISHED AFTER", "SENT"]]
            + points.map { point in
                [
                    plain(point.networkPerGiB), point.intervalSeconds.map { duration($0) } ?? "never",
                    point.intervalSeconds == nil ? "-" : point.codec, duration(point.expectedSeconds), size(point.expectedSentBytes),
                    "\(duration(point.finishSeconds.mean)) ±\(duration(point.finishSeconds.reach))",
                    "\(size(point.sentBytes.mean)) ±\(size(point.sentBytes.reach))",
                ]
            }
    }

    package var markdown: String {
        rows.enumerated().map { index, row in
            "| " + row.map { index == 0 ? $0.lowercased() : $0 }.joined(separator: " | ") + " |\n"
                + (index == 0 ? "|" + row.map { _ in " --- |" }.joined() + "\n" : "")
        }.joined()
    }

    /// Bytes to the right on a logarithmic scale, time upwards: the line is what is expected, the squares what came out.
    package var plot: String {
        let bytes = points.flatMap { [$0.expectedSentBytes, $0.sentBytes.mean] }.map { max($0, 1) }
        let times = points.flatMap {
            [$0.expectedSeconds, $0.finishSeconds.mean - $0.finishSeconds.reach, $0.finishSeconds.mean + $0.finishSeconds.reach]
        }
        let (x0, x1) = (log2(bytes.min() ?? 1) - 0.5, log2(bytes.max() ?? 2) + 0.5)
        let span = max((times.max() ?? 1) - (times.min() ?? 0), 1e-9)
        let (y0, y1) = ((times.min() ?? 0) - span * 0.08, (times.max() ?? 1) + span * 0.08)
        let (left, top, width, height) = (100.0, 44.0, 600.0, 340.0)
        func px(_ bytes: Double) -> Double { left + (log2(max(bytes, 1)) - x0) / (x1 - x0) * width }
        func py(_ time: Double) -> Double { top + height - (time - y0) / (y1 - y0) * height }
        var svg = Drawing(width: left + width + 90, height: top + height + 60)
        svg.text(
            16, 24, "Time to finish by bytes sent, as the network's price rises: expected (line), simulated (squares, 95 %)", size: 14)
        svg.line(left, top, left, top + height)
        svg.line(left, top + height, left + width, top + height)
        for exponent in stride(from: x0.rounded(.up), through: x1, by: max(1, ((x1 - x0) / 6).rounded())) {
            svg.text(px(exp2(exponent)), top + height + 20, size(exp2(exponent)), anchor: "middle")
        }
        for step in 0...4 {
            let time = y0 + (y1 - y0) * Double(step) / 4
            svg.text(left - 8, py(time) + 4, duration(time), anchor: "end")
        }
        for (a, b) in zip(points, points.dropFirst()) {
            svg.line(px(a.expectedSentBytes), py(a.expectedSeconds), px(b.expectedSentBytes), py(b.expectedSeconds))
        }
        for point in points {
            let (x, y) = (px(point.sentBytes.mean), py(point.finishSeconds.mean))
            svg.line(x, py(point.finishSeconds.mean - point.finishSeconds.reach), x, py(point.finishSeconds.mean + point.finishSeconds.reach))
            svg.rectangle(x - 3, y - 3, 6, 6, "#4e79a7", tip: "\(plain(point.networkPerGiB)) a GiB")
            svg.text(px(point.expectedSentBytes) + 4, py(point.expectedSeconds) - 6, plain(point.networkPerGiB), size: 10)
        }
        return svg.closed
    }
}
