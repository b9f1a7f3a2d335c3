import Foundation
import Ports
import Testing
import Vocabulary

@testable import SQLiteLedger

@Suite("An agent's journal")
struct SQLiteJournalTests {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("cairn-journal-\(UUID().uuidString)").path

    func open(newName: String = "first") throws -> SQLiteJournal {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return try SQLiteJournal.open(path: directory + "/journal.db", node: NodeID("a"), newName: Incarnation(newName))
    }

    @Test("keeps events until they are acknowledged; their numbers go on, also after a restart, under the journal's own name")
    func events() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let journal = try open()
        for name in ["t1", "t2", "t3"] { try await journal.write(.taskGivenUp(task: TaskID(name), reason: "r"), at: Timestamp(1)) }
        try await journal.acknowledge(through: 2)
        #expect(try await journal.pending(limit: 10).map(\.source) == [.agent(node: NodeID("a"), incarnation: Incarnation("first"), number: 3)])
        try await journal.acknowledge(through: 3)

        let again = try open(newName: "second")
        try await again.write(.taskGivenUp(task: TaskID("t4"), reason: "r"), at: Timestamp(2))
        let pending = try await again.pending(limit: 10)
        // Everything was acknowledged and removed; the next number is 4 all the same.
        #expect(pending.map(\.source) == [.agent(node: NodeID("a"), incarnation: Incarnation("first"), number: 4)])
        #expect(pending.map(\.event) == [.taskGivenUp(task: TaskID("t4"), reason: "r")])
    }

    @Test("remembers which checkpoint answers an order")
    func orders() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let journal = try open()
        let order = OrderID("o")
        #expect(try await journal.assignment(of: order) == nil)
        try await journal.assign(CheckpointID("c1"), to: order)
        try await journal.finish(order)
        #expect(try await open().assignment(of: order) == OrderAssignment(checkpoint: CheckpointID("c1"), isFinished: true))
    }
}
