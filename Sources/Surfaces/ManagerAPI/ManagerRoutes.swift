import Access
import AuditReport
import Foundation
import Hummingbird
import Ports
import Vocabulary

/// What is asked about the manager itself.
enum ManagerRoutes {
    /// The OpenAPI document: what can be asked, and by whom. A test compares it with the routes.
    static let description = Data(PackageResources.openapi_json)

    static func all(_ commands: any ManagerCommands) -> [Route] {
        [
            Route(.get, "/v1/health", for: .anyone) { call in
                try call.query.only()
                return try .json(Health(await commands.health(), isForReaders: call.caller.may(.read)))
            },
            Route(.get, "/v1/openapi.json", for: .anyone) { call in
                try call.query.only()
                return .bytes(description, as: "application/json")
            },
        ]
    }

    /// That the manager is there and its loop turns; the rest for those who may read.
    private struct Health: Encodable {
        var startedAt: Moment
        var cycles: Int64
        var lastCycleAt: Moment?
        var version: String?
        var liveTasks: Int?
        var store: StoreHealth?

        init(_ health: ManagerHealth, isForReaders: Bool) {
            startedAt = Moment(health.startedAt)
            cycles = health.cycles
            lastCycleAt = health.lastCycleAt.map { Moment($0) }
            guard isForReaders else { return }
            version = health.version
            liveTasks = health.liveTasks
            store = health.store
        }
    }
}
