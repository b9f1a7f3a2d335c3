import CheckpointEngine
import Ports
import Simulator
import Testing
import Vocabulary

/// Each test runs one operation and kills its process at its first call to store, hypervisor or disks; then at its second; and so on until it
/// comes through, each time in a new world. A fresh engine on the same directory then carries on.
@Suite("A crash at any call loses nothing that was committed")
struct CrashTests {
    let task = TaskID("t-1")

    /// - Returns: how many calls the operation makes.
    private func atEveryCall(
        _ moment: Faults.Moment, store: Bench.Store = .memory, prepare: (Bench) async throws -> Void,
        operation: (Bench, Faults) async throws(EngineError) -> Void, check: (Bench, _ crashedAt: String) async throws -> Void
    ) async throws -> Int {
        var call = 1
        while true {
            let bench = try Bench(store)
            try await prepare(bench)
            let faults = Faults()
            faults.crash(at: call, moment)
            do throws(EngineError) { try await operation(bench, faults) } catch { #expect(faults.isDead, "call \(call): \(error)") }
            guard faults.isDead else { return call - 1 }
            let name = faults.names.indices.contains(call - 1) ? faults.names[call - 1] : "?"
            try await check(bench, "\(moment.rawValue) call \(call), \(name)")
            call += 1
        }
    }

    private final class Box { var nodes: [String: Bench.Node] = [:] }

    @Test("of a checkpoint", arguments: Faults.Moment.allCases, Bench.Store.allCases)
    func checkpoint(moment: Faults.Moment, store: Bench.Store) async throws {
        let box = Box()
        let id = CheckpointID(epoch: .first, number: 2)
        func take(_ engine: CheckpointEngine) async throws(EngineError) -> CheckpointRecord {
            try await engine.checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil)
        }
        let calls = try await atEveryCall(moment, store: store) { bench in
            let a = bench.node("a")
            box.nodes["a"] = a
            try await bench.begin(bench.submission(), on: a)
            await bench.pass(10)
            try await bench.checkpoint(on: a)
            await bench.pass(10)
            #expect(try a.engine().nextCheckpoint(of: task, epoch: .first) == id)
        } operation: { bench, faults throws(EngineError) in
            _ = try await take(box.nodes["a"]!.engine(faults))
        } check: { bench, crash in
            let (a, b, c) = (box.nodes["a"]!, bench.node("b"), bench.node("c"))
            // The guest runs on, whatever happened to the engine.
            await bench.pass(5)
            #expect(bench.step(a) == 25, "\(crash)")
            let before = try await a.catalog().committed(task).map(\.record.id)
            #expect(before.first == CheckpointID("e000001-c000001"), "\(crash)")
            // A fresh engine carries on and commits.
            let record = try await take(a.engine())
            #expect(record.id == id, "\(crash)")
            #expect(try await a.engine().verify(id, of: task, readData: true) == [], "\(crash)")
            await bench.pass(5)
            let third = try await bench.checkpoint(on: a)
            // Both are whole: one by restoring it, the other by passing over the damaged third.
            #expect(try await bench.resume(bench.submission(), on: b).checkpoint == third.id, "\(crash)")
            #expect(bench.step(b) == 30, "\(crash)")
            let raised = try await c.catalog().raiseEpoch(of: task, from: Epoch(2), for: c.id)
            _ = try await c.engine().restore(bench.submission(), from: id, epoch: raised.epoch)
            let step = try #require(bench.step(c))
            #expect(step == 20 || step == 25, "\(crash)")
            #expect(try await bench.finish(c) == "CHAIN RESULT \(Bench.result)", "\(crash)")
            #expect(a.machine.mispairings + b.machine.mispairings + c.machine.mispairings == 0, "\(crash)")
        }
        #expect(calls >= 10)
    }

    @Test("of a checkpoint whose order is given up: the next one is whole", arguments: Faults.Moment.allCases)
    func abandoned(moment: Faults.Moment) async throws {
        let box = Box()
        let id = CheckpointID(epoch: .first, number: 1)
        _ = try await atEveryCall(moment) { bench in
            let a = bench.node("a")
            box.nodes["a"] = a
            try await bench.begin(bench.submission(), on: a)
            await bench.pass(10)
            #expect(try a.engine().nextCheckpoint(of: task, epoch: .first) == id)
        } operation: { bench, faults throws(EngineError) in
            _ = try await box.nodes["a"]!.engine(faults).checkpoint(
                task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil)
        } check: { bench, crash in
            let (a, b) = (box.nodes["a"]!, bench.node("b"))
            await bench.pass(10)
            let next = try await bench.checkpoint(on: a)
            #expect(next.id == CheckpointID("e000001-c000002"), "\(crash)")
            #expect(try await bench.resume(bench.submission(), on: b).checkpoint == next.id, "\(crash)")
            #expect(bench.step(b) == 20, "\(crash)")
            #expect(b.machine.mispairings == 0, "\(crash)")
            // What the first one left goes with the next pruning, and its memory does not stay on the node's disk either.
            _ = try await bench.checkpoint(on: b, epoch: Epoch(2))
            let newest = try await bench.checkpoint(on: b, epoch: Epoch(2))
            _ = try await b.engine().prune(task, epoch: Epoch(2), keep: [newest.id])
            #expect(bench.memory.paths.filter { $0.contains("/memory.") }.count == 1, "\(crash)")
            #expect(try memoryImages(below: a.work) == [], "\(crash)")
        }
    }

    @Test("of a node's first start", arguments: Faults.Moment.allCases)
    func begin(moment: Faults.Moment) async throws {
        let box = Box()
        let calls = try await atEveryCall(moment) { bench in
            box.nodes["a"] = bench.node("a")
            _ = try await box.nodes["a"]!.catalog().openFirst(of: task, for: NodeID("a"))
        } operation: { bench, faults throws(EngineError) in
            try await box.nodes["a"]!.engine(faults).begin(bench.submission(), epoch: .first)
        } check: { bench, crash in
            let a = box.nodes["a"]!
            // An agent that starts again knows every guest, or there is none.
            try await a.engine().clearUnfinished()
            #expect(a.machine.running.count == (try a.engine().tasks().count), "\(crash)")
            try await a.engine().begin(bench.submission(), epoch: .first)
            #expect(a.machine.running.count == 1, "\(crash)")
            #expect(try await bench.finish(a) == "CHAIN RESULT \(Bench.result)", "\(crash)")
        }
        #expect(calls >= 4)
    }

    @Test("of a restore", arguments: Faults.Moment.allCases)
    func restore(moment: Faults.Moment) async throws {
        let box = Box()
        let calls = try await atEveryCall(moment) { bench in
            let a = bench.node("a")
            box.nodes = ["a": a, "b": bench.node("b", longestChain: 2)]
            try await bench.begin(bench.submission(), on: a)
            for _ in 0..<3 {
                await bench.pass(10)
                try await bench.checkpoint(on: a)
            }
            _ = try await a.catalog().raiseEpoch(of: task, from: .first, for: NodeID("b"))
        } operation: { bench, faults throws(EngineError) in
            _ = try await box.nodes["b"]!.engine(faults).restore(bench.submission(), from: CheckpointID("e000001-c000003"), epoch: Epoch(2))
        } check: { bench, crash in
            let b = box.nodes["b"]!
            try await b.engine().clearUnfinished()
            #expect(b.machine.running.count == (try b.engine().tasks().count), "\(crash)")
            let resumed = try await b.engine().restore(bench.submission(), from: CheckpointID("e000001-c000003"), epoch: Epoch(2))
            #expect(resumed.checkpoint == CheckpointID("e000001-c000003"), "\(crash)")
            #expect(b.machine.running.count == 1 && bench.step(b) == 30, "\(crash)")
            // Once more changes nothing.
            await bench.pass(5)
            #expect(
                try await b.engine().restore(bench.submission(), from: CheckpointID("e000001-c000003"), epoch: Epoch(2)) == resumed, "\(crash)")
            #expect(bench.step(b) == 35, "\(crash)")
            _ = try await bench.checkpoint(on: b, epoch: Epoch(2))
            let c = bench.node("c")
            _ = try await bench.resume(bench.submission(), on: c, from: Epoch(2))
            #expect(bench.step(c) == 35, "\(crash)")
            #expect(try await bench.finish(c) == "CHAIN RESULT \(Bench.result)", "\(crash)")
            #expect(b.machine.mispairings + c.machine.mispairings == 0, "\(crash)")
        }
        #expect(calls >= 20)
    }

    @Test("of pruning", arguments: Faults.Moment.allCases)
    func prune(moment: Faults.Moment) async throws {
        let box = Box()
        let keep = [CheckpointID("e000001-c000003"), CheckpointID("e000001-c000004")]
        let calls = try await atEveryCall(moment) { bench in
            let a = bench.node("a")
            box.nodes["a"] = a
            try await bench.begin(bench.submission(), on: a)
            for _ in 0..<4 {
                await bench.pass(5)
                try await bench.checkpoint(on: a)
            }
        } operation: { bench, faults throws(EngineError) in
            _ = try await box.nodes["a"]!.engine(faults).prune(task, epoch: .first, keep: keep)
        } check: { bench, crash in
            let a = box.nodes["a"]!
            // Whatever is still listed is whole.
            for manifest in try await a.catalog().committed(task) where keep.contains(manifest.record.id) {
                #expect(try await a.engine().verify(manifest.record.id, of: task, readData: true) == [], "\(crash)")
            }
            _ = try await a.engine().prune(task, epoch: .first, keep: keep)
            #expect(try await a.catalog().committed(task).map(\.record.id) == keep, "\(crash)")
            #expect(bench.memory.paths.filter { $0.contains("/memory.") }.count == 2, "\(crash)")
            for id in keep { #expect(try await a.engine().verify(id, of: task, readData: true) == [], "\(crash)") }
            let b = bench.node("b")
            _ = try await bench.resume(bench.submission(), on: b)
            #expect(bench.step(b) == 20, "\(crash)")
        }
        #expect(calls >= 6)
    }

    /// A single failing call, after which the process lives on: nothing is left running that nobody knows of.
    @Test("a start or restore that fails leaves no guest behind", arguments: ["hypervisor.start", "hypervisor.restore"])
    func noStray(call: String) async throws {
        let bench = try Bench()
        let (a, b) = (bench.node("a"), bench.node("b"))
        let faults = Faults()
        faults.fail(call, .after)
        if call == "hypervisor.start" {
            _ = try await a.catalog().openFirst(of: task, for: a.id)
            await #expect(throws: EngineError.self) { try await a.engine(faults).begin(bench.submission(), epoch: .first) }
            #expect(a.machine.started.count == 1)
        } else {
            try await bench.begin(bench.submission(), on: a)
            await bench.pass(5)
            let taken = try await bench.checkpoint(on: a)
            _ = try await a.catalog().raiseEpoch(of: task, from: .first, for: b.id)
            await #expect(throws: EngineError.self) { _ = try await b.engine(faults).restore(bench.submission(), from: taken.id, epoch: Epoch(2)) }
            #expect(b.machine.started.count == 1)
            try await a.engine().stop(task, epoch: .first)
        }
        #expect(a.machine.running.isEmpty && b.machine.running.isEmpty)
    }
}
