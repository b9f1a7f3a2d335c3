import Simulation
import Testing
import Vocabulary

@Suite("Policies are tested in situations")
struct PolicyTrialTests {
    private func situation(mtbf: Seconds, since: Seconds? = nil) -> PolicyTest.Situation {
        PolicyTest.Situation(
            mtbfSeconds: mtbf, elapsedSeconds: .hours(2), progress: 0.2, sinceCheckpointSeconds: since,
            costs: PolicyTest.Costs(stopSeconds: Seconds(2), latencySeconds: Seconds(10), sentBytes: .mebibytes(100)))
    }

    private func judge(
        _ strategy: IntervalStrategy, mtbf: Seconds, since: Seconds? = nil, _ expected: PolicyTest.Expected
    ) throws -> PolicyTrial.Outcome {
        let test = PolicyTest(
            name: "t", policyFile: "p", taskFile: "t", situation: situation(mtbf: mtbf, since: since), expected: expected)
        let task = Trial.task(work: 36_000)
        return try #require(PolicyTrial.judge(test, Trial.policy(strategy), task.sla, version: task.version))
    }

    @Test("Young's interval comes from the stop that was seen and the MTBF that is given: √(2·2.5 s·10 h) = 424 s")
    func young() throws {
        // Interference is taken for a twentieth of the latency: half a second on top of the stop.
        let outcome = try judge(.young, mtbf: .hours(10), since: Seconds(60), .init(interval: .within(Seconds(400)...Seconds(450)), isNow: false))
        #expect(outcome.failures.isEmpty, "\(outcome.failures) \(String(describing: outcome.interval))")
    }

    @Test("what is overdue is taken now; what is not as expected is told")
    func overdue() throws {
        let outcome = try judge(
            .fixed(Seconds(600)), mtbf: .hours(10), since: Seconds(900),
            .init(interval: .never, codecs: [.none], isNow: false, replication: 5, mode: .audit, rules: ["r"]))
        #expect(outcome.isNow && outcome.interval == Seconds(600))
        #expect(outcome.failures.map { $0.prefix { $0 != ":" } } == ["interval", "codec", "now", "replication", "mode", "rules"])
    }

    @Test("never is never, and expecting it is kept")
    func never() throws {
        let outcome = try judge(.never, mtbf: .hours(1), .init(interval: .never, isNow: false, replication: 2, mode: .enforce, rules: []))
        #expect(outcome.failures.isEmpty, "\(outcome.failures)")
        #expect(!outcome.sentence.isEmpty)
    }
}
