import Foundation
import Testing
import Vocabulary

@testable import GuestImages

/// A guest saved and restored by plain QEMU: what the workload promises to whoever checkpoints it, shown without the checkpoint
/// engine. Its monitor is a pair of FIFOs.
@Suite(.needsQEMU, .serialized) struct SaveRestoreTests {
    private final class RunningGuest {
        let process = Process()
        let place: String
        let console: String
        private let commands: FileHandle
        private let answers: FileHandle

        init(image: GuestImage, place: String, delta: String, run: String, incoming: String?) throws {
            self.place = place
            let name = UUID().uuidString
            console = "\(place)/console-\(name)"
            let monitor = "\(place)/monitor-\(name)"
            for end in ["in", "out"] { try #require(mkfifo("\(monitor).\(end)", 0o600) == 0) }
            // Open at both ends from here, so that neither side ever waits for the other.
            commands = try #require(FileHandle(forUpdatingAtPath: "\(monitor).in"))
            answers = try #require(FileHandle(forUpdatingAtPath: "\(monitor).out"))
            process.executableURL = URL(
                fileURLWithPath: try #require(ExternalTool(name: "qemu-system-x86_64", debianPackage: "qemu-system-x86").path))
            process.arguments =
                [
                    "-accel", "tcg", "-machine", "pc", "-cpu", "qemu64", "-m", "128", "-nodefaults", "-no-user-config", "-display", "none",
                    "-no-reboot",
                    // A guest that was saved while stopped runs when it is restored.
                    "-global", "migration.store-global-state=off",
                    "-serial", "file:\(console)", "-chardev", "pipe,id=monitor,path=\(monitor)", "-mon", "chardev=monitor,mode=readline",
                    "-kernel", image.kernel, "-initrd", image.ramdisk, "-append", GuestImage.kernelArguments(run: run),
                    "-drive", "file=\(image.base),format=raw,if=virtio,readonly=on", "-drive", "file=\(delta),format=qcow2,if=virtio,discard=unmap",
                ] + (incoming.map { ["-incoming", "exec:cat \($0)"] } ?? [])
            try process.run()
        }

        func command(_ text: String) throws { try commands.write(contentsOf: Data((text + "\n").utf8)) }

        func lines() -> [String] {
            (FileManager.default.contents(atPath: console).map { String(decoding: $0, as: UTF8.self) } ?? "").split(whereSeparator: \.isNewline).map(
                String.init)
        }

        /// Waits for a line; a guest that ends without it, or takes longer than five minutes, fails the test.
        func wait(for prefix: String) async throws {
            for _ in 0..<6000 {
                if lines().contains(where: { $0.hasPrefix(prefix) }) { return }
                try #require(
                    process.isRunning || lines().contains(where: { $0.hasPrefix(prefix) }), "the guest ended without “\(prefix)”: \(lines())")
                try await Task.sleep(for: .milliseconds(50))
            }
            throw ImageError.failed(step: "waiting for “\(prefix)”", detail: "\(lines())")
        }

        func checks() -> Int { lines().filter { $0.hasPrefix("CAIRN CHECK ok") }.count }

        func wait(forFile path: String) async throws {
            for _ in 0..<6000 where !FileManager.default.fileExists(atPath: path) { try await Task.sleep(for: .milliseconds(50)) }
            try #require(FileManager.default.fileExists(atPath: path))
        }

        func end() { if process.isRunning { process.terminate() }; process.waitUntilExit() }
    }

    /// Boots a task, copies its disk early on as `old.qcow2`, and half-way saves memory and disk of one instant as `memory` and `delta.qcow2`.
    private func save(_ run: String, in place: String) async throws -> GuestImage {
        let image = try BuiltImage.get()
        let delta = "\(place)/delta.qcow2"
        try image.makeDelta(size: .mebibytes(64), at: delta)
        let guest = try RunningGuest(image: image, place: place, delta: delta, run: run, incoming: nil)
        defer { guest.end() }
        try await guest.wait(for: "CAIRN CHECK ok size=131072 ")
        // `stop` writes out what QEMU holds of the disk.
        try guest.command("stop\nmigrate \"exec:cat > \(place)/first && mv \(place)/first \(place)/unused\"")
        try await guest.wait(forFile: "\(place)/unused")
        try FileManager.default.copyItem(atPath: delta, toPath: "\(place)/old.qcow2")
        // Two checks further on, wherever the guest was when it was stopped.
        let checks = guest.checks()
        try guest.command("cont")
        try await guest.wait(for: "CAIRN CHECK ok size=\((checks + 2) * 131072) ")
        try guest.command("stop\nmigrate \"exec:cat > \(place)/partial && mv \(place)/partial \(place)/memory\"")
        try await guest.wait(forFile: "\(place)/memory")
        try guest.command("quit")
        guest.process.waitUntilExit()
        return image
    }

    private let run = "hashchain --seconds 14 --memory 16 --seed 3 --check-every 1"

    @Test("Saved, killed and restored, the task ends with the result of the undisturbed run, and a restore with an older disk is found out")
    func saveAndRestore() async throws {
        let place = try BuiltImage.scratch("saved")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(atPath: place) } catch { Issue.record(error) } }
        let image = try await save(run, in: place)

        let restored = try RunningGuest(image: image, place: place, delta: "\(place)/delta.qcow2", run: run, incoming: "\(place)/memory")
        defer { restored.end() }
        try await restored.wait(for: "CAIRN EXIT ")
        let lines = restored.lines()
        #expect(lines.contains("CAIRN RESULT \(try image.expectedResult(run: run))"))
        #expect(lines.contains("CAIRN EXIT 0"))
        // It went on, and did not begin anew: after some 4 s of 14 s.
        #expect(!lines.contains("CAIRN PROGRESS 0/1400"))
        #expect(lines.contains("CAIRN CHECK ok size=\(14 * 131072) direct=1"))

        let mispaired = try RunningGuest(image: image, place: place, delta: "\(place)/old.qcow2", run: run, incoming: "\(place)/memory")
        defer { mispaired.end() }
        try await mispaired.wait(for: "CAIRN EXIT ")
        #expect(mispaired.lines().contains { $0.hasPrefix("CAIRN CHECK CORRUPT file=/var/lib/hashchain/chain ") })
        #expect(mispaired.lines().contains("CAIRN EXIT 3"))
        #expect(!mispaired.lines().contains { $0.hasPrefix("CAIRN RESULT") })
    }
}
