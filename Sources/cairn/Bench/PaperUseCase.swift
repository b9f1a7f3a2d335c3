import Evaluation
import Fencing
import Foundation
import Ports
import Vocabulary

/// Figure 9: the use case, with a manager and two agents as processes of their own, and HDFS's DataNodes as their nodes' third part.
extension PaperBench {
    func figure9() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        let kind = stores.available([.hdfs(3)], &missing).first ?? .directory
        let world = try World(bench: self, kind: kind)
        defer { world.end() }
        try await world.begin()
        let length = isQuick ? 20 : 70
        let every = isQuick ? 5 : 12
        let task = try await world.submit(seconds: length, memory: sizes.memory, every: every)
        let begun = Date()
        let sampler = LoadSampler(world: world, dataNodes: dataNodes())
        var markers: [Chart.Marker] = []
        func mark(_ text: String) { markers.append(.init(x: Date().timeIntervalSince(begun), text: text)) }
        var killedAt: Double?
        var resumedAt: Double?
        var wasRunning = false
        var told: String?
        let limit = begun.addingTimeInterval(Double(length) * 2 + 150)
        var last = begun
        while true {
            guard Date() < limit else { throw Failure.notDone("the task does not come to its end: see \(world.folder)") }
            try await Task.sleep(for: .milliseconds(1_000))
            let now = Date()
            sampler.sample(at: now.timeIntervalSince(begun), over: now.timeIntervalSince(last))
            last = now
            let console = world.console(of: task, on: killedAt == nil ? "a" : "b")
            if !wasRunning, console.contains("CAIRN START") {
                wasRunning = true
                mark("runs on A")
            }
            if killedAt == nil, world.share(console) > 0.55, world.committed(task) >= 1 {
                world.kill("a")
                if let first = dataNodes().first { kill(first, SIGKILL) }
                killedAt = now.timeIntervalSince(begun)
                mark("A is lost, with its DataNode")
            }
            // Looked at anew: what was read above is A's console in the round in which A is killed.
            if killedAt != nil, resumedAt == nil, world.console(of: task, on: "b").contains("CAIRN PROGRESS") {
                resumedAt = now.timeIntervalSince(begun)
                mark("goes on at B")
            }
            // An agent keeps nothing of a task that has ended: then the manager says it.
            if killedAt != nil, resumedAt != nil, console.isEmpty { told = try await world.toldResult(of: task) }
            if console.contains("CAIRN RESULT") || told != nil { break }
        }
        mark("done")
        let total = Date().timeIntervalSince(begun)
        let story = try await world.story(of: task)
        let expected = try await Peers.run(
            image.hashchain, world.words(seconds: length, memory: sizes.memory) + ["--fast", "--file", work + "/chain"])
        while told == nil, Date() < limit {
            told = try await world.toldResult(of: task)
            if told == nil { try await Task.sleep(for: .milliseconds(200)) }
        }
        let result = told
        let isRight = result != nil && expected.contains(result ?? "-")
        for one in story.checkpoints { markers.append(.init(x: max(0, one.capturedAt - begun.timeIntervalSince1970), text: "checkpoint")) }
        let down = resumedAt.flatMap { resumed in killedAt.map { resumed - $0 } }
        let lastBefore = story.checkpoints.filter { $0.capturedAt - begun.timeIntervalSince1970 < killedAt ?? 0 && $0.node == "a" }
            .map { $0.capturedAt - begun.timeIntervalSince1970 }.max()
        let lost = lastBefore.map { (killedAt ?? 0) - $0 }
        let stops = story.checkpoints.reduce(0) { $0 + $1.stopSeconds }
        return ScenarioResult(
            id: "figure-9", title: "Figure 9: the use case",
            setup:
                "A manager and two agents (nodes A and B, each with a DataNode), \(kind.name), a task of \(length) s (the paper's: 3220 s) in a guest of \(sizes.memory) MiB with "
                + "\(sizes.userDisk) MiB of user disk; a checkpoint every \(every) s (600 s). When the task is past its middle, node A is lost: agent, guest and DataNode are ended by "
                + "SIGKILL. CPU once a second from /proc: *the task* is its guest's QEMU, *node A* and *node B* are their agents, guests and DataNodes.",
            tables: [
                DataTable(
                    title: "Where the time went", rowTitle: "Part", columns: ["s"],
                    rows: [
                        .init("The task, undisturbed", [Double(length)]), .init("Stops for checkpoints", [stops]),
                        .init("Work lost: from the last checkpoint to the crash", [lost]), .init("From the crash until it goes on at B", [down]),
                        .init("All, from submission to result, with boot", [total]),
                    ]),
                DataTable(
                    title: "Highest resident memory", rowTitle: "Process", columns: ["MiB"],
                    rows: world.residents().map { .init($0.0, [Double($0.1) / 1_048_576]) }),
            ], paper: [PaperNumbers.figure9],
            paperSays: [
                "Each checkpoint has a noticeable impact on the hypervisor's load, and some on the other nodes, which store its blocks.",
                "After the crash node A does nothing any more; the task goes on at B from the last checkpoint, and B goes on making checkpoints.",
            ],
            charts: [
                sampler.chart("figure-9-task", "CPU of the task", markers, ["task"]),
                sampler.chart("figure-9-nodes", "CPU of the nodes", markers, ["node A", "node B"]),
            ],
            findings: [
                ShapeFinding(
                    "The task goes on at B and ends with the result of an undisturbed run.", holds: isRight,
                    because: "(\(result?.prefix(12) ?? "no result") …)", isPromise: true),
                ShapeFinding(
                    "After the crash node A uses no CPU at all.", holds: sampler.most("node A", after: (killedAt ?? 0) + 2) < 0.5,
                    because: "(at most \(EvaluationPage.figure(sampler.most("node A", after: (killedAt ?? 0) + 2))) %)"),
                ShapeFinding(
                    "What is lost is at most the time since the last checkpoint, and the outage.",
                    holds: (lost ?? .infinity) <= Double(every) + 6 && (down ?? .infinity) < 60,
                    because:
                        "(\(lost.map { EvaluationPage.figure($0) } ?? "?") s of work and \(down.map { EvaluationPage.figure($0) } ?? "?") s of outage; the paper: 100 s and 40 s)"
                ),
                ShapeFinding(
                    "Making a checkpoint of a task on A implies load on B, which stores blocks of it.",
                    holds: sampler.most("node B", before: killedAt ?? 0) > 3,
                    because: "(up to \(EvaluationPage.figure(sampler.most("node B", before: killedAt ?? 0))) % before the crash)"),
                ShapeFinding(
                    "Agents stay below 128 MiB of resident memory.",
                    holds: world.residents().allSatisfy { !$0.0.hasPrefix("agent") || $0.1 < 128 << 20 },
                    because: "(" + world.residents().map { "\($0.0) \(EvaluationPage.figure(Double($0.1) / 1_048_576)) MiB" }.joined(separator: ", ")
                        + ")"),
            ], missing: missing.reasons)
    }

    /// Process numbers of the lab's DataNodes, the first is node A's.
    private func dataNodes() -> [Int32] { stores.servers { $0.hasPrefix("dn") } }
}

/// A manager and two agents, as processes of this very program.
final class World {
    let folder: String
    let bench: PaperBench
    let kind: PaperStore
    private var processes: [String: Process] = [:]
    private var peaks: [String: Int64] = [:]
    private let program = "/proc/self/exe"

    init(bench: PaperBench, kind: PaperStore) throws {
        folder = bench.work + "/u"
        self.bench = bench
        self.kind = kind
        try FileManager.default.createDirectory(atPath: folder + "/policies", withIntermediateDirectories: true)
    }

    private func write(_ text: String, _ name: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name)) }

    private func start(_ name: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: program))
        process.arguments = arguments
        let log = folder + "/\(name).log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        process.standardOutput = process.standardError
        process.standardInput = FileHandle.nullDevice
        try process.run()
        processes[name] = process
    }

    func begin() async throws {
        let store =
            switch kind {
            case .hdfs: "{webhdfs: {namenodes: ['\(bench.stores.hdfs ?? "")'], root: /cairn-bench-use-case-\(getpid()), user: cairn}}"
            default: "{directory: \(folder)/store}"
            }
        try write(
            """
            apiVersion: cairn/v1
            kind: Fleet
            metadata: {name: bench}
            spec:
              images: \(bench.work)
              nodes:
                - {name: a, class: bench, capacity: 2, fence: process}
                - {name: b, class: bench, capacity: 2, fence: process}
              store: \(store)
              defaults:
                heartbeat: 1s
                reliability: {mtbf: 5m, weight: 1}
            """, "fleet.yaml")
    }

    func words(seconds: Int, memory: Int) -> [String] {
        [
            "--seconds", "\(seconds)", "--seed", "9", "--memory", "\(PaperBench.inUse(of: memory))", "--dirty-mib-per-s", "2", "--write-kib-per-s",
            "64",
        ]
    }

    func submit(seconds: Int, memory: Int, every: Int) async throws -> String {
        try write(
            """
            apiVersion: cairn/v1
            kind: CheckpointPolicy
            metadata: {name: default}
            spec:
              currency: EUR
              preferences:
                balanced: {timePerHour: 3, networkPerGiB: 0.01, storagePerGiBHour: 0.0002}
              mode: Enforce
              interval: {strategy: fixed, every: \(every)s, floor: 2s, ceiling: 1h}
              compression: {choice: always, codecs: [zstd]}
              replication: \(kind.replication)
              retention: {keepLast: 3}
            """, "policies/default.yaml")
        try write(
            """
            apiVersion: cairn/v1
            kind: TaskSLA
            metadata: {name: use-case}
            spec:
              task:
                image: image
                memory: \(memory)MiB
                delta: \(bench.sizes.userDisk)MiB
                run: hashchain \(words(seconds: seconds, memory: memory).joined(separator: " "))
                work: \(seconds)s
              progress:
                console:
                  pattern: '^CAIRN PROGRESS (\\d+)/(\\d+)'
                  result: '^CAIRN RESULT ([0-9a-f]{64})'
                  failure: '^CAIRN (FAIL .*|CHECK CORRUPT.*|EXIT [1-9][0-9]*)'
              preference: balanced
              policy: default
            """, "sla.yaml")
        try start(
            "manager", ["run", "--fleet", folder + "/fleet.yaml", "--policies", folder + "/policies", "--state", folder + "/state", "--port", "0"])
        let manager = folder + "/state/manager.json"
        try await wait("the manager") { FileManager.default.fileExists(atPath: manager) }
        let url =
            String(decoding: FileManager.default.contents(atPath: manager) ?? Data(), as: UTF8.self)
            .components(separatedBy: "\"url\":\"").last?.components(separatedBy: "\"").first?.replacing("\\/", with: "/") ?? ""
        for node in ["a", "b"] {
            try start(
                "agent \(node)",
                [
                    "agent", "--node", node, "--fleet", folder + "/fleet.yaml", "--manager", url, "--work", "\(folder)/\(node)", "--sample-interval",
                    "1",
                ])
        }
        var task = ""
        try await wait("the nodes") {
            for node in ["a", "b"] where !FileManager.default.fileExists(atPath: "\(self.folder)/\(node)/journal.db") { return false }
            return true
        }
        try await Task.sleep(for: .seconds(6))
        task = try await cairn(["task", "submit", folder + "/sla.yaml", "--node", "a"]).trimmingCharacters(in: .whitespacesAndNewlines)
        return task
    }

    private func wait(_ what: String, _ isThere: () -> Bool) async throws {
        let limit = Date().addingTimeInterval(60)
        while !isThere() {
            guard Date() < limit else { throw Failure.notDone("waited a minute for \(what): see \(folder)") }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func cairn(_ arguments: [String]) async throws -> String {
        try await Peers.run(try FileManager.default.destinationOfSymbolicLink(atPath: program), arguments + ["--state", folder + "/state"])
    }

    // MARK: What is seen

    /// Of the newest life of the task there.
    func console(of task: String, on node: String) -> String {
        let lives = "\(folder)/\(node)/tasks/\(task)"
        let newest = ((try? FileManager.default.contentsOfDirectory(atPath: lives)) ?? []).max() ?? ""
        return FileManager.default.contents(atPath: "\(lives)/\(newest)/console.log").map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    func share(_ console: String) -> Double {
        guard let line = console.split(separator: "\n").last(where: { $0.hasPrefix("CAIRN PROGRESS ") }) else { return 0 }
        let numbers = line.dropFirst("CAIRN PROGRESS ".count).split(separator: "/").compactMap { Double($0) }
        return numbers.count == 2 && numbers[1] > 0 ? numbers[0] / numbers[1] : 0
    }

    /// As the manager has it; nil: the task goes on.
    func toldResult(of task: String) async throws -> String? {
        struct Listed: Decodable {
            var task: String
            var result: String?
        }
        return try JSONDecoder().decode([Listed].self, from: Data(try await cairn(["task", "list", "--json"]).utf8)).first { $0.task == task }?.result
    }

    /// As the agent remembers it: a committed checkpoint is the parent of the next one.
    func committed(_ task: String) -> Int {
        let state =
            FileManager.default.contents(atPath: "\(folder)/a/tasks/\(task)/\(padded(1))/state.json").map { String(decoding: $0, as: UTF8.self) }
            ?? ""
        return state.contains("\"parent\"") ? 1 : 0
    }

    struct Story {
        struct Checkpoint: Decodable {
            var node: String
            var capturedAt: Double
            var stopSeconds: Double
        }
        var checkpoints: [Checkpoint]
    }

    func story(of task: String) async throws -> Story {
        struct Listed: Decodable {
            var task: String
            var checkpoints: [Entry]
        }
        struct Entry: Decodable {
            var node: String
            var capturedAt: String
            var stopSeconds: Double
        }
        let text = try await cairn(["checkpoint", "list", "--json"])
        do {
            let all = try JSONDecoder().decode([Listed].self, from: Data(text.utf8)).first { $0.task == task }?.checkpoints ?? []
            return Story(
                checkpoints: all.map { entry in
                    let at =
                        (try? Date(entry.capturedAt, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
                        ?? (try? Date(entry.capturedAt, strategy: .iso8601))
                    return .init(node: entry.node, capturedAt: at?.timeIntervalSince1970 ?? .nan, stopSeconds: entry.stopSeconds)
                }.filter { $0.capturedAt.isFinite })
        } catch { throw Failure.notDone("checkpoint list cannot be read: \(error): \(text.prefix(400))") }
    }

    /// Numbers of a node's own processes: agent and guests.
    func members(_ node: String) -> [Int32] {
        let agent = processes["agent \(node)"].map { [$0.processIdentifier] } ?? []
        return agent + guests(node)
    }
    func guests(_ node: String) -> [Int32] { ProcessTable.guests(below: "\(folder)/\(node)").map(\.pid) }

    func notePeaks() {
        for (name, process) in processes {
            if let peak = ResidentMemory.peak(of: process.processIdentifier) { peaks[name] = max(peaks[name] ?? 0, peak) }
        }
    }
    func residents() -> [(String, Int64)] { peaks.sorted { $0.key < $1.key } }

    // MARK: Ends

    func kill(_ node: String) {
        for process in members(node) { _ = Foundation.kill(process, SIGKILL) }
        processes["agent \(node)"] = nil
    }

    func end() {
        for (_, process) in processes { _ = Foundation.kill(process.processIdentifier, SIGKILL) }
        for node in ["a", "b"] { for guest in guests(node) { _ = Foundation.kill(guest, SIGKILL) } }
        for (_, process) in processes { process.waitUntilExit() }
    }
}

/// CPU of processes, once in a while, from `/proc`.
final class LoadSampler {
    private let world: World
    private let dataNodes: [Int32]
    private var ticks: [Int32: Double] = [:]
    private var xs: [Double] = []
    private var values: [String: [Double]] = [:]

    init(world: World, dataNodes: [Int32]) {
        self.world = world
        self.dataNodes = dataNodes
    }

    func sample(at x: Double, over seconds: Double) {
        world.notePeaks()
        let groups: [(String, [Int32])] = [
            ("task", world.guests("a") + world.guests("b")), ("node A", world.members("a") + dataNodes.prefix(1)),
            ("node B", world.members("b") + dataNodes.dropFirst().prefix(1)),
        ]
        var now: [Int32: Double] = [:]
        for process in Set(groups.flatMap(\.1)) { if let used = Self.cpuSeconds(process) { now[process] = used } }
        xs.append(x)
        for (name, processes) in groups {
            // What is new has used all that it ever used since.
            let used = processes.reduce(0.0) { sum, process in sum + (now[process].map { $0 - (ticks[process] ?? (ticks.isEmpty ? $0 : 0)) } ?? 0) }
            values[name, default: []].append(max(0, used / max(seconds, 0.1) * 100))
        }
        ticks = now
    }

    /// User and system time. Source: proc(5), /proc/PID/stat, fields 14 and 15.
    private static func cpuSeconds(_ process: Int32) -> Double? {
        guard let text = FileManager.default.contents(atPath: "/proc/\(process)/stat").map({ String(decoding: $0, as: UTF8.self) }),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    func most(_ name: String, after: Double) -> Double { zip(xs, values[name] ?? []).filter { $0.0 > after }.map(\.1).max() ?? 0 }
    func most(_ name: String, before: Double) -> Double { zip(xs, values[name] ?? []).filter { $0.0 < before }.map(\.1).max() ?? 0 }

    func chart(_ name: String, _ title: String, _ markers: [Chart.Marker], _ names: [String]) -> Chart {
        Chart(
            name: name, title: title, kind: .lines, xLabel: "seconds since submission", yLabel: "% of a processor",
            series: names.map { .init($0, values: values[$0] ?? [], xs: xs) }, markers: markers)
    }
}
