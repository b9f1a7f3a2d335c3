import AuditReport
import Ports
import Testing
import Vocabulary

@testable import ManagerMetrics

@Suite("Counters are folded from the ledger")
struct TallyTests {
    func counts(_ scene: Scene) -> Exposition {
        var tally = Tally()
        for record in scene.events { tally.fold(record) }
        return tally.counts
    }

    /// Checkpoint captured at 30; the node is silent from 45 and lost at 50; it runs again at 58 from it: 15 s lost, 13 s down.
    var crash: (Scene, TaskID) {
        var scene = Scene()
        let task = scene.submit("chain-1")
        scene.start(task, 5, on: scene.a)
        scene.checkpoint(task, 20, 1, on: scene.a)
        scene.checkpoint(task, 30, 2, codec: .gzip, on: scene.a)
        scene.happen(50, .nodeLost(node: scene.a, phi: 9, silentSeconds: Seconds(5)))
        scene.resume(task, 51, again: 58, epoch: 2, from: scene.id(2), on: scene.b)
        return (scene, task)
    }

    @Test("a crash: what was committed, lost and owed")
    func crashed() {
        var (scene, task) = crash
        scene.finish(task, 130, epoch: 2, on: scene.b)
        let counts = counts(scene)
        #expect(counts.value(.checkpoints, ["default", "zstd", "committed"]) == 1)
        #expect(counts.value(.checkpoints, ["default", "gzip", "committed"]) == 1)
        #expect(counts.value(.checkpoints, ["default", "zstd", "failed"]) == 0)
        #expect(counts.value(.sentBytes, ["default", "gzip"]) == 40)
        #expect(counts.value(.contentBytes, ["default", "gzip"]) == 100)
        #expect(counts.histogram(.stopSeconds, ["default"])?.sum == 1)
        #expect(counts.histogram(.latencySeconds, ["default"])?.count == 2)
        #expect(counts.value(.nodeFailures, ["a"]) == 1)
        #expect(counts.value(.nodeFailures, ["b"]) == 0)
        #expect(counts.value(.interruptions, ["default", "node"]) == 1)
        #expect(counts.value(.resumptions, ["default", "checkpoint"]) == 1)
        #expect(counts.histogram(.recoverySeconds, ["default"])?.sum == 13)
        #expect(counts.histogram(.lostWorkSeconds, ["default"])?.sum == 15)
        #expect(counts.value(.tasksEnded, ["default", "finished"]) == 1)
        // Half a minute late.
        #expect(counts.value(.penalties, ["default", "EUR"]) == 5)
        #expect(counts.value(.promises, ["default", "deadline", "broken"]) == 1)
        #expect(counts.value(.promises, ["default", "lost-work", "kept"]) == 1)
        #expect(counts.value(.promises, ["default", "recovery", "kept"]) == 1)
        #expect(counts.value(.promises, ["default", "stopped-share", "kept"]) == 1)
        #expect(counts.value(.events) == Double(scene.events.count))
    }

    /// Each way of ending, and each thing between.
    static let endings: [(name: String, happens: @Sendable (inout Scene, TaskID) -> Void)] = [
        ("in time", { $0.finish($1, 90, epoch: 2, on: $0.b) }),
        ("late", { $0.finish($1, 500, epoch: 2, on: $0.b) }),
        ("cancelled early", { $0.happen(95, .taskCancelled(task: $1, by: "owner")) }),
        ("cancelled late", { $0.happen(120, .taskCancelled(task: $1, by: "owner")) }),
        ("given up", { $0.happen(90, .taskGivenUp(task: $1, reason: "three failures")) }),
        (
            "a guest that failed and took long to come back",
            { scene, task in
                scene.happen(70, .taskFailed(task: task, epoch: Epoch(2), node: scene.b, reason: "panic"))
                scene.resume(task, 72, again: 95, epoch: 3, from: scene.id(2), on: scene.a)
                scene.finish(task, 99, epoch: 3, on: scene.a)
            }
        ),
        (
            "back to the beginning",
            { scene, task in
                scene.happen(70, .nodeLost(node: scene.b, phi: 9, silentSeconds: Seconds(2)))
                scene.resume(task, 72, again: 75, epoch: 3, from: nil, on: scene.a)
                scene.finish(task, 99, epoch: 3, on: scene.a)
            }
        ),
        (
            "a node that was not dead",
            { scene, task in
                scene.checkpoint(task, 65, 1, epoch: 2, on: scene.b)
                scene.happen(80, .nodeLost(node: scene.b, phi: 9, silentSeconds: Seconds(5)))
                scene.happen(
                    82,
                    .progressSeen(
                        ProgressSample(
                            task: task, epoch: Epoch(2), node: scene.b, at: Timestamp(82), fraction: 0.9, cpuSeconds: Seconds(1),
                            blockWrittenBytes: .zero)))
                scene.finish(task, 98, epoch: 2, on: scene.b)
            }
        ),
        (
            "taken back by its owner",
            { scene, task in
                scene.happen(70, .restoreAsked(task: task, by: "owner"))
                scene.resume(task, 72, again: 95, epoch: 3, from: scene.id(1), on: scene.b)
                scene.finish(task, 99, epoch: 3, on: scene.b)
            }
        ),
        (
            "waited for when it was cancelled",
            { scene, task in
                scene.happen(70, .nodeLost(node: scene.b, phi: 9, silentSeconds: Seconds(2)))
                scene.happen(99, .taskCancelled(task: task, by: "owner"))
            }
        ),
    ]

    @Test("promises are counted as the report judges them", arguments: endings.indices)
    func agreesWithReport(_ index: Int) throws {
        var (scene, task) = crash
        Self.endings[index].happens(&scene, task)
        let counts = counts(scene)
        let excerpt = LedgerExcerpt(events: scene.events, decisions: [], outcomes: [])
        let report = try #require(Report.make(from: excerpt, generatedAt: Timestamp(1_000)).tasks.first)
        let words = [AuditReport.Promise.Name.deadline: "deadline", .lostWork: "lost-work", .recovery: "recovery", .stoppedShare: "stopped-share"]
        for promise in report.promises {
            let word = try #require(words[promise.name])
            #expect(counts.value(.promises, ["default", word, "kept"]) == (promise.standing == .kept ? 1 : 0), "\(promise)")
            #expect(counts.value(.promises, ["default", word, "broken"]) == (promise.standing == .broken ? 1 : 0), "\(promise)")
        }
        #expect(counts.value(.penalties, ["default", "EUR"]) == report.happened.penaltyOwed)
        #expect(counts.histogram(.lostWorkSeconds, ["default"])?.sum == report.cost.lostWorkSeconds.rawValue)
        let interruptions = ["node", "guest", "asked"].compactMap { counts.value(.interruptions, ["default", $0]) }.reduce(0, +)
        #expect(interruptions == Double(report.failures.count))
        #expect(counts.histogram(.stopSeconds, ["default"])?.sum == report.cost.stopSeconds.rawValue)
    }

    @Test("checkpoints that came to nothing are counted by codec")
    func failedAndRefused() {
        var (scene, task) = crash
        let order = scene.begin(task, 60, 1, epoch: 2, codec: .none, on: scene.b)
        scene.happen(
            61, .checkpointFailed(task: task, epoch: Epoch(2), checkpoint: scene.id(1, epoch: 2), node: scene.b, order: order, reason: "full"))
        scene.happen(62, .staleCommitRefused(task: task, epoch: .first, checkpoint: scene.id(3), node: scene.a))
        let counts = counts(scene)
        #expect(counts.value(.checkpoints, ["default", "none", "failed"]) == 1)
        #expect(counts.value(.checkpoints, ["default", "unknown", "refused"]) == 1)
        // It stood still for it all the same.
        #expect(counts.histogram(.stopSeconds, ["default"])?.count == 3)
    }

    @Test("a checkpoint that is committed, or fails, after its task has ended is counted")
    func late() {
        var scene = Scene()
        let (soon, later) = (scene.submit("soon-1"), scene.submit("later-1"))
        for task in [soon, later] { scene.start(task, 5, on: scene.a) }
        let order = scene.begin(soon, 18, 1, on: scene.a)
        scene.checkpoint(later, 18, 1, finishing: 19, on: scene.a)
        scene.finish(soon, 19, on: scene.a)
        scene.happen(21, .checkpointFailed(task: soon, epoch: .first, checkpoint: scene.id(1), node: scene.a, order: order, reason: "gone"))
        let counts = counts(scene)
        #expect(counts.value(.checkpoints, ["default", "zstd", "committed"]) == 1)
        #expect(counts.value(.checkpoints, ["default", "zstd", "failed"]) == 1)
        #expect(counts.value(.tasksEnded, ["default", "finished"]) == 2)
        #expect(counts.value(.sentBytes, ["default", "zstd"]) == 40)
    }

    @Test("an event that is told again counts once")
    func once() {
        var (scene, task) = crash
        let committed = scene.events.last { if case .checkpointCommitted = $0.event { true } else { false } }
        if let committed { scene.happen(59, committed.event) }
        scene.happen(59, .taskStarted(task: task, epoch: .first, node: scene.a))
        scene.finish(task, 90, epoch: 2, on: scene.b)
        scene.finish(task, 91, epoch: 2, on: scene.b)
        let counts = counts(scene)
        #expect(counts.value(.checkpoints, ["default", "gzip", "committed"]) == 1)
        #expect(counts.value(.tasksEnded, ["default", "finished"]) == 1)
    }
}
