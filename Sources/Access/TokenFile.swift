import Curl
import Foundation
import Synchronization
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// The file with the tokens' digests: JSON, for its owner's eyes alone.
package enum TokenFile {
    package static func read(_ path: String) throws(AccessError) -> TokenList {
        do throws(SecretFile.Problem) { try SecretFile.check(path) } catch { throw AccessError(error.description) }
        let list: TokenList
        do { list = try JSONDecoder().decode(TokenList.self, from: try Data(contentsOf: URL(fileURLWithPath: path))) } catch {
            throw AccessError("\(path) is no file of tokens: \(error)")
        }
        guard list.version == 1 else { throw AccessError("\(path) was made by a later version of Cairn: use that version") }
        return list
    }

    /// Whole or not at all.
    package static func write(_ list: TokenList, to path: String) throws(AccessError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let bytes: [UInt8]
        do { bytes = Array(try encoder.encode(list)) + [UInt8(ascii: "\n")] } catch { throw AccessError("the tokens cannot be encoded: \(error)") }
        try PrivateFile.write(bytes, to: path)
    }

    package static func readIfThere(_ path: String) throws(AccessError) -> TokenList {
        access(path, F_OK) == 0 ? try read(path) : TokenList()
    }

    /// A token for its holder, as one line.
    package static func writeSecret(_ token: String, to path: String) throws(AccessError) {
        try PrivateFile.write(Array((token + "\n").utf8), to: path)
    }

    /// Changes the list while nobody else does.
    package static func change<Value>(_ path: String, _ body: (inout TokenList) throws(AccessError) -> Value) throws(AccessError) -> Value {
        let lock = open(path + ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw AccessError("cannot open \(path).lock: \(String(cString: strerror(errno)))") }
        defer { close(lock) }
        guard flock(lock, LOCK_EX) == 0 else { throw AccessError("cannot lock \(path).lock: \(String(cString: strerror(errno)))") }
        var list = try readIfThere(path)
        let value = try body(&list)
        try write(list, to: path)
        return value
    }
}

/// A file that nobody else may read.
enum PrivateFile {
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o600) throws(AccessError) {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw AccessError("cannot write \(temporary): \(String(cString: strerror(errno)))") }
        var failure: Int32 = 0
        var written = 0
        while written < bytes.count, failure == 0 {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 { failure = errno } else { written += count }
        }
        if failure == 0, fsync(descriptor) != 0 { failure = errno }
        close(descriptor)
        if failure == 0, rename(temporary, path) != 0 { failure = errno }
        guard failure == 0 else {
            unlink(temporary)
            throw AccessError("cannot write \(path): \(String(cString: strerror(failure)))")
        }
    }
}

/// The tokens in force: the file's, read again when it changes.
///
/// Without a file the manager is open. A file that was there once and is gone, or cannot be read any more, opens nothing: what was in force
/// stays in force, and of a file that is gone nobody has a token any more.
package final class TokenKeeper: Sendable {
    private struct Print: Equatable {
        var inode: UInt64
        var seconds: Int
        var nanoseconds: Int
        var size: Int64
    }
    private struct State {
        var print: Print?
        var list: TokenList?
        var lastProblem: String?
    }
    package let path: String
    private let state = Mutex(State())
    private let log: @Sendable (String) -> Void

    /// - Throws: when the file is there and cannot be used.
    package init(path: String, log: @escaping @Sendable (String) -> Void) throws(AccessError) {
        self.path = path
        self.log = log
        guard let print = Self.print(of: path) else { return }
        let list = try TokenFile.read(path)
        state.withLock { $0 = State(print: print, list: list) }
    }

    /// nil: there is no file, and never was since this process began.
    package var list: TokenList? {
        let now = Self.print(of: path)
        return state.withLock { state in
            guard now != state.print else { return state.list }
            var problem: String?
            if now != nil {
                do throws(AccessError) { state.list = try TokenFile.read(path) } catch { problem = "\(error); the tokens before stay in force" }
            } else if state.list != nil {
                state.list = TokenList()
                problem = "\(path) is gone: no token is good any more"
            }
            if problem == nil || now == nil { state.print = now }
            if let problem, problem != state.lastProblem { log(problem) }
            state.lastProblem = problem
            return state.list
        }
    }

    private static func print(of path: String) -> Print? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Print(
            inode: UInt64(status.st_ino), seconds: Int(status.st_mtim.tv_sec), nanoseconds: Int(status.st_mtim.tv_nsec),
            size: Int64(status.st_size))
    }
}
