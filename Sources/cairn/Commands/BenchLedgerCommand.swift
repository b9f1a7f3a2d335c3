import ArgumentParser
import AuditReport
import Foundation
import Ports
import SQLiteLedger
import Vocabulary

extension BenchCommand {
    struct LedgerCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ledger", abstract: "How a large ledger answers, and how much room it takes.",
            discussion: """
                Makes a ledger with the lives of many tasks, then measures how long the manager takes to start on it, what all tasks, the report of \
                one task and an append take, how long it is to verify, and the bytes for each day of a task. By default 10,000 tasks and \
                1,000,000 decisions, which needs some 10 GiB and half an hour.
                """)
        @Option(help: "Tasks.") var tasks = 10_000
        @Option(help: "Days that each has been running.") var days = 1.0
        @Option(help: "Seconds between two checkpoints of a task.") var checkpointEvery = 4_200.0
        @Option(help: "Decisions about when to checkpoint, for each checkpoint.") var schedules = 4
        @Option(help: "Seconds between two samples of a task's progress.") var sampleEvery = 900.0
        @Option(help: "The ledger's file; it is made if it is not there, and kept. Without it, one that is removed afterwards.") var file: String?
        @Flag(help: "Do not verify it.") var withoutVerifying = false
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            guard tasks > 0, days > 0, checkpointEvery > 0, schedules >= 0, sampleEvery > 0 else {
                throw Failure.cannotTry("every number is more than 0; --schedules may be 0")
            }
            let shape = LedgerShape(
                tasks: tasks, days: days, checkpointEverySeconds: Seconds(checkpointEvery), schedulesPerCheckpoint: schedules,
                sampleEverySeconds: Seconds(sampleEvery))
            let path = file.map(absolute) ?? "/tmp/cairn-bench-ledger-\(getpid()).db"
            defer { if file == nil { for ending in ["", "-wal", "-shm"] { unlink(path + ending) } } }
            func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
            if !FileManager.default.fileExists(atPath: path) {
                say("making \(shape.tasks) tasks, \(shape.tasks * shape.decisionsPerTask) decisions …")
                let ledger = try SQLiteLedger.open(path: path)
                try await LedgerMaker(shape: shape).fill(ledger) { done in
                    if done.isMultiple(of: max(1, tasks / 20)) { say("\(done) tasks") }
                }
                try ledger.close()
            }
            let measured = try await LedgerBench(path: path, shape: shape, say: say).measure(verifying: !withoutVerifying)
            if json { return printJSON(measured) }
            print(
                """
                \(measured.shape.tasks) tasks, \(measured.events) events, \(measured.decisions) decisions, \(Words.bytes(measured.fileBytes))
                for each task and day  \(Words.bytes(measured.bytesPerTaskDay))
                startup                \(Words.duration(measured.startupSeconds))
                all tasks as JSON      \(Words.duration(measured.fleetSeconds))
                report of one task     \(Words.duration(measured.taskReportSeconds)), \(Words.bytes(Double(measured.taskReportBytes)))
                an append              \(Words.duration(measured.appendSeconds))
                """)
            if !withoutVerifying { print("verified               \(measured.verifiedRecords) records in \(Words.duration(measured.verifySeconds))") }
            for part in measured.parts { print("  \(part.name)  \(Words.bytes(part.bytes)), \(part.rows.map { "\($0) rows" } ?? "index")") }
        }
    }
}
