import Foundation
import Hummingbird
import Ports
import Vocabulary

/// What agents ask.
enum NodeRoutes {
    /// Most bytes of a report.
    private static let reportLimit = 16 << 20

    static func all(_ commands: any ManagerCommands) -> [Route] {
        [
            Route(.post, "/v1/nodes/{node}/report", for: .node) { call in
                try call.query.only()
                let body = try await call.body(upTo: reportLimit)
                let report: NodeReport
                do { report = try JSONDecoder().decode(NodeReport.self, from: body) } catch {
                    throw CommandError.invalid(["the report cannot be read: \(error)"])
                }
                guard report.node == call.node else {
                    throw CommandError.invalid(["the report is of node \(report.node), not of the one in the address"])
                }
                return try .json(try await commands.exchange(report))
            }
        ]
    }
}
