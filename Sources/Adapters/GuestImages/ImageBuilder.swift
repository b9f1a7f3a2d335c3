import Foundation
import Glibc
import Vocabulary

/// Makes guest images from this machine's busybox and a kernel, as any user.
///
/// It blocks for some seconds: call it on a thread that may.
package struct ImageBuilder: Sendable {
    private let kernels: KernelSource

    package init() { kernels = KernelSource(cache: KernelSource.defaultCache) }
    init(kernels: KernelSource) { self.kernels = kernels }

    /// Makes an image, or replaces one: whole or not at all. Equal recipes with equal tools make equal files.
    ///
    /// - Parameter progress: told in words what is being done.
    /// - Throws: everything that is wrong with the recipe and this machine at once, or the step that failed.
    package func build(_ recipe: ImageRecipe, progress: (String) -> Void = { _ in }) throws(ImageError) -> GuestImage {
        let problems = recipe.problems() + Self.tools.compactMap(\.problem)
        guard problems.isEmpty else { throw .problems(problems) }
        let kernel = try kernels.find(recipe, progress: progress)
        let modules = try KernelModules(of: kernel, union: recipe.union)

        let staging = try StagingDirectory(for: recipe.directory)
        do throws(ImageError) {
            let work = ImageWork(recipe: recipe, kernel: kernel, modules: modules, directory: staging.path)
            try work.make(progress: progress)
            try staging.commit(replacing: true)
        } catch {
            try staging.discard()
            throw error
        }
        progress("image \(recipe.name) in \(staging.target)")
        return try GuestImage.load(staging.target)
    }

    static let tools: [ExternalTool] = [.compiler, .squashfs, .ext4, .diskImages, .busybox, .moduleIndex, .gzip, .digests]
}

/// One build under way, in its working directory.
private struct ImageWork {
    let recipe: ImageRecipe
    let kernel: Kernel
    let modules: KernelModules
    let directory: String

    private var scratch: String { directory + "/scratch" }

    func make(progress: (String) -> Void) throws(ImageError) {
        try makeDirectory(scratch)
        try copy(kernel.image, to: directory + "/vmlinuz")
        progress("compiling hashchain")
        try compile()
        let busybox = try staticBusybox()
        progress("packing the ramdisk: \(modules.files.map { KernelModules.name(of: $0) }.joined(separator: " "))")
        try packRamdisk(busybox: busybox)
        progress("packing the base")
        try packBase(busybox: busybox)
        if recipe.union != .backingFile {
            progress("making the delta template")
            try GuestImage.makeDelta(size: recipe.deltaSize, at: directory + "/delta.qcow2")
        }
        try remove(scratch)
        try writeManifest()
    }

    private func compile() throws(ImageError) {
        try write(Data(PackageResources.hashchain_c), to: scratch + "/hashchain.c")
        try ExternalTool.compiler.run(
            ["-O2", "-static", "-pthread", "-s", "-o", directory + "/hashchain", "hashchain.c"], step: "compiling hashchain", in: scratch)
    }

    private func staticBusybox() throws(ImageError) -> (content: Data, applets: [String]) {
        guard let path = ExternalTool.busybox.path, let content = FileManager.default.contents(atPath: path) else {
            throw .problems([ImageProblem("busybox", "this program cannot be read", suggestion: "apt-get install busybox-static")])
        }
        if ProgramFile.interpreter(of: content) != nil {
            throw .problems([ImageProblem("busybox", "\(path) is linked dynamically", suggestion: "apt-get install busybox-static")])
        }
        let applets = try ExternalTool.busybox.run(["--list"], step: "asking busybox for its commands").split(separator: "\n").map(String.init)
        let missing = Self.ramdiskCommands.filter { !applets.contains($0) }
        guard missing.isEmpty else {
            throw .problems([ImageProblem("busybox", "\(path) lacks \(missing.joined(separator: " "))", suggestion: "apt-get install busybox-static")]
            )
        }
        return (content, applets.filter { $0 != "busybox" })
    }

    private static let ramdiskCommands = ["sh", "mount", "mkdir", "insmod", "sleep", "switch_root", "cat", "poweroff", "sync", "grep", "stty"]

    private func packRamdisk(busybox: (content: Data, applets: [String])) throws(ImageError) {
        var archive = RamdiskArchive()
        for path in ["base", "bin", "delta", "dev", "etc", "etc/cairn", "modules", "proc", "sys", "united"] { archive.addDirectory(path) }
        archive.addFile("init", Data(PackageResources.init_sh), executable: true)
        archive.addFile("bin/busybox", busybox.content, executable: true)
        for command in Self.ramdiskCommands { archive.addLink("bin/\(command)", to: "busybox") }
        var order = ""
        for file in modules.files {
            let name = KernelModules.name(of: file) + ".ko"
            archive.addFile("modules/\(name)", try KernelModules.content(of: file, in: kernel, scratch: scratch))
            order += name + "\n"
        }
        archive.addFile("modules/order", Data(order.utf8))
        archive.addFile("etc/cairn/union.sh", Data(PackageResources.union_sh))
        archive.addFile("etc/cairn/union", Data((recipe.union.rawValue + "\n").utf8))
        archive.finish()
        try write(archive.bytes, to: scratch + "/ramdisk.cpio")
        try ExternalTool.gzip.run(["-9nc", scratch + "/ramdisk.cpio"], step: "compressing the ramdisk", output: directory + "/ramdisk")
    }

    private func packBase(busybox: (content: Data, applets: [String])) throws(ImageError) {
        let root = scratch + "/base"
        for path in [
            "", "/bin", "/dev", "/etc", "/mnt", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/sbin", "/var",
            "/var/lib", "/var/log", "/var/tmp",
        ] {
            try makeDirectory(root + path)
        }
        for path in ["/tmp", "/var/tmp"] { try setMode(root + path, 0o1777) }
        try write(busybox.content, to: root + "/bin/busybox", mode: 0o755)
        for applet in busybox.applets {
            guard symlink("busybox", "\(root)/bin/\(applet)") == 0 else { throw failure("linking \(applet)") }
        }
        try write(Data(PackageResources.init_sh), to: root + "/sbin/init", mode: 0o755)
        try write(Data("root:x:0:0:root:/root:/bin/sh\n".utf8), to: root + "/etc/passwd")
        try write(Data("root:x:0:\n".utf8), to: root + "/etc/group")
        try copy(directory + "/hashchain", to: root + "/usr/bin/hashchain", mode: 0o755)
        if let workload = recipe.workload { try copy(workload, to: root + "/usr/bin/" + (workload as NSString).lastPathComponent, mode: 0o755) }
        for file in recipe.files {
            try makeDirectory(root + (file.destination as NSString).deletingLastPathComponent)
            try copy(file.source, to: root + file.destination, mode: access(file.source, X_OK) == 0 ? 0o755 : 0o644)
        }
        if recipe.union == .backingFile { return try makeWritableBase(of: root) }
        // gzip, which every kernel's squashfs reads. One time for all, so that equal content makes an equal file.
        try ExternalTool.squashfs.run(
            [
                root, directory + "/base.squashfs", "-noappend", "-all-root", "-no-xattrs", "-comp", "gzip", "-mkfs-time", "0", "-all-time", "0",
                "-quiet", "-no-progress",
            ],
            step: "packing the base")
    }

    /// A whole root file system for a disk that the guest writes to: the recipe's delta size is room in it. Unlike a squashfs it differs from
    /// build to build, by the times of its inodes.
    private func makeWritableBase(of root: String) throws(ImageError) {
        let base = directory + "/base.ext4"
        let content = try ExternalTool.diskUsage.run(["-s", "-k", "--apparent-size", root], step: "packing the base")
        guard let kibibytes = Int64(content.prefix { $0.isNumber }) else { throw .failed(step: "packing the base", detail: "du says \(content)") }
        // What ext4 needs for itself, the journal above all, is less than 16 MiB and a twentieth at these sizes.
        let size = ((kibibytes << 10) * 21 / 20 + recipe.deltaSize.rawValue + (16 << 20)) & ~0xf_ffff
        guard FileManager.default.createFile(atPath: base, contents: nil), truncate(base, off_t(size)) == 0 else { throw failure("making \(base)") }
        try ExternalTool.ext4.run(
            [
                "-q", "-F", "-t", "ext4", "-m", "0", "-J", "size=4", "-d", root, "-E",
                "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0", base,
            ], step: "packing the base")
    }

    private func writeManifest() throws(ImageError) {
        let isOneDisk = recipe.union == .backingFile
        let base = isOneDisk ? "base.ext4" : "base.squashfs"
        let names = ["vmlinuz", "ramdisk", base, "hashchain"] + (isOneDisk ? [] : ["delta.qcow2"])
        let digests = try ImagePart.digests(of: names, in: directory)
        var parts: [ImagePart] = []
        for name in names {
            var status = stat()
            guard stat("\(directory)/\(name)", &status) == 0, let digest = digests[name] else { throw failure("reading \(name)") }
            try setMode("\(directory)/\(name)", name == "hashchain" ? 0o755 : 0o644)
            parts.append(ImagePart(file: name, sizeBytes: ByteCount(status.st_size), sha256: digest))
        }
        var added = recipe.files.map(\.destination)
        if let workload = recipe.workload { added.insert("/usr/bin/" + (workload as NSString).lastPathComponent, at: 0) }
        let manifest = ImageManifest(
            name: recipe.name, kernelVersion: kernel.version, kernelPackage: kernel.package, union: recipe.union, unionsAvailable: modules.unions,
            modules: modules.files.map { KernelModules.name(of: $0) }, deltaSizeBytes: recipe.deltaSize, kernel: parts[0], ramdisk: parts[1],
            base: parts[2], deltaTemplate: isOneDisk ? nil : parts[4], hashchain: parts[3], addedFiles: added, madeWith: try toolVersions())
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            try write(try encoder.encode(manifest) + Data("\n".utf8), to: directory + "/" + GuestImage.manifestName)
        } catch let error as ImageError {
            throw error
        } catch {
            throw .failed(step: "writing the manifest", detail: error.localizedDescription)
        }
    }

    /// The first line in which each tool names its version.
    private func toolVersions() throws(ImageError) -> [String: String] {
        var versions: [String: String] = [:]
        // mksquashfs -version ends with status 1 in some releases, busybox names itself in its usage.
        let questions: [(ExternalTool, [String])] = [
            (.compiler, ["--version"]), (.squashfs, ["-version"]), (.diskImages, ["--version"]), (.busybox, ["--help"]),
        ]
        for (tool, arguments) in questions {
            let text = try tool.run(arguments, step: "asking for the version of \(tool.name)", accepted: [0, 1])
            versions[tool.name] = text.split(separator: "\n").first.map(String.init) ?? "unknown"
        }
        return versions
    }

    // MARK: Files

    private func failure(_ step: String) -> ImageError { .failed(step: step, detail: String(cString: strerror(errno))) }

    private func makeDirectory(_ path: String) throws(ImageError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        } catch {
            throw .failed(step: "making \(path)", detail: error.localizedDescription)
        }
    }

    private func setMode(_ path: String, _ mode: mode_t) throws(ImageError) {
        guard chmod(path, mode) == 0 else { throw failure("setting the mode of \(path)") }
    }

    private func write(_ content: Data, to path: String, mode: mode_t = 0o644) throws(ImageError) {
        do { try content.write(to: URL(fileURLWithPath: path)) } catch {
            throw .failed(step: "writing \(path)", detail: error.localizedDescription)
        }
        try setMode(path, mode)
    }

    private func copy(_ source: String, to path: String, mode: mode_t = 0o644) throws(ImageError) {
        guard let content = FileManager.default.contents(atPath: source) else {
            throw .failed(step: "copying \(source)", detail: "it cannot be read")
        }
        try write(content, to: path, mode: mode)
    }

    private func remove(_ path: String) throws(ImageError) {
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw .failed(step: "removing \(path)", detail: error.localizedDescription)
        }
    }
}
