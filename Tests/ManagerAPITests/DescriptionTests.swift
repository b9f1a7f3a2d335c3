import Foundation
import ManagerAPI
import Testing

@Suite("The OpenAPI document")
struct DescriptionTests {
    private struct Document: Decodable {
        struct Operation: Decodable {
            struct Security: Decodable {}
            var operationId: String
            var access: String
            var security: [[String: [String]]]?
            var responses: [String: Reply]
            enum CodingKeys: String, CodingKey {
                case operationId, security, responses
                case access = "x-cairn-access"
            }
        }
        struct Reply: Decodable {}
        struct Item: Decodable {
            var get: Operation?
            var post: Operation?
            var put: Operation?
            var delete: Operation?
            var patch: Operation?
        }
        var openapi: String
        var paths: [String: Item]
    }

    @Test("tells of each route and of no other, and of each for whom it is")
    func routes() throws {
        let document = try JSONDecoder().decode(Document.self, from: ManagerServer.description)
        #expect(document.openapi.hasPrefix("3.1."))
        var told: [String: Document.Operation] = [:]
        for (path, item) in document.paths {
            for (method, operation) in [
                ("GET", item.get), ("POST", item.post), ("PUT", item.put), ("DELETE", item.delete), ("PATCH", item.patch),
            ] {
                if let operation { told["\(method) \(path)"] = operation }
            }
        }
        let routes = Dictionary(uniqueKeysWithValues: RunningServer.routes().map { ("\($0.method.rawValue) \($0.path)", $0) })
        #expect(Set(told.keys) == Set(routes.keys))
        #expect(Set(told.values.map(\.operationId)).count == told.count)
        for (name, route) in routes {
            guard let operation = told[name] else { continue }
            #expect(operation.access == "\(route.access)", "\(name)")
            #expect(operation.responses["401"] != nil || route.access == .anyone, "\(name)")
            #expect(operation.responses["403"] != nil || route.access == .anyone, "\(name)")
            // What is for anyone says so; what is for agents takes their certificate, too.
            #expect((operation.security?.isEmpty == true) == (route.access == .anyone), "\(name)")
            #expect((operation.security?.contains { $0["certificate"] != nil } == true) == (route.access == .node), "\(name)")
        }
    }

    @Test("is served to anyone, as it is in the repository")
    func served() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            let answer = try await server.ask("GET", "/v1/openapi.json")
            #expect(answer.status == 200)
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Sources/Surfaces/ManagerAPI/openapi.json")
            #expect(Data(answer.body) == (try Data(contentsOf: file)))
        }
    }

    @Test("health tells strangers that the manager is there, and no more")
    func health() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            let expected: [(String?, Set<String>)] = [
                (nil, ["cycles", "startedAt"]), ("cairn_wrong", ["cycles", "startedAt"]), ("node-a", ["cycles", "startedAt"]),
                ("viewer", ["cycles", "liveTasks", "startedAt", "version"]),
            ]
            for (token, keys) in expected {
                let answer = try await server.ask("GET", "/v1/health", token: token)
                let object = try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
                #expect(Set(object.keys) == keys, "\(token ?? "nothing")")
            }
        }
    }
}
