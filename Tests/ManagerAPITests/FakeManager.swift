import Foundation
import Knowledge
import Ports
import Synchronization
import Vocabulary

/// Answers everything, and remembers what it was asked.
final class FakeManager: ManagerCommands {
    private let asked = Mutex<[String]>([])
    /// Who owns the task `t-1`.
    private let owner: String
    init(owner: String = "ann") { self.owner = owner }

    var calls: [String] { asked.withLock { $0 } }
    private func note(_ call: String) { asked.withLock { $0.append(call) } }

    func exchange(_ report: NodeReport) async throws(CommandError) -> NodeOrders {
        note("report \(report.node)")
        return NodeOrders(acknowledged: 0, orders: [], standing: [])
    }
    func submit(_ text: String, file: String, node: NodeID?, owner: String?, by: String) async throws(CommandError) -> TaskID {
        note("submit \(text) \(file) \(node?.rawValue ?? "-") \(owner ?? "-") by \(by)")
        return TaskID("t-1")
    }
    func cancel(_ task: TaskID, by: String) async throws(CommandError) { note("cancel \(task) by \(by)") }
    func checkpointNow(_ task: TaskID, by: String) async throws(CommandError) -> OrderID {
        note("checkpoint \(task) by \(by)")
        return OrderID("o-1")
    }
    func restore(_ task: TaskID, by: String) async throws(CommandError) {
        note("restore \(task) by \(by)")
        throw .conflict("not now")
    }
    func prune(_ task: TaskID, keepLast: Int?, keepFor: Seconds?, isDryRun: Bool, by: String) async throws(CommandError) -> PruneAnswer {
        note("prune \(task) \(keepLast ?? -1) \(keepFor?.rawValue ?? -1) \(isDryRun) by \(by)")
        return PruneAnswer(task: task, keep: [], remove: [], order: nil)
    }
    func merge(_ task: TaskID, by: String) async throws(CommandError) -> OrderID {
        note("merge \(task) by \(by)")
        throw .failed("the disk is full")
    }
    func health() async -> ManagerHealth {
        ManagerHealth(version: "0", startedAt: Timestamp(0), cycles: 1, lastCycleAt: nil, store: nil, liveTasks: 0)
    }
    func drain(_ node: NodeID, by: String) async throws(CommandError) { note("drain \(node) by \(by)") }
    func undrain(_ node: NodeID, by: String) async throws(CommandError) { note("undrain \(node) by \(by)") }
    func setMode(_ mode: CheckpointPolicy.Mode?, ofPolicy name: String, by: String) async throws(CommandError) {
        note("mode \(mode?.rawValue ?? "-") of \(name) by \(by)")
    }
    func verified(_ task: TaskID, _ checkpoint: CheckpointID, problems: [String], by: String) async throws(CommandError) {
        note("verified \(task) \(checkpoint) \(problems) by \(by)")
    }
    func owner(of task: TaskID) async -> String? { task == TaskID("t-1") ? owner : nil }
}

/// Always the same.
struct StandingOutlook: OutlookSource {
    let now: Outlook?
    func outlook() async -> Outlook? { now }
}

/// A clock that stands where it is put.
final class StandingTime: TimeSource {
    private let moment: Mutex<Timestamp>
    init(_ moment: Timestamp) { self.moment = Mutex(moment) }
    func now() -> Timestamp { moment.withLock { $0 } }
    func advance(by length: Seconds) { moment.withLock { $0 = $0 + length } }
    func sleep(for length: Seconds) async throws {}
}
