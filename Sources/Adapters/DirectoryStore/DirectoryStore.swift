import CResources
import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// A directory that every node can reach: local, or a mount. One copy of everything.
///
/// Whatever appears under its name is whole: it is written beside (`.tmp`), flushed to the disk, and linked or renamed into place.
package struct DirectoryStore: CheckpointStore {
    private let root: String
    private let random: any RandomSource

    package var properties: StoreProperties { StoreProperties(kind: "directory", location: root, replicates: false) }

    /// Makes the directory if it is not there, and removes what writers left unfinished more than an hour ago.
    /// - Parameter root: absolute.
    package init(root: String, random: any RandomSource) throws(StoreError) {
        self.root = root
        self.random = random
        do {
            try FileManager.default.createDirectory(atPath: root + "/" + StorePath.scratch, withIntermediateDirectories: true)
            for name in try FileManager.default.contentsOfDirectory(atPath: root + "/" + StorePath.scratch) {
                let left = root + "/" + StorePath.scratch + "/" + name
                var status = stat()
                if lstat(left, &status) == 0, time(nil) - status.st_mtim.tv_sec > 3_600 { unlink(left) }
            }
        } catch { throw .unavailable(path: root, detail: error.localizedDescription) }
    }

    package func write(_ bytes: [UInt8], to path: String, replication: Int) async throws(StoreError) {
        try await work(path) { () throws(StoreError) in
            if holds(path, bytes) { return try synchroniseParent(of: path) }
            try makeParents(of: path)
            let temporary = try writeTemporary(bytes, for: path)
            guard rename(temporary, full(path)) == 0 else { throw failure(path, "rename", removing: temporary) }
            try synchroniseParent(of: path)
        }
    }

    package func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool {
        try await work(path) { () throws(StoreError) in
            let temporary = try writeTemporary(bytes, for: path)
            // A link fails if the name is taken, and if the parent is gone: both in one step. It works on NFS, too.
            if link(temporary, full(path)) != 0 {
                let code = errno
                defer { unlink(temporary) }
                if code == ENOENT || code == ENOTDIR {
                    // The parent is gone, unless it is the temporary file that somebody has removed.
                    guard parentIsThere(path) else { return false }
                    throw .unavailable(path: path, detail: "its temporary file has been removed")
                }
                guard code == EEXIST else { throw error(path, "link", code) }
                guard try contents(path) == bytes else { throw .alreadyExists(path: path) }
                // By an attempt that may not have come as far as this.
                try synchroniseParent(of: path)
                return true
            }
            unlink(temporary)
            try synchroniseParent(of: path)
            if cairn_is_on_nfs(root) != 0, !isWhereItWasPut(path) {
                throw .unavailable(
                    path: path, detail: "its directory was moved away meanwhile, and NFS does not tell whether that was before or after")
            }
            return true
        }
    }

    package func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool {
        try await work(path) { () throws(StoreError) in
            try makeParents(of: path)
            let temporary = try writeTemporary(bytes, for: path)
            defer { unlink(temporary) }
            guard link(temporary, full(path)) == 0 else {
                guard errno == EEXIST else { throw error(path, "link", errno) }
                return false
            }
            try synchroniseParent(of: path)
            return true
        }
    }

    package func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool {
        try StorePath.check(destination)
        return try await work(source) { () throws(StoreError) in
            try makeParents(of: destination)
            // RENAME_NOREPLACE is not to be had on NFS; what appears between this look and the rename can only be an empty directory, since
            // onto one that is not empty a rename fails.
            // The destination first: once another mover has made it appear, the source is gone.
            if access(full(destination), F_OK) == 0, access(full(source), F_OK) == 0 { throw .alreadyExists(path: destination) }
            guard rename(full(source), full(destination)) == 0 else {
                if errno == ENOENT { return false }
                throw error(source, "rename", errno)
            }
            try synchroniseParent(of: destination)
            try synchroniseParent(of: source)
            return true
        }
    }

    package func makeDirectory(_ path: String) async throws(StoreError) {
        try await work(path) { () throws(StoreError) in
            try makeParents(of: path + "/x")
            try synchroniseParent(of: path)
        }
    }

    package func read(_ path: String) async throws(StoreError) -> [UInt8] {
        try await work(path) { () throws(StoreError) in try contents(path) }
    }

    package func read(_ path: String, range: Range<Int64>) async throws(StoreError) -> [UInt8] {
        try await work(path) { () throws(StoreError) in try contents(path, range: range) }
    }

    package func list(_ path: String) async throws(StoreError) -> [StoreEntry] {
        try await work(path) { () throws(StoreError) in
            guard let directory = opendir(full(path)) else {
                if errno == ENOENT { return [] }
                throw error(path, "opendir", errno)
            }
            defer { closedir(directory) }
            var entries: [StoreEntry] = []
            while true {
                errno = 0
                guard let entry = readdir(directory) else {
                    // A part of a directory must not be taken for all of it: the newest checkpoint may be in the rest.
                    if errno != 0 { throw error(path, "readdir", errno) }
                    break
                }
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard !name.hasPrefix(".") else { continue }
                var status = stat()
                guard lstat(full(path) + "/" + name, &status) == 0 else {
                    // Gone since it was listed: not there.
                    if errno == ENOENT { continue }
                    throw error(path, "lstat", errno)
                }
                entries.append(
                    StoreEntry(
                        name: name, isDirectory: status.st_mode & S_IFMT == S_IFDIR, bytes: ByteCount(Int64(status.st_size)),
                        modifiedAt: Timestamp(Double(status.st_mtim.tv_sec))))
            }
            return entries.sorted { $0.name < $1.name }
        }
    }

    package func remove(_ path: String) async throws(StoreError) {
        try await work(path) { () throws(StoreError) in
            do { try FileManager.default.removeItem(atPath: full(path)) } catch CocoaError.fileNoSuchFile {
                return
            } catch let trouble as NSError where trouble.code == CocoaError.fileNoSuchFile.rawValue {
                return
            } catch { throw .failed(path: path, detail: error.localizedDescription) }
        }
    }

    package func health() async -> StoreHealth {
        do {
            return try await onBlockingThread { () throws(StoreError) in
                var status = statvfs()
                guard statvfs(root, &status) == 0 else { throw error(root, "statvfs", errno) }
                guard access(root + "/" + StorePath.scratch, W_OK) == 0 else { throw error(root, "access", errno) }
                return StoreHealth(
                    reachable: true, detail: "", freeBytes: ByteCount(UInt64(status.f_bavail) * UInt64(status.f_frsize)))
            }
        } catch { return StoreHealth(reachable: false, detail: "\(error)") }
    }

    // MARK: Files

    private func full(_ path: String) -> String { root + "/" + path }

    private func work<Value: Sendable>(
        _ path: String, _ body: @escaping @Sendable () throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        try StorePath.check(path)
        return try await onBlockingThread(body)
    }

    private func contents(_ path: String, range: Range<Int64> = 0..<Int64.max) throws(StoreError) -> [UInt8] {
        let descriptor = open(full(path), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { throw .notFound(path: path) }
            throw error(path, "open", errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw .notFound(path: path) }
        let wanted = range.clamped(to: 0..<Int64(status.st_size))
        var bytes = [UInt8](repeating: 0, count: wanted.count)
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + offset, $0.count - offset, Int(wanted.lowerBound) + offset)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .damaged(path: path, detail: "it ends at \(offset) of \(bytes.count) bytes") }
            offset += count
        }
        return bytes
    }

    /// An NFS client may believe for a while that a directory still has the name from which another host moved it away, and links into it there. Opening
    /// what that directory lies in makes it ask the server (close-to-open consistency).
    private func isWhereItWasPut(_ path: String) -> Bool {
        let parent = StorePath.parent(of: path)
        let above = open(parent.flatMap { StorePath.parent(of: $0) }.map { full($0) } ?? root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if above >= 0 { close(above) }
        return parentIsThere(path)
    }

    private func parentIsThere(_ path: String) -> Bool {
        var status = stat()
        return stat(StorePath.parent(of: path).map { full($0) } ?? root, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private func holds(_ path: String, _ bytes: [UInt8]) -> Bool {
        do throws(StoreError) { return try contents(path) == bytes } catch { return false }
    }

    /// Written, flushed and of the right length.
    private func writeTemporary(_ bytes: [UInt8], for path: String) throws(StoreError) -> String {
        let temporary = root + "/" + StorePath.scratch + "/" + String(getpid()) + "-" + String(random.next(), radix: 36)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw error(path, "open", errno) }
        defer { close(descriptor) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + offset, $0.count - offset) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure(path, "write", removing: temporary) }
            offset += count
        }
        guard fsync(descriptor) == 0 else { throw failure(path, "fsync", removing: temporary) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, Int(status.st_size) == bytes.count else {
            unlink(temporary)
            throw .damaged(path: path, detail: "\(status.st_size) of \(bytes.count) bytes were stored")
        }
        return temporary
    }

    /// Each directory that is made is flushed in its parent: a name is durable when all above it are.
    private func makeParents(of path: String) throws(StoreError) {
        guard let parent = StorePath.parent(of: path), access(full(parent), F_OK) != 0 else { return }
        try makeParents(of: parent)
        guard mkdir(full(parent), 0o755) == 0 || errno == EEXIST else { throw error(path, "mkdir", errno) }
        try synchroniseParent(of: parent)
    }

    /// A name is durable when its directory is.
    private func synchroniseParent(of path: String) throws(StoreError) {
        let parent = StorePath.parent(of: path).map { full($0) } ?? root
        let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // Moved away or removed in the meantime: not ours to flush.
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw error(path, "fsync", errno) }
    }

    private func failure(_ path: String, _ call: String, removing temporary: String) -> StoreError {
        let code = errno
        unlink(temporary)
        return error(path, call, code)
    }

    private func error(_ path: String, _ call: String, _ code: Int32) -> StoreError {
        let detail = "\(call): \(String(cString: strerror(code)))"
        return switch code {
        case ENOSPC, EDQUOT: .full(path: path, detail: detail)
        case EACCES, EPERM, EROFS: .denied(path: path, detail: detail)
        case ENOENT: .notFound(path: path)
        case EIO, ESTALE, ETIMEDOUT: .unavailable(path: path, detail: detail)
        default: .failed(path: path, detail: detail)
        }
    }
}
