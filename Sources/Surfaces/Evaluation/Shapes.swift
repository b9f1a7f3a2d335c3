/// Statements about shapes, judged by numbers.
package enum Shapes {
    /// Each is not below the one before it by more than the slack, and strictly above where that is asked for.
    /// - Parameters:
    ///   - steps: `<` or `≤` between neighbours.
    ///   - slack: what a difference must exceed to count against an order.
    package static func order(_ statement: String, _ values: [(name: String, value: Double)], _ steps: [String], slack: Double = 0) -> ShapeFinding {
        var holds = values.count >= 2
        for index in 1..<max(values.count, 1) {
            let (before, after) = (values[index - 1].value, values[index].value)
            if steps[index - 1] == "<" ? !(before < after) : !(before <= after + slack) { holds = false }
        }
        return ShapeFinding(
            statement, holds: holds,
            because: "(" + values.map { "\($0.name) \(EvaluationPage.number($0.value))" }.joined(separator: ", ")
                + (slack > 0 ? "; differences below \(EvaluationPage.number(slack)) are taken for noise" : "") + ")")
    }

    /// A straight line through the points, by least squares, and how much of the variance it explains.
    package static func line(_ points: [(Double, Double)]) -> (slope: Double, intercept: Double, explained: Double) {
        let count = Double(points.count)
        guard count >= 2 else { return (0, points.first?.1 ?? 0, 0) }
        let meanX = points.reduce(0) { $0 + $1.0 } / count
        let meanY = points.reduce(0) { $0 + $1.1 } / count
        let xx = points.reduce(0) { $0 + ($1.0 - meanX) * ($1.0 - meanX) }
        let xy = points.reduce(0) { $0 + ($1.0 - meanX) * ($1.1 - meanY) }
        let yy = points.reduce(0) { $0 + ($1.1 - meanY) * ($1.1 - meanY) }
        guard xx > 0 else { return (0, meanY, 0) }
        return (xy / xx, meanY - xy / xx * meanX, yy > 0 ? xy * xy / (xx * yy) : 1)
    }

    /// It grows with x, along a line.
    package static func growsLinearly(_ statement: String, _ points: [(Double, Double)], unit: String, least: Double = 0.8) -> ShapeFinding {
        let line = line(points)
        return ShapeFinding(
            statement, holds: line.slope > 0 && line.explained >= least,
            because:
                "(\(EvaluationPage.number(line.slope)) \(unit); a line explains \(EvaluationPage.number(line.explained * 100)) % of the variance)")
    }

    /// The first stays within a share of the least of the others, everywhere.
    package static func within(
        _ statement: String, share: Double, _ points: [(name: String, value: Double, others: [Double])]
    ) -> ShapeFinding {
        let excess = points.map { ($0.name, $0.value / ($0.others.min() ?? .nan) - 1) }
        let worst = excess.max { $0.1 < $1.1 }
        return ShapeFinding(
            statement, holds: !excess.isEmpty && excess.allSatisfy { $0.1 <= share },
            because: worst.map { "(at worst \($0.1 < 0 ? "" : "+")\(EvaluationPage.number($0.1 * 100)) %, at \($0.0))" } ?? "")
    }
}
