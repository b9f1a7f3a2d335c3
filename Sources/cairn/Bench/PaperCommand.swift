import ArgumentParser
import DiskImages
import Evaluation
import Foundation
import GuestImages
import LibvirtHypervisor
import Ports
import Vocabulary

extension BenchCommand {
    struct Paper: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The paper's evaluation, repeated on real guests and real stores.",
            discussion: """
                Scenarios: \(Scenario.allCases.map(\.rawValue).joined(separator: ", ")). Stores are those that the environment names: CAIRN_HDFS, CAIRN_FTP, \
                CAIRN_SFTP; `scripts/bench paper` sets them up. Results go to --output as results.json, results.md and figures in SVG, the latter two made \
                from the first alone: --from draws them anew. With --scenario, what --output has of the others stays: it must be of this \
                machine and these sizes. Exit status 1 when a scenario could not be measured, or what Cairn promises does not hold: figure 5's mixed \
                rule within 5 % of the better of the pure ones, table III's order of rows, the use case's result.
                """)
        @Option(name: .long, parsing: .upToNextOption, help: "Scenarios; all unless told.") var scenario: [Scenario] = []
        @Flag(help: "Sizes so small that it takes a minute or two: to see that it works.") var quick = false
        @Option(name: .shortAndLong, help: "Directory for the results.") var output = "evaluation"
        @Option(help: "A results.json to draw again, measuring nothing.") var from: String?
        @Option(help: "What is said to have been typed.") var command: String?
        @Option(help: "Directory to work in; short.") var work = "/tmp/cairn-bench-\(getpid())"

        enum Scenario: String, CaseIterable, ExpressibleByArgument {
            case table2 = "table-2"
            case figure3 = "figure-3"
            case figure4 = "figure-4"
            case figure5 = "figure-5"
            case figure6 = "figure-6"
            case table3 = "table-3"
            case figure8 = "figure-8"
            case interference
            /// Last: it loses a DataNode.
            case figure9 = "figure-9"
        }

        func run() async throws {
            let output = absolute(output)
            try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
            if let from {
                let data = Data(try contents(of: from).utf8)
                do { try write(try JSONDecoder().decode(EvaluationResults.self, from: data), to: output) } catch {
                    throw Failure.cannotTry("\(from) is no evaluation: \(error)")
                }
                return
            }
            let begun = Date()
            let work = absolute(work)
            try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
            defer { discardBench(work) }
            let bench = try bench(work)
            let chosen = scenario.isEmpty ? "" : " --scenario " + scenario.map(\.rawValue).joined(separator: " ")
            let typed = command ?? "cairn bench paper" + chosen + (quick ? " --quick" : "")
            var results = EvaluationResults(
                measuredAt: begun.formatted(.iso8601), command: typed, machine: try await machine(bench), isQuick: quick, seconds: 0, scenarios: [])
            let earlier = scenario.isEmpty ? nil : try kept(in: output, like: results)
            if let earlier { results = earlier }
            let wanted = scenario.isEmpty ? Scenario.allCases : Scenario.allCases.filter { scenario.contains($0) }
            var failures: [String] = []
            for one in wanted {
                bench.say("\(one.rawValue) …")
                let started = ContinuousClock.now
                do {
                    var result = try await measure(one, bench)
                    if earlier != nil {
                        let seconds = (ContinuousClock.now - started) / .seconds(1)
                        result.again = .init(at: begun.formatted(.iso8601), command: typed, seconds: seconds)
                    }
                    results.scenarios.removeAll { $0.id == result.id }
                    results.scenarios.append(result)
                    let order = Scenario.allCases.map(\.rawValue)
                    results.scenarios.sort { order.firstIndex(of: $0.id) ?? 0 < order.firstIndex(of: $1.id) ?? 0 }
                } catch let failure as Failure {
                    failures.append("\(one.rawValue): \(failure.message)")
                    bench.say(failure.message)
                }
                bench.say(String(format: "%@ took %.0f s", one.rawValue, (ContinuousClock.now - started) / .seconds(1)))
                if earlier == nil { results.seconds = Date().timeIntervalSince(begun) }
                // After each: what was measured is not lost with what comes after.
                try write(results, to: output)
            }
            print("results in \(output)")
            // Sizes that only show that it works bear nothing out.
            let measured = Set(wanted.map(\.rawValue))
            let broken =
                quick ? [] : results.scenarios.filter { measured.contains($0.id) }.flatMap(\.findings).filter { $0.isPromise == true && !$0.holds }
            failures += broken.map { "does not hold: \($0.statement) \($0.because)" }
            guard failures.isEmpty else { throw Failure.notDone(failures.joined(separator: "\n")) }
        }

        /// What a directory has of other scenarios; nil when it has nothing.
        private func kept(in output: String, like results: EvaluationResults) throws -> EvaluationResults? {
            let file = output + "/results.json"
            guard FileManager.default.fileExists(atPath: file) else { return nil }
            let found: EvaluationResults
            do { found = try JSONDecoder().decode(EvaluationResults.self, from: Data(try contents(of: file).utf8)) } catch {
                throw Failure.cannotTry("\(file) is no evaluation: \(error)")
            }
            guard found.machine == results.machine, found.isQuick == results.isQuick else {
                throw Failure.cannotTry("\(file) is of another machine or of other sizes (\(found.machine)): give another --output")
            }
            return found
        }

        private func bench(_ work: String) throws -> PaperBench {
            let sizes = quick ? PaperBench.Sizes.quick : .full
            let ballast = work + "/ballast"
            let image: GuestImage
            do {
                // The base system's size, of what nothing can compress: squashfs would.
                try BenchFiles.random(ballast, bytes: Int64(sizes.base - 2) << 20, seed: 4)
                image = try ImageBuilder().build(
                    ImageRecipe(name: "bench", directory: work + "/image", files: [ExtraFile(source: ballast, destination: "/opt/system")]))
                try FileManager.default.removeItem(atPath: ballast)
            } catch { throw Failure.cannotTry("\(error)") }
            let hypervisor: LibvirtHypervisor
            do throws(HypervisorError) {
                hypervisor = try LibvirtHypervisor(uri: "qemu:///embed", root: work + "/libvirt", probeKernel: image.kernel)
            } catch { throw Failure.cannotTry("\(error)") }
            return PaperBench(
                work: work, hypervisor: hypervisor, disks: QemuDisks(templates: work + "/templates"), stores: PaperStores(work: work), image: image,
                isQuick: quick, say: { FileHandle.standardError.write(Data(($0 + "\n").utf8)) })
        }

        private func machine(_ bench: PaperBench) async throws -> String {
            let found = try await bench.hypervisor.capabilities()
            let memory = ProcessInfo.processInfo.physicalMemory >> 30
            return
                "\(ProcessInfo.processInfo.activeProcessorCount) processors, \(memory) GiB, \(found.driver) \(found.version) (\(found.acceleration.rawValue)), "
                + "all nodes and servers on this one machine"
        }

        private func measure(_ scenario: Scenario, _ bench: PaperBench) async throws -> ScenarioResult {
            switch scenario {
            case .table2: try await bench.table2()
            case .figure3: try await bench.figure3()
            case .figure4: try await bench.figure4()
            case .figure5: try await bench.figure5()
            case .figure6: try await bench.figure6()
            case .table3: try await bench.table3()
            case .figure8: try await bench.figure8()
            case .interference: try await bench.interference()
            case .figure9: try await bench.figure9()
            }
        }

        private func write(_ results: EvaluationResults, to output: String) throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            do {
                try encoder.encode(results).write(to: URL(fileURLWithPath: output + "/results.json"))
                try Data(EvaluationPage.markdown(results).utf8).write(to: URL(fileURLWithPath: output + "/results.md"))
                for chart in results.scenarios.flatMap(\.charts) {
                    try Data(SVG.draw(chart).utf8).write(to: URL(fileURLWithPath: "\(output)/\(chart.name).svg"))
                }
            } catch { throw Failure.notDone("cannot write to \(output): \(error.localizedDescription)") }
        }
    }
}
