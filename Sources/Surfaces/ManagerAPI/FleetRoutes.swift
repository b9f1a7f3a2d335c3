import AuditReport
import Hummingbird
import Knowledge
import Overview
import Ports
import Vocabulary

/// What is asked about the fleet, and its nodes.
enum FleetRoutes {
    static func all(_ outlooks: any OutlookSource) -> [Route] {
        [
            Route(.get, "/v1/fleet", for: .readers) { call in
                try call.query.only()
                return try .json(FleetOverview(try await newest(outlooks)))
            },
            Route(.get, "/v1/nodes", for: .readers) { call in
                try call.query.only()
                let overview = FleetOverview(try await newest(outlooks), taskLimit: 0)
                return try .json(Nodes(at: overview.at, nodes: overview.nodes))
            },
            Route(.get, "/v1/nodes/{node}", for: .readers) { call in
                try call.query.only()
                let overview = FleetOverview(try await newest(outlooks), taskLimit: 0)
                guard let node = overview.nodes.first(where: { $0.node == call.node }) else { throw CommandError.notFound("no node \(call.node)") }
                return try .json(node)
            },
        ]
    }

    /// - Throws: `Refusal` with 503 as long as the loop has not turned.
    static func newest(_ outlooks: any OutlookSource) async throws -> Outlook {
        guard let outlook = await outlooks.outlook() else {
            throw Refusal(.serviceUnavailable, ["the manager has just started and knows nothing yet: try again"], headers: [.retryAfter: "1"])
        }
        return outlook
    }

    private struct Nodes: Encodable {
        var at: Moment
        var nodes: [NodeOverview]
    }
}
