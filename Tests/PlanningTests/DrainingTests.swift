import Knowledge
import Planning
import Testing
import Vocabulary

@Suite("A node that is drained gives its tasks away, and gets none")
struct DrainingTests {
    private func scene(_ nodes: [String] = ["a", "b"]) -> (Scene, TaskID) {
        var scene = Scene(nodes: nodes, settings: .init(strategy: .never))
        let task = scene.submit(work: 10_000)
        scene.run(task, on: "a", for: 60, of: 10_000)
        scene.happen(.nodeDrainAsked(node: NodeID("a"), by: "ada"), at: 990)
        return (scene, task)
    }

    @Test("first a checkpoint that is newer than the drain, then the guest ends; neither is decided twice")
    func order() throws {
        var (scene, task) = scene()
        // An older one does not do: work since then would be lost.
        scene.happen(.checkpointCommitted(Scene.checkpoint(task, number: 1, at: 980, progress: 0.004)), at: 981)
        let first = try #require(scene.plan().first { $0.kind == .checkpoint })
        #expect(first.sentence.contains("drained, as ada asked"))
        guard case .checkpoint(task, NodeID("a"), .first, let order)? = first.steps.first else { throw Unexpected(first) }
        scene.happen(.checkpointOrdered(task: task, epoch: .first, node: NodeID("a"), order: OrderID("o"), order, decision: first.id), at: 999)
        #expect(!scene.plan().contains { $0.kind == .checkpoint || $0.kind == .move })

        var record = Scene.checkpoint(task, number: 2, at: 999, progress: 0.006)
        record.order = OrderID("o")
        scene.happen(.checkpointCommitted(record), at: 1_000)
        let move = try #require(scene.plan().first { $0.kind == .move })
        #expect(move.steps == [.takeOff(task: task, node: NodeID("a"), epoch: .first)])
        #expect(move.chosen.map { move.alternatives[$0].name.hasPrefix("b,") } == true)
    }

    @Test("where no other node can take it, it stays and is not disturbed")
    func nowhere() {
        var (scene, _) = scene(["a"])
        #expect(!scene.plan().contains { $0.kind == .checkpoint || $0.kind == .move })
    }

    @Test("nothing is placed there until the drain is ended")
    func placing() throws {
        var scene = Scene(nodes: ["a"], settings: .init())
        scene.happen(.nodeDrainAsked(node: NodeID("a"), by: "ada"))
        let task = scene.submit(work: 100)
        #expect(!scene.plan().contains { $0.kind == .place })
        scene.happen(.nodeDrainEnded(node: NodeID("a"), by: "ada"))
        #expect(try #require(scene.plan().first { $0.kind == .place }).task == task)
    }

    @Test("a mode that somebody set is over the file's and its rules'")
    func mode() {
        var scene = Scene(
            nodes: ["a"], settings: .init(strategy: .fixed(Seconds(10)), floorSeconds: Seconds(5)))
        let task = scene.submit(work: 10_000)
        scene.run(task, on: "a", for: 60, of: 10_000)
        scene.happen(.policyModeSet(name: "default", mode: .audit, by: "ada"))
        let audited = scene.plan()
        #expect(audited.contains { $0.kind == .checkpoint })
        #expect(audited.filter { $0.kind == .checkpoint || $0.kind == .schedule }.allSatisfy { $0.mode == .audit })
        scene.happen(.policyModeSet(name: "default", mode: nil, by: "ada"))
        #expect(scene.plan().filter { $0.kind == .schedule }.map(\.mode) == [.enforce])
    }

    private struct Unexpected: Error {
        var decision: Decision
        init(_ decision: Decision) { self.decision = decision }
    }
}
