import Access
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Ports
import Vocabulary

/// The connection that a request came by.
struct Connection: InitializableFromSource {
    let channel: any Channel
    init(source: ApplicationRequestContextSource) { channel = source.channel }
}

/// Takes every request: finds its route, asks who calls and whether they may, and has it answered.
struct Reception: HTTPResponder {
    let table: RouteTable
    let entrance: Entrance
    /// Who owns a task; nil: nobody, or there is none.
    let owner: @Sendable (TaskID) async -> String?
    let logger: Logger

    func respond(to request: Request, context: Connection) async throws -> Response {
        var response: Response
        do { response = try await answer(request, context) } catch let refusal as Refusal { response = try refusal.response } catch let error
            as CommandError
        { response = try Refusal(error).response } catch {
            // What went wrong is for the log: it may name what is nobody's business outside.
            logger.error("\(request.method) \(request.uri.path) failed: \(error)")
            response = try Refusal(.internalServerError, ["this failed; the manager's log says why"]).response
        }
        protect(&response)
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(_ request: Request, _ connection: Connection) async throws -> Response {
        let visitor = try await entrance.visitor(request, connection)
        try entrance.guardAgainstOtherSites(request, visitor)
        switch table.find(request.method, request.uri.path) {
        case .nothing: throw Refusal(.notFound, ["there is no \(request.uri.path) here"])
        case .otherMethods(let methods):
            let names = Set(methods.flatMap { $0 == .get ? ["GET", "HEAD"] : [$0.rawValue] }).sorted().joined(separator: ", ")
            throw Refusal(.methodNotAllowed, ["\(request.uri.path) takes \(names)"], headers: [.allow: names])
        case .route(let route, let parameters):
            if let deed = await deed(route, parameters) {
                guard let caller = visitor.caller else {
                    if route.isPage, request.method == .get || request.method == .head { return toLogIn(request) }
                    throw unknown(visitor)
                }
                guard caller.may(deed) else { throw Refusal(.forbidden, ["\(caller.name) may not do this: \(route.access.demand)"]) }
            }
            return try await route.answer(
                Call(
                    request: request, caller: visitor.caller ?? .stranger, parameters: parameters, query: try Query(request.uri.query),
                    isEncrypted: entrance.isEncrypted, holder: { entrance.caller(withToken: $0) }))
        }
    }

    /// nil: anyone may.
    private func deed(_ route: Route, _ parameters: [String: String]) async -> Caller.Deed? {
        switch route.access {
        case .anyone: nil
        case .readers: .read
        case .submitters: .submit
        case .taskOwner: .act(onTaskOf: await owner(TaskID(parameters["task"] ?? "")))
        case .operators: .operate
        case .node: .report(as: NodeID(parameters["node"] ?? ""))
        }
    }

    private func unknown(_ visitor: Entrance.Visitor) -> Refusal {
        // Source: RFC 6750, section 3.
        guard let problem = visitor.problem else {
            return Refusal(.unauthorized, ["this takes a token: Authorization: Bearer TOKEN"], headers: [.wwwAuthenticate: "Bearer realm=\"cairn\""])
        }
        return Refusal(.unauthorized, [problem], headers: [.wwwAuthenticate: "Bearer realm=\"cairn\", error=\"invalid_token\""])
    }

    private func toLogIn(_ request: Request) -> Response {
        var plain = CharacterSet.alphanumerics
        plain.insert(charactersIn: "-._~/")
        let next = request.uri.string.addingPercentEncoding(withAllowedCharacters: plain) ?? "/"
        return Response(status: .seeOther, headers: [.location: "/login?next=" + next])
    }

    /// Headers that keep browsers from doing more with an answer than it is for. A route that sets one itself knows better.
    private func protect(_ response: inout Response) {
        func set(_ name: HTTPField.Name, _ value: String) { if response.headers[name] == nil { response.headers[name] = value } }
        set(.xContentTypeOptions, "nosniff")
        set(.contentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
        set(.cacheControl, "no-store")
        set(HTTPField.Name("Referrer-Policy")!, "no-referrer")
        set(HTTPField.Name("Cross-Origin-Resource-Policy")!, "same-origin")
        if entrance.isEncrypted { set(.strictTransportSecurity, "max-age=31536000") }
    }
}

extension Route.Access {
    /// What a refused caller would need.
    fileprivate var demand: String {
        switch self {
        case .anyone: "it is for anyone"
        case .readers: "it is for viewers, owners and operators"
        case .submitters: "it is for owners and operators"
        case .taskOwner: "it is for the task's owner and operators"
        case .operators: "it is for operators"
        case .node: "it is for the agent of that node"
        }
    }
}
