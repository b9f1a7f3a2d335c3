import Foundation
import Vocabulary

/// What was observed over what was predicted, in a square with the diagonal: on it a prediction was exact. Drawn with the report's classes, so
/// that a page's style sheet colours it; a file of its own brings its style along.
struct PredictionPlot {
    private static let (left, top, side) = (70.0, 12.0, 240.0)
    private let title: String
    private var drawn: Markup = .none

    /// Logarithmic unless something is not above 0.
    init(_ model: Calibration.Model) {
        let quantity = model.summary.quantity
        title = "\(quantity): predicted and observed, \(Words.count(model.summary.count, "prediction"))"
        let values = model.points.flatMap { [$0.predicted, $0.observed] }
        let isLogarithmic = values.allSatisfy { $0 > 0 }
        func scaled(_ value: Double) -> Double { isLogarithmic ? log10(value) : value }
        let low = scaled(values.min() ?? 0)
        let high = scaled(values.max() ?? 1)
        let margin = max((high - low) * 0.06, abs(high) * 1e-6, 1e-9)
        func place(_ value: Double) -> Double { (scaled(value) - low + margin) / (high - low + 2 * margin) }
        let steps = high - low > 1e-9 ? 4 : 0
        frame()
        for step in 0...steps {
            let value = low + (high - low) * Double(step) / 4
            tick((value - low + margin) / (high - low + 2 * margin), Words.quantity(quantity, isLogarithmic ? pow(10, value) : value))
        }
        for point in model.points {
            dot(
                place(point.predicted), place(point.observed),
                "\(point.decision): predicted \(Words.quantity(quantity, point.predicted)), observed \(Words.quantity(quantity, point.observed))")
        }
    }

    /// A reliability diagram.
    init(_ deadlines: Calibration.Reliability) {
        title = "P(deadline met): predicted, and the share that met it, \(Words.count(deadlines.tasks, "task"))"
        frame()
        for step in 0...4 { tick(Double(step) / 4, Words.share(Double(step) / 4)) }
        for bin in deadlines.bins {
            let x = Self.x(bin.meanPredicted)
            drawn += "<line class=\"reach\" x1=\"\(x)\" y1=\"\(Self.y(bin.low))\" x2=\"\(x)\" y2=\"\(Self.y(bin.high))\"/>\n"
            dot(
                bin.meanPredicted, bin.metShare,
                "\(Words.count(bin.tasks, "task")): predicted \(Words.share(bin.meanPredicted)), met \(Words.share(bin.metShare))")
        }
    }

    /// For a page.
    var figure: Markup { "<figure>\(svg(.none))<figcaption><span>\(title)</span></figcaption></figure>\n" }

    /// For a file.
    var file: String {
        let style: Markup = """
            <style>text { font: 11.5px sans-serif; fill: #444; } .grid { stroke: #ddd; } .diagonal { stroke: #888; stroke-dasharray: 4 3; }
            .reach { stroke: #444; } .dot { fill: #1f5fa8; fill-opacity: .6; }</style>
            <rect width="100%" height="100%" fill="#fff"/>
            <title>\(title)</title>

            """
        return svg(style).text + "\n"
    }

    private func svg(_ style: Markup) -> Markup {
        """
        <svg viewBox="0 0 340 300" role="img" aria-label="\(title)" xmlns="http://www.w3.org/2000/svg">
        \(style)\(drawn)<text class="tick" x="\(Self.left + Self.side / 2)" y="292" text-anchor="middle">predicted</text>
        <text class="tick" x="\(Self.left + 4)" y="\(Self.top + 12)">observed</text>
        </svg>
        """
    }

    private static func x(_ share: Double) -> String { Words.fixed(left + min(max(share, 0), 1) * side, 1) }
    private static func y(_ share: Double) -> String { Words.fixed(top + (1 - min(max(share, 0), 1)) * side, 1) }

    private mutating func frame() {
        drawn += "<line class=\"diagonal\" x1=\"\(Self.x(0))\" y1=\"\(Self.y(0))\" x2=\"\(Self.x(1))\" y2=\"\(Self.y(1))\"/>\n"
    }

    private mutating func tick(_ share: Double, _ label: String) {
        let (x, y) = (Self.x(share), Self.y(share))
        drawn += """
            <line class="grid" x1="\(x)" x2="\(x)" y1="\(Self.y(0))" y2="\(Self.y(1))"/>
            <line class="grid" x1="\(Self.x(0))" x2="\(Self.x(1))" y1="\(y)" y2="\(y)"/>
            <text class="tick" x="\(x)" y="\(Words.fixed(Self.top + Self.side + 18, 1))" text-anchor="middle">\(label)</text>
            <text class="tick" x="\(Words.fixed(Self.left - 6, 1))" y="\(y)" dy="4" text-anchor="end">\(label)</text>

            """
    }

    private mutating func dot(_ x: Double, _ y: Double, _ tip: String) {
        drawn += "<circle class=\"dot\" cx=\"\(Self.x(x))\" cy=\"\(Self.y(y))\" r=\"3\"><title>\(tip)</title></circle>\n"
    }
}
