import Foundation
import FoundationXML
import Ports
import Testing
import Vocabulary

@testable import AuditReport

/// Compares with a file under Golden; with CAIRN_UPDATE_GOLDEN=1 writes it instead.
func expectGolden(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
    if ProcessInfo.processInfo.environment["CAIRN_UPDATE_GOLDEN"] == "1" { try Data(text.utf8).write(to: file) }
    let expected = try String(contentsOf: file, encoding: .utf8)
    guard text != expected else { return }
    let (new, old) = (
        text.split(separator: "\n", omittingEmptySubsequences: false), expected.split(separator: "\n", omittingEmptySubsequences: false)
    )
    let line = zip(new, old).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(new.count, old.count)
    func shown(_ lines: [Substring]) -> Substring { lines.indices.contains(line) ? lines[line] : "nothing" }
    Issue.record("\(name), line \(line + 1): \(shown(new)) where \(shown(old)) was expected", sourceLocation: sourceLocation)
}

/// Gathers what a page is made of, and whether it is well-formed.
final class PageReader: NSObject, XMLParserDelegate {
    var elements: [String: Int] = [:]
    var text = ""
    var addresses: [String] = []
    var problem: String?

    init(_ page: String) {
        super.init()
        let parser = XMLParser(data: Data(page.utf8))
        parser.delegate = self
        if !parser.parse() { problem = "line \(parser.lineNumber): \(parser.parserError.map { "\($0)" } ?? "unknown")" }
    }

    func parser(_ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?, attributes: [String: String]) {
        elements[name, default: 0] += 1
        addresses += ["href", "src", "action", "data", "xlink:href"].compactMap { attributes[$0] }
    }
    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
}

@Suite("The report in its forms")
struct ReportFormTests {
    let report = Scene.whole.report()

    @Test("text, JSON and CSV are as they were")
    func golden() throws {
        try expectGolden(report.text(width: 80), "report.txt")
        try expectGolden(report.json(), "report.json")
        try expectGolden(report.csv(), "report.csv")
        try expectGolden(report.csv(ReportTable.allCases), "report-all.csv")
        try expectGolden(Scene.whole.report(task: TaskID("sums-1"), at: 100).text(width: 80), "report-one.txt")
    }

    @Test("the JSON form reads back as the model")
    func decoding() throws {
        #expect(try JSONText.decode(Report.self, from: report.json()) == report)
        var scene = Scene.whole
        scene.decisions[2].alternatives[3].timeCost = .infinity
        #expect(try JSONText.decode(Report.self, from: scene.report().json()) == scene.report())
    }

    @Test("docs/json.md names every key")
    func documented() throws {
        let document = try String(contentsOf: URL(filePath: #filePath).appending(path: "../../../docs/json.md").standardized, encoding: .utf8)
        var keys: Set<String> = []
        func gather(_ value: Any) {
            if let list = value as? [Any] { for part in list { gather(part) } }
            for (key, part) in value as? [String: Any] ?? [:] {
                keys.insert(key)
                // Below these the keys are names of preferences.
                if key != "preferences" { gather(part) }
            }
        }
        let scene = Scene.whole
        let explanation = Explanation.make(
            scene.decisions[2], outcomes: scene.outcomes, context: DeclarationContext(events: scene.events), comparedWith: scene.decisions[3])
        for text in [report.json(), explanation.json()] { gather(try JSONSerialization.jsonObject(with: Data(text.utf8))) }
        #expect(keys.count > 100)
        #expect(keys.filter { !document.contains("`\($0)`") && !document.contains("\"\($0)\"") }.sorted() == [])
    }

    @Test("the terminal's lines keep within their width", arguments: [60, 80, 132])
    func width(_ width: Int) {
        let long = report.text(width: width).split(separator: "\n").filter { $0.count > width }
        // A table of numbers is not folded; at 80 columns and more they fit.
        #expect(width < 80 || long.isEmpty, "\(long)")
    }

    @Test("the page is well-formed, needs nothing else, and shows every part")
    func page() throws {
        let page = PageReader(report.html())
        #expect(page.problem == nil)
        #expect(page.addresses == ["#task-0", "#task-1"])
        #expect(page.elements["script"] == nil && page.elements["link"] == nil && page.elements["img"] == nil)
        // Of each task, of both together, and of the one quantity that was predicted often enough.
        #expect(page.elements["svg"] == 5)
        // d3, d4, d5, d6, d9 and d10 rest on something; the others are only sentences.
        #expect(page.elements["details"] == 6)
        for words in [
            "3b1f9c2d7a60e4", "Finished 6.00 s after the deadline.", "0.25 EUR owed", "maximum lost work: 62 where 25 is the limit",
            "prefers-color-scheme: dark", "@media print",
        ] {
            #expect(page.text.contains(words), "\(words)")
        }
        let path = ProcessInfo.processInfo.environment["CAIRN_REPORT_PAGE"]
        if let path { try Data(report.html().utf8).write(to: URL(filePath: path)) }
    }

    @Test("an empty ledger is said to be empty, in every form")
    func empty() {
        let report = Report.make(from: LedgerExcerpt(events: [], decisions: [], outcomes: []), generatedAt: Scene.at(0))
        #expect(report.verdict == .notObserved)
        #expect(report.text().contains("The ledger is empty"))
        let page = PageReader(report.html())
        #expect(page.problem == nil)
        #expect(page.text.contains("The ledger is empty"))
        #expect(report.csv([.checkpoints]).split(separator: "\r\n").count == 1)
        #expect(report.json().contains("\"tasks\" : [\n\n  ]"))
    }

    @Test("a task that nothing was observed of has a report")
    func bare() {
        var scene = Scene()
        scene.add(0, .taskSubmitted(scene.submission(scene.primes, scene.sla("primes", preference: "nobody-knows-it", deadline: nil), at: 0)))
        let report = scene.report(at: 0)
        #expect(report.tasks[0].promises.isEmpty)
        #expect(report.tasks[0].promised.prices == nil)
        #expect(PageReader(report.html()).problem == nil)
        #expect(report.text().contains("none: the SLA has no deadline and no limits"))
    }

    @Test("hostile text stays text in every form")
    func hostile() throws {
        let evil = "</td><script>alert(1)</script>&\"'\u{1b}[2J\u{202E}\u{0}=1+1,\n\r;é漢"
        var scene = Scene.whole
        let task = TaskID(evil)
        scene.add(142, .taskSubmitted(scene.submission(task, scene.sla(evil, preference: evil, deadline: 100), at: 142)))
        scene.add(142, .taskStarted(task: task, epoch: .first, node: NodeID(evil)))
        scene.add(
            143, .checkpointCommitted(scene.checkpoint(task, 1, 1, node: NodeID(evil), captured: 142.5, latency: 1, progress: 0.1, order: evil)))
        scene.add(
            143, .checkpointFailed(task: task, epoch: .first, checkpoint: CheckpointID(evil), node: NodeID(evil), order: OrderID(evil), reason: evil))
        scene.add(144, .storeHealthChanged(StoreHealth(reachable: false, detail: evil)))
        scene.add(145, .taskFinished(task: task, epoch: .first, node: NodeID(evil), result: evil))
        scene.decisions.append(
            scene.decision(
                20, 142, .schedule, task: task, node: NodeID(evil), sentence: evil, inputs: [DecisionInput(name: evil, value: .nan)],
                alternatives: [Alternative(name: evil, violations: [evil])], chosen: 0, binding: evil, rules: [evil],
                steps: [.giveUp(task: task, reason: evil)]))
        scene.outcomes.append(Outcome(decision: DecisionID("d000020"), at: Scene.at(145), quantity: evil, predicted: -.infinity, observed: .infinity))
        let report = scene.report()
        let page = PageReader(report.html())
        #expect(page.problem == nil)
        #expect(page.elements["script"] == nil)
        #expect(page.text.contains("</td><script>alert(1)</script>&\"'\\u{1b}[2J\\u{202e}\\u{0}=1+1,"))
        for text in [
            report.text(), Explanation.make(scene.decisions[11], outcomes: scene.outcomes, context: DeclarationContext(events: scene.events)).text(),
        ] {
            #expect(!text.unicodeScalars.contains { $0 != "\n" && Words.isHarmful($0) })
            #expect(text.contains("<script>"))
        }
        #expect(try JSONText.decode(Report.self, from: report.json()).tasks[2].task == task)
        // In CSV a cell with commas, quotes or line ends is quoted, and no cell begins a formula.
        #expect(report.csv([.tasks]).contains("\"</td><script>alert(1)</script>&\"\"'"))
        var formula = Scene()
        formula.add(0, .taskSubmitted(formula.submission(TaskID("=cmd()"), formula.sla("x", preference: "@x", deadline: nil), at: 0)))
        let row = formula.report(at: 1).csv([.tasks]).split(separator: "\r\n")[1]
        #expect(row.hasPrefix("'=cmd(),submitted,notObserved,'@x,"))
    }

    @Test("a report on one task holds nothing of another")
    func filter() {
        let one = Scene.whole.report(task: TaskID("sums-1"))
        #expect(one.tasks.map(\.task.rawValue) == ["sums-1"])
        #expect(one.decisionCount == 3)
        #expect(one.calibration.models.map(\.summary.quantity) == ["remainingSeconds", "stopSeconds"])
        #expect(one.verdict == .kept)
        #expect(!one.json().contains("primes-1:"))
        #expect(Scene.whole.report(task: TaskID("nobody")).tasks.isEmpty)
    }

    @Test("long tables are shortened in the terminal, and say so")
    func long() {
        var scene = Scene()
        scene.open()
        scene.add(0, .taskSubmitted(scene.submission(scene.primes, scene.sla("primes", preference: "finish-sooner", deadline: 100), at: 0)))
        scene.add(0, .taskStarted(task: scene.primes, epoch: .first, node: scene.a))
        for number in 1...50 {
            let captured = Double(number)
            scene.add(
                captured,
                .checkpointCommitted(
                    scene.checkpoint(scene.primes, 1, number, node: scene.a, captured: captured, latency: 0.5, progress: captured / 100, order: "o")))
            scene.decisions.append(scene.decision(number, captured, .checkpoint, task: scene.primes, node: scene.a, sentence: "Now."))
        }
        for number in 1...5_000 {
            scene.add(Double(number) / 100, scene.sample(scene.primes, 1, scene.a, Double(number) / 100, Double(number) / 10_000))
        }
        let report = scene.report(at: 60)
        #expect(report.text().contains("… and 20 before these."))
        #expect(report.text().contains("… and 38 before these: `cairn decisions --task primes-1`."))
        #expect(report.tasks[0].checkpoints.count == 50)
        #expect(report.tasks[0].timeline.count <= TaskAccount.timelineLimit + 2)
        #expect(report.tasks[0].timeline.last?.progress == 0.5)
        #expect(PageReader(report.html()).problem == nil)
    }
}

@Suite("Numbers and moments in words")
struct WordsTests {
    @Test(
        "durations",
        arguments: [
            (0, "0 s"), (0.0004, "0.4 ms"), (0.0814, "81 ms"), (0.0996, "99.6 ms"), (0.25, "250 ms"), (0.9996, "1.00 s"), (2.345, "2.35 s"),
            (9.999, "10.0 s"),
            (45.23, "45.2 s"), (59.96, "1 min"), (133, "2 min 13 s"), (3_599.6, "1 h"), (11_520, "3 h 12 min"), (183_600, "2 d 3 h"),
            (-2.5, "−2.50 s"),
            (.infinity, "for ever"), (.nan, "unknown"),
        ] as [(Double, String)])
    func durations(_ value: Double, _ words: String) { #expect(Words.duration(Seconds(value)) == words) }

    @Test(
        "bytes",
        arguments: [
            (0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (11 * 1_048_576, "11.0 MiB"), (1_048_575, "1.0 MiB"), (2e12, "1.8 TiB"),
            (150e6, "143 MiB"),
        ] as [(Double, String)])
    func bytes(_ value: Double, _ words: String) { #expect(Words.bytes(value) == words) }

    @Test(
        "shares never say 100 % of what is not certain",
        arguments: [(0, "0 %"), (1, "100 %"), (0.99999, "99.999 %"), (0.9999999, "99.999 %"), (0.00789, "0.79 %"), (0.951, "95.1 %")]
            as [(Double, String)])
    func shares(_ value: Double, _ words: String) { #expect(Words.share(value) == words) }

    @Test(
        "costs far below a cent are still told apart",
        arguments: [
            (0, "0"), (0.1271104, "0.1271"), (12.3456, "12.35"), (0.00012, "0.00012"), (4e-7, "4e-7"), (1_234.5, "1234"), (.infinity, "∞"),
            (-.infinity, "−∞"),
        ] as [(Double, String)])
    func costs(_ value: Double, _ words: String) { #expect(Words.cost(value) == words) }

    @Test(
        "moments are RFC 3339 in UTC and read back",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1_767_323_045.678, "2026-01-02T03:04:05.678Z"), (951_782_400, "2000-02-29T00:00:00.000Z"),
            (-0.001, "1969-12-31T23:59:59.999Z"),
            (4_107_542_399.9999, "2100-03-01T00:00:00.000Z"), (1e300, "9999-12-31T23:59:59.000Z"),
        ] as [(Double, String)])
    func moments(_ value: Double, _ text: String) throws {
        #expect(Moment(Timestamp(value)).text == text)
        #expect(try JSONText.decode([Moment].self, from: "[\"\(text)\"]").first?.text == text)
    }

    @Test(
        "what is no moment is refused",
        arguments: ["", "yesterday", "2026-01-02T03:04:05.678", "2026-13-02T03:04:05.678Z", "99999999999999-01-02T03:04:05.678Z"])
    func noMoments(_ text: String) { #expect(throws: DecodingError.self) { try JSONText.decode([Moment].self, from: "[\"\(text)\"]") } }

    @Test("quantities are shown by the unit that ends their name")
    func quantities() {
        #expect(Words.quantity("stopSeconds", 0.084) == "84 ms")
        #expect(Words.quantity("sentBytes", 1_048_576) == "1.0 MiB")
        #expect(Words.quantity("stoppedShare", 0.05) == "5.00 %")
        #expect(Words.quantity("failureRatePerSecond", 0.004) == "0.004 /s")
        #expect(Words.quantity("phi", 8.4) == "8.4")
    }
}
