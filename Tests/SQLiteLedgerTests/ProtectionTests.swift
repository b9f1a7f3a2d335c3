import Foundation
import GRDB
import Ports
import Testing
import Vocabulary

@testable import SQLiteLedger

@Suite("What is in the ledger stays as it is")
struct ProtectionTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A ledger with one row in each table, closed.
    func filled() async throws {
        let ledger = try SQLiteLedger.open(path: scratch.ledgerPath)
        let source = EventSource.agent(node: Samples.node, incarnation: Incarnation("i"), number: 7)
        _ = try await ledger.append([EventRecord(at: Timestamp(0), source: source, event: .policyLoaded(Samples.policy, version: Samples.version))])
        try await ledger.record([Samples.decision(1)])
        try await ledger.record([Outcome(decision: DecisionID("d000001"), at: Timestamp(1), quantity: "stopSeconds", predicted: 1, observed: 2)])
        try ledger.close()
    }

    @Test(
        "raw SQL cannot change, remove or replace a row",
        arguments: [
            "UPDATE events SET payload_json = '{}'", "DELETE FROM events", "UPDATE decisions SET sentence = ''",
            "DELETE FROM decisions WHERE number = 1",
            "UPDATE outcomes SET observed = 0", "DELETE FROM outcomes", "UPDATE documents SET content_json = ''", "DELETE FROM documents",
            "INSERT OR REPLACE INTO events SELECT * FROM events",
            """
            INSERT OR REPLACE INTO events (at_epoch_seconds, source, node, incarnation, number, kind, payload_json)
            VALUES (0, 'agent', 'node-a', 'i', 7, 'x', '{}')
            """,
            "REPLACE INTO decisions SELECT * FROM decisions", "UPDATE OR IGNORE decisions SET sentence = ''",
            "INSERT OR REPLACE INTO outcomes SELECT * FROM outcomes", "INSERT OR REPLACE INTO documents SELECT * FROM documents",
        ])
    func refused(_ sql: String) async throws {
        try await filled()
        let database = try DatabaseQueue(path: scratch.ledgerPath)
        let before = try dump(database)
        // SQLITE_CONSTRAINT_TRIGGER, with the trigger's own words.
        let error = await #expect(throws: DatabaseError.self) { try await database.write { try $0.execute(sql: sql) } }
        #expect(error?.message?.hasPrefix("the ledger is append-only: ") == true)
        #expect(try dump(database) == before)
        try database.close()
    }

    func rows(_ database: DatabaseQueue, _ sql: String) throws -> [Row] { try database.read { try Row.fetchAll($0, sql: sql) } }

    func dump(_ database: DatabaseQueue) throws -> [Row] {
        try ["events", "decisions", "outcomes", "documents"].flatMap { try rows(database, "SELECT * FROM \($0)") }
    }

    @Test("commits wait for the disk, and references are checked")
    func pragmas() async throws {
        let ledger = try SQLiteLedger.open(path: scratch.ledgerPath)
        // 2 is FULL.
        #expect(try await ledger.pragma("synchronous") == "2")
        #expect(try await ledger.pragma("journal_mode") == "wal")
        #expect(try await ledger.pragma("foreign_keys") == "1")
    }

    @Test("each version of a declaration is kept once")
    func documents() async throws {
        try await filled()
        let ledger = try SQLiteLedger.open(path: scratch.ledgerPath)
        let again = EventRecord(at: Timestamp(0), source: .manager, event: .policyLoaded(Samples.policy, version: Samples.version))
        _ = try await ledger.append([again, EventRecord(at: Timestamp(0), source: .manager, event: Samples.events[3])])
        try ledger.close()
        let database = try DatabaseQueue(path: scratch.ledgerPath)
        let rows = try rows(database, "SELECT kind, name, digest, first_event FROM documents ORDER BY number")
        #expect(rows.map { [$0[0], $0[1], $0[2]] } == ["CheckpointPolicy", "TaskSLA"].map { [$0, Samples.version.name, Samples.version.digest] })
        #expect(rows.map { $0["first_event"] } == [1, 3])
        try database.close()
    }

    @Test("a database of a later version is refused by writers and readers")
    func newer() async throws {
        try await filled()
        let database = try DatabaseQueue(path: scratch.ledgerPath)
        try await database.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('0999 from the future')") }
        try database.close()
        #expect(throws: LedgerError.tooNew(path: scratch.ledgerPath)) { try SQLiteLedger.open(path: scratch.ledgerPath) }
        #expect(throws: LedgerError.tooNew(path: scratch.ledgerPath)) { try SQLiteLedger.openReadOnly(path: scratch.ledgerPath) }
    }

    @Test("what is not a ledger is not opened")
    func notOurs() async throws {
        let path = scratch.ledgerPath
        #expect(throws: LedgerError.cannotOpen(path: path, detail: "there is no such file")) { try SQLiteLedger.openReadOnly(path: path) }
        let missing = scratch.directory + "/no/such/directory/ledger.sqlite"
        #expect(throws: LedgerError.self) { try SQLiteLedger.open(path: missing) }
        try Data("this is a letter to my aunt, and long enough to be taken for a page".utf8).write(to: URL(filePath: path))
        #expect(throws: LedgerError.cannotOpen(path: path, detail: "it is not a database")) { try SQLiteLedger.open(path: path) }
        #expect(throws: LedgerError.cannotOpen(path: path, detail: "it is not a database")) { try SQLiteLedger.openReadOnly(path: path) }
        try FileManager.default.removeItem(atPath: path)
        let database = try DatabaseQueue(path: path)
        try await database.write { try $0.execute(sql: "CREATE TABLE recipes (name TEXT)") }
        try database.close()
        #expect(throws: LedgerError.cannotOpen(path: path, detail: "it is a database of another program")) { try SQLiteLedger.open(path: path) }
        // An empty database is one that a manager was killed in before the first migration.
        try FileManager.default.removeItem(atPath: path)
        try Data().write(to: URL(filePath: path))
        #expect(throws: LedgerError.self) { try SQLiteLedger.openReadOnly(path: path) }
        try SQLiteLedger.open(path: path).close()
        try SQLiteLedger.openReadOnly(path: path).close()
    }

    @Test("a damaged payload is named, not skipped")
    func damagedPayload() async throws {
        try await filled()
        let database = try DatabaseQueue(path: scratch.ledgerPath)
        try await database.write {
            try $0.execute(
                sql: "INSERT INTO events (at_epoch_seconds, source, kind, payload_json) VALUES (0, 'manager', 'nonsense', '{\"nonsense\":{}}')")
        }
        try database.close()
        let ledger = try SQLiteLedger.openReadOnly(path: scratch.ledgerPath)
        let error = await #expect(throws: LedgerError.self) { try await ledger.events(after: 0, limit: 10) }
        #expect(error.map { "\($0)".contains("event 2") } == true)
        #expect(error?.isRetryable == false)
    }
}
