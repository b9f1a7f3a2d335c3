import Crypto
import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// The manager's key (Ed25519), with which it signs where the ledger's chain ends.
///
/// Who has the key can make a ledger that passes for this one. It is made where the manager runs and leaves that place never; what others
/// need is the public one, `cairn audit key`.
package struct LedgerKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey

    package var publicKey: LedgerPublicKey { LedgerPublicKey(bytes: [UInt8](key.publicKey.rawRepresentation)) }

    init() { key = Curve25519.Signing.PrivateKey() }

    /// Reads the key, or makes it if there is none: readable by its owner alone.
    package static func open(path: String) throws(LedgerError) -> LedgerKey {
        if let there = try read(path) { return there }
        let made = LedgerKey()
        let text = Array((hexadecimal(made.key.rawRepresentation) + "\n").utf8)
        // Whole or not at all: made beside it, then named. Another process that was faster keeps its own.
        let fresh = "\(path).\(getpid())"
        let descriptor = Glibc.open(fresh, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path, "make") }
        let isWritten = write(descriptor, text, text.count) == text.count && fsync(descriptor) == 0
        close(descriptor)
        let isNamed = isWritten && (link(fresh, path) == 0 || errno == EEXIST)
        let reason = errno
        unlink(fresh)
        guard isNamed, let kept = try read(path) else {
            errno = reason
            throw failure(path, "write")
        }
        return kept
    }

    private static func read(_ path: String) throws(LedgerError) -> LedgerKey? {
        var facts = stat()
        guard stat(path, &facts) == 0 else {
            if errno == ENOENT { return nil }
            throw failure(path, "read")
        }
        guard facts.st_mode & 0o077 == 0 else {
            throw .cannotOpen(path: path, detail: "others may read this key: `chmod 600` it, and think of what they may have signed with it")
        }
        guard let data = FileManager.default.contents(atPath: path) else { throw failure(path, "read") }
        let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let found = raw(hexadecimal: text, count: 32) else {
            throw .cannotOpen(path: path, detail: "this is no key: 64 hexadecimal digits are expected")
        }
        do { return LedgerKey(key: try Curve25519.Signing.PrivateKey(rawRepresentation: found)) } catch {
            throw .cannotOpen(path: path, detail: "this is no key: \(error)")
        }
    }

    private init(key: Curve25519.Signing.PrivateKey) { self.key = key }

    private static func failure(_ path: String, _ what: String) -> LedgerError {
        .cannotOpen(path: path, detail: "cannot \(what) the key that signs the ledger: \(String(cString: strerror(errno)))")
    }

    func sign(_ head: LedgerHead, at time: Timestamp) throws -> SignedHead {
        let signature = try key.signature(for: SignedHead.message(head, at: time))
        return SignedHead(
            head: head, atEpochSeconds: time, key: publicKey.text, fingerprint: publicKey.fingerprint, signature: hexadecimal(signature))
    }
}

/// What the signatures of a manager are checked with.
package struct LedgerPublicKey: Hashable, Sendable {
    package let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// - Returns: nil unless it is 64 hexadecimal digits.
    package init?(_ text: String) {
        guard let found = raw(hexadecimal: text, count: 32) else { return nil }
        bytes = found
    }

    package var text: String { hexadecimal(bytes) }

    /// SHA-256 of the key's bytes, to be compared by eye.
    package var fingerprint: String { "sha256:" + hexadecimal(SHA256.hash(data: bytes)) }

    /// As OpenSSL reads it.
    /// Source: RFC 8410, section 4: the algorithm's identifier, then the key's 32 bytes.
    package var pem: String {
        let der: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00] + bytes
        return "-----BEGIN PUBLIC KEY-----\n\(Data(der).base64EncodedString())\n-----END PUBLIC KEY-----\n"
    }
}

extension SignedHead {
    /// What is signed.
    static func message(_ head: LedgerHead, at time: Timestamp) -> [UInt8] {
        var form = CanonicalForm("cairn-ledger-head-1")
        form.add(Array(head.ledger.utf8))
        form.add(head.record)
        form.add(raw(hexadecimal: head.digest, count: 32) ?? [])
        form.add(time.rawValue)
        return form.bytes
    }

    /// Whether its own key made the signature.
    package var isGenuine: Bool {
        guard let found = raw(hexadecimal: key, count: 32), let signature = raw(hexadecimal: signature, count: 64) else { return false }
        do {
            return try Curve25519.Signing.PublicKey(rawRepresentation: found)
                .isValidSignature(signature, for: SignedHead.message(head, at: atEpochSeconds))
        } catch { return false }
    }
}
