import CheckpointEngine
import DirectoryStore
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

@Suite("A store is tried before anything rests on it")
struct ProbeTests {
    private let time = VirtualTime()

    @Test("a store that does what it must has no faults, and nothing is left in it")
    func good() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-probe-" + UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) } }
        let stores: [any CheckpointStore] = [
            MemoryStore(time: time), try DirectoryStore(root: folder, random: SeededRandom(seed: 7)),
        ]
        for store in stores {
            let outcome = try await StoreProbe(store: store, time: time, name: "some").run()
            #expect(outcome.faults == [])
            #expect(outcome.clockAhead != nil)
            #expect(try await store.list("probes").isEmpty)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("probe") } == [])
    }

    @Test("a store that commits where nothing is, or twice, is found out, and nothing is left in it")
    func bad() async throws {
        let careless = CarelessStore(base: MemoryStore(time: time))
        let outcome = try await StoreProbe(store: careless, time: time, name: "some").run()
        #expect(
            outcome.faults == [
                "a commit replaces what another had committed", "two exclusive creations succeed",
                "a stale node could commit into a directory that was sealed away",
                "what was committed is not there after its directory was moved",
            ])
        #expect(try await careless.list("probes").isEmpty)
    }
}

/// A plain file store that replaces, as most do.
private struct CarelessStore: CheckpointStore {
    let base: MemoryStore
    var properties: StoreProperties { base.properties }
    func write(_ bytes: [UInt8], to path: String, replication: Int) async throws(StoreError) {
        try await base.write(bytes, to: path, replication: replication)
    }
    func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool {
        try await base.write(bytes, to: path, replication: replication)
        return true
    }
    func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool {
        try await base.write(bytes, to: path, replication: 1)
        return true
    }
    func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool {
        try await base.moveDirectory(source, to: destination)
    }
    func makeDirectory(_ path: String) async throws(StoreError) { try await base.makeDirectory(path) }
    func read(_ path: String) async throws(StoreError) -> [UInt8] { try await base.read(path) }
    func list(_ path: String) async throws(StoreError) -> [StoreEntry] { try await base.list(path) }
    func remove(_ path: String) async throws(StoreError) { try await base.remove(path) }
    func health() async -> StoreHealth { await base.health() }
}
