import ArgumentParser
import Foundation
import Knowledge
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "A live view of nodes and tasks.",
        discussion: """
            Out of the ledger, with or without a running manager. It follows the window's size; q or Ctrl-C ends it. SAFE counts checkpoints in the \
            store, LAST is how old the newest of them is: so much work would be lost now. Where standard output is no terminal, the view is printed \
            again and again as plain lines.
            """)
    @OptionGroup var state: StateOption
    @Option(help: "Seconds between two looks.") var every = 1.0
    @Flag(help: "Print the view once, as plain lines.") var once = false

    private static let newsKept = 200

    func validate() throws {
        guard every >= 0.1, every <= 3_600 else { throw ValidationError("--every is from 0.1 to 3600 seconds") }
    }

    func run() async throws {
        let directory = state.directory
        let ledger = try directory.ledger()
        var screen = TopScreen(knowledge: Knowledge(), news: [], manager: "", now: SystemTime().now())
        func look() async throws {
            while case let page = try await ledger.events(after: screen.knowledge.sequence, limit: 10_000), !page.isEmpty {
                screen.knowledge.fold(page)
                screen.news = Array((screen.news + page.compactMap { Telling.line($0) }).suffix(Self.newsKept))
            }
            screen.now = SystemTime().now()
            screen.manager = directory.isManaged ? "manager running" : "NO manager running"
        }
        try await look()
        let window = once || isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1 ? nil : FullWindow()
        guard let window else {
            while true {
                screen.news = screen.news.suffix(10)
                for line in screen.lines(width: nil, height: nil) { print(line.text) }
                fflush(nil)
                if once { return }
                print("")
                try await Task.sleep(for: .seconds(every))
                try await look()
            }
        }
        defer { window.close() }
        var size = (0, 0)
        var lookedAt = ProcessInfo.processInfo.systemUptime
        while !window.isToEnd {
            let present = (Terminal.width, Terminal.height)
            let isDue = ProcessInfo.processInfo.systemUptime - lookedAt >= every
            if isDue {
                try await look()
                lookedAt = ProcessInfo.processInfo.systemUptime
            }
            if isDue || present != size {
                size = present
                window.draw(screen.lines(width: present.0, height: present.1))
            }
            // As often as keys and the window's size are looked at.
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}

/// The whole terminal, given back as it was.
///
/// Source: ECMA-48 (CUP, EL, ED, SGR); xterm's control sequences 1049 (another screen) and 25 (the cursor), which every terminal in use knows.
final class FullWindow {
    private var before = termios()
    private static let signals = [SIGTERM, SIGHUP, SIGINT]
    private var sources: [any DispatchSourceSignal] = []
    private var isOpen = false

    init() {
        tcgetattr(STDIN_FILENO, &before)
        var raw = before
        // Keys one by one and unseen; Ctrl-C is a key.
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        withUnsafeMutableBytes(of: &raw.c_cc) {
            $0[Int(VMIN)] = 0
            $0[Int(VTIME)] = 0
        }
        tcsetattr(STDIN_FILENO, TCSANOW, &raw)
        write("\u{1B}[?1049h\u{1B}[?25l")
        isOpen = true
        for number in Self.signals {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .main)
            let before = before
            source.setEventHandler {
                Self.restore(before)
                Foundation.exit(128 + number)
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Whether a key asks for the end.
    var isToEnd: Bool {
        var keys = [UInt8](repeating: 0, count: 64)
        let count = read(STDIN_FILENO, &keys, keys.count)
        // q, Q, Ctrl-C.
        return count > 0 && keys.prefix(count).contains { [0x71, 0x51, 0x03].contains($0) }
    }

    func draw(_ lines: [TopScreen.Line]) {
        var text = "\u{1B}[H"
        for (index, line) in lines.enumerated() {
            let style = !Terminal.isStyled || line.style == .plain ? "" : line.style == .heading ? "\u{1B}[7m" : "\u{1B}[1;31m"
            text += style + line.text + (style.isEmpty ? "" : "\u{1B}[0m") + "\u{1B}[K" + (index == lines.count - 1 ? "" : "\r\n")
        }
        write(text + "\u{1B}[J")
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        Self.restore(before)
    }

    private static func restore(_ before: termios) {
        var before = before
        FileHandle.standardOutput.write(Data("\u{1B}[?25h\u{1B}[?1049l".utf8))
        tcsetattr(STDIN_FILENO, TCSANOW, &before)
    }

    private func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}
