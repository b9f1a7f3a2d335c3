import Curl
import Foundation
import Ports
import Synchronization
import Vocabulary

/// The REST protocol: requests to the NameNode in charge, redirections to DataNodes, and patience with both.
///
/// Source: WebHDFS REST API (hadoop.apache.org), and Hadoop 2.7.3 where it differs.
package struct WebHDFS: Sendable {
    /// `http://host:port`, without a slash behind.
    let nameNodes: [String]
    let identity: Identity
    /// No new attempt begins later than this after the first.
    let patience: Duration
    /// For NameNodes, where we prove who we are, and for DataNodes, to whom the NameNode's redirection proves it.
    private let client, dataNodeClient: HTTPClient
    let random: any RandomSource
    private let inCharge = Preferred()

    /// Which NameNode answered last: asked first.
    private final class Preferred: Sendable {
        let index = Mutex(0)
    }

    /// Who we say that we are.
    package enum Identity: Hashable, Sendable {
        /// HDFS believes it.
        case user(String)
        /// By SPNEGO, with the ticket or the client keytab that GSS-API finds.
        case kerberos
        /// By a delegation token, from a file that is read whenever it is needed, so that it can be renewed.
        case token(file: String)
    }

    init(nameNodes: [String], identity: Identity, authorities: String?, patience: Duration, stallSeconds: Int, random: any RandomSource) {
        self.nameNodes = nameNodes
        self.identity = identity
        client = HTTPClient(connectSeconds: 5, stallSeconds: stallSeconds, authorities: authorities, negotiates: identity == .kerberos)
        dataNodeClient = HTTPClient(connectSeconds: 5, stallSeconds: stallSeconds, authorities: authorities)
        self.patience = patience
        self.random = random
    }

    /// Waits for an answer's beginning and for the transfer, seconds. A transfer that stands still is given up much earlier.
    private static let metadataSeconds = 30
    private static let transferSeconds = 600

    // MARK: Attempts

    /// Does it until it works, cannot work, or patience is at an end.
    ///
    /// Pauses are uniform in 0 to a bound that doubles from 0.1 to 5 s, so that clients who failed together do not come back together.
    /// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("full jitter").
    func persist<Value>(
        _ path: String, until deadline: ContinuousClock.Instant, _ body: () async throws(Trouble) -> Value
    ) async throws(StoreError) -> Value {
        var bound = 0.1
        var attempts = 0
        while true {
            attempts += 1
            let detail: String
            do throws(Trouble) { return try await body() } catch {
                switch error {
                case .final(let error): throw error
                case .passing(let text, _, _), .standby(let text): detail = text
                }
            }
            let pause = Duration.seconds(bound * Double(random.next() >> 11) / Double(1 << 53))
            bound = min(bound * 2, 5)
            guard ContinuousClock.now + pause < deadline else {
                throw .unavailable(path: path, detail: attempts == 1 ? detail : "\(detail) (after \(attempts) attempts)")
            }
            do { try await Task.sleep(for: pause, clock: .continuous) } catch { throw .unavailable(path: path, detail: "given up: \(detail)") }
        }
    }

    // MARK: Requests

    struct Operation {
        var method: String
        var name: String
        /// In HDFS: absolute.
        var file: String
        /// For people: in the store.
        var path: String
        var parameters: [(String, String)] = []
    }

    /// Asks the NameNodes in turn, beginning with who answered last, until one in charge answers.
    /// - Returns: an answer below 400.
    func ask(_ operation: Operation, timeoutSeconds: Int = metadataSeconds) async throws(Trouble) -> HTTPResponse {
        let proof = try proof()
        return try await each { nameNode throws(Trouble) in
            var query = "op=" + operation.name
            for (key, value) in operation.parameters + proof { query += "&" + key + "=" + Self.encoded(value) }
            let url = nameNode + "/webhdfs/v1" + Self.encoded(operation.file) + "?" + query
            // A body, though empty: some proxies want a PUT's length.
            let body: [UInt8]? = operation.method == "PUT" || operation.method == "POST" ? [] : nil
            let answer = try await send(
                HTTPRequest(operation.method, url, headers: ["Content-Type: application/octet-stream"], body: body, timeoutSeconds: timeoutSeconds))
            return try checked(answer, operation.path)
        }
    }

    private func proof() throws(Trouble) -> [(String, String)] {
        switch identity {
        case .user(let user): return [("user.name", user)]
        case .kerberos: return []
        case .token(let file):
            do throws(SecretFile.Problem) { return [("delegation", try SecretFile.line(file))] } catch {
                throw .final(.denied(path: file, detail: error.description))
            }
        }
    }

    /// The two steps of CREATE, OPEN and GETFILECHECKSUM: the NameNode names a DataNode, and that is asked, with the body.
    /// - Parameters:
    ///   - pieces: a body of unknown length, which takes as long as it moves.
    ///   - limit: most bytes of an answer.
    func transfer(
        _ operation: Operation, body: [UInt8]? = nil, pieces: PieceReader? = nil, limit: Int = 1 << 20
    ) async throws(Trouble) -> HTTPResponse {
        let answer = try await ask(operation)
        guard (300..<400).contains(answer.status), let location = answer.headers["location"] else {
            if body == nil, pieces == nil, answer.status == 200 { return answer }
            throw .final(.failed(path: operation.path, detail: "the NameNode answers \(operation.name) with \(answer.status) and names no DataNode"))
        }
        var request = HTTPRequest(
            operation.method, location, headers: ["Content-Type: application/octet-stream"], body: body,
            timeoutSeconds: pieces == nil ? Self.transferSeconds : 0, answerLimit: limit)
        request.pieces = pieces
        do throws(Trouble) { return try checked(try await send(request, isDataNode: true), operation.path) } catch {
            // It was not the way that broke.
            if let failure = pieces?.failure { throw .final(failure) }
            throw error
        }
    }

    func each<Value>(_ body: (_ nameNode: String) async throws(Trouble) -> Value) async throws(Trouble) -> Value {
        let first = inCharge.index.withLock { $0 }
        var trouble: Trouble?
        for offset in 0..<nameNodes.count {
            let index = (first + offset) % nameNodes.count
            do throws(Trouble) {
                let value = try await body(nameNodes[index])
                inCharge.index.withLock { $0 = index }
                return value
            } catch {
                if case .final = error {
                    inCharge.index.withLock { $0 = index }
                    throw error
                }
                // That one is on standby is the least of the reasons.
                if case .standby = error, trouble != nil { continue }
                trouble = error
            }
        }
        throw trouble ?? .passing("there is no NameNode")
    }

    private func send(_ request: HTTPRequest, isDataNode: Bool = false) async throws(Trouble) -> HTTPResponse {
        do throws(HTTPError) { return try await (isDataNode ? dataNodeClient : client).send(request) } catch {
            // Never the whole address: its query may hold a user or a token.
            let authority = Self.authority(of: request.url)
            let dataNode = isDataNode ? authority : nil
            switch error {
            case .unreachable(_, let detail): throw .passing("\(authority): \(detail)", dataNode: dataNode)
            case .broken(_, let detail, let received): throw .passing("\(authority): \(detail)", dataNode: dataNode, received: received)
            case .tooLong(_, let limit): throw .passing("\(authority): more than \(limit) bytes", dataNode: dataNode)
            case .unusable(_, let detail): throw .final(.failed(path: authority, detail: detail))
            case .untrusted(_, let detail): throw .final(.denied(path: authority, detail: detail))
            }
        }
    }

    private func checked(_ answer: HTTPResponse, _ path: String) throws(Trouble) -> HTTPResponse {
        if answer.status < 400 { return answer }
        if let refusal = RemoteException(answer) { throw refusal.trouble(path, status: answer.status) }
        let detail = "status \(answer.status)"
        switch answer.status {
        case 401, 407:
            let advice =
                switch identity {
                case .user: "the servers want a proof of identity: authentication: kerberos, or token"
                case .kerberos: "the servers do not take our Kerberos ticket, or there is none: klist shows it, and kinit or a keytab makes one"
                case .token(let file): "the servers do not take the token in \(file): it may have run out"
                }
            throw .final(.denied(path: path, detail: "\(detail): \(advice)"))
        case 400, 403, 405, 411, 413: throw .final(.failed(path: path, detail: detail))
        case 507: throw .final(.full(path: path, detail: detail))
        // Also 404: a NameNode that has only begun has no WebHDFS yet; one that has says FileNotFoundException.
        default: throw .passing(detail)
        }
    }

    func decoded<Value: Decodable>(_ type: Value.Type, _ answer: some Collection<UInt8>) throws(Trouble) -> Value {
        do { return try JSONDecoder().decode(type, from: Data(answer)) } catch {
            throw .passing("an answer cannot be read: \(String(decoding: answer.prefix(200), as: UTF8.self))")
        }
    }

    // MARK: JMX

    /// - Parameter nameNode: nil: the one in charge.
    func bean<Bean: Decodable>(_ type: Bean.Type, _ name: String, timeoutSeconds: Int = 5) async throws(Trouble) -> Bean {
        try await each { nameNode throws(Trouble) in
            let url = nameNode + "/jmx?qry=Hadoop:service=NameNode,name=" + name
            let answer = try checked(try await send(HTTPRequest("GET", url, timeoutSeconds: timeoutSeconds)), name)
            guard let bean = try decoded(Beans<Bean>.self, answer.body).beans.first else { throw .final(.notFound(path: name)) }
            return bean
        }
    }

    /// The address by which a DataNode can be left out (`excludedatanodes`): its transfer address, while redirections name its HTTP address.
    /// The NameNode of 2.7 heeds no other, and answers some of the requests that name an unknown one with a NullPointerException.
    /// - Returns: nil when it cannot be found out; then chance must help.
    func transferAddress(of authority: String) async -> String? {
        guard let (host, port) = Self.split(authority), let nodes = await dataNodes() else { return nil }
        return nodes.first { key, node in
            [node.infoAddr, node.infoSecureAddr ?? ""].contains { address in
                guard let (infoHost, infoPort) = Self.split(address), infoPort == port else { return false }
                return infoHost == host || Self.split(key)?.host == host
            }
        }?.value.xferaddr
    }

    /// Those that are alive, by their names; nil: the NameNode does not say.
    func dataNodes() async -> [String: DataNodeList.DataNode]? {
        do throws(Trouble) {
            let list = try await bean(DataNodeList.self, "NameNodeInfo")
            return try decoded([String: DataNodeList.DataNode].self, list.LiveNodes.utf8)
        } catch { return nil }
    }

    // MARK: Addresses

    static func authority(of url: String) -> String {
        let rest = url.range(of: "://").map { url[$0.upperBound...] } ?? url[...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        return String(authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority)
    }

    private static func split(_ address: String) -> (host: String, port: String)? {
        guard let colon = address.lastIndex(of: ":") else { return nil }
        return (String(address[..<colon]), String(address[address.index(after: colon)...]))
    }

    /// Percent-encoded, but for what stands for itself (RFC 3986, 2.3) and slashes.
    static func encoded(_ text: String) -> String {
        let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/".utf8)
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if plain.contains(byte) { bytes.append(byte) } else { bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
