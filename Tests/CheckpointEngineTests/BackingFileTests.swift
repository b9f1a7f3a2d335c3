import CheckpointEngine
import DiskImages
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

/// `union: backing-file`: the guest's one disk is a chain on the base, with real qcow2 layers.
@Suite("A disk on a backing file", .enabled(if: QcowMachine.isThere, "qemu-img and qemu-io are not installed (qemu-utils)"))
struct BackingFileTests {
    private let task = TaskID("t-1")
    private let bench: Bench
    private let base: String
    private static let block = 65_536

    init() throws {
        bench = try Bench(.directory)
        base = bench.folder + "/images/root.raw"
        // 4 MiB: block n holds the byte n + 1.
        try Data((0..<64).flatMap { [UInt8](repeating: UInt8($0 + 1), count: Self.block) }).write(to: URL(fileURLWithPath: base))
    }

    private func submission(kernel: String? = nil) -> TaskSubmission {
        var submission = bench.submission()
        submission.sla.task = TaskSpec(
            base: "root.raw", kernel: kernel, union: .backingFile, memoryBytes: .mebibytes(1), deltaBytes: .mebibytes(1), run: "",
            workSeconds: Seconds(60))
        return submission
    }

    private func engine(_ machine: QcowMachine, _ node: String, longestChain: Int = 8) -> CheckpointEngine {
        CheckpointEngine(
            configuration: .init(
                node: NodeID(node), work: "\(bench.folder)/\(node)/work", images: bench.folder + "/images", version: "test",
                longestChain: longestChain),
            store: bench.store, hypervisor: machine, disks: QemuDisks(templates: bench.folder + "/templates"), time: bench.time)
    }

    private func checkpoint(_ engine: CheckpointEngine, _ epoch: Epoch = .first) async throws -> CheckpointRecord {
        let id = try engine.nextCheckpoint(of: task, epoch: epoch)
        return try await engine.checkpoint(task, epoch: epoch, id: id, order: OrderID("o-\(id)"), plan: Bench.plan, progress: nil)
    }

    /// The whole disk as the guest sees it.
    private func disk(_ machine: QcowMachine) async throws -> Data {
        let raw = "\(bench.folder)/seen-\(UUID().uuidString)"
        let chain = try await machine.chain("cairn-t-1")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/qemu-img")
        process.arguments = ["convert", "-U", "-f", "qcow2", "-O", "raw", chain[0], raw]
        try process.run()
        process.waitUntilExit()
        return try Data(contentsOf: URL(fileURLWithPath: raw))
    }

    private func expected(_ written: [Int: Int]) throws -> Data {
        var whole = try Data(contentsOf: URL(fileURLWithPath: base))
        for (block, value) in written {
            whole.replaceSubrange(block * Self.block..<(block + 1) * Self.block, with: [UInt8](repeating: UInt8(value), count: Self.block))
        }
        return whole
    }

    @Test("it goes on elsewhere over that node's own copy of the base, merged or not, and no layer holds the base", arguments: [8, 2])
    func elsewhere(longestChain: Int) async throws {
        let catalog = CheckpointCatalog(store: bench.store, time: bench.time)
        _ = try await catalog.openFirst(of: task, for: NodeID("a"))
        let a = QcowMachine()
        try await engine(a, "a").begin(submission(), epoch: .first)
        var written: [Int: Int] = [:]
        for number in 1...3 {
            // One of its own, and one that every checkpoint overwrites.
            let values = [number: 100 + number, 9: 200 + number]
            try a.write("cairn-t-1", values)
            written.merge(values) { $1 }
            let record = try await checkpoint(engine(a, "a"))
            #expect(record.union == MountedUnion(kind: .backingFile))
            // Two blocks and qcow2's own tables, not 4 MiB.
            #expect(record.diskBytes < .mebibytes(1))
            #expect(record.includedBase == (number == 1))
        }
        #expect(try await disk(a) == expected(written))
        // Merged while it runs: the base stays below.
        let merge = try await engine(a, "a").merge(task, epoch: .first, order: MergeOrder(keep: 1))
        #expect(merge.layersAfter < merge.layersBefore)
        #expect(try await a.chain("cairn-t-1").last == base)
        #expect(try await disk(a) == expected(written))
        try a.write("cairn-t-1", [20: 77])
        written[20] = 77
        let last = try await checkpoint(engine(a, "a"))
        let manifest = try await catalog.manifest(last.id, of: task)
        #expect(manifest.kernel == "" && manifest.ramdisk == "" && manifest.contents == [manifest.base])
        #expect(try await engine(a, "a").verify(last.id, of: task, readData: true) == [])

        // The base that it began from is not there any more: what counts is in the store.
        let truth = try expected(written)
        try FileManager.default.moveItem(atPath: base, toPath: base + ".gone")
        let raised = try await catalog.raiseEpoch(of: task, from: .first, for: NodeID("b"))
        let b = QcowMachine()
        let second = engine(b, "b", longestChain: longestChain)
        _ = try await second.restore(submission(), from: raised.from, epoch: raised.epoch)
        let chain = try await b.chain("cairn-t-1")
        #expect(chain.last == "\(bench.folder)/b/work/contents/" + manifest.base.replacing(":", with: "-"))
        if longestChain == 2 {
            // The active layer, the merged one, the base.
            #expect(chain.count == 3)
            let size = try FileManager.default.attributesOfItem(atPath: chain[1])[.size] as? Int
            #expect(try #require(size) < 1 << 20)
        }
        #expect(try await disk(b) == truth)
        try b.write("cairn-t-1", [21: 78])
        #expect(try await checkpoint(second, raised.epoch).union?.kind == .backingFile)

        let again = try await catalog.raiseEpoch(of: task, from: raised.epoch, for: NodeID("c"))
        let c = QcowMachine()
        _ = try await engine(c, "c").restore(submission(), from: again.from, epoch: again.epoch)
        written[21] = 78
        try FileManager.default.moveItem(atPath: base + ".gone", toPath: base)
        #expect(try await disk(c) == expected(written))
        #expect(a.mispairings + b.mispairings + c.mispairings == [])
    }

    @Test("the disk is as large as the base, or as asked for if that is more")
    func size() async throws {
        let disks = QemuDisks(templates: bench.folder + "/templates")
        for (asked, size) in [(ByteCount.mebibytes(1), 4 << 20), (.mebibytes(16), 16 << 20)] {
            let path = "\(bench.folder)/first-\(size).qcow2"
            try await disks.makeFirstLayer(at: path, size: asked, onBase: base)
            // Where QEMU's format keeps a disk's size. Source: QEMU docs/interop/qcow2.txt, bytes 24 to 31.
            let head = Array(try #require(try FileHandle(forReadingAtPath: path)?.read(upToCount: 32)))
            #expect(head[24..<32].reduce(0) { $0 << 8 | Int($1) } == size)
        }
    }

    @Test("what cannot lie below a guest is refused before anything is started, with a word on what to do")
    func refused() async throws {
        let catalog = CheckpointCatalog(store: bench.store, time: bench.time)
        _ = try await catalog.openFirst(of: task, for: NodeID("a"))
        func complaint(_ change: (inout TaskSpec) -> Void) async throws -> String {
            var wrong = submission()
            change(&wrong.sla.task)
            do {
                try await engine(QcowMachine(), "a").begin(wrong, epoch: .first)
                return "nothing"
            } catch { return "\(error)" }
        }
        try Data("hsqs and so on".utf8).write(to: URL(fileURLWithPath: base))
        #expect(try await complaint { _ in }.contains("is a squashfs"))
        try Data([0x51, 0x46, 0x49, 0xfb, 0]).write(to: URL(fileURLWithPath: base))
        #expect(try await complaint { _ in }.contains("qemu-img convert -O raw"))
        let image = bench.folder + "/images/made"
        try FileManager.default.createDirectory(atPath: image, withIntermediateDirectories: true)
        try Data(#"{"union":"auto","base":{"file":"base.squashfs"}}"#.utf8).write(to: URL(fileURLWithPath: image + "/image.json"))
        for name in ["vmlinuz", "ramdisk", "base.squashfs"] { try Data("x".utf8).write(to: URL(fileURLWithPath: "\(image)/\(name)")) }
        let mismatch = try await complaint {
            $0.image = "made"
            $0.base = nil
        }
        #expect(mismatch.contains("the image was made for the union auto, and the task wants backing-file"))
    }
}

@Suite("What unites a guest's disks is kept") struct UnionRecordTests {
    @Test("as the guest told it where it booted, and in every life that goes on from there")
    func told() async throws {
        let bench = try Bench(.directory)
        let (a, b) = (bench.node("a"), bench.node("b"))
        let submission = bench.submission()
        try await bench.begin(submission, on: a)
        await bench.pass(5)
        #expect(try await bench.checkpoint(on: a).union == nil)
        let console = try #require(try a.engine().tasks().first).console
        let handle = try #require(FileHandle(forWritingAtPath: console))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("CAIRN UNION backing-file not its business\nCAIRN UNION overlayfs rw,relatime,lowerdir=/base\n".utf8))
        try handle.close()
        let union = MountedUnion(kind: .overlayfs, options: "rw,relatime,lowerdir=/base")
        await bench.pass(5)
        #expect(try await bench.checkpoint(on: a).union == union)
        _ = try await bench.resume(submission, on: b)
        #expect(try b.engine().tasks().first?.union == union)
        await bench.pass(5)
        #expect(try await bench.checkpoint(on: b, epoch: Epoch(2)).union == union)
    }
}
