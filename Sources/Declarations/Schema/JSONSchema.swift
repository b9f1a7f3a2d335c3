import Vocabulary

/// A JSON value whose keys keep their order.
indirect enum JSONValue: Sendable {
    case text(String)
    /// As it is written.
    case number(String)
    case truth(Bool)
    case list([JSONValue])
    case object([(String, JSONValue)])

    /// Two spaces a level, a line for each entry.
    func text(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .text(let text): return Self.quoted(text)
        case .number(let text): return text
        case .truth(let value): return value ? "true" : "false"
        case .list(let items):
            let texts = items.map { $0.text(indent: inner) }
            if items.allSatisfy(\.isScalar) { return "[" + texts.joined(separator: ", ") + "]" }
            return "[\n" + texts.map { inner + $0 }.joined(separator: ",\n") + "\n" + indent + "]"
        case .object(let entries):
            if entries.isEmpty { return "{}" }
            let lines = entries.map { inner + Self.quoted($0) + ": " + $1.text(indent: inner) }
            return "{\n" + lines.joined(separator: ",\n") + "\n" + indent + "}"
        }
    }

    private var isScalar: Bool {
        switch self {
        case .text, .number, .truth: true
        case .list, .object: false
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

/// JSON Schemas of declarations, for editors; the reader itself says more, and better.
package enum JSONSchema {
    /// - Returns: nil for a kind that is not there.
    package static func text(kind: String) -> String? {
        guard let keys = DeclaredKeys.document(kind: kind) else { return nil }
        var entries: [(String, JSONValue)] = [
            ("$schema", .text("http://json-schema.org/draft-07/schema#")),
            ("title", .text(kind)),
            ("description", .text("What Cairn is told in a declaration of the kind \(kind).")),
        ]
        entries += object(keys)
        return JSONValue.object(entries).text() + "\n"
    }

    private static func object(_ keys: Keys) -> [(String, JSONValue)] {
        var entries: [(String, JSONValue)] = [("type", .text("object")), ("additionalProperties", .truth(false))]
        let required = keys.keys.filter(\.isRequired).map { JSONValue.text($0.name) }
        if !required.isEmpty { entries.append(("required", .list(required))) }
        switch keys.together {
        case .any: break
        case .atLeastOne: entries.append(("minProperties", .number("1")))
        case .exactlyOne(let names): entries.append(("oneOf", .list(names.map { .object([("required", .list([.text($0)]))]) })))
        }
        entries.append(("properties", .object(keys.keys.map { ($0.name, .object(described($0))) })))
        return entries
    }

    private static func described(_ key: Key) -> [(String, JSONValue)] {
        let words = [key.form.range, key.words].filter { !$0.isEmpty }.joined(separator: "; ")
        let standard = key.isRequired || key.standard.isEmpty || key.standard == "none" ? "" : "Default: \(key.standard)."
        let text = [words, standard].filter { !$0.isEmpty }.joined(separator: words.hasSuffix(".") ? " " : ". ")
            .replacing("`", with: "").replacing(#/\[([^\]]+)\]\([^)]*\)/#) { $0.1 }
        return (text.isEmpty ? [] : [("description", .text(text))]) + entries(key.form)
    }

    private static let number = #"([0-9]+(\.[0-9]+)?|\.[0-9]+)"#
    /// Names, labels and the like are what is written, whatever YAML takes them for.
    private static let scalar = JSONValue.list([.text("string"), .text("number"), .text("boolean")])

    private static func entries(_ form: Form) -> [(String, JSONValue)] {
        switch form {
        case .text(let most): return [("type", .text("string")), ("minLength", .number("1")), ("maxLength", .number("\(most)"))]
        case .match(let pattern, _): return string(pattern)
        case .name: return [("type", .list([.text("string"), .text("integer")])), ("pattern", .text("^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"))]
        case .choice(let words): return [("enum", .list(words.map { .text($0) }))]
        case .truth: return [("type", .text("boolean"))]
        case .duration, .length: return string("(?=[0-9.])" + ["w", "d", "h", "m", "s"].map { "(\(number)\($0))?" }.joined())
        case .size: return string(#"[+]?\#(number)([eE][+-]?[0-9]+)?(KiB|MiB|GiB|TiB)"#)
        case .share:
            let share: [(String, JSONValue)] = [("type", .text("number")), ("exclusiveMinimum", .number("0")), ("maximum", .number("1"))]
            return [("anyOf", .list([.object(share), .object(string(#"[+]?\#(number)%"#))]))]
        case .moment: return string(#"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,18})?([Zz]|[+-][0-9]{2}:[0-9]{2})"#)
        case .whole(let range):
            return [
                ("type", .text("integer")), ("minimum", .number("\(range.lowerBound)")), ("maximum", .number("\(range.upperBound)")),
            ]
        case .number(let zero, let most):
            return [
                ("type", .text("number")), (zero ? "minimum" : "exclusiveMinimum", .number("0")), ("maximum", .number(Quantity.text(most))),
            ]
        case .currency: return string("[A-Z]{3}")
        case .absolutePath: return string("/.*")
        case .path: return [("type", .text("string")), ("minLength", .number("1"))]
        case .expression: return [("type", .text("string")), ("minLength", .number("1")), ("maxLength", .number("500"))]
        case .texts: return [("type", .text("object")), ("additionalProperties", .object([("type", scalar)]))]
        case .mapping(let keys): return object(keys)
        case .names(let form): return [("type", .text("object")), ("additionalProperties", .object(entries(form)))]
        case .list(let form): return [("type", .text("array")), ("minItems", .number("1")), ("items", .object(entries(form)))]
        case .either(let forms): return [("anyOf", .list(forms.map { .object(entries($0)) }))]
        }
    }

    private static func string(_ pattern: String) -> [(String, JSONValue)] { [("type", .text("string")), ("pattern", .text("^\(pattern)$"))] }
}
