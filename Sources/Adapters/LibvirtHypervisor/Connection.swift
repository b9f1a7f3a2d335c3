import CChildren
import CLibvirt
import Foundation
import Ports
import Vocabulary

/// libvirt's event loop, run on a thread of its own from before the first connection, as embed demands.
enum EventLoop {
    static let isRunning: Bool = {
        virSetErrorFunc(nil) { _, _ in }
        guard virEventRegisterDefaultImpl() == 0 else { return false }
        let thread = Thread { while true { if virEventRunDefaultImpl() < 0 { usleep(100_000) } } }
        thread.name = "libvirt events"
        thread.start()
        return true
    }()
}

/// A domain's handle, freed when it goes out of scope.
struct DomainHandle: ~Copyable {
    let pointer: OpaquePointer
    deinit { virDomainFree(pointer) }
}

/// An open connection.
final class Connection: @unchecked Sendable {
    // libvirt's handles may be used by any thread.
    let pointer: OpaquePointer
    let uri: String

    private init(_ pointer: OpaquePointer, uri: String) {
        self.pointer = pointer
        self.uri = uri
    }

    deinit { virConnectClose(pointer) }

    /// - Parameter root: directory for `qemu:///embed`, which is a libvirt inside this process: one root a process, one process a root.
    static func open(_ uri: String, root: String) throws(HypervisorError) -> Connection {
        guard EventLoop.isRunning else { throw .cannotConnect(uri: uri, detail: "libvirt's event loop does not start") }
        var address = uri
        if uri == "qemu:///embed" {
            // The monitor's socket is below it, and a socket's path holds 107 bytes. Source: unix(7).
            guard root.hasPrefix("/"), root.utf8.count <= 50 else {
                throw .cannotConnect(uri: uri, detail: "its directory \(root) must be absolute and at most 50 characters long: choose a shorter one")
            }
            _ = cairn_reap_detached_qemu()
            try configure(root)
            address += "?root=" + root
        }
        guard let pointer = virConnectOpen(address) else { throw .cannotConnect(uri: address, detail: lastError().detail) }
        return Connection(pointer, uri: address)
    }

    private static func configure(_ root: String) throws(HypervisorError) {
        var lines = ["stdio_handler = \"file\""]
        if getuid() == 0 {
            lines += [
                "user = \"root\"", "group = \"root\"", "dynamic_ownership = 0", "remember_owner = 0", "security_driver = \"none\"", "namespaces = []",
                "cgroup_controllers = []",
            ]
        }
        do {
            try FileManager.default.createDirectory(atPath: root + "/etc", withIntermediateDirectories: true)
            try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: root + "/etc/qemu.conf"), options: .atomic)
        } catch { throw .cannotConnect(uri: "qemu:///embed", detail: "cannot write \(root)/etc/qemu.conf: \(error.localizedDescription)") }
    }

    /// nil when there is no such domain.
    func domain(_ name: String) throws(HypervisorError) -> DomainHandle? {
        if let found = virDomainLookupByName(pointer, name) { return DomainHandle(pointer: found) }
        let error = lastError()
        if error.code == Int32(VIR_ERR_NO_DOMAIN.rawValue) { return nil }
        throw .failed(operation: "look-up", name: name, code: error.code, detail: error.detail)
    }

    /// Cairn's domains.
    func names() throws(HypervisorError) -> [String] {
        var list: UnsafeMutablePointer<virDomainPtr?>?
        let count = virConnectListAllDomains(pointer, &list, 0)
        guard count >= 0, let list else { throw failure("listing", "all") }
        defer { free(list) }
        var names: [String] = []
        for index in 0..<Int(count) {
            guard let domain = list[index] else { continue }
            if let name = virDomainGetName(domain) { names.append(String(cString: name)) }
            virDomainFree(domain)
        }
        return names.filter { $0.hasPrefix("cairn-") }
    }

    /// `8.2.1`, of the hypervisor.
    var version: String {
        var version: UInt = 0
        virConnectGetVersion(pointer, &version)
        return "\(version / 1_000_000).\(version / 1_000 % 1_000).\(version % 1_000)"
    }

    func existing(_ name: String) throws(HypervisorError) -> DomainHandle {
        guard let found = try domain(name) else { throw .noSuchDomain(name: name) }
        return found
    }
}

/// What libvirt says of this thread's last failed call.
func lastError() -> (code: Int32, detail: String) {
    guard let error = virGetLastError() else { return (0, "unknown") }
    return (error.pointee.code, error.pointee.message.map { String(cString: $0) } ?? "unknown")
}

func failure(_ operation: String, _ name: String) -> HypervisorError {
    let error = lastError()
    // The domain's job lock is held by another call.
    if error.code == Int32(VIR_ERR_OPERATION_TIMEOUT.rawValue) { return .busy(name: name, detail: error.detail) }
    if error.code == Int32(VIR_ERR_NO_DOMAIN.rawValue) { return .noSuchDomain(name: name) }
    return .failed(operation: operation, name: name, code: error.code, detail: error.detail)
}
