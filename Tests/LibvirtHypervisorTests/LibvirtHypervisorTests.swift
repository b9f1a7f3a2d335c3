import CChildren
import CLibvirt
import DiskImages
import Foundation
import GuestImages
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

/// Real parts: QEMU through the libvirt inside this process, and a guest that checks its own memory and disk. One embedded libvirt
/// serves a process, so the tests share it and run one after the other.
enum Lab {
    static let root = "/tmp/cairn-lv-\(getpid())"
    static let image: GuestImage? = make {
        try ImageBuilder().build(ImageRecipe(name: "image", directory: root + "/image", deltaSize: .mebibytes(64)))
    }
    static let hypervisor: LibvirtHypervisor? = make {
        atexit { Lab.cleanUp() }
        return try LibvirtHypervisor(uri: "qemu:///embed", root: root + "/e", probeKernel: image?.kernel)
    }
    static let disks = QemuDisks(templates: root + "/templates")

    private static func make<Value>(_ body: () throws -> Value) -> Value? {
        do { return try body() } catch {
            print("the lab cannot be set up: \(error)")
            return nil
        }
    }

    static func cleanUp() {
        do { try FileManager.default.removeItem(atPath: root) } catch { print("left behind: \(root): \(error)") }
    }

    /// Those that are to be trusted here: a live one is not, under emulation.
    static let snapshots: [CaptureWay] = (cairn_may_write_protect() == 0 ? [.backgroundSnapshot] : []) + [.pausedSnapshot]

    static let isThere = FileManager.default.isExecutableFile(atPath: "/usr/bin/qemu-system-x86_64")
}

/// One guest in a directory of its own.
struct Guest {
    let directory: String
    let hypervisor: LibvirtHypervisor
    let image: GuestImage
    let name: String
    let run: String
    private(set) var layers = ["000000.qcow2"]

    init(_ name: String, run: String) async throws {
        hypervisor = try #require(Lab.hypervisor)
        image = try #require(Lab.image)
        self.name = "cairn-\(name)"
        self.run = run
        directory = "\(Lab.root)/\(name)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try await Lab.disks.makeFirstLayer(at: layer(0), size: .mebibytes(64))
    }

    func layer(_ index: Int, in folder: String? = nil) -> String { "\(folder ?? directory)/\(padded(index)).qcow2" }
    func console(in folder: String? = nil) -> String { "\(folder ?? directory)/console.log" }
    func text(in folder: String? = nil) -> String {
        FileManager.default.contents(atPath: console(in: folder)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    func description(layer index: Int, in folder: String? = nil) -> DomainDescription {
        DomainDescription(
            name: name, memoryBytes: .mebibytes(128), virtualCPUs: 1, kernel: image.kernel, ramdisk: image.ramdisk, base: image.base,
            activeLayer: layer(index, in: folder), console: console(in: folder), run: run)
    }

    mutating func capture(_ way: CaptureWay) async throws -> (Capture, memory: String) {
        let next = layers.count
        try await Lab.disks.makeOverlay(at: layer(next), on: layer(next - 1))
        let memory = "\(directory)/memory-\(next)"
        let taken = try await hypervisor.capture(name, memoryPath: memory, nextLayer: layer(next), way: way)
        layers.append(padded(next) + ".qcow2")
        return (taken, memory)
    }

    /// Another place with copies of the layers of a capture, as another node would have them.
    func moved(to folder: String, layers count: Int) async throws -> DomainDescription {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for index in 0..<count {
            try FileManager.default.copyItem(atPath: layer(index), toPath: layer(index, in: folder))
            if index > 0 { try await Lab.disks.rebase(layer(index, in: folder), onto: layer(index - 1, in: folder)) }
        }
        try await Lab.disks.makeOverlay(at: layer(count, in: folder), on: layer(count - 1, in: folder))
        return description(layer: count, in: folder)
    }

    /// Waits for a line; at most as long as a slow machine may take.
    func wait(for line: String, in folder: String? = nil, seconds: Double = 120) async throws {
        let limit = Date().addingTimeInterval(seconds)
        while Date() < limit {
            if text(in: folder).contains(line) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("no \(line) on the console within \(seconds) s: \(text(in: folder).suffix(500))")
    }
}

@Suite("QEMU through libvirt", .serialized, .enabled(if: Lab.isThere, "qemu-system-x86_64 is not installed (qemu-system-x86)"))
struct LibvirtHypervisorTests {
    static let run = "hashchain --seconds 12 --memory 16 --check-every 2 --write-kib-per-s 256 --tick 20"

    @Test(
        "memory and disk are of one instant: a guest goes on elsewhere from the second of two captures, to the undisturbed result",
        arguments: Lab.snapshots)
    func capture(_ way: CaptureWay) async throws {
        var guest = try await Guest("\(way)", run: Self.run)
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        let status = try #require(try await guest.hypervisor.status(guest.name))
        #expect(status.state == .running && status.process != nil && status.cpuSeconds > .zero)
        _ = try await guest.capture(way)
        try await Task.sleep(for: .seconds(2))
        let (taken, memory) = try await guest.capture(way)
        #expect(taken.way == way)
        #expect(taken.stopSeconds > .zero && taken.stopSeconds < taken.elapsedSeconds)
        // It writes on, over what belongs to the capture: on its own layer.
        try await Task.sleep(for: .seconds(2))
        try await guest.hypervisor.destroy(guest.name)
        #expect(try await guest.hypervisor.status(guest.name) == nil)

        let elsewhere = guest.directory + "/elsewhere"
        let moved = try await guest.moved(to: elsewhere, layers: 2)
        // What is at the old place must not be needed, nor touched.
        try FileManager.default.moveItem(atPath: guest.layer(0), toPath: guest.layer(0) + ".gone")
        try await guest.hypervisor.restore(memoryPath: memory, definition: taken.definition, as: moved)
        let expected = try guest.image.expectedResult(run: Self.run)
        try await guest.wait(for: "CAIRN RESULT \(expected)", in: elsewhere)
        #expect(guest.text(in: elsewhere).contains("CAIRN CHECK ok"))
        #expect(!guest.text(in: elsewhere).contains("CORRUPT"))
        // It powered itself off: the event says how it ended.
        for _ in 0..<100 where try await guest.hypervisor.status(guest.name)?.state != .shutOff { try await Task.sleep(for: .milliseconds(100)) }
        #expect(try await guest.hypervisor.status(guest.name)?.state == .shutOff)
    }

    @Test("save and restore in place loses no line of the console and goes on over the next layer")
    func saveRestore() async throws {
        var guest = try await Guest("save", run: Self.run)
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN CHECK ok")
        let (taken, _) = try await guest.capture(.saveRestore)
        #expect(taken.way == .saveRestore)
        let expected = try guest.image.expectedResult(run: Self.run)
        try await guest.wait(for: "CAIRN RESULT \(expected)")
        let ticks = guest.text().split(separator: "\n").filter { $0.hasPrefix("T ") }.compactMap { Int($0.split(separator: " ")[1]) }
        #expect(ticks.count > 100 && ticks == Array(ticks[0]..<(ticks[0] + ticks.count)))
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test("a backing store left in the definition corrupts the guest; without it, the same restore is fine")
    func backingStore() async throws {
        var guest = try await Guest("chain", run: "hashchain --seconds 14 --memory 16 --check-every 2 --write-kib-per-s 512")
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
            try await guest.hypervisor.restore(memoryPath: memory, definition: taken.definition, as: moved, keepingBackingStore: true)
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

    @Test("a capture that fails leaves the guest running over the layer that it had", arguments: Lab.snapshots)
    func failedCapture(_ way: CaptureWay) async throws {
        var guest = try await Guest("fail-\(way)", run: Self.run)
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN PROGRESS")
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
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: Self.run))")
        try await guest.hypervisor.destroy(guest.name)
    }

    private func suspend(_ guest: Guest) throws {
        // Named, so that the handle lives as long as its pointer is used.
        let domain = try guest.hypervisor.connection.existing(guest.name)
        let outcome = virDomainSuspend(domain.pointer)
        #expect(outcome == 0)
    }

    @Test("a guest that was left standing still in the middle of a capture goes on when its hypervisor is opened again")
    func leftPaused() async throws {
        let guest = try await Guest("left", run: Self.run)
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN PROGRESS")
        try suspend(guest)
        #expect(try await guest.hypervisor.status(guest.name)?.state == .paused)
        try guest.hypervisor.settle()
        #expect(try await guest.hypervisor.status(guest.name)?.state == .running)
        try await guest.hypervisor.destroy(guest.name)
    }

    @Test("a guest whose process is killed is seen to be gone, at once, and not as one that shut down")
    func killed() async throws {
        let guest = try await Guest("kill", run: Self.run)
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

    @Test("names and files with the characters that XML minds")
    func escaping() throws {
        let domain = DomainDescription(
            name: "cairn-a&b", memoryBytes: .mebibytes(64), virtualCPUs: 1, kernel: "/k'", ramdisk: "/r", base: "/b<", activeLayer: "/l\"",
            console: "/c",
            run: "echo '<&>'")
        let moved = try DomainXML.moved(DomainXML.definition(domain, acceleration: .emulation), to: domain)
        #expect(moved.contains("cairn-a&amp;b") && moved.contains("-- echo '&lt;&amp;&gt;'"))
    }
}
