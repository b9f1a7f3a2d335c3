import Foundation
import GRDB
import Testing
import Vocabulary

@testable import SQLiteLedger

@Suite("Decisions are kept packed")
struct PackedPayloadTests {
    private static func decision(_ number: Int) -> Decision {
        Decision(
            id: DecisionID("d00000\(number)"), at: Timestamp(1_795_550_845.25 + Double(number)), kind: .checkpoint, task: TaskID("primes-1"),
            node: NodeID("node-a"), mode: .enforce, sla: DocumentVersion(name: "primes", digest: "sha256:ab"), policy: nil, models: "2",
            inputs: (0..<20).map { DecisionInput(name: "inputSeconds", value: Double($0) / 7, standardError: 0.1) },
            alternatives: (0..<8).map { Alternative(name: "every \($0) s, zstd", timeCost: Double($0) / 3, expectedSeconds: Seconds(51.383)) },
            chosen: 0, binding: nil, rules: [], sentence: "primes-1: checkpoint now – ü.", steps: [])
    }

    @Test("what is packed is unpacked, and takes less than half")
    func roundTrip() throws {
        var payload = Payload()
        for text in [try payload.text(Self.decision(1)), "{}", "{\"a\":\"" + String(repeating: "é", count: 100_000) + "\"}"] {
            let packed = try PackedPayload.packed(text)
            #expect(packed.first == 1)
            #expect(try PackedPayload.text(packed, of: "it") == text)
            if text.utf8.count > 1_000 { #expect(packed.count < text.utf8.count / 2) }
            #expect(try PackedPayload.text(Data(text.utf8), of: "it") == text)
        }
    }

    @Test("what is cut off, of another version or nothing of ours is told of, and never taken for a decision")
    func damage() throws {
        var payload = Payload()
        let packed = try PackedPayload.packed(try payload.text(Self.decision(1)))
        for length in 0..<packed.count { #expect(throws: UnreadableRow.self) { try PackedPayload.text(packed.prefix(length), of: "it") } }
        #expect(throws: UnreadableRow.self) { try PackedPayload.text(Data([2]) + packed.dropFirst(), of: "it") }
        #expect(throws: UnreadableRow.self) { try PackedPayload.text(Data("nonsense".utf8), of: "it") }
        // A frame that says of itself to be of four exbibytes.
        #expect(throws: UnreadableRow.self) {
            try PackedPayload.text(Data([1, 0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0]), of: "it")
        }
    }

    @Test("the dictionary is what it was: with another one, nothing that was packed before could be read")
    func dictionary() throws {
        #expect(PackageResources.decisions_dictionary.count == 14_117)
        #expect(
            hexadecimal(Chain.digest(after: [], PackageResources.decisions_dictionary))
                == "07f40940158d47116c78abe32dd5e0fc1d6b07d0323a44d89456fd7062c2db78")
    }

    @Test("decisions of an earlier version stay as they are, under the same chain, beside packed ones")
    func migration() async throws {
        let scratch = try Scratch()
        let queue = try DatabaseQueue(path: scratch.ledgerPath)
        try Schema.migrator.migrate(queue, upTo: Schema.chained)
        var payload = Payload()
        let old = Self.decision(1)
        let text = try payload.text(old)
        try await queue.write { database in
            try database.execute(
                sql: """
                    INSERT INTO decisions (number, id, at_epoch_seconds, kind, task, node, mode, sla_digest, policy_digest, sentence, payload_json)
                    VALUES (1, 'd000001', ?, 'checkpoint', 'primes-1', 'node-a', 'enforce', 'sha256:ab', NULL, ?, ?)
                    """, arguments: [old.at.rawValue, old.sentence, text])
            var chain = try Chain.Writer(database)
            try chain.add(Chain.decisions, row: 1)
        }
        try queue.close()
        let ledger = try SQLiteLedger.open(path: scratch.ledgerPath)
        try await ledger.record([old, Self.decision(2)])
        try await ledger.record([Outcome(decision: old.id, at: Timestamp(9), quantity: "stopSeconds", predicted: 1, observed: 2)])
        let found = try await ledger.decisions(.init())
        #expect(found.sorted { $0.at < $1.at } == [old, Self.decision(2)])
        try ledger.close()
        let verified = try await SQLiteLedger.verify(path: scratch.ledgerPath)
        #expect(verified.findings.isEmpty)
        #expect(verified.records == 4)
        let reader = try DatabaseQueue(path: scratch.ledgerPath)
        let kinds = try await reader.read { try String.fetchAll($0, sql: "SELECT typeof(payload_json) FROM decisions ORDER BY number") }
        #expect(kinds == ["text", "blob"])
        for statement in ["UPDATE decisions SET sentence = ''", "DELETE FROM decisions", "INSERT OR REPLACE INTO decisions SELECT * FROM decisions"] {
            await #expect(throws: DatabaseError.self, "\(statement)") { try await reader.write { try $0.execute(sql: statement) } }
        }
        try reader.close()
        // Bytes that stay the same under another type.
        for change in ["CAST(payload_json AS BLOB) WHERE number = 1", "CAST(payload_json AS TEXT) WHERE number = 2"] {
            let copy = scratch.directory + "/\(UUID().uuidString).db"
            try FileManager.default.copyItem(atPath: scratch.ledgerPath, toPath: copy)
            try tamper(copy) { try $0.execute(sql: "PRAGMA ignore_check_constraints = ON; UPDATE decisions SET payload_json = \(change)") }
            let found = try await SQLiteLedger.verify(path: copy).findings
            #expect(found.map(\.table) == ["decisions"] && found.map(\.problem) == [.changed], "\(change): \(found)")
        }
    }
}
