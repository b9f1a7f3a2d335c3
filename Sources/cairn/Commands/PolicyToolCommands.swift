import ArgumentParser
import AuditReport
import Declarations
import Ports
import SQLiteLedger
import Vocabulary

extension PolicyCommand {
    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say in which keys two policies differ, with what they leave out resolved.",
            discussion: "Exit status: 0 they are the same but for their names; 1 they differ; 2 a file could not be read or is not valid.")
        @Argument(help: "A policy's file.") var left: String
        @Argument(help: "The other's.") var right: String
        @Flag(help: "Print JSON.") var json = false

        struct Result: Encodable {
            var schema = "cairn.policy-difference/v1"
            var left: DocumentVersion
            var right: DocumentVersion
            var differences: [PolicyDifference]
        }

        func run() throws {
            let (ours, theirs) = try PolicyFile.both(left, right)
            let differences = PolicyDifference.between(ours.policy, theirs.policy)
            if json {
                printJSON(Result(left: ours.version, right: theirs.version, differences: differences))
            } else if differences.isEmpty {
                print("\(left) and \(right) say the same")
            } else {
                print(Terminal.columns([["key", left, right]] + differences.map { [$0.key, $0.left ?? "-", $0.right ?? "-"] }))
            }
            if !differences.isEmpty { throw ExitCode(1) }
        }
    }
}

extension PolicyCommand {
    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make recorded decisions again under another policy, and say what would have changed and what that would have cost.",
            discussion: """
                Each decision is made again from the situation that was recorded with it; the difference in cost is reckoned at the prices of then. Without --policy \
                each is made again under the policy of then, and must be the same to the last bit. Exit status: 0 replayed; 1 nothing could be, or one was \
                not the same under its own policy; 2 something could not be read.
                """)
        @OptionGroup var state: StateOption
        @Option(help: "A ledger's file elsewhere; without it, that of --state.") var ledger: String?
        @Option(help: "The other policy's file.") var policy: String?
        @Option(help: "Only decisions since then: a length of time before now (2h), or a moment (2027-01-31T18:00:00Z).") var since: String?
        @Option(help: "Only about this task.") var task: String?
        @Flag(help: "List every decision, not only those that would have been others.") var all = false
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let other = try policy.map { try PolicyFile.read($0) }
            let ledger = try open()
            let query = DecisionQuery(task: task.map { TaskID($0) }, since: try begin(), limit: .max)
            let report: PolicyReplay
            do throws(LedgerError) {
                let decisions = try await ledger.decisions(query)
                report = PolicyReplay(decisions, events: try await ledger.everyEvent(), under: other?.policy, version: other?.version)
            } catch { throw Failure.cannotTry("\(error)") }
            if json { printJSON(report) } else { print(report.text(all: all)) }
            if report.decisions.isEmpty || other == nil && report.decisions.contains(where: { !$0.isExact }) { throw ExitCode(1) }
        }

        private func open() throws -> SQLiteLedger {
            guard let ledger else { return try state.directory.ledger() }
            do throws(LedgerError) { return try SQLiteLedger.openReadOnly(path: absolute(ledger)) } catch { throw Failure.cannotTry("\(error)") }
        }

        private func begin() throws -> Timestamp? {
            guard let since else { return nil }
            do throws(Quantity.Trouble) {
                if since.contains("-") || since.contains(":") { return try Quantity.moment(since) }
                return try SystemTime().now() + Seconds(-Quantity.duration(since).rawValue)
            } catch { throw Failure.cannotTry("--since: \(error.message)" + (error.suggestion.map { " (\($0))" } ?? "")) }
        }
    }
}
