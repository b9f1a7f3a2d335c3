import Access
import AuditReport
import Foundation
import HTTPTypes
import Hummingbird
import Knowledge
import ManagerAPI
import Ports
import Synchronization
import Vocabulary

/// | | | |
/// | --- | --- | --- |
/// | GET | `/`, `/tasks/{task}`, `/decisions/{decision}` | pages |
/// | GET, POST | `/tasks/{task}/checkpoint`, `…/cancel`, `/nodes/{node}/drain`, `…/undrain`, `/policies/{policy}/mode/{mode}` | asked once more, and done |
/// | GET | `/events` | tells each turn of the manager's loop |
/// | GET, POST | `/login`, `/logout` | takes a token, and gives it back |
extension Dashboard {
    package var routes: [Route] { pages + deeds + doors + assets + [events] }

    private var pages: [Route] {
        [
            Route(.get, "/", for: .readers, isPage: true) { call in
                try await Self.page(call) { try await fleet($0, notice: Self.notice(call)) }
            },
            Route(.get, "/tasks/{task}", for: .readers, isPage: true) { call in
                let mayAct = call.caller.may(.act(onTaskOf: await commands.owner(of: call.task)))
                return try await Self.page(call) { try await task(call.task, $0, mayAct: mayAct, notice: Self.notice(call)) }
            },
            Route(.get, "/decisions/{decision}", for: .readers, isPage: true) { call in
                try await Self.page(call) { try await decision(DecisionID(call.parameters["decision"] ?? ""), $0) }
            },
        ]
    }

    // MARK: What can be done

    private var deeds: [Route] {
        both("/tasks/{task}/checkpoint", for: .taskOwner) { .checkpoint($0.task) }
            + both("/tasks/{task}/cancel", for: .taskOwner) { .cancel($0.task) }
            + both("/nodes/{node}/drain", for: .operators) { .drain($0.node) } + both("/nodes/{node}/undrain", for: .operators) { .undrain($0.node) }
            + both("/policies/{policy}/mode/{mode}", for: .operators) { call in
                let (policy, mode) = (call.parameters["policy"] ?? "", call.parameters["mode"] ?? "")
                if mode == "declared" { return .mode(policy, nil) }
                guard let known = CheckpointPolicy.Mode(rawValue: mode) else { throw CommandError.notFound("no mode \(mode)") }
                return .mode(policy, known)
            }
    }

    /// Asked once more by GET, done by POST.
    private func both(_ path: String, for access: Route.Access, _ deed: @escaping @Sendable (Call) throws -> Deed) -> [Route] {
        [
            Route(.get, path, for: access, isPage: true) { call in
                try await Self.page(call) { try deed(call).confirmation($0).html() }
            },
            Route(.post, path, for: access, isPage: true) { call in
                do {
                    let wanted = try deed(call)
                    try await wanted.carryOut(commands, by: call.caller.name)
                    return Self.redirect(to: wanted.back + "?done=" + wanted.name)
                } catch let error as CommandError { return Self.refusal(error, call) }
            },
        ]
    }

    // MARK: In and out

    private var doors: [Route] {
        [
            Route(.get, "/login", for: .anyone) { call in
                Self.html(LogInPage(next: Self.ownAddress(call.query["next"]), wasRefused: Self.hasToken(call)).html())
            },
            Route(.post, "/login", for: .anyone) { call in
                let form = Self.form(try await call.body(upTo: 16_384))
                let next = Self.ownAddress(form["next"])
                let token = (form["token"] ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
                guard call.holder(token) != nil else {
                    return Self.html(LogInPage(next: next, wasRefused: true).html(), status: .unauthorized)
                }
                var response = Self.redirect(to: next)
                response.headers[.setCookie] = SessionCookie.set(token, isEncrypted: call.isEncrypted)
                return response
            },
            Route(.post, "/logout", for: .anyone) { call in
                var response = Self.redirect(to: "/login")
                response.headers[.setCookie] = SessionCookie.clear(isEncrypted: call.isEncrypted)
                return response
            },
        ]
    }

    private static func hasToken(_ call: Call) -> Bool { call.request.headers[values: .cookie].contains { $0.contains("cairn-token=") } }

    /// A place on this server, whatever was asked for.
    static func ownAddress(_ wanted: String?) -> String {
        guard let wanted, wanted.hasPrefix("/"), !wanted.hasPrefix("//"),
            wanted.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") })
        else { return "/" }
        return wanted
    }

    static func form(_ body: Data) -> [String: String] {
        var form: [String: String] = [:]
        for pair in String(decoding: body, as: UTF8.self).split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding ?? ""
            }
            if parts.count == 2 { form[parts[0]] = parts[1] }
        }
        return form
    }

    // MARK: News

    /// Streams at once; a browser asks again by itself.
    private static let streamLimit = 200
    /// So that one whose token was taken back does not listen for ever.
    private static let streamLength = Seconds.minutes(10)

    private var events: Route {
        let open = OpenStreams()
        return Route(.get, "/events", for: .readers) { call in
            try call.query.only()
            let body = ResponseBody { writer in
                guard open.begin(below: Self.streamLimit) else {
                    try await writer.write(ByteBuffer(string: "retry: 30000\n\n"))
                    return try await writer.finish(nil)
                }
                defer { open.end() }
                try await writer.write(ByteBuffer(string: "retry: 1000\n\n"))
                var told: Int64?
                let end = time.now() + Self.streamLength
                while time.now() < end {
                    if let outlook = await source.outlook(), outlook.cycles != told {
                        told = outlook.cycles
                        try await writer.write(ByteBuffer(string: "event: outlook\ndata: {\"at\":\"\(Moment(outlook.findings.at).text)\"}\n\n"))
                    }
                    try await time.sleep(for: Seconds(0.2))
                }
                try await writer.finish(nil)
            }
            return Response(status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: body)
        }
    }

    private final class OpenStreams: Sendable {
        private let count = Mutex(0)
        func begin(below limit: Int) -> Bool {
            count.withLock {
                if $0 >= limit { return false }
                $0 += 1
                return true
            }
        }
        func end() { count.withLock { $0 -= 1 } }
    }

    // MARK: Answers

    private var assets: [Route] {
        func asset(_ name: String, _ type: String, _ text: String) -> Route {
            Route(.get, "/assets/" + name, for: .anyone) { _ in .bytes(Data(text.utf8), as: type) }
        }
        return [
            asset("dashboard.css", "text/css; charset=utf-8", Assets.sheet), asset("dashboard.js", "text/javascript; charset=utf-8", Assets.script),
            asset("cairn.svg", "image/svg+xml", Frame.icon),
        ]
    }

    /// Nothing from outside, nothing that is written into a page, no page in another's frame.
    private static let contentPolicy =
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        + "frame-ancestors 'none'"

    private static func html(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
        var response = Response.bytes(Data(text.utf8), as: "text/html; charset=utf-8", status: status)
        response.headers[.contentSecurityPolicy] = contentPolicy
        return response
    }

    private static func redirect(to address: String) -> Response { Response(status: .seeOther, headers: [.location: address]) }

    private static func page(_ call: Call, _ make: (Visitor) async throws -> String) async throws -> Response {
        do { return html(try await make(visitor(call))) } catch let error as CommandError { return refusal(error, call) }
    }

    private static func refusal(_ error: CommandError, _ call: Call?) -> Response {
        let (status, title): (HTTPResponse.Status, String) =
            switch error {
            case .invalid: (.badRequest, "This cannot be done")
            case .notFound: (.notFound, "There is no such thing")
            case .conflict: (.conflict, "Not now")
            case .failed: (.internalServerError, "This failed")
            }
        return html(ErrorPage(title: title, messages: error.messages, visitor: call.map { visitor($0) }).html(), status: status)
    }

    private static func visitor(_ call: Call) -> Visitor {
        let caller = call.caller
        return Visitor(
            name: caller.name, mayOperate: caller.may(.operate), mayLogOut: hasToken(call))
    }

    /// What a page says was done; never text from an address.
    private static func notice(_ call: Call) -> String? { call.query["done"].flatMap { Deed.notices[$0] } }
}
