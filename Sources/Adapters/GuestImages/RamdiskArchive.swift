import Foundation

/// A cpio archive in the `newc` format, which the kernel unpacks as its first root file system.
///
/// Written here rather than by a tool so that it holds nothing of this machine: all is owned by root, of time zero, and
/// numbered in order, so that equal content makes an equal file.
/// Source: initramfs buffer format, Linux Documentation/driver-api/early-userspace/buffer-format.rst.
struct RamdiskArchive {
    private(set) var bytes = Data()
    private var entries = 0

    mutating func addDirectory(_ path: String) { add(path, mode: 0o040755, content: Data()) }
    mutating func addFile(_ path: String, _ content: Data, executable: Bool = false) {
        add(path, mode: executable ? 0o100755 : 0o100644, content: content)
    }
    mutating func addLink(_ path: String, to target: String) { add(path, mode: 0o120777, content: Data(target.utf8)) }

    mutating func finish() { add("TRAILER!!!", mode: 0, content: Data()) }

    private mutating func add(_ path: String, mode: Int, content: Data) {
        entries += 1
        let links = mode & 0o170000 == 0o040000 ? 2 : 1
        let name = Array(path.utf8) + [0]
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [entries, mode, 0, 0, links, 0, content.count, 0, 0, 0, 0, name.count, 0]
        bytes.append(contentsOf: Array("070701".utf8))
        for field in fields {
            let digits = String(field, radix: 16, uppercase: true)
            bytes.append(contentsOf: Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8))
        }
        bytes.append(contentsOf: name)
        pad()
        bytes.append(content)
        pad()
    }

    private mutating func pad() { while bytes.count % 4 != 0 { bytes.append(0) } }
}
