import Foundation
import GRDB
import Ports
import Vocabulary

/// The ledger in one SQLite file: events, decisions and their outcomes, appended and never changed.
///
/// Every append is one transaction that is on the disk before the call returns (WAL, `synchronous = FULL`), so that what
/// was acknowledged outlives the process and the machine. Readers, also those of other processes, never wait for the
/// writer. The tables are described in `Schema.swift`.
package final class SQLiteLedger: Ledger {
    package let path: String
    private let pool: DatabasePool

    private init(path: String, pool: DatabasePool) {
        self.path = path
        self.pool = pool
    }

    /// Opens the ledger for the manager, making it if it is not there and migrating it if it is older.
    ///
    /// - Parameter busyTimeout: how long to wait for another process's lock before giving up with `busy`.
    /// - Throws: `tooNew` if a later version of Cairn made it, `cannotOpen` if it is not a ledger or cannot be made.
    package static func open(path: String, busyTimeout: Seconds = Seconds(10)) throws(LedgerError) -> SQLiteLedger {
        try translating(path, while: .opening) {
            let pool = try DatabasePool(path: path, configuration: configuration(busyTimeout: busyTimeout))
            let schema = Schema.migrator
            try pool.read { try Schema.refuseWhatIsNotOurs($0, schema, path: path) }
            // After GRDB, which sets NORMAL with WAL: a commit that a power failure takes back was no commit.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try schema.migrate(pool)
            return SQLiteLedger(path: path, pool: pool)
        }
    }

    /// Opens the ledger for reading, also while a manager writes to it. Appending to it fails.
    ///
    /// - Throws: `cannotOpen` if there is none, or one of an earlier version that no manager has opened since.
    package static func openReadOnly(path: String, busyTimeout: Seconds = Seconds(10)) throws(LedgerError) -> SQLiteLedger {
        guard FileManager.default.fileExists(atPath: path) else { throw .cannotOpen(path: path, detail: "there is no such file") }
        return try translating(path, while: .opening) {
            var configuration = configuration(busyTimeout: busyTimeout)
            configuration.readonly = true
            let pool = try DatabasePool(path: path, configuration: configuration)
            let schema = Schema.migrator
            try pool.read { database in
                try Schema.refuseWhatIsNotOurs(database, schema, path: path)
                guard try schema.hasCompletedMigrations(database) else { throw Schema.outdated(path) }
            }
            return SQLiteLedger(path: path, pool: pool)
        }
    }

    /// Waits for what is under way and lets go of the file.
    package func close() throws(LedgerError) {
        try translating(path, while: .working) { try pool.close() }
    }

    private static func configuration(busyTimeout: Seconds) -> Configuration {
        var configuration = Configuration()
        configuration.label = "ledger"
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(busyTimeout.rawValue)
        return configuration
    }

    // SQLite waits for the disk: each access is on a thread that may. It is not given up when the caller's task is
    // cancelled, since half-known appends are worse than late ones.
    private func writing<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(LedgerError) -> Value {
        try await onBlockingThread { [path, pool] () throws(LedgerError) in try translating(path, while: .working) { try pool.write(body) } }
    }

    private func reading<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(LedgerError) -> Value {
        try await onBlockingThread { [path, pool] () throws(LedgerError) in try translating(path, while: .working) { try pool.read(body) } }
    }

    /// A setting of the connection that writes.
    func pragma(_ name: String) async throws(LedgerError) -> String {
        try await onBlockingThread { [path, pool] () throws(LedgerError) in
            try translating(path, while: .working) {
                try pool.writeWithoutTransaction { try String.fetchOne($0, sql: "PRAGMA \(name)") ?? "" }
            }
        }
    }

    // MARK: Events

    package func append(_ events: [EventRecord]) async throws(LedgerError) -> [EventRecord] {
        guard !events.isEmpty else { return [] }
        return try await writing { try EventTable.append(events, to: $0) }
    }

    package func events(after sequence: Int64, limit: Int) async throws(LedgerError) -> [EventRecord] {
        try await reading { try EventTable.events(after: sequence, limit: limit, in: $0) }
    }

    package func declarations() async throws(LedgerError) -> [EventRecord] { try await reading { try EventTable.declarations(in: $0) } }

    package func acknowledged(node: NodeID, incarnation: Incarnation) async throws(LedgerError) -> Int64 {
        try await reading { try EventTable.highestNumber(node: node, incarnation: incarnation, in: $0) }
    }

    // MARK: Decisions

    package func record(_ decisions: [Decision]) async throws(LedgerError) {
        guard !decisions.isEmpty else { return }
        try await writing { try DecisionTable.record(decisions, in: $0) }
    }

    package func record(_ outcomes: [Outcome]) async throws(LedgerError) {
        guard !outcomes.isEmpty else { return }
        try await writing { try DecisionTable.record(outcomes, in: $0) }
    }

    package func decisions(_ query: DecisionQuery) async throws(LedgerError) -> [Decision] {
        try await reading { try DecisionTable.decisions(query, in: $0) }
    }

    package func decision(_ id: DecisionID) async throws(LedgerError) -> Decision? {
        try await reading { try DecisionTable.decision(id, in: $0) }
    }

    package func outcomes(of decision: DecisionID) async throws(LedgerError) -> [Outcome] {
        try await reading { try DecisionTable.outcomes(of: decision, in: $0) }
    }

    package func outcomes(task: TaskID?) async throws(LedgerError) -> [Outcome] {
        try await reading { try DecisionTable.outcomes(task: task, in: $0) }
    }

    package func decisionCounts(after: Int64, through: Int64) async throws(LedgerError) -> [DecisionCount] {
        try await reading { try DecisionTable.counts(after: after, through: through, in: $0) }
    }

    package func unsettled(_ kind: Decision.Kind) async throws(LedgerError) -> Set<DecisionID> {
        try await reading { try DecisionTable.withoutOutcome(kind, in: $0) }
    }

    package func nextDecisionNumber() async throws(LedgerError) -> Int64 {
        try await reading { try DecisionTable.highestNumber(in: $0) + 1 }
    }

    /// The bytes of each table and index, largest first.
    package func parts() async throws(LedgerError) -> [LedgerPart] {
        try await reading { database in
            let rows = try Row.fetchAll(database, sql: "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC")
            return try rows.map { row in
                let name: String = row[0]
                return LedgerPart(
                    name: name, bytes: ByteCount(row[1] as Int64),
                    rows: try database.tableExists(name) ? Int64.fetchOne(database, sql: "SELECT count(*) FROM \(name)") : nil)
            }
        }
    }

    // MARK: The chain

    package func excerpt(_ query: ExcerptQuery) async throws(LedgerError) -> LedgerExcerpt {
        try await reading { database in
            let outcomes =
                if query.task == nil, let since = query.decisionsSince {
                    try DecisionTable.outcomes(ofDecisionsSince: since, in: database)
                } else { try DecisionTable.outcomes(task: query.task, in: database) }
            return LedgerExcerpt(
                events: try EventTable.events(about: query.task, in: database),
                decisions: try DecisionTable.decisions(
                    DecisionQuery(task: query.task, since: query.decisionsSince, limit: .max), in: database),
                outcomes: outcomes, proof: try SignatureTable.proof(in: database))
        }
    }

    package func proof() async throws(LedgerError) -> LedgerProof? { try await reading { try SignatureTable.proof(in: $0) } }

    /// Signs where the chain ends.
    /// - Returns: nil if nothing was written since the last signature.
    package func sign(with key: LedgerKey, at time: Timestamp) async throws(LedgerError) -> SignedHead? {
        try await writing { try SignatureTable.sign(with: key, at: time, in: $0) }
    }
}

/// A table or an index in the file.
package struct LedgerPart: Hashable, Sendable, Codable {
    package var name: String
    package var bytes: ByteCount
    /// nil: an index.
    package var rows: Int64?
}
