import Access
import Hummingbird
import Logging
import Ports

/// The manager over HTTP. What can be asked is in `NodeRoutes`, `TaskRoutes` and their like; every answer of theirs is JSON (docs/json.md).
package struct ManagerServer: Sendable {
    private let routes: [Route]
    private let host: String
    private let port: Int

    /// Connections at once; more wait.
    private static let connectionLimit = 1_000

    /// - Parameter added: routes of other surfaces (pages, metrics), answered to the same callers.
    package init(commands: any ManagerCommands, added: [Route] = [], host: String, port: Int) {
        routes = Self.routes(commands) + added
        self.host = host
        self.port = port
    }

    /// The API's own routes.
    static func routes(_ commands: any ManagerCommands) -> [Route] {
        NodeRoutes.all(commands) + TaskRoutes.all(commands) + [
            Route(.get, "/v1/health", for: .anyone) { call in
                try call.query.only()
                return try .json(await commands.health())
            }
        ]
    }

    /// Serves until cancelled.
    /// - Parameter ready: called with the port in use, which the system chose if 0 was asked for.
    package func run(logger: Logger, ready: @escaping @Sendable (Int) async -> Void) async throws {
        let application = Application(
            responder: Reception(table: RouteTable(routes), logger: logger),
            // An agent speaks every heartbeat; who is silent for a minute while a request is wanted from them goes.
            server: .http1(configuration: .init(idleTimeout: .seconds(60), httpDecoderConfiguration: .init(maxHeaderListSize: 32_768))),
            configuration: .init(
                address: .hostname(host, port: port), serverName: "cairn",
                availableConnectionsDelegate: .maximum(Self.connectionLimit, logger: logger)),
            onServerRunning: { channel in await ready(channel.localAddress?.port ?? port) }, logger: logger)
        try await application.run()
    }
}
