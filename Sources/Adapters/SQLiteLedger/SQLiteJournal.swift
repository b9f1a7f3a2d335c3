import Foundation
import GRDB
import Ports
import Vocabulary

/// An agent's journal in one SQLite file beside its work.
///
/// The journal has a name of its own, made with the file, which stands as the incarnation of its events: numbers go on where they were
/// when the agent starts again, and a journal that was lost is another one.
package final class SQLiteJournal: EventJournal {
    private let path: String
    private let node: NodeID
    private let incarnation: Incarnation
    private let pool: DatabasePool

    private init(path: String, node: NodeID, incarnation: Incarnation, pool: DatabasePool) {
        self.path = path
        self.node = node
        self.incarnation = incarnation
        self.pool = pool
    }

    /// - Parameter newName: the journal's name if it has to be made.
    /// - Throws: `cannotOpen`, `tooNew`.
    package static func open(path: String, node: NodeID, newName: Incarnation) throws(LedgerError) -> SQLiteJournal {
        try translating(path, while: .opening) {
            var configuration = Configuration()
            configuration.label = "journal"
            configuration.busyMode = .timeout(10)
            let pool = try DatabasePool(path: path, configuration: configuration)
            let schema = migrator(newName)
            guard try pool.read({ try !schema.hasBeenSuperseded($0) }) else { throw LedgerError.tooNew(path: path) }
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try schema.migrate(pool)
            guard let name = try pool.read({ try String.fetchOne($0, sql: "SELECT name FROM journal") }) else {
                throw LedgerError.cannotOpen(path: path, detail: "the journal has no name")
            }
            return SQLiteJournal(path: path, node: node, incarnation: Incarnation(name), pool: pool)
        }
    }

    private static func migrator(_ newName: Incarnation) -> DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("0001 events and orders") { database in
            try database.execute(
                sql: """
                    CREATE TABLE journal (name TEXT NOT NULL) STRICT;
                    -- AUTOINCREMENT: a number is never used twice, though acknowledged events are removed.
                    CREATE TABLE events (
                        number INTEGER PRIMARY KEY AUTOINCREMENT, at_epoch_seconds REAL NOT NULL, payload_json TEXT NOT NULL
                    ) STRICT;
                    CREATE TABLE orders (
                        id TEXT PRIMARY KEY, checkpoint TEXT NOT NULL, finished INTEGER NOT NULL DEFAULT 0
                    ) STRICT;
                    """)
            try database.execute(sql: "INSERT INTO journal (name) VALUES (?)", arguments: [newName.rawValue])
        }
        return migrator
    }

    private func writing<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(LedgerError) -> Value {
        try await onBlockingThread { [path, pool] () throws(LedgerError) in try translating(path, while: .working) { try pool.write(body) } }
    }

    package func write(_ event: Event, at time: Timestamp) async throws(LedgerError) {
        try await writing { database in
            var payload = Payload()
            try database.execute(
                sql: "INSERT INTO events (at_epoch_seconds, payload_json) VALUES (?, ?)", arguments: [time.rawValue, payload.text(event)])
        }
    }

    package func pending(limit: Int) async throws(LedgerError) -> [EventRecord] {
        try await writing { [node, incarnation] database in
            var payload = Payload()
            let rows = try Row.fetchAll(
                database, sql: "SELECT number, at_epoch_seconds, payload_json FROM events ORDER BY number LIMIT ?", arguments: [limit])
            return try rows.map { row in
                let number: Int64 = row[0]
                return EventRecord(
                    at: Timestamp(row[1]), source: .agent(node: node, incarnation: incarnation, number: number),
                    event: try payload.value(Event.self, row[2], of: "event \(number) of the journal"))
            }
        }
    }

    package func acknowledge(through number: Int64) async throws(LedgerError) {
        try await writing { try $0.execute(sql: "DELETE FROM events WHERE number <= ?", arguments: [number]) }
    }

    package func assign(_ checkpoint: CheckpointID, to order: OrderID) async throws(LedgerError) {
        try await writing { database in
            try database.execute(
                sql: "INSERT INTO orders (id, checkpoint) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET checkpoint = excluded.checkpoint",
                arguments: [order.rawValue, checkpoint.rawValue])
        }
    }

    package func assignment(of order: OrderID) async throws(LedgerError) -> OrderAssignment? {
        try await writing { database in
            let row = try Row.fetchOne(database, sql: "SELECT checkpoint, finished FROM orders WHERE id = ?", arguments: [order.rawValue])
            return row.map { OrderAssignment(checkpoint: CheckpointID($0[0]), isFinished: $0[1]) }
        }
    }

    package func finish(_ order: OrderID) async throws(LedgerError) {
        try await writing { try $0.execute(sql: "UPDATE orders SET finished = 1 WHERE id = ?", arguments: [order.rawValue]) }
    }
}
