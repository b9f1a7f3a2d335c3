import Foundation
import Ports
import SQLiteLedger
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Signs where the ledger ends: at the start, every so many records or minutes, and when the process is told to end.
///
/// Each signed head is written beside the ledger and into the log as well, so that an end that is cut off the ledger is missed elsewhere.
struct LedgerNotary: Sendable {
    /// Records after which a head is signed. Up to so many can be changed without any signature telling.
    static let recordLimit: Int64 = 1_000
    /// And after so long, if there is anything new.
    static let timeLimit = Seconds.minutes(5)
    /// How often it looks.
    static let step = Seconds(5)

    let ledger: SQLiteLedger
    let key: LedgerKey
    let directory: StateDirectory
    let time: any TimeSource
    let log: @Sendable (String) -> Void

    /// Signs until cancelled. A ledger that is busy is signed the next time.
    func run() async throws {
        var signedAt = time.now()
        var record = try await sign() ?? 0
        while !Task.isCancelled {
            try await time.sleep(for: Self.step)
            do {
                guard let head = try await ledger.proof()?.head else { continue }
                guard head.record - record >= Self.recordLimit || time.now() - signedAt >= Self.timeLimit else { continue }
                record = try await sign() ?? head.record
                signedAt = time.now()
            } catch let error as LedgerError where error.isRetryable { log("the ledger's head is not signed: \(error)") }
        }
    }

    /// - Returns: the entry that was signed; nil if there was nothing new.
    @discardableResult
    func sign() async throws -> Int64? {
        guard let signed = try await ledger.sign(with: key, at: time.now()) else { return nil }
        try directory.keep(signed)
        log("the ledger's head \(signed.head.digest) of record \(signed.head.record) is signed")
        return signed.head.record
    }

    /// Waits for the process to be told to end, signs once more, and lets the signal do what it would have done.
    func signAtTheEnd() async throws {
        let signal = try await Termination.told()
        do { try await sign() } catch { log("the ledger's head is not signed: \(error)") }
        Termination.end(by: signal)
    }
}

/// SIGTERM and SIGINT, told to whoever waits. They are caught, not ignored or blocked, since children would inherit that.
enum Termination {
    /// For the handler, which may not take a lock. Written once, before the handler is in place.
    nonisolated(unsafe) private static var writing: Int32 = -1

    /// To be called once.
    static func told() async throws -> Int32 {
        var made: [Int32] = [-1, -1]
        guard pipe(&made) == 0 else { throw Failure.cannotTry("cannot make a pipe: \(String(cString: strerror(errno)))") }
        for end in made { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let reading = made[0]
        writing = made[1]
        for number in [SIGTERM, SIGINT] {
            signal(number) { number in
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(Termination.writing, &byte, 1)
            }
        }
        return await onBlockingThread {
            var byte: UInt8 = 0
            while read(reading, &byte, 1) != 1 {}
            return Int32(byte)
        }
    }

    static func end(by number: Int32) -> Never {
        signal(number, SIG_DFL)
        raise(number)
        // Blocked where this runs: the process ends all the same.
        exit(128 + number)
    }
}
