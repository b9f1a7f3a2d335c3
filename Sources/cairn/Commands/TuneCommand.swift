import ArgumentParser
import AuditReport
import Declarations
import Foundation
import Simulation
import Vocabulary

extension PolicyCommand {
    struct Tune: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Search a policy's prices and limits in the simulator for a stated goal, and write the policy that was found with the evidence.",
            discussion: """
                The goal is the least of one metric, with others held: --least network --meet 99%. What is searched are the network's and the storage's price \
                (of all preferences, by one factor each), the interval's ceiling and its floor; of a fixed interval the interval. The best is then checked on \
                failures that the search has not seen, beside the policy that it began from. Exit status: 0 a policy that keeps the bounds there was written; \
                1 none was found, or a file or an option is not valid; 2 something could not be read or written.
                """)
        @Argument(help: "The policy to begin from.") var policy: String
        @OptionGroup var world: WorldOptions
        @Option(help: "What shall be least: network, time, cost, storage, or a metric's name (docs/json.md).") var least: String
        @Option(help: "The share of tasks that must meet their deadlines at least.") var meet: String?
        @Option(help: "METRIC=NUMBER: a mean a task that must not be above this; again for more.") var atMost: [String] = []
        @Option(help: "Policies tried at most.") var trials = 60
        @Option(help: "Runs of each policy in the search.") var runs = 20
        @Option(help: "Runs of the check, on failures of their own.") var checkRuns = 100
        @Option(help: "Name of the policy that is written; by default the first one's with -tuned.") var name: String?
        @Option(name: .shortAndLong, help: "File to write; without it, standard output.") var output: String?
        @Flag(help: "Print JSON: the goal, what was tried, and the check.") var json = false

        func run() async throws {
            var problems = Problems()
            let base = try PolicyFile.read(policy)
            let candidacy = Candidacy(policy: base.policy, version: base.version)
            let goal = goal(&problems)
            let scenario = try world.scenario([candidacy], &problems)
            for (option, value) in [("--trials", trials), ("--runs", runs), ("--check-runs", checkRuns)] where !(1...1_000_000).contains(value) {
                problems.add("\(option) is from 1 to 1000000")
            }
            if meet != nil, let scenario, !scenario.scenario.tasks.contains(where: { $0.sla.deadline != nil }) {
                problems.add("--meet: no task has a deadline")
            }
            try problems.tell()
            guard let goal, let scenario else { throw Failure.cannotTry("nothing to tune") }

            let tuning = await search(Tuning(base.policy, goal: goal, most: trials), scenario.scenario)
            let check = try await self.check(tuning, scenario.scenario, scenario.failures)
            guard let check else {
                let nearest = tuning.ranked.first.map { trial in Self.values(goal, trial.metrics) } ?? "nothing was tried"
                throw Failure.notDone(
                    "none of \(tuning.trials.count) policies keeps the bounds, on failures that it has not seen; the nearest: \(nearest)")
            }
            let text = check.tuned.policy.yaml(comments: evidence(tuning, check, base.version))
            if let output {
                do { try Data(text.utf8).write(to: URL(fileURLWithPath: output), options: .atomic) } catch {
                    throw Failure.cannotTry("cannot write \(output): \(error.localizedDescription)")
                }
            }
            if json {
                printJSON(Result(tuning, check))
            } else if output == nil {
                print(text, terminator: "")
            } else {
                print(Terminal.columns([["key", "was", "is"]] + Self.changes(tuning, check).map { [$0.key, $0.left ?? "-", $0.right ?? "-"] }))
                print("\n" + Self.table(goal, check).joined(separator: "\n"))
            }
        }

        private func goal(_ problems: inout Problems) -> Tuning.Goal? {
            let short: [String: Metric] = ["network": .sentBytes, "time": .finishSeconds, "cost": .totalCost, "storage": .storageCost]
            let known = "network, time, cost, storage, \(Metric.allCases.map(\.rawValue).joined(separator: ", "))"
            let metric = short[least] ?? Metric(rawValue: least)
            if metric == nil { problems.add("--least: '\(least)' is none of \(known)") }
            var bounds: [Tuning.Goal.Bound] = []
            if let meet {
                do throws(Quantity.Trouble) { try bounds.append(.init(metric: .deadlineMissShare, atMost: 1 - Quantity.share(meet))) } catch {
                    problems.add("--meet: \(error.message)" + (error.suggestion.map { " (\($0))" } ?? ""))
                }
            }
            for text in atMost {
                let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
                if parts.count == 2, let metric = short[parts[0]] ?? Metric(rawValue: parts[0]), let value = Double(parts[1]), value.isFinite,
                    value >= 0
                {
                    bounds.append(.init(metric: metric, atMost: value))
                } else {
                    problems.add("--at-most: '\(text)' is not METRIC=NUMBER with a metric of \(known)")
                }
            }
            return metric.map { Tuning.Goal(least: $0, bounds: bounds) }
        }

        private func search(_ tuning: Tuning, _ scenario: Scenario) async -> Tuning {
            var tuning = tuning
            let simulation = Simulation(scenario)
            while true {
                let asked = tuning.next()
                if asked.isEmpty { return tuning }
                let candidates = asked.map { Candidacy(policy: $0, version: DocumentVersion(name: $0.name, digest: "")) }
                let results = await Trials(simulation: simulation, candidates: candidates, runs: runs, jobs: world.jobs, isQuiet: true).results()
                tuning.tell(results.map(Self.means))
                if !world.quiet, let best = tuning.ranked.first {
                    FileHandle.standardError.write(
                        Data("\(tuning.trials.count) policies tried; the best: \(Self.values(tuning.goal, best.metrics))\n".utf8))
                }
            }
        }

        private static func means(_ runs: [RunResult]) -> [Metric: Double] {
            var means: [Metric: Double] = [:]
            for metric in Metric.allCases { means[metric] = runs.reduce(0) { $0 + ($1.metrics[metric] ?? 0) } / Double(max(1, runs.count)) }
            return means
        }

        struct Check {
            var tuned: (policy: CheckpointPolicy, version: DocumentVersion)
            /// The base first.
            var report: SimulationReport
        }

        /// The best three that keep the bounds, one after the other, until one keeps them on failures that the search has not seen.
        private func check(_ tuning: Tuning, _ scenario: Scenario, _ failures: String) async throws -> Check? {
            var scenario = scenario
            scenario.seed &+= 1
            let simulation = Simulation(scenario)
            for trial in tuning.ranked.prefix(3) where tuning.goal.excess(trial.metrics) == 0 {
                var policy = trial.policy
                policy.name = name ?? String(tuning.base.name.prefix(34)) + "-tuned"
                // As a file says it: what is checked is what is written.
                let read = Documents.read(policy.yaml(), file: output ?? "the tuned policy")
                guard case .policy(let written, let version)? = read.declarations.first, !read.problems.contains(where: { $0.severity == .error })
                else {
                    throw Failure(message: read.problems.map(\.description).joined(separator: "\n"), status: 1)
                }
                let candidates = [
                    Candidacy(policy: tuning.base, version: DocumentVersion(name: tuning.base.name, digest: "")),
                    Candidacy(policy: written, version: version),
                ]
                let results = await Trials(
                    simulation: simulation, candidates: candidates, runs: checkRuns, jobs: world.jobs, isQuiet: world.quiet
                ).results()
                guard tuning.goal.excess(Self.means(results[1])) == 0 else { continue }
                return Check(
                    tuned: (written, version),
                    report: SimulationReport(simulation, candidates: candidates, results: results, failures: failures))
            }
            return nil
        }

        // MARK: What is told

        private static func values(_ goal: Tuning.Goal, _ metrics: [Metric: Double]) -> String {
            ([goal.least] + goal.bounds.map(\.metric)).map { "\($0.rawValue) \(number(metrics[$0] ?? .nan))" }.joined(separator: ", ")
        }

        private static func changes(_ tuning: Tuning, _ check: Check) -> [PolicyDifference] {
            PolicyDifference.between(tuning.base, check.tuned.policy)
        }

        private static func number(_ value: Double) -> String { Words.significant(value, 4) }

        private static func goalText(_ goal: Tuning.Goal) -> String {
            "the least \(goal.least.rawValue)"
                + (goal.bounds.isEmpty
                    ? "" : " with " + goal.bounds.map { "\($0.metric.rawValue) at most \(number($0.atMost))" }.joined(separator: ", "))
        }

        private static func table(_ goal: Tuning.Goal, _ check: Check) -> [String] {
            let (was, found) = (check.report.policies[0], check.report.policies[1])
            var metrics = [goal.least]
            for metric in goal.bounds.map(\.metric) + [.totalCost, .finishSeconds, .sentBytes, .deadlineMissShare, .limitsBroken, .checkpoints]
            where !metrics.contains(metric) { metrics.append(metric) }
            func value(_ interval: Interval95) -> String {
                number(interval.mean) + (interval.low.map { " (\(number($0)) to \(number(interval.high ?? $0)))" } ?? "")
            }
            let rows = metrics.map { [$0.rawValue, value(was[$0]), value(found[$0]), value(check.report.differences[0][$0])] }
            return Terminal.columns([["mean a task (95 %)", was.name, found.name, "difference"]] + rows).split(separator: "\n").map(String.init)
        }

        private func evidence(_ tuning: Tuning, _ check: Check, _ base: DocumentVersion) -> [String] {
            let report = check.report
            return [
                "Tuned by cairn policy tune \(Release.version) from \(Words.short(base)) for \(Self.goalText(tuning.goal)).",
                "\(tuning.trials.count) policies were tried in \(runs) runs each with seed \(world.seed), and this one checked in \(report.runs) with seed \(report.seed):",
                "\(report.tasks) tasks on \(report.nodes) nodes; \(report.failures).", "",
            ] + Self.table(tuning.goal, check) + ["", "What was changed:"]
                + Self.changes(tuning, check).map { "  \($0.key): \($0.left ?? "-") -> \($0.right ?? "-")" } + [""]
        }

        private struct Result: Encodable {
            struct Trial: Encodable {
                var changes: [PolicyDifference]
                var keepsBounds: Bool
                var metrics: [String: Double]
            }
            var schema = "cairn.tuning/v1"
            var goal: Tuning.Goal
            var tuned: DocumentVersion
            var changes: [PolicyDifference]
            var trials: [Trial]
            var check: SimulationReport

            init(_ tuning: Tuning, _ check: Check) {
                goal = tuning.goal
                tuned = check.tuned.version
                changes = Tune.changes(tuning, check)
                trials = tuning.trials.map { trial in
                    Trial(
                        changes: PolicyDifference.between(tuning.base, trial.policy), keepsBounds: tuning.goal.excess(trial.metrics) == 0,
                        metrics: Dictionary(trial.metrics.map { ($0.key.rawValue, $0.value) }, uniquingKeysWith: { first, _ in first }))
                }
                self.check = check.report
            }
        }
    }
}
