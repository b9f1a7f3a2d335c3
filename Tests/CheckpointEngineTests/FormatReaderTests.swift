import CheckpointEngine
import DataPath
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

/// docs/format.md against the code: `Tests/format/read_checkpoint.py`, which was written from the document alone, reads what the engine wrote.
private enum Reader {
    static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/format/read_checkpoint.py"
    static let python = ["/usr/bin/python3", "/usr/local/bin/python3"].first { FileManager.default.isExecutableFile(atPath: $0) }

    struct Said: Decodable {
        var checkpoint: String
        var epoch: Int
        var node: String
        var line: [String]
        var passedOver: [String]
        var layers: Int
        var progress: Double?
    }

    /// - Returns: what it said on its output (nothing when it failed), its complaint, and its exit code.
    static func run(_ arguments: [String]) async throws -> (said: Said?, complaint: String, status: Int32) {
        let python = try #require(python)
        return try await onBlockingThread { () throws(any Error) in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: python)
            process.arguments = ["-B", script] + arguments
            let (output, complaint) = (Pipe(), Pipe())
            process.standardOutput = output
            process.standardError = complaint
            try process.run()
            // What it says is a line: no pipe fills up.
            let said = output.fileHandleForReading.readDataToEndOfFile()
            let complained = complaint.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return (
                said.isEmpty ? nil : try JSONDecoder().decode(Said.self, from: said), String(decoding: complained, as: UTF8.self),
                process.terminationStatus
            )
        }
    }
}

@Suite("What docs/format.md says is enough to read a store", .enabled(if: Reader.python != nil, "python3 is not installed"))
struct FormatReaderTests {
    private let task = TaskID("t-1")
    private let bench: Bench

    /// Memory is cut into objects of two parts, layers have one of their own.
    init() throws { bench = try Bench(.directory, imageBytes: 7 * Format.partSize + 4_097, partsPerObject: 2) }

    private var store: String { bench.folder + "/store" }

    /// Takes a checkpoint, and keeps what it must consist of: memory and layers as they lay on the node between capture and upload. One part of
    /// memory is made incompressible, one stays all zero.
    private func checkpoint(_ node: Bench.Node, _ epoch: Epoch, _ codec: Codec) async throws -> CheckpointID {
        let faults = Faults()
        faults.fail("store.list contents/")
        let id = try node.engine().nextCheckpoint(of: task, epoch: epoch)
        let plan = CheckpointOrder(codec: codec, replication: 1)
        let progress = bench.progress(of: task, on: node)
        await #expect(throws: EngineError.self) {
            _ = try await node.engine(faults).checkpoint(task, epoch: epoch, id: id, order: OrderID("o-\(id)"), plan: plan, progress: progress)
        }
        let life = "\(node.work)/tasks/\(task)/\(padded(epoch.rawValue))"
        let memory = "\(life)/memory-\(id).img"
        let random = SeededRandom(seed: UInt64(epoch.rawValue * 100))
        let noise = Data((0..<Format.partSize / 8).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } })
        let handle = try #require(FileHandle(forWritingAtPath: memory))
        try handle.seek(toOffset: UInt64(2 * Format.partSize))
        try handle.write(contentsOf: noise)
        try handle.close()
        let kept = truth(id)
        try FileManager.default.createDirectory(atPath: kept, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: memory, toPath: kept + "/memory.img")
        let layers = try FileManager.default.contentsOfDirectory(atPath: life + "/layers").sorted().dropLast()
        for (index, layer) in layers.enumerated() {
            try FileManager.default.copyItem(atPath: "\(life)/layers/\(layer)", toPath: "\(kept)/\(padded(index)).qcow2")
        }
        let record = try await node.engine().checkpoint(
            task, epoch: epoch, id: id, order: OrderID("o-\(id)"), plan: plan, progress: progress)
        #expect(record.id == id)
        return id
    }

    private func truth(_ id: CheckpointID) -> String { "\(bench.folder)/truth/\(id)" }

    /// The newest whole one, or the one that is asked for, compared byte for byte.
    private func read(_ wanted: CheckpointID? = nil, expecting id: CheckpointID) async throws -> Reader.Said {
        let out = "\(bench.folder)/read-\(UUID().uuidString)"
        let outcome = try await Reader.run([store, "\(task)", out] + (wanted.map { ["--checkpoint", "\($0)"] } ?? []))
        #expect(outcome.status == 0 && outcome.complaint == "")
        let said = try #require(outcome.said)
        #expect(said.checkpoint == "\(id)")
        let names = try FileManager.default.contentsOfDirectory(atPath: truth(id)).sorted()
        #expect(names.count == said.layers + 1)
        for name in names {
            #expect(FileManager.default.contentsEqual(atPath: "\(truth(id))/\(name)", andPath: "\(out)/\(name)"), "\(name) of \(id)")
        }
        for (name, original) in [("base", "base.squashfs"), ("kernel", "vmlinuz"), ("ramdisk", "ramdisk")] {
            #expect(FileManager.default.contentsEqual(atPath: "\(bench.folder)/images/\(original)", andPath: "\(out)/\(name)"), "\(name) of \(id)")
        }
        #expect(try String(contentsOfFile: out + "/domain.xml", encoding: .utf8).contains("<name>cairn-t-1</name>"))
        return said
    }

    @Test("every codec, zero parts, several lives, layers of earlier ones: bit for bit; and what is damaged or beside the line is passed over")
    func whole() async throws {
        let (a, b) = (bench.node("a"), bench.node("b"))
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(20)
        let first = try await checkpoint(a, .first, .zstd)
        await bench.pass(10)
        let second = try await checkpoint(a, .first, .gzip)
        #expect(try await read(expecting: second).line == ["\(second)", "\(first)"])
        _ = try await bench.resume(bench.submission(), on: b)
        // Before its first checkpoint an epoch goes back to the one that it began from.
        #expect(try await read(expecting: second).epoch == 2)
        await bench.pass(10)
        let third = try await checkpoint(b, Epoch(2), .none)
        #expect(b.machine.mispairings == 0)

        let codecs = try await a.catalog().manifest(second, of: task).memory.parts.map { $0.path == nil ? nil : $0.codec }
        #expect(codecs == [.gzip, nil, Codec.none, nil, nil, nil, nil, .gzip])
        let objects = try FileManager.default.contentsOfDirectory(atPath: "\(store)/tasks/\(task)/objects/\(second)").sorted()
        #expect(objects == ["layer-000001.000000", "memory.000000-000001", "memory.000002-000003", "memory.000006-000007"])
        for (id, layers, progress) in [(first, 1, 0.2), (second, 2, 0.3), (third, 3, 0.4)] {
            let said = try await read(id, expecting: id)
            #expect(said.layers == layers && said.progress == progress)
        }
        // What somebody leaves in the earlier epoch after it was sealed is not on the line, though its name is the newest of that epoch.
        let sealed = "\(store)/tasks/\(task)/sealed/000001"
        try FileManager.default.copyItem(atPath: "\(sealed)/\(second).json", toPath: "\(sealed)/e000001-c000009.json")
        let newest = try await read(expecting: third)
        #expect(newest.line == ["\(third)", "\(second)", "\(first)"])
        #expect(newest.epoch == 2 && newest.node == "b" && newest.passedOver == [])

        // Bit rot in a part of the newest one.
        let part = "\(store)/tasks/\(task)/objects/\(third)/memory.000000-000001"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: part))
        bytes[100] ^= 1
        try bytes.write(to: URL(fileURLWithPath: part))
        let before = try await read(expecting: second)
        #expect(
            before.passedOver.count == 1
                && before.passedOver[0].hasPrefix("\(third): tasks/t-1/objects/e000002-c000001/memory.000000-000001 has another"))
        // And in a manifest: the engine and the reader come to the same one.
        let manifest = "\(sealed)/\(second).json"
        let text = try String(contentsOfFile: manifest, encoding: .utf8)
        try text.replacing("\"progress\":0.3", with: "\"progress\":0.9").write(toFile: manifest, atomically: false, encoding: .utf8)
        #expect(try await read(expecting: first).passedOver.count == 2)
        #expect(try await bench.resume(bench.submission(), on: a, from: Epoch(2)).checkpoint == first)
    }

    @Test("a document of a later format is refused, and no earlier checkpoint taken in its place")
    func laterFormat() async throws {
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(5)
        _ = try await checkpoint(a, .first, .zstd)
        await bench.pass(5)
        let second = try await checkpoint(a, .first, .zstd)
        let manifest = "\(store)/tasks/\(task)/open/000001/\(second).json"
        let text = try String(contentsOfFile: manifest, encoding: .utf8)
        let body = try #require(text.firstMatch(of: /"document":(.*)\}/)?.output.1)
        let later = body.replacing("\"format\":\(Format.version),", with: "\"format\":99,")
        #expect(later != body)
        try "{\"digest\":\"\(Digest.sha256(Array(later.utf8)))\",\"document\":\(later)}".write(toFile: manifest, atomically: false, encoding: .utf8)
        let outcome = try await Reader.run([store, "\(task)", bench.folder + "/out"])
        #expect(outcome.status == 3 && outcome.complaint.contains("has format 99") && outcome.said == nil)
        await #expect { _ = try await a.catalog().committed(task) } throws: { if case EngineError.tooNew = $0 { true } else { false } }
        #expect(try await Reader.run([store, "nobody-1", bench.folder + "/out"]).complaint.contains("does not know a task nobody-1"))
    }
}
