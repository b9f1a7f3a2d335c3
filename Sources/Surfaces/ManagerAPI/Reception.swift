import Access
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Ports

/// The connection that a request came by.
struct Connection: InitializableFromSource {
    let channel: any Channel
    init(source: ApplicationRequestContextSource) { channel = source.channel }
}

/// Takes every request: finds its route, asks who calls and whether they may, and has it answered.
struct Reception: HTTPResponder {
    let table: RouteTable
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
        switch table.find(request.method, request.uri.path) {
        case .nothing: throw Refusal(.notFound, ["there is no \(request.uri.path) here"])
        case .otherMethods(let methods):
            let names = Set(methods.flatMap { $0 == .get ? ["GET", "HEAD"] : [$0.rawValue] }).sorted().joined(separator: ", ")
            throw Refusal(.methodNotAllowed, ["\(request.uri.path) takes \(names)"], headers: [.allow: names])
        case .route(let route, let parameters):
            let call = Call(
                request: request, caller: .local, parameters: parameters, query: try Query(request.uri.query), isEncrypted: false,
                holder: { _ in nil })
            return try await route.answer(call)
        }
    }

    /// Headers that keep browsers from doing more with an answer than it is for. A route that sets one itself knows better.
    private func protect(_ response: inout Response) {
        func set(_ name: HTTPField.Name, _ value: String) { if response.headers[name] == nil { response.headers[name] = value } }
        set(.xContentTypeOptions, "nosniff")
        set(.contentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
        set(.cacheControl, "no-store")
        set(HTTPField.Name("Referrer-Policy")!, "no-referrer")
        set(HTTPField.Name("Cross-Origin-Resource-Policy")!, "same-origin")
    }
}
