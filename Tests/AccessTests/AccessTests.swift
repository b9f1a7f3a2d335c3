import Access
import Foundation
import Testing
import Vocabulary

@Suite("Who may do what")
struct CallerTests {
    @Test("each role may what it is for, and no more")
    func roles() {
        let a = NodeID("a")
        let deeds: [Caller.Deed] = [
            .read, .submit, .act(onTaskOf: "ann"), .act(onTaskOf: "bob"), .act(onTaskOf: nil), .operate, .report(as: a), .report(as: NodeID("b")),
        ]
        let expected: [(Caller, [Bool])] = [
            (Caller(name: "v", role: .viewer), [true, false, false, false, false, false, false, false]),
            (Caller(name: "ann", role: .owner), [true, true, true, false, false, false, false, false]),
            (Caller(name: "o", role: .operator), [true, true, true, true, true, true, false, false]),
            (Caller(name: "a", role: .node(a)), [false, false, false, false, false, false, true, false]),
            (.local, [true, true, true, true, true, true, true, true]),
            (.stranger, [false, false, false, false, false, false, false, false]),
        ]
        for (caller, may) in expected { #expect(deeds.map { caller.may($0) } == may, "\(caller)") }
    }
}

@Suite("Tokens")
struct TokenTests {
    private let now = Timestamp(1_800_000_000)

    @Test("a token is recognised by its digest, until it ends")
    func recognised() {
        let (record, token) = TokenRecord.make(.owner, name: "ann", at: now, expiresAt: now + Seconds(60))
        var list = TokenList()
        list.tokens = [TokenRecord.make(.viewer, name: "v", at: now, expiresAt: nil).record, record]
        #expect(list.recognise(token, at: now) == .caller(Caller(name: "ann", role: .owner), id: record.id))
        #expect(list.recognise(token, at: now + Seconds(59.9)) == .caller(Caller(name: "ann", role: .owner), id: record.id))
        #expect(list.recognise(token, at: now + Seconds(60)) == .expired)
        #expect(list.recognise(token + "x", at: now) == .unknown)
        #expect(list.recognise("", at: now) == .unknown)
        #expect(list.recognise(record.digest, at: now) == .unknown)
        #expect(TokenList().recognise(token, at: now) == .unknown)
    }

    @Test("the digest is SHA-256")
    func digest() {
        // FIPS 180-4's example.
        #expect(TokenRecord.digest(of: "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("no two tokens are alike, and none is in what is kept")
    func secret() throws {
        let made = (0..<50).map { _ in TokenRecord.make(.node, name: "a", at: now, expiresAt: nil) }
        #expect(Set(made.map(\.token)).count == 50)
        for (record, token) in made {
            #expect(token.count == 6 + 43)
            let kept = String(decoding: try JSONEncoder().encode(record), as: UTF8.self)
            #expect(!kept.contains(token.dropFirst(6)))
            #expect(record.caller == Caller(name: "a", role: .node(NodeID("a"))))
        }
    }
}

@Suite("The file of tokens")
struct TokenFileTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-access-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) } }
        try body(folder.path)
    }

    private func mode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test("is for its owner's eyes alone, and what others can read is not used")
    func mode() throws {
        try inFolder { folder in
            let path = folder + "/tokens.json"
            try TokenFile.change(path) { (list) throws(AccessError) in
                list.tokens.append(TokenRecord.make(.operator, name: "o", at: Timestamp(0), expiresAt: nil).record)
            }
            #expect(try mode(path) == 0o600)
            #expect(try TokenFile.read(path).tokens.map(\.name) == ["o"])
            try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
            #expect(throws: AccessError.self) { try TokenFile.read(path) }
            #expect(throws: AccessError.self) { try TokenKeeper(path: path, log: { _ in }) }
        }
    }

    @Test("is read again when it changes; what cannot be read changes nothing; what is gone opens nothing")
    func changes() throws {
        try inFolder { folder in
            let path = folder + "/tokens.json"
            let told = Told()
            let keeper = try TokenKeeper(path: path, log: { told.add($0) })
            #expect(keeper.list == nil)
            let (first, token) = TokenRecord.make(.operator, name: "o", at: Timestamp(0), expiresAt: nil)
            try TokenFile.change(path) { (list) throws(AccessError) in list.tokens.append(first) }
            #expect(keeper.list?.recognise(token, at: Timestamp(1)) == .caller(Caller(name: "o", role: .operator), id: first.id))

            try Data("{".utf8).write(to: URL(fileURLWithPath: path))
            #expect(keeper.list?.tokens == [first])
            #expect(keeper.list?.tokens == [first])
            #expect(told.lines.count == 1)

            try FileManager.default.removeItem(atPath: path)
            try TokenFile.change(path) { (list) throws(AccessError) in list.tokens = [] }
            #expect(keeper.list?.recognise(token, at: Timestamp(1)) == .unknown)
            try FileManager.default.removeItem(atPath: path)
            #expect(keeper.list == TokenList())
            #expect(!told.lines.joined().contains(token))
        }
    }

    @Test("changed by many at once, keeps what each did")
    func together() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-access-" + UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) } }
        let path = folder + "/tokens.json"
        DispatchQueue.concurrentPerform(iterations: 8) { number in
            do throws(AccessError) {
                try TokenFile.change(path) { (list) throws(AccessError) in
                    list.tokens.append(TokenRecord.make(.viewer, name: "\(number)", at: Timestamp(0), expiresAt: nil).record)
                }
            } catch { Issue.record(error) }
        }
        #expect(Set(try TokenFile.read(path).tokens.map(\.name)) == Set((0..<8).map { "\($0)" }))
    }

    private final class Told: @unchecked Sendable {
        private let lock = NSLock()
        private var all: [String] = []
        func add(_ line: String) { lock.withLock { all.append(line) } }
        var lines: [String] { lock.withLock { all } }
    }
}

@Suite("Allowances")
struct AllowanceTests {
    @Test("a bucket gives its burst, and then its rate")
    func bucket() {
        let allowance = Allowance(perSecond: 2, burst: 3)
        for _ in 0..<3 { #expect(allowance.take("a", now: 10) == nil) }
        // Empty; one more is there after half a second.
        #expect(allowance.take("a", now: 10) == Seconds(0.5))
        #expect(allowance.take("a", now: 10.25) == Seconds(0.25))
        #expect(allowance.take("a", now: 10.5) == nil)
        #expect(allowance.take("a", now: 10.5) == Seconds(0.5))
        // Others are not touched by it.
        #expect(allowance.take("b", now: 10.5) == nil)
        // Never more than the burst, however long nobody asked.
        for _ in 0..<3 { #expect(allowance.take("a", now: 1_000) == nil) }
        #expect(allowance.take("a", now: 1_000) != nil)
    }

    @Test("no more buckets are kept than so many, and one in use is not forgotten for a new one while a full one is there")
    func room() {
        let allowance = Allowance(perSecond: 1, burst: 1, most: 2)
        #expect(allowance.take("a", now: 0) == nil)
        #expect(allowance.take("b", now: 5) == nil)
        // "a" is full again and goes; "b" is not.
        #expect(allowance.take("c", now: 5.5) == nil)
        #expect(allowance.take("b", now: 5.5) == Seconds(0.5))
    }
}

@Suite("A private authority")
struct PrivateAuthorityTests {
    private let now = Timestamp(Date().timeIntervalSince1970)

    /// OpenSSL, another implementation, says what is in a certificate and whether it is good.
    private func openssl(_ words: String...) throws -> (status: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = words
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
    }

    @Test("issues certificates that OpenSSL takes for what they are for, and for nothing else")
    func issued() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-pki-" + UUID().uuidString).path
        defer { do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) } }
        let root = try PrivateAuthority.make(in: folder, name: "Cairn test", at: now, days: 10)
        #expect(throws: AccessError.self) { try PrivateAuthority.make(in: folder, name: "Cairn test", at: now, days: 10) }
        let authority = try PrivateAuthority(in: folder)
        let node = try authority.issue(node: NodeID("rack-1.a"), at: now, days: 5)
        let server = try authority.issue(server: ["manager.example", "127.0.0.1", "::1"], at: now, days: 3_650)
        // No longer than the authority itself, to the second.
        #expect(abs((server.expiresAt - root.expiresAt).rawValue) <= 1)

        for issued in [root, node, server] {
            let mode = try #require(try FileManager.default.attributesOfItem(atPath: issued.key)[.posixPermissions] as? Int)
            #expect(mode == 0o600)
        }
        let ca = root.certificate
        #expect(try openssl("verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslclient", node.certificate).status == 0)
        #expect(try openssl("verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslserver", node.certificate).status != 0)
        #expect(try openssl("verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslserver", server.certificate).status == 0)
        #expect(try openssl("verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslclient", server.certificate).status != 0)
        #expect(try openssl("x509", "-in", node.certificate, "-noout", "-ext", "subjectAltName").text.contains("URI:cairn:node:rack-1.a"))
        let names = try openssl("x509", "-in", server.certificate, "-noout", "-ext", "subjectAltName").text
        #expect(names.contains("DNS:manager.example"))
        #expect(names.contains("IP Address:127.0.0.1"))
        #expect(names.contains("IP Address:0:0:0:0:0:0:0:1"))
        #expect(PrivateAuthority.node(of: "cairn:node:rack-1.a") == NodeID("rack-1.a"))
        #expect(PrivateAuthority.node(of: "cairn:node:") == nil)
        #expect(PrivateAuthority.node(of: "https://rack-1.a") == nil)
        #expect(throws: AccessError.self) { try authority.issue(node: NodeID("../a"), at: now, days: 5) }
    }
}
