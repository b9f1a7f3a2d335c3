import Foundation
import Ports
import Synchronization
import Vocabulary

/// A machine whose guests' disks are real qcow2 layers, written, read and merged by `qemu-img` and `qemu-io`. A guest is a number of blocks that
/// it has written and what it wrote to each; its memory image is that as JSON.
final class QcowMachine: Hypervisor {
    struct Guest: Codable {
        var name: String
        /// What it knows to be on its disk, by block of 64 KiB.
        var blocks: [Int: Int] = [:]
        var active: String
    }
    private struct State {
        var guests: [String: Guest] = [:]
        var mispairings: [String] = []
        var merges = 0
        /// The next merge stops: after copying so many blocks, or with all copied and the layer above not put on the base yet.
        var stopAfter: Int?
    }
    private let state = Mutex(State())
    private static let blockBytes = 65_536

    static let isThere = ["qemu-img", "qemu-io"].allSatisfy { FileManager.default.isExecutableFile(atPath: "/usr/bin/" + $0) }

    var mispairings: [String] { state.withLock { $0.mispairings } }
    var merges: Int { state.withLock { $0.merges } }
    func interruptMerge(after blocks: Int?) { state.withLock { $0.stopAfter = blocks } }
    func blocks(of name: String) -> [Int: Int]? { state.withLock { $0.guests[name]?.blocks } }
    func lose(_ name: String) { state.withLock { $0.guests[name] = nil } }

    /// The guest writes.
    func write(_ name: String, _ values: [Int: Int]) throws {
        guard let guest = state.withLock({ $0.guests[name] }) else { throw HypervisorError.noSuchDomain(name: name) }
        try Self.write(values, to: guest.active)
        state.withLock { $0.guests[name]?.blocks.merge(values) { $1 } }
    }

    /// The guest reads all that it has written.
    func check(_ name: String) throws {
        guard let guest = state.withLock({ $0.guests[name] }) else { return }
        if let wrong = try Self.wrongBlock(guest.blocks, in: guest.active) {
            state.withLock { $0.mispairings.append("\(name): block \(wrong) of \(guest.active)") }
        }
    }

    // MARK: Tools

    @discardableResult
    private static func run(_ tool: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/" + tool)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw HypervisorError.failed(operation: tool, name: arguments.last ?? "", code: process.terminationStatus, detail: text)
        }
        return text
    }

    private static func write(_ values: [Int: Int], to layer: String) throws {
        guard !values.isEmpty else { return }
        let commands = values.sorted { $0.key < $1.key }.flatMap { ["-c", "write -q -P \($1) \($0 * blockBytes) \(blockBytes)"] }
        try run("qemu-io", ["-f", "qcow2"] + commands + [layer])
    }

    private static func wrongBlock(_ values: [Int: Int], in layer: String) throws -> String? {
        guard !values.isEmpty else { return nil }
        let commands = values.sorted { $0.key < $1.key }.flatMap { ["-c", "read -P \($1) \($0 * blockBytes) \(blockBytes)"] }
        let text = try run("qemu-io", ["-r", "-U", "-f", "qcow2"] + commands + [layer])
        return text.split(separator: "\n").first { $0.contains("Pattern verification failed") }.map(String.init)
    }

    private static func backing(of layer: String) throws -> String? {
        struct Information: Decodable {
            var backing: String?
            enum CodingKeys: String, CodingKey { case backing = "full-backing-filename" }
        }
        return try JSONDecoder().decode(Information.self, from: Data(run("qemu-img", ["info", "-U", "--output=json", layer]).utf8)).backing
    }

    private func attempt<Value>(_ operation: String, _ name: String, _ body: () throws -> Value) throws(HypervisorError) -> Value {
        do { return try body() } catch let error as HypervisorError { throw error } catch {
            throw .failed(operation: operation, name: name, code: 0, detail: "\(error)")
        }
    }

    // MARK: The port

    func capabilities() async throws(HypervisorError) -> HypervisorCapabilities {
        HypervisorCapabilities(
            uri: "qcow:///", driver: "qcow2", version: "1", acceleration: .emulation, captureWays: [.pausedSnapshot], mergesLayers: true)
    }
    func start(_ domain: DomainDescription) async throws(HypervisorError) {
        try bring(up: Guest(name: domain.name, active: domain.activeLayer))
    }
    private func bring(up guest: Guest) throws(HypervisorError) {
        let isNew = state.withLock { state in
            guard state.guests[guest.name] == nil else { return false }
            state.guests[guest.name] = guest
            return true
        }
        guard isNew else { throw .alreadyRunning(name: guest.name) }
        try attempt("check", guest.name) { try check(guest.name) }
    }
    func status(_ name: String) async throws(HypervisorError) -> DomainStatus? {
        state.withLock { $0.guests[name] }.map { _ in
            DomainStatus(name: name, state: .running, process: nil, cpuSeconds: .zero, blockWrittenBytes: .zero)
        }
    }
    func domains() async throws(HypervisorError) -> [DomainStatus] { [] }

    func capture(_ name: String, memoryPath: String, nextLayer: String, way: CaptureWay) async throws(HypervisorError) -> Capture {
        guard var guest = state.withLock({ $0.guests[name] }) else { throw .noSuchDomain(name: name) }
        try attempt("capture", name) {
            try JSONEncoder().encode(guest).write(to: URL(fileURLWithPath: memoryPath))
            guest.active = nextLayer
            state.withLock { $0.guests[name]?.active = nextLayer }
        }
        return Capture(way: way, stopSeconds: Seconds(0.1), elapsedSeconds: Seconds(0.1), definition: "<domain><name>\(name)</name></domain>")
    }

    func definition(_ name: String) async throws(HypervisorError) -> String {
        guard let guest = state.withLock({ $0.guests[name] }) else { throw .noSuchDomain(name: name) }
        return guest.active
    }

    func chain(_ name: String) async throws(HypervisorError) -> [String] {
        guard let guest = state.withLock({ $0.guests[name] }) else { throw .noSuchDomain(name: name) }
        return try attempt("chain", name) {
            var chain = [guest.active]
            while let below = try Self.backing(of: chain[chain.count - 1]) { chain.append(below) }
            return chain
        }
    }

    func mergeLayers(_ name: String, from top: String, into base: String, limit: Seconds) async throws(HypervisorError) {
        let chain = try await chain(name)
        guard let high = chain.firstIndex(of: top), let low = chain.firstIndex(of: base), 0 < high, high < low else {
            throw .failed(operation: "merge", name: name, code: 1, detail: "\(base) and \(top) are not below the layer in use: \(chain)")
        }
        let stop = state.withLock { state in
            defer { state.stopAfter = nil }
            return state.stopAfter
        }
        try attempt("merge", name) {
            if let stop {
                // What a job that dies has done: some of what is seen through `top` is in `base` already.
                let seen = state.withLock { $0.guests[name]?.blocks ?? [:] }
                var copied: [Int: Int] = [:]
                for (block, value) in seen.sorted(by: { $0.key < $1.key }) where copied.count < stop {
                    if try Self.wrongBlock([block: value], in: top) == nil { copied[block] = value }
                }
                try Self.write(copied, to: base)
                try check(name)
                throw HypervisorError.busy(name: name, detail: "interrupted")
            }
            try Self.run("qemu-img", ["commit", "-q", "-f", "qcow2", "-b", base, "-d", top])
            try Self.run(
                "qemu-img", ["rebase", "-q", "-u", "-F", "qcow2", "-b", (base as NSString).lastPathComponent, chain[high - 1]])
            try check(name)
            state.withLock { $0.merges += 1 }
        }
    }

    func restore(memoryPath: String, definition: String, as domain: DomainDescription) async throws(HypervisorError) {
        let guest = try attempt("restore", domain.name) {
            var guest = try JSONDecoder().decode(Guest.self, from: Data(contentsOf: URL(fileURLWithPath: memoryPath)))
            guest.active = domain.activeLayer
            return guest
        }
        try bring(up: guest)
    }

    func destroy(_ name: String) async throws(HypervisorError) { lose(name) }
}
