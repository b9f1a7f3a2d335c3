import Foundation
import GRDB
import Ports
import Vocabulary

/// Signed heads in SQL. They are records themselves: removing one is found like removing any other.
enum SignatureTable {
    static func sign(with key: LedgerKey, at time: Timestamp, in database: Database) throws -> SignedHead? {
        guard let head = try Chain.head(in: database) else { return nil }
        // The signature's own entry is nothing new.
        if let newest = try newest(in: database), newest.head.record == head.record - 1, newest.key == key.publicKey.text { return nil }
        let signed = try key.sign(head, at: time)
        guard let digest = raw(hexadecimal: head.digest, count: 32), let signature = raw(hexadecimal: signed.signature, count: 64) else {
            throw UnreadableRow(what: "chain \(head.record)", detail: "its digest is not 32 bytes")
        }
        try database.cachedStatement(
            sql: "INSERT INTO signatures (record, digest, at_epoch_seconds, public_key, signature) VALUES (?, ?, ?, ?, ?)"
        ).execute(arguments: [head.record, Data(digest), time.rawValue, Data(key.publicKey.bytes), Data(signature)])
        var chain = try Chain.Writer(database)
        try chain.add(Chain.signatures, row: database.lastInsertedRowID)
        return signed
    }

    static func newest(in database: Database) throws -> SignedHead? {
        let identity = try String.fetchOne(try database.cachedStatement(sql: "SELECT identity FROM ledger"))
        let row = try Row.fetchOne(
            try database.cachedStatement(
                sql: "SELECT number, record, digest, at_epoch_seconds, public_key, signature FROM signatures ORDER BY number DESC LIMIT 1"))
        return row.flatMap { row in identity.map { SignedHead(row: row, ledger: $0) } }
    }

    static func proof(in database: Database) throws -> LedgerProof? {
        guard let head = try Chain.head(in: database) else { return nil }
        return LedgerProof(head: head, signed: try newest(in: database))
    }
}

extension SignedHead {
    /// - Parameter row: number, record, digest, time, key, signature.
    init(row: Row, ledger: String) {
        let key = LedgerPublicKey(bytes: [UInt8](row[4] as Data))
        self.init(
            head: LedgerHead(ledger: ledger, record: row[1], digest: hexadecimal(row[2] as Data)), atEpochSeconds: Timestamp(row[3] as Double),
            key: key.text, fingerprint: key.fingerprint, signature: hexadecimal(row[5] as Data))
    }
}
