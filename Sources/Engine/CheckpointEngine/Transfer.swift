import DataPath
import Foundation
import Ports
import Synchronization
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Content between files and the store, in parts: several at once, each compressed while others travel, so that memory use is bounded by a few
/// times a part however large the file.
package struct Transfer: Sendable {
    let store: any CheckpointStore
    let mode: TransferMode
    let time: any TimeSource
    /// Two parts are read and packed at a time, each with a buffer for what comes out: more would take memory and, on the machines that have the
    /// processors for it, outrun any network.
    private static let packedAtOnce = 2
    /// Objects of several parts that are on their way at once: one travels while another's part is packed. More are slower: servers that share processors
    /// change between them.
    private static let objectsAtOnce = 2
    /// Parts of format 1 are twice as large, and a fetch waits for nothing but its bytes.
    private static let fetchedAtOnce = 4

    package init(store: any CheckpointStore, mode: TransferMode, time: any TimeSource) {
        self.store = store
        self.mode = mode
        self.time = time
    }

    /// What a transfer cost.
    package final class Meter: Sendable {
        package init() {}
        private let state = Mutex(State())
        private struct State {
            var compress = Busy()
            var upload = Busy()
            var sent: Int64 = 0
            var stored: Int64 = 0
            var nonZero: Int64 = 0
            var samples: [Codec: (plain: Int, packed: Int)] = [:]
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
        func sampled(_ codec: Codec, plain: Int, packed: Int) {
            state.withLock { state in
                let before = state.samples[codec] ?? (0, 0)
                state.samples[codec] = (before.plain + plain, before.packed + min(plain, packed))
            }
        }
        /// In the order of codecs; nil: nothing was sampled.
        package var sampledRatios: [SampledRatio]? {
            let samples = state.withLock { $0.samples }
            let ratios = Codec.allCases.compactMap { codec in
                samples[codec].map { SampledRatio(codec: codec, ratio: Double($0.packed) / Double($0.plain)) }
            }
            return ratios.isEmpty ? nil : ratios
        }
        package var compressSeconds: Seconds { state.withLock { $0.compress.total } }
        package var uploadSeconds: Seconds { state.withLock { $0.upload.total } }
        package var sentBytes: ByteCount { state.withLock { ByteCount($0.sent) } }
        /// Sent bytes times the copies of each.
        package var storedBytes: ByteCount { state.withLock { ByteCount($0.stored) } }
        package var nonZeroBytes: ByteCount { state.withLock { ByteCount($0.nonZero) } }
    }

    /// Puts a file into the store as `PREFIX.000000` and so on, or, where the store has it so, several parts in one object: `PREFIX.000000-000015`.
    package func upload(
        _ file: String, as prefix: String, codec: Codec, replication: Int, meter: Meter
    ) async throws(EngineError) -> ContentRecord {
        try await inBackground(mode.isInBackground) { () throws(EngineError) in
            let source = try Source(file)
            defer { source.end() }
            let buffers = PartBuffers()
            let count = Int((source.size + Int64(Format.partSize) - 1) / Int64(Format.partSize))
            @Sendable func packed(_ index: Int, _ meter: Meter) throws(EngineError) -> Packed { try pack(source, index, codec, buffers, meter) }
            // What does not become smaller is kept as it is, and a codec's frame around that is small.
            @Sendable func most(_ index: Int) -> Int { source.count(ofPart: index) + (codec == .none ? 0 : 1_024) }
            let parts: [PartRecord]
            switch mode.form {
            // What is not compressed is packed in no time, into one buffer.
            case .overlapped:
                let atOnce = codec == .none ? Self.objectsAtOnce : Self.packedAtOnce
                parts = try await send(count, as: prefix, replication, buffers, meter, packing: atOnce, most: most, packed)
            case .sequential where codec == .none && !mode.leavesOutZeros:
                // There is nothing to do before: the file is sent as it is.
                parts = try await send(count, as: prefix, replication, buffers, meter, packing: Self.objectsAtOnce, most: most, packed)
            case .sequential:
                let spool = try Spool(beside: file)
                defer { spool.discard() }
                meter.compressing(true, at: time.now())
                let spooled: [(PartRecord, Int64)]
                do {
                    defer { meter.compressing(false, at: time.now()) }
                    spooled = try await inParallel(count, atOnce: Self.packedAtOnce) { index throws(EngineError) -> (PartRecord, Int64) in
                        try await onBlockingThread { () throws(EngineError) in
                            let part = try packed(index, meter)
                            guard let buffer = part.buffer else { return (part.record, 0) }
                            defer { buffers.giveBack(buffer) }
                            return (part.record, try spool.append(buffer))
                        }
                    }
                }
                parts = try await send(
                    count, as: prefix, replication, buffers, meter, packing: Self.objectsAtOnce, most: { spooled[$0].0.storedBytes }
                ) { index, _ throws(EngineError) in
                    let (record, offset) = spooled[index]
                    guard record.storedBytes > 0 else { return Packed(record: record, buffer: nil) }
                    let buffer = buffers.take()
                    try spool.read(into: buffer, at: offset, count: record.storedBytes)
                    return Packed(record: record, buffer: buffer)
                }
            }
            return ContentRecord(bytes: source.size, partBytes: Format.partSize, parts: parts)
        }
    }

    /// Sends parts as they are packed.
    /// - Parameters:
    ///   - most: bytes of a part that are stored at most.
    ///   - packed: blocks.
    private func send(
        _ count: Int, as prefix: String, _ replication: Int, _ buffers: PartBuffers, _ meter: Meter, packing packedAtOnce: Int,
        most: @Sendable (Int) -> Int, _ packed: @escaping @Sendable (Int, Meter) throws(EngineError) -> Packed
    ) async throws(EngineError) -> [PartRecord] {
        let gate = Gate(Self.packedAtOnce)
        // Even a content of few parts is sent in several streams, and each has about as much to send.
        let atOnce = min(Self.objectsAtOnce, max(1, mode.parallel))
        let atMost = store.properties.partsPerObject * atOnce
        let perObject = store.properties.partsPerObject > 1 ? Self.share(count, (count + atMost - 1) / atMost * atOnce) : 1
        guard perObject > 1 else {
            return try await inParallel(count) { index throws(EngineError) in
                await gate.enter()
                let part: Packed
                do throws(EngineError) { part = try await onBlockingThread { () throws(EngineError) in try packed(index, meter) } } catch {
                    gate.leave()
                    throw error
                }
                gate.leave()
                guard let buffer = part.buffer else { return part.record }
                defer { buffers.giveBack(buffer) }
                var record = part.record
                let path = "\(prefix).\(padded(index))"
                try await timed(meter) { () throws(StoreError) in try await store.write(buffer.bytes, to: path, replication: replication) }
                meter.sent(buffer.bytes.count, copies: replication)
                record.path = path
                return record
            }
        }
        let ranges = stride(from: 0, to: count, by: perObject).map { $0..<min($0 + perObject, count) }
        let sizes = ranges.map { $0.reduce(0) { $0 + most($1) } }
        let rounding = store.properties.objectRounding
        let packing = DispatchSemaphore(value: packedAtOnce)
        let ways = Gate(atOnce)
        // The next goes while the store still closes and checks the last.
        return try await inParallel(ranges.count, atOnce: 2 * atOnce) { number throws(EngineError) in
            await ways.enter()
            let way = Once { ways.leave() }
            defer { way.run() }
            let range = ranges[number]
            let object = PartsObject(
                range, partsBytes: sizes[number], rounding: rounding, atEnd: { way.run() }, buffers, meter, time, packing: packing, packed)
            guard try await onBlockingThread({ () throws(EngineError) in try object.holdsSomething() }) else { return object.records() }
            let path = "\(prefix).\(padded(range.lowerBound))-\(padded(range.upperBound - 1))"
            do throws(EngineError) {
                try await timed(meter) { () throws(StoreError) in try await store.write(object, to: path, replication: replication) }
            } catch { throw object.failure ?? error }
            let records = object.records(at: path)
            meter.sent(records.reduce(0) { $0 + $1.storedBytes }, copies: replication)
            return records
        }.flatMap { $0 }
    }

    private static func share(_ count: Int, _ ways: Int) -> Int { ways > 0 ? (count + ways - 1) / ways : 0 }

    private func timed(_ meter: Meter, _ body: () async throws(StoreError) -> Void) async throws(EngineError) {
        let time = time
        meter.uploading(true, at: time.now())
        defer { meter.uploading(false, at: time.now()) }
        try await storing(body)
    }

    private func pack(
        _ source: Source, _ index: Int, _ codec: Codec, _ buffers: PartBuffers, _ meter: Meter
    ) throws(EngineError) -> Packed {
        let offset = Int64(index) * Int64(Format.partSize)
        let count = source.count(ofPart: index)
        if mode.leavesOutZeros, source.isHole(at: offset, count: count) {
            return Packed(
                record: .zeros(count, digest: count == Format.partSize ? Self.zeroDigest : Digest.sha256([UInt8](repeating: 0, count: count))))
        }
        let raw = buffers.take()
        var digest = Digest.Running()
        try source.read(into: raw, at: offset, count: count) { digest.add($0) }
        let rawDigest = digest.sha256
        let nonZero = ZeroRuns.nonZeroBytes(raw.bytes)
        meter.nonZero(nonZero)
        if mode.leavesOutZeros, nonZero == 0 {
            buffers.giveBack(raw)
            return Packed(record: .zeros(count, digest: rawDigest))
        }
        let runs = mode.leavesOutZeros && nonZero < count ? ZeroRuns.pack(&raw.bytes) : []
        if index % Self.sampledParts == 0 { try sample(raw.bytes, codec, source.file, meter) }
        if codec != .none { meter.compressing(true, at: time.now()) }
        defer { if codec != .none { meter.compressing(false, at: time.now()) } }
        var record = PartRecord(
            path: nil, rawBytes: count, storedBytes: raw.bytes.count, codec: .none, rawDigest: rawDigest, storedDigest: rawDigest,
            runs: runs.isEmpty ? nil : runs)
        var stored = raw
        if codec != .none, !(mode.triesBefore && raw.bytes.withUnsafeBytes({ PartCodec.looksIncompressible($0) })) {
            let packed = buffers.take()
            let result: Result<Void, PartCodecError> = raw.bytes.withUnsafeBytes { bytes in
                do throws(PartCodecError) {
                    return .success(try PartCodec.compress(bytes, with: codec, level: mode.level, into: &packed.bytes))
                } catch { return .failure(error) }
            }
            do throws(PartCodecError) { try result.get() } catch { throw .local(path: source.file, detail: "\(error)") }
            // What grows is better kept as it is.
            let grew = packed.bytes.count >= raw.bytes.count && mode.level > 0
            buffers.giveBack(grew ? packed : raw)
            if !grew {
                // What is on its way holds no more memory than it has bytes: more are on their way than are packed.
                if packed.bytes.count < packed.bytes.capacity * 3 / 4 {
                    stored = PartBuffer()
                    stored.bytes = packed.bytes.withUnsafeBufferPointer { Array($0) }
                    buffers.giveBack(packed)
                } else {
                    stored = packed
                }
                record.codec = codec
                record.storedBytes = packed.bytes.count
            }
        }
        if record.codec != .none || record.runs != nil { record.storedDigest = Digest.sha256(stored.bytes) }
        return Packed(record: record, buffer: stored)
    }

    /// One part of so many is sampled.
    private static let sampledParts = 4
    private static let sampledBytes = 64 << 10

    /// Tries a block in the middle with the codecs that are not used: else nothing would ever be learnt of them.
    private func sample(_ bytes: [UInt8], _ used: Codec, _ file: String, _ meter: Meter) throws(EngineError) {
        let start = max(0, bytes.count / 2 - Self.sampledBytes / 2)
        let block = Array(bytes[start..<min(bytes.count, start + Self.sampledBytes)])
        let plain = ZeroRuns.nonZeroBytes(block)
        guard plain > 0 else { return }
        for codec in Codec.allCases where codec != used && codec != .none {
            let packed: [UInt8]
            do throws(PartCodecError) { packed = try PartCodec.compress(block, with: codec) } catch { throw .local(path: file, detail: "\(error)") }
            meter.sampled(codec, plain: plain, packed: packed.count)
        }
    }

    private static let zeroDigest = Digest.sha256([UInt8](repeating: 0, count: Format.partSize))

    /// Fetches content into a file, every part checked against its digests.
    package func download(_ content: ContentRecord, to file: String, meter: Meter) async throws(EngineError) {
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        guard ftruncate(descriptor, Int(content.bytes)) == 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        let buffers = PartBuffers()
        let gate = Gate(Self.packedAtOnce)
        _ = try await inParallel(content.parts.count, atOnce: min(mode.parallel, Self.fetchedAtOnce)) { index throws(EngineError) in
            let part = content.parts[index]
            guard let path = part.path else { return }
            try await lookingTwice { () throws(EngineError) in
                let packed = try await storing { () throws(StoreError) in try await part.stored(in: store, path) }
                meter.sent(packed.count)
                await gate.enter()
                defer { gate.leave() }
                try await onBlockingThread { () throws(EngineError) in
                    let raw = buffers.take()
                    defer { buffers.giveBack(raw) }
                    try Self.unpack(packed, part, path, into: raw)
                    try Self.write(raw.bytes, part.runs, to: descriptor, at: Int64(index) * Int64(content.partSize), file: file)
                }
            }
        }
        guard fsync(descriptor) == 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
    }

    /// Checks a part as it was stored, and makes of it what it was.
    static func unpack(_ packed: [UInt8], _ part: PartRecord, _ path: String) throws(EngineError) -> [UInt8] {
        let raw = PartBuffer()
        try unpack(packed, part, path, into: raw)
        return raw.bytes
    }

    private static func unpack(_ packed: [UInt8], _ part: PartRecord, _ path: String, into raw: PartBuffer) throws(EngineError) {
        guard packed.count == part.storedBytes, Digest.sha256(packed) == part.storedDigest else {
            throw .damaged(what: path, detail: "\(packed.count) bytes that are not the \(part.storedBytes) that were stored")
        }
        guard let kept = part.runs.map({ ZeroRuns.keptBytes($0, of: part.rawBytes) }) ?? part.rawBytes else {
            throw .damaged(what: path, detail: "its runs are none of \(part.rawBytes) bytes")
        }
        Buffers.resize(&raw.bytes, to: part.rawBytes)
        let result: Result<Void, PartCodecError> = raw.bytes.withUnsafeMutableBytes { target in
            do throws(PartCodecError) {
                return .success(try PartCodec.decompress(packed, with: part.codec, into: UnsafeMutableRawBufferPointer(rebasing: target[..<kept])))
            } catch { return .failure(error) }
        }
        do throws(PartCodecError) { try result.get() } catch { throw .damaged(what: path, detail: "\(error)") }
        if let runs = part.runs, !raw.bytes.withUnsafeMutableBytes({ ZeroRuns.unpack($0, runs: runs) }) {
            throw .damaged(what: path, detail: "its runs are none of \(part.rawBytes) bytes")
        }
        guard part.codec == .none && part.runs == nil || Digest.sha256(raw.bytes) == part.rawDigest else {
            throw .damaged(what: path, detail: "its content's digest is another")
        }
    }

    /// Runs `count` pieces of work, as many at a time as the mode says; the first failure ends it.
    private func inParallel<Value: Sendable>(
        _ count: Int, atOnce parallel: Int? = nil, _ body: @escaping @Sendable (Int) async throws(EngineError) -> Value
    ) async throws(EngineError) -> [Value] {
        let results = await withTaskGroup(of: (Int, Result<Value, EngineError>).self) { group in
            var results: [Int: Result<Value, EngineError>] = [:]
            var next = 0
            var hasFailed = false
            @Sendable func run(_ index: Int) async -> (Int, Result<Value, EngineError>) {
                do throws(EngineError) { return (index, .success(try await body(index))) } catch { return (index, .failure(error)) }
            }
            while next < min(max(1, parallel ?? mode.parallel), count) {
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

    static func size(of file: String) throws(EngineError) -> Int64 {
        var status = stat()
        guard stat(file, &status) == 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        return Int64(status.st_size)
    }

    /// What was left out stays a hole.
    private static func write(_ bytes: [UInt8], _ runs: [Int]?, to descriptor: Int32, at offset: Int64, file: String) throws(EngineError) {
        var start = 0
        for (index, run) in (runs ?? [0, (bytes.count + ZeroRuns.blockSize - 1) / ZeroRuns.blockSize]).enumerated() {
            let end = min(start + run * ZeroRuns.blockSize, bytes.count)
            if index % 2 == 1 { try write(bytes, start..<end, to: descriptor, at: offset, file: file) }
            start = end
        }
    }

    private static func write(_ bytes: [UInt8], _ range: Range<Int>, to descriptor: Int32, at offset: Int64, file: String) throws(EngineError) {
        var done = range.lowerBound
        while done < range.upperBound {
            let put = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, range.upperBound - done, Int(offset) + done) }
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
            done += put
        }
    }
}
