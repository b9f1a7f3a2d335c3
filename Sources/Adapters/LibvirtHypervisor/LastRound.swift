import CLibvirt
import Foundation
import Synchronization

/// How long a guest may stand still for the last round of a live snapshot of its memory.
///
/// QEMU copies memory while the guest dirties it, and stops the guest once it reckons to copy what is left within this limit, 300 ms
/// unless told. A shorter one costs a few more rounds. A guest that dirties memory too fast for that would be copied for ever, so the limit
/// doubles every five seconds.
/// Source: QEMU, docs/devel/migration; libvirt, virDomainMigrateSetMaxDowntime.
final class LastRound: Sendable {
    private static let firstMilliseconds: UInt64 = 20
    private static let patience = 5.0
    private let over = Mutex(false)

    /// - Parameter domain: kept alive by the caller until `isOver()`; this takes a reference of its own.
    init(of domain: OpaquePointer) {
        virDomainRef(domain)
        // One that cannot be told stays with QEMU's own limit.
        virDomainMigrateSetMaxDowntime(domain, Self.firstMilliseconds, 0)
        let held = Held(domain)
        Thread { [self] in
            var limit = Self.firstMilliseconds
            var next = Date().addingTimeInterval(Self.patience)
            while !over.withLock({ $0 }) {
                usleep(20_000)
                guard Date() >= next, !over.withLock({ $0 }) else { continue }
                limit *= 2
                next = Date().addingTimeInterval(Self.patience)
                virDomainMigrateSetMaxDowntime(held.pointer, limit, 0)
            }
            virDomainFree(held.pointer)
        }.start()
    }

    func isOver() { over.withLock { $0 = true } }

    // libvirt's handles may be used by any thread.
    private struct Held: @unchecked Sendable {
        let pointer: OpaquePointer
        init(_ pointer: OpaquePointer) { self.pointer = pointer }
    }
}
