import Foundation
import Vocabulary

/// Numbers and moments as people read them. One place, so that the terminal, the page and an explanation say the same.
package enum Words {
    /// `2026-01-02 03:04:05Z`
    package static func moment(_ time: Timestamp) -> String {
        let text = Moment(time).text
        return text.prefix(10) + " " + text.dropFirst(11).prefix(8) + "Z"
    }

    /// `81 ms`, `2.35 s`, `45.2 s`, `2 min 13 s`, `3 h 12 min`, `2 d 3 h`.
    package static func duration(_ length: Seconds) -> String {
        let value = length.rawValue
        guard value.isFinite else { return value.isNaN ? "unknown" : value < 0 ? "−∞" : "for ever" }
        let size = abs(value)
        let sign = value < 0 ? "−" : ""
        if size == 0 { return "0 s" }
        if size < 0.0995 { return sign + significant(size * 1e3, 2) + " ms" }
        if size < 0.9995 { return sign + significant(size * 1e3, 3) + " ms" }
        if size < 9.995 { return sign + fixed(size, 2) + " s" }
        if size < 59.95 { return sign + fixed(size, 1) + " s" }
        let whole = Int(min(size, 1e15).rounded())
        if whole < 3_600 { return sign + two(whole / 60, "min", whole % 60, "s") }
        if whole < 86_400 { return sign + two(whole / 3_600, "h", whole % 3_600 / 60, "min") }
        return sign + two(whole / 86_400, "d", whole % 86_400 / 3_600, "h")
    }

    /// Time since a beginning: `+1:23.4`, `+2:03:04`.
    package static func offset(_ length: Seconds) -> String {
        let tenths = Int((max(-1e14, min(length.rawValue, 1e14)) * 10).rounded())
        let (whole, tenth) = (abs(tenths) / 10, abs(tenths) % 10)
        let sign = tenths < 0 ? "−" : "+"
        if whole >= 3_600 { return "\(sign)\(whole / 3_600):\(pad2(whole % 3_600 / 60)):\(pad2(whole % 60))" }
        return "\(sign)\(whole / 60):\(pad2(whole % 60)).\(tenth)"
    }

    /// `11.0 MiB`; IEC units.
    package static func bytes(_ count: Double) -> String {
        guard count.isFinite else { return "unknown" }
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var value = abs(count)
        var unit = 0
        while value >= 1_023.95, unit < units.count - 1 {
            value /= 1_024
            unit += 1
        }
        return (count < 0 ? "−" : "") + (unit == 0 ? fixed(value, 0) : value < 99.95 ? fixed(value, 1) : fixed(value, 0)) + " " + units[unit]
    }
    package static func bytes(_ count: ByteCount) -> String { bytes(Double(count.rawValue)) }

    /// `0.79 %`
    package static func share(_ value: Double) -> String {
        guard value.isFinite else { return "unknown" }
        let percent = value * 100
        if percent == 0 || percent == 100 { return "\(Int(percent)) %" }
        // Never "100 %" of what is not certain.
        if percent > 99.9, percent < 100 { return fixed((percent * 1_000).rounded(.down) / 1_000, 3) + " %" }
        return (abs(percent) < 10 ? fixed(percent, 2) : fixed(percent, 1)) + " %"
    }

    /// `12.50 EUR`
    package static func money(_ amount: Money) -> String { fixed(amount.amount, 2) + " " + amount.currency }

    /// An amount in a policy's currency, which may be far below a cent.
    package static func cost(_ amount: Double) -> String {
        guard amount.isFinite else { return amount.isNaN ? "unknown" : amount > 0 ? "∞" : "−∞" }
        if amount == 0 { return "0" }
        if abs(amount) >= 1_000 { return fixed(amount, 0) }
        if abs(amount) >= 0.0001 { return significant(amount, 4) }
        let power = Int(log10(abs(amount)).rounded(.down))
        return "\(significant(amount / pow(10, Double(power)), 2))e\(power)"
    }

    /// A number whose name ends in its unit.
    package static func quantity(_ name: String, _ value: Double) -> String {
        if name.hasSuffix("PerSecond") { return name.hasSuffix("BytesPerSecond") ? bytes(value) + "/s" : significant(value, 4) + " /s" }
        if name.hasSuffix("Seconds") { return duration(Seconds(value)) }
        if name.hasSuffix("Bytes") { return bytes(value) }
        if name.hasSuffix("Share") || name.hasPrefix("probability") || name.hasSuffix("Probability") { return share(value) }
        return significant(value, 4)
    }

    /// `value` to so many digits, without an exponent where it can be done without.
    package static func significant(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "unknown" : value < 0 ? "−∞" : "∞" }
        if value == 0 { return "0" }
        let size = abs(value)
        if size >= 1e15 || size < 1e-9 { return String(format: "%.\(max(0, digits - 1))e", value) }
        let power = Int(log10(size).rounded(.down))
        let text = fixed(value, max(0, digits - 1 - power))
        guard text.contains(".") else { return text }
        var shorter = Substring(text)
        while shorter.hasSuffix("0") { shorter = shorter.dropLast() }
        return String(shorter.hasSuffix(".") ? shorter.dropLast() : shorter)
    }

    package static func fixed(_ value: Double, _ decimals: Int) -> String { String(format: "%.\(decimals)f", value) }

    /// `1 checkpoint`, `2 checkpoints`.
    package static func count(_ number: Int, _ what: String, _ plural: String? = nil) -> String {
        "\(number) \(number == 1 ? what : plural ?? what + "s")"
    }

    /// The start of a digest that is enough to recognise it.
    package static func short(_ version: DocumentVersion) -> String {
        "\(version.name)@\(version.digest.split(separator: ":").last.map { String($0.prefix(12)) } ?? "")"
    }

    private static func two(_ big: Int, _ bigUnit: String, _ small: Int, _ smallUnit: String) -> String {
        small == 0 ? "\(big) \(bigUnit)" : "\(big) \(bigUnit) \(small) \(smallUnit)"
    }
    private static func pad2(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// Without what could drive a terminal or hide a letter: control characters, marks that turn the direction, and halves of nothing.
    package static func harmless(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isHarmful) else { return text }
        var clean = ""
        for scalar in text.unicodeScalars {
            if isHarmful(scalar) { clean += "\\u{\(String(scalar.value, radix: 16))}" } else { clean.unicodeScalars.append(scalar) }
        }
        return clean
    }

    static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200B, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x2069, 0xFEFF, 0xFFFE, 0xFFFF: true
        default: false
        }
    }
}

/// A moment as RFC 3339 text in UTC, to the millisecond: `2026-01-02T03:04:05.678Z`.
package struct Moment: Hashable, Sendable, Codable, Comparable {
    /// To the millisecond, within the years 1 to 9999: what lies outside is the nearest of them.
    package let time: Timestamp
    package init(_ time: Timestamp) { self.init(milliseconds: Int64((min(max(time.rawValue, -62_135_596_800), 253_402_300_799) * 1_000).rounded())) }
    private init(milliseconds: Int64) { time = Timestamp(Double(milliseconds) / 1_000) }
    package static func < (a: Moment, b: Moment) -> Bool { a.time < b.time }

    package var text: String {
        let milliseconds = Int64((time.rawValue * 1_000).rounded())
        let days = (milliseconds >= 0 ? milliseconds : milliseconds - 86_399_999) / 86_400_000
        let rest = milliseconds - days * 86_400_000
        let (year, month, day) = Moment.civil(daysSince1970: days)
        return String(
            format: "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", Int(year), Int(month), Int(day), Int(rest / 3_600_000), Int(rest / 60_000 % 60),
            Int(rest / 1_000 % 60), Int(rest % 1_000))
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        let parts = text.split(whereSeparator: { !$0.isASCII || !$0.isNumber }).compactMap { Int64($0) }
        let ranges: [ClosedRange<Int64>] = [1...9_999, 1...12, 1...31, 0...23, 0...59, 0...60, 0...999]
        guard text.hasSuffix("Z"), parts.count == 7, zip(parts, ranges).allSatisfy({ $1.contains($0) }) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no moment: \(text)")
        }
        let days = Moment.days(year: parts[0], month: parts[1], day: parts[2])
        self.init(milliseconds: (((days * 24 + parts[3]) * 60 + parts[4]) * 60 + parts[5]) * 1_000 + parts[6])
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    // Source: Howard Hinnant, chrono-Compatible Low-Level Date Algorithms, `civil_from_days` and `days_from_civil`.
    private static func civil(daysSince1970: Int64) -> (Int64, Int64, Int64) {
        let shifted = daysSince1970 + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

/// From one moment to another, to the microsecond: what is finer is the noise of large numbers.
func span(_ from: Timestamp, _ to: Timestamp) -> Seconds { rounded(to - from) }
func rounded(_ length: Seconds) -> Seconds { Seconds((length.rawValue * 1e6).rounded() / 1e6) }
