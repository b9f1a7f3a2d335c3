import Foundation
import Glibc

/// A program of this machine that a build needs, and the Debian package that brings it.
struct ExternalTool: Hashable, Sendable {
    var name: String
    var debianPackage: String

    static let compiler = ExternalTool(name: "cc", debianPackage: "gcc libc6-dev")
    static let squashfs = ExternalTool(name: "mksquashfs", debianPackage: "squashfs-tools")
    static let ext4 = ExternalTool(name: "mke2fs", debianPackage: "e2fsprogs")
    static let diskImages = ExternalTool(name: "qemu-img", debianPackage: "qemu-utils")
    static let busybox = ExternalTool(name: "busybox", debianPackage: "busybox-static")
    static let moduleIndex = ExternalTool(name: "depmod", debianPackage: "kmod")
    static let gzip = ExternalTool(name: "gzip", debianPackage: "gzip")
    static let xz = ExternalTool(name: "xz", debianPackage: "xz-utils")
    static let zstd = ExternalTool(name: "zstd", debianPackage: "zstd")
    static let diskUsage = ExternalTool(name: "du", debianPackage: "coreutils")
    static let digests = ExternalTool(name: "sha256sum", debianPackage: "coreutils")
    static let namespaces = ExternalTool(name: "unshare", debianPackage: "util-linux")
    static let ext4Editor = ExternalTool(name: "debugfs", debianPackage: "e2fsprogs")
    static let ext4Check = ExternalTool(name: "e2fsck", debianPackage: "e2fsprogs")
    static let copy = ExternalTool(name: "cp", debianPackage: "coreutils")
    static let packageQuery = ExternalTool(name: "apt-cache", debianPackage: "apt")
    static let packageDownload = ExternalTool(name: "apt-get", debianPackage: "apt")
    static let packageUnpack = ExternalTool(name: "dpkg-deb", debianPackage: "dpkg")

    /// Where it is: PATH, and the places that PATH often lacks for a user who is not root.
    var path: String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return (folders + ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]).map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    var problem: ImageProblem? {
        path == nil ? ImageProblem(name, "this program is not installed", suggestion: "apt-get install \(debianPackage)") : nil
    }

    /// Runs it to its end and returns its standard output.
    ///
    /// - Throws: when it is missing, or ends with a status that is not among `accepted`, with the end of what it said.
    @discardableResult
    func run(
        _ arguments: [String], step: String, in directory: String? = nil, environment: [String: String] = [:], output: String? = nil,
        accepted: Set<Int32> = [0]
    ) throws(ImageError) -> String {
        guard let path else { throw .problems([problem].compactMap(\.self)) }
        return try ExternalTool.run(path, arguments, step: step, in: directory, environment: environment, output: output, accepted: accepted).text
    }

    /// Runs a program to its end. Its output goes to files, never to pipes, so that nothing can stall.
    ///
    /// - Parameter output: file that takes standard output; nil: it is returned.
    static func run(
        _ program: String, _ arguments: [String], step: String, in directory: String? = nil, environment: [String: String] = [:],
        output: String? = nil, accepted: Set<Int32> = [0]
    ) throws(ImageError) -> (text: String, status: Int32) {
        let scratch = NSTemporaryDirectory() + "cairn-tool-" + UUID().uuidString
        let outputPath = output ?? scratch + ".out"
        let errorPath = scratch + ".err"
        defer {
            if output == nil { unlink(outputPath) }
            unlink(errorPath)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)

        var variables = ProcessInfo.processInfo.environment
        variables["LC_ALL"] = "C"
        variables.merge(environment) { $1 }
        let command = (directory.map { ["/usr/bin/env", "-C", $0] } ?? []) + [program] + arguments
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var settings: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in words + settings { free(word) } }

        var process = pid_t()
        let spawned = posix_spawn(&process, command[0], &actions, nil, &words, &settings)
        guard spawned == 0 else { throw .failed(step: step, detail: "\(program) cannot be started: \(String(cString: strerror(spawned)))") }
        var raw: Int32 = 0
        while waitpid(process, &raw, 0) < 0 {
            guard errno == EINTR else { throw .failed(step: step, detail: "the end of \(program) was not seen: \(String(cString: strerror(errno)))") }
        }
        let signal = raw & 0x7f
        let status = signal == 0 ? (raw >> 8) & 0xff : 128 + signal
        let said = output == nil ? text(outputPath) : ""
        guard accepted.contains(status) else {
            let complaint = (text(errorPath) + (said.isEmpty ? "" : "\n" + said)).trimmingCharacters(in: .whitespacesAndNewlines)
            let end = complaint.split(separator: "\n").suffix(6).joined(separator: "; ")
            throw .failed(
                step: step, detail: "\((program as NSString).lastPathComponent) ended with status \(status)" + (end.isEmpty ? "" : ": \(end)"))
        }
        return (said, status)
    }

    private static func text(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
