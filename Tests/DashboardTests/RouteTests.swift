import Access
import Foundation
import HTTPTypes
import Hummingbird
import Knowledge
import Ports
import Simulator
import Synchronization
import Testing
import Vocabulary

@testable import Dashboard
@testable import ManagerAPI

/// Remembers what it was asked, and by whom.
private final class Desk: ManagerCommands, OutlookSource {
    private let asked = Mutex<[String]>([])
    var calls: [String] { asked.withLock { $0 } }
    private func note(_ call: String) { asked.withLock { $0.append(call) } }

    func outlook() async -> Outlook? { nil }
    func exchange(_ report: NodeReport) async throws(CommandError) -> NodeOrders { throw .failed("not asked for here") }
    func submit(_ text: String, file: String, node: NodeID?, owner: String?, by: String) async throws(CommandError) -> TaskID {
        throw .failed("not asked for here")
    }
    func cancel(_ task: TaskID, by: String) async throws(CommandError) { note("cancel \(task) by \(by)") }
    func checkpointNow(_ task: TaskID, by: String) async throws(CommandError) -> OrderID {
        guard task == TaskID("t-1") else { throw .notFound("no task \(task)") }
        note("checkpoint \(task) by \(by)")
        return OrderID("o")
    }
    func restore(_ task: TaskID, by: String) async throws(CommandError) { throw .failed("not asked for here") }
    func prune(_ task: TaskID, keepLast: Int?, keepFor: Seconds?, isDryRun: Bool, by: String) async throws(CommandError) -> PruneAnswer {
        throw .failed("not asked for here")
    }
    func merge(_ task: TaskID, by: String) async throws(CommandError) -> OrderID { throw .failed("not asked for here") }
    func drain(_ node: NodeID, by: String) async throws(CommandError) { note("drain \(node) by \(by)") }
    func undrain(_ node: NodeID, by: String) async throws(CommandError) { note("undrain \(node) by \(by)") }
    func setMode(_ mode: CheckpointPolicy.Mode?, ofPolicy name: String, by: String) async throws(CommandError) {
        note("mode \(name) \(mode?.rawValue ?? "declared") by \(by)")
    }
    func verified(_ task: TaskID, _ checkpoint: CheckpointID, problems: [String], by: String) async throws(CommandError) {}
    func health() async -> ManagerHealth {
        ManagerHealth(version: "0", startedAt: Timestamp(0), cycles: 1, lastCycleAt: nil, store: nil, liveTasks: 0)
    }
    func owner(of task: TaskID) async -> String? { nil }
}

@Suite("What can be done by a page is asked once more, and done in the name of who asked")
struct RouteTests {
    private let desk: Desk
    private let dashboard: Dashboard

    init() {
        desk = Desk()
        dashboard = Dashboard(commands: desk, source: desk, ledger: MemoryLedger(), time: VirtualTime())
    }

    private func ask(_ method: HTTPRequest.Method, _ path: String, _ parameters: [String: String] = [:], body: String = "") async throws -> Response {
        let route = try #require(
            dashboard.routes.first { route in
                route.method == method
                    && parameters.reduce(route.path) { $0.replacingOccurrences(of: "{\($1.key)}", with: $1.value) } == path.split(separator: "?")[0]
            })
        let request = Request(
            head: HTTPRequest(method: method, scheme: "http", authority: "here:7700", path: path), body: RequestBody(buffer: ByteBuffer(string: body))
        )
        let call = Call(
            request: request, caller: Caller(name: "ada", role: .operator), parameters: parameters,
            query: try Query(path.split(separator: "?").dropFirst().first.map(String.init)), isEncrypted: true,
            holder: { $0 == "good" ? Caller(name: "ada", role: .operator) : nil })
        return try await route.answer(call)
    }

    @Test("a GET only asks; the POST does it, and goes back to what it concerns")
    func deeds() async throws {
        let deeds: [(String, [String: String], String, String)] = [
            ("/tasks/t-1/checkpoint", ["task": "t-1"], "checkpoint t-1 by ada", "/tasks/t-1?done=checkpoint"),
            ("/tasks/t-1/cancel", ["task": "t-1"], "cancel t-1 by ada", "/tasks/t-1?done=cancel"),
            ("/nodes/a/drain", ["node": "a"], "drain a by ada", "/?done=drain"),
            ("/nodes/a/undrain", ["node": "a"], "undrain a by ada", "/?done=undrain"),
            ("/policies/default/mode/Audit", ["policy": "default", "mode": "Audit"], "mode default Audit by ada", "/?done=mode"),
            ("/policies/default/mode/declared", ["policy": "default", "mode": "declared"], "mode default declared by ada", "/?done=mode"),
        ]
        for (path, parameters, wanted, after) in deeds {
            let before = desk.calls
            #expect(try await ask(.get, path, parameters).status == .ok)
            #expect(desk.calls == before, "\(path): a GET does nothing")
            let done = try await ask(.post, path, parameters)
            #expect(done.status == .seeOther && done.headers[.location] == after)
            #expect(desk.calls == before + [wanted])
        }
    }

    @Test("what is refused is a page that says so")
    func refused() async throws {
        let unknown = try await ask(.post, "/tasks/t-2/checkpoint", ["task": "t-2"])
        #expect(unknown.status == .notFound && unknown.headers[.contentType] == "text/html; charset=utf-8")
        #expect(try await ask(.post, "/policies/default/mode/Sleep", ["policy": "default", "mode": "Sleep"]).status == .notFound)
        #expect(try await ask(.get, "/").status == .conflict)
        #expect(desk.calls.isEmpty)
    }

    @Test("whatever does something is for owners and operators, and each page's policy lets nothing in from outside")
    func access() async throws {
        for route in dashboard.routes where route.method == .post && !["/login", "/logout"].contains(route.path) {
            #expect(route.access == (route.path.hasPrefix("/tasks/") ? .taskOwner : .operators), "\(route.path)")
        }
        for route in dashboard.routes where route.method == .get && route.access != .anyone && route.path != "/events" {
            #expect(route.isPage, "\(route.path)")
        }
        let policy = try #require(try await ask(.get, "/login").headers[.contentSecurityPolicy])
        #expect(policy.hasPrefix("default-src 'none';") && !policy.contains("unsafe") && !policy.contains("*") && !policy.contains("http"))
    }

    @Test("a token that is known becomes a cookie that scripts cannot read; another one does not")
    func logIn() async throws {
        let good = try await ask(.post, "/login", body: "token=good&next=%2Ftasks%2Ft-1")
        #expect(good.status == .seeOther && good.headers[.location] == "/tasks/t-1")
        let cookie = try #require(good.headers[.setCookie])
        for part in ["cairn-token=good", "HttpOnly", "SameSite=Strict", "Secure"] { #expect(cookie.contains(part)) }
        let bad = try await ask(.post, "/login", body: "token=bad&next=%2Ftasks%2Ft-1")
        #expect(bad.status == .unauthorized && bad.headers[.setCookie] == nil)
        #expect(try await ask(.post, "/login", body: "token=good&next=%2F%2Felsewhere").headers[.location] == "/")
        #expect(try #require(try await ask(.post, "/logout").headers[.setCookie]).contains("Max-Age=0"))
    }
}
