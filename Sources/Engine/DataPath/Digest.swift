import Crypto
import Foundation

/// Digests as the format writes them: `sha256:` and 64 hexadecimal digits.
package enum Digest {
    package static func sha256(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { sha256($0) } }

    package static func sha256(_ bytes: UnsafeRawBufferPointer) -> String {
        var digest = Running()
        digest.add(bytes)
        return digest.sha256
    }

    /// Of bytes that come in pieces.
    package struct Running: Sendable {
        private var hash = SHA256()
        package init() {}
        package mutating func add(_ piece: UnsafeRawBufferPointer) { hash.update(bufferPointer: piece) }
        package var sha256: String { text(hash.finalize()) }
    }

    /// Of a whole file, read in pieces.
    /// - Throws: what reading it throws.
    package static func sha256(file path: String) throws -> String {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { handle.closeFile() }
        var digest = Running()
        while let piece = try handle.read(upToCount: 4 << 20), !piece.isEmpty { piece.withUnsafeBytes { digest.add($0) } }
        return digest.sha256
    }

    private static func text(_ digest: SHA256.Digest) -> String { "sha256:" + hexadecimal(digest) }

    package static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
