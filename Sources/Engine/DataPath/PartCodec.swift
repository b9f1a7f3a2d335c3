import CDataPath
import CZlib
import CZstd
import Vocabulary

/// Compression of one part at a time: each stands alone, so parts can be fetched and unpacked in any order.
///
/// Fast levels: gzip 1 and zstd 1, as memory images gain little from more. Source: zlib's and zstd's manuals.
package enum PartCodec {
    package static func compress(_ bytes: [UInt8], with codec: Codec) throws(PartCodecError) -> [UInt8] {
        switch codec {
        case .none: return bytes
        case .gzip: return try deflated(bytes)
        case .zstd:
            var packed = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
            let size = ZSTD_compress(&packed, packed.count, bytes, bytes.count, 1)
            guard ZSTD_isError(size) == 0 else { throw .failed(codec, String(cString: ZSTD_getErrorName(size))) }
            packed.removeLast(packed.count - size)
            return packed
        }
    }

    /// - Parameter count: bytes that must come out, no more and no fewer.
    package static func decompress(_ bytes: [UInt8], with codec: Codec, count: Int) throws(PartCodecError) -> [UInt8] {
        switch codec {
        case .none:
            guard bytes.count == count else { throw .wrongLength(codec, wanted: count, got: bytes.count) }
            return bytes
        case .gzip: return try inflated(bytes, count)
        case .zstd:
            var plain = [UInt8](repeating: 0, count: count)
            let size = ZSTD_decompress(&plain, count, bytes, bytes.count)
            guard ZSTD_isError(size) == 0 else { throw .failed(codec, String(cString: ZSTD_getErrorName(size))) }
            guard size == count else { throw .wrongLength(codec, wanted: count, got: size) }
            return plain
        }
    }

    /// Window bits of 15, and 16 for gzip's own header. Source: zlib's manual, deflateInit2.
    private static let gzipWindow: Int32 = 15 + 16

    private static func deflated(_ bytes: [UInt8]) throws(PartCodecError) -> [UInt8] {
        var stream = z_stream()
        guard
            deflateInit2_(&stream, 1, Z_DEFLATED, gzipWindow, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { throw .failed(.gzip, "cannot begin") }
        defer { deflateEnd(&stream) }
        var packed = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))))
        let status = run(&stream, bytes, into: &packed) { deflate($0, Z_FINISH) }
        guard status == Z_STREAM_END else { throw .failed(.gzip, "status \(status)") }
        packed.removeLast(packed.count - Int(stream.total_out))
        return packed
    }

    private static func inflated(_ bytes: [UInt8], _ count: Int) throws(PartCodecError) -> [UInt8] {
        var stream = z_stream()
        guard inflateInit2_(&stream, gzipWindow, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw .failed(.gzip, "cannot begin")
        }
        defer { inflateEnd(&stream) }
        var plain = [UInt8](repeating: 0, count: count)
        let status = run(&stream, bytes, into: &plain) { inflate($0, Z_FINISH) }
        guard status == Z_STREAM_END, Int(stream.total_out) == count else {
            throw status == Z_STREAM_END || status == Z_BUF_ERROR
                ? .wrongLength(.gzip, wanted: count, got: Int(stream.total_out)) : .failed(.gzip, "status \(status)")
        }
        return plain
    }

    private static func run(
        _ stream: inout z_stream, _ input: [UInt8], into output: inout [UInt8], _ step: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> Int32 {
        input.withUnsafeBufferPointer { source in
            output.withUnsafeMutableBufferPointer { target in
                stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
                stream.avail_in = UInt32(source.count)
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(target.count)
                return withUnsafeMutablePointer(to: &stream, step)
            }
        }
    }
}

package enum PartCodecError: Error, Hashable, Sendable, CustomStringConvertible {
    case failed(Codec, String)
    case wrongLength(Codec, wanted: Int, got: Int)
    package var description: String {
        switch self {
        case .failed(let codec, let detail): "\(codec.rawValue): \(detail)"
        case .wrongLength(let codec, let wanted, let got): "\(codec.rawValue): \(got) bytes where \(wanted) are wanted"
        }
    }
}

package enum ZeroRuns {
    /// Blocks are the size of a page: what the guest leaves zero, it leaves zero by the page.
    package static let blockSize = 4_096

    /// Bytes in blocks that are not all zero.
    package static func nonZeroBytes(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { Int(cairn_nonzero_bytes($0.baseAddress, $0.count, blockSize)) }
    }
}
