import Testing
import Vocabulary

@testable import Planning

@Suite("Recorded decisions are made again")
struct ReplayTests {
    private let base = CheckpointPolicy(name: "default", currency: "EUR", preferences: Scene.prices, settings: .init(floorSeconds: Seconds(5)))

    /// A running task under a policy, on a node that fails every ten minutes or so.
    private func recorded(_ policy: CheckpointPolicy, labels: [String: String] = [:]) -> (sla: TaskSLA, decisions: [Decision]) {
        var scene = Scene(nodes: ["a", "b"], mtbf: Seconds(600))
        scene.happen(.policyLoaded(policy, version: DocumentVersion(name: "default", digest: "sha256:q")), at: 1)
        let waiting = scene.submit("w-1", work: 3_600, labels: labels)
        let task = scene.submit(
            work: 3_600, limits: Limits(lostWorkSeconds: Seconds(300)),
            deadline: Deadline(moment: .within(Seconds(7_200)), confidence: Probability(0.9)), labels: labels)
        scene.run(task, on: "a", for: 90, of: 3_600)
        let known = scene.knowledge
        return (known.tasks[task]?.sla ?? known.tasks[waiting]!.sla, scene.plan())
    }

    @Test("under the policy of then they are the same to the last bit")
    func exact() throws {
        var ruled = base
        ruled.rules = [
            CheckpointPolicy.Rule(name: "poor", when: .init(mtbfBelowSeconds: .hours(1)), set: .init(replication: 3)),
            CheckpointPolicy.Rule(name: "trial", when: .init(labels: ["stage": "trial"]), set: .init(ceilingSeconds: Seconds(40))),
            CheckpointPolicy.Rule(name: "large", when: .init(checkpointAboveBytes: ByteCount(1)), set: .init(codecs: [.gzip, .none])),
            CheckpointPolicy.Rule(name: "late", when: .init(probabilityMetBelow: Probability(0.01)), set: .init(keepLast: 1)),
        ]
        for policy in [base, ruled] {
            let (sla, decisions) = recorded(policy, labels: ["stage": "trial"])
            #expect(Set(decisions.map(\.kind)) == [.schedule, .checkpoint, .place])
            for decision in decisions where decision.task == TaskID("t-1") {
                let replay = try #require(Replay(decision, sla: sla, policy: policy))
                #expect(replay.isExactly(decision), "\(decision.kind)")
                #expect(replay.changes(from: decision).isEmpty)
                #expect(replay.atRecordedPrices == decision.alternatives[try #require(decision.chosen)])
            }
            let place = try #require(decisions.first { $0.kind == .place })
            let asked = Replay(place, sla: sla, policy: policy)
            #expect(asked?.node == place.node)
        }
        #expect(recorded(ruled, labels: ["stage": "trial"]).decisions.contains { $0.rules == ["poor", "trial", "large"] })
    }

    @Test("another policy's choice is told, with what it would have cost at the prices of then")
    func another() throws {
        let (sla, decisions) = recorded(base)
        let schedule = try #require(decisions.first { $0.kind == .schedule })
        var other = base
        other.settings.strategy = .fixed(Seconds(200))
        other.settings.replication = 3
        let replay = try #require(Replay(schedule, sla: sla, policy: other))
        #expect(!replay.isExactly(schedule))
        #expect(replay.changes(from: schedule) == ["every 200 s", "3 copies"])
        let chosen = schedule.alternatives[try #require(schedule.chosen)]
        // What was chosen was the least.
        #expect(try #require(replay.atRecordedPrices).totalCost > chosen.totalCost)
        // Twice as dear a network, the same choice: at the prices of then it costs what it cost.
        let checkpoint = try #require(decisions.first { $0.kind == .checkpoint })
        var later = base
        later.settings.strategy = .fixed(Seconds(250))
        #expect(try #require(Replay(checkpoint, sla: sla, policy: later)).changes(from: checkpoint).contains("no checkpoint yet"))
        var watched = base
        watched.settings.mode = .audit
        #expect(try #require(Replay(schedule, sla: sla, policy: watched)).changes(from: schedule) == ["only watched"])
    }

    @Test("what would be kept of checkpoints is counted by their ages")
    func prune() throws {
        let (sla, decisions) = recorded(base)
        var decision = try #require(decisions.first { $0.kind == .schedule })
        decision.kind = .prune
        decision.alternatives = []
        decision.chosen = nil
        decision.binding = nil
        decision.situation?.checkpointAges = [500, 400, 300, 200, 100].map { Seconds($0) }
        let ids = (3...5).map { CheckpointID(epoch: .first, number: $0) }
        decision.steps = [.prune(task: TaskID("t-1"), node: NodeID("a"), epoch: .first, keep: ids)]
        #expect(Replay(decision, sla: sla, policy: base)?.isExactly(decision) == true)
        var young = base
        young.settings.keepForSeconds = Seconds(450)
        #expect(Replay(decision, sla: sla, policy: young)?.changes(from: decision) == ["the newest 4 kept and not 3"])
    }

    @Test("a decision without its situation is not made again")
    func without() throws {
        let (sla, decisions) = recorded(base)
        var decision = try #require(decisions.first)
        decision.situation = nil
        #expect(Replay(decision, sla: sla, policy: base) == nil)
    }
}
