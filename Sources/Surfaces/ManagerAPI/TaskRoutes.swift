import AuditReport
import Hummingbird
import Knowledge
import Overview
import Ports
import Vocabulary

/// What is asked about tasks.
enum TaskRoutes {
    static func all(_ commands: any ManagerCommands, _ outlooks: any OutlookSource, _ ledger: any Ledger, _ time: any TimeSource) -> [Route] {
        reading(outlooks, ledger, time) + acting(commands)
    }

    private static func reading(_ outlooks: any OutlookSource, _ ledger: any Ledger, _ time: any TimeSource) -> [Route] {
        [
            Route(.get, "/v1/tasks", for: .readers) { call in
                try call.query.only("state", "limit", "skip")
                let state = try call.query.choice("state", Which.self) ?? .all
                let limit = try call.query.whole("limit", in: 1...10_000) ?? 1_000
                let skip = try call.query.whole("skip", in: 0...1_000_000_000) ?? 0
                let tasks = TaskBrief.all(try await FleetRoutes.newest(outlooks)).filter { state == .all || $0.isLive == (state == .live) }
                return try .json(Tasks(tasks: Array(tasks.dropFirst(skip).prefix(limit)), total: tasks.count))
            },
            Route(.get, "/v1/tasks/{task}", for: .readers) { call in
                try call.query.only()
                let outlook = try await FleetRoutes.newest(outlooks)
                guard let task = try await TaskOverview.read(call.task, outlook: outlook, ledger: ledger, now: time.now()) else {
                    throw CommandError.notFound("no task \(call.task)")
                }
                return try .json(task)
            },
            Route(.get, "/v1/tasks/{task}/checkpoints", for: .readers) { call in
                try call.query.only()
                guard let known = try await FleetRoutes.newest(outlooks).knowledge.tasks[call.task] else {
                    throw CommandError.notFound("no task \(call.task)")
                }
                return try .json(Checkpoints(task: call.task, checkpoints: known.committed.map { .init($0, known.verifications[$0.id]) }))
            },
        ]
    }

    private static func acting(_ commands: any ManagerCommands) -> [Route] {
        [
            Route(.post, "/v1/tasks", for: .submitters) { call in
                try call.query.only("file", "node", "owner")
                let text = String(decoding: try await call.body(), as: UTF8.self)
                let node = call.query["node"].map { NodeID($0) }
                let owner = try owner(of: call)
                let task = try await commands.submit(
                    text, file: call.query["file"] ?? "submitted", node: node, owner: owner, by: call.caller.name)
                return try .json(Submitted(task: task))
            },
            Route(.post, "/v1/tasks/{task}/cancel", for: .taskOwner) { call in
                try call.query.only()
                try await commands.cancel(call.task, by: call.caller.name)
                return try .json(Accepted(task: call.task, order: nil))
            },
            Route(.post, "/v1/tasks/{task}/checkpoints", for: .taskOwner) { call in
                try call.query.only()
                return try .json(Accepted(task: call.task, order: try await commands.checkpointNow(call.task, by: call.caller.name)))
            },
            Route(.post, "/v1/tasks/{task}/restore", for: .taskOwner) { call in
                try call.query.only()
                try await commands.restore(call.task, by: call.caller.name)
                return try .json(Accepted(task: call.task, order: nil))
            },
            Route(.post, "/v1/tasks/{task}/prune", for: .taskOwner) { call in
                try call.query.only("keepLast", "keepFor", "dryRun")
                let answer = try await commands.prune(
                    call.task, keepLast: try call.query.whole("keepLast", in: 0...1_000_000),
                    keepFor: try call.query.number("keepFor", upTo: 10_000_000_000).map { Seconds($0) }, isDryRun: try call.query.flag("dryRun"),
                    by: call.caller.name)
                return try .json(answer)
            },
            Route(.post, "/v1/tasks/{task}/merge", for: .taskOwner) { call in
                try call.query.only()
                return try .json(Accepted(task: call.task, order: try await commands.merge(call.task, by: call.caller.name)))
            },
        ]
    }

    /// An owner's tasks are its own; an operator may submit for somebody else.
    private static func owner(of call: Call) throws -> String? {
        let wanted = call.query["owner"]
        guard case .owner = call.caller.role else { return wanted }
        guard wanted == nil || wanted == call.caller.name else {
            throw Refusal(.forbidden, ["\(call.caller.name) may not submit for \(wanted ?? ""): that is for operators"])
        }
        return call.caller.name
    }

    private enum Which: String, CaseIterable { case live, ended, all }
    private struct Tasks: Encodable {
        let tasks: [TaskBrief]
        let total: Int
    }
    private struct Checkpoints: Encodable {
        let task: TaskID
        let checkpoints: [TaskOverview.StoredCheckpoint]
    }
    private struct Submitted: Encodable { let task: TaskID }
    private struct Accepted: Encodable {
        let task: TaskID
        let order: OrderID?
    }
}
