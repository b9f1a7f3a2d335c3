import Curl
import Foundation
import Ports
import Testing
import Vocabulary

@testable import WebHDFSStore

#if canImport(Glibc)
    import Glibc
#endif

/// What `scripts/lab hdfs run --secure -- swift test` gives: an HDFS that takes nobody's word, with a KDC of its own, over https alone.
enum SecureLab {
    static let nameNode = ProcessInfo.processInfo.environment["CAIRN_SECURE_HDFS"]
    static let directory = ProcessInfo.processInfo.environment["CAIRN_SECURE_HDFS_DIR"] ?? ""
    static var isThere: Bool { nameNode != nil }
    static var authorities: String { directory + "/secure/ca.pem" }

    /// From here on GSS-API finds the keytab of `cairn`, and keeps its tickets in this process.
    static let hasKeytab: Bool = {
        setenv("KRB5_CLIENT_KTNAME", "FILE:" + directory + "/secure/cairn.keytab", 1) == 0 && setenv("KRB5CCNAME", "MEMORY:cairn-tests", 1) == 0
    }()

    static func store(
        root: String, identity: WebHDFS.Identity = .kerberos, authorities: String? = nil, patience: Duration = .seconds(60)
    ) throws -> WebHDFSStore {
        try #require(hasKeytab)
        let address = try #require(nameNode)
        return try WebHDFSStore(
            nameNodes: [address], root: root, identity: identity, authorities: authorities ?? Self.authorities,
            random: Seeded(UInt64.random(in: .min ... .max)), patience: patience)
    }
}

@Suite("HDFS with Kerberos and TLS", .serialized, .enabled(if: SecureLab.isThere, "scripts/lab hdfs run --secure -- swift test"))
struct SecureHDFSTests {
    private let root = "/tests/" + UUID().uuidString

    @Test("keeps what comes with a delegation token out of a file")
    func token() async throws {
        let kerberos = try SecureLab.store(root: root)
        struct Answer: Decodable {
            struct One: Decodable { var urlString: String }
            var Token: One
        }
        let get = WebHDFS.Operation(method: "GET", name: "GETDELEGATIONTOKEN", file: "/", path: "/", parameters: [("renewer", "cairn")])
        let answer = try await kerberos.hdfs.ask(get)
        let token = try kerberos.hdfs.decoded(Answer.self, answer.body).Token.urlString
        let file = NSTemporaryDirectory() + "/cairn-token-" + UUID().uuidString
        try #require(FileManager.default.createFile(atPath: file, contents: Data((token + "\n").utf8), attributes: [.posixPermissions: 0o600]))
        defer { unlink(file) }
        let store = try SecureLab.store(root: root, identity: .token(file: file))
        try await store.write(content(3 << 20), to: "d/x", replication: 1)
        #expect(try await store.read("d/x") == content(3 << 20))
        #expect(try await kerberos.read("d/x") == content(3 << 20))
        // One that is none any more is refused, is read anew for each request, and is in no error.
        try Data("HgAFY2Fpcm4FY2Fpcm4\n".utf8).write(to: URL(fileURLWithPath: file))
        let error = await thrown { () throws(StoreError) in try await store.read("d/x") }
        guard case .denied(path: "d/x", let detail) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!detail.contains("HgAFY2Fpcm4FY2Fpcm4"), "\(detail)")
        chmod(file, 0o644)
        let open = await thrown { () throws(StoreError) in try await store.read("d/x") }
        #expect("\(String(describing: open))".contains("chmod 600 \(file)"))
        try await kerberos.remove("d")
    }

    @Test("takes nobody's word for who we are")
    func nobodysWord() async throws {
        let store = try SecureLab.store(root: root, identity: .user("cairn"), patience: .seconds(2))
        guard case .denied(path: "x", let detail) = await thrown({ () throws(StoreError) in try await store.read("x") }) else {
            Issue.record("it was taken")
            return
        }
        #expect(detail.contains("authentication: kerberos"))
    }

    @Test("without a ticket or a keytab says so")
    func noTicket() async throws {
        let (root, nameNode, authorities) = (root, try #require(SecureLab.nameNode), SecureLab.authorities)
        await #expect(processExitsWith: .success) {
            [root = root as String, nameNode = nameNode as String, authorities = authorities as String] in
            setenv("KRB5_CLIENT_KTNAME", "FILE:/nowhere/keytab", 1)
            setenv("KRB5CCNAME", "FILE:/nowhere/tickets", 1)
            let store = try WebHDFSStore(
                nameNodes: [nameNode], root: root, identity: .kerberos, authorities: authorities, random: Seeded(1), patience: .seconds(2))
            let error = await thrown { () throws(StoreError) in try await store.read("x") }
            guard case .denied(path: "x", let detail) = error, detail.contains("klist") else { exit(3) }
        }
    }

    @Test("with a certificate of another authority is not talked to")
    func otherAuthority() async throws {
        let store = try SecureLab.store(root: root, authorities: SecureLab.directory + "/secure/other-ca.pem")
        for error in [
            await thrown { () throws(StoreError) in try await store.read("x") },
            await thrown { () throws(StoreError) in try await store.write([1], to: "x", replication: 1) },
        ] {
            guard case .denied = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
    }
}
