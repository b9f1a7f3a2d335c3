import Foundation
import GRDB
import Ports
import Simulator
import Testing
import Vocabulary

@testable import SQLiteLedger

/// A ledger with rows of every kind, signed three times, in one file without a write-ahead log beside it.
struct ChainedLedger {
    let scratch: Scratch
    let key = LedgerKey()
    let heads: [SignedHead]
    var path: String { scratch.ledgerPath }

    init() async throws {
        scratch = try Scratch()
        let ledger = try SQLiteLedger.open(path: scratch.ledgerPath)
        var heads: [SignedHead] = []
        for round in 1...3 {
            for (index, event) in Samples.events.enumerated() {
                let source: EventSource =
                    index % 3 == 0
                    ? .manager : .agent(node: Samples.node, incarnation: Incarnation("i-\(round)"), number: Int64(index))
                _ = try await ledger.append([EventRecord(at: Timestamp(Double(round * 1_000 + index)), source: source, event: event)])
            }
            try await ledger.record((1...8).map { Samples.decision(round * 10 + $0, at: Double(round)) })
            try await ledger.record(
                (1...4).map {
                    Outcome(
                        decision: DecisionID("d" + padded(round * 10 + $0)), at: Timestamp(Double(round)), quantity: "stopSeconds", predicted: 0.1,
                        observed: 0.25 * Double($0))
                })
            heads.append(try #require(try await ledger.sign(with: key, at: Timestamp(Double(round) * 3_600))))
        }
        self.heads = heads
        _ = try await ledger.append([EventRecord(at: Timestamp(9_999), source: .manager, event: .managerStarted(version: "2"))])
        try ledger.close()
        // All of it into the one file, which is copied and spoiled then.
        let queue = try DatabaseQueue(path: scratch.ledgerPath)
        _ = try await queue.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try queue.close()
    }

    /// A copy to spoil.
    func copy() throws -> String {
        let copy = scratch.directory + "/copy.sqlite"
        for ending in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: copy + ending) {
            try FileManager.default.removeItem(atPath: copy + ending)
        }
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        return copy
    }

    func verified(_ path: String, key: LedgerPublicKey? = nil) async throws -> LedgerVerification {
        try await SQLiteLedger.verify(path: path, expecting: LedgerExpectation(key: key ?? self.key.publicKey, signed: heads))
    }
}

/// Somebody with SQLite's command line and time: the triggers are away while the hand is at work, and back afterwards.
func tamper(_ path: String, _ work: (Database) throws -> Void) throws {
    var configuration = Configuration()
    configuration.foreignKeysEnabled = false
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    try queue.writeWithoutTransaction { database in
        try database.execute(sql: "PRAGMA synchronous = OFF; BEGIN IMMEDIATE")
        let triggers = try Row.fetchAll(database, sql: "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        for trigger in triggers { try database.execute(sql: "DROP TRIGGER \(trigger[0] as String)") }
        defer {
            do {
                for trigger in triggers { try database.execute(sql: trigger[1]) }
                try database.execute(sql: "COMMIT")
            } catch { Issue.record("a trigger is lost: \(error)") }
        }
        try work(database)
    }
    try queue.close()
}

/// A change of one row that SQLite lets pass, drawn at random.
struct Manipulation: CustomStringConvertible {
    var description: String
    var table: String
    /// Those that are not what they were; empty for the chain's own entries.
    var rows: Set<Int64>

    private static let tables = ["events", "events", "decisions", "decisions", "outcomes", "documents", "chain", "signatures", "ledger"]

    /// - Returns: nil if what was drawn changes nothing, or is refused by a constraint of the table.
    static func make(_ random: SeededRandom, _ database: Database) throws -> Manipulation? {
        func pick<Element>(_ list: [Element]) -> Element { list[random.number(in: 0...list.count - 1)] }
        let table = pick(tables)
        let columns = try Row.fetchAll(database, sql: "SELECT name, type, pk FROM pragma_table_info('\(table)')")
        let key: String = columns[0][0]
        let row = pick(try Int64.fetchAll(database, sql: "SELECT \(key) FROM \(table) ORDER BY 1"))
        let column = pick(columns)
        do {
            switch random.number(in: 0...9) {
            case 0...4: return try update(table, key, row, column[0], try value(of: column, table, key, row, random, database), database)
            case 5, 6:
                try database.execute(sql: "DELETE FROM \(table) WHERE \(key) = ?", arguments: [row])
                return Manipulation(description: "DELETE \(table) \(row)", table: table, rows: [row])
            case 7, 8:
                // A copy of a row under a number of its own, with one more value changed, so that it may pass for another.
                let new = try (Int64.fetchOne(database, sql: "SELECT max(\(key)) FROM \(table)") ?? 0) + Int64(random.number(in: 1...3))
                let other = pick(Array(columns.dropFirst()))
                let values = try columns.map { each -> DatabaseValue in
                    let name: String = each[0]
                    if name == key { return new.databaseValue }
                    if ["id", "payload_json", "digest"].contains(name) || name == other[0] {
                        return try value(of: each, table, key, row, random, database)
                    }
                    return try DatabaseValue.fetchOne(database, sql: "SELECT \(name) FROM \(table) WHERE \(key) = ?", arguments: [row]) ?? .null
                }
                let places = values.map { _ in "?" }.joined(separator: ", ")
                try database.execute(sql: "INSERT INTO \(table) VALUES (\(places))", arguments: StatementArguments(values))
                return Manipulation(description: "INSERT \(table) \(new), like \(row)", table: table, rows: [new])
            default:
                let other = pick(try Int64.fetchAll(database, sql: "SELECT \(key) FROM \(table) ORDER BY 1"))
                let name: String = column[0]
                let (here, there) = (try current(table, key, row, name, database), try current(table, key, other, name, database))
                guard here != there, name != key else { return nil }
                try database.execute(sql: "UPDATE \(table) SET \(name) = ? WHERE \(key) = ?", arguments: [there, row])
                try database.execute(sql: "UPDATE \(table) SET \(name) = ? WHERE \(key) = ?", arguments: [here, other])
                return Manipulation(description: "SWAP \(table).\(name) of \(row) and \(other)", table: table, rows: [row, other])
            }
        } catch let error as DatabaseError where [.SQLITE_CONSTRAINT, .SQLITE_MISMATCH].contains(error.resultCode) { return nil }
    }

    private static func current(_ table: String, _ key: String, _ row: Int64, _ column: String, _ database: Database) throws -> DatabaseValue {
        try DatabaseValue.fetchOne(database, sql: "SELECT \(column) FROM \(table) WHERE \(key) = ?", arguments: [row]) ?? .null
    }

    private static func update(
        _ table: String, _ key: String, _ row: Int64, _ column: String, _ value: DatabaseValue, _ database: Database
    ) throws -> Manipulation? {
        guard try current(table, key, row, column, database) != value else { return nil }
        try database.execute(sql: "UPDATE \(table) SET \(column) = ? WHERE \(key) = ?", arguments: [value, row])
        return Manipulation(description: "UPDATE \(table).\(column) of \(row) to \(value)", table: table, rows: [row])
    }

    /// Another value of the column's type: a little off, nothing at all, or far off.
    private static func value(
        of column: Row, _ table: String, _ key: String, _ row: Int64, _ random: SeededRandom, _ database: Database
    ) throws -> DatabaseValue {
        let there = try current(table, key, row, column[0], database)
        if random.happens(0.1) { return .null }
        var type: String = column[1]
        if case .blob = there.storage { type = "BLOB" }
        switch type {
        case "INTEGER": return ((Int64.fromDatabaseValue(there) ?? 0) + Int64(random.number(in: -3...3))).databaseValue
        case "REAL":
            let number = Double.fromDatabaseValue(there) ?? 0
            return [number.nextUp, number + 1, -number, random.fraction() * 1e9][random.number(in: 0...3)].databaseValue
        case "BLOB":
            var data = Data.fromDatabaseValue(there) ?? Data()
            if !data.isEmpty { data[random.number(in: 0...data.count - 1)] ^= UInt8(1 << random.number(in: 0...7)) }
            return data.databaseValue
        default:
            var letters = Array(String.fromDatabaseValue(there) ?? "")
            let place = letters.isEmpty ? 0 : random.number(in: 0...letters.count - 1)
            switch random.number(in: 0...2) {
            case 0: letters.insert(" ", at: place)
            case 1 where !letters.isEmpty: letters.remove(at: place)
            default: letters.append(Character(UnicodeScalar(UInt8(random.number(in: 33...126)))))
            }
            return String(letters).databaseValue
        }
    }
}

@Suite("The chain finds what was changed by hand")
struct ChainTests {
    static let rounds = 1_000 * max(1, ProcessInfo.processInfo.environment["CAIRN_SEEDS"].flatMap { Int($0) } ?? 1)

    @Test("each of 1,000 random manipulations of one row is found, with its row, and nothing in an untouched ledger")
    func manipulations() async throws {
        let chained = try await ChainedLedger()
        let untouched = try await chained.verified(chained.path)
        #expect(untouched.findings.isEmpty)
        #expect(untouched.records == untouched.head.map { $0.record + 1 })
        #expect(untouched.signedThrough == chained.heads.last?.head.record)
        let random = SeededRandom(seed: 20_261_124)
        var kinds: [String: Int] = [:]
        var made = 0
        while made < Self.rounds {
            let copy = try chained.copy()
            var done: Manipulation?
            try tamper(copy) { done = try Manipulation.make(random, $0) }
            guard let manipulation = done else {
                // What was refused or drawn in vain leaves an untouched ledger, and is taken for one.
                if made % 50 == 0 { #expect(try await chained.verified(copy).findings.isEmpty) }
                continue
            }
            made += 1
            kinds["\(manipulation.description.prefix { $0 != " " }) \(manipulation.table)", default: 0] += 1
            let found = try await chained.verified(copy).findings
            #expect(!found.isEmpty, "\(manipulation)")
            // Beyond that: the very row, or for the chain's entries the chain.
            let isNamed = found.contains { finding in
                manipulation.table == "chain"
                    ? finding.problem == .chainBroken || finding.problem == .inserted || finding.problem == .changed
                    : finding.table == manipulation.table && finding.row.map(manipulation.rows.contains) ?? false
            }
            #expect(isNamed, "\(manipulation): \(found)")
        }
        print(kinds.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", "))
        #expect(kinds.count >= 20)
    }

    @Test("what can be told of a change is told")
    func words() async throws {
        let chained = try await ChainedLedger()
        func findings(_ sql: String) async throws -> [LedgerFinding] {
            let copy = try chained.copy()
            try tamper(copy) { try $0.execute(sql: sql) }
            return try await chained.verified(copy).findings
        }
        let changed = try await findings("UPDATE decisions SET sentence = 'All is well.' WHERE id = 'd000012'")
        #expect(changed.map(\.problem) == [.changed])
        #expect(changed[0].table == "decisions" && changed[0].row == 12)
        #expect(changed[0].detail == "the row was changed: sentence is \"All is well.\", its payload says \"Checkpoint every 2 minutes.\"")
        let removed = try await findings("DELETE FROM outcomes WHERE number = 3")
        #expect(removed.map(\.problem) == [.removed])
        #expect(removed.map(\.row) == [3])
        let inserted = try await findings("INSERT INTO events (at_epoch_seconds, source, kind, payload_json) VALUES (1, 'manager', 'x', '{}')")
        #expect(inserted.map(\.problem) == [.inserted])
        // The digest of an entry in the middle: its row is not blamed, nor the one after it.
        let entry = try await findings("UPDATE chain SET digest = zeroblob(32) WHERE number = 20")
        #expect(entry.map(\.problem) == [.chainBroken])
        #expect(entry.map(\.record) == [20])
        let gap = try await findings("DELETE FROM chain WHERE number = 20")
        #expect(gap.map(\.problem) == [.chainBroken, .inserted])
        // Bytes after a zero, which most programs do not show.
        let hidden = try await findings("UPDATE events SET payload_json = payload_json || char(0) || 'x' WHERE sequence = 5")
        #expect(hidden.map(\.problem) == [.changed])
        let triggers = chained.scratch.directory + "/triggers.sqlite"
        try FileManager.default.copyItem(atPath: chained.path, toPath: triggers)
        let queue = try DatabaseQueue(path: triggers)
        try await queue.write { try $0.execute(sql: "DROP TRIGGER events_are_not_removed") }
        try queue.close()
        #expect(try await chained.verified(triggers).findings.map(\.detail) == ["trigger events_are_not_removed is missing"])
    }

    /// Whoever can write the file can compute digests, too.
    func forge(_ path: String, from first: Int64) throws {
        try tamper(path) { database in
            var digest = [UInt8](try Data.fetchOne(database, sql: "SELECT digest FROM chain WHERE number = ?", arguments: [first - 1]) ?? Data())
            let rows = try Row.fetchAll(database, sql: "SELECT number, source, row FROM chain WHERE number >= ? ORDER BY number", arguments: [first])
            for row in rows {
                let table = try #require(Chain.tables.first { $0.name == row[1] as String })
                digest = Chain.digest(after: digest, try #require(try Chain.content(table, row: row[2], in: database)))
                try database.execute(sql: "UPDATE chain SET digest = ? WHERE number = ?", arguments: [Data(digest), row[0] as Int64])
            }
        }
    }

    @Test("a chain that was made anew over a changed row is found by the signatures, and by them alone")
    func forgery() async throws {
        let chained = try await ChainedLedger()
        let copy = try chained.copy()
        try tamper(copy) { try $0.execute(sql: "UPDATE events SET at_epoch_seconds = 7 WHERE sequence = 9") }
        let first = try await chained.verified(copy).findings.compactMap(\.record)
        try forge(copy, from: first[0])
        let found = try await chained.verified(copy).findings
        #expect(Set(found.map(\.problem)) == [.headMissing])
        #expect(found.count { $0.table == "signatures" } == 3)
        // Signed anew, too, with a key of the forger's: found by who knows the right key, and by who kept a head.
        let forger = LedgerKey()
        try tamper(copy) { database in
            let identity = try String.fetchOne(database, sql: "SELECT identity FROM ledger") ?? ""
            for row in try Row.fetchAll(database, sql: "SELECT number, record, at_epoch_seconds FROM signatures") {
                let digest = try Data.fetchOne(database, sql: "SELECT digest FROM chain WHERE number = ?", arguments: [row[1] as Int64]) ?? Data()
                let head = LedgerHead(ledger: identity, record: row[1], digest: hexadecimal(digest))
                let signed = try forger.sign(head, at: Timestamp(row[2] as Double))
                try database.execute(
                    sql: "UPDATE signatures SET digest = ?, public_key = ?, signature = ? WHERE number = ?",
                    arguments: [digest, Data(forger.publicKey.bytes), Data(raw(hexadecimal: signed.signature, count: 64) ?? []), row[0] as Int64])
                // Each signature is a record itself, and the next one is over it.
                var running = [UInt8](digest)
                for entry in try Row.fetchAll(
                    database, sql: "SELECT number, source, row FROM chain WHERE number > ? ORDER BY number", arguments: [row[1] as Int64])
                {
                    let table = try #require(Chain.tables.first { $0.name == entry[1] as String })
                    let content = try #require(try Chain.content(table, row: entry[2], in: database))
                    running = Chain.digest(after: running, content)
                    try database.execute(sql: "UPDATE chain SET digest = ? WHERE number = ?", arguments: [Data(running), entry[0] as Int64])
                }
            }
        }
        #expect(try await SQLiteLedger.verify(path: copy).findings.isEmpty)
        #expect(try await chained.verified(copy).findings.contains { $0.problem == .badSignature })
        let kept = try await SQLiteLedger.verify(path: copy, expecting: LedgerExpectation(digests: [chained.heads[1].head.digest]))
        #expect(kept.findings.map(\.problem) == [.headMissing])
    }

    @Test("an end that was cut off is found by who kept a head")
    func cutOff() async throws {
        let chained = try await ChainedLedger()
        let copy = try chained.copy()
        let end = try #require(try await chained.verified(copy).head)
        try tamper(copy) { database in
            let from = chained.heads[1].head.record + 2
            for row in try Row.fetchAll(database, sql: "SELECT source, row FROM chain WHERE number >= ?", arguments: [from]) {
                let table = try #require(Chain.tables.first { $0.name == row[0] as String })
                try database.execute(sql: "DELETE FROM \(table.name) WHERE \(table.key) = ?", arguments: [row[1] as Int64])
            }
            try database.execute(sql: "DELETE FROM chain WHERE number >= ?", arguments: [from])
        }
        // Whole in itself: nothing in the file can tell.
        #expect(try await SQLiteLedger.verify(path: copy, expecting: .init(key: chained.key.publicKey)).findings.isEmpty)
        let byHead = try await SQLiteLedger.verify(path: copy, expecting: LedgerExpectation(digests: [end.digest]))
        #expect(byHead.findings.map(\.problem) == [.headMissing])
        let bySignature = try await chained.verified(copy)
        #expect(bySignature.findings.map(\.record) == [chained.heads[2].head.record])
        #expect(bySignature.signedThrough == chained.heads[1].head.record)
    }

    @Test("a ledger of an earlier version is chained when it is opened, and says how much of it was there before")
    func adoption() async throws {
        let scratch = try Scratch()
        let queue = try DatabaseQueue(path: scratch.ledgerPath)
        let versions = Schema.migrator.migrations
        let before = try #require(versions.firstIndex(of: Schema.chained)) - 1
        try Schema.migrator.migrate(queue, upTo: versions[before])
        try await queue.write { database in
            for number in 1...5 {
                try database.execute(
                    sql: "INSERT INTO events (at_epoch_seconds, source, kind, payload_json) VALUES (?, 'manager', 'nodeTrusted', ?)",
                    arguments: [Double(number), #"{"nodeTrusted":{"node":"a"}}"#])
            }
        }
        try queue.close()
        await #expect(throws: Schema.outdated(scratch.ledgerPath)) { try await SQLiteLedger.verify(path: scratch.ledgerPath) }
        let ledger = try SQLiteLedger.open(path: scratch.ledgerPath)
        _ = try await ledger.append([EventRecord(at: Timestamp(9), source: .manager, event: .nodeTrusted(node: Samples.node))])
        try ledger.close()
        let found = try await SQLiteLedger.verify(path: scratch.ledgerPath)
        #expect(found.findings.isEmpty)
        #expect(found.adopted == 5)
        #expect(found.head?.record == 6)
    }

    @Test("a head is signed once, and again when something was written")
    func signing() async throws {
        let scratch = try Scratch()
        let ledger = try SQLiteLedger.open(path: scratch.ledgerPath)
        let keyPath = scratch.directory + "/key"
        let key = try LedgerKey.open(path: keyPath)
        #expect(try LedgerKey.open(path: keyPath).publicKey == key.publicKey)
        #expect(try FileManager.default.attributesOfItem(atPath: keyPath)[.posixPermissions] as? Int == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.directory).allSatisfy { $0 == "key" || $0.hasPrefix("ledger") })
        let first = try #require(try await ledger.sign(with: key, at: Timestamp(1)))
        #expect(first.isGenuine && first.head.record == 0)
        #expect(try await ledger.sign(with: key, at: Timestamp(2)) == nil)
        #expect(try await ledger.proof()?.signed == first)
        _ = try await ledger.append([EventRecord(at: Timestamp(9), source: .manager, event: .nodeTrusted(node: Samples.node))])
        let second = try #require(try await ledger.sign(with: key, at: Timestamp(3)))
        #expect(second.head.record == 2)
        for spoiled in [
            SignedHead(head: second.head, atEpochSeconds: Timestamp(4), key: second.key, fingerprint: "", signature: second.signature),
            SignedHead(head: first.head, atEpochSeconds: Timestamp(3), key: second.key, fingerprint: "", signature: second.signature),
            SignedHead(
                head: second.head, atEpochSeconds: Timestamp(3), key: LedgerKey().publicKey.text, fingerprint: "", signature: second.signature),
            SignedHead(head: second.head, atEpochSeconds: Timestamp(3), key: "", fingerprint: "", signature: ""),
        ] { #expect(!spoiled.isGenuine) }
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: keyPath)
        #expect(throws: LedgerError.self) { try LedgerKey.open(path: keyPath) }
        try Data("no key".utf8).write(to: URL(filePath: scratch.directory + "/other"))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: scratch.directory + "/other")
        #expect(throws: LedgerError.self) { try LedgerKey.open(path: scratch.directory + "/other") }
    }

    @Test("a program that was written from the document alone comes to the same judgement")
    func secondReader() async throws {
        let chained = try await ChainedLedger()
        let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path() + "/format/verify_ledger.py"
        func judge(_ path: String, _ key: LedgerPublicKey) async throws -> (status: Int32, said: String) {
            try await onBlockingThread { () throws(any Error) in
                let process = Process()
                process.executableURL = URL(filePath: "/usr/bin/env")
                process.arguments = ["python3", "-B", script, path, key.text]
                let output = Pipe()
                process.standardOutput = output
                try process.run()
                let said = output.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                return (process.terminationStatus, String(decoding: said, as: UTF8.self))
            }
        }
        let head = try #require(try await chained.verified(chained.path).head)
        let untouched = try await judge(chained.path, chained.key.publicKey)
        #expect(untouched.status == 0)
        #expect(untouched.said == "\(head.record + 1) entries, head \(head.digest)\n")
        #expect(try await judge(chained.path, LedgerKey().publicKey).status == 1)
        let random = SeededRandom(seed: 5)
        var made = 0
        while made < 20 {
            let copy = try chained.copy()
            var done: Manipulation?
            try tamper(copy) { done = try Manipulation.make(random, $0) }
            guard let manipulation = done else { continue }
            made += 1
            #expect(try await judge(copy, chained.key.publicKey).status == 1, "\(manipulation)")
        }
    }
}
