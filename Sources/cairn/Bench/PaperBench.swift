import CheckpointEngine
import DiskImages
import Evaluation
import Foundation
import GuestImages
import LibvirtHypervisor
import Ports
import Vocabulary

/// What all scenarios of the paper's evaluation stand on: real guests, real stores, and both ways of making a checkpoint.
struct PaperBench {
    let work: String
    let hypervisor: LibvirtHypervisor
    let disks: QemuDisks
    let stores: PaperStores
    let image: GuestImage
    let isQuick: Bool
    let say: @Sendable (String) -> Void

    /// The paper's sizes, scaled to this machine.
    var sizes: Sizes { isQuick ? .quick : .full }

    struct Sizes {
        var base: Int
        var memories: [Int]
        var memory: Int
        var userDisks: [Int]
        var userDisk: Int
        /// Figure 5: the disk, and how much of it is used.
        var usedDisk: Int
        var usages: [Int]
        var rounds: Int
        /// Of single uploads (table II, figure 5), which are short and told apart by little.
        var uploadRounds: Int
        var series: Int
        var seriesMemories: [Int]
        var seriesEvery: Double
        var taskSeconds: Double
        var firstCheckpoint: Double
        var checkpointEvery: Double
        /// Of each run of the task.
        var checkpoints: Int
        var upload: Int

        /// The base system is half of the paper's 769 MiB, memory and user disk a quarter to all of its own; times about a hundredth.
        static let full = Sizes(
            base: 384, memories: [96, 128, 256], memory: 128, userDisks: [50, 200, 400], userDisk: 100, usedDisk: 192, usages: [0, 16, 64, 128, 176],
            rounds: 3, uploadRounds: 9, series: 5, seriesMemories: [96, 192], seriesEvery: 6, taskSeconds: 60, firstCheckpoint: 4,
            checkpointEvery: 18, checkpoints: 3, upload: 384)
        static let quick = Sizes(
            base: 24, memories: [96, 128], memory: 96, userDisks: [32, 64], userDisk: 32, usedDisk: 32, usages: [0, 16], rounds: 1, uploadRounds: 1,
            series: 2, seriesMemories: [96], seriesEvery: 1, taskSeconds: 5, firstCheckpoint: 1, checkpointEvery: 2, checkpoints: 2,
            upload: 24)
    }

    /// What a task may take of a guest's memory, MiB: the kernel and the ramdisk's leavings want some 60.
    static func inUse(of memory: Int) -> Int { max(8, (memory - 64) / 2) }

    static let progress = ProgressSource.console(
        pattern: #"^CAIRN PROGRESS (\d+)/(\d+)"#, result: "^CAIRN RESULT ([0-9a-f]{64})", failure: "^CAIRN (FAIL .*|CHECK CORRUPT.*|EXIT [1-9][0-9]*)"
    )

    func submission(_ name: String, memory: Int, disk: Int, run: String) -> TaskSubmission {
        let spec = TaskSpec(
            image: image.directory, memoryBytes: .mebibytes(Int64(memory)), deltaBytes: .mebibytes(Int64(disk)), run: run, workSeconds: Seconds(3_600)
        )
        return TaskSubmission(
            task: TaskID(name), sla: TaskSLA(name: name, task: spec, progress: Self.progress),
            version: DocumentVersion(name: name, digest: "sha256:bench"), submittedAt: SystemTime().now())
    }

    func engine(_ node: String, over store: any CheckpointStore, directory: String, mode: TransferMode = TransferMode()) -> CheckpointEngine {
        CheckpointEngine(
            configuration: .init(node: NodeID(node), work: "\(work)/\(directory)", images: work, transfer: mode, version: Release.version),
            store: store, hypervisor: hypervisor, disks: disks, time: SystemTime())
    }

    /// Starts a guest through the engine and waits until its task runs.
    func begin(
        _ name: String, memory: Int, disk: Int, run: String, over store: any CheckpointStore, mode: TransferMode = TransferMode(),
        started: String = "CAIRN START"
    ) async throws -> PaperGuest {
        let submission = submission(name, memory: memory, disk: disk, run: run)
        let directory = "n-\(name)"
        try? FileManager.default.removeItem(atPath: "\(work)/\(directory)")
        let engine = engine("a", over: store, directory: directory, mode: mode)
        let catalog = CheckpointCatalog(store: store, time: SystemTime())
        do throws(EngineError) {
            _ = try await catalog.openFirst(of: submission.task, for: NodeID("a"))
            try await engine.begin(submission, epoch: .first)
            let console = try engine.tasks().first { $0.submission.task == submission.task }?.console ?? ""
            let guest = PaperGuest(bench: self, engine: engine, catalog: catalog, submission: submission, console: console, directory: directory)
            do { try await guest.wait(for: started, seconds: 90) } catch {
                try await guest.stop()
                throw EngineError.local(path: console, detail: "the guest did not come up")
            }
            return guest
        } catch { throw Failure.notDone("\(error)") }
    }
}

/// One guest that an engine began, and what is done with it.
struct PaperGuest {
    let bench: PaperBench
    let engine: CheckpointEngine
    let catalog: CheckpointCatalog
    let submission: TaskSubmission
    let console: String
    let directory: String

    var task: TaskID { submission.task }
    var domain: String { CheckpointEngine.domain(of: task) }

    func text() -> String { FileManager.default.contents(atPath: console).map { String(decoding: $0, as: UTF8.self) } ?? "" }

    func wait(for words: String, seconds: Double) async throws {
        let limit = Date().addingTimeInterval(seconds)
        while Date() < limit {
            let text = text()
            if text.contains(words) { return }
            if text.contains("CAIRN FAIL") || text.contains("CHECK CORRUPT") { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw Failure.notDone("the guest does not say \(words): see \(console): \(text().suffix(300))")
    }

    /// Steps done, as last said on the console.
    func steps() -> Int? {
        guard let line = text().split(separator: "\n").last(where: { $0.hasPrefix("CAIRN PROGRESS ") }) else { return nil }
        return Int(line.dropFirst("CAIRN PROGRESS ".count).prefix { $0 != "/" })
    }

    /// Ours: captured, uploaded and committed by the engine.
    func checkpoint(codec: Codec = .zstd, replication: Int) async throws -> CheckpointRecord {
        do throws(EngineError) {
            let id = try engine.nextCheckpoint(of: task, epoch: .first)
            return try await engine.checkpoint(
                task, epoch: .first, id: id, order: OrderID("bench-\(id)"),
                plan: CheckpointOrder(codec: codec, replication: Replication(replication)),
                progress: nil)
        } catch { throw Failure.notDone("\(error); the guest's last words: \(text().suffix(200))") }
    }

    func stop() async throws(EngineError) { try await engine.stop(task, epoch: .first) }

    /// The layer that the guest writes to.
    var activeLayer: String {
        let layers = "\(bench.work)/\(directory)/tasks/\(task)/\(padded(1))/layers"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: layers)) ?? []
        return layers + "/" + (names.filter { $0.hasSuffix(".qcow2") }.max() ?? "")
    }

    /// The paper's: memory is saved, the disks are saved while the guest stands still, the guest is restarted; then everything is uploaded, whole
    /// file by whole file.
    func paperCheckpoint(_ kind: PaperCheckpoint.Kind, to store: any CheckpointStore, replication: Int) async throws -> PaperCheckpoint {
        let folder = "\(bench.work)/\(directory)/saved"
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let marks = Marks()
        let layer = activeLayer
        let base = bench.image.base
        let saver = DiskSaver()
        marks.mark()
        do throws(HypervisorError) {
            try await bench.hypervisor.saveAndRestoreInPlace(domain, path: folder + "/memory") {
                marks.mark()
                saver.save(layer, asRaw: folder + "/disk")
                if kind == .everything { saver.save(base, to: folder + "/base") }
                marks.mark()
            }
        } catch { throw Failure.notDone("\(error)") }
        marks.mark()
        if let trouble = saver.trouble { throw Failure.notDone(trouble) }
        let times = marks.seconds
        // "gzip" for the user disk where it pays, which for a disk as empty as this one it does; memory and base as they are.
        var uploaded = PaperCheckpoint(kind: kind, saveMemory: times[0], saveDisks: times[1], restart: times[2])
        let plain = TransferMode(form: .sequential, parallel: 1, leavesOutZeros: false, triesBefore: false, isInBackground: false)
        var files = [("memory", Codec.none)]
        files.append(("disk", kind == .everything ? .none : .gzip))
        if kind == .everything { files.append(("base", .none)) }
        for (name, codec) in files {
            let meter = Transfer.Meter()
            let begun = ContinuousClock.now
            do throws(EngineError) {
                let content = try await Transfer(store: store, mode: plain, time: SystemTime()).upload(
                    "\(folder)/\(name)", as: "\(PaperStores.plain)/\(UUID().uuidString)/\(name)", codec: codec, replication: replication, meter: meter
                )
                uploaded.bytes += content.storedBytes
            } catch { throw Failure.notDone("\(error)") }
            let seconds = (ContinuousClock.now - begun) / .seconds(1)
            let compress = min(meter.compressSeconds.rawValue, seconds)
            uploaded.compress += compress
            if name == "memory" { uploaded.uploadMemory += seconds } else { uploaded.uploadDisks += seconds - compress }
        }
        return uploaded
    }
}

/// What a checkpoint in the paper's way took, seconds.
struct PaperCheckpoint: Codable {
    enum Kind: String, Codable {
        /// The union of a read-only base and a user disk: the base is stored once, the user disk and memory each time.
        case union
        /// No union: everything each time.
        case everything
    }
    var kind: Kind
    var saveMemory: Double
    var saveDisks: Double
    var restart: Double
    var compress = 0.0
    var uploadMemory = 0.0
    var uploadDisks = 0.0
    var bytes: Int64 = 0
    var stop: Double { saveMemory + saveDisks + restart }
    var total: Double { stop + compress + uploadMemory + uploadDisks }
}

/// Instants, taken from any thread.
final class Marks: @unchecked Sendable {
    private let lock = NSLock()
    private var instants: [ContinuousClock.Instant] = []
    func mark() { lock.withLock { instants.append(.now) } }
    /// Between neighbours.
    var seconds: [Double] { lock.withLock { zip(instants.dropFirst(), instants).map { ($0 - $1) / .seconds(1) } } }
}

/// Copies disks while a guest stands still, as the paper's infrastructure does: every byte, onto the disk.
final class DiskSaver: @unchecked Sendable {
    private let lock = NSLock()
    private var found: String?
    var trouble: String? { lock.withLock { found } }

    /// A chain of layers as one raw image, zeros and all.
    func save(_ layer: String, asRaw path: String) {
        run("qemu-img", ["convert", "-q", "-U", "-f", "qcow2", "-O", "raw", "-S", "0", "-t", "none", "-T", "writeback", layer, path])
        flush(path)
    }

    func save(_ file: String, to path: String) {
        run("cp", ["--sparse=never", "--reflink=never", file, path])
        flush(path)
    }

    private func flush(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private func run(_ program: String, _ arguments: [String]) {
        guard let path = Peers.find(program) else {
            lock.withLock { found = "\(program) is not here" }
            return
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch {
            lock.withLock { found = "\(program): \(error.localizedDescription)" }
            return
        }
        process.waitUntilExit()
        if process.terminationStatus != 0 {
            lock.withLock { found = "\(program) \(arguments.joined(separator: " ")) ended with \(process.terminationStatus)" }
        }
    }
}

/// How long something took.
func timed(_ body: () async throws -> Void) async rethrows -> Double {
    let begun = ContinuousClock.now
    try await body()
    return (ContinuousClock.now - begun) / .seconds(1)
}
