import Foundation
import Glibc

/// A kernel as a file: a bzImage for x86.
enum KernelFile {
    /// The version that the file itself names; nil when it is no kernel or cannot be read.
    ///
    /// Source: The Linux/x86 Boot Protocol: "HdrS" at 0x202, `kernel_version` at 0x20e, relative to 0x200.
    static func version(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 0x10000)
        let length = pread(descriptor, &bytes, bytes.count, 0)
        guard length > 0x210, bytes[0x202..<0x206] == [0x48, 0x64, 0x72, 0x53] else { return nil }
        let offset = 0x200 + Int(bytes[0x20e]) + Int(bytes[0x20f]) << 8
        guard offset > 0x200, offset < length else { return nil }
        let word = bytes[offset..<length].prefix { $0 > 0x20 && $0 < 0x7f }.prefix(128)
        return word.isEmpty ? nil : String(decoding: word, as: UTF8.self)
    }
}

/// A kernel with the modules that belong to it.
struct Kernel: Hashable, Sendable {
    var version: String
    var image: String
    /// `…/lib/modules/VERSION`
    var modules: String
    /// Debian's package with its version, where it was downloaded.
    var package: String?
}

/// Where a kernel comes from: what the recipe names, this machine's /boot, or Debian.
struct KernelSource: Sendable {
    /// Downloaded kernels are kept below it, each in a directory named by its package and version.
    var cache: String
    /// Directories that stand for / when looking for boot/vmlinuz-VERSION and lib/modules/VERSION.
    var roots: [String] = ["/"]

    static let metaPackage = "linux-image-cloud-amd64"

    /// `$CAIRN_CACHE`, else `~/.cache/cairn`.
    static var defaultCache: String {
        let environment = ProcessInfo.processInfo.environment
        if let named = environment["CAIRN_CACHE"], !named.isEmpty { return named + "/kernel" }
        return (environment["HOME"] ?? NSHomeDirectory()) + "/.cache/cairn/kernel"
    }

    func find(_ recipe: ImageRecipe, progress: (String) -> Void) throws(ImageError) -> Kernel {
        if let image = recipe.kernel { return try named(image, modules: recipe.modules) }
        for root in roots {
            if let kernel = try newest(in: root) {
                progress("kernel \(kernel.version) from \(kernel.image)")
                return kernel
            }
        }
        return try debian(progress: progress)
    }

    private func named(_ image: String, modules: String?) throws(ImageError) -> Kernel {
        guard let version = KernelFile.version(of: image) else {
            throw .problems([ImageProblem("kernel", "\(image) is not a Linux kernel for x86 (bzImage)")])
        }
        let beside = URL(fileURLWithPath: image).standardizedFileURL.deletingLastPathComponent().deletingLastPathComponent().path
        let places = modules.map { [$0] } ?? ["\(beside)/lib/modules/\(version)", "/lib/modules/\(version)"]
        guard let found = places.first(where: { FileManager.default.fileExists(atPath: $0 + "/modules.builtin") }) else {
            throw .problems([
                ImageProblem("modules", "no modules of kernel \(version) in \(places.joined(separator: " or "))", suggestion: "name their directory")
            ])
        }
        let resolved = URL(fileURLWithPath: found).standardizedFileURL.path
        let theirs = (resolved as NSString).lastPathComponent
        guard theirs == version else {
            throw .problems([ImageProblem("modules", "\(found) are modules of \(theirs), the kernel is \(version)")])
        }
        return Kernel(version: version, image: image, modules: resolved)
    }

    /// The newest kernel installed below `root` that has its modules and can be read; a cloud kernel before any other.
    private func newest(in root: String) throws(ImageError) -> Kernel? {
        let boot = (root as NSString).appendingPathComponent("boot")
        let kernels = try names(in: boot).filter { $0.hasPrefix("vmlinuz-") }.compactMap { name -> Kernel? in
            let image = "\(boot)/\(name)"
            guard let version = KernelFile.version(of: image) else { return nil }
            let modules = (root as NSString).appendingPathComponent("lib/modules/\(version)")
            guard FileManager.default.fileExists(atPath: modules + "/modules.builtin") else { return nil }
            return Kernel(version: version, image: image, modules: modules)
        }
        return kernels.max { a, b in
            let (cloudA, cloudB) = (a.version.contains("cloud"), b.version.contains("cloud"))
            return cloudA == cloudB ? a.version.compare(b.version, options: .numeric) == .orderedAscending : cloudB
        }
    }

    // MARK: Debian

    private func debian(progress: (String) -> Void) throws(ImageError) -> Kernel {
        let missing = [ExternalTool.packageQuery, .packageDownload, .packageUnpack].compactMap(\.problem)
        guard missing.isEmpty, let (package, archive) = try candidate() else {
            var kept: [Kernel] = []
            for name in try names(in: cache) where !name.hasPrefix(".") {
                if let kernel = try unpacked(name) { kept.append(kernel) }
            }
            if let newest = kept.max(by: { $0.version.compare($1.version, options: .numeric) == .orderedAscending }) {
                progress("kernel \(newest.version) as downloaded earlier (Debian's package lists are not here)")
                return newest
            }
            throw .problems(
                missing + [
                    ImageProblem(
                        "kernel", "this machine has no kernel in /boot, and its package lists name no \(Self.metaPackage)",
                        suggestion: "apt-get update, or give a kernel and its modules")
                ])
        }
        if let kernel = try unpacked(archive) {
            progress("kernel \(kernel.version) as downloaded earlier")
            return kernel
        }
        progress("downloading Debian's \(archive)")
        let staging = try StagingDirectory(for: "\(cache)/\(archive)")
        do throws(ImageError) {
            try download(package, into: staging)
        } catch {
            try staging.discard()
            throw error
        }
        guard let kernel = try unpacked(archive) else { throw .failed(step: "unpacking \(package)", detail: "it holds no kernel with modules") }
        progress("kernel \(kernel.version)")
        return kernel
    }

    /// The package that the meta package stands for today, and its archive's name with version and architecture; nil when the
    /// package lists do not have it.
    private func candidate() throws(ImageError) -> (package: String, archive: String)? {
        let step = "asking for Debian's kernel"
        let text = try ExternalTool.packageQuery.run(["depends", Self.metaPackage], step: step, accepted: [0, 100])
        let depends = text.split(separator: "\n").map { $0.split(separator: " ") }
        guard let package = depends.first(where: { $0.count == 2 && $0[0] == "Depends:" && $0[1].hasPrefix("linux-image-") })?[1] else { return nil }
        // 'http://…' linux-image-VERSION_amd64.deb SIZE DIGEST
        let place = try ExternalTool.packageDownload.run(["-q", "download", "--print-uris", String(package)], step: step, accepted: [0, 100])
        guard let archive = place.split(whereSeparator: \.isWhitespace).first(where: { $0.hasPrefix("linux-image-") && $0.hasSuffix(".deb") }) else {
            return nil
        }
        return (String(package), String(archive.dropLast(".deb".count)))
    }

    private func download(_ package: String, into staging: StagingDirectory) throws(ImageError) {
        // As root, apt fetches as the user _apt, who must be able to write here.
        let fetch = staging.path + "/fetch"
        let step = "downloading \(package)"
        do {
            try FileManager.default.createDirectory(atPath: fetch, withIntermediateDirectories: false)
            try ExternalTool.packageDownload.run(["-q", "-o", "APT::Sandbox::User=root", "download", package], step: step, in: fetch)
            let archives = try FileManager.default.contentsOfDirectory(atPath: fetch).filter { $0.hasSuffix(".deb") }
            guard archives.count == 1 else { throw ImageError.failed(step: step, detail: "\(archives.count) archives came instead of one") }
            try ExternalTool.packageUnpack.run(["-x", "\(fetch)/\(archives[0])", staging.path], step: "unpacking \(package)")
            try FileManager.default.removeItem(atPath: fetch)
        } catch let error as ImageError {
            throw error
        } catch {
            throw .failed(step: step, detail: error.localizedDescription)
        }
        // Another build may have been quicker; what it made is as good, and may be in use.
        try staging.commit(replacing: false)
    }

    private func unpacked(_ archive: String) throws(ImageError) -> Kernel? {
        guard var kernel = try newest(in: "\(cache)/\(archive)") else { return nil }
        kernel.package = archive
        return kernel
    }

    /// Names in a directory; none where there is no such directory.
    private func names(in directory: String) throws(ImageError) -> [String] {
        guard FileManager.default.fileExists(atPath: directory) else { return [] }
        do { return try FileManager.default.contentsOfDirectory(atPath: directory).sorted() } catch {
            throw .failed(step: "looking for kernels in \(directory)", detail: error.localizedDescription)
        }
    }
}
