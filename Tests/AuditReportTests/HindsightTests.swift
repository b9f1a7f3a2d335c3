import Foundation
import Ports
import Testing
import Vocabulary

@testable import AuditReport

@Suite("How decisions turned out, and what a period holds")
struct HindsightTests {
    func verdicts(_ report: Report) -> [String: Hindsight.Verdict] {
        Dictionary(
            uniqueKeysWithValues: (report.decisions + report.tasks.flatMap(\.decisions)).compactMap { made in
                made.hindsight.map { (made.decision.rawValue, $0.verdict) }
            })
    }

    @Test("a decision is judged by what came while it was in force")
    func scene() {
        let report = Scene.whole.report()
        // d7's checkpoint was under way when node-a was lost; d6's is the one that the task went on from; sums-1 met no failure.
        #expect(
            verdicts(report) == [
                "d000001": .well, "d000002": .well, "d000003": .well, "d000004": .untested, "d000005": .untested, "d000006": .well,
                "d000007": .badly, "d000008": .well, "d000009": .well, "d000010": .untested, "d000012": .untested,
            ])
        let total = report.totals.hindsights.first { $0.kind == .checkpoint }
        #expect(total == .init(kind: .checkpoint, well: 1, badly: 1, untested: 3, open: 0))
    }

    @Test("a failure that loses more than is allowed, or comes where none was expected, makes a schedule a bad one")
    func schedules() {
        var scene = Scene()
        scene.open()
        let limits = Limits(lostWorkSeconds: Seconds(25))
        scene.add(
            0, .taskSubmitted(scene.submission(scene.primes, scene.sla("primes", preference: "finish-sooner", deadline: nil, limits: limits), at: 0)))
        scene.add(0, .taskStarted(task: scene.primes, epoch: .first, node: scene.a))
        func schedule(_ number: Int, _ seconds: Double, every interval: Double?) -> Decision {
            scene.decision(
                number, seconds, .schedule, task: scene.primes, node: scene.a, sentence: "So.",
                alternatives: [scene.alternative(interval, .zstd, time: 1, network: 1, expected: 1, mebibytes: 1, met: 1)], chosen: 0)
        }
        scene.decisions = [schedule(1, 1, every: 20)]
        #expect(verdicts(scene.report(at: 10)) == ["d000001": .open])
        scene.add(40, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(5)))
        #expect(verdicts(scene.report(at: 50)) == ["d000001": .badly])
        // Nothing is said of what was not acted on.
        scene.decisions[0].mode = .audit
        #expect(verdicts(scene.report(at: 50)).isEmpty)
        var never = scene
        never.events[never.events.count - 1].at = Scene.at(20)
        never.decisions = [schedule(1, 1, every: nil)]
        #expect(verdicts(never.report(at: 50)) == ["d000001": .badly])
        never.decisions = [schedule(1, 1, every: 20)]
        #expect(verdicts(never.report(at: 50)) == ["d000001": .well])
    }

    @Test("a node that is heard of again in the same life was declared lost too soon")
    func node() {
        var scene = Scene.whole
        let capabilities = HypervisorCapabilities(uri: "", driver: "QEMU", version: "7", acceleration: .emulation, captureWays: [.liveSnapshot])
        scene.add(148, .nodeJoined(node: scene.a, incarnation: Incarnation("i-new"), hypervisor: capabilities))
        #expect(verdicts(scene.report())["d000008"] == .well)
        scene.events[scene.events.count - 1].event = .nodeJoined(node: scene.a, incarnation: Incarnation("i-a"), hypervisor: capabilities)
        #expect(verdicts(scene.report())["d000008"] == .badly)
    }

    @Test("what a task cost is what was sent, kept and waited for, at the prices in force")
    func money() throws {
        let cost = try #require(Scene.whole.report().tasks.first).cost
        // 141 s at 3.6 EUR an hour; 3 checkpoints of 11 MiB in 2 copies and 24 MiB fetched, at 0.001 EUR a GiB.
        #expect(cost.currency == "EUR")
        #expect(abs((cost.timeCost ?? 0) - 141 * 3.6 / 3_600) < 1e-9)
        #expect(abs((cost.networkCost ?? 0) - 90.0 / 1_024 * 0.001) < 1e-9)
        // Kept from 22.4, 42.1 and 98 s until the report at 150 s: 127.6 + 107.9 + 52 s of 22 MiB.
        #expect(abs(cost.storedGiBHours - 287.5 / 3_600 * 22 / 1_024) < 1e-9)
        #expect(cost.penaltyOwed == 0.25)
        let totals = Scene.whole.report().totals
        #expect(totals.money.map(\.penaltyOwed) == [0.25])
        #expect(totals.tasks == 2 && totals.kept == 1 && totals.broken == 1)
    }

    @Test("a period holds what came in it, and its end is where time stands")
    func period() throws {
        func report(_ since: Double?, _ until: Double?) -> Report {
            Scene.whole.report(period: ReportPeriod(since: since.map { Moment(Scene.at($0)) }, until: until.map { Moment(Scene.at($0)) }))
        }
        let before = report(nil, 60)
        #expect(before.tasks.map(\.state) == ["running", "running"])
        #expect(before.tasks[0].checkpoints.count == 3 && before.tasks[0].failures.isEmpty)
        #expect(before.tasks.allSatisfy { $0.verdict == .notObserved })
        let after = report(65, nil)
        #expect(after.tasks[0].checkpoints.map(\.checkpoint.rawValue) == ["e000002-c000001"])
        #expect(after.tasks[0].cost.committedCheckpoints == 1)
        #expect(after.tasks[0].cost.runningSeconds == Seconds(70.6))
        #expect(after.decisions.map(\.decision.rawValue) == ["d000008"])
        // The failure was at 61 s: outside, though its task is broken as it is in the whole.
        #expect(after.tasks[0].failures.isEmpty && after.tasks[0].verdict == .broken)
        #expect(after.from.map { $0.time >= Scene.at(65) } == true)
        // sums-1 had ended.
        #expect(report(130, nil).tasks.map(\.task.rawValue) == ["primes-1"])
        let parts = [report(nil, 65), report(65, nil)].map(\.totals)
        let whole = Scene.whole.report().totals
        #expect(parts.map(\.committedCheckpoints).reduce(0, +) == whole.committedCheckpoints)
        #expect(parts.map(\.sentBytes).reduce(.zero, +) == whole.sentBytes)
        #expect(abs(parts.map(\.storedGiBHours).reduce(0, +) - whole.storedGiBHours) < 1e-12)
        #expect(parts.flatMap(\.money).map(\.penaltyOwed).reduce(0, +) == 0.25)
    }
}
