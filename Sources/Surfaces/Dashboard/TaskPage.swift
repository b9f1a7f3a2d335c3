import AuditReport
import Overview
import Vocabulary

/// One task, live.
struct TaskPage {
    let task: TaskOverview
    /// The newest first, with their reasons.
    let decisions: [Explanation]
    let visitor: Visitor
    /// The visitor, on this task.
    let mayAct: Bool

    private var brief: TaskBrief { task.brief }
    private var report: TaskReport { task.report }

    func html(notice: String?) -> String {
        let content: Markup = """
            <p class="crumbs"><a href="/">Fleet</a></p>
            <div class="heading"><h1>\(brief.task)</h1>\(actions)</div>
            \(Piece.live("state", state))\(Piece.live("figures", figures))\(Piece.live("timeline", Timeline(task: report, generatedAt: now, forecast: forecast).markup))
            \(Piece.section("Promises", "promises", report.promiseTable))\(Piece.section("Checkpoints", "checkpoints", checkpoints))\
            \(Piece.section("Failures and resumptions", "failures", failures))\(Piece.section("What it cost", "cost", report.costList))\
            \(Piece.section("Decisions", "decisions", decided))
            """
        return Frame(title: "\(brief.task)", at: task.at, visitor: visitor, notice: notice).page(content)
    }

    /// The picture ends where the newest report ends.
    private var now: Timestamp { report.happened.submittedAt.time + report.happened.elapsedSeconds }

    private var forecast: Timeline.Forecast? {
        task.forecast.map {
            Timeline.Forecast(
                progress: brief.progress, early: ($0.p10Finish ?? $0.medianFinish).time, median: $0.medianFinish.time, late: $0.p99Finish.time)
        }
    }

    private var actions: Markup {
        guard mayAct else { return .none }
        var actions: [Markup] = []
        if brief.state == "running" { actions.append(Piece.action("Checkpoint now", Piece.address("tasks", brief.task.rawValue, "checkpoint"))) }
        if brief.isLive { actions.append(Piece.action("Cancel task", Piece.address("tasks", brief.task.rawValue, "cancel"), isGrave: true)) }
        return Piece.live("actions", "\(actions)")
    }

    private var state: Markup {
        "<p class=\"lead\">\(Piece.state(brief.state)) \(report.verdict.badge(isTask: true)) \(report.sentence)</p>\n"
    }

    private var figures: Markup {
        var tiles: [Markup] = [
            Piece.tile(
                "Progress", Piece.value("progress", brief.progress, Words.share(brief.progress)),
                "\(Piece.bar(brief.progress, tone: "accent", "\(Words.share(brief.progress)) done"))")
        ]
        if let left = brief.timeToDeadlineSeconds {
            tiles.append(
                Piece.tile(
                    left > .zero ? "Deadline in" : "Deadline passed", "\(Piece.whole(left > .zero ? left : .zero - left))",
                    "\(brief.deadline.map { Words.moment($0.time) } ?? "")", tone: left > .zero ? "" : "bad"))
        }
        if let met = brief.probabilityMet {
            tiles.append(
                Piece.tile(
                    "P(deadline met)", Piece.value("probabilityMet", met.rawValue, Words.share(met.rawValue)),
                    "\(brief.deadlineConfidence.map { "\(Words.share($0.rawValue)) wanted" } ?? "")", tone: brief.isAtRisk ? "bad" : ""))
        }
        if let forecast = task.forecast {
            tiles.append(
                Piece.tile(
                    "Expected finish", "\(Words.moment(forecast.expectedFinish.time).dropFirst(11))",
                    "± \(Words.duration(forecast.standardDeviationSeconds))"))
        }
        if let money = brief.moneyAtRisk, let currency = brief.currency {
            tiles.append(
                Piece.tile("Money at risk", Piece.value("moneyAtRisk", money, Words.money(Money(money, currency))), "penalty to be expected"))
        }
        if let exposed = brief.exposedSeconds {
            tiles.append(
                Piece.tile("Work exposed", Piece.value("exposedSeconds", exposed.rawValue, Piece.whole(exposed)), "lost if it failed now"))
        }
        if brief.isLive {
            let decision: Markup = brief.scheduleDecision.map { "decided in \(Piece.link(to: $0))" } ?? .none
            tiles.append(Piece.tile("Checkpoint every", "\(brief.intervalSeconds.map { Words.duration($0) } ?? "never")", decision))
        }
        if let node = brief.node { tiles.append(Piece.tile("Node", "\(node)", "epoch \(brief.epoch)")) }
        if let result = brief.result { tiles.append(Piece.tile("Result", "<code>\(result.prefix(16))</code>", "of the guest")) }
        if let reason = brief.reason { tiles.append(Piece.tile("Given up", "<span class=\"text\">\(reason)</span>", tone: "bad")) }
        return Piece.tiles(tiles)
    }

    private var checkpoints: Markup {
        var table = MarkupTable(
            columns: [
                .init(title: "Checkpoint"), .init(title: "Captured", isNumber: true), .init(title: "Done", isNumber: true),
                .init(title: "Stopped", isNumber: true), .init(title: "Compress", isNumber: true), .init(title: "Upload", isNumber: true),
                .init(title: "Memory", isNumber: true), .init(title: "Disk layers", isNumber: true), .init(title: "Sent", isNumber: true),
                .init(title: "Codec, copies"), .init(title: "Verified"), .init(title: "Status"),
            ], emptiness: "None was taken yet.", hasSentences: true)
        let stored = Dictionary(task.stored.map { ($0.checkpoint, $0) }, uniquingKeysWith: { first, _ in first })
        table.rows = report.checkpoints.suffix(Self.checkpointLimit).reversed().map { row($0, stored[$0.checkpoint]) }
        let older = report.checkpoints.count - table.rows.count
        return table.markup + (older > 0 ? "<p class=\"quiet\">And \(Words.count(older, "older one")): the audit report has all.</p>" : .none)
    }
    private static let checkpointLimit = 100

    private func row(_ made: CheckpointReport, _ stored: TaskOverview.StoredCheckpoint?) -> [Markup] {
        let start = report.happened.submittedAt.time
        let captured = (made.capturedAt ?? made.startedAt).map { Words.offset($0.time - start) } ?? "-"
        let tone = made.status == .committed ? "kept" : made.status == .pruned ? "neutral" : made.status == .unfinished ? "notObserved" : "broken"
        var layers: Markup = "\(made.diskBytes.map { Words.bytes($0) } ?? "-")"
        if let each = stored?.layerBytes {
            layers = "\(Words.bytes(each.reduce(.zero, +)))" + Piece.under(each.map { Words.bytes($0) }.joined(separator: " + "))
        }
        var verified: Markup = "-"
        if let problems = stored?.problems {
            verified = "<strong class=\"badtext\">\(problems.joined(separator: "; "))</strong>"
        } else if let stored {
            verified = "\(stored.verifiedAt.map { Piece.ago($0, task.at) } ?? "not since its commit")"
        }
        var status = Piece.badge(made.status.rawValue, tone)
        if made.resumptions > 0 { status = "\(status) \(Piece.badge("resumed from", "kept"))" }
        let place = [made.node.map { "on \($0)" }, made.way?.rawValue].compactMap { $0 }.joined(separator: ", ")
        return [
            "<code>\(made.checkpoint)</code>" + Piece.under(place),
            "<span class=\"when\">\(captured)</span>", "\(made.progress.map(Words.share) ?? "-")", "\(made.stopSeconds.map(Words.duration) ?? "-")",
            "\(made.compressSeconds.map(Words.duration) ?? "-")", "\(made.uploadSeconds.map(Words.duration) ?? "-")",
            "\(made.memoryBytes.map { Words.bytes($0) } ?? "-")", layers, "\(made.sentBytes.map { Words.bytes($0) } ?? "-")",
            "\(made.codecWords)", verified, status + Piece.under(made.reason),
        ]
    }

    private var failures: Markup {
        report.failures.isEmpty ? "<p class=\"quiet\">None: it has run undisturbed.</p>\n" : report.failureList
    }

    private var decided: Markup {
        guard !decisions.isEmpty else { return "<p class=\"quiet\">None yet.</p>\n" }
        let older = report.decisions.count - decisions.count
        return "\(decisions.map { DecisionPage.card($0, since: report.happened.submittedAt.time) })"
            + (older > 0 ? "<p class=\"quiet\">And \(Words.count(older, "older one")): cairn decisions --task \(brief.task) shows all.</p>\n" : .none)
    }
}
