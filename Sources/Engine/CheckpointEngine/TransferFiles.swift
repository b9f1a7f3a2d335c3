import DataPath
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// To the next data from an offset on; Swift is not shown the name. Source: lseek(2).
private let seekData: Int32 = 3

/// A file that is read in parts, from several threads.
struct Source: Sendable {
    let file: String
    let size: Int64
    private let descriptor: Int32

    init(_ file: String) throws(EngineError) {
        self.file = file
        descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let detail = String(cString: strerror(errno))
            _ = close(descriptor)
            throw .local(path: file, detail: detail)
        }
        size = Int64(status.st_size)
    }

    func end() { close(descriptor) }

    func count(ofPart index: Int) -> Int { Int(min(Int64(Format.partSize), size - Int64(index) * Int64(Format.partSize))) }

    /// Whether the file system knows that there is nothing: then it need not be read. What cannot tell says that there is something.
    func isHole(at offset: Int64, count: Int) -> Bool {
        let data = lseek(descriptor, Int(offset), seekData)
        return data < 0 ? errno == ENXIO : data >= Int(offset) + count
    }

    /// In pieces, each of which is looked at while the processor's caches still have it.
    func read(into buffer: PartBuffer, at offset: Int64, count: Int, look: (UnsafeRawBufferPointer) -> Void) throws(EngineError) {
        try readWhole(descriptor, into: &buffer.bytes, at: offset, count: count, file: file, look: look)
    }
}

/// A file beside another one that takes its packed parts, one after the other as they come, and is gone with its name.
final class Spool: Sendable {
    private let file: String
    private let descriptor: Int32
    private let end = Mutex<Int64>(0)

    init(beside file: String) throws(EngineError) {
        self.file = "\(file).packed-\(UUID().uuidString)"
        descriptor = open(self.file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .local(path: self.file, detail: String(cString: strerror(errno))) }
        // Nobody else opens it, and nothing of it is to stay whatever happens.
        unlink(self.file)
    }

    func discard() { close(descriptor) }

    /// - Returns: where it begins.
    func append(_ buffer: PartBuffer) throws(EngineError) -> Int64 {
        let count = buffer.bytes.count
        let offset = end.withLock { end in
            defer { end += Int64(count) }
            return end
        }
        var done = 0
        while done < count {
            let put = buffer.bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, count - done, Int(offset) + done) }
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
            done += put
        }
        return offset
    }

    func read(into buffer: PartBuffer, at offset: Int64, count: Int) throws(EngineError) {
        try readWhole(descriptor, into: &buffer.bytes, at: offset, count: count, file: file)
    }
}

private func readWhole(
    _ descriptor: Int32, into bytes: inout [UInt8], at offset: Int64, count: Int, file: String, look: (UnsafeRawBufferPointer) -> Void = { _ in }
) throws(EngineError) {
    let pieceSize = 128 << 10
    Buffers.resize(&bytes, to: count)
    var done = 0
    while done < count {
        let got = bytes.withUnsafeMutableBytes { target in
            let most = min(pieceSize, count - done)
            let got = pread(descriptor, target.baseAddress! + done, most, Int(offset) + done)
            if got > 0 { look(UnsafeRawBufferPointer(start: target.baseAddress! + done, count: got)) }
            return got
        }
        if got < 0 && errno == EINTR { continue }
        guard got > 0 else { throw .local(path: file, detail: got == 0 ? "it became shorter" : String(cString: strerror(errno))) }
        done += got
    }
}
