import Analysis
import Knowledge
import Planning
import Testing
import Vocabulary

@Suite("Checkpoints come by themselves where they pay")
struct SchedulingTests {
    @Test("a two-minute task on a reliable node is never checkpointed")
    func reliable() throws {
        var scene = Scene(mtbf: .hours(24 * 30))
        let task = scene.submit()
        scene.run(task, on: "a", for: 30)
        let decisions = scene.plan()
        #expect(decisions.map(\.kind) == [.schedule])
        #expect(scene.schedules[task]?.standing.intervalSeconds == nil)
        #expect(decisions[0].sentence.contains("no checkpoint"))
    }

    @Test("the same task on a node that failed three times in ten minutes is checkpointed")
    func failing() throws {
        var scene = Scene(nodes: ["a"], mtbf: .hours(24 * 30))
        for failure in 0..<3 {
            let time = 930 + Double(failure) * 10
            scene.happen(.nodeLost(node: NodeID("a"), phi: 9, silentSeconds: Seconds(6)), at: time)
            scene.happen(.nodeJoined(node: NodeID("a"), incarnation: Incarnation("n\(failure)"), hypervisor: Scene.capabilities), at: time + 3)
        }
        let task = scene.submit()
        scene.run(task, on: "a", for: 60)
        let decisions = scene.plan()
        let interval = try #require(scene.schedules[task]?.standing.intervalSeconds)
        #expect(interval < Seconds(120))
        #expect(decisions.contains { $0.kind == .checkpoint })
        let checkpoint = try #require(decisions.first { $0.kind == .checkpoint })
        for name in ["stopSeconds", "latencySeconds", "sentBytes", "compressSeconds", "uploadSeconds"] {
            #expect(checkpoint.inputs.contains { $0.name == name }, "prediction of \(name)")
        }
        #expect(checkpoint.steps.count == 1)
    }

    @Test("a plan that was carried out gives no new decisions")
    func idempotent() {
        var scene = Scene(nodes: ["a"], mtbf: Seconds(200))
        let task = scene.submit()
        scene.run(task, on: "a", for: 10)
        _ = scene.plan()
        #expect(scene.plan().filter { $0.kind == .schedule }.isEmpty)
    }

    @Test("no second checkpoint while one is under way")
    func underway() {
        var scene = Scene(nodes: ["a"], mtbf: Seconds(60))
        let task = scene.submit()
        scene.run(task, on: "a", for: 60)
        let decision = scene.plan().first { $0.kind == .checkpoint }
        #expect(decision != nil)
        scene.happen(
            .checkpointOrdered(
                task: task, epoch: .first, node: NodeID("a"), order: OrderID("o"), CheckpointOrder(codec: .zstd, replication: 2), decision: nil))
        #expect(scene.plan().filter { $0.kind == .checkpoint }.isEmpty)
    }

    @Test("a dearer network stretches the interval, monotonically")
    func networkPrice() {
        var intervals: [Double] = []
        for price in [0.0, 0.1, 1, 10] {
            var scene = Scene(nodes: ["a"], mtbf: Seconds(600))
            let task = scene.submit(work: 36_000, preference: .prices(Prices(timePerHour: 1, networkPerGiB: price, storagePerGiBHour: 0)))
            scene.run(task, on: "a", for: 20, of: 36_000)
            _ = scene.plan()
            intervals.append(scene.schedules[task]?.standing.intervalSeconds?.rawValue ?? .infinity)
        }
        #expect(intervals == intervals.sorted())
        #expect(intervals[0] * 1.5 < intervals[3])
    }

    @Test("who wants to finish sooner is checkpointed more often than who wants to spare the network")
    func preferences() throws {
        var intervals: [String: Seconds] = [:]
        for name in ["finish-sooner", "save-network"] {
            var scene = Scene(nodes: ["a"], mtbf: Seconds(300))
            let task = scene.submit(work: 3_600, preference: .named(name))
            scene.run(task, on: "a", for: 20, of: 3_600)
            let sentence = try #require(scene.plan().first { $0.kind == .schedule }).sentence
            #expect(sentence.contains(name))
            intervals[name] = scene.schedules[task]?.standing.intervalSeconds ?? Seconds(.infinity)
        }
        #expect(try #require(intervals["finish-sooner"]) * 1.2 < #require(intervals["save-network"]))
    }

    @Test("the limit of lost work binds, and is named")
    func lostWork() throws {
        var scene = Scene(nodes: ["a"], mtbf: .hours(100))
        let task = scene.submit(work: 3_600, limits: Limits(lostWorkSeconds: Seconds(40)))
        scene.run(task, on: "a", for: 20, of: 3_600)
        let decision = try #require(scene.plan().first { $0.kind == .schedule })
        #expect(decision.binding == "maximum lost work")
        let chosen = try #require(decision.chosen)
        #expect(decision.alternatives[chosen].violations.isEmpty)
        #expect(try #require(scene.schedules[task]?.standing.intervalSeconds) <= Seconds(40))
    }

    @Test("Audit decides and records, and the node is told to do nothing")
    func audit() throws {
        var scene = Scene(nodes: ["a"], mtbf: Seconds(60), settings: .init(mode: .audit, floorSeconds: Seconds(5)))
        let task = scene.submit()
        scene.run(task, on: "a", for: 60)
        let first = scene.plan()
        #expect(first.allSatisfy { $0.mode == .audit })
        #expect(first.contains { $0.kind == .checkpoint })
        #expect(scene.schedules[task]?.standing.intervalSeconds == nil)
        // Not every second the same again.
        scene.now = scene.now + Seconds(1)
        scene.heard[NodeID("a")] = scene.now
        #expect(scene.plan().filter { $0.kind == .checkpoint }.isEmpty)
    }

    @Test("rules override by label, and are named")
    func rules() throws {
        var scene = Scene(nodes: ["a"], mtbf: Seconds(100))
        scene.policy.rules = [.init(name: "bronze", when: .init(labels: ["tier": "bronze"]), set: .init(strategy: .never))]
        scene.happen(.policyLoaded(scene.policy, version: DocumentVersion(name: "default", digest: "sha256:p2")))
        let bronze = scene.submit("bronze-1", labels: ["tier": "bronze"])
        let gold = scene.submit("gold-1", labels: ["tier": "gold"])
        for task in [bronze, gold] { scene.run(task, on: "a", for: 30) }
        let decisions = scene.plan()
        #expect(scene.schedules[bronze]?.standing.intervalSeconds == nil)
        #expect(scene.schedules[gold]?.standing.intervalSeconds != nil)
        #expect(decisions.first { $0.task == bronze && $0.kind == .schedule }?.rules == ["bronze"])
    }

    @Test("the newest are kept, as many as the policy says, and that is decided once")
    func retention() throws {
        var scene = Scene(nodes: ["a"], mtbf: .hours(1_000), settings: .init(floorSeconds: Seconds(5), keepLast: 2))
        let task = scene.submit()
        scene.run(task, on: "a", for: 50)
        for number in 1...3 {
            scene.happen(.checkpointCommitted(Scene.checkpoint(task, number: number, at: 960 + Double(number), progress: 0.1 * Double(number))))
        }
        let prune = try #require(scene.plan().first { $0.kind == .prune })
        let kept = [2, 3].map { CheckpointID(epoch: .first, number: $0) }
        #expect(prune.steps == [.prune(task: task, node: NodeID("a"), epoch: .first, keep: kept)])
        #expect(scene.plan().filter { $0.kind == .prune }.isEmpty)
    }
}

@Suite("Nodes are lost, and tasks go on elsewhere")
struct NodeLossTests {
    @Test("a submitted task goes to the node with fewer tasks, or to the one asked for")
    func placement() throws {
        var scene = Scene()
        let first = scene.submit("t-1")
        scene.run(first, on: "a", for: 30)
        let second = scene.submit("t-2")
        let decision = try #require(scene.plan().first { $0.kind == .place })
        #expect(decision.steps == [.start(task: second, node: NodeID("b"))])
        #expect(decision.alternatives.count == 2)
    }

    @Test("of nodes that cost the same and have as many tasks, the one that fails least gets it, and then the one that has been up for longest")
    func oldest() throws {
        var scene = Scene()
        scene.submit("t-1")
        let decision = try #require(scene.plan().first { $0.kind == .place })
        #expect(decision.node == NodeID("a"))
        #expect(decision.alternatives.map(\.name) == ["a, with 0 other tasks, up for 100 s", "b, with 0 other tasks, up for 100 s"])
        let situation = try #require(decision.situation)
        #expect(situation.nodes?.map(\.ageSeconds) == [scene.now - Timestamp(900), scene.now - Timestamp(900)])
        let task = try #require(decision.task.flatMap { scene.knowledge.tasks[$0] })
        let policy = try #require(scene.knowledge.policies.values.first?.policy)
        func chosen(_ change: (inout [Situation.NodeOption]) -> Void) throws -> NodeID? {
            var other = decision
            var nodes = try #require(situation.nodes)
            change(&nodes)
            other.situation?.nodes = nodes
            return Replay(other, sla: task.sla, policy: policy)?.node
        }
        #expect(try chosen { $0[1].ageSeconds = .hours(1) } == NodeID("b"))
        #expect(
            try chosen {
                $0[1].ageSeconds = .hours(1); $0[0].failureRatePerSecond *= 0.999
            } == NodeID("a"))
        #expect(try chosen { $0[1].failureRatePerSecond *= 0.999 } == NodeID("b"))
        #expect(
            try chosen {
                $0[1].ageSeconds = .hours(1); $0[1].tasks = 1
            } == NodeID("a"))
        // As it was recorded before ages were: by name.
        #expect(
            try chosen {
                $0[0].ageSeconds = nil; $0[1].ageSeconds = nil; $0[1].failureRatePerSecond *= 0.999
            } == NodeID("a"))
    }

    @Test("two tasks submitted at once are spread")
    func spread() {
        var scene = Scene()
        scene.submit("t-1")
        scene.submit("t-2")
        #expect(Set(scene.plan().compactMap(\.node)) == [NodeID("a"), NodeID("b")])
    }

    @Test("a silent node is suspected, then declared lost and fenced, and only then is its task resumed")
    func lost() throws {
        var scene = Scene()
        let task = scene.submit()
        scene.run(task, on: "a", for: 50)
        scene.happen(.checkpointCommitted(Scene.checkpoint(task, number: 1, at: 980, progress: 0.2)))
        // 1 s heartbeats with half a second of deviation and 2 s of pause: 4.8 s is suspicious (phi 3), 6.5 s is lost (phi 8).
        scene.now = Timestamp(1_004.8)
        scene.heard[NodeID("b")] = scene.now
        #expect(scene.findings.nodes.first { $0.node == NodeID("a") }?.standing == .suspected)
        scene.now = Timestamp(1_006.5)
        scene.heard[NodeID("b")] = scene.now
        let first = scene.plan()
        let declared = try #require(first.first { $0.kind == .declareLost })
        #expect(declared.steps == [.declareLost(node: NodeID("a")), .fence(node: NodeID("a"))])
        #expect(first.filter { $0.kind == .resume }.isEmpty)

        scene.happen(.nodeLost(node: NodeID("a"), phi: 9, silentSeconds: Seconds(6.5)))
        // The fence failed: it is tried again, and nothing is resumed.
        let again = scene.plan()
        #expect(again.map(\.kind) == [.declareLost])
        #expect(again[0].steps == [.fence(node: NodeID("a"))])

        scene.happen(.nodeFenced(node: NodeID("a"), method: "process", detail: ""))
        let resume = try #require(scene.plan().first { $0.kind == .resume })
        #expect(resume.steps == [.resume(task: task, node: NodeID("b"), epoch: .first)])
        #expect(resume.inputs.first { $0.name == "silentSeconds" }?.value == 6.5)
        #expect(resume.sentence.contains("e000001-c000001"))
    }

    @Test("without another node, the task waits")
    func nowhere() {
        var scene = Scene(nodes: ["a"])
        let task = scene.submit()
        scene.run(task, on: "a", for: 50)
        scene.happen(.nodeLost(node: NodeID("a"), phi: 9, silentSeconds: Seconds(6)))
        scene.happen(.nodeFenced(node: NodeID("a"), method: "process", detail: ""))
        #expect(scene.plan().isEmpty)
    }

    @Test("a manager that has just started gives a silent node time")
    func justStarted() {
        var scene = Scene()
        scene.heard = [:]
        scene.now = Timestamp(803)
        #expect(scene.findings.nodes.allSatisfy { $0.standing == .trusted })
        scene.now = Timestamp(812)
        #expect(scene.findings.nodes.allSatisfy { $0.standing == .lost })
    }

    @Test("a guest that failed is resumed when it is gone, and given up after three failures from one state")
    func givingUp() throws {
        var scene = Scene()
        let task = scene.submit()
        scene.run(task, on: "a", for: 50)
        scene.happen(.taskFailed(task: task, epoch: .first, node: NodeID("a"), reason: "out of memory"))
        #expect(scene.plan().filter { $0.kind == .resume }.isEmpty)
        scene.observations[task] = nil
        #expect(scene.plan().contains { $0.kind == .resume })
        for epoch in 2...3 {
            let node = NodeID("a")
            scene.happen(.epochRaised(task: task, epoch: Epoch(epoch), node: node, from: nil))
            scene.happen(
                .taskResumed(
                    ResumeRecord(
                        task: task, node: node, epoch: Epoch(epoch), checkpoint: nil, fetchSeconds: .zero, restoreSeconds: .zero, fetchedBytes: .zero)
                ))
            scene.happen(.taskFailed(task: task, epoch: Epoch(epoch), node: node, reason: "out of memory"))
        }
        let decision = try #require(scene.plan().first)
        #expect(decision.kind == .giveUp)
        #expect(decision.sentence.contains("3 times") && decision.sentence.contains("out of memory"))
    }

    @Test("a task that fails from ever new checkpoints and gets no further is given up as well")
    func fruitless() throws {
        var scene = Scene()
        let task = scene.submit(work: 10_000)
        scene.run(task, on: "a", for: 50, of: 10_000)
        for number in 1...6 {
            // A second further each time, and another checkpoint just before.
            let epoch = Epoch(number)
            let progress = 0.005 + 0.0001 * Double(number)
            scene.happen(.checkpointCommitted(Scene.checkpoint(task, epoch: epoch, number: number, at: 990, progress: progress)))
            scene.happen(.taskFailed(task: task, epoch: epoch, node: NodeID("a"), reason: "page table"))
            scene.observations[task] = nil
            let kinds = scene.plan().map(\.kind)
            #expect(kinds.contains(number < 6 ? .resume : .giveUp), "\(number)")
            guard number < 6 else { break }
            scene.happen(
                .epochRaised(task: task, epoch: Epoch(number + 1), node: NodeID("a"), from: CheckpointID(epoch: epoch, number: number)))
            scene.happen(
                .taskResumed(
                    ResumeRecord(
                        task: task, node: NodeID("a"), epoch: Epoch(number + 1), checkpoint: CheckpointID(epoch: epoch, number: number),
                        fetchSeconds: .zero, restoreSeconds: .zero, fetchedBytes: .zero)))
        }
        let decision = try #require(scene.plan().first { $0.kind == .giveUp })
        #expect(decision.sentence.contains("6 times without getting further") && decision.sentence.contains("page table"))
    }
}
