import Foundation
import Hummingbird
import Logging
import Ports
import Vocabulary

/// The manager's HTTP interface. Every answer is JSON; docs/json.md is its contract.
///
/// | | | |
/// | --- | --- | --- |
/// | POST | `/v1/nodes/{node}/report` | an agent's heartbeat; the answer is its orders |
/// | POST | `/v1/tasks?node=&file=` | submit: the body is a TaskSLA in YAML |
/// | POST | `/v1/tasks/{task}/cancel`, `/checkpoints`, `/restore` | |
/// | GET | `/v1/health` | |
package struct ManagerServer: Sendable {
    private let commands: any ManagerCommands
    private let host: String
    private let port: Int
    /// Largest body taken, in bytes.
    private let bodyLimit = 16 << 20

    package init(commands: any ManagerCommands, host: String, port: Int) {
        self.commands = commands
        self.host = host
        self.port = port
    }

    /// Serves until cancelled.
    /// - Parameter ready: called with the port in use, which the system chose if 0 was asked for.
    package func run(logger: Logger, ready: @escaping @Sendable (Int) async -> Void) async throws {
        let application = Application(
            router: router(), configuration: .init(address: .hostname(host, port: port), serverName: "cairn"),
            onServerRunning: { channel in await ready(channel.localAddress?.port ?? port) }, logger: logger)
        try await application.run()
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        let commands = commands
        let bodyLimit = bodyLimit
        router.post("/v1/nodes/:node/report") { request, context in
            try await Self.answer { () throws(CommandError) in
                let body = try await Self.body(request, limit: bodyLimit)
                let report: NodeReport
                do { report = try JSONDecoder().decode(NodeReport.self, from: body) } catch {
                    throw CommandError.invalid(["the report cannot be read: \(error)"])
                }
                guard report.node.rawValue == context.parameters.get("node") else {
                    throw CommandError.invalid(["the report is of node \(report.node), not of the one in the address"])
                }
                return try await commands.exchange(report)
            }
        }
        router.post("/v1/tasks") { request, _ in
            try await Self.answer { () throws(CommandError) in
                let body = try await Self.body(request, limit: 1 << 20)
                let file = request.uri.queryParameters["file"].map(String.init) ?? "submitted"
                let node = request.uri.queryParameters["node"].map { NodeID(String($0)) }
                return Submitted(task: try await commands.submit(String(decoding: body, as: UTF8.self), file: file, node: node))
            }
        }
        router.post("/v1/tasks/:task/cancel") { _, context in
            let task = TaskID(context.parameters.get("task") ?? "")
            return try await Self.answer { () throws(CommandError) in
                try await commands.cancel(task, by: "operator")
                return Accepted(task: task, order: nil)
            }
        }
        router.post("/v1/tasks/:task/checkpoints") { _, context in
            let task = TaskID(context.parameters.get("task") ?? "")
            return try await Self.answer { () throws(CommandError) in
                Accepted(task: task, order: try await commands.checkpointNow(task, by: "operator"))
            }
        }
        router.post("/v1/tasks/:task/restore") { _, context in
            let task = TaskID(context.parameters.get("task") ?? "")
            return try await Self.answer { () throws(CommandError) in
                try await commands.restore(task, by: "operator")
                return Accepted(task: task, order: nil)
            }
        }
        router.post("/v1/tasks/:task/prune") { request, context in
            let task = TaskID(context.parameters.get("task") ?? "")
            return try await Self.answer { () throws(CommandError) in
                let query = request.uri.queryParameters
                return try await commands.prune(
                    task, keepLast: try Self.number(query["keepLast"].map(String.init), "keepLast") { Int($0) },
                    keepFor: try Self.number(query["keepFor"].map(String.init), "keepFor") { Double($0) }.map { Seconds($0) },
                    isDryRun: query["dryRun"] == "true", by: "operator")
            }
        }
        router.post("/v1/tasks/:task/merge") { _, context in
            let task = TaskID(context.parameters.get("task") ?? "")
            return try await Self.answer { () throws(CommandError) in
                Accepted(task: task, order: try await commands.merge(task, by: "operator"))
            }
        }
        router.get("/v1/health") { _, _ in
            try await Self.answer { () throws(CommandError) in await commands.health() }
        }
        return router
    }

    private struct Submitted: Encodable { let task: TaskID }
    private struct Accepted: Encodable {
        let task: TaskID
        let order: OrderID?
    }
    private struct Refused: Encodable { let errors: [String] }

    private static func number<Value: Comparable & ExpressibleByIntegerLiteral>(
        _ text: String?, _ name: String, _ read: (String) -> Value?
    ) throws(CommandError) -> Value? {
        guard let text else { return nil }
        guard let value = read(text), value >= 0 else { throw .invalid(["\(name): \(text) is no number of 0 or more"]) }
        return value
    }

    private static func body(_ request: Request, limit: Int) async throws(CommandError) -> Data {
        do { return Data(buffer: try await request.body.collect(upTo: limit)) } catch {
            throw .invalid(["the body is longer than \(limit) bytes, or broke off: \(error)"])
        }
    }

    private static func answer<Value: Encodable>(_ work: () async throws(CommandError) -> Value) async throws -> Response {
        let value: Value
        do throws(CommandError) { value = try await work() } catch {
            let status: HTTPResponse.Status =
                switch error {
                case .invalid: .badRequest
                case .notFound: .notFound
                case .conflict: .conflict
                case .failed: .internalServerError
                }
            return try json(status, Refused(errors: error.messages))
        }
        return try json(.ok, value)
    }

    private static func json(_ status: HTTPResponse.Status, _ value: some Encodable) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let body = ByteBuffer(data: try encoder.encode(value))
        return Response(status: status, headers: [.contentType: "application/json"], body: .init(byteBuffer: body))
    }
}
