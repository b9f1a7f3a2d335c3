import ArgumentParser
import AuditReport
import Declarations
import Foundation
import Ports
import Simulation
import Vocabulary

extension BenchCommand {
    struct Planner: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What it costs the planner not to know, beside an oracle; or how fast it is.",
            discussion: """
                The grid: for each law of failures, MTBF and length of a task, so many lifetimes of one task of which nothing is known beforehand, beside \
                the same lifetimes under an oracle that knows the law, nodes' ages and all costs. Printed is the regret, in percent: how much higher \
                the expected cost is. The same seed gives the same numbers. Exit status 1 when a cell is surely above its bound (5 % for exponential \
                failures, 10 % for Weibull).

                With --speed: how long one cycle of analysis and planning takes for so many running tasks, with how much memory; and how many events a \
                second are simulated.
                """)
        @Option(help: "A policy file; without it, the adaptive policy with its defaults.") var policy: String?
        @Option(help: "Whose prices count.") var preference = "balanced"
        @Option(help: "Lifetimes of each cell.") var lifetimes = 100
        @Option(help: "Laws of failures: exponential, weibull:SHAPE.") var law = RegretGrid.laws.map(\.text)
        @Option(help: "The same seed, the same numbers.") var seed: UInt64 = 1
        @Option(help: "Cells at a time.") var jobs = 1
        @Flag(help: "Measure speed and memory instead.") var speed = false
        @Option(help: "With --speed: numbers of tasks, comma-separated.") var tasks = "100,1000,10000,100000"
        @Flag(help: "Print JSON.") var json = false
        @Option(help: "File to write the tables to, as Markdown.") var markdown: String?
        @Option(name: .shortAndLong, help: "File to write the JSON to, too.") var output: String?
        @Flag(help: "Say nothing about progress on standard error.") var quiet = false

        func run() async throws {
            if speed { return try measureSpeed() }
            let laws = try law.map { text in
                guard let law = FailureLaw(text) else {
                    throw Failure(message: "--law: '\(text)' is neither exponential nor weibull:SHAPE", status: 1)
                }
                switch law {
                case .exponential, .weibull: return law
                case .logNormal, .fixed: throw Failure(message: "--law: the oracle knows exponential and Weibull laws, not \(text)", status: 1)
                }
            }
            guard lifetimes >= 2, lifetimes <= 1_000_000, jobs >= 1 else {
                throw Failure(message: "--lifetimes is at least 2, --jobs at least 1", status: 1)
            }
            let grid = RegretGrid(candidacy: try candidacy(), preference: preference, seed: seed, lifetimes: lifetimes)
            let places = laws.flatMap { law in
                RegretGrid.lengths.flatMap { work in RegretGrid.lengths.map { (law: law, mtbf: $0, work: work) } }
            }
            var cells: [RegretGrid.Cell?] = Array(repeating: nil, count: places.count)
            await withTaskGroup(of: (Int, RegretGrid.Cell).self) { group in
                var next = 0
                func begin() {
                    guard next < places.count else { return }
                    let number = next
                    let place = places[number]
                    next += 1
                    group.addTask { await onBlockingThread { (number, grid.cell(place.law, mtbf: place.mtbf, work: place.work)) } }
                }
                for _ in 0..<jobs { begin() }
                for await (number, cell) in group {
                    cells[number] = cell
                    begin()
                    if !quiet {
                        FileHandle.standardError.write(
                            Data(
                                "\(cells.count { $0 != nil }) of \(places.count): \(cell.law), MTBF \(cell.mtbfSeconds) s, work \(cell.workSeconds) s\n"
                                    .utf8))
                    }
                }
            }
            let report = RegretReport(grid, cells: cells.compactMap { $0 })
            if let output { try write(JSONText.of(report), to: output) }
            if let markdown { try write(report.markdown, to: markdown) }
            if json {
                printJSON(report)
            } else {
                for table in report.tables { print(report.heading(table.law) + "\n" + Terminal.columns(table.rows) + "\n") }
                print(report.summary)
            }
            if !report.surelyAbove.isEmpty { throw ExitCode(1) }
        }

        private func candidacy() throws -> Candidacy {
            guard let policy else {
                return Candidacy(policy: LargeFleet.policy, version: DocumentVersion(name: LargeFleet.policy.name, digest: "built in"))
            }
            let read = Documents.read(try contents(of: policy), file: policy)
            let problems = read.problems.filter { $0.severity == .error }
            if !problems.isEmpty { throw Failure(message: problems.map(\.description).joined(separator: "\n"), status: 1) }
            for case .policy(let found, let version) in read.declarations {
                guard found.preferences[preference] != nil else {
                    throw Failure(message: "--preference: \(policy) has none that is called \(preference)", status: 1)
                }
                return Candidacy(policy: found, version: version)
            }
            throw Failure(message: "\(policy) declares no CheckpointPolicy", status: 1)
        }

        private func write(_ text: String, to path: String) throws {
            do { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) } catch {
                throw Failure.cannotTry("cannot write \(path): \(error.localizedDescription)")
            }
        }

        // MARK: Speed

        private struct SpeedReport: Codable {
            struct Cycle: Codable {
                var tasks: Int
                /// The first one, in which everything is decided; and the median of those that follow, one second apart.
                var firstSeconds: Double
                var seconds: Double
                var decisions: Int
                var peakBytes: Int64
            }
            struct Simulated: Codable {
                var strategy: String
                var events: Int
                var plannings: Int
                var seconds: Double
                var eventsPerSecond: Double
            }
            var measuredAt: String
            var cycles: [Cycle]
            var simulations: [Simulated]
        }

        private func measureSpeed() throws {
            let counts = try tasks.split(separator: ",").map { text in
                guard let count = Int(text), (1...1_000_000).contains(count) else {
                    throw Failure(message: "--tasks: '\(text)' is no number from 1 to 1000000", status: 1)
                }
                return count
            }
            let clock = ContinuousClock()
            func seconds(_ body: () -> Void) -> Double { clock.measure(body) / .seconds(1) }
            var report = SpeedReport(measuredAt: Date().formatted(.iso8601), cycles: [], simulations: [])
            for count in counts {
                ResidentMemory.forgetPeak()
                var fleet = LargeFleet(tasks: count, seed: seed)
                var decisions = 0
                let first = seconds { decisions = fleet.cycle() }
                let later = (0..<5).map { _ in
                    fleet.pass()
                    return seconds { _ = fleet.cycle() }
                }
                report.cycles.append(
                    .init(tasks: count, firstSeconds: first, seconds: median(later), decisions: decisions, peakBytes: ResidentMemory.peak))
            }
            for (name, candidacy) in LargeFleet.trials {
                var result: (events: Int, plannings: Int) = (0, 0)
                let simulation = Simulation(LargeFleet.scenario(seed: seed))
                let time = seconds { result = simulation.run(0, candidacy).counts }
                report.simulations.append(
                    .init(
                        strategy: name, events: result.events, plannings: result.plannings, seconds: time,
                        eventsPerSecond: Double(result.events) / time))
            }
            if let output { try write(JSONText.of(report), to: output) }
            if json { return printJSON(report) }
            print(
                Terminal.columns(
                    [["TASKS", "FIRST CYCLE", "LATER CYCLES", "A TASK", "DECISIONS", "PEAK MEMORY"]]
                        + report.cycles.map {
                            [
                                "\($0.tasks)", String(format: "%.3f s", $0.firstSeconds), String(format: "%.3f s", $0.seconds),
                                String(format: "%.1f µs", $0.seconds / Double($0.tasks) * 1e6), "\($0.decisions)",
                                String(format: "%.0f MiB", Double($0.peakBytes) / 1_048_576),
                            ]
                        }) + "\n")
            print(
                Terminal.columns(
                    [["POLICY", "EVENTS", "PLANNINGS", "TIME", "EVENTS A SECOND"]]
                        + report.simulations.map {
                            [
                                $0.strategy, "\($0.events)", "\($0.plannings)", String(format: "%.2f s", $0.seconds),
                                String(format: "%.0f", $0.eventsPerSecond),
                            ]
                        }))
        }
    }
}
