import CheckpointEngine
import DiskImages
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

/// As `ScheduleTests`, on a store of files and with real qcow2 layers: what `qemu-img` makes of interrupted merges is what counts.
@Suite("The engine killed anywhere, with real layers", .enabled(if: QcowMachine.isThere, "qemu-img and qemu-io are not installed (qemu-utils)"))
struct QcowScheduleTests {
    static let seeds = UInt64(1)...(12 * (ProcessInfo.processInfo.environment["CAIRN_SEEDS"].flatMap { UInt64($0) } ?? 1))
    private let task = TaskID("t-1")

    @Test("every committed checkpoint comes back, block for block", arguments: seeds)
    func schedule(seed: UInt64) async throws {
        let random = SeededRandom(seed: seed)
        let bench = try Bench(.directory)
        let (machine, other) = (QcowMachine(), QcowMachine())
        func engine(_ machine: QcowMachine, _ node: String, _ faults: Faults = Faults(), _ hook: FailpointHook? = nil) -> CheckpointEngine {
            CheckpointEngine(
                configuration: .init(
                    node: NodeID(node), work: "\(bench.folder)/\(node)/work", images: bench.folder + "/images", version: "test", hardLimit: 6,
                    failpoint: hook),
                store: FaultyStore(bench.store, faults: faults), hypervisor: FaultyHypervisor(machine, faults: faults),
                disks: FaultyDisks(QemuDisks(templates: bench.folder + "/templates"), faults: faults), time: bench.time)
        }
        let catalog = CheckpointCatalog(store: bench.store, time: bench.time)
        _ = try await catalog.openFirst(of: task, for: NodeID("a"))
        try await engine(machine, "a").begin(bench.submission(), epoch: .first)
        var kept: [CheckpointID: [Int: Int]] = [:]
        // The guest's blocks at each capture that was tried.
        var tried: [CheckpointID: [Int: Int]] = [:]

        /// - Returns: nil when the process died.
        func inProcess<Value>(_ points: [Failpoint], _ body: (CheckpointEngine) async throws(EngineError) -> Value) async throws(EngineError)
            -> Value?
        {
            let faults = Faults()
            var hook: FailpointHook?
            switch random.number(in: 0...2) {
            case 0:
                let chosen = points[random.number(in: 0...(points.count - 1))]
                hook = { point throws(EngineError) in
                    guard point == chosen else { return }
                    faults.die()
                    throw .local(path: "test", detail: "killed at \(point)")
                }
            case 1: faults.crash(at: random.number(in: 1...20), random.happens(0.5) ? .before : .after)
            default: break
            }
            do throws(EngineError) { return try await body(engine(machine, "a", faults, hook)) } catch {
                guard faults.isDead else { throw error }
                return nil
            }
        }

        for _ in 0..<9 {
            var written: [Int: Int] = [:]
            // Above the file system that the first layer holds nothing of that would matter.
            for _ in 0..<random.number(in: 1...4) { written[random.number(in: 1...14)] = random.number(in: 1...255) }
            try machine.write("cairn-t-1", written)
            if random.happens(0.65) {
                guard
                    let id = try await inProcess([.numbered], { (engine) throws(EngineError) in try engine.nextCheckpoint(of: task, epoch: .first) })
                else { continue }
                tried[id] = machine.blocks(of: "cairn-t-1")
                let record = try await inProcess([.overlayMade, .rotationNoted, .captured, .captureNoted, .layersUploaded, .committed, .merged]) {
                    (engine) throws(EngineError) in
                    try await engine.checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil)
                }
                if record != nil { kept[id] = tried[id] }
            } else {
                let isInterrupted = random.happens(0.4)
                if isInterrupted { machine.interruptMerge(after: random.number(in: 0...10)) }
                let keep = random.number(in: 0...2)
                do {
                    _ = try await inProcess([.mergeNoted, .merged, .mergeSaved, .layersDiscarded]) { (engine) throws(EngineError) in
                        try await engine.merge(task, epoch: .first, order: MergeOrder(keep: keep))
                    }
                } catch { #expect(isInterrupted, "seed \(seed): \(error)") }
                machine.interruptMerge(after: nil)
            }
            try machine.check("cairn-t-1")
        }
        let raised = try await catalog.raiseEpoch(of: task, from: .first, for: NodeID("b"))
        let line = raised.committed.map(\.id)
        #expect(Set(kept.keys).isSubset(of: line), "seed \(seed)")
        let last = engine(other, "b")
        for id in line {
            try await last.stop(task, epoch: raised.epoch)
            #expect(try await last.restore(bench.submission(), from: id, epoch: raised.epoch).checkpoint == id, "seed \(seed)")
            #expect(other.blocks(of: "cairn-t-1") == tried[id], "seed \(seed): \(id)")
        }
        #expect(machine.mispairings + other.mispairings == [], "seed \(seed)")
    }
}
