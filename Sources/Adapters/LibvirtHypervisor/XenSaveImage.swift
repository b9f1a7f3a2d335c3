import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// The file that libvirt's libxl driver saves to and restores from: a header with the domain's definition, then libxl's stream.
///
/// libvirt takes no other definition at a restore, so the one in the file is replaced instead.
/// Source: libvirt 9.0, src/libxl/libxl_conf.h (LIBXL_SAVE_MAGIC, LIBXL_SAVE_VERSION, libxlSavefileHeader).
enum XenSaveImage {
    static let magic: [UInt8] = Array("libvirt-xml\n \0 \r".utf8)
    /// Magic, version, length of the definition with its ending zero, ten words unused.
    static let fixedBytes = 64
    private static let version: UInt32 = 2
    /// What is left free behind a definition of ours, so that other paths find room.
    private static let room = 2_048
    private static let page = 4_096
    private static let longest = 1 << 20

    /// The header of a file whose stream begins on a page.
    static func header(_ definition: String) -> [UInt8] {
        let text = Array(definition.utf8)
        let whole = (fixedBytes + text.count + 1 + room + page - 1) / page * page
        return header(text, length: whole - fixedBytes)
    }

    private static func header(_ text: [UInt8], length: Int) -> [UInt8] {
        var bytes = magic
        for word in [version, UInt32(length)] + [UInt32](repeating: 0, count: 10) { withUnsafeBytes(of: word.littleEndian) { bytes += $0 } }
        return bytes + text + [UInt8](repeating: UInt8(ascii: " "), count: length - text.count - 1) + [0]
    }

    /// The definition in a file, and how many bytes it takes up.
    /// - Throws: `.failed` when it is no such file.
    static func definition(in path: String) throws(HypervisorError) -> (text: String, length: Int) {
        func damaged(_ detail: String) -> HypervisorError { .failed(operation: "reading the save image", name: path, code: 0, detail: detail) }
        guard let file = FileHandle(forReadingAtPath: path) else { throw damaged(String(cString: strerror(errno))) }
        func read(_ count: Int) throws(HypervisorError) -> [UInt8] {
            do {
                let bytes = try file.read(upToCount: count) ?? Data()
                if bytes.count == count { return Array(bytes) }
            } catch { throw damaged("\(error.localizedDescription)") }
            throw damaged("it ends in its header")
        }
        let fixed = try read(fixedBytes)
        guard Array(fixed[0..<16]) == magic else { throw damaged("it is no save image of libvirt's for Xen") }
        func word(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(fixed[offset + $1]) << (8 * $1) } }
        guard word(16) == version else { throw damaged("its version is \(word(16)), known is \(version)") }
        let length = Int(word(20))
        guard length > 0, length <= longest else { throw damaged("its definition would have \(length) bytes") }
        let bytes = try read(length).prefix { $0 != 0 }
        var text = String(decoding: bytes, as: UTF8.self)
        while text.last == " " { text.removeLast() }
        return (text, length)
    }

    /// Puts another definition into a file: in its place where it fits, else by writing the file anew.
    ///
    /// Whoever is interrupted in the middle does it again from its beginning: nothing of the stream is touched.
    static func replace(_ definition: String, in path: String) throws(HypervisorError) {
        func trouble(_ call: String) -> HypervisorError {
            .failed(operation: "replacing the definition", name: path, code: errno, detail: "\(call): \(String(cString: strerror(errno)))")
        }
        let old = try self.definition(in: path)
        let text = Array(definition.utf8)
        if text.count < old.length {
            let file = open(path, O_WRONLY | O_CLOEXEC)
            guard file >= 0 else { throw trouble("open") }
            defer { close(file) }
            guard write(header(text, length: old.length), to: file) else { throw trouble("write") }
            return
        }
        let unfinished = path + ".moved"
        let from = open(path, O_RDONLY | O_CLOEXEC)
        guard from >= 0 else { throw trouble("open") }
        defer { close(from) }
        let to = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard to >= 0 else { throw trouble("open \(unfinished)") }
        defer { close(to) }
        do throws(HypervisorError) {
            guard write(header(definition), to: to) else { throw trouble("write") }
            guard lseek(from, off_t(fixedBytes + old.length), SEEK_SET) >= 0 else { throw trouble("seek") }
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = Glibc.read(from, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                guard count >= 0 else { throw trouble("read") }
                if count == 0 { break }
                guard write(Array(buffer[0..<count]), to: to) else { throw trouble("write") }
            }
            guard rename(unfinished, path) == 0 else { throw trouble("rename") }
        } catch {
            unlink(unfinished)
            throw error
        }
    }

    /// All of it, at the file's position. `errno` says why not.
    static func write(_ bytes: [UInt8], to file: Int32) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = Glibc.write(file, bytes.baseAddress! + offset, bytes.count - offset)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return false }
                offset += count
            }
            return true
        }
    }
}
