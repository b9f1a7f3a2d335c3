import DataPath
import Foundation
import Ports
import Synchronization
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Content between files and the store, in parts: several at once, each compressed while others travel, so that memory use is bounded by
/// `parallel` times a part however large the file.
struct Transfer: Sendable {
    let store: any CheckpointStore
    let parallel: Int
    let time: any TimeSource

    /// What a transfer cost.
    final class Meter: Sendable {
        private let state = Mutex(State())
        private struct State {
            var compress = Busy()
            var upload = Busy()
            var sent: Int64 = 0
            var stored: Int64 = 0
            var nonZero: Int64 = 0
        }
        /// Time in which at least one was at it.
        private struct Busy {
            var count = 0
            var since = Timestamp(0)
            var total = Seconds.zero
            mutating func begin(_ now: Timestamp) {
                if count == 0 { since = now }
                count += 1
            }
            mutating func end(_ now: Timestamp) {
                count -= 1
                if count == 0 { total = total + (now - since) }
            }
        }
        func compressing(_ begins: Bool, at now: Timestamp) { state.withLock { begins ? $0.compress.begin(now) : $0.compress.end(now) } }
        func uploading(_ begins: Bool, at now: Timestamp) { state.withLock { begins ? $0.upload.begin(now) : $0.upload.end(now) } }
        func sent(_ bytes: Int, copies: Int = 1) {
            state.withLock {
                $0.sent += Int64(bytes)
                $0.stored += Int64(bytes * copies)
            }
        }
        func nonZero(_ bytes: Int) { state.withLock { $0.nonZero += Int64(bytes) } }
        var compressSeconds: Seconds { state.withLock { $0.compress.total } }
        var uploadSeconds: Seconds { state.withLock { $0.upload.total } }
        var sentBytes: ByteCount { state.withLock { ByteCount($0.sent) } }
        /// Sent bytes times the copies of each.
        var storedBytes: ByteCount { state.withLock { ByteCount($0.stored) } }
        var nonZeroBytes: ByteCount { state.withLock { ByteCount($0.nonZero) } }
    }

    /// Puts a file into the store as `PREFIX.000000` and so on.
    func upload(_ file: String, as prefix: String, codec: Codec, replication: Int, meter: Meter) async throws(EngineError) -> ContentRecord {
        let size = try Self.size(of: file)
        let count = Int((size + Int64(Format.partSize) - 1) / Int64(Format.partSize))
        let parts = try await inParallel(count) { index throws(EngineError) in
            try await uploadPart(file, index, size: size, as: "\(prefix).\(padded(index))", codec: codec, replication: replication, meter: meter)
        }
        return ContentRecord(bytes: size, parts: parts)
    }

    private func uploadPart(
        _ file: String, _ index: Int, size: Int64, as path: String, codec: Codec, replication: Int, meter: Meter
    ) async throws(EngineError) -> PartRecord {
        let offset = Int64(index) * Int64(Format.partSize)
        let time = time
        var (packed, record) = try await onBlockingThread { () throws(EngineError) -> ([UInt8], PartRecord) in
            let raw = try Self.read(file, at: offset, count: Int(min(Int64(Format.partSize), size - offset)))
            let rawDigest = Digest.sha256(raw)
            let nonZero = ZeroRuns.nonZeroBytes(raw)
            meter.nonZero(nonZero)
            if nonZero == 0 {
                return ([], PartRecord(path: nil, rawBytes: raw.count, storedBytes: 0, codec: .none, rawDigest: rawDigest, storedDigest: ""))
            }
            if codec != .none { meter.compressing(true, at: time.now()) }
            defer { if codec != .none { meter.compressing(false, at: time.now()) } }
            let packed: [UInt8]
            do throws(PartCodecError) { packed = try PartCodec.compress(raw, with: codec) } catch { throw .local(path: file, detail: "\(error)") }
            // What grows is better kept as it is.
            let grew = packed.count >= raw.count
            return (
                grew ? raw : packed,
                PartRecord(
                    path: path, rawBytes: raw.count, storedBytes: grew ? raw.count : packed.count, codec: grew ? .none : codec, rawDigest: rawDigest,
                    storedDigest: grew || codec == .none ? rawDigest : Digest.sha256(packed))
            )
        }
        guard record.path != nil else { return record }
        meter.uploading(true, at: time.now())
        defer { meter.uploading(false, at: time.now()) }
        let bytes = packed
        packed = []
        try await storing { () throws(StoreError) in try await store.write(bytes, to: path, replication: replication) }
        meter.sent(bytes.count, copies: replication)
        record.path = path
        return record
    }

    /// Fetches content into a file, every part checked against its digests.
    func download(_ content: ContentRecord, to file: String, meter: Meter) async throws(EngineError) {
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        guard ftruncate(descriptor, Int(content.bytes)) == 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        _ = try await inParallel(content.parts.count) { index throws(EngineError) in
            let part = content.parts[index]
            guard let path = part.path else { return }
            let packed = try await storing { () throws(StoreError) in try await store.read(path) }
            meter.sent(packed.count)
            try await onBlockingThread { () throws(EngineError) in
                let raw = try Self.unpack(packed, part, path)
                try Self.write(raw, to: descriptor, at: Int64(index) * Int64(Format.partSize), file: file)
            }
        }
        guard fsync(descriptor) == 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
    }

    static func unpack(_ packed: [UInt8], _ part: PartRecord, _ path: String) throws(EngineError) -> [UInt8] {
        guard packed.count == part.storedBytes, Digest.sha256(packed) == part.storedDigest else {
            throw .damaged(what: path, detail: "\(packed.count) bytes that are not the \(part.storedBytes) that were stored")
        }
        let raw: [UInt8]
        do throws(PartCodecError) { raw = try PartCodec.decompress(packed, with: part.codec, count: part.rawBytes) } catch {
            throw .damaged(what: path, detail: "\(error)")
        }
        guard part.codec == .none || Digest.sha256(raw) == part.rawDigest else {
            throw .damaged(what: path, detail: "its content's digest is another")
        }
        return raw
    }

    /// Runs `count` pieces of work, `parallel` at a time; the first failure ends it.
    private func inParallel<Value: Sendable>(
        _ count: Int, _ body: @escaping @Sendable (Int) async throws(EngineError) -> Value
    ) async throws(EngineError) -> [Value] {
        let results = await withTaskGroup(of: (Int, Result<Value, EngineError>).self) { group in
            var results: [Int: Result<Value, EngineError>] = [:]
            var next = 0
            var hasFailed = false
            @Sendable func run(_ index: Int) async -> (Int, Result<Value, EngineError>) {
                do throws(EngineError) { return (index, .success(try await body(index))) } catch { return (index, .failure(error)) }
            }
            while next < min(parallel, count) {
                let index = next
                group.addTask { await run(index) }
                next += 1
            }
            while let (index, result) = await group.next() {
                results[index] = result
                if case .failure = result { hasFailed = true }
                if next < count, !hasFailed {
                    let index = next
                    group.addTask { await run(index) }
                    next += 1
                }
            }
            return results
        }
        var values: [Value] = []
        for index in 0..<count {
            // Missing: not begun after another failed, which is met first or later in this loop.
            guard let result = results[index] else { continue }
            values.append(try result.get())
        }
        return values
    }

    // MARK: Files

    static func size(of file: String) throws(EngineError) -> Int64 {
        var status = stat()
        guard stat(file, &status) == 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        return Int64(status.st_size)
    }

    private static func read(_ file: String, at offset: Int64, count: Int) throws(EngineError) -> [UInt8] {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress! + done, count - done, Int(offset) + done) }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { throw .local(path: file, detail: got == 0 ? "it became shorter" : String(cString: strerror(errno))) }
            done += got
        }
        return bytes
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, at offset: Int64, file: String) throws(EngineError) {
        var done = 0
        while done < bytes.count {
            let put = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, Int(offset) + done) }
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
            done += put
        }
    }
}
