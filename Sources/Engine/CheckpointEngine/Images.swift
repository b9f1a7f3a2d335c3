import Foundation
import Vocabulary

/// A task's files: the image's, unless the declaration names its own; and what unites them.
struct Images {
    /// Empty, both: the guest boots from its disk.
    var kernel: String
    var ramdisk: String
    var base: String
    var union: GuestUnion

    /// What the engine reads of an image's `image.json`; images of other makers need not have one.
    private struct Description: Decodable {
        struct Part: Decodable { var file: String }
        var union: GuestUnion
        var base: Part
    }

    init(_ spec: TaskSpec, directory: String) throws(EngineError) {
        func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : directory + "/" + path }
        let description = try spec.image.map(absolute).flatMap { image throws(EngineError) in try Self.description(of: image) }
        func file(_ own: String?, _ name: String) -> String? { own.map(absolute) ?? spec.image.map { absolute($0) + "/" + name } }
        union = spec.union ?? description?.union ?? .auto
        guard let base = file(spec.base, description?.base.file ?? "base.squashfs") else {
            throw .local(path: directory, detail: "the task names neither an image nor a base")
        }
        if union == .backingFile, spec.kernel == nil, spec.image == nil {
            (kernel, ramdisk) = ("", "")
        } else {
            // A kernel of a guest's own may need no ramdisk.
            let none = union == .backingFile && spec.image == nil && spec.ramdisk == nil
            guard let kernel = file(spec.kernel, "vmlinuz"), let ramdisk = none ? "" : file(spec.ramdisk, "ramdisk") else {
                throw .local(path: directory, detail: "the task names no image, nor all of base, kernel and ramdisk")
            }
            (self.kernel, self.ramdisk) = (kernel, ramdisk)
        }
        self.base = base
        for path in [kernel, ramdisk, base] where !path.isEmpty && !FileManager.default.isReadableFile(atPath: path) {
            throw .local(path: path, detail: "is not there or cannot be read; `cairn image build` makes an image")
        }
        try refuseMismatch(made: description?.union)
    }

    private static func description(of image: String) throws(EngineError) -> Description? {
        let path = image + "/image.json"
        guard let content = FileManager.default.contents(atPath: path) else { return nil }
        do { return try JSONDecoder().decode(Description.self, from: content) } catch { throw .local(path: path, detail: "\(error)") }
    }

    /// A squashfs cannot be written to, and a ramdisk that expects one disk does not find its way with two.
    private func refuseMismatch(made: GuestUnion?) throws(EngineError) {
        if let made, (made == .backingFile) != (union == .backingFile) {
            throw .local(
                path: base, detail: "the image was made for the union \(made.rawValue), and the task wants \(union.rawValue): build one with --union")
        }
        guard union == .backingFile, let handle = FileHandle(forReadingAtPath: base) else { return }
        let head: Data?
        do { head = try handle.read(upToCount: 4) } catch { throw .local(path: base, detail: error.localizedDescription) }
        // Source: squashfs's and qcow2's first four bytes.
        if head == Data("hsqs".utf8) { throw .local(path: base, detail: "is a squashfs: a disk on a backing file needs a file system to write to") }
        if head == Data([0x51, 0x46, 0x49, 0xfb]) { throw .local(path: base, detail: "is a qcow2: a base is raw (qemu-img convert -O raw)") }
    }
}
