import Foundation
import GuestImages
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

@Suite(
    "Layers are merged while the guest runs", .serialized,
    .enabled(if: HypervisorKind.present == [.qemu], "qemu-system-x86_64 is not installed (qemu-system-x86)"))
struct MergeTests {
    private static let run = "hashchain --seconds 14 --memory 16 --check-every 2 --write-kib-per-s 512 --tick 20"
    private let way = HypervisorKind.qemu.ways[0]

    /// A guest under load with five frozen layers below the one in use.
    private func guest(_ name: String, run: String = run) async throws -> (Guest, Capture, memory: String) {
        var guest = try await Guest(.qemu, name, run: run)
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        var last: (Capture, memory: String)?
        for _ in 0..<5 {
            last = try await guest.capture(way)
            try await Task.sleep(for: .milliseconds(300))
        }
        #expect(try await guest.hypervisor.chain(guest.name) == (0...5).reversed().map { guest.layer($0) })
        let (taken, memory) = try #require(last)
        return (guest, taken, memory)
    }

    @Test("into the lowest: the guest notices nothing, and goes on elsewhere from the next capture to the undisturbed result")
    func whole() async throws {
        var (guest, _, _) = try await guest("merge")
        #expect(try await guest.hypervisor.capabilities().mergesLayers == true)
        let before = Date()
        try await guest.hypervisor.mergeLayers(guest.name, from: guest.layer(4), into: guest.layer(0), limit: Seconds(60))
        print("merged five layers under load in \(Date().timeIntervalSince(before)) s")
        #expect(try await guest.hypervisor.chain(guest.name) == [guest.layer(5), guest.layer(0)])
        // What went is not needed any more, also not by a capture and its restore.
        for index in 1...4 { try FileManager.default.removeItem(atPath: guest.layer(index)) }
        let (taken, memory) = try await guest.capture(way)
        #expect(try await guest.hypervisor.chain(guest.name) == [guest.layer(6), guest.layer(5), guest.layer(0)])
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: Self.run))")
        #expect(!guest.text().contains("CORRUPT"))
        print("longest gap between two ticks of 20 ms while layers were frozen and merged: \(try longestGap(guest.text())) ms")
        try await guest.hypervisor.destroy(guest.name)

        let elsewhere = guest.directory + "/elsewhere"
        try FileManager.default.createDirectory(atPath: elsewhere, withIntermediateDirectories: true)
        for (from, to) in [(0, 0), (5, 1)] {
            try FileManager.default.copyItem(atPath: guest.layer(from), toPath: guest.layer(to, in: elsewhere))
        }
        try await Lab.disks.rebase(guest.layer(1, in: elsewhere), onto: guest.layer(0, in: elsewhere))
        try await Lab.disks.makeOverlay(at: guest.layer(2, in: elsewhere), on: guest.layer(1, in: elsewhere))
        try await guest.hypervisor.restore(
            memoryPath: memory, definition: taken.definition, as: guest.description(layer: 2, in: elsewhere))
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: Self.run))", in: elsewhere)
        #expect(!guest.text(in: elsewhere).contains("CORRUPT"))
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test("some of them into one in the middle; and one that is given up at once leaves the chain as it was")
    func some() async throws {
        let (guest, _, _) = try await guest("merge-some")
        let chain = try await guest.hypervisor.chain(guest.name)
        do throws(HypervisorError) {
            // It may be done before it can be given up.
            try await guest.hypervisor.mergeLayers(guest.name, from: guest.layer(2), into: guest.layer(1), limit: Seconds(-1))
        } catch { #expect(error.isRetryable) }
        let now = try await guest.hypervisor.chain(guest.name)
        #expect(now == chain || now == chain.filter { $0 != guest.layer(2) })
        try await guest.hypervisor.mergeLayers(guest.name, from: guest.layer(4), into: guest.layer(1), limit: Seconds(60))
        #expect(try await guest.hypervisor.chain(guest.name) == [guest.layer(5), guest.layer(1), guest.layer(0)])
        await #expect(throws: HypervisorError.self) {
            try await guest.hypervisor.mergeLayers(guest.name, from: guest.layer(5), into: guest.layer(0), limit: Seconds(60))
        }
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: Self.run))")
        #expect(!guest.text().contains("CORRUPT"))
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test("QEMU killed in the middle of it leaves layers that hold the disk of the last capture: the guest goes on from them", arguments: 0..<4)
    func killed(round: Int) async throws {
        let run = "hashchain --seconds 9 --memory 16 --check-every 2 --write-kib-per-s 4096 --file-limit 40"
        let (guest, taken, memory) = try await guest("merge-killed-\(round)", run: run)
        let process = try #require(try await guest.hypervisor.status(guest.name)?.process)
        // A different moment of the merge each time, which takes some 50 ms.
        let reaper = Thread {
            usleep(UInt32(8_000 * round + 2_000))
            kill(process.pid, SIGKILL)
        }
        reaper.start()
        var isDone = false
        do throws(HypervisorError) {
            try await guest.hypervisor.mergeLayers(guest.name, from: guest.layer(4), into: guest.layer(0), limit: Seconds(60))
            isDone = true
        } catch { print("killed \(8 * round + 2) ms into a merge: \(error)") }
        for _ in 0..<100 where try await guest.hypervisor.status(guest.name)?.state == .running { try await Task.sleep(for: .milliseconds(50)) }
        try await guest.hypervisor.destroy(guest.name)
        for index in 0...4 { try await Lab.disks.check(guest.layer(index)) }
        // All layers of the last capture, whatever the merge has left of itself in the lowest.
        let elsewhere = guest.directory + "/elsewhere"
        let moved = try await guest.moved(to: elsewhere, layers: 5)
        try await guest.hypervisor.restore(memoryPath: memory, definition: taken.definition, as: moved)
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: run))", in: elsewhere)
        #expect(!guest.text(in: elsewhere).contains("CORRUPT"), "the merge was \(isDone ? "done" : "interrupted")")
        try await guest.hypervisor.destroy(guest.name)
    }

    /// Milliseconds, by the guest's own clock.
    private func longestGap(_ text: String) throws -> Int {
        let times = text.split(separator: "\n").filter { $0.hasPrefix("T ") }.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        try #require(times.count > 10)
        return zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? 0
    }
}
