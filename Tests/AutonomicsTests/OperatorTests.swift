import Autonomics
import Knowledge
import Ports
import Simulator
import Testing
import Vocabulary

@Suite("What an operator sets", .timeLimit(.minutes(2)))
struct OperatorTests {
    private let rare = CheckpointPolicy.Settings(strategy: .fixed(.hours(1)), floorSeconds: Seconds(5))

    @Test("a drained node's task goes on elsewhere from a checkpoint made for it; nothing is placed there until the drain is ended")
    func drain() async throws {
        let world = try await World(nodes: ["a", "b"], settings: rare)
        try await world.startAll()
        let task = try await world.submit(work: 80, node: "a")
        try await world.pass(25)
        try await #require(world.manager).drain(NodeID("a"), by: "ada")
        #expect(try await world.wait(30) { world.guests(of: task).map(\.node) == [NodeID("b")] })
        let other = try await world.submit("u", work: 80)
        for each in [task, other] { #expect(try await world.wait(160) { try await world.finished(each) != nil }) }

        let events = try await world.events
        let drained = try #require(events.first { if case .nodeDrainAsked(NodeID("a"), "ada") = $0.event { true } else { false } })
        // No work is lost: what it goes on from was captured after the drain was asked for.
        let resumption = try #require(events.compactMap { if case .taskResumed(let it) = $0.event { it } else { nil } }.first)
        let used = try #require(
            events.compactMap { if case .checkpointCommitted(let it) = $0.event { it } else { nil } }.first { $0.id == resumption.checkpoint })
        #expect(used.capturedAt >= drained.at)
        #expect(resumption.node == NodeID("b"))
        let moved = try await world.ledger.decisions(DecisionQuery(task: task, kinds: [.move]))
        #expect(moved.count == 1)
        #expect(!events.contains { if case .taskPlaced(other, _, NodeID("a")) = $0.event { true } else { false } })

        await #expect(throws: CommandError.conflict("a is being drained already")) { try await world.manager?.drain(NodeID("a"), by: "ada") }
        try await #require(world.manager).undrain(NodeID("a"), by: "ada")
        await #expect(throws: CommandError.conflict("a is not being drained")) { try await world.manager?.undrain(NodeID("a"), by: "ada") }
        try await world.checkRules(work: 80)
    }

    @Test("a drain outlives the manager; the only node's task stays where it is")
    func onlyNode() async throws {
        let world = try await World(nodes: ["a"], settings: rare)
        try await world.startAll()
        let task = try await world.submit(work: 60)
        try await world.pass(20)
        try await #require(world.manager).drain(NodeID("a"), by: "ada")
        world.killManager()
        try await world.startManager()
        #expect(try await world.wait(80) { try await world.finished(task) != nil })
        #expect(try await !world.events.contains { if case .taskResumed = $0.event { true } else { false } })
        let waiting = try await world.submit("u", work: 10)
        try await world.pass(10)
        #expect(world.guests(of: waiting).isEmpty)
        try await #require(world.manager).undrain(NodeID("a"), by: "ada")
        #expect(try await world.wait(40) { try await world.finished(waiting) != nil })
    }

    @Test("a drain asked for at any second, with nodes and manager that die meanwhile, loses nothing", arguments: 0..<8)
    func drainInTrouble(moment: Int) async throws {
        let world = try await World(
            seed: UInt64(moment + 1), nodes: ["a", "b"], settings: .init(strategy: .fixed(Seconds(10)), floorSeconds: Seconds(5)))
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(6 + moment)
        try await #require(world.manager).drain(NodeID("a"), by: "ada")
        try await world.pass(moment)
        if moment.isMultiple(of: 2) {
            world.powerOff("a")
        } else {
            world.killManager()
            try await world.pass(3)
            try await world.startManager()
        }
        #expect(try await world.wait(150) { try await world.finished(task) != nil }, "\(world.story())")
        #expect(try await world.finished(task) == SimulatedGuest.result(steps: 60))
        try await world.checkRules(work: 60)
    }

    @Test("a policy is set to Audit and back, by name, and what it decides follows")
    func mode() async throws {
        let world = try await World(nodes: ["a"], settings: .init(strategy: .fixed(Seconds(10)), floorSeconds: Seconds(5)))
        try await world.startAll()
        let task = try await world.submit(work: 120)
        try await world.pass(5)
        let manager = try #require(world.manager)
        try await manager.setMode(.audit, ofPolicy: "default", by: "ada")
        try await world.pass(40)
        #expect(try await !world.events.contains { if case .checkpointOrdered = $0.event { true } else { false } })
        let audited = try await world.ledger.decisions(DecisionQuery(task: task, kinds: [.checkpoint]))
        #expect(!audited.isEmpty && audited.allSatisfy { $0.mode == .audit })
        try await manager.setMode(nil, ofPolicy: "default", by: "ada")
        #expect(try await world.wait(40) { try await world.events.contains { if case .checkpointCommitted = $0.event { true } else { false } } })
        await #expect(throws: CommandError.notFound("no policy other is loaded")) { try await manager.setMode(.audit, ofPolicy: "other", by: "ada") }
    }

    @Test("the outlook is of one moment: its findings are of what it knows")
    func outlook() async throws {
        let world = try await World(nodes: ["a"], settings: rare)
        try await world.startManager()
        #expect(await world.manager?.outlook() == nil)
        world.startAgent("a")
        let task = try await world.submit(work: 60)
        try await world.pass(15)
        let outlook = try #require(await world.manager?.outlook())
        #expect(outlook.findings.tasks.map(\.task) == [task])
        #expect(outlook.knowledge.tasks[task]?.state == .running(NodeID("a")))
        #expect(outlook.schedules[task]?.node == NodeID("a"))
        let cycles = outlook.cycles
        try await world.tick()
        #expect(await world.manager?.outlook()?.cycles == cycles + 1)
    }

    @Test("a verification is kept with what was wrong, and only of what is there")
    func verification() async throws {
        let world = try await World(nodes: ["a"], settings: .init(strategy: .fixed(Seconds(10)), floorSeconds: Seconds(5)))
        try await world.startAll()
        let task = try await world.submit(work: 60)
        #expect(try await world.wait(40) { try await world.events.contains { if case .checkpointCommitted = $0.event { true } else { false } } })
        try await world.pass(2)
        let manager = try #require(world.manager)
        let known = try #require(await manager.outlook()?.knowledge.tasks[task])
        let checkpoint = try #require(known.committed.first?.id)
        #expect(known.verifications.isEmpty)
        try await manager.verified(task, checkpoint, problems: ["a part is missing"], by: "ada")
        try await world.pass(1)
        #expect(await manager.outlook()?.knowledge.tasks[task]?.verifications[checkpoint]?.problems == ["a part is missing"])
        await #expect(throws: CommandError.self) { try await manager.verified(task, CheckpointID("e000009-c000001"), problems: [], by: "ada") }
    }
}
