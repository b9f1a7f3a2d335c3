import Foundation
import GRDB
import Ports
import Vocabulary

/// One thing about a ledger that is not as it was written.
package struct LedgerFinding: Hashable, Sendable, Codable {
    package enum Problem: String, Hashable, Sendable, Codable {
        /// A row's content is not the one that the chain was made over.
        case changed
        /// A row that the chain was made over is not there.
        case removed
        /// A row that the chain knows nothing of.
        case inserted
        /// The chain itself: an entry is changed, missing, or there twice.
        case chainBroken
        /// A signature that no longer fits its head, or is by another key than the one asked for.
        case badSignature
        /// A head that somebody kept is not in this ledger: its end was cut off, or all was written anew.
        case headMissing
        /// Tables, triggers or indices are not this version's.
        case schemaChanged
    }
    package var problem: Problem
    package var table: String?
    package var row: Int64?
    /// The chain's entry.
    package var record: Int64?
    package var detail: String
}

/// What was found in a ledger.
package struct LedgerVerification: Hashable, Sendable, Codable {
    package static let schema = "cairn.verification/v1"
    package var schema = LedgerVerification.schema
    package var head: LedgerHead?
    /// Rows that were checked.
    package var records: Int64
    /// Rows that an earlier version had written before the chain began: what happened to them before that is not proven.
    package var adopted: Int64
    package var signatures: Int
    /// The last entry that a genuine signature covers.
    package var signedThrough: Int64?
    package var keys: [String]
    package var findings: [LedgerFinding]
    package var isUntouched: Bool { findings.isEmpty }
}

/// What is to be found in the ledger besides its own rows.
package struct LedgerExpectation: Sendable {
    /// The only key that may have signed; nil: any.
    package var key: LedgerPublicKey?
    /// A digest that was the chain's head once.
    package var digests: [String]
    package var signed: [SignedHead]
    package init(key: LedgerPublicKey? = nil, digests: [String] = [], signed: [SignedHead] = []) {
        self.key = key
        self.digests = digests
        self.signed = signed
    }
}

extension SQLiteLedger {
    /// Checks every row of the ledger in the file at `path` against the chain, and the signatures; a manager may write to it meanwhile.
    ///
    /// - Throws: `cannotOpen` if there is none, or one of an earlier version, which has no chain yet.
    package static func verify(path: String, expecting expectation: LedgerExpectation = .init()) async throws(LedgerError) -> LedgerVerification {
        guard FileManager.default.fileExists(atPath: path) else { throw .cannotOpen(path: path, detail: "there is no such file") }
        return try await onBlockingThread { () throws(LedgerError) in
            try translating(path, while: .opening) {
                var configuration = Configuration()
                configuration.readonly = true
                configuration.busyMode = .timeout(10)
                let database = try DatabaseQueue(path: path, configuration: configuration)
                let found = try database.read { database in
                    let schema = Schema.migrator
                    try Schema.refuseWhatIsNotOurs(database, schema, path: path)
                    guard try database.tableExists("chain") else { throw Schema.outdated(path) }
                    var verification = Verification(database: database, path: path, expectation: expectation)
                    return try verification.run()
                }
                try database.close()
                return found
            }
        }
    }
}

/// One pass over the chain, then over what it does not cover.
private struct Verification {
    let database: Database
    let path: String
    let expectation: LedgerExpectation
    private var findings: [LedgerFinding] = []
    private var covered: [String: Set<Int64>] = [:]
    /// Those that somebody names: of them it is enough to know whether and where they are.
    private var digests: Set<[UInt8]> = []
    private var signed: [Signature] = []

    private struct Entry {
        var number: Int64
        var source: String
        var row: Int64
        var digest: [UInt8]
    }

    private struct Signature {
        var row: Int64
        var head: SignedHead
    }

    init(database: Database, path: String, expectation: LedgerExpectation) {
        self.database = database
        self.path = path
        self.expectation = expectation
    }

    mutating func run() throws -> LedgerVerification {
        guard try checkSchema() else {
            // Rows of other tables than ours are not to be read as if they were.
            return LedgerVerification(head: nil, records: 0, adopted: 0, signatures: 0, signedThrough: nil, keys: [], findings: findings)
        }
        let identity = try String.fetchOne(database, sql: "SELECT identity FROM ledger")
        signed = try readSignatures(identity ?? "")
        let wanted = expectation.digests + (signed.map(\.head) + expectation.signed).map(\.head.digest)
        digests = Set(wanted.compactMap { raw(hexadecimal: $0, count: 32) })
        var named: [String: Int64] = [:]
        let rows = try Row.fetchCursor(database, sql: "SELECT number, source, row, digest FROM chain ORDER BY number")
        var last: Entry?
        // An entry whose digest is not that of its row, until the next one shows which of both was changed.
        var pending: (entry: Entry, computed: [UInt8])?
        var count: Int64 = 0
        while let row = try rows.next() {
            let entry = Entry(number: row[0], source: row[1], row: row[2], digest: [UInt8](row[3] as Data))
            count += 1
            if digests.contains(entry.digest) { named[hexadecimal(entry.digest)] = entry.number }
            let expected = (last?.number ?? -1) + 1
            let previous = last?.digest ?? Chain.genesis
            last = entry
            if entry.number != expected {
                settle(&pending)
                tell(
                    .chainBroken, table: "chain", record: expected,
                    entry.number == expected + 1 ? "entry \(expected) is missing" : "entries \(expected) to \(entry.number - 1) are missing")
            }
            guard let content = try content(of: entry) else {
                settle(&pending)
                continue
            }
            if let before = pending, Chain.digest(after: before.computed, content) == entry.digest {
                pending = nil
                tell(
                    .chainBroken, table: "chain", row: before.entry.number, record: before.entry.number,
                    "the entry's digest was changed; the row that it stands for was not")
                continue
            }
            settle(&pending)
            // After a gap nothing is known of the digest before: the row is checked no further.
            guard entry.number == expected else { continue }
            let computed = Chain.digest(after: previous, content)
            if computed != entry.digest { pending = (entry, computed) }
        }
        settle(&pending)
        try findUncovered()
        checkSignatures(named)
        checkHeads(named, identity, end: last?.number ?? 0)
        let signedThrough = signed.filter { $0.head.isGenuine && named[$0.head.head.digest] == $0.head.head.record }.map(\.head.head.record).max()
        return LedgerVerification(
            head: last.flatMap { last in identity.map { LedgerHead(ledger: $0, record: last.number, digest: hexadecimal(last.digest)) } },
            records: count, adopted: try Int64.fetchOne(database, sql: "SELECT adopted FROM ledger") ?? 0, signatures: signed.count,
            signedThrough: signedThrough, keys: Set(signed.map(\.head.key)).sorted(), findings: findings)
    }

    private mutating func tell(_ problem: LedgerFinding.Problem, table: String? = nil, row: Int64? = nil, record: Int64? = nil, _ detail: String) {
        findings.append(LedgerFinding(problem: problem, table: table, row: row, record: record, detail: detail))
    }

    // MARK: The chain

    /// The content that an entry stands for; nil, and a finding, if it stands for nothing that is there.
    private mutating func content(of entry: Entry) throws -> [UInt8]? {
        guard let table = Chain.tables.first(where: { $0.name == entry.source }) else {
            tell(.chainBroken, table: "chain", row: entry.number, record: entry.number, "the entry names a table \(entry.source), which there is not")
            return nil
        }
        if !covered[table.name, default: []].insert(entry.row).inserted {
            tell(
                .chainBroken, table: "chain", row: entry.number, record: entry.number,
                "the entry names \(table.name) \(entry.row), which another one names already")
        }
        guard let content = try Chain.content(table, row: entry.row, in: database) else {
            tell(.removed, table: table.name, row: entry.row, record: entry.number, "the row is not there any more")
            return nil
        }
        return content
    }

    private mutating func settle(_ pending: inout (entry: Entry, computed: [UInt8])?) {
        guard let (entry, _) = pending else { return }
        pending = nil
        tell(.changed, table: entry.source, row: entry.row, record: entry.number, Contradictions.words(entry.source, row: entry.row, in: database))
    }

    private mutating func findUncovered() throws {
        for table in Chain.tables {
            let known = covered[table.name] ?? []
            let rows = try Int64.fetchCursor(database, sql: "SELECT \(table.key) FROM \(table.name) ORDER BY \(table.key)")
            while let row = try rows.next() {
                if !known.contains(row) { tell(.inserted, table: table.name, row: row, "the chain has no entry for the row") }
            }
        }
    }

    // MARK: Signatures and heads

    private func readSignatures(_ identity: String) throws -> [Signature] {
        let rows = try Row.fetchAll(
            database, sql: "SELECT number, record, digest, at_epoch_seconds, public_key, signature FROM signatures ORDER BY number")
        return rows.map { Signature(row: $0[0], head: SignedHead(row: $0, ledger: identity)) }
    }

    private mutating func checkSignatures(_ named: [String: Int64]) {
        for signature in signed {
            let head = signature.head
            func tell(_ problem: LedgerFinding.Problem, _ detail: String) {
                self.tell(problem, table: "signatures", row: signature.row, record: head.head.record, detail)
            }
            if !head.isGenuine {
                tell(.badSignature, "the signature does not fit what it signs")
            } else if let key = expectation.key, head.key != key.text {
                tell(.badSignature, "it is signed with another key: \(head.key)")
            } else if named[head.head.digest] != head.head.record {
                tell(.headMissing, "the chain does not have the digest that was signed for its entry \(head.head.record)")
            }
        }
        if let key = expectation.key, !signed.contains(where: { $0.head.isGenuine && $0.head.key == key.text }) {
            tell(.badSignature, table: "signatures", "nothing in the ledger is signed with the key \(key.text)")
        }
    }

    private mutating func checkHeads(_ named: [String: Int64], _ identity: String?, end: Int64) {
        for digest in expectation.digests where named[digest] == nil {
            tell(.headMissing, "the head \(digest) is not in the ledger, which ends at \(end): its end was cut off, or it was written anew")
        }
        for kept in expectation.signed {
            let head = kept.head
            if !kept.isGenuine {
                tell(.badSignature, record: head.record, "the signature of the head that was kept does not fit it")
            } else if let key = expectation.key, kept.key != key.text {
                tell(.badSignature, record: head.record, "the head that was kept is signed with another key: \(kept.key)")
            } else if head.ledger != identity {
                tell(.headMissing, record: head.record, "the head that was kept is of another ledger, \(head.ledger)")
            } else if named[head.digest] != head.record {
                tell(
                    .headMissing, record: head.record,
                    "the head \(head.digest) was signed for entry \(head.record), and is not there: the ledger ends at \(end)")
            }
        }
    }

    // MARK: The schema

    /// Tables, indices and triggers as this version makes them.
    /// - Returns: false if a table is not.
    private mutating func checkSchema() throws -> Bool {
        let (expected, migrations) = try Self.made.get()
        let found = try Self.schema(database)
        for (name, sql) in expected.sorted(by: { $0.key < $1.key }) where found[name] != sql {
            tell(.schemaChanged, "\(name) is \(found[name] == nil ? "missing" : "not as it was made")")
        }
        for name in found.keys.sorted() where expected[name] == nil { tell(.schemaChanged, "\(name) was added") }
        let there = try Self.migrations(database)
        for name in migrations where !there.contains(name) { tell(.schemaChanged, table: "grdb_migrations", "\(name) is missing") }
        return expected.allSatisfy { name, sql in !name.hasPrefix("table ") || found[name] == sql }
    }

    /// What an empty ledger of this version has.
    private static let made: Result<(schema: [String: String], migrations: [String]), any Error> = Result {
        let fresh = try DatabaseQueue()
        try Schema.migrator.migrate(fresh)
        let made = try fresh.read { (schema: try schema($0), migrations: try migrations($0)) }
        try fresh.close()
        return made
    }

    private static func schema(_ database: Database) throws -> [String: String] {
        let rows = try Row.fetchAll(database, sql: "SELECT type, name, coalesce(sql, '') FROM sqlite_schema")
        return Dictionary(rows.map { ("\($0[0] as String) \($0[1] as String)", $0[2] as String) }, uniquingKeysWith: { first, _ in first })
    }

    private static func migrations(_ database: Database) throws -> [String] {
        try String.fetchAll(database, sql: "SELECT identifier FROM grdb_migrations ORDER BY identifier")
    }
}
