import Foundation

/// One line of a directory as `ls -l` writes it: what vsftpd's STAT and OpenSSH's SFTP show, and most servers on POSIX systems.
struct Listed: Hashable, Sendable {
    var name: String
    var isDirectory: Bool
    var bytes: Int
    /// Seconds since 1970, if the server's clock shows UTC; to the minute, or to the day after half a year.
    var modifiedAt: Int

    init(name: String, isDirectory: Bool, bytes: Int, modifiedAt: Int) {
        self.name = name
        self.isDirectory = isDirectory
        self.bytes = bytes
        self.modifiedAt = modifiedAt
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// - Parameter now: seconds since 1970: a date without a year is the last one that is not after tomorrow.
    init?(_ line: String, now: Int = Int(Date().timeIntervalSince1970)) {
        var rest = line[...]
        func word() -> Substring {
            rest = rest.drop { $0 == " " }
            let found = rest.prefix { $0 != " " }
            rest = rest.dropFirst(found.count)
            return found
        }
        let mode = word()
        guard mode.count >= 10, let kind = mode.first, "-dlpscb".contains(kind) else { return nil }
        _ = (word(), word(), word())
        guard let bytes = Int(word()), bytes >= 0, let month = Self.months.firstIndex(of: String(word())), let day = Int(word()),
            (1...31).contains(day)
        else { return nil }
        let clock = word().split(separator: ":")
        guard rest.first == " " else { return nil }
        var name = rest.dropFirst()
        if kind == "l", let arrow = name.range(of: " -> ") { name = name[..<arrow.lowerBound] }
        guard !name.isEmpty, !name.contains("/") else { return nil }
        self.name = String(name)
        self.bytes = bytes
        isDirectory = kind == "d"
        switch clock.count {
        case 1:
            guard let year = Int(clock[0]), year >= 1970 else { return nil }
            modifiedAt = Self.seconds(year, month, day)
        case 2:
            guard let hour = Int(clock[0]), let minute = Int(clock[1]) else { return nil }
            let within = hour * 3_600 + minute * 60
            var year = Self.year(of: now) + 1
            while Self.seconds(year, month, day) + within > now + 86_400 { year -= 1 }
            modifiedAt = Self.seconds(year, month, day) + within
        default: return nil
        }
    }

    /// Days of the civil calendar. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    private static func seconds(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let month = month + 1
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * 86_400
    }
    private static func year(of seconds: Int) -> Int {
        var year = 1970 + seconds / 31_556_952
        while Self.seconds(year + 1, 0, 1) <= seconds { year += 1 }
        while Self.seconds(year, 0, 1) > seconds { year -= 1 }
        return year
    }
}
