import Foundation
import Testing
import Vocabulary

@testable import GuestImages

/// A guest of an image under plain QEMU, in emulation: no hypervisor adapter, no /dev/kvm, which may exist and hang.
struct GuestMachine {
    var image: GuestImage
    var memory = 128
    var deltaSize = ByteCount.mebibytes(64)
    var kernel: String?
    var ramdisk: String?
    var withDelta = true

    /// Boots, waits until the guest powers itself off, and returns its console's lines that are Cairn's. A guest that never ends
    /// is ended after five minutes and shows by its missing last line.
    func boot(run: String) async throws -> [String] {
        let place = try BuiltImage.scratch("boot")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(atPath: place) } catch { Issue.record(error) } }
        var arguments = [
            "300", "qemu-system-x86_64", "-accel", "tcg", "-machine", "pc", "-cpu", "qemu64", "-m", "\(memory)", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", "file:\(place)/console", "-kernel", kernel ?? image.kernel, "-initrd",
            ramdisk ?? image.ramdisk,
            "-append", GuestImage.kernelArguments(run: run),
        ]
        if image.manifest.union == .backingFile {
            let disk = "\(place)/disk.qcow2"
            try ExternalTool.diskImages.run(["create", "-q", "-f", "qcow2", "-b", image.base, "-F", "raw", disk], step: "making the disk")
            arguments += ["-drive", "file=\(disk),format=qcow2,if=virtio,cache=writeback,discard=unmap"]
        } else {
            arguments += ["-drive", "file=\(image.base),format=raw,if=virtio,readonly=on"]
        }
        if withDelta, image.manifest.union != .backingFile {
            try image.makeDelta(size: deltaSize, at: "\(place)/delta.qcow2")
            arguments += ["-drive", "file=\(place)/delta.qcow2,format=qcow2,if=virtio,cache=writeback,discard=unmap"]
        }
        let timeout = ExternalTool(name: "timeout", debianPackage: "coreutils")
        let words = arguments
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            Thread.detachNewThread {
                continuation.resume(with: Result { _ = try timeout.run(words, step: "the guest", accepted: [0, 124]) })
            }
        }
        let console = try String(contentsOfFile: "\(place)/console", encoding: .utf8)
        return console.split(whereSeparator: \.isNewline).map(String.init)
    }
}

@Suite(.needsQEMU, .serialized) struct GuestBootTests {
    @Test("Booted in emulation, the guest unites, works, checks itself, and ends with the result of the undisturbed run")
    func wholeTask() async throws {
        let image = try BuiltImage.get()
        let run = "hashchain --seconds 4 --memory 16 --seed 7 --check-every 2 --tick 100"
        let expected = try image.expectedResult(run: run)

        let lines = try await GuestMachine(image: image).boot(run: run)

        #expect(lines.contains { $0.hasPrefix("CAIRN UNION overlayfs rw,") || $0.hasPrefix("CAIRN UNION aufs rw,") })
        // 4 s at the default 100 steps/s are 400 steps.
        #expect(lines.contains("CAIRN PROGRESS 0/400"))
        #expect(lines.contains("CAIRN PROGRESS 400/400"))
        // 128 KiB/s for 2 s and for 4 s, past the page cache.
        #expect(lines.contains("CAIRN CHECK ok size=\(2 * 131072) direct=1"))
        #expect(lines.contains("CAIRN CHECK ok size=\(4 * 131072) direct=1"))
        #expect(lines.contains { $0.hasPrefix("T 0 ") })
        #expect(lines.contains("CAIRN RESULT \(expected)"))
        #expect(lines.contains("CAIRN EXIT 0"))
        #expect(!lines.contains { $0.contains("CORRUPT") || $0.contains("FAIL") })
    }

    @Test("A shell reads the command line as it stands, and its status is reported")
    func shellCommand() async throws {
        let lines = try await GuestMachine(image: try BuiltImage.get()).boot(run: #"x="two  words"; echo "[$x]" | tr a-z A-Z && exit 7"#)
        #expect(lines.contains("[TWO  WORDS]"))
        #expect(lines.contains("CAIRN EXIT 7"))
    }

    @Test("A delta disk without room left fails the task with the reason")
    func fullDelta() async throws {
        // 16 MiB with a journal of 4 MiB hold less than 5 s × 8 MiB/s.
        let machine = GuestMachine(image: try BuiltImage.get(), deltaSize: .mebibytes(16))
        let lines = try await machine.boot(run: "hashchain --seconds 5 --memory 8 --write-kib-per-s 8192 --check-every 0")
        #expect(lines.contains { $0.hasPrefix("CAIRN FAIL writing /var/lib/hashchain/chain at ") && $0.hasSuffix("No space left on device") })
        #expect(lines.contains("CAIRN EXIT 4"))
    }

    @Test("A working set larger than the guest's memory is refused at once")
    func tooLittleMemory() async throws {
        let lines = try await GuestMachine(image: try BuiltImage.get(), memory: 128).boot(run: "hashchain --seconds 5 --memory 512")
        #expect(lines.contains { $0.hasPrefix("CAIRN FAIL ") && $0.contains("MiB are available") })
        #expect(lines.contains("CAIRN EXIT 4"))
    }

    @Test("A guest without its delta disk says so and powers off")
    func missingDelta() async throws {
        let lines = try await GuestMachine(image: try BuiltImage.get(), withDelta: false).boot(run: "true")
        #expect(lines.contains("CAIRN FAIL no delta disk /dev/vdb"))
    }

    @Test("The longest command line that is allowed boots", arguments: [32])
    func mostWords(count: Int) async throws {
        let run = "echo " + (2...count).map { "w\($0)" }.joined(separator: " ")
        #expect(GuestImage.problem(inRun: run) == nil)
        let lines = try await GuestMachine(image: try BuiltImage.get()).boot(run: run)
        #expect(lines.contains(String(run.dropFirst(5))))
        #expect(lines.contains("CAIRN EXIT 0"))
    }
}
