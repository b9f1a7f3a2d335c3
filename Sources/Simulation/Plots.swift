/// Plots as SVG, by hand: nothing but rectangles, lines and text, readable in any browser, on light and dark alike.
extension SimulationReport {
    /// File names and contents.
    package var plots: [(name: String, text: String)] {
        [("cost.svg", costPlot), ("time.svg", timePlot), ("bytes-and-lateness.svg", frontierPlot)]
    }

    private static let costTerms: [(Metric, String, String)] = [
        (.timeCost, "time", "#4e79a7"), (.networkCost, "network", "#f28e2b"), (.storageCost, "storage", "#76b7b2"),
        (.penaltyCost, "penalty", "#e15759"),
    ]
    private static let timeTerms: [(Metric, String, String)] = [
        (.lostWorkSeconds, "lost work", "#e15759"), (.stoppedSeconds, "stopped", "#4e79a7"), (.interferenceSeconds, "interference", "#f28e2b"),
        (.downSeconds, "down", "#b07aa1"), (.recoverySeconds, "recovery", "#59a14f"), (.waitingSeconds, "waiting", "#9c755f"),
    ]

    private var costPlot: String {
        bars(title: "Cost a task by term, \(currency)", terms: Self.costTerms, whole: .totalCost) { plain($0) }
    }

    private var timePlot: String { bars(title: "Time a task lost, by cause", terms: Self.timeTerms, whole: nil) { duration($0) } }

    private func bars(title: String, terms: [(Metric, String, String)], whole: Metric?, _ label: (Double) -> String) -> String {
        let sums = policies.map { policy in terms.reduce(0) { $0 + max(0, policy[$1.0].mean) } }
        let tops = zip(policies, sums).map { policy, sum in sum + (whole.map { policy[$0].reach } ?? 0) }
        let most = max(tops.max() ?? 0, 1e-12)
        let (left, width, row) = (190.0, 560.0, 34.0)
        let bottom = 50 + row * Double(policies.count)
        var svg = Drawing(width: left + width + 110, height: bottom + 60)
        svg.text(16, 24, title, size: 15)
        for (index, policy) in policies.enumerated() {
            let y = 44 + row * Double(index)
            svg.text(left - 8, y + 17, policy.name, anchor: "end")
            var x = left
            for (metric, name, color) in terms {
                let share = max(0, policy[metric].mean) / most * width
                if share > 0 { svg.rectangle(x, y, share, 22, color, tip: "\(policy.name), \(name): \(label(policy[metric].mean))") }
                x += share
            }
            if let whole, policy[whole].reach > 0 {
                let reach = policy[whole].reach / most * width
                svg.line(x - min(reach, x - left), y + 11, x + reach, y + 11)
                svg.line(x + reach, y + 6, x + reach, y + 16)
                svg.line(x - min(reach, x - left), y + 6, x - min(reach, x - left), y + 16)
                x += reach
            }
            svg.text(x + 6, y + 16, label(sums[index]))
        }
        var x = left
        for (_, name, color) in terms {
            svg.rectangle(x, bottom + 14, 12, 12, color, tip: name)
            svg.text(x + 17, bottom + 25, name)
            x += 32 + 7.5 * Double(name.count)
        }
        return svg.closed
    }

    /// Each policy by what it sent and how much it was late: down and to the left is better at both.
    private var frontierPlot: String {
        let hasDeadlines = policies.contains { $0[.deadlineMissShare].mean > 0 }
        let metric: Metric = hasDeadlines ? .deadlineMissShare : .finishSeconds
        let title = hasDeadlines ? "Share of tasks late, by bytes sent a task" : "Time to finish, by bytes sent a task"
        let points = policies.map { (name: $0.name, x: $0[.sentBytes], y: $0[metric]) }
        func range(_ values: [Interval95]) -> (Double, Double) {
            let low = values.map { $0.mean - $0.reach }.min() ?? 0
            let high = values.map { $0.mean + $0.reach }.max() ?? 1
            let margin = max((high - low) * 0.08, abs(high) * 1e-6, 1e-9)
            return (max(0, low - margin), high + margin)
        }
        let (x0, x1) = range(points.map(\.x))
        let (y0, y1) = range(points.map(\.y))
        let (left, top, width, height) = (100.0, 44.0, 560.0, 340.0)
        func px(_ x: Double) -> Double { left + (x - x0) / (x1 - x0) * width }
        func py(_ y: Double) -> Double { top + height - (y - y0) / (y1 - y0) * height }
        var svg = Drawing(width: left + width + 150, height: top + height + 50)
        svg.text(16, 24, title, size: 15)
        svg.line(left, top, left, top + height)
        svg.line(left, top + height, left + width, top + height)
        for step in 0...4 {
            let x = x0 + (x1 - x0) * Double(step) / 4
            let y = y0 + (y1 - y0) * Double(step) / 4
            svg.text(px(x), top + height + 20, size(x), anchor: "middle")
            svg.text(left - 8, py(y) + 4, Self.value(y, metric), anchor: "end")
        }
        for point in points {
            let tip = "\(point.name): \(size(point.x.mean)), \(Self.value(point.y.mean, metric))"
            svg.line(px(point.x.mean - point.x.reach), py(point.y.mean), px(point.x.mean + point.x.reach), py(point.y.mean))
            svg.line(px(point.x.mean), py(point.y.mean - point.y.reach), px(point.x.mean), py(point.y.mean + point.y.reach))
            svg.rectangle(px(point.x.mean) - 4, py(point.y.mean) - 4, 8, 8, "#4e79a7", tip: tip)
            svg.text(px(point.x.mean) + 8, py(point.y.mean) - 7, point.name)
        }
        return svg.closed
    }
}

/// An SVG in the making.
struct Drawing {
    private var lines: [String] = []

    init(width: Double, height: Double) {
        lines.append(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(decimals(width, 0))\" height=\"\(decimals(height, 0))\" font-family=\"sans-serif\">")
        lines.append("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")
    }

    mutating func text(_ x: Double, _ y: Double, _ text: String, anchor: String = "start", size: Int = 12) {
        lines.append(
            "<text x=\"\(decimals(x, 1))\" y=\"\(decimals(y, 1))\" font-size=\"\(size)\" text-anchor=\"\(anchor)\" fill=\"#222222\">\(Self.escaped(text))</text>"
        )
    }

    mutating func rectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ color: String, tip: String) {
        lines.append(
            "<rect x=\"\(decimals(x, 1))\" y=\"\(decimals(y, 1))\" width=\"\(decimals(width, 1))\" height=\"\(decimals(height, 1))\" fill=\"\(color)\">"
                + "<title>\(Self.escaped(tip))</title></rect>")
    }

    mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) {
        lines.append(
            "<line x1=\"\(decimals(x1, 1))\" y1=\"\(decimals(y1, 1))\" x2=\"\(decimals(x2, 1))\" y2=\"\(decimals(y2, 1))\" stroke=\"#444444\"/>")
    }

    var closed: String { lines.joined(separator: "\n") + "\n</svg>\n" }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
