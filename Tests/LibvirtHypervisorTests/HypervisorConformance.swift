import Foundation
import GuestImages
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

/// What every hypervisor must do. Sources/Ports/Hypervisor.swift is the contract.
@Suite("Every hypervisor", .serialized, .enabled(if: !HypervisorKind.present.isEmpty, HypervisorKind.absence))
struct HypervisorConformance {
    /// Longer where the guest runs on through captures that take longer.
    static func run(_ kind: HypervisorKind, _ way: CaptureWay? = nil) -> String {
        "hashchain --seconds \(way == .liveSuspend ? 24 : kind == .qemu ? 12 : 14) --memory 16 --check-every 2 --write-kib-per-s 256 --tick 20"
    }

    /// A capture of the kind's that is neither the slowest nor wants rights.
    static func plain(_ kind: HypervisorKind) -> CaptureWay { kind == .qemu ? .pausedSnapshot : .suspendResume }

    @Test("starts a guest once, says how it is, writes down what it says, and ends it as often as one likes", arguments: HypervisorKind.present)
    func life(_ kind: HypervisorKind) async throws {
        let guest = try await Guest(kind, "life", run: Self.run(kind))
        #expect(try await guest.hypervisor.status(guest.name) == nil)
        await #expect(throws: HypervisorError.noSuchDomain(name: guest.name)) { try await guest.hypervisor.definition(guest.name) }
        try await guest.hypervisor.destroy(guest.name)
        try await guest.hypervisor.start(guest.description(layer: 0))
        await #expect(throws: HypervisorError.alreadyRunning(name: guest.name)) { try await guest.hypervisor.start(guest.description(layer: 0)) }
        try await guest.wait(for: "CAIRN CHECK ok")
        let status = try #require(try await guest.hypervisor.status(guest.name))
        #expect(status.state == .running && status.cpuSeconds > .zero && status.blockWrittenBytes > .zero)
        #expect((status.process != nil) == (kind == .qemu))
        #expect(try await guest.isThere)
        #expect(try await guest.hypervisor.definition(guest.name).contains(guest.layer(0)))
        try await guest.hypervisor.destroy(guest.name)
        #expect(try await guest.hypervisor.status(guest.name) == nil)
        #expect(try await !guest.isThere)
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test(
        """
        captures memory and disk of one instant: the guest goes on in place without a line lost, and elsewhere from the second of two captures, to \
        the undisturbed result both times; that it then powers off is seen
        """,
        arguments: WayCase.all)
    func capture(_ tried: WayCase) async throws {
        let (kind, way) = (tried.kind, tried.way)
        var guest = try await Guest(kind, "\(way)", run: Self.run(kind, way))
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        _ = try await guest.capture(way)
        try await Task.sleep(for: .seconds(2))
        let (taken, memory) = try await guest.capture(way)
        #expect(taken.way == way)
        #expect(taken.stopSeconds > .zero && taken.stopSeconds <= taken.elapsedSeconds)
        print("\(kind) by \(way): stood still for \(taken.stopSeconds.rawValue) s of \(taken.elapsedSeconds.rawValue) s")
        // Which layer is in use can be found out anew.
        #expect(try await guest.hypervisor.definition(guest.name).contains(guest.layer(2)))
        if kind != .qemu { #expect(try await !guest.hypervisor.definition(guest.name).contains(guest.layer(1))) }
        // It writes on, over what belongs to the captures: on its own layer.
        let expected = try guest.image.expectedResult(run: guest.run)
        try await guest.wait(for: "CAIRN RESULT \(expected)")
        let ticks = guest.ticks()
        #expect(ticks.count > 100 && ticks == Array(ticks[0]..<(ticks[0] + ticks.count)))
        #expect(!guest.text().contains("CORRUPT"))
        try await guest.waitForPowerOff()
        try await guest.hypervisor.destroy(guest.name)

        let elsewhere = guest.directory + "/elsewhere"
        let moved = try await guest.moved(to: elsewhere, layers: 2)
        // What is at the old place must not be needed, nor touched.
        try FileManager.default.moveItem(atPath: guest.layer(0), toPath: guest.layer(0) + ".gone")
        try await guest.hypervisor.restore(memoryPath: memory, definition: taken.definition, as: moved)
        #expect(try await guest.hypervisor.status(guest.name)?.state == .running)
        try await guest.wait(for: "CAIRN RESULT \(expected)", in: elsewhere)
        #expect(guest.text(in: elsewhere).contains("CAIRN CHECK ok"))
        #expect(!guest.text(in: elsewhere).contains("CORRUPT"))
        // It went on, and did not begin anew.
        #expect(!guest.text(in: elsewhere).contains("CAIRN PROGRESS 0/"))
        try await guest.waitForPowerOff()
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test("a capture that fails leaves the guest running over the layer that it had", arguments: WayCase.all)
    func failedCapture(_ tried: WayCase) async throws {
        let (kind, way) = (tried.kind, tried.way)
        var guest = try await Guest(kind, "fail-\(way)", run: Self.run(kind))
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        try await Lab.disks.makeOverlay(at: guest.layer(1), on: guest.layer(0))
        await #expect(throws: HypervisorError.self) {
            try await guest.hypervisor.capture(
                guest.name, memoryPath: guest.directory + "/nowhere/memory", nextLayer: guest.layer(1), way: way)
        }
        #expect(try await guest.hypervisor.status(guest.name)?.state == .running)
        #expect(try await guest.hypervisor.definition(guest.name).contains(guest.layer(0)))
        #expect(try await !guest.hypervisor.definition(guest.name).contains(guest.layer(1)))
        // And the next one works.
        try FileManager.default.removeItem(atPath: guest.layer(1))
        _ = try await guest.capture(way)
        let checks = guest.checks
        for _ in 0..<1_200 where guest.checks == checks { try await Task.sleep(for: .milliseconds(50)) }
        #expect(guest.checks > checks && !guest.text().contains("CORRUPT"))
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test(
        "a disk that is full before memory is taken whole leaves the guest running", .enabled(if: geteuid() == 0, "mounts"),
        arguments: WayCase.all.filter { $0.way == .backgroundSnapshot })
    func fullDisk(_ tried: WayCase) async throws {
        let guest = try await Guest(tried.kind, "full-\(tried.way)", run: Self.run(tried.kind))
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        try await Lab.disks.makeOverlay(at: guest.layer(1), on: guest.layer(0))
        let small = guest.directory + "/small"
        try FileManager.default.createDirectory(atPath: small, withIntermediateDirectories: false)
        guard mount("cairn-lab", small, "tmpfs", 0, "size=8m") == 0 else { throw POSIXError(.EPERM) }
        defer { umount2(small, Int32(MNT_DETACH)) }
        do throws(HypervisorError) {
            _ = try await guest.hypervisor.capture(guest.name, memoryPath: small + "/memory", nextLayer: guest.layer(1), way: tried.way)
            Issue.record("8 MiB held the guest's memory")
        } catch { #expect("\(error)".contains("No space left")) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: small).isEmpty)
        let checks = guest.checks
        for _ in 0..<400 where guest.checks < checks + 2 { try await Task.sleep(for: .milliseconds(50)) }
        #expect(guest.checks >= checks + 2 && !guest.text().contains("CORRUPT"))
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test("refuses a disk that is missing, an image that is damaged and a name that is taken, and leaves nothing", arguments: HypervisorKind.present)
    func refusals(_ kind: HypervisorKind) async throws {
        var guest = try await Guest(kind, "refuse", run: Self.run(kind))
        let hypervisor = guest.hypervisor
        try FileManager.default.moveItem(atPath: guest.layer(0), toPath: guest.layer(0) + ".away")
        await #expect(throws: HypervisorError.self) { try await hypervisor.start(guest.description(layer: 0)) }
        #expect(try await !guest.isThere)
        try FileManager.default.moveItem(atPath: guest.layer(0) + ".away", toPath: guest.layer(0))
        try await hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        let (taken, memory) = try await guest.capture(Self.plain(kind))
        try await hypervisor.destroy(guest.name)

        let elsewhere = guest.directory + "/elsewhere"
        let moved = try await guest.moved(to: elsewhere, layers: 1)
        func refused(_ what: String, _ path: String, _ description: DomainDescription) async throws {
            do throws(HypervisorError) {
                try await hypervisor.restore(memoryPath: path, definition: taken.definition, as: description)
                Issue.record("\(what) was taken")
            } catch { print("\(kind), \(what): \(error)") }
            #expect(try await hypervisor.status(guest.name)?.state != .running, "\(what)")
            #expect(try await !guest.isThere, "\(what)")
        }
        // The layer below the active one: only the hypervisor sees that it is not there.
        try FileManager.default.moveItem(atPath: guest.layer(0, in: elsewhere), toPath: guest.layer(0, in: elsewhere) + ".away")
        try await refused("a missing lower layer", memory, moved)
        try FileManager.default.moveItem(atPath: guest.layer(0, in: elsewhere) + ".away", toPath: guest.layer(0, in: elsewhere))
        var missing = moved
        missing.activeLayer += ".nowhere"
        try await refused("a missing layer", memory, missing)

        let image = try #require(FileManager.default.contents(atPath: memory))
        let damaged = memory + ".damaged"
        try image.prefix(image.count / 3).write(to: URL(fileURLWithPath: damaged))
        try await refused("a cut image", damaged, moved)
        try (Data("nothing".utf8) + image.dropFirst(7)).write(to: URL(fileURLWithPath: damaged))
        try await refused("an image with another beginning", damaged, moved)
        try image.prefix(10).write(to: URL(fileURLWithPath: damaged))
        try await refused("next to nothing", damaged, moved)
        try FileManager.default.removeItem(atPath: damaged)

        try await hypervisor.restore(memoryPath: memory, definition: taken.definition, as: moved)
        await #expect(throws: HypervisorError.alreadyRunning(name: guest.name)) {
            try await hypervisor.restore(memoryPath: memory, definition: taken.definition, as: moved)
        }
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: guest.run))", in: elsewhere)
        #expect(!guest.text(in: elsewhere).contains("CORRUPT"))
        try await hypervisor.destroy(guest.name)
    }

    @Test(
        "a guest that was left standing still in the middle of a capture goes on when its hypervisor is opened again",
        arguments: HypervisorKind.present)
    func leftStanding(_ kind: HypervisorKind) async throws {
        let guest = try await Guest(kind, "left", run: Self.run(kind))
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN PROGRESS")
        try guest.hypervisor.leaveStanding(guest.name)
        #expect(try await guest.hypervisor.status(guest.name)?.state == .paused)
        try guest.hypervisor.settle()
        #expect(try await guest.hypervisor.status(guest.name)?.state == .running)
        try await guest.wait(for: "CAIRN CHECK ok")
        try await guest.hypervisor.destroy(guest.name)
    }
}
