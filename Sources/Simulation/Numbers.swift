/// Numbers as people read them, without Foundation.

/// With so many decimals, without "-0".
func decimals(_ value: Double, _ count: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return value.isNaN ? "?" : value > 0 ? "∞" : "-∞" }
    var scale = 1.0
    for _ in 0..<count { scale *= 10 }
    let whole = Int64((abs(value) * scale).rounded())
    let sign = value < 0 && whole > 0 ? "-" : ""
    guard count > 0 else { return sign + String(whole) }
    let digits = String(whole)
    let padded = String(repeating: "0", count: max(0, count + 1 - digits.count)) + digits
    return sign + padded.dropLast(count) + "." + padded.suffix(count)
}

/// Three significant digits at most.
func plain(_ value: Double) -> String {
    let size = abs(value)
    return decimals(value, size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4)
}

/// `45.0 s`, `12.5 min`, `3.20 h`, `8.10 d`.
func duration(_ seconds: Double) -> String {
    let size = abs(seconds)
    if size < 120 { return plain(seconds) + " s" }
    if size < 7_200 { return plain(seconds / 60) + " min" }
    if size < 172_800 { return plain(seconds / 3_600) + " h" }
    return plain(seconds / 86_400) + " d"
}

/// `12.5 MiB`.
func size(_ bytes: Double) -> String {
    var value = bytes
    var unit = 0
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while abs(value) >= 1024, unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    return plain(value) + " " + units[unit]
}

func percent(_ share: Double) -> String { decimals(share * 100, abs(share) < 0.0995 ? 2 : 1) + " %" }
