import Yams

/// From a file's text to its YAML documents, within limits that keep a hostile file from costing more than its own length.
struct Composition {
    static let largestText = 1 << 20
    /// Aliases unfold: n of them can make a text 3^(n/3) times as large, here at most 81 times.
    static let mostAliases = 12
    /// Each key that a mapping has twice costs one more pass over the text.
    private static let mostPasses = 16

    let text: String
    let findings: Findings

    /// The roots of all documents that are not empty; of a text that breaks off in the middle, those before the break.
    func documents() -> [Node] {
        guard text.utf8.count <= Self.largestText else {
            findings.add(nil, "", "the file is larger than 1MiB", "is it a declaration at all?")
            return []
        }
        // An editor's byte order mark means nothing in UTF-8.
        var scalars = Array(text.unicodeScalars)
        if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        if let broken = scalars.firstIndex(of: "\u{FFFD}") {
            findings.add(Lines.position(of: broken, in: scalars), "", "the file is not UTF-8 from here", "save it as UTF-8")
            return []
        }
        if let alias = tooManyAliases(scalars) {
            findings.add(
                Lines.position(of: alias, in: scalars), "", "a file may use at most \(Self.mostAliases) aliases (*name)", "write the values out")
            return []
        }
        var roots: [Node] = []
        for pass in 1...Self.mostPasses {
            let (parsed, failure) = parse(scalars)
            roots = parsed
            guard let failure else { break }
            if case YamlError.duplicatedKeysInMapping(_, let context) = failure, pass < Self.mostPasses,
                rename(at: Position(context.mark), in: &scalars)
            {
                continue
            }
            tell(failure, scalars)
            break
        }
        var seen: Set<Int> = []
        for root in roots { tellDoubledKeys(in: root, path: "", seen: &seen) }
        if roots.isEmpty, findings.problems.isEmpty {
            findings.add(nil, "", "the file is empty", "a declaration begins with apiVersion: cairn/v1")
        }
        return roots
    }

    private func parse(_ scalars: [Unicode.Scalar]) -> ([Node], (any Error)?) {
        var roots: [Node] = []
        do {
            let parser = try Parser(yaml: String(String.UnicodeScalarView(scalars)), encoding: .utf8)
            while let root = try parser.nextRoot() {
                if case .scalar(let scalar) = root, scalar.string.isEmpty { continue }
                roots.append(root)
            }
            return (roots, nil)
        } catch { return (roots, error) }
    }

    // MARK: Keys given twice

    /// Gives the key at a mark another first letter, one that stands nowhere in the file, so that the mapping can be read. False: it
    /// cannot be done without moving what comes after.
    private func rename(at position: Position, in scalars: inout [Unicode.Scalar]) -> Bool {
        guard var index = Lines.index(of: position, in: scalars) else { return false }
        if scalars[index] == "\"" || scalars[index] == "'" {
            let quote = scalars[index]
            index += 1
            guard index < scalars.count, scalars[index] != quote, scalars[index] != "\\" else { return false }
        } else if "&!*?|>[{\n\r".unicodeScalars.contains(scalars[index]) {
            return false
        }
        let present = Set(scalars)
        guard let free = (0xE000...0xE0FF).lazy.compactMap(Unicode.Scalar.init).first(where: { !present.contains($0) }) else { return false }
        findings.renamed[free] = scalars[index]
        scalars[index] = free
        return true
    }

    private func tellDoubledKeys(in node: Node, path: String, seen: inout Set<Int>) {
        guard !findings.renamed.isEmpty else { return }
        switch node {
        case .scalar, .alias: return
        case .sequence(let items):
            guard isNew(items.mark, &seen) else { return }
            for (index, item) in items.enumerated() { tellDoubledKeys(in: item, path: "\(path)[\(index)]", seen: &seen) }
        case .mapping(let pairs):
            guard isNew(pairs.mark, &seen) else { return }
            var first: [String: Mark] = [:]
            for (key, value) in pairs {
                guard case .scalar(let scalar) = key else { continue }
                let name = findings.written(scalar.string)
                let full = path.isEmpty ? shown(name) : path + "." + shown(name)
                if let before = first[name] {
                    findings.add(scalar.mark.map(Position.init), full, "is given twice", "first at \(Position(before))")
                } else {
                    first[name] = scalar.mark
                }
                tellDoubledKeys(in: value, path: full, seen: &seen)
            }
        }
    }

    /// What an alias shows once more is not looked at again.
    private func isNew(_ mark: Mark?, _ seen: inout Set<Int>) -> Bool {
        guard let mark else { return true }
        return seen.insert(mark.line << 24 | mark.column).inserted
    }

    // MARK: Aliases

    /// Where the first alias too many is. Counted in the text, before anything unfolds them: `*name` after `&name`.
    private func tooManyAliases(_ scalars: [Unicode.Scalar]) -> Int? {
        var anchors: Set<String> = []
        var count = 0
        for (index, scalar) in scalars.enumerated() where scalar == "&" || scalar == "*" {
            let name = String(String.UnicodeScalarView(scalars[(index + 1)...].prefix(128).prefix(while: isNameable)))
            if scalar == "&" { anchors.insert(name) } else if anchors.contains(name) { count += 1 }
            if count > Self.mostAliases { return index }
        }
        return nil
    }

    private func isNameable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_", "-": true
        default: false
        }
    }

    // MARK: What is no YAML

    private func tell(_ error: any Error, _ scalars: [Unicode.Scalar]) {
        guard let error = error as? YamlError else {
            findings.add(nil, "", "the file cannot be read as YAML: \(error)")
            return
        }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let mark = Position(mark)
            if problem.hasPrefix("Maximum nesting level") {
                findings.add(mark, "", "is nested more than 1000 levels deep", "is it a declaration at all?")
                return
            }
            let begun = context.map { " \($0.text)" + ($0.mark.line == mark.line ? "" : ", begun in line \($0.mark.line)") } ?? ""
            findings.add(mark, "", "is no YAML: \(problem)\(begun)", advice(problem, at: mark, scalars))
        case .reader(let problem, let offset, _, let yaml):
            let position = offset.map { Lines.position(of: yaml.prefix($0).unicodeScalars.count, in: scalars) }
            findings.add(position, "", "is no YAML: \(problem)", "remove the character")
        case .duplicatedKeysInMapping(let names, let context):
            let keys = names.map { $0.isEmpty ? "the empty one" : shown(findings.written($0)) }.joined(separator: ", ")
            findings.add(Position(context.mark), "", "a mapping has a key twice: \(keys)", "leave one of them out")
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            findings.add(nil, "", "the file cannot be read as YAML: \(shown("\(error)"))")
        }
    }

    private func advice(_ problem: String, at position: Position, _ scalars: [Unicode.Scalar]) -> String? {
        switch problem {
        case "found character that cannot start any token":
            let isTab = Lines.index(of: position, in: scalars).map { scalars[$0] == "\t" } ?? false
            return isTab ? "indent with spaces, not tabs" : "put the value in quotes"
        case "mapping values are not allowed in this context":
            return "quote a value that has a colon; give the keys of one mapping the same indentation"
        case "did not find expected key": return "give the keys of one mapping the same indentation"
        case "did not find expected '-' indicator": return "begin each item of the list with a dash, at the same indentation"
        case "could not find expected ':'": return "a key is followed by a colon and a space"
        case "did not find expected ',' or ']'": return "is a comma missing, or the closing bracket?"
        case "did not find expected ',' or '}'": return "is a comma missing, or the closing brace?"
        case "did not find expected node content": return "is a closing bracket or brace missing?"
        case "found unexpected end of stream": return "is the closing quote missing?"
        case "found undefined alias": return "an anchor (&name) comes before its alias; quote a value that begins with *"
        case "found unknown escape character": return "in single quotes a backslash is a backslash"
        default: return nil
        }
    }
}

/// A place in a file, from 1; columns count Unicode scalars.
struct Position: Hashable, Comparable, CustomStringConvertible {
    var line: Int
    var column: Int
    init(line: Int, column: Int) { self.line = line; self.column = column }
    init(_ mark: Mark) { self.init(line: mark.line, column: mark.column) }
    var description: String { "\(line):\(column)" }
    static func < (a: Position, b: Position) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// Positions in a text, counted as YAML counts them: from 1, columns in Unicode scalars.
enum Lines {
    static func position(of index: Int, in scalars: [Unicode.Scalar]) -> Position {
        var line = 1
        var start = 0
        for here in 0..<min(index, scalars.count) where ends(at: here, in: scalars) {
            line += 1
            start = here + 1
        }
        return Position(line: line, column: min(index, scalars.count) - start + 1)
    }

    static func index(of position: Position, in scalars: [Unicode.Scalar]) -> Int? {
        var line = 1
        var start = 0
        var here = 0
        while line < position.line, here < scalars.count {
            if ends(at: here, in: scalars) {
                line += 1
                start = here + 1
            }
            here += 1
        }
        let index = start + position.column - 1
        return line == position.line && scalars.indices.contains(index) ? index : nil
    }

    /// YAML 1.1's line breaks; of CR LF the LF ends the line.
    private static func ends(at index: Int, in scalars: [Unicode.Scalar]) -> Bool {
        switch scalars[index] {
        case "\n", "\u{85}", "\u{2028}", "\u{2029}": true
        case "\r": index + 1 >= scalars.count || scalars[index + 1] != "\n"
        default: false
        }
    }
}
