import AuditReport
import Foundation
import FoundationXML
import Knowledge
import Overview
import Ports
import Testing
import Vocabulary

@testable import Dashboard

/// A fleet with one task whose owner has chosen every name to do harm.
private struct Scene {
    static let version = DocumentVersion(name: "default", digest: "sha256:1")
    static let harm = "<script>alert(1)</script>&\"'"
    let task = TaskID("primes-1")
    let node = NodeID("a")

    var outlook: Outlook {
        let sla = TaskSLA(
            name: "primes", labels: [Self.harm: Self.harm],
            task: TaskSpec(memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "x", workSeconds: Seconds(100)), progress: .cpuTime,
            deadline: Deadline(moment: .within(Seconds(400)), confidence: Probability(0.9)),
            penalty: Penalty(amount: Money(1, "EUR"), perSeconds: .minutes(1), cap: nil), preference: .named(Self.harm))
        let policy = CheckpointPolicy(name: "default", currency: "EUR", preferences: [:], settings: .init())
        let events: [Event] = [
            .policyLoaded(policy, version: Self.version),
            .taskSubmitted(TaskSubmission(task: task, sla: sla, version: Self.version, submittedAt: Timestamp(100))),
            .taskPlaced(task: task, epoch: .first, node: node), .taskStarted(task: task, epoch: .first, node: node),
            .storeHealthChanged(StoreHealth(reachable: false, detail: Self.harm)),
            .nodeDrainAsked(node: node, by: Self.harm), .policyModeSet(name: "default", mode: .audit, by: Self.harm),
        ]
        let records = events.enumerated().map {
            EventRecord(sequence: Int64($0.offset + 1), at: Timestamp(100 + Double($0.offset)), source: .manager, event: $0.element)
        }
        let rate = RateEstimate(
            perSecond: 0.001, standardError: 0, lowPerSecond: 0.0005, highPerSecond: 0.002, failures: 1, exposureSeconds: Seconds(9))
        let finding = TaskFinding(
            task: task, node: node, epoch: .first, progress: 0.4321, speed: Estimate(mean: 1, standardError: 0, observations: 1),
            workLeftSeconds: Estimate(mean: 57, standardError: 0, observations: 1), exposedSeconds: Seconds(12), sinceCaptureSeconds: Seconds(12),
            costs: [], failureRate: rate,
            forecast: FinishForecast(
                expectedFinish: Timestamp(260), standardDeviationSeconds: Seconds(4), medianFinish: Timestamp(255), p90Finish: Timestamp(270),
                p99Finish: Timestamp(300), p10Finish: Timestamp(250), probabilityMet: Probability(0.75), expectedPenalty: Money(0.5, "EUR")),
            timeToDeadlineSeconds: Seconds(300), isObservedRunning: true)
        return Outlook(
            fleet: Fleet(name: Self.harm, nodes: [.init(id: node), .init(id: NodeID("b"))], store: .directory("/s"), imagesDirectory: "/i"),
            version: "1",
            startedAt: Timestamp(0), cycles: 7, knowledge: Knowledge().folding(records),
            findings: Findings(
                at: Timestamp(200),
                nodes: [NodeFinding(node: node, standing: .suspected, phi: 4, silentSeconds: Seconds(3), failureRate: rate)], tasks: [finding]),
            schedules: [:])
    }

    var decision: Decision {
        Decision(
            id: DecisionID("d000001"), at: Timestamp(150), kind: .schedule, task: task, node: node, mode: .audit, sla: Self.version,
            policy: Self.version, models: "1", inputs: [DecisionInput(name: "stopSeconds", value: 0.1)],
            alternatives: [
                Alternative(name: "every 20 s", timeCost: 1, violations: []),
                Alternative(name: "never", timeCost: 0.5, violations: ["lost work " + Self.harm]),
            ], chosen: 0, binding: Self.harm, rules: [Self.harm], sentence: "Because " + Self.harm, steps: [])
    }

    func events() -> [EventRecord] {
        let outlook = outlook
        return [
            EventRecord(sequence: 1, at: Timestamp(100), source: .manager, event: .taskSubmitted(outlook.knowledge.tasks[task]!.submission)),
            EventRecord(sequence: 2, at: Timestamp(101), source: .manager, event: .taskPlaced(task: task, epoch: .first, node: node)),
            EventRecord(sequence: 3, at: Timestamp(102), source: .manager, event: .taskStarted(task: task, epoch: .first, node: node)),
        ]
    }
}

private let everything = Visitor(name: Scene.harm, mayOperate: true, mayLogOut: true)
private let nothing = Visitor(name: "viewer", mayOperate: false, mayLogOut: true)

/// What a page is made of, if it is well-formed.
private final class PageReader: NSObject, XMLParserDelegate {
    private(set) var links: [String] = []
    private(set) var forms: [String] = []
    private(set) var styles = 0
    private(set) var values: [String: String] = [:]
    private(set) var scripts: [String] = []
    private(set) var handlers: [String] = []
    let isWellFormed: Bool
    private final class Collector: NSObject, XMLParserDelegate {
        var elements: [(String, [String: String])] = []
        func parser(_ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?, attributes: [String: String]) {
            elements.append((name, attributes))
        }
    }

    init(_ page: String) {
        let collector = Collector()
        let parser = XMLParser(data: Data(page.replacingOccurrences(of: "<!DOCTYPE html>\n", with: "").utf8))
        parser.delegate = collector
        isWellFormed = parser.parse()
        super.init()
        for (name, attributes) in collector.elements {
            if name == "a", let address = attributes["href"] { links.append(address) }
            if name == "form", let address = attributes["action"] { forms.append(address) }
            if name == "script" { scripts.append(attributes["src"] ?? "written into the page") }
            if name == "style" || attributes["style"] != nil { styles += 1 }
            if let key = attributes["data-key"], let value = attributes["data-value"] { values[key] = value }
            handlers += attributes.keys.filter { $0.hasPrefix("on") }
        }
    }
}

@Suite("Pages show what is known, and nothing that was written into a name does anything")
struct PageTests {
    private let scene = Scene()

    private func pages(_ visitor: Visitor) throws -> [(String, String)] {
        let excerpt = LedgerExcerpt(events: scene.events(), decisions: [scene.decision], outcomes: [])
        let report = Report.make(from: excerpt, generatedAt: Timestamp(200), task: scene.task)
        let explanation = Explanation.make(scene.decision, outcomes: [], context: DeclarationContext(scene.outlook, task: scene.task))
        let story = try #require(report.tasks.first)
        let overview = try #require(TaskOverview(scene.task, outlook: scene.outlook, report: story))
        return [
            ("fleet", FleetPage(fleet: FleetOverview(scene.outlook), decisions: [scene.decision], visitor: visitor).html(notice: Scene.harm)),
            ("task", TaskPage(task: overview, decisions: [explanation], visitor: visitor, mayAct: visitor.mayOperate).html(notice: nil)),
            ("decision", DecisionPage(explanation: explanation, visitor: visitor).html()),
            ("confirmation", Deed.mode(Scene.harm, .audit).confirmation(visitor).html()),
            ("login", LogInPage(next: Scene.harm, wasRefused: true).html()),
            ("error", ErrorPage(title: "No", messages: [Scene.harm], visitor: visitor).html()),
        ]
    }

    @Test("every page is well-formed, with no style or script written into it")
    func wellFormed() throws {
        for (name, page) in try pages(everything) {
            let read = PageReader(page)
            #expect(read.isWellFormed, "\(name)")
            #expect(read.scripts.allSatisfy { $0 == "/assets/dashboard.js" }, "\(name): \(read.scripts)")
            #expect(read.styles == 0 && read.handlers.isEmpty, "\(name)")
            #expect(read.links.allSatisfy { $0.hasPrefix("/") || $0.hasPrefix("#") }, "\(name): \(read.links)")
        }
    }

    @Test("numbers are on the pages as the overview has them")
    func values() throws {
        let pages = Dictionary(try pages(everything), uniquingKeysWith: { first, _ in first })
        let fleet = PageReader(pages["fleet"]!)
        #expect(fleet.values["tasks.primes-1.progress"] == "0.4321")
        #expect(fleet.values["tasks.primes-1.probabilityMet"] == "0.75")
        #expect(fleet.values["totals.tasksAtRisk"] == "1")
        #expect(fleet.values["nodes.a.phi"] == "4.0")
        let task = PageReader(pages["task"]!)
        #expect(task.values["progress"] == "0.4321" && task.values["moneyAtRisk"] == "0.5")
        #expect(pages["task"]!.contains("class=\"forecast\""))
    }

    @Test("what a visitor may not do is not offered")
    func offers() throws {
        let may = try pages(everything).prefix(3).flatMap { PageReader($0.1).links }
        #expect(may.contains("/tasks/primes-1/cancel") && may.contains("/nodes/a/undrain") && may.contains("/nodes/b/drain"))
        #expect(may.contains("/policies/default/mode/declared"))
        let mayNot = try pages(nothing).prefix(3).flatMap { PageReader($0.1).links }
        #expect(!mayNot.contains { $0.hasSuffix("/cancel") || $0.hasSuffix("/checkpoint") || $0.hasSuffix("drain") || $0.contains("/mode/") })
    }

    @Test("after logging in one goes to a place here, whatever the address asks for")
    func ownAddress() {
        #expect(Dashboard.ownAddress("/tasks/primes-1") == "/tasks/primes-1")
        for other in [nil, "", "https://elsewhere", "//elsewhere", "/\\elsewhere", "/a\r\nSet-Cookie: x=y", "javascript:alert(1)"] {
            #expect(Dashboard.ownAddress(other) == "/")
        }
    }

    @Test("names in addresses are encoded")
    func address() {
        #expect(Piece.address("policies", "a b/ü?\"", "mode") == "/policies/a%20b%2F%C3%BC%3F%22/mode")
        #expect(Piece.address("tasks", "primes-1") == "/tasks/primes-1")
    }

    @Test("a form's fields are read as browsers write them")
    func form() {
        #expect(Dashboard.form(Data("token=a%2Bb%3D&next=%2Ftasks%2Fx+y".utf8)) == ["token": "a+b=", "next": "/tasks/x y"])
        #expect(Dashboard.form(Data("token".utf8)).isEmpty)
    }
}
