import Access
import Curl
import Foundation
import ManagerAPI
import Testing
import Vocabulary

@Suite("The API, and who may use it", .serialized)
struct ManagerAPITests {
    /// Who may, of: nobody, a wrong token, an expired one, a viewer, the task's owner, another owner, an operator, node a, node b.
    private static let showing = ["", "cairn_wrong", "expired", "viewer", "ann", "bob", "operator", "node-a", "node-b"]
    private static let expected: [Route.Access: [Int]] = [
        .anyone: [0, 0, 0, 0, 0, 0, 0, 0, 0],
        .readers: [401, 401, 401, 0, 0, 0, 0, 403, 403],
        .submitters: [401, 401, 401, 403, 0, 0, 0, 403, 403],
        .taskOwner: [401, 401, 401, 403, 0, 403, 0, 403, 403],
        .operators: [401, 401, 401, 403, 403, 403, 0, 403, 403],
        .node: [401, 401, 401, 403, 403, 403, 403, 0, 403],
    ]

    @Test("each route answers those that may, and nobody else makes anything happen")
    func everyRoute() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            let body = try RunningServer.report(of: "a")
            for route in RunningServer.routes() {
                let path = Self.concrete(route.path)
                let rule = try #require(Self.expected[route.access])
                for (who, refusal) in zip(Self.showing, rule) {
                    let before = server.manager.calls
                    let answer = try await server.ask(
                        route.method.rawValue, path, token: who.isEmpty ? nil : who, body: route.method == .post ? body : nil)
                    let what = "\(route.method.rawValue) \(path) by \(who): \(answer.status) \(answer.text.prefix(200))"
                    if refusal == 0 {
                        #expect(answer.status != 401 && answer.status != 403, "\(what)")
                    } else {
                        #expect(answer.status == refusal, "\(what)")
                        #expect(!answer.errors.isEmpty, "\(what)")
                        #expect((answer.headers["www-authenticate"] != nil) == (refusal == 401), "\(what)")
                        #expect(server.manager.calls == before, "\(what)")
                    }
                    #expect(!answer.text.contains("cairn_"), "\(what)")
                }
            }
        }
    }

    static func concrete(_ path: String) -> String {
        path.replacingOccurrences(of: "{task}", with: "t-1").replacingOccurrences(of: "{node}", with: "a")
            .replacingOccurrences(of: "{decision}", with: "d000001").replacingOccurrences(of: "{policy}", with: "default")
            .replacingOccurrences(of: "{checkpoint}", with: "e000001-c000001")
    }

    @Test("the ledger hears who did it, and whose task it is")
    func who() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            let text = Array("sla".utf8)
            #expect(try await server.ask("POST", "/v1/tasks?file=my%20task.yaml&node=a", token: "ann", body: text).text == #"{"task":"t-1"}"#)
            #expect(try await server.ask("POST", "/v1/tasks?owner=bob", token: "ann", body: text).status == 403)
            #expect(try await server.ask("POST", "/v1/tasks?owner=bob", token: "operator", body: text).status == 200)
            #expect(try await server.ask("POST", "/v1/tasks", token: "operator", body: text).status == 200)
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", token: "ann").status == 200)
            #expect(try await server.ask("POST", "/v1/tasks/t-1/checkpoints", token: "operator").text == #"{"order":"o-1","task":"t-1"}"#)
            #expect(try await server.ask("POST", "/v1/tasks/t-1/prune?keepLast=2&keepFor=1.5&dryRun=true", token: "ann").status == 200)
            #expect(
                server.manager.calls == [
                    "submit sla my task.yaml a ann by ann", "submit sla submitted - bob by otto", "submit sla submitted - - by otto",
                    "cancel t-1 by ann", "checkpoint t-1 by otto", "prune t-1 2 1.5 true by ann",
                ])
            #expect(try await server.ask("POST", "/v1/tasks/t-1/restore", token: "ann").status == 409)
            #expect(try await server.ask("POST", "/v1/tasks/t-1/merge", token: "ann").status == 500)
            // Nobody owns a task that is not there.
            #expect(try await server.ask("POST", "/v1/tasks/t-2/cancel", token: "ann").status == 403)
        }
    }

    @Test("what cannot be understood is said, all of it")
    func nonsense() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            let wrong = try await server.ask("POST", "/v1/tasks/t-1/prune?keepLast=many&dryRun=perhaps", token: "operator")
            #expect(wrong.status == 400)
            let unknown = try await server.ask("POST", "/v1/tasks/t-1/prune?keepLst=1&x=2&keepFor=1&keepFor=2", token: "operator")
            #expect(unknown.status == 400)
            #expect(unknown.errors.count == 3)
            #expect(try await server.ask("POST", "/v1/tasks/t-1/prune?keepLast=%FF", token: "operator").status == 400)
            #expect(try await server.ask("GET", "/v1/nothing", token: "operator").status == 404)
            #expect(try await server.ask("GET", "/v1/health/", token: "operator").status == 404)
            #expect(try await server.ask("POST", "/v1/tasks//cancel", token: "operator").status == 404)
            let method = try await server.ask("DELETE", "/v1/tasks/t-1/cancel", token: "operator")
            #expect(method.status == 405)
            #expect(method.headers["allow"] == "POST")
            #expect(try await server.ask("POST", "/v1/nodes/a/report", token: "node-a", body: Array("{}".utf8)).status == 400)
            // A node's token, and a report that says it is another's.
            #expect(try await server.ask("POST", "/v1/nodes/a/report", token: "node-a", body: try RunningServer.report(of: "b")).status == 400)
            let header = try await server.ask("GET", "/v1/tasks/t-1/cancel", headers: ["Authorization: Basic b3R0bzpvdHRv"])
            #expect(header.status == 405)
            let basic = try await server.ask("POST", "/v1/tasks/t-1/cancel", headers: ["Authorization: Basic b3R0bzpvdHRv"])
            #expect(basic.status == 401)
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test("a revoked token is worth nothing from the next request on, a new one is good at once, and one that ends, ends")
    func changes() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", token: "operator").status == 200)
            let (record, token) = TokenRecord.make(.operator, name: "ida", at: server.time.now(), expiresAt: server.time.now() + Seconds(60))
            try TokenFile.change(server.tokensPath) { (list) throws(AccessError) in
                list.tokens.removeAll { $0.name == "otto" }
                list.tokens.append(record)
            }
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", token: "operator").status == 401)
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", token: token).status == 200)
            server.time.advance(by: Seconds(60))
            let late = try await server.ask("POST", "/v1/tasks/t-1/cancel", token: token)
            #expect(late.status == 401)
            #expect(late.errors == ["the token has expired"])
        }
    }

    @Test("a cookie is a token, but not for another site's pages")
    func cookies() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            let cookie = "Cookie: theme=dark; cairn-token=" + (server.tokens["operator"] ?? "")
            func cancel(_ headers: String...) async throws -> Int {
                try await server.ask("POST", "/v1/tasks/t-1/cancel", headers: [cookie] + headers).status
            }
            #expect(try await cancel() == 403)
            #expect(try await cancel("Sec-Fetch-Site: cross-site") == 403)
            #expect(try await cancel("Sec-Fetch-Site: same-site") == 403)
            #expect(try await cancel("Sec-Fetch-Site: none") == 403)
            #expect(try await cancel("Origin: https://evil.example") == 403)
            #expect(try await cancel("Origin: null") == 403)
            #expect(try await cancel("Sec-Fetch-Site: same-origin", "Origin: https://evil.example") == 403)
            #expect(server.manager.calls.isEmpty)
            #expect(try await cancel("Sec-Fetch-Site: same-origin") == 200)
            #expect(try await cancel("Origin: " + server.url) == 200)
            // A form on a page of ours, whose address is not to be told to anybody.
            #expect(try await cancel("Sec-Fetch-Site: same-origin", "Origin: null") == 200)
            // A token in the header is no browser's doing.
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", token: "operator").status == 200)
        }
    }

    @Test("without tokens, this machine may everything, and no page of another site through it")
    func open() async throws {
        try await RunningServer.with(isOpen: true) { (server: RunningServer) async throws in
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel").status == 200)
            #expect(try await server.ask("POST", "/v1/nodes/a/report", body: try RunningServer.report(of: "a")).status == 200)
            #expect(server.manager.calls == ["cancel t-1 by operator", "report a"])
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", headers: ["Sec-Fetch-Site: cross-site"]).status == 403)
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", headers: ["Origin: https://evil.example"]).status == 403)
            // A name of somebody else's that was made to mean this machine.
            #expect(try await server.ask("GET", "/v1/health", headers: ["Host: evil.example"]).status == 421)
            // From the first token on it is open no more.
            try TokenFile.change(server.tokensPath) { (list) throws(AccessError) in
                list.tokens = [TokenRecord.make(.viewer, name: "v", at: Timestamp(0), expiresAt: nil).record]
            }
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel").status == 401)
        }
    }

    @Test("too much is refused: too many requests, too long a body, too long a header")
    func limits() async throws {
        try await RunningServer.with(rate: 1) { (server: RunningServer) async throws in
            // Two at once are allowed, and one more a second.
            var answers: [HTTPResponse] = []
            for _ in 0..<8 { answers.append(try await server.ask("GET", "/v1/health", token: "viewer")) }
            let refused = try #require(answers.first { $0.status == 429 })
            #expect(refused.headers["retry-after"] == "1")
            #expect(answers.prefix(2).allSatisfy { $0.status == 200 })
            // Others are not touched by it.
            #expect(try await server.ask("POST", "/v1/tasks/t-1/cancel", token: "operator").status == 200)
            // Who tries tokens is slowed down, by address.
            var tries: [Int] = []
            for number in 0..<12 { tries.append(try await server.ask("POST", "/v1/tasks/t-1/cancel", token: "cairn_\(number)").status) }
            #expect(tries.first == 401)
            #expect(tries.contains(429))
        }
        try await RunningServer.with { (server: RunningServer) async throws in
            let long = [UInt8](repeating: UInt8(ascii: "x"), count: (1 << 20) + 1)
            #expect(try await server.ask("POST", "/v1/tasks", token: "operator", body: long).status == 413)
            #expect(try await server.ask("POST", "/v1/tasks", token: "operator", headers: ["Transfer-Encoding: chunked"], body: long).status == 413)
            #expect(try await server.ask("POST", "/v1/tasks", token: "operator", body: [UInt8](long.dropLast())).status == 200)
            #expect(server.manager.calls.count == 1)
        }
    }

    @Test("browsers are told to do no more with an answer than it is for")
    func headers() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            for path in ["/v1/health", "/v1/nothing"] {
                let answer = try await server.ask("GET", path)
                #expect(answer.headers["x-content-type-options"] == "nosniff")
                #expect(answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'")
                #expect(answer.headers["cache-control"] == "no-store")
                #expect(answer.headers["referrer-policy"] == "no-referrer")
                #expect(answer.headers["content-type"] == "application/json")
            }
        }
    }

    @Test("pages of other surfaces are answered to the same callers, and send others to the log-in")
    func pages() async throws {
        let page = Route(.get, "/tasks/{task}", for: .readers, isPage: true) { call in
            .bytes(Data("\(call.task) for \(call.caller.name)".utf8), as: "text/html; charset=utf-8")
        }
        let logIn = Route(.post, "/login", for: .anyone) { call in
            let token = String(decoding: try await call.body(), as: UTF8.self)
            guard call.holder(token) != nil else { throw Refusal(.forbidden, ["no"]) }
            return .bytes(Data("\(call.caller.name)".utf8), as: "text/plain")
        }
        try await RunningServer.with(added: [page, logIn]) { (server: RunningServer) async throws in
            let sent = try await server.ask("GET", "/tasks/t%201?x=1")
            #expect(sent.status == 303)
            #expect(sent.headers["location"] == "/login?next=/tasks/t%25201%3Fx%3D1")
            #expect(try await server.ask("GET", "/tasks/t%201", token: "viewer").text == "t 1 for vera")
            #expect(try await server.ask("GET", "/tasks/t-1", token: "node-a").status == 403)
            #expect(try await server.ask("POST", "/login", body: Array("x".utf8)).status == 403)
            #expect(try await server.ask("POST", "/login", body: Array((server.tokens["viewer"] ?? "").utf8)).text == "nobody")
            #expect(try await server.ask("POST", "/login", headers: ["Sec-Fetch-Site: cross-site"]).status == 403)
        }
    }

    @Test("beyond this machine it listens with tokens and TLS alone")
    func beyond() throws {
        let encryption = Listening.Encryption(certificate: "c", key: "k", nodeAuthority: nil)
        for host in ["127.0.0.1", "localhost", "::1", "127.8.9.10"] { try Listening(host: host, port: 0).check(hasTokens: false) }
        for host in ["0.0.0.0", "::", "192.168.1.5", "manager.example", "127.0.0.1.evil.example", "127.0.0", "localhost.evil.example", ""] {
            #expect(throws: AccessError.self, "\(host)") { try Listening(host: host, port: 0).check(hasTokens: false) }
            #expect(throws: AccessError.self, "\(host)") { try Listening(host: host, port: 0).check(hasTokens: true) }
            #expect(throws: AccessError.self, "\(host)") { try Listening(host: host, port: 0, encryption: encryption).check(hasTokens: false) }
            try Listening(host: host, port: 0, encryption: encryption).check(hasTokens: true)
        }
    }
}
