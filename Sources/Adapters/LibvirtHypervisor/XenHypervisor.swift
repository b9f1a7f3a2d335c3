import CLibvirt
import Foundation
import Ports
import Synchronization
import Vocabulary

/// Xen through libvirt's libxl driver, and where that driver does not reach, through libxl beside it (docs/decisions/0011).
///
/// What is done to a domain behind libvirt's back is done under a lock of our own, and leaves libvirt blind for how the guest ends later: that is
/// asked of Xen itself at each look.
package struct XenHypervisor: Hypervisor {
    let connection: Connection
    let events: EventLog
    let console: XenConsole
    /// Where locks lie: one place for all processes of the machine.
    let locks: String
    private let uri: String
    private let version: String
    private let guest: XenGuest
    private let seen: Seen

    /// What was found by trying, and what goes on.
    final class Seen: Sendable {
        struct State {
            /// Kinds of guests that could not be captured live here.
            var notLive: Set<XenGuest> = []
            /// Domains that are in their save image at the moment: they are not gone.
            var saved: [String: DomainStatus] = [:]
            /// Domains whose device model is busy with a capture of ours.
            var captured: Set<String> = []
            var written: [String: (domain: UInt32, bytes: ByteCount)] = [:]
        }
        private let state = Mutex(State())
        func with<Value>(_ body: (inout State) -> Value) -> Value where Value: Sendable { state.withLock { body(&$0) } }
    }

    /// - Parameter guest: how guests are started; nil: by what the host offers.
    /// - Throws: `.cannotConnect`; `.unsupported`, with what to do, where a console could not be followed or a disk not be checked.
    package init(uri: String, guest: XenGuest?, locks: String = "/run/cairn") throws(HypervisorError) {
        guard uri.hasPrefix("xen:///") else {
            throw .unsupported(what: "drive the Xen of another machine", detail: "an agent runs in the control domain of its own: xen:///system")
        }
        if let trouble = XenStore.trouble { throw .unsupported(what: "look into Xen's store", detail: trouble) }
        connection = try Connection.open(uri, root: "")
        events = EventLog()
        events.listen(to: connection.pointer)
        console = try XenConsole.found()
        self.locks = locks
        self.uri = uri
        version = connection.version
        seen = Seen()
        let offers = Xenlight.trouble == nil ? try Xenlight().offers() : nil
        self.guest = guest ?? Self.best(offers, connection)
        // Live capture of a paravirtualised guest needs shadow page tables: where the hypervisor says that it has none, nothing is tried.
        if let offers, !offers.shadow { seen.with { _ = $0.notLive.insert(.pv) } }
        try settle()
    }

    private static func best(_ offers: Xenlight.Offers?, _ connection: Connection) -> XenGuest {
        if let offers { return offers.hvm && (offers.hap || offers.shadow) ? .pvh : .pv }
        guard let text = virConnectGetCapabilities(connection.pointer) else { return .pv }
        defer { free(text) }
        return String(cString: text).contains("<os_type>xenpvh</os_type>") ? .pvh : .pv
    }

    /// A guest that an earlier process left standing still in the middle of a capture goes on.
    func settle() throws(HypervisorError) {
        guard Xenlight.trouble == nil else { return }
        let xen = try Xenlight()
        for name in try connection.names() {
            guard let domain = try connection.domain(name), let id = Self.number(domain.pointer), try xen.info(id, name)?.standing == .suspended
            else { continue }
            // Whoever holds the lock is at it.
            do throws(HypervisorError) {
                let lock = try DomainLock(name, in: locks)
                guard xen.resume(id) else { throw .failed(operation: "resume", name: name, code: 0, detail: xen.complaints()) }
                _ = consume lock
            } catch .busy { continue }
        }
    }

    /// nil: it is not active.
    static func number(_ domain: OpaquePointer) -> UInt32? {
        let id = virDomainGetID(domain)
        return id == UInt32.max ? nil : id
    }

    package func capabilities() async throws(HypervisorError) -> HypervisorCapabilities {
        HypervisorCapabilities(uri: uri, driver: "Xen", version: version, acceleration: .xen, captureWays: ways(of: guest), mergesLayers: true)
    }

    /// Best first.
    func ways(of guest: XenGuest) -> [CaptureWay] {
        guard Xenlight.trouble == nil else { return [.saveRestore] }
        return (seen.with { $0.notLive.contains(guest) } ? [] : [.liveSuspend]) + [.suspendResume, .saveRestore]
    }

    func isNotLive(_ guest: XenGuest) { seen.with { _ = $0.notLive.insert(guest) } }
    func isSaved(_ name: String, _ status: DomainStatus?) { seen.with { $0.saved[name] = status } }
    func isCaptured(_ name: String, _ now: Bool) { seen.with { _ = now ? $0.captured.insert(name).memberAfterInsert : $0.captured.remove(name) } }

    // MARK: Beginning

    package func start(_ domain: DomainDescription) async throws(HypervisorError) {
        try await onBlockingThread { () throws(HypervisorError) in
            let lock = try DomainLock(domain.name, in: locks)
            try mustBeFree(domain.name)
            if domain.union == .backingFile {
                throw .unsupported(what: "lay a guest's disk on its base", detail: "not under Xen: let the guest unite them (union: auto)")
            }
            for file in [domain.kernel, domain.ramdisk, domain.base, domain.activeLayer] where access(file, R_OK) != 0 {
                // Xen would report success, and the guest wait for its disk.
                throw .failed(operation: "start", name: domain.name, code: errno, detail: "\(file): \(String(cString: strerror(errno)))")
            }
            events.forget(domain.name)
            try console.attach(domain.name, to: domain.console)
            guard let made = virDomainCreateXML(connection.pointer, DomainXML.xenDefinition(domain, as: guest), 0) else {
                let error = failure("start", domain.name)
                console.detach(domain.name)
                throw error
            }
            let handle = DomainHandle(pointer: made)
            try awaitDisks(handle.pointer, domain)
            _ = consume lock
        }
    }

    func mustBeFree(_ name: String) throws(HypervisorError) {
        if try connection.domain(name) != nil { throw .alreadyRunning(name: name) }
    }

    /// Waits until both disks are connected to the guest: Xen reports success without them. A domain that does not get them is ended.
    func awaitDisks(_ domain: OpaquePointer, _ description: DomainDescription) throws(HypervisorError) {
        do throws(HypervisorError) { try disksConnected(domain, description) } catch {
            virDomainDestroy(domain)
            console.detach(description.name)
            throw error
        }
    }

    /// Source: Xen, xen/include/public/io/xenbus.h (XenbusState): 1 initialising, 2 waits for the guest, 4 connected, 5 and 6 closing, closed.
    private func disksConnected(_ domain: OpaquePointer, _ description: DomainDescription) throws(HypervisorError) {
        let name = description.name
        func trouble(_ detail: String) -> HypervisorError { .failed(operation: "bring up the disks", name: name, code: 0, detail: detail) }
        guard let id = Self.number(domain) else { throw trouble("the guest ended at once") }
        let xen = Xenlight.trouble == nil ? try Xenlight() : nil
        let disks = [
            (device: XenDisk.number(DomainXML.xenBaseTarget), file: description.base),
            (device: XenDisk.number(DomainXML.xenDeltaTarget), file: description.activeLayer),
        ]
        let start = Xenlight.now
        while true {
            let states = disks.map { XenStore.read("/local/domain/0/backend/qdisk/\(id)/\($0.device)/state") }
            if states.allSatisfy({ $0 == "4" }) { return }
            let waited = Xenlight.now - start
            for (disk, state) in zip(disks, states) {
                // A device model that can open a disk has left state 1 behind by the time that the domain is there.
                let isRefused = ["5", "6"].contains(state) || ([nil, "1"].contains(state) && waited > XenDisk.opening)
                if isRefused { throw trouble("\(disk.file) is not connected (state \(state ?? "none")): \(deviceModelSays(name))") }
            }
            let isGone = if let xen { try xen.info(id, name).map { $0.standing != .running } ?? true } else { try connection.domain(name) == nil }
            if isGone { throw trouble("the guest ended before its disks were connected: \(deviceModelSays(name))") }
            guard waited < XenDisk.patience else {
                throw trouble(
                    "after \(Int(waited)) s the guest has not connected \(zip(disks, states).filter { $1 != "4" }.map(\.0.file)): \(deviceModelSays(name))"
                )
            }
            usleep(50_000)
        }
    }

    /// The last of a device model's log.
    private func deviceModelSays(_ name: String) -> String {
        let log = "/var/log/xen/qemu-dm-\(name).log"
        let text = FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").last { $0.contains("failed") || $0.contains("rror") }.map(String.init) ?? "see \(log)"
    }

    // MARK: Looking

    package func status(_ name: String) async throws(HypervisorError) -> DomainStatus? {
        try await onBlockingThread { () throws(HypervisorError) in
            let before = seen.with { $0.saved[name] }
            if let domain = try connection.domain(name) {
                if let status = try status(of: domain.pointer, name) { return status }
                // It ended since it was looked up, or is not to be asked now: never is a guest that may live called gone.
                if try connection.domain(name) != nil { throw .busy(name: name, detail: "it cannot be looked at now") }
            }
            if let saved = seen.with({ $0.saved[name] }) ?? before { return saved }
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
                if let domain = try connection.domain(name), let status = try status(of: domain.pointer, name) { all.append(status) }
            }
            let saved = seen.with { Array($0.saved.values) }
            return all.filter { $0.state == .running || $0.state == .paused } + saved.filter { saved in !all.contains { $0.name == saved.name } }
        }
    }

    func status(of domain: OpaquePointer, _ name: String) throws(HypervisorError) -> DomainStatus? {
        guard let id = Self.number(domain) else { return nil }
        var state = DomainStatus.State.running
        var cpu = Seconds.zero
        if Xenlight.trouble == nil {
            guard let info = try Xenlight().info(id, name) else { return nil }
            cpu = info.cpuSeconds
            switch info.standing {
            case .running: break
            case .suspended: state = .paused
            case .poweredOff: state = .shutOff
            case .crashed: state = .crashed
            }
            if state == .shutOff || state == .crashed {
                end(domain, name, state)
                return DomainStatus(name: name, state: state, process: nil, cpuSeconds: cpu, blockWrittenBytes: written(name, id, asking: false))
            }
        } else {
            var info = virDomainInfo()
            guard virDomainGetInfo(domain, &info) == 0 else { return nil }
            cpu = Seconds(Double(info.cpuTime) / 1e9)
        }
        var told: Int32 = 0
        if virDomainGetState(domain, &told, nil, 0) == 0, virDomainState(UInt32(bitPattern: told)) == VIR_DOMAIN_PAUSED { state = .paused }
        let isCaptured = seen.with { $0.captured.contains(name) }
        return DomainStatus(name: name, state: state, process: nil, cpuSeconds: cpu, blockWrittenBytes: written(name, id, asking: !isCaptured))
    }

    /// A guest that ended and that libvirt goes on to call running, because libxl was used behind its back: what is left of it is cleared away.
    private func end(_ domain: OpaquePointer, _ name: String, _ state: DomainStatus.State) {
        events.ended(name, state)
        // libvirt may be at it by itself; and who captures it finds out.
        do throws(HypervisorError) {
            let lock = try DomainLock(name, in: locks)
            virDomainDestroy(domain)
            _ = consume lock
        } catch { return }
    }

    /// As the device model counts; what was seen last while it is not to be asked.
    private func written(_ name: String, _ id: UInt32, asking: Bool) -> ByteCount {
        if asking {
            do throws(HypervisorError) {
                let bytes = try XenMonitor(socket: XenMonitor.socket(of: id), name: name, patience: 1).writtenBytes()
                seen.with { $0.written[name] = (id, bytes) }
                return bytes
            } catch {
                // Another process's capture, or a domain that ends: a count that stands still for a moment does no harm.
            }
        }
        return seen.with { $0.written[name].flatMap { $0.domain == id ? $0.bytes : nil } ?? .zero }
    }

    package func definition(_ name: String) async throws(HypervisorError) -> String {
        try await onBlockingThread { () throws(HypervisorError) in
            let domain = try connection.existing(name)
            return try definition(of: domain.pointer, name).text
        }
    }

    /// With the delta as the device model has it: libvirt does not know of rotations.
    func definition(of domain: OpaquePointer, _ name: String) throws(HypervisorError) -> (text: String, domain: DomainXML.XenDomain) {
        guard let id = Self.number(domain) else { throw .noSuchDomain(name: name) }
        let delta = try XenMonitor(socket: XenMonitor.socket(of: id), name: name).delta()
        return try definition(of: domain, name, delta: delta.file)
    }

    func definition(of domain: OpaquePointer, _ name: String, delta: String) throws(HypervisorError) -> (
        text: String, domain: DomainXML.XenDomain
    ) {
        guard let text = virDomainGetXMLDesc(domain, UInt32(VIR_DOMAIN_XML_SECURE.rawValue)) else { throw failure("definition", name) }
        defer { free(text) }
        var known = try DomainXML.XenDomain(String(cString: text), name: name)
        known.delta = delta
        return (try DomainXML.moved(String(cString: text), to: known.description(name, layer: delta, console: "")), known)
    }

    // MARK: Ending

    package func destroy(_ name: String) async throws(HypervisorError) {
        try await onBlockingThread { () throws(HypervisorError) in
            // One that is in its save image would come back: its capture's end is waited for. Other captures fail, and do no harm.
            if seen.with({ $0.saved[name] }) != nil {
                let lock = try DomainLock(name, in: locks, patience: Seconds(XenDisk.patience))
                _ = consume lock
            }
            defer { events.forget(name) }
            if let domain = try connection.domain(name) {
                if virDomainDestroy(domain.pointer) != 0 {
                    let error = failure("destroy", name)
                    if try connection.domain(name) != nil { throw error }
                }
            }
            console.detach(name)
        }
    }
}

/// A disk as Xen numbers it.
enum XenDisk {
    /// How long a device model may take to open a disk, and a guest to connect it, seconds.
    static let opening = 3.0
    static let patience = 180.0

    /// `xvdb`: 51728. Source: Xen, docs/man/xen-vbd-interface.7.
    static func number(_ target: String) -> Int {
        guard let letter = target.utf8.last else { return 0 }
        return 202 << 8 | Int(letter - UInt8(ascii: "a")) << 4
    }
}
