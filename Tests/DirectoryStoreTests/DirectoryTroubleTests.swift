import DirectoryStore
import Foundation
import Ports
import Synchronization
import Testing
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// A directory on a real file system, that fills up, is written to behind the store's back, or loses its writer.
@Suite("A directory in trouble")
struct DirectoryTroubleTests {
    private func withRoot(below folder: String = NSTemporaryDirectory(), _ body: (_ root: String) async throws -> Void) async throws {
        let root = folder + "/cairn-store-" + UUID().uuidString
        defer {
            do { try FileManager.default.removeItem(atPath: root) } catch { Issue.record("\(root) stays: \(error)") }
        }
        try await body(root)
    }
    private func store(_ root: String) throws -> DirectoryStore { try DirectoryStore(root: root, random: Seeded(UInt64.random(in: .min ... .max))) }
    private func unfinished(_ root: String) -> [String] { FileManager.default.subpaths(atPath: root + "/.tmp") ?? [] }

    private static let small = SFTPLab.small ?? FTPLab.small

    @Test("a full disk is a full store, and no file", .enabled(if: small != nil, "scripts/lab sftp run -- swift test"))
    func full() async throws {
        let lab = SFTPLab.small == nil ? FTPLab.turnstile : SFTPLab.turnstile
        try await lab.alone {
            try await withRoot(below: try #require(Self.small)) { root in
                try await fillUp(try store(root))
                #expect(unfinished(root).isEmpty)
            }
        }
    }

    @Test("a writer that is killed at any moment leaves nothing at the path, or all of it, and what it leaves goes later", arguments: 1...6)
    func killedWriter(milliseconds: Int) async throws {
        try await withRoot { root in
            await #expect(processExitsWith: .signal(SIGKILL)) { [root = root as String, milliseconds = milliseconds as Int] in
                let store = try DirectoryStore(root: root, random: Seeded(UInt64(milliseconds)))
                let (large, begun) = (content(16 << 20), DispatchSemaphore(value: 0))
                Thread.detachNewThread {
                    begun.wait()
                    usleep(UInt32(milliseconds * 3_000))
                    kill(getpid(), SIGKILL)
                }
                try await store.makeDirectory("d")
                begun.signal()
                for number in 0... { try await store.write(large, to: "d/\(number)", replication: 1) }
            }
            let store = try store(root)
            for entry in try await store.list("d") { #expect(try await store.read("d/\(entry.name)") == content(16 << 20)) }
            for left in unfinished(root) {
                try FileManager.default.setAttributes([.modificationDate: Date() - 2 * 3_600], ofItemAtPath: root + "/.tmp/" + left)
            }
            _ = try self.store(root)
            #expect(unfinished(root).isEmpty)
        }
    }

    @Test("what was cut short or changed behind its back is handed out as it is, and written again it is whole")
    func changed() async throws {
        try await withRoot { root in
            let (store, bytes) = (try store(root), content(100_000))
            try await store.write(bytes, to: "d/x", replication: 1)
            truncate(root + "/d/x", 400)
            #expect(try await store.read("d/x") == Array(bytes.prefix(400)))
            #expect(try await store.read("d/x", range: 300..<5_000) == Array(bytes[300..<400]))
            try await store.write(bytes, to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == bytes)
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: root + "/d/x"))
            try file.seek(toOffset: 500)
            try file.write(contentsOf: [bytes[500] ^ 1])
            try file.close()
            try await store.write(bytes, to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == bytes)
        }
    }

    @Test("a root that is gone is said, with where, and an empty one knows nothing")
    func gone() async throws {
        try await withRoot { root in
            let store = try store(root)
            try await store.makeDirectory("open")
            #expect(try await store.commit([1], as: "open/m", replication: 1))
            let away = root + "-away"
            try FileManager.default.moveItem(atPath: root, toPath: away)
            #expect(await !store.health().reachable)
            #expect(await thrown { () throws(StoreError) in try await store.read("open/m") } == .notFound(path: "open/m"))
            let error = await thrown { () throws(StoreError) in try await store.commit([2], as: "open/n", replication: 1) }
            #expect(error == .notFound(path: "open/n"))
            try FileManager.default.moveItem(atPath: away, toPath: root)
            #expect(await store.health().reachable)
            #expect(try await store.commit([2], as: "open/n", replication: 1))
            #expect(try await store.list("open").map(\.name) == ["m", "n"])
        }
    }
}
