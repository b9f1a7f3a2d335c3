import Dispatch
import Ports
import Synchronization
import Vocabulary

/// A part as it is to be stored; without a buffer it is all zero.
struct Packed: Sendable {
    var record: PartRecord
    var buffer: PartBuffer?
}

/// Parts of a content, one after the other in one object: each is packed when the one before has gone, and again if it has to be sent again.
final class PartsObject: ObjectSource {
    private let range: Range<Int>
    private let buffers: PartBuffers
    private let meter: Transfer.Meter
    private let time: any TimeSource
    /// Lets so many be packed at once, of all objects that are on their way: two buffers a part are needed for that, and one afterwards.
    private let packing: DispatchSemaphore
    private let packed: @Sendable (Int, Transfer.Meter) throws(EngineError) -> Packed
    private let state = Mutex(State())
    private struct State {
        /// Packed to see whether there is anything to send, and not sent yet.
        var waiting: (index: Int, part: Packed)?
        var records: [Int: PartRecord] = [:]
        var failure: EngineError?
    }

    /// Of all its parts together, as they are stored, at most.
    private let partsBytes: Int
    let mostBytes: Int
    /// Its last byte is on its way.
    private let atEnd: @Sendable () -> Void

    /// - Parameters:
    ///   - partsBytes: of all its parts together, as they are stored: exact wherever that is known. Then the object is made so long that `rounding` divides its
    ///     length.
    ///   - atEnd: called when its last byte is on its way, perhaps several times.
    init(
        _ range: Range<Int>, partsBytes: Int, rounding: Int, atEnd: @escaping @Sendable () -> Void, _ buffers: PartBuffers, _ meter: Transfer.Meter,
        _ time: any TimeSource, packing: DispatchSemaphore,
        _ packed: @escaping @Sendable (Int, Transfer.Meter) throws(EngineError) -> Packed
    ) {
        self.range = range
        self.partsBytes = partsBytes
        mostBytes = (partsBytes + rounding - 1) / rounding * rounding
        self.atEnd = atEnd
        self.buffers = buffers
        self.meter = meter
        self.time = time
        self.packing = packing
        self.packed = packed
    }

    /// Why the last reader ended early.
    var failure: EngineError? { state.withLock { $0.failure } }

    /// Packs parts until there is one that is to be stored. Blocks.
    func holdsSomething() throws(EngineError) -> Bool {
        for index in range {
            let part = try pack(index)
            guard part.buffer != nil else { continue }
            state.withLock { $0.waiting = (index, part) }
            return true
        }
        return false
    }

    /// Of all parts, once they have all been packed.
    /// - Parameter path: nil: nothing had to be stored.
    func records(at path: String? = nil) -> [PartRecord] {
        var offset: Int64 = 0
        let records = state.withLock { $0.records }
        return range.map { index in
            guard var record = records[index] else { preconditionFailure("part \(index) was not packed") }
            if record.storedBytes > 0 {
                record.path = path
                record.offset = offset
                offset += Int64(record.storedBytes)
            }
            return record
        }
    }

    func begin() -> any ObjectReader { Reader(self) }

    /// What a part costs is counted once, however often it is packed.
    private func pack(_ index: Int) throws(EngineError) -> Packed {
        packing.wait()
        defer { packing.signal() }
        let isFirst = state.withLock { $0.records[index] == nil }
        let part = try packed(index, isFirst ? meter : Transfer.Meter())
        state.withLock { $0.records[index] = part.record }
        return part
    }

    private final class Reader: ObjectReader {
        private let object: PartsObject
        /// The part that comes next.
        private var index: Int
        private var buffer: PartBuffer?
        private var given = 0

        init(_ object: PartsObject) {
            self.object = object
            index = object.range.lowerBound
        }
        deinit { if let buffer { object.buffers.giveBack(buffer) } }

        func next() throws(StoreError) -> [UInt8]? {
            // While a part is packed nothing of this object travels.
            object.meter.uploading(false, at: object.time.now())
            defer { object.meter.uploading(true, at: object.time.now()) }
            if let buffer { object.buffers.giveBack(buffer) }
            buffer = nil
            let waiting = object.state.withLock { state in
                defer { state.waiting = nil }
                return state.waiting
            }
            if let waiting {
                if index == object.range.lowerBound {
                    index = waiting.index + 1
                    return give(waiting.part.buffer)
                }
                waiting.part.buffer.map(object.buffers.giveBack)
            }
            while index < object.range.upperBound {
                defer { index += 1 }
                let part: Packed
                do throws(EngineError) { part = try object.pack(index) } catch {
                    object.state.withLock { $0.failure = error }
                    throw .failed(path: "part \(index)", detail: "\(error)")
                }
                if let made = part.buffer { return give(made) }
            }
            object.atEnd()
            guard given == object.partsBytes, given < object.mostBytes else { return nil }
            let rest = [UInt8](repeating: 0, count: object.mostBytes - given)
            given += rest.count
            return rest
        }

        private func give(_ made: PartBuffer?) -> [UInt8]? {
            buffer = made
            given += made?.bytes.count ?? 0
            return made?.bytes
        }
    }
}
