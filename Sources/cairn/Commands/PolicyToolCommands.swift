import ArgumentParser
import AuditReport
import Declarations
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
