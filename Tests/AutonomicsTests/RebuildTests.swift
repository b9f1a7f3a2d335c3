import CheckpointEngine
import Execution
import Foundation
import Knowledge
import Ports
import Simulator
import Synchronization
import Testing
import Vocabulary

@Suite("A ledger that was lost is made anew from the store", .timeLimit(.minutes(2)))
struct RebuildTests {
    static let settings = CheckpointPolicy.Settings(strategy: .fixed(Seconds(8)), floorSeconds: Seconds(5), keepLast: 2)

    /// The manager and its ledger are gone; a new one is made.
    @discardableResult
    private func lose(_ world: World) async throws -> [LedgerRebuild.Found] {
        world.killManager()
        let fresh = MemoryLedger()
        let found = try await LedgerRebuild(store: world.store, version: "test", time: world.time).rebuild(into: fresh) { _ in }
        world.ledger = fresh
        return found
    }

    private func resumptions(_ world: World) async throws -> [ResumeRecord] {
        try await world.events.compactMap { if case .taskResumed(let resumption) = $0.event { resumption } else { nil } }
    }

    private func knowledge(_ world: World) async throws -> Knowledge { Knowledge().folding(try await world.events) }

    @Test("guests that run go on as they are, are checkpointed, and finish")
    func running() async throws {
        let world = try await World(settings: Self.settings)
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(25)
        let before = try await knowledge(world).tasks[task]?.committed.map(\.id) ?? []
        #expect(before.count == 2)
        let found = try await lose(world)
        #expect(found.map(\.task) == [task] && found[0].state == .live && found[0].node == NodeID("a"))
        #expect(try await knowledge(world).tasks[task]?.committed.map(\.id) == before)
        try await world.startManager()
        #expect(try await world.wait(120) { try await world.finished(task) != nil })
        #expect(try await world.finished(task) == SimulatedGuest.result(steps: 60))
        #expect(world["a"].machine.started.count == 1, "it was not started again")
        // Orders of the new ledger were carried out, though the old one had given as many.
        let after = try await knowledge(world).tasks[task]?.committed.compactMap { $0.id } ?? []
        #expect(after.last.map { $0 > before[1] } == true)
    }

    @Test("a task whose node went with the ledger goes on elsewhere from its newest checkpoint")
    func nodeLost() async throws {
        let world = try await World(settings: Self.settings)
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(30)
        let newest = try #require(try await knowledge(world).tasks[task]?.newestCommitted)
        world.powerOff("a")
        try await lose(world)
        try await world.startManager()
        #expect(try await world.wait(150) { try await world.finished(task) != nil })
        #expect(try await world.finished(task) == SimulatedGuest.result(steps: 60))
        let resumed = try await resumptions(world)
        #expect(resumed.map(\.checkpoint) == [newest.id] && resumed[0].node != NodeID("a"))
    }

    @Test("a node that came back without its work is not taken for one that runs the task")
    func wiped() async throws {
        let world = try await World(settings: Self.settings)
        try await world.startAll()
        let task = try await world.submit(work: 60, node: "a")
        try await world.pass(30)
        let newest = try #require(try await knowledge(world).tasks[task]?.newestCommitted)
        world.powerOff("a")
        try world.wipe("a")
        try await lose(world)
        world.startAgent("a")
        try await world.startManager()
        #expect(try await world.wait(150) { try await world.finished(task) != nil })
        #expect(try await resumptions(world).map(\.checkpoint) == [newest.id])
    }

    @Test("tasks that have ended are not resumed, however they ended; nor is one whose end the store alone was told")
    func ended() async throws {
        let world = try await World(settings: Self.settings)
        try await world.startAll()
        let finished = try await world.submit("f", work: 20)
        let cancelled = try await world.submit("c", work: 500)
        let failing = try await world.submit("g", work: 60, run: "chain 60 failing-at 12")
        #expect(try await world.wait(200) { try await knowledge(world).tasks[failing]?.state.isFinal == true })
        try await #require(world.manager).cancel(cancelled, by: "somebody")
        try await world.pass(5)
        let starts = world.nodes.values.reduce(0) { $0 + $1.machine.started.count }
        let found = try await lose(world)
        func state(_ task: TaskID) -> LedgerRebuild.Found.State? { found.first { $0.task == task }?.state }
        #expect(state(finished) == .ended(.finished(result: SimulatedGuest.result(steps: 20))))
        #expect(state(cancelled) == .ended(.cancelled(by: "the operator")))
        if case .ended(.givenUp) = state(failing) {} else { Issue.record("\(String(describing: state(failing)))") }
        try await world.startManager()
        try await world.pass(40)
        #expect(world.nodes.values.reduce(0) { $0 + $1.machine.started.count } == starts)
        #expect(try await knowledge(world).liveTasks.isEmpty)
    }

    @Test("a task that finished while no manager was there has finished for the new ledger, too")
    func finishedAlone() async throws {
        let world = try await World(settings: Self.settings)
        try await world.startAll()
        let task = try await world.submit(work: 20, node: "a")
        try await world.pass(10)
        world.killManager()
        try await world.pass(30)
        // What the node had to tell is lost with it; what it told the store is not.
        world.powerOff("a")
        let found = try await lose(world)
        #expect(found[0].state == .ended(.finished(result: SimulatedGuest.result(steps: 20))))
        try await world.startManager()
        try await world.pass(30)
        #expect(try await world.finished(task) == SimulatedGuest.result(steps: 20))
        #expect(world.nodes.values.reduce(0) { $0 + $1.machine.started.count } == 1)
    }

    @Test("a task of which nothing was committed yet goes on, or begins again where its node is gone", arguments: [true, false])
    func uncommitted(isNodeLost: Bool) async throws {
        let world = try await World(settings: CheckpointPolicy.Settings(strategy: .never))
        try await world.startAll()
        let task = try await world.submit(work: 40, node: "a")
        try await world.pass(15)
        if isNodeLost { world.powerOff("a") }
        let found = try await lose(world)
        #expect(found[0].state == .live && found[0].checkpoints == [])
        try await world.startManager()
        #expect(try await world.wait(150) { try await world.finished(task) != nil })
        #expect(try await world.finished(task) == SimulatedGuest.result(steps: 40))
        #expect(world["a"].machine.started.count == 1)
        #expect(world.nodes.values.reduce(0) { $0 + $1.machine.started.count } == (isNodeLost ? 2 : 1))
    }

    @Test("a ledger that holds something is left alone")
    func notEmpty() async throws {
        let world = try await World(settings: Self.settings)
        try await world.startAll()
        try await world.pass(2)
        await #expect(throws: RebuildError.notEmpty) {
            _ = try await LedgerRebuild(store: world.store, version: "test", time: world.time).rebuild(into: world.ledger) { _ in }
        }
    }

    @Test("a damaged epoch is told, and the other tasks are found all the same")
    func damaged() async throws {
        let world = try await World(settings: Self.settings)
        try await world.startAll()
        let (t, u) = (try await world.submit("t", work: 60), try await world.submit("u", work: 60))
        try await world.pass(20)
        world.store.damage("tasks/\(t)/epochs/000001.json")
        let found = try await lose(world)
        if case .unknown(let reason)? = found.first(where: { $0.task == t })?.state {
            #expect(reason.contains("damaged"))
        } else {
            Issue.record("\(found)")
        }
        #expect(found.first { $0.task == u }?.state == .live)
    }

    /// Two tasks, their ledger lost at a random second, nodes with it or not; the one who makes it anew dies at random calls until he comes through.
    @Test("at any moment, and however often the one who makes it anew is killed", arguments: RandomTests.seeds.prefix(20))
    func anyMoment(seed: UInt64) async throws {
        let world = try await World(seed: seed, settings: Self.settings)
        try await world.startAll()
        let tasks = [try await world.submit("t", work: 40), try await world.submit("u", work: 40)]
        try await world.pass(world.random.number(in: 1...70))
        let committed = try await world.events.compactMap { event -> CheckpointRecord? in
            if case .checkpointCommitted(let record) = event.event { record } else { nil }
        }.filter { record in
            world.store.bytes(at: "tasks/\(record.task)/open/\(padded(record.epoch.rawValue))/\(record.id).json") != nil
        }
        if world.random.happens(0.5) { world.powerOff(["a", "b", "c"][world.random.number(in: 0...2)]) }
        world.killManager()
        var isThrough = false
        while !isThrough {
            let fresh = MemoryLedger()
            let faults = Faults()
            var hook: FailpointHook?
            if world.random.happens(0.5) {
                faults.crash(at: world.random.number(in: 1...40), world.random.happens(0.5) ? .before : .after)
            } else if world.random.happens(0.5) {
                hook = { point throws(EngineError) in
                    faults.die()
                    throw .local(path: "test", detail: "killed at \(point)")
                }
            }
            do throws(RebuildError) {
                let found = try await LedgerRebuild(
                    store: FaultyStore(world.store, faults: faults), version: "test", time: world.time, failpoint: hook
                ).rebuild(into: FaultyLedger(fresh, faults: faults), progress: { _ in })
                for record in committed {
                    let task = found.first { $0.task == record.task }
                    #expect(task?.checkpoints.contains { $0.id == record.id } == true, "seed \(seed): \(record.id) of \(record.task)")
                }
                world.ledger = fresh
                isThrough = true
            } catch { #expect(faults.isDead, "seed \(seed): \(error)") }
        }
        try await world.startManager()
        let known = Set(try await knowledge(world).tasks.keys)
        let isDone = try await world.wait(250) {
            for task in tasks where known.contains(task) { if try await world.finished(task) == nil { return false } }
            return true
        }
        #expect(isDone, "seed \(seed)\n\(world.log.suffix(30).joined(separator: "\n"))")
        for task in tasks where known.contains(task) {
            #expect(try await world.finished(task) == SimulatedGuest.result(steps: 40), "seed \(seed)")
        }
    }
}
