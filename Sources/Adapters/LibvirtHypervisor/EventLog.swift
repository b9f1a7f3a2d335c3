import CLibvirt
import Ports
import Synchronization
import Vocabulary

/// What libvirt tells of domains as it happens: how they ended, and when exactly they stood still.
final class EventLog: Sendable {
    private struct State {
        var endings: [String: DomainStatus.State] = [:]
        /// QEMU's own STOP and RESUME, by its clock.
        var pauses: [String: [Pause]] = [:]
    }
    private struct Pause {
        var from: Timestamp
        var to: Timestamp?
    }
    private let state = Mutex(State())

    func forget(_ name: String) {
        state.withLock {
            $0.endings[name] = nil
            $0.pauses[name] = nil
        }
    }

    func ended(_ name: String, _ ending: DomainStatus.State) { state.withLock { $0.endings[name] = ending } }
    func ending(of name: String) -> DomainStatus.State? { state.withLock { $0.endings[name] } }

    func stopped(_ name: String, at time: Timestamp) {
        state.withLock { $0.pauses[name, default: []].append(Pause(from: time)) }
    }

    func resumed(_ name: String, at time: Timestamp) {
        state.withLock {
            guard let last = $0.pauses[name]?.indices.last, $0.pauses[name]?[last].to == nil else { return }
            $0.pauses[name]?[last].to = time
        }
    }

    /// Time for which a domain stood still since a moment; nil when its resumption was not seen yet, or no pause at all.
    func pause(of name: String, since start: Timestamp) -> Seconds? {
        state.withLock { state in
            let pauses = state.pauses[name, default: []].filter { $0.from >= start }
            guard !pauses.isEmpty, pauses.allSatisfy({ $0.to != nil }) else { return nil }
            return pauses.reduce(.zero) { $0 + (($1.to ?? $1.from) - $1.from) }
        }
    }

    // MARK: Registration

    /// Registers for the life of the connection, which keeps this log alive.
    func listen(to connection: OpaquePointer) {
        let lifecycle: virConnectDomainEventCallback = { _, domain, event, detail, opaque in
            guard let domain, let opaque, let name = virDomainGetName(domain) else { return 0 }
            let log = Unmanaged<EventLog>.fromOpaque(opaque).takeUnretainedValue()
            guard event == Int32(VIR_DOMAIN_EVENT_STOPPED.rawValue) else { return 0 }
            switch detail {
            // Somebody's will, as a rule ours: it may be told after the next life of that name has begun, and ends nothing by itself.
            case Int32(VIR_DOMAIN_EVENT_STOPPED_DESTROYED.rawValue), Int32(VIR_DOMAIN_EVENT_STOPPED_SAVED.rawValue): break
            case Int32(VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN.rawValue): log.ended(String(cString: name), .shutOff)
            default: log.ended(String(cString: name), .crashed)
            }
            return 0
        }
        virConnectDomainEventRegisterAny(
            connection, nil, Int32(VIR_DOMAIN_EVENT_ID_LIFECYCLE.rawValue), unsafeBitCast(lifecycle, to: virConnectDomainEventGenericCallback.self),
            Unmanaged.passRetained(self).toOpaque(), { opaque in if let opaque { Unmanaged<EventLog>.fromOpaque(opaque).release() } })
        let monitor: virConnectDomainQemuMonitorEventCallback = { _, domain, event, seconds, micros, _, opaque in
            guard let domain, let event, let opaque, let name = virDomainGetName(domain) else { return }
            let log = Unmanaged<EventLog>.fromOpaque(opaque).takeUnretainedValue()
            let time = Timestamp(Double(seconds) + Double(micros) / 1e6)
            switch String(cString: event) {
            case "STOP": log.stopped(String(cString: name), at: time)
            case "RESUME": log.resumed(String(cString: name), at: time)
            default: break
            }
        }
        // Refused by drivers that are not QEMU's: the calls' own timing stands in then.
        virConnectDomainQemuMonitorEventRegister(
            connection, nil, nil, monitor, Unmanaged.passRetained(self).toOpaque(),
            { opaque in if let opaque { Unmanaged<EventLog>.fromOpaque(opaque).release() } }, 0)
    }
}
