import Foundation
import Ports
import Vocabulary

/// Fences by ending processes on this machine, by the operator's command, or by the store alone.
package struct NodeFence: Fence {
    /// How long a process may take to go after SIGKILL.
    private let patience: Seconds

    package init(patience: Seconds = Seconds(10)) { self.patience = patience }

    package func fence(_ node: NodeID, method: FenceMethod, lastReport: FenceTarget) async throws(FenceError) -> String {
        switch method {
        case .storeOnly: return "the epoch raised in the store refuses what the node may still commit"
        case .process:
            // The agent first: it might start another guest.
            let targets = (lastReport.agent.map { [$0] } ?? []) + lastReport.guests
            return try await onBlockingThread { () throws(FenceError) in try end(targets, of: node) }
        case .command(let words): return try await onBlockingThread { () throws(FenceError) in try run(words, for: node) }
        }
    }

    private func end(_ targets: [ProcessIdentity], of node: NodeID) throws(FenceError) -> String {
        let alive = targets.filter(ProcessTable.isAlive)
        for target in alive { kill(target.pid, SIGKILL) }
        let limit = Date().addingTimeInterval(patience.rawValue)
        while let left = alive.first(where: ProcessTable.isAlive) {
            guard Date() < limit else { throw .stillAlive(node: node, detail: "process \(left.pid)") }
            usleep(20_000)
        }
        return "of \(targets.count) processes, \(alive.count) were alive and have been ended"
    }

    private func run(_ words: [String], for node: NodeID) throws(FenceError) -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.environment = ProcessInfo.processInfo.environment.merging(["CAIRN_NODE": node.rawValue]) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        do { try process.run() } catch { throw .commandFailed(node: node, status: -1, detail: "\(error)") }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile().prefix(2_000), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw .commandFailed(node: node, status: process.terminationStatus, detail: text) }
        return "\(words.joined(separator: " ")) ended with 0"
    }
}

/// What `/proc` says of processes.
package enum ProcessTable {
    /// nil when there is no such process.
    package static func identity(of pid: Int32) -> ProcessIdentity? {
        fields(of: pid).map { ProcessIdentity(pid: pid, startTicks: $0.startTicks) }
    }

    /// The very process, not a later one with its number; a zombie is not alive.
    package static func isAlive(_ process: ProcessIdentity) -> Bool {
        guard let found = fields(of: process.pid) else { return false }
        return found.startTicks == process.startTicks && found.state != "Z" && found.state != "X"
    }

    /// State and start time from `/proc/PID/stat`: fields 3 and 22, counted after the last `)`. Source: proc(5).
    private static func fields(of pid: Int32) -> (state: String, startTicks: UInt64)? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
        let text = String(decoding: data, as: UTF8.self)
        guard let close = text.lastIndex(of: ")") else { return nil }
        let rest = text[text.index(after: close)...].split(separator: " ")
        guard rest.count > 19, let ticks = UInt64(rest[19]) else { return nil }
        return (String(rest[0]), ticks)
    }
}
