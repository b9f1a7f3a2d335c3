import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Guests' consoles, which Xen's console daemon writes down.
///
/// The daemon opens `guest-NAME.log` for appending when a domain comes up, as a new one or out of a save image, and writes before it hands on what
/// it read. A link in that place makes it write into the file that the guest's description names: no line is copied, and none is lost while
/// nobody of ours runs, or between a save and a restore. Source: Xen 4.17, tools/console/daemon/io.c, `create_console_log`.
struct XenConsole {
    /// Where the daemon keeps its logs.
    let directory: String

    init(directory: String) { self.directory = directory }

    /// As the daemon that runs here was told.
    /// - Throws: `.unsupported`, with what to do, when it does not write consoles down as they come.
    static func found(processes: String = "/proc") throws(HypervisorError) -> XenConsole {
        let advice = "start xenconsoled with --log=guest (Debian: XENCONSOLED_TRACE=guest in /etc/default/xen)"
        let what = "follow its guests' consoles"
        guard let arguments = daemon(processes) else { throw .unsupported(what: what, detail: "xenconsoled does not run: \(advice)") }
        guard let log = value(of: "--log", in: arguments), ["guest", "all"].contains(log) else {
            throw .unsupported(what: what, detail: "xenconsoled does not write them down: \(advice)")
        }
        // Each line would begin with a time, and no pattern for a line's beginning would fit.
        let stamped = value(of: "--timestamp", in: arguments) ?? value(of: "-t", in: arguments)
        if let stamped, stamped != "none", stamped != "hv" {
            throw .unsupported(what: what, detail: "xenconsoled puts times before their lines: start it without --timestamp=\(stamped)")
        }
        return XenConsole(directory: value(of: "--log-dir", in: arguments) ?? "/var/log/xen/console")
    }

    private static func daemon(_ processes: String) -> [String]? {
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: processes)) ?? [] where entry.allSatisfy(\.isNumber) {
            guard let content = FileManager.default.contents(atPath: "\(processes)/\(entry)/cmdline") else { continue }
            let words = content.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            if words.first?.split(separator: "/").last == "xenconsoled" { return words }
        }
        return nil
    }

    private static func value(of option: String, in words: [String]) -> String? {
        for (index, word) in words.enumerated() {
            if word.hasPrefix(option + "=") { return String(word.dropFirst(option.count + 1)) }
            if word == option, index + 1 < words.count { return words[index + 1] }
        }
        return nil
    }

    private func log(_ name: String) -> String { "\(directory)/guest-\(name).log" }

    /// From the domain's next coming up, its console is appended to a file. To be called while there is no such domain.
    func attach(_ name: String, to file: String) throws(HypervisorError) {
        func trouble(_ call: String) -> HypervisorError {
            .failed(operation: "console", name: name, code: errno, detail: "\(call): \(String(cString: strerror(errno)))")
        }
        let made = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard made >= 0 else { throw trouble("open \(file)") }
        close(made)
        let log = log(name)
        var status = stat()
        if lstat(log, &status) == 0 {
            // A link of an earlier life goes; what the daemon wrote for somebody else stays.
            let done = status.st_mode & S_IFMT == S_IFLNK ? unlink(log) : rename(log, log + ".before")
            guard done == 0 else { throw trouble("clear \(log)") }
        }
        guard symlink(file, log) == 0 else { throw trouble("link \(log)") }
    }

    /// The link goes; what was written stays.
    func detach(_ name: String) {
        var status = stat()
        if lstat(log(name), &status) == 0, status.st_mode & S_IFMT == S_IFLNK { unlink(log(name)) }
    }

    /// The file that a domain's console is appended to now; nil: none of ours.
    func file(of name: String) -> String? { try? FileManager.default.destinationOfSymbolicLink(atPath: log(name)) }
}
