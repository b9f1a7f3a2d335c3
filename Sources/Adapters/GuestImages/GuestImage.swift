import Foundation
import Glibc
import Vocabulary

/// A guest's kernel, ramdisk, read-only base and empty delta disk, in one directory with a manifest.
package struct GuestImage: Hashable, Sendable {
    package let directory: String
    package let manifest: ImageManifest

    package static let manifestName = "image.json"

    package var kernel: String { "\(directory)/\(manifest.kernel.file)" }
    package var ramdisk: String { "\(directory)/\(manifest.ramdisk.file)" }
    /// Raw. squashfs, the guest's first disk, read-only; or ext4, below the guest's only disk (`GuestUnion.backingFile`).
    package var base: String { "\(directory)/\(manifest.base.file)" }
    /// qcow2 with an empty ext4; copies of it, or overlays on it, are the guest's second disk. nil where there is no second disk.
    package var deltaTemplate: String? { manifest.deltaTemplate.map { "\(directory)/\($0.file)" } }
    /// The workload as it lies in the base, which runs on this machine as well.
    package var hashchain: String { "\(directory)/\(manifest.hashchain.file)" }

    /// Reads an image's manifest and checks that its parts are there with the sizes it names.
    ///
    /// - Parameter verifyingDigests: also reads every part and compares its SHA-256.
    /// - Throws: `ImageError.damaged`.
    package static func load(_ directory: String, verifyingDigests: Bool = false) throws(ImageError) -> GuestImage {
        let absolute = URL(fileURLWithPath: directory).standardizedFileURL.path
        let path = "\(absolute)/\(manifestName)"
        guard let content = FileManager.default.contents(atPath: path) else {
            throw .damaged(path: absolute, detail: "there is no \(manifestName) to be read")
        }
        let manifest: ImageManifest
        do { manifest = try JSONDecoder().decode(ImageManifest.self, from: content) } catch {
            throw .damaged(path: path, detail: "\(error)")
        }
        guard manifest.format == ImageManifest.currentFormat else {
            throw .damaged(path: path, detail: "its format is “\(manifest.format)”, this program reads “\(ImageManifest.currentFormat)”")
        }
        let image = GuestImage(directory: absolute, manifest: manifest)
        for part in manifest.parts {
            var status = stat()
            guard !part.file.contains("/"), stat("\(absolute)/\(part.file)", &status) == 0 else {
                throw .damaged(path: absolute, detail: "\(part.file) is missing")
            }
            guard Int64(status.st_size) == part.sizeBytes.rawValue else {
                throw .damaged(path: absolute, detail: "\(part.file) has \(status.st_size) bytes instead of \(part.sizeBytes.rawValue)")
            }
        }
        if verifyingDigests {
            let found = try ImagePart.digests(of: manifest.parts.map(\.file), in: absolute)
            for part in manifest.parts where found[part.file] != part.sha256 {
                throw .damaged(path: absolute, detail: "\(part.file) has changed since it was made")
            }
        }
        return image
    }
}

/// `image.json`: what an image is and what it was made of. It holds no time, so that an equal image has an equal manifest.
package struct ImageManifest: Hashable, Sendable, Codable {
    package static let currentFormat = "cairn-image/v1"
    package var format = currentFormat
    package var name: String
    package var kernelVersion: String
    /// Debian's package with its version, when the kernel was downloaded.
    package var kernelPackage: String?
    /// What the guest was told to unite by.
    package var union: GuestUnion
    /// What its kernel offers, best first.
    package var unionsAvailable: [GuestUnion]
    /// In the order in which the ramdisk loads them.
    package var modules: [String]
    package var deltaSizeBytes: ByteCount
    package var kernel: ImagePart
    package var ramdisk: ImagePart
    package var base: ImagePart
    /// nil with `GuestUnion.backingFile`.
    package var deltaTemplate: ImagePart?
    package var hashchain: ImagePart
    /// Paths in the guest of what the recipe added.
    package var addedFiles: [String]
    /// Versions of the tools, by name.
    package var madeWith: [String: String]

    package var parts: [ImagePart] { [kernel, ramdisk, base] + [deltaTemplate].compactMap(\.self) + [hashchain] }
}

/// One file of an image.
package struct ImagePart: Hashable, Sendable, Codable {
    package var file: String
    package var sizeBytes: ByteCount
    /// Lower-case hexadecimal.
    package var sha256: String

    static func digests(of files: [String], in directory: String) throws(ImageError) -> [String: String] {
        let text = try ExternalTool.digests.run(files.map { "./\($0)" }, step: "computing digests", in: directory)
        var digests: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let gap = line.range(of: "  ./") else { continue }
            digests[String(line[gap.upperBound...])] = String(line[..<gap.lowerBound])
        }
        return digests
    }
}

// MARK: - The kernel's command line

extension GuestImage {
    /// The kernel's command line for a guest that runs `run`: quiet but for errors, and with freed memory turned to zeros, which
    /// cost a checkpoint nothing.
    ///
    /// `run` reaches a shell in the guest as it stands. Check it with `problem(inRun:)` first.
    package static func kernelArguments(console: String = "ttyS0", run: String) -> String {
        "console=\(console) quiet panic=5 init_on_free=1 -- \(run)"
    }

    /// What keeps `run` from being run, in words; nil when nothing does.
    ///
    /// Source: Linux `init/main.c`, MAX_INIT_ARGS (32): more words after `--` make the kernel panic; x86 COMMAND_LINE_SIZE (2048)
    /// with its terminating zero: what is longer is cut off.
    package static func problem(inRun run: String) -> String? {
        if run.allSatisfy(\.isWhitespace) { return "there is nothing to run" }
        if run.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) { return "it must be one line without control characters" }
        let length = kernelArguments(run: run).utf8.count
        if length > 2047 { return "it is \(length - 2047) bytes too long for a kernel's command line" }
        var words = 0
        var quoted = false
        var inWord = false
        for character in run.utf8 {
            if character == UInt8(ascii: "\"") { quoted.toggle() }
            let space = character == 0x20 && !quoted
            if !space, !inWord { words += 1 }
            inWord = !space
        }
        return words > 32 ? "it has \(words) words, the kernel takes 32: put it into a script in the image, or part of it into double quotes" : nil
    }
}

// MARK: - Delta disks

extension GuestImage {
    static func problem(inDeltaSize size: ByteCount) -> String? {
        if size < ImageRecipe.smallestDelta {
            return "\(size.rawValue) bytes are less than the smallest delta disk, \(Int(ImageRecipe.smallestDelta.mebibytes)) MiB"
        }
        if size > ImageRecipe.largestDelta {
            return "\(size.rawValue) bytes are more than the largest delta disk, \(Int(ImageRecipe.largestDelta.mebibytes) >> 20) TiB"
        }
        return size.rawValue % 4096 == 0 ? nil : "\(size.rawValue) bytes are not a multiple of 4096"
    }

    /// Makes an empty delta disk of `size`, whole or not at all: a copy of the template where the size is the same.
    package func makeDelta(size: ByteCount, at path: String) throws(ImageError) {
        guard let deltaTemplate else { throw .problems([ImageProblem("delta", "a guest on a backing file has no delta disk of its own")]) }
        guard size == manifest.deltaSizeBytes else { return try Self.makeDelta(size: size, at: path) }
        let unfinished = "\(path).making-\(getpid())"
        do {
            try FileManager.default.copyItem(atPath: deltaTemplate, toPath: unfinished)
        } catch {
            throw .failed(step: "making the delta disk \(path)", detail: error.localizedDescription)
        }
        try Self.publish(unfinished, as: path)
    }

    /// Makes an empty delta disk of `size` without an image: ext4 in a qcow2 of about 1 MiB for each 20 GiB.
    package static func makeDelta(size: ByteCount, at path: String) throws(ImageError) {
        if let problem = problem(inDeltaSize: size) { throw .problems([ImageProblem("deltaSize", problem)]) }
        let missing = [ExternalTool.ext4, .diskImages].compactMap(\.problem)
        guard missing.isEmpty else { throw .problems(missing) }
        let step = "making the delta disk \(path)"
        let raw = "\(path).raw-\(getpid())"
        let unfinished = "\(path).making-\(getpid())"
        defer {
            unlink(raw)
            unlink(unfinished)
        }
        guard FileManager.default.createFile(atPath: raw, contents: nil), truncate(raw, off_t(size.rawValue)) == 0 else {
            throw .failed(step: step, detail: "\(raw): \(String(cString: strerror(errno)))")
        }
        // Every block that was ever written is carried by the first checkpoint: so the journal is small, inode tables and journal
        // stay unwritten (lazy), nothing is kept for growing, and what the groups need lies together (a qcow2 cluster holds 16
        // blocks). Identity and time are fixed, so that equal sizes make equal disks.
        let journal = size < .mebibytes(64) ? "4" : "8"
        let identity = "6361697e-726e-4d65-8c74-610000000001"
        try ExternalTool.ext4.run(
            [
                "-q", "-F", "-t", "ext4", "-O", "^resize_inode,sparse_super2", "-G", "256", "-m", "0", "-J", "size=\(journal)", "-U", identity, "-E",
                "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0,hash_seed=\(identity)", raw,
            ],
            step: step, environment: ["E2FSPROGS_FAKE_TIME": "1262304000"])
        try ExternalTool.diskImages.run(["convert", "-f", "raw", "-O", "qcow2", raw, unfinished], step: step)
        try publish(unfinished, as: path)
    }

    private static func publish(_ unfinished: String, as path: String) throws(ImageError) {
        guard rename(unfinished, path) == 0 else {
            let detail = String(cString: strerror(errno))
            unlink(unfinished)
            throw .failed(step: "making the delta disk \(path)", detail: detail)
        }
    }
}

// MARK: - The undisturbed run

extension GuestImage {
    /// The result that a run of `hashchain` with these arguments must have, found by running the image's own binary on this
    /// machine without waiting: about a thousandth of the time that the guest takes.
    ///
    /// - Throws: when the arguments are refused or the run fails, with the line that says why.
    package func expectedResult(arguments: [String]) throws(ImageError) -> String {
        let step = "the undisturbed run"
        let file = NSTemporaryDirectory() + "cairn-hashchain-" + UUID().uuidString
        defer { unlink(file) }
        let ended = try ExternalTool.run(hashchain, arguments + ["--file", file, "--fast"], step: step, accepted: [0, 2, 3, 4])
        let lines = ended.text.split(separator: "\n")
        if ended.status == 0, let line = lines.last, line.hasPrefix("CAIRN RESULT ") { return String(line.dropFirst("CAIRN RESULT ".count)) }
        throw .failed(
            step: step, detail: lines.last(where: { $0.contains("FAIL") || $0.contains("CORRUPT") }).map(String.init) ?? "status \(ended.status)")
    }

    /// The same for a task's command line, which must be a plain call of `hashchain`.
    package func expectedResult(run: String) throws(ImageError) -> String {
        let words = run.split(separator: " ").map(String.init)
        guard words.first == "hashchain" || words.first == "/usr/bin/hashchain" else {
            throw .failed(step: "the undisturbed run", detail: "“\(run)” is no call of hashchain")
        }
        return try expectedResult(arguments: Array(words.dropFirst()))
    }
}

/// What a guest says on its console: patterns for the lines that `init` and `hashchain` print.
package enum GuestConsole {
    /// Steps done, steps in all.
    package static let progressPattern = #"^CAIRN PROGRESS (\d+)/(\d+)"#
    package static let resultPattern = "^CAIRN RESULT ([0-9a-f]{64})"
    /// The boot or the workload failed, silent corruption was found, or what ran ended with another status than 0.
    package static let failurePattern = "^CAIRN (FAIL .*|CHECK CORRUPT.*|EXIT [1-9][0-9]*)"
}
