import Autonomics
import Ports
import Simulator
import Testing
import Vocabulary

private let everyTen = CheckpointPolicy.Settings(strategy: .fixed(Seconds(10)), floorSeconds: Seconds(5))

@Suite("The loop keeps a task going", .timeLimit(.minutes(2)))
struct LoopTests {
    @Test("a task runs to its end, and its guest is gone then")
    func runsToItsEnd() async throws {
        let world = try await World(settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 40)
        #expect(try await world.wait(60) { try await world.finished(task) != nil })
        #expect(try await world.finished(task) == SimulatedGuest.result(steps: 40))
        try await world.pass(3)
        #expect(world.guests(of: task).isEmpty)
        #expect(try await world.events.filter { if case .checkpointCommitted = $0.event { true } else { false } }.count >= 3)
        try await world.checkRules(work: 40)
    }

    @Test("a lost node: suspected, lost, fenced, its task resumed elsewhere from the newest checkpoint, and finished right")
    func nodeLoss() async throws {
        let world = try await World(settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(30)
        world.powerOff("a")
        #expect(try await world.wait(90) { try await world.finished(task) != nil })
        var story: [String] = []
        for record in try await world.events {
            switch record.event {
            case .nodeSuspected(NodeID("a"), _, _): story.append("suspected")
            case .nodeLost(NodeID("a"), _, _): story.append("lost")
            case .nodeFenced(NodeID("a"), "process", _): story.append("fenced")
            case .epochRaised(task, Epoch(2), _, let from):
                story.append("raised")
                #expect(from != nil)
            case .taskResumed(let resumption):
                story.append("resumed")
                #expect(resumption.node != NodeID("a") && resumption.checkpoint != nil)
            case .taskFinished: story.append("finished")
            default: break
            }
        }
        #expect(story == ["suspected", "lost", "fenced", "raised", "resumed", "finished"])
        try await world.checkRules(work: 60)
    }

    @Test("a node that was away comes back: its commit is refused and its guest ended", arguments: [true, false])
    func staleNode(isCheckpointing: Bool) async throws {
        // At the longer interval no standing checkpoint is due before the node is back.
        let interval = Seconds(isCheckpointing ? 10 : 25)
        let world = try await World(settings: .init(strategy: .fixed(interval), floorSeconds: Seconds(5)), fence: .storeOnly)
        try await world.startAll()
        let task = try await world.submit(work: 80, node: "a")
        try await world.pass(isCheckpointing ? 25 : 35)
        world["a"].link.cut(true)
        #expect(try await world.wait(20) { world.guests(of: task).contains { $0.epoch == 2 } })
        // The old guest runs on, and its agent goes on with the standing plan.
        #expect(world.guests(of: task).count == 2)
        if isCheckpointing {
            #expect(try await world.wait(40) { !world.guests(of: task).contains { $0.node == NodeID("a") } })
        }
        world["a"].link.cut(false)
        try await world.pass(4)
        #expect(world.guests(of: task).map(\.epoch) == [2])
        let refused = try await world.events.contains {
            if case .staleCommitRefused(task, Epoch(1), _, NodeID("a")) = $0.event { true } else { false }
        }
        #expect(refused == isCheckpointing)
        #expect(try await world.wait(100) { try await world.finished(task) != nil })
        try await world.checkRules(work: 80)
    }

    @Test("the manager is away: the agent goes on with its standing plan and tells later")
    func managerAway() async throws {
        let world = try await World(nodes: ["a"], settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 90)
        try await world.pass(15)
        world.killManager()
        let before = world.store.changes.filter { if case .committed = $0 { true } else { false } }.count
        try await world.pass(50)
        let after = world.store.changes.filter { if case .committed = $0 { true } else { false } }.count
        #expect(after >= before + 3)
        try await world.startManager()
        #expect(try await world.wait(60) { try await world.finished(task) != nil })
        let told = try await world.events.filter { if case .checkpointCommitted = $0.event { true } else { false } }.count
        #expect(told >= after)
        // It was the manager that was away, not the node.
        #expect(try await !world.events.contains { if case .nodeLost = $0.event { true } else { false } })
        try await world.checkRules(work: 90)
    }

    @Test("a task that fails by itself again and again is given up, with the reason")
    func givenUp() async throws {
        let world = try await World(settings: .init(strategy: .never))
        try await world.startAll()
        let task = try await world.submit(run: "chain 60 failing-at 10")
        var reason: String?
        #expect(
            try await world.wait(120) {
                for record in try await world.events { if case .taskGivenUp(task, let why) = record.event { reason = why } }
                return reason != nil
            })
        #expect(reason == "failed 3 times from the same state, last with: the guest reports: at step 10")
        try await world.pass(3)
        #expect(world.guests(of: task).isEmpty)
    }

    @Test("a task that stands still while its guest runs is told of, once, and left alone")
    func standsStill() async throws {
        let world = try await World(nodes: ["a"], settings: .init(strategy: .never))
        try await world.startAll()
        let task = try await world.submit(run: "chain 60 hanging-at 20")
        var stalls: [(progress: Double, length: Seconds)] = []
        func look() async throws {
            stalls = try await world.events.compactMap {
                if case .taskStalled(task, _, _, let at, let length) = $0.event { (at, length) } else { nil }
            }
        }
        #expect(
            try await world.wait(240) {
                try await look()
                return !stalls.isEmpty
            })
        try await world.pass(60)
        try await look()
        #expect(stalls.count == 1)
        #expect(abs((stalls.first?.progress ?? 0) - 20.0 / 60) < 0.02)
        #expect((stalls.first?.length ?? .zero) > .minutes(2))
        #expect(world.guests(of: task).count == 1)
        #expect(world.log.contains { $0.contains("stands still") })
    }

    @Test("a cancelled task's guest is ended, also while it is being checkpointed")
    func cancelled() async throws {
        let world = try await World(settings: everyTen)
        try await world.startAll()
        let task = try await world.submit()
        #expect(try await world.wait(30) { try await world.events.contains { if case .checkpointStarted = $0.event { true } else { false } } })
        try await #require(world.manager).cancel(task, by: "ann")
        try await world.pass(4)
        #expect(world.guests(of: task).isEmpty)
        #expect(try await world.finished(task) == nil)
        await #expect(throws: CommandError.conflict("\(task) is cancelled already")) { try await #require(world.manager).cancel(task, by: "ann") }
    }

    @Test("without a spare node the task waits, and resumes when one joins")
    func noSpare() async throws {
        let world = try await World(nodes: ["a", "b"], settings: everyTen)
        try await world.startManager()
        world.startAgent("a")
        let task = try await world.submit()
        try await world.pass(25)
        world.powerOff("a")
        try await world.pass(40)
        #expect(try await !world.events.contains { if case .epochRaised = $0.event { true } else { false } })
        world.startAgent("b")
        #expect(try await world.wait(80) { try await world.finished(task) != nil })
        try await world.checkRules(work: 60)
    }

    @Test("the only node comes back, with its disk or with a new one: the task goes on", arguments: [false, true])
    func onlyNodeComesBack(isWiped: Bool) async throws {
        let world = try await World(nodes: ["a"], settings: everyTen)
        try await world.startAll()
        let task = try await world.submit()
        try await world.pass(30)
        world.powerOff("a")
        try await world.pass(20)
        if isWiped { try world.wipe("a") }
        world.startAgent("a")
        #expect(try await world.wait(90) { try await world.finished(task) != nil }, "\(world.story())")
        try await world.checkRules(work: 60)
    }

    @Test("taken back by command, a task goes on from its newest checkpoint")
    func takenBack() async throws {
        let world = try await World(settings: everyTen)
        try await world.startAll()
        let task = try await world.submit()
        try await world.pass(30)
        try await #require(world.manager).restore(task, by: "ann")
        #expect(try await world.wait(80) { try await world.finished(task) != nil })
        #expect(try await world.events.contains { if case .taskResumed(let it) = $0.event { it.checkpoint != nil } else { false } })
        try await world.checkRules(work: 60)
    }
}

@Suite("Decisions come by themselves, and in Audit mode stay decisions", .timeLimit(.minutes(2)))
struct DecisionTests {
    @Test("a two-minute task on a reliable node is never checkpointed")
    func reliable() async throws {
        let world = try await World(nodes: ["a"], settings: .init(floorSeconds: Seconds(5)))
        try await world.startAll()
        let task = try await world.submit(work: 120)
        #expect(try await world.wait(140) { try await world.finished(task) != nil })
        #expect(try await !world.events.contains { if case .checkpointOrdered = $0.event { true } else { false } })
    }

    @Test("the same task on a node that keeps failing is checkpointed, by itself")
    func failing() async throws {
        let world = try await World(nodes: ["a"], settings: .init(floorSeconds: Seconds(5)))
        try await world.startAll()
        for _ in 0..<3 {
            try await world.pass(5)
            world.powerOff("a")
            try await world.pass(12)
            world.startAgent("a")
        }
        let task = try await world.submit(work: 120)
        #expect(try await world.wait(200) { try await world.finished(task) != nil })
        #expect(try await world.events.filter { if case .checkpointCommitted = $0.event { true } else { false } }.count >= 2)
        // Predictions have met what came true.
        let decision = try #require(try await world.ledger.decisions(DecisionQuery(task: task, kinds: [.checkpoint])).first)
        #expect(try await world.ledger.outcomes(of: decision.id).contains { $0.quantity == "stopSeconds" && $0.predicted != nil })
        try await world.checkRules(work: 120)
    }

    /// The mode is a checkpoint policy's: tasks are placed and resumed, since not to run them would be no audit of anything.
    @Test("Audit decides on checkpoints and takes none, also when the manager is away; tasks run and are resumed")
    func audit() async throws {
        let world = try await World(settings: .init(mode: .audit, strategy: .fixed(Seconds(10)), floorSeconds: Seconds(5)))
        try await world.startAll()
        let task = try await world.submit(work: 50, node: "a")
        try await world.pass(25)
        world.killManager()
        try await world.pass(20)
        try await world.startManager()
        world.powerOff("a")
        #expect(try await world.wait(100) { try await world.finished(task) != nil })
        let decisions = try await world.ledger.decisions(DecisionQuery(task: task))
        #expect(decisions.contains { $0.kind == .checkpoint && $0.mode == .audit })
        #expect(decisions.filter { $0.kind == .checkpoint }.count <= 9)
        #expect(!world.store.paths.contains { $0.contains("/objects/") })
        #expect(try await world.events.contains { if case .taskResumed(let it) = $0.event { it.checkpoint == nil } else { false } })
        try await world.checkRules(work: 50)
    }
}
