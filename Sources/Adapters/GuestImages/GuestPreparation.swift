import Foundation
import Glibc

/// Puts what unites base and delta into the ramdisk of a Debian guest that exists, by the guest's own initramfs-tools, or takes it out again.
///
/// The guest is a directory (its root; `/` in the guest itself) or a file system image. An image is never mounted: what is in it is taken
/// out, changed, and put back into a copy, which then takes its place, whole or not at all; so this needs no root. It blocks: call it on a
/// thread that may.
package struct GuestPreparation: Sendable {
    package struct Outcome: Hashable, Sendable, Codable {
        /// Kernels whose ramdisks were made anew; empty: everything was as it should be.
        package var kernels: [String]
        /// Paths in the guest that were written or removed.
        package var changed: [String]
        /// The newest kernel that the guest has.
        package var newestKernel: String
    }

    /// Path in the guest, content, whether it is a program.
    private static let files: [(path: String, content: [UInt8], mode: mode_t)] = [
        ("etc/initramfs-tools/hooks/cairn-union", PackageResources.initramfs_hook_sh, 0o755),
        ("etc/initramfs-tools/scripts/local-bottom/cairn-union", PackageResources.initramfs_boot_sh, 0o755),
        ("etc/initramfs-tools/cairn-union.sh", PackageResources.union_sh, 0o644),
    ]

    private let target: String
    private let removing: Bool

    /// - Parameter removing: take it out in place of putting it in.
    package init(_ target: String, removing: Bool = false) {
        self.target = URL(fileURLWithPath: target).standardizedFileURL.path
        self.removing = removing
    }

    /// Does it, again and again with the same outcome.
    ///
    /// - Parameter bootFiles: directory that gets the newest kernel and its ramdisk, as `vmlinuz` and `ramdisk`.
    package func run(bootFiles: String? = nil, progress: (String) -> Void = { _ in }) throws(ImageError) -> Outcome {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: target, isDirectory: &isDirectory) else { throw problem("\(target) does not exist") }
        guard !isDirectory.boolValue else {
            let guest = GuestRoot(root: target)
            let outcome = try change(guest, progress: progress)
            if let bootFiles { try guest.export(outcome.newestKernel, to: bootFiles) }
            return outcome
        }
        return try runOnImage(bootFiles: bootFiles, progress: progress)
    }

    private func problem(_ text: String, _ suggestion: String? = nil) -> ImageError {
        .problems([ImageProblem("guest", text, suggestion: suggestion)])
    }

    // MARK: A root directory

    private func change(_ guest: GuestRoot, progress: (String) -> Void) throws(ImageError) -> Outcome {
        guard guest.has("etc/debian_version") || guest.has("usr/bin/dpkg") else {
            throw problem("\(target) holds no Debian: neither etc/debian_version nor usr/bin/dpkg", "name its root directory or its file system")
        }
        guard guest.has("usr/sbin/update-initramfs"), guest.has("etc/initramfs-tools") else {
            throw problem(
                "its ramdisk is not made by initramfs-tools", "install the package initramfs-tools in it; others (dracut) are not supported")
        }
        let kernels = try guest.kernels()
        guard let newest = kernels.last else { throw problem("it has no kernel in boot with its modules", "install linux-image-amd64 in it") }
        if let missing = ExternalTool.namespaces.problem { throw .problems([missing]) }
        var changed: [String] = []
        // The last one goes last: while it is there, a removal has not come to its end.
        let marker = Self.files[Self.files.count - 1].path
        for file in Self.files where !(removing && file.path == marker) {
            let there = guest.content(file.path)
            guard removing ? there != nil : there != Data(file.content) else { continue }
            try removing ? guest.remove(file.path) : guest.write(file.content, to: file.path, mode: file.mode)
            changed.append("/" + file.path)
        }
        // A run that was interrupted has its files there, and a ramdisk that is older: that one is made anew, too.
        let isUnfinished = removing && guest.has(marker)
        let stale =
            changed.isEmpty && !isUnfinished
            ? kernels.filter { guest.isOlder("boot/initrd.img-\($0)", than: Self.files.map(\.path)) } : kernels
        for kernel in stale {
            progress("making the ramdisk of \(kernel) anew")
            try guest.updateRamdisk(of: kernel)
            changed.append("/boot/initrd.img-\(kernel)")
        }
        if isUnfinished {
            try guest.remove(marker)
            changed.append("/" + marker)
        }
        return Outcome(kernels: stale, changed: changed, newestKernel: newest)
    }

    // MARK: A file system image

    private func runOnImage(bootFiles: String?, progress: (String) -> Void) throws(ImageError) -> Outcome {
        let missing = [ExternalTool.ext4Editor, .ext4Check, .namespaces, .copy].compactMap(\.problem)
        guard missing.isEmpty else { throw .problems(missing) }
        try requireFileSystem()
        let scratch = NSTemporaryDirectory() + "cairn-prepare-" + UUID().uuidString
        let root = scratch + "/root"
        do { try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true) } catch {
            throw .failed(step: "making \(root)", detail: error.localizedDescription)
        }
        defer {
            // What a test or a user would trip over; a left-over in the temporary directory is no failure of what was asked for.
            do { try FileManager.default.removeItem(atPath: scratch) } catch { progress("left behind: \(scratch): \(error.localizedDescription)") }
        }
        progress("taking out what is in \(target)")
        // Owners that this user may not give are named on standard error, and matter to nobody here.
        try ExternalTool.ext4Editor.run(["-R", "rdump / \"\(root)\"", target], step: "reading \(target)")
        let guest = GuestRoot(root: root)
        let outcome = try change(guest, progress: progress)
        if !outcome.changed.isEmpty {
            progress("putting back \(outcome.changed.count) files")
            try putBack(outcome.changed, from: guest, scratch: scratch)
        }
        if let bootFiles { try guest.export(outcome.newestKernel, to: bootFiles) }
        return outcome
    }

    /// Source: ext4's superblock at 1024, s_magic 0xEF53 at 0x38; QEMU docs/interop/qcow2.txt; a partition table's signature at 510.
    private func requireFileSystem() throws(ImageError) {
        guard let handle = FileHandle(forReadingAtPath: target) else { throw problem("\(target) cannot be read") }
        let head: [UInt8]
        do { head = Array(try handle.read(upToCount: 2048) ?? Data()) } catch { throw problem("\(target) cannot be read: \(error)") }
        func has(_ bytes: [UInt8], at offset: Int) -> Bool {
            head.count >= offset + bytes.count && Array(head[offset..<offset + bytes.count]) == bytes
        }
        if has([0x53, 0xef], at: 1024 + 0x38) { return }
        if has(Array("QFI".utf8) + [0xfb], at: 0) {
            throw problem("\(target) is a qcow2 image", "qemu-img convert -O raw makes a raw one of it")
        }
        if has(Array("hsqs".utf8), at: 0) {
            throw problem("\(target) is a squashfs, which cannot be changed", "prepare the directory that it is made of")
        }
        if has([0x55, 0xaa], at: 510) {
            throw problem(
                "\(target) is a whole disk with partitions", "copy the root file system out of it, with dd and the offsets that fdisk -l names")
        }
        throw problem("\(target) is neither a directory nor an ext4 file system")
    }

    private func putBack(_ paths: [String], from guest: GuestRoot, scratch: String) throws(ImageError) {
        let copy = "\(target).making-\(getpid())"
        defer { unlink(copy) }
        try ExternalTool.copy.run(["--sparse=always", "--preserve=mode", target, copy], step: "copying \(target)")
        // A journal that waits to be replayed would undo what is written beside it.
        try ExternalTool.ext4Check.run(["-p", copy], step: "checking \(target)", accepted: [0, 1])
        var commands: [String] = []
        var made: Set<String> = []
        for path in paths {
            let parts = path.split(separator: "/").dropLast()
            for depth in parts.indices {
                let folder = "/" + parts[...depth].joined(separator: "/")
                // One that is there stays; debugfs says so and goes on.
                if !removing, folder != "/boot", made.insert(folder).inserted { commands.append("mkdir \(folder)") }
            }
            commands.append("rm \(path)")
            let source = guest.root + path
            guard let mode = guest.mode(path) else { continue }
            commands += ["write \"\(source)\" \(path)", "sif \(path) mode 0\(String(mode, radix: 8))", "sif \(path) uid 0", "sif \(path) gid 0"]
        }
        let list = scratch + "/commands"
        do { try (commands.joined(separator: "\n") + "\n").write(toFile: list, atomically: false, encoding: .utf8) } catch {
            throw .failed(step: "writing \(list)", detail: error.localizedDescription)
        }
        try ExternalTool.ext4Editor.run(["-w", "-f", list, copy], step: "writing into \(target)")
        // debugfs ends well whatever happens: so what is in it now is looked at.
        for (number, path) in paths.enumerated() {
            let back = "\(scratch)/back-\(number)"
            try ExternalTool.ext4Editor.run(["-R", "dump \(path) \"\(back)\"", copy], step: "reading \(path) back")
            guard FileManager.default.contents(atPath: back) ?? Data() == guest.content(String(path.dropFirst())) ?? Data() else {
                throw .failed(step: "writing \(path) into \(target)", detail: "it does not come out as it went in: is there room in the file system?")
            }
        }
        try ExternalTool.ext4Check.run(["-fn", copy], step: "checking what was written into \(target)")
        guard rename(copy, target) == 0 else { throw .failed(step: "replacing \(target)", detail: String(cString: strerror(errno))) }
    }
}

/// A guest's root as a directory of this machine.
private struct GuestRoot {
    let root: String

    private func path(_ name: String) -> String { root == "/" ? "/" + name : "\(root)/\(name)" }

    func has(_ name: String) -> Bool {
        var status = stat()
        // Links in it are meant within it: one that leads nowhere from here is there all the same.
        return lstat(path(name), &status) == 0
    }
    func content(_ name: String) -> Data? { FileManager.default.contents(atPath: path(name)) }
    func mode(_ name: String) -> mode_t? {
        var status = stat()
        return stat(path(String(name.drop { $0 == "/" })), &status) == 0 ? status.st_mode : nil
    }

    /// Whether a file is missing, or was written before one of the others.
    func isOlder(_ name: String, than others: [String]) -> Bool {
        func changed(_ name: String) -> Double? {
            var status = stat()
            guard stat(path(name), &status) == 0 else { return nil }
            return Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) / 1e9
        }
        guard let own = changed(name) else { return true }
        return others.compactMap(changed).contains { $0 > own }
    }

    /// Versions of its kernels that have their modules, oldest first.
    func kernels() throws(ImageError) -> [String] {
        let names: [String]
        do { names = has("boot") ? try FileManager.default.contentsOfDirectory(atPath: path("boot")) : [] } catch {
            throw .failed(step: "looking for kernels", detail: error.localizedDescription)
        }
        return names.filter { $0.hasPrefix("vmlinuz-") }.map { String($0.dropFirst("vmlinuz-".count)) }
            .filter { has("lib/modules/\($0)") || has("usr/lib/modules/\($0)") }
            .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
    }

    func write(_ content: [UInt8], to name: String, mode: mode_t) throws(ImageError) {
        let place = path(name)
        do {
            try FileManager.default.createDirectory(atPath: (place as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try Data(content).write(to: URL(fileURLWithPath: place), options: .atomic)
        } catch { throw .failed(step: "writing \(place)", detail: error.localizedDescription) }
        guard chmod(place, mode) == 0 else { throw .failed(step: "writing \(place)", detail: String(cString: strerror(errno))) }
    }

    func remove(_ name: String) throws(ImageError) {
        guard unlink(path(name)) == 0 else { throw .failed(step: "removing \(path(name))", detail: String(cString: strerror(errno))) }
    }

    /// By the guest's own program, in its root: in a mount namespace of its own, so that nothing stays mounted, and as root of a user namespace
    /// where this user is not root.
    func updateRamdisk(of kernel: String) throws(ImageError) {
        let inside = """
            mount --rbind /dev "$1/dev" && mount -t tmpfs none "$1/tmp" && { mount -t proc proc "$1/proc" || mount --rbind /proc "$1/proc"; } &&
            exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root chroot "$1" update-initramfs -c -k "$2"
            """
        let namespaces = ["--mount", "--propagation", "private"] + (getuid() == 0 ? [] : ["--map-root-user"])
        if root == "/" {
            _ = try ExternalTool.run("/usr/sbin/update-initramfs", ["-c", "-k", kernel], step: "making the ramdisk of \(kernel)")
        } else {
            try ExternalTool.namespaces.run(
                namespaces + ["sh", "-c", inside, "sh", root, kernel], step: "making the ramdisk of \(kernel)",
                environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
        }
        guard has("boot/initrd.img-\(kernel)") else {
            throw .failed(step: "making the ramdisk of \(kernel)", detail: "update-initramfs made no boot/initrd.img-\(kernel)")
        }
    }

    func export(_ kernel: String, to directory: String) throws(ImageError) {
        for (name, target) in [("boot/vmlinuz-\(kernel)", "vmlinuz"), ("boot/initrd.img-\(kernel)", "ramdisk")] {
            guard let content = content(name) else { throw .failed(step: "copying \(name)", detail: "it cannot be read") }
            do {
                try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
                try content.write(to: URL(fileURLWithPath: "\(directory)/\(target)"), options: .atomic)
            } catch { throw .failed(step: "writing \(directory)/\(target)", detail: error.localizedDescription) }
        }
    }
}
