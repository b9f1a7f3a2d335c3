import Foundation
import Testing
import Vocabulary

@testable import GuestImages

/// The ramdisk as it was built, unpacked, with functions that note their calls in the place of the commands that need a kernel.
private struct UnpackedRamdisk {
    let root: String

    /// - Parameters:
    ///   - fileSystems: what the kernel has at once.
    ///   - loadable: what it has after a `modprobe` of that name.
    ///   - refused: parts of a call to `mount` that make it fail.
    init(_ image: GuestImage, fileSystems: [String], loadable: [String] = [], refused: [String] = [], commandLine: String = "quiet -- true") throws {
        root = try BuiltImage.scratch("ramdisk")
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        let archive = root + ".cpio"
        try ExternalTool.gzip.run(["-dc", image.ramdisk], step: "unpacking", output: archive)
        try ExternalTool(name: "cpio", debianPackage: "cpio").run(["-id", "--quiet", "-F", archive], step: "unpacking", in: root)
        unlink(archive)
        try write("proc/filesystems", fileSystems.map { "nodev \($0)\n" }.joined())
        try write("proc/mounts", "rootfs / rootfs rw 0 0\n")
        try write("proc/cmdline", commandLine + "\n")
        try write("loadable", loadable.map { $0 + "\n" }.joined())
        try write("refused", refused.map { $0 + "\n" }.joined())
    }

    private func write(_ path: String, _ text: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: "\(root)/\(path)")) }

    /// Functions and not files: busybox's shell prefers its own commands to those that it finds.
    private static let commands = #"""
        mount() {
            echo "mount $*" >>/calls
            while read -r part; do case "$*" in *"$part"*) return 32 ;; esac; done </refused
            eval "at=\${$#}"
            echo "something $at $2 rw,relatime,${4#br=} 0 0" >>/proc/mounts
        }
        modprobe() {
            echo "modprobe $*" >>/calls
            while read -r name; do [ "$name" != "$2" ] || echo "nodev $2" >>/proc/filesystems; done </loadable
        }
        . /etc/cairn/union.sh

        """#

    /// Runs a line of shell in it after its functions were read in.
    /// - Returns: what it said and the calls that it made.
    func run(_ line: String) throws -> (said: [String], calls: [String], status: Int32) {
        let inside = ["/bin/busybox", "sh", "-c", Self.commands + line]
        let ended =
            getuid() == 0
            ? try ExternalTool.run("/usr/sbin/chroot", [root] + inside, step: "the ramdisk", environment: ["PATH": "/bin"], accepted: [0, 1])
            : try ExternalTool.run(
                "/usr/bin/unshare", ["--map-root-user", "--root", root] + inside, step: "the ramdisk", environment: ["PATH": "/bin"],
                accepted: [0, 1])
        let calls = FileManager.default.contents(atPath: root + "/calls").map { String(decoding: $0, as: UTF8.self) } ?? ""
        return (ended.text.split(separator: "\n").map(String.init), calls.split(separator: "\n").map(String.init), ended.status)
    }
}

private let cpioIsMissing = ExternalTool(name: "cpio", debianPackage: "cpio").path == nil

@Suite(.needsImageTools, .disabled(if: cpioIsMissing, "cpio is not installed")) struct UnionTests {
    private static let memory = "mount -t tmpfs -o mode=0700 xino /cairn-xino"
    private static func aufs(_ more: String) -> String {
        "mount -t aufs -o br=/delta/upper=rw:/base=rr,udba=none,xino=/cairn-xino/aufs.xino\(more) aufs /united"
    }
    private static let overlay = "mount -t overlay -o lowerdir=/base,upperdir=/delta/upper,workdir=/delta/work overlay /united"
    private static let unite = "unite \"$(union_wanted)\" /base /delta /united && report_union /united"

    private func run(
        _ fileSystems: [String], loadable: [String] = [], refused: [String] = [], arguments: String = "quiet"
    ) throws -> (said: [String], calls: [String], status: Int32) {
        try UnpackedRamdisk(
            try BuiltImage.get(), fileSystems: fileSystems, loadable: loadable, refused: refused, commandLine: arguments + " -- echo cairn.union=aufs"
        ).run(Self.unite)
    }

    @Test("AUFS is taken before overlayfs, with the options of its manual")
    func aufsFirst() throws {
        let outcome = try run(["overlay", "aufs"])
        #expect(outcome.calls == [Self.memory, Self.aufs(",dio,dirperm1")])
        #expect(
            outcome.said.count == 1 && outcome.said.first?.hasPrefix("CAIRN UNION aufs rw,relatime,/delta/upper=rw:/base=rr,udba=none,xino=") == true)
    }

    @Test("An AUFS that is a module is loaded, and overlayfs is taken where there is none")
    func modules() throws {
        let loaded = try run(["overlay"], loadable: ["aufs"])
        #expect(loaded.calls == ["modprobe -q aufs", Self.memory, Self.aufs(",dio,dirperm1")])
        let without = try run([], loadable: ["overlay"])
        #expect(without.calls == ["modprobe -q aufs", "modprobe -q overlay", Self.overlay])
        #expect(without.said.first?.hasPrefix("CAIRN UNION overlayfs rw,relatime,") == true)
    }

    @Test("An AUFS that does not know the younger options is mounted without them")
    func olderAufs() throws {
        #expect(try run(["aufs"], refused: ["dirperm1"]).calls == [Self.memory, Self.aufs(",dio,dirperm1"), Self.aufs(",dio")])
        let oldest = try run(["aufs"], refused: ["dio"])
        #expect(oldest.calls == [Self.memory, Self.aufs(",dio,dirperm1"), Self.aufs(",dio"), Self.aufs("")])
        #expect(oldest.status == 0)
    }

    @Test("An AUFS that does not mount gives way to overlayfs, unless it is what is wanted")
    func refusedAufs() throws {
        let tried = [Self.memory, Self.aufs(",dio,dirperm1"), Self.aufs(",dio"), Self.aufs("")]
        #expect(try run(["aufs", "overlay"], refused: ["-t aufs"]).calls == tried + [Self.overlay])
        let wanted = try run(["aufs", "overlay"], refused: ["-t aufs"], arguments: "cairn.union=aufs quiet")
        #expect(wanted.calls == tried && wanted.status == 1 && wanted.said.isEmpty)
    }

    @Test("The kernel's command line decides over the ramdisk, and what the guest runs decides nothing")
    func overridden() throws {
        // The command says cairn.union=aufs after its dashes, too.
        #expect(try run(["aufs", "overlay"], arguments: "quiet cairn.union=overlayfs").calls == [Self.overlay])
        #expect(try run(["overlay"], arguments: "cairn.union=aufs").status == 1)
    }

    @Test("What is reported is what is mounted on top")
    func report() throws {
        let ramdisk = try UnpackedRamdisk(try BuiltImage.get(), fileSystems: ["overlay"])
        let lines = "a /united ext4 ro 0 0\nb /united/proc proc rw 0 0\nc /united ext4 rw,noatime 0 0\n"
        try Data(lines.utf8).write(to: URL(fileURLWithPath: ramdisk.root + "/proc/mounts"))
        #expect(try ramdisk.run("report_union /united backing-file").said == ["CAIRN UNION backing-file rw,noatime"])
        #expect(try ramdisk.run("report_union /elsewhere").status == 1)
    }

    @Test("A line that reports a union is read, and no other")
    func lines() {
        #expect(MountedUnion(consoleLine: "CAIRN UNION aufs rw,si=1,dio") == MountedUnion(kind: .aufs, options: "rw,si=1,dio"))
        #expect(MountedUnion(consoleLine: "CAIRN UNION backing-file") == MountedUnion(kind: .backingFile))
        for line in ["CAIRN UNION auto x", "CAIRN UNION ", "CAIRN UNIONaufs", " CAIRN UNION aufs", "CAIRN UNION zfs rw"] {
            #expect(MountedUnion(consoleLine: line) == nil)
        }
    }
}

@Suite(.needsQEMU, .serialized) struct BackingFileImageTests {
    @Test("A guest on a backing file sees one disk, writes to it, and leaves the base as it was")
    func oneDisk() async throws {
        var recipe = BuiltImage.recipe("backing", deltaSize: .mebibytes(32))
        recipe.union = .backingFile
        let image = try ImageBuilder().build(recipe)
        #expect(image.deltaTemplate == nil && image.manifest.base.file == "base.ext4" && !image.manifest.modules.contains("squashfs"))
        #expect(throws: ImageError.self) { try image.makeDelta(size: .mebibytes(64), at: try BuiltImage.scratch("none")) }
        let run = "hashchain --seconds 3 --memory 16 --seed 7 --check-every 1"
        let lines = try await GuestMachine(image: image).boot(run: run + " && ls -d /sys/block/vd*")
        #expect(lines.contains { $0.hasPrefix("CAIRN UNION backing-file rw,noatime") })
        #expect(lines.contains("CAIRN RESULT \(try image.expectedResult(run: run))"))
        #expect(lines.contains("/sys/block/vda") && !lines.contains("/sys/block/vdb"))
        #expect(lines.contains("CAIRN EXIT 0"))
        _ = try GuestImage.load(image.directory, verifyingDigests: true)
    }

    /// `CAIRN_AUFS_KERNEL=vmlinuz`, and `CAIRN_AUFS_MODULES=…/lib/modules/VERSION` where they are not beside it. Debian has no such kernel.
    private static let aufsKernel = ProcessInfo.processInfo.environment["CAIRN_AUFS_KERNEL"]

    @Test(
        "A kernel with AUFS unites by it, with files read past the cache, and hides what is removed",
        .enabled(if: aufsKernel != nil, "CAIRN_AUFS_KERNEL names no kernel with AUFS: Debian has none"))
    func aufs() async throws {
        var recipe = BuiltImage.recipe("aufs")
        recipe.kernel = Self.aufsKernel
        recipe.modules = ProcessInfo.processInfo.environment["CAIRN_AUFS_MODULES"]
        let image = try ImageBuilder().build(recipe)
        #expect(image.manifest.unionsAvailable.first == .aufs)
        let run = "hashchain --seconds 3 --memory 16 --seed 7 --check-every 1"
        let lines = try await GuestMachine(image: image).boot(run: run + " && rm /etc/group && test ! -e /etc/group && echo gone")
        #expect(lines.contains { $0.hasPrefix("CAIRN UNION aufs rw,") })
        #expect(lines.contains("CAIRN RESULT \(try image.expectedResult(run: run))"))
        #expect(lines.contains("CAIRN CHECK ok size=\(3 * 131072) direct=1"))
        #expect(lines.contains("gone") && lines.contains("CAIRN EXIT 0"))
    }
}
