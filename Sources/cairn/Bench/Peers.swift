import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Other programs that do the same work.
enum Peers {
    /// Where a program is; nil: not on this machine.
    static func find(_ name: String) -> String? {
        if name.contains("/") { return FileManager.default.isExecutableFile(atPath: name) ? name : nil }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Runs a program to its end.
    /// - Parameter output: the file that takes its standard output; nil: it is returned.
    /// - Throws: `Failure.notDone` with what it said, unless it succeeds.
    @discardableResult
    static func run(_ program: String, _ arguments: [String], output: String? = nil) async throws -> String {
        let outcome: Result<String, Failure> = await onBlockingThread {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
            let said = Pipe()
            let errors = FileManager.default.temporaryDirectory.appendingPathComponent("cairn-peer-\(UUID().uuidString)")
            _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
            defer { unlink(errors.path) }
            do {
                process.standardError = try FileHandle(forWritingTo: errors)
                if let output {
                    _ = FileManager.default.createFile(atPath: output, contents: nil)
                    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
                } else {
                    process.standardOutput = said
                }
                process.standardInput = FileHandle.nullDevice
                try process.run()
            } catch { return .failure(.notDone("\(program) cannot be run: \(error.localizedDescription)")) }
            let text = output == nil ? String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) : ""
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                let why = FileManager.default.contents(atPath: errors.path).map { String(decoding: $0.suffix(800), as: UTF8.self) } ?? ""
                return .failure(.notDone("\(program) \(arguments.joined(separator: " ")) ended with \(process.terminationStatus): \(why)"))
            }
            return .success(text)
        }
        return try outcome.get()
    }
}

/// A peer that is not there, and where it comes from.
struct MissingPeer: Codable {
    var program: String
    /// Debian's, where it has one.
    var debianPackage: String?
    var text: String {
        debianPackage.map { "\(program) is not here: Debian's package \($0) has it" } ?? "\(program) is not here, and Debian has no package of it"
    }
}

/// How long each of several ways took for the same work, one entry a round; they took turns.
struct Contest: Codable {
    struct Entry: Codable {
        var name: String
        var isOurs: Bool
        var seconds: [Double]
        var outputBytes: Int64?
        /// Highest resident memory of this process while it was at it.
        var peakResidentBytes: Int64?
        var medianSeconds: Double
        /// Processor time of the whole machine meanwhile, servers and the kernel included: the median. Nil: the kernel does not say.
        var processorSeconds: Double?
    }
    var what: String
    var bytes: Int64
    var entries: [Entry] = []
    var fastest: Entry? { entries.min { $0.medianSeconds < $1.medianSeconds } }
    /// Median of our best over that of the best peer.
    var ratio: Double? {
        guard let ours = entries.filter(\.isOurs).map(\.medianSeconds).min(), let peer = entries.filter({ !$0.isOurs }).map(\.medianSeconds).min()
        else { return nil }
        return ours / peer
    }

    /// Runs each way in turn, as often as there are rounds. Each round begins with another way, so that none always follows the same one.
    /// - Parameters:
    ///   - warmUps: rounds before those, which do not count: a server that was just started compiles its code.
    ///   - way: does the work and returns the bytes that came out, if that is of interest.
    static func run(
        _ what: String, bytes: Int64, rounds: Int, warmUps: Int = 0, ways: [(name: String, isOurs: Bool, run: () async throws -> Int64?)],
        after: (String) async throws -> Void
    ) async throws -> Contest {
        var contest = Contest(what: what, bytes: bytes)
        var seconds = [[Double]](repeating: [], count: ways.count)
        var outputs = [Int64?](repeating: nil, count: ways.count)
        var peaks = [Int64](repeating: 0, count: ways.count)
        var processors = [[Double]](repeating: [], count: ways.count)
        let progress = ProgressLine(what, total: Double((warmUps + rounds) * ways.count), unit: .pieces("runs"))
        defer { progress.clear() }
        for round in 0..<warmUps + rounds {
            for turn in 0..<ways.count {
                let index = (round + turn) % ways.count
                ResidentMemory.forgetPeak()
                let busy = MachineTime.busySeconds
                let begun = ContinuousClock.now
                outputs[index] = try await ways[index].run()
                let took = (ContinuousClock.now - begun) / .seconds(1)
                if round >= warmUps {
                    seconds[index].append(took)
                    if let busy, let now = MachineTime.busySeconds { processors[index].append(now - busy) }
                }
                peaks[index] = max(peaks[index], ResidentMemory.peak)
                try await after(ways[index].name)
                progress.show(Double(round * ways.count + turn + 1))
            }
        }
        for (index, way) in ways.enumerated() {
            contest.entries.append(
                Entry(
                    name: way.name, isOurs: way.isOurs, seconds: seconds[index], outputBytes: outputs[index],
                    peakResidentBytes: way.isOurs ? peaks[index] : nil, medianSeconds: median(seconds[index]),
                    processorSeconds: processors[index].isEmpty ? nil : median(processors[index])))
        }
        return contest
    }

    var table: String {
        let rows = entries.map { entry in
            [
                entry.name, String(format: "%.2f s", entry.medianSeconds),
                String(format: "%.0f MB/s", Double(bytes) / 1e6 / entry.medianSeconds),
                entry.processorSeconds.map { String(format: "%.2f s", $0) } ?? "",
                entry.seconds.map { String(format: "%.2f", $0) }.joined(separator: " "),
                entry.outputBytes.map { String(format: "%.1f MiB", Double($0) / 1_048_576) } ?? "",
                entry.peakResidentBytes.map { String(format: "%.0f MiB", Double($0) / 1_048_576) } ?? "",
            ]
        }
        return "\(what), \(bytes / 1_048_576) MiB\n"
            + Terminal.columns([["WAY", "MEDIAN", "SPEED", "PROCESSORS", "ROUNDS", "RESULT", "RESIDENT"]] + rows)
    }
}

/// What a bench of peers says.
struct ContestReport: Codable {
    var measuredAt: String
    var rounds: Int
    var missing: [MissingPeer]
    var contests: [Contest]

    func say(json: Bool, output: String?) throws {
        if let output {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(self).write(to: URL(fileURLWithPath: output))
        }
        if json {
            printJSON(self)
        } else {
            for contest in contests { print(contest.table + "\n") }
            for peer in missing { print(peer.text) }
        }
    }
}

/// Processor time of all that runs on this machine.
enum MachineTime {
    /// Since it was started, in user programs, the kernel and interrupts, seconds; nil: the kernel does not say. Source: proc(5), /proc/stat.
    static var busySeconds: Double? {
        FileManager.default.contents(atPath: "/proc/stat").flatMap { busySeconds(String(decoding: $0, as: UTF8.self)) }
    }

    static func busySeconds(_ text: String) -> Double? {
        guard let line = text.split(separator: "\n").first, line.hasPrefix("cpu ") else { return nil }
        let ticks = line.split(separator: " ").dropFirst().compactMap { Double($0) }
        // user nice system idle iowait irq softirq …
        guard ticks.count >= 7 else { return nil }
        return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}

/// Resident memory of this process, by the kernel. Source: proc(5), VmHWM, VmRSS, clear_refs.
enum ResidentMemory {
    static func forgetPeak() {
        let descriptor = open("/proc/self/clear_refs", O_WRONLY)
        guard descriptor >= 0 else { return }
        _ = write(descriptor, "5", 1)
        close(descriptor)
    }
    /// Bytes.
    static var peak: Int64 { field("VmHWM", of: "self") ?? 0 }
    static func peak(of process: Int32) -> Int64? { field("VmHWM", of: "\(process)") }

    private static func field(_ name: String, of process: String) -> Int64? {
        guard let text = FileManager.default.contents(atPath: "/proc/\(process)/status") else { return nil }
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") where line.hasPrefix(name + ":") {
            return line.split(separator: " ").compactMap { Int64($0) }.first.map { $0 * 1_024 }
        }
        return nil
    }
}

/// Files of known content: the same for the same seed.
enum BenchFiles {
    /// Nothing can compress it.
    static func random(_ path: String, bytes: Int64, seed: UInt64) throws { try write(path, bytes: bytes, kinds: [.random], seed: seed) }

    /// As memory and disks of a busy machine are: of eight 128 KiB pieces two are zero, four are text and two cannot be compressed.
    static func mixed(_ path: String, bytes: Int64, seed: UInt64) throws {
        try write(path, bytes: bytes, kinds: [.text, .zero, .text, .random, .text, .zero, .text, .random], seed: seed)
    }

    private enum Kind { case zero, text, random }
    private static let pieceBytes = 128 << 10

    private static func write(_ path: String, bytes: Int64, kinds: [Kind], seed: UInt64) throws {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { handle.closeFile() }
        var state = seed | 1
        // xorshift64*. Source: S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016.
        func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_F491_4F6C_DD1D
        }
        let words = (0..<512).map { _ in
            String((0..<Int(3 + next() % 7)).map { _ in Character(UnicodeScalar(UInt8(97 + next() % 26))) }) + " "
        }.map { Array($0.utf8) }
        var left = bytes
        var piece = 0
        while left > 0 {
            let count = Int(min(left, Int64(pieceBytes)))
            var data = [UInt8](repeating: 0, count: count)
            switch kinds[piece % kinds.count] {
            case .zero: break
            case .random:
                data.withUnsafeMutableBytes { target in
                    for offset in stride(from: 0, to: count - 7, by: 8) { target.storeBytes(of: next(), toByteOffset: offset, as: UInt64.self) }
                }
            case .text:
                var at = 0
                while at < count {
                    for byte in words[Int(next() % 512)] where at < count {
                        data[at] = byte
                        at += 1
                    }
                }
            }
            try handle.write(contentsOf: data)
            left -= Int64(count)
            piece += 1
        }
    }
}
