import Foundation
import Vocabulary

/// A file of this machine that is put into the base system.
package struct ExtraFile: Hashable, Sendable {
    /// A regular file here.
    package var source: String
    /// Absolute path in the guest.
    package var destination: String
    package init(source: String, destination: String) { self.source = source; self.destination = destination }
}

/// What an image is made of. Everything but its name and place has a default.
package struct ImageRecipe: Hashable, Sendable {
    /// Lower-case letters, digits and dashes; recorded in the manifest.
    package var name: String
    /// Directory that becomes the image. It may hold an older image, which is replaced, or be absent; never anything else.
    package var directory: String
    /// Size of the delta template, and of a task's delta disk that names no other. For a backing file: room in the base's file system.
    package var deltaSize: ByteCount
    package var union: GuestUnion
    /// Kernel (bzImage). nil: this machine's /boot, else Debian's cloud kernel, downloaded.
    package var kernel: String?
    /// The kernel's modules, `…/lib/modules/VERSION`. nil: beside the kernel.
    package var modules: String?
    /// A program of one's own to install in /usr/bin under its own name: static, or a shell script.
    package var workload: String?
    package var files: [ExtraFile]

    package init(
        name: String, directory: String, deltaSize: ByteCount = .mebibytes(512), union: GuestUnion = .auto, kernel: String? = nil,
        modules: String? = nil, workload: String? = nil, files: [ExtraFile] = []
    ) {
        self.name = name
        self.directory = directory
        self.deltaSize = deltaSize
        self.union = union
        self.kernel = kernel
        self.modules = modules
        self.workload = workload
        self.files = files
    }
}

extension ImageRecipe {
    /// Smallest delta disk: below it ext4 has no room for a journal and a task's file.
    static let smallestDelta = ByteCount.mebibytes(16)
    /// Source: ext4's largest file system with 4 KiB blocks (16 TiB), and far more than a checkpoint should ever carry.
    static let largestDelta = ByteCount.gibibytes(16 << 10)
    /// What the image itself puts there.
    static let ownPaths: Set<String> = ["/sbin/init", "/bin/busybox", "/bin/sh", "/usr/bin/hashchain"]

    /// Everything that is wrong with the recipe as written, before any work.
    package func problems() -> [ImageProblem] {
        nameProblems() + directoryProblems() + deltaProblems() + kernelProblems() + fileProblems()
    }

    private func nameProblems() -> [ImageProblem] {
        let allowed =
            !name.isEmpty && name.count <= 64 && !name.hasPrefix("-")
            && name.utf8.allSatisfy { ("a"..."z").contains(UnicodeScalar($0)) || ("0"..."9").contains(UnicodeScalar($0)) || $0 == 45 }
        return allowed ? [] : [ImageProblem("name", "“\(name)” is not a name of 1 to 64 lower-case letters, digits and dashes")]
    }

    private func directoryProblems() -> [ImageProblem] {
        if directory.isEmpty { return [ImageProblem("directory", "no directory is given for the image")] }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory) else { return [] }
        if !isDirectory.boolValue { return [ImageProblem("directory", "\(directory) is a file")] }
        if FileManager.default.fileExists(atPath: directory + "/" + GuestImage.manifestName) { return [] }
        do {
            if try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty { return [] }
        } catch {
            return [ImageProblem("directory", "\(directory) cannot be read: \(error.localizedDescription)")]
        }
        return [
            ImageProblem(
                "directory", "\(directory) holds something that is not a guest image", suggestion: "choose a directory that is empty or not there")
        ]
    }

    private func deltaProblems() -> [ImageProblem] {
        if let problem = GuestImage.problem(inDeltaSize: deltaSize) { return [ImageProblem("deltaSize", problem)] }
        return []
    }

    private func kernelProblems() -> [ImageProblem] {
        var problems: [ImageProblem] = []
        if let kernel, KernelFile.version(of: kernel) == nil {
            problems.append(
                FileManager.default.isReadableFile(atPath: kernel)
                    ? ImageProblem("kernel", "\(kernel) is not a Linux kernel for x86 (bzImage)")
                    : ImageProblem("kernel", "\(kernel) cannot be read"))
        }
        if let modules {
            if kernel == nil {
                problems.append(
                    ImageProblem("modules", "modules are given without the kernel that they belong to", suggestion: "give the kernel as well"))
            }
            if !FileManager.default.fileExists(atPath: modules + "/modules.builtin") {
                problems.append(
                    ImageProblem("modules", "\(modules) holds no kernel modules", suggestion: "a directory like /lib/modules/6.1.0-38-cloud-amd64"))
            }
        }
        return problems
    }

    private func fileProblems() -> [ImageProblem] {
        var problems: [ImageProblem] = []
        if let workload { problems += ProgramFile.problems(subject: "workload", path: workload, mayBeDynamic: false) }
        var taken = Self.ownPaths
        if let workload { taken.insert("/usr/bin/" + (workload as NSString).lastPathComponent) }
        for (index, file) in files.enumerated() {
            let subject = "files[\(index)]"
            problems += ProgramFile.problems(subject: subject, path: file.source, mayBeDynamic: true)
            let parts = file.destination.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            if !file.destination.hasPrefix("/") || parts.isEmpty || parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) {
                problems.append(ImageProblem(subject, "“\(file.destination)” is not an absolute path of a file in the guest"))
            } else if !taken.insert(file.destination).inserted {
                problems.append(ImageProblem(subject, "\(file.destination) is taken already"))
            }
        }
        return problems
    }
}

/// What can be told about a program by looking into it.
enum ProgramFile {
    static func problems(subject: String, path: String, mayBeDynamic: Bool) -> [ImageProblem] {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            return [ImageProblem(subject, "\(path) does not exist")]
        }
        if isDirectory.boolValue { return [ImageProblem(subject, "\(path) is a directory, not a file")] }
        guard let content = FileManager.default.contents(atPath: path) else { return [ImageProblem(subject, "\(path) cannot be read")] }
        if !mayBeDynamic, let interpreter = interpreter(of: content) {
            return [ImageProblem(subject, "\(path) needs \(interpreter), which the guest does not have", suggestion: "link it with -static")]
        }
        return []
    }

    /// The dynamic loader that a 64-bit little-endian ELF file asks for; nil for static programs and everything else.
    ///
    /// Source: ELF-64 Object File Format, program header of type PT_INTERP (3).
    static func interpreter(of content: Data) -> String? {
        let bytes = [UInt8](content)
        guard bytes.count >= 64, bytes[0..<5] == [0x7f, 0x45, 0x4c, 0x46, 2], bytes[5] == 1 else { return nil }
        func number(_ offset: Int, _ length: Int) -> Int? {
            guard offset >= 0, length <= bytes.count, offset <= bytes.count - length else { return nil }
            let value = (0..<length).reduce(UInt64(0)) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
            return Int(exactly: value)
        }
        guard let table = number(32, 8), let size = number(54, 2), let count = number(56, 2), table < bytes.count else { return nil }
        for header in (0..<count).map({ table + $0 * size }) {
            guard let type = number(header, 4) else { return nil }
            guard type == 3 else { continue }
            guard let offset = number(header + 8, 8), let length = number(header + 32, 8), offset < bytes.count, length <= bytes.count - offset else {
                return nil
            }
            return String(decoding: bytes[offset..<(offset + length)].prefix { $0 != 0 }, as: UTF8.self)
        }
        return nil
    }
}
