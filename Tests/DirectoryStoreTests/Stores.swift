import DirectoryStore
import Foundation
import Ports
import Simulator
import Synchronization
import Testing
import Vocabulary
import WebHDFSStore

#if canImport(Glibc)
    import Glibc
#endif

/// Splitmix64. Source: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014.
final class Seeded: RandomSource {
    private let state: Mutex<UInt64>
    init(_ seed: UInt64) { state = Mutex(seed) }
    func next() -> UInt64 {
        var z = state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            return state
        }
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

private struct WallClock: TimeSource {
    func now() -> Timestamp { Timestamp(Date().timeIntervalSince1970) }
    func sleep(for length: Seconds) async throws { try await Task.sleep(for: .seconds(length.rawValue)) }
}

/// The stores that must behave alike.
enum StoreKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case directory, memory, webHDFS
    /// With Kerberos and TLS.
    case secureHDFS
    /// Plain, AUTH TLS, TLS from the first byte.
    case ftp, ftpTLS, ftps
    case sftp
    /// Servers only where there are some.
    static let present = allCases.filter(\.isPresent)
    private var isPresent: Bool {
        switch self {
        case .directory, .memory: true
        case .webHDFS: Lab.isThere
        case .secureHDFS: SecureLab.isThere
        case .ftp, .ftpTLS, .ftps: FTPLab.isThere
        case .sftp: SFTPLab.isThere
        }
    }
    var testDescription: String { rawValue }

    /// Runs `body` with an empty store, which is removed afterwards.
    func withStore(_ body: (any CheckpointStore) async throws -> Void) async throws {
        switch self {
        case .directory:
            let root = NSTemporaryDirectory() + "/cairn-store-" + UUID().uuidString
            defer {
                do { try FileManager.default.removeItem(atPath: root) } catch { Issue.record("\(root) stays: \(error)") }
            }
            try await body(try DirectoryStore(root: root, random: Seeded(UInt64.random(in: .min ... .max))))
        case .memory: try await body(MemoryStore(time: WallClock()))
        case .webHDFS:
            try await Lab.turnstile.together {
                let root = Lab.freshRoot()
                try await body(try Lab.store(root: root))
                try await Lab.store(root: "/tests").remove(String(root.dropFirst("/tests/".count)))
            }
        case .secureHDFS:
            let name = UUID().uuidString
            try await body(try SecureLab.store(root: "/tests/" + name))
            try await SecureLab.store(root: "/tests").remove(name)
        case .ftp: try await FTPLab.withStore(.none, body)
        case .ftpTLS: try await FTPLab.withStore(.explicit, body)
        case .ftps: try await FTPLab.withStore(.implicit, body)
        case .sftp: try await SFTPLab.withStore(body)
        }
    }
}

/// Bytes that repeat late, other ones for another seed.
func content(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    let random = Seeded(seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) } }
    bytes.removeLast(bytes.count - count)
    return bytes
}

/// The error that `body` throws; an issue when it throws none.
func thrown<Value>(_ body: () async throws(StoreError) -> Value) async -> StoreError? {
    do throws(StoreError) {
        let value = try await body()
        Issue.record("no error, but \(value)")
        return nil
    } catch { return error }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// What a store must have done when all its calls came back, whatever happened on the way.
func useAll(_ store: any CheckpointStore) async throws {
    let bytes = content(40_000)
    try await store.write(bytes, to: "objects/p0", replication: 1)
    try await store.makeDirectory("open/1")
    #expect(try await store.commit([1, 2, 3], as: "open/1/m1.json", replication: 1))
    #expect(try await store.createExclusively([4, 5], at: "epochs/1.json"))
    #expect(try await !store.createExclusively([6], at: "epochs/1.json"))
    #expect(try await store.moveDirectory("open/1", to: "sealed/1"))
    #expect(try await !store.commit([7], as: "open/1/m2.json", replication: 1))
    #expect(try await store.list("sealed/1").map(\.name) == ["m1.json"])
    #expect(try await store.list("open").isEmpty)
    #expect(try await store.read("sealed/1/m1.json") == [1, 2, 3])
    #expect(try await store.read("epochs/1.json") == [4, 5])
    #expect(try await store.read("objects/p0") == bytes)
    try await store.remove("objects")
    #expect(try await store.list("objects").isEmpty)
}

/// What each way of writing says when there is no room: full, and nothing is at the path.
func refuseAsFull(_ store: any CheckpointStore, _ bytes: [UInt8], at path: String, replication: Int) async {
    for error in [
        await thrown { () throws(StoreError) in try await store.write(bytes, to: path, replication: replication) },
        await thrown { () throws(StoreError) in try await store.commit(bytes, as: path, replication: replication) },
        await thrown { () throws(StoreError) in try await store.createExclusively(bytes, at: path) },
    ] {
        guard case .full(path: path, _) = error else {
            Issue.record("\(String(describing: error))")
            continue
        }
    }
}

/// On a file system of 40 MiB: what was there stays whole, and there is room again when it goes.
func fillUp(_ store: any CheckpointStore) async throws {
    let large = content(30 << 20)
    try await store.makeDirectory("d")
    try await store.write(large, to: "d/first", replication: 1)
    await refuseAsFull(store, large, at: "d/x", replication: 1)
    #expect(try await store.list("d").map(\.name) == ["first"])
    #expect(try await store.read("d/first") == large)
    try await store.remove("d/first")
    try await store.write(large, to: "d/x", replication: 1)
    #expect(try await store.read("d/x") == large)
}
