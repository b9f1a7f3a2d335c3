import Vocabulary

extension Calibration {
    package func json() -> String { JSONText.of(self) }

    package func text(width: Int) -> String {
        var page = TextPage(width: width)
        page.heading("Predictions and what came of them", Words.moment(generatedAt.time))
        page.rule("=")
        if models.isEmpty { page.paragraph("Nothing that was predicted has been observed yet.") }
        write(to: &page)
        if deadlines == nil { page.paragraph("No task with a deadline has ended yet: nothing is known of how good P(deadline met) is.") }
        return page.text
    }

    private static let legend =
        "Means; ratio: observed over predicted, the median and between which the middle four fifths lie; within two standard errors lie 95 % where they are right."

    /// What there is.
    func write(to page: inout TextPage) {
        if !models.isEmpty {
            page.table(
                [
                    .init(title: "quantity"), .init(title: "n", isRight: true), .init(title: "predicted", isRight: true),
                    .init(title: "observed", isRight: true), .init(title: "ratio", isRight: true), .init(title: "10–90 %", isRight: true),
                    .init(title: "within 2 s.e.", isRight: true),
                ],
                models.map { model in
                    let summary = model.summary
                    return [
                        summary.quantity, String(summary.count), Words.quantity(summary.quantity, summary.meanPredicted),
                        Words.quantity(summary.quantity, summary.meanObserved), model.ratioWords, model.spreadWords, model.errorWords,
                    ]
                })
            page.paragraph(Self.legend, indent: 2)
        }
        page.blank()
        guard let deadlines else { return }
        page.paragraph(deadlines.sentence)
        page.table(
            [
                .init(title: "predicted"), .init(title: "tasks", isRight: true), .init(title: "mean", isRight: true),
                .init(title: "met", isRight: true), .init(title: "95 % interval", isRight: true), .init(title: ""),
            ], deadlines.bins.map(\.words))
        page.paragraph(deadlines.score, indent: 2)
    }

    /// File names and contents, SVG: each quantity observed over predicted, and the reliability diagram.
    package var plots: [(name: String, text: String)] {
        models.map { ("\($0.summary.quantity).svg", PredictionPlot($0).file) }
            + (deadlines.map { [("deadlines.svg", PredictionPlot($0).file)] } ?? [])
    }

    /// For a page: the tables, and the plots below them.
    var markup: Markup {
        var quantities = MarkupTable(columns: [
            .init(title: "Quantity"), .init(title: "Times", isNumber: true), .init(title: "Predicted", isNumber: true),
            .init(title: "Observed", isNumber: true), .init(title: "Typical miss", isNumber: true),
            .init(title: "Observed / predicted", isNumber: true), .init(title: "10–90 %", isNumber: true),
            .init(title: "Within 2 s.e.", isNumber: true),
        ])
        quantities.rows = models.map { model in
            let summary = model.summary
            return [
                "<code>\(summary.quantity)</code>", "\(summary.count)", "\(Words.quantity(summary.quantity, summary.meanPredicted))",
                "\(Words.quantity(summary.quantity, summary.meanObserved))", "\(Words.quantity(summary.quantity, summary.meanAbsoluteError))",
                "\(model.ratioWords)", "\(model.spreadWords)", "\(model.errorWords)",
            ]
        }
        var probabilities = MarkupTable(columns: [
            .init(title: "P(deadline met)"), .init(title: "Tasks", isNumber: true), .init(title: "Mean", isNumber: true),
            .init(title: "Met", isNumber: true), .init(title: "95 % interval", isNumber: true), .init(title: ""),
        ])
        probabilities.rows = (deadlines?.bins ?? []).map { $0.words.map { "\($0)" as Markup } }
        let plots = models.filter { $0.points.count >= 3 }.map { PredictionPlot($0).figure } + (deadlines.map { [PredictionPlot($0).figure] } ?? [])
        func quiet(_ words: String?) -> Markup { words.map { "<p class=\"quiet\">\($0)</p>\n" } ?? .none }
        return """
            \(quantities.markup)\(quiet(models.isEmpty ? nil : Self.legend))\(quiet(deadlines?.sentence))\(probabilities.markup)\(quiet(deadlines?.score))\
            \(plots.isEmpty ? .none : "<div class=\"plots\">\n\(plots)</div>\n" as Markup)
            """
    }
}

extension Calibration.Model {
    fileprivate var ratioWords: String { Self.ratio(summary.medianRatio) }
    fileprivate var spreadWords: String { lowRatio == nil ? "" : "\(Self.ratio(lowRatio))–\(Self.ratio(highRatio))" }
    fileprivate var errorWords: String { withinTwoErrorsShare.map { "\(Words.share($0)) of \(judgedCount)" } ?? "" }
    private static func ratio(_ value: Double?) -> String { value.map { Words.significant($0, 2) } ?? "" }
}

extension Calibration.Bin {
    /// One for each column.
    fileprivate var words: [String] {
        [
            "\(Words.share(from)) to \(Words.share(to))", String(tasks), Words.share(meanPredicted), Words.share(metShare),
            "\(Words.share(low)) to \(Words.share(high))",
            (low...high).contains(meanPredicted) ? "" : meanPredicted > high ? "too hopeful" : "too cautious",
        ]
    }
}

extension Calibration.Reliability {
    fileprivate var sentence: String {
        "P(deadline met): \(Words.count(predictions, "prediction")) about \(Words.count(tasks, "task")), of which \(Words.share(metShare)) met theirs."
    }
    fileprivate var score: String {
        "Brier score \(Words.significant(brierScore, 3)) (0 is perfect); of always saying \(Words.share(metShare)): \(Words.significant(baseScore, 3))."
    }
}
