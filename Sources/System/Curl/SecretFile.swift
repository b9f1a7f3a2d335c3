import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// A file that holds a password, a token or a key, for our eyes alone.
///
/// It is read whenever it is used, so that a secret can be changed without a restart, and what it holds is in no error.
package enum SecretFile {
    package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// - Throws: when it is no file, or others than its owner may do anything with it.
    package static func check(_ path: String) throws(Problem) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Problem(description: "\(path) cannot be read: \(String(cString: strerror(errno)))") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Problem(description: "\(path) is no file") }
        let mode = status.st_mode & 0o777
        guard mode & 0o077 == 0 else {
            throw Problem(description: "\(path) holds a secret, and its mode \(String(mode, radix: 8)) lets others at it: chmod 600 \(path)")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 || geteuid() == 0 else {
            throw Problem(description: "\(path) holds a secret, and belongs to another user (\(status.st_uid)): chown \(geteuid()) \(path)")
        }
        guard access(path, R_OK) == 0 else { throw Problem(description: "\(path) cannot be read: \(String(cString: strerror(errno)))") }
    }

    /// Its first line. A secret of several lines, or with control characters, could say more to a server than it should.
    package static func line(_ path: String) throws(Problem) -> String {
        try check(path)
        let bytes: Data
        do { bytes = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            throw Problem(description: "\(path) cannot be read: \(error.localizedDescription)")
        }
        guard bytes.count <= 65_536, let text = String(validating: bytes, as: UTF8.self) else {
            throw Problem(description: "\(path) holds no text of one line")
        }
        let line = text.hasSuffix("\r\n") ? text.dropLast(1) : text.hasSuffix("\n") ? text.dropLast(1) : text[...]
        guard !line.isEmpty else { throw Problem(description: "\(path) is empty: it is to hold a secret, as one line") }
        guard line.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
            throw Problem(description: "\(path) is to hold a secret as one line, without control characters")
        }
        return String(line)
    }
}
