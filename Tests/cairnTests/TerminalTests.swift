import Foundation
import Knowledge
import Testing
import Vocabulary

@testable import cairn

@Suite("What is shown on a terminal")
struct TerminalTests {
    // MARK: Progress

    @Test("progress tells the share, the rate and the time left")
    func progress() {
        let half = ProgressLine.text("reading", done: 50 * 1_048_576, total: 100 * 1_048_576, unit: .bytes, elapsed: 5)
        #expect(half == "reading: ██████████░░░░░░░░░░ 50 %, 50.0 MiB of 100.0 MiB, 10.0 MiB/s, 5 s left")
        #expect(ProgressLine.text("measuring", done: 3, total: 3, unit: .pieces("rounds"), elapsed: 6).hasSuffix("100 %, 3 of 3 rounds, 0.5/s"))
        #expect(ProgressLine.text("reading", done: 2_147_483_648, total: 0, unit: .bytes, elapsed: 2) == "reading: 2.00 GiB, 1.00 GiB/s")
        #expect(ProgressLine.text("reading", done: 0, total: 10, unit: .pieces("parts"), elapsed: 0).hasSuffix("0 of 10 parts, 0.0/s"))
    }

    @Test(arguments: [(0.0, "0 s"), (59.2, "1 min 00 s"), (65, "1 min 05 s"), (7_800, "2 h 10 min")])
    func durations(seconds: Double, text: String) { #expect(ProgressLine.duration(seconds) == text) }

    @Test("NO_COLOR and a dumb terminal mean no styles")
    func styles() {
        #expect(Terminal.mayStyle(["TERM": "xterm"]))
        #expect(Terminal.mayStyle(["NO_COLOR": ""]))
        #expect(!Terminal.mayStyle(["NO_COLOR": "1", "TERM": "xterm"]))
        #expect(!Terminal.mayStyle(["TERM": "dumb"]))
    }

    // MARK: Top

    private func screen() -> TopScreen {
        func task(_ name: String, within: Double) -> Event {
            let spec = TaskSpec(
                image: "demo", memoryBytes: .mebibytes(128), virtualCPUs: 1, deltaBytes: .mebibytes(64), run: "work", workSeconds: Seconds(100))
            let sla = TaskSLA(
                name: name, task: spec, progress: .cpuTime, deadline: Deadline(moment: .within(Seconds(within)), confidence: Probability(0.95)))
            return .taskSubmitted(
                TaskSubmission(
                    task: TaskID(name + "-1"), sla: sla, version: DocumentVersion(name: name, digest: "digest"), submittedAt: Timestamp(1_000)))
        }
        let can = HypervisorCapabilities(uri: "qemu:///embed", driver: "QEMU", version: "7.2", acceleration: .kvm, captureWays: [])
        let events: [Event] = [
            .nodeJoined(node: NodeID("a"), incarnation: Incarnation("x"), hypervisor: can),
            .nodeJoined(node: NodeID("b"), incarnation: Incarnation("y"), hypervisor: can),
            task("later", within: 5_000), task("sooner", within: 600),
            .taskPlaced(task: TaskID("sooner-1"), epoch: .first, node: NodeID("a")),
            .taskStarted(task: TaskID("sooner-1"), epoch: .first, node: NodeID("a")),
            .nodeSuspected(node: NodeID("b"), phi: 4, silentSeconds: Seconds(3)),
            .storeHealthChanged(StoreHealth(reachable: false, detail: "it is away")),
        ]
        let records = events.enumerated().map { EventRecord(sequence: Int64($0 + 1), at: Timestamp(1_000), source: .manager, event: $1) }
        return TopScreen(
            knowledge: Knowledge().folding(records), news: ["first", "second", "third"], manager: "manager running", now: Timestamp(1_060))
    }

    @Test("nodes, tasks by urgency, and what happened last")
    func everything() throws {
        let lines = screen().lines(width: nil, height: nil)
        let texts = lines.map(\.text)
        #expect(texts[1] == "2 live tasks, 0 finished, 0 otherwise ended")
        #expect(lines[2] == TopScreen.Line(text: "store: NOT there (it is away)", style: .urgent))
        let suspected = try #require(lines.first { $0.text.hasPrefix("b ") })
        #expect(suspected.text.contains("suspected") && suspected.style == .urgent)
        let sooner = try #require(texts.firstIndex { $0.hasPrefix("sooner-1") })
        let later = try #require(texts.firstIndex { $0.hasPrefix("later-1") })
        #expect(sooner < later)
        #expect(texts[sooner].contains("in 9m 0s") && texts[sooner].contains("running") && texts[later].contains("in 1h 22m"))
        #expect(texts.suffix(3) == ["first", "second", "third"])
    }

    @Test("it fits into any window, and says when it does not show all", arguments: 1...40)
    func sizes(height: Int) {
        for width in [1, 20, 80, 200] {
            let lines = screen().lines(width: width, height: height)
            #expect(lines.count <= height)
            #expect(lines.allSatisfy { $0.text.count <= width })
        }
        let all = screen().lines(width: nil, height: nil).count
        let shown = screen().lines(width: nil, height: height)
        if height >= 2, height < all - 4 { #expect(shown.last?.text.hasPrefix("…") == true) }
    }

    @Test(arguments: [(0.0, "0s"), (61, "1m 1s"), (3_700, "1h 1m"), (90_000, "1d 1h")])
    func lengths(seconds: Double, text: String) { #expect(TopScreen.length(Seconds(seconds)) == text) }

    @Test("readiness and life are told to whoever asks for it, in one datagram each")
    func supervisor() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "n-\(UUID().uuidString.prefix(8))").path
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer {
            close(descriptor)
            unlink(path)
        }
        var place = sockaddr_un()
        place.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &place.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        #expect(bound == 0)
        let supervisor = ServiceSupervisor(environment: ["NOTIFY_SOCKET": path])
        supervisor.tellReady("listening")
        supervisor.tellAlive()
        func heard() -> String {
            var buffer = [UInt8](repeating: 0, count: 256)
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }
        #expect(heard() == "READY=1\nSTATUS=listening")
        #expect(heard() == "WATCHDOG=1")
        // Nobody there, and no such socket: nothing happens.
        ServiceSupervisor(environment: [:]).tellAlive()
        ServiceSupervisor(environment: ["NOTIFY_SOCKET": "/nowhere/at/all"]).tellAlive()
    }
}
