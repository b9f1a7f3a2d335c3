import Foundation
import Testing
import Vocabulary

@testable import GuestImages

@Suite struct RecipeTests {
    @Test("Everything that is wrong with a recipe is said at once")
    func collected() throws {
        let full = try BuiltImage.scratch("full")
        try FileManager.default.createDirectory(atPath: full, withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: full + "/somebody's"))
        let recipe = ImageRecipe(
            name: "Bad Name", directory: full, deltaSize: .mebibytes(1), kernel: "/etc/hostname", modules: "/etc", workload: "/nowhere/work",
            files: [
                ExtraFile(source: "/nowhere/file", destination: "relative"), ExtraFile(source: "/etc/hostname", destination: "/etc/../x"),
                ExtraFile(source: "/etc", destination: "/etc/folder"), ExtraFile(source: "/etc/hostname", destination: "/sbin/init"),
            ])
        // Named once more: what is built from it must say the same, before any work.
        let expected = [
            "name: “Bad Name” is not a name of 1 to 64 lower-case letters, digits and dashes",
            "directory: \(full) holds something that is not a guest image (choose a directory that is empty or not there)",
            "deltaSize: 1048576 bytes are less than the smallest delta disk, 16 MiB",
            "kernel: /etc/hostname is not a Linux kernel for x86 (bzImage)",
            "modules: /etc holds no kernel modules (a directory like /lib/modules/6.1.0-38-cloud-amd64)",
            "workload: /nowhere/work does not exist",
            "files[0]: /nowhere/file does not exist",
            "files[0]: “relative” is not an absolute path of a file in the guest",
            "files[1]: “/etc/../x” is not an absolute path of a file in the guest",
            "files[2]: /etc is a directory, not a file",
            "files[3]: /sbin/init is taken already",
        ]
        #expect(recipe.problems().map(\.description) == expected)
        #expect { try ImageBuilder().build(recipe) } throws: { error in
            guard case .problems(let problems) = error as? ImageError else { return false }
            return problems.map(\.description).starts(with: expected)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: full) == ["somebody's"])
    }

    @Test("A workload that needs a dynamic loader is refused, since the guest has none")
    func dynamicWorkload() {
        let recipe = ImageRecipe(name: "x", directory: "/nowhere/x", workload: "/usr/bin/env")
        #expect(
            recipe.problems().map(\.description) == [
                "workload: /usr/bin/env needs /lib64/ld-linux-x86-64.so.2, which the guest does not have (link it with -static)"
            ])
    }

    @Test("A tool that is missing is named with its Debian package")
    func missingTool() {
        let tool = ExternalTool(name: "mksquashfs-that-is-not-there", debianPackage: "squashfs-tools")
        #expect(tool.problem?.description == "mksquashfs-that-is-not-there: this program is not installed (apt-get install squashfs-tools)")
        #expect(throws: ImageError.self) { try tool.run([], step: "x") }
    }

    @Test("A tool that fails is reported with its step, its status and the end of what it said")
    func failingTool() {
        let shell = ExternalTool(name: "sh", debianPackage: "dash")
        #expect(throws: ImageError.failed(step: "trying", detail: "sh ended with status 9: one; two")) {
            try shell.run(["-c", "echo one >&2; echo two >&2; exit 9"], step: "trying")
        }
        #expect(throws: ImageError.failed(step: "trying", detail: "sh ended with status 137")) {
            try shell.run(["-c", "kill -9 $$"], step: "trying")
        }
    }

    @Test("Parts of an ELF header that point nowhere do no harm", arguments: [16, 64, 100, 120, 200])
    func cutPrograms(length: Int) throws {
        let whole = try Data(contentsOf: URL(fileURLWithPath: "/usr/bin/env"))
        #expect(ProgramFile.interpreter(of: whole) != nil)
        _ = ProgramFile.interpreter(of: whole.prefix(length))
        var wild = whole.prefix(4096)
        for index in 32..<64 { wild[index] = 0xff }
        #expect(ProgramFile.interpreter(of: wild) == nil)
    }
}

@Suite struct KernelModulesTests {
    /// A module directory with these lines of modules.dep and modules.builtin.
    private func kernel(dependencies: String, builtin: String) throws -> Kernel {
        let path = try BuiltImage.scratch("modules")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data(dependencies.utf8).write(to: URL(fileURLWithPath: path + "/modules.dep"))
        try Data(builtin.utf8).write(to: URL(fileURLWithPath: path + "/modules.builtin"))
        return Kernel(version: "9.9", image: "/nowhere", modules: path)
    }

    private let dependencies = """
        kernel/d/virtio.ko: kernel/d/virtio_ring.ko
        kernel/d/virtio_ring.ko:
        kernel/d/virtio_blk.ko.xz: kernel/d/virtio.ko kernel/d/virtio_ring.ko
        kernel/d/virtio_pci.ko: kernel/d/virtio_pci_legacy_dev.ko kernel/d/virtio.ko kernel/d/virtio_ring.ko
        kernel/d/virtio_pci_legacy_dev.ko:
        kernel/f/squashfs.ko:
        kernel/f/overlay.ko:
        kernel/x/unrelated.ko:
        """

    @Test("Modules come after what they need, once each, and nothing else comes")
    func order() throws {
        let modules = try KernelModules(of: kernel(dependencies: dependencies, builtin: "kernel/fs/ext4/ext4.ko\n"), union: .auto)
        #expect(
            modules.files == [
                "kernel/d/virtio_ring.ko", "kernel/d/virtio.ko", "kernel/d/virtio_pci_legacy_dev.ko", "kernel/d/virtio_pci.ko",
                "kernel/d/virtio_blk.ko.xz",
                "kernel/f/squashfs.ko", "kernel/f/overlay.ko",
            ])
        #expect(modules.unions == [.overlayfs])
    }

    @Test("A kernel with AUFS brings both unions, the better first")
    func aufs() throws {
        let kernel = try kernel(dependencies: dependencies + "\nkernel/f/aufs.ko:", builtin: "kernel/fs/ext4/ext4.ko\n")
        #expect(try KernelModules(of: kernel, union: .auto).files.suffix(2) == ["kernel/f/aufs.ko", "kernel/f/overlay.ko"])
        #expect(try KernelModules(of: kernel, union: .auto).unions == [.aufs, .overlayfs])
        #expect(try KernelModules(of: kernel, union: .overlayfs).files.last == "kernel/f/overlay.ko")
        #expect(try KernelModules(of: kernel, union: .aufs).files.last == "kernel/f/aufs.ko")
    }

    @Test("Every driver that is missing is named")
    func missing() throws {
        let bare = try kernel(dependencies: "kernel/f/squashfs.ko:\n", builtin: "")
        #expect(
            throws: ImageError.problems([
                ImageProblem("kernel", "9.9 has no driver virtio_pci"), ImageProblem("kernel", "9.9 has no driver virtio_blk"),
                ImageProblem("kernel", "9.9 has no driver ext4"),
                ImageProblem("kernel", "9.9 has neither aufs nor overlay: nothing unites base and delta"),
            ])
        ) { try KernelModules(of: bare, union: .auto) }
        let plain = try kernel(dependencies: dependencies, builtin: "kernel/fs/ext4/ext4.ko\n")
        #expect(throws: ImageError.problems([ImageProblem("union", "9.9 has no aufs", suggestion: "auto takes overlayfs")])) {
            try KernelModules(of: plain, union: .aufs)
        }
    }

    @Test("A kernel and modules that do not belong together are refused", .needsImageTools)
    func mismatch() throws {
        let image = try BuiltImage.get()
        let other = try kernel(dependencies: dependencies, builtin: "")
        #expect(KernelFile.version(of: image.kernel) == image.manifest.kernelVersion)
        var recipe = BuiltImage.recipe("mismatch")
        recipe.kernel = image.kernel
        recipe.modules = other.modules
        let theirs = (other.modules as NSString).lastPathComponent
        #expect(
            throws: ImageError.problems([
                ImageProblem("modules", "\(other.modules) are modules of \(theirs), the kernel is \(image.manifest.kernelVersion)")
            ])
        ) {
            try ImageBuilder().build(recipe)
        }
    }

    @Test(
        "The ramdisk's archive is one that cpio reads",
        .enabled(if: ExternalTool(name: "cpio", debianPackage: "cpio").path != nil, "cpio is not installed"))
    func archive() throws {
        var archive = RamdiskArchive()
        archive.addDirectory("bin")
        archive.addFile("bin/program", Data("abc".utf8), executable: true)
        archive.addLink("bin/other", to: "program")
        archive.finish()
        let path = try BuiltImage.scratch("archive")
        try archive.bytes.write(to: URL(fileURLWithPath: path))
        let listing = try ExternalTool(name: "cpio", debianPackage: "cpio").run(["-itvn", "-F", path], step: "listing")
        let lines = listing.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(
            lines.map { [$0[0], $0[2], $0[3], $0[4]].map(String.init) } == [
                ["drwxr-xr-x", "0", "0", "0"], ["-rwxr-xr-x", "0", "0", "3"], ["lrwxrwxrwx", "0", "0", "7"],
            ])
    }
}
