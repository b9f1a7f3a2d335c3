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

    /// What Hadoop writes unless told.
    static let usual = FileChecksum(bytesPerCRC: 512, kind: .crc32C)

    private init(bytesPerCRC: Int, kind: Kind) {
        self.bytesPerCRC = bytesPerCRC
        self.kind = kind
    }

    /// Of a file's bytes as they come, in pieces of whatever size.
    struct Running {
        let checksum: FileChecksum
        let blockSize: Int
        private(set) var length: Int64 = 0
        private var blocks: [UInt8] = []
        /// CRCs of the chunks of the block that is not full yet.
        private var checks: [UInt8] = []
        private var inBlock = 0
        /// Of a chunk that is not full yet.
        private var started: [UInt8] = []

        init(_ checksum: FileChecksum, blockSize: Int) {
            self.checksum = checksum
            self.blockSize = max(blockSize, 1)
        }

        mutating func add(_ piece: UnsafeRawBufferPointer) {
            length += Int64(piece.count)
            var rest = piece
            while !rest.isEmpty {
                let whole = min(rest.count, blockSize - inBlock) / checksum.bytesPerCRC
                if started.isEmpty, whole > 0 {
                    let count = whole * checksum.bytesPerCRC
                    note(UnsafeRawBufferPointer(rebasing: rest[..<count]), chunks: whole)
                    inBlock += count
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                } else {
                    // A chunk ends where its block does.
                    let room = min(checksum.bytesPerCRC - started.count, blockSize - inBlock)
                    let count = min(room, rest.count)
                    started += rest[..<count]
                    inBlock += count
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                    if count == room { endChunk() }
                }
                if inBlock == blockSize { endBlock() }
            }
        }

        /// Digests, in hexadecimal, that are right for what came.
        ///
        /// Two: servers take the MD5 of a buffer that doubles from 32 bytes on, with the zeros behind the blocks' MD5s; without them is what the
        /// name of the algorithm says.
        func digests() -> [String] {
            var ended = self
            if !ended.started.isEmpty { ended.endChunk() }
            if ended.inBlock > 0 { ended.endBlock() }
            var buffer = 32
            while buffer < ended.blocks.count { buffer *= 2 }
            let padded = ended.blocks + [UInt8](repeating: 0, count: buffer - ended.blocks.count)
            return [padded, ended.blocks].map { DataPath.Digest.hexadecimal(Insecure.MD5.hash(data: $0)) }
        }

        /// - Parameter bytes: chunks of equal length.
        private mutating func note(_ bytes: UnsafeRawBufferPointer, chunks: Int) {
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: chunks) { found in
                checksum.check(bytes, chunks: chunks, into: found.baseAddress!)
                for index in 0..<chunks { found[index] = found[index].bigEndian }
                checks.append(contentsOf: UnsafeRawBufferPointer(found))
            }
        }
        private mutating func endChunk() {
            let chunk = started
            chunk.withUnsafeBytes { note($0, chunks: 1) }
            started.removeAll(keepingCapacity: true)
        }
        private mutating func endBlock() {
            if !started.isEmpty { endChunk() }
            blocks += Insecure.MD5.hash(data: checks)
            checks.removeAll(keepingCapacity: true)
            inBlock = 0
        }
    }

    private func check(_ bytes: UnsafeRawBufferPointer, chunks: Int, into found: UnsafeMutablePointer<UInt32>) {
        let count = bytes.count / chunks
        switch kind {
        case .crc32C: cairn_crc32c_chunks(bytes.baseAddress, count, chunks, found)
        case .crc32:
            guard let first = bytes.bindMemory(to: UInt8.self).baseAddress else { return }
            for index in 0..<chunks { found[index] = UInt32(truncatingIfNeeded: crc32(0, first + index * count, UInt32(count))) }
        }
    }
}
