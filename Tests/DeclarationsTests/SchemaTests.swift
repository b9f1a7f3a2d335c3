import Foundation
import Testing
import Vocabulary

@testable import Declarations

/// Readers, JSON Schemas and the reference say the same.
struct SchemaTests {
    /// What stands in the repository is what the keys say; CAIRN_UPDATE_GOLDEN=1 writes it.
    private func check(_ path: String, _ expected: (String) throws -> String) throws {
        let file = Folders.top.appending(path: path)
        let present = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        let wanted = try expected(present)
        if ProcessInfo.processInfo.environment["CAIRN_UPDATE_GOLDEN"] == "1" { try Data(wanted.utf8).write(to: file) }
        #expect(present == wanted, "\(path) is not what the keys say: CAIRN_UPDATE_GOLDEN=1 writes it")
    }

    @Test(arguments: DeclaredKeys.kinds)
    func schemasAreCurrent(kind: String) throws {
        try check("docs/schema/\(kind).json") { _ in try #require(JSONSchema.text(kind: kind)) }
    }

    @Test func theReferenceIsCurrent() throws {
        try check("docs/declarations.md") { present in
            var text = present
            for name in KeyReference.tables {
                let begin = try #require(text.range(of: "<!-- keys: \(name) -->\n"), "no table of \(name)")
                let end = try #require(text.range(of: "<!-- end of keys -->", range: begin.upperBound..<text.endIndex), "no end of \(name)")
                text.replaceSubrange(begin.upperBound..<end.lowerBound, with: try #require(KeyReference.table(name)))
            }
            return text
        }
    }

    @Test func aKindThatIsNotThereHasNoSchema() {
        #expect(JSONSchema.text(kind: "Task") == nil)
        #expect(KeyReference.table("Task") == nil)
    }

    // MARK: The reader takes and refuses what the forms say

    /// A key with the way to it.
    struct Place: CustomTestStringConvertible {
        var kind: String
        /// Keys' names; what has items or free names in between is opened by one of them.
        var path: [String]
        var form: Form
        var testDescription: String { kind + "." + path.joined(separator: ".") }
    }

    static let places: [Place] = DeclaredKeys.kinds.flatMap { kind in
        DeclaredKeys.document(kind: kind).map { below($0, kind, []) } ?? []
    }

    private static func below(_ keys: Keys, _ kind: String, _ path: [String]) -> [Place] {
        keys.keys.flatMap { key in
            [Place(kind: kind, path: path + [key.name], form: key.form)]
                + key.form.nested.flatMap { below($0.keys, kind, path + [key.name]) }
        }
    }

    private static func problems(_ place: Place, _ value: String) throws -> Set<String> {
        let keys = try #require(DeclaredKeys.document(kind: place.kind))
        let made = render(keys, place.path[...], value)
        return Set(read(made.text).problems.filter { $0.severity == .error && $0.key.hasPrefix(made.key) }.map(\.message))
    }

    /// A document with what is required and `value` at the path; and the problem's name of that place.
    private static func render(_ keys: Keys, _ path: ArraySlice<String>, _ value: String) -> (text: String, key: String) {
        var entries: [String] = []
        var place = ""
        for key in keys.keys {
            if key.name == path.first {
                let rest = path.dropFirst()
                guard let next = rest.first, let nested = key.form.nested.first(where: { $0.keys.names.contains(next) }) else {
                    entries.append("\(key.name): \(value)")
                    place = key.name
                    continue
                }
                let inner = render(nested.keys, rest, value)
                switch nested.suffix {
                case "[]":
                    entries.append("\(key.name): [\(inner.text)]")
                    place = "\(key.name)[0].\(inner.key)"
                case ".*":
                    entries.append("\(key.name): {some: \(inner.text)}")
                    place = "\(key.name).some.\(inner.key)"
                default:
                    entries.append("\(key.name): \(inner.text)")
                    place = "\(key.name).\(inner.key)"
                }
            } else if key.isRequired || isChosen(key.name, keys, beside: path.first) {
                entries.append("\(key.name): \(key.form.example)")
            }
        }
        return ("{\(entries.joined(separator: ", "))}", place)
    }

    private static func isChosen(_ name: String, _ keys: Keys, beside given: String?) -> Bool {
        guard case .exactlyOne(let names) = keys.together else { return false }
        return name == names[0] && !names.contains(given ?? "")
    }

    /// What a reader says of a value that has not the form; contradictions between keys are told otherwise.
    private static func isOfForm(_ message: String) -> Bool {
        message.hasPrefix("must be") || message.hasPrefix("must not") || message == "unknown key"
            || (message.contains(" is no ") && !message.contains("there is no") && !message.hasSuffix("is no Xen"))
            || message.contains(" is not among ") || message.contains("has no unit") || message.contains(" is not between ")
            || message.contains("goes up by") || message.contains("must have ")
    }

    @Test(arguments: places)
    func theReaderTakesEveryKeyAndRefusesWhatHasNotItsForm(_ place: Place) throws {
        for value in place.form.examples {
            let told = try Self.problems(place, value).filter(Self.isOfForm)
            #expect(told.isEmpty, "\(place.testDescription): \(value)")
        }
        let usual = try Self.problems(place, place.form.example)
        // What means nothing beside the rest of this document is not looked at.
        if usual.contains("means nothing here") { return }
        for value in place.form.counterexamples {
            #expect(!(try Self.problems(place, value)).subtracting(usual).isEmpty, "\(place.testDescription) takes \(value)")
        }
    }
}

extension Form {
    var example: String { examples[0] }

    /// Values that it takes, at both ends of a range.
    var examples: [String] {
        switch self {
        case .text: ["words"]
        case .match(let pattern, _):
            ["'http://namenode:9870'", "'qemu:///system'", "SHA256:\(String(repeating: "a", count: 43))"].filter {
                isMatched($0.replacing("'", with: ""), by: pattern)
            }
        case .name: ["some", "a-1"]
        case .choice(let words): words.map { "'\($0)'" }
        case .truth: ["true", "false"]
        case .duration(let range): [Quantity.text(range.lowerBound), Quantity.text(range.upperBound)]
        case .length: ["90s", "1h30m", "0.5s"]
        case .size(let range): [Quantity.text(range.lowerBound), Quantity.text(range.upperBound)]
        case .share: ["0.5", "95%"]
        case .moment: ["'2027-01-31T18:00:00Z'", "'2027-01-31T18:00:00.5+01:00'"]
        case .whole(let range): ["\(range.lowerBound)", "\(range.upperBound)"]
        case .number(let zero, let most): ["1", "0.5", Quantity.text(most)] + (zero ? ["0"] : [])
        case .currency: ["EUR"]
        case .absolutePath: ["/srv/some"]
        case .path: ["some/where", "/some/where"]
        case .expression: [#"'DONE (\w+)'"#]
        case .texts: ["{a: b}"]
        case .mapping(let keys):
            ["{" + keys.keys.filter(\.isRequired).map { "\($0.name): \($0.form.example)" }.joined(separator: ", ") + "}"]
        case .names(let form): ["{some: \(form.example)}"]
        case .list(let form): ["[\(form.example)]"]
        case .either(let forms): forms.flatMap(\.examples)
        }
    }

    /// Values that it does not take.
    var counterexamples: [String] {
        switch self {
        case .text(let most): ["[a]", "''"] + (most < 4_096 ? [String(repeating: "x", count: most + 1)] : [])
        case .match: ["'%'", "[a]"]
        case .name: ["'Not A Name'", "-a", String(repeating: "a", count: 41)]
        case .choice: ["nonsense", "[a]"]
        case .truth: ["maybe", "1"]
        case .duration(let range):
            ["5", "soon", "40000d"] + (range.lowerBound > .zero ? [Quantity.text(Seconds(range.lowerBound.rawValue / 2))] : [])
        case .length: ["5", "0s", "-1s", "40000d"]
        case .size(let range): ["12", "much", Quantity.text(ByteCount(range.lowerBound.rawValue / 2))]
        case .share: ["1.5", "0", "110%", "half"]
        case .moment: ["tomorrow", "'2027-01-31'"]
        case .whole(let range): ["\(range.lowerBound - 1)", "\(range.upperBound + 1)", "some", "1.5"]
        case .number(let zero, let most): ["-1", "some", Quantity.text(most * 2)] + (zero ? [] : ["0"])
        case .currency: ["Euros"]
        case .absolutePath: ["some/where"]
        case .path: ["../some"]
        case .expression: ["'('"]
        case .texts, .mapping, .names: ["[a]"]
        case .list: ["{a: b}", "[]"]
        case .either: ["[1]", "'%'"]
        }
    }
}
