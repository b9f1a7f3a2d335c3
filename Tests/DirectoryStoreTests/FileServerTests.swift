import Curl
import Foundation
import Ports
import Synchronization
import Testing
import Vocabulary

@testable import FileServerStore

#if canImport(Glibc)
    import Glibc
#endif

/// A real vsftpd and a real sshd, with what goes wrong between them and us, and in them.
enum ServerKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case ftp, ftpTLS, sftp
    static let present = allCases.filter { $0 == .sftp ? SFTPLab.isThere : FTPLab.isThere }
    static let isThere = !present.isEmpty
    var testDescription: String { rawValue }
    var directory: String { self == .sftp ? SFTPLab.directory : FTPLab.directory }
    var small: String? { self == .sftp ? SFTPLab.small : FTPLab.small }
    var turnstile: Lab.Turnstile { self == .sftp ? SFTPLab.turnstile : FTPLab.turnstile }
    var port: Int { get throws { try server().port } }

    func server(behind relay: CuttingRelay? = nil) throws -> FileServer {
        switch self {
        case .ftp: try FTPLab.server(.none, port: relay?.port)
        case .ftpTLS: try FTPLab.server(.explicit, port: relay?.port, host: relay?.host ?? "127.0.0.1")
        case .sftp: try SFTPLab.server(port: relay?.port)
        }
    }
    /// Over TLS a relay cannot read at which port the server takes data: it listens at all of them, at another address that the certificate names.
    func relay(_ touch: @escaping CuttingRelay.Touch) throws -> CuttingRelay {
        self == .ftpTLS
            ? try CuttingRelay(at: "127.0.0.3", to: try port, dataPorts: try FTPLab.dataPorts(), touch) : try CuttingRelay(to: try port, touch)
    }
    func store(
        _ server: FileServer? = nil, root: String, readsBack: Bool? = nil, patience: Duration = .seconds(60), stallSeconds: Int = 15
    ) throws -> FileServerStore {
        try FileServerStore(
            server: try server ?? self.server(), root: root, readsBack: readsBack, random: Seeded(UInt64.random(in: .min ... .max)),
            patience: patience, stallSeconds: stallSeconds)
    }
    func run(_ word: String) throws { try Lab.run(lab: self == .sftp ? "sftp" : "ftp", directory: directory, [word]) }

    /// With a root of its own, which is removed afterwards.
    func withRoot(below: String? = nil, alone: Bool = false, _ body: (_ root: String) async throws -> Void) async throws {
        let root = (below ?? directory + "/data") + "/" + UUID().uuidString
        defer {
            if FileManager.default.fileExists(atPath: root) {
                do { try FileManager.default.removeItem(atPath: root) } catch { Issue.record("\(root) stays: \(error)") }
            }
        }
        if alone { try await turnstile.alone { try await body(root) } } else { try await turnstile.together { try await body(root) } }
    }
}

@Suite("File servers in trouble", .serialized, .enabled(if: ServerKind.isThere, "scripts/lab ftp run -- scripts/lab sftp run -- swift test"))
struct FileServerTests {
    private let part = content(8 << 20)

    private func unfinished(_ root: String) -> [String] {
        FileManager.default.subpaths(atPath: root + "/.tmp") ?? []
    }

    @Test("a connection that ends at any byte, either way, changes nothing of what comes of it", arguments: ServerKind.present)
    func cutAnywhere(kind: ServerKind) async throws {
        try await cuttingAnywhere(relay: { try kind.relay($0) }) { relay in
            try await kind.withRoot { root in try await useAll(try kind.store(try kind.server(behind: relay), root: root, stallSeconds: 2)) }
        }
    }

    @Test("an upload that breaks goes on where it broke", arguments: ServerKind.present)
    func brokenUpload(kind: ServerKind) async throws {
        try await kind.withRoot { root in
            let sent = Mutex(0)
            let relay = try kind.relay { passing, bytes in
                guard passing.direction == .up else { return .pass }
                return sent.withLock { sent in
                    let before = sent
                    sent += bytes.count
                    return before < 5 << 20 && sent >= 5 << 20 ? .cut(after: bytes.count, isReset: false) : .pass
                }
            }
            defer { relay.stop() }
            let store = try kind.store(try kind.server(behind: relay), root: root, stallSeconds: 3)
            try await store.write(part, to: "d/x", replication: 1)
            #expect(try await kind.store(root: root).read("d/x") == part)
            #expect((8 << 20...15 << 20).contains(sent.withLock { $0 }), "\(sent.withLock { $0 }) bytes were sent")
            #expect(unfinished(root).isEmpty)
        }
    }

    @Test("a download that breaks goes on where it broke", arguments: ServerKind.present)
    func brokenDownload(kind: ServerKind) async throws {
        try await kind.withRoot { root in
            try await kind.store(root: root).write(part, to: "x", replication: 1)
            let came = Mutex(0)
            let relay = try kind.relay { passing, bytes in
                guard passing.direction == .down else { return .pass }
                return came.withLock { came in
                    let before = came
                    came += bytes.count
                    return before < 5 << 20 && came >= 5 << 20 ? .cut(after: bytes.count, isReset: false) : .pass
                }
            }
            defer { relay.stop() }
            #expect(try await kind.store(try kind.server(behind: relay), root: root, stallSeconds: 3).read("x") == part)
            #expect((8 << 20...13 << 20).contains(came.withLock { $0 }), "\(came.withLock { $0 }) bytes came")
        }
    }

    @Test("a byte that is changed on its way over plain FTP is found, and sent again", .enabled(if: FTPLab.isThere))
    func changed() async throws {
        try await ServerKind.ftp.withRoot { root in
            let changes = Mutex((up: 1, down: 0))
            let relay = try ServerKind.ftp.relay { passing, bytes in
                guard passing.isData, bytes.count > 100 else { return .pass }
                let hits = changes.withLock { changes in
                    if passing.direction == .up, changes.up > 0 {
                        changes.up -= 1
                        return true
                    }
                    return false
                }
                if hits { bytes[50] ^= 1 }
                return .pass
            }
            defer { relay.stop() }
            let store = try ServerKind.ftp.store(try ServerKind.ftp.server(behind: relay), root: root)
            try await store.write(content(300_000), to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == content(300_000))
            // Always: nothing gets the name.
            changes.withLock { $0.up = .max }
            let error = await thrown { () throws(StoreError) in try await store.createExclusively(content(300_000, seed: 2), at: "d/y") }
            guard case .damaged(path: "d/y", _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await store.list("d").map(\.name) == ["x"])
            #expect(unfinished(root).isEmpty)
        }
    }

    @Test("a list whose connection is cut as if all were said is no short list", .enabled(if: FTPLab.isThere))
    func cutList() async throws {
        try await ServerKind.ftp.withRoot { root in
            let direct = try ServerKind.ftp.store(root: root)
            for index in 0..<40 { try await direct.write([1], to: "d/part-\(index)", replication: 1) }
            let lists = Mutex(0)
            let relay = try ServerKind.ftp.relay { passing, bytes in
                guard passing.direction == .down, String(decoding: bytes, as: UTF8.self).contains("part-1") else { return .pass }
                let count = lists.withLock { lists in
                    lists += 1
                    return lists
                }
                return count <= 3 ? .cut(after: bytes.count / 2, isReset: false) : .pass
            }
            defer { relay.stop() }
            let store = try ServerKind.ftp.store(try ServerKind.ftp.server(behind: relay), root: root)
            #expect(try await store.list("d").count == 40)
            #expect(lists.withLock { $0 } == 4)
        }
    }

    @Test("a server that stops answering is left, and asked again", arguments: ServerKind.present)
    func hanging(kind: ServerKind) async throws {
        try await kind.withRoot { root in
            let held = Mutex(false)
            let relay = try kind.relay { passing, bytes in
                // The first connection, in the middle of what it has to say.
                guard passing.direction == .down, passing.connection == 1 else { return .pass }
                held.withLock { $0 = true }
                return .hold
            }
            defer { relay.stop() }
            let store = try kind.store(try kind.server(behind: relay), root: root, stallSeconds: 1)
            try await store.write([1, 2, 3], to: "d/x", replication: 1)
            #expect(held.withLock { $0 })
            #expect(try await store.read("d/x") == [1, 2, 3])
        }
    }

    @Test("a server that is slow, longer than one that stops would be waited for, is used", arguments: ServerKind.present)
    func slow(kind: ServerKind) async throws {
        try await kind.withRoot { root in
            // Chunks of at most 64 KiB, of which each waits.
            let chunks = Mutex(0)
            let relay = try kind.relay { passing, bytes in
                chunks.withLock { $0 += 1 }
                usleep(12_000)
                return .pass
            }
            defer { relay.stop() }
            let store = try kind.store(try kind.server(behind: relay), root: root, stallSeconds: 1)
            try await store.write(part, to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == part)
            #expect(try await store.createExclusively([1], at: "d/y"))
            // More waiting than a server that stops is given.
            #expect(chunks.withLock { $0 } * 12 > 1_000)
        }
    }

    @Test("a server that is killed and started again is waited for, and nothing committed is lost", arguments: ServerKind.present)
    func restarts(kind: ServerKind) async throws {
        try await kind.withRoot(alone: true) { root in
            let store = try kind.store(root: root)
            try await store.makeDirectory("open/1")
            #expect(try await store.commit([1], as: "open/1/before.json", replication: 1))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<6 {
                    group.addTask { try await store.write(content(4 << 20, seed: UInt64(index)), to: "objects/\(index)", replication: 1) }
                }
                group.addTask {
                    try await Task.sleep(for: .milliseconds(150))
                    try kind.run("kill")
                    try kind.run("start")
                }
                try await group.waitForAll()
            }
            for index in 0..<6 { #expect(try await store.read("objects/\(index)") == content(4 << 20, seed: UInt64(index))) }
            #expect(try await store.list("open/1").map(\.name) == ["before.json"])
            try kind.run("kill")
            let impatient = try kind.store(root: root, patience: .milliseconds(300))
            guard
                case .unavailable(path: "open/1/before.json", let detail) = await thrown({ () throws(StoreError) in
                    try await impatient.read("open/1/before.json")
                })
            else {
                Issue.record("it answers though it was killed")
                return
            }
            #expect(detail.contains("127.0.0.1:"))
            #expect(await !impatient.health().reachable)
            try kind.run("start")
            #expect(await store.health().reachable)
            #expect(try await store.read("open/1/before.json") == [1])
        }
    }

    @Test("a writer that is killed in the middle leaves nothing at the path, and what it leaves goes later", arguments: ServerKind.present)
    func killedWriter(kind: ServerKind) async throws {
        try await kind.withRoot { root in
            await #expect(processExitsWith: .signal(SIGKILL)) { [root = root as String, kind = kind.rawValue as String] in
                let kind = ServerKind(rawValue: kind)!
                let seen = Mutex(0)
                let relay = try kind.relay { passing, bytes in
                    let count = seen.withLock { seen in
                        if passing.direction == .up { seen += bytes.count }
                        return seen
                    }
                    if count > 3 << 20 { kill(getpid(), SIGKILL) }
                    return .pass
                }
                try await kind.store(try kind.server(behind: relay), root: root).write(content(8 << 20), to: "d/x", replication: 1)
            }
            let store = try kind.store(root: root)
            #expect(await thrown { () throws(StoreError) in try await store.read("d/x") } == .notFound(path: "d/x"))
            #expect(try await store.list("d").isEmpty)
            for left in FileManager.default.subpaths(atPath: root + "/.tmp") ?? [] {
                try FileManager.default.setAttributes([.modificationDate: Date() - 4 * 3_600], ofItemAtPath: root + "/.tmp/" + left)
            }
            #expect(try await store.createExclusively(part, at: "d/x"))
            #expect(try await store.read("d/x") == part)
            #expect(unfinished(root).isEmpty)
        }
    }

    @Test("a full disk is a full store, and no file", arguments: ServerKind.present.filter { $0.small != nil })
    func full(kind: ServerKind) async throws {
        try await kind.withRoot(below: kind.small, alone: true) { root in
            try await fillUp(try kind.store(root: root))
            #expect(unfinished(root).isEmpty)
        }
    }

    @Test("what the server does not let us do is said, with where", arguments: ServerKind.present)
    func truncatedAndHidden(kind: ServerKind) async throws {
        try await kind.withRoot { root in
            let store = try kind.store(root: root)
            try await store.write(content(1_000), to: "d/x", replication: 1)
            // Cut short behind the store's back: what is there is handed out, and whoever has the digest finds out; written again, it is made whole.
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: root + "/d/x"))
            try file.truncate(atOffset: 400)
            try file.close()
            #expect(try await store.read("d/x") == Array(content(1_000).prefix(400)))
            try await store.write(content(1_000), to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == content(1_000))
            // Another byte of the same length.
            let other = try FileHandle(forWritingTo: URL(fileURLWithPath: root + "/d/x"))
            try other.seek(toOffset: 500)
            try other.write(contentsOf: [content(1_000)[500] ^ 1])
            try other.close()
            try await store.write(content(1_000), to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == content(1_000))
            // A place where nothing can be made.
            let nowhere = try kind.store(root: "/proc/cairn")
            let error = await thrown { () throws(StoreError) in try await nowhere.write([1], to: "d/y", replication: 1) }
            switch error {
            case .denied(path: "d/y", _), .failed(path: "d/y", _): break
            default: Issue.record("\(String(describing: error))")
            }
        }
    }

    // MARK: Identity

    private func secret(_ text: String, mode: Int) throws -> String {
        let file = NSTemporaryDirectory() + "/cairn-secret-" + UUID().uuidString
        try #require(FileManager.default.createFile(atPath: file, contents: Data(text.utf8), attributes: [.posixPermissions: mode]))
        return file
    }

    @Test("a wrong password or key is refused at once, and in no error", arguments: ServerKind.present)
    func wrongSecret(kind: ServerKind) async throws {
        let wrong = try secret("not-the-password\n", mode: 0o600)
        defer { unlink(wrong) }
        var server = try kind.server()
        server.secret = kind == .sftp ? .key(SFTPLab.directory + "/other-key") : .password(wrong)
        let store = try kind.store(server, root: "/tmp")
        let error = await thrown { () throws(StoreError) in try await store.read("x") }
        guard case .denied(path: "x", let detail) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(detail.contains(server.authority) && !detail.contains("not-the-password"), "\(detail)")
        let health = await store.health()
        #expect(!health.reachable && !health.detail.contains("not-the-password"))
    }

    @Test("a password opens an SFTP server, and no error tells it", .enabled(if: SFTPLab.password != nil))
    func password() async throws {
        let file = try #require(SFTPLab.password)
        var server = try SFTPLab.server()
        server.secret = .password(file)
        try await ServerKind.sftp.withRoot { root in
            let store = try ServerKind.sftp.store(server, root: root)
            try await store.write(part, to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == part)
        }
        let wrong = try secret("not-the-password\n", mode: 0o600)
        defer { unlink(wrong) }
        server.secret = .password(wrong)
        let store = try ServerKind.sftp.store(server, root: "/tmp")
        guard case .denied(path: "x", let detail) = await thrown({ () throws(StoreError) in try await store.read("x") }) else {
            Issue.record("it was let in")
            return
        }
        #expect(detail.contains(server.authority) && !detail.contains("not-the-password"), "\(detail)")
    }

    @Test("a directory that may not be entered is no empty one, and nothing that is not there", arguments: ServerKind.present.filter { $0 != .sftp })
    func closedDirectory(kind: ServerKind) async throws {
        try await kind.withRoot { root in
            let store = try kind.store(root: root, patience: .seconds(5))
            try await store.makeDirectory("open/1")
            // The lab's vsftpd lists such names, and lets nobody in (deny_file).
            try FileManager.default.createDirectory(atPath: root + "/open/closed-by-the-server", withIntermediateDirectories: false)
            #expect(try await store.list("open").map(\.name) == ["1", "closed-by-the-server"])
            for error in [
                await thrown { () throws(StoreError) in try await store.list("open/closed-by-the-server") },
                await thrown { () throws(StoreError) in try await store.commit([2], as: "open/closed-by-the-server/n.json", replication: 1) },
            ] {
                guard case .denied = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
            #expect(try await store.list("open/2").isEmpty)
            #expect(try await !store.commit([2], as: "open/2/n.json", replication: 1))
        }
    }

    @Test("a secret that others can read is refused, with what to do", arguments: [0o640, 0o604, 0o660, 0o666])
    func openSecret(mode: Int) throws {
        let file = try secret("password\n", mode: mode)
        defer { unlink(file) }
        chmod(file, mode_t(mode))
        let server = FileServer(kind: .ftp(.none, authorities: nil), host: "h", port: 21, user: "u", secret: .password(file))
        let error = #expect(throws: StoreError.self) { try FTPLab.store(server, root: "/c") }
        #expect("\(String(describing: error))".contains("chmod 600 \(file)"))
        chmod(file, 0o400)
        _ = try FTPLab.store(server, root: "/c")
    }

    @Test("a secret is one line", arguments: ["", "\n", "a\nb\n", "a\u{7}b"])
    func oddSecret(text: String) throws {
        let file = try secret(text, mode: 0o600)
        defer { unlink(file) }
        let server = FileServer(kind: .ftp(.none, authorities: nil), host: "h", port: 21, user: "u", secret: .password(file))
        #expect(throws: StoreError.self) { try FTPLab.store(server, root: "/c") }
    }

    @Test("a server with another certificate or host key is not talked to", arguments: ServerKind.present)
    func wrongServer(kind: ServerKind) async throws {
        guard kind != .ftp else { return }
        var servers: [FileServer] = []
        if kind == .sftp {
            for key in [
                FileServer.HostKey.knownHosts(SFTPLab.directory + "/other_known_hosts"), .knownHosts("/dev/null"),
                .fingerprint("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ] { servers.append(try SFTPLab.server(hostKey: key)) }
        } else {
            for encryption in [FileServer.Encryption.explicit, .implicit] {
                servers.append(try FTPLab.server(encryption, authorities: FTPLab.directory + "/other-ca.pem"))
            }
        }
        for server in servers {
            let store = try kind.store(server, root: "/tmp")
            guard case .denied = await thrown({ () throws(StoreError) in try await store.write([1], to: "x", replication: 1) }) else {
                Issue.record("\(server.kind) was talked to")
                continue
            }
        }
    }

    @Test("a certificate for another name is not taken", .enabled(if: FTPLab.isThere))
    func wrongName() async throws {
        // The certificate is for 127.0.0.1 and localhost; the server is reached by another name of this machine.
        let relay = try CuttingRelay(at: "127.0.0.2", to: try ServerKind.ftpTLS.port) { _, _ in .pass }
        defer { relay.stop() }
        let plain = try FTPLab.store(try FTPLab.server(.none, port: relay.port, host: "127.0.0.2"), root: FTPLab.freshRoot())
        #expect(await plain.health().reachable)
        let store = try FTPLab.store(try FTPLab.server(.explicit, port: relay.port, host: "127.0.0.2"), root: "/tmp")
        guard case .denied = await thrown({ () throws(StoreError) in try await store.read("x") }) else {
            Issue.record("it was talked to")
            return
        }
        let named = try FTPLab.store(try FTPLab.server(.explicit, host: "localhost"), root: FTPLab.freshRoot())
        #expect(await named.health().reachable)
    }
}

@Suite("Lines of a server's list")
struct ListedTests {
    /// 2026-11-24T12:00:00Z.
    private let now = 1_795_521_600

    @Test("are read as ls writes them")
    func lines() throws {
        let file = try #require(Listed("-rw-r--r--    1 1000     users       12345 Nov 24 11:17 e000001-c000002.json", now: now))
        #expect(file == Listed(name: "e000001-c000002.json", isDirectory: false, bytes: 12_345, modifiedAt: 1_795_519_020))
        let directory = try #require(Listed("drwxr-xr-x    2 0        0            4096 Feb 29  2024 sha256:ab~", now: now))
        #expect(directory == Listed(name: "sha256:ab~", isDirectory: true, bytes: 4_096, modifiedAt: 1_709_164_800))
        // Without a year: the last one that is not after tomorrow.
        #expect(try #require(Listed("-rw------- 1 u g 0 Dec 31 23:59 a", now: now)).modifiedAt == 1_767_225_540)
        #expect(try #require(Listed("-rw------- 1 u g 0 Nov 25 01:00 a", now: now)).modifiedAt == 1_795_568_400)
        #expect(try #require(Listed("-rw------- 1 u g 0 Jan  1 00:00 two words", now: now)).name == "two words")
        #expect(try #require(Listed("lrwxrwxrwx 1 u g 4 Jan  1 00:00 a -> /etc", now: now)).name == "a")
    }

    @Test(
        "are not guessed at",
        arguments: [
            "", "total 12", "-rw-r--r-- 1 u g", "-rw-r--r-- 1 u g x Nov 24 11:17 a", "-rw-r--r-- 1 u g 5 Nov 24 11:17",
            "-rw-r--r-- 1 u g 5 Nov 24 11:17 ",
            "-rw-r--r-- 1 u g 5 Nuv 24 11:17 a", "-rw-r--r-- 1 u g 5 Nov 44 11:17 a", "-rw-r--r-- 1 u g 5 24 Nov 11:17 a", "11-24-26  11:17AM  5 a",
            "-rw-r--r-- 1 u g 5 Nov 24 11:17 a/b", "-rw-r--r-- 1 u g -5 Nov 24 11:17 a",
        ])
    func others(line: String) { #expect(Listed(line, now: now) == nil) }

    @Test("needs a root that can be in a command", arguments: ["c", "", "/a/../b", "/a b", "/a\"b", "/a\nb", "/ä"])
    func roots(root: String) throws {
        let server = FileServer(kind: .sftp(.fingerprint("SHA256:x")), host: "h", port: 22, user: "u", secret: .key("/dev/null"))
        #expect(throws: StoreError.self) { try FTPLab.store(server, root: root) }
    }
}
