import Curl
import Foundation
import Ports
import Synchronization
import Testing
import Vocabulary

@testable import WebHDFSStore

#if canImport(Glibc)
    import Glibc
#endif

/// Against a server that lies, refuses and breaks off.
@Suite("WebHDFS that cannot be trusted")
struct LyingStoreTests {
    private let bytes = content(100_000)

    private func store(_ addresses: String..., patience: Duration = .seconds(20)) throws -> WebHDFSStore {
        try Lab.store(addresses, root: "/c", patience: patience)
    }
    /// Files at the final names and left over.
    private func names(_ fake: FakeHDFS) -> [String] { fake.files.keys.map { $0.hasPrefix("/c/.tmp/") ? "temporary" : $0 }.sorted() }

    @Test("that stores less than it says leaves nothing at the path", arguments: [0, 1, 50_000, 99_999])
    func truncating(kept: Int) async throws {
        let fake = try FakeHDFS { operation, _ in operation == "CREATE2" ? .keep(kept) : nil }
        let store = try store(fake.address)
        for error in [
            await thrown { () throws(StoreError) in try await store.write(bytes, to: "d/x", replication: 2) },
            await thrown { () throws(StoreError) in try await store.createExclusively(bytes, at: "d/x") },
        ] {
            guard case .damaged(let path, let detail) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(path == "d/x" && detail == "\(kept) of 100000 bytes were stored")
        }
        #expect(names(fake).isEmpty)
    }

    @Test("that changes a bit on the way leaves nothing at the path, and what was there before")
    func changing() async throws {
        let fake = try FakeHDFS { operation, count in operation == "CREATE2" && count > 1 ? .flipBit : nil }
        let store = try store(fake.address)
        try await store.write(bytes, to: "x", replication: 2)
        let other = content(100_000, seed: 2)
        guard case .damaged = await thrown({ () throws(StoreError) in try await store.write(other, to: "x", replication: 2) }) else {
            Issue.record("it was taken")
            return
        }
        #expect(fake.files["/c/x"]?.bytes == bytes)
        #expect(names(fake) == ["/c/x"])
    }

    @Test("what is made while it travels is made again, whatever happened to it, and never taken for whole before", arguments: [0, 1, 2, 3, 4])
    func madeAgain(trouble: Int) async throws {
        let fake = try FakeHDFS { operation, count in
            guard operation == "CREATE2", count <= 2 else { return nil }
            return [.cut(afterDoing: false), .cut(afterDoing: true), .keep(-1), .keep(1_000_000), .flipBit][trouble]
        }
        let source = Pieces(pieces: [content(3 << 20), content(777, seed: 2), content(1 << 20, seed: 3)])
        try await store(fake.address).write(source, to: "d/x", replication: 2)
        #expect(fake.files["/c/d/x"]?.bytes == Array(source.pieces.joined()))
        #expect(names(fake) == ["/c/d/x"])
    }

    @Test("what is made while it travels and never arrives whole leaves nothing", arguments: [true, false])
    func neverMade(isBit: Bool) async throws {
        let fake = try FakeHDFS { operation, _ in operation == "CREATE2" ? (isBit ? .flipBit : .keep(1_000_000)) : nil }
        let source = Pieces(pieces: [content(3 << 20), content(1 << 20, seed: 3)])
        let store = try store(fake.address)
        let error = await thrown { () throws(StoreError) in try await store.write(source, to: "d/x", replication: 2) }
        guard case .damaged = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(names(fake).isEmpty)
    }

    @Test("once only is tried again")
    func damagedOnce() async throws {
        let fake = try FakeHDFS { operation, count in operation == "CREATE2" && count == 1 ? .flipBit : nil }
        try await store(fake.address).write(bytes, to: "x", replication: 2)
        #expect(fake.files["/c/x"]?.bytes == bytes)
        #expect(names(fake) == ["/c/x"])
    }

    @Test("whose checksum is unknown, or wrong for what is right, is read back")
    func readingBack() async throws {
        for fault in [FakeHDFS.Fault.strangeChecksum, .wrongChecksum] {
            let fake = try FakeHDFS { operation, _ in operation == "GETFILECHECKSUM2" ? fault : nil }
            try await store(fake.address).write(bytes, to: "x", replication: 2)
            #expect(fake.files["/c/x"]?.bytes == bytes)
            #expect(fake.operations.contains("OPEN2"))
        }
        let fake = try FakeHDFS { operation, _ in operation == "GETFILECHECKSUM2" ? .strangeChecksum : operation == "CREATE2" ? .flipBit : nil }
        let store = try store(fake.address)
        guard case .damaged = await thrown({ () throws(StoreError) in try await store.write(bytes, to: "x", replication: 2) }) else {
            Issue.record("it was taken")
            return
        }
        #expect(names(fake).isEmpty)
    }

    @Test("breaking off in the middle of an upload is tried again, under another name")
    func brokenUpload() async throws {
        let fake = try FakeHDFS { operation, count in
            guard operation == "CREATE2" else { return nil }
            return count == 1 ? .keep(-1) : count == 2 ? .cut(afterDoing: true) : nil
        }
        try await store(fake.address).write(bytes, to: "x", replication: 2)
        #expect(fake.files["/c/x"]?.bytes == bytes)
        #expect(fake.operations.count { $0 == "CREATE2" } == 3)
        #expect(names(fake) == ["/c/x"])
    }

    @Test("an answer that ends anywhere in its head is none", arguments: [0, 5, 12, 20, 26, 60, 73, 74])
    func cutHead(length: Int) async throws {
        let head = Array("HTTP/1.1 307 Elsewhere\r\nContent-Length: 0\r\nLocation: http://127.0.0.1/x\r\n\r\n".utf8)
        let server = try LoopbackServer { exchange in Exchange.send(exchange.connection, Array(head.prefix(length))) }
        let error = await #expect(throws: HTTPError.self) { _ = try await HTTPClient().send(HTTPRequest("PUT", server.address)) }
        guard case .broken = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let whole = try LoopbackServer { exchange in Exchange.send(exchange.connection, head) }
        let answer = try await HTTPClient().send(HTTPRequest("PUT", whole.address))
        #expect(answer.status == 307 && answer.headers["location"] == "http://127.0.0.1/x")
    }

    @Test("breaking off a download goes on where it broke")
    func brokenDownload() async throws {
        let fake = try FakeHDFS { operation, count in operation == "OPEN2" && count <= 4 ? .keep(20_000) : nil }
        let store = try store(fake.address)
        try await store.write(bytes, to: "x", replication: 2)
        #expect(try await store.read("x") == bytes)
        #expect(fake.operations.count { $0 == "OPEN2" } == 5)
    }

    @Test("that loses the answer of a rename is asked again, and the file's id tells what happened", arguments: [true, false])
    func lostRename(done: Bool) async throws {
        let fake = try FakeHDFS { operation, count in operation == "RENAME" && count % 2 == 1 ? .cut(afterDoing: done) : nil }
        let store = try store(fake.address)
        #expect(try await store.createExclusively(bytes, at: "d/epoch"))
        #expect(try await !store.createExclusively([1], at: "d/epoch"))
        #expect(try await store.commit([2], as: "d/manifest", replication: 2))
        #expect(fake.files["/c/d/epoch"]?.bytes == bytes)
        #expect(names(fake) == ["/c/d/epoch", "/c/d/manifest"])
    }

    @Test("that ignores the options of a rename is found out")
    func noOptions() async throws {
        let fake = try FakeHDFS { operation, _ in operation == "RENAME" ? .noOptions : nil }
        let store = try store(fake.address)
        // Where it did what was meant, no harm is done.
        #expect(try await store.createExclusively([1], at: "x"))
        try await store.makeDirectory("d")
        guard case .failed = await thrown({ () throws(StoreError) in try await store.commit([2], as: "d", replication: 1) }) else {
            Issue.record("it moved the file into the directory, and that was taken for a commit")
            return
        }
    }

    @Test(
        "not ready yet is waited for",
        arguments: [
            FakeHDFS.Fault.refuse(403, "SafeModeException", "Cannot create /x. Name node is in safe mode."),
            .refuse(403, "RetriableException", "Namenode is in startup mode"),
            .refuse(403, "RemoteException", "Cannot create file/x. Name node is in safe mode."),
            .refuse(403, "IOException", "Failed to find datanode, suggest to check cluster health."),
            .status(503), .status(500), .status(404), .cut(afterDoing: false),
        ])
    func notReady(fault: FakeHDFS.Fault) async throws {
        let first = ["CREATE", "GETFILESTATUS", "MKDIRS", "RENAME", "OPEN"]
        let fake = try FakeHDFS { operation, count in first.contains(operation) && count <= 2 ? fault : nil }
        let store = try store(fake.address)
        try await store.write(bytes, to: "d/x", replication: 2)
        #expect(try await store.read("d/x") == bytes)
        // Not for ever.
        let never = try FakeHDFS { _, _ in fault }
        let impatient = try self.store(never.address, patience: .milliseconds(300))
        guard case .unavailable = await thrown({ () throws(StoreError) in try await impatient.write(bytes, to: "d/x", replication: 2) }) else {
            Issue.record("it is not unavailable")
            return
        }
    }

    @Test(
        "that refuses is not asked again",
        arguments: [
            (FakeHDFS.Fault.refuse(403, "AccessControlException", "No"), StoreError.denied(path: "d/x", detail: "AccessControlException: No")),
            (.refuse(403, "NSQuotaExceededException", "Names"), .full(path: "d/x", detail: "NSQuotaExceededException: Names")),
            (.refuse(403, "DSQuotaExceededException", "Space"), .full(path: "d/x", detail: "DSQuotaExceededException: Space")),
            (.refuse(400, "IllegalArgumentException", "Invalid value"), .failed(path: "d/x", detail: "IllegalArgumentException: Invalid value")),
            (.status(401), .denied(path: "d/x", detail: "status 401: the servers want a proof of identity: authentication: kerberos, or token")),
        ])
    func refusing(fault: FakeHDFS.Fault, expected: StoreError) async throws {
        let fake = try FakeHDFS { operation, _ in operation == "CREATE2" ? fault : nil }
        let store = try store(fake.address)
        #expect(await thrown { () throws(StoreError) in try await store.write(bytes, to: "d/x", replication: 2) } == expected)
        #expect(fake.operations.count { $0 == "CREATE2" } == 1)
        #expect(names(fake).isEmpty)
    }

    @Test("of several NameNodes the one in charge is found, and asked first from then on")
    func standby() async throws {
        let waiting = try FakeHDFS { _, _ in .refuse(403, "StandbyException", "Operation category READ is not supported in state standby") }
        let active = try FakeHDFS()
        let gone = try FakeHDFS()
        gone.stop()
        let store = try store(gone.address, waiting.address, active.address)
        try await store.write(bytes, to: "d/x", replication: 2)
        #expect(try await store.read("d/x") == bytes)
        #expect(active.files["/c/d/x"]?.bytes == bytes)
        #expect(waiting.operations.count == 1)
        #expect(await store.health().reachable)
    }

    @Test("is asked for replicas and for a block that holds the whole")
    func replicas() async throws {
        let fake = try FakeHDFS()
        try await store(fake.address).write(bytes, to: "x", replication: 2)
        #expect(fake.files["/c/x"]?.replication == 2)
        #expect(fake.files["/c/x"]?.blockSize == 1 << 20)
    }

    @Test("that is away is unhealthy at once, and says nothing of users or tokens")
    func away() async throws {
        let fake = try FakeHDFS()
        let address = fake.address
        fake.stop()
        let store = try store(address.replacing("//", with: "//someone:secret@"), patience: .milliseconds(200))
        let health = await store.health()
        #expect(!health.reachable && !health.detail.isEmpty && health.freeBytes == nil)
        let error = await thrown { () throws(StoreError) in try await store.read("x") }
        guard case .unavailable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        for text in ["\(String(describing: error))", health.detail, store.properties.location] {
            #expect(!text.contains("secret") && !text.contains("user.name"), "\(text)")
        }
    }

    @Test("is not asked through the proxy that the environment names")
    func ignoresProxies() async {
        await #expect(processExitsWith: .success) {
            setenv("http_proxy", "http://127.0.0.1:1", 1)
            setenv("all_proxy", "http://127.0.0.1:1", 1)
            unsetenv("no_proxy")
            let server = try LoopbackServer { $0.answer(200, Array("here".utf8)) }
            let answer = try await HTTPClient().send(HTTPRequest("GET", server.address))
            #expect(answer.body == Array("here".utf8))
        }
    }

    @Test("is asked many things at once, however slow it is with each")
    func parallelRequests() async throws {
        // Each of twelve is answered when all twelve have come: they are on their way together, or never answered.
        final class Arrivals: Sendable { let count = Mutex(0) }
        let (count, come) = (12, Arrivals())
        let server = try LoopbackServer { exchange in
            come.count.withLock { $0 += 1 }
            while come.count.withLock({ $0 }) < count { usleep(1_000) }
            exchange.answer(200)
        }
        let client = HTTPClient()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<count { group.addTask { try await client.send(HTTPRequest("GET", server.address, timeoutSeconds: 60)).status } }
            for try await status in group { #expect(status == 200) }
        }
    }

    @Test(
        "needs addresses, a root and a user",
        arguments: [
            ([], "/c", "u"), (["ftp://host:1"], "/c", "u"), (["http://"], "/c", "u"), (["http://h:1"], "c", "u"), (["http://h:1"], "/a/../c", "u"),
            (["http://h:1"], "/a:b", "u"), (["http://h:1"], "/c", ""),
        ])
    func addresses(nameNodes: [String], root: String, user: String) {
        #expect(throws: StoreError.self) { try WebHDFSStore(nameNodes: nameNodes, root: root, identity: .user(user), random: Seeded(1)) }
    }

    @Test("takes addresses as people write them")
    func kindAddresses() throws {
        let store = try WebHDFSStore(nameNodes: ["nn1:9870", "https://nn2:9871/"], root: "/c//d/", identity: .user("u"), random: Seeded(1))
        #expect(store.hdfs.nameNodes == ["http://nn1:9870", "https://nn2:9871"])
        #expect(
            store.properties
                == StoreProperties(
                    kind: "webhdfs", location: "webhdfs://nn1:9870,nn2:9871/c/d", replicates: true, flushes: false, partsPerObject: 16,
                    objectRounding: 4_608))
    }
}
