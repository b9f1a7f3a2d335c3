import Foundation
import Testing
import Vocabulary

@testable import AuditReport

@Suite("Predictions beside outcomes")
struct CalibrationTests {
    private func calibration(_ scene: Scene) -> Calibration {
        Calibration.make(events: scene.events, decisions: scene.decisions, outcomes: scene.outcomes, generatedAt: Scene.at(150))
    }

    @Test("each quantity's errors, by hand")
    func models() throws {
        let found = calibration(Scene.whole)
        // finishSeconds was not predicted.
        #expect(found.models.map(\.summary.quantity) == ["lostWorkSeconds", "recoverySeconds", "remainingSeconds", "sentBytes", "stopSeconds"])
        let stop = try #require(found.models.last)
        // 0.2, 0.1, 0.1 predicted, 0.084 observed each time; only the last has a standard error, and 0.016 is within 0.06.
        #expect(stop.summary.count == 3 && abs(stop.summary.meanError - (0.084 - 0.4 / 3)) < 1e-12)
        #expect(stop.judgedCount == 1 && stop.withinTwoErrorsShare == 1)
        // Ratios 0.42, 0.84, 0.84: a tenth of the way through is 0.42 + 0.2 · 0.42.
        #expect(abs(try #require(stop.lowRatio) - 0.504) < 1e-12)
        #expect(abs(try #require(stop.highRatio) - 0.84) < 1e-12)
        let remaining = try #require(found.models.first { $0.summary.quantity == "remainingSeconds" })
        // Decided at 4 s: 125 s, and it was done at 141 s; at 4.2 s: 134 s, and done at 121 s.
        #expect(remaining.points.map { $0.observed.rounded(toPlaces: 3) } == [137, 116.8])
        #expect(remaining.points.map(\.predicted) == [125, 134])
    }

    @Test("of deadlines, each task counts once in each bin")
    func deadlines() throws {
        var scene = Scene.whole
        // primes-1, which is late, is told of once more, in the same bin: 0.62 and 0.7 are one observation of 0.66.
        var again = scene.decisions[2]
        again.id = DecisionID("d000020")
        again.alternatives[0].probabilityMet = Probability(0.7)
        scene.decisions.append(again)
        let found = try #require(calibration(scene).deadlines)
        #expect(found.tasks == 2 && found.predictions == 3 && found.metShare == 0.5)
        #expect(found.bins.map(\.from) == [0.5, 0.99] && found.bins.map(\.tasks) == [1, 1])
        #expect(abs(found.bins[0].meanPredicted - 0.66) < 1e-12 && found.bins[0].metShare == 0)
        #expect(found.bins[1].meanPredicted == 0.9993 && found.bins[1].metShare == 1)
        // (0.62² + 0.7²)/2 of the one, 0.0007² of the other; halved.
        #expect(abs(found.brierScore - ((0.62 * 0.62 + 0.49) / 2 + 0.0007 * 0.0007) / 2) < 1e-12)
        #expect(found.baseScore == 0.25)
        // Wilson's interval of 1 in 1: from 1/(1 + z²).
        #expect(abs(found.bins[1].low - 1 / (1 + 1.959963984540054 * 1.959963984540054)) < 1e-12 && found.bins[1].high == 1)
    }

    @Test("what was only watched, cancelled or is not decided yet says nothing about probabilities")
    func excluded() {
        var watched = Scene.whole
        for index in watched.decisions.indices { watched.decisions[index].mode = .audit }
        #expect(calibration(watched).deadlines == nil)
        var open = Scene.whole
        open.events.removeAll { if case .taskFinished = $0.event { true } else { false } }
        // primes-1 is past its deadline of 135 s by the ledger's last event at 140 s; sums-1 has until 240.2 s.
        #expect(calibration(open).deadlines?.tasks == 1 && calibration(open).deadlines?.metShare == 0)
        open.add(149, .taskCancelled(task: open.primes, by: "operator"))
        #expect(calibration(open).deadlines == nil)
    }

    @Test("text, JSON and plots are as they were, and every key is documented")
    func forms() throws {
        let found = calibration(Scene.whole)
        try expectGolden(found.text(width: 100), "calibration.txt")
        try expectGolden(found.json(), "calibration.json")
        #expect(try JSONText.decode(Calibration.self, from: found.json()) == found)
        for (name, text) in found.plots {
            let page = PageReader(text)
            #expect(page.problem == nil, "\(name): \(page.problem ?? "")")
        }
        let diagram = try #require(found.plots.last)
        #expect(diagram.name == "deadlines.svg" && PageReader(diagram.text).elements["circle"] == 2)
        let document = try String(contentsOf: URL(filePath: #filePath).appending(path: "../../../docs/json.md").standardized, encoding: .utf8)
        var keys: Set<String> = []
        func gather(_ value: Any) {
            if let list = value as? [Any] { for part in list { gather(part) } }
            for (key, part) in value as? [String: Any] ?? [:] {
                keys.insert(key)
                gather(part)
            }
        }
        gather(try JSONSerialization.jsonObject(with: Data(found.json().utf8)))
        for key in keys.sorted() { #expect(document.contains("`\(key)`"), "\(key) is not in docs/json.md") }
    }

    @Test("nothing observed is said so")
    func empty() {
        let found = Calibration.make(events: [EventRecord](), decisions: [], outcomes: [], generatedAt: Scene.at(0))
        #expect(found.models.isEmpty && found.deadlines == nil && found.plots.isEmpty)
        #expect(found.text(width: 80).contains("Nothing that was predicted has been observed yet."))
    }
}

extension Double {
    fileprivate func rounded(toPlaces places: Int) -> Double {
        let scale = pow(10, Double(places))
        return (self * scale).rounded() / scale
    }
}

@Suite("What would have been done beside what was")
struct AuditSideBySideTests {
    @Test("of a task that is watched, checkpoints and losses are compared")
    func sideBySide() throws {
        var scene = Scene.whole
        // primes-1 is watched from its first schedule on: what was committed at 22.4 s and 42.1 s was ordered by hand.
        for index in scene.decisions.indices where scene.decisions[index].task == scene.primes { scene.decisions[index].mode = .audit }
        for (index, sent) in [(4, 20.0), (5, 12)] {
            scene.decisions[index].inputs = [
                DecisionInput(name: "sentBytes", value: sent * 1_048_576), DecisionInput(name: "stopSeconds", value: 0.1),
                DecisionInput(name: "latencySeconds", value: 2),
            ]
        }
        // Not durable before node-a fell silent at 61 s.
        scene.decisions[6].inputs = [DecisionInput(name: "latencySeconds", value: 5)]
        let tasks = scene.report().tasks
        #expect(tasks.first { $0.task == scene.sums }?.sideBySide == nil)
        let found = try #require(tasks.first { $0.task == scene.primes }?.sideBySide)
        #expect(found.rows.map(\.kind) == [.place, .schedule, .checkpoint, .checkpoint, .checkpoint, .resume, .checkpoint])
        #expect(found.rows[1].wouldHave == "every 20 s, zstd, 2 copies" && found.rows[1].was == "nothing; no checkpoint yet")
        // Captured at 20 s, decided at 39.8 s.
        #expect(found.rows[3].was == "nothing; the newest checkpoint is 19.8 s old")
        #expect(found.wouldHave.checkpoints == 4 && found.wouldHave.sentBytes == .mebibytes(32))
        #expect(found.was.checkpoints == 3 && found.was.sentBytes == .mebibytes(33))
        try #require(found.losses.count == 1)
        // From 39.8 s, when the second would have been taken, to 61 s; really lost: from 40 s.
        #expect(found.losses[0].lostWorkSeconds == Seconds(21) && found.losses[0].wouldHaveLostSeconds == Seconds(21))
        try expectGolden(found.text(width: 100), "side-by-side.txt")
        // Without what was ordered by hand the whole first life would have been at stake.
        scene.events.removeAll {
            switch $0.event {
            case .checkpointCommitted, .checkpointCaptured, .checkpointStarted: true
            default: false
            }
        }
        let alone = try #require(scene.report().tasks.first { $0.task == scene.primes }?.sideBySide)
        #expect(alone.was.checkpoints == 0)
        #expect(abs(alone.losses[0].wouldHaveLostSeconds!.rawValue - 21.2) < 1e-6)
    }

    @Test("a task that is enforced again is watched no more")
    func spans() throws {
        var scene = Scene.whole
        scene.decisions[2].mode = .audit
        scene.decisions[4].mode = .enforce
        let found = try #require(scene.report(task: scene.primes).tasks[0].sideBySide)
        #expect(found.rows.count == 1 && found.was.checkpoints == 0 && found.losses.isEmpty)
    }
}
