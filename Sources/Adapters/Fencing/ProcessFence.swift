import Foundation
import Ports
import Vocabulary

/// Fences by ending processes on this machine, by the operator's command, or by the store alone.
package struct NodeFence: Fence {
    /// How long a process may take to go after SIGKILL.
    private let patience: Seconds

    /// How long the operator's command may take.
    private let commandPatience: Seconds

    package init(patience: Seconds = Seconds(10), commandPatience: Seconds = Seconds(60)) {
        self.patience = patience
        self.commandPatience = commandPatience
    }

    package func fence(_ node: NodeID, method: FenceMethod, processes: NodeProcesses?) async throws(FenceError) -> String {
        switch method {
        case .storeOnly: return "the epoch raised in the store refuses what the node may still commit"
        case .process:
            guard let processes else { throw .stillAlive(node: node, detail: "its processes are not known") }
            guard processes.agent.pid != getpid() || !ProcessTable.isAlive(processes.agent) else {
                throw .stillAlive(node: node, detail: "its agent is this very process, which is the manager as well")
            }
            return try await onBlockingThread { () throws(FenceError) in try end(processes, of: node) }
        case .command(let words): return try await onBlockingThread { () throws(FenceError) in try run(words, for: node) }
        }
    }

    /// The agent first, as it might start another guest; then the guests that it reported, and those that it had no time to report.
    private func end(_ node: NodeProcesses, of name: NodeID) throws(FenceError) -> String {
        let limit = Date().addingTimeInterval(patience.rawValue)
        var ended: Set<ProcessIdentity> = []
        var targets = Set([node.agent])
        while true {
            for target in targets where ProcessTable.isAlive(target) {
                ended.insert(target)
                kill(target.pid, SIGKILL)
            }
            let agentIsGone = !ProcessTable.isAlive(node.agent)
            if agentIsGone { targets.formUnion(node.guests + ProcessTable.guests(below: node.directory)) }
            guard let left = targets.first(where: ProcessTable.isAlive) else {
                if agentIsGone { return "of \(targets.count) processes, \(ended.count) were alive and have been ended" }
                continue
            }
            guard Date() < limit else { throw .stillAlive(node: name, detail: "process \(left.pid)") }
            usleep(20_000)
        }
    }

    private func run(_ words: [String], for node: NodeID) throws(FenceError) -> String {
        let process = Process()
        // A command that hangs must not hold up the loop for ever.
        process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
        process.arguments = ["--signal=KILL", String(Int(commandPatience.rawValue))] + words
        process.environment = ProcessInfo.processInfo.environment.merging(["CAIRN_NODE": node.rawValue]) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        do { try process.run() } catch { throw .commandFailed(node: node, status: -1, detail: "\(error)") }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile().prefix(2_000), as: UTF8.self)
        process.waitUntilExit()
        // timeout(1) kills its whole process group, and so itself.
        if process.terminationReason == .uncaughtSignal, process.terminationStatus == SIGKILL {
            throw .commandFailed(
                node: node, status: process.terminationStatus, detail: "it took longer than \(Int(commandPatience.rawValue)) s; \(text)")
        }
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

    /// Since this machine was started, by `/proc/uptime`; nil where there is none.
    package static func machineUptime() -> Seconds? {
        FileManager.default.contents(atPath: "/proc/uptime").flatMap { uptime(String(decoding: $0, as: UTF8.self)) }
    }

    /// The first of the two numbers, seconds. Source: proc(5).
    static func uptime(_ text: String) -> Seconds? {
        text.split(whereSeparator: \.isWhitespace).first.flatMap { Double($0) }.flatMap { $0 >= 0 && $0.isFinite ? Seconds($0) : nil }
    }

    /// The very process, not a later one with its number; a zombie is not alive.
    package static func isAlive(_ process: ProcessIdentity) -> Bool {
        guard let found = fields(of: process.pid) else { return false }
        return found.startTicks == process.startTicks && found.state != "Z" && found.state != "X"
    }

    /// Whether a word names a file below a directory: at its beginning, or as a value within (`file=/d/x`, `"filename":"/d/x"`).
    static func isBelow(_ directory: String, _ word: some StringProtocol) -> Bool {
        guard directory.hasPrefix("/") else { return false }
        let text = String(word)
        return text.ranges(of: directory + "/").contains { range in
            range.lowerBound == text.startIndex || "=,:\"".contains(text[text.index(before: range.lowerBound)])
        }
    }

    /// QEMU processes that have a file below a directory on their command line.
    package static func guests(below directory: String) -> [ProcessIdentity] {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: "/proc") } catch { return [] }
        return names.compactMap { Int32($0) }.compactMap { pid in
            // Gone meanwhile, or a zombie, which has no command line: no guest.
            guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return nil }
            let words = String(decoding: data, as: UTF8.self).split(separator: "\0")
            guard let program = words.first, program.split(separator: "/").last?.hasPrefix("qemu-system-") == true,
                words.contains(where: { isBelow(directory, $0) })
            else { return nil }
            return identity(of: pid)
        }
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
