import Foundation
import Testing

extension CommandTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-access-command-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) } }
        try body(folder.path)
    }

    @Test("tokens are made, listed without being told again, and revoked")
    func tokens() throws {
        try inFolder { folder in
            let made = try cairn("token", "create", "--state", folder, "--role", "owner", "--owner", "ann", "--expires", "30d")
            #expect(made.status == 0)
            let token = made.output.trimmingCharacters(in: .newlines)
            #expect(token.hasPrefix("cairn_"))
            let filed = try cairn("token", "create", "--state", folder, "--role", "operator", "--name", "otto", "--output", folder + "/otto")
            #expect(filed.status == 0)
            #expect(!filed.output.contains("cairn_"))
            for file in ["/otto", "/tokens.json"] {
                #expect(try FileManager.default.attributesOfItem(atPath: folder + file)[.posixPermissions] as? Int == 0o600)
            }

            struct Listed: Decodable {
                var id: String
                var role: String
                var name: String
                var expiresAt: String?
                var isExpired: Bool
            }
            let listed = try cairn("token", "list", "--state", folder, "--json")
            #expect(!listed.output.contains(token))
            let all = try JSONDecoder().decode([Listed].self, from: Data(listed.output.utf8))
            #expect(all.map(\.name) == ["ann", "otto"])
            #expect(all.map { $0.expiresAt != nil } == [true, false])
            #expect(!(try String(contentsOfFile: folder + "/tokens.json", encoding: .utf8)).contains(token.dropFirst(6)))

            let wrong = try cairn("token", "revoke", "--state", folder, all[0].id, "00000000")
            #expect(wrong.status == 1)
            #expect(wrong.errors.contains("00000000"))
            #expect(try cairn("token", "revoke", "--state", folder, all[0].id).status == 0)
            #expect(try cairn("token", "list", "--state", folder).output.contains("otto"))
            #expect(!(try cairn("token", "list", "--state", folder).output.contains("ann")))

            let nonsense = [
                ["--role", "owner"], ["--role", "viewer", "--owner", "x"], ["--role", "node"], ["--role", "king"],
                ["--role", "viewer", "--expires", "soon"],
            ]
            for words in nonsense {
                #expect(try cairn(["token", "create", "--state", folder] + words).status == 2, "\(words)")
            }
        }
    }

    @Test("an authority is made once, and issues certificates with keys for nobody else's eyes")
    func authority() throws {
        try inFolder { folder in
            let pki = folder + "/pki"
            #expect(try cairn("pki", "init", pki).status == 0)
            let again = try cairn("pki", "init", pki)
            #expect(again.status == 2)
            #expect(again.errors.contains("is there already"))
            struct Issued: Decodable {
                var certificate: String
                var key: String
                var expiresAt: String
            }
            let node = try cairn("pki", "issue", pki, "--node", "a", "--json")
            #expect(node.status == 0)
            let issued = try JSONDecoder().decode(Issued.self, from: Data(node.output.utf8))
            #expect(issued.certificate == pki + "/node-a.pem")
            #expect(try FileManager.default.attributesOfItem(atPath: issued.key)[.posixPermissions] as? Int == 0o600)
            #expect(try cairn("pki", "issue", pki, "--server", "localhost,127.0.0.1").status == 0)
            #expect(try cairn("pki", "issue", pki).status == 2)
            #expect(try cairn("pki", "issue", folder + "/nothing", "--node", "a").status == 2)
        }
    }

    @Test("a manager that would be reached from elsewhere does not start without tokens and TLS, and says how to have them")
    func beyond() throws {
        try inFolder { folder in
            let fleet = folder + "/fleet.yaml"
            try Data(
                """
                apiVersion: cairn/v1
                kind: Fleet
                metadata: {name: f}
                spec:
                  images: \(folder)
                  nodes: [{name: a}]
                  store: {directory: \(folder)/store}
                """.utf8
            ).write(to: URL(fileURLWithPath: fleet))
            let refused = try cairn("run", "--fleet", fleet, "--state", folder + "/state", "--host", "0.0.0.0", "--port", "0")
            #expect(refused.status == 2)
            #expect(refused.errors.contains("cairn token create"))
            #expect(refused.errors.contains("cairn pki"))
            #expect(try cairn("token", "create", "--state", folder + "/state", "--role", "operator").status == 0)
            let half = try cairn("run", "--fleet", fleet, "--state", folder + "/state", "--host", "0.0.0.0", "--port", "0")
            #expect(half.status == 2)
            #expect(!half.errors.contains("cairn token create"))
            #expect(half.errors.contains("cairn pki"))
        }
    }

    @Test("a token is not sent over a network without TLS")
    func plain() throws {
        try inFolder { folder in
            #expect(try cairn("token", "create", "--state", folder, "--role", "operator", "--output", folder + "/token").status == 0)
            let sent = try cairn("task", "cancel", "t-1", "--manager", "http://192.0.2.1:7700", "--token-file", folder + "/token")
            #expect(sent.status == 2)
            #expect(sent.errors.contains("without TLS"))
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: folder + "/token")
            let loose = try cairn("task", "cancel", "t-1", "--manager", "https://127.0.0.1:1", "--token-file", folder + "/token")
            #expect(loose.status == 2)
            #expect(loose.errors.contains("chmod 600"))
        }
    }
}
