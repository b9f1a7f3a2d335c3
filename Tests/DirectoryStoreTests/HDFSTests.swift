import Curl
import Foundation
import Ports
import Testing
import Vocabulary

@testable import WebHDFSStore

#if canImport(Glibc)
    import Glibc
#endif

/// On a real HDFS, whose servers are killed and started again.
@Suite("HDFS in trouble", .serialized, .enabled(if: Lab.isThere, "scripts/lab hdfs run -- swift test"))
struct HDFSTests {
    private let part = content(16 << 20)
    private let root = Lab.freshRoot()

    private var nameNode: String { get throws { try #require(Lab.nameNode) } }
    private func path(_ path: String) -> String { root + "/" + path }

    /// Runs `body` with the lab to itself, and leaves it whole.
    private func alone(_ body: () async throws -> Void) async throws {
        try await Lab.turnstile.alone {
            do { try await body() } catch {
                try await Lab.makeWhole()
                throw error
            }
            try await Lab.makeWhole()
            try await Lab.store(root: "/tests").remove(String(root.dropFirst("/tests/".count)))
        }
    }

    @Test("as many replicas are kept as were asked for", arguments: [1, 2, 3])
    func replicas(count: Int) async throws {
        try await alone {
            let store = try Lab.store(root: root)
            try await store.write(part, to: "x", replication: count)
            let status = try #require(try await store.status("x", until: store.deadline()))
            #expect(status.replication == count)
            #expect(status.length == 16 << 20 && status.blockSize == 16 << 20)
        }
    }

    @Test("a quota is a full store, and no file")
    func quota() async throws {
        try await alone {
            let store = try Lab.store(root: root, patience: .seconds(20))
            try await store.makeDirectory("d")
            try Lab.run("admin", "--", "-setSpaceQuota", "20m", root)
            // 16 MiB in a block of 16 MiB, twice: 32 MiB.
            for error in [
                await thrown { () throws(StoreError) in try await store.write(part, to: "d/x", replication: 2) },
                await thrown { () throws(StoreError) in try await store.commit(part, as: "d/x", replication: 2) },
                await thrown { () throws(StoreError) in try await store.createExclusively(part, at: "d/x") },
            ] {
                guard case .full(path: "d/x", _) = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
            #expect(try await store.list("d").isEmpty)
            #expect(try await store.statuses(below: path(".tmp"), for: ".tmp", until: store.deadline()).isEmpty)
            try await store.write(part, to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == part)
            try Lab.run("admin", "--", "-clrSpaceQuota", root)
            // Names: the root, `.tmp`, `d` and `d/x`.
            try Lab.run("admin", "--", "-setQuota", "4", root)
            guard case .full = await thrown({ () throws(StoreError) in try await store.write([1], to: "d/y", replication: 1) }) else {
                Issue.record("more names than the quota has")
                return
            }
        }
    }

    @Test("an upload that breaks in the middle is sent again, by another DataNode", arguments: [false, true])
    func brokenUpload(kills: Bool) async throws {
        try await alone {
            let dataNodes = try Lab.dataNodes()
            let proxy = try CuttingProxy(nameNode: nameNode, dataNodes: dataNodes) { transfer in
                guard transfer.operation == "CREATE", transfer.count == 1 else { return nil }
                return .init(after: 5 << 20) { if kills { Lab.kill(dataNodeAt: transfer.dataNode) } }
            }
            let store = try Lab.store([proxy.address], root: root)
            try await store.write(part, to: "d/x", replication: 2)
            let uploads = proxy.transfers.filter { $0.operation == "CREATE" }
            #expect(uploads.count > 1)
            #expect(uploads.dropFirst().allSatisfy { $0.dataNode != uploads[0].dataNode })
            #expect(try await store.read("d/x") == part)
            #expect(try await store.list("d").map(\.name) == ["x"])
        }
    }

    @Test("a download that breaks in the middle goes on where it broke, from another DataNode", arguments: [false, true])
    func brokenDownload(kills: Bool) async throws {
        try await alone {
            let proxy = try CuttingProxy(nameNode: nameNode, dataNodes: Lab.dataNodes()) { transfer in
                guard transfer.operation == "OPEN", transfer.count == 1 else { return nil }
                return .init(after: 5 << 20) { if kills { Lab.kill(dataNodeAt: transfer.dataNode) } }
            }
            let store = try Lab.store([proxy.address], root: root)
            try await store.write(part, to: "x", replication: 3)
            #expect(try await store.read("x") == part)
            let downloads = proxy.transfers.filter { $0.operation == "OPEN" }
            #expect(downloads.count > 1)
            #expect(downloads.dropFirst().allSatisfy { $0.dataNode != downloads[0].dataNode })
        }
    }

    @Test("a DataNode that dies while many parts travel loses none", arguments: [1, 2, 3])
    func dataNodeDies(dataNode: Int) async throws {
        try await alone {
            let store = try Lab.store(root: root)
            let parts = (0..<8).map { content(4 << 20, seed: UInt64($0)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<8 { group.addTask { try await store.write(parts[index], to: "objects/\(index)", replication: 2) } }
                // The first has arrived: the others are on their way.
                try await group.next()
                group.addTask { try Lab.run("kill-datanode", String(dataNode)) }
                for index in 0..<8 { group.addTask { try await store.write(parts[index], to: "more/\(index)", replication: 2) } }
                try await group.waitForAll()
            }
            for index in 0..<8 {
                #expect(try await store.read("objects/\(index)") == parts[index])
                #expect(try await store.read("more/\(index)") == parts[index])
            }
        }
    }

    @Test("a NameNode that is stopped and started is waited for")
    func nameNodeRestarts() async throws {
        try await alone {
            let store = try Lab.store(root: root)
            try await store.write([1, 2, 3], to: "before", replication: 2)
            try Lab.run("stop-namenode")
            #expect(await !store.health().reachable)
            let impatient = try Lab.store(root: root, patience: .milliseconds(500))
            guard case .unavailable = await thrown({ () throws(StoreError) in try await impatient.read("before") }) else {
                Issue.record("it answers though it is stopped")
                return
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await store.write(content(1 << 20), to: "d/x", replication: 2) }
                group.addTask {
                    let won = try await store.createExclusively([1], at: "epochs/1")
                    #expect(won)
                }
                group.addTask {
                    let bytes = try await store.read("before")
                    #expect(bytes == [1, 2, 3])
                }
                group.addTask { try Lab.run("start-namenode") }
                try await group.waitForAll()
            }
            #expect(try await store.read("d/x") == content(1 << 20))
            #expect(try await store.read("epochs/1") == [1])
            #expect(await store.health().reachable)
        }
    }

    @Test("a NameNode in safe mode is waited for, and of several the one that answers is found")
    func safeMode() async throws {
        try await alone {
            // The first address is one that nobody listens at.
            let store = try Lab.store(["http://127.0.0.1:1", nameNode], root: root)
            try await store.makeDirectory("open")
            #expect(try await store.commit([1], as: "open/before", replication: 2))
            try Lab.run("admin", "--", "-safemode", "enter")
            do {
                #expect(await !store.health().reachable)
                let impatient = try Lab.store(root: root, patience: .milliseconds(500))
                guard
                    case .unavailable(path: "d/x", let detail) = await thrown({ () throws(StoreError) in
                        try await impatient.write([1], to: "d/x", replication: 2)
                    })
                else {
                    Issue.record("it takes what it cannot keep")
                    throw Lab.Failure(detail: "safe mode")
                }
                #expect(detail.contains("safe mode"))
                #expect(try await store.read("open/before") == [1])
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        let isCommitted = try await store.commit([2], as: "open/after", replication: 2)
                        #expect(isCommitted)
                    }
                    group.addTask { try Lab.run("admin", "--", "-safemode", "leave") }
                    try await group.waitForAll()
                }
            } catch {
                try Lab.run("admin", "--", "-safemode", "leave")
                throw error
            }
            #expect(try await store.list("open").map(\.name) == ["after", "before"])
        }
    }

    @Test("a writer that is killed in the middle leaves nothing at the path")
    func killedWriter() async throws {
        try await alone {
            let (root, nameNode, dataNodes) = (root, try nameNode, try Lab.dataNodes())
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [root = root as String, nameNode = nameNode as String, dataNodes = dataNodes as [Int]] in
                let proxy = try CuttingProxy(nameNode: nameNode, dataNodes: dataNodes) { transfer in
                    transfer.operation == "CREATE" ? .init(after: 5 << 20) { kill(getpid(), SIGKILL) } : nil
                }
                try await Lab.store([proxy.address], root: root).write(content(16 << 20), to: "d/x", replication: 2)
            }
            let store = try Lab.store(root: root)
            #expect(await thrown { () throws(StoreError) in try await store.read("d/x") } == .notFound(path: "d/x"))
            #expect(try await store.list("d").isEmpty)
            let left = try await store.statuses(below: path(".tmp"), for: ".tmp", until: store.deadline())
            #expect(left.count == 1 && left.allSatisfy { $0.length < 16 << 20 })
            #expect(try await store.createExclusively(part, at: "d/x"))
            #expect(try await store.read("d/x") == part)
        }
    }

    @Test("leftovers of an hour ago are removed, later ones not")
    func leftovers() async throws {
        try await alone {
            let store = try Lab.store(root: root)
            for (name, age) in [("old", 3_700.0), ("young", 3_500)] {
                let create = WebHDFS.Operation(method: "PUT", name: "CREATE", file: path(".tmp/" + name), path: name)
                _ = try await store.hdfs.transfer(create, body: [1])
                let time = Int64((Date().timeIntervalSince1970 - age) * 1_000)
                var times = WebHDFS.Operation(method: "PUT", name: "SETTIMES", file: path(".tmp/" + name), path: name)
                times.parameters = [("modificationtime", String(time))]
                _ = try await store.hdfs.ask(times)
            }
            try await store.write([1], to: "x", replication: 1)
            #expect(try await store.statuses(below: path(".tmp"), for: ".tmp", until: store.deadline()).map(\.pathSuffix) == ["young"])
        }
    }

    @Test("a dead DataNode is told by its health, with those that live")
    func health() async throws {
        try await alone {
            let store = try Lab.store(root: root)
            #expect(await store.health().liveHosts == 3)
            try Lab.run("kill-datanode", "2")
            // The NameNode believes in it until it has missed its heartbeats.
            try await Lab.wait(for: "a dead DataNode") { await store.health().liveHosts == 2 }
            let health = await store.health()
            #expect(health.reachable && health.detail == "1 of 3 DataNodes is dead")
        }
    }
}
