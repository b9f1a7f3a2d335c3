import Knowledge
import Planning
import Testing
import Vocabulary

@Suite("Whether an SLA can be kept, before it is submitted")
struct AdmissionTests {
    func admission(
        work: Double, within: Double? = nil, confidence: Double = 0.95, limits: Limits = Limits(), mtbf: Seconds = .hours(24 * 30)
    ) throws -> Admission {
        var scene = Scene(mtbf: mtbf)
        let task = scene.submit(
            work: work, limits: limits,
            deadline: within.map { Deadline(moment: .within(Seconds($0)), confidence: Probability(confidence)) })
        let known = scene.knowledge
        let submitted = try #require(known.tasks[task])
        return try #require(Admission.of(submitted, findings: scene.findings, policy: known.policies["default"]))
    }

    @Test("on good nodes with time to spare: kept, and nothing else would have to be")
    func kept() throws {
        let admission = try admission(work: 3_600, within: 7_200)
        #expect(admission.isKept)
        #expect(admission.wouldDo.isEmpty)
        #expect(admission.deadlineSeconds == 7_200)
        #expect((admission.choice.probabilityMet?.rawValue ?? 0) > 0.95)
        #expect(admission.choice.expectedSeconds >= Seconds(3_600))
    }

    @Test("a deadline that is too near: each change that is offered is enough, and a little less is not")
    func tooNear() throws {
        let mtbf = Seconds.hours(1)
        let bad = try admission(work: 3_600, within: 3_650, mtbf: mtbf)
        #expect(!bad.isKept)
        #expect(bad.binding == "deadline confidence")
        let deadline = try #require(bad.wouldDo.first { $0.name == "deadlineSeconds" })
        #expect(try admission(work: 3_600, within: deadline.enough, mtbf: mtbf).isKept)
        #expect(try !admission(work: 3_600, within: deadline.enough / 1.03, mtbf: mtbf).isKept)
        let confidence = try #require(bad.wouldDo.first { $0.name == "confidenceProbability" })
        #expect(try admission(work: 3_600, within: 3_650, confidence: confidence.enough - 1e-6, mtbf: mtbf).isKept)
        #expect(try !admission(work: 3_600, within: 3_650, confidence: confidence.enough + 0.005, mtbf: mtbf).isKept)
        #expect(bad.wouldDo.contains { $0.name == "mtbfSeconds" && $0.enough > $0.declared })
        // Nothing else is broken.
        #expect(!bad.wouldDo.contains { $0.name == "lostWorkSeconds" })
    }

    @Test("no deadline helps where a failure may not cost more than a checkpoint takes")
    func lostWork() throws {
        let bad = try admission(work: 36_000, within: 360_000, limits: Limits(lostWorkSeconds: Seconds(2)))
        #expect(!bad.isKept)
        #expect(bad.binding == "maximum lost work")
        #expect(bad.wouldDo.map(\.name) == ["lostWorkSeconds"])
        let enough = try #require(bad.wouldDo.first).enough
        #expect(try admission(work: 36_000, within: 360_000, limits: Limits(lostWorkSeconds: Seconds(enough))).isKept)
    }

    @Test("two limits that contradict each other: no one change is offered that would not do")
    func contradiction() throws {
        let bad = try admission(work: 36_000, limits: Limits(lostWorkSeconds: Seconds(2), recoverySeconds: Seconds(0.5)))
        #expect(!bad.isKept)
        #expect(bad.wouldDo.isEmpty)
        #expect(bad.choice.violations.count >= 2)
    }

    @Test("the node that fails less is the one")
    func node() throws {
        var scene = Scene(mtbf: .hours(10))
        scene.fleet.nodes[1].nodeClass = "poor"
        for failure in 0..<3 {
            let time = 901 + Double(failure) * 10
            scene.happen(.nodeLost(node: NodeID("b"), phi: 9, silentSeconds: .zero), at: time)
            scene.happen(.nodeJoined(node: NodeID("b"), incarnation: Incarnation("n\(failure)"), hypervisor: Scene.capabilities), at: time + 3)
        }
        let task = scene.submit(work: 3_600)
        let known = scene.knowledge
        let submitted = try #require(known.tasks[task])
        #expect(Admission.of(submitted, findings: scene.findings, policy: known.policies["default"])?.node == NodeID("a"))
    }
}
