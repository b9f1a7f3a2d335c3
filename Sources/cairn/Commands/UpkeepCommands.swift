import ArgumentParser
import CheckpointEngine
import Foundation
import Ports
import Vocabulary

extension CheckpointCommand {
    struct Prune: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove old checkpoints of a task from the store.",
            discussion: """
                The newest checkpoint always stays. Of a running task its node prunes, by order of the manager. With --fleet the store itself is \
                looked at: a task that has ended is pruned there, and of any task --dry-run shows what would go, with how much room that gives.
                """)
        @OptionGroup var manager: ManagerOptions
        @Argument var task: String
        @Option(help: "Keep the newest so many; of a task that has ended, 0 removes all.") var keepLast: Int?
        @Option(help: "Keep those that are younger, for example 2h.", transform: length) var keepFor: Seconds?
        @Flag(help: "Show what would go, and remove nothing.") var dryRun = false
        @Option(help: "The fleet's file: look at the store without a manager.") var fleet: String?
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            if keepLast == nil && keepFor == nil { throw ValidationError("say what is kept: --keep-last N, --keep-for LENGTH, or both") }
            if let keepLast, keepLast < 0 { throw ValidationError("--keep-last: \(keepLast) is less than 0") }
            if keepLast == 0, fleet == nil { throw ValidationError("--keep-last 0 is for tasks that have ended: give --fleet") }
        }

        func run() async throws {
            if let fleet { return try await offline(fleet) }
            var query: [String] = []
            if let keepLast { query.append("keepLast=\(keepLast)") }
            if let keepFor { query.append("keepFor=\(keepFor.rawValue)") }
            if dryRun { query.append("dryRun=true") }
            let answer = try await manager.ask(
                "/v1/tasks/\(escaped(task))/prune?" + query.joined(separator: "&"), for: PruneAnswer.self)
            if json { return printJSON(answer) }
            let going = answer.remove.map(\.rawValue).joined(separator: ", ")
            if answer.remove.isEmpty {
                print("\(task): nothing to remove, \(answer.keep.count) are kept")
            } else if let order = answer.order {
                print("\(task): ordered (\(order)): \(going) go, \(answer.keep.count) are kept")
            } else {
                print("\(task): \(going) would go, \(answer.keep.count) would be kept")
            }
        }

        private func offline(_ fleet: String) async throws {
            let upkeep = StoreUpkeep(store: try Composition.store(try FleetFile.read(fleet).store), time: SystemTime())
            do throws(EngineError) {
                var preview = try await upkeep.preview(TaskID(task), keepLast: keepLast, keepFor: keepFor)
                guard !preview.keep.isEmpty || !preview.remove.isEmpty || preview.freedBytes > .zero else {
                    throw .noSuchTask(TaskID(task))
                }
                if !dryRun { preview.remove = try await upkeep.pruneEnded(TaskID(task), keep: preview.keep) }
                if json { return printJSON(preview) }
                let verb = dryRun ? "would go" : "went"
                let going = preview.remove.isEmpty ? "none" : preview.remove.map(\.rawValue).joined(separator: ", ")
                print("\(task): \(going) \(verb), \(preview.keep.count) stay; \(mebibytes(preview.freedBytes)) in all")
            } catch .noSuchTask { throw Failure.notDone("the store has no checkpoints of \(task)") } catch { throw Failure.notDone("\(error)") }
        }
    }

    struct Merge: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Merge the layers of a running task's disk now.",
            discussion: """
                By order of the manager, on the task's node, while the guest runs. The merged layer goes to the store with the next checkpoint. \
                A task that does not run needs none: long chains are merged when it is resumed.
                """)
        @OptionGroup var manager: ManagerOptions
        @Argument var task: String
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let answer = try await manager.ask("/v1/tasks/\(escaped(task))/merge", for: Accepted.self)
            if json { printJSON(answer) } else { print("\(answer.task): ordered (\(answer.order?.rawValue ?? "-"))") }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check that checkpoints are in the store as they were committed.",
            discussion: """
                Without a task, all of them. Each part must be there with its length; with --read-data every part is read and its digests are \
                checked, and the manager is told, so that the dashboard says when each was last verified. Exit status 1 when something \
                is wrong with any of them.
                """)
        @OptionGroup var manager: ManagerOptions
        @Option(help: "The fleet's file: its store is checked.") var fleet: String
        @Argument var task: String?
        @Argument var checkpoint: String?
        @Flag(help: "Read every part and check its digests.") var readData = false
        @Flag(help: "Print JSON.") var json = false

        struct Verdict: Encodable {
            var task: TaskID
            var checkpoint: CheckpointID?
            var isWhole: Bool
            var problems: [String]
        }

        func run() async throws {
            let store = try Composition.store(try FleetFile.read(fleet).store)
            let catalog = CheckpointCatalog(store: store, time: SystemTime())
            let upkeep = StoreUpkeep(store: store, time: SystemTime())
            var verdicts: [Verdict] = []
            var seen = StoreUpkeep.Seen()
            var progress: ProgressLine?
            do throws(EngineError) {
                let known = try await catalog.tasks()
                if let task, !known.contains(TaskID(task)) { throw .noSuchTask(TaskID(task)) }
                let wanted = known.sorted().filter { task == nil || $0.rawValue == task }
                var lines: [TaskID: [Manifest]] = [:]
                for id in wanted { lines[id] = try await catalog.committed(id).filter { checkpoint == nil || $0.record.id.rawValue == checkpoint } }
                if readData {
                    let total = try await upkeep.bytesToRead(lines.values.flatMap(\.self))
                    let shown = ProgressLine("reading", total: Double(total), unit: .bytes, isQuiet: json)
                    seen = StoreUpkeep.Seen { shown.show(Double($0)) }
                    progress = shown
                }
                defer { progress?.clear() }
                for id in wanted {
                    let line = lines[id] ?? []
                    if let checkpoint, line.isEmpty { throw .noSuchCheckpoint(id, CheckpointID(checkpoint)) }
                    for damaged in try await catalog.damagedManifests(of: id) where checkpoint == nil {
                        progress?.clear()
                        add(Verdict(task: id, checkpoint: nil, isWhole: false, problems: [damaged]), &verdicts)
                    }
                    for manifest in line {
                        let problems = try await upkeep.problems(of: manifest, readData: readData, &seen)
                        progress?.clear()
                        add(Verdict(task: id, checkpoint: manifest.record.id, isWhole: problems.isEmpty, problems: problems), &verdicts)
                        if readData { await tell(id, manifest.record.id, problems) }
                    }
                }
            } catch {
                switch error {
                case .noSuchTask(let task): throw Failure.notDone("the store has no task \(task)")
                case .noSuchCheckpoint: throw Failure.notDone("\(error)")
                default: throw Failure.cannotTry("\(error)")
                }
            }
            if json { printJSON(verdicts) }
            let bad = verdicts.count { !$0.isWhole }
            if !json {
                let read = readData ? ", \(mebibytes(ByteCount(seen.bytesRead))) read" : ""
                print("\(verdicts.count - bad) of \(verdicts.count) whole\(read)")
            }
            if bad > 0 { throw ExitCode(1) }
        }

        /// Where no manager runs, or it does not know the task, there is nobody to be told.
        private func tell(_ task: TaskID, _ checkpoint: CheckpointID, _ problems: [String]) async {
            struct Found: Encodable { var problems: [String] }
            struct Accepted: Decodable { var checkpoint: CheckpointID }
            guard manager.named != nil || manager.state.directory.hasManager else { return }
            let path = "/v1/tasks/\(escaped(task.rawValue))/checkpoints/\(escaped(checkpoint.rawValue))/verified"
            do {
                let body = String(decoding: try JSONEncoder().encode(Found(problems: problems)), as: UTF8.self)
                _ = try await manager.ask(path, body: body, for: Accepted.self)
            } catch { FileHandle.standardError.write(Data("the manager is not told of \(checkpoint): \(error)\n".utf8)) }
        }

        /// Told as it comes, since reading takes its time.
        private func add(_ verdict: Verdict, _ verdicts: inout [Verdict]) {
            verdicts.append(verdict)
            guard !json else { return }
            print("\(verdict.task) \(verdict.checkpoint?.rawValue ?? "-"): \(verdict.isWhole ? "whole" : "NOT whole")")
            for problem in verdict.problems { print("  \(problem)") }
            fflush(nil)
        }
    }
}

func mebibytes(_ bytes: ByteCount) -> String { String(format: "%.1f MiB", bytes.mebibytes) }

/// A length of time as declarations have it: `30s`, `10m`, `2h`, `7d`; a bare number is seconds.
@Sendable func length(_ text: String) throws -> Seconds {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
    let unit = text.last.flatMap { units[$0] }
    guard let value = Double(unit == nil ? text : String(text.dropLast())), value >= 0, value.isFinite else {
        throw ValidationError("\(text) is no length of time: 30s, 10m, 2h or 7d")
    }
    return Seconds(value * (unit ?? 1))
}
