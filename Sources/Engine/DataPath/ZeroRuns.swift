import CDataPath

/// Zeros in a part: counted, and left out of what is stored.
package enum ZeroRuns {
    /// Blocks are the size of a page: what the guest leaves zero, it leaves zero by the page.
    package static let blockSize = 4_096

    /// Zero blocks in a row that are worth leaving out, 32 KiB: of shorter ones the codecs make next to nothing, and each run takes a number in the
    /// manifest.
    package static let leastRun = 8

    /// Bytes in blocks that are not all zero.
    package static func nonZeroBytes(_ bytes: [UInt8]) -> Int { bytes.withUnsafeBytes { nonZeroBytes($0) } }

    package static func nonZeroBytes(_ bytes: UnsafeRawBufferPointer) -> Int {
        Int(cairn_nonzero_bytes(bytes.baseAddress, bytes.count, blockSize))
    }

    /// Leaves out long runs of zero blocks, in place.
    /// - Returns: lengths of runs in blocks (left out, kept, left out, kept …); empty when there was nothing to leave out.
    package static func pack(_ bytes: inout [UInt8]) -> [Int] {
        let blocks = (bytes.count + blockSize - 1) / blockSize
        var count = 0
        var kept = bytes.count
        let runs = withUnsafeTemporaryAllocation(of: UInt32.self, capacity: blocks + 2) { runs in
            kept = bytes.withUnsafeMutableBytes {
                cairn_pack_nonzero($0.baseAddress, $0.count, blockSize, leastRun, runs.baseAddress, runs.count, &count)
            }
            return runs.prefix(count).map { Int($0) }
        }
        Buffers.resize(&bytes, to: kept)
        return runs
    }

    /// How many bytes of a part of `count` are kept by such runs.
    /// - Returns: nil when they are none of a part of this length.
    package static func keptBytes(_ runs: [Int], of count: Int) -> Int? {
        let blocks = (count + blockSize - 1) / blockSize
        // No run is longer than the part, so that no sum is too large.
        guard runs.count <= blocks + 2, runs.allSatisfy({ $0 >= 0 && $0 <= blocks }), runs.reduce(0, +) == blocks else { return nil }
        let kept = runs.enumerated().reduce(0) { $0 + ($1.offset % 2 == 1 ? $1.element : 0) }
        let endsKept = runs.count % 2 == 0 && (runs.last ?? 0) > 0
        return kept * blockSize - (endsKept ? blocks * blockSize - count : 0)
    }

    /// The reverse of `pack`, in place.
    /// - Parameter bytes: as long as the part, what was kept at its front.
    /// - Returns: false when the runs are none of this part.
    package static func unpack(_ bytes: UnsafeMutableRawBufferPointer, runs: [Int]) -> Bool {
        guard let kept = keptBytes(runs, of: bytes.count) else { return false }
        return cairn_unpack_nonzero(bytes.baseAddress, kept, bytes.count, blockSize, runs.map { UInt32($0) }, runs.count) == 0
    }
}
