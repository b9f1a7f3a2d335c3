import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

extension Terminal {
    /// Standard output is one, and nobody said NO_COLOR. Source: no-color.org: present and not empty.
    static var isStyled: Bool { isatty(STDOUT_FILENO) == 1 && mayStyle(ProcessInfo.processInfo.environment) }

    static func mayStyle(_ environment: [String: String]) -> Bool {
        (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    /// Bold on a terminal. Source: ECMA-48, SGR.
    static func emphasised(_ text: String, if isWanted: Bool = true) -> String { isWanted && isStyled ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

    /// Lines of the terminal; 24 where there is none.
    static var height: Int {
        var size = winsize()
        return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 0 ? Int(size.ws_row) : 24
    }
}

/// How far a long operation is, on standard error: a line that is written over on a terminal, with rate and time left; elsewhere a line at
/// most every ten seconds.
final class ProgressLine: Sendable {
    enum Unit: Sendable { case bytes, pieces(String) }
    private let label: String
    private let unit: Unit
    private let total: Double
    private let isTerminal: Bool
    private let isQuiet: Bool
    private let began: Double
    private struct State {
        var shownAt: Double
        var isShown = false
    }
    private let state: Mutex<State>

    /// - Parameters:
    ///   - total: 0: it is not known.
    ///   - isQuiet: nothing is said at all (`--json`).
    init(_ label: String, total: Double, unit: Unit, isQuiet: Bool = false) {
        self.label = label
        self.unit = unit
        self.total = total
        self.isQuiet = isQuiet
        isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
        began = ProcessInfo.processInfo.systemUptime
        state = Mutex(State(shownAt: began))
    }

    func show(_ done: Double) {
        let now = ProcessInfo.processInfo.systemUptime
        guard !isQuiet else { return }
        let isDue = state.withLock { state in
            guard now - state.shownAt >= (isTerminal ? 0.2 : 10) else { return false }
            state.shownAt = now
            state.isShown = isTerminal
            return true
        }
        guard isDue else { return }
        let text = Self.text(label, done: done, total: total, unit: unit, elapsed: now - began)
        // Back to the line's beginning, and what was there away. Source: ECMA-48, EL.
        say(isTerminal ? "\r" + text.prefix(max(1, Terminal.width - 1)) + "\u{1B}[K" : text + "\n")
    }

    /// Takes the line away, before other lines are printed and at the end.
    func clear() {
        let wasShown = state.withLock { state in
            defer { state.isShown = false }
            return state.isShown
        }
        if wasShown { say("\r\u{1B}[K") }
    }

    private func say(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

    static func text(_ label: String, done: Double, total: Double, unit: Unit, elapsed: Double) -> String {
        let rate = elapsed > 0 ? done / elapsed : 0
        let share = total > 0 ? min(1, done / total) : nil
        let amount: String
        let speed: String
        switch unit {
        case .bytes:
            amount = size(done) + (total > 0 ? " of \(size(total))" : "")
            speed = size(rate) + "/s"
        case .pieces(let name):
            amount = "\(Int(done))" + (total > 0 ? " of \(Int(total))" : "") + " \(name)"
            speed = String(format: "%.1f/s", rate)
        }
        var text = label + ": "
        if let share {
            let filled = Int((share * 20).rounded(.down))
            text += String(repeating: "█", count: filled) + String(repeating: "░", count: 20 - filled) + " \(Int(share * 100)) %, "
        }
        text += "\(amount), \(speed)"
        if total > 0, rate > 0, done < total { text += ", \(duration((total - done) / rate)) left" }
        return text
    }

    private static func size(_ bytes: Double) -> String {
        bytes >= 1_073_741_824 ? String(format: "%.2f GiB", bytes / 1_073_741_824) : String(format: "%.1f MiB", bytes / 1_048_576)
    }

    /// `45 s`, `3 min 05 s`, `2 h 10 min`.
    static func duration(_ seconds: Double) -> String {
        let whole = Int(max(0, seconds).rounded(.up))
        if whole < 60 { return "\(whole) s" }
        if whole < 3_600 { return String(format: "%d min %02d s", whole / 60, whole % 60) }
        return String(format: "%d h %02d min", whole / 3_600, whole % 3_600 / 60)
    }
}
