import Foundation
import Testing
import Vocabulary

@testable import GuestImages

/// A root directory with what `image prepare` looks for, and an `update-initramfs` that packs nothing but a list.
private struct FakeGuest {
    let root: String

    init(kernels: [String] = ["6.1.0-9-amd64", "6.1.0-10-amd64"]) throws {
        root = try BuiltImage.scratch("guest")
        for folder in ["boot", "etc/initramfs-tools", "usr/sbin", "usr/bin", "bin", "dev", "proc", "tmp"] + kernels.map({ "lib/modules/\($0)" }) {
            try FileManager.default.createDirectory(atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
        }
        try write("etc/debian_version", "12.0\n")
        for kernel in kernels { try write("boot/vmlinuz-\(kernel)", "kernel \(kernel)\n") }
        let busybox = try #require(ExternalTool.busybox.path)
        try FileManager.default.copyItem(atPath: busybox, toPath: root + "/bin/busybox")
        try write(
            "usr/sbin/update-initramfs",
            """
            #!/bin/busybox sh
            [ "$1 $2" = "-c -k" ] || exit 9
            [ -c /dev/null ] && [ -e /proc/self ] || exit 8
            busybox find /etc/initramfs-tools -type f | busybox sort >"/boot/initrd.img-$3"
            """, mode: 0o755)
    }

    func write(_ path: String, _ text: String, mode: mode_t = 0o644) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(root)/\(path)"))
        chmod("\(root)/\(path)", mode)
    }
    func text(_ path: String) -> String? { FileManager.default.contents(atPath: "\(root)/\(path)").map { String(decoding: $0, as: UTF8.self) } }

    /// The same as a file system.
    func image() throws -> String {
        let path = root + ".ext4"
        #expect(FileManager.default.createFile(atPath: path, contents: nil) && truncate(path, 48 << 20) == 0)
        try ExternalTool.ext4.run(["-q", "-F", "-t", "ext4", "-d", root, path], step: "making it")
        return path
    }
}

@Suite(.needsImageTools) struct PreparationTests {
    private static let added = [
        "/etc/initramfs-tools/hooks/cairn-union", "/etc/initramfs-tools/scripts/local-bottom/cairn-union", "/etc/initramfs-tools/cairn-union.sh",
    ]
    private static let ramdisks = ["/boot/initrd.img-6.1.0-9-amd64", "/boot/initrd.img-6.1.0-10-amd64"]

    @Test("A root directory is prepared once, and left as it was by the removal")
    func directory() throws {
        let guest = try FakeGuest()
        let boot = guest.root + "-boot"
        let outcome = try GuestPreparation(guest.root).run(bootFiles: boot)
        #expect(outcome.changed == Self.added + Self.ramdisks)
        #expect(outcome.newestKernel == "6.1.0-10-amd64" && outcome.kernels == ["6.1.0-9-amd64", "6.1.0-10-amd64"])
        let listed = Self.added.sorted().joined(separator: "\n") + "\n"
        #expect(guest.text("boot/initrd.img-6.1.0-9-amd64") == listed)
        #expect(try String(contentsOfFile: boot + "/ramdisk", encoding: .utf8) == listed)
        #expect(try String(contentsOfFile: boot + "/vmlinuz", encoding: .utf8) == "kernel 6.1.0-10-amd64\n")
        #expect(access(guest.root + Self.added[0], X_OK) == 0 && access(guest.root + Self.added[1], X_OK) == 0)

        #expect(try GuestPreparation(guest.root).run().changed == [])
        // A file that somebody changed is put right, and a ramdisk that is missing is made.
        try guest.write("etc/initramfs-tools/cairn-union.sh", "old\n")
        #expect(try GuestPreparation(guest.root).run().changed == [Self.added[2]] + Self.ramdisks)
        unlink(guest.root + Self.ramdisks[1])
        #expect(try GuestPreparation(guest.root).run().changed == [Self.ramdisks[1]])

        #expect(try GuestPreparation(guest.root, removing: true).run().changed == Self.added.dropLast() + Self.ramdisks + [Self.added[2]])
        #expect(guest.text("boot/initrd.img-6.1.0-9-amd64") == "/etc/initramfs-tools/cairn-union.sh\n")
        #expect(Self.added.allSatisfy { !FileManager.default.fileExists(atPath: guest.root + $0) })
        #expect(try GuestPreparation(guest.root, removing: true).run().changed == [])
    }

    @Test("A file system is prepared without being mounted, stays sound, and belongs to root")
    func image() throws {
        let image = try FakeGuest().image()
        #expect(try GuestPreparation(image).run().changed == Self.added + Self.ramdisks)
        #expect(try GuestPreparation(image).run().changed == [])
        try ExternalTool.ext4Check.run(["-fn", image], step: "checking")
        let facts = try ExternalTool.ext4Editor.run(["-R", "stat \(Self.added[0])", image], step: "looking")
        #expect(facts.contains("Mode:  0755") && facts.contains("User:     0   Group:     0"))
        let ramdisk = try ExternalTool.ext4Editor.run(["-R", "cat \(Self.ramdisks[0])", image], step: "looking")
        #expect(ramdisk == Self.added.sorted().joined(separator: "\n") + "\n")
        #expect(try GuestPreparation(image, removing: true).run().changed.count == 5)
        #expect(try ExternalTool.ext4Editor.run(["-R", "ls -p /etc/initramfs-tools/hooks", image], step: "looking").contains("cairn") == false)
        let left = try FileManager.default.contentsOfDirectory(atPath: (image as NSString).deletingLastPathComponent)
        #expect(!left.contains { $0.contains(".making-") })
    }

    @Test("A file system without room is left as it was")
    func fullImage() throws {
        let guest = try FakeGuest(kernels: ["6.1.0-9-amd64"])
        try guest.write(
            "usr/sbin/update-initramfs", "#!/bin/busybox sh\nbusybox dd if=/dev/urandom of=/boot/initrd.img-$3 bs=1M count=80 2>/dev/null\n",
            mode: 0o755)
        let image = try guest.image()
        let before = try Data(contentsOf: URL(fileURLWithPath: image))
        #expect { try GuestPreparation(image).run() } throws: { "\($0)".contains("is there room in the file system?") }
        #expect(try Data(contentsOf: URL(fileURLWithPath: image)) == before)
    }

    @Test("What is no Debian with initramfs-tools and a kernel is refused in words that say what to do")
    func refused() throws {
        func complaint(_ path: String) -> String {
            do { return "\(try GuestPreparation(path).run())" } catch { return "\(error)" }
        }
        #expect(complaint("/nowhere/at/all") == "guest: /nowhere/at/all does not exist")
        let guest = try FakeGuest(kernels: [])
        #expect(complaint(guest.root) == "guest: it has no kernel in boot with its modules (install linux-image-amd64 in it)")
        try guest.write("boot/vmlinuz-5.0", "a kernel without modules")
        #expect(complaint(guest.root).contains("no kernel in boot with its modules"))
        unlink(guest.root + "/usr/sbin/update-initramfs")
        #expect(complaint(guest.root).contains("install the package initramfs-tools in it"))
        unlink(guest.root + "/etc/debian_version")
        #expect(complaint(guest.root).contains("holds no Debian"))
        let disk = try BuiltImage.scratch("disk")
        for (head, words) in [
            ("QFI\u{fb}", "qemu-img convert -O raw"), ("hsqs", "is a squashfs"),
            (String(repeating: "a", count: 600), "neither a directory nor an ext4"),
        ] {
            try Data(head.unicodeScalars.map { UInt8($0.value) }).write(to: URL(fileURLWithPath: disk))
            #expect(complaint(disk).contains(words))
        }
        try (Data(count: 510) + Data([0x55, 0xaa])).write(to: URL(fileURLWithPath: disk))
        #expect(complaint(disk).contains("is a whole disk with partitions"))
        // A step of the guest's own that fails is told with what it said.
        let failing = try FakeGuest()
        try failing.write("usr/sbin/update-initramfs", "#!/bin/busybox sh\necho no room >&2; exit 5\n", mode: 0o755)
        #expect(complaint(failing.root).contains("ended with status 5: no room"))
    }
}

/// A real Debian: `CAIRN_DEBIAN_ROOT`, a tar file of a root with initramfs-tools, systemd and a kernel, as
/// `mmdebstrap --variant=minbase --include=initramfs-tools,linux-image-cloud-amd64,systemd-sysv bookworm FILE` makes one in two minutes.
@Suite(.needsQEMU, .serialized) struct DebianGuestTests {
    private static let archive = ProcessInfo.processInfo.environment["CAIRN_DEBIAN_ROOT"]

    @Test(
        "A Debian that was prepared boots by systemd from a base that stays as it was, and keeps on the delta what it writes",
        .enabled(if: archive != nil, "CAIRN_DEBIAN_ROOT names no Debian"))
    func debian() async throws {
        let place = try BuiltImage.scratch("debian")
        let root = place + "/root"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(atPath: place) } catch { Issue.record(error) } }
        try ExternalTool(name: "tar", debianPackage: "tar").run(
            ["-C", root, "-xf", try #require(Self.archive), "--exclude=./dev/*"], step: "unpacking")
        let service = """
            [Service]
            Type=oneshot
            ExecStart=/bin/sh -c 'echo kept > /root/kept; rm /etc/motd; echo "GUEST $(stat -f -c %%T /) $(cat /root/kept) $(ls /etc/motd 2>&1)"; sync'
            ExecStartPost=/bin/systemctl --no-block poweroff
            StandardOutput=tty
            TTYPath=/dev/ttyS0
            [Install]
            WantedBy=multi-user.target
            """
        try Data(service.utf8).write(to: URL(fileURLWithPath: root + "/etc/systemd/system/work.service"))
        try FileManager.default.createDirectory(
            atPath: root + "/etc/systemd/system/multi-user.target.wants", withIntermediateDirectories: true)
        #expect(symlink("/etc/systemd/system/work.service", root + "/etc/systemd/system/multi-user.target.wants/work.service") == 0)
        try Data("/dev/vda / ext4 errors=remount-ro 0 1\n".utf8).write(to: URL(fileURLWithPath: root + "/etc/fstab"))
        try Data("welcome\n".utf8).write(to: URL(fileURLWithPath: root + "/etc/motd"))
        let base = place + "/base.ext4"
        #expect(FileManager.default.createFile(atPath: base, contents: nil) && truncate(base, 1 << 30) == 0)
        try ExternalTool.ext4.run(["-q", "-F", "-t", "ext4", "-d", root, base], step: "making the base")
        _ = try GuestPreparation(base).run(bootFiles: place + "/boot")
        let digest = try ImagePart.digests(of: ["base.ext4"], in: place)
        try GuestImage.makeDelta(size: .mebibytes(128), at: place + "/delta.qcow2")

        func boot(_ arguments: String, delta: Bool) async throws -> String {
            let words =
                [
                    "300", "qemu-system-x86_64", "-accel", "tcg", "-machine", "pc", "-cpu", "qemu64", "-m", "384", "-nodefaults", "-no-user-config",
                    "-display", "none", "-no-reboot", "-serial", "file:\(place)/console", "-kernel", "\(place)/boot/vmlinuz", "-initrd",
                    "\(place)/boot/ramdisk", "-append", "console=ttyS0 quiet panic=5 root=/dev/vda ro \(arguments)",
                    "-drive", "file=\(base),format=raw,if=virtio,readonly=on",
                ] + (delta ? ["-drive", "file=\(place)/delta.qcow2,format=qcow2,if=virtio,cache=writeback,discard=unmap"] : [])
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                Thread.detachNewThread {
                    continuation.resume(
                        with: Result {
                            _ = try ExternalTool(name: "timeout", debianPackage: "coreutils").run(words, step: "the guest", accepted: [0, 124])
                        })
                }
            }
            return try String(contentsOfFile: "\(place)/console", encoding: .utf8)
        }

        let first = try await boot("cairn.union=auto", delta: true)
        #expect(first.contains("CAIRN UNION overlayfs rw,relatime,lowerdir=/cairn-base,upperdir=/cairn-delta/upper,workdir=/cairn-delta/work"))
        #expect(first.contains("GUEST overlayfs kept ls: cannot access '/etc/motd'"))
        #expect(try ImagePart.digests(of: ["base.ext4"], in: place) == digest)
        let without = try await boot("cairn.union=auto", delta: false)
        #expect(without.contains("CAIRN FAIL no delta disk /dev/vdb"))
        let alone = try await boot("systemd.mask=work.service systemd.run=/bin/true systemd.run_success_action=poweroff", delta: true)
        #expect(!alone.contains("CAIRN"))
    }
}
