import Foundation
import Testing
import Vocabulary

@testable import Declarations

@Suite("Texts that mean harm")
struct HostileTests {
    @Test("a file above 1 MiB is refused unread, one of 1 MiB is read")
    func size() {
        let start = sla("# ")
        #expect(read(start + String(repeating: "x", count: (1 << 20) - start.utf8.count)).problems == [])
        let result = read(start + String(repeating: "x", count: (1 << 20) - start.utf8.count + 1))
        #expect(result.problems.map(\.description) == ["test.yaml:1:1: error: the file is larger than 1MiB (is it a declaration at all?)"])
        #expect(result.declarations == [])
    }

    static let openings: [String] = ["[", "{", "- ", "? ", "[{a: ", "{[", "? - ", "!!seq [", "&a [", "'", "\"", "%", "--- "]

    @Test("half a megabyte of brackets, braces, dashes or question marks", arguments: openings)
    func nesting(opening: String) {
        let text = "spec: \n" + String(repeating: opening, count: (1 << 19) / opening.utf8.count)
        let result = read(text)
        #expect(!result.problems.isEmpty)
        #expect(result.declarations == [])
    }

    @Test("nesting just within the parser's limit is told of, not crashed on", arguments: [998, 999, 1_000, 1_001])
    func deepestNesting(depth: Int) {
        let result = read("spec: " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
        #expect(!result.problems.isEmpty)
        let mappings = String(repeating: "{a: ", count: depth) + String(repeating: "}", count: depth)
        #expect(!read("metadata: {name: a, labels: \(mappings)}").problems.isEmpty)
    }

    @Test("aliases unfold to no more than their limit allows")
    func aliases() {
        // Twelve of them: 3 x 3 x 3 x 3 of the words.
        let allowed = "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: &d [*c, *c, *c]\n? [*d, *d, *d]\n: e\n"
        #expect(read(allowed).problems.contains { $0.message == "has a key that is no word" })
        let refused = read(allowed + "f: *d\n")
        #expect(refused.problems.map(\.message) == ["a file may use at most 12 aliases (*name)"])
        #expect(refused.problems.map(\.line) == [7])
    }

    @Test("stars and ampersands that are no aliases are not counted")
    func stars() {
        let command = "run: 'echo \(String(repeating: "*a & &a *.txt ", count: 6))'"
        #expect(read(sla(task: "image: demo, memory: 128MiB, delta: 64MiB, work: 1h, \(command)")).problems == [])
    }

    @Test("a thousand problems are told, of more their number")
    func flood() {
        let keys = (0..<3_000).map { "k\($0): 1\n" }.joined()
        let result = read(keys)
        #expect(result.problems.count == Findings.mostProblems + 1)
        #expect(result.problems.last?.message == "2004 more problems are not shown")
    }

    @Test("a mapping with one key very often")
    func repetition() {
        let result = read(String(repeating: "kind: Fleet\n", count: 2_000))
        #expect(result.problems.map(\.message) == ["a mapping has a key twice: kind"])
        #expect(result.declarations == [])
    }

    @Test("letters of the private use area beside keys given twice")
    func privateUse() {
        let all = String(String.UnicodeScalarView((0xE000...0xE0FF).compactMap(Unicode.Scalar.init)))
        let result = read(sla("  policy: a\n  policy: b\n# \(all)\n"))
        #expect(result.problems.map(\.message) == ["a mapping has a key twice: policy"])
        let some = read(sla("  policy: a\n  policy: b\n# \u{E000}\n"))
        #expect(some.problems.map(\.description) == ["test.yaml:8:3: error: spec.policy: is given twice (first at 7:3)"])
    }

    static let expressionTable: [String] = [
        String(repeating: "(", count: 499), String(repeating: "(", count: 200) + "a" + String(repeating: ")", count: 200),
        String(repeating: "[", count: 400), "(a)" + String(repeating: "*", count: 400), "(a{99999999999999999999})", "(a){1000000000}",
        #"(\p{Nothing})"#, #"(\u{FFFFFFFFFF})"#, #"\1(a)"#, "(?<n>a)(?<n>b)", "a)(b", "(?x) (a) # b", #"(\Q(a)"#,
    ]

    @Test("a regular expression that nests, repeats or never ends", arguments: expressionTable)
    func expressions(pattern: String) {
        let text = sla().replacingOccurrences(of: "progress: cpu-time", with: "progress: {console: {pattern: '\(pattern)', result: '(a)'}}")
        let result = read(text)
        #expect(result.declarations.isEmpty == result.problems.contains { $0.severity == .error })
    }

    @Test("problems are by position, whatever the order they were found in")
    func order() throws {
        for file in try Folders.files(Folders.files.appending(path: "bad"), ".yaml") {
            let places = try read(file).problems.map { Position(line: $0.line, column: $0.column) }
            #expect(places == places.sorted(), "\(file.lastPathComponent)")
        }
    }

    @Test("every place that is told is in the file")
    func places() throws {
        for file in try Folders.files(Folders.files.appending(path: "bad"), ".yaml") {
            let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
            let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
            for problem in read(text).problems {
                #expect(problem.line >= 1 && problem.line <= lines.count && problem.column >= 1, "\(file.lastPathComponent)")
                guard lines.indices.contains(problem.line - 1) else { continue }
                #expect(problem.column <= lines[problem.line - 1].unicodeScalars.count + 1, "\(file.lastPathComponent)")
            }
        }
    }

    /// SplitMix64. Source: G. Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014.
    struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    @Test("mutations of good files crash nothing, and are never both without a problem and without a declaration")
    func mutations() throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["CAIRN_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
        let rounds = 60 * (environment["CAIRN_SEEDS"].flatMap { Int($0) } ?? 1)
        print("mutations of declarations: CAIRN_SEED=\(seed)")
        var random = Seeded(state: seed)
        let snippets = [
            "\n", ":", "- ", "[", "]", "{", "}", "'", "\"", "&a ", "*a", "!", "? ", "---\n", "\t", "#", "\u{0}", "\u{FEFF}", "\r", "%", "|", ">", "~",
            "<<: ", "-", ".nan", "9e99",
        ]
        for file in try Folders.files(Folders.files.appending(path: "good"), ".yaml") {
            let original = [UInt8](try Data(contentsOf: file))
            for round in 0..<rounds {
                var bytes = original
                for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    let length = min(Int.random(in: 1...12, using: &random), bytes.count - place)
                    switch Int.random(in: 0..<6, using: &random) {
                    case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                    case 1: bytes.removeSubrange(place..<(place + length))
                    case 2: bytes.insert(contentsOf: Array(bytes[place..<(place + length)]), at: Int.random(in: 0...bytes.count, using: &random))
                    case 3: bytes.insert(contentsOf: Array(snippets[Int.random(in: 0..<snippets.count, using: &random)].utf8), at: place)
                    case 4: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &random))
                    default: bytes.removeSubrange(place...)
                    }
                }
                let result = read(String(decoding: bytes, as: UTF8.self))
                #expect(
                    !(result.problems.isEmpty && result.declarations.isEmpty),
                    "CAIRN_SEED=\(seed), \(file.lastPathComponent), round \(round): \(String(decoding: bytes, as: UTF8.self))")
            }
        }
    }
}
