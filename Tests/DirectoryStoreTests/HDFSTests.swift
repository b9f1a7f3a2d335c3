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
            await refuseAsFull(store, part, at: "d/x", replication: 2)
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

    @Test("disks that are full are a full store and no file, though all together have room for it", .enabled(if: geteuid() == 0, "mounts"))
    func fullDisks() async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/cairn-full-\(getpid())"
        try Lab.run(lab: "hdfs", directory: directory, ["up", "--port-base", "19700", "--disk-size", "40m"])
        do {
            let environment = try String(contentsOfFile: directory + "/env", encoding: .utf8).split(separator: "\n")
            let address = try #require(environment.first { $0.hasPrefix("export CAIRN_HDFS=") }?.split(separator: "=").last)
            let store = try Lab.store([String(address)], root: "/full", patience: .seconds(20))
            let (first, second) = (content(30 << 20), content(12 << 20))
            try await store.write(first, to: "d/first", replication: 3)
            await refuseAsFull(store, second, at: "d/x", replication: 2)
            #expect(try await store.list("d").map(\.name) == ["first"])
            #expect(try await store.read("d/first") == first)
            // There is room again when it goes, once the DataNodes have told.
            try await store.remove("d/first")
            let limit = ContinuousClock.now + .seconds(60)
            while await store.health().freeBytes?.rawValue ?? 0 < 100 << 20, .now < limit { try await Task.sleep(for: .milliseconds(200)) }
            try await store.write(second, to: "d/x", replication: 3)
            #expect(try await store.read("d/x") == second)
        } catch { Issue.record(error) }
        try Lab.run(lab: "hdfs", directory: directory, ["down"])
    }

    @Test("a connection with the NameNode that ends at any byte, either way, changes nothing of what comes of it")
    func cutNameNode() async throws {
        try await alone {
            let port = try #require(Int(nameNode.split(separator: ":").last ?? ""))
            var number = 0
            try await cuttingAnywhere(relay: { try CuttingRelay(to: port, $0) }) { relay in
                number += 1
                try await useAll(try Lab.store(["http://127.0.0.1:\(relay.port)"], root: "\(root)/\(number)", stallSeconds: 2))
            }
        }
    }

    @Test("a transfer that ends at any byte is made again or goes on, and what comes of it is whole", arguments: ["CREATE", "OPEN"])
    func cutTransfer(operation: String) async throws {
        try await alone {
            let seed = UInt64.random(in: .min ... .max)
            let random = Seeded(seed)
            for piece in 0..<8 {
                let at = piece * (2 << 20) + Int(random.next() % (2 << 20))
                let proxy = try CuttingProxy(nameNode: nameNode, dataNodes: Lab.dataNodes()) { transfer in
                    transfer.operation == operation && transfer.count == 1 ? .init(after: at) : nil
                }
                let store = try Lab.store([proxy.address], root: root)
                do {
                    try await store.write(part, to: "d/\(piece)", replication: 2)
                    #expect(try await store.read("d/\(piece)") == part, "at \(at), seed \(seed)")
                } catch { Issue.record("at \(at), seed \(seed): \(error)") }
                #expect(proxy.transfers.count { $0.operation == operation } > 1, "at \(at), seed \(seed)")
            }
        }
    }

    @Test("a server that stops answering is left: a NameNode is asked again, another DataNode takes the transfer", arguments: ["", "CREATE", "OPEN"])
    func hanging(operation: String) async throws {
        try await alone {
            let proxy = try CuttingProxy(nameNode: nameNode, dataNodes: Lab.dataNodes()) { transfer in
                transfer.operation == operation && transfer.count == 1 ? .init(after: 5 << 20, holds: true) : nil
            }
            // The NameNode's first connection, in the middle of what it has to say.
            let front = try #require(Int(proxy.address.split(separator: ":").last ?? ""))
            let held = Mutex(false)
            let relay = try CuttingRelay(to: front) { passing, bytes in
                guard operation.isEmpty, passing.direction == .down, passing.connection == 1 else { return .pass }
                held.withLock { $0 = true }
                return .hold
            }
            defer { relay.stop() }
            let store = try Lab.store(["http://127.0.0.1:\(relay.port)"], root: root, stallSeconds: 2)
            try await store.write(part, to: "d/x", replication: 2)
            #expect(try await store.read("d/x") == part)
            guard !operation.isEmpty else {
                #expect(held.withLock { $0 })
                return
            }
            let transfers = proxy.transfers.filter { $0.operation == operation }
            #expect(transfers.count > 1 && transfers.dropFirst().allSatisfy { $0.dataNode != transfers[0].dataNode })
        }
    }

    @Test("servers that are slow, longer than one that stops would be waited for, are used")
    func slow() async throws {
        try await alone {
            // 256 chunks: 5 s each way.
            let proxy = try CuttingProxy(nameNode: nameNode, dataNodes: Lab.dataNodes(), pause: 20_000)
            let store = try Lab.store([proxy.address], root: root, stallSeconds: 2)
            try await store.write(part, to: "d/x", replication: 2)
            #expect(try await store.read("d/x") == part)
            #expect(Set(proxy.transfers.map(\.operation)).isSuperset(of: ["CREATE", "OPEN"]))
        }
    }

    @Test("a block that is damaged on a DataNode's disk is read from another; damaged on all of them, it is no content")
    func corrupted() async throws {
        try await alone {
            let store = try Lab.store(root: root, patience: .seconds(5))
            // Of a length that no other block has.
            let bytes = content((1 << 20) + 4_321)
            try await store.write(bytes, to: "x", replication: 3)
            var blocks: [String] = []
            // The last of the copies becomes a block a moment after the others.
            try await Lab.wait(for: "three copies") {
                blocks = (FileManager.default.subpaths(atPath: Lab.directory) ?? []).map { Lab.directory + "/" + $0 }.filter { file in
                    guard (file as NSString).lastPathComponent.hasPrefix("blk_"), file.contains("/finalized/") else { return false }
                    var status = stat()
                    return stat(file, &status) == 0 && Int(status.st_size) == bytes.count
                }
                return blocks.count == 3
            }
            func spoil(_ file: String) throws {
                let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
                try handle.seek(toOffset: 700_000)
                try handle.write(contentsOf: [bytes[700_000] ^ 1])
                try handle.close()
            }
            try spoil(blocks[0])
            for _ in 0..<4 { #expect(try await store.read("x") == bytes) }
            for block in blocks.dropFirst() where FileManager.default.fileExists(atPath: block) { try spoil(block) }
            do throws(StoreError) {
                let read = try await store.read("x")
                // The NameNode may have had a whole copy made meanwhile.
                #expect(read == bytes)
            } catch {
                switch error {
                case .damaged(path: "x", _), .unavailable(path: "x", _): break
                default: Issue.record("\(error)")
                }
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

    @Test("leftovers of three hours ago are removed, later ones not")
    func leftovers() async throws {
        try await alone {
            let store = try Lab.store(root: root)
            for (name, age) in [("old", 3 * 3_600 + 100.0), ("young", 3 * 3_600 - 100)] {
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
