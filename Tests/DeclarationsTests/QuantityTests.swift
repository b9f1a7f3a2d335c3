import Testing
import Vocabulary

@testable import Declarations

@Suite("Quantities as they are written")
struct QuantityTests {
    static let durationsTable: [(String, Double)] = [
        ("90s", 90.0), ("1h30m", 5_400), ("1.5h", 5_400), ("0.5s", 0.5), (".5s", 0.5), ("0s", 0), ("1w2d3h4m5s", 788_645),
        ("1d1s", 86_401), ("1h90m", 9_000), ("36525d", 3_155_760_000),
    ]

    @Test("durations", arguments: durationsTable)
    func durations(text: String, seconds: Double) throws { #expect(try Quantity.duration(text) == Seconds(seconds)) }

    static let noDurationsTable: [(String, String)] = [
        ("90", "did you mean 90s?"), ("1e3", "did you mean 1e3s?"), ("5 min", "did you mean 5m?"), ("10S", "did you mean 10s?"),
        ("2 Hours 30 Minutes", "did you mean 2h30m?"), ("500ms", "did you mean 0.5s?"), ("1h30", "did you mean 1h30m?"),
        ("2d12", "did you mean 2d12h?"), ("30m1h", "from the largest down, for example 1h30m"), ("1h1h", "from the largest down, for example 1h30m"),
        ("36526d", "at most 36525d"), ("1e400s", form), ("-5s", form), ("nan", form), ("nans", form), ("inf", form), ("0x10s", form), ("1..5s", form),
        ("s", form), ("", form), (".", form), ("٣s", form), ("1y", form), ("5s5", form), ("forever", form),
    ]

    @Test("what is no duration, and what it may have meant", arguments: noDurationsTable)
    func noDurations(text: String, suggestion: String) {
        #expect(throws: Quantity.Trouble.self) { try Quantity.duration(text) }
        #expect(trouble { () throws(Quantity.Trouble) in _ = try Quantity.duration(text) }?.suggestion == suggestion)
    }
    static let form = "a duration has units w, d, h, m or s, for example 90s or 1h30m"

    static let durationTextTable: [Double] = [0, 0.5, 59, 60, 3_600, 5_400, 86_400, 694_861, 3_155_760_000]

    @Test("a duration is told as it could be written", arguments: durationTextTable)
    func durationText(seconds: Double) throws { #expect(try Quantity.duration(Quantity.text(Seconds(seconds))) == Seconds(seconds)) }

    @Test("a length beyond the longest is told without a crash")
    func endlessText() { #expect(Quantity.text(Seconds(.greatestFiniteMagnitude)) == "36525d") }

    static let sizesTable: [(String, Int64)] = [
        ("128MiB", 134_217_728), ("1KiB", 1_024), ("1.5GiB", 1_610_612_736), ("0.5KiB", 512), ("2TiB", Int64(2) << 40),
        ("1024TiB", Int64(1) << 50), ("0MiB", 0),
    ]

    @Test("sizes", arguments: sizesTable)
    func sizes(text: String, bytes: Int64) throws { #expect(try Quantity.size(text) == ByteCount(bytes)) }

    static let noSizesTable: [(String, String)] = [
        ("128", "did you mean 128MiB?"), ("134217728", "did you mean 128MiB?"), ("128MB", "did you mean 128MiB?"), ("128 MB", "did you mean 128MiB?"),
        ("2g", "did you mean 2GiB?"), ("1.5 tib", "did you mean 1.5TiB?"), ("64kb", "did you mean 64KiB?"), ("1025TiB", "at most 1024TiB"),
        ("0.1KiB", sizeForm), ("-1GiB", sizeForm), ("nanMiB", sizeForm), ("infGiB", sizeForm), ("nan", sizeForm), ("", sizeForm), ("MiB", sizeForm),
        ("1e999GiB", sizeForm), ("1PiB", sizeForm), ("0x10MiB", sizeForm),
    ]

    @Test("what is no size, and what it may have meant", arguments: noSizesTable)
    func noSizes(text: String, suggestion: String) {
        #expect(trouble { () throws(Quantity.Trouble) in _ = try Quantity.size(text) }?.suggestion == suggestion)
    }
    static let sizeForm = "a size has units KiB, MiB, GiB or TiB, for example 128MiB"

    static let sizeTextTable: [Int64] = [0, 512, 1_024, 134_217_728, 1_610_612_736, Int64(1) << 50]

    @Test("a size is told as it could be written", arguments: sizeTextTable)
    func sizeText(bytes: Int64) throws { #expect(try Quantity.size(Quantity.text(ByteCount(bytes))) == ByteCount(bytes)) }

    static let sharesTable: [(String, Double)] = [("0.95", 0.95), ("95%", 0.95), ("0", 0), ("1", 1), ("100%", 1), ("0.5%", 0.005), ("1e-3", 0.001)]

    @Test("shares", arguments: sharesTable)
    func shares(text: String, share: Double) throws { #expect(abs(try Quantity.share(text) - share) < 1e-15) }

    static let noSharesTable: [String] = ["95", "1.01", "101%", "-0.1", "-5%", "nan", "inf", "%", "", "half", "0x1p-1"]

    @Test("what is no share", arguments: noSharesTable)
    func noShares(text: String) {
        let found = trouble { () throws(Quantity.Trouble) in _ = try Quantity.share(text) }
        #expect(found?.suggestion == (text == "95" || text == "1.01" ? "did you mean \(text)%?" : "a share is written 0.95 or 95%"))
    }

    /// The seconds were computed by GNU date.
    static let momentsTable: [(String, Double)] = [
        ("1970-01-01T00:00:00Z", 0.0), ("2027-01-31T18:00:00Z", 1_801_418_400), ("2027-01-31T19:00:00+01:00", 1_801_418_400),
        ("2027-01-31t12:30:00-05:30", 1_801_418_400), ("2028-02-29T00:00:00Z", 1_835_395_200), ("2000-02-29T12:00:00z", 951_825_600),
        ("1969-12-31T23:59:59Z", -1), ("2016-12-31T23:59:60Z", 1_483_228_800), ("2027-01-31T18:00:00.25Z", 1_801_418_400.25),
        ("2027-01-31T18:00:00-00:00", 1_801_418_400), ("9999-12-31T23:59:59Z", 253_402_300_799), ("0000-03-01T00:00:00Z", -62_162_035_200),
    ]

    @Test("moments", arguments: momentsTable)
    func moments(text: String, seconds: Double) throws { #expect(try Quantity.moment(text) == Timestamp(seconds)) }

    static let noMomentsTable: [(String, String)] = [
        ("2027-02-29T00:00:00Z", "not in the calendar"), ("2100-02-29T00:00:00Z", "not in the calendar"),
        ("2027-04-31T00:00:00Z", "not in the calendar"),
        ("2027-00-01T00:00:00Z", "not in the calendar"), ("2027-01-00T00:00:00Z", "not in the calendar"),
        ("2027-13-01T00:00:00Z", "not in the calendar"),
        ("2027-01-01T24:00:00Z", "not on the clock"), ("2027-01-01T00:60:00Z", "not on the clock"), ("2027-01-01T00:00:61Z", "not on the clock"),
        ("2027-01-01T00:00:00+24:00", "has no zone that exists"), ("2027-01-01T00:00:00+01:60", "has no zone that exists"),
        ("2027-01-01T00:00:00", "has no zone"), ("2027-01-01", "is no moment"), ("2027-1-1T00:00:00Z", "is no moment"), ("tomorrow", "is no moment"),
        ("", "is no moment"), ("２０２７-01-01T00:00:00Z", "is no moment"), ("2027-01-01T00:00:00+0100", "is no moment"),
    ]

    @Test("what is no moment, and why", arguments: noMomentsTable)
    func noMoments(text: String, reason: String) {
        let found = trouble { () throws(Quantity.Trouble) in _ = try Quantity.moment(text) }
        #expect(found?.message.hasSuffix(reason) == true, "\(text)")
    }

    static let decimalsTable: [(String, Double?)] = [
        ("1", 1.0), ("+1.5", 1.5), ("-2", -2), (".5", 0.5), ("1e3", 1_000), ("nan", nil), ("inf", nil), ("0x10", nil), ("1e999", nil), ("1.", nil),
        ("", nil),
        ("1_000", nil), ("1,5", nil), (String(repeating: "9", count: 500), nil),
    ]

    @Test("numbers are those that people write", arguments: decimalsTable)
    func decimals(text: String, value: Double?) { #expect(Quantity.decimal(text) == value) }

    @Test("what was written is shown short, and harmless to a terminal")
    func echo() {
        #expect(shown("a\u{1B}[31mb\u{202E}c\n") == "a\u{FFFD}[31mb\u{FFFD}c\u{FFFD}")
        #expect(shown(String(repeating: "x", count: 60)) == String(repeating: "x", count: 60))
        #expect(shown(String(repeating: "x", count: 5_000)) == String(repeating: "x", count: 57) + "…")
        #expect(shown("naïve 日本語") == "naïve 日本語")
    }

    @Test("the nearest word is suggested only when it is near")
    func nearest() {
        let known = ["memory", "cpus", "delta"]
        #expect(Nearest.to("memmory", among: known) == "memory")
        #expect(Nearest.to("Memory", among: known) == "memory")
        #expect(Nearest.to("mem", among: known) == "memory")
        #expect(Nearest.to("cpu", among: known) == "cpus")
        #expect(Nearest.to("image", among: known) == nil)
        #expect(Nearest.to(String(repeating: "memory", count: 10_000), among: known) == nil)
    }

    private func trouble(_ body: () throws(Quantity.Trouble) -> Void) -> Quantity.Trouble? {
        do throws(Quantity.Trouble) { try body() } catch { return error }
        return nil
    }
}
