import ArgumentParser
import AuditReport
import Foundation
import Ports
import SQLiteLedger
import Vocabulary

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Reports from the ledger, and the proof that it is as it was written.",
        subcommands: [ReportCommand.self, VerifyCommand.self, KeyCommand.self, CalibrationCommand.self])

    struct ReportCommand: AsyncParsableCommand {
        enum Format: String, ExpressibleByArgument, CaseIterable { case text, html, json, csv }
        static let configuration = CommandConfiguration(
            commandName: "report", abstract: "What was promised, what happened, what it cost, and each decision.",
            discussion: "Exit status 0: every promise that could be observed was kept; 1: one was broken, or nothing could be observed.")
        @OptionGroup var state: StateOption
        @Option(help: "Only about this task.") var task: String?
        @Option(help: "Only what came from then on: a day (2026-11-01, from its beginning in UTC) or a moment (2026-11-01T12:00:00Z).")
        var since: String?
        @Option(help: "Only what came until then.") var until: String?
        @Option(help: "text, html, json or csv.") var format = Format.text
        @Flag(help: "The same as --format json.") var json = false
        @Option(name: .shortAndLong, help: "File to write; without it, standard output.") var output: String?

        func run() async throws {
            let ledger = try state.directory.ledger()
            let report = try await Report.read(
                from: ledger, generatedAt: SystemTime().now(), task: task.map { TaskID($0) }, period: try period())
            if task != nil, report.tasks.isEmpty { throw Failure.notDone("no task \(task ?? "")") }
            let text =
                switch json ? .json : format {
                case .text: report.text(width: Terminal.width)
                case .html: report.html()
                case .json: report.json()
                case .csv: report.csv(ReportTable.allCases)
                }
            if let output {
                do { try Data(text.utf8).write(to: URL(fileURLWithPath: output), options: .atomic) } catch {
                    throw Failure.cannotTry("cannot write \(output): \(error.localizedDescription)")
                }
            } else {
                print(text, terminator: text.hasSuffix("\n") ? "" : "\n")
            }
            if report.verdict != .kept { throw ExitCode(1) }
        }

        private func period() throws -> ReportPeriod? {
            guard since != nil || until != nil else { return nil }
            func moment(_ text: String?, _ option: String) throws -> Moment? {
                guard let text else { return nil }
                let whole = text.count == 10 ? text + "T00:00:00Z" : text
                do { return Moment(Timestamp(try Date(whole, strategy: .iso8601).timeIntervalSince1970)) } catch {
                    throw Failure.cannotTry("\(option) \(text): a day is 2026-11-01, a moment 2026-11-01T12:00:00Z")
                }
            }
            let period = ReportPeriod(since: try moment(since, "--since"), until: try moment(until, "--until"))
            if let since = period.since, let until = period.until, since >= until {
                throw Failure.cannotTry("--since \(since.text) is not before --until \(until.text)")
            }
            return period
        }
    }

    struct VerifyCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Find what was changed, removed or inserted in the ledger by hand.",
            discussion: """
                Every row is checked against the ledger's hash chain, and every signature of the chain's head against the manager's public key. \
                A head that you kept, or one in a report, tells whether the ledger's end was cut off since. Exit status 0: all is as it was \
                written; 1: something is not; 2: it could not be checked. What this proves and what not is in docs/audit.md.
                """)
        @OptionGroup var state: StateOption
        @Option(help: "A ledger's file, in place of the one in the state directory.") var ledger: String?
        @Option(help: "The public key that must have signed: 64 hexadecimal digits, as `cairn audit key` prints it.") var key: String?
        @Option(help: "A head that the ledger must contain: 64 hexadecimal digits. Can be given several times.") var head: [String] = []
        @Option(help: "A report as JSON: the ledger must contain the heads in it. Can be given several times.") var report: [String] = []
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let found: LedgerVerification
            let expected = try expectation()
            do throws(LedgerError) {
                found = try await SQLiteLedger.verify(path: ledger.map(absolute) ?? state.directory.ledgerPath, expecting: expected)
            } catch { throw Failure.cannotTry("\(error)") }
            if json { printJSON(found) } else { print(found.text(key: expected.key), terminator: "") }
            if !found.isUntouched { throw ExitCode(1) }
        }

        private func expectation() throws -> LedgerExpectation {
            var expected = LedgerExpectation()
            if let key {
                guard let known = LedgerPublicKey(key) else { throw Failure.cannotTry("--key \(key): a public key is 64 hexadecimal digits") }
                expected.key = known
            } else if ledger == nil {
                expected.key = try state.directory.publicKey()
            }
            if ledger == nil, let kept = try state.directory.keptHead() { expected.signed.append(kept) }
            for digest in head {
                guard digest.count == 64, digest.allSatisfy(\.isHexDigit) else {
                    throw Failure.cannotTry("--head \(digest): a head is 64 hexadecimal digits")
                }
                expected.digests.append(digest.lowercased())
            }
            for path in report {
                struct Proven: Decodable { var proof: LedgerProof? }
                guard let data = FileManager.default.contents(atPath: absolute(path)) else { throw Failure.cannotTry("cannot read \(path)") }
                let proof: LedgerProof?
                do { proof = try JSONDecoder().decode(Proven.self, from: data).proof } catch {
                    throw Failure.cannotTry("\(path) is no report as JSON: \(error)")
                }
                guard let proof else { throw Failure.cannotTry("the report \(path) names no head: it was made from a ledger without a chain") }
                expected.digests.append(proof.head.digest)
                if let signed = proof.signed { expected.signed.append(signed) }
            }
            return expected
        }
    }

    struct KeyCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "key", abstract: "Show the public key that the ledger is signed with.",
            discussion: "Keep it where the manager's administrators cannot change it: what they sign is checked with it.")
        @OptionGroup var state: StateOption
        @Flag(help: "As PEM, for OpenSSL.") var pem = false
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            guard let key = try state.directory.publicKey() else {
                throw Failure.notDone("no key: `cairn run` makes it in \(state.directory.path) when it first starts")
            }
            struct Shown: Encodable { let key: String, fingerprint: String }
            if json {
                printJSON(Shown(key: key.text, fingerprint: key.fingerprint))
            } else {
                print(pem ? key.pem : key.text + "\n", terminator: "")
            }
        }
    }
}

extension LedgerVerification {
    /// For people: what was checked, then what was found.
    func text(key: LedgerPublicKey?) -> String {
        var lines: [String] = []
        if let head { lines.append("ledger \(head.ledger), \(records) records; head \(head.digest) of record \(head.record)") }
        if adopted > 0 { lines.append("the first \(adopted) were there before the chain was begun: the proof holds from record \(adopted + 1) on") }
        if let signedThrough {
            lines.append("signed through record \(signedThrough), \(signatures) signatures by \(keys.joined(separator: ", "))")
            if key == nil { lines.append("no key was named, and none is known here: anybody could have made these signatures (--key)") }
        } else {
            lines.append("not signed: whoever can write the file could have made all of it anew")
        }
        for finding in findings {
            let place = [finding.table.map { table in finding.row.map { "\(table) \($0)" } ?? table }, finding.record.map { "record \($0)" }]
                .compactMap { $0 }.joined(separator: ", ")
            lines.append("\(finding.problem.words)\(place.isEmpty ? "" : " (\(place))"): \(finding.detail)")
        }
        lines.append(findings.isEmpty ? "all of it is as it was written" : "NOT as it was written: \(findings.count) findings")
        return lines.map { $0 + "\n" }.joined()
    }
}

extension LedgerFinding.Problem {
    fileprivate var words: String {
        switch self {
        case .changed: "changed"
        case .removed: "removed"
        case .inserted: "inserted"
        case .chainBroken: "chain broken"
        case .badSignature: "bad signature"
        case .headMissing: "head missing"
        case .schemaChanged: "schema changed"
        }
    }
}
