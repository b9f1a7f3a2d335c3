import ArgumentParser
import AuditReport
import Foundation
import Knowledge
import Overview
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

struct TaskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task", abstract: "Tasks.", subcommands: [Submit.self, List.self, Show.self, Watch.self, Cancel.self])

    struct Submit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Submit a task by its SLA.")
        @OptionGroup var manager: ManagerOptions
        @Argument(help: "The TaskSLA's file.") var file: String
        @Option(help: "The node to start it on; without it Cairn chooses.") var node: String?
        @Option(help: "Whose it shall be, if an operator submits it for somebody else.") var owner: String?
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            struct Submitted: Codable { var task: TaskID }
            let text = try contents(of: file)
            var query = "?file=" + escaped(file)
            if let node { query += "&node=" + escaped(node) }
            if let owner { query += "&owner=" + escaped(owner) }
            let answer = try await manager.ask("/v1/tasks" + query, body: text, type: "application/yaml", for: Submitted.self)
            if json { printJSON(answer) } else { print(answer.task) }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the tasks.", discussion: "With --manager that manager is asked; else the ledger of --state is read.")
        @OptionGroup var manager: ManagerOptions
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let tasks = try await manager.manager == nil ? TaskSummary.all(manager.state.directory.ledger()) : TaskSummary.all(manager)
            if json { return printJSON(tasks) }
            print(TaskSummary.table(tasks))
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one task: what was promised, where it is, its checkpoints.")
        @OptionGroup var state: StateOption
        @Argument var task: String
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let ledger = try state.directory.ledger()
            let report = try await Report.read(from: ledger, generatedAt: SystemTime().now(), task: TaskID(task))
            guard !report.tasks.isEmpty else { throw Failure.notDone("no task \(task)") }
            print(json ? report.json() : report.text(width: Terminal.width))
        }
    }

    struct Watch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Follow tasks until they end.",
            discussion: "Exit status 0: all of them finished; 1: at least one was given up or cancelled.")
        @OptionGroup var state: StateOption
        @Argument(help: "Tasks to follow; without any, all that live.") var tasks: [String] = []
        @Option(help: "Seconds between two looks.") var every = 2.0
        @Flag(help: "Print one JSON object a look.") var json = false

        func run() async throws {
            let ledger = try state.directory.ledger()
            var known = Knowledge()
            var display = LiveDisplay()
            while true {
                let news = try await ledger.events(after: known.sequence, limit: 10_000)
                known = known.folding(news)
                for wanted in tasks where known.tasks[TaskID(wanted)] == nil { throw Failure.notDone("no task \(wanted)") }
                let followed = known.tasks.values.filter { tasks.isEmpty ? true : tasks.contains($0.id.rawValue) }
                let summaries = followed.map { TaskSummary($0) }.sorted { $0.task < $1.task }
                if json {
                    printJSON(summaries)
                } else {
                    display.show(news: news.compactMap { Telling.line($0) }, status: summaries.filter { $0.endedAt == nil }.map(\.line))
                }
                fflush(nil)
                if followed.allSatisfy({ $0.state.isFinal }) {
                    let bad = followed.filter { if case .finished = $0.state { false } else { true } }
                    if !bad.isEmpty { throw ExitCode(1) }
                    return
                }
                try await Task.sleep(for: .seconds(every))
            }
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Cancel a task: its guest is ended, its checkpoints stay.")
        @OptionGroup var manager: ManagerOptions
        @Argument var task: String
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let answer = try await manager.ask("/v1/tasks/\(escaped(task))/cancel", for: Accepted.self)
            if json { printJSON(answer) } else { print("\(answer.task): cancelled") }
        }
    }
}

/// What the manager answers to a command about a task.
struct Accepted: Codable {
    var task: TaskID
    var order: OrderID?
}

/// A task in one line.
struct TaskSummary: Encodable {
    var task: TaskID
    var state: String
    var node: NodeID?
    var epoch: Epoch
    var progress: Double
    var preference: String
    var checkpoints: Int
    var interruptions: Int
    var submittedAt: Moment
    var deadline: Moment?
    var endedAt: Moment?
    var result: String?

    init(_ task: TaskKnowledge) {
        self.task = task.id
        state = task.state.name
        node = task.node
        epoch = task.epoch
        // Between two lives it is what the next one goes on from.
        if case .running = task.state { progress = task.samples.last?.fraction ?? task.progressAtStart } else { progress = task.resumableProgress }
        switch task.sla.preference {
        case .named(let name): preference = name
        case .prices: preference = "own prices"
        }
        checkpoints = task.committed.count
        interruptions = task.interruptions.count
        submittedAt = Moment(task.submission.submittedAt)
        deadline = task.deadline.map { Moment($0) }
        endedAt = task.endedAt.map { Moment($0) }
        if case .finished(let digest) = task.state {
            result = digest
            progress = 1
        }
    }

    static func all(_ ledger: any Ledger) async throws -> [TaskSummary] {
        var known = Knowledge()
        while true {
            let page = try await ledger.events(after: known.sequence, limit: 10_000)
            if page.isEmpty { break }
            known = known.folding(page)
        }
        return known.tasks.values.sorted { $0.submission.submittedAt < $1.submission.submittedAt }.map { TaskSummary($0) }
    }

    init(_ brief: TaskBrief) {
        task = brief.task
        state = brief.state
        node = brief.node
        epoch = brief.epoch
        progress = brief.progress
        preference = brief.preference
        checkpoints = brief.checkpoints
        interruptions = brief.interruptions
        submittedAt = brief.submittedAt
        deadline = brief.deadline
        endedAt = brief.endedAt
        result = brief.result
    }

    /// As the manager tells them.
    static func all(_ manager: ManagerOptions) async throws -> [TaskSummary] {
        struct Page: Decodable {
            var tasks: [TaskBrief]
            var total: Int
        }
        var briefs: [TaskID: TaskBrief] = [:]
        var skipped = 0
        while true {
            let page = try await manager.get("/v1/tasks?limit=1000&skip=\(skipped)", for: Page.self)
            for brief in page.tasks { briefs[brief.task] = brief }
            skipped += page.tasks.count
            if page.tasks.isEmpty || skipped >= page.total { break }
        }
        return briefs.values.sorted { $0.submittedAt < $1.submittedAt }.map { TaskSummary($0) }
    }

    static func table(_ tasks: [TaskSummary]) -> String {
        guard !tasks.isEmpty else { return "no tasks" }
        let rows =
            [["TASK", "STATE", "NODE", "PROGRESS", "PREFERS", "CHECKPOINTS", "INTERRUPTIONS", "RESULT"]]
            + tasks.map {
                [
                    $0.task.rawValue, $0.state, $0.node?.rawValue ?? "-", "\(Int($0.progress * 100)) %", $0.preference, String($0.checkpoints),
                    String($0.interruptions), $0.result.map { String($0.prefix(16)) } ?? "-",
                ]
            }
        return Terminal.columns(rows)
    }

    /// With a bar, for following.
    var line: String {
        let width = 24
        let filled = Int((progress * Double(width)).rounded())
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        let left = deadline.map { "  deadline in \(Int(($0.time - SystemTime().now()).rawValue)) s" } ?? ""
        return "  \(task)  \(bar) \(Int(progress * 100)) %  \(state) on \(node?.rawValue ?? "-"), \(checkpoints) checkpoints\(left)"
    }
}

/// News that scroll, above a status that stays in its place on a terminal; elsewhere the status is printed again each time.
struct LiveDisplay {
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private var statusLines = 0

    mutating func show(news: [String], status: [String]) {
        // Up to where the status begins, and everything below it away. Source: ECMA-48, CUU and ED.
        if isTerminal, statusLines > 0 { print("\u{1B}[\(statusLines)A\u{1B}[J", terminator: "") }
        for line in news { print(line) }
        // A line that wraps would be two.
        let width = Terminal.width
        for line in status { print(isTerminal ? String(line.prefix(width)) : line) }
        statusLines = status.count
    }
}

enum Terminal {
    /// Columns of the terminal; COLUMNS overrides it; 100 where there is neither.
    static var width: Int {
        if let given = Int(ProcessInfo.processInfo.environment["COLUMNS"] ?? ""), given > 0 { return given }
        var size = winsize()
        return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 100
    }

    static func columns(_ rows: [[String]]) -> String {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { $1 + String(repeating: " ", count: $0 == row.count - 1 ? 0 : widths[$0] - $1.count) }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

func escaped(_ text: String) -> String {
    var allowed = CharacterSet.alphanumerics
    allowed.insert(charactersIn: "-._~")
    return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text
}

/// What happened, in a line for whoever follows.
enum Telling {
    static func line(_ record: EventRecord) -> String? {
        guard let text = text(record.event) else { return nil }
        return Date(timeIntervalSince1970: record.at.rawValue).formatted(.iso8601.time(includingFractionalSeconds: false)) + "  " + text
    }

    private static func text(_ event: Event) -> String? {
        switch event {
        case .taskSubmitted(let submission): "\(submission.task): submitted"
        case .taskStarted(let task, _, let node): "\(task): runs on \(node)"
        case .unionSeen(let task, _, _, let union): "\(task): base and delta are united by \(union.kind.rawValue)"
        case .checkpointCommitted(let checkpoint):
            "\(checkpoint.task): checkpoint \(checkpoint.id) is safe in the store (stopped \(hundredths(checkpoint.stopSeconds.rawValue)) s, "
                + "\(hundredths(checkpoint.sentBytes.mebibytes)) MiB sent, \(checkpoint.codec.rawValue))"
        case .checkpointFailed(let task, _, let checkpoint, _, _, let reason): "\(task): checkpoint \(checkpoint) failed: \(reason)"
        case .staleCommitRefused(let task, _, _, let node): "\(task): a stale commit of \(node) was refused"
        case .nodeSuspected(let node, _, let silent): "node \(node) is suspected: silent for \(hundredths(silent.rawValue)) s"
        case .nodeTrusted(let node): "node \(node) is trusted again"
        case .nodeLost(let node, let phi, let silent): "node \(node) is LOST: silent for \(hundredths(silent.rawValue)) s (phi \(hundredths(phi)))"
        case .nodeFenced(let node, let method, _): "node \(node) is fenced (\(method))"
        case .fenceFailed(let node, let reason): "node \(node) could not be fenced: \(reason)"
        case .epochRaised(let task, let epoch, let node, let from):
            "\(task): epoch \(epoch), goes on at \(node) from \(from?.rawValue ?? "its beginning")"
        case .taskResumed(let resumption): "\(resumption.task): runs again, on \(resumption.node)"
        case .taskFinished(let task, _, let node, let result): "\(task): FINISHED on \(node): \(result)"
        case .taskFailed(let task, _, let node, let reason): "\(task): failed on \(node): \(reason)"
        case .taskStalled(let task, _, let node, let progress, let stalled):
            "\(task): stands still on \(node) at \(hundredths(progress * 100)) % for \(hundredths(stalled.rawValue)) s, while its guest runs"
        case .taskGivenUp(let task, let reason): "\(task): GIVEN UP: \(reason)"
        case .taskCancelled(let task, let by): "\(task): cancelled by \(by)"
        case .taskRefused(let task, _, let node, let reason): "\(task): \(node) could not take it: \(reason)"
        case .restoreAsked(let task, let by): "\(task): taken back to its newest checkpoint, as \(by) asked"
        case .orderFailed(let order, let node, _, let reason): "\(node) could not carry out \(order): \(reason)"
        case .storeHealthChanged(let health): "the store is \(health.reachable ? "there" : "NOT there") \(health.detail)"
        case .policyModeSet(let name, let mode, let by):
            mode.map { "policy \(name) is set to \($0.rawValue) by \(by)" } ?? "policy \(name) is in its file's mode again, as \(by) asked"
        case .nodeDrainAsked(let node, let by): "node \(node) is drained, as \(by) asked"
        case .nodeDrainEnded(let node, let by): "node \(node) takes tasks again, as \(by) asked"
        case .checkpointVerified(let task, let checkpoint, let problems, _):
            problems.isEmpty
                ? "\(task): checkpoint \(checkpoint) is whole in the store"
                : "\(task): checkpoint \(checkpoint) is NOT whole: \(problems.joined(separator: "; "))"
        case .policyRejected(let name, _): "policy file \(name) is not valid and was not taken"
        case .layersMerged(let merge) where merge.layersAfter < merge.layersBefore:
            "\(merge.task): \(merge.layersBefore) layers merged into \(merge.layersAfter) in \(hundredths(merge.elapsedSeconds.rawValue)) s"
        case .taskFound(let task, _, let node): "\(task): found running on \(node)"
        case .ledgerRebuilt(_, let store, _): "the ledger was made anew from \(store)"
        case .layersMerged, .taskEndStored, .managerStarted, .policyLoaded, .taskPlaced, .progressSeen, .checkpointOrdered, .checkpointStarted,
            .checkpointCaptured,
            .checkpointsPruned, .nodeJoined, .nodeProcessesChanged:
            nil
        }
    }

    private static func hundredths(_ value: Double) -> String { String(format: "%.2f", value) }
}
