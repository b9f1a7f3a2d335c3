import PlanningModel
import Testing
import Vocabulary

@testable import Simulation

@Suite("A policy's ceiling staggers what is due at once")
struct UploadCeilingTests {
    /// Eight equal tasks that begin together, one on each node, none of which fails, checkpointed every ten minutes.
    private func log(ceiling: ByteCount?, limit: Double? = nil) -> [Happening] {
        var scenario = Scenario(
            fleet: Trial.fleet(8, capacity: 1),
            tasks: (0..<8).map { _ in Trial.task(work: 3_000, limits: Limits(lostWorkSeconds: limit.map { Seconds($0) })) },
            failures: .law(.fixed, mtbfSeconds: 1e9, repair: .fixed, downSeconds: 1), costs: GuestCosts().even, horizon: .hours(10), seed: 3)
        scenario.moments.leastSeconds = 300
        var candidacy = Trial.policy(.fixed(Seconds(600)))
        candidacy.policy.settings.replication = 1
        candidacy.policy.networkBytesPerSecond = ceiling
        return Simulation(scenario).recording(0, candidacy).log
    }

    private func captures(_ log: [Happening]) -> [Double] {
        log.compactMap { if case .captured = $0.kind { $0.at } else { nil } }
    }

    @Test("without one they begin in the same second, with one each when those before it are through")
    func staggered() throws {
        let together = captures(log(ceiling: nil))
        #expect(together.prefix(8).allSatisfy { $0 - together[0] < 1 })
        // About 100 MiB each, of 10 MiB a second: ten seconds apart.
        let apart = captures(log(ceiling: .mebibytes(10)))
        #expect(apart.count == together.count)
        for (earlier, later) in zip(apart.prefix(8), apart.prefix(8).dropFirst()) { #expect(later - earlier > 5, "\(apart.prefix(8))") }
        // And none waits longer than it must.
        #expect(apart[7] - apart[0] < 150)
    }

    @Test("what may be lost is kept: some begin ahead of their time")
    func limits() throws {
        // Eight of some ten seconds each are not through within the 40 s between the interval and the limit.
        let limit = 640.0
        let found = log(ceiling: .mebibytes(10), limit: limit)
        var captured: [TaskID: Double] = [:]
        var saved: [TaskID: Double] = [:]
        var early = 0
        var commits = 0
        for entry in found {
            switch entry.kind {
            case .running(let task, _, _, _): saved[task] = entry.at
            case .captured(let task, _):
                captured[task] = entry.at
                if entry.at - (saved[task] ?? 0) < 599 { early += 1 }
            case .committed(let task, _):
                commits += 1
                // Until it was durable, a failure would have gone back to the capture before it.
                #expect(entry.at - (saved[task] ?? 0) <= limit + 1, "\(task) at \(entry.at)")
                saved[task] = captured[task]
            default: break
            }
        }
        #expect(early > 0 && commits >= 24)
    }

    @Test("a run with a ceiling repeats to the last bit")
    func repeats() { #expect(log(ceiling: .mebibytes(10), limit: 640) == log(ceiling: .mebibytes(10), limit: 640)) }
}
