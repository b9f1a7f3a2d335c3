import Foundation
import Testing

@testable import ManagerMetrics

/// What people and Grafana read is held against the code.
@Suite("Documents and dashboards name the metrics that there are")
struct DocumentTests {
    static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static var tables: String {
        Metric.Origin.allCases.map { origin in
            let rows = Metric.allCases.filter { $0.origin == origin }.map { metric in
                let labels = metric.definition.labels.map { "`\($0)`" }.joined(separator: ", ")
                return "| `\(metric.rawValue)` | \(metric.definition.kind.rawValue) | \(labels.isEmpty ? "–" : labels) | \(metric.definition.help) |"
            }
            return "### \(origin.rawValue)\n\n| metric | kind | labels | |\n| --- | --- | --- | --- |\n" + rows.joined(separator: "\n") + "\n"
        }.joined(separator: "\n")
    }

    @Test("docs/metrics.md lists every metric as it is")
    func document() throws {
        let file = Self.top.appendingPathComponent("docs/metrics.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- metrics: written by a test, CAIRN_UPDATE_GOLDEN=1 -->\n"))
        let end = try #require(text.range(of: "<!-- metrics end -->"))
        if ProcessInfo.processInfo.environment["CAIRN_UPDATE_GOLDEN"] != nil {
            try text.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: "\n\(Self.tables)\n").write(
                to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(text[begin.upperBound..<end.lowerBound] == "\n\(Self.tables)\n")
        }
    }

    /// Names that rules record.
    private func recorded() throws -> Set<String> {
        let rules = try String(contentsOf: Self.top.appendingPathComponent("dashboards/prometheus/recording.rules.yml"), encoding: .utf8)
        return Set(rules.matches(of: /record: (\S+)/).map { String($0.1) })
    }

    private func unknown(in query: String, recorded: Set<String>) -> [String] {
        query.matches(of: /[a-z]*:?cairn_[a-z0-9_:]+/).map { String($0.0) }.filter { name in
            if recorded.contains(name) || Metric(rawValue: name) != nil { return false }
            let family = ["_bucket", "_sum", "_count"].first { name.hasSuffix($0) }.map { String(name.dropLast($0.count)) }
            return family.flatMap { Metric(rawValue: $0) }?.definition.kind != .histogram
        }
    }

    @Test("dashboards and rules ask for metrics that there are, and no others")
    func dashboards() throws {
        let recorded = try recorded()
        #expect(recorded.count >= 10)
        var asked: Set<String> = []
        let folder = Self.top.appendingPathComponent("dashboards")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".json") }
        #expect(files.count == 3)
        for file in files {
            let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
            for match in text.matches(of: /"(?:expr|definition|query)": "((?:[^"\\]|\\.)*)"/) {
                let query = String(match.1)
                #expect(unknown(in: query, recorded: recorded) == [], "\(file): \(query)")
                asked.formUnion(query.matches(of: /cairn_[a-z_]+/).map { String($0.0) })
            }
        }
        for file in ["recording.rules.yml", "alerts.rules.yml"] {
            let text = try String(contentsOf: folder.appendingPathComponent("prometheus/\(file)"), encoding: .utf8)
            #expect(unknown(in: text, recorded: recorded) == [], "\(file)")
        }
        #expect(asked.count > 30)
    }
}
