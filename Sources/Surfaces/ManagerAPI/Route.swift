import Access
import Foundation
import HTTPTypes
import Hummingbird
import Vocabulary

/// One thing that can be asked of the manager over HTTP: the only way to add one, so that nothing is answered that was not asked who asks.
///
/// Surfaces beside this one give routes of their own to `ManagerServer`.
package struct Route: Sendable {
    /// Who may.
    package enum Access: Hashable, Sendable {
        /// Whoever reaches the port, also without a token.
        case anyone
        /// Everybody but nodes.
        case readers
        /// Owners and operators.
        case submitters
        /// Operators, and the owner of the task that the path's `{task}` names.
        case taskOwner
        case operators
        /// The agent of the node that the path's `{node}` names.
        case node
    }

    package var method: HTTPRequest.Method
    /// As OpenAPI writes it: `/v1/tasks/{task}/cancel`.
    package var path: String
    package var access: Access
    /// For people in a browser: those without a token are sent to the log-in page (`/login`) instead of being refused.
    package var isPage: Bool
    package var answer: @Sendable (Call) async throws -> Response

    /// - Parameter answer: a `Refusal` or `CommandError` that it throws is answered as such; any other error is a 500 that tells nothing.
    package init(
        _ method: HTTPRequest.Method, _ path: String, for access: Access, isPage: Bool = false,
        answer: @escaping @Sendable (Call) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.access = access
        self.isPage = isPage
        self.answer = answer
    }
}

/// All routes, found by method and path.
struct RouteTable: Sendable {
    enum Found {
        case route(Route, parameters: [String: String])
        /// The path is there, not the method.
        case otherMethods([HTTPRequest.Method])
        case nothing
    }
    private enum Segment: Hashable {
        case literal(String)
        case parameter(String)
    }
    private struct Entry {
        var route: Route
        var segments: [Segment]
    }
    private let entries: [Entry]

    init(_ routes: [Route]) {
        entries = routes.map { route in
            Entry(
                route: route,
                segments: Self.split(route.path).map { part in
                    part.hasPrefix("{") && part.hasSuffix("}") ? .parameter(String(part.dropFirst().dropLast())) : .literal(part)
                })
        }
        let shapes = entries.map { entry in
            entry.route.method.rawValue + " "
                + entry.segments.map { if case .literal(let text) = $0 { text } else { "{}" } }.joined(separator: "/")
        }
        precondition(Set(shapes).count == shapes.count, "two routes of one shape: \(shapes.sorted())")
    }

    var routes: [Route] { entries.map(\.route) }

    func find(_ method: HTTPRequest.Method, _ path: String) -> Found {
        let parts = Self.split(path)
        var others: [HTTPRequest.Method] = []
        for entry in entries {
            guard let parameters = Self.match(entry.segments, parts) else { continue }
            if entry.route.method == method || (method == .head && entry.route.method == .get) { return .route(entry.route, parameters: parameters) }
            others.append(entry.route.method)
        }
        return others.isEmpty ? .nothing : .otherMethods(others)
    }

    private static func match(_ segments: [Segment], _ parts: [String]) -> [String: String]? {
        guard segments.count == parts.count else { return nil }
        var parameters: [String: String] = [:]
        for (segment, part) in zip(segments, parts) {
            switch segment {
            case .literal(let text): if text != part { return nil }
            case .parameter(let name):
                guard let value = part.removingPercentEncoding, !value.isEmpty else { return nil }
                parameters[name] = value
            }
        }
        return parameters
    }

    private static func split(_ path: String) -> [String] {
        path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
    }
}
