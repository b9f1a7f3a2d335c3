/// How compression and upload follow each other in the engine.
package enum CompressionForm: String, Hashable, Sendable {
    /// First all is compressed, then all is uploaded.
    case sequential
    /// Blocks are uploaded while later ones are compressed: the slower of the two sets the time.
    case pipelined
}

/// Both sides of the comparison, so that they can be recorded.
package struct CompressionVerdict: Hashable, Sendable {
    package var form: CompressionForm
    /// The left side: seconds until all is uploaded, compressed.
    package var compressedSeconds: Double
    /// The right side: seconds until all is uploaded as it is.
    package var uncompressedSeconds: Double
    /// Compress. Where both take equally long it does not pay: the processor has better to do.
    package var pays: Bool { compressedSeconds < uncompressedSeconds }
}

/// Whether compressing a checkpoint makes it durable sooner.
///
/// Source: the paper's equation 1, t_compress + t_upload(compressed) < t_upload(uncompressed); pipelined, the left
/// side is max(t_compress, t_upload(compressed)).
package enum Compression {
    package static func weigh(
        form: CompressionForm, compressSeconds: Double, uploadCompressedSeconds: Double, uploadUncompressedSeconds: Double
    ) -> CompressionVerdict {
        let left =
            switch form {
            case .sequential: compressSeconds + uploadCompressedSeconds
            case .pipelined: max(compressSeconds, uploadCompressedSeconds)
            }
        return CompressionVerdict(form: form, compressedSeconds: left, uncompressedSeconds: uploadUncompressedSeconds)
    }

    /// The same from sizes and speeds.
    /// - Parameters:
    ///   - bytes: what there is to save, uncompressed.
    ///   - ratio: compressed over uncompressed size, above 0; above 1 where compression makes it larger.
    ///   - compressBytesPerSecond: uncompressed bytes that the codec takes in.
    ///   - uploadBytesPerSecond: bytes that the store takes in.
    package static func weigh(
        form: CompressionForm, bytes: Double, ratio: Double, compressBytesPerSecond: Double, uploadBytesPerSecond: Double
    ) -> CompressionVerdict {
        weigh(
            form: form, compressSeconds: bytes / compressBytesPerSecond, uploadCompressedSeconds: bytes * ratio / uploadBytesPerSecond,
            uploadUncompressedSeconds: bytes / uploadBytesPerSecond)
    }
}
