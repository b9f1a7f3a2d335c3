import Vocabulary
import Yams

/// One value of a document, with the path of its key. Reading it wrongly is told once, and yields nil.
struct Reading {
    let node: Node
    let path: String
    let findings: Findings

    var position: Position? { node.mark.map(Position.init) }

    func trouble(_ message: String, _ suggestion: String? = nil) { findings.add(position, path, message, suggestion) }
    func warning(_ message: String, _ suggestion: String? = nil) { findings.add(position, path, message, suggestion, severity: .warning) }

    private var kind: String {
        switch node {
        case .scalar: "a single value"
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    var isScalar: Bool { if case .scalar = node { true } else { false } }

    /// Nothing after the colon, or one of YAML's words for nothing.
    private var isEmpty: Bool {
        guard case .scalar(let scalar) = node else { return false }
        if scalar.style == .plain { return ["", "~", "null", "Null", "NULL"].contains(scalar.string) }
        return scalar.string.allSatisfy(\.isWhitespace)
    }

    /// False, and told: nothing is there, or it has a tag of its own, whose meaning we would have to guess.
    private func isMeant(_ wanted: String) -> Bool {
        if isEmpty {
            trouble("is empty", wanted)
            return false
        }
        let tag =
            switch node {
            case .scalar(let scalar): scalar.tag.description
            case .mapping(let mapping): mapping.tag.description
            case .sequence(let sequence): sequence.tag.description
            case .alias: ""
            }
        guard tag.isEmpty || tag == "!" || tag.hasPrefix("tag:yaml.org,2002:") else {
            trouble("has the tag \(shown(tag)), which means nothing here", "write the value itself")
            return false
        }
        return true
    }

    // MARK: Mappings and lists

    /// A mapping whose keys are all among `known`; any keys, when there are none.
    func fields(_ known: [String]) -> Fields? {
        let keys = known.isEmpty ? nil : "its keys are \(known.joined(separator: ", "))"
        guard isMeant(keys ?? "its keys are yours to choose") else { return nil }
        guard case .mapping(let mapping) = node else {
            trouble("must be a mapping, and is \(kind)", keys)
            return nil
        }
        var values: [String: Reading] = [:]
        var places: [String: Position] = [:]
        var meant: Set<String> = []
        for (key, value) in mapping {
            let place = key.mark.map(Position.init)
            guard case .scalar(let scalar) = key, !scalar.string.isEmpty else {
                findings.add(place, path, "has a key that is no word", keys)
                continue
            }
            let name = findings.written(scalar.string)
            let full = path.isEmpty ? shown(name) : path + "." + shown(name)
            if !known.isEmpty, !known.contains(name) {
                let near = Nearest.to(name, among: known)
                if let near { meant.insert(near) }
                let advice = name == "<<" ? "mappings are not merged here: write the keys out" : near.map { "did you mean \($0)?" }
                findings.add(place, full, "unknown key", advice ?? "known here: \(known.joined(separator: ", "))")
                continue
            }
            values[name] = Reading(node: value, path: full, findings: findings)
            places[name] = place
        }
        return Fields(values: values, places: places, meant: meant, owner: self)
    }

    /// The keys of a mapping that was read already, to look at them together.
    var quietly: Fields? {
        guard case .mapping(let mapping) = node else { return nil }
        var values: [String: Reading] = [:]
        for case (.scalar(let key), let value) in mapping {
            let name = findings.written(key.string)
            values[name] = Reading(node: value, path: path + "." + shown(name), findings: findings)
        }
        return Fields(values: values, places: [:], meant: [], owner: self)
    }

    /// A list with at least one item.
    func items(_ wanted: String) -> [Reading]? {
        guard isMeant(wanted) else { return nil }
        guard case .sequence(let sequence) = node else {
            trouble("must be a list, and is \(kind)", wanted)
            return nil
        }
        guard !sequence.isEmpty else {
            trouble("is empty", wanted)
            return nil
        }
        return sequence.enumerated().map { Reading(node: $1, path: "\(path)[\($0)]", findings: findings) }
    }

    /// Names and texts, both free.
    func texts() -> [String: String]? {
        guard let fields = fields([]) else { return nil }
        return fields.values.compactMapValues { $0.text(atMost: 200, "give it a text, or leave it out") }
    }

    // MARK: Single values

    /// The text of a single value, as it is written: on one line, without control characters.
    func text(atMost most: Int = 4_096, _ wanted: String? = nil) -> String? {
        guard isMeant(wanted ?? "a value is wanted") else { return nil }
        guard case .scalar(let scalar) = node else {
            trouble("must be a single value, and is \(kind)", wanted)
            return nil
        }
        if scalar.string.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            trouble("must be one line without control characters")
            return nil
        }
        if scalar.string.utf8.count > most {
            trouble("is \(scalar.string.utf8.count) bytes long, and may be at most \(most)")
            return nil
        }
        return scalar.string
    }

    private func read<Value>(_ wanted: String, _ body: (String) throws(Quantity.Trouble) -> Value) -> Value? {
        guard let text = text(wanted) else { return nil }
        do throws(Quantity.Trouble) { return try body(text) } catch {
            trouble(error.message, error.suggestion)
            return nil
        }
    }

    private func text(_ wanted: String) -> String? { text(atMost: 4_096, wanted) }

    func duration(_ range: ClosedRange<Seconds>) -> Seconds? {
        guard let value = read("a duration such as 90s or 1h30m", Quantity.duration) else { return nil }
        return within(range, value, Quantity.text)
    }

    /// Above zero.
    func length() -> Seconds? {
        guard let value = read("a duration such as 90s or 1h30m", Quantity.duration) else { return nil }
        if value <= .zero {
            trouble("must be longer than 0s")
            return nil
        }
        return value
    }

    func size(_ range: ClosedRange<ByteCount>) -> ByteCount? {
        guard let value = read("a size such as 128MiB", Quantity.size) else { return nil }
        return within(range, value, Quantity.text)
    }

    private func within<Value: Comparable>(_ range: ClosedRange<Value>, _ value: Value, _ text: (Value) -> String) -> Value? {
        if range.contains(value) { return value }
        let bound = value < range.lowerBound ? "at least \(text(range.lowerBound))" : "at most \(text(range.upperBound))"
        trouble("must be \(bound), and is \(text(value))")
        return nil
    }

    /// Above 0, at most 1.
    func share() -> Double? {
        guard let value = read("a share such as 0.95 or 95%", Quantity.share) else { return nil }
        if value <= 0 {
            trouble("must be above 0, and is \(Quantity.text(value))")
            return nil
        }
        return value
    }

    func moment() -> Timestamp? { read("a moment such as 2027-01-31T18:00:00Z", Quantity.moment) }

    func whole(_ range: ClosedRange<Int>) -> Int? {
        guard let text = text("a whole number") else { return nil }
        guard text.wholeMatch(of: #/[+-]?[0-9]+/#) != nil else {
            trouble("must be a whole number, and is \(shown(text))", "from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        guard let value = Int(text), range.contains(value) else {
            trouble("must be from \(range.lowerBound) to \(range.upperBound), and is \(shown(text))")
            return nil
        }
        return value
    }

    /// A number from zero (itself only if `zero`) to `most`.
    func number(zero: Bool, atMost most: Double) -> Double? {
        guard let text = text("a number") else { return nil }
        guard let value = Quantity.decimal(text) else {
            // A number with its currency or unit behind it.
            let bare = text.prefix { $0.isNumber || $0 == "." }
            let isBare = Quantity.decimal(bare) != nil && !text.dropFirst(bare.count).contains { $0.isNumber }
            trouble("must be a number, and is \(shown(text))", isBare ? "did you mean \(bare)?" : "for example 12.5")
            return nil
        }
        guard zero ? value >= 0 : value > 0 else {
            trouble(zero ? "must not be negative, and is \(shown(text))" : "must be above 0, and is \(shown(text))")
            return nil
        }
        guard value <= most else {
            trouble("must be at most \(Int(most)), and is \(shown(text))")
            return nil
        }
        return value
    }

    func name() -> String? {
        guard let text = text(Name.form) else { return nil }
        if let problem = Name.trouble(text) {
            trouble(problem.message, problem.suggestion)
            return nil
        }
        return text
    }

    func choice<Value>(_ choices: [(String, Value)], _ wanted: String? = nil) -> Value? {
        let names = choices.map(\.0)
        guard let text = text(wanted ?? "one of \(names.joined(separator: ", "))") else { return nil }
        if let found = choices.first(where: { $0.0 == text }) { return found.1 }
        if names.count == 1 {
            trouble("must be \(names[0]), and is \(shown(text))")
        } else {
            trouble("\(shown(text)) is not among \(names.joined(separator: ", "))", Nearest.suggestion(text, among: names) ?? wanted)
        }
        return nil
    }

    func currency() -> String? {
        let wanted = "three capital letters, for example EUR"
        guard let text = text(wanted) else { return nil }
        guard text.wholeMatch(of: #/[A-Z]{3}/#) != nil else {
            let meant = ["€": "EUR", "euro": "EUR", "$": "USD", "dollar": "USD", "£": "GBP"][text.lowercased()] ?? text.uppercased()
            trouble("\(shown(text)) is no currency", meant.wholeMatch(of: #/[A-Z]{3}/#) != nil ? "did you mean \(meant)?" : wanted)
            return nil
        }
        return text
    }

    func absolutePath() -> String? {
        let wanted = "an absolute path begins with /"
        guard let text = text(wanted) else { return nil }
        guard text.hasPrefix("/") else {
            trouble("\(shown(text)) is no absolute path", wanted)
            return nil
        }
        return checked(text)
    }

    /// Absolute, or below a directory that is known elsewhere.
    func path(_ wanted: String) -> String? { text(wanted).flatMap(checked) }

    private func checked(_ path: String) -> String? {
        guard !path.split(separator: "/").contains("..") else {
            trouble("\(shown(path)) goes up by ..", "write where it leads to")
            return nil
        }
        return path
    }

    /// A regular expression that captures this often.
    func pattern(captures wanted: ClosedRange<Int>, example: String) -> String? {
        guard let text = text(atMost: 500, "for example \(example)") else { return nil }
        let captures: Int
        do { captures = try Self.captures(of: text) } catch {
            trouble("\(shown(text)) is no regular expression", "for example \(example)")
            return nil
        }
        guard wanted.contains(captures) else {
            let count = wanted == 1...1 ? "one capture" : wanted == 1...2 ? "one or two captures" : "at most one capture"
            trouble("must have \(count) in parentheses, and has \(captures)", "for example \(example)")
            return nil
        }
        return text
    }

    /// The expression or nothing matches nothing, and such a match has a place for every capture.
    private static func captures(of expression: String) throws -> Int {
        _ = try Regex(expression)
        return try Regex("(?:\(expression))|").wholeMatch(in: "").map { $0.output.count - 1 } ?? 0
    }
}

/// A mapping's values by key.
struct Fields {
    let values: [String: Reading]
    /// Where the keys themselves are.
    let places: [String: Position]
    /// Known keys that unknown ones seem to be misspellings of.
    let meant: Set<String>
    let owner: Reading

    subscript(_ name: String) -> Reading? { values[name] }

    /// No key is there, not even a misspelt one.
    var isBare: Bool { values.isEmpty && meant.isEmpty }

    /// Told as missing when it is not there, unless it is there misspelt.
    func required(_ name: String, _ wanted: String? = nil) -> Reading? {
        if let value = values[name] { return value }
        guard !meant.contains(name) else { return nil }
        owner.findings.add(owner.position, owner.path.isEmpty ? name : owner.path + "." + name, "is missing", wanted)
        return nil
    }
}

/// Whether an expression of ours matches all of a text.
func isMatched(_ text: String, by expression: String) -> Bool {
    do { return try Regex(expression).wholeMatch(in: text) != nil } catch { preconditionFailure("\(expression): \(error)") }
}

/// How declarations, nodes, rules, preferences and classes are named.
enum Name {
    static let form = "a name has lower-case letters, digits and dashes, at most 40"

    /// nil: it is a name.
    static func trouble(_ text: String) -> Quantity.Trouble? {
        guard !isName(text) else { return nil }
        let meant = text.utf8.count <= 40 ? text.lowercased().replacing(#/[ _.]+/#, with: "-") : ""
        return Quantity.Trouble(message: "\(shown(text)) is no name", suggestion: isName(meant) ? "did you mean \(meant)?" : form)
    }

    private static func isName(_ text: String) -> Bool {
        text.utf8.count <= 40 && text.wholeMatch(of: #/[a-z0-9]([-a-z0-9]*[a-z0-9])?/#) != nil
    }
}

/// Names of which each may be used once.
struct UniqueNames {
    private var seen: [String: Position?] = [:]

    /// Tells when the name was used before.
    mutating func use(_ name: String, at reading: Reading) {
        if let before = seen[name] {
            reading.trouble("\(shown(name)) is there twice", before.map { "first at \($0)" })
        } else {
            seen[name] = reading.position
        }
    }
}
