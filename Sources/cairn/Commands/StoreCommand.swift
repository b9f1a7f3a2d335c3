import ArgumentParser
import CheckpointEngine
import Execution
import Foundation
import Ports
import SQLiteLedger
import Vocabulary

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "The store itself, without a manager.", subcommands: [Rebuild.self, Clean.self])

    struct Rebuild: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the manager's ledger anew from what the store holds.",
            discussion: """
                For when the ledger is lost. Every task that has not ended goes on when a manager runs on the new ledger: put it into a state \
                directory as ledger.db, or give --database STATE/ledger.db at once. The old manager must be gone for good: two of them would order \
                everything twice. Exit status 1 when there is a task of which the store does not say enough.
                """)
        @Option(help: "The fleet's file: its store is read.") var fleet: String
        @Option(help: "Where the new ledger is made; nothing may be there.") var database: String
        @Option(help: "A task that is known to have ended though the store does not say so (it is of format 1); may be given again.")
        var ended: [String] = []
        @Flag(help: "Print JSON.") var json = false

        struct Line: Encodable {
            var task: TaskID
            /// `live`, `finished`, `given-up`, `cancelled`, `unknown`.
            var state: String
            var epoch: Epoch?
            var node: NodeID?
            var checkpoints: Int
            var newest: CheckpointID?
            var reason: String?

            init(_ found: LedgerRebuild.Found) {
                task = found.task
                epoch = found.epoch
                node = found.node
                checkpoints = found.checkpoints.count
                newest = found.checkpoints.last?.id
                switch found.state {
                case .live: state = "live"
                case .ended(.finished): state = "finished"
                case .ended(.givenUp(let why)): (state, reason) = ("given-up", why)
                case .ended(.cancelled(let by)): (state, reason) = ("cancelled", "by \(by)")
                case .unknown(let why): (state, reason) = ("unknown", why)
                }
            }

            var text: String {
                let place = [epoch.map { "epoch \($0)" }, node.map { "on \($0)" }].compactMap(\.self).joined(separator: " ")
                let newest = newest.map { ", newest \($0)" } ?? ""
                return "\(task): \(state)\(place.isEmpty ? "" : ", " + place), \(checkpoints) checkpoints\(newest)\(reason.map { ": " + $0 } ?? "")"
            }
        }

        func run() async throws {
            let path = absolute(database)
            guard !FileManager.default.fileExists(atPath: path) else { throw Failure.cannotTry("\(path) is there already: nothing is written over") }
            let store = try Composition.store(try FleetFile.read(fleet).store)
            // Under another name until it is whole.
            let unfinished = path + ".unfinished"
            try discard(unfinished)
            let ledger: SQLiteLedger
            do throws(LedgerError) { ledger = try SQLiteLedger.open(path: unfinished) } catch { throw Failure.cannotTry("\(error)") }
            let found: [LedgerRebuild.Found]
            do throws(RebuildError) {
                found = try await LedgerRebuild(store: store, version: Release.version, time: SystemTime()).rebuild(
                    into: ledger, passingOver: Set(ended.map { TaskID($0) })
                ) {
                    guard !json else { return }
                    print(Line($0).text)
                    fflush(nil)
                }
            } catch { throw Failure.notDone("\(error)") }
            do throws(LedgerError) { try ledger.close() } catch { throw Failure.notDone("\(error)") }
            do { try FileManager.default.moveItem(atPath: unfinished, toPath: path) } catch {
                throw Failure.notDone("cannot move \(unfinished) to \(path): \(error.localizedDescription)")
            }
            try discard(unfinished)
            let lines = found.map { Line($0) }
            if json {
                printJSON(lines)
            } else {
                let live = lines.count { $0.state == "live" }
                print(
                    "\(lines.count) tasks, \(live) of them live; `cairn run --state \((path as NSString).deletingLastPathComponent) …` goes on with them"
                )
                if (path as NSString).lastPathComponent != "ledger.db" { print("a state directory's ledger is called ledger.db: move it there") }
            }
            if lines.contains(where: { $0.state == "unknown" }) { throw ExitCode(1) }
        }

        /// A database's file, and what SQLite keeps beside it.
        private func discard(_ path: String) throws {
            for file in [path, path + "-wal", path + "-shm"] where FileManager.default.fileExists(atPath: file) {
                do { try FileManager.default.removeItem(atPath: file) } catch {
                    throw Failure.cannotTry("cannot remove \(file): \(error.localizedDescription)")
                }
            }
        }
    }

    struct Clean: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Find and remove what nobody needs.",
            discussion: """
                Parts that failed uploads left, of ended tasks all that no checkpoint names, contents that no checkpoint of any task names. What \
                may be on its way stays: of a live task whatever is younger than its newest checkpoint, and contents younger than --older-than. \
                Where a checkpoint's manifest cannot be read, nobody knows what it needs: then nothing of its task goes, and no contents; \
                exit status 1.
                """)
        @Option(help: "The fleet's file: its store is cleaned.") var fleet: String
        @Option(help: "Contents that are younger stay.", transform: length) var olderThan = Seconds.hours(24)
        @Flag(help: "Show what would go, and remove nothing.") var dryRun = false
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let store = try Composition.store(try FleetFile.read(fleet).store)
            let (upkeep, catalog) = (StoreUpkeep(store: store, time: SystemTime()), CheckpointCatalog(store: store, time: SystemTime()))
            let pieces: [StoreUpkeep.Rubbish]
            var damages: [String] = []
            do throws(EngineError) {
                let found = try await upkeep.rubbish(olderThan: olderThan)
                pieces = dryRun ? found : try await upkeep.clean(found)
                for task in try await catalog.tasks() { damages += try await catalog.damagedManifests(of: task) }
            } catch { throw Failure.notDone("\(error)") }
            if json {
                printJSON(pieces)
            } else {
                for piece in pieces { print("\(piece.path)  \(mebibytes(piece.bytes))  \(piece.reason.words)") }
                let bytes = ByteCount(pieces.reduce(0) { $0 + $1.bytes.rawValue })
                print("\(pieces.count) pieces, \(mebibytes(bytes)), \(dryRun ? "would go" : "went")")
            }
            guard damages.isEmpty else {
                throw Failure.notDone(
                    (damages + [
                        "what these may need stays, and no contents go: put the files back as they were, or let go of these checkpoints "
                            + "(cairn checkpoint prune)"
                    ]).joined(separator: "\n"))
            }
        }
    }
}

extension StoreUpkeep.Rubbish.Reason {
    fileprivate var words: String {
        switch self {
        case .endedTask: "no checkpoint of the ended task names it"
        case .failedUpload: "left by an upload that failed"
        case .unreferencedContent: "no checkpoint names it"
        }
    }
}
