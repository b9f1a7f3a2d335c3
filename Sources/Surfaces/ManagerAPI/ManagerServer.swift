import Access
import Curl
import Foundation
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Knowledge
import Logging
import NIOCore
import NIOSSL
import Ports
import Vocabulary

/// The manager over HTTP. What can be asked is in `NodeRoutes`, `TaskRoutes` and their like; every answer of theirs is JSON (docs/json.md).
package struct ManagerServer: Sendable {
    private let routes: [Route]
    private let listening: Listening
    private let entrance: Entrance
    private let owner: @Sendable (TaskID) async -> String?

    /// Connections at once; more wait.
    private static let connectionLimit = 1_000

    /// - Parameters:
    ///   - added: routes of other surfaces (pages, metrics), answered to the same callers.
    ///   - tokens: nil: there are none, and whoever reaches the port may do everything.
    package init(
        commands: any ManagerCommands, outlooks: any OutlookSource, ledger: any Ledger, added: [Route] = [], listening: Listening,
        tokens: TokenKeeper? = nil, time: any TimeSource
    ) {
        routes = Self.routes(commands, outlooks: outlooks, ledger: ledger, time: time) + added
        self.listening = listening
        entrance = Entrance(tokens: tokens, time: time, listening: listening)
        owner = { await commands.owner(of: $0) }
    }

    /// The OpenAPI document.
    package static var description: Data { ManagerRoutes.description }

    /// The API's own routes.
    package static func routes(
        _ commands: any ManagerCommands, outlooks: any OutlookSource, ledger: any Ledger, time: any TimeSource
    ) -> [Route] {
        ManagerRoutes.all(commands) + NodeRoutes.all(commands) + FleetRoutes.all(outlooks)
            + TaskRoutes.all(commands, outlooks, ledger, time) + OperatorRoutes.all(commands) + DecisionRoutes.all(ledger)
    }

    /// Serves until cancelled.
    /// - Parameter ready: called with the port in use, which the system chose if 0 was asked for.
    /// - Throws: `AccessError` when a certificate or key cannot be used; what the system says when the port is taken.
    package func run(logger: Logger, ready: @escaping @Sendable (Int) async -> Void) async throws {
        let application = Application(
            responder: Reception(table: RouteTable(routes), entrance: entrance, owner: owner, logger: logger), server: try server(),
            configuration: .init(
                address: .hostname(listening.host, port: listening.port), serverName: "cairn",
                availableConnectionsDelegate: .maximum(Self.connectionLimit, logger: logger)),
            onServerRunning: { [listening] channel in await ready(channel.localAddress?.port ?? listening.port) }, logger: logger)
        try await application.run()
    }

    private func server() throws -> HTTPServerBuilder {
        // An agent speaks every heartbeat; who is silent for a minute while a request is wanted from them goes.
        let plain = HTTPServerBuilder.http1(
            configuration: .init(idleTimeout: .seconds(60), httpDecoderConfiguration: .init(maxHeaderListSize: 32_768)))
        guard let encryption = listening.encryption else { return plain }
        do throws(SecretFile.Problem) { try SecretFile.check(encryption.key) } catch { throw AccessError(error.description) }
        do {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(encryption.certificate).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: encryption.key, format: .pem)))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            if let authority = encryption.nodeAuthority {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
                // People show tokens and no certificate; one that is shown must be good.
                configuration.certificateVerification = .optionalVerification
            }
            return try .tls(plain, tlsConfiguration: configuration)
        } catch {
            throw AccessError(
                "\(encryption.certificate), \(encryption.key)\(encryption.nodeAuthority.map { ", " + $0 } ?? "") cannot be used for TLS: \(error)")
        }
    }
}
