import Ports
import Vocabulary

/// How well each model foretold what came: predictions beside outcomes, from the ledger's content alone. The JSON contract is in docs/json.md.
///
/// A report holds one of what it tells about.
package struct Calibration: Hashable, Sendable, Codable {
    package static let schema = "cairn.calibration/v1"
    package var schema = Calibration.schema
    package var generatedAt: Moment
    package var decisionCount: Int
    /// One for each quantity that was both predicted and observed, by name.
    package var models: [Model]
    /// P(deadline met); nil: no task with a deadline has ended, or passed it.
    package var deadlines: Reliability?

    /// One quantity.
    package struct Model: Hashable, Sendable, Codable {
        package var summary: PredictionReport
        /// A tenth of the outcomes were below, and a tenth above, so many times what was predicted; nil where nothing but zero was predicted.
        package var lowRatio: Double?
        package var highRatio: Double?
        /// Of the predictions that had a standard error: how many, and the share of outcomes within two of it (of a normal distribution: 0.954).
        package var judgedCount: Int
        package var withinTwoErrorsShare: Double?
        /// Predicted and observed, in the order of the decisions; thinned evenly to at most a thousand, in a report two hundred.
        package var points: [Point]
    }

    package struct Point: Hashable, Sendable, Codable {
        package var decision: DecisionID
        package var predicted: Double
        package var observed: Double
        package var standardError: Double?
    }

    /// A reliability diagram: of the deadlines that were to be met with about this probability, so many were.
    /// Source: Murphy & Winkler, "Reliability of subjective probability forecasts of precipitation and temperature", Applied Statistics 26 (1977).
    package struct Reliability: Hashable, Sendable, Codable {
        package var tasks: Int
        package var predictions: Int
        package var metShare: Double
        /// Mean of (predicted − came true)², each task weighing the same (Brier 1950); and that of always saying `metShare`.
        package var brierScore: Double
        package var baseScore: Double
        package var bins: [Bin]
    }

    /// Predictions of a task within one bin count once, as their mean: they are all about one outcome.
    package struct Bin: Hashable, Sendable, Codable {
        /// Of the probabilities in it; the last bin holds 1.
        package var from: Double
        package var to: Double
        package var tasks: Int
        package var meanPredicted: Double
        package var metShare: Double
        /// 95 % interval of the share. Source: Wilson, "Probable inference", JASA 22 (1927).
        package var low: Double
        package var high: Double
    }

    package static func read(from ledger: any Ledger, generatedAt: Timestamp) async throws(LedgerError) -> Calibration {
        // In this order: an outcome that is read has its decision, and a decision the events behind it.
        let outcomes = try await ledger.outcomes(task: nil)
        let decisions = try await ledger.decisions(DecisionQuery(limit: .max))
        return make(events: try await ledger.everyEvent(), decisions: decisions, outcomes: outcomes, generatedAt: generatedAt)
    }

    /// - Parameters:
    ///   - decisions: oldest first.
    ///   - outcomes: of those decisions; nothing is left out.
    ///   - mostPoints: that a model keeps, at least 2.
    package static func make(
        events: some Sequence<EventRecord>, decisions: [Decision], outcomes: [Outcome], generatedAt: Timestamp, mostPoints: Int = 1_000
    ) -> Calibration {
        let fates = Fate.all(events)
        var pairs: [String: [Point]] = [:]
        var errors: [DecisionID: [String: Double]] = [:]
        for decision in decisions {
            for input in decision.inputs { if let error = input.standardError { errors[decision.id, default: [:]][input.name] = error } }
        }
        for outcome in outcomes {
            guard let predicted = outcome.predicted, predicted.isFinite, outcome.observed.isFinite else { continue }
            pairs[outcome.quantity, default: []].append(
                Point(
                    decision: outcome.decision, predicted: predicted, observed: outcome.observed,
                    standardError: errors[outcome.decision]?[outcome.quantity]))
        }
        // What each choice of an interval, or of a node, said of the time that was left.
        var forecasts: [TaskID: [Forecast]] = [:]
        for decision in decisions {
            guard let task = decision.task, let fate = fates[task], let chosen = decision.chosen, decision.alternatives.indices.contains(chosen)
            else { continue }
            let alternative = decision.alternatives[chosen]
            if decision.kind == .schedule, decision.mode == .enforce, let finished = fate.finishedAt, alternative.expectedSeconds.rawValue.isFinite {
                pairs["remainingSeconds", default: []].append(
                    Point(
                        decision: decision.id, predicted: alternative.expectedSeconds.rawValue, observed: (finished - decision.at).rawValue,
                        standardError: nil))
            }
            if decision.mode == .enforce, let met = fate.metDeadline, let probability = alternative.probabilityMet {
                forecasts[task, default: []].append(Forecast(probability: probability.rawValue, came: met))
            }
        }
        return Calibration(
            generatedAt: Moment(generatedAt), decisionCount: decisions.count,
            models: pairs.sorted { $0.key < $1.key }.map { Model($0.key, $0.value, most: mostPoints) }, deadlines: Reliability(forecasts))
    }
}

/// What became of a task.
private struct Fate {
    var finishedAt: Timestamp?
    /// nil: it has none, was cancelled, or the ledger ends before it is decided.
    var metDeadline: Bool?

    static func all(_ events: some Sequence<EventRecord>) -> [TaskID: Fate] {
        var deadlines: [TaskID: Timestamp] = [:]
        var fates: [TaskID: Fate] = [:]
        var ended: Set<TaskID> = []
        var last = Timestamp(-.infinity)
        for record in events {
            last = max(last, record.at)
            switch record.event {
            case .taskSubmitted(let submission):
                fates[submission.task] = Fate()
                deadlines[submission.task] = submission.sla.deadline?.time(submitted: submission.submittedAt)
            case .taskFinished(let task, _, _, _) where !ended.contains(task):
                ended.insert(task)
                fates[task]?.finishedAt = record.at
                fates[task]?.metDeadline = deadlines[task].map { record.at <= $0 }
            case .taskGivenUp(let task, _) where !ended.contains(task):
                ended.insert(task)
                fates[task]?.metDeadline = deadlines[task].map { _ in false }
            case .taskCancelled(let task, _): ended.insert(task)
            default: break
            }
        }
        for (task, deadline) in deadlines where !ended.contains(task) && last > deadline { fates[task]?.metDeadline = false }
        return fates
    }
}

private struct Forecast {
    var probability: Double
    var came: Bool
}

extension Calibration.Model {
    fileprivate init(_ quantity: String, _ points: [Calibration.Point], most: Int) {
        summary = PredictionReport(quantity, points.map { ($0.predicted, $0.observed) })
        let ratios = points.filter { $0.predicted > 0 }.map { $0.observed / $0.predicted }.sorted()
        lowRatio = Self.quantile(0.1, ratios)
        highRatio = Self.quantile(0.9, ratios)
        let judged = points.compactMap { point in point.standardError.map { abs(point.observed - point.predicted) <= 2 * $0 } }
        judgedCount = judged.count
        withinTwoErrorsShare = judged.isEmpty ? nil : Double(judged.count { $0 }) / Double(judged.count)
        self.points =
            points.count <= most ? points : (0..<most).map { points[$0 * (points.count - 1) / (most - 1)] }
    }

    /// Between the two nearest, linearly. - Parameter sorted: in ascending order.
    private static func quantile(_ share: Double, _ sorted: [Double]) -> Double? {
        guard !sorted.isEmpty else { return nil }
        let place = share * Double(sorted.count - 1)
        let below = Int(place)
        guard below + 1 < sorted.count else { return sorted[below] }
        return sorted[below] + (place - Double(below)) * (sorted[below + 1] - sorted[below])
    }
}

extension Calibration.Reliability {
    /// Finer where SLAs ask: above 0.9.
    private static let edges = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0]

    fileprivate init?(_ forecasts: [TaskID: [Forecast]]) {
        guard !forecasts.isEmpty else { return nil }
        tasks = forecasts.count
        predictions = forecasts.values.reduce(0) { $0 + $1.count }
        metShare = Double(forecasts.values.count { $0[0].came }) / Double(tasks)
        var scores = 0.0
        var bins: [Int: [(predicted: Double, came: Bool)]] = [:]
        // In the order of names: sums are the same to the last bit each time.
        for (_, own) in forecasts.sorted(by: { $0.key < $1.key }) {
            scores += own.reduce(0) { $0 + ($1.probability - ($1.came ? 1 : 0)) * ($1.probability - ($1.came ? 1 : 0)) } / Double(own.count)
            for (bin, inside) in Dictionary(grouping: own, by: { Self.bin($0.probability) }) {
                bins[bin, default: []].append((inside.reduce(0) { $0 + $1.probability } / Double(inside.count), inside[0].came))
            }
        }
        brierScore = scores / Double(tasks)
        baseScore = metShare * (1 - metShare)
        self.bins = bins.sorted { $0.key < $1.key }.map { bin, inside in
            let count = Double(inside.count)
            let share = Double(inside.count { $0.came }) / count
            let (low, high) = Self.wilson(share, count)
            return Calibration.Bin(
                from: Self.edges[bin], to: Self.edges[bin + 1], tasks: inside.count,
                meanPredicted: inside.reduce(0) { $0 + $1.predicted } / count, metShare: share, low: low, high: high)
        }
    }

    private static func bin(_ probability: Double) -> Int {
        min(edges.lastIndex { $0 <= probability } ?? 0, edges.count - 2)
    }

    private static func wilson(_ share: Double, _ count: Double) -> (low: Double, high: Double) {
        let z = 1.959963984540054
        let middle = (share + z * z / (2 * count)) / (1 + z * z / count)
        let reach = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)).squareRoot()
        return (max(0, middle - reach), min(1, middle + reach))
    }
}
