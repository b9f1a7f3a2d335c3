import CXenlight
import Foundation
import Ports
import Vocabulary

/// A conversation with Xen's toolstack library, beside libvirt: for what libvirt's driver does not offer. To be used by one thread.
final class Xenlight {
    private let xen: OpaquePointer

    /// nil: it can be used. Else why not, and what to do.
    static var trouble: String? { cairn_xen_libxl_trouble().map { String(cString: $0) } }

    init() throws(HypervisorError) {
        if let trouble = Self.trouble { throw .unsupported(what: "be asked behind libvirt's back", detail: trouble) }
        guard let opened = cairn_xen_open() else {
            throw .cannotConnect(uri: "libxl", detail: "it does not answer: is this the control domain, and are we root?")
        }
        xen = opened
    }

    deinit { cairn_xen_close(xen) }

    /// What it complained of since it was last asked.
    func complaints() -> String { String(cString: cairn_xen_complaints(xen)) }

    /// What the hypervisor offers.
    struct Offers: Decodable {
        var hvm: Bool
        var pv: Bool
        /// Memory of guests virtualised by the processor.
        var hap: Bool
        var shadow: Bool
        enum CodingKeys: String, CodingKey {
            case hvm = "cap_hvm"
            case pv = "cap_pv"
            case hap = "cap_hap"
            case shadow = "cap_shadow"
        }
    }

    /// nil when it does not say.
    func offers() -> Offers? {
        guard let text = cairn_xen_physinfo(xen) else { return nil }
        defer { free(text) }
        do { return try JSONDecoder().decode(Offers.self, from: Data(String(cString: text).utf8)) } catch { return nil }
    }

    enum Standing { case running, poweredOff, crashed, suspended }
    struct Info {
        var standing: Standing
        var cpuSeconds: Seconds
    }

    /// nil when there is no such domain any more.
    func info(_ domain: UInt32, _ name: String) throws(HypervisorError) -> Info? {
        var info = cairn_xen_info()
        switch cairn_xen_info_of(xen, domain, &info) {
        case 0: break
        case 1: return nil
        default: throw .failed(operation: "look-up", name: name, code: 0, detail: complaints())
        }
        let standing: Standing =
            if info.shutdown == 0 {
                .running
            } else if info.reason == Int32(CAIRN_XEN_SUSPEND) {
                .suspended
            } else {
                [Int32(CAIRN_XEN_POWEROFF), Int32(CAIRN_XEN_REBOOT)].contains(info.reason) ? .poweredOff : .crashed
            }
        return Info(standing: standing, cpuSeconds: Seconds(Double(info.cpu_time_ns) / 1e9))
    }

    /// By the monotonic clock, seconds.
    struct Suspension {
        /// When the guest was asked to stand still, and when it did; nil: it did not come to that.
        var askedAt: Double?
        var stoodAt: Double?
        var code: Int32
    }

    /// Writes a domain's memory to a file from where that stands, and leaves it suspended.
    func suspend(_ domain: UInt32, into file: Int32, live: Bool) -> Suspension {
        let done = cairn_xen_suspend(xen, domain, file, live ? 1 : 0)
        func seconds(_ nanoseconds: UInt64) -> Double? { nanoseconds == 0 ? nil : Double(nanoseconds) / 1e9 }
        return Suspension(askedAt: seconds(done.asked_at), stoodAt: seconds(done.stood_at), code: done.code)
    }

    /// - Returns: whether the domain goes on; one that is not suspended is left as it is.
    func resume(_ domain: UInt32) -> Bool { cairn_xen_resume(xen, domain) == 0 }

    static var now: Double { Double(cairn_xen_now()) / 1e9 }
}

/// Xen's store, as far as the state of disks goes.
enum XenStore {
    /// nil: it can be used. Else why not.
    static var trouble: String? { cairn_xen_load().map { String(cString: $0) } }

    static func read(_ path: String) -> String? {
        guard let value = cairn_xenstore_read(path) else { return nil }
        defer { free(value) }
        return String(cString: value)
    }
}
