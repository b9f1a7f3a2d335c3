import Foundation
import Glibc

/// A directory beside its final place, in which something is made that appears whole or not at all.
struct StagingDirectory: Sendable {
    /// Absolute: tools are run inside it.
    let path: String
    let target: String

    /// Also clears away what processes that are gone left behind.
    init(for target: String) throws(ImageError) {
        let absolute = URL(fileURLWithPath: target).standardizedFileURL.path
        let parent = (absolute as NSString).deletingLastPathComponent
        let prefix = ".\((absolute as NSString).lastPathComponent).making-"
        self.target = absolute
        path = "\(parent)/\(prefix)\(getpid())-\(UUID().uuidString.prefix(8))"
        do {
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            for name in try FileManager.default.contentsOfDirectory(atPath: parent) where name.hasPrefix(prefix) {
                guard let process = pid_t(name.dropFirst(prefix.count).prefix { $0 != "-" }), kill(process, 0) != 0, errno == ESRCH else { continue }
                try FileManager.default.removeItem(atPath: "\(parent)/\(name)")
            }
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        } catch {
            throw .failed(step: "making \(path)", detail: error.localizedDescription)
        }
    }

    /// Puts it in its place. What was there before is exchanged for it in one step and then removed, or stays instead of it.
    func commit(replacing: Bool) throws(ImageError) {
        if rename(path, target) == 0 { return }
        guard errno == ENOTEMPTY || errno == EEXIST else { throw failure("renaming \(path) to \(target)") }
        guard replacing else { return try discard() }
        try exchange()
        try discard()
    }

    /// Exchanges the two names. Source: renameat2(2); Swift's Glibc leaves it out, because it hides behind _GNU_SOURCE.
    private func exchange() throws(ImageError) {
        typealias RenameAt2 = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
        guard let symbol = dlsym(nil, "renameat2") else { throw .failed(step: "exchanging \(target)", detail: "this C library has no renameat2") }
        let renameAt2 = unsafeBitCast(symbol, to: RenameAt2.self)
        let exchangeNames: UInt32 = 2
        guard renameAt2(AT_FDCWD, path, AT_FDCWD, target, exchangeNames) == 0 else { throw failure("exchanging \(target)") }
    }

    /// Removes it, if it is still there.
    func discard() throws(ImageError) {
        guard FileManager.default.fileExists(atPath: path) else { return }
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw .failed(step: "removing \(path)", detail: error.localizedDescription)
        }
    }

    private func failure(_ step: String) -> ImageError { .failed(step: step, detail: String(cString: strerror(errno))) }
}
