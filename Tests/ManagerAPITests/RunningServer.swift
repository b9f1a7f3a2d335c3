import Access
import Curl
import Foundation
import Logging
import ManagerAPI
import Ports
import Simulator
import Testing
import Vocabulary

/// The manager's server on a port of loopback, with tokens of every kind.
struct RunningServer: Sendable {
    let url: String
    let folder: String
    let manager: FakeManager
    let time: StandingTime
    /// By what they are for: viewer, ann, bob (owners), operator, node-a, node-b, expired.
    let tokens: [String: String]
    let client: HTTPClient

    var tokensPath: String { folder + "/tokens.json" }

    /// - Parameters:
    ///   - isOpen: without a token file.
    ///   - hasTurned: the manager's loop has turned, and there is something to show.
    ///   - prepare: makes what TLS needs in the folder, and says how the client is to trust it.
    static func with(
        isOpen: Bool = false, rate: Double = 10_000, added: [Route] = [], hasTurned: Bool = true, decisions: Int = 3,
        prepare: (String) throws -> (Listening.Encryption?, HTTPClient) = { _ in (nil, HTTPClient()) },
        _ body: @Sendable (RunningServer) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-api-" + UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) } }
        let time = StandingTime(Timestamp(1_800_000_000))
        var tokens: [String: String] = [:]
        if !isOpen {
            try TokenFile.change(folder + "/tokens.json") { (list) throws(AccessError) in
                func make(_ what: String, _ role: TokenRecord.Role, _ name: String, ends: Seconds? = nil) {
                    let (record, token) = TokenRecord.make(role, name: name, at: time.now(), expiresAt: ends.map { time.now() + $0 })
                    list.tokens.append(record)
                    tokens[what] = token
                }
                make("viewer", .viewer, "vera")
                make("ann", .owner, "ann")
                make("bob", .owner, "bob")
                make("operator", .operator, "otto")
                make("node-a", .node, "a")
                make("node-b", .node, "b")
                make("expired", .operator, "eve", ends: Seconds(-1))
            }
        }
        let (encryption, client) = try prepare(folder)
        let manager = FakeManager()
        let scene = try await Scene(decisions: decisions)
        let server = ManagerServer(
            commands: manager, outlooks: StandingOutlook(now: hasTurned ? scene.outlook : nil), ledger: scene.ledger, added: added,
            listening: Listening(host: "127.0.0.1", port: 0, encryption: encryption, requestsPerSecond: rate),
            tokens: try TokenKeeper(path: folder + "/tokens.json", log: { _ in }), time: time)
        let (ports, port) = AsyncStream<Int>.makeStream()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        try await withThrowingTaskGroup(of: Void.self) { [tokens, logger] group in
            group.addTask {
                defer { port.finish() }
                try await server.run(logger: logger) { port.yield($0) }
            }
            var found: Int?
            for await first in ports {
                found = first
                break
            }
            guard let found else {
                try await group.next()
                return
            }
            let running = RunningServer(
                url: (encryption == nil ? "http" : "https") + "://127.0.0.1:\(found)", folder: folder, manager: manager, time: time, tokens: tokens,
                client: client)
            do { try await body(running) } catch { Issue.record(error) }
            group.cancelAll()
            do { while try await group.next() != nil {} } catch is CancellationError {}
        }
    }

    /// All of the API's own.
    static func routes() -> [Route] {
        ManagerServer.routes(
            FakeManager(), outlooks: StandingOutlook(now: nil), ledger: MemoryLedger(), time: StandingTime(Timestamp(0)))
    }

    func ask(
        _ method: String, _ path: String, token: String? = nil, headers: [String] = [], body: [UInt8]? = nil
    ) async throws -> HTTPResponse {
        var headers = headers
        if let token { headers.append("Authorization: Bearer " + (tokens[token] ?? token)) }
        return try await client.send(HTTPRequest(method, url + path, headers: headers, body: body ?? (method == "POST" ? [] : nil)))
    }

    /// A report of a node, as its agent sends it.
    static func report(of node: String) throws -> [UInt8] {
        let process = ProcessIdentity(pid: 1, startTicks: 1)
        return Array(
            try JSONEncoder().encode(
                NodeReport(
                    node: NodeID(node), incarnation: Incarnation("i"),
                    capabilities: HypervisorCapabilities(
                        uri: "qemu:///embed", driver: "QEMU", version: "7.2", acceleration: .emulation, captureWays: []),
                    processes: NodeProcesses(agent: process, guests: [], directory: "/w"), sentAt: Timestamp(0), tasks: [], events: [])))
    }
}

extension HTTPResponse {
    var text: String { String(decoding: body, as: UTF8.self) }
    var errors: [String] {
        struct Refused: Decodable { let errors: [String] }
        do { return try JSONDecoder().decode(Refused.self, from: Data(body)).errors } catch { return [] }
    }
}
