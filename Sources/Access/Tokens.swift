import Crypto
import Foundation
import Vocabulary

/// One token as it is kept: who has it and how it is recognised. The token itself is told once, when it is made, and kept nowhere.
package struct TokenRecord: Hashable, Sendable, Codable {
    package enum Role: String, Hashable, Sendable, Codable, CaseIterable { case viewer, owner, `operator`, node }
    /// For people, to name it by; the beginning of its digest.
    package var id: String
    package var role: Role
    /// What the ledger calls who has it: an owner's or a node's name, or a person's.
    package var name: String
    /// SHA-256 of the token, 64 hexadecimal digits.
    package var digest: String
    package var createdAt: Timestamp
    /// nil: never.
    package var expiresAt: Timestamp?

    package var caller: Caller {
        switch role {
        case .viewer: Caller(name: name, role: .viewer)
        case .owner: Caller(name: name, role: .owner)
        case .operator: Caller(name: name, role: .operator)
        case .node: Caller(name: name, role: .node(NodeID(name)))
        }
    }

    /// - Returns: the record, and the token, which is told to nobody else: `cairn_` and 256 random bits.
    package static func make(_ role: Role, name: String, at now: Timestamp, expiresAt: Timestamp?) -> (record: TokenRecord, token: String) {
        let secret = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
        let text = secret.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
        let token = "cairn_" + text.replacingOccurrences(of: "=", with: "")
        let digest = digest(of: token)
        return (
            TokenRecord(id: String(digest.prefix(8)), role: role, name: name, digest: digest, createdAt: now, expiresAt: expiresAt), token
        )
    }

    package static func digest(of token: String) -> String {
        SHA256.hash(data: Data(token.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}

package struct AccessError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// All tokens of a manager, as its token file has them.
package struct TokenList: Hashable, Sendable, Codable {
    /// Of the file's format.
    package var version = 1
    package var tokens: [TokenRecord] = []
    package init() {}

    package enum Recognised: Hashable, Sendable {
        case caller(Caller, id: String)
        case expired
        case unknown
    }

    /// Every record is compared, and all of each, so that how long it takes tells nothing.
    package func recognise(_ token: String, at now: Timestamp) -> Recognised {
        let wanted = Array(TokenRecord.digest(of: token).utf8)
        var found: TokenRecord?
        for record in tokens where Self.areEqual(Array(record.digest.utf8), wanted) { found = record }
        guard let found else { return .unknown }
        if let end = found.expiresAt, end <= now { return .expired }
        return .caller(found.caller, id: found.id)
    }

    static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for (x, y) in zip(a, b) { difference |= x ^ y }
        return difference == 0
    }
}
