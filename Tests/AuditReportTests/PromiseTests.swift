import Foundation
import Testing
import Vocabulary

@testable import AuditReport

@Suite("Promises are held against what was observed")
struct PromiseTests {
    /// A task on node-a that runs from 2 s on, with limits of 25 s of lost work, 30 s of recovery and 5 % of time stopped.
    func running(deadline: Double? = 135, penalty: Bool = true) -> Scene {
        var scene = Scene()
        scene.open()
        let limits = Limits(lostWorkSeconds: Seconds(25), recoverySeconds: Seconds(30), stoppedShare: 0.05)
        let owed = penalty ? Penalty(amount: Money(2.5, "EUR"), perSeconds: .minutes(1), cap: Money(10, "EUR")) : nil
        scene.add(
            0,
            .taskSubmitted(
                scene.submission(
                    scene.primes, scene.sla("primes", preference: "finish-sooner", deadline: deadline, limits: limits, penalty: owed), at: 0)))
        scene.add(0, .taskPlaced(task: scene.primes, epoch: .first, node: scene.a))
        scene.add(2, .taskStarted(task: scene.primes, epoch: .first, node: scene.a))
        return scene
    }

    func resume(_ scene: inout Scene, epoch: Int, at seconds: Double, on node: NodeID, from: CheckpointID?) {
        scene.add(seconds - 1, .epochRaised(task: scene.primes, epoch: Epoch(epoch), node: node, from: from))
        scene.add(
            seconds,
            .taskResumed(
                ResumeRecord(
                    task: scene.primes, node: node, epoch: Epoch(epoch), checkpoint: from, fetchSeconds: Seconds(1), restoreSeconds: Seconds(1),
                    fetchedBytes: .mebibytes(1))))
    }

    func promise(_ report: Report, _ name: Promise.Name) throws -> Promise { try #require(report.tasks[0].promises.first { $0.name == name }) }

    let first = CheckpointID(epoch: .first, number: 1)
    let second = CheckpointID(epoch: .first, number: 2)

    @Test("the story of two tasks: what was lost, how long it took, what is owed")
    func whole() throws {
        let report = Scene.whole.report()
        let task = report.tasks[0]
        #expect(report.verdict == .broken)
        #expect(report.tasks.map(\.verdict) == [.broken, .kept])
        // 141 − 135 = 6 s late; 6/60 of 2.50 EUR.
        #expect(task.happened.latenessSeconds == Seconds(6))
        #expect(task.happened.penaltyOwed == 0.25)
        #expect(task.happened.penaltyIsFinal == true)
        // Declared lost at 66.2 s after 5.2 s of silence: last heard at 61 s. The checkpoint was captured at 40 s; it ran again at 70.4 s.
        let failure = try #require(task.failures.first)
        #expect(failure.at == Moment(Scene.at(61)))
        #expect(failure.lostWorkSeconds == Seconds(21))
        #expect(failure.lostWorkStanding == .kept)
        #expect(failure.recoverySeconds == Seconds(9.4))
        // The last sample, at 60 s, was (60 − 2)/110 = 0.527273; the checkpoint's progress 0.345.
        #expect(failure.lostProgress == 0.182273)
        // 0.084 + 0.084 + 0.09 (never committed) + 0.084 s of (61 − 2) + (141 − 70.4) = 129.6 s.
        #expect(task.cost.stopSeconds == Seconds(0.342))
        #expect(task.cost.runningSeconds == Seconds(129.6))
        #expect(task.cost.stoppedShare == 0.342 / 129.6)
        // 3 × 11 MiB, two copies of each.
        #expect(task.cost.sentBytes == .mebibytes(33))
        #expect(task.cost.storedBytes == .mebibytes(66))
        #expect(task.lives.map(\.end) == [.nodeLost, .finished])
        #expect(task.lives[1].startProgress == 0.345)
        #expect(task.checkpoints.map(\.status) == [.committed, .committed, .unfinished, .committed])
        #expect(task.checkpoints.map(\.resumptions) == [0, 1, 0, 0])
        #expect(task.checkpoints[1].decision == DecisionID("d000006"))
        // Nothing failed on the other task: its limits were not put to the test.
        #expect(report.tasks[1].promises.map(\.standing) == [.kept, .notObserved, .notObserved, .kept])
    }

    @Test("predictions are summed up beside what was observed")
    func predictions() throws {
        // stopSeconds: predicted 0.2, 0.1, 0.1; observed 0.084 each. Misses 0.116, 0.016, 0.016; ratios 0.42, 0.84, 0.84.
        let stop = try #require(Scene.whole.report().calibration.models.map(\.summary).first { $0.quantity == "stopSeconds" })
        #expect(stop.count == 3)
        #expect(abs(stop.meanPredicted - 0.4 / 3) < 1e-12)
        #expect(abs(stop.meanAbsoluteError - 0.148 / 3) < 1e-12)
        #expect(abs(stop.meanError + 0.148 / 3) < 1e-12)
        #expect(abs((stop.medianRatio ?? 0) - 0.84) < 1e-12)
        // What was not predicted has no comparison.
        #expect(!Scene.whole.report().calibration.models.contains { $0.summary.quantity == "finishSeconds" })
    }

    @Test("while it runs nothing is claimed, and lateness grows")
    func open() throws {
        let early = running().report(at: 100)
        #expect(early.verdict == .notObserved)
        #expect(try promise(early, .deadline).standing == .notObserved)
        #expect(try promise(early, .deadline).sentence == "Not finished; 35.0 s are left.")
        #expect(try promise(early, .stoppedShare).standing == .notObserved)
        #expect(early.tasks[0].happened.penaltyOwed == 0)
        #expect(early.tasks[0].happened.penaltyIsFinal == false)
        // 255 − 135 = 120 s late: two minutes of 2.50 EUR.
        let late = running().report(at: 255)
        #expect(late.verdict == .broken)
        #expect(late.tasks[0].happened.penaltyOwed == 5)
        #expect(late.tasks[0].happened.penaltyIsFinal == false)
        // At the cap it grows no more.
        let capped = running().report(at: 10_000)
        #expect(capped.tasks[0].happened.penaltyOwed == 10)
        #expect(capped.tasks[0].happened.penaltyIsFinal == true)
    }

    @Test("finished on the very moment of the deadline is met")
    func exactly() throws {
        var scene = running()
        scene.add(135, .taskFinished(task: scene.primes, epoch: .first, node: scene.a, result: "r"))
        #expect(try promise(scene.report(), .deadline).standing == .kept)
        #expect(scene.report().verdict == .kept)
    }

    @Test("without a checkpoint a failure loses all that ran; it was recorded that the limit could not be kept")
    func foretold() throws {
        var scene = running()
        scene.decisions = [
            scene.decision(
                1, 4, .schedule, task: scene.primes, node: scene.a, sentence: "No checkpoint.",
                alternatives: [
                    scene.alternative(
                        nil, .zstd, time: 1, network: 0, expected: 100, mebibytes: 0, met: 0.9,
                        violations: ["maximum lost work: 108 where 25 is the limit"])
                ],
                chosen: 0)
        ]
        scene.add(70, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(6)))
        resume(&scene, epoch: 2, at: 75, on: scene.b, from: nil)
        let failure = try #require(scene.report().tasks[0].failures.first)
        // Last heard at 70 − 6 = 64 s, running since 2 s.
        #expect(failure.lostWorkSeconds == Seconds(62))
        #expect(failure.lostWorkStanding == .broken)
        #expect(failure.checkpoint == nil)
        #expect(failure.recoverySeconds == Seconds(11))
        let promise = try promise(scene.report(), .lostWork)
        #expect(promise.foretoldBy == DecisionID("d000001"))
        #expect(
            promise.sentence
                == "A failure lost 1 min 2 s of work, 37.0 s more than was allowed. Decision d000001 had recorded what could not be kept: maximum lost work: 108 where 25 is the limit."
        )
    }

    @Test("a second failure before a new checkpoint loses only what ran since the resumption")
    func secondFailure() throws {
        var scene = running()
        scene.add(22, .checkpointCommitted(scene.checkpoint(scene.primes, 1, 1, node: scene.a, captured: 20, latency: 2, progress: 0.2, order: "o")))
        scene.add(36, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(6)))
        resume(&scene, epoch: 2, at: 40, on: scene.b, from: first)
        scene.add(58, .nodeLost(node: scene.b, phi: 9, silentSeconds: Seconds(6)))
        resume(&scene, epoch: 3, at: 92, on: scene.a, from: first)
        let report = scene.report()
        // 30 − 20, and 52 − 40: what came before 40 s was lost by the first.
        #expect(report.tasks[0].failures.map(\.lostWorkSeconds) == [Seconds(10), Seconds(12)])
        // 40 − 30, and 92 − 52 = 40 s, 10 s over the limit.
        #expect(report.tasks[0].failures.map(\.recoverySeconds) == [Seconds(10), Seconds(40)])
        #expect(try promise(report, .recovery).sentence == "It ran again after 40.0 s, 10.0 s later than allowed.")
        #expect(try promise(report, .lostWork).observed == 12)
        #expect(report.tasks[0].cost.downSeconds == Seconds(50))
        #expect(report.tasks[0].checkpoints[0].resumptions == 2)
    }

    @Test("taken back to an older checkpoint than the last life began from, that much more is lost")
    func olderCheckpoint() throws {
        var scene = running()
        scene.add(12, .checkpointCommitted(scene.checkpoint(scene.primes, 1, 1, node: scene.a, captured: 10, latency: 2, progress: 0.1, order: "o")))
        scene.add(22, .checkpointCommitted(scene.checkpoint(scene.primes, 1, 2, node: scene.a, captured: 20, latency: 2, progress: 0.2, order: "o")))
        scene.add(36, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(6)))
        resume(&scene, epoch: 2, at: 40, on: scene.b, from: second)
        scene.add(48, .taskFailed(task: scene.primes, epoch: Epoch(2), node: scene.b, reason: "damaged"))
        resume(&scene, epoch: 3, at: 50, on: scene.b, from: first)
        // 48 − 40 that ran, and 20 − 10 between the two captures.
        #expect(scene.report().tasks[0].failures.map(\.lostWorkSeconds) == [Seconds(10), Seconds(18)])
    }

    @Test("a node that comes back before its task is resumed elsewhere was no failure")
    func falseAlarm() throws {
        var scene = running()
        scene.add(36, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(6)))
        #expect(scene.report(at: 37).tasks[0].failures.count == 1)
        scene.add(38, scene.sample(scene.primes, 1, scene.a, 35.5, 0.3))  // sent late, seen before
        #expect(scene.report(at: 38).tasks[0].failures.count == 1)
        scene.add(40, scene.sample(scene.primes, 1, scene.a, 40, 0.35))
        scene.add(120, .taskFinished(task: scene.primes, epoch: .first, node: scene.a, result: "r"))
        let report = scene.report()
        #expect(report.tasks[0].failures.isEmpty)
        #expect(report.verdict == .kept)
        #expect(report.tasks[0].cost.runningSeconds == Seconds(118))
    }

    @Test("what a stale node says later changes nothing")
    func stale() throws {
        var scene = running()
        scene.add(36, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(6)))
        resume(&scene, epoch: 2, at: 40, on: scene.b, from: nil)
        scene.add(50, .taskFinished(task: scene.primes, epoch: .first, node: scene.a, result: "stale"))
        scene.add(50, .staleCommitRefused(task: scene.primes, epoch: .first, checkpoint: first, node: scene.a))
        let task = scene.report().tasks[0]
        #expect(task.happened.result == nil)
        #expect(task.state == "running")
        #expect(task.checkpoints.map(\.status) == [.refused])
    }

    @Test("a guest that fails and is given up breaks the deadline and the recovery")
    func givenUp() throws {
        var scene = running()
        scene.add(30, .taskFailed(task: scene.primes, epoch: .first, node: scene.a, reason: "out of memory"))
        scene.add(31, .taskFailed(task: scene.primes, epoch: .first, node: scene.a, reason: "out of memory"))  // said again
        scene.add(32, .taskGivenUp(task: scene.primes, reason: "it failed too often"))
        let report = scene.report()
        #expect(report.tasks[0].failures.count == 1)
        #expect(
            report.tasks[0].failures[0].words
                == "node-a, epoch 1: guest failed, out of memory. Lost 28.0 s of work (limit broken). It has not run again (limit broken).")
        #expect(try promise(report, .deadline).sentence == "It will not finish: given up (it failed too often).")
        #expect(try promise(report, .recovery).standing == .broken)
    }

    @Test("what was asked for is no failure, and a cancelled task is not judged by a deadline that never came")
    func asked() throws {
        var scene = running()
        scene.add(22, .checkpointCommitted(scene.checkpoint(scene.primes, 1, 1, node: scene.a, captured: 20, latency: 2, progress: 0.2, order: "o")))
        scene.add(90, .restoreAsked(task: scene.primes, by: "operator"))
        resume(&scene, epoch: 2, at: 95, on: scene.a, from: first)
        scene.add(100, .taskCancelled(task: scene.primes, by: "owner"))
        let report = scene.report()
        // 90 − 20 = 70 s were taken back, over the limit of 25 s, as asked.
        #expect(report.tasks[0].failures.map(\.lostWorkSeconds) == [Seconds(70)])
        #expect(report.tasks[0].failures.map(\.lostWorkStanding) == [.notObserved])
        #expect(try promise(report, .lostWork).standing == .notObserved)
        #expect(try promise(report, .deadline).standing == .notObserved)
        #expect(report.verdict == .notObserved)
        #expect(report.tasks[0].happened.penaltyOwed == 0)
        var late = running()
        late.add(195, .taskCancelled(task: late.primes, by: "owner"))
        #expect(try promise(late.report(at: 500), .deadline).standing == .broken)
        #expect(late.report(at: 500).tasks[0].happened.penaltyOwed == 2.5)
    }

    @Test("what a failure lost is not guessed when its checkpoint is not in the ledger")
    func unknownCheckpoint() throws {
        var scene = running()
        scene.add(36, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(6)))
        resume(&scene, epoch: 2, at: 40, on: scene.b, from: CheckpointID(epoch: .first, number: 9))
        let report = scene.report()
        #expect(report.tasks[0].failures[0].lostWorkSeconds == nil)
        #expect(try promise(report, .lostWork).standing == .notObserved)
        #expect(try promise(report, .lostWork).sentence == "What 1 failure lost is not known.")
    }

    @Test("a task that does not run again is open until its time is over")
    func recovery() throws {
        var scene = running()
        scene.add(36, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(6)))
        // Last heard at 30 s; 30 s are allowed.
        #expect(try promise(scene.report(at: 59), .recovery).standing == .notObserved)
        #expect(try promise(scene.report(at: 61), .recovery).standing == .broken)
    }

    @Test("pruned checkpoints stay in the report")
    func pruned() {
        var scene = running()
        scene.add(22, .checkpointCommitted(scene.checkpoint(scene.primes, 1, 1, node: scene.a, captured: 20, latency: 2, progress: 0.2, order: "o")))
        scene.add(23, .checkpointsPruned(task: scene.primes, checkpoints: [first]))
        #expect(scene.report().tasks[0].checkpoints.map(\.status) == [.pruned])
        #expect(scene.report().tasks[0].cost.sentBytes == .mebibytes(11))
    }
}
