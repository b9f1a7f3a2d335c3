import Crypto
import Foundation
import GRDB
import Ports

/// The hash chain over the ledger's records: one entry a record, in the order in which they were written.
///
/// An entry's digest is SHA-256 over the digest before it and the record's canonical form, so that each digest stands for everything before
/// it. docs/audit.md describes it for those who check it without this program.
enum Chain {
    /// A table whose rows are records.
    struct Table {
        var name: String
        /// An alias of the row's number in SQLite.
        var key: String
        /// In the order in which they are hashed.
        var columns: [String]
        /// The column that is text or packed bytes: of the other type it counts as NULL, so that a change of the type alone is one.
        var packed: String?

        /// All columns of one row. Text comes as its bytes: what follows a zero byte counts, too.
        fileprivate var selection: String {
            let values = columns.map { column in
                let bytes = "CASE typeof(\(column)) WHEN 'text' THEN CAST(\(column) AS BLOB) ELSE \(column) END"
                return column == packed ? "CASE WHEN \(PackedPayload.hasItsType(column)) THEN \(bytes) END" : bytes
            }
            return "SELECT \(values.joined(separator: ", ")) FROM \(name) WHERE \(key) = ?"
        }
    }

    static let ledger = Table(name: "ledger", key: "number", columns: ["number", "identity", "adopted"])
    static let events = Table(
        name: "events", key: "sequence",
        columns: ["sequence", "at_epoch_seconds", "source", "node", "incarnation", "number", "kind", "task", "payload_json"])
    static let decisions = Table(
        name: "decisions", key: "number",
        columns: [
            "number", "id", "at_epoch_seconds", "kind", "task", "node", "mode", "sla_digest", "policy_digest", "sentence", "payload_json",
        ], packed: "payload_json")
    static let outcomes = Table(
        name: "outcomes", key: "number",
        columns: ["number", "decision", "at_epoch_seconds", "quantity", "predicted", "observed", "payload_json"])
    static let documents = Table(
        name: "documents", key: "number", columns: ["number", "kind", "name", "digest", "first_event", "content_json"])
    static let signatures = Table(
        name: "signatures", key: "number", columns: ["number", "record", "digest", "at_epoch_seconds", "public_key", "signature"])
    /// What a ledger of an earlier version holds comes into the chain in this order.
    static let tables = [ledger, events, decisions, outcomes, documents, signatures]

    static let genesis = [UInt8](repeating: 0, count: 32)

    /// A record's canonical form, without what came before it; nil: there is no such row.
    static func content(_ table: Table, row: Int64, in database: Database) throws -> [UInt8]? {
        let found = try Row.fetchOne(try database.cachedStatement(sql: table.selection), arguments: [row])
        return found.map { row in
            var form = CanonicalForm(table.name)
            for index in 0..<table.columns.count { form.add(row[index] as DatabaseValue) }
            return form.bytes
        }
    }

    static func digest(after previous: [UInt8], _ content: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: previous)
        hash.update(data: content)
        return [UInt8](hash.finalize())
    }

    /// Appends to the chain, within the transaction that writes the records.
    struct Writer {
        private let database: Database
        private(set) var number: Int64
        private(set) var digest: [UInt8]

        init(_ database: Database) throws {
            self.database = database
            let last = try Row.fetchOne(try database.cachedStatement(sql: "SELECT number, digest FROM chain ORDER BY number DESC LIMIT 1"))
            number = last.map { $0[0] as Int64 } ?? -1
            digest = last.map { [UInt8]($0[1] as Data) } ?? Chain.genesis
        }

        /// The row is read back, so that what is hashed is what is kept.
        mutating func add(_ table: Table, row: Int64) throws {
            guard let content = try Chain.content(table, row: row, in: database) else {
                throw UnreadableRow(what: "\(table.name) \(row)", detail: "it was written and is not there")
            }
            digest = Chain.digest(after: digest, content)
            number += 1
            try database.cachedStatement(sql: "INSERT INTO chain (number, source, row, digest) VALUES (?, ?, ?, ?)")
                .execute(arguments: [number, table.name, row, Data(digest)])
        }
    }

    /// Begins the chain, over all that an earlier version wrote.
    static func begin(in database: Database) throws {
        let adopted = try [events, decisions, outcomes, documents].reduce(0) { sum, table in
            sum + (try Int.fetchOne(database, sql: "SELECT count(*) FROM \(table.name)") ?? 0)
        }
        try database.execute(sql: "INSERT INTO ledger (number, identity, adopted) VALUES (1, lower(hex(randomblob(16))), ?)", arguments: [adopted])
        var writer = try Writer(database)
        try writer.add(ledger, row: 1)
        for table in [events, decisions, outcomes, documents] {
            let rows = try Int64.fetchCursor(database, sql: "SELECT \(table.key) FROM \(table.name) ORDER BY \(table.key)")
            while let row = try rows.next() { try writer.add(table, row: row) }
        }
    }

    static func head(in database: Database) throws -> LedgerHead? {
        let identity = try String.fetchOne(try database.cachedStatement(sql: "SELECT identity FROM ledger"))
        let last = try Row.fetchOne(try database.cachedStatement(sql: "SELECT number, digest FROM chain ORDER BY number DESC LIMIT 1"))
        guard let identity, let last else { return nil }
        return LedgerHead(ledger: identity, record: last[0], digest: hexadecimal(last[1] as Data))
    }
}

/// Values as bytes that no other values give.
struct CanonicalForm {
    private(set) var bytes: [UInt8] = []

    init(_ name: String) { add(Array(name.utf8)) }

    mutating func add(_ value: DatabaseValue) {
        switch value.storage {
        case .null: bytes.append(UInt8(ascii: "n"))
        case .int64(let number): add(number)
        case .double(let number): add(number)
        case .string(let text): add(Array(text.utf8))
        case .blob(let data): add([UInt8](data))
        }
    }

    mutating func add(_ number: Int64) { bytes += Array("i\(number)".utf8) }

    /// Its 64 bits, as of IEEE 754, from the highest.
    mutating func add(_ number: Double) {
        let digits = String(number.bitPattern, radix: 16)
        bytes += Array("r\(String(repeating: "0", count: 16 - digits.count))\(digits)".utf8)
    }

    mutating func add(_ data: [UInt8]) {
        bytes += Array("b\(data.count):".utf8)
        bytes += data
    }
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
}

/// - Returns: nil unless it is `count` bytes as hexadecimal digits.
func raw(hexadecimal text: String, count: Int) -> [UInt8]? {
    let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count == count * 2, text.utf8.count == count * 2 else { return nil }
    return (0..<count).map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }
}
