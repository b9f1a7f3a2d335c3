import CheckpointEngine
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

@Suite("The store is looked after")
struct UpkeepTests {
    let task = TaskID("t-1")

    private func begun(_ bench: Bench, checkpoints: Int) async throws -> Bench.Node {
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        for _ in 0..<checkpoints {
            await bench.pass(5)
            try await bench.checkpoint(on: a)
        }
        return a
    }

    private func upkeep(_ bench: Bench, _ faults: Faults = Faults()) -> StoreUpkeep {
        StoreUpkeep(store: FaultyStore(bench.store, faults: faults), time: bench.time)
    }

    private func end(_ node: Bench.Node) async throws {
        try await node.catalog().recordEnd(
            EndRecord(task: task, epoch: .first, outcome: .finished(result: "f"), node: node.id, at: Timestamp(1_767_323_045)))
    }

    private func id(_ number: Int) -> CheckpointID { CheckpointID(epoch: .first, number: number) }

    // MARK: Retention

    @Test(
        "which are kept",
        arguments: [
            (1, nil, [4]), (2, nil, [3, 4]), (9, nil, [1, 2, 3, 4]), (nil, 15.0, [3, 4]), (1, 25, [2, 3, 4]), (3, 5, [2, 3, 4]), (nil, 0, [4]),
            (0, nil, [4]),
            (nil, nil, [1, 2, 3, 4]),
        ] as [(Int?, Double?, [Int])])
    func retention(keepLast: Int?, keepFor: Double?, kept: [Int]) {
        // Committed 40, 21, 11 and 6 s ago.
        let line = [(1, 40.0), (2, 21), (3, 11), (4, 6)].map { (id: id($0.0), at: Timestamp(1_000 - $0.1)) }
        let found = Retention.kept(line, keepLast: keepLast, keepFor: keepFor.map { Seconds($0) }, now: Timestamp(1_000))
        #expect(found == kept.map { id($0) })
    }

    @Test("a preview says what would go and how much room it gives, and removes nothing; then it is so")
    func preview() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 4)
        let paths = bench.memory.paths
        let before = bench.memory.paths.reduce(0) { $0 + (bench.memory.bytes(at: $1)?.count ?? 0) }
        let preview = try await upkeep(bench).preview(task, keepLast: 2, keepFor: nil)
        #expect(preview.keep == [id(3), id(4)] && preview.remove == [id(1), id(2)])
        #expect(bench.memory.paths == paths)
        let manifests = preview.remove.reduce(0) { $0 + (bench.memory.bytes(at: "tasks/t-1/open/000001/\($1).json")?.count ?? 0) }
        _ = try await a.engine().prune(task, epoch: .first, keep: preview.keep)
        let after = bench.memory.paths.reduce(0) { $0 + (bench.memory.bytes(at: $1)?.count ?? 0) }
        #expect(Int64(before - after - manifests) == preview.freedBytes.rawValue)
    }

    @Test("what an earlier process removed and did not live to tell is told by the next")
    func retold() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 4)
        let faults = Faults()
        // All is removed; the process dies before it can say so.
        let hook: FailpointHook = { point throws(EngineError) in
            guard point == .objectsRemoved else { return }
            faults.die()
            throw .local(path: "test", detail: "killed")
        }
        await #expect(throws: EngineError.self) {
            _ = try await a.engine(faults, failpoint: hook).prune(task, epoch: .first, keep: [id(4)], drop: [id(1), id(2), id(3)])
        }
        #expect(try await a.catalog().committed(task).map(\.record.id) == [id(4)])
        #expect(try await a.engine().prune(task, epoch: .first, keep: [id(4)], drop: [id(1), id(2), id(3)]) == [id(1), id(2), id(3)])
    }

    @Test("nothing is pruned while a part of the newest is missing: the ones before may be needed")
    func brokenNewest() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 3)
        bench.memory.lose("tasks/t-1/objects/e000001-c000003/memory.000000")
        let paths = bench.memory.paths
        let error = await #expect(throws: EngineError.self) { _ = try await a.engine().prune(task, epoch: .first, keep: [id(3)]) }
        #expect(error?.description.contains("nothing is pruned") == true)
        #expect(bench.memory.paths == paths)
        let b = bench.node("b")
        #expect(try await bench.resume(bench.submission(), on: b).checkpoint == id(2))
    }

    @Test("what a checkpoint needs whose manifest does not read stays, until somebody lets go of it by name")
    func unreadable() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 4)
        let path = "tasks/t-1/open/000001/\(id(3)).json"
        let whole = try #require(bench.memory.bytes(at: path))
        bench.memory.put([1, 2, 3], at: "contents/sha256-aa/content.json")
        bench.memory.put([1], at: "tasks/t-1/objects/\(id(1))/stray.000000")
        await bench.pass(100_000)
        let (before, rubbish) = (bench.memory.paths, try await upkeep(bench).rubbish(olderThan: .hours(1)))
        #expect(rubbish.map(\.reason) == [.failedUpload, .unreferencedContent])
        bench.memory.damage(path)
        // Kept: nothing goes, as its parts are not known.
        let error = await #expect(throws: EngineError.self) { _ = try await a.engine().prune(task, epoch: .first, keep: [id(3), id(4)]) }
        #expect(error?.description.contains("\(id(3))") == true)
        await #expect(throws: EngineError.self) { _ = try await upkeep(bench).preview(task, keepLast: 2, keepFor: nil) }
        // Parts that it may need are no rubbish, nor is any content.
        #expect(try await upkeep(bench).rubbish(olderThan: .hours(1)) == [])
        #expect(try await upkeep(bench).clean(rubbish) == [])
        #expect(bench.memory.paths == before)
        // Whole again, by whatever means, it is as good as ever.
        bench.memory.put(whole, at: path)
        #expect(try await a.engine().verify(id(3), of: task, readData: true) == [])
        bench.memory.damage(path)
        #expect(try await a.engine().prune(task, epoch: .first, keep: [id(4)]) == [id(1), id(2), id(3)])
        #expect(!bench.memory.paths.contains(path))
        #expect(try await a.engine().verify(id(4), of: task, readData: true) == [])
        try await end(a)
        bench.memory.damage("tasks/t-1/open/000001/\(id(4)).json")
        #expect(try await upkeep(bench).preview(task, keepLast: 0, keepFor: nil).remove == [id(4)])
        #expect(try await upkeep(bench).pruneEnded(task, keep: []) == [id(4)])
        #expect(bench.memory.paths.filter { $0.contains("/objects/") } == [])
    }

    @Test("a node whose epoch ends in the middle of pruning stops there, at whatever step", arguments: 0..<6)
    func epochEnds(step: Int) async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 4)
        let b = bench.node("b")
        let (catalog, successor) = (b.catalog(), b.id)
        // The store is asked by `a` for the newest epoch before each removal; after so many of these another node raises it.
        let racing = RacingStore(base: bench.store, after: step) {
            _ = try await catalog.raiseEpoch(of: task, from: .first, for: successor)
        }
        let engine = CheckpointEngine(
            configuration: .init(node: a.id, work: a.work, images: bench.folder + "/images", version: "test"), store: racing, hypervisor: a.machine,
            disks: SimulatedDisks(), time: bench.time)
        await #expect(throws: EngineError.staleEpoch(task: task, epoch: .first)) {
            _ = try await engine.prune(task, epoch: .first, keep: [id(3), id(4)])
        }
        for kept in [id(3), id(4)] { #expect(try await b.engine().verify(kept, of: task, readData: true) == []) }
        #expect(try await b.engine().restore(bench.submission(), from: id(4), epoch: Epoch(2)).checkpoint == id(4))
        #expect(b.machine.mispairings == 0 && bench.step(b) == 20)
    }

    @Test("a task that has ended is pruned by anybody, down to nothing; one that lives is not")
    func ended() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 3)
        await #expect(throws: EngineError.self) { _ = try await upkeep(bench).pruneEnded(task, keep: []) }
        #expect(try await a.catalog().committed(task).count == 3)
        try await end(a)
        #expect(try await upkeep(bench).pruneEnded(task, keep: [id(3)]) == [id(1), id(2)])
        #expect(try await a.engine().verify(id(3), of: task, readData: true) == [])
        let preview = try await upkeep(bench).preview(task, keepLast: 0, keepFor: nil)
        #expect(preview.keep.isEmpty && preview.remove == [id(3)] && preview.freedBytes > .zero)
        #expect(try await upkeep(bench).pruneEnded(task, keep: []) == [id(3)])
        #expect(bench.memory.paths.filter { $0.hasPrefix("tasks/t-1/objects") }.isEmpty)
        // That it has ended stays known.
        #expect(try await a.catalog().ended(task) != nil)
    }

    // MARK: Cleaning

    @Test("rubbish of failed uploads is found and removed; what is on its way is none")
    func failedUploads() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 1)
        // One that fails, one that is committed, and one that is on its way.
        let faults = Faults()
        for number in 2...4 {
            await bench.pass(5)
            if number != 3 { faults.fail("store.commit") }
            let next = try a.engine().nextCheckpoint(of: task, epoch: .first)
            do {
                _ = try await a.engine(faults).checkpoint(task, epoch: .first, id: next, order: OrderID("o"), plan: Bench.plan, progress: nil)
            } catch { #expect(number != 3) }
        }
        let found = try await upkeep(bench).rubbish(olderThan: .hours(24))
        #expect(found.map(\.path) == ["tasks/t-1/objects/e000001-c000002"] && found[0].reason == .failedUpload && found[0].bytes > .zero)
        #expect(try await upkeep(bench).clean(found) == found)
        #expect(try await upkeep(bench).rubbish(olderThan: .hours(24)) == [])
        // The one on its way comes to its commit.
        #expect(
            try await a.engine().checkpoint(task, epoch: .first, id: id(4), order: OrderID("o"), plan: Bench.plan, progress: nil).id == id(4))
        for number in [1, 3, 4] { #expect(try await a.engine().verify(id(number), of: task, readData: true) == []) }
    }

    @Test("contents that no checkpoint names go when they are old enough; the others stay")
    func contents() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 1)
        bench.memory.put([1, 2, 3], at: "contents/sha256-aa/part.000000")
        bench.memory.put([1], at: "contents/sha256-aa/content.json")
        #expect(try await upkeep(bench).rubbish(olderThan: .hours(1)) == [])
        await bench.pass(3_700)
        let found = try await upkeep(bench).rubbish(olderThan: .hours(1))
        #expect(found.map(\.path) == ["contents/sha256-aa"] && found[0].bytes == ByteCount(4))
        #expect(try await upkeep(bench).clean(found) == found)
        #expect(bench.memory.paths.filter { $0.hasPrefix("contents/") }.count == 6)
        #expect(bench.memory.paths.filter { $0.hasPrefix("unwanted/") }.isEmpty)
        #expect(try await a.engine().verify(id(1), of: task, readData: true) == [])
    }

    @Test("a content that a checkpoint comes to name while it is cleaned is there afterwards, whoever dies where", arguments: Faults.Moment.allCases)
    func contentsInUse(moment: Faults.Moment) async throws {
        var call = 1
        while true {
            let bench = try Bench()
            let a = try await begun(bench, checkpoints: 1)
            // The first task's checkpoints are gone, with its end; a second one on the same image is about to commit.
            try await end(a)
            _ = try await upkeep(bench).pruneEnded(task, keep: [])
            await bench.pass(90_000)
            let found = try await upkeep(bench).rubbish(olderThan: .hours(24))
            #expect(found.count == 3)
            let second = bench.submission("t-2")
            try await bench.begin(second, on: a)
            await bench.pass(5)
            let faults = Faults()
            faults.crash(at: call, moment)
            // It commits between the look and the removal.
            let record = try await bench.checkpoint(TaskID("t-2"), on: a)
            var isThrough = false
            do {
                #expect(try await upkeep(bench, faults).clean(found) == [])
                isThrough = true
            } catch { #expect(faults.isDead) }
            _ = try await upkeep(bench).clean([])
            #expect(try await a.engine().verify(record.id, of: TaskID("t-2"), readData: true) == [], "call \(call)")
            let b = bench.node("b")
            #expect(try await bench.resume(second, on: b).checkpoint == record.id)
            if isThrough && !faults.isDead { break }
            call += 1
        }
        #expect(call > 10)
    }

    @Test("one that is moved away just before the commit is sent again")
    func contentsMovedAway() async throws {
        let bench = try Bench()
        let a = try await begun(bench, checkpoints: 1)
        try await end(a)
        _ = try await upkeep(bench).pruneEnded(task, keep: [])
        await bench.pass(90_000)
        let found = try await upkeep(bench).rubbish(olderThan: .hours(24))
        try await bench.begin(bench.submission("t-2"), on: a)
        await bench.pass(5)
        let upkeep = upkeep(bench)
        // All of it happens between the upload and the commit.
        let racing = RacingStore(base: bench.store, before: "commit") { _ = try await upkeep.clean(found) }
        let engine = CheckpointEngine(
            configuration: .init(node: a.id, work: a.work, images: bench.folder + "/images", version: "test"), store: racing, hypervisor: a.machine,
            disks: SimulatedDisks(), time: bench.time)
        let next = try engine.nextCheckpoint(of: TaskID("t-2"), epoch: .first)
        _ = try await engine.checkpoint(TaskID("t-2"), epoch: .first, id: next, order: OrderID("o"), plan: Bench.plan, progress: nil)
        #expect(try await a.engine().verify(next, of: TaskID("t-2"), readData: true) == [])
    }
}

/// A store in which something happens at a chosen moment: before a call, or after so many listings of epochs.
private final class RacingStore: CheckpointStore {
    private let base: any CheckpointStore
    private let before: String
    private let after: Int
    private let event: @Sendable () async throws -> Void
    private let count = Counter()

    private actor Counter {
        private var lists = 0
        private var hasHappened = false
        func next() -> Int {
            lists += 1
            return lists
        }
        func first() -> Bool {
            defer { hasHappened = true }
            return !hasHappened
        }
    }

    init(base: any CheckpointStore, before: String = "", after: Int = .max, event: @escaping @Sendable () async throws -> Void) {
        self.base = base
        self.before = before
        self.after = after
        self.event = event
    }

    private func happen() async {
        guard await count.first() else { return }
        do { try await event() } catch { Issue.record("\(error)") }
    }

    var properties: StoreProperties { base.properties }
    func write(_ bytes: [UInt8], to path: String, replication: Int) async throws(StoreError) {
        try await base.write(bytes, to: path, replication: replication)
    }
    func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool {
        if before == "commit" { await happen() }
        return try await base.commit(bytes, as: path, replication: replication)
    }
    func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool {
        try await base.createExclusively(bytes, at: path)
    }
    func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool {
        try await base.moveDirectory(source, to: destination)
    }
    func makeDirectory(_ path: String) async throws(StoreError) { try await base.makeDirectory(path) }
    func read(_ path: String) async throws(StoreError) -> [UInt8] { try await base.read(path) }
    func list(_ path: String) async throws(StoreError) -> [StoreEntry] {
        if path.hasSuffix("/epochs"), after < .max, await count.next() > after { await happen() }
        return try await base.list(path)
    }
    func remove(_ path: String) async throws(StoreError) { try await base.remove(path) }
    func health() async -> StoreHealth { await base.health() }
}
