import CDataPath
import CZlib
import Crypto
import DataPath

/// What GETFILECHECKSUM must answer for bytes that we have: the MD5 of the blocks' MD5s of their chunks' CRCs.
///
/// The answer's algorithm says how it was made, `MD5-of-(CRCs a block)MD5-of-(bytes a CRC)CRC32C`; the block size is the file's.
/// Source: org.apache.hadoop.fs.MD5MD5CRC32FileChecksum and DFSClient.getFileChecksum of Hadoop 2.7.3, measured against it.
struct FileChecksum: Hashable, Sendable {
    enum Kind: String, Hashable, Sendable {
        case crc32 = "CRC32"
        case crc32C = "CRC32C"
    }
    let bytesPerCRC: Int
    let kind: Kind

    /// - Parameter algorithm: as the answer names it; nil for one that we do not know.
    init?(algorithm: String) {
        let words = algorithm.components(separatedBy: "MD5-of-")
        guard words.count == 3, words[0].isEmpty, words[1].allSatisfy(\.isNumber) else { return nil }
        let digits = words[2].prefix { $0.isNumber }
        guard let kind = Kind(rawValue: String(words[2].dropFirst(digits.count))), let bytesPerCRC = Int(digits), bytesPerCRC > 0 else { return nil }
        self.kind = kind
        self.bytesPerCRC = bytesPerCRC
    }

    /// The MD5 in an answer's `bytes`: 28 bytes in hexadecimal (bytes a CRC, CRCs a block, MD5), and what the server's buffer had behind them.
    static func digest(inAnswer bytes: String) -> String? {
        let digits = Array(bytes.utf8)
        guard digits.count >= 56 else { return nil }
        return String(decoding: digits[24..<56], as: UTF8.self).lowercased()
    }

    /// Digests, in hexadecimal, that are right for `bytes` in blocks of `blockSize`.
    ///
    /// Two: servers take the MD5 of a buffer that doubles from 32 bytes on, with the zeros behind the blocks' MD5s; without them is what the
    /// name of the algorithm says.
    func digests(of bytes: [UInt8], blockSize: Int) -> [String] {
        var blocks: [UInt8] = []
        bytes.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count, by: blockSize) {
                blocks += digest(ofBlock: UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + blockSize, bytes.count)]))
            }
        }
        var buffer = 32
        while buffer < blocks.count { buffer *= 2 }
        let padded = blocks + [UInt8](repeating: 0, count: buffer - blocks.count)
        return [padded, blocks].map { DataPath.Digest.hexadecimal(Insecure.MD5.hash(data: $0)) }
    }

    private func digest(ofBlock block: UnsafeRawBufferPointer) -> Insecure.MD5.Digest {
        var checks: [UInt8] = []
        checks.reserveCapacity((block.count / bytesPerCRC + 1) * 4)
        for start in stride(from: 0, to: block.count, by: bytesPerCRC) {
            let check = check(UnsafeRawBufferPointer(rebasing: block[start..<min(start + bytesPerCRC, block.count)]))
            withUnsafeBytes(of: check.bigEndian) { checks.append(contentsOf: $0) }
        }
        return Insecure.MD5.hash(data: checks)
    }

    private func check(_ chunk: UnsafeRawBufferPointer) -> UInt32 {
        switch kind {
        case .crc32C: cairn_crc32c(0, chunk.baseAddress, chunk.count)
        case .crc32: UInt32(truncatingIfNeeded: crc32(0, chunk.bindMemory(to: UInt8.self).baseAddress, UInt32(chunk.count)))
        }
    }
}
