import CheckpointEngine
import DataPath
import DirectoryStore
import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

/// `Store1` was written by version 0.1.0, the last of format 1: three checkpoints of a task at steps 20 and 35 (node a) and 45 (node b).
@Suite("A store of format 1")
struct FirstFormatTests {
    private func bench() throws -> Bench {
        let bench = try Bench(.directory)
        let there = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Store1").path
        try FileManager.default.removeItem(atPath: bench.folder + "/store")
        try FileManager.default.copyItem(atPath: there, toPath: bench.folder + "/store")
        // The store was opened before, and git keeps no empty directories.
        try FileManager.default.createDirectory(atPath: bench.folder + "/store/" + StorePath.scratch, withIntermediateDirectories: true)
        return bench
    }
    private let task = TaskID("t-1")

    @Test("is read: every checkpoint of it is whole, and the task goes on from the newest to its result")
    func goesOn() async throws {
        let bench = try bench()
        let c = bench.node("c")
        let line = try await c.catalog().committed(task)
        #expect(line.map(\.record.id.rawValue) == ["e000001-c000001", "e000001-c000002", "e000002-c000001"])
        #expect(line.allSatisfy { $0.format == 1 && $0.record.layerBytes == nil })
        for manifest in line { #expect(try await c.engine().verify(manifest.record.id, of: task, readData: true) == []) }
        let submission = try #require(line.last).submission
        #expect(try await bench.resume(submission, on: c, from: Epoch(2)).checkpoint == CheckpointID("e000002-c000001"))
        #expect(bench.step(c) == 45)
        await bench.pass(10)
        let next = try await bench.checkpoint(on: c, epoch: Epoch(3))
        #expect(next.parent == CheckpointID("e000002-c000001") && next.layerBytes?.count == 4)
        #expect(try await c.catalog().manifest(next.id, of: task).format == Format.version)
        #expect(try await bench.finish(c) == "CHAIN RESULT \(Bench.result)")
    }

    @Test("is of the newest format once something is written to it, so that earlier versions refuse it")
    func marked() async throws {
        let bench = try bench()
        let c = bench.node("c")
        #expect(try await marker(bench).contains(#""format":1"#))
        _ = try await c.catalog().openFirst(of: TaskID("t-2"), for: c.id)
        #expect(try await marker(bench).contains(#""format":\#(Format.version)"#))
    }

    private func marker(_ bench: Bench) async throws -> String { String(decoding: try await bench.store.read(Format.marker), as: UTF8.self) }
}

@Suite("Documents")
struct DocumentTests {
    /// A document with the digest of its text, as another program might write it.
    private func sealed(_ text: String) -> [UInt8] {
        Array(#"{"digest":"\#(Digest.sha256(Array(text.utf8)))","document":\#(text)}"#.utf8)
    }

    @Test("a key that this version does not know is passed over, and the digest still covers it")
    func unknownKey() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        let text = #"{"at":1767323045,"epoch":1,"format":2,"later":{"x":[1,2]},"node":"a","task":"t-1"}"#
        bench.memory.put(sealed(text), at: "tasks/t-1/epochs/000001.json")
        try await a.catalog().require(.first, of: TaskID("t-1"), ownedBy: a.id)
        bench.memory.put(sealed(text).map { $0 == UInt8(ascii: "x") ? UInt8(ascii: "y") : $0 }, at: "tasks/t-1/epochs/000001.json")
        await #expect(throws: EngineError.self) { try await a.catalog().require(.first, of: TaskID("t-1"), ownedBy: a.id) }
    }
}

@Suite("A task that has ended")
struct EndTests {
    private let task = TaskID("t-1")

    private func begun(_ bench: Bench) async throws -> Bench.Node {
        let a = bench.node("a")
        try await bench.begin(bench.submission(), on: a)
        await bench.pass(10)
        try await bench.checkpoint(on: a)
        return a
    }

    private func record(_ outcome: EndRecord.Outcome, _ epoch: Epoch = .first) -> EndRecord {
        EndRecord(task: task, epoch: epoch, outcome: outcome, node: NodeID("a"), at: Timestamp(1_767_323_045))
    }

    @Test("is not resumed: raising its epoch says how it ended")
    func notRaised() async throws {
        let bench = try Bench()
        let a = try await begun(bench)
        let end = record(.finished(result: "f00d"))
        try await a.catalog().recordEnd(end)
        #expect(try await a.catalog().ended(task) == end)
        for _ in 0..<2 {
            let raised = try await a.catalog().raiseEpoch(of: task, from: .first, for: NodeID("b"))
            #expect(raised.ended == end && raised.epoch == .first)
        }
        #expect(try await a.catalog().newestEpoch(of: task) == .first)
    }

    @Test("has one end: whoever is second changes nothing")
    func once() async throws {
        let bench = try Bench()
        let a = try await begun(bench)
        try await a.catalog().recordEnd(record(.finished(result: "f00d")))
        try await a.catalog().recordEnd(record(.cancelled(by: "operator")))
        #expect(try await a.catalog().ended(task)?.outcome == .finished(result: "f00d"))
    }

    @Test("an end in an epoch that is over counts for nothing")
    func stale() async throws {
        let bench = try Bench()
        let a = try await begun(bench)
        let raised = try await a.catalog().raiseEpoch(of: task, from: .first, for: NodeID("b"))
        #expect(raised.epoch == Epoch(2) && raised.ended == nil)
        try await a.catalog().recordEnd(record(.finished(result: "f00d")))
        #expect(try await a.catalog().ended(task) == nil)
        #expect(try await a.catalog().raiseEpoch(of: task, from: Epoch(2), for: NodeID("c")).epoch == Epoch(3))
    }

    @Test("what was submitted is in the store before anything was committed")
    func submission() async throws {
        let bench = try Bench()
        let a = bench.node("a")
        let submission = bench.submission()
        _ = try await a.catalog().openFirst(of: task, submission: submission, for: a.id)
        #expect(try await a.catalog().epochs(of: task).first?.submission == submission)
    }
}
