/// Where problems are gathered while a file is read.
final class Findings {
    /// More of them than anybody reads; a bound on what a hostile file makes us say.
    static let mostProblems = 1_000

    let file: String
    private var found: Set<Problem> = []
    private var dropped = 0
    private(set) var errorCount = 0
    /// Keys that were renamed so that a mapping which has them twice can be read at all: the scalar put in, the one that it replaced.
    var renamed: [Unicode.Scalar: Unicode.Scalar] = [:]

    init(file: String) { self.file = file }

    func add(_ position: Position?, _ key: String, _ message: String, _ suggestion: String? = nil, severity: Problem.Severity = .error) {
        let problem = Problem(
            file: file, line: position?.line ?? 1, column: position?.column ?? 1, key: key, severity: severity, message: message,
            suggestion: suggestion)
        if severity == .error { errorCount += 1 }
        if found.count < Self.mostProblems || found.contains(problem) { found.insert(problem) } else { dropped += 1 }
    }

    /// By position, each once.
    var problems: [Problem] {
        var sorted = found.sorted {
            ($0.line, $0.column, $0.key, $0.message, $0.suggestion ?? "") < ($1.line, $1.column, $1.key, $1.message, $1.suggestion ?? "")
        }
        if dropped > 0, let last = sorted.last {
            sorted.append(
                Problem(
                    file: file, line: last.line, column: last.column, key: "", severity: .error, message: "\(dropped) more problems are not shown",
                    suggestion: nil))
        }
        return sorted
    }

    /// A key as it stands in the file.
    func written(_ name: String) -> String {
        guard let first = name.unicodeScalars.first, let original = renamed[first] else { return name }
        return String(original) + String(name.unicodeScalars.dropFirst())
    }
}

enum Nearest {
    /// The nearest of some words, if it is near enough to be meant.
    static func to(_ word: String, among words: [String]) -> String? {
        let word = word.lowercased()
        guard word.count <= 40 else { return nil }
        let ranked = words.map { ($0, distance(word, $0.lowercased())) }.min { $0.1 < $1.1 }
        if let (best, distance) = ranked, distance <= max(1, word.count / 3) { return best }
        let longer = words.filter { word.count >= 3 && $0.lowercased().hasPrefix(word) }
        return longer.count == 1 ? longer[0] : nil
    }

    static func suggestion(_ word: String, among words: [String]) -> String? { to(word, among: words).map { "did you mean \($0)?" } }

    /// Levenshtein's distance.
    private static func distance(_ a: String, _ b: String) -> Int {
        let b = Array(b)
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var previous = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let here = row[j + 1]
                row[j + 1] = min(previous + (x == y ? 0 : 1), here + 1, row[j] + 1)
                previous = here
            }
        }
        return row[b.count]
    }
}
