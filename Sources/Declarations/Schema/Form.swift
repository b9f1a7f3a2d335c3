import Vocabulary

/// What a value may be: what its reader takes, what the JSON Schema allows and what the reference says are all made from it.
indirect enum Form: Sendable {
    /// One line of at most so many bytes.
    case text(atMost: Int = 4_096)
    /// A text that an expression matches as a whole.
    case match(String, called: String)
    case name
    case choice([String])
    case truth
    case duration(ClosedRange<Seconds>)
    /// A duration above zero.
    case length
    case size(ClosedRange<ByteCount>)
    case share
    case moment
    case whole(ClosedRange<Int>)
    case number(zero: Bool, atMost: Double)
    case currency
    case absolutePath
    case path
    /// A regular expression.
    case expression
    /// Free names to free texts.
    case texts
    case mapping(Keys)
    /// Names to values of one form.
    case names(Form)
    /// At least one item.
    case list(Form)
    /// Any of these.
    case either([Form])
}

/// A mapping's keys. The only place that lists them: readers take no others.
struct Keys: Sendable {
    /// What holds for several keys together.
    enum Together: Sendable {
        case any
        case exactlyOne([String])
        /// An empty mapping says nothing.
        case atLeastOne
    }

    let keys: [Key]
    let together: Together

    init(_ keys: [Key], _ together: Together = .any) {
        self.keys = keys
        self.together = together
    }

    var names: [String] { keys.map(\.name) }
}

struct Key: Sendable {
    let name: String
    let form: Form
    let isRequired: Bool
    /// What holds without it, as the reference says it.
    let standard: String
    /// What it means, in Markdown, after its range.
    let words: String

    /// - Parameter standard: nil: the key is required.
    init(_ name: String, _ form: Form, default standard: String?, _ words: String = "") {
        self.name = name
        self.form = form
        isRequired = standard == nil
        self.standard = standard ?? "required"
        self.words = words
    }
}

extension Reading {
    /// A mapping whose keys are among `keys`.
    func fields(_ keys: Keys) -> Fields? { fields(keys.names) }
}

extension Form {
    /// As the reference calls it.
    var type: String {
        switch self {
        case .text: "text"
        case .match(_, let called): called
        case .name: "name"
        case .choice: "text"
        case .truth: "`true`, `false`"
        case .duration, .length: "duration"
        case .size: "size"
        case .share: "share"
        case .moment: "moment"
        case .whole: "whole number"
        case .number(_, let most): most == PricesReading.mostMoney ? "amount" : "number"
        case .currency: "currency"
        case .absolutePath, .path: "path"
        case .expression: "expression"
        case .texts: "names to texts"
        case .mapping: "mapping"
        case .names(let form): "names to \(form.type == "mapping" ? "mappings" : form.type + "s")"
        case .list(let form): form.type == "mapping" ? "list" : "list of \(form.type)s"
        case .either(let forms):
            forms.map(\.type).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }.joined(separator: " or ")
        }
    }

    /// The range, in words; empty where the type says all.
    var range: String {
        switch self {
        case .text(let most): most < 4_096 ? "at most \(most) bytes" : ""
        case .choice(let words): words.map { "`\($0)`" }.joined(separator: ", ")
        case .duration(let range): Self.words(range, Quantity.longestDuration, Quantity.text)
        case .length: "above 0s"
        case .size(let range): Self.words(range, Quantity.largestSize, Quantity.text)
        case .whole(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .number(let zero, let most):
            (zero ? "0 or more" : "above 0") + (most == PricesReading.mostMoney ? "" : ", at most \(Quantity.text(most))")
        case .absolutePath: "absolute"
        case .either(let forms): forms.map(\.range).filter { !$0.isEmpty }.joined(separator: ", or ")
        case .match, .name, .truth, .share, .moment, .currency, .path, .expression, .texts, .mapping, .names, .list: ""
        }
    }

    private static func words<Value: Comparable>(_ range: ClosedRange<Value>, _ most: Value, _ text: (Value) -> String) -> String {
        range.upperBound == most ? "from \(text(range.lowerBound))" : "\(text(range.lowerBound)) to \(text(range.upperBound))"
    }
}
