import CChildren
import CLibvirt
import CXenlight
import DiskImages
import Foundation
import GuestImages
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

/// The hypervisors that must behave alike: QEMU where it is installed; Xen instead where `CAIRN_XEN=1` says that this is the control domain of one,
/// with an image of `cairn image build` in `CAIRN_XEN_IMAGE`. `CAIRN_XEN_GUESTS` (`pv,pvh`) says how guests run, if not in both ways.
enum HypervisorKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case qemu, pv, pvh, hvm

    static let present: [HypervisorKind] = {
        guard isXen else { return FileManager.default.isExecutableFile(atPath: "/usr/bin/qemu-system-x86_64") ? [.qemu] : [] }
        return (environment["CAIRN_XEN_GUESTS"] ?? "pv,pvh").split(separator: ",").compactMap { HypervisorKind(rawValue: String($0)) }
    }()
    static let absence: Comment = "neither qemu-system-x86_64 (qemu-system-x86) nor CAIRN_XEN=1"
    static let isXen = environment["CAIRN_XEN"] == "1"
    private static let environment = ProcessInfo.processInfo.environment

    var testDescription: String { rawValue }

    /// Ways of capture to be trusted here: a live one of QEMU's is not, under emulation.
    var ways: [CaptureWay] {
        switch self {
        case .qemu: (cairn_may_write_protect() == 0 ? [.backgroundSnapshot] : []) + [.pausedSnapshot, .saveRestore]
        case .pv: [.suspendResume, .saveRestore]
        case .pvh: [.liveSuspend, .suspendResume, .saveRestore]
        case .hvm: [.suspendResume, .saveRestore]
        }
    }

    func hypervisor() throws -> any HypervisorUnderTest {
        switch self {
        case .qemu: try #require(Lab.qemu)
        case .pv: try #require(Lab.pv)
        case .pvh: try #require(Lab.pvh)
        case .hvm: try #require(Lab.hvm)
        }
    }
}

/// A kind, and one of its ways.
struct WayCase: Sendable, CustomTestStringConvertible {
    var kind: HypervisorKind
    var way: CaptureWay
    static let all = HypervisorKind.present.flatMap { kind in kind.ways.map { WayCase(kind: kind, way: $0) } }
    var testDescription: String { "\(kind) by \(way)" }
}

/// What a test does to a hypervisor beside what its users do.
protocol HypervisorUnderTest: Hypervisor {
    /// What it does when it is opened.
    func settle() throws(HypervisorError)
    /// Leaves a guest as a process does that dies in the middle of a capture.
    func leaveStanding(_ name: String) throws
}

extension LibvirtHypervisor: HypervisorUnderTest {
    func leaveStanding(_ name: String) throws {
        // Named, so that the handle lives as long as its pointer is used.
        let domain = try connection.existing(name)
        let outcome = virDomainSuspend(domain.pointer)
        #expect(outcome == 0)
    }
}

extension XenHypervisor: HypervisorUnderTest {
    func leaveStanding(_ name: String) throws {
        let domain = try connection.existing(name)
        let id = try #require(Self.number(domain.pointer))
        let nowhere = open("/dev/null", O_WRONLY)
        defer { close(nowhere) }
        let xen = try Xenlight()
        let outcome = xen.suspend(id, into: nowhere, live: false)
        #expect(outcome.code == 0, "\(xen.complaints())")
    }
}

/// Real parts, and a guest that checks its own memory and disk. One embedded libvirt serves a process, so the tests share it and run one after the
/// other.
enum Lab {
    static let root = "/tmp/cairn-lv-\(getpid())"
    static let image: GuestImage? = make {
        atexit { Lab.cleanUp() }
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        if HypervisorKind.isXen { return try GuestImage.load(ProcessInfo.processInfo.environment["CAIRN_XEN_IMAGE"] ?? "CAIRN_XEN_IMAGE is not set") }
        return try ImageBuilder().build(ImageRecipe(name: "image", directory: root + "/image", deltaSize: .mebibytes(64)))
    }
    static let qemu = make { try LibvirtHypervisor(uri: "qemu:///embed", root: root + "/e", probeKernel: image?.kernel) }
    static let pv = make { try XenHypervisor(uri: "xen:///system", guest: .pv) }
    static let pvh = make { try XenHypervisor(uri: "xen:///system", guest: .pvh) }
    static let hvm = make { try XenHypervisor(uri: "xen:///system", guest: .hvm) }
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
}

/// One guest in a directory of its own.
struct Guest {
    let kind: HypervisorKind
    let directory: String
    let hypervisor: any HypervisorUnderTest
    let image: GuestImage
    let name: String
    let run: String
    private(set) var layers = ["000000.qcow2"]

    init(_ kind: HypervisorKind, _ name: String, run: String) async throws {
        self.kind = kind
        image = try #require(Lab.image)
        hypervisor = try kind.hypervisor()
        self.name = "cairn-\(kind)-\(name)"
        self.run = run
        directory = "\(Lab.root)/\(kind)-\(name)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try await Lab.disks.makeFirstLayer(at: layer(0), size: .mebibytes(64))
    }

    func layer(_ index: Int, in folder: String? = nil) -> String { "\(folder ?? directory)/\(padded(index)).qcow2" }
    func console(in folder: String? = nil) -> String { "\(folder ?? directory)/console.log" }
    func text(in folder: String? = nil) -> String {
        FileManager.default.contents(atPath: console(in: folder)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// How often it has found its own file and memory in order.
    var checks: Int { text().split(whereSeparator: \.isNewline).count { $0.hasPrefix("CAIRN CHECK ok") } }

    /// Numbers of the guest's ticks, as they stand on its console.
    func ticks() -> [Int] {
        text().split(whereSeparator: \.isNewline).filter { $0.hasPrefix("T ") }.compactMap { Int($0.split(separator: " ")[1]) }
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
    func wait(for line: String, in folder: String? = nil, seconds: Double = 180) async throws {
        let limit = Date().addingTimeInterval(seconds)
        while Date() < limit {
            if text(in: folder).contains(line) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("no \(line) on the console within \(seconds) s: \(text(in: folder).suffix(500))")
        throw HypervisorError.busy(name: name, detail: "no \(line) on its console")
    }

    /// Waits until the hypervisor says that the guest has ended by itself.
    func waitForPowerOff() async throws {
        for _ in 0..<300 where try await hypervisor.status(name)?.state != .shutOff { try await Task.sleep(for: .milliseconds(100)) }
        #expect(try await hypervisor.status(name)?.state == .shutOff)
    }

    var isThere: Bool { get async throws { try await hypervisor.domains().contains { $0.name == name } } }
}
