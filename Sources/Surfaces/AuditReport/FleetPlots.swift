import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Pictures of many tasks at once: when each ran and how its promises stand, and how near predictions came.
struct FleetPlots {
    let report: Report

    /// Rows that a page has room for; the newest are shown.
    private static let rowLimit = 60
    /// Points in each picture of predictions; more would only be on top of each other.
    private static let pointLimit = 500

    var markup: Markup {
        let scatters = quantities.compactMap(scatter)
        let predicted: Markup =
            scatters.isEmpty
            ? .none
            : """
            <h3>Predicted and observed</h3>
            <p class="quiet">A point for each prediction that came true or not; on the dashed line it was exact. Both axes are logarithmic.</p>
            <div class="plots">
            \(scatters)</div>

            """
        return "<section><h2>At a glance</h2>\n\(gantt)\(predicted)</section>\n"
    }

    private func at(_ value: Double) -> String { Words.fixed(value, 1) }

    // MARK: When tasks ran

    private var gantt: Markup {
        let shown = report.tasks.suffix(Self.rowLimit)
        let start = report.period?.since?.time ?? shown.map(\.happened.submittedAt.time).min() ?? report.generatedAt.time
        let ends = shown.map { $0.happened.endedAt?.time ?? report.generatedAt.time }
        let end = report.period?.until?.time ?? ends.max() ?? report.generatedAt.time
        let length = max(end - start, Seconds(1))
        let (left, width, row) = (150.0, 960.0, 16.0)
        let height = Double(shown.count) * row + 24
        func x(_ time: Timestamp) -> Double { left + min(max((time - start) / length, 0), 1) * (width - left - 12) }
        var drawn: Markup = .none
        let step = Timeline.step(for: length)
        for index in 0...Int(min(length / step, 100)) {
            let tick = at(x(start + step * Double(index)))
            drawn += """
                <line class="grid" x1="\(tick)" x2="\(tick)" y1="4" y2="\(at(height - 20))"/>
                <text class="tick" x="\(tick)" y="\(at(height - 6))" text-anchor="middle">\(Timeline.tick(step * Double(index)))</text>
                """
        }
        for (index, task) in shown.enumerated() {
            let y = Double(index) * row + 6
            let name = task.task.rawValue
            let short = name.count > 22 ? String(name.prefix(21)) + "…" : name
            let (from, to) = (x(task.happened.submittedAt.time), x(task.happened.endedAt?.time ?? report.generatedAt.time))
            drawn += """
                <text class="tick" x="\(at(left - 8))" y="\(at(y + 9))" text-anchor="end">\(short)</text>
                <rect class="bar \(task.verdict.rawValue)" x="\(at(from))" y="\(at(y))" width="\(at(max(to - from, 2)))" height="\(at(row - 5))"><title>\(name): \(task.state), \(task.sentence)</title></rect>
                """
            for failure in task.failures {
                let cross = x(failure.at.time)
                drawn += "<path class=\"failure\" d=\"M\(at(cross - 3)) \(at(y + 2))l6 6m-6 0l6 -6\"><title>\(failure.cause.words)</title></path>"
            }
            if let deadline = task.promised.deadline?.time, deadline >= start, deadline <= start + length {
                drawn += """
                    <line class="deadline" x1="\(at(x(deadline)))" x2="\(at(x(deadline)))" y1="\(at(y - 2))" y2="\(at(y + row - 3))"><title>deadline of \(name)</title></line>
                    """
            }
        }
        let leftOut = report.tasks.count - shown.count
        let label = "When \(Words.count(shown.count, "task")) ran and how their promises stand"
        return """
            <figure class="gantt">
            <div class="scroll"><svg viewBox="0 0 \(at(width)) \(at(height))" role="img" aria-label="\(label)" xmlns="http://www.w3.org/2000/svg">
            \(drawn)
            </svg></div>
            <figcaption><span>Green: kept. Red: broken. Yellow: open. A cross is a failure, a dashed line the deadline.\(leftOut > 0 ? " The newest \(shown.count) of \(report.tasks.count) tasks." : "")</span></figcaption>
            </figure>

            """
    }

    // MARK: Predictions

    private struct Pairs {
        var quantity: String
        var points: [(predicted: Double, observed: Double)]
    }

    private var quantities: [Pairs] {
        var pairs: [String: [(predicted: Double, observed: Double)]] = [:]
        for decision in report.decisions + report.tasks.flatMap(\.decisions) {
            for outcome in decision.outcomes {
                guard let predicted = outcome.predicted, predicted > 0, outcome.observed > 0, predicted.isFinite, outcome.observed.isFinite else {
                    continue
                }
                pairs[outcome.quantity, default: []].append((predicted, outcome.observed))
            }
        }
        return pairs.sorted { $0.key < $1.key }.map { Pairs(quantity: $0, points: $1) }
    }

    private func scatter(_ pairs: Pairs) -> Markup? {
        guard pairs.points.count >= 3 else { return nil }
        let points = pairs.points.suffix(Self.pointLimit)
        let logarithms = points.flatMap { [log10($0.predicted), log10($0.observed)] }
        guard let least = logarithms.min(), let most = logarithms.max() else { return nil }
        let (low, high) = (least.rounded(.down), max(most.rounded(.up), least.rounded(.down) + 1))
        let (left, bottom, size) = (70.0, 250.0, 240.0)
        func place(_ value: Double) -> Double { (log10(value) - low) / (high - low) * size }
        var drawn: Markup = .none
        for power in stride(from: low, through: high, by: max(1, ((high - low) / 4).rounded(.up))) {
            let offset = (power - low) / (high - low) * size
            let words = Words.quantity(pairs.quantity, pow(10, power))
            drawn += """
                <line class="grid" x1="\(at(left))" x2="\(at(left + size))" y1="\(at(bottom - offset))" y2="\(at(bottom - offset))"/>
                <line class="grid" x1="\(at(left + offset))" x2="\(at(left + offset))" y1="\(at(bottom - size))" y2="\(at(bottom))"/>
                <text class="tick" x="\(at(left - 6))" y="\(at(bottom - offset + 4))" text-anchor="end">\(words)</text>
                <text class="tick" x="\(at(left + offset))" y="\(at(bottom + 19))" text-anchor="middle">\(words)</text>
                """
        }
        drawn += """
            <line class="diagonal" x1="\(at(left))" y1="\(at(bottom))" x2="\(at(left + size))" y2="\(at(bottom - size))"/>
            """
        for point in points {
            drawn += "<circle class=\"dot\" cx=\"\(at(left + place(point.predicted)))\" cy=\"\(at(bottom - place(point.observed)))\" r=\"3\"/>"
        }
        return """
            <figure><svg viewBox="0 0 340 290" role="img" aria-label="\(pairs.quantity): predicted and observed, \(Words.count(points.count, "point"))" xmlns="http://www.w3.org/2000/svg">
            \(drawn)
            <text class="tick" x="\(at(left + size / 2))" y="284" text-anchor="middle">predicted</text>
            <text class="tick" x="\(at(left + 4))" y="\(at(bottom - size + 12))">observed</text>
            </svg><figcaption><span><code>\(pairs.quantity)</code>, \(Words.count(points.count, "point"))</span></figcaption></figure>

            """
    }
}
