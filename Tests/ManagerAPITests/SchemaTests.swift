import Foundation
import ManagerAPI
import Testing
import Vocabulary

/// Any JSON.
enum JSONValue: Decodable, Hashable {
    case object([String: JSONValue])
    case list([JSONValue])
    case text(String)
    case number(Double)
    case truth(Bool)
    case null

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .truth(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    subscript(_ key: String) -> JSONValue? { if case .object(let values) = self { values[key] } else { nil } }
    var text: String? { if case .text(let value) = self { value } else { nil } }
    var number: Double? { if case .number(let value) = self { value } else { nil } }
    var list: [JSONValue] { if case .list(let values) = self { values } else { [] } }
    var object: [String: JSONValue] { if case .object(let values) = self { values } else { [:] } }
}

/// Answers against the schemas that the OpenAPI document has for them: what of JSON Schema it uses, and beyond it, that an object has no key that
/// is not told.
struct Schemas {
    private let document: JSONValue
    init() throws { document = try JSONDecoder().decode(JSONValue.self, from: ManagerServer.description) }

    /// - Returns: what of an answer is not as the document says.
    func problems(_ method: String, _ path: String, _ status: Int, _ body: [UInt8]) throws -> [String] {
        guard let response = document["paths"]?[path]?[method.lowercased()]?["responses"]?[String(status)] else {
            return ["\(method) \(path): the status \(status) is not told of"]
        }
        guard let schema = followed(response)["content"]?["application/json"]?["schema"] else { return ["\(method) \(path): has no schema"] }
        return problems(try JSONDecoder().decode(JSONValue.self, from: Data(body)), schema, at: "")
    }

    private func followed(_ value: JSONValue) -> JSONValue {
        guard let reference = value["$ref"]?.text else { return value }
        return reference.dropFirst(2).split(separator: "/").reduce(document) { $0[String($1)] ?? .null }
    }

    private func problems(_ value: JSONValue, _ schema: JSONValue, at place: String) -> [String] {
        let schema = followed(schema)
        var found = (schema["allOf"]?.list ?? []).flatMap { problems(value, $0, at: place) }
        if let choices = schema["oneOf"]?.list {
            let fitting = choices.filter { problems(value, $0, at: place).isEmpty }.count
            if fitting != 1 { found.append("\(place): \(fitting) of the alternatives fit \(value)") }
        }
        if let allowed = schema["enum"]?.list, !allowed.contains(value) { found.append("\(place): \(value) is none of \(allowed)") }
        switch (schema["type"]?.text, value) {
        case ("object", .object(let members)): found += problems(ofMembers: members, schema, at: place)
        case ("array", .list(let items)):
            for (index, item) in items.enumerated() { found += problems(item, schema["items"] ?? .object([:]), at: "\(place)[\(index)]") }
        case ("string", .text(let text)):
            if let pattern = schema["pattern"]?.text, text.range(of: pattern, options: .regularExpression) == nil {
                found.append("\(place): \(text) is not like \(pattern)")
            }
        case ("number", .number(let number)), ("integer", .number(let number)):
            if schema["type"]?.text == "integer", number.rounded() != number { found.append("\(place): \(number) is not whole") }
            if let least = schema["minimum"]?.number, number < least { found.append("\(place): \(number) is below \(least)") }
            if let most = schema["maximum"]?.number, number > most { found.append("\(place): \(number) is above \(most)") }
        case ("boolean", .truth), (nil, _): break
        case (let type, _): found.append("\(place): \(value) is no \(type ?? "")")
        }
        return found
    }

    private func problems(ofMembers members: [String: JSONValue], _ schema: JSONValue, at place: String) -> [String] {
        var found = (schema["required"]?.list ?? []).compactMap(\.text).filter { members[$0] == nil }.map { "\(place).\($0): is missing" }
        for (key, value) in members {
            if let known = schema["properties"]?[key] ?? schema["additionalProperties"] {
                found += problems(value, known, at: place + "." + key)
            } else if schema["properties"] != nil {
                found.append("\(place).\(key): is not told of")
            }
        }
        return found
    }
}

@Suite("What is read by the API", .serialized)
struct ReadingTests {
    @Test("every answer is as the OpenAPI document says, to the last key")
    func schemas() async throws {
        let schemas = try Schemas()
        try await RunningServer.with { (server: RunningServer) async throws in
            for route in RunningServer.routes() where route.method == .get && route.path != "/v1/openapi.json" {
                let path = ManagerAPITests.concrete(route.path)
                for token in ["viewer", nil] {
                    let answer = try await server.ask("GET", path, token: token)
                    #expect(answer.status == 200 || token == nil, "\(path): \(answer.text)")
                    let problems = try schemas.problems("GET", route.path, answer.status, answer.body)
                    #expect(problems.isEmpty, "\(path): \(problems)")
                }
                let wrong = try await server.ask("GET", path + "?nothing=1", token: "viewer")
                #expect(wrong.status == 400)
                #expect(try schemas.problems("GET", route.path, 400, wrong.body) == [], "\(path)")
            }
        }
    }

    @Test("what is shown is what is known: tasks, nodes, checkpoints")
    func known() async throws {
        try await RunningServer.with { (server: RunningServer) async throws in
            func json(_ path: String) async throws -> JSONValue {
                try JSONDecoder().decode(JSONValue.self, from: Data(try await server.ask("GET", path, token: "viewer").body))
            }
            func names(_ path: String) async throws -> [String?] { try await json(path)["tasks"]?.list.map { $0["task"]?.text } ?? [] }
            let fleet = try await json("/v1/fleet")
            #expect(fleet["nodes"]?.list.map { $0["node"]?.text } == ["a", "b"])
            #expect(fleet["totals"]?["tasks"] == .number(2))
            let all = try await names("/v1/tasks")
            #expect(all == ["t-1", "t-2"])
            let live = try await names("/v1/tasks?state=live")
            #expect(live == ["t-1"])
            let ended = try await json("/v1/tasks?state=ended&limit=1")
            #expect(ended["tasks"]?.list.map { $0["task"]?.text } == ["t-2"])
            #expect(ended["total"] == .number(1))
            let skipped = try await names("/v1/tasks?skip=1")
            #expect(skipped == ["t-2"])
            let node = try await json("/v1/nodes/a")
            #expect(node["standing"] == .text("trusted"))
            #expect(node["tasks"]?.list == [.text("t-1")])
            let checkpoints = try await json("/v1/tasks/t-1/checkpoints")
            #expect(checkpoints["checkpoints"]?.list.map { $0["checkpoint"]?.text } == ["e000001-c000001"])
            let task = try await json("/v1/tasks/t-1")
            #expect(task["brief"]?["progress"] == .number(0.3))
            #expect(task["report"]?["task"] == .text("t-1"))
            for path in ["/v1/tasks/t-9", "/v1/tasks/t-9/checkpoints", "/v1/nodes/c", "/v1/decisions/d9", "/v1/decisions/x"] {
                let missing = try await server.ask("GET", path, token: "viewer")
                #expect(missing.status == 404, "\(path)")
            }
            for path in ["/v1/tasks?limit=0", "/v1/tasks?limit=x", "/v1/tasks?state=odd", "/v1/decisions?before=7", "/v1/decisions?kind=odd"] {
                let wrong = try await server.ask("GET", path, token: "viewer")
                #expect(wrong.status == 400, "\(path)")
            }
        }
    }

    @Test("decisions come in pages, each once, the newest first")
    func pages() async throws {
        try await RunningServer.with(decisions: 25) { (server: RunningServer) async throws in
            var seen: [String] = []
            var address = "/v1/decisions?limit=10"
            for _ in 0..<4 {
                let page = try JSONDecoder().decode(JSONValue.self, from: Data(try await server.ask("GET", address, token: "viewer").body))
                seen += page["decisions"]?.list.compactMap { $0["decision"]?.text } ?? []
                guard let next = page["next"]?.text else { break }
                address = "/v1/decisions?limit=10&before=" + next
            }
            #expect(seen == (1...25).reversed().map { "d" + padded($0) })
            let some = try await server.ask("GET", "/v1/decisions?kind=place&task=t-1&limit=1000", token: "viewer")
            let page = try JSONDecoder().decode(JSONValue.self, from: Data(some.body))
            #expect(page["decisions"]?.list.count == 12)
            #expect(page["next"] == nil)
        }
    }

    @Test("a manager that has just started says so")
    func notYet() async throws {
        try await RunningServer.with(hasTurned: false) { (server: RunningServer) async throws in
            for path in ["/v1/fleet", "/v1/nodes", "/v1/tasks", "/v1/tasks/t-1"] {
                let answer = try await server.ask("GET", path, token: "viewer")
                #expect(answer.status == 503, "\(path)")
                #expect(answer.headers["retry-after"] == "1")
            }
        }
    }
}
