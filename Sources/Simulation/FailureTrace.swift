/// Outages of real nodes, from a file: what happened, instead of what a law says.
package struct FailureTrace: Hashable, Sendable {
    /// Names of nodes, numbers in the order of numbers, before the others in the order of words.
    package let nodes: [String]
    /// From the first outage's beginning to the last one's end, seconds, at least 1.
    package let periodSeconds: Double
    package let outageCount: Int
    private let outagesByNode: [String: [Outage]]

    /// By node, seconds from the trace's beginning, in order; those that overlap are one.
    package func outages(of node: String) -> [Outage] { outagesByNode[node] ?? [] }

    /// Something that is wrong with a line.
    package struct Problem: Hashable, Sendable, CustomStringConvertible {
        package var file: String
        /// From 1.
        package var line: Int
        package var message: String
        package var description: String { "\(file):\(line): error: \(message)" }
    }

    package static let columns = ["node", "down_start_epoch_seconds", "down_end_epoch_seconds", "cause"]
    static let mostNodes = 100_000

    /// Reads comma-separated values whose first line names the columns: `node`, `down_start_epoch_seconds`, `down_end_epoch_seconds` and,
    /// if you like, `cause`; in any order, others are passed over. Values have no quotation marks. Empty lines and lines that begin with # count for nothing.
    /// - Returns: nil, and every problem, if there is any.
    package static func read(_ text: String, file: String) -> (trace: FailureTrace?, problems: [Problem]) {
        var problems: [Problem] = []
        func trouble(_ line: Int, _ message: String) { problems.append(Problem(file: file, line: line, message: message)) }
        var places: (node: Int, start: Int, end: Int, count: Int)?
        var found: [(node: String, start: Double, end: Double)] = []
        var number = 0
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            number += 1
            let line = trimmed(line)
            if line.isEmpty || line.hasPrefix("#") { continue }
            let fields = line.split(separator: ",", omittingEmptySubsequences: false).map { String(trimmed($0)) }
            guard let columns = places else {
                let missing = Self.columns.prefix(3).filter { !fields.contains($0) }
                guard missing.isEmpty, let node = fields.firstIndex(of: Self.columns[0]), let start = fields.firstIndex(of: Self.columns[1]),
                    let end = fields.firstIndex(of: Self.columns[2])
                else {
                    trouble(number, "the first line must name the columns, and \(missing.joined(separator: ", ")) is missing")
                    return (nil, problems)
                }
                places = (node, start, end, fields.count)
                continue
            }
            guard fields.count == columns.count else {
                trouble(number, "has \(fields.count) values where the first line has \(columns.count) columns")
                continue
            }
            let node = fields[columns.node]
            if node.isEmpty { trouble(number, "has no node") }
            let start = moment(fields[columns.start])
            let end = moment(fields[columns.end])
            if start == nil { trouble(number, "\(shown(fields[columns.start])) is no number of seconds, for example 1020674700") }
            if end == nil { trouble(number, "\(shown(fields[columns.end])) is no number of seconds, for example 1020676500") }
            guard !node.isEmpty, let start, let end else { continue }
            guard end >= start else {
                trouble(number, "the outage ends \(plain(start - end)) s before it begins")
                continue
            }
            found.append((node, start, end))
        }
        if places == nil { trouble(1, "is empty: the first line names the columns \(Self.columns.joined(separator: ","))") }
        if problems.isEmpty, found.isEmpty { trouble(max(number, 1), "holds no outage") }
        if problems.isEmpty, Set(found.map(\.node)).count > mostNodes { trouble(1, "has more than \(mostNodes) nodes") }
        guard problems.isEmpty else { return (nil, problems) }
        return (FailureTrace(found), [])
    }

    /// - Precondition: at least one outage, none ends before it begins.
    package init(_ found: [(node: String, start: Double, end: Double)]) {
        precondition(!found.isEmpty, "a trace without an outage")
        let start = found.map(\.start).min() ?? 0
        let end = found.map(\.end).max() ?? 0
        var outages: [String: [Outage]] = [:]
        for outage in found { outages[outage.node, default: []].append(Outage(down: outage.start - start, up: outage.end - start)) }
        outagesByNode = outages.mapValues(Self.merged)
        outageCount = outagesByNode.values.reduce(0) { $0 + $1.count }
        periodSeconds = max(1, end - start)
        nodes = outages.keys.sorted { a, b in
            switch (Int(a), Int(b)) {
            case (let x?, let y?): x < y
            case (_?, nil): true
            case (nil, _?): false
            case (nil, nil): a < b
            }
        }
    }

    private static func merged(_ outages: [Outage]) -> [Outage] {
        var merged: [Outage] = []
        for outage in outages.sorted(by: { ($0.down, $0.up) < ($1.down, $1.up) }) {
            if let last = merged.last, outage.down <= last.up {
                merged[merged.count - 1].up = max(last.up, outage.up)
            } else {
                merged.append(outage)
            }
        }
        return merged
    }

    private static func moment(_ text: some StringProtocol) -> Double? {
        guard let value = Double(text), value.isFinite, abs(value) < 1e12 else { return nil }
        return value
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }

    private static func shown(_ text: some StringProtocol) -> String { "'" + text.prefix(40) + "'" }
}
