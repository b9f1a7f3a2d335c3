import Autonomics
import Foundation
import Planning
import Ports
import SQLiteLedger
import Simulator
import Testing
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Recorded history is replayed", .timeLimit(.minutes(2)))
struct ReplayTests {
    @Test("every decision in a ledger's file that a policy had a say in comes out again to the last bit")
    func exact() async throws {
        let path = NSTemporaryDirectory() + "cairn-ledger-\(UUID().uuidString).db"
        defer { for end in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + end) { unlink(path + end) } }
        let ledger = try SQLiteLedger.open(path: path)
        let world = try await World(settings: .init(floorSeconds: Seconds(5), keepLast: 2), mtbf: Seconds(200), ledger: ledger)
        try await world.startAll()
        let deadline = Deadline(moment: .within(Seconds(400)), confidence: Probability(0.9))
        let first = try await world.submit("t", work: 150, node: "a", limits: Limits(lostWorkSeconds: Seconds(30)), deadline: deadline)
        let second = try await world.submit("u", work: 120, node: "b")
        try await world.pass(70)
        world.powerOff("a")
        #expect(
            try await world.wait(600) {
                let ended = (try await world.finished(first), try await world.finished(second))
                return ended.0 != nil && ended.1 != nil
            })
        try ledger.close()

        // From the file, as a command reads it.
        let recorded = try SQLiteLedger.openReadOnly(path: path)
        let decisions = try await recorded.decisions(DecisionQuery(limit: .max))
        var slas: [TaskID: TaskSLA] = [:]
        var policies: [DocumentVersion: CheckpointPolicy] = [:]
        for record in try await recorded.events(after: 0, limit: .max) {
            switch record.event {
            case .taskSubmitted(let submission): slas[submission.task] = submission.sla
            case .policyLoaded(let policy, let version): policies[version] = policy
            default: break
            }
        }
        var replayed: [Decision.Kind: Int] = [:]
        var changed = 0
        for decision in decisions where ![.declareLost, .giveUp, .merge, .rebuild].contains(decision.kind) {
            let sla = try #require(decision.task.flatMap { slas[$0] })
            let policy = try #require(decision.policy.flatMap { policies[$0] })
            let replay = try #require(Replay(decision, sla: sla, policy: policy), "\(decision.id) \(decision.kind)")
            #expect(replay.isExactly(decision), "\(decision.id) \(decision.kind)")
            replayed[decision.kind, default: 0] += 1
            var other = policy
            other.settings.strategy = .fixed(Seconds(7))
            if let changes = Replay(decision, sla: sla, policy: other)?.changes(from: decision), !changes.isEmpty { changed += 1 }
        }
        #expect(Set(replayed.keys) == [.place, .schedule, .checkpoint, .resume, .prune], "\(replayed)")
        #expect(changed > 0)
        try recorded.close()
    }
}
