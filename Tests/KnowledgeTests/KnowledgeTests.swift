import Testing
import Vocabulary

@testable import Knowledge

@Suite("Knowledge is folded from events")
struct KnowledgeTests {
    let node = NodeID("a")
    let other = NodeID("b")
    let task = TaskID("t-1")

    func record(_ event: Event, at seconds: Double = 0) -> EventRecord { EventRecord(at: Timestamp(seconds), source: .manager, event: event) }

    var submission: TaskSubmission {
        let spec = TaskSpec(image: "demo", memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "hashchain", workSeconds: Seconds(100))
        let sla = TaskSLA(name: "t", task: spec, progress: .cpuTime)
        return TaskSubmission(task: task, sla: sla, version: DocumentVersion(name: "t", digest: "sha256:0"), submittedAt: Timestamp(0))
    }

    func checkpoint(_ epoch: Int, _ number: Int, progress: Double) -> CheckpointRecord {
        let id = CheckpointID(epoch: Epoch(epoch), number: number)
        return CheckpointRecord(
            id: id, task: task, node: node, epoch: Epoch(epoch), parent: nil, capturedAt: Timestamp(10), committedAt: Timestamp(12),
            way: .liveSnapshot,
            progress: progress, stopSeconds: Seconds(0.1), latencySeconds: Seconds(2), uploadSeconds: Seconds(1), compressSeconds: Seconds(1),
            memoryBytes: ByteCount(10), diskBytes: ByteCount(10), nonZeroBytes: ByteCount(10), sentBytes: ByteCount(5), codec: .zstd, replication: 1,
            includedBase: false, order: OrderID("o\(epoch)-\(number)"))
    }

    var started: Knowledge {
        Knowledge().folding([
            record(.taskSubmitted(submission)), record(.taskPlaced(task: task, epoch: .first, node: node)),
            record(.taskStarted(task: task, epoch: .first, node: node), at: 5),
        ])
    }

    @Test("the tasks of a node are those that it has or is to have, oldest first")
    func places() {
        var second = submission
        (second.task, second.submittedAt) = (TaskID("t-0"), Timestamp(1))
        let both = started.folding([record(.taskSubmitted(second)), record(.taskPlaced(task: second.task, epoch: .first, node: node))])
        #expect(both.tasks(on: node).map(\.id) == [task, second.task] && both.load(of: node) == 2 && both.load(of: other) == 0)
        let moved = both.folding([record(.epochRaised(task: task, epoch: Epoch(2), node: other, from: nil))])
        #expect(moved.tasks(on: node).map(\.id) == [second.task] && moved.tasks(on: other).map(\.id) == [task])
        let refused = moved.folding([record(.taskRefused(task: task, epoch: Epoch(2), node: other, reason: "full"))])
        #expect(refused.load(of: other) == 1)
        let ended = refused.folding([record(.taskCancelled(task: task, by: "me")), record(.taskCancelled(task: second.task, by: "me"))])
        #expect(ended.load(of: node) == 0 && ended.load(of: other) == 0 && ended.tasks(on: other).isEmpty)
        #expect(ended.liveTaskIDs.isEmpty && both.liveTaskIDs == [task, second.task])
    }

    @Test("a task is submitted, placed, runs and finishes")
    func life() {
        #expect(started.tasks[task]?.state == .running(node))
        let ended = started.folding([record(.taskFinished(task: task, epoch: .first, node: node, result: "abc"), at: 100)])
        #expect(ended.tasks[task]?.state == .finished(result: "abc"))
        #expect(ended.liveTasks.isEmpty)
    }

    @Test("what a stale epoch says does not count")
    func staleEpoch() {
        let raised = started.folding([
            record(.checkpointCommitted(checkpoint(1, 1, progress: 0.4))),
            record(.epochRaised(task: task, epoch: Epoch(2), node: other, from: CheckpointID(epoch: .first, number: 1)), at: 50),
            // The node that was taken for dead reports its result, and another checkpoint.
            record(.taskFinished(task: task, epoch: .first, node: node, result: "stale"), at: 51),
            record(.checkpointCommitted(checkpoint(1, 2, progress: 0.6)), at: 52),
        ])
        #expect(raised.tasks[task]?.state == .resuming(other, from: CheckpointID(epoch: .first, number: 1)))
        #expect(raised.tasks[task]?.committed.map(\.id) == [CheckpointID(epoch: .first, number: 1)])
        #expect(raised.tasks[task]?.interruptions.map(\.cause) == [.node])
    }

    @Test("a resumed task starts from its checkpoint's progress")
    func resumed() {
        let from = CheckpointID(epoch: .first, number: 1)
        let record = ResumeRecord(
            task: task, node: other, epoch: Epoch(2), checkpoint: from, fetchSeconds: Seconds(1), restoreSeconds: Seconds(1),
            fetchedBytes: ByteCount(1))
        let known = started.folding([
            self.record(.checkpointCommitted(checkpoint(1, 1, progress: 0.4))),
            self.record(.epochRaised(task: task, epoch: Epoch(2), node: other, from: from), at: 50), self.record(.taskResumed(record), at: 60),
        ])
        #expect(known.tasks[task]?.state == .running(other))
        #expect(known.tasks[task]?.progressAtStart == 0.4)
        #expect(known.tasks[task]?.runningSince == Timestamp(60))
    }

    @Test("exposure counts the time a node was seen alive, without the silence before it was declared lost")
    func exposure() {
        let capabilities = HypervisorCapabilities(uri: "", driver: "", version: "", acceleration: .emulation, captureWays: [])
        let known = Knowledge().folding([
            record(.nodeJoined(node: node, incarnation: Incarnation("1"), hypervisor: capabilities), at: 100),
            record(.nodeLost(node: node, phi: 9, silentSeconds: Seconds(5)), at: 165),
        ])
        // 165 − 100 − 5 of silence
        #expect(known.nodes[node]?.exposure(at: Timestamp(1000)) == Seconds(60))
        #expect(known.nodes[node]?.failures == 1)
        let back = known.folding([record(.nodeJoined(node: node, incarnation: Incarnation("2"), hypervisor: capabilities), at: 200)])
        #expect(back.nodes[node]?.exposure(at: Timestamp(210)) == Seconds(70))
        #expect(back.nodes[node]?.standing == .trusted)
    }

    @Test("a node's lives are kept apart, each as long as it was seen")
    func lives() {
        let capabilities = HypervisorCapabilities(uri: "", driver: "", version: "", acceleration: .emulation, captureWays: [])
        let known = Knowledge().folding([
            record(.nodeJoined(node: node, incarnation: Incarnation("1"), hypervisor: capabilities), at: 100),
            // An agent that starts again while its node is trusted begins no new life.
            record(.nodeJoined(node: node, incarnation: Incarnation("2"), hypervisor: capabilities), at: 130),
            record(.nodeLost(node: node, phi: 9, silentSeconds: Seconds(5)), at: 165),
            record(.nodeJoined(node: node, incarnation: Incarnation("3"), hypervisor: capabilities), at: 200),
        ])
        #expect(known.nodes[node]?.lives == [NodeKnowledge.Life(seconds: Seconds(60), lostAt: Timestamp(165))])
        #expect(known.nodes[node]?.age(at: Timestamp(240)) == Seconds(40))
        #expect(
            known.folding([record(.nodeLost(node: node, phi: 9, silentSeconds: Seconds(5)), at: 300)]).nodes[node]?.age(at: Timestamp(310)) == .zero)
    }

    @Test("a node that is seen for the first time is as old as it says; what was not seen of it is no time observed; one that comes back is new")
    func uptime() {
        let capabilities = HypervisorCapabilities(uri: "", driver: "", version: "", acceleration: .emulation, captureWays: [])
        func joined(_ incarnation: String, uptime: Double?, at time: Double) -> EventRecord {
            record(
                .nodeJoined(
                    node: node, incarnation: Incarnation(incarnation), hypervisor: capabilities, uptimeSeconds: uptime.map { Seconds($0) }), at: time)
        }
        var known = Knowledge().folding([joined("1", uptime: 5000, at: 100)])
        #expect(known.nodes[node]?.age(at: Timestamp(130)) == Seconds(5030))
        #expect(known.nodes[node]?.exposure(at: Timestamp(130)) == Seconds(30))
        // Its agent starts again: nothing else does.
        known = known.folding([joined("2", uptime: 5040, at: 140)])
        #expect(known.nodes[node]?.age(at: Timestamp(150)) == Seconds(5050))
        known = known.folding([record(.nodeLost(node: node, phi: 9, silentSeconds: Seconds(5)), at: 165)])
        #expect(
            known.nodes[node]?.lives == [NodeKnowledge.Life(ageWhenSeen: Seconds(5000), seconds: Seconds(60), lostAt: Timestamp(165))])
        #expect(known.nodes[node]?.age(at: Timestamp(170)) == .zero)
        // Only its network had been away: that was a failure too, and a life begins.
        known = known.folding([joined("2", uptime: 5100, at: 200)])
        #expect(known.nodes[node]?.age(at: Timestamp(210)) == Seconds(10))
        let silent = Knowledge().folding([joined("1", uptime: nil, at: 100)])
        #expect(silent.nodes[node]?.age(at: Timestamp(130)) == Seconds(30))
    }

    @Test("a task's own failures are counted apart, and those that come no further among them; time that it ran is added up")
    func ownFailures() {
        func sample(_ fraction: Double, _ epoch: Int, at seconds: Double) -> EventRecord {
            record(
                .progressSeen(
                    ProgressSample(
                        task: task, epoch: Epoch(epoch), node: node, at: Timestamp(seconds), fraction: fraction, cpuSeconds: .zero,
                        blockWrittenBytes: .zero)), at: seconds)
        }
        var known = started
        var time = 5.0
        // 0.4, 0.405, 0.409: no hundredth further; 0.5; and its node fails once as well.
        for (index, reached) in [0.4, 0.405, 0.409, 0.5].enumerated() {
            known = known.folding([
                sample(reached, index + 1, at: time + 10),
                record(.taskFailed(task: task, epoch: Epoch(index + 1), node: node, reason: "broken"), at: time + 20),
                // Said again by an agent that started again.
                record(.taskFailed(task: task, epoch: Epoch(index + 1), node: node, reason: "broken"), at: time + 21),
            ])
            #expect(known.tasks[task]?.fruitlessFailures == [1, 2, 3, 1][index])
            known = known.folding([
                record(.epochRaised(task: task, epoch: Epoch(index + 2), node: node, from: nil), at: time + 25),
                record(
                    .taskResumed(
                        ResumeRecord(
                            task: task, node: node, epoch: Epoch(index + 2), checkpoint: nil, fetchSeconds: .zero, restoreSeconds: .zero,
                            fetchedBytes: .zero)), at: time + 30),
            ])
            time += 30
        }
        #expect(known.tasks[task]?.ownFailures == 4)
        // 20 s in each of four lives, and 7 of the fifth.
        #expect(known.tasks[task]?.ranSeconds(at: Timestamp(time + 7)) == Seconds(87))
        known = known.folding([record(.epochRaised(task: task, epoch: Epoch(6), node: other, from: nil), at: time + 8)])
        #expect(known.tasks[task]?.ownFailures == 4)
        #expect(known.tasks[task]?.ranSeconds(at: Timestamp(time + 100)) == Seconds(88))
    }

    @Test("that a task stands still is kept until it moves again")
    func stalled() {
        func sample(_ fraction: Double, at seconds: Double) -> EventRecord {
            record(
                .progressSeen(
                    ProgressSample(
                        task: task, epoch: .first, node: node, at: Timestamp(seconds), fraction: fraction, cpuSeconds: .zero,
                        blockWrittenBytes: .zero)), at: seconds)
        }
        let still = started.folding([
            sample(0.1, at: 10), sample(0.2, at: 40), sample(0.2, at: 60),
            record(.taskStalled(task: task, epoch: .first, node: node, progress: 0.2, stalledSeconds: Seconds(900)), at: 940),
        ])
        #expect(still.tasks[task]?.isStalled == true)
        #expect(still.tasks[task]?.longestPause == Seconds(30))
        #expect(still.folding([sample(0.2, at: 950)]).tasks[task]?.isStalled == true)
        // A source that begins anew moves as well.
        #expect(still.folding([sample(0, at: 950)]).tasks[task]?.isStalled == true)
        let moved = still.folding([sample(0, at: 950), sample(0.01, at: 955)])
        #expect(moved.tasks[task]?.isStalled == false)
        #expect(moved.tasks[task]?.advancedAt == Timestamp(955))
    }

    @Test("folding in pieces gives what folding at once gives")
    func pieces() {
        let events: [Event] = [
            .taskSubmitted(submission), .taskPlaced(task: task, epoch: .first, node: node), .taskStarted(task: task, epoch: .first, node: node),
            .checkpointOrdered(
                task: task, epoch: .first, node: node, order: OrderID("o1-1"), CheckpointOrder(codec: .zstd, replication: 2), decision: nil),
            .checkpointCommitted(checkpoint(1, 1, progress: 0.4)),
        ]
        let records = events.enumerated().map { record($1, at: Double($0)) }
        let atOnce = Knowledge().folding(records)
        #expect(atOnce.tasks[task]?.underway == nil)
        #expect(atOnce == records.reduce(Knowledge()) { $0.folding([$1]) })
    }
}
