import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

@testable import CheckpointEngine

@Suite("Chains are kept short while the guest runs")
struct MergeTests {
    let task = TaskID("t-1")

    /// A task with so many checkpoints, five steps apart.
    private func begun(_ bench: Bench, checkpoints: Int = 5) async throws -> Bench.Node {
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        for _ in 0..<checkpoints {
            await bench.pass(5)
            try await bench.checkpoint(on: a)
        }
        return a
    }

    private func layers(_ node: Bench.Node, _ epoch: String = "000001") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(node.work)/tasks/t-1/\(epoch)/layers").sorted()
    }

    @Test("all into the lowest: the files go, the next checkpoint has two layers, and earlier ones are as whole as they were")
    func whole() async throws {
        let bench = try Bench()
        let a = try await begun(bench)
        #expect(try layers(a).count == 6)
        let merge = try await a.engine().merge(task, epoch: .first, order: MergeOrder(keep: 0))
        #expect(merge.layersBefore == 6 && merge.layersAfter == 2 && merge.bytesAfter > .zero && merge.bytesBefore > merge.bytesAfter)
        #expect(try layers(a) == ["000000.qcow2", "000005.qcow2"])
        await bench.pass(5)
        let next = try await bench.checkpoint(on: a)
        #expect(next.layerBytes?.count == 2)
        for manifest in try await a.catalog().committed(task) {
            #expect(try await a.engine().verify(manifest.record.id, of: task, readData: true) == [])
        }
        // The one before the merge, and the one after it.
        let b = bench.node("b")
        _ = try await bench.resume(bench.submission(), on: b)
        #expect(bench.step(b) == 30)
        let c = bench.node("c")
        let raised = try await c.catalog().raiseEpoch(of: task, from: Epoch(2), for: c.id)
        _ = try await c.engine().restore(bench.submission(), from: CheckpointID("e000001-c000005"), epoch: raised.epoch)
        #expect(bench.step(c) == 25)
        #expect(try await bench.finish(c) == "CHAIN RESULT \(Bench.result)")
        #expect([a, b, c].map(\.machine.mispairings) == [0, 0, 0])
    }

    @Test("what stays below is not sent again")
    func upper() async throws {
        let bench = try Bench()
        let a = try await begun(bench)
        let merge = try await a.engine().merge(task, epoch: .first, order: MergeOrder(keep: 2))
        #expect(merge.layersAfter == 4)
        await bench.pass(5)
        let next = try await bench.checkpoint(on: a)
        #expect(next.layerBytes?.count == 4)
        let sent = bench.memory.paths.filter { $0.hasPrefix("tasks/t-1/objects/\(next.id)/layer") }
        #expect(sent == ["tasks/t-1/objects/\(next.id)/layer-000002.000000", "tasks/t-1/objects/\(next.id)/layer-000003.000000"])
    }

    @Test("nothing to merge changes nothing")
    func nothing() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 1)
        let merge = try await a.engine().merge(task, epoch: .first, order: MergeOrder(keep: 0))
        #expect(merge.layersBefore == 2 && merge.layersAfter == 2 && a.machine.merges == 0)
    }

    @Test("a task that is checkpointed 400 times comes to no limit, whatever the policy says, and goes on from the last of them")
    func many() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        try await bench.begin(bench.submission(run: "chain 2000"), on: a)
        for number in 1...400 {
            await bench.pass(1)
            let record = try await bench.checkpoint(on: a)
            #expect(record.layerBytes.map { $0.count <= 150 } == true)
            if number % 20 == 0 { _ = try await a.engine().prune(task, epoch: .first, keep: [record.id]) }
        }
        #expect(a.machine.merges > 0)
        let b = bench.node("b")
        _ = try await bench.resume(bench.submission(run: "chain 2000"), on: b)
        #expect(bench.step(b) == 400 && a.machine.mispairings + b.machine.mispairings == 0)
    }

    @Test("without merging it would not: the hypervisor takes no chain of more than 200, and says so")
    func limit() async throws {
        let bench = try Bench()
        let a = Bench.Node(
            id: NodeID("a"), work: bench.folder + "/a/work", machine: SimulatedHypervisor(time: bench.time, canMerge: false), bench: bench)
        try await bench.begin(bench.submission(run: "chain 2000"), on: a)
        var taken = 0
        do {
            for _ in 0..<300 {
                await bench.pass(1)
                try await bench.checkpoint(on: a)
                taken += 1
            }
        } catch { #expect("\(error)".contains("longer than 200")) }
        #expect(taken == 199)
    }

    @Test(
        "which layers: as low as costs no more than twice what is above",
        arguments: [
            ([1, 1, 1, 1], Int.max, 0), ([100, 1, 1, 1], .max, 1), ([100, 30, 1, 1, 1], .max, 2), ([8, 4, 2, 1], .max, 0), ([9, 1, 1], .max, 1),
            ([100, 30, 1, 1, 1], 2, 1), ([100, 30, 1, 1, 1], 1, 0), ([5], .max, 0), ([], .max, 0),
        ])
    func tiers(sizes: [Int], atMost: Int, base: Int) {
        #expect(CheckpointEngine.base(sizes: sizes.map { Int64($0) }, atMost: atMost) == base)
    }

    @Test("a capture that waits for its commit keeps its disk through a merge", arguments: [true, false])
    func pending(isCommitted: Bool) async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 3)
        await bench.pass(5)
        let faults = Faults()
        faults.fail("store.commit", isCommitted ? .after : .before)
        let id = try a.engine().nextCheckpoint(of: task, epoch: .first)
        func take(_ faults: Faults) async throws -> CheckpointRecord {
            try await a.engine(faults).checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: 0.2)
        }
        await #expect(throws: EngineError.self) { _ = try await take(faults) }
        await bench.pass(5)
        _ = try await a.engine().merge(task, epoch: .first, order: MergeOrder(keep: 0))
        let record = try await take(Faults())
        #expect(record.layerBytes?.count == (isCommitted ? 4 : 1))
        await bench.pass(5)
        // What the merged layer holds is sent, not taken for what was there under its name before.
        let last = try await bench.checkpoint(on: a)
        #expect(last.layerBytes?.count == 2)
        let b = bench.node("b")
        #expect(try await bench.resume(bench.submission(), on: b).checkpoint == last.id)
        #expect(bench.step(b) == 30)
        let c = bench.node("c")
        let raised = try await c.catalog().raiseEpoch(of: task, from: Epoch(2), for: c.id)
        #expect(try await c.engine().restore(bench.submission(), from: id, epoch: raised.epoch).checkpoint == id)
        #expect(bench.step(c) == 20)
        #expect([a, b, c].map(\.machine.mispairings) == [0, 0, 0])
    }

    @Test("a merge that is interrupted leaves the chain as it was, or comes to its end behind everybody's back", arguments: 0..<8, [true, false])
    func interrupted(blocks: Int, isGoingOn: Bool) async throws {
        let bench = try Bench()
        let a = try await begun(bench)
        a.machine.interruptMerge(after: blocks, isGoingOn: isGoingOn)
        await #expect(throws: EngineError.self) { _ = try await a.engine().merge(task, epoch: .first, order: MergeOrder(keep: 1)) }
        await bench.pass(5)
        let next = try await bench.checkpoint(on: a)
        #expect(next.layerBytes?.count == (isGoingOn ? 3 : 6))
        let b = bench.node("b")
        _ = try await bench.resume(bench.submission(), on: b)
        #expect(bench.step(b) == 30 && a.machine.mispairings + b.machine.mispairings == 0)
        _ = try await a.engine().merge(task, epoch: .first, order: MergeOrder(keep: 0))
        #expect(try layers(a).count == 2)
    }
}
