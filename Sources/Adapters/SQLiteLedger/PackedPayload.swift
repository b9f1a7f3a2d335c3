import CZstd
import Foundation

/// A decision's JSON as it is kept: the number of a dictionary (one byte, 1) and a Zstandard frame that is compressed with it.
///
/// Decisions say much alike: with a dictionary of three of them, one takes a fifth of its text. The dictionary never changes, since what was packed
/// with it is read with it; another one would have another number. What begins with `{` is the JSON itself, as earlier versions kept it.
/// Source: RFC 8878, section 5 (a dictionary of raw content).
enum PackedPayload {
    private static let dictionary: UInt8 = 1
    private static let level: Int32 = 9
    /// No decision is larger; a frame that says so is damaged.
    private static let mostBytes: UInt64 = 64 << 20
    // Both are only read once they are made, which Zstandard allows from any thread.
    nonisolated(unsafe) private static let compressing = PackageResources.decisions_dictionary.withUnsafeBytes {
        ZSTD_createCDict($0.baseAddress, $0.count, level)
    }
    nonisolated(unsafe) private static let decompressing = PackageResources.decisions_dictionary.withUnsafeBytes {
        ZSTD_createDDict($0.baseAddress, $0.count)
    }

    /// A condition in SQL: JSON is text, and what is packed is bytes.
    static func hasItsType(_ column: String) -> String {
        "typeof(\(column)) = CASE substr(CAST(\(column) AS BLOB), 1, 1) WHEN x'7B' THEN 'text' ELSE 'blob' END"
    }

    static func packed(_ text: String) throws -> Data {
        let bytes = Array(text.utf8)
        var packed = [UInt8](repeating: 0, count: 1 + ZSTD_compressBound(bytes.count))
        packed[0] = dictionary
        let context = ZSTD_createCCtx()
        defer { ZSTD_freeCCtx(context) }
        let size = packed.withUnsafeMutableBytes {
            ZSTD_compress_usingCDict(context, $0.baseAddress! + 1, $0.count - 1, bytes, bytes.count, compressing)
        }
        guard ZSTD_isError(size) == 0 else {
            throw UnreadableRow(what: "a decision", detail: "it cannot be compressed: \(String(cString: ZSTD_getErrorName(size)))")
        }
        return Data(packed[...size])
    }

    /// - Parameter what: names the row in the error.
    static func text(_ packed: Data, of what: String) throws -> String {
        guard packed.first != UInt8(ascii: "{") else { return String(decoding: packed, as: UTF8.self) }
        guard packed.first == dictionary else { throw UnreadableRow(what: what, detail: "it is neither JSON nor packed as this version packs it") }
        let frame = Array(packed.dropFirst())
        let size = ZSTD_getFrameContentSize(frame, frame.count)
        guard size <= mostBytes else { throw UnreadableRow(what: what, detail: "it is no whole Zstandard frame") }
        var plain = [UInt8](repeating: 0, count: Int(size))
        let context = ZSTD_createDCtx()
        defer { ZSTD_freeDCtx(context) }
        let read = plain.withUnsafeMutableBytes {
            ZSTD_decompress_usingDDict(context, $0.baseAddress, $0.count, frame, frame.count, decompressing)
        }
        guard ZSTD_isError(read) == 0, read == plain.count else {
            let detail = ZSTD_isError(read) == 0 ? "it is shorter than it says" : String(cString: ZSTD_getErrorName(read))
            throw UnreadableRow(what: what, detail: detail)
        }
        return String(decoding: plain, as: UTF8.self)
    }
}
