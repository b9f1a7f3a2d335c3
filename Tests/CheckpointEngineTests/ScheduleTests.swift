import CheckpointEngine
import Execution
import Foundation
import Ports
import Simulator
import Synchronization
import Testing
import Vocabulary

/// Lives of a task in which the engine's process dies again and again, at named failpoints and at random calls, drawn from a seed; a failure
/// prints it. Afterwards every checkpoint that was ever said to be committed, and was not pruned, is restored and must be bit for bit what was
/// captured: the guest's memory is read back whole, and its disk must hold what that memory knows.
///
/// 320 schedules; `CAIRN_SEEDS` times as many.
@Suite("The engine killed anywhere loses nothing that was committed", .timeLimit(.minutes(10)))
struct ScheduleTests {
    static let count = 320 * (ProcessInfo.processInfo.environment["CAIRN_SEEDS"].flatMap { Int($0) } ?? 1)

    @Test("on simulated guests")
    func schedules() async throws {
        var tally = Tally()
        for seed in 1...UInt64(Self.count) {
            let schedule = try Schedule(seed: seed)
            do { try await schedule.run() } catch { Issue.record("seed \(seed): \(error)\n\(schedule.story.joined(separator: "\n"))") }
            tally.add(schedule)
        }
        print("crash schedules: seeds 1 to \(Self.count): \(tally)")
        // Every failpoint of these operations was one at which something died.
        let reached = Set(tally.crashes.keys)
        for point in Failpoint.allCases {
            #expect(reached.contains(point.rawValue), "no schedule died at \(point)")
        }
        #expect(tally.restored > Self.count * 2)
    }
}

/// What the schedules came to, all together.
struct Tally: CustomStringConvertible {
    var schedules = 0
    var operations = 0
    var crashes: [String: Int] = [:]
    var committed = 0
    var restored = 0
    var merges = 0
    var rebuilt = 0

    mutating func add(_ schedule: Schedule) {
        schedules += 1
        operations += schedule.operations
        crashes.merge(schedule.crashes, uniquingKeysWith: +)
        committed += schedule.everCommitted
        restored += schedule.restored
        merges += schedule.merges
        rebuilt += schedule.rebuilt
    }

    var description: String {
        let deaths = crashes.sorted { $0.key < $1.key }.map { "\($0.value) at \($0.key)" }.joined(separator: ", ")
        return
            "\(schedules) schedules, \(operations) operations, \(crashes.values.reduce(0, +)) deaths (\(deaths)), \(committed) checkpoints committed, "
            + "\(merges) merges, the ledger made anew \(rebuilt) times, \(restored) checkpoints restored bit for bit"
    }
}

final class Schedule {
    private let seed: UInt64
    private let random: SeededRandom
    private let bench: Bench
    private let task = TaskID("t-1")
    private let submission: TaskSubmission
    private var node: Bench.Node
    private var epoch = Epoch.first
    private var nodes: [Bench.Node]
    /// Said to be committed and never let go, with the guest's step at the capture.
    private var kept: [CheckpointID: Int] = [:]
    /// Nodes whose epoch is over, and which do not know it.
    private var stale: [(node: Bench.Node, epoch: Epoch)] = []
    /// A checkpoint that was begun and not heard the end of.
    private var open: CheckpointID?

    private(set) var story: [String] = []
    private(set) var operations = 0
    private(set) var crashes: [String: Int] = [:]
    private(set) var everCommitted = 0
    private(set) var restored = 0
    private(set) var rebuilt = 0
    var merges: Int { nodes.reduce(0) { $0 + $1.machine.merges } }

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededRandom(seed: seed)
        // Every tenth on a store of files.
        bench = try Bench(seed % 10 == 0 ? .directory : .memory)
        submission = bench.submission(run: "chain 400")
        node = bench.node("n0", longestChain: 3, hardLimit: 7)
        nodes = [node]
    }

    private func note(_ text: String) { story.append("\(Int(bench.time.now().rawValue) - 1_000_000) s, epoch \(epoch): \(text)") }

    func run() async throws {
        try await bench.begin(submission, on: node)
        for _ in 0..<random.number(in: 8...16) {
            operations += 1
            await bench.pass(Double(random.number(in: 1...4)))
            switch random.number(in: 0...99) {
            case 0..<45: try await checkpoint()
            case 45..<65: try await merge()
            case 65..<82: try await prune()
            case 82..<92: try await move()
            case 92..<95: try await rebuild()
            default: try await actStale()
            }
        }
        try await checkEverything()
    }

    // MARK: Dying

    /// Runs one operation of the node's engine in a process that may die in it.
    /// - Returns: nil when it died.
    private func inProcess<Value>(
        _ points: [Failpoint], _ body: (CheckpointEngine) async throws(EngineError) -> Value
    ) async throws(EngineError) -> Value? {
        try await dying(points) { (faults, hook) throws(EngineError) in try await body(node.engine(faults, failpoint: hook)) }
    }

    private func dying<Value>(
        _ points: [Failpoint], _ body: (Faults, FailpointHook?) async throws(EngineError) -> Value
    ) async throws(EngineError) -> Value? {
        let faults = Faults()
        let death = Mutex<String?>(nil)
        var hook: FailpointHook?
        switch random.number(in: 0...9) {
        case 0..<4:
            let chosen = points[random.number(in: 0...(points.count - 1))]
            hook = { point throws(EngineError) in
                guard point == chosen else { return }
                death.withLock { $0 = point.rawValue }
                faults.die()
                throw .local(path: "test", detail: "killed at \(point)")
            }
        case 4..<7: faults.crash(at: random.number(in: 1...25), random.happens(0.5) ? .before : .after)
        default: break
        }
        do throws(EngineError) { return try await body(faults, hook) } catch {
            guard faults.isDead else { throw error }
            let place = death.withLock { $0 } ?? "a call"
            crashes[place, default: 0] += 1
            note("died at \(place) (\(faults.names.last ?? "no call"))")
            return nil
        }
    }

    // MARK: Operations

    private func checkpoint() async throws {
        let id: CheckpointID
        // The order comes again, unless its node was told to take another meanwhile.
        if let open, random.happens(0.7) {
            id = open
        } else {
            let next =
                random.happens(0.2)
                ? try await inProcess([.numbered]) { (engine) throws(EngineError) in try engine.nextCheckpoint(of: task, epoch: epoch) }
                : try node.engine().nextCheckpoint(of: task, epoch: epoch)
            guard let next else { return }
            id = next
        }
        open = id
        note("checkpoint \(id) at step \(bench.step(node) ?? -1)")
        let points: [Failpoint] = [
            .overlayMade, .rotationNoted, .captured, .captureNoted, .contentsShared, .memoryUploaded, .layersUploaded, .committed, .finished,
            .mergeNoted, .merged, .mergeSaved, .layersDiscarded,
        ]
        let progress = bench.step(node).map { Double($0) / 400 }
        let record = try await inProcess(points) { (engine) throws(EngineError) in
            try await engine.checkpoint(task, epoch: epoch, id: id, order: OrderID("o-\(id)"), plan: Bench.plan, progress: progress)
        }
        guard let record else { return }
        open = nil
        try committed(record)
    }

    private func committed(_ record: CheckpointRecord) throws {
        if kept[record.id] == nil { everCommitted += 1 }
        kept[record.id] = Int((try #require(record.progress) * 400).rounded())
    }

    private func merge() async throws {
        note("merge")
        let isInterrupted = random.happens(0.35)
        if isInterrupted { node.machine.interruptMerge(after: random.number(in: 0...8), isGoingOn: random.happens(0.5)) }
        let order = MergeOrder(keep: random.happens(0.5) ? random.number(in: 0...3) : nil)
        do {
            _ = try await inProcess([.mergeNoted, .merged, .mergeSaved, .layersDiscarded]) { (engine) throws(EngineError) in
                try await engine.merge(task, epoch: epoch, order: order)
            }
        } catch {
            guard isInterrupted, case .hypervisor = error else { throw error }
            note("the merge was interrupted")
        }
        node.machine.interruptNoMerge()
        // With the process, or without it, the guest may die in the middle of it.
        if isInterrupted, random.happens(0.2) {
            note("the guest died")
            node.machine.lose("cairn-t-1")
            try await move()
        }
    }

    private func prune() async throws {
        let line = try await node.catalog().committed(task).map(\.record)
        guard let newest = line.last else { return }
        let keep = line.suffix(random.number(in: 1...3)).map(\.id)
        note("prune to \(keep.map(\.rawValue))")
        let drop = kept.keys.filter { !keep.contains($0) && $0 < newest.id }
        // Whatever becomes of it, these may be gone.
        for id in drop { kept[id] = nil }
        let gone = try await inProcess([.pruneRead, .manifestRemoved, .manifestsRemoved, .objectsRemoved]) { (engine) throws(EngineError) in
            try await engine.prune(task, epoch: epoch, keep: keep, drop: drop.sorted())
        }
        guard let gone else { return }
        let left = try await node.catalog().committed(task).map(\.record.id)
        #expect(left == keep, "seed \(seed)")
        #expect(Set(drop).isSubset(of: gone), "seed \(seed): what went is told, though an earlier process removed it")
    }

    /// The node is lost, or its guest is: another one goes on.
    private func move() async throws {
        let next = bench.node("n\(nodes.count)", longestChain: 3, hardLimit: 7)
        nodes.append(next)
        stale.append((node, epoch))
        let raised = try await next.catalog().raiseEpoch(of: task, from: epoch, for: next.id)
        open = nil
        note("goes on at \(next.id) from \(raised.from?.rawValue ?? "its beginning")")
        epoch = raised.epoch
        node = next
        if let newest = kept.keys.max() { #expect(raised.from.map { $0 >= newest } == true, "seed \(seed): \(newest) is lost") }
        for attempt in 0..<20 {
            try await next.engine().clearUnfinished()
            let resumed = try await inProcess(attempt < 3 ? [.fetched, .restored] : [.numbered]) { (engine) throws(EngineError) in
                try await engine.restore(submission, from: raised.from, epoch: epoch)
            }
            guard let resumed else { continue }
            #expect(resumed.checkpoint == raised.from, "seed \(seed)")
            return
        }
        throw EngineError.noSuchTask(task)
    }

    /// The ledger is lost, and made anew from what the store holds, by a process that may die at it, until one comes through.
    private func rebuild() async throws {
        let line = try await node.catalog().committed(task).map(\.record)
        note("the ledger is made anew, of \(line.count) checkpoints")
        for _ in 0..<20 {
            let fresh = MemoryLedger()
            let found = try await dying([.taskRead]) { (faults, hook) throws(EngineError) in
                do throws(RebuildError) {
                    return try await LedgerRebuild(
                        store: FaultyStore(bench.store, faults: faults), version: "test", time: bench.time, failpoint: hook
                    ).rebuild(into: FaultyLedger(fresh, faults: faults)) { _ in }
                } catch { throw .local(path: "the ledger", detail: "\(error)") }
            }
            guard let found else { continue }
            rebuilt += 1
            #expect(found.map(\.task) == [task] && found[0].epoch == epoch && found[0].checkpoints == line, "seed \(seed)")
            let told = try await fresh.events(after: 0, limit: 10_000).compactMap { event in
                if case .checkpointCommitted(let record) = event.event { record } else { nil as CheckpointRecord? }
            }
            #expect(told == line, "seed \(seed)")
            return
        }
        throw EngineError.noSuchTask(task)
    }

    /// What a node does whose epoch is over: nothing of it may be of any consequence.
    private func actStale() async throws {
        guard !stale.isEmpty else { return }
        let (old, ended) = stale[random.number(in: 0...(stale.count - 1))]
        guard old.machine.step(of: "cairn-t-1") != nil else { return }
        note("the stale \(old.id) acts in epoch \(ended)")
        let before = try await node.catalog().committed(task)
        let refusal = random.happens(0.5) ? await staleCommit(old, ended) : await stalePrune(old, ended, keep: before.suffix(1).map(\.record.id))
        switch refusal {
        case .staleEpoch: note("it was refused")
        case .noSuchTask: note("it had let go")
        case nil: Issue.record("seed \(seed): a stale node had its way")
        case let other?: throw other
        }
        #expect(try await node.catalog().committed(task) == before, "seed \(seed)")
    }

    private func staleCommit(_ old: Bench.Node, _ epoch: Epoch) async -> EngineError? {
        do throws(EngineError) {
            let id = try old.engine().nextCheckpoint(of: task, epoch: epoch)
            _ = try await old.engine().checkpoint(task, epoch: epoch, id: id, order: OrderID("stale"), plan: Bench.plan, progress: nil)
            return nil
        } catch { return error }
    }

    private func stalePrune(_ old: Bench.Node, _ epoch: Epoch, keep: [CheckpointID]) async -> EngineError? {
        do throws(EngineError) {
            _ = try await old.engine().prune(task, epoch: epoch, keep: keep)
            return nil
        } catch { return error }
    }

    // MARK: Checking

    private func checkEverything() async throws {
        // One that was begun may have been committed by a process that did not live to say so.
        let line = try await node.catalog().committed(task)
        for record in line.map(\.record) where kept[record.id] == nil {
            kept[record.id] = Int((try #require(record.progress) * 400).rounded())
        }
        #expect(Set(kept.keys) == Set(line.map(\.record.id)), "seed \(seed)")
        for id in kept.keys.sorted() {
            #expect(try await node.engine().verify(id, of: task, readData: true) == [], "seed \(seed): \(id)")
        }
        // Nobody prunes any more: each is restored in its turn, the newest last, which goes on to the end.
        let last = bench.node("last", longestChain: 3)
        nodes.append(last)
        let raised = try await last.catalog().raiseEpoch(of: task, from: epoch, for: last.id)
        #expect(raised.from == kept.keys.max(), "seed \(seed)")
        for id in kept.keys.sorted() {
            try await last.engine().stop(task, epoch: raised.epoch)
            let resumed = try await last.engine().restore(submission, from: id, epoch: raised.epoch)
            #expect(resumed.checkpoint == id, "seed \(seed): \(id)")
            #expect(last.machine.step(of: "cairn-t-1") == kept[id], "seed \(seed): \(id)")
            restored += 1
        }
        if !kept.isEmpty {
            await bench.time.advance(by: Seconds(400))
            _ = try await last.machine.status("cairn-t-1")
            let local = try #require(try last.engine().tasks().first)
            let console = String(decoding: try Data(contentsOf: URL(fileURLWithPath: local.console)), as: UTF8.self)
            #expect(console.contains("CHAIN RESULT \(SimulatedGuest.result(steps: 400))"), "seed \(seed)")
        }
        #expect(nodes.map(\.machine.mispairings).reduce(0, +) == 0, "seed \(seed): memory came up over another disk")
    }
}
