import GRDB
import Ports

/// The tables, as named migrations that only go forward.
///
/// A new kind of event or a new key in a payload that an earlier version could not read is a migration too, an empty one if no
/// table changes: an earlier version then refuses the file instead of misreading it.
///
/// Nothing is changed or removed: triggers refuse UPDATE and DELETE, and INSERT of what is there already, since
/// `INSERT OR REPLACE` deletes without asking the DELETE trigger.
enum Schema {
    /// "CRNL", so that `file` and this program know whose database it is.
    static let applicationID: Int32 = 0x4352_4E4C

    /// The migration that begins the chain over the records.
    static let chained = "0008 chain, signatures"

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("0001 events, decisions, outcomes, documents") { database in
            try database.execute(sql: "PRAGMA application_id = \(applicationID)")
            try database.execute(sql: firstTables)
            for table in ["events", "decisions", "outcomes", "documents"] { try database.execute(sql: refusals(for: table)) }
        }
        // Events and decisions about merged layers, ended tasks in the store and ledgers made anew: payloads that earlier versions do not know.
        migrator.registerMigration("0002 merges, ends, rebuilds") { _ in }
        // Events about unions, and their key in a checkpoint's record.
        migrator.registerMigration("0003 unions") { _ in }
        // The event taskStalled; decisions with their situation; policies with a ceiling of the network.
        migrator.registerMigration("0004 tasks that stand still, situations") { _ in }
        // Events about drains, modes and verifications; decisions that move tasks.
        migrator.registerMigration("0005 drains, modes, verifications") { _ in }
        // Owners of tasks: a version that does not know them would let nobody but operators at them.
        migrator.registerMigration("0007 owners") { _ in }
        migrator.registerMigration(chained) { database in
            try database.execute(sql: chainTables)
            for table in ["chain", "ledger", "signatures"] { try database.execute(sql: refusals(for: table)) }
            try Chain.begin(in: database)
        }
        // Decisions' payloads may be packed (`PackedPayload`). Rows are taken over as they are, so that the chain over them holds.
        migrator.registerMigration("0009 packed decisions") { database in
            try database.execute(sql: packedDecisions)
            try database.execute(sql: refusals(for: "decisions"))
        }
        return migrator
    }

    /// - Throws: `LedgerError.tooNew`, or `.cannotOpen` for another program's database.
    static func refuseWhatIsNotOurs(_ database: Database, _ schema: DatabaseMigrator, path: String) throws {
        let identifier = try Int32.fetchOne(database, sql: "PRAGMA application_id")
        let isEmpty = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") == 0
        guard identifier == applicationID || isEmpty else {
            throw LedgerError.cannotOpen(path: path, detail: "it is a database of another program")
        }
        guard try !schema.hasBeenSuperseded(database) else { throw LedgerError.tooNew(path: path) }
    }

    static func outdated(_ path: String) -> LedgerError {
        .cannotOpen(path: path, detail: "it was made by an earlier version of Cairn: start the manager once to bring it up to date")
    }

    private static let firstTables = """
        CREATE TABLE events (
            sequence INTEGER PRIMARY KEY,
            at_epoch_seconds REAL NOT NULL,
            source TEXT NOT NULL CHECK (source IN ('manager', 'agent')),
            node TEXT,
            incarnation TEXT,
            number INTEGER,
            kind TEXT NOT NULL,
            task TEXT,
            payload_json TEXT NOT NULL,
            UNIQUE (node, incarnation, number),
            CHECK ((source = 'agent') = (node IS NOT NULL AND incarnation IS NOT NULL AND number IS NOT NULL))
        ) STRICT;
        CREATE INDEX events_by_task ON events (task, sequence) WHERE task IS NOT NULL;
        CREATE INDEX events_by_kind ON events (kind, sequence);

        CREATE TABLE decisions (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            at_epoch_seconds REAL NOT NULL,
            kind TEXT NOT NULL,
            task TEXT,
            node TEXT,
            mode TEXT NOT NULL,
            sla_digest TEXT,
            policy_digest TEXT,
            sentence TEXT NOT NULL,
            payload_json TEXT NOT NULL
        ) STRICT;
        CREATE INDEX decisions_by_task ON decisions (task, number);
        CREATE INDEX decisions_by_kind ON decisions (kind, number);
        CREATE INDEX decisions_by_time ON decisions (at_epoch_seconds);

        CREATE TABLE outcomes (
            number INTEGER PRIMARY KEY,
            decision TEXT NOT NULL REFERENCES decisions (id),
            at_epoch_seconds REAL NOT NULL,
            quantity TEXT NOT NULL,
            predicted REAL,
            observed REAL,
            payload_json TEXT NOT NULL,
            UNIQUE (decision, payload_json)
        ) STRICT;

        CREATE TABLE documents (
            number INTEGER PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('TaskSLA', 'CheckpointPolicy')),
            name TEXT NOT NULL,
            digest TEXT NOT NULL,
            first_event INTEGER NOT NULL REFERENCES events (sequence),
            content_json TEXT NOT NULL,
            UNIQUE (kind, name, digest)
        ) STRICT;
        """

    private static let packedDecisions = """
        CREATE TABLE packed_decisions (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            at_epoch_seconds REAL NOT NULL,
            kind TEXT NOT NULL,
            task TEXT,
            node TEXT,
            mode TEXT NOT NULL,
            sla_digest TEXT,
            policy_digest TEXT,
            sentence TEXT NOT NULL,
            payload_json ANY NOT NULL CHECK (\(PackedPayload.hasItsType("payload_json")))
        ) STRICT;
        INSERT INTO packed_decisions SELECT * FROM decisions ORDER BY number;
        DROP TABLE decisions;
        ALTER TABLE packed_decisions RENAME TO decisions;
        CREATE INDEX decisions_by_task ON decisions (task, number);
        CREATE INDEX decisions_by_kind ON decisions (kind, number);
        CREATE INDEX decisions_by_time ON decisions (at_epoch_seconds);
        """

    private static let chainTables = """
        CREATE TABLE ledger (
            number INTEGER PRIMARY KEY CHECK (number = 1),
            identity TEXT NOT NULL,
            adopted INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE chain (
            number INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            row INTEGER NOT NULL,
            digest BLOB NOT NULL CHECK (length(digest) = 32)
        ) STRICT;
        CREATE TABLE signatures (
            number INTEGER PRIMARY KEY,
            record INTEGER NOT NULL REFERENCES chain (number),
            digest BLOB NOT NULL CHECK (length(digest) = 32),
            at_epoch_seconds REAL NOT NULL,
            public_key BLOB NOT NULL CHECK (length(public_key) = 32),
            signature BLOB NOT NULL CHECK (length(signature) = 64)
        ) STRICT;
        CREATE INDEX events_about_no_task ON events (sequence) WHERE task IS NULL;
        """

    private static func refusals(for table: String) -> String {
        let (key, others) =
            switch table {
            case "events": ("sequence", "node = NEW.node AND incarnation = NEW.incarnation AND number = NEW.number")
            case "decisions": ("number", "id = NEW.id")
            case "outcomes": ("number", "decision = NEW.decision AND payload_json = NEW.payload_json")
            case "chain", "ledger", "signatures": ("number", "FALSE")
            default: ("number", "kind = NEW.kind AND name = NEW.name AND digest = NEW.digest")
            }
        return """
            CREATE TRIGGER \(table)_are_not_changed BEFORE UPDATE ON \(table)
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: \(table) are not changed'); END;
            CREATE TRIGGER \(table)_are_not_removed BEFORE DELETE ON \(table)
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: \(table) are not removed'); END;
            CREATE TRIGGER \(table)_are_not_replaced BEFORE INSERT ON \(table)
            WHEN EXISTS (SELECT 1 FROM \(table) WHERE \(key) = NEW.\(key)) OR EXISTS (SELECT 1 FROM \(table) WHERE \(others))
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: \(table) are not replaced'); END;
            """
    }
}
