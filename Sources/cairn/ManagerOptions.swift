import ArgumentParser
import AuditReport
import Curl
import Foundation

/// How the manager is known, and what it is shown: of every command that asks it for something, and of agents.
struct Credentials: ParsableArguments {
    @Option(
        name: .customLong("ca"),
        help: "PEM file of the authority that signed the manager's certificate (or CAIRN_CA); without it, the machine's authorities.")
    var givenCA: String?
    @Option(name: .customLong("cert"), help: "PEM file of a certificate to show (or CAIRN_CERT); an agent's names its node.")
    var givenCert: String?
    @Option(name: .customLong("key"), help: "PEM file of its key, for its owner's eyes alone (or CAIRN_KEY).") var givenKey: String?
    @Option(name: .customLong("token-file"), help: "File with a token of `cairn token create`, mode 600 (or CAIRN_TOKEN_FILE).")
    var givenTokenFile: String?

    var ca: String? { givenCA ?? Self.variable("CAIRN_CA") }
    var cert: String? { givenCert ?? Self.variable("CAIRN_CERT") }
    var key: String? { givenKey ?? Self.variable("CAIRN_KEY") }
    var tokenFile: String? { givenTokenFile ?? Self.variable("CAIRN_TOKEN_FILE") }

    static func variable(_ name: String) -> String? { ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    func validate() throws {
        if (cert == nil) != (key == nil) { throw ValidationError("--cert and --key belong together") }
    }

    /// - Parameter authority: what is trusted if nothing else is said.
    func client(authority: String? = nil) throws -> HTTPClient {
        var identity: HTTPClient.Identity?
        if let cert, let key {
            do throws(SecretFile.Problem) { try SecretFile.check(absolute(key)) } catch { throw Failure.cannotTry(error.description) }
            identity = .init(certificate: absolute(cert), key: absolute(key))
        }
        for file in [ca, cert].compactMap(\.self) where access(absolute(file), R_OK) != 0 { throw Failure.cannotTry("cannot read \(file)") }
        return HTTPClient(authorities: ca.map { absolute($0) } ?? authority, identity: identity)
    }

    /// Read at each use, so that it can be changed.
    func token() throws -> String? {
        guard let tokenFile else { return nil }
        do throws(SecretFile.Problem) { return try SecretFile.line(absolute(tokenFile)) } catch { throw Failure.cannotTry(error.description) }
    }
}

/// The manager, for commands that ask it.
struct ManagerOptions: ParsableArguments {
    @OptionGroup var state: StateOption
    @Option(help: "The manager's address (or CAIRN_MANAGER); else the one that runs on --state.") var manager: String?
    @OptionGroup var credentials: Credentials

    /// A manager was named: it is asked, and no ledger is read.
    var named: String? { manager ?? Credentials.variable("CAIRN_MANAGER") }

    /// Asks the manager to do something.
    /// - Throws: `Failure.cannotTry` when it does not answer, `Failure.notDone` when it refuses, with its reasons.
    func ask<Answer: Decodable>(_ path: String, body: String = "", type: String = "application/json", for _: Answer.Type) async throws -> Answer {
        try await send("POST", path, headers: ["Content-Type: " + type], body: Array(body.utf8))
    }

    /// Asks the manager what it knows.
    func get<Answer: Decodable>(_ path: String, for _: Answer.Type) async throws -> Answer { try await send("GET", path, headers: [], body: nil) }

    private func send<Answer: Decodable>(_ method: String, _ path: String, headers: [String], body: [UInt8]?) async throws -> Answer {
        let (url, answer) = try await fetch(method, path, headers: headers, body: body)
        guard answer.status == 200 else { throw Self.refusal(answer.status, answer.body) }
        do { return try JSONText.decode(Answer.self, from: String(decoding: answer.body, as: UTF8.self)) } catch {
            throw Failure.cannotTry("the answer of \(url)\(path) cannot be read: \(error)")
        }
    }

    /// Whatever the manager answers, and its address.
    /// - Throws: `Failure.cannotTry` when it does not.
    func fetch(_ method: String, _ path: String, headers: [String] = [], body: [UInt8]? = nil) async throws -> (url: String, answer: HTTPResponse) {
        let address: StateDirectory.Address = try named.map { .init(url: $0, pid: 0, authority: nil) } ?? state.directory.manager()
        let url = address.url.hasSuffix("/") ? String(address.url.dropLast()) : address.url
        var headers = headers
        if let token = try credentials.token() {
            try Self.requirePrivacy(of: url)
            headers.append("Authorization: Bearer " + token)
        }
        let client = try credentials.client(authority: address.authority)
        do { return (url, try await client.send(HTTPRequest(method, url + path, headers: headers, body: body))) } catch {
            throw Failure.cannotTry("the manager at \(url) does not answer: \(error)")
        }
    }

    /// - Throws: when a token would be read on its way.
    static func requirePrivacy(of url: String) throws {
        let host = URLComponents(string: url)?.host ?? ""
        guard url.hasPrefix("https:") || ["localhost", "::1", "[::1]"].contains(host) || host.hasPrefix("127.") else {
            throw Failure.cannotTry("\(url): a token is not sent over a network without TLS (https://…)")
        }
    }

    /// The manager's reasons; what answers in another form is no manager, and is quoted.
    private static func refusal(_ status: Int, _ body: [UInt8]) -> Failure {
        struct Refusal: Decodable { let errors: [String] }
        let reasons: [String]
        do { reasons = try JSONDecoder().decode(Refusal.self, from: Data(body)).errors } catch {
            return .notDone("it answers with status \(status): \(String(decoding: body.prefix(500), as: UTF8.self))")
        }
        let text = reasons.joined(separator: "\n")
        return Failure(message: status == 401 ? text + "\n(--token-file FILE or CAIRN_TOKEN_FILE; `cairn token create` makes one)" : text, status: 1)
    }
}
