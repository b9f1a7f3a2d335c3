import Vocabulary

/// A picture of many tasks at once: when each ran and how its promises stand.
struct FleetPlots {
    let report: Report

    /// Rows that a page has room for; the newest are shown.
    private static let rowLimit = 60

    var markup: Markup { "<section><h2>At a glance</h2>\n\(gantt)</section>\n" }

    private func at(_ value: Double) -> String { Words.fixed(value, 1) }

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
}
