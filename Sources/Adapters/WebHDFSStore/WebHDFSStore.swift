import Curl
import Foundation
import Ports
import Synchronization
import Vocabulary

/// HDFS over WebHDFS: replicated, on every node, no single point of failure.
///
/// An answer of 201 is no proof. Over quota it is 201 and a file of length 0; with the disks full, or the client killed, a closed, readable,
/// truncated file stays. So whatever gets a name was whole before: it is written beside (`.tmp`), its length and its checksum as the DataNodes
/// hold it are compared with ours, and then it is renamed.
///
/// The rename is the one with options (`renameoptions`, FileContext's): atomic, and unlike the one without, it tells apart the reasons why it did
/// not happen, and never moves *into* a directory that has the destination's name. If its answer is lost, the file's id says whether it happened.
package struct WebHDFSStore: CheckpointStore {
    let hdfs: WebHDFS
    /// In HDFS, without a slash behind: empty for HDFS's own root.
    let root: String
    let housekeeping = Housekeeping()

    /// When leftovers were looked for.
    final class Housekeeping: Sendable {
        private let last = Mutex<ContinuousClock.Instant?>(nil)
        func begins(_ now: ContinuousClock.Instant) -> Bool {
            last.withLock { last in
                if let before = last, now - before < .seconds(3_600) { return false }
                last = now
                return true
            }
        }
        func failed() { last.withLock { $0 = nil } }
    }

    package var properties: StoreProperties {
        let hosts = hdfs.nameNodes.map { WebHDFS.authority(of: $0) }.joined(separator: ",")
        // DataNodes answer when they have it, not when their disks have (`dfs.datanode.synconclose` is off unless told).
        return StoreProperties(
            kind: "webhdfs", location: "webhdfs://\(hosts)\(root.isEmpty ? "/" : root)", replicates: true, flushes: false,
            // A client of Hadoop's looks every 0.4 s whether the last block of a file that it closes has arrived; of one whose last block is full before, it has. It
            // sends nine CRCs' bytes at a time, and keeps what is less until then.
            // Source: org.apache.hadoop.fs.FSOutputSummer (BUFFER_NUM_CHUNKS), org.apache.hadoop.hdfs.DFSOutputStream.completeFile of Hadoop 2.7.3.
            // Sixteen parts are 128 MiB, the usual block: each object costs a pipeline of DataNodes and some eight questions to the NameNode.
            partsPerObject: 16, objectRounding: 9 * 512)
    }

    /// Asks nobody yet, so that a manager starts while HDFS is away.
    /// - Parameters:
    ///   - nameNodes: `http://host:port` of each NameNode's web server; HttpFS is none.
    ///   - root: absolute path in HDFS.
    ///   - authorities: file with the certificates that are trusted for https; nil: the machine's.
    ///   - patience: how long something that may pass is tried again.
    /// - Throws: `.failed` for addresses that are none.
    package init(
        nameNodes: [String], root: String, identity: WebHDFS.Identity, authorities: String? = nil, random: any RandomSource,
        patience: Duration = .seconds(60), stallSeconds: Int = 15
    ) throws(StoreError) {
        var addresses: [String] = []
        for name in nameNodes {
            let address = name.contains("://") ? name : "http://" + name
            let authority = WebHDFS.authority(of: address)
            guard address.hasPrefix("http://") || address.hasPrefix("https://"), !authority.isEmpty else {
                throw .failed(path: authority, detail: "this is no address of a NameNode; http://host:port is one")
            }
            addresses.append(String(address.reversed().drop { $0 == "/" }.reversed()))
        }
        let components = root.split(separator: "/")
        guard !addresses.isEmpty else { throw .failed(path: root, detail: "no NameNode is named") }
        guard root.hasPrefix("/"), components.allSatisfy({ $0 != "." && $0 != ".." && !$0.contains(":") }) else {
            throw .failed(path: root, detail: "this is no absolute path in HDFS")
        }
        switch identity {
        case .user(let user): guard !user.isEmpty else { throw .failed(path: root, detail: "no user is named") }
        case .kerberos: break
        case .token(let file):
            do throws(SecretFile.Problem) { _ = try SecretFile.line(file) } catch { throw .denied(path: file, detail: error.description) }
        }
        if let authorities, !FileManager.default.isReadableFile(atPath: authorities) {
            throw .denied(path: authorities, detail: "the certificates of the authorities cannot be read")
        }
        self.root = components.map { "/" + $0 }.joined()
        hdfs = WebHDFS(
            nameNodes: addresses, identity: identity, authorities: authorities, patience: patience, stallSeconds: stallSeconds, random: random)
    }

    // MARK: The port

    package func write(_ bytes: [UInt8], to path: String, replication: Int) async throws(StoreError) {
        try await put(.whole(bytes), to: path, replication: replication)
    }

    package func write(_ source: any ObjectSource, to path: String, replication: Int) async throws(StoreError) {
        // An attempt may outlast all patience, which leaves none for the next.
        for _ in 1..<Self.rounds {
            let deadline = deadline()
            do throws(StoreError) { return try await put(.made(source), to: path, replication: replication) } catch {
                guard case .unavailable = error, ContinuousClock.now > deadline + .seconds(10) else { throw error }
            }
        }
        try await put(.made(source), to: path, replication: replication)
    }
    private static let rounds = 3

    private func put(_ content: Content, to path: String, replication: Int) async throws(StoreError) {
        try StorePath.check(path)
        let deadline = deadline()
        if let there = try await status(path, until: deadline), try await holds(content, at: full(path), there, for: path, until: deadline) { return }
        _ = try await settle(content, at: path, replication: replication, makesParents: true, overwrites: true, until: deadline)
    }

    package func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool {
        try StorePath.check(path)
        let deadline = deadline()
        switch try await settle(.whole(bytes), at: path, replication: replication, makesParents: false, overwrites: false, until: deadline) {
        case .done: return true
        case .noParent, .noSource: return false
        case .taken:
            guard let there = try await status(path, until: deadline) else { throw .unavailable(path: path, detail: "what was there was removed") }
            guard try await holds(.whole(bytes), at: full(path), there, for: path, until: deadline) else { throw .alreadyExists(path: path) }
            return true
        }
    }

    /// By the rename of a whole file onto a name that nobody has. A CREATE with `overwrite=false` has one winner, too, but a winner that dies before
    /// it is done leaves a truncated file under the final name, and what it promises (an epoch, a format) could never be read, nor made again.
    package func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool {
        try StorePath.check(path)
        let deadline = deadline()
        if try await status(path, until: deadline) != nil { return false }
        return try await settle(.whole(bytes), at: path, replication: nil, makesParents: true, overwrites: false, until: deadline) == .done
    }

    package func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool {
        try StorePath.check(source)
        try StorePath.check(destination)
        let deadline = deadline()
        guard let there = try await status(source, until: deadline) else { return false }
        guard there.type == .directory else { throw .failed(path: source, detail: "it is no directory") }
        for _ in 0..<Self.parentsMade {
            try await makeParents(of: destination, until: deadline)
            switch try await rename(full(source), there, isOurs: false, to: full(destination), overwrites: false, for: source, until: deadline) {
            case .done: return true
            case .taken: throw .alreadyExists(path: destination)
            case .noSource: return false
            case .noParent: continue
            }
        }
        throw .unavailable(path: destination, detail: "its directory is removed whenever it is made")
    }

    package func makeDirectory(_ path: String) async throws(StoreError) {
        try StorePath.check(path)
        try await makeDirectories(full(path), for: path, until: deadline())
    }

    package func read(_ path: String) async throws(StoreError) -> [UInt8] {
        try StorePath.check(path)
        return try await contents(of: full(path), for: path, until: deadline())
    }

    package func read(_ path: String, range: Range<Int64>) async throws(StoreError) -> [UInt8] {
        try StorePath.check(path)
        return try await contents(of: full(path), range: range, for: path, until: deadline())
    }

    package func list(_ path: String) async throws(StoreError) -> [StoreEntry] {
        try StorePath.check(path)
        let found: [FileStatus]
        do throws(StoreError) { found = try await statuses(below: full(path), for: path, until: deadline()) } catch .notFound { return [] }
        if let only = found.first, only.pathSuffix.isEmpty { throw .failed(path: path, detail: "it is no directory") }
        return found.filter { !$0.pathSuffix.hasPrefix(".") }.map { status in
            StoreEntry(
                name: StoredName.inStore(status.pathSuffix), isDirectory: status.type == .directory, bytes: ByteCount(status.length),
                modifiedAt: Timestamp(Double(status.modificationTime) / 1_000))
        }.sorted { $0.name < $1.name }
    }

    package func remove(_ path: String) async throws(StoreError) {
        try StorePath.check(path)
        try await remove(full(path), for: path, until: deadline())
    }

    package func health() async -> StoreHealth {
        // Quick, and without retries: who asks will ask again.
        let whole = WebHDFS.Operation(method: "GET", name: "GETFILESTATUS", file: root.isEmpty ? "/" : root, path: root)
        do throws(Trouble) {
            _ = try await hdfs.ask(whole, timeoutSeconds: 5)
        } catch {
            switch error {
            // Nothing was written yet.
            case .final(.notFound): break
            case .final(let error): return StoreHealth(reachable: false, detail: "\(error)")
            case .passing(let detail, _, _), .standby(let detail): return StoreHealth(reachable: false, detail: detail)
            }
        }
        do throws(Trouble) {
            let system = try await hdfs.bean(NameSystem.self, "FSNamesystemState")
            let hosts = system.NumLiveDataNodes
            let free = ByteCount(system.CapacityRemaining)
            if system.FSState != "Operational" {
                return StoreHealth(reachable: false, detail: "the NameNode is in safe mode", liveHosts: hosts, freeBytes: free)
            }
            if hosts == 0 { return StoreHealth(reachable: false, detail: "no DataNode is alive", liveHosts: 0, freeBytes: free) }
            let dead = system.NumDeadDataNodes
            let detail = dead == 0 ? "" : "\(dead) of \(dead + hosts) DataNodes \(dead == 1 ? "is" : "are") dead"
            return StoreHealth(reachable: true, detail: detail, liveHosts: hosts, freeBytes: free)
        } catch {
            // It answers, but keeps its numbers to itself.
            return StoreHealth(reachable: true, detail: "the NameNode gives no numbers of its own")
        }
    }

    /// How often a parent directory is made that somebody else removes before it is used.
    static let parentsMade = 5

    func deadline() -> ContinuousClock.Instant { ContinuousClock.now + hdfs.patience }
    func full(_ path: String) -> String { root + "/" + StoredName.inHDFS(path) }
}

/// HDFS takes no colon in names (DFSUtil.isValidName), and paths in a store have no tilde: one stands for the other.
enum StoredName {
    static func inHDFS(_ path: String) -> String { path.replacing(":", with: "~") }
    static func inStore(_ name: String) -> String { name.replacing("~", with: ":") }
}
