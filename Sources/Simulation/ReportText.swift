extension SimulationReport {
    private static let columns: [(name: String, metric: Metric)] = [
        ("COST", .totalCost), ("TIME", .timeCost), ("NETWORK", .networkCost), ("STORAGE", .storageCost), ("PENALTY", .penaltyCost),
        ("FINISHED AFTER", .finishSeconds), ("LATE", .deadlineMissShare), ("LIMITS BROKEN", .limitsBroken), ("SENT", .sentBytes),
        ("CHECKPOINTS", .checkpoints), ("FAILURES", .failures), ("LOST", .lostWorkSeconds), ("STOPPED", .stoppedSeconds),
    ]

    /// Rows and their cells: each policy's means a task, with what 95 % confidence leaves open.
    package var rows: [[String]] {
        [["POLICY"] + Self.columns.map(\.name)]
            + policies.map { policy in [policy.name] + Self.columns.map { Self.cell(policy[$0.metric], $0.metric, signed: false) } }
    }

    /// Each policy against the first; a difference that chance might make ends in "~".
    package var differenceRows: [[String]] {
        guard !differences.isEmpty else { return [] }
        return [["AGAINST \(differences[0].against)"] + Self.columns.map(\.name)]
            + differences.map { difference in
                [difference.policy]
                    + Self.columns.map {
                        let interval = difference[$0.metric]
                        let isOpen = interval.mean != 0 && runs > 1 && !interval.isCertain
                        return Self.cell(interval, $0.metric, signed: true) + (isOpen ? " ~" : "")
                    }
            }
    }

    /// As a table of Markdown, policies below each other: what is judged by, and differences from the first in brackets.
    package var markdown: String {
        let columns: [(name: String, metric: Metric)] = [
            ("J", .totalCost), ("finished after", .finishSeconds), ("late", .deadlineMissShare), ("sent", .sentBytes), ("checkpoints", .checkpoints),
            ("lost", .lostWorkSeconds), ("stopped", .stoppedSeconds),
        ]
        var text =
            "| policy | " + columns.map(\.name).joined(separator: " | ") + " |\n|" + String(repeating: " --- |", count: columns.count + 1) + "\n"
        for policy in policies {
            let difference = differences.first { $0.policy == policy.name }
            let cells = columns.map { column -> String in
                let own = Self.cell(policy[column.metric], column.metric, signed: false)
                guard column.metric == .totalCost, let difference else { return own }
                let isOpen = runs > 1 && !difference[column.metric].isCertain
                return own + " (" + Self.cell(difference[column.metric], column.metric, signed: true) + (isOpen ? " ~" : "") + ")"
            }
            text += "| " + ([policy.name] + cells).joined(separator: " | ") + " |\n"
        }
        return text
    }

    private static func cell(_ interval: Interval95, _ metric: Metric, signed: Bool) -> String {
        let text = value(interval.mean, metric)
        let sign = signed && interval.mean > 0 ? "+" : ""
        guard interval.standardError != nil, interval.reach > 0 else { return sign + text }
        return "\(sign)\(text) ±\(value(interval.reach, metric))"
    }

    static func value(_ value: Double, _ metric: Metric) -> String {
        switch metric {
        case .totalCost, .timeCost, .networkCost, .storageCost, .penaltyCost, .limitsBroken, .checkpoints, .failures: plain(value)
        case .deadlineMissShare, .unfinishedShare: percent(value)
        case .sentBytes: size(value)
        case .finishSeconds, .lostWorkSeconds, .stoppedSeconds, .interferenceSeconds, .downSeconds, .recoverySeconds, .waitingSeconds: duration(value)
        }
    }

    /// What was simulated, in a line; and in another one what should not be overlooked.
    package var heading: String {
        "\(tasks) tasks on \(nodes) nodes, \(runs) runs, seed \(seed); \(failures); costs in \(currency), means a task ± 95 % confidence"
    }

    package var warnings: [String] {
        policies.compactMap { policy in
            let share = policy[.unfinishedShare].mean
            return share > 0
                ? "\(policy.name): \(percent(share)) of the tasks had not finished after \(duration(horizonSeconds)); their time is counted up to then"
                : nil
        }
    }
}
