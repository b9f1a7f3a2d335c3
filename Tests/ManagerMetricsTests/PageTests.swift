import Foundation
import Knowledge
import Ports
import SQLiteLedger
import Simulator
import Testing
import Vocabulary

@testable import ManagerMetrics

@Suite("The page of metrics")
struct PageTests {
    func finding(_ task: TaskID, node: NodeID) -> TaskFinding {
        let rate = RateEstimate(perSecond: 0.01, standardError: 0, lowPerSecond: 0, highPerSecond: 1, failures: 1, exposureSeconds: Seconds(100))
        return TaskFinding(
            task: task, node: node, epoch: .first, progress: 0.5, speed: Estimate(mean: 1, standardError: 0, observations: 9),
            workLeftSeconds: Estimate(mean: 40, standardError: 0, observations: 9), exposedSeconds: Seconds(10), sinceCaptureSeconds: Seconds(10),
            costs: [], failureRate: rate,
            forecast: FinishForecast(
                expectedFinish: Timestamp(90), standardDeviationSeconds: Seconds(1), medianFinish: Timestamp(88), p90Finish: Timestamp(95),
                p99Finish: Timestamp(99), probabilityMet: Probability(0.97)), timeToDeadlineSeconds: Seconds(60), isObservedRunning: true)
    }

    func outlook(_ scene: Scene) -> Outlook {
        let rate = RateEstimate(perSecond: 0.01, standardError: 0, lowPerSecond: 0, highPerSecond: 1, failures: 1, exposureSeconds: Seconds(100))
        let live = scene.knowledge.liveTasks
        let findings = Findings(
            at: Timestamp(40),
            nodes: [NodeFinding(node: scene.a, standing: .suspected, phi: .infinity, silentSeconds: Seconds(4), failureRate: rate)],
            tasks: live.map { finding($0.id, node: scene.a) })
        let basis = Schedule.Basis(
            mode: .enforce, sla: DocumentVersion(name: "s", digest: ""), policy: DocumentVersion(name: "p", digest: ""), rules: [], binding: nil)
        let schedules = live.map { task in
            let order = CheckpointOrder(codec: .zstd, replication: 1)
            let plan = StandingPlan(task: task.id, epoch: .first, intervalSeconds: Seconds(12), order: order)
            return (
                task.id,
                Schedule(decision: DecisionID("d1"), decidedAt: Timestamp(6), node: scene.a, standing: plan, predicted: nil, basis: basis)
            )
        }
        return Outlook(
            fleet: Fleet(
                name: "f", nodes: [Fleet.Node(id: scene.a, capacity: 4), Fleet.Node(id: scene.b)], store: .directory("/s"), imagesDirectory: "/i"),
            version: "1", startedAt: Timestamp(0), cycles: 3, knowledge: scene.knowledge, findings: findings,
            schedules: Dictionary(schedules, uniquingKeysWith: { first, _ in first }))
    }

    func page(_ scene: Scene) -> Exposition {
        var page = Exposition()
        page.add(outlook(scene))
        return page
    }

    @Test("a task that lives has its gauges")
    func task() {
        var scene = Scene()
        let task = scene.submit("chain-1")
        scene.start(task, 5, on: scene.a)
        scene.checkpoint(task, 20, 1, on: scene.a)
        let page = page(scene)
        let labels = ["chain-1", "default"]
        #expect(page.value(.taskInfo, labels + ["a", "running"]) == 1)
        #expect(page.value(.tasks, ["default", "running"]) == 1)
        #expect(page.value(.tasks, ["default", "resuming"]) == 0)
        #expect(page.value(.taskProgress, labels) == 0.5)
        #expect(page.value(.probabilityMet, labels) == 0.97)
        #expect(page.value(.wantedProbability, labels) == 0.9)
        #expect(page.value(.deadlineDistance, labels) == 60)
        #expect(page.value(.forecastFinish, labels + ["90"]) == 95)
        #expect(page.value(.exposureSeconds, labels) == 10)
        // 36 EUR an hour is one cent a second.
        #expect(page.value(.exposureMoney, labels + ["EUR"]).map { abs($0 - 0.1) < 1e-12 } == true)
        #expect(page.value(.exposureLimit, labels) == 20)
        #expect(page.value(.interval, labels) == 12)
        #expect(page.value(.newestCheckpoint, labels) == 20)
        #expect(page.value(.stalled, labels) == 0)
    }

    @Test("a task that has ended has no series")
    func ended() {
        var scene = Scene()
        let task = scene.submit("chain-1")
        scene.start(task, 5, on: scene.a)
        #expect(page(scene).text.contains("chain-1"))
        scene.finish(task, 30, on: scene.a)
        #expect(!page(scene).text.contains("chain-1"))
        #expect(page(scene).value(.tasks, ["default", "running"]) == 0)
    }

    @Test("nodes: standing, suspicion, room")
    func nodes() {
        let page = page(Scene())
        #expect(page.value(.nodeStanding, ["a", "suspected"]) == 1)
        #expect(page.value(.nodeStanding, ["a", "trusted"]) == 0)
        #expect(page.value(.nodePhi, ["a"]) == 1_000)
        #expect(page.value(.nodeCapacity, ["a"]) == 4)
        #expect(page.value(.nodeInfo, ["a", "default", "QEMU", "kvm"]) == 1)
        // Nothing was found of it yet: what is known counts.
        #expect(page.value(.nodeStanding, ["b", "trusted"]) == 1)
        #expect(page.value(.nodePhi, ["b"]) == nil)
    }

    struct Source: OutlookSource {
        var value: Outlook?
        func outlook() async -> Outlook? { value }
    }

    @Test("all of it together, from a ledger; a manager that starts again counts the same")
    func whole() async throws {
        var scene = Scene()
        let task = scene.submit("chain-1")
        scene.start(task, 5, on: scene.a)
        scene.checkpoint(task, 20, 1, on: scene.a)
        scene.happen(21, .storeHealthChanged(StoreHealth(reachable: true, detail: "", liveHosts: 3, freeBytes: ByteCount(1_000))))
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("cairn-metrics-\(UUID().uuidString).db").path
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file + suffix) } }
        let ledger = try SQLiteLedger.open(path: file)
        _ = try await ledger.append(scene.events)
        try await ledger.record(decisions(1...1_500))

        func text() async throws -> (String, LedgerTally) {
            let tally = LedgerTally(ledger: ledger)
            tally.saw(try await ledger.events(after: 0, limit: .max))
            return (try await page(tally, scene).text(), tally)
        }
        let (first, tally) = try await text()
        #expect(first.contains("cairn_decisions_total{kind=\"schedule\",mode=\"enforce\"} 1000\n"))
        #expect(first.contains("cairn_decisions_total{kind=\"schedule\",mode=\"audit\"} 500\n"))
        #expect(first.contains("cairn_decisions_total{kind=\"declare-lost\",mode=\"enforce\"} 0\n"))
        #expect(first.contains("cairn_store_live_hosts 3\n"))
        #expect(first.contains("cairn_ledger_size_bytes 4096\n"))
        #expect(first.contains("cairn_manager_cycle_seconds_bucket{le=\"+Inf\"} 1\n"))
        // One that was recorded late, with a number among those that are there.
        try await ledger.record(decisions(1_502...1_502))
        #expect(try await page(tally, scene).text().contains("cairn_decisions_total{kind=\"schedule\",mode=\"enforce\"} 1001\n"))
        try await ledger.record(decisions(1_501...1_501))
        let second = try await page(tally, scene).text()
        #expect(second.contains("cairn_decisions_total{kind=\"schedule\",mode=\"enforce\"} 1002\n"))
        #expect(try await text().0 == second)
        // No series twice.
        let series = second.split(separator: "\n").map { $0.hasPrefix("#") ? $0 : $0[..<($0.lastIndex(of: " ") ?? $0.endIndex)] }
        #expect(Set(series).count == series.count)
    }

    private func page(_ tally: LedgerTally, _ scene: Scene) -> MetricsPage {
        let known = scene.knowledge
        return MetricsPage(
            tally: tally, source: Source(value: outlook(scene)),
            health: {
                ManagerHealth(version: "1", startedAt: Timestamp(0), cycles: 1, lastCycleAt: Timestamp(40), store: known.store, liveTasks: 1)
            },
            cycles: {
                var turns = Histogram(bounds: [0.1, 1])
                turns.observe(0.2)
                return turns
            }, ledgerBytes: { ByteCount(4_096) })
    }

    /// Every third one in Audit mode.
    private func decisions(_ numbers: ClosedRange<Int>) -> [Decision] {
        numbers.map { number in
            Decision(
                id: DecisionID("d\(number)"), at: Timestamp(1), kind: .schedule, task: nil, node: nil, mode: number % 3 == 0 ? .audit : .enforce,
                sla: nil, policy: nil, models: "1", inputs: [], alternatives: [], chosen: nil, binding: nil, rules: [], sentence: "s", steps: [])
        }
    }
}
