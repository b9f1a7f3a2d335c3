import CChildren
import CLibvirt
import Foundation
import Ports
import Synchronization
import Vocabulary

/// QEMU through libvirt: inside this process (`qemu:///embed`), or by a daemon (`qemu:///system`, `qemu:///session`, remote URIs).
package struct LibvirtHypervisor: Hypervisor {
    let connection: Connection
    private let events: EventLog
    private let found: HypervisorCapabilities
    private let root: String
    /// Numbers of background snapshots' sockets.
    private let snapshots = Counter()

    private final class Counter: Sendable {
        private let value = Mutex(0)
        func next() -> Int {
            value.withLock {
                $0 += 1
                return $0
            }
        }
    }

    /// - Parameters:
    ///   - root: the directory of `qemu:///embed`; absolute and short.
    ///   - probeKernel: a Linux kernel to find out with whether KVM works.
    package init(uri: String, root: String, probeKernel: String?) throws(HypervisorError) {
        connection = try Connection.open(uri, root: root)
        events = EventLog()
        events.listen(to: connection.pointer)
        self.root = root
        let driver = virConnectGetType(connection.pointer).map { String(cString: $0) } ?? "unknown"
        let acceleration = Acceleration.found(kernel: probeKernel)
        found = HypervisorCapabilities(
            uri: uri, driver: driver, version: connection.version,
            acceleration: acceleration, captureWays: driver == "QEMU" ? Self.ways(uri, acceleration) : [.saveRestore],
            mergesLayers: driver == "QEMU")
        try settle()
    }

    /// Best first. In the background where QEMU runs with this process's rights and they suffice. A live snapshot only with KVM: under emulation a
    /// store that is under way while QEMU takes up which pages are dirty can be lost, and the guest stands still instead.
    private static func ways(_ uri: String, _ acceleration: HypervisorCapabilities.Acceleration) -> [CaptureWay] {
        let background: [CaptureWay] = uri == "qemu:///embed" && cairn_may_write_protect() == 0 ? [.backgroundSnapshot] : []
        return background + (acceleration == .kvm ? [.liveSnapshot] : [.pausedSnapshot]) + [.saveRestore]
    }

    /// After a reopening libvirt finds its guests again in the background: a call that takes a job waits for that. A guest that an earlier process
    /// left standing still in the middle of a capture goes on.
    func settle() throws(HypervisorError) {
        for handle in try connection.names() {
            guard let domain = try connection.domain(handle) else { continue }
            BackgroundSnapshot(domain: domain.pointer, name: handle, socketPath: "", memoryPath: "").clearUp()
        }
    }

    package func capabilities() async throws(HypervisorError) -> HypervisorCapabilities { found }

    package func start(_ domain: DomainDescription) async throws(HypervisorError) {
        try await onBlockingThread { () throws(HypervisorError) in
            if try connection.domain(domain.name) != nil { throw .alreadyRunning(name: domain.name) }
            events.forget(domain.name)
            guard let made = virDomainCreateXML(connection.pointer, DomainXML.definition(domain, acceleration: found.acceleration), 0) else {
                throw failure("start", domain.name)
            }
            virDomainFree(made)
        }
    }

    package func status(_ name: String) async throws(HypervisorError) -> DomainStatus? {
        try await onBlockingThread { () throws(HypervisorError) in
            if let domain = try connection.domain(name) {
                if let status = status(of: domain.pointer, name) { return status }
                // It ended since it was looked up, or is not to be asked now: never is a guest that may live called gone.
                if try connection.domain(name) != nil { throw .busy(name: name, detail: "it gives no statistics now") }
            }
            // libvirt forgets a domain a moment before it tells how that ended.
            for _ in 0..<20 {
                if let ending = events.ending(of: name) {
                    return DomainStatus(name: name, state: ending, process: nil, cpuSeconds: .zero, blockWrittenBytes: .zero)
                }
                usleep(10_000)
            }
            return nil
        }
    }

    package func domains() async throws(HypervisorError) -> [DomainStatus] {
        try await onBlockingThread { () throws(HypervisorError) in
            var all: [DomainStatus] = []
            for name in try connection.names() {
                if let domain = try connection.domain(name), let status = status(of: domain.pointer, name) { all.append(status) }
            }
            return all
        }
    }

    /// Without waiting for whoever holds the domain's job lock: a heartbeat must not wait for a snapshot.
    private func status(of domain: OpaquePointer, _ name: String) -> DomainStatus? {
        var domains: [OpaquePointer?] = [domain, nil]
        var records: UnsafeMutablePointer<virDomainStatsRecordPtr?>?
        let wanted = VIR_DOMAIN_STATS_STATE.rawValue | VIR_DOMAIN_STATS_CPU_TOTAL.rawValue | VIR_DOMAIN_STATS_BLOCK.rawValue
        let flags = VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT.rawValue
        guard virDomainListGetStats(&domains, UInt32(wanted), &records, UInt32(flags)) > 0, let record = records?[0] else { return nil }
        defer { virDomainStatsRecordListFree(records) }
        var state = DomainStatus.State.running
        var cpu = Seconds.zero
        var written: Int64 = 0
        for index in 0..<Int(record.pointee.nparams) {
            let parameter = record.pointee.params[index]
            let field = withUnsafePointer(to: parameter.field) { $0.withMemoryRebound(to: CChar.self, capacity: 80) { String(cString: $0) } }
            switch field {
            case "state.state":
                switch virDomainState(UInt32(bitPattern: parameter.value.i)) {
                case VIR_DOMAIN_PAUSED: state = .paused
                case VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTOFF: state = .shutOff
                case VIR_DOMAIN_CRASHED: state = .crashed
                default: state = .running
                }
            case "cpu.time": cpu = Seconds(Double(parameter.value.ul) / 1e9)
            case _ where field.hasSuffix(".wr.bytes"): written += Int64(clamping: parameter.value.ul)
            default: break
            }
        }
        return DomainStatus(name: name, state: state, process: process(of: name), cpuSeconds: cpu, blockWrittenBytes: ByteCount(written))
    }

    /// From libvirt's own pid file.
    private func process(of name: String) -> ProcessIdentity? {
        let folders = found.uri == "qemu:///embed" ? ["\(root)/run/qemu"] : ["/run/libvirt/qemu", "\(NSHomeDirectory())/.cache/libvirt/qemu/run"]
        for folder in folders {
            guard let data = FileManager.default.contents(atPath: "\(folder)/\(name).pid"),
                let pid = Int32(String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)),
                let stat = FileManager.default.contents(atPath: "/proc/\(pid)/stat").map({ String(decoding: $0, as: UTF8.self) }),
                let close = stat.lastIndex(of: ")")
            else { continue }
            let fields = stat[stat.index(after: close)...].split(separator: " ")
            if fields.count > 19, let ticks = UInt64(fields[19]) { return ProcessIdentity(pid: pid, startTicks: ticks) }
        }
        return nil
    }

    package func definition(_ name: String) async throws(HypervisorError) -> String {
        try await onBlockingThread { () throws(HypervisorError) in
            let domain = try connection.existing(name)
            guard let text = virDomainGetXMLDesc(domain.pointer, UInt32(VIR_DOMAIN_XML_SECURE.rawValue)) else { throw failure("definition", name) }
            defer { free(text) }
            return String(cString: text)
        }
    }

    // MARK: Capture

    package func capture(_ name: String, memoryPath: String, nextLayer: String, way: CaptureWay) async throws(HypervisorError) -> Capture {
        try await onBlockingThread { () throws(HypervisorError) in
            let start = Date()
            var way = way
            let stopped: Seconds?
            do throws(HypervisorError) { stopped = try taken(name, memoryPath, nextLayer, way) } catch .unsupported where way == .backgroundSnapshot {
                // Nothing was changed: QEMU may have fewer rights than this process.
                way = found.captureWays.first { $0 != .backgroundSnapshot } ?? .saveRestore
                stopped = try taken(name, memoryPath, nextLayer, way)
            }
            guard let text = virDomainSaveImageGetXMLDesc(connection.pointer, memoryPath, 0) else { throw failure("reading the save image", name) }
            defer { free(text) }
            let elapsed = Seconds(Date().timeIntervalSince(start))
            return Capture(way: way, stopSeconds: stopped ?? elapsed, elapsedSeconds: elapsed, definition: String(cString: text))
        }
    }

    /// - Returns: how long the guest stood still, if QEMU told.
    private func taken(_ name: String, _ memoryPath: String, _ nextLayer: String, _ way: CaptureWay) throws(HypervisorError) -> Seconds? {
        switch way {
        case .backgroundSnapshot: try backgroundSnapshot(name, memoryPath, nextLayer)
        case .pausedSnapshot: try snapshot(name, memoryPath, nextLayer, isLive: false)
        case .liveSnapshot: try snapshot(name, memoryPath, nextLayer, isLive: true)
        case .saveRestore: try saveAndRestore(name, memoryPath, nextLayer)
        case .liveSuspend, .suspendResume: throw .unsupported(what: "capture by \(way.rawValue)", detail: "that is Xen's way")
        }
    }

    private func backgroundSnapshot(_ name: String, _ memoryPath: String, _ nextLayer: String) throws(HypervisorError) -> Seconds? {
        let domain = try connection.existing(name)
        let start = Timestamp(Date().timeIntervalSince1970)
        let snapshot = BackgroundSnapshot(
            domain: domain.pointer, name: name, socketPath: "\(root)/snapshot-\(snapshots.next())", memoryPath: memoryPath)
        let pointer = domain.pointer
        try snapshot.take { () throws(HypervisorError) in
            let flags =
                VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA.rawValue | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC.rawValue
                | VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY.rawValue | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT.rawValue
            guard let made = virDomainSnapshotCreateXML(pointer, DomainXML.snapshot(memory: nil, nextLayer: nextLayer), UInt32(flags)) else {
                throw failure("rotation of the disk", name)
            }
            virDomainSnapshotFree(made)
        }
        return pause(name, since: start)
    }

    private func snapshot(_ name: String, _ memoryPath: String, _ nextLayer: String, isLive: Bool) throws(HypervisorError) -> Seconds? {
        let domain = try connection.existing(name)
        let ending = isLive ? LastRound(of: domain.pointer) : nil
        defer { ending?.isOver() }
        let start = Timestamp(Date().timeIntervalSince1970)
        let flags =
            VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA.rawValue | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC.rawValue
            | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT.rawValue | (isLive ? VIR_DOMAIN_SNAPSHOT_CREATE_LIVE.rawValue : 0)
        guard let made = virDomainSnapshotCreateXML(domain.pointer, DomainXML.snapshot(memory: memoryPath, nextLayer: nextLayer), UInt32(flags))
        else {
            let error = failure("snapshot", name)
            unlink(memoryPath)
            throw error
        }
        virDomainSnapshotFree(made)
        return pause(name, since: start)
    }

    /// The events come on another thread, at most moments later.
    private func pause(_ name: String, since start: Timestamp) -> Seconds? {
        for _ in 0..<50 {
            if let pause = events.pause(of: name, since: start) { return pause }
            usleep(2_000)
        }
        return nil
    }

    private func saveAndRestore(_ name: String, _ memoryPath: String, _ nextLayer: String) throws(HypervisorError) -> Seconds? {
        let before = try running(name)
        let start = Date()
        try save(name, to: memoryPath)
        do throws(HypervisorError) {
            let definition = try DomainXML.moved(before.definition, to: before.description(with: nextLayer))
            try restoreSaved(memoryPath, definition, name)
        } catch {
            // The guest must not be lost to a checkpoint: as it was, over the layer that it had.
            try restoreSaved(memoryPath, try DomainXML.moved(before.definition, to: before.description(with: before.activeLayer)), name)
            throw error
        }
        return Seconds(Date().timeIntervalSince(start))
    }

    /// Save, and restore where it was: what a checkpoint costs without anything of ours. For measuring.
    package func saveAndRestoreInPlace(_ name: String, path: String, whileSaved: @escaping @Sendable () -> Void) async throws(HypervisorError) {
        try await onBlockingThread { () throws(HypervisorError) in
            try save(name, to: path)
            whileSaved()
            guard virDomainRestore(connection.pointer, path) == 0 else { throw failure("restore", name) }
        }
    }

    private func save(_ name: String, to path: String) throws(HypervisorError) {
        let domain = try connection.existing(name)
        guard virDomainSave(domain.pointer, path) == 0 else { throw failure("save", name) }
    }

    private func restoreSaved(_ path: String, _ definition: String, _ name: String) throws(HypervisorError) {
        events.forget(name)
        guard virDomainRestoreFlags(connection.pointer, path, definition, 0) == 0 else { throw failure("restore", name) }
    }

    private func running(_ name: String) throws(HypervisorError) -> RunningDomain {
        let domain = try connection.existing(name)
        let flags = VIR_DOMAIN_XML_SECURE.rawValue | VIR_DOMAIN_XML_MIGRATABLE.rawValue
        guard let text = virDomainGetXMLDesc(domain.pointer, UInt32(flags)) else { throw failure("definition", name) }
        defer { free(text) }
        return try RunningDomain(name: name, definition: String(cString: text))
    }

    // MARK: Layers

    package func mergeLayers(_ name: String, from top: String, into base: String, limit: Seconds) async throws(HypervisorError) {
        guard found.mergesLayers == true else { throw .unsupported(what: "merge layers", detail: "\(found.driver) has no block commit") }
        try await onBlockingThread { () throws(HypervisorError) in
            let domain = try connection.existing(name)
            try LayerMerge(domain: domain.pointer, name: name).run(from: top, into: base, limit: limit)
        }
    }

    package func chain(_ name: String) async throws(HypervisorError) -> [String] {
        guard found.driver == "QEMU" else { throw .unsupported(what: "tell a disk's layers", detail: "\(found.driver) does not say") }
        return try await onBlockingThread { () throws(HypervisorError) in
            let domain = try connection.existing(name)
            try LayerMerge(domain: domain.pointer, name: name).settle()
            return try LayerMerge.chain(domain.pointer, name)
        }
    }

    // MARK: Restore

    package func restore(memoryPath: String, definition: String, as domain: DomainDescription) async throws(HypervisorError) {
        try await restore(memoryPath: memoryPath, definition: definition, as: domain, keepingBackingStore: false)
    }

    /// - Parameter keepingBackingStore: the mistake that must not be made, for the test that shows what it does.
    package func restore(memoryPath: String, definition: String, as domain: DomainDescription, keepingBackingStore: Bool)
        async throws(HypervisorError)
    {
        try await onBlockingThread { () throws(HypervisorError) in
            if try connection.domain(domain.name) != nil { throw .alreadyRunning(name: domain.name) }
            let moved = try DomainXML.moved(definition, to: domain, keepingBackingStore: keepingBackingStore)
            try restoreSaved(memoryPath, moved, domain.name)
        }
    }

    package func destroy(_ name: String) async throws(HypervisorError) {
        try await onBlockingThread { () throws(HypervisorError) in
            defer { events.forget(name) }
            guard let domain = try connection.domain(name) else { return }
            if virDomainDestroy(domain.pointer) != 0 {
                let error = failure("destroy", name)
                if try connection.domain(name) != nil { throw error }
            }
        }
    }
}

/// A running domain's files, out of its definition.
struct RunningDomain {
    var name: String
    var definition: String
    var activeLayer: String
    private var kernel: String
    private var ramdisk: String
    private var base: String
    private var console: String

    init(name: String, definition: String) throws(HypervisorError) {
        self.name = name
        self.definition = definition
        func value(_ pattern: String) throws(HypervisorError) -> String {
            guard let expression = try? NSRegularExpression(pattern: pattern, options: [.dotMatchesLineSeparators]),
                let match = expression.firstMatch(in: definition, range: NSRange(definition.startIndex..., in: definition)),
                let range = Range(match.range(at: 1), in: definition)
            else { throw .failed(operation: "read the definition", name: name, code: 0, detail: "no \(pattern)") }
            return String(definition[range]).replacing("&apos;", with: "'").replacing("&quot;", with: "\"").replacing("&lt;", with: "<")
                .replacing("&gt;", with: ">").replacing("&amp;", with: "&")
        }
        // A guest that boots from its disk has no kernel; one on a backing file no base among its disks.
        kernel = definition.contains("<kernel>") ? try value("<kernel>(.*?)</kernel>") : ""
        ramdisk = definition.contains("<initrd>") ? try value("<initrd>(.*?)</initrd>") : ""
        base = definition.contains("<target dev='vda'") ? try value("<source file='([^']*)'[^>]*>(?:(?!</disk>|<source ).)*<target dev='vda'") : ""
        activeLayer = try value("<source file='([^']*)'[^>]*>(?:(?!</disk>|<source ).)*<target dev='vdb'")
        console = try value("<log file='([^']*)'")
    }

    func description(with layer: String) -> DomainDescription {
        DomainDescription(
            name: name, memoryBytes: .zero, virtualCPUs: 1, kernel: kernel, ramdisk: ramdisk, base: base, activeLayer: layer, console: console,
            run: "")
    }
}
