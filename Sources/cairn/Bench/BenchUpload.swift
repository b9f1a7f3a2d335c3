import ArgumentParser
import CheckpointEngine
import Foundation
import Ports
import Vocabulary
import WebHDFSStore

extension BenchCommand {
    struct Upload: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Upload to HDFS, beside curl and Hadoop's own client.",
            discussion: """
                One file that nothing can compress, sent to the same HDFS by each in turn: Cairn's engine (parts, digests, and a check of what is stored), \
                `curl -T` (the two steps of WebHDFS, nothing checked), the same while `openssl dgst -sha256` makes the digest that Cairn makes on the way, \
                and `hadoop fs -put`. With --sizes more sizes are sent by Cairn alone, for its \
                resident memory. `scripts/bench upload` sets up an HDFS for it. Exit status 1 when ours is slower than the better peer by more than \
                --tolerance, or takes more memory than 128 MiB.
                """)
        @Option(help: "Address of the NameNode's web server; without it CAIRN_HDFS.") var hdfs: String?
        @Option(help: "Size of the file, MiB.") var size = 500
        @Option(help: "Numbers of replicas, comma-separated.") var replication = "1,3"
        @Option(help: "Times that each way is measured.") var rounds = 5
        @Option(help: "Times that each way is run before, unmeasured: an HDFS that was just started is slower.") var warmUps = 2
        @Option(help: "More sizes for our own memory, MiB, comma-separated.") var sizes = ""
        @Option(help: "Program that takes the arguments of `hadoop`; without it CAIRN_HADOOP, then hadoop.") var hadoop: String?
        @Option(help: "How much slower ours may be before the status is 1, a share.") var tolerance = 0.05
        @Option(help: "Directory to work in.") var work = "/tmp/cairn-bench-\(getpid())"
        @Flag(help: "Print JSON.") var json = false
        @Option(name: .shortAndLong, help: "File to write the JSON to, too.") var output: String?

        func run() async throws {
            let environment = ProcessInfo.processInfo.environment
            guard let address = hdfs ?? environment["CAIRN_HDFS"] else {
                throw Failure.cannotTry("which HDFS? --hdfs takes a NameNode's address; `scripts/bench upload` sets one up")
            }
            let copies = replication.split(separator: ",").compactMap { Int($0) }
            guard rounds > 0, warmUps >= 0, size > 0, !copies.isEmpty, copies.allSatisfy({ 1...9 ~= $0 }) else {
                throw Failure.cannotTry("--rounds and --size are at least 1, --warm-ups is at least 0, and --replication is like 1,3")
            }
            let more = sizes.split(separator: ",").compactMap { Int($0) }
            let work = absolute(work)
            try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
            defer { discardBench(work) }
            let file = work + "/file"
            try BenchFiles.random(file, bytes: Int64(size) << 20, seed: 1)
            let root = "/cairn-bench-\(getpid())"
            let hadoop = Peers.find(hadoop ?? environment["CAIRN_HADOOP"] ?? "hadoop")
            let curl = Peers.find("curl")
            let openssl = Peers.find("openssl")
            var report = ContestReport(measuredAt: Date().formatted(.iso8601), rounds: rounds, missing: [], contests: [])
            if hadoop == nil { report.missing.append(MissingPeer(program: "hadoop", debianPackage: nil)) }
            if curl == nil { report.missing.append(MissingPeer(program: "curl", debianPackage: "curl")) }
            if openssl == nil { report.missing.append(MissingPeer(program: "openssl", debianPackage: "openssl")) }
            let upload = HDFSUpload(address: address, root: root)
            func again() async throws {
                try await upload.clear()
                try await upload.prepare()
            }
            try await upload.prepare()
            for copies in copies {
                var ways: [(name: String, isOurs: Bool, run: () async throws -> Int64?)] = [
                    ("cairn", true, { try await upload.ours(file, replication: copies) })
                ]
                if let curl { ways.append(("curl -T", false, { try await upload.curl(curl, file, replication: copies) })) }
                if let curl, let openssl {
                    ways.append(
                        (
                            "curl -T, digest", false,
                            {
                                async let digest = Peers.run(openssl, ["dgst", "-sha256", file])
                                let sent = try await upload.curl(curl, file, replication: copies)
                                _ = try await digest
                                return sent
                            }
                        ))
                }
                if let hadoop {
                    ways.append(
                        (
                            "hadoop fs -put", false,
                            {
                                try await Peers.run(hadoop, ["fs", "-D", "dfs.replication=\(copies)", "-put", file, root + "/put"])
                                return nil
                            }
                        ))
                }
                report.contests.append(
                    try await Contest.run(
                        "HDFS, \(copies) replica\(copies == 1 ? "" : "s")", bytes: Int64(size) << 20, rounds: rounds, warmUps: warmUps, ways: ways,
                        after: { _ in try await again() }))
            }
            for more in more {
                try BenchFiles.random(file, bytes: Int64(more) << 20, seed: 1)
                report.contests.append(
                    try await Contest.run(
                        "HDFS, \(copies[0]) replica, for the memory", bytes: Int64(more) << 20, rounds: 1,
                        ways: [
                            ("cairn", true, { try await upload.ours(file, replication: copies[0]) }),
                            ("cairn, zstd", true, { try await upload.ours(file, replication: copies[0], codec: .zstd) }),
                        ], after: { _ in try await again() }))
            }
            try await upload.clear()
            try report.say(json: json, output: output)
            let isSlow = report.contests.contains { ($0.ratio ?? 0) > 1 + tolerance }
            let isLarge = report.contests.contains { $0.entries.contains { ($0.peakResidentBytes ?? 0) > 128 << 20 } }
            if isSlow || isLarge { throw ExitCode(1) }
        }
    }
}

/// One file into HDFS, in several ways.
struct HDFSUpload: Sendable {
    let address: String
    let root: String

    func ours(_ file: String, replication: Int, codec: Codec = .none) async throws -> Int64? {
        do throws(StoreError) {
            let store = try WebHDFSStore(nameNodes: [address], root: root + "/ours", identity: .user("cairn"), random: SystemRandom())
            let transfer = Transfer(store: store, mode: TransferMode(isInBackground: false), time: SystemTime())
            let content: ContentRecord
            do { content = try await transfer.upload(file, as: "file", codec: codec, replication: replication, meter: Transfer.Meter()) } catch {
                throw StoreError.failed(path: file, detail: "\(error)")
            }
            return content.storedBytes
        } catch { throw Failure.notDone("\(error)") }
    }

    /// The two steps, each by a curl of its own.
    func curl(_ curl: String, _ file: String, replication: Int) async throws -> Int64? {
        let url = "\(address)/webhdfs/v1\(root)/curl?op=CREATE&overwrite=true&user.name=cairn&replication=\(replication)"
        let there = try await Peers.run(curl, ["-sSf", "--noproxy", "*", "-X", "PUT", "-o", "/dev/null", "-w", "%{redirect_url}", url])
        guard there.hasPrefix("http") else { throw Failure.notDone("the NameNode at \(address) names no DataNode") }
        try await Peers.run(curl, ["-sSf", "--noproxy", "*", "-T", file, "-o", "/dev/null", there])
        return nil
    }

    /// Hadoop's own client wants the directory to be there.
    func prepare() async throws { try await ask("PUT", "MKDIRS&permission=777") }
    func clear() async throws { try await ask("DELETE", "DELETE&recursive=true") }

    private func ask(_ method: String, _ operation: String) async throws {
        guard let curl = Peers.find("curl") else { throw Failure.cannotTry("curl is wanted to clear up (Debian's package curl)") }
        try await Peers.run(
            curl, ["-sSf", "--noproxy", "*", "-X", method, "-o", "/dev/null", "\(address)/webhdfs/v1\(root)?op=\(operation)&user.name=cairn"])
    }
}

func discardBench(_ path: String) {
    do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path): \(error.localizedDescription)") }
}
