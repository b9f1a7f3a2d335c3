/// Draws a chart as SVG: readable on light and on dark pages, without scripts and without fonts of its own.
package enum SVG {
    package static func draw(_ chart: Chart) -> String { Drawing(chart).text }

    static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
    }

    /// Okabe and Ito's colours, told apart by most people who see colours differently, in an order that puts neighbours far apart.
    /// Source: M. Okabe and K. Ito, "Color Universal Design", 2008.
    static let colours = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a8a", "#b8a900"]
    static let dashes = ["", "7 3", "2 3", "9 3 2 3", "", "7 3", "2 3", "9 3 2 3"]
}

/// A scale's ends and marks.
struct Axis: Hashable {
    var low: Double
    var high: Double
    var marks: [Double]

    /// From zero or the lowest value to a round number above the highest; 4 to 8 marks that are multiples of 1, 2 or 5 times a power of ten.
    init(_ values: [Double], fromZero: Bool) {
        let top = values.max() ?? 1
        let bottom = fromZero ? min(0, values.min() ?? 0) : values.min() ?? 0
        let span = max(top - bottom, top == bottom ? max(abs(top), 1) : 0)
        var power = 1.0
        while span / power > 10 { power *= 10 }
        while span / power <= 1 { power /= 10 }
        let step = [0.2, 0.5, 1, 2].map { $0 * power }.first { span / $0 <= 8 } ?? 2 * power
        low = (bottom / step).rounded(.down) * step
        high = max((top / step).rounded(.up) * step, low + step)
        marks = []
        var index = 0
        while low + Double(index) * step <= high + step / 1e6 {
            marks.append(low + Double(index) * step)
            index += 1
        }
    }
}

/// At most three decimals, and no more than are needed.
func short(_ value: Double) -> String {
    let rounded = (value * 1_000).rounded() / 1_000
    if rounded == rounded.rounded(), abs(rounded) < 1e15 { return String(Int64(rounded)) }
    return String(rounded)
}

private struct Drawing {
    let chart: Chart
    private let width = 760.0
    private let left = 64.0, right = 16.0, top = 40.0
    private let plotHeight = 280.0
    private var plotWidth: Double { width - left - right }
    private var bottom: Double { top + plotHeight }
    private let legendRow = 20.0

    init(_ chart: Chart) { self.chart = chart }

    private var values: [Double] {
        switch chart.kind {
        case .stackedBars:
            chart.categories.indices.map { index in
                chart.series.reduce(0) { $0 + ($1.values.indices.contains(index) ? $1.values[index] ?? 0 : 0) }
            }
        case .groupedBars, .lines: chart.series.flatMap { $0.values.compactMap { $0 } }
        }
    }

    private var legend: [(x: Double, row: Int)] {
        var places: [(Double, Int)] = []
        var x = left
        var row = 0
        for series in chart.series {
            let length = 34 + 7.2 * Double(series.name.count)
            if x + length > width - right, x > left {
                x = left
                row += 1
            }
            places.append((x, row))
            x += length + 10
        }
        return places
    }

    var text: String {
        let legend = legend
        let slanted = needsSlant
        let labels = slanted ? 78.0 : 22.0
        let legendTop = bottom + labels + 34
        let height = legendTop + Double((legend.last?.row ?? 0) + 1) * legendRow + 6
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(n(width)) \(n(height))\" width=\"\(n(width))\" height=\"\(n(height))\" role=\"img\">",
            "<title>\(SVG.escaped(chart.title))</title>",
            """
            <style>
            svg { background: #ffffff; font: 13px system-ui, sans-serif; }
            text { fill: #1a1a1a; }
            .title { font-size: 15px; font-weight: 600; }
            .axis { stroke: #1a1a1a; }
            .grid { stroke: #1a1a1a; stroke-opacity: 0.15; }
            .marker { stroke: #1a1a1a; stroke-opacity: 0.6; stroke-dasharray: 4 3; }
            .small { font-size: 11px; }
            @media (prefers-color-scheme: dark) {
            svg { background: #16181d; }
            text { fill: #e8e8e8; }
            .axis, .grid, .marker { stroke: #e8e8e8; }
            }
            </style>
            """,
            text(chart.title, left, 22, "class=\"title\""),
        ]
        let y = Axis(values, fromZero: true)
        for mark in y.marks {
            let at = place(mark, y)
            lines.append("<line class=\"grid\" x1=\"\(n(left))\" x2=\"\(n(width - right))\" y1=\"\(n(at))\" y2=\"\(n(at))\"/>")
            lines.append(text(short(mark), left - 8, at + 4, "text-anchor=\"end\""))
        }
        switch chart.kind {
        case .stackedBars: lines += stacked(y, slanted: slanted)
        case .groupedBars: lines += grouped(y, slanted: slanted)
        case .lines: lines += drawnLines(y)
        }
        lines.append("<line class=\"axis\" x1=\"\(n(left))\" x2=\"\(n(width - right))\" y1=\"\(n(bottom))\" y2=\"\(n(bottom))\"/>")
        lines.append("<line class=\"axis\" x1=\"\(n(left))\" x2=\"\(n(left))\" y1=\"\(n(top))\" y2=\"\(n(bottom))\"/>")
        lines.append(text(chart.xLabel, left + plotWidth / 2, bottom + labels + 18, "text-anchor=\"middle\""))
        let middle = top + plotHeight / 2
        lines.append(text(chart.yLabel, 16, middle, "text-anchor=\"middle\" transform=\"rotate(-90 16 \(n(middle)))\""))
        for (index, series) in chart.series.enumerated() {
            let x = legend[index].x
            let row = legendTop + Double(legend[index].row) * legendRow
            let colour = colour(index)
            if chart.kind == .lines {
                lines.append(
                    "<line x1=\"\(n(x))\" x2=\"\(n(x + 24))\" y1=\"\(n(row - 4))\" y2=\"\(n(row - 4))\" stroke=\"\(colour)\" stroke-width=\"2.5\""
                        + dash(index) + "/>")
            } else {
                lines.append("<rect x=\"\(n(x + 6))\" y=\"\(n(row - 11))\" width=\"14\" height=\"14\" fill=\"\(colour)\"/>")
            }
            lines.append(text(series.name, x + 30, row, ""))
        }
        lines.append("</svg>")
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: Bars

    private var slot: Double { plotWidth / Double(max(chart.categories.count, 1)) }
    private var needsSlant: Bool {
        chart.kind != .lines && chart.categories.contains { 7 * Double($0.count) > slot - 6 }
    }

    private func categoryLabels(slanted: Bool) -> [String] {
        chart.categories.enumerated().map { index, name in
            let x = left + slot * (Double(index) + 0.5)
            return slanted
                ? text(name, x + 4, bottom + 14, "text-anchor=\"end\" class=\"small\" transform=\"rotate(-35 \(n(x + 4)) \(n(bottom + 14)))\"")
                : text(name, x, bottom + 18, "text-anchor=\"middle\"")
        }
    }

    private func stacked(_ y: Axis, slanted: Bool) -> [String] {
        var lines = categoryLabels(slanted: slanted)
        let bar = min(slot * 0.7, 64)
        for category in chart.categories.indices {
            let x = left + slot * (Double(category) + 0.5) - bar / 2
            var base = 0.0
            for (index, series) in chart.series.enumerated() {
                guard series.values.indices.contains(category), let value = series.values[category], value > 0 else { continue }
                let upper = place(base + value, y)
                let lower = place(base, y)
                lines.append(rectangle(x, upper, bar, lower - upper, colour(index), "\(chart.categories[category]), \(series.name): \(short(value))"))
                base += value
            }
            if base > 0 { lines.append(text(short3(base), x + bar / 2, place(base, y) - 4, "text-anchor=\"middle\" class=\"small\"")) }
        }
        return lines
    }

    private func grouped(_ y: Axis, slanted: Bool) -> [String] {
        var lines = categoryLabels(slanted: slanted)
        let bar = min(slot * 0.8 / Double(max(chart.series.count, 1)), 48)
        for category in chart.categories.indices {
            let start = left + slot * (Double(category) + 0.5) - bar * Double(chart.series.count) / 2
            for (index, series) in chart.series.enumerated() {
                guard series.values.indices.contains(category), let value = series.values[category] else { continue }
                let upper = place(max(value, 0), y)
                let x = start + bar * Double(index)
                lines.append(
                    rectangle(x, upper, bar - 1, place(0, y) - upper, colour(index), "\(chart.categories[category]), \(series.name): \(short(value))")
                )
                if bar > 26 { lines.append(text(short3(value), x + bar / 2, upper - 4, "text-anchor=\"middle\" class=\"small\"")) }
            }
        }
        return lines
    }

    // MARK: Lines

    private func drawnLines(_ y: Axis) -> [String] {
        let xs = chart.series.flatMap { $0.xs ?? [] } + chart.markers.map(\.x)
        let x = Axis(xs, fromZero: true)
        func across(_ value: Double) -> Double { left + (value - x.low) / (x.high - x.low) * plotWidth }
        var lines = x.marks.map { text(short($0), across($0), bottom + 18, "text-anchor=\"middle\"") }
        for (index, marker) in chart.markers.enumerated() {
            let at = across(marker.x)
            lines.append("<line class=\"marker\" x1=\"\(n(at))\" x2=\"\(n(at))\" y1=\"\(n(top))\" y2=\"\(n(bottom))\"/>")
            let isLate = at > left + plotWidth * 0.75
            lines.append(
                text(
                    marker.text, at + (isLate ? -4 : 4), top + 12 + Double(index % 4) * 13,
                    "class=\"small\" text-anchor=\"\(isLate ? "end" : "start")\""))
        }
        for (index, series) in chart.series.enumerated() {
            var runs: [[(Double, Double)]] = [[]]
            for (position, value) in series.values.enumerated() {
                guard let value, let place = series.xs.flatMap({ $0.indices.contains(position) ? $0[position] : nil }) else {
                    runs.append([])
                    continue
                }
                runs[runs.count - 1].append((across(place), self.place(value, y)))
            }
            for run in runs where !run.isEmpty {
                let points = run.map { "\(n($0.0)),\(n($0.1))" }.joined(separator: " ")
                lines.append(
                    "<polyline fill=\"none\" stroke=\"\(colour(index))\" stroke-width=\"2\"\(dash(index)) points=\"\(points)\">"
                        + "<title>\(SVG.escaped(series.name))</title></polyline>")
                if run.count <= 16 {
                    for point in run { lines.append("<circle cx=\"\(n(point.0))\" cy=\"\(n(point.1))\" r=\"3.5\" fill=\"\(colour(index))\"/>") }
                }
            }
        }
        return lines
    }

    // MARK: Pieces

    private func place(_ value: Double, _ y: Axis) -> Double { bottom - (value - y.low) / (y.high - y.low) * plotHeight }
    private func colour(_ index: Int) -> String { SVG.colours[index % SVG.colours.count] }
    private func dash(_ index: Int) -> String {
        let dash = SVG.dashes[index % SVG.dashes.count]
        return dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\""
    }
    private func text(_ text: String, _ x: Double, _ y: Double, _ more: String) -> String {
        "<text x=\"\(n(x))\" y=\"\(n(y))\"\(more.isEmpty ? "" : " " + more)>\(SVG.escaped(text))</text>"
    }
    private func rectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ colour: String, _ title: String) -> String {
        "<rect x=\"\(n(x))\" y=\"\(n(y))\" width=\"\(n(width))\" height=\"\(n(max(height, 0.5)))\" fill=\"\(colour)\">"
            + "<title>\(SVG.escaped(title))</title></rect>"
    }
    private func n(_ value: Double) -> String {
        let rounded = (value * 10).rounded() / 10
        return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
    }
    private func short3(_ value: Double) -> String {
        let size = abs(value)
        let scale = size >= 100 ? 1.0 : size >= 10 ? 10 : 100
        return short((value * scale).rounded() / scale)
    }
}
