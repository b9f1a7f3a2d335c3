import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// What started this process as a service and wants to hear of it: systemd, of units with `Type=notify`. Nobody, where there is none.
///
/// Source: sd_notify(3): lines of NAME=VALUE in one datagram to the socket that NOTIFY_SOCKET names.
struct ServiceSupervisor: Sendable {
    private let address: String?

    init(environment: [String: String] = ProcessInfo.processInfo.environment) { address = environment["NOTIFY_SOCKET"] }

    /// The service does what it is there for.
    func tellReady(_ status: String) { tell("READY=1\nSTATUS=\(status)") }

    /// The loop has turned: without this word for longer than the unit's WatchdogSec the service is started anew.
    func tellAlive() { tell("WATCHDOG=1") }

    private func tell(_ text: String) {
        guard let address, let first = address.first, first == "/" || first == "@" else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var place = sockaddr_un()
        place.sun_family = sa_family_t(AF_UNIX)
        // A name that begins with @ is of the abstract kind, which begins with a zero byte.
        let name: [UInt8] = (first == "@" ? [0] : [UInt8(ascii: "/")]) + Array(address.utf8.dropFirst())
        guard name.count < MemoryLayout.size(ofValue: place.sun_path) else { return }
        withUnsafeMutableBytes(of: &place.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + name.count)
        let bytes = Array(text.utf8)
        // Nobody to hear it is no reason to end: what the supervisor misses, it notices itself.
        _ = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
