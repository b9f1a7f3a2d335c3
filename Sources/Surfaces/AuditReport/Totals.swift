import Vocabulary

/// The report's tasks together.
package struct Totals: Hashable, Sendable, Codable {
    package var tasks: Int
    package var kept: Int
    package var broken: Int
    package var notObserved: Int
    package var committedCheckpoints: Int
    package var failedCheckpoints: Int
    package var runningSeconds: Seconds
    package var stopSeconds: Seconds
    /// Of the time that they ran; nil: none ran.
    package var stoppedShare: Double?
    package var sentBytes: ByteCount
    package var storedBytes: ByteCount
    package var fetchedBytes: ByteCount
    package var storedGiBHours: Double
    package var failures: Int
    package var lostWorkSeconds: Seconds
    package var downSeconds: Seconds
    /// In each currency, by its name.
    package var money: [MoneyTotal]
    package var hindsights: [HindsightTotal]

    package struct MoneyTotal: Hashable, Sendable, Codable {
        package var currency: String
        package var timeCost: Double
        package var networkCost: Double
        package var storageCost: Double
        package var penaltyOwed: Double
    }

    /// How many decisions of a kind turned out how.
    package struct HindsightTotal: Hashable, Sendable, Codable {
        package var kind: Decision.Kind
        package var well: Int
        package var badly: Int
        package var untested: Int
        package var open: Int
    }

    init(_ reports: [TaskReport], others: [DecisionReport]) {
        tasks = reports.count
        kept = reports.count { $0.verdict == .kept }
        broken = reports.count { $0.verdict == .broken }
        notObserved = reports.count { $0.verdict == .notObserved }
        func sum<Value>(_ zero: Value, _ add: (Value, Value) -> Value, _ part: (TaskReport) -> Value) -> Value { reports.map(part).reduce(zero, add) }
        func seconds(_ part: (TaskReport) -> Seconds) -> Seconds { rounded(sum(.zero, +, part)) }
        committedCheckpoints = sum(0, +) { $0.cost.committedCheckpoints }
        failedCheckpoints = sum(0, +) { $0.cost.failedCheckpoints }
        runningSeconds = seconds { $0.cost.runningSeconds }
        stopSeconds = seconds { $0.cost.stopSeconds }
        stoppedShare = runningSeconds > .zero ? stopSeconds / runningSeconds : nil
        sentBytes = sum(.zero, +) { $0.cost.sentBytes }
        storedBytes = sum(.zero, +) { $0.cost.storedBytes }
        fetchedBytes = sum(.zero, +) { $0.cost.fetchedBytes }
        storedGiBHours = sum(0, +) { $0.cost.storedGiBHours }
        failures = sum(0, +) { $0.failures.count }
        lostWorkSeconds = seconds { $0.cost.lostWorkSeconds }
        downSeconds = seconds { $0.cost.downSeconds }
        var money: [String: MoneyTotal] = [:]
        func add(_ currency: String?, _ change: (inout MoneyTotal) -> Void) {
            guard let currency else { return }
            change(&money[currency, default: MoneyTotal(currency: currency, timeCost: 0, networkCost: 0, storageCost: 0, penaltyOwed: 0)])
        }
        for cost in reports.map(\.cost) {
            add(cost.currency) {
                $0.timeCost += cost.timeCost ?? 0
                $0.networkCost += cost.networkCost ?? 0
                $0.storageCost += cost.storageCost ?? 0
            }
            add(cost.penaltyCurrency) { $0.penaltyOwed += cost.penaltyOwed ?? 0 }
        }
        self.money = money.values.sorted { $0.currency < $1.currency }
        hindsights = Self.hindsights(reports.flatMap(\.decisions) + others)
    }

    static func hindsights(_ decisions: [DecisionReport]) -> [HindsightTotal] {
        Decision.Kind.allCases.compactMap { kind in
            let judged = decisions.filter { $0.kind == kind }.compactMap(\.hindsight)
            guard !judged.isEmpty else { return nil }
            func count(_ verdict: Hindsight.Verdict) -> Int { judged.count { $0.verdict == verdict } }
            return HindsightTotal(kind: kind, well: count(.well), badly: count(.badly), untested: count(.untested), open: count(.open))
        }
    }
}
