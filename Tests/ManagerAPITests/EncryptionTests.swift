import Access
import Curl
import Foundation
import ManagerAPI
import NodeLink
import Ports
import Testing
import Vocabulary

@Suite("The API by TLS", .serialized)
struct EncryptionTests {
    /// An authority, a server's certificate of it, and a client that trusts it.
    private static func prepared(_ folder: String, takesNodes: Bool = true) throws -> (Listening.Encryption?, HTTPClient) {
        let now = Timestamp(Date().timeIntervalSince1970)
        let root = try PrivateAuthority.make(in: folder + "/pki", name: "Cairn test", at: now, days: 10)
        let server = try PrivateAuthority(in: folder + "/pki").issue(server: ["127.0.0.1"], at: now, days: 1)
        return (
            Listening.Encryption(certificate: server.certificate, key: server.key, nodeAuthority: takesNodes ? root.certificate : nil),
            HTTPClient(authorities: root.certificate)
        )
    }

    private static func client(_ server: RunningServer, node: String, of directory: String = "pki") throws -> HTTPClient {
        let now = Timestamp(Date().timeIntervalSince1970)
        if directory != "pki" { _ = try PrivateAuthority.make(in: server.folder + "/" + directory, name: "Cairn test", at: now, days: 10) }
        let issued = try PrivateAuthority(in: server.folder + "/" + directory).issue(node: NodeID(node), at: now, days: 1)
        return HTTPClient(authorities: server.folder + "/pki/ca.pem", identity: .init(certificate: issued.certificate, key: issued.key))
    }

    @Test("a node's certificate lets it report as itself, and do nothing else")
    func mutual() async throws {
        try await RunningServer.with(prepare: { try Self.prepared($0) }) { (server: RunningServer) async throws in
            let a = try Self.client(server, node: "a")
            let report = try RunningServer.report(of: "a")
            func post(_ client: HTTPClient, _ path: String, _ body: [UInt8] = []) async throws -> Int {
                try await client.send(HTTPRequest("POST", server.url + path, body: body)).status
            }
            #expect(try await post(a, "/v1/nodes/a/report", report) == 200)
            #expect(try await post(a, "/v1/nodes/b/report", try RunningServer.report(of: "b")) == 403)
            #expect(try await post(a, "/v1/nodes/a/report", try RunningServer.report(of: "b")) == 400)
            #expect(try await post(a, "/v1/tasks/t-1/cancel") == 403)
            // Without one, and with a server's own: nobody.
            #expect(try await post(server.client, "/v1/nodes/a/report", report) == 401)
            // People have tokens.
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", token: "operator").status == 200)
            #expect(try await server.ask("GET", "/v1/health").headers["strict-transport-security"] != nil)
            #expect(server.manager.calls == ["report a", "cancel t-1 by otto"])
        }
    }

    @Test("a certificate of another authority of the same name is no certificate")
    func foreign() async throws {
        try await RunningServer.with(prepare: { try Self.prepared($0) }) { (server: RunningServer) async throws in
            let stranger = try Self.client(server, node: "a", of: "other")
            await #expect(throws: HTTPError.self) {
                try await stranger.send(HTTPRequest("POST", server.url + "/v1/nodes/a/report", body: try RunningServer.report(of: "a")))
            }
            // One that does not trust the manager's authority does not talk to it.
            await #expect(throws: HTTPError.self) { try await HTTPClient().send(HTTPRequest("GET", server.url + "/v1/health")) }
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test("where nodes have tokens, a certificate is no proof")
    func tokensAlone() async throws {
        try await RunningServer.with(prepare: { try Self.prepared($0, takesNodes: false) }) { (server: RunningServer) async throws in
            let a = try Self.client(server, node: "a")
            let report = try RunningServer.report(of: "a")
            #expect(try await a.send(HTTPRequest("POST", server.url + "/v1/nodes/a/report", body: report)).status == 401)
            #expect(try await server.ask("POST", "/v1/nodes/a/report", token: "node-a", body: report).status == 200)
        }
    }

    @Test("an agent's link shows its certificate or its token, and goes on with what it has while neither is taken")
    func link() async throws {
        try await RunningServer.with(prepare: { try Self.prepared($0) }) { (server: RunningServer) async throws in
            let report = try JSONDecoder().decode(NodeReport.self, from: Data(try RunningServer.report(of: "a")))
            let certified = HTTPManagerLink(manager: server.url + "/", client: try Self.client(server, node: "a"))
            #expect(try await certified.exchange(report).acknowledged == 0)
            let path = server.folder + "/token"
            try TokenFile.writeSecret(server.tokens["node-a"] ?? "", to: path)
            let tokened = HTTPManagerLink(manager: server.url, client: server.client, tokenFile: path)
            #expect(try await tokened.exchange(report).acknowledged == 0)
            // Changed while it runs.
            try TokenFile.writeSecret(server.tokens["node-b"] ?? "", to: path)
            let refused = await #expect(throws: LinkError.self) { try await tokened.exchange(report) }
            #expect(refused?.isRetryable == true)
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            let loose = await #expect(throws: LinkError.self) { try await tokened.exchange(report) }
            #expect(loose?.description.contains("chmod 600") == true)
        }
    }

    @Test("a key that others may read is not used")
    func looseKey() async throws {
        await #expect(throws: AccessError.self) {
            try await RunningServer.with(prepare: { folder in
                let made = try Self.prepared(folder)
                try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: made.0?.key ?? "")
                return made
            }) { _ in Issue.record("it listens") }
        }
    }
}
