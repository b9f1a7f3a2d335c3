import Knowledge
import Planning
import Testing
import Vocabulary

@Suite("Layers are merged by number or when it pays")
struct MergingTests {
    private func scene(_ chain: ChainRule, layers: Int, mtbf: Seconds = .hours(24 * 30), limits: Limits = Limits(), canMerge: Bool = true) -> (
        Scene, TaskID
    ) {
        var scene = Scene(
            nodes: ["a"], mtbf: mtbf, settings: .init(strategy: .fixed(Seconds(10)), floorSeconds: Seconds(5), keepLast: 3, chain: chain))
        var capabilities = Scene.capabilities
        capabilities.mergesLayers = canMerge
        scene.happen(.nodeJoined(node: NodeID("a"), incarnation: Incarnation("2"), hypervisor: capabilities))
        let task = scene.submit(work: 10_000, limits: limits)
        scene.run(task, on: "a", for: 60, of: 10_000)
        scene.happen(.checkpointCommitted(checkpoint(task, layers: layers, at: 990)), at: 990)
        return (scene, task)
    }

    private func checkpoint(_ task: TaskID, layers: Int, number: Int = 1, at: Double) -> CheckpointRecord {
        var record = Scene.checkpoint(task, number: number, at: at, progress: 0.005)
        record.layerBytes = Array(repeating: .mebibytes(1), count: layers)
        return record
    }

    private func merges(_ scene: inout Scene) -> [Decision] { scene.plan().filter { $0.kind == .merge } }

    private func order(_ decision: Decision?) -> MergeOrder? {
        guard case .merge(_, _, _, let order)? = decision?.steps.first else { return nil }
        return order
    }

    @Test("by number: at the policy's, not before, and once for each checkpoint")
    func count() throws {
        var (few, _) = scene(ChainRule(merge: .count, maxLayers: 16), layers: 15)
        #expect(merges(&few).isEmpty)
        var (many, task) = scene(ChainRule(merge: .count, maxLayers: 16), layers: 16)
        let decision = try #require(merges(&many).first)
        #expect(decision.binding == "maxLayers" && decision.sentence.contains("16 below the one in use"))
        #expect(order(decision) == MergeOrder(atMost: 8, limitSeconds: Seconds(10)))
        #expect(merges(&many).isEmpty)
        // It failed, and the next checkpoint has one more.
        many.happen(.checkpointCommitted(checkpoint(task, layers: 17, number: 2, at: 999)), at: 999)
        #expect(merges(&many).count == 1)
    }

    @Test("never, but for the limit of the hypervisor")
    func never() {
        var (long, _) = scene(ChainRule(merge: .never), layers: 100)
        #expect(merges(&long).isEmpty)
        var (tooLong, _) = scene(ChainRule(merge: .never), layers: 120)
        #expect(merges(&tooLong).first?.binding == "hardLimit")
    }

    @Test("not where the hypervisor cannot")
    func cannot() {
        var (scene, _) = scene(ChainRule(merge: .count, maxLayers: 4), layers: 130, canMerge: false)
        #expect(merges(&scene).isEmpty)
    }

    @Test("not again until a checkpoint says what the layers are now")
    func afterwards() {
        var (scene, task) = scene(ChainRule(merge: .count, maxLayers: 4), layers: 10)
        scene.happen(
            .layersMerged(
                MergeRecord(
                    task: task, node: NodeID("a"), epoch: .first, layersBefore: 11, layersAfter: 2, bytesBefore: .mebibytes(10),
                    bytesAfter: .mebibytes(5), elapsedSeconds: Seconds(0.1))), at: 995)
        #expect(merges(&scene).isEmpty)
    }

    @Test("when it pays: on a node that fails all the time, and not on one that never does; with the terms of it recorded")
    func estimate() throws {
        var (calm, _) = scene(ChainRule(merge: .estimate, maxLayers: 100), layers: 60)
        #expect(merges(&calm).isEmpty)
        var (rough, _) = scene(ChainRule(merge: .estimate, maxLayers: 100), layers: 60, mtbf: Seconds(60))
        let decision = try #require(merges(&rough).first)
        let values = Dictionary(decision.inputs.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        #expect(values["layers"] == 60 && values["shrink"] == 0.8)
        #expect(try #require(values["mergeSaving"]) > #require(values["mergeCost"]))
        #expect(try #require(values["chainSpent"]) >= #require(values["mergeCost"]))
        let chosen = try #require(decision.chosen)
        #expect(decision.alternatives[chosen].name.hasPrefix("merge") && decision.alternatives[0].name == "leave the chain as it is")
        #expect(order(decision)?.keep == chosen - 1)
    }

    @Test("when the chain makes a recovery longer than the SLA allows")
    func recovery() throws {
        var (scene, _) = scene(ChainRule(merge: .estimate, maxLayers: 110), layers: 105, limits: Limits(recoverySeconds: Seconds(12)))
        let decision = try #require(merges(&scene).first)
        #expect(decision.binding == "recovery" && order(decision)?.keep == 0)
    }

    @Test("in Audit mode it is decided and said, as everything is")
    func audit() {
        var scene = Scene(nodes: ["a"], settings: .init(mode: .audit, strategy: .fixed(Seconds(10)), chain: ChainRule(merge: .count, maxLayers: 4)))
        var capabilities = Scene.capabilities
        capabilities.mergesLayers = true
        scene.happen(.nodeJoined(node: NodeID("a"), incarnation: Incarnation("2"), hypervisor: capabilities))
        let task = scene.submit(work: 10_000)
        scene.run(task, on: "a", for: 60, of: 10_000)
        scene.happen(.checkpointCommitted(checkpoint(task, layers: 9, at: 990)), at: 990)
        #expect(merges(&scene).map(\.mode) == [.audit])
    }
}
