import Vocabulary

/// Where the chain over a ledger's records ended at a moment. Whoever keeps it can tell later whether anything up to there was changed.
package struct LedgerHead: Hashable, Sendable, Codable {
    /// The ledger's own name, drawn when its chain began: 32 hexadecimal digits.
    package var ledger: String
    /// The chain's last entry; 0 is the entry of the ledger itself.
    package var record: Int64
    /// SHA-256 over everything up to there, as 64 hexadecimal digits.
    package var digest: String
    package init(ledger: String, record: Int64, digest: String) {
        self.ledger = ledger
        self.record = record
        self.digest = digest
    }
}

/// A head that the manager has signed with its key (Ed25519).
package struct SignedHead: Hashable, Sendable, Codable {
    package var head: LedgerHead
    package var atEpochSeconds: Timestamp
    /// The public key: 64 hexadecimal digits.
    package var key: String
    /// Of the key, to be compared by eye: `sha256:` and 64 hexadecimal digits.
    package var fingerprint: String
    /// 128 hexadecimal digits.
    package var signature: String
    package init(head: LedgerHead, atEpochSeconds: Timestamp, key: String, fingerprint: String, signature: String) {
        self.head = head
        self.atEpochSeconds = atEpochSeconds
        self.key = key
        self.fingerprint = fingerprint
        self.signature = signature
    }
}

/// What a report was made from: where the ledger ended, and the newest head in it that is signed.
package struct LedgerProof: Hashable, Sendable, Codable {
    package var head: LedgerHead
    /// nil: nothing was signed yet.
    package var signed: SignedHead?
    package init(head: LedgerHead, signed: SignedHead?) {
        self.head = head
        self.signed = signed
    }
}
