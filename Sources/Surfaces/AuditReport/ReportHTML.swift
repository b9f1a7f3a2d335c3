import Ports
import Vocabulary

extension Report {
    /// One file that needs nothing else: no script, no address outside.
    package func html() -> String {
        let title = tasks.count == 1 ? "Audit report: \(tasks[0].task)" : "Audit report"
        let plots = tasks.count > 1 ? FleetPlots(report: self).markup : .none
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta name="color-scheme" content="light dark"/>
            <title>\(title)</title>
            <style>\(ReportStyle.sheet)</style>
            </head>
            <body>
            <header>
            <h1>\(title)</h1>
            \(timeSpan)
            </header>
            <main>
            \(overview)\(plots)\(tasks.enumerated().map { $1.section($0, generatedAt.time) })\(fleet)
            </main>
            <footer>\(proven)<p>Made from the ledger by <code>cairn audit report</code>. Times are UTC. What was not observed is not claimed.</p></footer>
            </body>
            </html>

            """
        return page.text
    }

    private var proven: Markup {
        guard let proof else { return .none }
        let rows = proof.words.map { "<dt>\($0)</dt><dd><code>\($1)</code></dd>\n" as Markup }
        return """
            <section class="proof"><h2>Proof</h2>
            <p>This report was made from the ledger as it was at this head. <code>cairn audit verify</code> tells whether anything up to there \
            was changed since; the head, kept with this report, also tells if the ledger's end was cut off.</p>
            <dl>\(rows)</dl></section>

            """
    }

    private var timeSpan: Markup {
        guard let from, let to else {
            return "<p class=\"quiet\">Made \(Words.moment(generatedAt.time)). The ledger is empty: nothing happened that could be reported.</p>"
        }
        return """
            <p class="quiet">\(Words.moment(from.time)) to \(Words.moment(to.time)). \(Words.count(eventCount, "event")), \(Words.count(decisionCount, "decision")). \
            Made \(Words.moment(generatedAt.time)).\(period.map { " " + $0.words } ?? "")</p>
            """
    }

    private var overview: Markup {
        guard !tasks.isEmpty else { return from == nil ? .none : "<p>No task was submitted.</p>" }
        var table = MarkupTable(columns: [
            .init(title: "Task"), .init(title: "Promises"), .init(title: "State"), .init(title: "Deadline"), .init(title: "Penalty"),
            .init(title: "Checkpoints", isNumber: true), .init(title: "Stopped", isNumber: true), .init(title: "Sent", isNumber: true),
            .init(title: "Failures", isNumber: true), .init(title: "Work lost", isNumber: true),
        ])
        table.rows = tasks.enumerated().map { index, task in
            [
                "<a href=\"#task-\(index)\">\(task.task)</a><br/><span class=\"quiet\">\(task.promised.preference)</span>",
                task.verdict.badge(isTask: true), "\(task.state)",
                "\(task.deadlineWords)", "\(task.owedWords)", "\(task.cost.committedCheckpoints)",
                "\(task.cost.stoppedShare.map(Words.share) ?? "-")", "\(Words.bytes(task.cost.sentBytes))", "\(task.failures.count)",
                "\(Words.duration(task.cost.lostWorkSeconds))",
            ]
        }
        let sums: Markup = tasks.count > 1 ? "<dl>\(totals.words.map { "<dt>\($0)</dt><dd>\($1)</dd>\n" as Markup })</dl>\n" : .none
        return "<section><h2>All tasks</h2>\(table.markup)\(sums)</section>\n"
    }

    private var fleet: Markup {
        var machines = MarkupTable(columns: [
            .init(title: "Node"), .init(title: "Standing"), .init(title: "Losses", isNumber: true), .init(title: "Seen alive", isNumber: true),
            .init(title: "Hypervisor"),
        ])
        machines.rows = nodes.map {
            ["\($0.node)", "\($0.standing.rawValue)", "\($0.failures)", "\(Words.duration($0.exposureSeconds))", "\($0.hypervisor ?? "unknown")"]
        }
        var troubles = MarkupTable(columns: [.init(title: "When"), .init(title: "What")], hasSentences: true)
        troubles.rows = incidents.suffix(200).map { ["<span class=\"when\">\(Words.moment($0.at.time))</span>", "\($0.sentence)"] }
        var prices = MarkupTable(columns: [
            .init(title: "Policy"), .init(title: "Preference"), .init(title: "An hour", isNumber: true), .init(title: "A GiB sent", isNumber: true),
            .init(title: "A GiB kept an hour", isNumber: true),
        ])
        for policy in policies {
            for (name, price) in policy.preferences.sorted(by: { $0.key < $1.key }) {
                prices.rows.append([
                    "<code>\(Words.short(policy.version))</code>", "\(name)", "\(Words.cost(price.timePerHour)) \(policy.currency)",
                    "\(Words.cost(price.networkPerGiB)) \(policy.currency)", "\(Words.cost(price.storagePerGiBHour)) \(policy.currency)",
                ])
            }
        }
        func section(_ title: String, _ content: Markup) -> Markup {
            content.text.isEmpty ? .none : "<section><h2>\(title)</h2>\(content)</section>\n"
        }
        return section("Nodes", machines.markup) + section("Decisions about nodes", decisionTable(decisions, since: from?.time))
            + section("Calibration of the forecasts", calibration.markup) + section("Prices", prices.markup)
            + section("Incidents", troubles.markup)
    }
}

extension Hindsight.Verdict {
    fileprivate var badge: Markup {
        let kind: Markup =
            switch self {
            case .well: "kept"
            case .badly: "broken"
            case .untested, .open: "notObserved"
            }
        return "<span class=\"badge \(kind)\">\(words)</span>"
    }
}

extension Standing {
    package func badge(isTask: Bool = false) -> Markup {
        let sign = self == .kept ? "✓" : self == .broken ? "✗" : "○"
        return "<span class=\"badge \(rawValue)\">\(sign) \(isTask && self == .notObserved ? "open" : words)</span>"
    }
}

private func predictionTable(_ predictions: [PredictionReport]) -> Markup {
    var table = MarkupTable(columns: [
        .init(title: "Quantity"), .init(title: "Times", isNumber: true), .init(title: "Predicted", isNumber: true),
        .init(title: "Observed", isNumber: true),
        .init(title: "Typical miss", isNumber: true), .init(title: "Observed / predicted", isNumber: true),
    ])
    table.rows = predictions.map {
        [
            "<code>\($0.quantity)</code>", "\($0.count)", "\(Words.quantity($0.quantity, $0.meanPredicted))",
            "\(Words.quantity($0.quantity, $0.meanObserved))",
            "\(Words.quantity($0.quantity, $0.meanAbsoluteError))", "\($0.medianRatio.map { Words.significant($0, 3) } ?? "-")",
        ]
    }
    return table.markup
}

/// Newest decisions that a page shows; all of them are in the JSON and CSV forms.
private let decisionLimit = 300

private func decisionTable(_ decisions: [DecisionReport], since start: Timestamp?) -> Markup {
    var table = MarkupTable(
        columns: [.init(title: "Decision"), .init(title: "When", isNumber: true), .init(title: "What and why")], hasSentences: true)
    table.rows = decisions.suffix(decisionLimit).map { decision in
        let when = start.map { Words.offset(span($0, decision.at.time)) } ?? Words.moment(decision.at.time)
        return [
            "<code>\(decision.decision)</code><br/><span class=\"quiet\">\(decision.kind.rawValue)</span>", "<span class=\"when\">\(when)</span>",
            decision.account,
        ]
    }
    let older = decisions.count - table.rows.count
    return (older > 0 ? "<p class=\"quiet\">The newest \(table.rows.count) of \(decisions.count); the JSON and CSV forms have all.</p>" : .none)
        + table.markup
}

extension DecisionReport {
    /// The sentence, and folded below it all that it rests on.
    fileprivate var account: Markup {
        var notes: [Markup] = []
        if mode == .audit { notes.append("<span class=\"tag\">Audit: not acted on</span>") }
        if let binding { notes.append("<span class=\"tag\">bound by \(binding)</span>") }
        for rule in rules { notes.append("<span class=\"tag\">rule \(rule)</span>") }
        if let hindsight { notes.append("<br/>\(hindsight.verdict.badge) <span class=\"quiet\">\(hindsight.sentence)</span>") }
        guard !alternatives.isEmpty || !inputs.isEmpty || !outcomes.isEmpty || !steps.isEmpty else { return "\(sentence) \(notes)" }
        let summary = [
            alternatives.isEmpty ? nil : Words.count(alternatives.count, "alternative"), inputs.isEmpty ? nil : Words.count(inputs.count, "input"),
            outcomes.isEmpty ? nil : Words.count(outcomes.count, "outcome"), steps.isEmpty ? nil : Words.count(steps.count, "step"),
        ].compactMap { $0 }.joined(separator: ", ")
        return "\(sentence) \(notes)<details><summary>\(summary)</summary>\(alternativeTable)\(inputTable)\(outcomeTable)\(stepList)</details>"
    }

    package var alternativeTable: Markup {
        var table = MarkupTable(columns: [
            .init(title: "Alternative"), .init(title: "Time", isNumber: true), .init(title: "Network", isNumber: true),
            .init(title: "Storage", isNumber: true),
            .init(title: "Penalty", isNumber: true), .init(title: "All", isNumber: true), .init(title: "Takes", isNumber: true),
            .init(title: "Sends", isNumber: true),
            .init(title: "P(deadline)", isNumber: true), .init(title: "Breaks"),
        ])
        table.rows = alternatives.map {
            [
                $0.isChosen ? "<strong>\($0.name)</strong> <span class=\"tag\">chosen</span>" : "\($0.name)", "\(Words.cost($0.timeCost))",
                "\(Words.cost($0.networkCost))", "\(Words.cost($0.storageCost))", "\(Words.cost($0.penaltyCost))",
                "<strong>\(Words.cost($0.totalCost))</strong>",
                "\(Words.duration($0.expectedSeconds))", "\(Words.bytes($0.expectedSentBytes))",
                "\($0.probabilityMet.map { Words.share($0.rawValue) } ?? "-")",
                "\($0.violations.isEmpty ? "-" : $0.violations.joined(separator: "; "))",
            ]
        }
        return table.markup
    }

    package var inputTable: Markup {
        var table = MarkupTable(columns: [
            .init(title: "Input"), .init(title: "Value", isNumber: true), .init(title: "± standard error", isNumber: true),
        ])
        table.rows = inputs.map { input in
            [
                "<code>\(input.name)</code>", "\(Words.quantity(input.name, input.value))",
                "\(input.standardError.map { Words.quantity(input.name, $0) } ?? "-")",
            ]
        }
        return table.markup
    }

    package var outcomeTable: Markup {
        var table = MarkupTable(columns: [
            .init(title: "What came of it"), .init(title: "Predicted", isNumber: true), .init(title: "Observed", isNumber: true),
        ])
        table.rows = outcomes.map { outcome in
            [
                "<code>\(outcome.quantity)</code>", "\(outcome.predicted.map { Words.quantity(outcome.quantity, $0) } ?? "-")",
                "\(Words.quantity(outcome.quantity, outcome.observed))",
            ]
        }
        return table.markup
    }

    package var stepList: Markup { steps.isEmpty ? .none : "<ul>\(steps.map { "<li>\($0)</li>" as Markup })</ul>" }
}

extension TaskReport {
    fileprivate var deadlineWords: String {
        guard promised.deadline != nil else { return "none" }
        guard let late = happened.latenessSeconds else { return state == "cancelled" ? "not observed" : "not yet" }
        return late > .zero ? "\(Words.duration(late)) late" : "\(Words.duration(.zero - late)) early"
    }

    fileprivate var owedWords: String {
        guard let owed = happened.penaltyOwed, let currency = promised.penaltyCurrency else { return "-" }
        return Words.money(Money(owed, currency)) + (happened.penaltyIsFinal == true ? "" : " so far")
    }

    fileprivate func section(_ anchor: Int, _ generatedAt: Timestamp) -> Markup {
        """
        <section class="task" id="task-\(anchor)">
        <h2>\(task) \(verdict.badge(isTask: true))</h2>
        <p class="lead">\(sentence)</p>
        \(facts)<h3>Promises</h3>
        \(promiseTable)\(Timeline(task: self, generatedAt: generatedAt).markup)\(part("What it cost", costList))\(part("Failures and resumptions", failureList))\
        \(part("Checkpoints", checkpointTable))\(part("Predicted and observed", predictionTable(predictions)))\
        \(part("Decisions", hindsights + decisionTable(decisions, since: happened.submittedAt.time)))
        </section>

        """
    }

    private var hindsights: Markup {
        let totals = Totals.hindsights(decisions)
        return totals.isEmpty ? .none : "<p>\(totals.map(\.words).joined(separator: "; ")).</p>\n"
    }

    private func part(_ title: String, _ content: Markup) -> Markup { content.text.isEmpty ? .none : "<h3>\(title)</h3>\n\(content)" }

    private var facts: Markup {
        let prices =
            promised.prices.map {
                ", \(Words.cost($0.timePerHour)) \(promised.currency ?? "") an hour, \(Words.cost($0.networkPerGiB)) \(promised.currency ?? "") a GiB sent"
            } ?? ""
        var rows: [(String, Markup)] = [
            ("State", "\(outline)"), ("Result", happened.result.map { "<code>\($0)</code>" } ?? "none"),
            ("Declared", "<code>\(Words.short(promised.sla))</code>, policy \(promised.policy), \(Words.duration(promised.workSeconds)) of work"),
            ("Preference", "\(promised.preference)\(prices)"),
        ]
        if let penaltyWords { rows.append(("Penalty", "\(penaltyWords)")) }
        return "<dl>\(rows.map { "<dt>\($0)</dt><dd>\($1)</dd>\n" as Markup })</dl>\n"
    }

    package var promiseTable: Markup {
        var table = MarkupTable(
            columns: [
                .init(title: "Promise"), .init(title: "Limit", isNumber: true), .init(title: "Observed", isNumber: true), .init(title: "Standing"),
                .init(title: "In words"),
            ],
            emptiness: "None: the SLA has no deadline and no limits.", hasSentences: true)
        table.rows = promises.map {
            ["\(PromiseJudge.title($0.name))", "\($0.limitWords)", "\($0.observedWords)", $0.standing.badge(), "\($0.sentence)"]
        }
        return table.markup
    }

    package var costList: Markup { "<dl>\(costWords.map { "<dt>\($0)</dt><dd>\($1)</dd>\n" as Markup })</dl>\n" }

    package var failureList: Markup {
        guard !failures.isEmpty else { return .none }
        let start = happened.submittedAt.time
        return
            "<ul class=\"failures\">\(failures.map { "<li><span class=\"when\">\(Words.offset(span(start, $0.at.time)))</span> \($0.words)</li>\n" as Markup })</ul>\n"
    }

    private var checkpointTable: Markup {
        var table = MarkupTable(
            columns: [
                .init(title: "Checkpoint"), .init(title: "Captured", isNumber: true), .init(title: "Done", isNumber: true),
                .init(title: "Stopped", isNumber: true),
                .init(title: "Until safe", isNumber: true), .init(title: "Upload", isNumber: true), .init(title: "Memory", isNumber: true),
                .init(title: "Disk", isNumber: true), .init(title: "Sent", isNumber: true), .init(title: "Codec"), .init(title: "Status"),
            ], emptiness: "None was taken.")
        let start = happened.submittedAt.time
        table.rows = checkpoints.map { made in
            let captured = (made.capturedAt ?? made.startedAt).map { Words.offset(span(start, $0.time)) } ?? "-"
            let status: Markup = made.reason.map { "\(made.statusWords)<br/><span class=\"quiet\">\($0)</span>" } ?? "\(made.statusWords)"
            return [
                "<code>\(made.checkpoint)</code><br/><span class=\"quiet\">\(made.node?.rawValue ?? "")</span>",
                "<span class=\"when\">\(captured)</span>",
                "\(made.progress.map(Words.share) ?? "-")", "\(made.stopSeconds.map(Words.duration) ?? "-")",
                "\(made.latencySeconds.map(Words.duration) ?? "-")",
                "\(made.uploadSeconds.map(Words.duration) ?? "-")", "\(made.memoryBytes.map { Words.bytes($0) } ?? "-")",
                "\(made.diskBytes.map { Words.bytes($0) } ?? "-")", "\(made.sentBytes.map { Words.bytes($0) } ?? "-")", "\(made.codecWords)", status,
            ]
        }
        return table.markup
    }
}
