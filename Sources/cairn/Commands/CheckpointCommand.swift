import ArgumentParser
import AuditReport
import Foundation
import Knowledge
import Ports
import Vocabulary

struct CheckpointCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Checkpoints.", subcommands: [List.self, Now.self, Restore.self, Prune.self, Merge.self, Verify.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List committed checkpoints, with what each cost.")
        @OptionGroup var state: StateOption
        @Option(help: "Only of this task.") var task: String?
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let ledger = try state.directory.ledger()
            if json {
                struct Listed: Encodable {
                    var task: TaskID
                    var checkpoints: [CheckpointReport]
                }
                let report = try await Report.read(from: ledger, generatedAt: SystemTime().now(), task: task.map { TaskID($0) })
                return printJSON(
                    report.tasks.map { Listed(task: $0.task, checkpoints: $0.checkpoints.filter { [.committed, .pruned].contains($0.status) }) })
            }
            var checkpoints: [CheckpointRecord] = []
            var known = Set<[String]>()
            var last: Int64 = 0
            while case let page = try await ledger.events(after: last, limit: 10_000), let end = page.last {
                last = end.sequence
                for case .checkpointCommitted(let made) in page.map(\.event) where task == nil || made.task.rawValue == task {
                    if known.insert([made.task.rawValue, made.id.rawValue]).inserted { checkpoints.append(made) }
                }
            }
            guard !checkpoints.isEmpty else { return print("no checkpoints") }
            print(
                Terminal.columns(
                    [["TASK", "CHECKPOINT", "NODE", "PROGRESS", "STOP", "COMPRESS", "UPLOAD", "DURABLE AFTER", "SENT", "CODEC", "COPIES", "WAY"]]
                        + checkpoints.map {
                            [
                                $0.task.rawValue, $0.id.rawValue, $0.node.rawValue, $0.progress.map { "\(Int($0 * 100)) %" } ?? "-",
                                seconds($0.stopSeconds), seconds($0.compressSeconds), seconds($0.uploadSeconds), seconds($0.latencySeconds),
                                String(format: "%.1f MiB", $0.sentBytes.mebibytes), $0.codec.rawValue, $0.replication.description, $0.way.rawValue,
                            ]
                        }))
        }

        private func seconds(_ value: Seconds) -> String { String(format: "%.2f s", value.rawValue) }
    }

    struct Now: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a checkpoint of a running task now.")
        @OptionGroup var manager: ManagerOptions
        @Argument var task: String
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let answer = try await manager.ask("/v1/tasks/\(escaped(task))/checkpoints", for: Accepted.self)
            if json { printJSON(answer) } else { print("\(answer.task): ordered (\(answer.order?.rawValue ?? "-"))") }
        }
    }

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a running task back to its newest checkpoint.")
        @OptionGroup var manager: ManagerOptions
        @Argument var task: String
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let answer = try await manager.ask("/v1/tasks/\(escaped(task))/restore", for: Accepted.self)
            if json { printJSON(answer) } else { print("\(answer.task): will be resumed from its newest checkpoint") }
        }
    }
}
