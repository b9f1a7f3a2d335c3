import Foundation
import Testing
import Vocabulary

@testable import GuestImages

/// The workload as an ordinary process of this machine: the binary that lies in the image.
@Suite(.needsImageTools) struct HashchainTests {
    private func hashchain(_ arguments: String, file: String) throws -> (lines: [String], status: Int32) {
        let ended = try ExternalTool.run(
            BuiltImage.get().hashchain, arguments.split(separator: " ").map(String.init) + ["--file", file], step: "hashchain",
            accepted: [0, 2, 3, 4])
        return (ended.text.split(separator: "\n").map(String.init), ended.status)
    }

    private func result(_ arguments: String) throws -> String {
        try BuiltImage.get().expectedResult(arguments: arguments.split(separator: " ").map(String.init))
    }

    @Test("Equal arguments have equal results, paced or not")
    func deterministic() throws {
        let arguments = "--seconds 1 --memory 4 --check-every 1"
        let first = try result(arguments)
        let file = try BuiltImage.scratch()
        let paced = try hashchain(arguments, file: file)
        #expect(try result(arguments) == first)
        #expect(paced.lines.last == "CAIRN RESULT \(first)")
        #expect(paced.lines.first == "CAIRN START steps=100 rate=100 seed=1 memory=\(4 << 20)")
    }

    @Test("What does not change the work does not change the result", arguments: ["--tick 10", "--check-every 2", "--steps 300 --rate 100"])
    func indifferent(extra: String) throws {
        let base = extra.hasPrefix("--steps") ? "" : "--seconds 3 "
        #expect(try result(base + extra + " --memory 4") == result("--seconds 3 --memory 4"))
    }

    @Test(
        "What changes the work changes the result",
        arguments: ["--seed 2", "--memory 5", "--dirty-mib-per-s 5", "--write-kib-per-s 64", "--text-percent 49", "--rate 101", "--file-limit 1"])
    func sensitive(extra: String) throws {
        // 20 s × 128 KiB/s are 2.5 MiB of file, beyond a limit of 1 MiB.
        #expect(try result("--seconds 20 --memory 4 \(extra)") != result("--seconds 20 --memory 4"))
    }

    @Test("One step more has another result")
    func everyStep() throws { #expect(try result("--steps 500 --memory 4") != result("--steps 501 --memory 4")) }

    @Test("The chain's hash is SHA-256")
    func known() throws {
        // One step from the seed's state over a working set without text, worked out by the model below.
        let image = try BuiltImage.get()
        let expected = try ChainModel.resultOfOneStep(seed: 1, memoryMiB: 1)
        #expect(try image.expectedResult(arguments: ["--steps", "1", "--memory", "1", "--text-percent", "0", "--dirty-mib-per-s", "0"]) == expected)
    }

    @Test("A byte of its file that changes on disk is found by the next check", .timeLimit(.minutes(2)))
    func corruptFile() async throws {
        let file = try BuiltImage.scratch()
        let changer = Thread {
            // Waits for the first second's record, then changes one byte in its middle.
            while true {
                usleep(20_000)
                let descriptor = open(file, O_RDWR)
                guard descriptor >= 0 else { continue }
                defer { close(descriptor) }
                var byte: UInt8 = 0
                guard pread(descriptor, &byte, 1, 5000) == 1, lseek(descriptor, 0, SEEK_END) >= 131072 else { continue }
                byte ^= 1
                if pwrite(descriptor, &byte, 1, 5000) == 1, fsync(descriptor) == 0 { return }
            }
        }
        changer.start()
        let ended = try hashchain("--seconds 60 --memory 4 --check-every 2", file: file)
        #expect(ended.status == 3)
        // Byte 5000 lies in the second block of 4096; after 2 s the file has 2 × 128 KiB / 4 KiB = 64 blocks (or more, on a slow machine).
        let last = try #require(ended.lines.last)
        #expect(last.hasPrefix("CAIRN CHECK CORRUPT file=\(file) blocks=1 of "))
        #expect(last.contains(" first at 4096 direct="))
    }

    @Test("A file that lost its end is found", .timeLimit(.minutes(2)))
    func truncatedFile() throws {
        let file = try BuiltImage.scratch()
        let changer = Thread {
            while true {
                usleep(20_000)
                var status = stat()
                if stat(file, &status) == 0, status.st_size >= 131072, truncate(file, 40960) == 0 { return }
            }
        }
        changer.start()
        let ended = try hashchain("--seconds 60 --memory 4 --check-every 2 --write-kib-per-s 128", file: file)
        #expect(ended.status == 3)
        #expect(ended.lines.last?.contains("CAIRN CHECK CORRUPT") == true)
    }

    @Test("A bit of memory that flips is found by the next check", .timeLimit(.minutes(2)))
    func corruptMemory() async throws {
        let output = try BuiltImage.scratch()
        #expect(FileManager.default.createFile(atPath: output, contents: nil))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try BuiltImage.get().hashchain)
        process.arguments = ["--seconds", "60", "--memory", "24", "--check-every", "1", "--file", output + ".file"]
        process.standardOutput = FileHandle(forWritingAtPath: output)
        try process.run()
        func said() -> String { FileManager.default.contents(atPath: output).map { String(decoding: $0, as: UTF8.self) } ?? "" }
        while process.isRunning, !said().contains("CAIRN CHECK ok") { try await Task.sleep(for: .milliseconds(20)) }

        // The working set is the only mapping of 24 MiB (or more, where the kernel has joined it with its neighbours).
        let maps = try String(contentsOfFile: "/proc/\(process.processIdentifier)/maps", encoding: .utf8)
        let sizes = maps.split(separator: "\n").compactMap { line -> (start: UInt64, length: UInt64)? in
            let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt64($0, radix: 16) }
            return ends.count == 2 ? (ends[0], ends[1] - ends[0]) : nil
        }
        let largest = try #require(sizes.max { $0.length < $1.length })
        let address = off_t(largest.start + largest.length / 2)
        let memory = open("/proc/\(process.processIdentifier)/mem", O_RDWR)
        try #require(memory >= 0)
        defer { close(memory) }
        var byte: UInt8 = 0
        try #require(pread(memory, &byte, 1, address) == 1)
        byte ^= 0x10
        try #require(pwrite(memory, &byte, 1, address) == 1)
        process.waitUntilExit()
        #expect(process.terminationStatus == 3)
        #expect(said().split(separator: "\n").last?.hasPrefix("CAIRN CHECK CORRUPT memory within 1 MiB from offset ") == true)
    }

    @Test("A device without room fails the run with the reason")
    func noSpace() throws {
        let ended = try hashchain("--seconds 2 --memory 4 --fast", file: "/dev/full")
        #expect(ended.status == 4)
        #expect(ended.lines.last == "CAIRN FAIL writing /dev/full at 0: No space left on device")
    }

    @Test(
        "A file system without direct reads is said to be one",
        .enabled(if: FileManager.default.isWritableFile(atPath: "/dev/shm"), "no /dev/shm here"))
    func withoutDirectReads() throws {
        let file = "/dev/shm/cairn-hashchain-\(getpid())"
        defer { unlink(file) }
        let ended = try hashchain("--seconds 2 --memory 4 --fast", file: file)
        #expect(ended.status == 0)
        #expect(ended.lines.contains { $0.hasPrefix("CAIRN CHECK ok size=262144 direct=") })
    }

    @Test(
        "A wrong command line is refused with the reason",
        arguments: [
            ("", "give one of --seconds and --steps"), ("--seconds 1 --steps 1", "give one of --seconds and --steps"),
            ("--seconds 0", "--seconds must be a whole number from 1 to"), ("--seconds 1 --memory 1.5", "--memory must be a whole number"),
            ("--seconds 1 --seed -1", "--seed must be a whole number"), ("--minutes 3", "unknown option --minutes"),
        ])
    func refused(arguments: String, reason: String) throws {
        let ended = try hashchain(arguments, file: "/dev/null")
        #expect(ended.status == 2)
        #expect(ended.lines.contains { $0.hasPrefix("CAIRN FAIL hashchain: ") && $0.contains(reason) })
        #expect(throws: ImageError.self) { try result(arguments) }
    }
}
