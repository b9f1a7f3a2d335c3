import Foundation
import Ports
import Synchronization
import Vocabulary

/// Layers of delta disks by `qemu-img`, the first one with an empty ext4 by `mke2fs`.
package struct QemuDisks: DeltaDisks {
    private let templates: String

    /// - Parameter templates: directory in which empty file systems are kept for the next task of their size.
    package init(templates: String) { self.templates = templates }

    package func makeFirstLayer(at path: String, size: ByteCount) async throws(DeltaDiskError) {
        try await onBlockingThread { () throws(DeltaDiskError) in
            let template = "\(templates)/ext4-\(size.rawValue).qcow2"
            if !FileManager.default.fileExists(atPath: template) { try makeTemplate(template, size) }
            do { try FileManager.default.copyItem(atPath: template, toPath: path) } catch {
                throw .failed(operation: "copy", path: path, detail: error.localizedDescription)
            }
        }
    }

    package func makeFirstLayer(at path: String, size: ByteCount, onBase base: String) async throws(DeltaDiskError) {
        try await onBlockingThread { () throws(DeltaDiskError) in
            // A disk has whole sectors.
            let bytes = max(size.rawValue, (try information(base).size + 511) / 512 * 512)
            try Tool.qemuImage.run(["create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", path, String(bytes)], on: path)
        }
    }

    private func makeTemplate(_ template: String, _ size: ByteCount) throws(DeltaDiskError) {
        let raw = "\(template).\(UUID().uuidString).raw"
        let made = raw + ".qcow2"
        do {
            try FileManager.default.createDirectory(atPath: templates, withIntermediateDirectories: true)
            try Data().write(to: URL(fileURLWithPath: raw))
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: raw))
            try handle.truncate(atOffset: UInt64(size.rawValue))
            try handle.close()
        } catch { throw .failed(operation: "make", path: raw, detail: error.localizedDescription) }
        defer { for left in [raw, made] { unlink(left) } }
        // Lazily: what is not written stays out of the image and of every checkpoint.
        try Tool.mke2fs.run(["-q", "-F", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", raw], on: raw)
        try Tool.qemuImage.run(["convert", "-q", "-f", "raw", "-O", "qcow2", raw, made], on: made)
        guard rename(made, template) == 0 else { throw .failed(operation: "rename", path: template, detail: String(cString: strerror(errno))) }
    }

    package func makeOverlay(at path: String, on backing: String) async throws(DeltaDiskError) {
        try await onBlockingThread { () throws(DeltaDiskError) in
            // The size is read from the layer below, which a guest may have open: read without its lock.
            try Tool.qemuImage.run(
                ["create", "-q", "-f", "qcow2", "-u", "-b", name(backing), "-F", "qcow2", path, String(try information(backing).size)], on: path)
        }
    }

    package func rebase(_ path: String, onto backing: String) async throws(DeltaDiskError) {
        try await onBlockingThread { () throws(DeltaDiskError) in
            try Tool.qemuImage.run(["rebase", "-q", "-u", "-b", name(backing), "-F", "qcow2", path], on: path)
        }
    }

    package func rebase(_ path: String, ontoBase base: String) async throws(DeltaDiskError) {
        try await onBlockingThread { () throws(DeltaDiskError) in
            try Tool.qemuImage.run(["rebase", "-q", "-u", "-b", base, "-F", "raw", path], on: path)
        }
    }

    package func merge(_ layers: [String], into path: String) async throws(DeltaDiskError) {
        guard let top = layers.last, let lowest = layers.first else { throw .failed(operation: "merge", path: path, detail: "there are no layers") }
        try await onBlockingThread { () throws(DeltaDiskError) in
            guard let base = try information(lowest).base else {
                return try Tool.qemuImage.run(["convert", "-q", "-f", "qcow2", "-O", "qcow2", top, path], on: path)
            }
            // A copy of the top layer that takes in what the layers between it and the base hold otherwise than the base. Not `convert -B`, which
            // takes the top layer's own clusters alone. Source: qemu-img(1), rebase, "safe mode".
            do { try FileManager.default.copyItem(atPath: top, toPath: path) } catch {
                throw .failed(operation: "copy", path: path, detail: error.localizedDescription)
            }
            if top != lowest { try Tool.qemuImage.run(["rebase", "-q", "-f", "qcow2", "-b", base, "-F", "raw", path], on: path) }
        }
    }

    package func check(_ path: String) async throws(DeltaDiskError) {
        try await onBlockingThread { () throws(DeltaDiskError) in
            let outcome = try Tool.qemuImage.outcome(["check", "-q", "-f", "qcow2", path])
            // 3: leaked clusters, which cost space and lose nothing. Source: qemu-img(1).
            guard outcome.status == 0 || outcome.status == 3 else { throw .damaged(path: path, detail: outcome.output) }
        }
    }

    private func name(_ path: String) -> String { (path as NSString).lastPathComponent }

    private struct Information: Decodable {
        var size: Int64
        private var backing: String?
        private var backingFormat: String?
        enum CodingKeys: String, CodingKey {
            case size = "virtual-size"
            case backing = "backing-filename"
            case backingFormat = "backing-filename-format"
        }
        /// A raw file below it: a base. Layers are qcow2.
        var base: String? { backingFormat == "raw" ? backing : nil }
    }

    /// A guest may have it open: read without its lock.
    private func information(_ path: String) throws(DeltaDiskError) -> Information {
        let outcome = try Tool.qemuImage.outcome(["info", "-U", "--output=json", path])
        guard outcome.status == 0 else { throw .failed(operation: "info", path: path, detail: outcome.output) }
        do { return try JSONDecoder().decode(Information.self, from: Data(outcome.output.utf8)) } catch {
            throw .failed(operation: "info", path: path, detail: "\(error)")
        }
    }
}

/// A program from a Debian package.
private enum Tool: String {
    case qemuImage = "qemu-img"
    case mke2fs

    private var debianPackage: String {
        switch self {
        case .qemuImage: "qemu-utils"
        case .mke2fs: "e2fsprogs"
        }
    }

    /// - Throws: `.failed`, or `.full` when there is no space left.
    func run(_ arguments: [String], on path: String) throws(DeltaDiskError) {
        let outcome = try outcome(arguments)
        guard outcome.status == 0 else {
            throw outcome.output.contains("No space left")
                ? .full(path: path) : .failed(operation: "\(rawValue) \(arguments[0])", path: path, detail: outcome.output)
        }
    }

    func outcome(_ arguments: [String]) throws(DeltaDiskError) -> (status: Int32, output: String) {
        let folders =
            (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
        guard let found = folders.map({ $0 + "/" + rawValue }).first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
            throw .missingTool(name: rawValue, debianPackage: debianPackage)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: found)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        do { try process.run() } catch { throw .failed(operation: rawValue, path: found, detail: error.localizedDescription) }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
