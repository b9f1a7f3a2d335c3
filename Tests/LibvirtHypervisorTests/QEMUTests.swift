import Foundation
import GuestImages
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

/// What QEMU alone has: its backing stores in definitions, and a process that can be killed.
@Suite("QEMU through libvirt", .serialized, .enabled(if: HypervisorKind.present == [.qemu], "qemu-system-x86_64 is not installed (qemu-system-x86)"))
struct QEMUTests {
    @Test("a backing store left in the definition corrupts the guest; without it, the same restore is fine")
    func backingStore() async throws {
        var guest = try await Guest(.qemu, "chain", run: "hashchain --seconds 14 --memory 16 --check-every 2 --write-kib-per-s 512")
        let hypervisor = try #require(Lab.qemu)
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        let (taken, memory) = try await guest.capture(.pausedSnapshot)
        try await guest.hypervisor.destroy(guest.name)
        let elsewhere = guest.directory + "/elsewhere"
        let moved = try await guest.moved(to: elsewhere, layers: 1)
        // The save image's definition says where the chain ends: at the layer that was in use. One more layer is on top of it now.
        #expect(taken.definition.contains("<backingStore"))
        var isCaught = false
        do {
            try await hypervisor.restore(memoryPath: memory, definition: taken.definition, as: moved, keepingBackingStore: true)
            for _ in 0..<400 where !isCaught {
                let text = guest.text(in: elsewhere)
                isCaught = text.contains("CORRUPT") || text.contains("FAIL") || text.contains("error")
                if text.contains("CAIRN RESULT") { break }
                try await Task.sleep(for: .milliseconds(100))
            }
        } catch { isCaught = true }
        #expect(isCaught, "the guest should have noticed: \(guest.text(in: elsewhere).suffix(300))")
        try await guest.hypervisor.destroy(guest.name)

        let fine = guest.directory + "/fine"
        try await guest.hypervisor.restore(
            memoryPath: memory, definition: taken.definition, as: try await guest.moved(to: fine, layers: 1))
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: guest.run))", in: fine)
        #expect(!guest.text(in: fine).contains("CORRUPT"))
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test("a guest whose process is killed is seen to be gone, at once, and not as one that shut down")
    func killed() async throws {
        let guest = try await Guest(.qemu, "kill", run: HypervisorConformance.run(.qemu))
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN PROGRESS")
        let process = try #require(try await guest.hypervisor.status(guest.name)?.process)
        kill(process.pid, SIGKILL)
        for _ in 0..<50 where try await guest.hypervisor.status(guest.name)?.state == .running { try await Task.sleep(for: .milliseconds(50)) }
        #expect(try await guest.hypervisor.status(guest.name)?.state != .running)
        #expect(try await guest.hypervisor.status(guest.name)?.state != .shutOff)
        #expect(try await guest.hypervisor.domains().isEmpty)
        try await guest.hypervisor.destroy(guest.name)
    }
}
