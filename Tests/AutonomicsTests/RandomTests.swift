import Foundation
import Ports
import Simulator
import Testing
import Vocabulary

/// Whole lives of tasks under faults drawn from a seed; a failure says which.
@Suite("Whatever goes wrong, no checkpoint is lost and no task doubled", .timeLimit(.minutes(2)))
struct RandomTests {
    static let settings = CheckpointPolicy.Settings(strategy: .fixed(Seconds(8)), floorSeconds: Seconds(5), keepLast: 2)

    /// Sixty; or as many as `CAIRN_SEEDS` says.
    static let seeds = UInt64(1)...(ProcessInfo.processInfo.environment["CAIRN_SEEDS"].flatMap { UInt64($0) } ?? 60)

    @Test("the manager is killed at random calls, again and again", arguments: seeds)
    func managerKilled(seed: UInt64) async throws {
        let world = try await World(seed: seed, settings: Self.settings)
        try await world.startAll()
        for name in ["t", "u"] { try await world.submit(name, work: 50) }
        var kills = 0
        var second = 0
        let isThrough = try await world.wait(400) {
            second += 1
            if world.manager == nil {
                if world.random.happens(0.4) {
                    do { try await world.startManager() } catch { world.killManager() }
                }
            } else if kills < 6, !world.managerFaults.isDead, world.random.happens(0.15) || kills == 0 && second == 20 {
                kills += 1
                world.crashManagerSoon(within: 25)
            }
            if kills == 3, world["a"].agent != nil {
                world.powerOff("a")
            }
            return try await allFinished(world)
        }
        #expect(isThrough, "seed \(seed)\n\(world.story())")
        #expect(kills > 0)
        try await world.checkRules(work: 50)
    }

    @Test("nodes, agents, links, store and manager fail at random", arguments: seeds)
    func everything(seed: UInt64) async throws {
        let world = try await World(seed: seed, nodes: ["a", "b", "c", "d"], settings: Self.settings, fence: seed % 2 == 0 ? .process : .storeOnly)
        try await world.startAll()
        let random = world.random
        for name in world.nodes.keys.sorted() {
            world.nodes[name]?.link.trouble(
                .init(loseReport: 0.03, loseAnswer: 0.03, duplicate: 0.05, replay: 0.03, delay: 0.03, delaySeconds: Seconds(1.5)))
        }
        for name in ["t", "u", "v"] { try await world.submit(name, work: 40) }
        var trouble = 25
        var mends: [(at: Int, mend: (World) async throws -> Void)] = []
        var second = 0
        let isThrough = try await world.wait(900) {
            second += 1
            for mend in mends where mend.at == second { try await mend.mend(world) }
            // What died of a fault that struck after its mending.
            if world.manager == nil, random.happens(0.05) { try await world.startManager() }
            for name in world.nodes.keys.sorted() where world.nodes[name]?.agent == nil && random.happens(0.03) { world.startAgent(name.rawValue) }
            if trouble > 0, random.happens(0.12) {
                trouble -= 1
                mends.append(try breakSomething(world, at: second))
            }
            return try await allFinished(world)
        }
        #expect(isThrough, "seed \(seed)\n\(world.story())")
        try await world.checkRules(work: 40)
    }

    private func allFinished(_ world: World) async throws -> Bool {
        for task in world.tasks where try await world.finished(task) == nil { return false }
        return true
    }

    /// - Returns: when and how it is mended.
    private func breakSomething(_ world: World, at second: Int) throws -> (at: Int, mend: (World) async throws -> Void) {
        let random = world.random
        let name = world.nodes.keys.sorted()[random.number(in: 0...world.nodes.count - 1)].rawValue
        let later = second + random.number(in: 2...25)
        switch random.number(in: 0...7) {
        case 0:
            world.powerOff(name)
            if random.happens(0.3) { try world.wipe(name) }
            return (later, { world in if world[name].agent == nil { world.startAgent(name) } })
        case 1:
            world.killAgent(name)
            return (later, { world in if world[name].agent == nil { world.startAgent(name) } })
        case 2:
            world[name].faults.crash(at: world[name].faults.calls + random.number(in: 1...40), random.happens(0.5) ? .before : .after)
            return (later, { world in if world[name].agent == nil { world.startAgent(name) } })
        case 3:
            world[name].link.cut(true)
            return (later, { world in world[name].link.cut(false) })
        case 4:
            world.store.setAvailable(false)
            return (second + random.number(in: 2...10), { world in world.store.setAvailable(true) })
        case 5:
            world[name].faults.fail("store.", probability: 0.1, random: SeededRandom(seed: random.next()))
            let faults = world[name].faults
            return (later, { world in faults.fail("store.", probability: 0, random: world.random) })
        case 6:
            world[name].faults.fail("hypervisor.", random.happens(0.5) ? .before : .after, skipping: random.number(in: 0...9), times: 2)
            return (later, { _ in })
        default:
            world.crashManagerSoon(within: 25)
            return (
                later,
                { world in
                    guard world.manager == nil else { return }
                    try await world.startManager()
                }
            )
        }
    }
}
