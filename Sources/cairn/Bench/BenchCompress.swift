import ArgumentParser
import CheckpointEngine
import Foundation
import Ports
import Synchronization
import Vocabulary

extension BenchCommand {
    struct Compress: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compression of a file, beside gzip, pigz and zstd.",
            discussion: """
                The same file by each in turn, from one file into another. Ours is the engine's way: in parts, long runs of zeros left out, a digest of each \
                part as it is and as it is stored. Without --file one is made: a quarter zeros, half text, a quarter that nothing can compress.
                """)
        @Option(help: "File to compress.") var file: String?
        @Option(help: "Size of the file that is made, MiB.") var size = 256
        @Option(help: "Times that each way is measured.") var rounds = 5
        @Option(help: "Directory to work in.") var work = "/tmp/cairn-bench-\(getpid())"
        @Flag(help: "Print JSON.") var json = false
        @Option(name: .shortAndLong, help: "File to write the JSON to, too.") var output: String?

        func run() async throws {
            guard rounds > 0, size > 0 else { throw Failure.cannotTry("--rounds and --size are at least 1") }
            let work = absolute(work)
            try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
            defer { discardBench(work) }
            let source = file.map { absolute($0) } ?? work + "/file"
            if file == nil { try BenchFiles.mixed(source, bytes: Int64(size) << 20, seed: 1) }
            guard let attributes = try? FileManager.default.attributesOfItem(atPath: source), let bytes = attributes[.size] as? Int64 else {
                throw Failure.cannotTry("cannot read \(source)")
            }
            var report = ContestReport(measuredAt: Date().formatted(.iso8601), rounds: rounds, missing: [], contests: [])
            let result = work + "/result"
            func ours(_ codec: Codec) async throws -> Int64? {
                let store = PlainFile(result)
                do {
                    let content = try await Transfer(store: store, mode: TransferMode(isInBackground: false), time: SystemTime())
                        .upload(source, as: "file", codec: codec, replication: 1, meter: Transfer.Meter())
                    return content.storedBytes
                } catch { throw Failure.notDone("\(error)") }
            }
            let peers: [(codec: Codec, program: String, package: String, arguments: [String])] = [
                (.gzip, "gzip", "gzip", ["-1", "-c", source]), (.gzip, "pigz", "pigz", ["-1", "-c", source]),
                (.zstd, "zstd", "zstd", ["-1", "-T0", "-q", "-c", source]),
            ]
            for codec in [Codec.gzip, .zstd] {
                var ways: [(name: String, isOurs: Bool, run: () async throws -> Int64?)] = [
                    ("cairn \(codec.rawValue)", true, { try await ours(codec) })
                ]
                for peer in peers where peer.codec == codec {
                    guard let program = Peers.find(peer.program) else {
                        report.missing.append(MissingPeer(program: peer.program, debianPackage: peer.package))
                        continue
                    }
                    ways.append(
                        (
                            ([peer.program] + peer.arguments.filter { $0.hasPrefix("-") && $0 != "-c" && $0 != "-q" }).joined(separator: " "), false,
                            {
                                try await Peers.run(program, peer.arguments, output: result)
                                return try FileManager.default.attributesOfItem(atPath: result)[.size] as? Int64
                            }
                        ))
                }
                report.contests.append(
                    try await Contest.run(codec.rawValue, bytes: bytes, rounds: rounds, ways: ways, after: { _ in unlink(result) }))
            }
            try report.say(json: json, output: output)
        }
    }
}

/// What compressors write to: one file, parts as they come.
private final class PlainFile: CheckpointStore {
    private let path: String
    private let end = Mutex<Int>(0)
    init(_ path: String) {
        self.path = path
        _ = FileManager.default.createFile(atPath: path, contents: nil)
    }
    var properties: StoreProperties { StoreProperties(kind: "file", location: path, replicates: false) }

    func write(_ bytes: [UInt8], to name: String, replication: Int) async throws(StoreError) {
        try await onBlockingThread { () throws(StoreError) in
            let offset = self.end.withLock { end in
                defer { end += bytes.count }
                return end
            }
            let descriptor = open(self.path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw .failed(path: self.path, detail: String(cString: strerror(errno))) }
            defer { close(descriptor) }
            var done = 0
            while done < bytes.count {
                let put = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, offset + done) }
                guard put > 0 else { throw .failed(path: self.path, detail: String(cString: strerror(errno))) }
                done += put
            }
        }
    }
    private func cannot(_ path: String) -> StoreError { .failed(path: path, detail: "a plain file takes parts alone") }
    func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool { throw cannot(path) }
    func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool { throw cannot(path) }
    func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool { throw cannot(source) }
    func makeDirectory(_ path: String) async throws(StoreError) { throw cannot(path) }
    func read(_ path: String) async throws(StoreError) -> [UInt8] { throw cannot(path) }
    func list(_ path: String) async throws(StoreError) -> [StoreEntry] { throw cannot(path) }
    func remove(_ path: String) async throws(StoreError) { throw cannot(path) }
    func health() async -> StoreHealth { StoreHealth(reachable: true, detail: "") }
}
