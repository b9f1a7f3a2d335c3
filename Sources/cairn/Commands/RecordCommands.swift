import ArgumentParser
import AuditReport
import Foundation
import Planning
import Ports
import Vocabulary

struct DecisionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decisions", abstract: "List what was decided.",
        discussion: "With --manager that manager is asked; else the ledger of --state is read.")
    @OptionGroup var manager: ManagerOptions
    @Option(help: "Only about this task.") var task: String?
    @Option(help: "Only of this kind: \(Decision.Kind.allCases.map(\.rawValue).joined(separator: ", ")).") var kind: String?
    @Option(help: "At most so many, the newest.") var limit = 1_000
    @Flag(help: "Those of Audit mode alone: what would have been done beside what was.") var audit = false
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        if audit {
            guard kind == nil, manager.manager == nil else {
                throw Failure.cannotTry("--audit reads the ledger of --state whole: leave out --kind and --manager")
            }
            return try await printSideBySide()
        }
        var kinds: [Decision.Kind] = []
        if let kind {
            guard let known = Decision.Kind(rawValue: kind) else { throw Failure.cannotTry("no kind of decision is called \(kind)") }
            kinds = [known]
        }
        if manager.manager != nil { return show(try await told()) }
        let query = DecisionQuery(task: task.map { TaskID($0) }, kinds: kinds, newestFirst: true, limit: limit)
        let ledger = try manager.state.directory.ledger()
        let decisions = try await ledger.decisions(query).reversed()
        let outcomes = json ? try await ledger.outcomes(task: task.map { TaskID($0) }) : []
        show(decisions.map { DecisionReport($0, outcomes: outcomes) })
    }

    /// The newest, as the manager tells them, oldest first.
    private func told() async throws -> [DecisionReport] {
        struct Page: Decodable {
            var decisions: [DecisionReport]
            var next: DecisionID?
        }
        var found: [DecisionReport] = []
        var before: DecisionID?
        while found.count < limit {
            var query = "limit=\(min(1_000, limit - found.count))"
            if let task { query += "&task=" + escaped(task) }
            if let kind { query += "&kind=" + escaped(kind) }
            if let before { query += "&before=" + escaped(before.rawValue) }
            let page = try await manager.get("/v1/decisions?" + query, for: Page.self)
            found += page.decisions
            guard let next = page.next else { break }
            before = next
        }
        return found.reversed()
    }

    private func show(_ decisions: [DecisionReport]) {
        if json { return printJSON(decisions) }
        if decisions.isEmpty { print("no decisions") }
        for decision in decisions {
            let time = Date(timeIntervalSince1970: decision.at.time.rawValue).formatted(.iso8601.time(includingFractionalSeconds: false))
            print("\(decision.decision)  \(time)  \(decision.kind.rawValue)\(decision.mode == .audit ? " (audit)" : "")  \(decision.sentence)")
        }
    }

    private func printSideBySide() async throws {
        let report = try await Report.read(from: try manager.state.directory.ledger(), generatedAt: SystemTime().now(), task: task.map { TaskID($0) })
        let audited = report.tasks.compactMap(\.sideBySide)
        if json { return printJSON(audited) }
        if audited.isEmpty { print("nothing was decided in Audit mode") }
        print(audited.map { $0.text(width: Terminal.width) }.joined(separator: "\n"), terminator: "")
    }
}

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say why something was decided: in words and in numbers, and what would have changed it.",
        discussion: "With --against it is compared with a decision about another task: what the owners' preferences made different.")
    @OptionGroup var state: StateOption
    @Argument(help: "The decision, for example d000012.") var decision: String
    @Option(help: "A decision to compare with.") var against: String?
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let ledger = try state.directory.ledger()
        guard
            let explanation = try await Explanation.read(
                decision: DecisionID(decision), comparedWith: against.map { DecisionID($0) }, from: ledger,
                whatIf: { [.schedule, .checkpoint].contains($0.kind) && $0.situation != nil ? WhatIf.counterfactuals(of: $0) : nil })
        else { throw Failure.notDone("no decision \(decision)") }
        print(json ? explanation.json() : explanation.text(width: Terminal.width) + "\n", terminator: "")
    }
}
