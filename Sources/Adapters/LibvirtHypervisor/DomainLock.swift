import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// One at a time works on a domain, whichever process it is of. Given back with the process that holds it.
///
/// libvirt's own job lock does not cover what is done to a domain behind its back.
struct DomainLock: ~Copyable {
    private let descriptor: Int32

    /// - Parameter patience: how long to wait for whoever holds it.
    /// - Throws: `.busy` when it is held for longer.
    init(_ name: String, in directory: String, patience: Seconds = .zero) throws(HypervisorError) {
        do { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) } catch {
            throw .failed(operation: "lock", name: name, code: 0, detail: "cannot make \(directory): \(error.localizedDescription)")
        }
        let path = "\(directory)/\(name.replacing("/", with: "-")).lock"
        let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw .failed(operation: "lock", name: name, code: errno, detail: "\(path): \(String(cString: strerror(errno)))") }
        let limit = Date().addingTimeInterval(patience.rawValue)
        while flock(opened, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR, Date() < limit else {
                close(opened)
                throw .busy(name: name, detail: "something else is being done to it")
            }
            usleep(20_000)
        }
        descriptor = opened
    }

    deinit { close(descriptor) }
}
