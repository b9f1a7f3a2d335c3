import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Watches one task on this node: its console and its domain. Turns what it sees into a sample, and into an end.
package struct TaskSensor: Sendable {
    package enum End: Equatable, Sendable {
        case finished(result: String)
        case failed(reason: String)
    }

    package let task: TaskID
    package let epoch: Epoch
    private let node: NodeID
    private let source: ProgressSource
    private let work: Seconds
    private let console: String
    private var offset = 0
    private var partial: [UInt8] = []
    private var fraction: Double
    private var end: End?
    /// What the guest told of its base and delta; nil: nothing yet.
    package private(set) var union: MountedUnion?
    /// CPU time of this life's earlier domains: the hypervisor's counter restarts from zero at a restore.
    private var cpuBefore = Seconds.zero
    private var cpuLast = Seconds.zero
    private var writtenBefore = ByteCount.zero
    private var writtenLast = ByteCount.zero
    private let fractionAtStart: Double

    /// - Parameter fraction: progress at which this life of the task began, 0 to 1.
    package init(task: TaskID, epoch: Epoch, node: NodeID, source: ProgressSource, work: Seconds, console: String, fraction: Double) {
        self.task = task
        self.epoch = epoch
        self.node = node
        self.source = source
        self.work = work
        self.console = console
        self.fraction = fraction
        fractionAtStart = fraction
    }

    /// Looks once. `status` is nil when the domain is not there.
    package mutating func look(status: DomainStatus?, at now: Timestamp) throws -> (sample: ProgressSample, end: End?) {
        if let status {
            if status.cpuSeconds < cpuLast { cpuBefore = cpuBefore + cpuLast }
            cpuLast = status.cpuSeconds
            if status.blockWrittenBytes < writtenLast { writtenBefore = writtenBefore + writtenLast }
            writtenLast = status.blockWrittenBytes
        }
        let reader = try ProgressReader(source)
        let lines = try newLines()
        if union == nil { union = lines.lazy.compactMap { MountedUnion(consoleLine: $0) }.first }
        if let reader {
            for line in lines {
                switch reader.read(line) {
                case .progress(let value): fraction = value
                case .result(let result):
                    fraction = 1
                    end = end ?? .finished(result: result)
                case .failure(let reason): end = end ?? .failed(reason: "the guest reports: \(reason)")
                case nil: break
                }
            }
        } else {
            let cpu = cpuBefore + cpuLast
            fraction = min(1, fractionAtStart + cpu / work)
        }
        let sample = ProgressSample(
            task: task, epoch: epoch, node: node, at: now, fraction: fraction, cpuSeconds: cpuBefore + cpuLast,
            blockWrittenBytes: writtenBefore + writtenLast)
        return (sample, end ?? endByState(status))
    }

    private func endByState(_ status: DomainStatus?) -> End? {
        switch status?.state {
        case .running, .paused: nil
        case .crashed: .failed(reason: "the guest's process ended without the guest shutting down")
        case .shutOff:
            if case .cpuTime = source { .finished(result: "powered off") } else { .failed(reason: "the guest shut down without a result") }
        case nil: .failed(reason: "the domain is gone")
        }
    }

    /// Whole lines that the console has gained, at most 1 MiB at a time.
    private mutating func newLines() throws -> [Substring] {
        let descriptor = open(console, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return [] }
            throw SensorError.cannotRead(path: console, code: errno)
        }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let count = pread(descriptor, &buffer, buffer.count, offset)
        guard count >= 0 else { throw SensorError.cannotRead(path: console, code: errno) }
        offset += count
        partial += buffer[..<count]
        guard let last = partial.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        let text = String(decoding: partial[..<last], as: UTF8.self)
        partial.removeFirst(last + 1)
        return text.split(whereSeparator: \.isNewline)
    }
}

package enum SensorError: Error, Hashable, Sendable, CustomStringConvertible {
    case cannotRead(path: String, code: Int32)
    package var description: String {
        switch self {
        case .cannotRead(let path, let code): "cannot read \(path): \(String(cString: strerror(code)))"
        }
    }
}
