/// Markup in which what is interpolated is escaped, unless it is markup itself: a name cannot become a tag.
///
/// What it makes is well-formed XML as well as HTML, so that a parser can check it.
struct Markup: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, Sendable {
    private(set) var text: String

    init(stringLiteral value: String) { text = value }
    init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    static let none: Markup = ""

    struct Interpolation: StringInterpolationProtocol {
        var text = ""
        init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity * 2) }
        mutating func appendLiteral(_ literal: String) { text += literal }
        mutating func appendInterpolation(_ value: String) { text += Markup.escaped(value) }
        mutating func appendInterpolation(_ value: some CustomStringConvertible) { text += Markup.escaped(value.description) }
        mutating func appendInterpolation(_ markup: Markup) { text += markup.text }
        mutating func appendInterpolation(_ parts: [Markup]) { for part in parts { text += part.text } }
    }

    static func + (a: Markup, b: Markup) -> Markup { "\(a)\(b)" }
    static func += (a: inout Markup, b: Markup) { a.text += b.text }

    /// Safe between tags and in quoted attributes.
    static func escaped(_ text: String) -> String {
        var safe = ""
        for scalar in Words.harmless(text).unicodeScalars {
            switch scalar {
            case "&": safe += "&amp;"
            case "<": safe += "&lt;"
            case ">": safe += "&gt;"
            case "\"": safe += "&quot;"
            case "'": safe += "&#39;"
            default: safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }
}

/// A table of markup.
struct MarkupTable {
    struct Column {
        var title: String
        var isNumber = false
    }
    var columns: [Column]
    var rows: [[Markup]] = []
    /// Said when there are no rows; nil: then there is no table either.
    var emptiness: String?
    /// With sentences in it: on a narrow screen each row becomes a block, each cell with its column's name.
    var hasSentences = false

    var markup: Markup {
        if rows.isEmpty { return emptiness.map { "<p class=\"quiet\">\($0)</p>" } ?? .none }
        let head = columns.map { column -> Markup in "<th scope=\"col\"\(column.isNumber ? numberClass : .none)>\(column.title)</th>" }
        let body = rows.map { row -> Markup in
            "<tr>\(zip(row, columns).map { cell, column -> Markup in "<td\(column.isNumber ? numberClass : .none)\(hasSentences ? label(column) : .none)>\(cell)</td>" })</tr>\n"
        }
        let kind: Markup = hasSentences ? " class=\"sentences\"" : .none
        return "<div class=\"scroll\"><table\(kind)><thead><tr>\(head)</tr></thead><tbody>\n\(body)</tbody></table></div>\n"
    }

    private var numberClass: Markup { " class=\"number\"" }
    private func label(_ column: Column) -> Markup { " data-column=\"\(column.title)\"" }
}
