import Foundation
import Ports
import SQLiteLedger
import Testing
import Vocabulary

@testable import cairn

/// `cairn audit` as an auditor runs it, on a state directory as a manager leaves it.
@Suite("The auditor's commands")
final class AuditCommandTests {
    let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-audit-\(UUID().uuidString)").path
    var directory: StateDirectory { StateDirectory(path: folder) }

    deinit { do { try FileManager.default.removeItem(atPath: folder) } catch { print("left behind: \(folder): \(error)") } }

    /// A ledger with a few events, signed as at the end of a run.
    private func fill() async throws -> SignedHead {
        try directory.make()
        let ledger = try SQLiteLedger.open(path: directory.ledgerPath)
        let events = ["a", "b", "c"].map { EventRecord(at: Timestamp(5), source: .manager, event: .nodeTrusted(node: NodeID($0))) }
        _ = try await ledger.append(events)
        let signed = try #require(try await ledger.sign(with: try directory.key(), at: Timestamp(6)))
        try directory.keep(signed)
        try ledger.close()
        return signed
    }

    private func cairn(_ words: String...) throws -> (status: Int32, output: String, errors: String) {
        try run(URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "cairn").path, words)
    }

    /// What it says fits into a pipe.
    private func run(_ program: String, _ words: [String]) throws -> (status: Int32, output: String, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = words
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        let complained = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: said, as: UTF8.self), String(decoding: complained, as: UTF8.self))
    }

    private func edit(_ sql: String) throws {
        let ended = try run(
            "/usr/bin/env",
            ["python3", "-c", "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1])\nc.executescript(sys.argv[2])", directory.ledgerPath, sql])
        try #require(ended.status == 0, "\(ended.errors)")
    }

    @Test("an untouched ledger is one, with the key and every head that was kept")
    func untouched() async throws {
        let signed = try await fill()
        let key = try cairn("audit", "key", "--state", folder)
        #expect(key.output == signed.key + "\n")
        let found = try cairn("audit", "verify", "--state", folder, "--key", signed.key, "--head", signed.head.digest)
        #expect(found.status == 0, "\(found)")
        #expect(found.output.contains("all of it is as it was written"))
        let report = try cairn("audit", "report", "--state", folder, "--format", "json", "--output", folder + "/report.json")
        // Nothing was promised, so nothing was kept.
        #expect(report.status == 1)
        #expect(try cairn("audit", "verify", "--state", folder, "--report", folder + "/report.json").status == 0)
        struct Key: Decodable { var fingerprint: String }
        let json = try cairn("audit", "key", "--json", "--state", folder).output
        #expect(try JSONDecoder().decode(Key.self, from: Data(json.utf8)).fingerprint == signed.fingerprint)
    }

    @Test("a changed row ends verification with 1, and is named")
    func changed() async throws {
        let signed = try await fill()
        try edit("DROP TRIGGER events_are_not_changed; UPDATE events SET at_epoch_seconds = 4 WHERE sequence = 2;")
        let found = try cairn("audit", "verify", "--state", folder)
        #expect(found.status == 1)
        #expect(found.output.contains("changed (events 2, record 2)"), "\(found.output)")
        #expect(found.output.contains("trigger events_are_not_changed is missing"))
        struct Found: Decodable {
            struct Finding: Decodable { var problem: String, row: Int64? }
            var findings: [Finding]
        }
        let json = try cairn("audit", "verify", "--state", folder, "--key", signed.key, "--json").output
        let told = try JSONDecoder().decode(Found.self, from: Data(json.utf8)).findings
        #expect(told.map(\.problem) == ["schemaChanged", "changed"])
        #expect(told.last?.row == 2)
    }

    @Test("a ledger that was put in another's place is told by the head beside it, and by a head that was kept")
    func replaced() async throws {
        let signed = try await fill()
        for ending in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: directory.ledgerPath + ending) {
            try FileManager.default.removeItem(atPath: directory.ledgerPath + ending)
        }
        let other = try SQLiteLedger.open(path: directory.ledgerPath)
        _ = try await other.sign(with: try directory.key(), at: Timestamp(7))
        try other.close()
        #expect(try cairn("audit", "verify", "--state", folder).output.contains("the head that was kept is of another ledger"))
        let copy = try cairn("audit", "verify", "--ledger", directory.ledgerPath, "--key", signed.key)
        #expect(copy.status == 0, "\(copy)")
        #expect(try cairn("audit", "verify", "--ledger", directory.ledgerPath, "--head", signed.head.digest).status == 1)
    }

    @Test("what cannot be checked ends with 2 and says why")
    func unreadable() async throws {
        #expect(try cairn("audit", "verify", "--state", folder).status == 2)
        #expect(try cairn("audit", "key", "--state", folder).status == 1)
        _ = try await fill()
        #expect(try cairn("audit", "verify", "--state", folder, "--key", "abc").errors.contains("64 hexadecimal digits"))
        #expect(try cairn("audit", "verify", "--state", folder, "--head", "xyz").status == 2)
        #expect(try cairn("audit", "verify", "--state", folder, "--report", folder + "/none.json").status == 2)
        #expect(try cairn("audit", "report", "--state", folder, "--since", "yesterday").errors.contains("a day is 2026-11-01"))
        #expect(try cairn("audit", "report", "--state", folder, "--since", "2026-12-01", "--until", "2026-11-01").status == 2)
    }
}
