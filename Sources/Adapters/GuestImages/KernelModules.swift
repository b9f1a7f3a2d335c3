import Foundation
import Vocabulary

/// The modules that the ramdisk loads, in an order that meets every dependency.
struct KernelModules: Sendable {
    /// Files relative to the kernel's module directory, each after those that it needs.
    var files: [String]
    /// Unions that this kernel offers, best first.
    var unions: [GuestUnion]

    /// Without these nothing boots: disks, and the file systems of base and delta.
    static let required = ["virtio_pci", "virtio_blk", "squashfs", "ext4"]
    /// With a backing file there is one disk, and nothing to unite in the guest.
    private static func required(for union: GuestUnion) -> [String] { required.filter { union != .backingFile || $0 != "squashfs" } }
    /// Taken where the kernel has them: ext4's checksum where ext4 is a module, console channel, balloon, Xen's disks.
    static let optional = ["crc32c_generic", "virtio_console", "virtio_balloon", "xen_blkfront"]

    /// Resolves by the kernel's own index (modules.dep, modules.builtin), which `depmod` writes when it is not there.
    ///
    /// - Throws: every driver that is missing, at once.
    init(of kernel: Kernel, union: GuestUnion) throws(ImageError) {
        let index = try Self.index(of: kernel)
        let builtin = try Self.builtin(of: kernel)
        func has(_ name: String) -> Bool { index.files[name] != nil || builtin.contains(name) }

        var problems = Self.required(for: union).filter { !has($0) }.map { ImageProblem("kernel", "\(kernel.version) has no driver \($0)") }
        unions = (has("aufs") ? [.aufs] : []) + (has("overlay") ? [.overlayfs] : [])
        if union == .backingFile {
            unions.append(.backingFile)
        } else if unions.isEmpty {
            problems.append(ImageProblem("kernel", "\(kernel.version) has neither aufs nor overlay: nothing unites base and delta"))
        }
        if union != .auto, !unions.contains(union), !unions.isEmpty {
            problems.append(ImageProblem("union", "\(kernel.version) has no \(union.rawValue)", suggestion: "auto takes \(unions[0].rawValue)"))
        }
        guard problems.isEmpty else { throw .problems(problems) }

        let wantedUnions = union == .backingFile ? [] : unions.filter { union == .auto || $0 == union }.map { $0 == .overlayfs ? "overlay" : "aufs" }
        var ordered: [String] = []
        for name in Self.optional + Self.required(for: union) + wantedUnions {
            guard let file = index.files[name] else { continue }
            // modules.dep names what is needed with the deepest need last.
            for needed in (index.needs[file] ?? []).reversed() + [file] where !ordered.contains(needed) { ordered.append(needed) }
        }
        files = ordered
    }

    /// A module's name as the kernel has it: without directories and endings, dashes as underscores.
    static func name(of file: some StringProtocol) -> String {
        let last = file.split(separator: "/").last ?? ""
        return last.split(separator: ".").first.map { $0.replacingOccurrences(of: "-", with: "_") } ?? ""
    }

    private static func index(of kernel: Kernel) throws(ImageError) -> (files: [String: String], needs: [String: [String]]) {
        var text = ""
        if let written = FileManager.default.contents(atPath: kernel.modules + "/modules.dep") {
            text = String(decoding: written, as: UTF8.self)
        } else {
            let suffix = "/lib/modules/\(kernel.version)"
            guard kernel.modules.hasSuffix(suffix) else {
                throw .problems([
                    ImageProblem("modules", "\(kernel.modules) has no modules.dep", suggestion: "run depmod, or name a directory …\(suffix)")
                ])
            }
            let base = String(kernel.modules.dropLast(suffix.count))
            text = try ExternalTool.moduleIndex.run(["-n", "-b", base.isEmpty ? "/" : base, kernel.version], step: "resolving kernel modules")
        }
        var files: [String: String] = [:]
        var needs: [String: [String]] = [:]
        for line in text.split(separator: "\n") {
            // depmod -n prints its other indexes after this one; their lines begin with a word, these with a path.
            guard let colon = line.firstIndex(of: ":"), line[..<colon].contains(".ko"), !line[..<colon].contains(" ") else { continue }
            let file = String(line[..<colon])
            files[name(of: file)] = file
            needs[file] = line[line.index(after: colon)...].split(separator: " ").map(String.init)
        }
        return (files, needs)
    }

    private static func builtin(of kernel: Kernel) throws(ImageError) -> Set<String> {
        guard let content = FileManager.default.contents(atPath: kernel.modules + "/modules.builtin") else {
            throw .problems([ImageProblem("modules", "\(kernel.modules)/modules.builtin cannot be read")])
        }
        return Set(String(decoding: content, as: UTF8.self).split(separator: "\n").map { name(of: $0) })
    }

    /// The module itself, unpacked if it is kept compressed.
    static func content(of file: String, in kernel: Kernel, scratch: String) throws(ImageError) -> Data {
        let path = "\(kernel.modules)/\(file)"
        let step = "reading the kernel module \(file)"
        let unpack: (tool: ExternalTool, options: [String])? =
            switch (file as NSString).pathExtension {
            case "xz": (.xz, ["-dc"])
            case "zst": (.zstd, ["-dcq"])
            case "gz": (.gzip, ["-dc"])
            default: nil
            }
        var source = path
        if let unpack {
            source = "\(scratch)/module"
            try unpack.tool.run(unpack.options + [path], step: step, output: source)
        }
        guard let content = FileManager.default.contents(atPath: source) else { throw .failed(step: step, detail: "\(source) cannot be read") }
        return content
    }
}
