import Foundation
import Knowledge
import Vocabulary

/// What `cairn top` shows, as lines: pure, so that it can be looked at in a test.
struct TopScreen {
    struct Line: Equatable {
        enum Style { case plain, heading, urgent }
        var text: String
        var style: Style = .plain
    }

    var knowledge: Knowledge
    /// The newest last.
    var news: [String]
    /// What is said of the manager.
    var manager: String
    var now: Timestamp

    /// - Parameters:
    ///   - width: lines are cut there; nil: not at all.
    ///   - height: so many lines at most; nil: all.
    func lines(width: Int?, height: Int?) -> [Line] {
        var lines = head() + [Line(text: "")] + nodes() + [Line(text: "")] + tasks()
        if let height {
            // News get what is left, three lines at least; if even that is not there, tasks are cut, and that is said.
            let room = height - lines.count - 1
            if room >= 1 {
                let shown = news.suffix(room)
                if !shown.isEmpty { lines += [Line(text: "")] + shown.map { Line(text: $0) } }
            } else if lines.count > height, height >= 2 {
                let hidden = lines.count - height + 1
                lines = lines.prefix(height - 1) + [Line(text: "… \(hidden) more lines: a larger window, or cairn task list")]
            }
            lines = Array(lines.prefix(height))
        } else if !news.isEmpty {
            lines += [Line(text: "")] + news.map { Line(text: $0) }
        }
        guard let width else { return lines }
        return lines.map { Line(text: String($0.text.prefix(max(1, width))), style: $0.style) }
    }

    private func head() -> [Line] {
        let time = Date(timeIntervalSince1970: now.rawValue).formatted(.iso8601.time(includingFractionalSeconds: false))
        let tasks = knowledge.tasks.values
        let live = tasks.count { !$0.state.isFinal }
        let finished = tasks.count { if case .finished = $0.state { true } else { false } }
        let store: String
        if let health = knowledge.store {
            let free = health.freeBytes.map { String(format: ", %.1f GiB free", $0.mebibytes / 1_024) } ?? ""
            store = (health.reachable ? "there" : "NOT there") + free + (health.detail.isEmpty ? "" : " (\(health.detail))")
        } else {
            store = "not looked at yet"
        }
        return [
            Line(text: "cairn \(Release.version)  \(time)  \(manager)"),
            Line(text: "\(live) live tasks, \(finished) finished, \(tasks.count - live - finished) otherwise ended"),
            Line(text: "store: \(store)", style: knowledge.store?.reachable == false ? .urgent : .plain),
        ]
    }

    private func nodes() -> [Line] {
        var rows = [["NODE", "STANDING", "TASKS", "FAILURES", "WATCHED", "HYPERVISOR"]]
        let nodes = knowledge.nodes.values.sorted { $0.id < $1.id }
        for node in nodes {
            let tasks = knowledge.load(of: node.id)
            let hypervisor = node.capabilities.map { "\($0.driver) \($0.version), \($0.acceleration.rawValue)" } ?? "-"
            rows.append([
                node.id.rawValue, node.standing.rawValue, "\(tasks)", "\(node.failures)", Self.length(node.exposure(at: now)), hypervisor,
            ])
        }
        let styles = [Line.Style.heading] + nodes.map { [.suspected, .lost].contains($0.standing) ? Line.Style.urgent : .plain }
        return Self.table(rows, styles)
    }

    private func tasks() -> [Line] {
        // What lives first, the most urgent on top; then what ended, the newest on top.
        let live = knowledge.tasks.values.filter { !$0.state.isFinal }.sorted {
            ($0.deadline?.rawValue ?? .infinity, $0.id) < ($1.deadline?.rawValue ?? .infinity, $1.id)
        }
        let ended = knowledge.tasks.values.filter { $0.state.isFinal }.sorted {
            ($1.endedAt?.rawValue ?? 0, $1.id) < ($0.endedAt?.rawValue ?? 0, $0.id)
        }
        var rows = [["TASK", "STATE", "NODE", "PROGRESS", "", "DEADLINE", "SAFE", "LAST", "INTERRUPTIONS"]]
        var styles = [Line.Style.heading]
        for task in live + ended {
            let summary = TaskSummary(task)
            let filled = Int((summary.progress * 10).rounded(.down))
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 10 - filled)
            var deadline = "-"
            var isLate = false
            if let moment = task.deadline {
                if let end = task.endedAt {
                    isLate = end > moment
                    deadline = isLate ? "missed" : "kept"
                } else {
                    isLate = now > moment
                    deadline = isLate ? "\(Self.length(now - moment)) late" : "in \(Self.length(moment - now))"
                }
            }
            let last = task.newestCommitted.map { Self.length(max(.zero, now - $0.capturedAt)) + " ago" } ?? "-"
            rows.append([
                task.id.rawValue, summary.state, task.node?.rawValue ?? "-", bar, "\(Int(summary.progress * 100)) %", deadline,
                "\(summary.checkpoints)", task.state.isFinal ? "-" : last, "\(summary.interruptions)",
            ])
            let isUrgent: Bool =
                switch task.state {
                case .interrupted, .resuming, .givenUp: true
                default: isLate
                }
            styles.append(isUrgent ? .urgent : .plain)
        }
        if rows.count == 1 { return [Line(text: "no tasks")] }
        return Self.table(rows, styles)
    }

    private static func table(_ rows: [[String]], _ styles: [Line.Style]) -> [Line] {
        zip(Terminal.columns(rows).split(separator: "\n", omittingEmptySubsequences: false), styles).map { Line(text: String($0), style: $1) }
    }

    /// In its two largest units: `3d 4h`, `5m 10s`.
    static func length(_ length: Seconds) -> String {
        let whole = Int(max(0, length.rawValue).rounded(.down))
        if whole < 60 { return "\(whole)s" }
        if whole < 3_600 { return "\(whole / 60)m \(whole % 60)s" }
        if whole < 86_400 { return "\(whole / 3_600)h \(whole % 3_600 / 60)m" }
        return "\(whole / 86_400)d \(whole % 86_400 / 3_600)h"
    }
}
