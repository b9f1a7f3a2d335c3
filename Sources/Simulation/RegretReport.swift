/// The whole grid of regrets, as a table, JSON and Markdown.
package struct RegretReport: Hashable, Sendable, Codable {
    package var schema = RegretGrid.schemaName
    package var seed: UInt64
    package var preference: String
    package var policy: String
    package var lifetimes: Int
    package var cells: [RegretGrid.Cell]

    package init(_ grid: RegretGrid, cells: [RegretGrid.Cell]) {
        seed = grid.seed
        preference = grid.preference
        policy = grid.candidacy.policy.name
        lifetimes = grid.lifetimes
        self.cells = cells
    }

    private static func bound(_ law: String) -> Double { FailureLaw(law).map(RegretGrid.bound) ?? 0 }
    /// Cells whose regret is above the bound, and how many of them surely are.
    package var above: [RegretGrid.Cell] { cells.filter { $0.regret > Self.bound($0.law) } }
    package var surelyAbove: [RegretGrid.Cell] { cells.filter { $0.regret - $0.regretReach > Self.bound($0.law) } }

    private func ordered<Value: Equatable>(_ values: [Value]) -> [Value] {
        values.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
    private var laws: [String] { ordered(cells.map(\.law)) }
    private static func length(_ seconds: Double) -> String {
        seconds >= 86_400
            ? decimals(seconds / 86_400, 0) + " d" : seconds >= 3_600 ? decimals(seconds / 3_600, 0) + " h" : decimals(seconds / 60, 0) + " min"
    }

    /// For each law: its name, and rows by the task's length, columns by the MTBF.
    package var tables: [(law: String, rows: [[String]])] {
        laws.map { law in
            let mine = cells.filter { $0.law == law }
            let mtbfs = ordered(mine.map(\.mtbfSeconds))
            let rows = ordered(mine.map(\.workSeconds)).map { work -> [String] in
                [Self.length(work)]
                    + mtbfs.map { mtbf in
                        guard let cell = mine.first(where: { $0.mtbfSeconds == mtbf && $0.workSeconds == work }) else { return "-" }
                        let mark = cell.regret <= Self.bound(law) ? "" : cell.regret - cell.regretReach > Self.bound(law) ? " !" : " ?"
                        return "\(decimals(cell.regret * 100, 1)) ±\(decimals(cell.regretReach * 100, 1))\(mark)"
                    }
            }
            return (law, [["WORK \\ MTBF"] + mtbfs.map(Self.length)] + rows)
        }
    }

    package func heading(_ law: String) -> String {
        let mine = cells.filter { $0.law == law }
        let worst = mine.map(\.regret).max() ?? 0
        let mean = mine.reduce(0) { $0 + $1.regret } / Double(max(1, mine.count))
        return "\(law): at most \(decimals(worst * 100, 1)) %, mean \(decimals(mean * 100, 1)) %, bound \(decimals(Self.bound(law) * 100, 0)) %"
    }

    package var summary: String {
        let within = cells.count - above.count
        return "\(within) of \(cells.count) cells are within their bound; \(surelyAbove.count) are surely above it (!), "
            + "\(above.count - surelyAbove.count) perhaps (?). Preference \(preference), \(lifetimes) lifetimes a cell, seed \(seed)."
    }

    package var markdown: String {
        var text = ""
        for table in tables {
            text += "**\(heading(table.law))**\n\n"
            for (index, row) in table.rows.enumerated() {
                text += "| " + row.joined(separator: " | ") + " |\n"
                if index == 0 { text += "|" + row.map { _ in " --- |" }.joined() + "\n" }
            }
            text += "\n"
        }
        return text + summary + "\n"
    }
}
