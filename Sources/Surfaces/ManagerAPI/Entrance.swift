import Access
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOSSL
import Ports
import Vocabulary

/// How the manager is reached, and by whom.
package struct Listening: Sendable {
    package var host: String
    /// 0: any free one.
    package var port: Int
    package var encryption: Encryption?
    /// Requests a second that one caller may make in the long run; twice as many at once.
    package var requestsPerSecond: Double

    package struct Encryption: Hashable, Sendable {
        /// PEM files: the server's certificate (with those between it and its authority) and its key.
        package var certificate: String
        package var key: String
        /// The authority of the nodes' certificates; nil: nodes have tokens.
        package var nodeAuthority: String?
        package init(certificate: String, key: String, nodeAuthority: String?) {
            self.certificate = certificate
            self.key = key
            self.nodeAuthority = nodeAuthority
        }
    }

    package init(host: String, port: Int, encryption: Encryption? = nil, requestsPerSecond: Double = 200) {
        self.host = host
        self.port = port
        self.encryption = encryption
        self.requestsPerSecond = requestsPerSecond
    }

    package func url(port: Int) -> String { "\(encryption == nil ? "http" : "https")://\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// Nobody beyond this machine reaches it.
    package var isLoopback: Bool { Self.isLoopback(host) }

    static func isLoopback(_ host: String) -> Bool {
        let host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// - Throws: when strangers could reach what asks nobody who they are, or could listen to tokens on their way.
    package func check(hasTokens: Bool) throws(AccessError) {
        guard !isLoopback else { return }
        var missing: [String] = []
        if !hasTokens { missing.append("tokens (`cairn token create --role operator` makes a first one)") }
        if encryption == nil { missing.append("TLS (--cert and --key; `cairn pki init` and `cairn pki issue --server` make them)") }
        guard missing.isEmpty else {
            throw AccessError(
                "\(host) is reached from beyond this machine: that takes \(missing.joined(separator: " and ")). docs/operations.md#security")
        }
    }
}

/// Who stands at the door: by token, by a node's certificate, or because the manager is open.
struct Entrance: Sendable {
    let tokens: TokenKeeper?
    let time: any TimeSource
    let isEncrypted: Bool
    let takesCertificates: Bool
    private let allowance: Allowance
    /// Tries that failed, and requests without a token: fewer, and by address.
    private let strangers: Allowance
    private let start = ContinuousClock.now

    init(tokens: TokenKeeper?, time: any TimeSource, listening: Listening) {
        self.tokens = tokens
        self.time = time
        isEncrypted = listening.encryption != nil
        takesCertificates = listening.encryption?.nodeAuthority != nil
        allowance = Allowance(perSecond: listening.requestsPerSecond, burst: listening.requestsPerSecond * 2)
        strangers = Allowance(perSecond: max(1, listening.requestsPerSecond / 10), burst: max(5, listening.requestsPerSecond / 2))
    }

    struct Visitor {
        /// nil: nobody that is known.
        var caller: Caller?
        var isByCookie = false
        /// Why `caller` is nil, if something was shown.
        var problem: String?
    }

    /// - Throws: `Refusal` with 429 when too much is asked.
    func visitor(_ request: Request, _ connection: Connection) async throws -> Visitor {
        let list = tokens?.list
        let address = connection.channel.remoteAddress?.ipAddress ?? "?"
        let visitor: Visitor
        let meter: (allowance: Allowance, key: String)
        if let list {
            var found = recognise(request, list)
            if found.visitor.caller == nil, found.visitor.problem == nil, let node = await certified(connection) {
                found = (Visitor(caller: Caller(name: node.rawValue, role: .node(node))), "node " + node.rawValue)
            }
            visitor = found.visitor
            meter = visitor.caller == nil ? (strangers, address) : (allowance, found.key)
        } else {
            visitor = Visitor(caller: .local)
            meter = (allowance, address)
        }
        let elapsed = start.duration(to: .now) / .seconds(1)
        if let wait = meter.allowance.take(meter.key, now: elapsed) {
            let seconds = max(1, Int(wait.rawValue.rounded(.up)))
            throw Refusal(.tooManyRequests, ["too many requests: wait \(seconds) s"], headers: [.retryAfter: String(seconds)])
        }
        return visitor
    }

    /// Whose token this is, for a page that takes one and sets the cookie.
    func caller(withToken token: String) -> Caller? {
        guard let list = tokens?.list, case .caller(let caller, _) = list.recognise(token, at: time.now()) else { return nil }
        return caller
    }

    private func recognise(_ request: Request, _ list: TokenList) -> (visitor: Visitor, key: String) {
        let token: String
        var isByCookie = false
        if let header = request.headers[.authorization] {
            let parts = header.split(separator: " ", omittingEmptySubsequences: true)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else {
                return (Visitor(problem: "the Authorization header is not `Bearer TOKEN`"), "")
            }
            token = String(parts[1])
        } else if let cookie = SessionCookie.token(in: request.headers[values: .cookie]) {
            token = cookie
            isByCookie = true
        } else {
            return (Visitor(), "")
        }
        switch list.recognise(token, at: time.now()) {
        case .caller(let caller, let id): return (Visitor(caller: caller, isByCookie: isByCookie), "token " + id)
        case .expired: return (Visitor(problem: "the token has expired"), "")
        case .unknown: return (Visitor(problem: "the token is not one of this manager's, or was revoked"), "")
        }
    }

    /// The node that the client's certificate names. The handshake has verified that the authority signed it.
    private func certified(_ connection: Connection) async -> NodeID? {
        guard takesCertificates else { return nil }
        let certificate: NIOSSLCertificate?
        do { certificate = try await connection.channel.nioSSL_peerCertificate().get() } catch { return nil }
        guard let certificate else { return nil }
        for name in certificate._subjectAlternativeNames() where name.nameType == .uri {
            let uri = name.contents.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
            if let node = PrivateAuthority.node(of: uri) { return node }
        }
        return nil
    }

    // MARK: Requests that a browser was talked into

    /// A page of somebody else's must not act through the browser of somebody who is logged in, or who is on the machine of an open manager.
    ///
    /// Source: Fetch Metadata Request Headers, W3C; RFC 6454 for Origin; DNS rebinding: Jackson et al., CCS 2007.
    func guardAgainstOtherSites(_ request: Request, _ visitor: Visitor) throws {
        let host = request.head.authority ?? ""
        if visitor.caller == .local, !Listening.isLoopback(Self.name(of: host)) {
            throw Refusal(.misdirectedRequest, ["this manager is open to this machine alone, and is not \(host)"])
        }
        guard request.method != .get, request.method != .head else { return }
        let site = request.headers[HTTPField.Name("Sec-Fetch-Site")!]
        let origin = request.headers[.origin]
        if let site {
            guard site == "same-origin" || (site == "none" && !visitor.isByCookie) else {
                throw Refusal(.forbidden, ["a page of another site asked for this"])
            }
        }
        // A page that sends no referrer has the origin null (Fetch, "append a request Origin header"); that it is ours the browser itself has said then.
        if let origin, site != "same-origin" || origin != "null" {
            // Without TLS of its own, a proxy before it may have it.
            let own = ["https://" + host] + (isEncrypted ? [] : ["http://" + host])
            guard own.contains(origin) else { throw Refusal(.forbidden, ["a page of another site asked for this"]) }
        }
        if visitor.isByCookie, site == nil, origin == nil {
            throw Refusal(.forbidden, ["what is asked for with a cookie must say by which site (Sec-Fetch-Site or Origin)"])
        }
    }

    /// Without the port.
    private static func name(of authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") { return String(authority[...end]) }
        return String(authority.prefix { $0 != ":" })
    }
}
