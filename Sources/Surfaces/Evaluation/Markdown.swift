/// The page of an evaluation, made from its results alone.
package enum EvaluationPage {
    package static func markdown(_ results: EvaluationResults) -> String {
        var lines = [
            "# The paper's evaluation, repeated", "",
            "Made by `\(results.command)` on \(results.measuredAt): \(results.machine). It took \(minutes(results.seconds)) minutes"
                + (results.isQuick ? "; **quick**: sizes so small that the numbers say little." : ".")
                + " The numbers are in [results.json](results.json);",
            "this page and the figures are made from it.", "",
        ]
        for scenario in results.scenarios { lines += section(scenario) }
        return lines.joined(separator: "\n")
    }

    private static func minutes(_ seconds: Double) -> String { short((seconds / 6).rounded() / 10) }

    private static func section(_ scenario: ScenarioResult) -> [String] {
        var lines = ["## \(scenario.title)", "", scenario.setup, ""]
        if let again = scenario.again {
            lines += ["Measured after the others, by `\(again.command)` on \(again.at), in \(minutes(again.seconds)) minutes.", ""]
        }
        for chart in scenario.charts { lines += ["![\(chart.title)](\(chart.name).svg)", ""] }
        for one in scenario.tables { lines += table(one) }
        if !scenario.paper.isEmpty || !scenario.paperSays.isEmpty { lines += ["**The paper:**", ""] }
        for one in scenario.paper { lines += table(one) }
        if !scenario.paperSays.isEmpty { lines += scenario.paperSays.map { "- \($0)" } + [""] }
        if !scenario.findings.isEmpty {
            lines += ["**Does the shape agree?**", ""]
            lines += scenario.findings.map { "- \($0.holds ? "Yes" : "**No**"): \($0.statement) \($0.because)" } + [""]
        }
        if !scenario.missing.isEmpty { lines += scenario.missing.map { "- Not measured: \($0)" } + [""] }
        return lines
    }

    static func table(_ table: DataTable) -> [String] {
        func cell(_ text: String) -> String { text.replacing("|", with: "\\|") }
        var lines = table.title.isEmpty ? [] : ["*\(table.title)*", ""]
        lines.append("| " + ([table.rowTitle] + table.columns).map(cell).joined(separator: " | ") + " |")
        lines.append("| --- |" + String(repeating: " ---: |", count: table.columns.count))
        for row in table.rows {
            lines.append("| " + ([cell(row.name)] + row.values.map { $0.map(number) ?? "–" }).joined(separator: " | ") + " |")
        }
        return lines + [""]
    }

    /// As tables and findings have it.
    package static func figure(_ value: Double) -> String { number(value) }

    /// Three significant digits, more for large ones.
    static func number(_ value: Double) -> String {
        let size = abs(value)
        let scale = size >= 100 ? 1.0 : size >= 10 ? 10 : size >= 1 ? 100 : 1_000
        return short((value * scale).rounded() / scale)
    }
}
