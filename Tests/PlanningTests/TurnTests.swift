import Knowledge
import Planning
import Testing
import Vocabulary

@Suite("Below a ceiling of the network, checkpoints take their turns")
struct TurnTests {
    /// Tasks on one node, each running for 60 s under a fixed interval of 50 s; with a first checkpoint of 30 MiB each in two copies, so that costs are known.
    private func scene(_ names: [String], ceiling: ByteCount?, limit: Seconds? = nil, since: Double = 60) -> Scene {
        var scene = Scene(nodes: ["a"], mtbf: .hours(10), settings: .init(strategy: .fixed(Seconds(50)), floorSeconds: Seconds(5)))
        scene.policy.networkBytesPerSecond = ceiling
        scene.happen(.policyLoaded(scene.policy, version: DocumentVersion(name: "default", digest: "sha256:q")), at: 1)
        for name in names {
            let preference = name.hasPrefix("dear") ? "finish-sooner" : "balanced"
            let task = scene.submit(name, work: 3_600, preference: .named(preference), limits: Limits(lostWorkSeconds: limit))
            scene.run(task, on: "a", for: since, of: 3_600)
            // Three long ago, one when this life began.
            for number in 1...4 {
                let captured = number < 4 ? 1_000 - 5_000 : 1_000 - since
                let record = Scene.checkpoint(task, number: number, at: captured + 2, progress: 0)
                scene.happen(
                    .checkpointCaptured(task: task, epoch: .first, checkpoint: record.id, stopSeconds: Seconds(0.1), progress: 0), at: captured)
                scene.happen(.checkpointCommitted(record), at: captured + 2)
            }
        }
        return scene
    }

    private func checkpoints(_ decisions: [Decision]) -> [Decision] { decisions.filter { $0.kind == .checkpoint } }

    @Test("without one, all that are due begin at once")
    func unbounded() {
        var scene = scene(["t-1", "t-2", "t-3"], ceiling: nil)
        #expect(checkpoints(scene.plan()).count == 3)
    }

    @Test("the dearest task goes first, the next when the first is through")
    func oneAfterTheOther() throws {
        // What was sent two minutes ago is through. Some 60 MiB each now.
        var scene = scene(["t-1", "dear-1", "t-2"], ceiling: .mebibytes(16))
        scene.now = scene.now + Seconds(60)
        scene.heard[NodeID("a")] = scene.now
        let first = checkpoints(scene.plan())
        #expect(first.map(\.task) == [TaskID("dear-1")])
        let dearest = try #require(first.first)
        #expect(dearest.inputs.contains { $0.name == "waitingUploads" && $0.value == 3 })
        scene.happen(
            .checkpointOrdered(
                task: TaskID("dear-1"), epoch: .first, node: NodeID("a"), order: OrderID("checkpoint-\(dearest.id)"),
                CheckpointOrder(codec: .zstd, replication: 2), decision: dearest.id))
        // Its 60 MiB take almost 4 s at 16 MiB/s.
        var begun: [(Double, TaskID)] = []
        for second in 1...12 {
            scene.now = scene.now + Seconds(1)
            scene.heard[NodeID("a")] = scene.now
            for decision in checkpoints(scene.plan()) {
                let task = try #require(decision.task)
                begun.append((Double(second), task))
                scene.happen(
                    .checkpointOrdered(
                        task: task, epoch: .first, node: NodeID("a"), order: OrderID("checkpoint-\(decision.id)"),
                        CheckpointOrder(codec: .zstd, replication: 2), decision: decision.id))
            }
        }
        #expect(Set(begun.map(\.1)) == [TaskID("t-1"), TaskID("t-2")])
        #expect(begun[0].0 >= 2 && begun[1].0 - begun[0].0 >= 2, "\(begun)")
    }

    @Test("what was sent counts, also when it has been pruned since")
    func pruned() {
        // 120 MiB a minute ago take four minutes at 512 KiB/s.
        var scene = scene(["t-1", "t-2"], ceiling: ByteCount(512 << 10))
        #expect(checkpoints(scene.plan()).isEmpty)
        for name in ["t-1", "t-2"] {
            scene.happen(.checkpointsPruned(task: TaskID(name), checkpoints: (1...4).map { CheckpointID(epoch: .first, number: $0) }))
        }
        #expect(checkpoints(scene.plan()).isEmpty)
    }

    @Test("with a limit on lost work, some begin ahead of their time, and say so")
    func ahead() throws {
        // An interval of 50 s, and 55 s may be lost: eight of 60 MiB at 16 MiB/s take half a minute.
        let names = (1...8).map { "t-\($0)" }
        var scene = scene(names, ceiling: .mebibytes(16), limit: Seconds(55), since: 30)
        // What was sent half a minute ago, 240 MiB, is through.
        var early: [Decision] = []
        for _ in 0..<20 where early.isEmpty {
            scene.now = scene.now + Seconds(1)
            scene.heard[NodeID("a")] = scene.now
            early = checkpoints(scene.plan())
        }
        let decision = try #require(early.first)
        #expect(scene.now < Timestamp(1_019))
        #expect(decision.inputs.contains { $0.name == "aheadSeconds" && $0.value > 0 })
        #expect(decision.sentence.contains("ahead of its time"))
    }

    @Test("what is only watched takes no turn")
    func audit() {
        var scene = scene(["t-1", "t-2", "t-3"], ceiling: .mebibytes(1))
        scene.policy.settings.mode = .audit
        scene.happen(.policyLoaded(scene.policy, version: DocumentVersion(name: "default", digest: "sha256:r")), at: 2)
        #expect(checkpoints(scene.plan()).count == 3)
    }
}
