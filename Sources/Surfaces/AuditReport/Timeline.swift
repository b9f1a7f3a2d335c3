import Vocabulary

/// A task's life as a picture: progress over time, and when it was checkpointed, lost and resumed.
package struct Timeline {
    let task: TaskReport
    let generatedAt: Timestamp
    /// How it is expected to go on; nil: only what was is drawn.
    let forecast: Forecast?

    /// When it will have finished, with probabilities 0.1, 0.5 and 0.99.
    package struct Forecast {
        var progress: Double
        var early: Timestamp
        var median: Timestamp
        var late: Timestamp
        package init(progress: Double, early: Timestamp, median: Timestamp, late: Timestamp) {
            self.progress = progress
            self.early = early
            self.median = median
            self.late = late
        }
    }

    package init(task: TaskReport, generatedAt: Timestamp, forecast: Forecast? = nil) {
        self.task = task
        self.generatedAt = generatedAt
        self.forecast = forecast
    }

    // In units of the picture; it scales with the page.
    private let width = 960.0
    private let left = 46.0
    private let right = 16.0
    private let top = 26.0
    private let plotHeight = 190.0
    private let laneHeight = 16.0

    private var start: Timestamp { task.happened.submittedAt.time }
    private var end: Timestamp { task.happened.endedAt?.time ?? generatedAt }
    private var deadline: Timestamp? { task.promised.deadline?.time }

    /// A deadline far beyond the end is only named: drawn to scale it would press everything else together.
    private var isDeadlineInSight: Bool { deadline.map { $0 - start <= max(foreseen - start, Seconds(1)) * 3 && $0 > start } ?? false }
    /// A tail that is far beyond the median is cut off.
    private var foreseen: Timestamp { forecast.map { max(end, min($0.late, $0.median + max($0.median - start, Seconds(10)))) } ?? end }
    private var lastShown: Timestamp {
        let last = max(foreseen, isDeadlineInSight ? deadline ?? end : end)
        return start + max(last - start, Seconds(1)) * 1.02
    }

    private func x(_ time: Timestamp) -> Double {
        left + min(max((time - start) / (lastShown - start), 0), 1) * (width - left - right)
    }
    private func y(_ progress: Double) -> Double { top + (1 - min(max(progress, 0), 1)) * plotHeight }
    private func at(_ value: Double) -> String { Words.fixed(value, 1) }

    package var markup: Markup {
        let lanes = top + plotHeight + 22
        let height = lanes + 2 * laneHeight + 12
        let label =
            "Progress of \(task.task) over time, \(Words.count(task.checkpoints.count, "checkpoint")), \(Words.count(task.failures.count, "interruption"))"
        return """
            <figure class="timeline">
            <div class="scroll" tabindex="0"><svg viewBox="0 0 \(at(width)) \(at(height))" role="img" aria-label="\(label)" xmlns="http://www.w3.org/2000/svg">
            \(grid)\(downTimes)\(forecastBand)\(nodeLane(lanes))\(checkpointLane(lanes + laneHeight + 4))\(deadlineLine)\(curves)\(checkpointMarks)\(failureMarks)\(endMark)
            </svg></div>
            <figcaption>\(legend)</figcaption>
            </figure>

            """
    }

    private var grid: Markup {
        var drawn: Markup = .none
        for share in [0.0, 0.25, 0.5, 0.75, 1] {
            drawn += """
                <line class="grid" x1="\(at(left))" x2="\(at(width - right))" y1="\(at(y(share)))" y2="\(at(y(share)))"/>
                <text class="tick" x="\(at(left - 6))" y="\(at(y(share) + 4))" text-anchor="end">\(Int(share * 100)) %</text>
                """
        }
        let length = lastShown - start
        let step = Self.step(for: length)
        for index in 0...Int(min(length / step, 100)) {
            let time = start + step * Double(index)
            drawn += """
                <line class="grid" x1="\(at(x(time)))" x2="\(at(x(time)))" y1="\(at(top))" y2="\(at(top + plotHeight))"/>
                <text class="tick" x="\(at(x(time)))" y="\(at(top + plotHeight + 14))" text-anchor="middle">\(Self.tick(step * Double(index)))</text>
                """
        }
        return drawn
    }

    /// A round time that gives between four and ten ticks.
    static func step(for length: Seconds) -> Seconds {
        let round: [Double] = [
            0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800,
            2_592_000,
        ]
        return Seconds(round.first { length.rawValue / $0 <= 10 } ?? length.rawValue / 8)
    }

    static func tick(_ time: Seconds) -> String {
        let text = Words.offset(time).dropFirst()
        return String(text.hasSuffix(".0") ? text.dropLast(2) : text)
    }

    private func shade(_ kind: String, _ from: Timestamp, _ to: Timestamp, top: Double, height: Double, least: Double = 0, _ title: String) -> Markup
    {
        """
        <rect class="\(kind)" x="\(at(x(from)))" y="\(at(top))" width="\(at(max(x(to) - x(from), least)))" height="\(at(height))"><title>\(title)</title></rect>
        """
    }

    private var downTimes: Markup {
        task.failures.map { failure in
            shade(
                "down", failure.at.time, failure.resumedAt?.time ?? end, top: top, height: plotHeight,
                "down for \(Words.duration(span(failure.at.time, failure.resumedAt?.time ?? end)))")
        }.reduce(.none, +)
    }

    private func nodeLane(_ top: Double) -> Markup {
        var names: [NodeID] = []
        for life in task.lives where !names.contains(life.node) { names.append(life.node) }
        return task.lives.compactMap { life -> Markup? in
            guard let from = life.startedAt?.time else { return nil }
            let to = life.endedAt?.time ?? end
            let place = (names.firstIndex(of: life.node) ?? 0) % 4
            let room = x(to) - x(from)
            let name = Double(life.node.rawValue.count) * 6.5 + 8 < room ? life.node.rawValue : ""
            return shade("node\(place)", from, to, top: top, height: laneHeight, "on \(life.node), epoch \(life.epoch)")
                + "<text class=\"lane\" x=\"\(at(x(from) + 4))\" y=\"\(at(top + 12))\">\(name)</text>"
        }.reduce("<text class=\"tick\" x=\"\(at(left - 6))\" y=\"\(at(top + 12))\" text-anchor=\"end\">node</text>", +)
    }

    private func checkpointLane(_ top: Double) -> Markup {
        task.checkpoints.compactMap { made -> Markup? in
            guard let from = (made.capturedAt ?? made.startedAt)?.time else { return nil }
            let to = made.committedAt?.time ?? from
            let kind = made.committedAt == nil ? "upload broken" : "upload"
            let stop = made.stopSeconds ?? .zero
            let took = made.latencySeconds.map { ", safe after \(Words.duration($0))" } ?? ", \(made.status.rawValue)"
            let title = "\(made.checkpoint): stopped \(Words.duration(stop))\(took)"
            // Stop times are far shorter than a pixel: they are at least as wide as can be seen.
            return shade(kind, from, max(to, from + stop), top: top, height: laneHeight, least: 3, title)
                + phases(made, from: from + stop, top: top) + shade("stop", from, from + stop, top: top - 2, height: laneHeight + 4, least: 2, title)
        }.reduce("<text class=\"tick\" x=\"\(at(left - 6))\" y=\"\(at(top + 12))\" text-anchor=\"end\">saved</text>", +)
    }

    /// Compression runs beside the upload.
    private func phases(_ made: CheckpointReport, from: Timestamp, top: Double) -> Markup {
        guard let compress = made.compressSeconds, compress > .zero else { return .none }
        return shade("compress", from, from + compress, top: top, height: 4, least: 2, "compressed in \(Words.duration(compress))")
    }

    /// From where it is now to when it will have finished: early, in the middle, late.
    private var forecastBand: Markup {
        guard let forecast else { return .none }
        let (now, here) = (x(end), y(forecast.progress))
        let (early, median, late) = (x(max(forecast.early, end)), x(max(forecast.median, end)), x(max(min(forecast.late, foreseen), end)))
        let words = "expected to finish after \(Self.tick(span(start, forecast.median))) (1 % later than \(Self.tick(span(start, forecast.late))))"
        return """
            <path class="forecast" d="M\(at(now)) \(at(here))L\(at(early)) \(at(y(1)))L\(at(late)) \(at(y(1)))Z"><title>\(words)</title></path>
            <path class="median" d="M\(at(now)) \(at(here))L\(at(median)) \(at(y(1)))"/>
            """
    }

    private var deadlineLine: Markup {
        guard isDeadlineInSight, let deadline else { return .none }
        let isLate = x(deadline) > width * 0.85
        return """
            <line class="deadline" x1="\(at(x(deadline)))" x2="\(at(x(deadline)))" y1="\(at(top - 8))" y2="\(at(top + plotHeight))"/>
            <text class="deadline-name" x="\(at(x(deadline) + (isLate ? -5 : 5)))" y="\(at(top - 10))" text-anchor="\(isLate ? "end" : "start")">deadline \(Self.tick(span(start, deadline)))</text>
            """
    }

    /// One line a life, from where it began to where it was last seen.
    private var curves: Markup {
        task.lives.compactMap { life -> Markup? in
            guard let from = life.startedAt?.time else { return nil }
            let to = life.endedAt?.time ?? end
            var points = [(from, life.startProgress)]
            points += task.timeline.filter { $0.epoch == life.epoch && $0.at.time > from && $0.at.time <= to }.map { ($0.at.time, $0.progress) }
            if life.end == .finished { points.append((to, 1)) }
            guard points.count > 1 else { return nil }
            return "<polyline class=\"progress\" points=\"\(points.map { "\(at(x($0.0))),\(at(y($0.1)))" }.joined(separator: " "))\"/>"
        }.reduce(.none, +)
    }

    private var checkpointMarks: Markup {
        task.checkpoints.compactMap { made -> Markup? in
            guard let captured = made.capturedAt?.time, let progress = made.progress else { return nil }
            let kind = made.committedAt == nil ? "mark broken" : made.resumptions > 0 ? "mark resumed" : "mark"
            return """
                <circle class="\(kind)" cx="\(at(x(captured)))" cy="\(at(y(progress)))" r="4.5"><title>\(made.checkpoint), \(Words.share(progress)) done, \(made.statusWords)</title></circle>
                """
        }.reduce(.none, +)
    }

    private var failureMarks: Markup {
        task.failures.map { failure -> Markup in
            let (cx, cy) = (x(failure.at.time), y(task.timeline.last { $0.epoch == failure.epoch }?.progress ?? 0))
            var drawn: Markup = """
                <path class="failure" d="M\(at(cx - 6)) \(at(cy - 6))L\(at(cx + 6)) \(at(cy + 6))M\(at(cx - 6)) \(at(cy + 6))L\(at(cx + 6)) \(at(cy - 6))"><title>\(failure.words)</title></path>
                """
            if let again = failure.resumedAt?.time, let life = task.lives.first(where: { $0.startedAt == failure.resumedAt }) {
                let (rx, ry) = (x(again), y(life.startProgress))
                drawn += """
                    <line class="fallback" x1="\(at(cx))" y1="\(at(cy))" x2="\(at(rx))" y2="\(at(ry))"/>
                    <path class="again" d="M\(at(rx - 4)) \(at(ry - 6))L\(at(rx + 7)) \(at(ry))L\(at(rx - 4)) \(at(ry + 6))Z"><title>runs again on \(life.node) from \(life.from?.rawValue ?? "the beginning")</title></path>
                    """
            }
            return drawn
        }.reduce(.none, +)
    }

    private var endMark: Markup {
        guard task.happened.result != nil else { return .none }
        let (cx, cy) = (x(end), y(1))
        return
            "<path class=\"done\" d=\"M\(at(cx - 7)) \(at(cy))l5 6l9 -12\"><title>finished after \(Words.duration(task.happened.elapsedSeconds))</title></path>"
    }

    private var legend: Markup {
        var parts: [Markup] = ["<span><i class=\"key key-progress\"></i>progress</span>"]
        if !task.checkpoints.isEmpty {
            parts.append("<span><i class=\"key key-mark\"></i>checkpoint</span>")
            parts.append(
                "<span><i class=\"key key-stop\"></i>stopped</span><span><i class=\"key key-compress\"></i>compressing</span><span><i class=\"key key-upload\"></i>until safe in the store</span>"
            )
        }
        if !task.failures.isEmpty {
            parts.append("<span><i class=\"key key-failure\"></i>failure</span><span><i class=\"key key-down\"></i>down</span>")
        }
        if forecast != nil { parts.append("<span><i class=\"key key-forecast\"></i>forecast, 10 % to 99 %</span>") }
        if let deadline {
            parts.append(
                isDeadlineInSight
                    ? "<span><i class=\"key key-deadline\"></i>deadline</span>"
                    : "<span>deadline at \(Self.tick(span(start, deadline))), not drawn</span>")
        }
        return "\(parts)"
    }
}
