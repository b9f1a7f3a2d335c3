import Vocabulary

/// Values of metrics, each once for its labels, and the text that Prometheus reads.
package struct Exposition: Hashable, Sendable {
    /// By the values of the labels, in the order of the metric's definition.
    private var values: [Metric: [[String]: Double]] = [:]
    private var histograms: [Metric: [[String]: Histogram]] = [:]

    package init() {}

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package mutating func set(_ metric: Metric, _ labels: [String] = [], _ value: Double) {
        check(metric, labels, isHistogram: false)
        values[metric, default: [:]][labels] = value
    }

    package mutating func add(_ metric: Metric, _ labels: [String] = [], _ value: Double = 1) {
        check(metric, labels, isHistogram: false)
        values[metric, default: [:]][labels, default: 0] += value
    }

    package mutating func observe(_ metric: Metric, _ labels: [String] = [], _ value: Seconds) {
        begin(metric, labels)
        histograms[metric]?[labels]?.observe(value.rawValue)
    }

    /// A histogram without a value, where there is none yet: its rates are then right from the first value on.
    package mutating func begin(_ metric: Metric, _ labels: [String] = []) {
        check(metric, labels, isHistogram: true)
        if histograms[metric]?[labels] == nil { histograms[metric, default: [:]][labels] = Histogram(bounds: metric.definition.bounds) }
    }

    package mutating func set(_ metric: Metric, _ labels: [String] = [], _ histogram: Histogram) {
        check(metric, labels, isHistogram: true)
        histograms[metric, default: [:]][labels] = histogram
    }

    package func value(_ metric: Metric, _ labels: [String] = []) -> Double? { values[metric]?[labels] }
    package func histogram(_ metric: Metric, _ labels: [String] = []) -> Histogram? { histograms[metric]?[labels] }

    private func check(_ metric: Metric, _ labels: [String], isHistogram: Bool) {
        let definition = metric.definition
        precondition(labels.count == definition.labels.count, "\(metric.rawValue) has the labels \(definition.labels)")
        precondition((definition.kind == .histogram) == isHistogram, "\(metric.rawValue) is a \(definition.kind)")
    }

    // MARK: The text

    /// Source: Prometheus, exposition formats, text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
    package var text: String {
        var text = ""
        for metric in Metric.allCases {
            let definition = metric.definition
            guard values[metric] != nil || histograms[metric] != nil else { continue }
            text += "# HELP \(metric.rawValue) \(Self.escaped(help: definition.help))\n# TYPE \(metric.rawValue) \(definition.kind.rawValue)\n"
            for (labels, value) in (values[metric] ?? [:]).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                text += Self.line(metric.rawValue, Array(zip(definition.labels, labels)), value)
            }
            for (labels, histogram) in (histograms[metric] ?? [:]).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                text += Self.lines(metric.rawValue, Array(zip(definition.labels, labels)), histogram)
            }
        }
        return text
    }

    private static func lines(_ name: String, _ labels: [(String, String)], _ histogram: Histogram) -> String {
        var text = ""
        var cumulative: Int64 = 0
        for (bound, count) in zip(histogram.bounds + [.infinity], histogram.counts) {
            cumulative += count
            text += line(name + "_bucket", labels + [("le", number(bound))], Double(cumulative))
        }
        return text + line(name + "_sum", labels, histogram.sum) + line(name + "_count", labels, Double(cumulative))
    }

    private static func line(_ name: String, _ labels: [(String, String)], _ value: Double) -> String {
        let list = labels.map { "\($0.0)=\"\(escaped(label: $0.1))\"" }.joined(separator: ",")
        return "\(name)\(list.isEmpty ? "" : "{\(list)}") \(number(value))\n"
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if let whole = Int64(exactly: value) { return String(whole) }
        return "\(value)"
    }

    private static func escaped(help: String) -> String { escaped(help, quotes: false) }
    static func escaped(label: String) -> String { escaped(label, quotes: true) }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        // By scalars: "\r\n" is one character.
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
