import Vocabulary

/// Durations, sizes, shares, amounts and moments as they are written.
package enum Quantity {
    package struct Trouble: Error, Equatable {
        package var message: String
        package var suggestion: String?
    }

    /// A number as people write it: no `nan`, no `inf`, no `0x10`, nothing that overflows.
    static func decimal(_ text: some StringProtocol) -> Double? {
        let text = String(text.prefix(61))
        guard text.utf8.count <= 60, text.wholeMatch(of: #/[+-]?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?/#) != nil else { return nil }
        return Double(text).flatMap { $0.isFinite ? $0 : nil }
    }

    /// A number without more digits than it needs: `8`, `2.5`.
    static func text(_ number: Double) -> String {
        number == number.rounded() && abs(number) < 1e15 ? String(Int64(number)) : String(number)
    }

    // MARK: Durations

    private static let timeUnits: [(name: Character, seconds: Double)] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)]
    /// A century: beyond it lie slips of the keyboard, and numbers that overflow.
    static let longestDuration = Seconds(36_525 * 86_400)
    private static let durationForm = "a duration has units w, d, h, m or s, for example 90s or 1h30m"

    /// `90s`, `1h30m`, `1.5h`: units `w d h m s`, each at most once, from the largest down. Never negative.
    package static func duration(_ text: String) throws(Trouble) -> Seconds {
        if text.hasPrefix("-") { throw Trouble(message: "\(shown(text)) is negative", suggestion: durationForm) }
        if decimal(text) != nil { throw Trouble(message: "\(shown(text)) has no unit", suggestion: "did you mean \(text)s?") }
        do throws(Trouble) { return try exactDuration(text) } catch {
            // What a person may have meant: 5 min, 10S, 500ms.
            if let meant = spelled(text) { throw Trouble(message: error.message, suggestion: "did you mean \(meant)?") }
            throw error
        }
    }

    private static func exactDuration(_ text: String) throws(Trouble) -> Seconds {
        var total = 0.0
        var number = ""
        var last = -1
        for character in text {
            if character.isASCII, character.isNumber || character == "." {
                number.append(character)
                continue
            }
            guard let unit = timeUnits.firstIndex(where: { $0.name == character }), let value = decimal(number) else {
                throw Trouble(message: "\(shown(text)) is no duration", suggestion: durationForm)
            }
            guard unit > last else {
                throw Trouble(message: "\(shown(text)) has a unit twice or out of order", suggestion: "from the largest down, for example 1h30m")
            }
            total += value * timeUnits[unit].seconds
            last = unit
            number = ""
        }
        guard number.isEmpty else {
            let next = timeUnits[min(last + 1, timeUnits.count - 1)].name
            throw Trouble(
                message: "\(shown(text)) ends in a number without a unit",
                suggestion: last < timeUnits.count - 1 && decimal(number) != nil ? "did you mean \(shown(text))\(next)?" : durationForm)
        }
        guard last >= 0 else { throw Trouble(message: "\(shown(text)) is no duration", suggestion: durationForm) }
        guard total <= longestDuration.rawValue else {
            throw Trouble(message: "\(shown(text)) is too long", suggestion: "at most \(Self.text(longestDuration))")
        }
        return Seconds(total)
    }

    private static let spellings: [String: String] = [
        "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
        "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "d": "d", "day": "d", "days": "d", "w": "w", "wk": "w", "week": "w", "weeks": "w",
    ]

    /// The duration that another spelling means: `5 min`, `1 Hour 30 Minutes`, `500ms`.
    private static func spelled(_ text: String) -> String? {
        guard text.utf8.count <= 40 else { return nil }
        let letters = text.lowercased().filter { $0 != " " && $0 != "_" }
        if letters.hasSuffix("ms"), let value = decimal(letters.dropLast(2)) { return Self.text(Seconds(value / 1_000)) }
        var meant = ""
        var rest = Substring(letters)
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            let word = rest.dropFirst(number.count).prefix(while: \.isLetter)
            guard !number.isEmpty, let unit = spellings[String(word)] else { return nil }
            meant += number + unit
            rest = rest.dropFirst(number.count + word.count)
        }
        do throws(Trouble) { _ = try exactDuration(meant) } catch { return nil }
        return meant
    }

    /// As it would be written: `1h30m`.
    static func text(_ duration: Seconds) -> String {
        var left = duration.rawValue
        guard left < longestDuration.rawValue else { return "36525d" }
        var text = ""
        for unit in timeUnits where left >= unit.seconds && unit.seconds > 1 {
            text += "\(Int(left / unit.seconds))\(unit.name)"
            left = left.truncatingRemainder(dividingBy: unit.seconds)
        }
        guard left > 0 || text.isEmpty else { return text }
        return text + Self.text(left) + "s"
    }

    // MARK: Sizes

    private static let sizeUnits: [(name: String, shift: Int64)] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
    /// 1024 TiB; whole bytes up to it are exact as `Double`, too.
    static let largestSize = ByteCount(Int64(1) << 50)
    private static let sizeForm = "a size has units KiB, MiB, GiB or TiB, for example 128MiB"

    /// `128MiB`, `1.5GiB`: IEC units alone, so that nobody has to guess what a kilobyte is. Never negative.
    package static func size(_ text: String) throws(Trouble) -> ByteCount {
        if text.hasPrefix("-") { throw Trouble(message: "\(shown(text)) is negative", suggestion: sizeForm) }
        if let bare = decimal(text) {
            // A large bare number is meant in bytes, a small one in mebibytes.
            let isBytes = bare >= 1_048_576 && bare <= Double(largestSize.rawValue)
            let meant = isBytes ? Self.text(ByteCount(Int64(bare))) : text + "MiB"
            throw Trouble(message: "\(shown(text)) has no unit", suggestion: "did you mean \(meant)?")
        }
        for unit in sizeUnits where text.hasSuffix(unit.name) {
            guard let value = decimal(text.dropLast(3)) else { break }
            let bytes = value * Double(Int64(1) << unit.shift)
            guard bytes <= Double(largestSize.rawValue) else {
                throw Trouble(message: "\(shown(text)) is too large", suggestion: "at most \(Self.text(largestSize))")
            }
            guard bytes == bytes.rounded() else { throw Trouble(message: "\(shown(text)) is no whole number of bytes", suggestion: sizeForm) }
            return ByteCount(Int64(bytes))
        }
        // What a person may have meant: 128 MB, 2g, 128mib.
        let letters = text.utf8.count <= 40 ? text.lowercased().filter { $0 != " " && $0 != "_" } : ""
        let number = letters.prefix { $0.isNumber || $0 == "." }
        let units = ["k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"]
        if decimal(number) != nil, let first = letters.dropFirst(number.count).first, let unit = units[String(first)],
            ["", "b", "ib"].contains(String(letters.dropFirst(number.count + 1)))
        {
            throw Trouble(message: "\(shown(text)) is not in units of 1024", suggestion: "did you mean \(number)\(unit)?")
        }
        throw Trouble(message: "\(shown(text)) is no size", suggestion: sizeForm)
    }

    /// As it would be written: `128MiB`.
    static func text(_ size: ByteCount) -> String {
        for unit in sizeUnits where size.rawValue >= Int64(1) << unit.shift && size.rawValue % (Int64(1) << unit.shift) == 0 {
            return "\(size.rawValue >> unit.shift)\(unit.name)"
        }
        return "\(text(Double(size.rawValue) / 1024))KiB"
    }

    // MARK: Shares and moments

    private static let shareForm = "a share is written 0.95 or 95%"

    /// `0.95` or `95%`, from 0 to 1.
    package static func share(_ text: String) throws(Trouble) -> Double {
        let isPercentage = text.hasSuffix("%")
        guard let value = decimal(isPercentage ? text.dropLast() : text[...]) else {
            throw Trouble(message: "\(shown(text)) is no share", suggestion: shareForm)
        }
        let share = isPercentage ? value / 100 : value
        guard (0...1).contains(share) else {
            let meant = !isPercentage && value > 1 && value <= 100
            throw Trouble(message: "\(shown(text)) is not between 0 and 1", suggestion: meant ? "did you mean \(text)%?" : shareForm)
        }
        return share
    }

    /// RFC 3339, for example `2027-01-01T00:00:00Z` or `…+01:00`. A leap second is the moment after it.
    package static func moment(_ text: String) throws(Trouble) -> Timestamp {
        let pattern = #/([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,18})?([Zz]|[+-][0-9]{2}:[0-9]{2})/#
        let wanted = "a moment is written 2027-01-31T18:00:00Z or 2027-01-31T19:00:00+01:00"
        guard let match = text.wholeMatch(of: pattern), let year = Int(match.1), let month = Int(match.2), let day = Int(match.3),
            let hour = Int(match.4), let minute = Int(match.5), let second = Int(match.6)
        else {
            if text.wholeMatch(of: #/[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,18})?/#) != nil {
                throw Trouble(message: "\(shown(text)) has no zone", suggestion: "did you mean \(text)Z?")
            }
            throw Trouble(message: "\(shown(text)) is no moment", suggestion: wanted)
        }
        let lengths = [31, year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...12).contains(month) else { throw Trouble(message: "\(shown(text)) is not in the calendar", suggestion: "months are 01 to 12") }
        guard (1...lengths[month - 1]).contains(day) else {
            throw Trouble(
                message: "\(shown(text)) is not in the calendar", suggestion: "days of \(match.1)-\(match.2) are 01 to \(lengths[month - 1])")
        }
        guard hour < 24, minute < 60, second <= 60 else {
            throw Trouble(message: "\(shown(text)) is not on the clock", suggestion: "times are 00:00:00 to 23:59:59")
        }
        var zone = 0
        let offset = String(match.8)
        if offset.count == 6, let hours = Int(offset.dropFirst().prefix(2)), let minutes = Int(offset.suffix(2)) {
            guard hours < 24, minutes < 60 else { throw Trouble(message: "\(shown(text)) has no zone that exists", suggestion: wanted) }
            zone = (hours * 60 + minutes) * (offset.hasPrefix("-") ? -1 : 1)
        }
        let fraction = match.7.flatMap { Double("0" + $0) } ?? 0
        let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - zone * 60
        return Timestamp(Double(seconds) + fraction)
    }

    /// Days since 1970-01-01. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yoe = y - era * 400
        let doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
    }
}

/// What was written, fit for a line of a report: short, and without what would move a terminal's cursor.
func shown(_ text: String, atMost count: Int = 60) -> String {
    let plain = String(String.UnicodeScalarView(text.unicodeScalars.prefix(count + 1).map { isPrintable($0) ? $0 : "\u{FFFD}" }))
    return text.unicodeScalars.count > count ? String(plain.unicodeScalars.prefix(count - 3)) + "…" : plain
}

private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
    default: true
    }
}
