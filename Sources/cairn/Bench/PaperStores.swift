import Foundation
import Ports
import Vocabulary

/// A store of the paper's evaluation, on this machine.
enum PaperStore: Hashable {
    case hdfs(Int)
    case ftp
    case sftp
    /// Stands for a mount, such as NFS.
    case directory

    var name: String {
        switch self {
        case .hdfs(let copies): "HDFS \(copies) replica\(copies == 1 ? "" : "s")"
        case .ftp: "FTP"
        case .sftp: "SFTP"
        case .directory: "directory"
        }
    }
    var short: String { if case .hdfs = self { "HDFS" } else { name } }
    var replication: Int { if case .hdfs(let copies) = self { copies } else { 1 } }
}

/// Where they are: from the environment that `scripts/lab` writes.
struct PaperStores {
    let work: String
    private let environment = ProcessInfo.processInfo.environment

    var hdfs: String? { environment["CAIRN_HDFS"] }

    /// Process numbers of the stores' servers that run, in the order of their names.
    /// - Parameter isWanted: of a server's name, as `scripts/lab` calls it: `dn1`.
    func servers(_ isWanted: (String) -> Bool = { _ in true }) -> [Int32] {
        func words(_ path: String) -> [Substring] {
            FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self).split(whereSeparator: \.isWhitespace) } ?? []
        }
        return ["CAIRN_HDFS_DIR", "CAIRN_FTP_DIR", "CAIRN_SFTP_DIR"].compactMap { environment[$0] }.flatMap { directory in
            ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
                .filter { $0.hasSuffix(".pid") && isWanted(String($0.dropLast(4))) }
                .compactMap { name -> Int32? in
                    // The number, and when that process began: one that has ended may have left its number to a stranger.
                    let record = words("\(directory)/\(name)")
                    guard record.count == 2, words("/proc/\(record[0])/stat").contains(record[1]) else { return nil }
                    return Int32(record[0])
                }
        }
    }

    /// Does something while the stores' servers, and this program, leave the first processor to the guest where there are more: as machines of their own,
    /// they would take nothing from it. Threads and processes that they begin stay with them; guests do not, as libvirt lets them run anywhere.
    func leavingAProcessor<T>(_ body: () async throws -> T) async throws -> T {
        let last = ProcessInfo.processInfo.processorCount - 1
        guard last > 0 else { return try await body() }
        let processes = servers() + [getpid()]
        func move(to processors: String) async throws {
            for process in processes { try await Peers.run("/usr/bin/taskset", ["--all-tasks", "--cpu-list", "--pid", processors, "\(process)"]) }
        }
        try await move(to: "1-\(last)")
        do {
            let result = try await body()
            try await move(to: "0-\(last)")
            return result
        } catch {
            try? await move(to: "0-\(last)")
            throw error
        }
    }

    /// Why it is not here; nil: it is.
    func missing(_ store: PaperStore) -> String? {
        switch store {
        case .hdfs: hdfs == nil ? "\(store.name): CAIRN_HDFS names no NameNode (scripts/lab hdfs up)" : nil
        case .ftp: environment["CAIRN_FTP"] == nil ? "\(store.name): CAIRN_FTP names no server (scripts/lab ftp up)" : nil
        case .sftp: environment["CAIRN_SFTP"] == nil ? "\(store.name): CAIRN_SFTP names no server (scripts/lab sftp up)" : nil
        case .directory: nil
        }
    }

    func available(_ wanted: [PaperStore], _ result: inout ScenarioMissing) -> [PaperStore] {
        wanted.filter { store in
            guard let why = missing(store) else { return true }
            result.reasons.append(why)
            return false
        }
    }

    /// - Parameter root: a name of its own for what is kept in it.
    func open(_ store: PaperStore, root: String) throws -> any CheckpointStore { try Composition.store(location(store, root: root)) }

    private func location(_ store: PaperStore, root: String) throws -> StoreLocation {
        switch store {
        case .hdfs: return .webHDFS(HDFSLocation(nameNodes: [hdfs ?? ""], root: "\(hdfsRoot)/\(root)", identity: .simple(user: "cairn")))
        case .directory: return .directory("\(work)/stores/\(root)")
        case .ftp:
            let folder = environment["CAIRN_FTP_DIR"] ?? ""
            // As the paper's: in the clear. What was written is read again and compared, as nothing else protects it on its way.
            return .ftp(
                FTPLocation(
                    host: "127.0.0.1", port: port("CAIRN_FTP"), root: "\(folder)/data/\(root)-\(getpid())", user: "anonymous",
                    passwordFile: folder + "/password", encryption: .off))
        case .sftp:
            let folder = environment["CAIRN_SFTP_DIR"] ?? ""
            return .sftp(
                SFTPLocation(
                    host: "127.0.0.1", port: port("CAIRN_SFTP") ?? 22, root: "\(folder)/data/\(root)-\(getpid())",
                    user: environment["CAIRN_SFTP_USER"] ?? "root",
                    secret: .key(folder + "/key"), hostKey: .knownHosts(folder + "/known_hosts")))
        }
    }

    private func port(_ variable: String) -> Int? { environment[variable].flatMap { $0.split(separator: ":").last }.flatMap { Int($0) } }

    private var hdfsRoot: String { "/cairn-bench-\(getpid())" }

    /// Below it a bench keeps what belongs to no task.
    static let plain = "plain"

    /// Removes what was written there.
    func clear(_ store: any CheckpointStore) async throws {
        do throws(StoreError) {
            for name in ["tasks", "contents", "cairn-format", Self.plain] { try await store.remove(name) }
        } catch { throw Failure.notDone("\(error)") }
    }
}

struct ScenarioMissing { var reasons: [String] = [] }
