import CheckpointEngine
import DataPath
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

@Suite("Checkpoints make their way there and back")
struct RoundTripTests {
    @Test("a task goes on where it was captured, twice over, on another node with other paths", arguments: Bench.Store.allCases)
    func roundTrip(store: Bench.Store) async throws {
        let bench = try Bench(store)
        let (a, b, c) = (bench.node("a"), bench.node("b"), bench.node("c"))
        let submission = bench.submission()
        try await bench.begin(submission, on: a)
        await bench.pass(20)
        let first = try await bench.checkpoint(on: a)
        #expect(first.progress == 0.2 && first.parent == nil && first.includedBase)
        await bench.pass(15)
        let second = try await bench.checkpoint(on: a)
        #expect(second.parent == first.id && !second.includedBase)
        await bench.pass(5)

        let resumed = try await bench.resume(submission, on: b)
        #expect(resumed.checkpoint == second.id && resumed.epoch == Epoch(2))
        #expect(bench.step(b) == 35)
        await bench.pass(10)
        let third = try await bench.checkpoint(on: b, epoch: Epoch(2))
        #expect(third.parent == second.id && third.id == CheckpointID(epoch: Epoch(2), number: 1))
        let again = try await bench.resume(submission, on: c, from: Epoch(2))
        #expect(again.checkpoint == third.id)
        #expect(bench.step(c) == 45)
        #expect(try await bench.finish(c) == "CHAIN RESULT \(Bench.result)")
        #expect([a, b, c].map(\.machine.mispairings) == [0, 0, 0])
        #expect(try await a.engine().verify(third.id, of: submission.task, readData: true) == [])
    }

    @Test("every byte of memory comes back, zero parts are not stored, and each part is stored once", arguments: Codec.allCases)
    func content(codec: Codec) async throws {
        // Three parts: the guest, zeros, and one byte at the very end.
        let bench = try Bench(imageBytes: 2 * Format.partSize + 4_096)
        let (a, b) = (bench.node("a"), bench.node("b"))
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(3)
        let engine = a.engine()
        let id = try engine.nextCheckpoint(of: TaskID("t-1"), epoch: .first)
        _ = try await engine.checkpoint(
            TaskID("t-1"), epoch: .first, id: id, order: OrderID("o"), plan: CheckpointOrder(codec: codec, replication: 1), progress: nil)
        let manifest = try await a.catalog().manifest(id, of: TaskID("t-1"))
        #expect(manifest.memory.parts.map { $0.path == nil } == [false, true, false])
        #expect(manifest.memory.bytes == Int64(2 * Format.partSize + 4_096))
        #expect(bench.memory.paths.filter { $0.contains("/memory.") }.count == 2)
        #expect(bench.memory.repeatedWrites == 0)
        _ = try await bench.resume(bench.submission(), on: b)
        #expect(bench.step(b) == 3)
    }

    @Test("an upload that was interrupted stores only what is missing")
    func resumedUpload() async throws {
        let bench = try Bench(imageBytes: Format.partSize + 1)
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(3)
        let faults = Faults()
        // The base, kernel and ramdisk, then the first part of memory; the second one fails.
        faults.fail("store.write tasks/t-1/objects/e000001-c000001/memory.000001")
        let id = CheckpointID(epoch: .first, number: 1)
        #expect(try a.engine().nextCheckpoint(of: TaskID("t-1"), epoch: .first) == id)
        await #expect(throws: EngineError.self) {
            _ = try await a.engine(faults).checkpoint(TaskID("t-1"), epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil)
        }
        let there = bench.memory.changes.count
        await bench.pass(10)
        _ = try await a.engine().checkpoint(TaskID("t-1"), epoch: .first, id: id, order: OrderID("o"), plan: Bench.plan, progress: nil)
        let written = bench.memory.changes.dropFirst(there)
        #expect(written.contains(.written("tasks/t-1/objects/e000001-c000001/memory.000001")))
        #expect(!written.contains(.written("tasks/t-1/objects/e000001-c000001/memory.000000")))
        // It is the checkpoint of the first capture, not of the second call.
        #expect(try await bench.resume(bench.submission(), on: bench.node("b")).checkpoint == id)
    }

    @Test("the base system is stored once, though two tasks use it")
    func sharedBase() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        for name in ["t-1", "t-2"] { try await bench.begin(bench.submission(name), on: a) }
        await bench.pass(1)
        #expect(try await bench.checkpoint(TaskID("t-1"), on: a).includedBase)
        let contents = bench.memory.paths.filter { $0.hasPrefix("contents/") }
        #expect(try await !bench.checkpoint(TaskID("t-2"), on: a).includedBase)
        #expect(bench.memory.paths.filter { $0.hasPrefix("contents/") } == contents)
        // Three contents, each with its record and one part.
        #expect(contents.count == 6)
    }

    @Test("a long chain is merged when the task is resumed, and nothing of the disk is lost")
    func merged() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        let b = bench.node("b", longestChain: 2)
        try await bench.begin(bench.submission(), on: a)
        for _ in 0..<4 {
            await bench.pass(5)
            try await bench.checkpoint(on: a)
        }
        _ = try await bench.resume(bench.submission(), on: b)
        #expect(b.machine.mispairings == 0)
        await bench.pass(5)
        let checkpoint = try await bench.checkpoint(on: b, epoch: Epoch(2))
        #expect(try await b.catalog().manifest(checkpoint.id, of: TaskID("t-1")).layers.count == 2)
        let c = bench.node("c")
        _ = try await bench.resume(bench.submission(), on: c, from: Epoch(2))
        #expect(try await bench.finish(c) == "CHAIN RESULT \(Bench.result)")
    }

    @Test("stopping ends the guest and leaves the store alone")
    func stop() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(5)
        try await bench.checkpoint(on: a)
        let paths = bench.memory.paths
        for _ in 0..<2 { try await a.engine().stop(TaskID("t-1"), epoch: .first) }
        #expect(a.machine.running.isEmpty)
        #expect(try a.engine().tasks().isEmpty)
        #expect(bench.memory.paths == paths)
    }
}

@Suite("What is damaged is found out")
struct DamageTests {
    private func twoCheckpoints(_ bench: Bench) async throws -> Bench.Node {
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        for _ in 0..<2 {
            await bench.pass(10)
            try await bench.checkpoint(on: a)
        }
        return a
    }

    @Test("a damaged or lost part is passed over for the checkpoint before", arguments: ["memory.000000", "layer-000001.000000"], [true, false])
    func fallback(part: String, isLost: Bool) async throws {
        let bench = try Bench()
        let a = try await twoCheckpoints(bench)
        let path = "tasks/t-1/objects/e000001-c000002/\(part)"
        #expect(bench.memory.paths.contains(path))
        if isLost { bench.memory.lose(path) } else { bench.memory.damage(path) }
        #expect(try await a.engine().verify(CheckpointID("e000001-c000002"), of: TaskID("t-1"), readData: true).count == 1)
        let b = bench.node("b")
        let resumed = try await bench.resume(bench.submission(), on: b)
        #expect(resumed.checkpoint == CheckpointID("e000001-c000001"))
        #expect(bench.step(b) == 10)
        #expect(try await bench.finish(b) == "CHAIN RESULT \(Bench.result)")
    }

    @Test(
        "what follows the parts of an object is no damage, what is missing of them is; a part by itself has its length",
        arguments: [false, true], [4, nil])
    func filledUp(readData: Bool, partsPerObject: Int?) async throws {
        let bench = try Bench(imageBytes: 2 * Format.partSize + 4_096, partsPerObject: partsPerObject)
        let (a, id) = (try await twoCheckpoints(bench), CheckpointID("e000001-c000002"))
        let manifest = try await a.catalog().manifest(id, of: TaskID("t-1"))
        let path = try #require(manifest.memory.parts.compactMap(\.path).first)
        let stored = try #require(bench.memory.bytes(at: path))
        func problems(with bytes: [UInt8]) async throws -> Int {
            bench.memory.put(bytes, at: path)
            return try await a.engine().verify(id, of: TaskID("t-1"), readData: readData).count
        }
        #expect(try await problems(with: stored) == 0)
        #expect(try await problems(with: stored + [0, 1, 2]) == (partsPerObject == nil ? 1 : 0))
        #expect(try await problems(with: stored.dropLast()) == 1)
    }

    @Test("a damaged manifest is as good as none")
    func manifest() async throws {
        let bench = try Bench()
        _ = try await twoCheckpoints(bench)
        bench.memory.damage("tasks/t-1/open/000001/e000001-c000002.json")
        #expect(try await bench.resume(bench.submission(), on: bench.node("b")).checkpoint == CheckpointID("e000001-c000001"))
    }

    @Test(
        "what came spoilt once is read again, and nothing is passed over for it",
        arguments: ["objects/e000001-c000002/memory.000000", "objects/e000001-c000002/layer-000001.000000", "sealed/000001/e000001-c000002.json"])
    func misread(path: String) async throws {
        let bench = try Bench()
        _ = try await twoCheckpoints(bench)
        let (b, faults) = (bench.node("b"), Faults())
        faults.misread("tasks/t-1/" + path)
        let raised = try await b.catalog(faults).raiseEpoch(of: TaskID("t-1"), from: .first, for: b.id)
        let resumed = try await b.engine(faults).restore(bench.submission(), from: raised.from, epoch: raised.epoch)
        #expect(resumed.checkpoint == CheckpointID("e000001-c000002"))
        #expect(bench.step(b) == 20)
        // Spoilt again, it is taken for what the store has.
        faults.misread("tasks/t-1/" + path, times: 2)
        try await b.engine().stop(TaskID("t-1"), epoch: raised.epoch)
        #expect(
            try await b.engine(faults).restore(bench.submission(), from: raised.from, epoch: raised.epoch).checkpoint
                == CheckpointID("e000001-c000001"))
    }

    @Test("a task whose end does not read has ended all the same: nobody resumes it, and one bad answer changes nothing")
    func end() async throws {
        let (bench, task, faults) = (try Bench(), TaskID("t-1"), Faults())
        let a = try await twoCheckpoints(bench)
        try await a.engine().recordEnd(of: task, epoch: .first, result: "f")
        let path = try #require(bench.memory.paths.first { $0.contains("ended") })
        faults.misread(path)
        #expect(try await a.catalog(faults).ended(task)?.outcome == .finished(result: "f"))
        bench.memory.damage(path)
        let b = bench.node("b")
        let error = await #expect(throws: EngineError.self) { _ = try await bench.resume(bench.submission(), on: b) }
        guard case .damaged(path, let detail) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(detail.contains("has ended") && b.machine.started.isEmpty)
        #expect(try await a.catalog().newestEpoch(of: task) == .first)
    }

    @Test("a task whose local state is damaged is ended where it runs, told, and resumes from the store; others stay")
    func localState() async throws {
        let bench = try Bench()
        let a = try await twoCheckpoints(bench)
        try await bench.begin(bench.submission("t-2"), on: a)
        let path = a.work + "/tasks/t-1/000001"
        try Data("{\"sub".utf8).write(to: URL(fileURLWithPath: path + "/state.json"))
        #expect(throws: EngineError.self) { try a.engine().tasks() }
        let damages = try await a.engine().clearUnfinished()
        guard case .damaged(let what, _)? = damages.first, damages.count == 1 else {
            Issue.record("\(damages)")
            return
        }
        #expect(what == path + "/state.json")
        #expect(a.machine.running.map(\.name) == ["cairn-t-2"])
        #expect(try a.engine().tasks().map(\.submission.task) == [TaskID("t-2")])
        #expect(FileManager.default.fileExists(atPath: path + ".damaged/state.json"))
        #expect(try await bench.resume(bench.submission(), on: a).checkpoint == CheckpointID("e000001-c000002"))
        #expect(try await bench.finish(a) == "CHAIN RESULT \(Bench.result)")
    }

    @Test("when nothing is whole, it says what is damaged and starts no guest")
    func nothingWhole() async throws {
        let bench = try Bench()
        _ = try await twoCheckpoints(bench)
        for number in 1...2 { bench.memory.damage("tasks/t-1/objects/e000001-c00000\(number)/memory.000000") }
        let b = bench.node("b")
        let error = await #expect(throws: EngineError.self) { _ = try await bench.resume(bench.submission(), on: b) }
        guard case .damaged(let what, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(what.hasSuffix("e000001-c000002/memory.000000"))
        #expect(b.machine.started.isEmpty)
    }

    @Test("a store of a later format is refused before anything is written to it")
    func laterFormat() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        bench.memory.put(Array(#"{"digest":"?","document":{"format":\#(Format.version + 1),"more":true}}"#.utf8), at: Format.marker)
        await #expect(throws: EngineError.tooNew(what: Format.marker, format: Format.version + 1)) {
            _ = try await a.catalog().openFirst(of: TaskID("t-1"), for: a.id)
        }
        #expect(bench.memory.paths == [Format.marker])
    }

    @Test("a manifest of a later format is refused, and not passed over for an older one")
    func laterManifest() async throws {
        let bench = try Bench()
        let a = try await twoCheckpoints(bench)
        let path = "tasks/t-1/open/000001/e000001-c000003.json"
        bench.memory.put(Array(#"{"digest":"?","document":{"format":\#(Format.version + 1)}}"#.utf8), at: path)
        await #expect(throws: EngineError.tooNew(what: path, format: Format.version + 1)) { _ = try await a.catalog().committed(TaskID("t-1")) }
    }
}

@Suite("Old checkpoints go, and rubbish with them")
struct PruneTests {
    private func objects(_ bench: Bench) -> Set<String> {
        Set(bench.memory.paths.filter { $0.hasPrefix("tasks/t-1/objects/") }.map { String($0.split(separator: "/")[3]) })
    }

    @Test("what is kept stays whole, layers of those that went included; a failed upload's rubbish goes")
    func prune() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(5)
        try await bench.checkpoint(on: a)
        // The second one never comes to its commit.
        await bench.pass(5)
        let faults = Faults()
        faults.fail("store.commit")
        let second = try a.engine().nextCheckpoint(of: TaskID("t-1"), epoch: .first)
        await #expect(throws: EngineError.self) {
            _ = try await a.engine(faults).checkpoint(TaskID("t-1"), epoch: .first, id: second, order: OrderID("o"), plan: Bench.plan, progress: nil)
        }
        for _ in 0..<2 {
            await bench.pass(5)
            try await bench.checkpoint(on: a)
        }
        #expect(objects(bench).count == 4)
        let keep = [CheckpointID("e000001-c000004")]
        let gone = try await a.engine().prune(TaskID("t-1"), epoch: .first, keep: keep)
        #expect(gone == [CheckpointID("e000001-c000001"), CheckpointID("e000001-c000003")])
        // Of the others, only disk layers that the newest stands on.
        #expect(!objects(bench).contains(second.rawValue))
        #expect(bench.memory.paths.filter { $0.contains("/memory.") } == ["tasks/t-1/objects/e000001-c000004/memory.000000"])
        #expect(try await a.engine().verify(keep[0], of: TaskID("t-1"), readData: true) == [])
        let b = bench.node("b")
        _ = try await bench.resume(bench.submission(), on: b)
        #expect(try await bench.finish(b) == "CHAIN RESULT \(Bench.result)")
    }

    @Test("the newest is never pruned, whatever is asked")
    func newest() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        for _ in 0..<2 {
            await bench.pass(5)
            try await bench.checkpoint(on: a)
        }
        let paths = bench.memory.paths
        for keep in [[], [CheckpointID("e000001-c000001")], [CheckpointID("e000009-c000001")]] {
            #expect(try await a.engine().prune(TaskID("t-1"), epoch: .first, keep: keep).isEmpty)
        }
        #expect(bench.memory.paths == paths)
    }

    @Test("a node whose epoch is over prunes nothing")
    func stale() async throws {
        let bench = try Bench()
        let (a, b) = (bench.node("a"), bench.node("b"))
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(5)
        try await bench.checkpoint(on: a)
        let newest = try await bench.checkpoint(on: a)
        _ = try await bench.resume(bench.submission(), on: b)
        await #expect(throws: EngineError.staleEpoch(task: TaskID("t-1"), epoch: .first)) {
            _ = try await a.engine().prune(TaskID("t-1"), epoch: .first, keep: [newest.id])
        }
    }
}
