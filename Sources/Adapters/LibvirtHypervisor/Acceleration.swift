import Foundation
import Ports
import Vocabulary

/// Whether guests can use KVM here. `/dev/kvm` may be there and hang every guest, so a Linux kernel is started with it, for seconds at most.
enum Acceleration {
    /// How long a kernel may take to say its first word, seconds.
    private static let patience = "5"

    /// - Parameter kernel: a kernel to try with; without one, emulation it is.
    static func found(kernel: String?) -> HypervisorCapabilities.Acceleration {
        if let given = ProcessInfo.processInfo.environment["CAIRN_ACCELERATION"].flatMap({ HypervisorCapabilities.Acceleration(rawValue: $0) }) {
            return given
        }
        guard let kernel, access("/dev/kvm", R_OK | W_OK) == 0 else { return .emulation }
        return runs(kernel) ? .kvm : .emulation
    }

    private static func runs(_ kernel: String) -> Bool {
        let process = Process()
        // timeout(1) ends it even where this process does not live to do so; reading its output ends with it.
        process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
        process.arguments = [
            "--signal=KILL", patience, "/usr/bin/qemu-system-x86_64", "-accel", "kvm", "-cpu", "qemu64", "-m", "128", "-nodefaults", "-display",
            "none",
            "-no-reboot", "-serial", "stdio", "-kernel", kernel, "-append", "console=ttyS0 panic=-1",
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch { return false }
        var text = ""
        while !text.contains("Linux version") {
            let piece = output.fileHandleForReading.availableData
            if piece.isEmpty { break }
            text += String(decoding: piece, as: UTF8.self)
        }
        // SIGTERM, which timeout(1) passes on.
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
        return text.contains("Linux version")
    }
}
