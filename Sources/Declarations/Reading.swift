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
        }
        return Fields(values: values, meant: meant, owner: self)
    }

    /// The keys of a mapping that was read already, to look at them together.
    var quietly: Fields? {
        guard case .mapping(let mapping) = node else { return nil }
        var values: [String: Reading] = [:]
        for case (.scalar(let key), let value) in mapping {
            let name = findings.written(key.string)
            values[name] = Reading(node: value, path: path + "." + shown(name), findings: findings)
        }
        return Fields(values: values, meant: [], owner: self)
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
        return fields.values.compactMapValues { $0.text(atMost: 200) }
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
        guard range.contains(value) else {
            trouble("must be from \(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound)), and is \(Quantity.text(value))")
            return nil
        }
        return value
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
        guard range.contains(value) else {
            trouble("must be from \(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound)), and is \(Quantity.text(value))")
            return nil
        }
        return value
    }

    /// Above 0, at most 1.
    func share() -> Double? {
        guard let value = read("a share such as 0.95 or 95%", Quantity.share) else { return nil }
        if value <= 0 {
            trouble("must be above 0")
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
            let bare = text.prefix { $0.isNumber || $0 == "." }
            trouble(
                "must be a number, and is \(shown(text))", bare.count < text.count && Quantity.decimal(bare) != nil ? "did you mean \(bare)?" : nil)
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
        let wanted = "a name has lower-case letters, digits and dashes, at most 40"
        guard let text = text(wanted) else { return nil }
        guard text.count <= 40, text.wholeMatch(of: #/[a-z0-9]([-a-z0-9]*[a-z0-9])?/#) != nil else {
            let meant = text.lowercased().replacing(#/[ _.]+/#, with: "-")
            let isName = meant != text && meant.count <= 40 && meant.wholeMatch(of: #/[a-z0-9]([-a-z0-9]*[a-z0-9])?/#) != nil
            trouble("\(shown(text)) is no name", isName ? "did you mean \(meant)?" : wanted)
            return nil
        }
        return text
    }

    func choice<Value>(_ choices: [(String, Value)]) -> Value? {
        let names = choices.map(\.0)
        guard let text = text("one of \(names.joined(separator: ", "))") else { return nil }
        if let found = choices.first(where: { $0.0 == text }) { return found.1 }
        trouble("\(shown(text)) is not among \(names.joined(separator: ", "))", Nearest.suggestion(text, among: names))
        return nil
    }

    func currency() -> String? {
        let wanted = "three capital letters, for example EUR"
        guard let text = text(wanted) else { return nil }
        guard text.wholeMatch(of: #/[A-Z]{3}/#) != nil else {
            let meant = ["€": "EUR", "$": "USD", "£": "GBP"][text] ?? text.uppercased()
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
            let range = wanted.lowerBound == wanted.upperBound ? "\(wanted.lowerBound)" : "\(wanted.lowerBound) to \(wanted.upperBound)"
            trouble("must have \(range) captures in parentheses, and has \(captures)", "for example \(example)")
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
    /// Known keys that unknown ones seem to be misspellings of.
    let meant: Set<String>
    let owner: Reading

    subscript(_ name: String) -> Reading? { values[name] }

    /// Told as missing when it is not there, unless it is there misspelt.
    func required(_ name: String, _ wanted: String? = nil) -> Reading? {
        if let value = values[name] { return value }
        guard !meant.contains(name) else { return nil }
        owner.findings.add(owner.position, owner.path.isEmpty ? name : owner.path + "." + name, "is missing", wanted)
        return nil
    }
}

/// Names of which each may be used once.
struct UniqueNames {
    private var seen: [String: Position?] = [:]

    /// Tells when the name was used before.
    mutating func use(_ name: String, at reading: Reading) {
        if let before = seen[name] {
            reading.trouble("\(shown(name)) is there twice", before.map { "it is in line \($0.line) already" })
        } else {
            seen[name] = reading.position
        }
    }
}
