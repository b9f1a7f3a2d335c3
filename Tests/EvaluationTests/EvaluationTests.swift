import Evaluation
import Foundation
import Testing

@Suite("Results become pages and figures")
struct EvaluationTests {
    static let results = EvaluationResults(
        measuredAt: "2026-01-02T03:04:05Z", command: "cairn bench paper", machine: "a machine of <2> cores & more", isQuick: false, seconds: 125,
        scenarios: [
            ScenarioResult(
                id: "table-2", title: "Table II: upload by protocol", setup: "100 MiB.",
                tables: [
                    DataTable(title: "Seconds", rowTitle: "Store", columns: ["ours | s", "paper's way, s"], rows: [.init("HDFS", [1.23456, nil])])
                ],
                paper: [PaperNumbers.table2], paperSays: ["SFTP is slow."],
                charts: [bars, grouped, lines],
                findings: [
                    ShapeFinding("More replicas take longer.", holds: true, because: "(1 < 2)"),
                    ShapeFinding("FTP is fastest.", holds: false, because: "(it is not)"),
                ], missing: ["SFTP: no server"])
        ])
    static let bars = Chart(
        name: "bars", title: "Stacked & <escaped>", kind: .stackedBars, xLabel: "memory, MiB", yLabel: "seconds", categories: ["64", "128"],
        series: [.init("save", values: [0.5, 1]), .init("upload", values: [1.5, nil]), .init("restart", values: [0.25, 0.25])])
    static let grouped = Chart(
        name: "grouped", title: "Grouped", kind: .groupedBars, xLabel: "store", yLabel: "seconds",
        categories: ["a long name of a store", "another long name", "three", "four", "five", "six"],
        series: [.init("one", values: [1, 2, 3, 4, 5, 6]), .init("two", values: [6, 5, nil, 3, 2, 1])])
    static let lines = Chart(
        name: "lines", title: "Lines", kind: .lines, xLabel: "time, s", yLabel: "%",
        series: [.init("a", values: [0, 50, nil, 100], xs: [0, 10, 20, 30]), .init("b", values: [3, 4], xs: [5, 25])],
        markers: [.init(x: 12, text: "killed"), .init(x: 29, text: "resumed")])

    private static func golden(_ name: String, _ text: String) throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/\(name)")
        if ProcessInfo.processInfo.environment["CAIRN_UPDATE_GOLDEN"] == "1" {
            try Data(text.utf8).write(to: file)
            return
        }
        #expect(text == String(decoding: try Data(contentsOf: file), as: UTF8.self), "\(name): CAIRN_UPDATE_GOLDEN=1 writes it anew")
    }

    @Test("the page is as it was")
    func page() throws { try Self.golden("page.md", EvaluationPage.markdown(Self.results)) }

    @Test("what was measured after the others says so, with the command, and survives JSON")
    func again() throws {
        var results = Self.results
        results.scenarios[0].again = .init(at: "2026-01-03T00:00:00Z", command: "cairn bench paper --scenario table-2", seconds: 90)
        let page = EvaluationPage.markdown(results)
        #expect(page.contains("Measured after the others, by `cairn bench paper --scenario table-2` on 2026-01-03T00:00:00Z, in 1.5 minutes."))
        #expect(try JSONDecoder().decode(EvaluationResults.self, from: JSONEncoder().encode(results)) == results)
    }

    @Test("figures are as they were", arguments: [bars, grouped, lines])
    func figure(chart: Chart) throws { try Self.golden("\(chart.name).svg", SVG.draw(chart)) }

    @Test("figures are well-formed, whatever the names", arguments: [bars, grouped, lines])
    func wellFormed(chart: Chart) throws {
        var chart = chart
        chart.series[0].name = "<&>\"'"
        let text = SVG.draw(chart)
        #expect(text.components(separatedBy: "<text").count == text.components(separatedBy: "</text>").count)
        #expect(!text.contains("<&>"))
        #expect(text.contains("prefers-color-scheme: dark"))
        #expect(!text.contains("nan") && !text.contains("inf"))
    }

    @Test("results survive JSON")
    func json() throws {
        let data = try JSONEncoder().encode(Self.results)
        #expect(try JSONDecoder().decode(EvaluationResults.self, from: data) == Self.results)
    }

    @Test("orders are judged with their slack, and strict ones without")
    func order() {
        func judged(_ values: [Double], _ steps: [String], _ slack: Double) -> Bool {
            Shapes.order("", values.map { ("x", $0) }, steps, slack: slack).holds
        }
        #expect(judged([1, 2, 2], ["<", "≤"], 0))
        #expect(!judged([1, 2, 1.9], ["<", "≤"], 0))
        #expect(judged([1, 2, 1.9], ["<", "≤"], 0.2))
        #expect(!judged([2, 2], ["<"], 5))
        #expect(!judged([1], [], 0))
    }

    @Test("a line through points")
    func line() {
        let line = Shapes.line([(1, 3), (2, 5), (3, 7)])
        #expect(abs(line.slope - 2) < 1e-12 && abs(line.intercept - 1) < 1e-12 && abs(line.explained - 1) < 1e-12)
        #expect(!Shapes.growsLinearly("", [(1, 3), (2, 2), (3, 1)], unit: "s").holds)
        #expect(!Shapes.growsLinearly("", [(1, 1), (2, 9), (3, 1), (4, 9), (5, 1)], unit: "s").holds)
    }

    @Test("within a share of the best of the others")
    func within() {
        #expect(Shapes.within("", share: 0.05, [("a", 1.04, [1, 2]), ("b", 0.9, [1, 3])]).holds)
        #expect(!Shapes.within("", share: 0.05, [("a", 1.06, [1, 2])]).holds)
        #expect(!Shapes.within("", share: 0.05, []).holds)
    }
}
