import Autonomics
import CheckpointEngine
import Foundation
import Ports
import SQLiteLedger
import Simulator
import Testing
import Vocabulary

private let everyTen = CheckpointPolicy.Settings(strategy: .fixed(Seconds(10)), floorSeconds: Seconds(5))

extension World {
    func count(_ isWanted: (Event) -> Bool) async throws -> Int { try await events.filter { isWanted($0.event) }.count }
    fileprivate var commits: Int { get async throws { try await count { if case .checkpointCommitted = $0 { true } else { false } } } }
}

@Suite("The link between agent and manager is bad", .timeLimit(.minutes(2)))
struct LinkTests {
    static let troubles: [(String, DirectLink.Trouble)] = [
        ("reports are lost", .init(loseReport: 0.3)), ("answers are lost", .init(loseAnswer: 0.4)), ("all is told twice", .init(duplicate: 1)),
        ("old reports come again", .init(replay: 0.5)), ("it is slow", .init(delay: 0.5, delaySeconds: Seconds(2.5))),
    ]

    @Test("the task runs to its right end", arguments: troubles.indices, UInt64(1)...4)
    func bad(trouble: Int, seed: UInt64) async throws {
        let world = try await World(seed: seed, nodes: ["a", "b"], settings: everyTen, fence: .storeOnly)
        try await world.startAll()
        for node in world.nodes.values { node.link.trouble(Self.troubles[trouble].1) }
        let task = try await world.submit(work: 50)
        #expect(try await world.wait(400) { try await world.finished(task) != nil }, "\(Self.troubles[trouble].0), seed \(seed)")
        #expect(try await world.commits > 0)
        try await world.checkRules(work: 50)
    }
}

@Suite("A manager starts again", .timeLimit(.minutes(2)))
struct RestartTests {
    @Test("on the same SQLite file, in the middle of checkpoints, it knows what it knew", arguments: UInt64(1)...3)
    func sqlite(seed: UInt64) async throws {
        let path = NSTemporaryDirectory() + "cairn-ledger-\(UUID().uuidString).db"
        defer { for end in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + end) { unlink(path + end) } }
        var ledger = try SQLiteLedger.open(path: path)
        let world = try await World(seed: seed, nodes: ["a", "b"], settings: everyTen, ledger: ledger)
        try await world.startAll()
        let task = try await world.submit(work: 50)
        var kills = 0
        #expect(
            try await world.wait(200) {
                if world.manager == nil {
                    // What the first process had open is closed with it.
                    try ledger.close()
                    ledger = try SQLiteLedger.open(path: path)
                    world.ledger = ledger
                    try await world.startManager()
                } else if kills < 4, !world.managerFaults.isDead, world.random.happens(0.2) {
                    kills += 1
                    world.crashManagerSoon(within: 20)
                }
                if kills == 2, world["a"].agent != nil, world.guests(of: task).contains(where: { $0.node == NodeID("a") }) { world.powerOff("a") }
                return try await world.finished(task) != nil
            }, "seed \(seed)\n\(world.story())")
        #expect(kills > 0)
        try await world.checkRules(work: 50)
        try ledger.close()
    }

    @Test("it knows from the ledger the processes of a node that went meanwhile, and ends them before anything is resumed")
    func processesOutliveTheManager() async throws {
        let world = try await World(settings: .init(strategy: .fixed(Seconds(25)), floorSeconds: Seconds(5)), fence: .process)
        try await world.startAll()
        let task = try await world.submit(work: 80, node: "a")
        try await world.pass(35)
        world.killManager()
        world["a"].link.cut(true)
        try await world.startManager()
        #expect(try await world.wait(30) { world.guests(of: task).contains { $0.epoch == 2 } })
        #expect(world.guests(of: task).map(\.epoch) == [2])
        #expect(world["a"].agent == nil)
        let fenced = try await world.events.compactMap { record in
            if case .nodeFenced(NodeID("a"), let method, _) = record.event { method } else { nil }
        }
        #expect(fenced == ["process"])
        #expect(try await world.wait(100) { try await world.finished(task) != nil })
        try await world.checkRules(work: 80)
    }

    @Test("a manager that was suspended blames no node for its own absence")
    func ownAbsence() async throws {
        let world = try await World(settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(15)
        // A minute in which neither the manager nor an agent does anything: the machine slept, or its clock was set forward.
        await world.time.advance(by: Seconds(60))
        // The manager is the first to wake.
        try await #require(world.manager).runOnce()
        #expect(try await world.wait(100) { try await world.finished(task) != nil })
        #expect(try await world.count { if case .nodeLost = $0 { true } else { false } } == 0)
        try await world.checkRules(work: 60)
    }

    @Test("a second agent of a node's name is refused while the first one is alive, and heard once it is not")
    func rivals() async throws {
        let world = try await World(nodes: ["a"], settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 60)
        try await world.pass(15)
        let manager = try #require(world.manager)
        let rival = NodeReport(
            node: NodeID("a"), incarnation: Incarnation("rival"),
            capabilities: HypervisorCapabilities(uri: "", driver: "", version: "", acceleration: .emulation, captureWays: []),
            processes: NodeProcesses(agent: ProcessIdentity(pid: 1, startTicks: 1), guests: [], directory: "/elsewhere"), sentAt: world.time.now(),
            tasks: [], events: [])
        await #expect(throws: CommandError.self) { try await manager.exchange(rival) }
        #expect(world.guests(of: task).count == 1)
        world.killAgent("a")
        try await world.pass(4)
        _ = try await manager.exchange(rival)
    }

    @Test("a node's machine is as old as its agent says when it joins")
    func uptime() async throws {
        let world = try await World(nodes: ["a"], settings: everyTen)
        try await world.pass(30)
        try await world.startAll()
        try await world.pass(5)
        let told = try await world.events.compactMap {
            if case .nodeJoined(_, _, _, let uptime) = $0.event { uptime } else { Seconds?.none }
        }
        #expect(told.count == 1)
        #expect(told.allSatisfy { $0 >= World.uptime + Seconds(30) && $0 < World.uptime + Seconds(36) })
    }

    @Test("known processes are ended before anything is resumed")
    func knownProcesses() async throws {
        let world = try await World(settings: everyTen, fence: .process)
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(25)
        world["a"].link.cut(true)
        #expect(try await world.wait(30) { world.guests(of: task).contains { $0.epoch == 2 } })
        #expect(world.guests(of: task).map(\.epoch) == [2])
        #expect(world["a"].agent == nil)
        #expect(try await world.wait(100) { try await world.finished(task) != nil })
        try await world.checkRules(work: 60)
    }

    @Test("with an empty ledger it ends no guest that it does not know, and gives a new task another name")
    func ledgerLost() async throws {
        let world = try await World(nodes: ["a"], settings: everyTen)
        try await world.startAll()
        let old = try await world.submit(work: 60)
        try await world.pass(20)
        world.killManager()
        world.ledger = MemoryLedger()
        try await world.startManager()
        try await world.pass(5)
        #expect(world.guests(of: old).count == 1)
        let new = try await world.submit(work: 60)
        #expect(old == TaskID("t-1") && new == TaskID("t-2"))
        #expect(try await world.wait(100) { try await world.finished(new) != nil })
    }
}

@Suite("What is needed does not answer", .timeLimit(.minutes(2)))
struct OutageTests {
    @Test("the store is away: it is noted, nothing is lost, and the first checkpoint after it is whole")
    func store() async throws {
        let world = try await World(nodes: ["a", "b"], settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 120, node: "a")
        try await world.pass(18)
        let before = try await world.commits
        #expect(before > 0)
        world.store.setAvailable(false)
        try await world.pass(40)
        #expect(try await world.commits == before)
        #expect(try await world.count { if case .storeHealthChanged(let health) = $0 { !health.reachable } else { false } } == 1)
        #expect(try await world.count { if case .checkpointFailed = $0 { true } else { false } } >= 2)
        world.store.setAvailable(true)
        #expect(try await world.wait(45) { try await world.commits > before })
        #expect(try await world.count { if case .storeHealthChanged(let health) = $0 { health.reachable } else { false } } == 2)
        world.powerOff("a")
        #expect(try await world.wait(200) { try await world.finished(task) != nil })
        try await world.checkRules(work: 120)
    }

    @Test("decisions that cannot be carried out are not made at every turn")
    func noStorm() async throws {
        let world = try await World(nodes: ["a", "b"], settings: everyTen)
        try await world.startAll()
        try await world.pass(3)
        let task = try await world.submit(work: 30)
        world.store.setAvailable(false)
        try await world.pass(120)
        #expect(try await world.ledger.decisions(DecisionQuery(task: task, kinds: [.place])).count <= 10)
        world.store.setAvailable(true)
        #expect(try await world.wait(90) { try await world.finished(task) != nil })
    }

    @Test("a fence that fails is tried again, and until then nothing is resumed")
    func fence() async throws {
        let world = try await World(settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(20)
        world.fence.fail(times: 4)
        world.powerOff("a")
        #expect(try await world.wait(60) { try await world.count { if case .nodeFenced = $0 { true } else { false } } == 1 })
        var hasFenced = false
        for record in try await world.events {
            if case .nodeFenced = record.event { hasFenced = true }
            if case .epochRaised = record.event { #expect(hasFenced) }
        }
        #expect(try await world.count { if case .fenceFailed = $0 { true } else { false } } == 4)
        #expect(try await world.wait(90) { try await world.finished(task) != nil })
        try await world.checkRules(work: 60)
    }

    @Test("the ledger's answers are lost: what it holds is known all the same", arguments: 0..<12)
    func ledger(skipping: Int) async throws {
        let world = try await World(nodes: ["a"], settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 40)
        world.managerFaults.fail("ledger.append", .after, skipping: skipping, times: 1)
        #expect(try await world.wait(80) { try await world.finished(task) != nil })
        // It was not only folded at the end: checkpoints went on.
        #expect(try await world.commits >= 2)
        try await world.pass(3)
        #expect(world.guests(of: task).isEmpty)
        try await world.checkRules(work: 40)
    }

    @Test("an agent whose journal does not take a word, the task's end among them, says it later", arguments: 0..<5)
    func journal(skipping: Int) async throws {
        let world = try await World(nodes: ["a"], settings: .init(strategy: .never))
        try await world.startAll()
        let task = try await world.submit(work: 20)
        try await world.pass(15)
        // Samples are written down every five seconds, and the end with the last of them.
        world["a"].faults.fail("journal.write", skipping: skipping, times: 1)
        #expect(try await world.wait(60) { try await world.finished(task) != nil })
    }
}

@Suite("Several want something at once", .timeLimit(.minutes(2)))
struct RaceTests {
    @Test("a command that decides during a turn of the loop takes another number")
    func numbers() async throws {
        let world = try await World(nodes: ["a"], settings: .init(strategy: .fixed(Seconds(20)), floorSeconds: Seconds(5)))
        // Recording takes half a second, in which the command comes.
        try await world.startManager(ledgerPace: ["ledger.record": Seconds(0.5)])
        world.startAgent("a")
        let (task, other) = (try await world.submit(work: 60), try await world.submit("u", work: 60))
        #expect(try await world.wait(20) { try await world.count { if case .taskStarted = $0 { true } else { false } } == 2 })
        let manager = try #require(world.manager)
        for _ in 0..<40 {
            // Turns of the loop are under way at some of these moments; the commands come in all of them, two at once.
            for task in [task, other] { world.ask("command \(task)") { _ = try await manager.checkpointNow(task, by: "ann") } }
            try await world.tick(Seconds(0.4))
        }
        #expect(try await world.commits > 0)
        #expect(!world.log.contains { $0.contains("another one with this name") }, "\(world.story())")
        #expect(try await world.wait(90) { try await world.finished(task) != nil })
    }

    @Test("two submissions at once are two tasks")
    func names() async throws {
        let world = try await World(nodes: ["a"], settings: everyTen)
        try await world.startAll()
        try await world.pass(2)
        world.declare("t", run: "chain 10", work: 10)
        let manager = try #require(world.manager)
        let names = try await withThrowingTaskGroup(of: TaskID.self) { group in
            for _ in 0..<20 { group.addTask { try await manager.submit("t", file: "t.yaml", node: nil, owner: nil, by: "operator") } }
            return try await group.reduce(into: Set<TaskID>()) { $0.insert($1) }
        }
        #expect(names.count == 20)
    }

    @Test("cancelled at any second of a resumption, no guest is left", arguments: 0..<8)
    func cancelledWhileResuming(second: Int) async throws {
        let world = try await World(nodes: ["a", "b"], settings: everyTen)
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(20)
        world.powerOff("a")
        #expect(try await world.wait(20) { try await world.count { if case .epochRaised = $0 { true } else { false } } == 1 })
        for _ in 0..<second { try await world.tick(Seconds(0.4)) }
        try await #require(world.manager).cancel(task, by: "ann")
        try await world.pass(6)
        #expect(world.guests(of: task).isEmpty)
    }

    @Test("manager and agent in their own loops, until they are cancelled")
    func loops() async throws {
        let world = try await World(nodes: ["a"], settings: everyTen)
        try await world.startAll()
        let (manager, agent) = (try #require(world.manager), try #require(world["a"].agent))
        let task = try await world.submit(work: 20)
        let loops = [Task { try await manager.run() }, Task { try await agent.run() }]
        for _ in 0..<120 where try await world.finished(task) == nil {
            // Both loops, and the agent's orders, asleep: then time passes.
            while await world.time.sleeping < 2 + agent.ordersUnderway, !Task.isCancelled { await Task.yield() }
            await world.time.advance(by: Seconds(0.5))
        }
        #expect(try await world.finished(task) == SimulatedGuest.result(steps: 20))
        for loop in loops {
            loop.cancel()
            await #expect(throws: CancellationError.self) { try await loop.value }
        }
        #expect(world.time.sleeping == 0)
    }
}
