import Autonomics
import CheckpointEngine
import Foundation
import Ports
import Simulator
import Synchronization
import Testing
import Vocabulary

/// A manager, nodes with their agents, and what is around them, on the virtual clock. Nothing happens but by `tick`: time passes, every agent
/// has its heartbeat, the manager its turn, each coming to rest before the next; then the rules that must always hold are checked.
final class World {
    let time = VirtualTime()
    /// Of every machine when the world begins.
    static let uptime = Seconds(3600)
    let random: SeededRandom
    let store: MemoryStore
    var ledger: any Ledger
    let processes = SimulatedProcesses()
    let fence: SimulatedFence
    private(set) var nodes: [NodeID: Node] = [:]
    private(set) var manager: Manager?
    private(set) var managerFaults = Faults()
    /// How often a manager was started.
    private(set) var managers = 0
    let folder: String
    let seed: UInt64
    private let fleet: Fleet
    private let policies: FixedPolicies
    private let desk: Desk
    /// Agents whose processes are dead, while anything of theirs is still under way.
    private var ghosts: [NodeAgent] = []
    private(set) var tasks: [TaskID] = []

    /// Who answers for the manager now, what was declared, and what goes on.
    final class Desk: Sendable {
        let time: VirtualTime
        let manager = Mutex<Manager?>(nil)
        let declarations = Mutex<[String: TaskSLA]>([:])
        private let lines = Mutex<[String]>([])
        /// Heartbeats and turns under way, by the name of whose they are.
        private let busy = Mutex<Set<String>>([])
        init(time: VirtualTime) { self.time = time }

        var log: [String] { lines.withLock { $0 } }
        var busyCount: Int { busy.withLock { $0.count } }
        func note(_ line: String) { lines.withLock { $0.append("\(time.now().rawValue - 1_000_000): \(line)") } }

        /// Runs one round of `name`, unless its last one is under way still.
        func round(of name: String, _ faults: Faults, _ body: @escaping @Sendable () async throws -> Void) {
            guard busy.withLock({ $0.insert(name).inserted }) else { return }
            Task {
                do { try await body() } catch {
                    if !faults.isDead { note("\(name): this round is lost: \(error)") }
                }
                _ = busy.withLock { $0.remove(name) }
            }
        }
    }

    final class Node {
        let id: NodeID
        let work: String
        let machine: SimulatedHypervisor
        let link: DirectLink
        var journal: MemoryJournal
        var faults = Faults()
        var agent: NodeAgent?
        var process: ProcessIdentity?
        var lives = 0
        init(id: NodeID, work: String, machine: SimulatedHypervisor, link: DirectLink, journal: MemoryJournal) {
            self.id = id
            self.work = work
            self.machine = machine
            self.link = link
            self.journal = journal
        }
    }

    struct FixedPolicies: PolicySource {
        let policy: CheckpointPolicy
        func changes() async -> [PolicyChange] { [.loaded(policy, version: DocumentVersion(name: policy.name, digest: "sha256:p"))] }
    }

    static let pace = [
        "hypervisor.start": Seconds(1.6), "hypervisor.capture": Seconds(0.5), "hypervisor.restore": Seconds(2.2), "store.commit": Seconds(1.2),
    ]

    init(
        seed: UInt64 = 1, nodes names: [String] = ["a", "b", "c"], settings: CheckpointPolicy.Settings, fence method: FenceMethod = .process,
        mtbf: Seconds = .hours(24 * 30), ledger: (any Ledger)? = nil
    ) async throws {
        self.seed = seed
        random = SeededRandom(seed: seed)
        desk = Desk(time: time)
        folder = NSTemporaryDirectory() + "cairn-world-\(UUID().uuidString)"
        for name in ["images"] + names { try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true) }
        for name in ["vmlinuz", "ramdisk", "base.squashfs"] { try Data(name.utf8).write(to: URL(fileURLWithPath: "\(folder)/images/\(name)")) }
        store = MemoryStore(time: time)
        self.ledger = ledger ?? MemoryLedger()
        fence = SimulatedFence(processes: processes)
        fleet = Fleet(
            name: "fleet", nodes: names.map { Fleet.Node(id: NodeID($0), fence: method) }, store: .directory("/nowhere"),
            imagesDirectory: folder + "/images", defaults: .init(priorMTBFSeconds: mtbf))
        let prices = Prices(timePerHour: 1, networkPerGiB: 0.01, storagePerGiBHour: 0.0001)
        policies = FixedPolicies(
            policy: CheckpointPolicy(name: "default", currency: "EUR", preferences: ["balanced": prices], settings: settings))
        for name in names {
            let id = NodeID(name)
            self.nodes[id] = Node(
                id: id, work: "\(folder)/\(name)", machine: SimulatedHypervisor(time: time, processes: processes),
                link: DirectLink(time: time, random: SeededRandom(seed: random.next())) { [desk] in desk.manager.withLock { $0 } },
                journal: MemoryJournal(node: id, name: Incarnation("journal-\(name)-1")))
        }
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record("the directory of the test stays: \(error)") }
    }

    subscript(_ name: String) -> Node { nodes[NodeID(name)]! }
    var log: [String] { desk.log }
    var events: [EventRecord] { get async throws { try await ledger.events(after: 0, limit: 1_000_000) } }

    /// Runs a command of somebody's beside everything else.
    func ask(_ name: String, _ body: @escaping @Sendable () async throws -> Void) { desk.round(of: name, managerFaults, body) }

    // MARK: Processes

    /// - Parameter ledgerPace: how long calls to the ledger take.
    func startManager(ledgerPace: [String: Seconds] = [:]) async throws {
        managers += 1
        let faults = Faults()
        managerFaults = faults
        let declared = desk
        let fresh = Manager(
            configuration: .init(
                fleet: fleet, version: "test", cycle: Seconds(1),
                readSLA: { (text, file) throws(CommandError) in
                    guard let sla = declared.declarations.withLock({ $0[text] }) else { throw .invalid(["\(file): no such declaration"]) }
                    return (sla, DocumentVersion(name: sla.name, digest: "sha256:\(text)"))
                }),
            ledger: FaultyLedger(ledger, faults: faults, pace: Pace(time: time, seconds: ledgerPace)),
            store: FaultyStore(store, faults: faults), fence: fence, policies: policies, time: time,
            log: { [desk] line in desk.note("manager: \(line)") })
        manager = fresh
        try await fresh.begin()
        desk.manager.withLock { $0 = fresh }
    }

    /// It dies at one of its next calls, before it or after it.
    func crashManagerSoon(within calls: Int) {
        managerFaults.crash(at: managerFaults.calls + random.number(in: 1...calls), random.happens(0.5) ? .before : .after)
    }

    func killManager() {
        managerFaults.die()
        manager = nil
        desk.manager.withLock { $0 = nil }
    }

    func startAgent(_ name: String) {
        let node = self[name]
        node.lives += 1
        let faults = Faults()
        node.faults = faults
        let process = processes.spawn { faults.die() }
        node.process = process
        let pace = Pace(time: time, seconds: Self.pace)
        let hypervisor = FaultyHypervisor(node.machine, faults: faults, pace: pace)
        let engine = CheckpointEngine(
            configuration: .init(node: node.id, work: node.work, images: folder + "/images", version: "test"),
            store: FaultyStore(store, faults: faults, pace: pace), hypervisor: hypervisor, disks: FaultyDisks(SimulatedDisks(), faults: faults),
            time: time)
        node.agent = NodeAgent(
            configuration: .init(
                node: node.id, incarnation: Incarnation("\(name)-\(node.lives)"), process: process, heartbeat: Seconds(1),
                uptime: { [time] in Self.uptime + (time.now() - Timestamp(1_000_000)) }),
            link: node.link, engine: engine, hypervisor: hypervisor, journal: FaultyJournal(node.journal, faults: faults), time: time,
            log: { [desk] line in desk.note("agent \(name): \(line)") })
    }

    /// The agent's process ends; its guests run on.
    func killAgent(_ name: String) {
        let node = self[name]
        node.faults.die()
        if let process = node.process { processes.exited(process) }
        if let agent = node.agent { ghosts.append(agent) }
        node.agent = nil
    }

    /// The machine loses power: agent and guests are gone.
    func powerOff(_ name: String) {
        killAgent(name)
        self[name].machine.powerOff()
    }

    /// A new disk for a node that is off.
    func wipe(_ name: String) throws {
        let node = self[name]
        try FileManager.default.removeItem(atPath: node.work)
        try FileManager.default.createDirectory(atPath: node.work, withIntermediateDirectories: true)
        node.journal = MemoryJournal(node: node.id, name: Incarnation("journal-\(name)-\(node.lives + 1)"))
    }

    func startAll() async throws {
        try await startManager()
        for name in nodes.keys.sorted() { startAgent(name.rawValue) }
    }

    /// What can be submitted by its name.
    func declare(_ name: String, run: String, work: Int, limits: Limits = Limits(), deadline: Deadline? = nil) {
        let spec = TaskSpec(
            base: "base.squashfs", kernel: "vmlinuz", ramdisk: "ramdisk", memoryBytes: .mebibytes(1), deltaBytes: .mebibytes(1), run: run,
            workSeconds: Seconds(Double(work)))
        let sla = TaskSLA(name: name, task: spec, progress: SimulatedGuest.progress, deadline: deadline, limits: limits)
        desk.declarations.withLock { $0[name] = sla }
    }

    @discardableResult
    func submit(
        _ name: String = "t", work: Int = 60, run: String? = nil, node: String? = nil, limits: Limits = Limits(), deadline: Deadline? = nil
    ) async throws -> TaskID {
        declare(name, run: run ?? "chain \(work)", work: work, limits: limits, deadline: deadline)
        let task = try await #require(manager).submit(name, file: "\(name).yaml", node: node.map { NodeID($0) }, owner: nil, by: "operator")
        tasks.append(task)
        return task
    }

    // MARK: Time

    func tick(_ length: Seconds = Seconds(1)) async throws {
        try Task.checkCancellation()
        await time.advance(by: length) { await self.settle() }
        for name in nodes.keys.sorted() {
            let node = nodes[name]!
            // One life's heartbeat that hangs does not stop the next life's.
            if let agent = node.agent { desk.round(of: "agent \(name) \(node.lives)", node.faults) { try await agent.runOnce() } }
            await settle()
        }
        if let manager { desk.round(of: "manager \(managers)", managerFaults) { try await manager.runOnce() } }
        await settle()
        if managerFaults.isDead, manager != nil { killManager() }
        for node in nodes.values where node.agent != nil && node.faults.isDead { killAgent(node.id.rawValue) }
        try checkNow()
    }

    func pass(_ seconds: Int) async throws { for _ in 0..<seconds { try await tick() } }

    /// - Returns: whether it came true within so many seconds.
    func wait(_ limit: Int, until condition: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<limit {
            if try await condition() { return true }
            try await tick()
        }
        return try await condition()
    }

    /// Until whatever is under way sleeps on the virtual clock. Each activity sleeps in one place at most, so the numbers tell.
    func settle() async {
        var calm = 0
        while calm < 2, !Task.isCancelled {
            // Heartbeats first: what they begin is then counted with the orders.
            var active = desk.busyCount
            for agent in ghosts + nodes.values.compactMap(\.agent) { active += await agent.ordersUnderway }
            calm = active == time.sleeping ? calm + 1 : 0
            await Task.yield()
        }
        var left: [NodeAgent] = []
        for ghost in ghosts where await ghost.ordersUnderway > 0 { left.append(ghost) }
        ghosts = left
    }

    // MARK: What is so

    func finished(_ task: TaskID) async throws -> String? {
        for record in try await events { if case .taskFinished(task, _, _, let result) = record.event { return result } }
        return nil
    }

    /// The epoch of each running guest of a task, by its node.
    func guests(of task: TaskID) -> [(node: NodeID, epoch: Int)] {
        nodes.values.flatMap { node in
            node.machine.running.filter { $0.name == CheckpointEngine.domain(of: task) }.map { domain in
                (node.id, Int(domain.activeLayer.split(separator: "/").dropLast(2).last ?? "") ?? 0)
            }
        }
    }

    /// Rules that hold at every moment.
    private func checkNow() throws {
        for task in tasks {
            let guests = guests(of: task)
            let newest = guests.map(\.epoch).max()
            let isOne = guests.filter { $0.epoch == newest }.count <= 1
            #expect(isOne, "seed \(seed), \(time.now().rawValue - 1_000_000) s: two guests of one epoch: \(guests)")
        }
        #expect(nodes.values.map(\.machine.mispairings).reduce(0, +) == 0, "seed \(seed): memory came up over another disk")
    }
}
