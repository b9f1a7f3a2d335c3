import CheckpointEngine
import Evaluation
import Foundation
import Ports
import Synchronization
import Vocabulary

/// Figure 7 and table III: infrastructures compared on a task that only computes; and what our background work costs a guest.
extension PaperBench {
    /// One row of table III.
    enum Infrastructure: Hashable {
        case none
        case paper(PaperCheckpoint.Kind, PaperStore)
        case ours(PaperStore)

        var name: String {
            switch self {
            case .none: "No checkpoint"
            case .paper(.everything, let store): "All + \(store.short)"
            case .paper(.union, let store): "AUFS + \(store.short)"
            case .ours(let store): "Ours + \(store.short)"
            }
        }
        var store: PaperStore? {
            switch self {
            case .none: nil
            case .paper(_, let store), .ours(let store): store
            }
        }
    }

    /// One run of the task.
    struct TaskRun {
        var seconds: Double
        var stop = 0.0
        var paper: [PaperCheckpoint] = []
        var ours: [CheckpointRecord] = []
        var firstIncludedBase = 0.0
        var count: Int { paper.count + ours.count }
    }

    /// Steps that a guest here does in a second when nothing disturbs it.
    private func stepsPerSecond(memory: Int) async throws -> Double {
        let store = try stores.open(.directory, root: "rate")
        let guest = try await begin(
            "rate", memory: memory, disk: sizes.userDisk, run: "hashchain --fast --steps 1000000000 --memory 8 --write-kib-per-s 0", over: store)
        do {
            try await Task.sleep(for: .seconds(isQuick ? 1 : 3))
            let rate = try await rate(of: guest, seconds: isQuick ? 2 : 6)
            try await guest.stop()
            return rate
        } catch {
            try await guest.stop()
            throw error
        }
    }

    /// Steps a second over at least so long, between two instants at which progress was said.
    private func rate(of guest: PaperGuest, seconds: Double) async throws -> Double {
        func next(after steps: Int?) async throws -> (Int, ContinuousClock.Instant) {
            let limit = ContinuousClock.now + .seconds(60)
            while ContinuousClock.now < limit {
                if let now = guest.steps(), now != steps { return (now, .now) }
                try await Task.sleep(for: .milliseconds(10))
            }
            throw Failure.notDone("the guest makes no progress: \(guest.console)")
        }
        let (first, begun) = try await next(after: guest.steps())
        try await Task.sleep(for: .seconds(seconds))
        let (last, ended) = try await next(after: guest.steps())
        return Double(last - first) / ((ended - begun) / .seconds(1))
    }

    private func run(_ infrastructure: Infrastructure, steps: Int, index: Int) async throws -> TaskRun {
        let kind = infrastructure.store ?? .directory
        let store = try stores.open(kind, root: "t3-\(index)")
        // 100 MiB of user disk of which some 10 MiB are used.
        let guest = try await begin(
            "t3-\(index)", memory: sizes.memory, disk: sizes.userDisk,
            run: "dd if=/dev/urandom of=/root/used bs=1M count=\(isQuick ? 1 : 10) 2>/dev/null; sync; "
                + "hashchain --fast --steps \(steps) --memory \(Self.inUse(of: sizes.memory)) --write-kib-per-s 32 --file-limit 8", over: store)
        let begun = ContinuousClock.now
        var run = TaskRun(seconds: 0)
        do {
            let finished = Task { () async throws -> ContinuousClock.Instant in
                try await guest.wait(for: "CAIRN RESULT", seconds: 600)
                return .now
            }
            var due = begun + .seconds(sizes.firstCheckpoint)
            while run.count < sizes.checkpoints, infrastructure != .none {
                try await Task.sleep(until: due, clock: .continuous)
                if guest.text().contains("CAIRN RESULT") { break }
                switch infrastructure {
                case .none: break
                case .paper(let what, let to):
                    let one = try await guest.paperCheckpoint(what, to: store, replication: to.replication)
                    run.paper.append(one)
                    run.stop += one.stop
                    if what == .union, run.paper.count == 1 {
                        // The base goes with the first, in the background.
                        run.firstIncludedBase = try await timed { try await uploadBase(to: store, to.replication) }
                    }
                case .ours(let to):
                    let one = try await guest.checkpoint(replication: to.replication)
                    run.ours.append(one)
                    run.stop += one.stopSeconds.rawValue
                }
                due = max(due + .seconds(sizes.checkpointEvery), .now)
            }
            run.seconds = (try await finished.value - begun) / .seconds(1)
            try await guest.stop()
        } catch {
            try await guest.stop()
            throw error
        }
        try await stores.clear(store)
        return run
    }

    private func uploadBase(to store: any CheckpointStore, _ replication: Int) async throws {
        let plain = TransferMode(form: .sequential, parallel: 1, leavesOutZeros: false, triesBefore: false, isInBackground: false)
        do throws(EngineError) {
            _ = try await Transfer(store: store, mode: plain, time: SystemTime()).upload(
                image.base, as: "\(PaperStores.plain)/base/part", codec: .none, replication: replication, meter: Transfer.Meter())
        } catch { throw Failure.notDone("\(error)") }
    }

    func table3() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        let there = stores.available([.ftp, .hdfs(3)], &missing)
        var rows: [Infrastructure] = [.none]
        for kind in [PaperCheckpoint.Kind.union, .everything] { rows += there.map { .paper(kind, $0) } }
        rows += there.map { .ours($0) }
        let (steps, runs) = try await stores.leavingAProcessor {
            let steps = Int(try await stepsPerSecond(memory: sizes.memory) * sizes.taskSeconds)
            var runs: [Infrastructure: [TaskRun]] = [:]
            var index = 0
            for round in 0..<(isQuick ? 1 : 3) {
                for row in rows {
                    index += 1
                    let one = try await run(row, steps: steps, index: index)
                    say(
                        "  \(row.name), round \(round + 1): \(EvaluationPage.figure(one.seconds)) s, \(EvaluationPage.figure(one.stop)) s of them stops, "
                            + "\(one.count) checkpoints")
                    runs[row, default: []].append(one)
                }
            }
            return (steps, runs)
        }
        return table3(rows, runs, steps, missing)
    }

    private func table3(_ rows: [Infrastructure], _ runs: [Infrastructure: [TaskRun]], _ steps: Int, _ missing: ScenarioMissing) -> ScenarioResult {
        func seconds(_ row: Infrastructure) -> Double { median((runs[row] ?? []).map(\.seconds)) }
        func stop(_ row: Infrastructure) -> Double { median((runs[row] ?? []).map(\.stop)) }
        func count(_ row: Infrastructure) -> Double { median((runs[row] ?? []).map { Double($0.count) }) }
        let undisturbed = seconds(.none)
        let noise = rows.map { row in
            let all = (runs[row] ?? []).map(\.seconds)
            return (all.max() ?? 0) - (all.min() ?? 0)
        }
        let slack = median(noise)
        var findings: [ShapeFinding] = []
        let order = rows.filter { if case .ours = $0 { false } else { true } }
        // With so much noise no order could be told from another one.
        let isQuiet = slack <= 0.05 * undisturbed
        if !isQuiet {
            findings.append(
                ShapeFinding(
                    "The machine was quiet enough to compare task times.", holds: false,
                    because: "(runs of one infrastructure differ by \(EvaluationPage.figure(slack)) s)", isPromise: true))
        }
        let fewer = rows.filter { row in row != .none && (runs[row] ?? []).contains { $0.count < sizes.checkpoints } }
        if !fewer.isEmpty {
            findings.append(
                ShapeFinding(
                    "Every infrastructure made as many checkpoints.", holds: false,
                    because: "(\(fewer.map(\.name).joined(separator: ", ")): fewer than \(sizes.checkpoints) before the task was done)",
                    isPromise: true))
        }
        if order.count == 5, isQuiet, fewer.isEmpty {
            findings.append(
                Shapes.order(
                    "No checkpoint < AUFS+FTP ≤ AUFS+HDFS < All+FTP ≤ All+HDFS: the paper's order of task times.",
                    order.map { ($0.name, seconds($0)) }, ["<", "≤", "<", "≤"], slack: slack
                ).promised)
            let stops = order.map { stop($0) }
            let (union, everything) = (stops[1...2], stops[3...4])
            findings.append(
                Shapes.order(
                    "The guest stands still for less with AUFS than with everything, whatever the store.",
                    [("AUFS at most", union.max() ?? 0), ("All at least", everything.min() ?? 0)], ["<"]
                ).promised)
            findings.append(
                ShapeFinding(
                    "The store has no part in how long it stands still, as what is saved is sent afterwards.",
                    holds: [union, everything].allSatisfy { ($0.max() ?? 0) <= 1.15 * ($0.min() ?? 0) },
                    because: "(" + order.dropFirst().map { "\($0.name) \(EvaluationPage.figure(stop($0))) s" }.joined(separator: ", ") + ")"))
        }
        let paperRows = rows.filter { if case .paper = $0 { true } else { false } }
        for row in paperRows {
            let longer = seconds(row) - undisturbed
            findings.append(
                ShapeFinding(
                    "\(row.name): the task takes longer by about the time that it stood still.",
                    holds: abs(longer - stop(row)) <= max(0.5 * stop(row), slack + 0.5),
                    because: "(\(EvaluationPage.figure(longer)) s longer, \(EvaluationPage.figure(stop(row))) s of stops)"))
        }
        for row in rows {
            guard case .ours(let store) = row, rows.contains(.paper(.union, store)) else { continue }
            findings.append(
                ShapeFinding(
                    "\(row.name) costs the task less than \(Infrastructure.paper(.union, store).name).",
                    holds: seconds(row) < seconds(.paper(.union, store)),
                    because: "(\(EvaluationPage.figure(seconds(row) - undisturbed)) s and "
                        + "\(EvaluationPage.figure(seconds(.paper(.union, store)) - undisturbed)) s longer than undisturbed; noise \(EvaluationPage.figure(slack)) s)"
                ))
        }
        return ScenarioResult(
            id: "table-3", title: "Table III and figure 7: infrastructures compared",
            setup:
                "A task of \(steps) steps of SHA-256, some \(Int(sizes.taskSeconds)) s undisturbed (the paper's: 3201 s), in a guest of \(sizes.memory) MiB with a user disk of "
                + "\(sizes.userDisk) MiB, of which 10 MiB are used, on a base of \(sizes.base) MiB; \(sizes.checkpoints) checkpoints, after \(Int(sizes.firstCheckpoint)) s and then "
                + "every \(Int(sizes.checkpointEvery)) s, or when the one before is in the store (the paper: 300 s and 600 s); HDFS with 3 replicas. *All*: base, user disk and memory each time; *AUFS*: the base "
                + "with the first only (overlayfs on this kernel); in both the guest stands still while memory and disks are saved, as in the paper. *Ours*: copy-on-write of "
                + "memory, layers, zstd, in the background at low priority. On a machine of several processors the first is left to the guest: the stores' servers and "
                + "the engine run on the others, as the stores were machines of their own. Medians of \(runs[.none]?.count ?? 0), in turns; the task's time is from its first line to its "
                + "last.",
            tables: [
                DataTable(
                    title: "Table III", rowTitle: "Infrastructure", columns: ["Time, s", "Difference, s", "Stop time, s", "Checkpoints"],
                    rows: rows.map { row in
                        .init(row.name, [seconds(row), seconds(row) - undisturbed, row == .none ? nil : stop(row), row == .none ? nil : count(row)])
                    }), figure7Table(rows, runs),
            ], paper: [PaperNumbers.table3],
            paperSays: [
                "All + FTP takes around 20 s to save all disks at each checkpoint; uploads to HDFS take longer than to FTP, which does not stop the VM longer.",
                "With AUFS the first checkpoint takes much longer than the others, as it uploads the system disk.",
                "The task takes longer basically by the time that it was stopped.",
            ], charts: figure7Charts(rows, runs), findings: findings + figure7Findings(rows, runs), missing: missing.reasons)
    }

    private func figure7Table(_ rows: [Infrastructure], _ runs: [Infrastructure: [TaskRun]]) -> DataTable {
        let rows = rows.filter { $0 != .none }
        let most = rows.compactMap { runs[$0]?.first?.count }.max() ?? 0
        return DataTable(
            title: "Figure 7: seconds until each checkpoint is in the store (first round)", rowTitle: "Infrastructure",
            columns: (0..<most).map { "No. \($0 + 1)" },
            rows: rows.map { row in .init(row.name, (0..<most).map { index in runs[row]?.first.flatMap { total(of: $0, index) } }) })
    }

    private func total(of run: TaskRun, _ index: Int) -> Double? {
        if run.paper.indices.contains(index) { return run.paper[index].total + (index == 0 ? run.firstIncludedBase : 0) }
        return run.ours.indices.contains(index) ? run.ours[index].latencySeconds.rawValue : nil
    }

    private func figure7Charts(_ rows: [Infrastructure], _ runs: [Infrastructure: [TaskRun]]) -> [Chart] {
        let rows = rows.filter { $0 != .none }
        var categories: [String] = []
        var parts: [(String, [Double?])] = [
            ("save memory", []), ("save disks", []), ("restart VM", []), ("compress", []), ("upload", []), ("upload base", []), ("ours: stop", []),
            ("ours: beside the guest", []),
        ]
        for row in rows {
            guard let run = runs[row]?.first else { continue }
            for (index, one) in run.paper.enumerated() {
                categories.append("\(row.name) \(index + 1)")
                let values: [Double?] = [
                    one.saveMemory, one.saveDisks, one.restart, one.compress, one.uploadMemory + one.uploadDisks,
                    index == 0 ? run.firstIncludedBase : nil, nil,
                    nil,
                ]
                for (part, value) in values.enumerated() { parts[part].1.append(value) }
            }
            for (index, one) in run.ours.enumerated() {
                categories.append("\(row.name) \(index + 1)")
                let stop = one.stopSeconds.rawValue
                let values: [Double?] = [nil, nil, nil, nil, nil, nil, stop, one.latencySeconds.rawValue - stop]
                for (part, value) in values.enumerated() { parts[part].1.append(value) }
            }
        }
        return [
            Chart(
                name: "table-3", title: "Time of the task by infrastructure", kind: .groupedBars, xLabel: "infrastructure", yLabel: "seconds",
                categories: ["No checkpoint"] + rows.map(\.name),
                series: [.init("task time", values: ([.none] + rows).map { row in runs[row].map { median($0.map(\.seconds)) } })]),
            Chart(
                name: "figure-7", title: "Each checkpoint by infrastructure", kind: .stackedBars,
                xLabel: "infrastructure and number of the checkpoint",
                yLabel: "seconds", categories: categories, series: parts.map { .init($0.0, values: $0.1) }),
        ]
    }

    private func figure7Findings(_ rows: [Infrastructure], _ runs: [Infrastructure: [TaskRun]]) -> [ShapeFinding] {
        rows.compactMap { row -> ShapeFinding? in
            guard case .paper(let kind, _) = row, let run = runs[row]?.first, run.paper.count > 1, let first = total(of: run, 0) else { return nil }
            let others = median((1..<run.paper.count).compactMap { total(of: run, $0) })
            let because = "(first \(EvaluationPage.figure(first)) s, the others \(EvaluationPage.figure(others)) s)"
            return kind == .union
                ? ShapeFinding("\(row.name): the first checkpoint takes much longer than the others.", holds: first > 1.3 * others, because: because)
                : ShapeFinding(
                    "\(row.name): no appreciable difference among the checkpoints.", holds: abs(first - others) < 0.35 * others, because: because)
        }
    }

    // MARK: Interference

    func interference() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        let kind = stores.available([.hdfs(3)], &missing).first ?? .directory
        let store = try stores.open(kind, root: "i")
        let file = work + "/content"
        try BenchFiles.mixed(file, bytes: Int64(isQuick ? 16 : 192) << 20, seed: 3)
        let guest = try await begin(
            "i", memory: sizes.memory, disk: sizes.userDisk, run: "hashchain --fast --steps 1000000000 --memory 8 --write-kib-per-s 0", over: store)
        let ways: [(String, TransferMode?)] = [
            ("nothing beside", nil), ("uploads at low priority (ours)", TransferMode()),
            ("uploads at ordinary priority", TransferMode(isInBackground: false)),
        ]
        var rates = [[Double]](repeating: [], count: ways.count)
        var sent = [[Double]](repeating: [], count: ways.count)
        do {
            try await Task.sleep(for: .seconds(2))
            for _ in 0..<(isQuick ? 1 : 4) {
                for (index, way) in ways.enumerated() {
                    let uploads = Uploads()
                    let busy = way.1.map { mode in
                        Task {
                            while !Task.isCancelled {
                                let begun = ContinuousClock.now
                                let content = try await Transfer(store: store, mode: mode, time: SystemTime()).upload(
                                    file, as: "\(PaperStores.plain)/\(UUID().uuidString)/part", codec: .zstd, replication: kind.replication,
                                    meter: Transfer.Meter())
                                uploads.add(content.bytes, (ContinuousClock.now - begun) / .seconds(1))
                            }
                        }
                    }
                    rates[index].append(try await rate(of: guest, seconds: isQuick ? 2 : 6))
                    busy?.cancel()
                    if let busy { try await busy.value }
                    if let speed = uploads.speed { sent[index].append(speed) }
                }
            }
            try await guest.stop()
        } catch {
            try await guest.stop()
            throw error
        }
        try await stores.clear(store)
        discardBench(file)
        let free = median(rates[0])
        let slow = rates.map { 1 - median($0) / free }
        return ScenarioResult(
            id: "interference", title: "Interference: what uploads cost the guest beside them",
            setup:
                "A guest computes (SHA-256, one virtual CPU on two cores) while zstd compression and uploads to \(kind.name) run beside it all the time, at low priority "
                + "for processors and disks (nice 10, best-effort 7), and at ordinary priority. Steps a second, medians of \(rates[0].count) windows, in turns. The store's own servers run "
                + "on the same two cores and are not ours to slow down.",
            tables: [
                DataTable(
                    title: "", rowTitle: "Beside the guest", columns: ["Steps a second", "Slower by, %", "Content uploaded, MiB/s"],
                    rows: ways.indices.map { .init(ways[$0].0, [median(rates[$0]), slow[$0] * 100, sent[$0].isEmpty ? nil : median(sent[$0])]) })
            ],
            paperSays: [
                "Each checkpoint has a noticeable impact on the hypervisor's load; making a checkpoint implies some load in the other nodes, too."
            ],
            charts: [
                Chart(
                    name: "interference", title: "Speed of a guest beside uploads", kind: .groupedBars, xLabel: "beside the guest",
                    yLabel: "steps a second",
                    categories: ways.map(\.0), series: [.init("steps a second", values: rates.map { median($0) })])
            ],
            findings: [
                ShapeFinding(
                    "Low priority leaves the guest more than ordinary priority does.", holds: slow[1] <= slow[2],
                    because: "(slower by \(EvaluationPage.figure(slow[1] * 100)) % and by \(EvaluationPage.figure(slow[2] * 100)) %)")
            ], missing: missing.reasons)
    }

    private final class Uploads: Sendable {
        private let state = Mutex((bytes: Int64(0), seconds: 0.0))
        func add(_ bytes: Int64, _ seconds: Double) {
            state.withLock {
                $0.bytes += bytes
                $0.seconds += seconds
            }
        }
        var speed: Double? { state.withLock { $0.seconds > 0 ? Double($0.bytes) / 1_048_576 / $0.seconds : nil } }
    }

    // MARK: Figure 8

    func figure8() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        var there = stores.available([.ftp, .hdfs(2), .hdfs(3)], &missing)
        if there.isEmpty { there = [.directory] }
        var alone: [PaperStore: ResumeRecord] = [:]
        var together: [PaperStore: [ResumeRecord]] = [:]
        for (index, kind) in there.enumerated() {
            let store = try stores.open(kind, root: "f8-\(index)")
            var guests: [PaperGuest] = []
            var resumed: [(CheckpointEngine, TaskID, Epoch)] = []
            func stopAll() async throws {
                for guest in guests { try await guest.stop() }
                for (engine, task, epoch) in resumed { try await engine.stop(task, epoch: epoch) }
            }
            do {
                for number in 1...2 {
                    guests.append(
                        try await begin(
                            "f8-\(index)-\(number)", memory: sizes.memory, disk: sizes.userDisk,
                            run: "hashchain --seconds 3600 --rate 20 --memory \(Self.inUse(of: sizes.memory)) --write-kib-per-s 64", over: store))
                }
                for guest in guests {
                    _ = try await guest.checkpoint(replication: kind.replication)
                    // The node is lost: its guests and all that it knew.
                    try await guest.stop()
                }
                func resume(_ guest: PaperGuest, node: String, from epoch: Epoch) async throws -> ResumeRecord {
                    do throws(EngineError) {
                        let engine = self.engine(node, over: store, directory: "r-\(guest.task)-\(node)")
                        let raised = try await guest.catalog.raiseEpoch(of: guest.task, from: epoch, for: NodeID(node))
                        let record = try await engine.restore(guest.submission, from: raised.from, epoch: raised.epoch)
                        return record
                    } catch { throw Failure.notDone("\(error)") }
                }
                func end(_ guest: PaperGuest, node: String, epoch: Epoch) async throws {
                    try await self.engine(node, over: store, directory: "r-\(guest.task)-\(node)").stop(guest.task, epoch: epoch)
                }
                alone[kind] = try await resume(guests[0], node: "b", from: .first)
                resumed.append((engine("b", over: store, directory: "r-\(guests[0].task)-b"), guests[0].task, Epoch(2)))
                try await end(guests[0], node: "b", epoch: Epoch(2))
                let (one, two) = (guests[0], guests[1])
                async let first = resume(one, node: "c", from: Epoch(2))
                async let second = resume(two, node: "d", from: .first)
                together[kind] = [try await first, try await second]
                resumed.append((engine("c", over: store, directory: "r-\(one.task)-c"), one.task, Epoch(3)))
                resumed.append((engine("d", over: store, directory: "r-\(two.task)-d"), two.task, Epoch(2)))
                try await stopAll()
            } catch {
                try await stopAll()
                throw error
            }
            try await stores.clear(store)
        }
        return figure8(there, alone, together, missing)
    }

    private func figure8(
        _ there: [PaperStore], _ alone: [PaperStore: ResumeRecord], _ together: [PaperStore: [ResumeRecord]], _ missing: ScenarioMissing
    ) -> ScenarioResult {
        func fetch(_ record: ResumeRecord?) -> Double? { record?.fetchSeconds.rawValue }
        func restore(_ record: ResumeRecord?) -> Double? { record?.restoreSeconds.rawValue }
        func all(_ record: ResumeRecord?) -> Double { (fetch(record) ?? 0) + (restore(record) ?? 0) }
        func slower(_ store: PaperStore) -> Double { (together[store] ?? []).map { all($0) }.max() ?? 0 }
        var records: [(String, ResumeRecord?)] = there.map { ("one, \($0.name)", alone[$0]) }
        for store in there {
            for (number, record) in (together[store] ?? []).enumerated() { records.append(("two, \(store.name), task \(number + 1)", record)) }
        }
        var findings: [ShapeFinding] = []
        let single = there.map { all(alone[$0]) }
        findings.append(
            ShapeFinding(
                "One at a time, the stores behave similarly.", holds: (single.max() ?? 0) < 1.5 * (single.min() ?? 1),
                because: "(" + there.map { "\($0.name) \(EvaluationPage.figure(all(alone[$0]))) s" }.joined(separator: ", ") + ")"))
        if there.count == 3 {
            findings.append(
                Shapes.order(
                    "Two at once: the more replicas the faster, and FTP is the slowest.",
                    [.hdfs(3), .hdfs(2), .ftp].map { ($0.name, slower($0)) }, ["≤", "<"]))
        }
        return ScenarioResult(
            id: "figure-8", title: "Figure 8: one and two tasks resumed at once",
            setup:
                "Two tasks on one node, a checkpoint of each, the node lost; then one is resumed alone, and then both at the same time, each by an engine with a "
                + "directory of its own that knows nothing: base (\(sizes.base) MiB), disk and memory are fetched. Memory of \(sizes.memory) MiB.",
            tables: [
                DataTable(
                    title: "Seconds", rowTitle: "Resumed", columns: ["Fetch", "Restore", "All", "Fetched, MiB"],
                    rows: records.map { name, record in
                        .init(name, [fetch(record), restore(record), all(record), record.map { Double($0.fetchedBytes.rawValue) / 1_048_576 }])
                    })
            ],
            paperSays: [
                "One task at a time: FTP, HDFS with 2 and with 3 replicas behave similarly.",
                "Two at once: FTP is considerably slower, as the server becomes a bottleneck; more replicas allow faster recovery.",
            ],
            charts: [
                Chart(
                    name: "figure-8", title: "Time to resume tasks", kind: .stackedBars, xLabel: "tasks at once, and the store", yLabel: "seconds",
                    categories: records.map(\.0),
                    series: [.init("fetch", values: records.map { fetch($0.1) }), .init("restore", values: records.map { restore($0.1) })])
            ], findings: findings, missing: missing.reasons)
    }
}
