import Foundation
import Testing
import Vocabulary

@testable import GuestImages

@Suite(.needsImageTools) struct ImageTests {
    @Test("A built image holds its parts with their digests, and loads")
    func builtImage() throws {
        let image = try BuiltImage.get()
        let loaded = try GuestImage.load(image.directory, verifyingDigests: true)
        #expect(loaded == image)
        #expect(image.manifest.name == "image")
        #expect(image.manifest.unionsAvailable.contains(.overlayfs) || image.manifest.unionsAvailable == [.aufs])
        #expect(image.manifest.modules.contains("virtio_blk"))
        // The same image is for Xen: Debian's kernels bring its disks.
        #expect(image.manifest.modules.contains("xen_blkfront"))
        #expect(Set(image.manifest.madeWith.keys) == ["busybox", "cc", "mksquashfs", "qemu-img"])
        let names = try FileManager.default.contentsOfDirectory(atPath: image.directory)
        #expect(Set(names) == ["base.squashfs", "delta.qcow2", "hashchain", "image.json", "ramdisk", "vmlinuz"])
    }

    @Test("Built again, every part is equal, byte for byte, and nothing is left beside it")
    func reproducible() throws {
        let first = try BuiltImage.get()
        var recipe = BuiltImage.recipe("again")
        recipe.name = "image"
        let second = try ImageBuilder().build(recipe)
        #expect(second.manifest == first.manifest)
        // Once more over the one that is there: replaced, not refused.
        recipe.deltaSize = .mebibytes(32)
        let third = try ImageBuilder().build(recipe)
        #expect(third.manifest.deltaSizeBytes == .mebibytes(32))
        #expect(third.manifest.base == first.manifest.base)
        #expect(try FileManager.default.contentsOfDirectory(atPath: BuiltImage.folder).filter { $0.hasPrefix(".again.making-") } == [])
    }

    @Test("A build that fails leaves the older image as it was, and no rubbish")
    func failedBuild() throws {
        var recipe = BuiltImage.recipe("kept")
        let before = try ImageBuilder().build(recipe).manifest
        // The source is a directory's worth of recipe problems away from failing late: readable now, gone when it is copied.
        let fleeting = try BuiltImage.scratch("fleeting")
        try Data("x".utf8).write(to: URL(fileURLWithPath: fleeting))
        recipe.files = [ExtraFile(source: fleeting, destination: "/etc/fleeting")]
        #expect(throws: ImageError.self) {
            try ImageBuilder().build(recipe) { step in if step == "packing the base" { unlink(fleeting) } }
        }
        #expect(try GuestImage.load(recipe.directory, verifyingDigests: true).manifest == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: BuiltImage.folder).filter { $0.contains("kept.making-") } == [])
    }

    @Test("What the recipe adds lies in the base, owned by root")
    func addedFiles() throws {
        let script = try BuiltImage.scratch("work")
        try Data("#!/bin/sh\necho mine\n".utf8).write(to: URL(fileURLWithPath: script))
        chmod(script, 0o755)
        var recipe = BuiltImage.recipe("added")
        recipe.workload = script
        let plain = try BuiltImage.scratch("plain")
        try Data("mine\n".utf8).write(to: URL(fileURLWithPath: plain))
        chmod(plain, 0o600)
        recipe.files = [ExtraFile(source: plain, destination: "/etc/deep/er/hostname")]
        let image = try ImageBuilder().build(recipe)
        let listing = try ExternalTool(name: "unsquashfs", debianPackage: "squashfs-tools").run(["-lln", image.base], step: "listing")
        let lines = listing.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true) }
        func line(_ path: String) -> String? { lines.first { $0.last == "squashfs-root\(path)" }.map { "\($0[0]) \($0[1])" } }
        let workload = "/usr/bin/" + (script as NSString).lastPathComponent
        #expect(line(workload) == "-rwxr-xr-x 0/0")
        #expect(line("/etc/deep/er/hostname") == "-rw-r--r-- 0/0")
        #expect(line("/usr/bin/hashchain") == "-rwxr-xr-x 0/0")
        #expect(line("/tmp") == "drwxrwxrwt 0/0")
        #expect(image.manifest.addedFiles == [workload, "/etc/deep/er/hostname"])
    }

    @Test("Delta disks of any size are small, sound file systems", arguments: [ByteCount.mebibytes(16), .mebibytes(64), .gibibytes(20)])
    func deltas(size: ByteCount) throws {
        let path = try BuiltImage.scratch("delta") + ".qcow2"
        try BuiltImage.get().makeDelta(size: size, at: path)
        let facts = try ExternalTool.diskImages.run(["info", "--output=json", path], step: "asking")
        #expect(facts.contains("\"virtual-size\": \(size.rawValue)"))
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_size < 1 << 20)
        let raw = path + ".raw"
        try ExternalTool.diskImages.run(["convert", "-O", "raw", path, raw], step: "unpacking")
        try ExternalTool(name: "e2fsck", debianPackage: "e2fsprogs").run(["-fn", raw], step: "checking")
        unlink(raw)
        unlink(path)
    }

    @Test("A delta disk of a wrong size is refused", arguments: [ByteCount(0), .mebibytes(15), ByteCount(20 << 20 + 1), .gibibytes(17 << 10)])
    func wrongDelta(size: ByteCount) throws {
        #expect(throws: ImageError.self) { try GuestImage.makeDelta(size: size, at: try BuiltImage.scratch("wrong")) }
    }

    @Test("An image that is damaged is not loaded")
    func damaged() throws {
        let image = try BuiltImage.get()
        let copy = try BuiltImage.scratch("copy")
        try FileManager.default.copyItem(atPath: image.directory, toPath: copy)
        let handle = try #require(FileHandle(forUpdatingAtPath: copy + "/base.squashfs"))
        try handle.seek(toOffset: 1000)
        try handle.write(contentsOf: Data([0xee, 0xee, 0xee, 0xee]))
        try handle.close()
        // The size is right, so only the digests tell.
        #expect(try GuestImage.load(copy).manifest == image.manifest)
        #expect(throws: ImageError.damaged(path: copy, detail: "base.squashfs has changed since it was made")) {
            try GuestImage.load(copy, verifyingDigests: true)
        }
        #expect(truncate(copy + "/ramdisk", 10) == 0)
        #expect(throws: ImageError.damaged(path: copy, detail: "ramdisk has 10 bytes instead of \(image.manifest.ramdisk.sizeBytes.rawValue)")) {
            try GuestImage.load(copy)
        }
        #expect(unlink(copy + "/ramdisk") == 0)
        #expect(throws: ImageError.damaged(path: copy, detail: "ramdisk is missing")) { try GuestImage.load(copy) }
        try Data("{}".utf8).write(to: URL(fileURLWithPath: copy + "/image.json"))
        #expect(throws: ImageError.self) { try GuestImage.load(copy) }
        #expect(throws: ImageError.damaged(path: "/nowhere", detail: "there is no image.json to be read")) { try GuestImage.load("/nowhere") }
    }

    @Test("A run that is no call of hashchain has no expected result")
    func unknownResult() throws {
        #expect(throws: ImageError.failed(step: "the undisturbed run", detail: "“sleep 5” is no call of hashchain")) {
            try BuiltImage.get().expectedResult(run: "sleep 5")
        }
    }
}

@Suite struct KernelCommandLineTests {
    @Test("The command follows the two dashes as it stands")
    func arguments() {
        #expect(GuestImage.kernelArguments(run: "echo \"a b\"") == "console=ttyS0 quiet panic=5 init_on_free=1 -- echo \"a b\"")
        #expect(GuestImage.kernelArguments(console: "hvc0", run: "x").hasPrefix("console=hvc0 "))
    }

    @Test("What the kernel would not take is found beforehand")
    func limits() {
        let words = { (count: Int) in (1...count).map { "w\($0)" }.joined(separator: " ") }
        #expect(GuestImage.problem(inRun: words(32)) == nil)
        #expect(GuestImage.problem(inRun: words(33))?.hasPrefix("it has 33 words") == true)
        // Three words and one of 40 in double quotes.
        #expect(GuestImage.problem(inRun: "sh -c \"\(words(40))\" end") == nil)
        // "console=ttyS0 quiet panic=5 init_on_free=1 -- " is 46 bytes: 2047 - 46 = 2001 are left.
        #expect(GuestImage.problem(inRun: String(repeating: "x", count: 2001)) == nil)
        #expect(GuestImage.problem(inRun: String(repeating: "x", count: 2002)) == "it is 1 bytes too long for a kernel's command line")
        #expect(GuestImage.problem(inRun: "  ") == "there is nothing to run")
        #expect(GuestImage.problem(inRun: "a\nb") == "it must be one line without control characters")
    }

    @Test("The patterns for a guest's console match its lines")
    func patterns() throws {
        let progress = try Regex(GuestConsole.progressPattern)
        let result = try Regex(GuestConsole.resultPattern)
        let failure = try Regex(GuestConsole.failurePattern)
        #expect("CAIRN PROGRESS 51/500".firstMatch(of: progress)?[2].substring == "500")
        #expect("CAIRN RESULT \(String(repeating: "0f", count: 32))".contains(result))
        for line in ["CAIRN FAIL no delta disk /dev/vdb", "CAIRN CHECK CORRUPT memory within 1 MiB from offset 0", "CAIRN EXIT 137"] {
            #expect(line.contains(failure))
        }
        for line in ["CAIRN EXIT 0", "CAIRN CHECK ok size=1 direct=1", "echo CAIRN FAIL"] { #expect(!line.contains(failure)) }
    }
}
