import AuditReport
import Vocabulary

/// Who looks, and what they may do: actions that they may not are not offered.
package struct Visitor: Sendable {
    package var name: String
    /// On nodes and policies.
    package var mayOperate: Bool
    /// Came by a token in a cookie, which can be given back.
    package var mayLogOut: Bool

    package init(name: String, mayOperate: Bool, mayLogOut: Bool) {
        self.name = name
        self.mayOperate = mayOperate
        self.mayLogOut = mayLogOut
    }
}

/// What every page has around it.
struct Frame {
    var title: String
    /// What is shown is of this moment; nil: the page shows nothing that changes.
    var at: Moment?
    var visitor: Visitor?
    /// Said once, above everything else: what was just done.
    var notice: String?

    func page(_ content: Markup) -> String {
        let moment: Markup = at.map { " data-at=\"\($0.text)\"" } ?? .none
        let script: Markup = at == nil ? .none : "<script src=\"/assets/dashboard.js\" defer=\"defer\"></script>"
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="en"\(moment)>
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta name="color-scheme" content="light dark"/>
            <title>\(title) · Cairn</title>
            <link rel="icon" type="image/svg+xml" href="/assets/cairn.svg"/>
            <link rel="stylesheet" href="/assets/dashboard.css"/>
            \(script)
            </head>
            <body>
            <a class="skip" href="#main">To the content</a>
            <header class="bar"><div class="wide">
            <a class="brand" href="/">\(Self.stones)<span>Cairn</span></a>
            \(status)\(person)
            </div></header>
            <main id="main" class="wide">
            \(said)\(content)
            </main>
            <footer class="wide"><p>Times are UTC. What was not observed is not claimed.</p></footer>
            </body>
            </html>

            """
        return page.text
    }

    private var said: Markup { notice.map { "<p class=\"notice\" role=\"status\">\($0)</p>\n" } ?? .none }

    private var status: Markup {
        guard let at else { return "<span class=\"spring\"></span>" }
        return """
            <span class="spring"></span><span class="asof">as of <time data-live="at" datetime="\(at.text)">\(Words.moment(at.time).dropFirst(11))</time></span>
            <span id="live" class="live" role="status">not live</span>
            """
    }

    private var person: Markup {
        guard let visitor else { return .none }
        let logOut: Markup =
            visitor.mayLogOut ? "<form method=\"post\" action=\"/logout\"><button class=\"plain\" type=\"submit\">Log out</button></form>" : .none
        return "<span class=\"who\">\(visitor.name)</span>\(logOut)"
    }

    /// Three stones on each other.
    private static let stones: Markup = """
        <svg class="stones" viewBox="0 0 32 32" aria-hidden="true"><ellipse class="stone1" cx="16" cy="25" rx="13" ry="5"/><ellipse class="stone2" cx="16.5" cy="16.5" rx="9.5" ry="4.2"/><ellipse class="stone3" cx="15.5" cy="9" rx="6" ry="3.4"/></svg>
        """

    static let icon = """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><ellipse cx="16" cy="25" rx="13" ry="5" fill="#5f7f9f"/><ellipse cx="16.5" cy="16.5" rx="9.5" ry="4.2" fill="#3f76ad"/><ellipse cx="15.5" cy="9" rx="6" ry="3.4" fill="#1f5fa8"/></svg>
        """
}

/// Small parts that pages are made of.
enum Piece {
    /// A value with its number as the API has it, so that a program can compare what people read.
    static func value(_ key: String, _ number: some CustomStringConvertible, _ text: String) -> Markup { value(key, number, markup: "\(text)") }

    static func value(_ key: String, _ number: some CustomStringConvertible, markup: Markup) -> Markup {
        "<span data-key=\"\(key)\" data-value=\"\(number)\">\(markup)</span>"
    }

    /// A bar, `share` of it filled.
    /// - Parameters:
    ///   - tone: how it is coloured: `accent`, `kept`, `open`, `broken`.
    ///   - marks: shares at which something changes.
    static func bar(_ share: Double, tone: String, marks: [Double] = [], _ label: String) -> Markup {
        let filled = min(max(share.isFinite ? share : 0, 0), 1) * 100
        let drawn = marks.map { mark -> Markup in
            "<rect class=\"tickmark\" x=\"\(Words.fixed(min(max(mark, 0), 1) * 100 - 0.5, 1))\" y=\"0\" width=\"1\" height=\"8\"/>"
        }
        return """
            <svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="\(label)"><rect class="track" width="100" height="8"/><rect class="tone-\(tone)" width="\(Words.fixed(filled, 1))" height="8"/>\(drawn)</svg>
            """
    }

    /// A value above its bar.
    static func metered(_ value: Markup, _ bar: Markup) -> Markup { "<span class=\"metered\">\(value)\(bar)</span>" }

    /// A second line in a cell; nothing where there is nothing to say.
    static func under(_ text: String?) -> Markup {
        guard let text else { return .none }
        return "<span class=\"quiet under\">\(text)</span>"
    }

    static func badge(_ text: String, _ tone: String) -> Markup { "<span class=\"badge \(tone)\">\(text)</span>" }

    static func tile(_ title: String, _ value: Markup, _ note: Markup = .none, tone: String = "") -> Markup {
        let below: Markup = note.text.isEmpty ? .none : "<dd class=\"quiet\">\(note)</dd>"
        return "<div class=\"tile \(tone)\"><dt>\(title)</dt><dd class=\"figure\">\(value)</dd>\(below)</div>\n"
    }

    static func tiles(_ tiles: [Markup]) -> Markup { "<dl class=\"tiles\">\n\(tiles)</dl>\n" }

    /// A part of the page that is kept up to date.
    static func live(_ name: String, _ content: Markup) -> Markup { "<div data-live=\"\(name)\">\n\(content)</div>\n" }

    static func section(_ title: String, _ name: String, _ content: Markup) -> Markup {
        "<section aria-labelledby=\"\(name)-title\"><h2 id=\"\(name)-title\">\(title)</h2>\n\(live(name, content))</section>\n"
    }

    static func action(_ title: String, _ address: String, isGrave: Bool = false) -> Markup {
        "<a class=\"button\(isGrave ? " grave" : "")\" href=\"\(address)\">\(title)</a>"
    }

    static func link(to task: TaskID) -> Markup { "<a href=\"\(address("tasks", task.rawValue))\">\(task)</a>" }
    static func link(to decision: DecisionID) -> Markup { "<a href=\"\(address("decisions", decision.rawValue))\"><code>\(decision)</code></a>" }

    /// A path on this server, whatever names are in it.
    static func address(_ parts: String...) -> String {
        parts.map { part in
            "/" + part.utf8.map { isPlain($0) ? String(UnicodeScalar($0)) : "%" + hexadecimal($0) }.joined()
        }.joined()
    }
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
    private static func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) }

    /// Since a moment, as `12 s ago`.
    static func ago(_ then: Moment, _ now: Moment) -> String { whole(max(.zero, now.time - then.time)) + " ago" }

    /// A length to the second: one that changes every second need not show tenths.
    static func whole(_ length: Seconds) -> String {
        let seconds = length.rawValue.rounded()
        return abs(seconds) < 60 ? "\(Int(seconds)) s" : Words.duration(Seconds(seconds))
    }

    static func state(_ task: String) -> Markup {
        let tone =
            switch task {
            case "running", "finished": "kept"
            case "interrupted", "given-up": "broken"
            case "resuming", "placed": "notObserved"
            default: "neutral"
            }
        return badge(task, tone)
    }
}
