import Foundation
import GRDB
import Ports
import Testing
import Vocabulary

@testable import SQLiteLedger

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("The ledger among processes, crashes and full disks")
struct SharingTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    func record(_ number: Int64) -> EventRecord {
        EventRecord(
            at: Timestamp(Double(number)), source: .agent(node: Samples.node, incarnation: Incarnation("i"), number: number),
            event: .progressSeen(Samples.sample))
    }

    @Test("a reader sees whole appends while a writer appends, and cannot append")
    func readerDuringWrites() async throws {
        let writer = try SQLiteLedger.open(path: scratch.ledgerPath)
        let reader = try SQLiteLedger.openReadOnly(path: scratch.ledgerPath)
        let writing = Task {
            for batch in 0..<100 {
                _ = try await writer.append((0..<10).map { record(Int64(batch * 10 + $0)) })
                try await writer.record([Samples.decision(batch + 1)])
            }
        }
        var seen = 0
        while seen < 1_000 {
            let events = try await reader.events(after: 0, limit: .max)
            // Ten events a transaction: never a part of one, never fewer than before.
            #expect(events.count.isMultiple(of: 10))
            #expect(events.count >= seen)
            seen = events.count
            await Task.yield()
        }
        try await writing.value
        #expect(try await reader.decisions(DecisionQuery()).count == 100)
        await #expect(throws: LedgerError.failed(path: scratch.ledgerPath, detail: "it is open for reading only")) {
            try await reader.append([record(9_999)])
        }
        try reader.close()
        try writer.close()
    }

    @Test("a ledger that another process holds locked is busy, and works when it lets go")
    func busy() async throws {
        let ledger = try SQLiteLedger.open(path: scratch.ledgerPath, busyTimeout: Seconds(0.05))
        var holding = Configuration()
        holding.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: scratch.ledgerPath, configuration: holding)
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
        let error = await #expect(throws: LedgerError.self) { try await ledger.append([record(1)]) }
        #expect(error == .busy(path: scratch.ledgerPath))
        #expect(error?.isRetryable == true)
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        try other.close()
        #expect(try await ledger.append([record(1)]).map(\.sequence) == [1])
    }

    @Test("every append that was acknowledged to a process that is then killed is there afterwards", arguments: 1...6)
    func killed(_ seed: Int) async throws {
        let path = scratch.ledgerPath
        let acknowledgements = scratch.directory + "/acknowledged"
        // The child appends in a loop, writes down each number that was acknowledged, and is struck down by SIGKILL at a moment that
        // has nothing to do with what it does just then.
        let milliseconds = UInt64(40 + (seed * 7_919) % 400)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, acknowledgements = acknowledgements as String, milliseconds = milliseconds as UInt64] in
            let ledger = try SQLiteLedger.open(path: path)
            let descriptor = open(acknowledgements, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            try #require(descriptor >= 0)
            for number in 1...Int64.max {
                if number == 2 {
                    Thread.detachNewThread {
                        usleep(UInt32(milliseconds * 1_000))
                        kill(getpid(), SIGKILL)
                    }
                }
                let record = EventRecord(
                    at: Timestamp(Double(number)), source: .agent(node: Samples.node, incarnation: Incarnation("i"), number: number),
                    event: .progressSeen(Samples.sample))
                let appended = try await ledger.append([record])
                try #require(appended.map(\.sequence) == [number])
                try await ledger.record([Samples.decision(Int(number))])
                let line = Array("\(number)\n".utf8)
                try #require(write(descriptor, line, line.count) == line.count)
            }
        }
        let lines = try String(contentsOfFile: acknowledgements, encoding: .utf8).split(separator: "\n")
        let acknowledged = try #require(lines.last.flatMap { Int64($0) })
        print("killed after \(milliseconds) ms: \(acknowledged) appends acknowledged")
        // A reader that comes before the next manager sees it all: the write-ahead log is recovered for it.
        let reader = try SQLiteLedger.openReadOnly(path: path)
        let events = try await reader.events(after: 0, limit: .max)
        try reader.close()
        let ledger = try SQLiteLedger.open(path: path)
        #expect(try await ledger.events(after: 0, limit: .max) == events)
        // At most one more may be there: committed, and killed before it could be written down.
        #expect(events.map(\.sequence) == Array(1...Int64(events.count)))
        #expect(events.count >= Int(acknowledged) && events.count <= Int(acknowledged) + 1)
        #expect(try await ledger.acknowledged(node: Samples.node, incarnation: Incarnation("i")) == Int64(events.count))
        #expect(try await ledger.decisions(DecisionQuery(limit: .max)).count >= Int(acknowledged))
        // It goes on from there: what is sent again is passed over, what is new is kept.
        #expect(try await ledger.append([record(Int64(events.count)), record(Int64(events.count) + 1)]).count == 1)
        try ledger.close()
    }

    static let isRoot = geteuid() == 0

    @Test("a full disk is reported as full, loses nothing, and is survived", .enabled(if: isRoot, "a small file system can be mounted by root only"))
    func full() async throws {
        let mount = scratch.directory + "/small"
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        try run("/usr/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount)
        do {
            try await fill(mount)
        } catch {
            try run("/usr/bin/umount", mount)
            throw error
        }
        try run("/usr/bin/umount", mount)
    }

    func fill(_ mount: String) async throws {
        let path = mount + "/ledger.sqlite"
        let ballast = mount + "/ballast"
        try Data(count: 400 << 10).write(to: URL(filePath: ballast))
        let ledger = try SQLiteLedger.open(path: path)
        var acknowledged: Int64 = 0
        var failure: LedgerError?
        while failure == nil, acknowledged < 10_000 {
            do throws(LedgerError) { acknowledged = try await ledger.append([record(acknowledged + 1)]).last?.sequence ?? acknowledged } catch {
                failure = error
            }
        }
        print("disk full after \(acknowledged) appends")
        #expect(failure == .full(path: path))
        #expect(failure?.isRetryable == true)
        #expect(try await ledger.events(after: 0, limit: .max).count == Int(acknowledged))
        // Room again: the same ledger, still open, goes on.
        try FileManager.default.removeItem(atPath: ballast)
        #expect(try await ledger.append([record(acknowledged + 1)]).map(\.sequence) == [acknowledged + 1])
        try ledger.close()
    }

    func run(_ command: String, _ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(filePath: command)
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(command) \(arguments.joined(separator: " "))")
    }
}
