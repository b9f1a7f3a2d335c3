import CChildren
import CLibvirt
import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Memory by copy-on-write: QEMU write-protects the guest's memory, lets it run, and saves each page before it changes.
///
/// What is saved is the memory of one instant, whoever writes to it: under emulation a live snapshot is not, as a store that is under way
/// while QEMU takes up which pages are dirty can be lost (docs/decisions/0009). The stream goes to a socket of ours and becomes a save image by
/// the header that libvirt would have written, so that libvirt restores it.
///
/// It must not break off: QEMU before 8.1 leaves memory write-protected then, with nobody to lift it, and the guest stands still for ever. So a process of
/// its own receives it, which goes on when this one is killed or the disk is full, and what is under way is waited for before it is given up.
/// Source: QEMU, migration capability `background-snapshot`, docs/devel/migration; libvirt, src/qemu/qemu_saveimage.h for the header.
struct BackgroundSnapshot {
    let domain: OpaquePointer
    let name: String
    /// Where QEMU connects to: a path of at most 107 bytes. Source: unix(7).
    let socketPath: String
    let memoryPath: String

    /// How long QEMU may be silent on the stream, seconds.
    private static let patience: Int32 = 60

    /// Takes memory, and the disk by `rotate`, which is called while the guest stands still.
    /// - Throws: `.unsupported` when QEMU cannot, before anything was changed. After any other failure the guest runs on; its disk may have been
    ///   rotated all the same.
    func take(rotate: () throws(HypervisorError) -> Void) throws(HypervisorError) {
        let header = try header()
        try demand("migrate-set-capabilities", #"{"capabilities":[{"capability":"background-snapshot","state":true}]}"#)
        defer { forget() }
        // As fast as can be: until it is done each first write to a page waits for its turn.
        try demand("migrate-set-parameters", #"{"max-bandwidth":\#(Int64(1) << 38)}"#)
        let receiver = try Receiver(socketPath: socketPath, memoryPath: memoryPath, header: header, patience: Self.patience, name: name)
        defer { receiver.end() }
        guard virDomainSuspend(domain) == 0 else { throw failure("suspend", name) }
        do throws(HypervisorError) {
            try rotate()
            try command("migrate", #"{"uri":"unix:\#(socketPath)"}"#)
            try receiver.wait()
            try awaitCompletion()
        } catch {
            clearUp()
            throw error
        }
        resumeIfPaused()
    }

    /// What an earlier process left unfinished comes to its end, or is given up, and the guest runs. A guest that cannot be told so is seen by the next
    /// look at it.
    func clearUp() {
        if !isOver(within: Double(Self.patience)) {
            attempt("migrate_cancel")
            // While it is at it, QEMU takes no capabilities, and may still stop the guest.
            _ = isOver(within: 5)
        }
        forget()
        resumeIfPaused()
    }

    /// Waits until nothing is under way.
    private func isOver(within seconds: Double) -> Bool {
        let limit = ContinuousClock.now + .seconds(seconds)
        while let status = currentStatus(), ["setup", "active", "device", "cancelling"].contains(status) {
            guard .now < limit else { return false }
            usleep(10_000)
        }
        return true
    }

    /// QEMU lets the guest run by itself once its memory is protected; where it did not come to that, we do.
    private func resumeIfPaused() {
        var state: Int32 = 0
        if virDomainGetState(domain, &state, nil, 0) == 0, virDomainState(UInt32(bitPattern: state)) == VIR_DOMAIN_PAUSED { virDomainResume(domain) }
    }

    private func forget() {
        // With the capability left on, the next save or live snapshot would be of this kind and leave the guest paused.
        attempt("migrate-set-capabilities", #"{"capabilities":[{"capability":"background-snapshot","state":false}]}"#)
    }

    private func awaitCompletion() throws(HypervisorError) {
        for _ in 0..<500 {
            switch try status() {
            case "completed": return
            case "failed", "cancelled", nil: throw .failed(operation: "background snapshot", name: name, code: 0, detail: "QEMU gave it up")
            default: usleep(10_000)
            }
        }
        throw .failed(operation: "background snapshot", name: name, code: 0, detail: "it does not come to its end")
    }

    /// For clearing up: a monitor that does not answer has nothing under way that could be waited for.
    private func currentStatus() -> String? {
        do throws(HypervisorError) { return try status() } catch { return nil }
    }

    /// Of the migration that this is to QEMU; nil when there was none.
    private func status() throws(HypervisorError) -> String? {
        struct Reply: Decodable {
            struct Status: Decodable { var status: String? }
            var `return`: Status
        }
        let answer = try command("query-migrate")
        do { return try JSONDecoder().decode(Reply.self, from: Data(answer.utf8)).return.status } catch {
            throw .failed(operation: "background snapshot", name: name, code: 0, detail: "QEMU answers \(answer.prefix(200))")
        }
    }

    // MARK: The monitor

    private func demand(_ command: String, _ arguments: String) throws(HypervisorError) {
        do throws(HypervisorError) { try self.command(command, arguments) } catch {
            throw .unsupported(what: "take snapshots in the background", detail: "\(error)")
        }
    }

    @discardableResult
    private func command(_ command: String, _ arguments: String? = nil) throws(HypervisorError) -> String {
        try QemuMonitor(domain: domain, name: name).command(command, arguments)
    }

    /// For clearing up: what goes wrong here has no remedy, and the next call that needs it says so.
    private func attempt(_ command: String, _ arguments: String? = nil) {
        do throws(HypervisorError) { try self.command(command, arguments) } catch { return }
    }

    // MARK: The save image

    /// Magic, version 2, length of the definition, running, uncompressed, no cookie, 14 words unused; then the definition, ended by a zero and
    /// filled up to a page.
    private func header() throws(HypervisorError) -> [UInt8] {
        let flags = VIR_DOMAIN_XML_SECURE.rawValue | VIR_DOMAIN_XML_MIGRATABLE.rawValue
        guard let text = virDomainGetXMLDesc(domain, UInt32(flags)) else { throw failure("definition", name) }
        defer { free(text) }
        var definition = Array(String(cString: text).utf8) + [0]
        let fixed = 92
        definition += [UInt8](repeating: 0, count: (4_096 - (fixed + definition.count) % 4_096) % 4_096)
        var header = Array("LibvirtQemudSave".utf8)
        for word in [2, UInt32(definition.count), 1, 0, 0] + [UInt32](repeating: 0, count: 14) {
            withUnsafeBytes(of: word) { header.append(contentsOf: $0) }
        }
        return header + definition
    }

    /// Takes QEMU's stream from a socket into the memory file, in a process of its own.
    private final class Receiver {
        private let listener: Int32
        private let file: Int32
        private let socketPath: String
        private let memoryPath: String
        private let patience: Int32
        private let name: String
        private let process: pid_t
        private var isReaped = false
        private var isWhole = false

        init(socketPath: String, memoryPath: String, header: [UInt8], patience: Int32, name: String) throws(HypervisorError) {
            self.socketPath = socketPath
            self.memoryPath = memoryPath
            self.patience = patience
            self.name = name
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(socketPath.utf8)
            guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
                throw .unsupported(what: "take snapshots in the background", detail: "the path of its socket is too long: \(socketPath)")
            }
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
            unlink(socketPath)
            let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard listener >= 0 else { throw Self.trouble("socket", name) }
            let size = socklen_t(MemoryLayout<sockaddr_un>.size)
            let bound = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) } }
            guard bound == 0, listen(listener, 1) == 0 else {
                let error = Self.trouble("bind", name)
                close(listener)
                throw error
            }
            let file = open(memoryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard file >= 0 else {
                let error = Self.trouble("open \(memoryPath)", name)
                close(listener)
                unlink(socketPath)
                throw error
            }
            let isWritten = header.withUnsafeBytes { write(file, $0.baseAddress, $0.count) } == header.count
            let process = isWritten ? cairn_receive_apart(listener, file, patience * 1_000) : -errno
            guard process > 0 else {
                let error = Self.trouble(isWritten ? "fork" : "write \(memoryPath)", name, code: -process)
                close(listener)
                close(file)
                unlink(socketPath)
                unlink(memoryPath)
                throw error
            }
            (self.listener, self.file, self.process) = (listener, file, process)
        }

        private static func trouble(_ call: String, _ name: String, code: Int32 = errno) -> HypervisorError {
            .failed(operation: "background snapshot", name: name, code: code, detail: "\(call): \(String(cString: strerror(code)))")
        }

        /// - Throws: what kept the stream from coming in whole.
        func wait() throws(HypervisorError) {
            var (size, since) = (0, ContinuousClock.now)
            var status: Int32 = 0
            var ended = waitpid(process, &status, WNOHANG)
            while ended == 0 || (ended < 0 && errno == EINTR) {
                usleep(1_000)
                var now = stat()
                if fstat(file, &now) == 0, now.st_size != size { (size, since) = (now.st_size, .now) }
                guard .now - since < .seconds(Int64(patience)) else { throw Self.trouble("QEMU is silent", name, code: ETIMEDOUT) }
                ended = waitpid(process, &status, WNOHANG)
            }
            isReaped = true
            // Source: wait(2): the exit status is in the second byte, the signal in the first. Of one that somebody else waited for nothing is known.
            let code = ended == process && status & 0x7f == 0 ? (status >> 8) & 0xff : CAIRN_NO_STREAM
            isWhole = code == 0
            guard !isWhole else { return }
            throw code == CAIRN_NO_STREAM
                ? .failed(operation: "background snapshot", name: name, code: 0, detail: "QEMU's stream did not come, or not whole")
                : Self.trouble("write \(memoryPath)", name, code: code)
        }

        /// Nobody connects any more, and what is not whole is removed. Where the stream still comes, its process reads it to its end.
        func end() {
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
            close(file)
            unlink(socketPath)
            if !isWhole { unlink(memoryPath) }
            guard !isReaped else { return }
            Thread.detachNewThread { [process] in
                var status: Int32 = 0
                waitpid(process, &status, 0)
            }
        }
    }
}
