import ArgumentParser
import Foundation
import Ports
import SQLiteLedger
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Where a manager keeps its ledger, and where commands find it.
struct StateOption: ParsableArguments {
    /// Of the package's service.
    static let installed = "/var/lib/cairn/manager"

    @Option(
        name: .customLong("state"),
        help: "The manager's state directory (default: CAIRN_STATE, else .cairn here, else that of the installed service).")
    var path: String?

    /// A manager's own.
    var own: StateDirectory { StateDirectory(path: absolute(path ?? ProcessInfo.processInfo.environment["CAIRN_STATE"] ?? ".cairn")) }

    /// Where to look for a manager's.
    var directory: StateDirectory {
        let isElsewhere =
            path == nil && ProcessInfo.processInfo.environment["CAIRN_STATE"] == nil && !FileManager.default.fileExists(atPath: ".cairn")
        return isElsewhere && FileManager.default.fileExists(atPath: Self.installed) ? StateDirectory(path: Self.installed) : own
    }
}

struct StateDirectory {
    let path: String
    var ledgerPath: String { path + "/ledger.db" }
    var tokensPath: String { path + "/tokens.json" }
    /// What the ledger takes, with what is not merged into its file yet; nil: it cannot be told.
    var ledgerBytes: ByteCount? {
        let sizes = ["", "-wal"].compactMap { suffix in
            (try? FileManager.default.attributesOfItem(atPath: ledgerPath + suffix)[.size]) as? Int64
        }
        return sizes.isEmpty ? nil : ByteCount(sizes.reduce(0, +))
    }

    /// What signs the ledger's head: nobody's business but the manager's.
    var keyPath: String { path + "/ledger.key" }
    private var publicKeyPath: String { path + "/ledger.key.pub" }
    private var headPath: String { path + "/ledger-head.json" }
    private var addressPath: String { path + "/manager.json" }

    struct Address: Codable {
        var url: String
        var pid: Int32
        /// The authority that the manager trusts, and with it commands on this machine; nil: none of its own.
        var authority: String?
    }

    func make() throws {
        do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
            throw Failure.cannotTry("cannot make the state directory \(path): \(error.localizedDescription)")
        }
    }

    /// - Throws: when another manager holds it: two managers of one state would order everything twice.
    func lock() throws -> Int32 { try lockFile(path + "/lock", busy: "another manager is running on \(path)") }

    /// Whether the manager that published its address last still runs. The lock is not asked: to try it is to hold it for a moment.
    var isManaged: Bool {
        guard let data = FileManager.default.contents(atPath: addressPath) else { return false }
        do {
            let process = try JSONDecoder().decode(Address.self, from: data).pid
            return try String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8).hasPrefix("cairn")
        } catch { return false }
    }

    func publish(_ address: Address) throws {
        try JSONEncoder().encode(address).write(to: URL(fileURLWithPath: addressPath), options: .atomic)
    }

    /// One has run here, and may run now.
    var hasManager: Bool { FileManager.default.fileExists(atPath: addressPath) }

    /// The key that signs the ledger, made at the first call, and the public one beside it for those who may not read it.
    func key() throws -> LedgerKey {
        let key: LedgerKey
        do throws(LedgerError) { key = try LedgerKey.open(path: keyPath) } catch { throw Failure.cannotTry("\(error)") }
        try Data((key.publicKey.text + "\n").utf8).write(to: URL(fileURLWithPath: publicKeyPath), options: .atomic)
        return key
    }

    /// nil: no manager has run here.
    func publicKey() throws -> LedgerPublicKey? {
        guard let data = FileManager.default.contents(atPath: publicKeyPath) else { return nil }
        guard let key = LedgerPublicKey(String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw Failure.cannotTry("\(publicKeyPath) is no key: 64 hexadecimal digits are expected; `cairn run` writes it anew")
        }
        return key
    }

    /// Writes the newest signed head beside the ledger.
    func keep(_ head: SignedHead) throws { try JSONEncoder().encode(head).write(to: URL(fileURLWithPath: headPath), options: .atomic) }

    /// The newest signed head that was written beside the ledger; nil: none was.
    func keptHead() throws -> SignedHead? {
        guard let data = FileManager.default.contents(atPath: headPath) else { return nil }
        do { return try JSONDecoder().decode(SignedHead.self, from: data) } catch { throw Failure.cannotTry("cannot read \(headPath): \(error)") }
    }

    /// The running manager's address.
    func manager() throws -> Address {
        guard let data = FileManager.default.contents(atPath: addressPath) else {
            throw Failure.cannotTry("no manager has run on \(path): start one with `cairn run`, or name its state with --state")
        }
        do { return try JSONDecoder().decode(Address.self, from: data) } catch { throw Failure.cannotTry("cannot read \(addressPath): \(error)") }
    }

    /// The ledger, for reading, whether or not a manager runs.
    func ledger() throws -> SQLiteLedger {
        do throws(LedgerError) { return try SQLiteLedger.openReadOnly(path: ledgerPath) } catch { throw Failure.cannotTry("\(error)") }
    }
}

/// A lock that is held for the life of the process.
/// - Throws: `busy` when another process holds it.
func lockFile(_ path: String, busy: String) throws -> Int32 {
    let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Failure.cannotTry("cannot open \(path): \(String(cString: strerror(errno)))") }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        close(descriptor)
        throw Failure.cannotTry(busy)
    }
    return descriptor
}
