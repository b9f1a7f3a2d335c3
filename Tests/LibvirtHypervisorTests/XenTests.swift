import Foundation
import GuestImages
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

/// What only Xen has: what is done behind libvirt's back, and what it must not do to anybody.
@Suite("Xen through libvirt and libxl", .serialized, .enabled(if: HypervisorKind.isXen, "CAIRN_XEN=1 is not set"))
struct XenTests {
    private func xen(_ guest: Guest) throws -> XenHypervisor { try #require(guest.hypervisor as? XenHypervisor) }

    @Test(
        "offers the ways that its guests can be captured by, and takes another where the one asked for is not to be had",
        arguments: HypervisorKind.present)
    func ways(_ kind: HypervisorKind) async throws {
        var guest = try await Guest(kind, "ways", run: HypervisorConformance.run(kind, .liveSuspend))
        let found = try await guest.hypervisor.capabilities()
        #expect(found.driver == "Xen" && found.acceleration == .xen && found.version.hasPrefix("4.17"))
        #expect(found.captureWays.suffix(2) == [.suspendResume, .saveRestore])
        #expect(found.captureWays.contains(.liveSuspend) == kind.ways.contains(.liveSuspend))
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        let (taken, _) = try await guest.capture(.liveSuspend)
        #expect(taken.way == found.captureWays.first)
        await #expect(throws: HypervisorError.self) {
            try await guest.hypervisor.capture(
                guest.name, memoryPath: guest.directory + "/m", nextLayer: guest.layer(1), way: .backgroundSnapshot)
        }
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test("merges layers while the guest runs and reads them", arguments: HypervisorKind.present)
    func merge(_ kind: HypervisorKind) async throws {
        var guest = try await Guest(kind, "merge", run: HypervisorConformance.run(kind, .liveSuspend))
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        for _ in 0..<3 { _ = try await guest.capture(.suspendResume) }
        let xen = try xen(guest)
        #expect(try await xen.chain(guest.name) == [3, 2, 1, 0].map { guest.layer($0) })
        try await xen.mergeLayers(guest.name, from: guest.layer(2), into: guest.layer(0), limit: Seconds(120))
        #expect(try await xen.chain(guest.name) == [3, 0].map { guest.layer($0) })
        for index in 1...2 { try FileManager.default.removeItem(atPath: guest.layer(index)) }
        // What is not there and what is in use is not merged.
        await #expect(throws: HypervisorError.self) {
            try await xen.mergeLayers(guest.name, from: guest.layer(2), into: guest.layer(0), limit: Seconds(1))
        }
        let (_, memory) = try await guest.capture(.suspendResume)
        #expect(FileManager.default.fileExists(atPath: memory))
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: guest.run))")
        #expect(!guest.text().contains("CORRUPT"))
        try await guest.hypervisor.destroy(guest.name)
        // What it left is a whole disk.
        try await Lab.disks.check(guest.layer(0))
        try await Lab.disks.check(guest.layer(3))
    }

    @Test("a guest is seen at every moment of its capture, and is busy for others", arguments: WayCase.all)
    func seen(_ tried: WayCase) async throws {
        var guest = try await Guest(tried.kind, "seen-\(tried.way)", run: HypervisorConformance.run(tried.kind, .liveSuspend))
        let (hypervisor, name, other) = (guest.hypervisor, guest.name, guest.directory + "/other")
        try await hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        let over = Over()
        let watch = Task {
            var states: [DomainStatus.State?] = []
            var refusals = 0
            while await !over.isSo {
                do { states.append(try await hypervisor.status(name)?.state) } catch let error as HypervisorError where error.isRetryable {
                    refusals += 1
                }
                if try await !hypervisor.domains().contains(where: { $0.name == name }) { states.append(nil) }
                do {
                    _ = try await hypervisor.capture(name, memoryPath: other, nextLayer: other, way: .suspendResume)
                    states.append(nil)
                } catch let error as HypervisorError where error.isRetryable { refusals += 1 } catch { states.append(.running) }
                try await Task.sleep(for: .milliseconds(100))
            }
            return (states, refusals)
        }
        try await Task.sleep(for: .milliseconds(300))
        // The watch's own tries hold it for moments.
        var isTaken = false
        while !isTaken {
            do {
                _ = try await guest.capture(tried.way)
                isTaken = true
            } catch let error as HypervisorError where error.isRetryable { try FileManager.default.removeItem(atPath: guest.layer(1)) }
        }
        await over.now()
        let (states, refusals) = try await watch.value
        #expect(!states.isEmpty && states.allSatisfy { $0 == .running || $0 == .paused }, "\(states)")
        #expect(refusals > 0)
        try await hypervisor.destroy(name)
    }

    private actor Over {
        private(set) var isSo = false
        func now() { isSo = true }
    }

    @Test("a guest that is ended in the middle of its capture stays ended", arguments: WayCase.all)
    func destroyed(_ tried: WayCase) async throws {
        let guest = try await Guest(tried.kind, "gone-\(tried.way)", run: HypervisorConformance.run(tried.kind, .liveSuspend))
        let (hypervisor, name) = (guest.hypervisor, guest.name)
        try await hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        try await Lab.disks.makeOverlay(at: guest.layer(1), on: guest.layer(0))
        let (memory, next) = (guest.directory + "/memory", guest.layer(1))
        let capture = Task { try await hypervisor.capture(name, memoryPath: memory, nextLayer: next, way: tried.way) }
        try await Task.sleep(for: .milliseconds(1_000))
        try await hypervisor.destroy(name)
        // It may have come to its end before; then it did so with a whole image.
        do { #expect(try await capture.value.way == tried.way) } catch { #expect(!FileManager.default.fileExists(atPath: memory), "\(error)") }
        #expect(try await hypervisor.status(name) == nil)
        #expect(try await !guest.isThere)
    }
}
