import ArgumentParser
import AuditReport
import Declarations
import Foundation
import Simulation
import Vocabulary

extension BenchCommand {
    struct FrontierBench: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "frontier",
            abstract: "Bytes sent and time to finish, as the network's price rises.",
            discussion: """
                One task of which nothing is known, on four nodes that fail at a constant rate, planned with prices of the network from nothing to some units a \
                GiB: as the model expects it, and as it comes out in the simulator on the same failures. Exit status 1 when what is expected does not move in \
                opposite directions all along.
                """)
        @Option(help: "Mean time that a node is up.") var mtbf = "12h"
        @Option(help: "Work of the task.") var work = "7d"
        @Option(help: "Price of an hour of the task's time.") var timePerHour = 3.0
        @Option(help: "Lifetimes of each price.") var lifetimes = 200
        @Option(help: "The same seed, the same numbers.") var seed: UInt64 = 1
        @Flag(help: "Print JSON.") var json = false
        @Option(name: .shortAndLong, help: "File to write the JSON to, too.") var output: String?
        @Option(help: "File to write the table to, as Markdown.") var markdown: String?
        @Option(help: "File to write the plot to, as SVG.") var plot: String?

        func run() async throws {
            func length(_ text: String, _ option: String) throws -> Double {
                do throws(Quantity.Trouble) { return try Quantity.duration(text).rawValue } catch {
                    throw Failure(message: "\(option): \(error.message)", status: 1)
                }
            }
            guard lifetimes >= 2, timePerHour > 0 else { throw Failure(message: "--lifetimes is at least 2, --time-per-hour above 0", status: 1) }
            let (mtbf, work) = (try length(mtbf, "--mtbf"), try length(work, "--work"))
            guard mtbf > 0, work > 0 else { throw Failure(message: "--mtbf and --work are longer than 0s", status: 1) }
            let policy = LargeFleet.policy
            let frontier = Frontier(
                Candidacy(policy: policy, version: DocumentVersion(name: policy.name, digest: "built in")), timePerHour: timePerHour, mtbf: mtbf,
                work: work, lifetimes: lifetimes, seed: seed)
            for (path, text) in [(output, JSONText.of(frontier)), (markdown, frontier.markdown), (plot, frontier.plot)] {
                guard let path else { continue }
                do { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) } catch {
                    throw Failure.cannotTry("cannot write \(path): \(error.localizedDescription)")
                }
            }
            if json { printJSON(frontier) } else { print(Terminal.columns(frontier.rows)) }
            if !frontier.isMonotone { throw ExitCode(1) }
        }
    }
}
