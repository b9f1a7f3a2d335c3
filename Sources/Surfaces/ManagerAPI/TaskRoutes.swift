import Hummingbird
import Ports
import Vocabulary

/// What is asked about tasks.
enum TaskRoutes {
    static func all(_ commands: any ManagerCommands) -> [Route] {
        [
            Route(.post, "/v1/tasks", for: .submitters) { call in
                try call.query.only("file", "node")
                let text = String(decoding: try await call.body(), as: UTF8.self)
                let node = call.query["node"].map { NodeID($0) }
                return try .json(Submitted(task: try await commands.submit(text, file: call.query["file"] ?? "submitted", node: node)))
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
                    keepFor: try call.query.number("keepFor").map { Seconds($0) }, isDryRun: try call.query.flag("dryRun"), by: call.caller.name)
                return try .json(answer)
            },
            Route(.post, "/v1/tasks/{task}/merge", for: .taskOwner) { call in
                try call.query.only()
                return try .json(Accepted(task: call.task, order: try await commands.merge(call.task, by: call.caller.name)))
            },
        ]
    }

    private struct Submitted: Encodable { let task: TaskID }
    private struct Accepted: Encodable {
        let task: TaskID
        let order: OrderID?
    }
}
