import Foundation
import Vocabulary

extension Calibration {
    package func json() -> String { JSONText.of(self) }

    package func text(width: Int) -> String {
        var page = TextPage(width: width)
        page.heading("Predictions and what came of them", Words.moment(generatedAt.time))
        page.rule("=")
        if models.isEmpty { page.paragraph("Nothing that was predicted has been observed yet.") }
        typealias Column = TextPage.Column
        page.table(
            [
                Column(title: "quantity"), Column(title: "n", isRight: true), Column(title: "predicted", isRight: true),
                Column(title: "observed", isRight: true), Column(title: "ratio", isRight: true), Column(title: "10–90 %", isRight: true),
                Column(title: "within 2 s.e.", isRight: true),
            ],
            models.map { model in
                let summary = model.summary
                func ratio(_ value: Double?) -> String { value.map { Words.significant($0, 2) } ?? "" }
                return [
                    summary.quantity, String(summary.count), Words.quantity(summary.quantity, summary.meanPredicted),
                    Words.quantity(summary.quantity, summary.meanObserved), ratio(summary.medianRatio),
                    model.lowRatio == nil ? "" : "\(ratio(model.lowRatio))–\(ratio(model.highRatio))",
                    model.withinTwoErrorsShare.map { "\(Words.share($0)) of \(model.judgedCount)" } ?? "",
                ]
            })
        if !models.isEmpty {
            page.paragraph(
                "Means; ratio: observed over predicted, the median and between which the middle four fifths lie; within two standard errors lie 95 % where they are right.",
                indent: 2)
        }
        page.blank()
        guard let deadlines else {
            page.paragraph("No task with a deadline has ended yet: nothing is known of how good P(deadline met) is.")
            return page.text
        }
        page.paragraph(
            "P(deadline met): \(Words.count(deadlines.predictions, "prediction")) about \(Words.count(deadlines.tasks, "task")), of which \(Words.share(deadlines.metShare)) met theirs."
        )
        page.table(
            [
                Column(title: "predicted"), Column(title: "tasks", isRight: true), Column(title: "mean", isRight: true),
                Column(title: "met", isRight: true), Column(title: "95 % interval", isRight: true), Column(title: ""),
            ],
            deadlines.bins.map { bin in
                [
                    "\(Words.share(bin.from)) to \(Words.share(bin.to))", String(bin.tasks), Words.share(bin.meanPredicted),
                    Words.share(bin.metShare),
                    "\(Words.share(bin.low)) to \(Words.share(bin.high))",
                    (bin.low...bin.high).contains(bin.meanPredicted) ? "" : bin.meanPredicted > bin.high ? "too hopeful" : "too cautious",
                ]
            })
        page.paragraph(
            "Brier score \(Words.significant(deadlines.brierScore, 3)) (0 is perfect); of always saying \(Words.share(deadlines.metShare)): \(Words.significant(deadlines.baseScore, 3)).",
            indent: 2)
        return page.text
    }

    /// File names and contents, SVG: each quantity observed over predicted, and the reliability diagram.
    package var plots: [(name: String, text: String)] {
        models.map { ("\($0.summary.quantity).svg", Self.scatter($0)) } + (deadlines.map { [("deadlines.svg", Self.diagram($0))] } ?? [])
    }

    /// Where predicted and observed are the same, a point is on the diagonal. Logarithmic unless something is not above 0.
    private static func scatter(_ model: Model) -> String {
        let quantity = model.summary.quantity
        let values = model.points.flatMap { [$0.predicted, $0.observed] }
        let isLogarithmic = values.allSatisfy { $0 > 0 }
        func scaled(_ value: Double) -> Double { isLogarithmic ? log10(value) : value }
        let low = scaled(values.min() ?? 0)
        let high = scaled(values.max() ?? 1)
        let margin = max((high - low) * 0.06, abs(high) * 1e-6, 1e-9)
        func place(_ value: Double) -> Double { (scaled(value) - low + margin) / (high - low + 2 * margin) }
        var frame = Frame(title: "\(quantity): observed over predicted, \(Words.count(model.summary.count, "prediction"))")
        for step in 0...4 {
            let value = low + (high - low) * Double(step) / 4
            let label = Words.quantity(quantity, isLogarithmic ? pow(10, value) : value)
            frame.tick((value - low + margin) / (high - low + 2 * margin), label)
        }
        for point in model.points {
            frame.point(
                place(point.predicted), place(point.observed),
                "\(point.decision): predicted \(Words.quantity(quantity, point.predicted)), observed \(Words.quantity(quantity, point.observed))")
        }
        return frame.closed
    }

    private static func diagram(_ deadlines: Reliability) -> String {
        var frame = Frame(title: "P(deadline met): share that met it over predicted, \(Words.count(deadlines.tasks, "task"))")
        for step in 0...4 { frame.tick(Double(step) / 4, Words.share(Double(step) / 4)) }
        for bin in deadlines.bins {
            frame.reach(bin.meanPredicted, bin.low, bin.high)
            frame.point(
                bin.meanPredicted, bin.metShare,
                "\(Words.count(bin.tasks, "task")): predicted \(Words.share(bin.meanPredicted)), met \(Words.share(bin.metShare))")
        }
        return frame.closed
    }
}

/// A square plot with the diagonal; places are shares of its sides, from below and from the left.
private struct Frame {
    private static let (left, top, side) = (90.0, 40.0, 420.0)
    private var lines: [Markup] = []

    init(title: String) {
        let (left, top, side) = (Self.left, Self.top, Self.side)
        lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Int(left + side) + 60)\" height=\"\(Int(top + side) + 60)\" font-family=\"sans-serif\" font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>", "<text x=\"16\" y=\"24\" font-size=\"15\" fill=\"#222222\">\(title)</text>",
            "<rect x=\"\(left)\" y=\"\(top)\" width=\"\(side)\" height=\"\(side)\" fill=\"none\" stroke=\"#444444\"/>",
            "<line x1=\"\(left)\" y1=\"\(top + side)\" x2=\"\(left + side)\" y2=\"\(top)\" stroke=\"#999999\" stroke-dasharray=\"4 4\"/>",
            "<text x=\"\(left + side / 2)\" y=\"\(top + side + 42)\" text-anchor=\"middle\" fill=\"#222222\">predicted</text>",
        ]
    }

    private static func x(_ share: Double) -> String { Words.fixed(left + min(max(share, 0), 1) * side, 1) }
    private static func y(_ share: Double) -> String { Words.fixed(top + (1 - min(max(share, 0), 1)) * side, 1) }

    mutating func tick(_ share: Double, _ label: String) {
        lines.append("<text x=\"\(Self.x(share))\" y=\"\(Self.top + Self.side + 20)\" text-anchor=\"middle\" fill=\"#222222\">\(label)</text>")
        lines.append("<text x=\"\(Self.left - 8)\" y=\"\(Self.y(share))\" text-anchor=\"end\" fill=\"#222222\">\(label)</text>")
    }

    mutating func point(_ x: Double, _ y: Double, _ tip: String) {
        lines.append(
            "<circle cx=\"\(Self.x(x))\" cy=\"\(Self.y(y))\" r=\"3.5\" fill=\"#4e79a7\" fill-opacity=\"0.7\"><title>\(tip)</title></circle>")
    }

    mutating func reach(_ x: Double, _ low: Double, _ high: Double) {
        lines.append("<line x1=\"\(Self.x(x))\" y1=\"\(Self.y(low))\" x2=\"\(Self.x(x))\" y2=\"\(Self.y(high))\" stroke=\"#444444\"/>")
    }

    var closed: String { (lines.map(\.text) + ["</svg>"]).joined(separator: "\n") + "\n" }
}
