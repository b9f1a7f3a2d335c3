import CheckpointEngine
import DirectoryStore
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

/// Nodes with their engines over one store, in a directory of their own that goes when the test has ended.
final class Bench {
    enum Store: String, CaseIterable, CustomTestStringConvertible {
        case memory, directory
        var testDescription: String { rawValue }
    }

    let folder: String
    let time = VirtualTime()
    let memory: MemoryStore
    let store: any CheckpointStore
    let imageBytes: Int
    let partsPerObject: Int?

    init(_ kind: Store = .memory, imageBytes: Int = 0, partsPerObject: Int? = nil) throws {
        self.partsPerObject = partsPerObject
        folder = NSTemporaryDirectory() + "cairn-engine-\(UUID().uuidString)"
        self.imageBytes = imageBytes
        for name in ["images", "store"] { try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true) }
        for name in ["vmlinuz", "ramdisk", "base.squashfs"] {
            try Data("the demo's \(name)".utf8).write(to: URL(fileURLWithPath: "\(folder)/images/\(name)"))
        }
        memory = MemoryStore(time: time)
        store = kind == .memory ? memory : try DirectoryStore(root: folder + "/store", random: SeededRandom(seed: 7))
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record("the directory of the test stays: \(error)") }
    }

    /// One node: its machine lives on when its process (the engine) is started again.
    struct Node {
        let id: NodeID
        let work: String
        let machine: SimulatedHypervisor
        let bench: Bench
        var longestChain = 8
        var hardLimit = 150

        func engine(_ faults: Faults = Faults(), failpoint: FailpointHook? = nil) -> CheckpointEngine {
            CheckpointEngine(
                configuration: .init(
                    node: id, work: work, images: bench.folder + "/images", version: "test", longestChain: longestChain, hardLimit: hardLimit,
                    failpoint: failpoint),
                store: FaultyStore(bench.store, faults: faults, partsPerObject: bench.partsPerObject),
                hypervisor: FaultyHypervisor(machine, faults: faults),
                disks: FaultyDisks(SimulatedDisks(), faults: faults), time: bench.time)
        }
        func catalog(_ faults: Faults = Faults()) -> CheckpointCatalog {
            CheckpointCatalog(store: FaultyStore(bench.store, faults: faults), time: bench.time)
        }
    }

    func node(_ name: String, longestChain: Int = 8, hardLimit: Int = 150) -> Node {
        Node(
            id: NodeID(name), work: "\(folder)/\(name)/work", machine: SimulatedHypervisor(time: time, imageBytes: imageBytes), bench: self,
            longestChain: longestChain, hardLimit: hardLimit)
    }

    static let work = 100
    static let result = SimulatedGuest.result(steps: work)

    func submission(_ name: String = "t-1", run: String = "chain \(Bench.work)") -> TaskSubmission {
        let spec = TaskSpec(
            base: "base.squashfs", kernel: "vmlinuz", ramdisk: "ramdisk", memoryBytes: .mebibytes(1), deltaBytes: .mebibytes(1), run: run,
            workSeconds: Seconds(Double(Self.work)))
        return TaskSubmission(
            task: TaskID(name), sla: TaskSLA(name: name, task: spec, progress: SimulatedGuest.progress),
            version: DocumentVersion(name: name, digest: "sha256:\(name)"), submittedAt: time.now())
    }

    static let plan = CheckpointOrder(codec: .zstd, replication: 2)

    /// Opens the first epoch and starts the task.
    func begin(_ submission: TaskSubmission, on node: Node) async throws {
        #expect(try await node.catalog().openFirst(of: submission.task, for: node.id) == node.id)
        try await node.engine().begin(submission, epoch: .first)
    }

    /// Takes a checkpoint by a new order.
    @discardableResult
    func checkpoint(_ task: TaskID = TaskID("t-1"), on node: Node, epoch: Epoch = .first) async throws -> CheckpointRecord {
        let engine = node.engine()
        let id = try engine.nextCheckpoint(of: task, epoch: epoch)
        return try await engine.checkpoint(
            task, epoch: epoch, id: id, order: OrderID("o-\(id)"), plan: Self.plan, progress: progress(of: task, on: node))
    }

    func progress(of task: TaskID, on node: Node) -> Double? {
        node.machine.step(of: CheckpointEngine.domain(of: task)).map { Double($0) / Double(Self.work) }
    }

    /// Raises the epoch for the node and resumes the task there.
    func resume(_ submission: TaskSubmission, on node: Node, from known: Epoch = .first) async throws -> ResumeRecord {
        let raised = try await node.catalog().raiseEpoch(of: submission.task, from: known, for: node.id)
        #expect(raised.node == node.id)
        return try await node.engine().restore(submission, from: raised.from, epoch: raised.epoch)
    }

    func step(_ node: Node, _ task: String = "t-1") -> Int? { node.machine.step(of: "cairn-\(task)") }

    /// Lets the guest come to its end, and says what is on its console then.
    func finish(_ node: Node, _ task: String = "t-1") async throws -> String {
        await time.advance(by: Seconds(Double(Self.work)))
        _ = try await node.machine.status("cairn-\(task)")
        let local = try #require(try node.engine().tasks().first { $0.submission.task.rawValue == task })
        let console = String(decoding: try Data(contentsOf: URL(fileURLWithPath: local.console)), as: UTF8.self)
        return try #require(console.split(separator: "\n").last.map(String.init))
    }

    func pass(_ seconds: Double) async { await time.advance(by: Seconds(seconds)) }
}

/// Memory images that are left below a directory.
func memoryImages(below folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.contains("memory-") }
}
