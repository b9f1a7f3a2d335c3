import Vocabulary

extension Explanation {
    /// For the terminal.
    /// - Parameter width: columns, at least 40.
    package func text(width: Int = 80) -> String {
        var page = TextPage(width: width)
        page.heading("Decision \(decision.decision) (\(decision.kind.rawValue))", Words.moment(decision.at.time))
        page.rule("=")
        page.paragraph(decision.sentence)
        page.blank()
        if let task = decision.task { page.entry("task", task.rawValue) }
        if let node = decision.node { page.entry("node", node.rawValue) }
        page.entry("mode", decision.mode.rawValue)
        if let sla = decision.sla { page.entry("SLA", Words.short(sla)) }
        if let policy = decision.policy { page.entry("policy", Words.short(policy)) }
        page.entry("models", decision.models)
        if !why.isEmpty {
            page.blank()
            page.paragraph("Why")
            for sentence in why { page.paragraph("- " + sentence, indent: 2, hanging: 2) }
        }
        if let prices {
            page.blank()
            page.paragraph("Prices in force")
            page.paragraph(prices.words, indent: 2, hanging: 2)
        }
        writeAlternatives(decision, prices, to: &page)
        writeWhatIf(to: &page)
        writeInputs(to: &page)
        writeOutcomes(to: &page)
        if !decision.steps.isEmpty {
            page.blank()
            page.paragraph("Steps")
            for step in decision.steps { page.paragraph("- " + step, indent: 2, hanging: 2) }
        }
        if let comparison { write(comparison, to: &page) }
        return page.text
    }

    private func writeAlternatives(_ decision: DecisionReport, _ prices: PricesInForce?, to page: inout TextPage) {
        guard !decision.alternatives.isEmpty else { return }
        page.blank()
        page.paragraph("Alternatives, expected cost" + (prices.map { " in \($0.currency)" } ?? "") + " by term (* chosen)")
        page.table(
            [
                .init(title: ""), .init(title: "all", isRight: true), .init(title: "time", isRight: true), .init(title: "network", isRight: true),
                .init(title: "storage", isRight: true), .init(title: "penalty", isRight: true), .init(title: "alternative", takesRest: true),
            ],
            decision.alternatives.map { alternative in
                var name = alternative.name
                if let met = alternative.probabilityMet { name += ", P(deadline) \(Words.share(met.rawValue))" }
                if !alternative.violations.isEmpty { name += "; breaks " + alternative.violations.joined(separator: "; ") }
                return [
                    alternative.isChosen ? "*" : " ", Words.cost(alternative.totalCost), Words.cost(alternative.timeCost),
                    Words.cost(alternative.networkCost),
                    Words.cost(alternative.storageCost), Words.cost(alternative.penaltyCost), name,
                ]
            })
    }

    private func writeWhatIf(to page: inout TextPage) {
        guard let whatIf else { return }
        page.blank()
        page.paragraph("What would have changed it")
        if whatIf.isEmpty { page.paragraph("No single number would have, within ten thousand times more or less.", indent: 2) }
        for other in whatIf { page.paragraph("- " + other.sentence, indent: 2, hanging: 2) }
    }

    private func writeInputs(to page: inout TextPage) {
        guard !decision.inputs.isEmpty else { return }
        page.blank()
        page.paragraph("Inputs")
        page.table(
            [.init(title: "name"), .init(title: "value", isRight: true), .init(title: "± standard error", isRight: true)],
            decision.inputs.map { [$0.name, Words.quantity($0.name, $0.value), self.error($0)] })
    }

    private func error(_ input: DecisionInput) -> String { input.standardError.map { Words.quantity(input.name, $0) } ?? "-" }

    private func writeOutcomes(to page: inout TextPage) {
        page.blank()
        page.paragraph("What came of it")
        guard !decision.outcomes.isEmpty else {
            page.paragraph("Nothing was observed yet.", indent: 2)
            return
        }
        page.table(
            [
                .init(title: "quantity"), .init(title: "predicted", isRight: true), .init(title: "observed", isRight: true),
                .init(title: "after", isRight: true),
            ],
            decision.outcomes.map {
                [
                    $0.quantity, $0.predicted.map { [quantity = $0.quantity] in Words.quantity(quantity, $0) } ?? "-",
                    Words.quantity($0.quantity, $0.observed),
                    Words.duration(span(decision.at.time, $0.at.time)),
                ]
            })
    }

    private func write(_ comparison: Comparison, to page: inout TextPage) {
        let other = comparison.decision
        page.blank()
        page.heading("Compared with \(other.decision)" + (other.task.map { " (\($0))" } ?? ""), Words.moment(other.at.time))
        page.rule("-")
        page.paragraph(other.sentence)
        page.blank()
        for sentence in comparison.sentences { page.paragraph("- " + sentence, indent: 2, hanging: 2) }
        if let prices, let those = comparison.prices, prices.prices != those.prices {
            page.blank()
            page.table(
                [
                    .init(title: "price in \(prices.currency)"), .init(title: prices.preference, isRight: true),
                    .init(title: those.preference, isRight: true),
                ],
                [
                    ["an hour of time", Words.cost(prices.timePerHour), Words.cost(those.timePerHour)],
                    ["a GiB sent", Words.cost(prices.networkPerGiB), Words.cost(those.networkPerGiB)],
                    ["a GiB kept for an hour", Words.cost(prices.storagePerGiBHour), Words.cost(those.storagePerGiBHour)],
                ])
        }
        if let repriced = comparison.hereWithThosePrices {
            page.blank()
            page.paragraph("This decision's alternatives at both prices (> the cheapest that keeps all limits)")
            page.table(
                [
                    .init(title: prices?.preference ?? "here", isRight: true), .init(title: repriced.preference, isRight: true),
                    .init(title: "alternative", takesRest: true),
                ],
                zip(decision.alternatives, repriced.totals).map { actual, then in
                    let name = actual.name + (then.isAllowed ? "" : " (breaks a limit)")
                    return [
                        (actual.isChosen ? "> " : "") + Words.cost(actual.totalCost),
                        (then.name == repriced.wouldChoose ? "> " : "") + Words.cost(then.totalCost), name,
                    ]
                })
        }
        writeAlternatives(other, comparison.prices, to: &page)
    }
}
