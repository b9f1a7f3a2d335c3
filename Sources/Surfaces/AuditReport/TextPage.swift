/// Lays out text for a terminal: wrapped lines and aligned tables. Nothing that was put in can drive the terminal.
struct TextPage {
    let width: Int
    private(set) var lines: [String] = []

    /// - Parameter width: columns, at least 40.
    init(width: Int) { self.width = max(40, width) }

    var text: String { lines.map { $0 + "\n" }.joined() }

    mutating func blank() { if lines.last?.isEmpty == false { lines.append("") } }

    /// Wraps at spaces; further lines are indented by `hanging` columns more.
    mutating func paragraph(_ text: String, indent: Int = 0, hanging: Int = 0) {
        let margin = String(repeating: " ", count: indent)
        var line = margin
        var isFresh = true
        for word in Self.words(of: Words.harmless(text)) {
            if !isFresh, line.count + 1 + word.count > width {
                lines.append(line)
                line = margin + String(repeating: " ", count: hanging)
                isFresh = true
            }
            line += (isFresh ? "" : " ") + word
            isFresh = false
        }
        if !isFresh { lines.append(line) }
    }

    private static let units: Set<Substring> = ["s", "ms", "min", "h", "d", "%", "B", "KiB", "MiB", "GiB", "TiB", "EUR", "USD", "copies"]

    /// A number and its unit stay together.
    private static func words(of text: String) -> [String] {
        var words: [String] = []
        for word in text.split(separator: " ") {
            let unit = word.prefix { $0.isLetter || $0 == "%" }
            if units.contains(unit), let last = words.last, last.last?.isNumber == true {
                words[words.count - 1] = last + " " + word
            } else {
                words.append(String(word))
            }
        }
        return words
    }

    /// `left` and, at the right margin, `right`; on two lines if they do not fit.
    mutating func heading(_ left: String, _ right: String) {
        let (left, right) = (Words.harmless(left), Words.harmless(right))
        let room = width - left.count - right.count
        if room >= 2 { lines.append(left + String(repeating: " ", count: room) + right) } else { lines += [left, right] }
    }

    mutating func rule(_ character: Character) { lines.append(String(repeating: character, count: width)) }

    /// A term and what it is.
    mutating func entry(_ term: String, _ text: String, indent: Int = 2, column: Int = 13) {
        paragraph(padded(term, column) + text, indent: indent, hanging: column)
    }

    struct Column {
        var title: String
        var isRight = false
        /// Wraps within what is left of the width; at most one column of a table, the last.
        var takesRest = false
    }

    mutating func table(_ columns: [Column], _ rows: [[String]], indent: Int = 2) {
        guard !rows.isEmpty else { return }
        let clean = ([columns.map(\.title)] + rows).map { $0.map(Words.harmless) }
        let widths = columns.indices.map { index in clean.map { $0[index].count }.max() ?? 0 }
        for row in clean {
            var line = String(repeating: " ", count: indent)
            for (index, cell) in row.enumerated() where !columns[index].takesRest {
                let space = String(repeating: " ", count: widths[index] - cell.count)
                line += (index == 0 ? "" : "  ") + (columns[index].isRight ? space + cell : cell + space)
            }
            guard columns.last?.takesRest == true, let rest = row.last else {
                lines.append(trimmed(line))
                continue
            }
            let start = line.count + 2
            guard width - start >= 20 else {
                lines.append(trimmed(line))
                if row != clean[0] { paragraph(rest, indent: indent + 2) }
                continue
            }
            var cell = TextPage(width: width)
            cell.paragraph(rest, indent: start)
            lines.append(trimmed(line + (cell.lines.first?.dropFirst(line.count) ?? "")))
            lines += cell.lines.dropFirst()
        }
    }

    // Wrapping splits at spaces, so the gap after a term is made of no-break spaces until the line stands.
    private func padded(_ term: String, _ column: Int) -> String {
        let term = Words.harmless(term)
        return term.replacing(" ", with: "\u{A0}") + String(repeating: "\u{A0}", count: max(1, column - term.count))
    }

    private func trimmed(_ line: String) -> String {
        var line = Substring(line)
        while line.last == " " { line = line.dropLast() }
        return String(line)
    }
}
