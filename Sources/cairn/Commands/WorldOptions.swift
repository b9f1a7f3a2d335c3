import ArgumentParser
import Declarations
import Foundation
import Ports
import Simulation
import Vocabulary

/// The simulated world: tasks, nodes, failures, costs.
struct WorldOptions: ParsableArguments {
    @Option(parsing: .upToNextOption, help: "TaskSLA files, or directories of them.") var tasks: [String]
    @Option(help: "Each task is submitted so many times.") var copies = 1
    @Option(help: "Time between two submissions.") var spacing = "0s"

    @Option(help: "A Fleet file: its nodes, capacities and defaults. Without it --nodes or --trace.") var fleet: String?
    @Option(help: "So many equal nodes; of a trace, its first so many.") var nodes: Int?
    @Option(help: "Tasks that each of --nodes takes at once.") var capacity = 8
    @Option(help: "Mean time that a node is up.") var mtbf = "30d"
    @Option(help: "Law of the time up: exponential, weibull:SHAPE, lognormal:SIGMA or fixed.") var distribution = "exponential"
    @Option(help: "Mean time that a node is down after a failure.") var downtime = "1h"
    @Option(help: "Law of the time down, as --distribution.") var downtimeDistribution = "exponential"
    @Option(help: "Outages that really happened, instead of a law: CSV with node, down_start_epoch_seconds, down_end_epoch_seconds, cause.")
    var trace: String?
    @Flag(help: "Nodes do not say how long they have been up, as those that are processes on one machine do not.") var agesUnknown = false

    @Option(help: "A guest's stop for a checkpoint, but for 0.05 s a GiB of memory.") var stop = "100ms"
    @Option(help: "Share of a guest's memory that is not zero.") var content = "50%"
    @Option(help: "Written to a task's delta disk in a second.") var written = "64KiB"
    @Option(help: "Each node's link, bytes a second.") var link = "95MiB"
    @Option(help: "The store's link, bytes a second, copies counted; without it, it never limits.") var storeLink: String?
    @Option(help: "How much tasks and their checkpoints differ: 1 as usual, 0 not at all.") var spread = 1.0

    @Option(help: "The same seed, the same output.") var seed: UInt64 = 1
    @Option(help: "Tasks that have not finished then never do; by default twenty times the longest work, 30 days at least.") var horizon: String?
    @Option(help: "Runs at a time.") var jobs = max(1, ProcessInfo.processInfo.activeProcessorCount)
    @Flag(help: "Say nothing about progress on standard error.") var quiet = false
}

/// What is wrong with files and options, all of it.
struct Problems {
    private(set) var all: [String] = []
    mutating func add(_ text: String) { all.append(text) }
    func tell() throws { if !all.isEmpty { throw Failure(message: all.joined(separator: "\n"), status: 1) } }
}

extension WorldOptions {
    private func slas(_ problems: inout Problems) throws -> [(TaskSLA, DocumentVersion, String)] {
        var files: [String] = []
        for path in tasks {
            var isDirectory: ObjCBool = false
            if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue {
                do {
                    let names = try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }
                    if names.isEmpty { problems.add("\(path): error: holds no .yaml file") }
                    files += names.sorted().map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
                } catch { throw Failure.cannotTry("cannot read \(path): \(error.localizedDescription)") }
            } else {
                files.append(path)
            }
        }
        var slas: [(TaskSLA, DocumentVersion, String)] = []
        for file in files {
            let read = Documents.read(try contents(of: file), file: file)
            for problem in read.problems where problem.severity == .error { problems.add(problem.description) }
            for case .taskSLA(let sla, let version) in read.declarations { slas.append((sla, version, file)) }
        }
        if slas.isEmpty, problems.all.isEmpty { problems.add("no TaskSLA in \(tasks.joined(separator: ", "))") }
        return slas
    }

    func scenario(_ candidates: [Candidacy], _ problems: inout Problems) throws -> (scenario: Scenario, failures: String)? {
        let slas = try slas(&problems)
        let spacing = duration(spacing, "--spacing", &problems)
        var trials: [Scenario.Task] = []
        for (sla, version, file) in slas {
            if let deadline = sla.deadline, case .at = deadline.moment {
                problems.add("\(file): error: spec.deadline.at: a moment means nothing in simulated time (give the deadline as within)")
            }
            let currency = candidates.first?.policy.currency
            if let penalty = sla.penalty, let currency, penalty.amount.currency != currency {
                problems.add("\(file): error: spec.penalty.currency: \(penalty.amount.currency), but the policies reckon in \(currency)")
            }
            let prices: Prices
            switch sla.preference {
            case .prices(let own): prices = own
            case .named(let name):
                for candidate in candidates where candidate.policy.preferences[name] == nil {
                    problems.add("\(file): error: spec.preference: the policy \(candidate.policy.name) has no preference \(name)")
                }
                prices = candidates.first?.policy.preferences[name] ?? Prices(timePerHour: 0, networkPerGiB: 0, storagePerGiBHour: 0)
            }
            for _ in 0..<max(1, copies) {
                let after = Seconds((spacing?.rawValue ?? 0) * Double(trials.count))
                trials.append(Scenario.Task(sla: sla, version: version, submittedAfter: after, prices: prices))
            }
        }
        if copies < 1 || copies > 100_000 { problems.add("--copies is from 1 to 100000") }
        if jobs < 1 || jobs > 256 { problems.add("--jobs is from 1 to 256") }
        let machines = try machines(&problems)
        let longest = trials.map(\.sla.task.workSeconds).max() ?? .zero
        let last = trials.last?.submittedAfter ?? .zero
        let horizon = horizon.map { duration($0, "--horizon", &problems) } ?? (last + max(.hours(24 * 30), longest * 20))
        let world = world(&problems)
        guard let machines, let horizon, !trials.isEmpty else { return nil }
        var scenario = Scenario(
            fleet: machines.fleet, tasks: trials, failures: machines.failures, costs: world.costs, links: world.links, horizon: horizon, seed: seed)
        scenario.tellsUptime = !agesUnknown
        return (scenario, machines.text)
    }

    private func machines(_ problems: inout Problems) throws -> (fleet: Fleet, failures: FailureSource, text: String)? {
        let law = FailureLaw(distribution)
        let repair = FailureLaw(downtimeDistribution)
        let forms = "exponential, weibull:SHAPE, lognormal:SIGMA (0.1 to 10) or fixed"
        if law == nil { problems.add("--distribution: '\(distribution)' is none of \(forms)") }
        if repair == nil { problems.add("--downtime-distribution: '\(downtimeDistribution)' is none of \(forms)") }
        let up = positive(mtbf, "--mtbf", &problems)
        let down = duration(downtime, "--downtime", &problems)
        if capacity < 1 || capacity > 100_000 { problems.add("--capacity is from 1 to 100000") }
        if let nodes, nodes < 1 || nodes > 10_000 {
            problems.add("--nodes is from 1 to 10000")
            return nil
        }
        var declared: Fleet?
        if let fleet {
            declared = try FleetFile.read(fleet)
            if nodes != nil { problems.add("--nodes and --fleet exclude each other: the file says which nodes there are") }
        }
        if let trace {
            let read = FailureTrace.read(try contents(of: trace), file: trace)
            let shown = 50
            for problem in read.problems.prefix(shown) { problems.add(problem.description) }
            if read.problems.count > shown { problems.add("\(trace): and \(read.problems.count - shown) problems more") }
            guard let outages = read.trace else { return nil }
            let names: [String]
            if let declared {
                names = declared.nodes.map(\.id.rawValue)
                for name in names where !outages.nodes.contains(name) { problems.add("\(trace): error: holds no node \(name), which the fleet has") }
            } else {
                if let nodes, nodes > outages.nodes.count {
                    problems.add("--nodes \(nodes): the trace \(trace) has only \(outages.nodes.count) nodes that ever failed")
                }
                names = Array(outages.nodes.prefix(nodes ?? outages.nodes.count))
            }
            let fleet = declared ?? Self.fleet(names.map { "node-" + $0 }, capacity)
            let name = URL(fileURLWithPath: trace).lastPathComponent
            return (
                fleet, .trace(outages, nodes: names),
                "\(name), \(outages.outageCount) outages in \(Int(outages.periodSeconds / 86_400)) days"
            )
        }
        guard declared != nil || nodes != nil else {
            problems.add("give --fleet FILE, --nodes N or --trace FILE: without nodes nothing can run")
            return nil
        }
        guard let law, let repair, let up, let down else { return nil }
        let fleet = declared ?? Self.fleet((1...(nodes ?? 1)).map { "node-\($0)" }, capacity)
        return (
            fleet, .law(law, mtbfSeconds: up.rawValue, repair: repair, downSeconds: down.rawValue), "\(law.text), MTBF \(mtbf), down for \(downtime)"
        )
    }

    private static func fleet(_ names: [String], _ capacity: Int) -> Fleet {
        Fleet(
            name: "simulated", nodes: names.map { Fleet.Node(id: NodeID($0), capacity: capacity) }, store: .directory("/simulated"),
            imagesDirectory: "/simulated")
    }

    private func world(_ problems: inout Problems) -> (costs: GuestCosts, links: Links) {
        var costs = GuestCosts()
        var links = Links()
        if let stop = duration(stop, "--stop", &problems) { costs.stopSeconds = stop.rawValue }
        do throws(Quantity.Trouble) { costs.contentShare = try Quantity.share(content) } catch { problems.add(Self.text(error, "--content")) }
        if let written = bytes(written, "--written", &problems) { costs.writtenBytesPerSecond = written }
        if let link = bytes(link, "--link", &problems) {
            if link < 1 { problems.add("--link must be above 0") }
            links.nodeBytesPerSecond = link
        }
        if let storeLink, let link = bytes(storeLink, "--store-link", &problems) {
            if link < 1 { problems.add("--store-link must be above 0") }
            links.storeBytesPerSecond = link
        }
        if !(0...10).contains(spread) {
            problems.add("--spread is from 0 to 10")
        } else {
            costs.taskSpread *= spread
            costs.checkpointSpread *= spread
        }
        return (costs, links)
    }

    private func duration(_ text: String, _ option: String, _ problems: inout Problems) -> Seconds? {
        // Finer than declarations have it: stops are shorter than a second.
        if text.hasSuffix("ms"), let value = Double(text.dropLast(2)), value >= 0, value < 1e9 { return Seconds(value / 1_000) }
        do throws(Quantity.Trouble) { return try Quantity.duration(text) } catch {
            problems.add(Self.text(error, option))
            return nil
        }
    }

    private func positive(_ text: String, _ option: String, _ problems: inout Problems) -> Seconds? {
        guard let value = duration(text, option, &problems) else { return nil }
        guard value > .zero else {
            problems.add("\(option) must be longer than 0s")
            return nil
        }
        return value
    }

    private func bytes(_ text: String, _ option: String, _ problems: inout Problems) -> Double? {
        do throws(Quantity.Trouble) { return Double(try Quantity.size(text).rawValue) } catch {
            problems.add(Self.text(error, option))
            return nil
        }
    }

    private static func text(_ trouble: Quantity.Trouble, _ option: String) -> String {
        "\(option): \(trouble.message)" + (trouble.suggestion.map { " (\($0))" } ?? "")
    }
}

/// All runs of all policies, some at a time; in which order they end changes nothing.
struct Trials {
    let simulation: Simulation
    let candidates: [Candidacy]
    let runs: Int
    let jobs: Int
    let isQuiet: Bool

    func results() async -> [[RunResult]] {
        let count = candidates.count * runs
        var found: [RunResult?] = Array(repeating: nil, count: count)
        var done = 0
        var told = Date.distantPast
        await withTaskGroup(of: (Int, RunResult).self) { group in
            var next = 0
            func begin() {
                guard next < count else { return }
                let number = next
                next += 1
                let simulation = simulation
                let candidate = candidates[number % candidates.count]
                let run = number / candidates.count
                group.addTask { await onBlockingThread { (number, simulation.run(run, candidate)) } }
            }
            for _ in 0..<min(jobs, count) { begin() }
            for await (number, result) in group {
                found[number] = result
                done += 1
                begin()
                if !isQuiet, done == count || Date().timeIntervalSince(told) > 2 {
                    told = Date()
                    FileHandle.standardError.write(Data("\(done) of \(count) runs\n".utf8))
                }
            }
        }
        return candidates.indices.map { candidate in (0..<runs).compactMap { found[$0 * candidates.count + candidate] } }
    }
}
