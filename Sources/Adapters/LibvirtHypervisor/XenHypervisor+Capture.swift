import CLibvirt
import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Taking memory and disk of one instant from Xen, and going on from them.
extension XenHypervisor {
    package func capture(_ name: String, memoryPath: String, nextLayer: String, way: CaptureWay) async throws(HypervisorError) -> Capture {
        try await onBlockingThread { () throws(HypervisorError) in
            let lock = try DomainLock(name, in: locks)
            isCaptured(name, true)
            defer { isCaptured(name, false) }
            let handle = try connection.existing(name)
            guard let id = Self.number(handle.pointer) else { throw .noSuchDomain(name: name) }
            let start = Xenlight.now
            let taking = Taking(hypervisor: self, domain: handle.pointer, id: id, name: name, memoryPath: memoryPath, nextLayer: nextLayer)
            let taken = try taking.take(way)
            _ = consume lock
            return Capture(
                way: taken.way, stopSeconds: taken.stopped, elapsedSeconds: Seconds(Xenlight.now - start), definition: taken.definition)
        }
    }

    package func restore(memoryPath: String, definition: String, as domain: DomainDescription) async throws(HypervisorError) {
        try await onBlockingThread { () throws(HypervisorError) in
            let lock = try DomainLock(domain.name, in: locks)
            try mustBeFree(domain.name)
            try bringBack(memoryPath, definition, domain)
            _ = consume lock
        }
    }

    package func mergeLayers(_ name: String, from top: String, into base: String, limit: Seconds) async throws(HypervisorError) {
        try await onBlockingThread { () throws(HypervisorError) in
            let lock = try DomainLock(name, in: locks)
            isCaptured(name, true)
            defer { isCaptured(name, false) }
            let monitor = try monitor(of: name)
            try monitor.settle()
            try monitor.merge(from: top, into: base, limit: limit)
            _ = consume lock
        }
    }

    package func chain(_ name: String) async throws(HypervisorError) -> [String] {
        try await onBlockingThread { () throws(HypervisorError) in
            let lock = try DomainLock(name, in: locks)
            let monitor = try monitor(of: name)
            try monitor.settle()
            let chain = try monitor.layers().map(\.file)
            _ = consume lock
            return chain
        }
    }

    private func monitor(of name: String) throws(HypervisorError) -> XenMonitor {
        let domain = try connection.existing(name)
        guard let id = Self.number(domain.pointer) else { throw .noSuchDomain(name: name) }
        return try XenMonitor(socket: XenMonitor.socket(of: id), name: name)
    }

    /// Out of a save image, over the layer and into the console that `domain` names.
    func bringBack(_ memoryPath: String, _ definition: String, _ domain: DomainDescription) throws(HypervisorError) {
        for file in [domain.base, domain.activeLayer] where access(file, R_OK) != 0 {
            throw .failed(operation: "restore", name: domain.name, code: errno, detail: "\(file): \(String(cString: strerror(errno)))")
        }
        try XenSaveImage.replace(try DomainXML.moved(definition, to: domain), in: memoryPath)
        events.forget(domain.name)
        try console.attach(domain.name, to: domain.console)
        guard virDomainRestore(connection.pointer, memoryPath) == 0 else {
            let error = failure("restore", domain.name)
            // What came up by half is of no use.
            if let half = try connection.domain(domain.name) { virDomainDestroy(half.pointer) }
            console.detach(domain.name)
            throw error
        }
        let handle = try connection.existing(domain.name)
        try awaitDisks(handle.pointer, domain)
    }
}

/// One capture of one domain.
private struct Taking {
    let hypervisor: XenHypervisor
    let domain: OpaquePointer
    let id: UInt32
    let name: String
    let memoryPath: String
    let nextLayer: String

    struct Taken {
        var way: CaptureWay
        var stopped: Seconds
        var definition: String
    }

    func take(_ way: CaptureWay) throws(HypervisorError) -> Taken {
        switch way {
        case .liveSuspend:
            let monitor = try XenMonitor(socket: XenMonitor.socket(of: id), name: name)
            try monitor.settle()
            let delta = try monitor.delta()
            let (definition, known) = try hypervisor.definition(of: domain, name, delta: delta.file)
            if hypervisor.ways(of: known.guest).contains(.liveSuspend) {
                do throws(HypervisorError) { return try suspended(monitor, delta, definition, known, live: true) } catch .unsupported {
                    // Nothing was changed.
                    hypervisor.isNotLive(known.guest)
                }
            }
            return try suspended(monitor, delta, definition, known, live: false)
        case .suspendResume:
            let monitor = try XenMonitor(socket: XenMonitor.socket(of: id), name: name)
            try monitor.settle()
            let delta = try monitor.delta()
            let (definition, known) = try hypervisor.definition(of: domain, name, delta: delta.file)
            return try suspended(monitor, delta, definition, known, live: false)
        case .saveRestore: return try savedAndRestored()
        case .backgroundSnapshot, .liveSnapshot, .pausedSnapshot:
            throw .unsupported(what: "capture by \(way.rawValue)", detail: "that is QEMU's way")
        }
    }

    /// Memory behind a header of ours by libxl, the disk by the device model while the guest stands still, and on in place.
    private func suspended(
        _ monitor: XenMonitor, _ delta: XenMonitor.Node, _ definition: String, _ known: DomainXML.XenDomain, live: Bool
    ) throws(HypervisorError) -> Taken {
        func trouble(_ call: String) -> HypervisorError {
            .failed(operation: "capture", name: name, code: errno, detail: "\(call): \(String(cString: strerror(errno)))")
        }
        // Found now, and not while the guest stands still.
        guard access(nextLayer, R_OK | W_OK) == 0 else { throw trouble(nextLayer) }
        let xen = try Xenlight()
        let file = open(memoryPath, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw trouble("open \(memoryPath)") }
        defer { close(file) }
        guard XenSaveImage.write(XenSaveImage.header(definition), to: file) else {
            let error = trouble("write \(memoryPath)")
            unlink(memoryPath)
            throw error
        }
        let suspension = xen.suspend(id, into: file, live: live)
        do throws(HypervisorError) {
            guard suspension.code == 0, let askedAt = suspension.askedAt else {
                let said = xen.complaints()
                if live, suspension.askedAt == nil, said.contains("logdirty") {
                    throw .unsupported(what: "capture \(known.guest) live", detail: said)
                }
                throw .failed(operation: "suspend", name: name, code: suspension.code, detail: said)
            }
            try monitor.rotate(delta, onto: nextLayer)
            try goOn(xen)
            return Taken(way: live ? .liveSuspend : .suspendResume, stopped: Seconds(Xenlight.now - askedAt), definition: definition)
        } catch {
            if suspension.askedAt != nil { _ = xen.resume(id) }
            unlink(memoryPath)
            throw error
        }
    }

    private func goOn(_ xen: Xenlight) throws(HypervisorError) {
        if xen.resume(id) { return }
        let said = xen.complaints()
        // Once more, since there is nothing to lose.
        guard xen.resume(id) else { throw .failed(operation: "resume", name: name, code: 0, detail: said) }
    }

    /// By libvirt alone: the domain goes into its image and comes back out of it, over the next layer.
    private func savedAndRestored() throws(HypervisorError) -> Taken {
        let (definition, known) = try hypervisor.definition(of: domain, name)
        guard let console = hypervisor.console.file(of: name) else {
            throw .failed(operation: "capture", name: name, code: 0, detail: "its console is not followed: was it started by another program?")
        }
        guard var status = try hypervisor.status(of: domain, name), status.state == .running else { throw .noSuchDomain(name: name) }
        status.state = .paused
        let start = Xenlight.now
        hypervisor.isSaved(name, status)
        defer { hypervisor.isSaved(name, nil) }
        guard virDomainSave(domain, memoryPath) == 0 else {
            let error = failure("save", name)
            unlink(memoryPath)
            throw error
        }
        do throws(HypervisorError) {
            try hypervisor.bringBack(memoryPath, definition, known.description(name, layer: nextLayer, console: console))
        } catch {
            // The guest must not be lost to a checkpoint: as it was, over the layer that it had.
            try hypervisor.bringBack(memoryPath, definition, known.description(name, layer: known.delta, console: console))
            throw error
        }
        return Taken(way: .saveRestore, stopped: Seconds(Xenlight.now - start), definition: definition)
    }
}
