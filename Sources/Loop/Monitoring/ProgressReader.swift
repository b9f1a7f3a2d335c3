import Vocabulary

/// Reads a task's progress from lines on its console. Pure.
package struct ProgressReader {
    package enum Reading: Equatable, Sendable {
        /// Share of the work that is done, 0 to 1.
        case progress(Double)
        case result(String)
        case failure(String)
    }

    private let pattern: Regex<AnyRegexOutput>
    private let result: Regex<AnyRegexOutput>
    private let failure: Regex<AnyRegexOutput>?

    /// nil for a source that is not the console.
    /// - Throws: when a pattern does not compile; declarations are checked before, so this is a programmer's error elsewhere.
    package init?(_ source: ProgressSource) throws {
        guard case .console(let pattern, let result, let failure) = source else { return nil }
        self.pattern = try Regex(pattern)
        self.result = try Regex(result)
        self.failure = try failure.map { try Regex($0) }
    }

    package func read(_ line: Substring) -> Reading? {
        if let match = line.firstMatch(of: result) { return .result(Self.capture(match, 1) ?? String(line)) }
        if let failure, let match = line.firstMatch(of: failure) { return .failure(Self.capture(match, 1) ?? String(line)) }
        guard let match = line.firstMatch(of: pattern), let first = Self.capture(match, 1) else { return nil }
        if let second = Self.capture(match, 2) {
            guard let done = Double(first), let total = Double(second), total > 0 else { return nil }
            return .progress(min(max(done / total, 0), 1))
        }
        let isPercentage = first.hasSuffix("%")
        guard let value = Double(isPercentage ? String(first.dropLast()) : first) else { return nil }
        return .progress(min(max(isPercentage ? value / 100 : value, 0), 1))
    }

    private static func capture(_ match: Regex<AnyRegexOutput>.Match, _ index: Int) -> String? {
        guard index < match.output.count, let text = match.output[index].substring, !text.isEmpty else { return nil }
        return String(text)
    }
}
