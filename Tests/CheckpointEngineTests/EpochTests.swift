import CheckpointEngine
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

@Suite("Of several nodes one has the task")
struct EpochTests {
    let task = TaskID("t-1")

    @Test("of those who raise at once, all come to the same owner", arguments: 0..<20)
    func racers(seed: Int) async throws {
        let bench = try Bench()
        try await bench.begin(bench.submission(), on: bench.node("a"))
        let nodes = ["b", "c", "d", "e"].map { bench.node($0) }
        let owners = await withTaskGroup(of: CheckpointCatalog.Raised?.self) { group in
            for node in nodes {
                let catalog = node.catalog()
                let id = node.id
                group.addTask { do { return try await catalog.raiseEpoch(of: TaskID("t-1"), from: .first, for: id) } catch { return nil } }
            }
            var owners: [CheckpointCatalog.Raised] = []
            for await raised in group { if let raised { owners.append(raised) } }
            return owners
        }
        #expect(!owners.isEmpty)
        #expect(Set(owners.map(\.epoch)) == [Epoch(2)])
        #expect(Set(owners.map(\.node)).count == 1)
        let owner = try #require(owners.first?.node)
        for node in nodes {
            if node.id == owner {
                try await node.catalog().require(Epoch(2), of: task, ownedBy: node.id)
            } else {
                await #expect(throws: EngineError.staleEpoch(task: task, epoch: Epoch(2))) {
                    try await node.catalog().require(Epoch(2), of: task, ownedBy: node.id)
                }
                await #expect(throws: EngineError.staleEpoch(task: task, epoch: Epoch(2))) {
                    _ = try await node.engine().restore(bench.submission(), from: nil, epoch: Epoch(2))
                }
                #expect(node.machine.started.isEmpty)
            }
        }
    }

    @Test("of those who open the first epoch, one owns it, and a task is not begun twice")
    func first() async throws {
        let bench = try Bench()
        let (a, b) = (bench.node("a"), bench.node("b"))
        #expect(try await a.catalog().openFirst(of: task, for: a.id) == a.id)
        #expect(try await b.catalog().openFirst(of: task, for: b.id) == a.id)
        await #expect(throws: EngineError.staleEpoch(task: task, epoch: .first)) { try await b.engine().begin(bench.submission(), epoch: .first) }
        #expect(b.machine.started.isEmpty)
    }

    @Test("a new task is not mixed with an earlier one of its name, whose ledger was lost")
    func earlierTask() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        let old = bench.submission()
        try await bench.begin(old, on: a)
        await bench.pass(5)
        // Opened again before anything was committed, as by a manager that did not live to tell: the same owner.
        #expect(try await a.catalog().openFirst(of: task, for: NodeID("b")) == a.id)
        await #expect(throws: EngineError.self) { try await a.engine().begin(bench.submission(), epoch: .first) }
        try await a.engine().begin(old, epoch: .first)
        try await bench.checkpoint(on: a)
        let error = await #expect(throws: EngineError.self) { _ = try await a.catalog().openFirst(of: task, for: a.id) }
        #expect(error?.description.contains("an earlier task of this name") == true)
        #expect(a.machine.started.count == 1)
    }

    @Test("a stale node's commit is refused, at every moment at which the epoch may end", arguments: Bench.Store.allCases)
    func staleCommit(store: Bench.Store) async throws {
        let bench = try Bench(store)
        let (a, b) = (bench.node("a"), bench.node("b"))
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(10)
        let kept = try await bench.checkpoint(on: a)
        await bench.pass(10)
        // It has uploaded all, and the answer to its commit is that nothing happened yet.
        let faults = Faults()
        faults.fail("store.commit")
        let id = try a.engine().nextCheckpoint(of: task, epoch: .first)
        await #expect(throws: EngineError.self) {
            _ = try await a.engine(faults).checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil)
        }
        #expect(try await bench.resume(bench.submission(), on: b).checkpoint == kept.id)
        await #expect(throws: EngineError.staleEpoch(task: task, epoch: .first)) {
            _ = try await a.engine().checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil)
        }
        await #expect(throws: EngineError.staleEpoch(task: task, epoch: .first)) { _ = try await bench.checkpoint(on: a) }
        #expect(try await b.catalog().committed(task).map(\.record.id) == [kept.id])
    }

    @Test("a store that is not mounted ends no epoch: the guest stays, and is checkpointed when the store is back", arguments: [true, false])
    func unmounted(afterUpload: Bool) async throws {
        let bench = try Bench(.directory)
        let (a, b) = (bench.node("a"), bench.node("b"))
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(10)
        let first = try await bench.checkpoint(on: a)
        await bench.pass(10)
        let (there, away) = (bench.folder + "/store", bench.folder + "/away")
        // What a service finds at an empty mount point, and makes there.
        @Sendable func unmount() throws {
            try FileManager.default.moveItem(atPath: there, toPath: away)
            try FileManager.default.createDirectory(atPath: there + "/.tmp", withIntermediateDirectories: true)
        }
        let id = try a.engine().nextCheckpoint(of: task, epoch: .first)
        let hook: FailpointHook = { point throws(EngineError) in
            guard point == .layersUploaded, afterUpload else { return }
            do { try unmount() } catch { throw .local(path: there, detail: "\(error)") }
        }
        if !afterUpload { try unmount() }
        let error = await #expect(throws: EngineError.self) {
            _ = try await a.engine(failpoint: hook).checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil)
        }
        guard case .store(.unavailable("tasks/t-1/open/000001", let detail)) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(detail.contains("is it mounted?") && error?.isRetryable == true)
        let pruning = await #expect(throws: EngineError.self) { _ = try await a.engine().prune(task, epoch: .first, keep: [first.id]) }
        guard case .local = pruning else {
            Issue.record("\(String(describing: pruning))")
            return
        }
        #expect(a.machine.running.map(\.name) == ["cairn-t-1"])
        try FileManager.default.removeItem(atPath: there)
        try FileManager.default.moveItem(atPath: away, toPath: there)
        let second = try await bench.checkpoint(on: a)
        #expect(try await bench.resume(bench.submission(), on: b).checkpoint == second.id)
        #expect(bench.step(b) == 20)
    }

    @Test("what was committed before the epoch ended is found, though its node never heard so")
    func lostAnswer() async throws {
        let bench = try Bench()
        let (a, b) = (bench.node("a"), bench.node("b"))
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(10)
        let faults = Faults()
        faults.fail("store.commit", .after)
        let id = try a.engine().nextCheckpoint(of: task, epoch: .first)
        await #expect(throws: EngineError.self) {
            _ = try await a.engine(faults).checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: 0.1)
        }
        await bench.pass(10)
        // Asked again, it is recognised: neither captured nor stored anew.
        let changes = bench.memory.changes
        let record = try await a.engine().checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: 0.9)
        #expect(record.progress == 0.1)
        #expect(bench.memory.changes == changes)
        #expect(try await bench.resume(bench.submission(), on: b).checkpoint == id)
        #expect(bench.step(b) == 10)
        // The node whose epoch is over may still ask, and hears what became of it.
        #expect(try await a.engine().checkpoint(task, epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil).id == id)
    }

    @Test("raising from an epoch that is over already adopts what is in force")
    func adopts() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        let raised = try await a.catalog().raiseEpoch(of: task, from: .first, for: NodeID("b"))
        #expect(try await a.catalog().raiseEpoch(of: task, from: .first, for: NodeID("c")) == raised)
        // Known to be lost with its node: the next one.
        #expect(try await a.catalog().raiseEpoch(of: task, from: Epoch(2), for: NodeID("c")).epoch == Epoch(3))
    }

    @Test("a raise that crashed at any call is mended by raising again", arguments: Faults.Moment.allCases)
    func crashes(moment: Faults.Moment) async throws {
        var call = 1
        while true {
            let bench = try Bench()
            let a = bench.node("a")
            try await bench.begin(bench.submission(), on: a)
            await bench.pass(10)
            let kept = try await bench.checkpoint(on: a)
            let faults = Faults()
            faults.crash(at: call, moment)
            var isThrough = false
            do throws(EngineError) {
                _ = try await a.catalog(faults).raiseEpoch(of: task, from: .first, for: NodeID("b"))
                isThrough = true
            } catch { #expect(faults.isDead, "call \(call): \(error)") }
            let b = bench.node("b")
            let raised = try await b.catalog().raiseEpoch(of: task, from: .first, for: b.id)
            #expect(raised.epoch == Epoch(2) && raised.node == b.id && raised.from == kept.id, "crashed at call \(call)")
            await #expect(throws: EngineError.staleEpoch(task: task, epoch: .first)) { _ = try await bench.checkpoint(on: a) }
            _ = try await b.engine().restore(bench.submission(), from: raised.from, epoch: raised.epoch)
            await bench.pass(5)
            #expect(try await bench.checkpoint(on: b, epoch: Epoch(2)).parent == kept.id, "crashed at call \(call)")
            if isThrough && !faults.isDead { break }
            call += 1
        }
        #expect(call > 8)
    }
}
