import Foundation
import Ports
import Testing
import Vocabulary

@testable import AuditReport

@Suite("A decision is explained in words and numbers")
struct ExplanationTests {
    let scene = Scene.whole
    var context: DeclarationContext { DeclarationContext(events: scene.events) }
    var sooner: Decision { scene.decisions[2] }
    var saving: Decision { scene.decisions[3] }

    func explain(_ decision: Decision, against other: Decision? = nil) -> Explanation {
        Explanation.make(decision, outcomes: scene.outcomes, context: context, comparedWith: other)
    }

    @Test("text and JSON are as they were")
    func golden() throws {
        try expectGolden(explain(saving, against: sooner).text(width: 80), "explanation.txt")
        try expectGolden(explain(saving, against: sooner).json(), "explanation.json")
        try expectGolden(explain(scene.decisions[7]).text(width: 80), "explanation-plain.txt")
        #expect(try JSONText.decode(Explanation.self, from: explain(saving, against: sooner).json()) == explain(saving, against: sooner))
    }

    @Test("what would have changed it is said in sentences, and is a key of the JSON only where it was asked for")
    func whatIf() throws {
        let found = [
            Counterfactual(input: "mtbfSeconds", actual: 10_800, threshold: 2_460, change: .checkpointNow, instead: "every 24 s, zstd"),
            Counterfactual(input: "priceNetworkPerGiB", actual: 0.01, threshold: 0.25, change: .codec, instead: "every 60 s, gzip"),
            Counterfactual(input: "timeToDeadlineSeconds", actual: 600, threshold: 900, change: .noCheckpoints, instead: "never"),
        ]
        let explanation = Explanation.make(saving, outcomes: scene.outcomes, context: context, whatIf: found)
        let text = explanation.text(width: 200)
        #expect(text.contains("What would have changed it"))
        #expect(text.contains("- A checkpoint would have been due at once (every 24 s, zstd) if the MTBF had been under 41 min (it was 3 h)."))
        #expect(text.contains("- It would have been every 60 s, gzip if the price of a GiB sent had been above 0.25 (it was 0.01)."))
        #expect(text.contains("- No checkpoint would have been planned at all if the time to the deadline had been above 15 min (it was 10 min)."))
        #expect(try JSONText.decode(Explanation.self, from: explanation.json()).whatIf == found)
        #expect(!explain(saving).json().contains("whatIf"))
        #expect(!explain(saving).text().contains("changed it"))
        let none = Explanation.make(saving, outcomes: [], context: context, whatIf: [])
        #expect(none.text(width: 200).contains("No single number would have"))
    }

    @Test("at another's prices, time and network scale and the penalty stays")
    func repricing() throws {
        let there = try #require(explain(sooner, against: saving).comparison?.thereWithThesePrices)
        // Time is ten times dearer (0.36 → 3.6), the network 500 times cheaper (0.5 → 0.001), storage the same:
        // every 20 s: 0.125 + 0.0001074 + 0.0000004 + 0.002; every 60 s: 0.134 + 0.0000214 + …; never: 0.361 + ….
        let expected = [0.1271078, 0.1360218, 0.3630004]
        for (total, value) in zip(there.totals, expected) { #expect(abs(total.totalCost - value) < 1e-9) }
        #expect(there.totals.map(\.isAllowed) == [true, true, false])
        #expect(there.wouldChoose == "every 20 s, zstd, 2 copies")
        #expect(there.isWhole)
        let sentences = explain(sooner, against: saving).comparison?.sentences ?? []
        #expect(
            sentences.contains(
                "With the prices of finish-sooner and the inputs of sums-1, of what was weighed, “every 20 s, zstd, 2 copies” would have been chosen (0.1271 EUR) and not “every 60 s, zstd, 2 copies” (0.136 EUR)."
            ))
    }

    @Test("a GiB's worth in time follows from the prices")
    func exchange() {
        // 0.001/3.6 h = 1 s; 0.5/0.36 h = 5000 s.
        #expect(context.preference(of: sooner)?.secondsPerGiBSent == Seconds(1))
        #expect(context.preference(of: saving)?.secondsPerGiBSent.map { abs($0.rawValue - 5_000) < 1e-9 } == true)
        // 0.5 s + 22 MiB/1024 · 1 s = 0.5215 s against 0.5 s + 107.4 s: √(107.92/0.5215) = 14.4.
        #expect(explain(sooner, against: saving).comparison?.sentences.contains { $0.contains("14 times as long") } == true)
    }

    @Test("a price of nothing is taken from what was expected")
    func freeNetwork() throws {
        var decision = sooner
        decision.alternatives[0].networkCost = 0
        let free = Prices(timePerHour: 3.6, networkPerGiB: 0, storagePerGiBHour: 0)
        let policy = CheckpointPolicy(
            name: "p", currency: "EUR", preferences: ["dear": Prices(timePerHour: 3.6, networkPerGiB: 1, storagePerGiBHour: 1)], settings: .init())
        let prices = try #require(PricesInForce(.named("dear"), policy))
        let repriced = Explanation.Repricing(decision, from: free, to: prices)
        // 110 MiB at 1 EUR a GiB: 0.1074219, and 0.125 of time and 0.002 of penalty; what is stored is not known.
        #expect(abs(repriced.totals[0].totalCost - (0.125 + 110.0 / 1_024 + 0.002)) < 1e-9)
        #expect(!repriced.isWhole)
    }

    @Test("the prices that a decision recorded are in force for it, not those of a policy of today")
    func recordedPrices() {
        var decision = saving
        decision.inputs.removeAll { $0.name == "priceNetworkPerGiB" }
        decision.inputs.append(DecisionInput(name: "priceNetworkPerGiB", value: 0.25))
        #expect(context.preference(of: decision)?.networkPerGiB == 0.25)
    }

    @Test("what cannot be compared is said to be so")
    func incomparable() {
        #expect(
            explain(sooner, against: scene.decisions[0]).comparison?.sentences == [
                "Decision d000001 is of another kind (place, not schedule): what was weighed cannot be compared."
            ])
        let unknown = Explanation.make(sooner, outcomes: [], context: DeclarationContext(events: []), comparedWith: saving)
        #expect(unknown.prices == nil)
        #expect(
            unknown.comparison?.sentences.last == "The prices in force for one of them are not in the ledger, so what they changed cannot be said.")
        #expect(unknown.text().contains("Nothing was observed yet."))
    }

    @Test("the reasons name the next best, the cheaper that breaks a limit, and what bound")
    func reasons() {
        var decision = sooner
        decision.alternatives[2].timeCost = 0.05
        let why = explain(decision).why
        #expect(why.contains("“never, zstd” would be cheaper (0.052 EUR) but breaks a limit: maximum lost work: 108 where 25 is the limit."))
        #expect(why.contains("The limit that bound: maximum lost work."))
        decision.chosen = 1
        #expect(explain(decision).why.contains("It was recorded that it cannot keep everything: maximum lost work: 62 where 25 is the limit."))
        decision.chosen = 99
        #expect(explain(decision).decision.chosen == nil)
    }

    @Test("the counterpart is the nearest decision of the same kind about a task with other prices")
    func counterpart() async throws {
        let ledger = Remembered(scene)
        let explanation = try #require(try await Explanation.read(decision: DecisionID("d000003"), comparedWith: nil, from: ledger))
        #expect(explanation.comparison?.decision.decision == DecisionID("d000004"))
        #expect(explanation.decision.outcomes.map(\.quantity) == ["finishSeconds"])
        let chosen = try await Explanation.read(decision: DecisionID("d000003"), comparedWith: DecisionID("d000010"), from: ledger)
        #expect(chosen?.comparison?.decision.decision == DecisionID("d000010"))
        #expect(try await Explanation.read(decision: DecisionID("d000099"), comparedWith: nil, from: ledger) == nil)
        #expect(try await Explanation.read(decision: DecisionID("d000003"), comparedWith: DecisionID("d000099"), from: ledger) == nil)
        // A decision about no task has nobody to be compared with.
        #expect(try await Explanation.read(decision: DecisionID("d000008"), comparedWith: nil, from: ledger)?.comparison == nil)
        #expect(try await Report.read(from: ledger, generatedAt: Scene.at(150)) == scene.report())
        #expect(try await Report.read(from: ledger, generatedAt: Scene.at(150), task: scene.sums) == scene.report(task: scene.sums))
    }
}

/// A ledger that holds a scene and is only read.
struct Remembered: Ledger {
    let scene: Scene
    init(_ scene: Scene) { self.scene = scene }

    func append(_ events: [EventRecord]) async throws(LedgerError) -> [EventRecord] { throw .failed(path: "scene", detail: "it is only read") }
    func record(_ decisions: [Decision]) async throws(LedgerError) { throw .failed(path: "scene", detail: "it is only read") }
    func record(_ outcomes: [Outcome]) async throws(LedgerError) { throw .failed(path: "scene", detail: "it is only read") }
    func events(after sequence: Int64, limit: Int) async throws(LedgerError) -> [EventRecord] {
        Array(scene.events.filter { $0.sequence > sequence }.prefix(min(limit, 10)))
    }
    func decisions(_ query: DecisionQuery) async throws(LedgerError) -> [Decision] {
        scene.decisions.filter { (query.task == nil || $0.task == query.task) && (query.kinds.isEmpty || query.kinds.contains($0.kind)) }
    }
    func decision(_ id: DecisionID) async throws(LedgerError) -> Decision? { scene.decisions.first { $0.id == id } }
    func outcomes(of decision: DecisionID) async throws(LedgerError) -> [Outcome] { scene.outcomes.filter { $0.decision == decision } }
    func outcomes(task: TaskID?) async throws(LedgerError) -> [Outcome] {
        scene.outcomes.filter { outcome in task == nil || scene.decisions.contains { $0.id == outcome.decision && $0.task == task } }
    }
    func acknowledged(node: NodeID, incarnation: Incarnation) async throws(LedgerError) -> Int64 { 0 }
    func nextDecisionNumber() async throws(LedgerError) -> Int64 { 1 }
    func decisionCounts(after: Int64, through: Int64) async throws(LedgerError) -> [DecisionCount] { [] }
    func proof() async throws(LedgerError) -> LedgerProof? { Scene.proof }
}
