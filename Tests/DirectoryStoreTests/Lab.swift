import Curl
import Foundation
import Ports
import Testing
import WebHDFSStore

/// The HDFS that `scripts/lab hdfs run -- swift test` gives: its NameNode, and the lab's directory.
enum Lab {
    static let nameNode = ProcessInfo.processInfo.environment["CAIRN_HDFS"]
    static let directory = ProcessInfo.processInfo.environment["CAIRN_HDFS_DIR"] ?? ""
    static var isThere: Bool { nameNode != nil }
    static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("scripts/lab").path

    /// A store at a root of its own.
    static func store(_ nameNodes: [String]? = nil, root: String, patience: Duration = .seconds(60), stallSeconds: Int = 15) throws -> WebHDFSStore {
        let addresses = try nameNodes ?? [#require(nameNode)]
        return try WebHDFSStore(
            nameNodes: addresses, root: root, identity: .user("cairn"), random: Seeded(UInt64.random(in: .min ... .max)), patience: patience,
            stallSeconds: stallSeconds)
    }

    static func freshRoot() -> String { "/tests/" + UUID().uuidString }

    // MARK: Turns

    static let turnstile = Turnstile()

    /// Those who only use the lab go together; who kills its servers goes alone.
    actor Turnstile {
        private var inside = 0
        private var isTaken = false
        private var waiting: [CheckedContinuation<Void, Never>] = []

        private func enter(alone: Bool) async {
            while isTaken || (alone && inside > 0) { await withCheckedContinuation { waiting.append($0) } }
            if alone { isTaken = true }
            inside += 1
        }
        private func leave() {
            inside -= 1
            isTaken = false
            let next = waiting
            waiting = []
            for one in next { one.resume() }
        }
        nonisolated func together(_ body: () async throws -> Void) async throws { try await pass(alone: false, body) }
        nonisolated func alone(_ body: () async throws -> Void) async throws { try await pass(alone: true, body) }
        private nonisolated func pass(alone: Bool, _ body: () async throws -> Void) async throws {
            await enter(alone: alone)
            do { try await body() } catch {
                await leave()
                throw error
            }
            await leave()
        }
    }

    // MARK: Servers

    struct Failure: Error { let detail: String }

    /// `scripts/lab hdfs WORD...` on this lab.
    static func run(_ words: String...) throws { try run(lab: "hdfs", directory: directory, words) }

    /// `scripts/lab LAB WORD...` on the lab in a directory.
    static func run(lab: String, directory: String, _ words: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: script)
        // Options go before what is for another program.
        let own = Array(words.prefix { $0 != "--" })
        process.arguments = [lab] + own + ["--dir", directory] + words.dropFirst(own.count)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        let status = process.terminationStatus
        guard status == 0 else { throw Failure(detail: "scripts/lab \(lab) \(words.joined(separator: " ")) ended with \(status)") }
    }

    /// HTTP ports of the DataNodes, as they are configured: the first is that of DataNode 1.
    static func dataNodes() throws -> [Int] {
        try (1...3).map { number in
            let text = try String(contentsOfFile: directory + "/conf-dn\(number)/hdfs-site.xml", encoding: .utf8)
            let port = text.split(separator: "dfs.datanode.http.address</name><value>127.0.0.1:").last?.prefix { $0.isNumber }
            return try #require(Int(port ?? ""))
        }
    }

    static func kill(dataNodeAt port: Int) {
        do {
            let number = try #require(try dataNodes().firstIndex(of: port)) + 1
            try run("kill-datanode", String(number))
        } catch { Issue.record("cannot kill the DataNode at \(port): \(error)") }
    }

    /// Starts what does not run, and waits until all is as it was.
    static func makeWhole() async throws {
        let client = HTTPClient(connectSeconds: 2)
        func answers(_ address: String) async -> Bool {
            do throws(HTTPError) {
                return try await client.send(HTTPRequest("GET", address + "/jmx?qry=none", timeoutSeconds: 5)).status < 500
            } catch { return false }
        }
        let nameNode = try #require(nameNode)
        if await !answers(nameNode) { try run("start-namenode") }
        let ports = try dataNodes()
        for (index, port) in ports.enumerated() where await !answers("http://127.0.0.1:\(port)") { try run("start-datanode", String(index + 1)) }
        let store = try store(root: "/tests")
        try await wait(for: "three DataNodes") {
            for port in ports where await !answers("http://127.0.0.1:\(port)") { return false }
            let health = await store.health()
            return health.reachable && health.liveHosts == 3 && health.detail.isEmpty
        }
    }

    /// Waits until it is so; two minutes are more than any server takes.
    static func wait(for what: String, until isSo: () async -> Bool) async throws {
        for _ in 0..<600 {
            if await isSo() { return }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw Failure(detail: "waited in vain for \(what)")
    }
}
