/// The reference's tables of keys, in Markdown.
package enum KeyReference {
    /// Names of the tables: the kinds, and what several kinds have.
    package static let tables = ["document", "prices"] + DeclaredKeys.kinds

    /// - Returns: nil for a table that is not there.
    package static func table(_ name: String) -> String? {
        switch name {
        case "document": return table(DeclaredKeys.document, headed: "key", opened: ["metadata"])
        case "prices": return table(DeclaredKeys.prices, headed: "key")
        default:
            guard let document = DeclaredKeys.document(kind: name), let spec = document.keys.first(where: { $0.name == "spec" }),
                case .mapping(let keys) = spec.form
            else { return nil }
            return table(keys, headed: "key of `spec`")
        }
    }

    /// - Parameter opened: mappings that are opened; nil: all.
    private static func table(_ keys: Keys, headed heading: String, opened: [String]? = nil) -> String {
        let rows = keys.keys.flatMap { self.rows($0, below: "", opened: opened) }
        return "| \(heading) | type | default | range and meaning |\n| --- | --- | --- | --- |\n" + rows.joined(separator: "\n") + "\n"
    }

    private static func rows(_ key: Key, below path: String, opened: [String]?) -> [String] {
        let full = path + key.name
        let meaning = [key.form.range, key.words].filter { !$0.isEmpty }.joined(separator: "; ")
        var rows = ["| `\(full)` | \(key.form.type) | \(key.standard) | \(meaning) |"]
        // What a rule sets is described where the policy has it.
        guard opened?.contains(key.name) ?? true, full != "rules[].set" else { return rows }
        for (suffix, keys) in key.form.nested where !isPrices(keys) {
            rows += keys.keys.flatMap { self.rows($0, below: full + suffix + ".", opened: opened) }
        }
        return rows
    }

    /// They have a table of their own.
    private static func isPrices(_ keys: Keys) -> Bool { keys.names == DeclaredKeys.prices.names }
}

extension Form {
    /// Mappings inside, and what their keys' paths have between.
    var nested: [(suffix: String, keys: Keys)] {
        switch self {
        case .mapping(let keys): [("", keys)]
        case .list(let form): form.nested.map { ("[]" + $0.suffix, $0.keys) }
        case .names(let form): form.nested.map { (".*" + $0.suffix, $0.keys) }
        case .either(let forms): forms.flatMap(\.nested)
        default: []
        }
    }
}
