import AuditReport
import Knowledge
import Overview
import Ports
import Vocabulary

/// The pages, made from what the manager knows and the ledger holds; and what can be done by them.
package struct Dashboard: Sendable {
    let commands: any ManagerCommands
    let source: any OutlookSource
    let ledger: any Ledger
    let time: any TimeSource

    package init(commands: any ManagerCommands, source: any OutlookSource, ledger: any Ledger, time: any TimeSource) {
        self.commands = commands
        self.source = source
        self.ledger = ledger
        self.time = time
    }

    /// Decisions that a page lists.
    private static let decisionLimit = 30

    func fleet(_ visitor: Visitor, notice: String?) async throws -> String {
        let outlook = try await outlook()
        let decisions = try await ledger.decisions(DecisionQuery(newestFirst: true, limit: 8))
        return FleetPage(fleet: FleetOverview(outlook), decisions: decisions, visitor: visitor).html(notice: notice)
    }

    func task(_ task: TaskID, _ visitor: Visitor, mayAct: Bool, notice: String?) async throws -> String {
        let outlook = try await outlook()
        guard let overview = try await TaskOverview.read(task, outlook: outlook, ledger: ledger, now: time.now()) else {
            throw CommandError.notFound("no task \(task)")
        }
        let decisions = try await ledger.decisions(DecisionQuery(task: task, newestFirst: true, limit: Self.decisionLimit))
        var outcomes: [DecisionID: [Outcome]] = [:]
        for outcome in try await ledger.outcomes(task: task) { outcomes[outcome.decision, default: []].append(outcome) }
        let context = DeclarationContext(outlook, task: task)
        let explained = decisions.map { Explanation.make($0, outcomes: outcomes[$0.id] ?? [], context: context) }
        return TaskPage(task: overview, decisions: explained, visitor: visitor, mayAct: mayAct).html(notice: notice)
    }

    func decision(_ id: DecisionID, _ visitor: Visitor) async throws -> String {
        guard let decision = try await ledger.decision(id) else { throw CommandError.notFound("no decision \(id)") }
        let context = DeclarationContext(try await outlook(), task: decision.task)
        let explanation = Explanation.make(decision, outcomes: try await ledger.outcomes(of: id), context: context)
        return DecisionPage(explanation: explanation, visitor: visitor).html()
    }

    private func outlook() async throws -> Outlook {
        guard let outlook = await source.outlook() else { throw CommandError.conflict("the manager has just started: try again in a moment") }
        return outlook
    }
}

extension DeclarationContext {
    /// What is in force now. Prices that a decision recorded with it are taken from there.
    init(_ outlook: Outlook, task: TaskID?) {
        let policies = outlook.knowledge.policies.values.map { Event.policyLoaded($0.policy, version: $0.version) }
        let tasks = [task.flatMap { outlook.knowledge.tasks[$0] }].compactMap { $0.map { Event.taskSubmitted($0.submission) } }
        self.init(events: (policies + tasks).map { EventRecord(at: outlook.findings.at, source: .manager, event: $0) })
    }
}

/// Something that can be done by a page: asked once more, then done in the visitor's name.
enum Deed: Hashable {
    case checkpoint(TaskID)
    case cancel(TaskID)
    case drain(NodeID)
    case undrain(NodeID)
    /// nil: as the file says.
    case mode(String, CheckpointPolicy.Mode?)

    func confirmation(_ visitor: Visitor) -> ConfirmationPage {
        switch self {
        case .checkpoint(let task):
            ConfirmationPage(
                question: "Checkpoint \(task) now?",
                consequences: ["Its guest stops for a moment, and what changed since its last checkpoint is sent to the store."],
                button: "Checkpoint now", address: address, back: back, visitor: visitor)
        case .cancel(let task):
            ConfirmationPage(
                question: "Cancel \(task)?",
                consequences: ["Its guest is ended, and it is not resumed any more: this cannot be undone.", "Its checkpoints stay in the store."],
                button: "Cancel the task", isGrave: true, address: address, back: back, visitor: visitor)
        case .drain(let node):
            ConfirmationPage(
                question: "Drain node \(node)?",
                consequences: [
                    "Nothing is placed there any more.",
                    "Each task there is checkpointed, and goes on at another node from that checkpoint; as long as no other node can take it, it stays.",
                    "The node takes tasks again when the drain is ended.",
                ], button: "Drain the node", address: address, back: back, visitor: visitor)
        case .undrain(let node):
            ConfirmationPage(
                question: "End the drain of node \(node)?", consequences: ["Tasks may be placed and resumed there again."], button: "End the drain",
                address: address, back: back, visitor: visitor)
        case .mode(let policy, .audit):
            ConfirmationPage(
                question: "Switch policy \(policy) to Audit?",
                consequences: [
                    "Decisions about its tasks' checkpoints are recorded, and not acted on: no checkpoint is taken by it.",
                    "It stays so, whatever its file and rules say, until somebody switches it back.",
                ], button: "Switch to Audit", isGrave: true, address: address, back: back, visitor: visitor)
        case .mode(let policy, .enforce):
            ConfirmationPage(
                question: "Switch policy \(policy) to Enforce?",
                consequences: ["Decisions about its tasks are acted on, whatever its file and rules say, until somebody switches it back."],
                button: "Switch to Enforce", isGrave: true, address: address, back: back, visitor: visitor)
        case .mode(let policy, nil):
            ConfirmationPage(
                question: "Let policy \(policy) be as its file says?", consequences: ["The mode of its file and rules is in force again."],
                button: "As its file says", address: address, back: back, visitor: visitor)
        }
    }

    /// In the address of the page after it.
    var name: String {
        switch self {
        case .checkpoint: "checkpoint"
        case .cancel: "cancel"
        case .drain: "drain"
        case .undrain: "undrain"
        case .mode: "mode"
        }
    }

    /// What that page says of it.
    static let notices = [
        "checkpoint": "A checkpoint is ordered.", "cancel": "The task is cancelled.", "drain": "The node is being drained.",
        "undrain": "The node takes tasks again.", "mode": "The policy's mode was set.",
    ]

    var address: String {
        switch self {
        case .checkpoint(let task): Piece.address("tasks", task.rawValue, "checkpoint")
        case .cancel(let task): Piece.address("tasks", task.rawValue, "cancel")
        case .drain(let node): Piece.address("nodes", node.rawValue, "drain")
        case .undrain(let node): Piece.address("nodes", node.rawValue, "undrain")
        case .mode(let policy, let mode): Piece.address("policies", policy, "mode", mode?.rawValue ?? "declared")
        }
    }

    /// The page that it concerns.
    var back: String {
        switch self {
        case .checkpoint(let task), .cancel(let task): Piece.address("tasks", task.rawValue)
        case .drain, .undrain, .mode: "/"
        }
    }

    func carryOut(_ commands: any ManagerCommands, by: String) async throws(CommandError) {
        switch self {
        case .checkpoint(let task): _ = try await commands.checkpointNow(task, by: by)
        case .cancel(let task): try await commands.cancel(task, by: by)
        case .drain(let node): try await commands.drain(node, by: by)
        case .undrain(let node): try await commands.undrain(node, by: by)
        case .mode(let policy, let mode): try await commands.setMode(mode, ofPolicy: policy, by: by)
        }
    }
}
