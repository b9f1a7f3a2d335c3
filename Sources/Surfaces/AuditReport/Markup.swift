/// Markup in which what is interpolated is escaped, unless it is markup itself: a name cannot become a tag.
///
/// What it makes is well-formed XML as well as HTML, so that a parser can check it.
package struct Markup: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, Sendable {
    package private(set) var text: String

    package init(stringLiteral value: String) { text = value }
    package init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    package static let none: Markup = ""

    package struct Interpolation: StringInterpolationProtocol {
        fileprivate var text = ""
        package init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity * 2) }
        package mutating func appendLiteral(_ literal: String) { text += literal }
        package mutating func appendInterpolation(_ value: String) { text += Markup.escaped(value) }
        package mutating func appendInterpolation(_ value: some CustomStringConvertible) { text += Markup.escaped(value.description) }
        package mutating func appendInterpolation(_ markup: Markup) { text += markup.text }
        package mutating func appendInterpolation(_ parts: [Markup]) { for part in parts { text += part.text } }
    }

    package static func + (a: Markup, b: Markup) -> Markup { "\(a)\(b)" }
    package static func += (a: inout Markup, b: Markup) { a.text += b.text }

    /// Safe between tags and in quoted attributes.
    package static func escaped(_ text: String) -> String {
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
package struct MarkupTable {
    package struct Column {
        var title: String
        var isNumber = false
        package init(title: String, isNumber: Bool = false) {
            self.title = title
            self.isNumber = isNumber
        }
    }
    package var columns: [Column]
    package var rows: [[Markup]] = []
    /// Said when there are no rows; nil: then there is no table either.
    var emptiness: String?
    /// With sentences in it: on a narrow screen each row becomes a block, each cell with its column's name.
    var hasSentences = false

    package init(columns: [Column], rows: [[Markup]] = [], emptiness: String? = nil, hasSentences: Bool = false) {
        self.columns = columns
        self.rows = rows
        self.emptiness = emptiness
        self.hasSentences = hasSentences
    }

    package var markup: Markup {
        if rows.isEmpty { return emptiness.map { "<p class=\"quiet\">\($0)</p>" } ?? .none }
        let head = columns.map { column -> Markup in "<th scope=\"col\"\(column.isNumber ? numberClass : .none)>\(column.title)</th>" }
        let body = rows.map { row -> Markup in
            "<tr>\(zip(row, columns).map { cell, column -> Markup in "<td\(column.isNumber ? numberClass : .none)\(hasSentences ? label(column) : .none)>\(cell)</td>" })</tr>\n"
        }
        let kind: Markup = hasSentences ? " class=\"sentences\"" : .none
        return "<div class=\"scroll\" tabindex=\"0\"><table\(kind)><thead><tr>\(head)</tr></thead><tbody>\n\(body)</tbody></table></div>\n"
    }

    private var numberClass: Markup { " class=\"number\"" }
    private func label(_ column: Column) -> Markup { " data-column=\"\(column.title)\"" }
}
