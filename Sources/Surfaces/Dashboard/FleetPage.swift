import AuditReport
import Overview
import Vocabulary

/// The fleet at a glance.
struct FleetPage {
    let fleet: FleetOverview
    /// The newest first.
    let decisions: [Decision]
    let visitor: Visitor

    func html(notice: String?) -> String {
        let content: Markup = """
            <h1>Fleet \(fleet.fleet)</h1>
            \(Piece.live("totals", totals))\(Piece.section("Tasks", "tasks", tasks))\(Piece.section("Nodes", "nodes", nodes))
            <div class="pair">\(Piece.section("Store", "store", store))\(Piece.section("Policies", "policies", policies))</div>
            \(Piece.section("Newest decisions", "decisions", newest))
            """
        return Frame(title: "Fleet \(fleet.fleet)", at: fleet.at, visitor: visitor, notice: notice).page(content)
    }

    private var totals: Markup {
        let totals = fleet.totals
        let money =
            totals.moneyAtRisk.isEmpty ? "none" : totals.moneyAtRisk.map { Words.money(Money($0.amount, $0.currency)) }.joined(separator: ", ")
        let away = totals.nodes - totals.trustedNodes
        return Piece.tiles([
            Piece.tile(
                "Tasks running", Piece.value("totals.runningTasks", totals.runningTasks, "\(totals.runningTasks)"),
                "of \(Piece.value("totals.liveTasks", totals.liveTasks, "\(totals.liveTasks)")) that live, \(Piece.value("totals.finishedTasks", totals.finishedTasks, "\(totals.finishedTasks)")) finished"
            ),
            Piece.tile(
                "Deadlines at risk", Piece.value("totals.tasksAtRisk", totals.tasksAtRisk, "\(totals.tasksAtRisk)"),
                "less sure than was asked for", tone: totals.tasksAtRisk > 0 ? "bad" : ""),
            Piece.tile("Money at risk", "\(money)", "penalties to be expected"),
            Piece.tile(
                "Work exposed", Piece.value("totals.exposedSeconds", totals.exposedSeconds.rawValue, Piece.whole(totals.exposedSeconds)),
                "lost if all failed now"),
            Piece.tile(
                "Nodes trusted",
                "\(Piece.value("totals.trustedNodes", totals.trustedNodes, "\(totals.trustedNodes)")) <span class=\"of\">of \(totals.nodes)</span>",
                "\(totals.lostNodes == 0 ? away == 0 ? "all are heard" : "\(away) not trusted" : "\(totals.lostNodes) lost")",
                tone: totals.lostNodes > 0 ? "bad" : ""),
            Piece.tile(
                "Checkpoints in the store", Piece.value("totals.checkpoints", totals.checkpoints, "\(totals.checkpoints)"),
                "\(Words.bytes(totals.checkpointBytes)) sent for them"),
        ])
    }

    private var tasks: Markup {
        var table = MarkupTable(
            columns: [
                .init(title: "Task"), .init(title: "State"), .init(title: "Progress"), .init(title: "Deadline"), .init(title: "P(deadline met)"),
                .init(title: "Money at risk", isNumber: true), .init(title: "Exposed", isNumber: true),
                .init(title: "Checkpoint every", isNumber: true),
                .init(title: "Saved", isNumber: true),
            ], emptiness: "None was submitted yet: cairn task submit FILE does it.", hasSentences: true)
        table.rows = fleet.tasks.map { row($0) }
        let left = fleet.totals.tasks - fleet.tasks.count
        return table.markup + (left > 0 ? "<p class=\"quiet\">And \(Words.count(left, "task")) more: cairn task list shows all.</p>" : .none)
    }

    private func row(_ task: TaskBrief) -> [Markup] {
        let key = "tasks.\(task.task)."
        var (money, exposed): (Markup, Markup) = ("-", "-")
        if let amount = task.moneyAtRisk, let currency = task.currency {
            money = Piece.value(key + "moneyAtRisk", amount, Words.money(Money(amount, currency)))
        }
        if let seconds = task.exposedSeconds { exposed = Piece.value(key + "exposedSeconds", seconds.rawValue, Piece.whole(seconds)) }
        var place = Markup.none
        if let node = task.node { place = "<span class=\"quiet under\">on \(Piece.value(key + "node", node, node.rawValue))</span>" }
        let interval: String = task.isLive ? task.intervalSeconds.map { Words.duration($0) } ?? "never" : "-"
        let saved: String? = task.isCheckpointing ? "one under way" : task.newestCheckpointAt.map { Piece.ago($0, fleet.at) }
        return [
            Piece.link(to: task.task) + Piece.under("prefers \(task.preference)"),
            Piece.value(key + "state", task.state, markup: Piece.state(task.state)) + place,
            Piece.metered(
                Piece.value(key + "progress", task.progress, Words.share(task.progress)),
                Piece.bar(task.progress, tone: "accent", "\(Words.share(task.progress)) done")),
            Self.deadline(task), Self.probability(task, key), money, exposed, "\(interval)",
            Piece.value(key + "checkpoints", task.checkpoints, "\(task.checkpoints)") + Piece.under(saved),
        ]
    }

    private static func deadline(_ task: TaskBrief) -> Markup {
        guard let deadline = task.deadline else { return "none" }
        if task.state == "finished", let ended = task.endedAt {
            let early = deadline.time - ended.time
            return early >= .zero ? "\(Piece.whole(early)) early" : "<strong class=\"badtext\">\(Piece.whole(.zero - early)) late</strong>"
        }
        guard let left = task.timeToDeadlineSeconds else { return "-" }
        if left > .zero { return "in \(Piece.whole(left))" }
        return "<strong class=\"badtext\">\(Piece.whole(.zero - left)) past</strong>"
    }

    static func probability(_ task: TaskBrief, _ key: String) -> Markup {
        guard let met = task.probabilityMet else { return task.isLive && task.deadline != nil ? "not known yet" : "-" }
        let wanted = task.deadlineConfidence?.rawValue
        let words = "the deadline is met with a probability of \(Words.share(met.rawValue))"
        return Piece.metered(
            Piece.value(key + "probabilityMet", met.rawValue, Words.share(met.rawValue)),
            Piece.bar(
                met.rawValue, tone: task.isAtRisk ? "broken" : "kept", marks: wanted.map { [$0] } ?? [],
                words + (wanted.map { ", \(Words.share($0)) wanted" } ?? "")))
    }

    private var nodes: Markup {
        let scale = fleet.lostPhi
        var table = MarkupTable(
            columns: [
                .init(title: "Node"), .init(title: "Standing"), .init(title: "Suspicion φ"), .init(title: "Failures an hour", isNumber: true),
                .init(title: "MTBF", isNumber: true), .init(title: "Checkpoint every", isNumber: true), .init(title: "Tasks", isNumber: true),
                .init(title: "Hypervisor"), .init(title: "Actions"),
            ], hasSentences: true)
        table.rows = fleet.nodes.map { node -> [Markup] in
            let key = "nodes.\(node.node)."
            let suspicion = node.phi >= 300 ? "over 300" : Words.fixed(node.phi, node.phi < 100 ? 2 : 0)
            let tone = node.phi >= scale ? "broken" : node.phi >= fleet.suspectPhi ? "open" : "kept"
            let meter = Piece.bar(
                node.phi / scale, tone: tone, marks: [fleet.suspectPhi / scale],
                "suspicion \(suspicion): watched from \(Words.significant(fleet.suspectPhi, 2)), lost from \(Words.significant(scale, 2))")
            let range = "\(Words.significant(node.failuresLowPerHour, 2)) to \(Words.significant(node.failuresHighPerHour, 2))"
            var mtbf: Markup = "none expected"
            if let seconds = node.mtbfSeconds { mtbf = Piece.value(key + "mtbfSeconds", seconds.rawValue, Words.duration(seconds)) }
            let busy: Markup = "\(node.tasks.count) <span class=\"of\">of \(node.capacity)</span>"
            let end = Piece.action("End drain", Piece.address("nodes", node.node.rawValue, "undrain"))
            let begin = Piece.action("Drain", Piece.address("nodes", node.node.rawValue, "drain"))
            return [
                "<strong>\(node.node)</strong>" + Piece.under("class \(node.nodeClass)"),
                Piece.value(key + "standing", node.standing.rawValue, markup: Self.standing(node))
                    + Piece.under(node.drainAskedBy.map { "drained by \($0)" }),
                Piece.metered(Piece.value(key + "phi", node.phi, suspicion), meter),
                Piece.value(key + "failuresPerHour", node.failuresPerHour, Words.significant(node.failuresPerHour, 3)) + Piece.under(range),
                mtbf, "\(Self.interval(node))",
                busy + Piece.under(node.failures > 0 ? "lost \(Words.count(node.failures, "time"))" : nil),
                "\(node.hypervisor ?? "not heard yet")" + Piece.under(node.acceleration?.rawValue),
                visitor.mayOperate ? (node.isDraining ? end : begin) : "-",
            ]
        }
        return table.markup
    }

    private static func standing(_ node: NodeOverview) -> Markup {
        let tone =
            switch node.standing {
            case .trusted: "kept"
            case .suspected: "notObserved"
            case .lost: "broken"
            case .unknown: "neutral"
            }
        let badge = Piece.badge(node.standing.rawValue + (node.isFenced ? ", fenced" : ""), tone)
        return node.isDraining ? "\(badge) \(Piece.badge("draining", "notObserved"))" : badge
    }

    private static func interval(_ node: NodeOverview) -> String {
        guard let shortest = node.shortestIntervalSeconds, let longest = node.longestIntervalSeconds else {
            return node.tasks.isEmpty ? "-" : "never"
        }
        return shortest == longest ? Words.duration(shortest) : "\(Words.duration(shortest)) to \(Words.duration(longest))"
    }

    private var store: Markup {
        let store = fleet.store
        let tone =
            switch store.standing {
            case .healthy: "kept"
            case .degraded: "notObserved"
            case .unreachable: "broken"
            case .unknown: "neutral"
            }
        var facts: [(String, Markup)] = [
            ("Health", "\(Piece.badge(store.standing.rawValue, tone))"), ("Kind", "\(store.kind)"),
        ]
        if let detail = store.detail { facts.append(("Trouble", "\(detail)")) }
        if let hosts = store.liveHosts { facts.append(("Hosts", "\(hosts)")) }
        if let free = store.freeBytes { facts.append(("Free", Piece.value("store.freeBytes", free.rawValue, Words.bytes(free)))) }
        facts.append(("Heartbeat", "every \(Words.duration(fleet.heartbeatSeconds))"))
        facts.append(("Manager", "\(fleet.version), started \(Words.moment(fleet.startedAt.time))"))
        return Self.list(facts)
    }

    static func list(_ facts: [(String, Markup)]) -> Markup {
        "<dl class=\"facts\">\(facts.map { "<dt>\($0)</dt><dd>\($1)</dd>\n" as Markup })</dl>\n"
    }

    private var policies: Markup {
        var table = MarkupTable(
            columns: [.init(title: "Policy"), .init(title: "Mode"), .init(title: "Strategy"), .init(title: "Interval"), .init(title: "Actions")],
            emptiness: "None is loaded.", hasSentences: true)
        table.rows = fleet.policies.map { policy -> [Markup] in
            let name = policy.version.name
            let action: Markup =
                !visitor.mayOperate
                ? "-"
                : policy.modeSetBy != nil
                    ? Piece.action("As its file says", Piece.address("policies", name, "mode", "declared"))
                    : policy.mode == .enforce
                        ? Piece.action("Switch to Audit", Piece.address("policies", name, "mode", "Audit"), isGrave: true)
                        : Piece.action("Switch to Enforce", Piece.address("policies", name, "mode", "Enforce"), isGrave: true)
            return [
                "<strong>\(name)</strong>" + Piece.under(Words.short(policy.version)),
                Piece.badge(policy.mode.rawValue, policy.mode == .enforce ? "kept" : "notObserved")
                    + Piece.under(policy.modeSetBy.map { "set by \($0); its file says \(policy.declaredMode.rawValue)" }),
                "\(policy.strategy)" + Piece.under(policy.rules.isEmpty ? nil : Words.count(policy.rules.count, "rule")),
                "\(Words.duration(policy.floorSeconds)) to \(Words.duration(policy.ceilingSeconds))", action,
            ]
        }
        return table.markup
    }

    private var newest: Markup {
        guard !decisions.isEmpty else { return "<p class=\"quiet\">None yet.</p>" }
        let rows = decisions.map { decision -> Markup in
            let tag: Markup = decision.mode == .audit ? " <span class=\"tag\">Audit: not acted on</span>" : .none
            return """
                <li><span class="when">\(Words.moment(decision.at).dropFirst(11))</span> \(Piece.link(to: decision.id)) <span>\(decision.sentence)\(tag)</span></li>

                """
        }
        return "<ol class=\"news\">\(rows)</ol>\n"
    }
}
