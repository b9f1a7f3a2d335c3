import Testing
import Vocabulary

@testable import ManagerMetrics

@Suite("Metrics as Prometheus reads them")
struct ExpositionTests {
    @Test("labels and help are escaped, each in its own way")
    func escaping() {
        #expect(Exposition.escaped(label: "a\\b\"c\nd\re") == "a\\\\b\\\"c\\nd\re")
        // One character to Swift, two to Prometheus.
        #expect(Exposition.escaped(label: "a\r\nb") == "a\r\\nb")
        var page = Exposition()
        page.set(.taskProgress, ["odd\"\\\nname", "default"], 0.25)
        #expect(page.text.hasSuffix("cairn_task_progress_ratio{task=\"odd\\\"\\\\\\nname\",policy=\"default\"} 0.25\n"))
    }

    @Test("numbers are whole where they can be, and the odd ones have Prometheus's names")
    func numbers() {
        #expect([1, -3, 0.5, 1e18].map(Exposition.number) == ["1", "-3", "0.5", "1000000000000000000"])
        #expect([Double.nan, .infinity, -.infinity].map(Exposition.number) == ["NaN", "+Inf", "-Inf"])
        #expect(Double(Exposition.number(1.2345e-7)) == 1.2345e-7)
    }

    @Test("a histogram's buckets are cumulative and end with all")
    func histograms() throws {
        var page = Exposition()
        for seconds in [0.005, 0.01, 0.02, 3, 100] { page.observe(.stopSeconds, ["default"], Seconds(seconds)) }
        let lines = page.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        let buckets = lines.filter { $0.contains("_bucket") }
        #expect(buckets.count == Metric.stopSeconds.definition.bounds.count + 1)
        #expect(buckets.first == "cairn_checkpoint_stop_seconds_bucket{policy=\"default\",le=\"0.01\"} 2")
        #expect(buckets.dropFirst().first == "cairn_checkpoint_stop_seconds_bucket{policy=\"default\",le=\"0.025\"} 3")
        #expect(buckets.last == "cairn_checkpoint_stop_seconds_bucket{policy=\"default\",le=\"+Inf\"} 5")
        let counts = buckets.compactMap { Int($0.split(separator: " ").last ?? "") }
        #expect(counts == counts.sorted())
        let sum = try #require(lines.first { $0.contains("_sum") }.flatMap { Double($0.split(separator: " ").last ?? "") })
        #expect(abs(sum - 103.035) < 1e-9)
        #expect(lines.last == "cairn_checkpoint_stop_seconds_count{policy=\"default\"} 5")
    }

    @Test("the same labels are one series, and each family is told of once")
    func noDuplicates() {
        var page = Exposition()
        page.add(.checkpoints, ["default", "zstd", "committed"])
        page.add(.checkpoints, ["default", "zstd", "committed"])
        page.add(.checkpoints, ["default", "gzip", "committed"])
        page.begin(.stopSeconds, ["default"])
        page.begin(.stopSeconds, ["default"])
        let lines = page.text.split(separator: "\n")
        #expect(lines.contains("cairn_checkpoints_total{policy=\"default\",codec=\"zstd\",outcome=\"committed\"} 2"))
        #expect(Set(lines.map { $0.split(separator: " ").dropLast().joined(separator: " ") }).count == lines.count)
        #expect(lines.count { $0.hasPrefix("# TYPE cairn_checkpoints_total counter") } == 1)
    }

    @Test("names are Prometheus's kind of names", arguments: Metric.allCases)
    func names(_ metric: Metric) {
        let definition = metric.definition
        #expect(metric.rawValue.wholeMatch(of: /cairn_[a-z]+(_[a-z]+)*/) != nil)
        #expect(metric.rawValue.hasSuffix("_total") == (definition.kind == .counter))
        #expect(!definition.help.isEmpty && !definition.help.hasSuffix("."))
        #expect(Set(definition.labels).count == definition.labels.count && !definition.labels.contains("le"))
        #expect(definition.kind == .histogram || definition.bounds.isEmpty)
        if definition.kind == .histogram { #expect(metric.rawValue.hasSuffix("_seconds")) }
    }
}
