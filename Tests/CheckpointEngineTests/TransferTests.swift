import CheckpointEngine
import DataPath
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

@Suite("Content travels in parts")
struct TransferTests {
    /// A file with all that may be in one: holes, zeros, what compresses and what does not; not a whole number of blocks.
    private static func content(_ file: String, parts: Int) throws {
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        defer { handle.closeFile() }
        let random = SeededRandom(seed: 11)
        // Part 0: noise, zeros, text. Part 1: a hole. Then a little in the middle of zeros. At the end less than a block.
        var noise = [UInt8](repeating: 0, count: Format.partSize / 4)
        noise.withUnsafeMutableBytes { noise in
            for offset in stride(from: 0, to: noise.count, by: 8) { noise.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self) }
        }
        try handle.write(contentsOf: noise)
        try handle.seek(toOffset: UInt64(Format.partSize / 2))
        try handle.write(contentsOf: Data(repeating: 65, count: Format.partSize / 4) + Data(repeating: 66, count: Format.partSize / 4))
        for part in 2..<parts {
            try handle.seek(toOffset: UInt64(part * Format.partSize + 3_000_000))
            try handle.write(contentsOf: [UInt8](repeating: UInt8(part), count: 50_000))
        }
        try handle.seek(toOffset: UInt64(parts * Format.partSize + 1_234))
        try handle.write(contentsOf: [9])
    }

    static let modes: [(String, TransferMode)] = [
        ("overlapped", TransferMode()), ("one at a time", TransferMode(parallel: 1)), ("zeros and all", TransferMode(leavesOutZeros: false)),
        ("untried", TransferMode(triesBefore: false)), ("sequential", TransferMode(form: .sequential)),
        ("sequential, zeros and all", TransferMode(form: .sequential, leavesOutZeros: false)),
        ("without compression", TransferMode(form: .sequential, leavesOutZeros: false, triesBefore: false, level: 0)),
    ]

    /// How many parts lie in one object, and into how many objects those of the content come: the hole is in none.
    static let objects = [(1, 6), (2, 4), (16, 2)]
    /// Forms that are tried with each.
    static let inObjects = ["overlapped", "sequential"]

    @Test("every form brings back every byte, with every codec", arguments: Codec.allCases, modes.map(\.0))
    func roundTrip(codec: Codec, form: String) async throws {
        let tried = Self.inObjects.contains(form) ? Self.objects : Array(Self.objects.prefix(1))
        for (partsPerObject, objects) in tried {
            try await roundTrip(codec, form, partsPerObject, objects)
        }
    }

    private func roundTrip(_ codec: Codec, _ form: String, _ partsPerObject: Int, _ objects: Int) async throws {
        let folder = NSTemporaryDirectory() + "cairn-transfer-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let parts = 6
        try Self.content(folder + "/content", parts: parts)
        let store = MemoryStore(time: VirtualTime(), partsPerObject: partsPerObject)
        let mode = try #require(Self.modes.first { $0.0 == form }?.1)
        let transfer = Transfer(store: store, mode: mode, time: VirtualTime())
        let meter = Transfer.Meter()
        let record = try await transfer.upload(folder + "/content", as: "x/part", codec: codec, replication: 2, meter: meter)
        #expect(record.bytes == Int64(parts * Format.partSize + 1_235) && record.partBytes == Format.partSize)
        #expect(record.parts.map { $0.path == nil } == [false, mode.leavesOutZeros] + [Bool](repeating: false, count: parts - 1))
        #expect(store.paths.count == objects + (mode.leavesOutZeros ? 0 : 1) && store.repeatedWrites == 0)
        #expect(record.parts.allSatisfy { ($0.offset == nil) == ($0.path == nil || partsPerObject == 1) })
        #expect(meter.sentBytes == ByteCount(record.storedBytes))
        // Of each codec that was not used: the first part's middle is text, and the fifth's bytes are all the same.
        let sampled = meter.sampledRatios ?? []
        #expect(sampled.map(\.codec) == Codec.allCases.filter { $0 != .none && $0 != codec })
        #expect(sampled.allSatisfy { 0 < $0.ratio && $0.ratio < 0.1 })
        if mode.leavesOutZeros {
            // A quarter of the first is zero, and next to nothing of the others is not.
            #expect(record.storedBytes < Int64(Format.partSize * 3 / 4 + parts * 60_000))
            #expect(record.parts[0].runs != nil)
        } else {
            #expect(record.parts.allSatisfy { $0.runs == nil })
        }
        try await transfer.download(record, to: folder + "/back", meter: Transfer.Meter())
        #expect(try Digest.sha256(file: folder + "/back") == Digest.sha256(file: folder + "/content"))
        // Nothing is left beside it.
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["back", "content"])
    }

    @Test(
        "an object of a known size is filled up as its store likes it, and read as if it were not",
        arguments: [TransferMode.Form.overlapped, .sequential])
    func rounded(form: TransferMode.Form) async throws {
        let folder = NSTemporaryDirectory() + "cairn-transfer-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Two objects of two parts; the last part is short, and nothing is zero.
        let bytes = 3 * Format.partSize + 1_000
        try Data(repeating: 7, count: bytes).write(to: URL(fileURLWithPath: folder + "/content"))
        let store = MemoryStore(time: VirtualTime(), partsPerObject: 2, objectRounding: 4_608)
        let transfer = Transfer(store: store, mode: TransferMode(form: form), time: VirtualTime())
        let meter = Transfer.Meter()
        let record = try await transfer.upload(folder + "/content", as: "x", codec: .none, replication: 1, meter: meter)
        let lengths = store.paths.compactMap { store.bytes(at: $0)?.count }
        #expect(lengths.count == 2 && lengths.allSatisfy { $0 % 4_608 == 0 })
        let filled = lengths.reduce(0, +) - bytes
        #expect(0 < filled && filled < 2 * 4_608)
        // What fills it up counts as nothing that was sent.
        #expect(record.storedBytes == Int64(bytes) && meter.sentBytes == ByteCount(Int64(bytes)))
        try await transfer.download(record, to: folder + "/back", meter: Transfer.Meter())
        #expect(try Digest.sha256(file: folder + "/back") == Digest.sha256(file: folder + "/content"))
    }

    @Test("what cannot be compressed is found out before, and kept as it is", arguments: [Codec.gzip, .zstd])
    func incompressible(codec: Codec) async throws {
        let file = NSTemporaryDirectory() + "cairn-transfer-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let random = SeededRandom(seed: 5)
        let noise = (0..<300_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try Data(noise).write(to: URL(fileURLWithPath: file))
        let transfer = Transfer(store: MemoryStore(time: VirtualTime()), mode: TransferMode(), time: VirtualTime())
        let part = try #require(
            try await transfer.upload(file, as: "x", codec: codec, replication: 1, meter: Transfer.Meter()).parts.first)
        #expect(part.codec == .none && part.storedBytes == noise.count && part.storedDigest == part.rawDigest)
    }

    @Test("a file that becomes shorter on the way is an error that names it")
    func missing() async throws {
        let transfer = Transfer(store: MemoryStore(time: VirtualTime()), mode: TransferMode(), time: VirtualTime())
        await #expect(throws: EngineError.local(path: "/nowhere/x", detail: "No such file or directory")) {
            _ = try await transfer.upload("/nowhere/x", as: "x", codec: .none, replication: 1, meter: Transfer.Meter())
        }
    }

    @Test("content of format 1 is read with its part size")
    func format1() throws {
        let text = #"{"bytes":5,"parts":[{"codec":"none","path":"a","rawBytes":5,"rawDigest":"d","storedBytes":5,"storedDigest":"d"}]}"#
        let record = try JSONDecoder().decode(ContentRecord.self, from: Data(text.utf8))
        #expect(record.partSize == 16 << 20 && record.parts[0].runs == nil)
    }
}
