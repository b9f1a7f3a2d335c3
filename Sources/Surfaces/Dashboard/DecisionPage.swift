import AuditReport
import Vocabulary

/// One decision: its sentence, its reasons, what else could have been, and what came of it.
struct DecisionPage {
    let explanation: Explanation
    let visitor: Visitor

    private var decision: DecisionReport { explanation.decision }

    func html() -> String {
        let about: Markup = decision.task.map { " › \(Piece.link(to: $0))" } ?? .none
        let content: Markup = """
            <p class="crumbs"><a href="/">Fleet</a>\(about)</p>
            <h1>Decision \(decision.decision)</h1>
            <p class="lead">\(decision.sentence)</p>
            <p>\(Self.tags(decision))</p>
            \(part("Why", reasons))\(part("What could have been", decision.alternativeTable))\(part("What came of it", decision.outcomeTable))\
            \(part("What it was made from", decision.inputTable))\(part("What was to be done", decision.stepList))\(part("Made under", versions))
            """
        return Frame(title: "Decision \(decision.decision)", visitor: visitor).page(content)
    }

    private func part(_ title: String, _ content: Markup) -> Markup {
        content.text.isEmpty ? .none : "<section><h2>\(title)</h2>\n\(content)</section>\n"
    }

    private var reasons: Markup {
        explanation.why.isEmpty ? .none : "<ul class=\"reasons\">\(explanation.why.map { "<li>\($0)</li>\n" as Markup })</ul>\n"
    }

    private var versions: Markup {
        var facts: [(String, Markup)] = [("When", "\(Words.moment(decision.at.time))"), ("Models", "version \(decision.models)")]
        if let sla = decision.sla { facts.append(("SLA", "<code>\(Words.short(sla))</code>")) }
        if let policy = decision.policy { facts.append(("Policy", "<code>\(Words.short(policy))</code>")) }
        if let prices = explanation.prices {
            facts.append(
                (
                    "Prices",
                    "\(prices.preference): \(Words.cost(prices.timePerHour)) \(prices.currency) an hour, \(Words.cost(prices.networkPerGiB)) \(prices.currency) a GiB sent"
                ))
        }
        return FleetPage.list(facts)
    }

    static func tags(_ decision: DecisionReport) -> Markup {
        var tags: [Markup] = ["<span class=\"tag\">\(decision.kind.rawValue)</span> "]
        if decision.mode == .audit { tags.append("<span class=\"tag\">Audit: not acted on</span> ") }
        if let binding = decision.binding { tags.append("<span class=\"tag\">bound by \(binding)</span> ") }
        for rule in decision.rules { tags.append("<span class=\"tag\">rule \(rule)</span> ") }
        return "\(tags)"
    }

    /// In a list: the sentence, and folded below it what it rests on.
    static func card(_ explanation: Explanation, since start: Timestamp) -> Markup {
        let decision = explanation.decision
        let folded: [String] = [
            explanation.why.isEmpty ? nil : "why", decision.alternatives.isEmpty ? nil : Words.count(decision.alternatives.count, "alternative"),
            decision.outcomes.isEmpty ? nil : Words.count(decision.outcomes.count, "outcome"),
        ].compactMap { $0 }
        let details: Markup =
            folded.isEmpty
            ? .none
            : """
            <details id="\(decision.decision)"><summary>\(folded.joined(separator: ", "))</summary>\
            <ul class="reasons">\(explanation.why.map { "<li>\($0)</li>\n" as Markup })</ul>\(decision.alternativeTable)\(decision.outcomeTable)</details>
            """
        return """
            <article class="decision"><p class="decision-head"><span class="when">\(Words.offset(decision.at.time - start))</span> \(Piece.link(to: decision.decision)) \(tags(decision))</p>
            <p>\(decision.sentence)</p>\(details)</article>

            """
    }
}
