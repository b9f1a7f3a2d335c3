import ArgumentParser
import AuditReport
import Declarations
import Foundation
import Ports
import Simulation
import Vocabulary

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Try policies on simulated nodes and tasks before they are trusted.",
        discussion: """
            Each policy meets the same failures and the same costs, run by run, and decides with the manager's own analysis and planning. Printed are means a \
            task with 95 % confidence, and each policy's differences from the first. The same seed gives the same output, byte for byte. \
            Exit status: 0 simulated; 1 a file or an option is not valid (every problem is told); 2 something could not be read or written.
            """)

    @Option(parsing: .upToNextOption, help: "Policy files to compare; each policy in them replaces the one that tasks name.")
    var policy: [String]
    @OptionGroup var world: WorldOptions
    @Option(help: "Runs of each policy.") var runs = 30
    @Option(help: "File to write JSON to; - prints it instead of tables.") var json: String?
    @Option(help: "Directory to write plots to, as SVG.") var plot: String?
    @Option(help: "File to write a table to, as Markdown.") var markdown: String?
    @Option(parsing: .upToNextOption, help: "Policies, by name, that are told the failures' true mean MTBF and need not learn it.")
    var told: [String] = []

    func run() async throws {
        var problems = Problems()
        var candidates = try self.candidates(&problems)
        let scenario = try world.scenario(candidates, &problems)
        if runs < 1 || runs > 1_000_000 { problems.add("--runs is from 1 to 1000000") }
        for name in told where !candidates.contains(where: { $0.policy.name == name }) {
            problems.add("--told \(name): no policy is called so")
        }
        try problems.tell()
        guard let scenario else { throw Failure.cannotTry("nothing to simulate") }
        for index in candidates.indices where told.contains(candidates[index].policy.name) {
            candidates[index].toldMTBFSeconds = scenario.scenario.meanMTBFSeconds
        }
        let simulation = Simulation(scenario.scenario)
        let began = Date()
        let results = await Trials(simulation: simulation, candidates: candidates, runs: runs, jobs: world.jobs, isQuiet: world.quiet).results()
        let report = SimulationReport(simulation, candidates: candidates, results: results, failures: scenario.failures)
        if !world.quiet {
            let seconds = max(Date().timeIntervalSince(began), 1e-3)
            tell("\(report.events) events and \(report.plannings) plannings in \(String(format: "%.1f", seconds)) s: ")
            tell("\(Int(Double(report.events) / seconds)) events a second with \(world.jobs) at a time\n")
        }
        try write(report)
    }

    private func tell(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

    private func write(_ report: SimulationReport) throws {
        if let plot {
            do {
                try FileManager.default.createDirectory(atPath: plot, withIntermediateDirectories: true)
                for (name, text) in report.plots { try Data(text.utf8).write(to: URL(fileURLWithPath: plot).appendingPathComponent(name)) }
            } catch { throw Failure.cannotTry("cannot write plots to \(plot): \(error.localizedDescription)") }
        }
        if let json, json != "-" {
            do { try Data(JSONText.of(report).utf8).write(to: URL(fileURLWithPath: json)) } catch {
                throw Failure.cannotTry("cannot write \(json): \(error.localizedDescription)")
            }
        }
        if let markdown {
            do { try Data(report.markdown.utf8).write(to: URL(fileURLWithPath: markdown)) } catch {
                throw Failure.cannotTry("cannot write \(markdown): \(error.localizedDescription)")
            }
        }
        if json == "-" { return printJSON(report) }
        print(report.heading)
        print()
        for table in [report.rows, report.differenceRows] where !table.isEmpty {
            print(Terminal.columns(Self.turned(table)))
            print()
        }
        for warning in report.warnings { print(warning) }
    }

    /// Policies beside each other and metrics below each other: few policies, many metrics.
    private static func turned(_ rows: [[String]]) -> [[String]] { rows[0].indices.map { column in rows.map { $0[column] } } }
}

// MARK: What is asked for

extension SimulateCommand {
    private func candidates(_ problems: inout Problems) throws -> [Candidacy] {
        var candidates: [Candidacy] = []
        for file in policy {
            let read = Documents.read(try contents(of: file), file: file)
            for problem in read.problems where problem.severity == .error { problems.add(problem.description) }
            var found = false
            for case .policy(let policy, let version) in read.declarations {
                found = true
                if candidates.contains(where: { $0.policy.name == policy.name }) {
                    problems.add("\(file): error: a policy \(policy.name) was given already: names tell them apart")
                } else {
                    candidates.append(Candidacy(policy: policy, version: version))
                }
            }
            if !found, !read.problems.contains(where: { $0.severity == .error }) { problems.add("\(file): error: declares no CheckpointPolicy") }
        }
        if let first = candidates.first {
            for other in candidates.dropFirst() where other.policy.currency != first.policy.currency {
                problems.add(
                    "the policy \(other.policy.name) reckons in \(other.policy.currency) and \(first.policy.name) in \(first.policy.currency): their costs do not compare"
                )
            }
        }
        return candidates
    }
}
