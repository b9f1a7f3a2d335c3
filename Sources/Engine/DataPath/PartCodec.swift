import CDataPath
import CZlib
import CZstd
import Vocabulary

/// Compression of one part at a time: each stands alone, so parts can be fetched and unpacked in any order.
///
/// Fast levels: gzip 1 and zstd 1, as memory images gain little from more. Source: zlib's and zstd's manuals.
package enum PartCodec {
    package static func compress(_ bytes: [UInt8], with codec: Codec) throws(PartCodecError) -> [UInt8] {
        if codec == .none { return bytes }
        var packed: [UInt8] = []
        let buffer = bytes
        let result: Result<Void, PartCodecError> = buffer.withUnsafeBytes { source in
            do throws(PartCodecError) { return .success(try compress(source, with: codec, into: &packed)) } catch { return .failure(error) }
        }
        try result.get()
        return packed
    }

    /// - Parameters:
    ///   - packed: replaced by what came out; its memory is used again where it is large enough.
    ///   - level: the codec's own; of gzip 0 is a format without compression.
    package static func compress(
        _ bytes: UnsafeRawBufferPointer, with codec: Codec, level: Int32 = 1, into packed: inout [UInt8]
    ) throws(PartCodecError) {
        switch codec {
        case .none:
            Buffers.resize(&packed, to: bytes.count)
            packed.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
        case .gzip: try deflate(bytes, level, into: &packed)
        case .zstd:
            Buffers.resize(&packed, to: ZSTD_compressBound(bytes.count))
            let size = packed.withUnsafeMutableBytes { ZSTD_compress($0.baseAddress, $0.count, bytes.baseAddress, bytes.count, level) }
            guard ZSTD_isError(size) == 0 else { throw .failed(codec, String(cString: ZSTD_getErrorName(size))) }
            Buffers.resize(&packed, to: size)
        }
    }

    /// Whether compressing is a waste: a few samples hardly become smaller.
    ///
    /// Found with zstd whatever the codec will be: on what does not compress it is ten times as fast as gzip is.
    package static func looksIncompressible(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 16 * sampleBytes else { return false }
        var packed: [UInt8] = []
        var total = 0
        for sample in 0..<sampleCount {
            let start = bytes.count / sampleCount * sample
            let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<start + sampleBytes])
            do throws(PartCodecError) { try compress(piece, with: .zstd, into: &packed) } catch { return false }
            total += packed.count
        }
        return Double(total) > 0.98 * Double(sampleCount * sampleBytes)
    }
    private static let sampleCount = 8
    private static let sampleBytes = 16 << 10

    /// - Parameter count: bytes that must come out, no more and no fewer.
    package static func decompress(_ bytes: [UInt8], with codec: Codec, count: Int) throws(PartCodecError) -> [UInt8] {
        if codec == .none, bytes.count == count { return bytes }
        var plain = [UInt8](repeating: 0, count: count)
        let result: Result<Void, PartCodecError> = plain.withUnsafeMutableBytes { target in
            do throws(PartCodecError) { return .success(try decompress(bytes, with: codec, into: target)) } catch { return .failure(error) }
        }
        try result.get()
        return plain
    }

    /// - Parameter plain: what must be filled, neither less nor more than that.
    package static func decompress(
        _ bytes: [UInt8], with codec: Codec, into plain: UnsafeMutableRawBufferPointer
    ) throws(PartCodecError) {
        switch codec {
        case .none:
            guard bytes.count == plain.count else { throw .wrongLength(codec, wanted: plain.count, got: bytes.count) }
            bytes.withUnsafeBytes { plain.copyMemory(from: $0) }
        case .gzip: try inflate(bytes, into: plain)
        case .zstd:
            let size = ZSTD_decompress(plain.baseAddress, plain.count, bytes, bytes.count)
            guard ZSTD_isError(size) == 0 else { throw .failed(codec, String(cString: ZSTD_getErrorName(size))) }
            guard size == plain.count else { throw .wrongLength(codec, wanted: plain.count, got: size) }
        }
    }

    /// Window bits of 15, and 16 for gzip's own header. Source: zlib's manual, deflateInit2.
    private static let gzipWindow: Int32 = 15 + 16

    private static func deflate(_ bytes: UnsafeRawBufferPointer, _ level: Int32, into packed: inout [UInt8]) throws(PartCodecError) {
        var stream = z_stream()
        guard
            deflateInit2_(&stream, level, Z_DEFLATED, gzipWindow, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { throw .failed(.gzip, "cannot begin") }
        defer { deflateEnd(&stream) }
        Buffers.resize(&packed, to: Int(deflateBound(&stream, UInt(bytes.count))))
        let status = packed.withUnsafeMutableBytes { run(&stream, bytes, into: $0) { CZlib.deflate($0, Z_FINISH) } }
        guard status == Z_STREAM_END else { throw .failed(.gzip, "status \(status)") }
        Buffers.resize(&packed, to: Int(stream.total_out))
    }

    private static func inflate(_ bytes: [UInt8], into plain: UnsafeMutableRawBufferPointer) throws(PartCodecError) {
        var stream = z_stream()
        guard inflateInit2_(&stream, gzipWindow, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw .failed(.gzip, "cannot begin")
        }
        defer { inflateEnd(&stream) }
        let status = bytes.withUnsafeBytes { source in run(&stream, source, into: plain) { CZlib.inflate($0, Z_FINISH) } }
        guard status == Z_STREAM_END, Int(stream.total_out) == plain.count else {
            throw status == Z_STREAM_END || status == Z_BUF_ERROR
                ? .wrongLength(.gzip, wanted: plain.count, got: Int(stream.total_out)) : .failed(.gzip, "status \(status)")
        }
    }

    private static func run(
        _ stream: inout z_stream, _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        _ step: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> Int32 {
        var nothing: UInt8 = 0
        return withUnsafeMutablePointer(to: &nothing) { nothing in
            // Zlib takes no null, not even for nothing.
            stream.next_in = source.baseAddress.map { UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self)) } ?? nothing
            stream.avail_in = UInt32(source.count)
            stream.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nothing
            stream.avail_out = UInt32(target.count)
            return withUnsafeMutablePointer(to: &stream, step)
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
