import PlanningModel
import Simulation
import Testing
import Vocabulary

@Suite("A simulated world keeps its books")
struct BookkeepingTests {
    static let strategies: [IntervalStrategy] = [.adaptive, .daly, .fixed(Seconds(600)), .never]

    @Test("every second of a task is in one place, and its work is done once", arguments: strategies)
    func conservation(strategy: IntervalStrategy) {
        let scenario = Trial.mixed(deadlines: strategy != .adaptive)
        for run in 0..<2 {
            let (result, log) = Simulation(scenario).recording(run, Trial.policy(strategy))
            for (index, account) in result.accounts.enumerated() {
                let task = TaskID("\(scenario.tasks[index].sla.name)-\(index + 1)")
                guard let end = log.first(where: { $0.kind == .finished(task) }) else {
                    Issue.record("\(task) did not finish in run \(run)")
                    continue
                }
                let submitted = scenario.tasks[index].submittedAfter.rawValue
                #expect(abs(account.elapsedSeconds - (end.at - submitted)) < 1e-3, "\(strategy.name), run \(run), \(task)")
                #expect(abs(account.workSeconds - scenario.tasks[index].sla.task.workSeconds.rawValue) < 1e-3)
                for length in [
                    account.lostSeconds, account.stoppedSeconds, account.interferenceSeconds, account.downSeconds, account.recoverySeconds,
                    account.waitingSeconds,
                ] { #expect(length >= 0) }
                let failures = log.filter { if case .failed(task, _) = $0.kind { true } else { false } }.count
                #expect(account.failures == failures)
            }
        }
    }

    @Test("a task never has two lives at once, and goes on from its newest committed checkpoint", arguments: strategies)
    func oneLife(strategy: IntervalStrategy) {
        let scenario = Trial.mixed(seed: 7, deadlines: false)
        for run in 0..<2 {
            let (_, log) = Simulation(scenario).recording(run, Trial.policy(strategy))
            var running: [TaskID: Epoch] = [:]
            var committed: [TaskID: Double] = [:]
            var epochs: [TaskID: Epoch] = [:]
            var up: Set<NodeID> = []
            for entry in log {
                switch entry.kind {
                case .nodeUp(let node): up.insert(node)
                case .nodeDown(let node): up.remove(node)
                case .running(let task, let node, let epoch, let work):
                    #expect(running[task] == nil, "\(task) runs already")
                    #expect(epoch > epochs[task] ?? Epoch(0))
                    #expect(up.contains(node), "\(task) begins on \(node), which is down")
                    #expect(work == committed[task] ?? 0)
                    running[task] = epoch
                    epochs[task] = epoch
                case .failed(let task, _), .finished(let task):
                    #expect(running[task] != nil)
                    running[task] = nil
                case .captured(let task, _): #expect(running[task] != nil)
                case .committed(let task, let work):
                    #expect(running[task] != nil)
                    #expect(work >= committed[task] ?? 0)
                    committed[task] = work
                case .nodeLost(let node): #expect(!up.contains(node))
                case .ended: break
                }
            }
            #expect(running.isEmpty)
        }
    }

    @Test("no node has more tasks than it takes, and tasks that find no place wait")
    func capacity() {
        var scenario = Trial.mixed(seed: 3)
        scenario.fleet = Trial.fleet(1, capacity: 1)
        scenario.tasks = (0..<3).map { Trial.task("q\($0)", work: 1_000) }
        scenario.failures = .law(.fixed, mtbfSeconds: 1e9, repair: .fixed, downSeconds: 1)
        let (result, log) = Simulation(scenario).recording(0, Trial.policy(.never))
        var running = 0
        for entry in log {
            if case .running = entry.kind { running += 1 }
            if case .finished = entry.kind { running -= 1 }
            #expect(running <= 1)
        }
        // Each starts in 5 s and works 1000 s; the third waits for two.
        #expect(result.accounts.map { $0.waitingSeconds.rounded() } == [0, 1_005, 2_010])
        #expect(result.metrics[.finishSeconds].map { abs($0 - (1_005 + 2_010 + 3_015) / 3) < 1e-6 } == true)
    }

    @Test("equal seeds give equal results to the last bit; another seed gives others")
    func seeds() {
        let a = Simulation(Trial.mixed(seed: 5)).run(2, Trial.policy(.adaptive))
        let b = Simulation(Trial.mixed(seed: 5)).run(2, Trial.policy(.adaptive))
        let c = Simulation(Trial.mixed(seed: 6)).run(2, Trial.policy(.adaptive))
        #expect(a == b)
        #expect(a != c)
    }

    @Test("a horizon ends what would not end")
    func horizon() {
        var scenario = Trial.mixed()
        scenario.tasks = [Trial.task(work: 1e6, deadline: 2e6)]
        scenario.failures = .law(.exponential, mtbfSeconds: 3_600, repair: .fixed, downSeconds: 60)
        scenario.horizon = .hours(100)
        let result = Simulation(scenario).run(0, Trial.policy(.never))
        #expect(result.metrics[.unfinishedShare] == 1)
        #expect(result.metrics[.deadlineMissShare] == 1)
        #expect(abs(result.accounts[0].elapsedSeconds - 360_000) < 1e-3)
    }
}

@Suite("The simulation agrees with what can be computed")
struct ClosedFormTests {
    /// Runs of one task with a fixed interval on nodes that fail exponentially, costs without spread.
    private func times(_ scenario: Scenario, interval: Double, runs: Int) -> [Double] {
        let simulation = Simulation(scenario)
        let policy = Trial.policy(.fixed(Seconds(interval)), compression: .never)
        return (0..<runs).map { simulation.run($0, policy).accounts[0].elapsedSeconds }
    }

    private func agrees(_ values: [Double], _ expected: Double) -> Bool {
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        let error = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1) / count).squareRoot()
        return abs(mean - expected) <= 3 * error
    }

    private func scenario(work: Double, link: Double) -> Scenario {
        var scenario = Trial.mixed(seed: 11)
        scenario.fleet = Trial.fleet(6)
        scenario.tasks = [Trial.task(work: work)]
        scenario.failures = .law(.exponential, mtbfSeconds: 3_600, repair: .fixed, downSeconds: 60)
        scenario.costs = GuestCosts().even
        scenario.costs.interferenceShare = 0
        scenario.costs.stopSeconds = 20
        scenario.costs.stopSecondsPerGiB = 0
        scenario.costs.writtenBytesPerSecond = 0
        scenario.costs.restoreSeconds = 30
        scenario.costs.startSeconds = 30
        scenario.costs.commitSeconds = 0
        scenario.links.nodeBytesPerSecond = link
        // A fixed interval needs no second thought.
        scenario.moments.leastSeconds = 1e6
        return scenario
    }

    @Test(
        "the expected time of segments with exponential failures: E = K·e^{λR}·(e^{λ(τ+C)} − 1)/λ within 3 standard errors", arguments: [300.0, 900])
    func segments(interval: Double) {
        // Ten thousand seconds of work, a link so fast that a checkpoint is durable at once: C = 20 s, R = detection + 30 s.
        let scenario = scenario(work: 9_000, link: 1e15)
        let count = 9_000 / interval
        let rate = 1.0 / 3_600
        let recovery = Simulation(scenario).detectionSeconds + 30
        func segment(_ length: Double) -> Double {
            Segment(lengthSeconds: length, recoverySeconds: recovery, failureRatePerSecond: rate).expectedSeconds
        }
        // The last segment ends with the task instead of a checkpoint; before the first is the start, which fails and is tried again like a
        // recovery.
        let start = Segment(lengthSeconds: 30, recoverySeconds: Simulation(scenario).detectionSeconds, failureRatePerSecond: rate).expectedSeconds
        let expected = start + (count - 1) * segment(interval + 20) + segment(interval)
        let values = times(scenario, interval: interval, runs: 200)
        let mean = values.reduce(0, +) / Double(values.count)
        #expect(agrees(values, expected), "mean \(mean), expected \(expected)")
    }

    @Test("the same when a checkpoint becomes durable a minute after it was taken, as the planning model has it")
    func latency() {
        // 256 MiB at 60 s each.
        let scenario = scenario(work: 9_000, link: 268_435_456 / 60)
        let recovery = Simulation(scenario).detectionSeconds + 30 + 60
        let option = CheckpointOption(name: "none", stopSeconds: 20, latencySeconds: 80, recoverySeconds: recovery)
        let plan = CheckpointPlan(outlook: Outlook(workSeconds: 9_000, failureRatePerSecond: 1.0 / 3_600), option: option, intervalSeconds: 600)
        // Before the first checkpoint nothing is fetched: a minute less, for the failures that come until then.
        let start = Segment(
            lengthSeconds: 30, recoverySeconds: Simulation(scenario).detectionSeconds, failureRatePerSecond: 1.0 / 3_600
        ).expectedSeconds
        let first = plan.first.segment
        let without = Segment(lengthSeconds: first.lengthSeconds, recoverySeconds: first.recoverySeconds - 60, failureRatePerSecond: 1.0 / 3_600)
        let expected = start + plan.expectedSeconds - first.expectedSeconds + without.expectedSeconds
        let values = times(scenario, interval: 600, runs: 200)
        #expect(agrees(values, expected), "mean \(values.reduce(0, +) / 200), expected \(expected)")
    }

    @Test("uploads on one link share it")
    func sharedLink() {
        var scenario = scenario(work: 3_000, link: 268_435_456 / 60)
        scenario.fleet = Trial.fleet(1)
        scenario.tasks = [Trial.task("a", work: 3_000), Trial.task("b", work: 3_000)]
        scenario.failures = .law(.fixed, mtbfSeconds: 1e9, repair: .fixed, downSeconds: 1)
        func committed(_ scenario: Scenario) -> [Double] {
            Simulation(scenario).recording(0, Trial.policy(.fixed(Seconds(1_000)), compression: .never)).log.compactMap {
                if case .committed = $0.kind { $0.at } else { nil }
            }
        }
        // Both are captured after 30 + 1000 s, stand still for 20 s, and then send 256 MiB each at half the speed.
        #expect(abs(committed(scenario)[0] - 1_170) < 1e-3)
        scenario.fleet = Trial.fleet(2)
        scenario.links.nodeBytesPerSecond = 1e15
        // On two nodes, but one store of the same width, which takes two copies of each byte.
        scenario.links.storeBytesPerSecond = 268_435_456 / 60
        #expect(abs(committed(scenario)[0] - 1_290) < 1e-3)
    }
}

@Suite("Traces are replayed as they were")
struct TraceTests {
    @Test("a hand-made trace gives the very times that one works out by hand")
    func exact() throws {
        let trace = try #require(Trial.trace("a,1000,1500,hardware\na,5000,5060,software\nb,0,100,network\nb,9000,9001,hardware\n"))
        #expect(trace.periodSeconds == 9_001)
        var scenario = Trial.mixed()
        scenario.fleet = Trial.fleet(1)
        scenario.failures = .trace(trace, nodes: ["a"])
        scenario.tasks = [Trial.task(work: 3_000)]
        scenario.costs = GuestCosts().even
        scenario.costs.interferenceShare = 0
        scenario.costs.stopSeconds = 10
        scenario.costs.stopSecondsPerGiB = 0
        scenario.costs.commitSeconds = 0
        scenario.links.nodeBytesPerSecond = 1e15
        let (result, log) = Simulation(scenario).recording(0, Trial.policy(.fixed(Seconds(400)), compression: .never))
        let task = TaskID("t-1")
        // Begins at 5; captured at 405 and, ten seconds of stop later, from 815 on, durable at 825; fails at 1000 with 800 + 175 s of work,
        // goes on at 1500 + 5 heartbeats + 3 s to restore.
        #expect(log.first { if case .failed = $0.kind { true } else { false } } == Happening(at: 1_000, .failed(task, work: 975)))
        let resumed = try #require(log.first { if case .running(_, _, Epoch(2), _) = $0.kind { true } else { false } })
        #expect(resumed.kind == .running(task, NodeID("n0"), Epoch(2), work: 800))
        #expect(abs(resumed.at - (1_500 + 5 + 3)) < 1e-3)
        // 2200 s of work left, five captures on the way: at 1200, 1600, 2000, 2400 and 2800.
        let end = try #require(log.last)
        #expect(abs(end.at - (1_508 + 2_200 + 5 * 10)) < 1e-3)
        #expect(end.kind == .finished(task))
        #expect(abs(result.accounts[0].lostSeconds - 175) < 1e-3)
        #expect(result.accounts[0].checkpoints == 7)
    }

    @Test("further runs begin elsewhere in the trace, the same place for each policy, and go round")
    func round() throws {
        let trace = try #require(Trial.trace("a,100,200,x\na,1100,1200,x\n"))
        func outages(_ run: Int, _ count: Int) -> [Outage] {
            var stream = OutageStream(.trace(trace, nodes: ["a"]), node: 0, seed: 9, run: run)
            return (0..<count).compactMap { _ in stream.next() }
        }
        // From the first outage's beginning; the period is 1100 s.
        #expect(outages(0, 4) == [(0, 100), (1_000, 1_100), (1_100, 1_200), (2_100, 2_200)].map { Outage(down: $0.0, up: $0.1) })
        let later = outages(3, 5)
        #expect(later == outages(3, 5))
        #expect(later != outages(0, 5))
        for (before, after) in zip(later, later.dropFirst()) { #expect(after.down >= before.up) }
        #expect(abs(later[2].down - later[0].down - 1_100) < 1e-9)
    }

    @Test(
        "nodes say how long they have been up, as far as it is recorded, and the one that has been up for longest is taken", arguments: [true, false])
    func uptime(told: Bool) throws {
        let often = (0..<100).map { "a,\($0 * 10_000 + 5_000),\($0 * 10_000 + 5_060),x\n" }.joined()
        let trace = try #require(Trial.trace(often + "b,0,60,x\nc,999990,1000000,x\n"))
        var scenario = Scenario(
            fleet: Trial.fleet(3), tasks: [Trial.task(work: 600)], failures: .trace(trace, nodes: ["a", "b", "c"]), horizon: .hours(24), seed: 3)
        scenario.tellsUptime = told
        let simulation = Simulation(scenario)
        for run in 1...5 {
            let log = simulation.recording(run, Trial.policy(.young)).log
            let first = log.compactMap { if case .running(_, let node, _, _) = $0.kind { node } else { NodeID?.none } }.first
            // That c had no outage before is no age.
            #expect(first == NodeID(told ? "n1" : "n0"), "run \(run)")
        }
    }

    @Test("every problem of a trace is told with its line")
    func problems() {
        let text = """
            # a comment
            node,down_start_epoch_seconds,down_end_epoch_seconds,cause
            7,100,50,hardware
            8,soon,200,hardware
            9,100
            ,1,2,software

            9,1,x,software
            """
        let read = FailureTrace.read(text, file: "bad.csv")
        #expect(read.trace == nil)
        #expect(
            read.problems.map(\.description) == [
                "bad.csv:3: error: the outage ends 50.0 s before it begins",
                "bad.csv:4: error: 'soon' is no number of seconds, for example 1020674700",
                "bad.csv:5: error: has 2 values where the first line has 4 columns", "bad.csv:6: error: has no node",
                "bad.csv:8: error: 'x' is no number of seconds, for example 1020676500",
            ])
        #expect(
            FailureTrace.read("a,b\n1,2", file: "h.csv").problems.map(\.description) == [
                "h.csv:1: error: the first line must name the columns, and node, down_start_epoch_seconds, down_end_epoch_seconds is missing"
            ])
        #expect(FailureTrace.read("", file: "e.csv").problems.map(\.line) == [1])
        #expect(
            FailureTrace.read("node,down_start_epoch_seconds,down_end_epoch_seconds", file: "n.csv").problems.map(\.message) == ["holds no outage"])
    }

    @Test("outages that overlap are one, nodes come in the order of their numbers")
    func merging() throws {
        let trace = try #require(Trial.trace("10,0,50,x\n9,10,20,x\n10,40,70,x\nz,5,6,x\n10,100,100,x\n"))
        #expect(trace.nodes == ["9", "10", "z"])
        #expect(trace.outages(of: "10") == [Outage(down: 0, up: 70), Outage(down: 100, up: 100)])
        #expect(trace.outageCount == 4)
    }
}

@Suite("Laws of failure")
struct FailureLawTests {
    @Test("laws have the mean that is asked for", arguments: ["exponential", "weibull:0.7", "weibull:0.5", "lognormal:1", "fixed"])
    func means(text: String) throws {
        let law = try #require(FailureLaw(text))
        var stream = RandomStream(seed: 4, run: 0, .failures)
        let values = (0..<20_000).map { _ in law.draw(mean: 1_000, from: &stream) }
        let mean = values.reduce(0, +) / 20_000
        let error = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 19_999 / 20_000).squareRoot()
        #expect(abs(mean - 1_000) <= 3.5 * error + 1e-6, "\(text): \(mean) ± \(error)")
        #expect(values.allSatisfy { $0 > 0 })
        #expect(FailureLaw(law.text) == law)
    }

    @Test("what is no law is none", arguments: ["", "normal", "weibull", "weibull:0", "weibull:x", "weibull:0.7:1", "lognormal:99", "exponential:2"])
    func none(text: String) { #expect(FailureLaw(text) == nil) }
}

@Suite("Policies are compared on the same failures")
struct ComparisonTests {
    @Test("a policy against itself differs by nothing at all")
    func same() {
        let simulation = Simulation(Trial.mixed())
        let candidates = [Trial.policy(.fixed(Seconds(600)), name: "a"), Trial.policy(.fixed(Seconds(600)), name: "b")]
        let results = candidates.map { candidate in (0..<2).map { simulation.run($0, candidate) } }
        let report = SimulationReport(simulation, candidates: candidates, results: results, failures: "f")
        for metric in Metric.allCases { #expect(report.differences[0][metric].mean == 0, "\(metric)") }
    }

    @Test("differences on common random numbers vary less than on independent ones")
    func variance() {
        let simulation = Simulation(Trial.mixed(deadlines: false))
        let few = Trial.policy(.fixed(Seconds(1_200)), name: "few")
        let many = Trial.policy(.fixed(Seconds(600)), name: "many")
        let runs = 20
        func finishes(_ policy: Candidacy, from first: Int) -> [Double] {
            (first..<(first + runs)).map { simulation.run($0, policy).metrics[.finishSeconds] ?? 0 }
        }
        let base = finishes(few, from: 0)
        let common = Interval95(zip(finishes(many, from: 0), base).map { $0 - $1 })
        let independent = Interval95(zip(finishes(many, from: 1_000), base).map { $0 - $1 })
        #expect(common.reach < 0.7 * independent.reach, "common ±\(common.reach), independent ±\(independent.reach)")
    }

    @Test("a confidence interval is Student's")
    func interval() throws {
        // Mean 3, deviation √2.5, error √0.5; t for 4 degrees of freedom is 2.7764.
        let interval = Interval95([1, 2, 3, 4, 5])
        #expect(interval.mean == 3)
        #expect(abs(try #require(interval.high) - (3 + 2.7764 * 0.5.squareRoot())) < 0.01)
        #expect(Interval95([7]).low == nil)
        #expect(abs(Interval95([0, 1]).reach - 12.7062 * 0.5) < 1e-3)
    }

    @Test("checkpoints save work where nodes fail often, and are not taken where they do not")
    func sense() {
        var scenario = Trial.mixed()
        scenario.tasks = [Trial.task(work: 20_000)]
        scenario.failures = .law(.exponential, mtbfSeconds: 7_200, repair: .fixed, downSeconds: 300)
        func metrics(_ strategy: IntervalStrategy) -> [Metric: Double] {
            let runs = (0..<4).map { Simulation(scenario).run($0, Trial.policy(strategy)).metrics }
            return Dictionary(uniqueKeysWithValues: Metric.allCases.map { metric in (metric, runs.reduce(0) { $0 + ($1[metric] ?? 0) } / 4) })
        }
        let adaptive = metrics(.adaptive)
        let never = metrics(.never)
        #expect(adaptive[.totalCost, default: 0] < 0.7 * never[.totalCost, default: 0])
        #expect(never[.checkpoints] == 0)
        scenario.failures = .law(.exponential, mtbfSeconds: 1e9, repair: .fixed, downSeconds: 300)
        scenario.fleet.defaults.priorMTBFSeconds = Seconds(1e9)
        // In the first hour it cannot know that no node is failing.
        #expect(metrics(.adaptive)[.checkpoints, default: 9] <= 3)
    }

    @Test("Audit decides and does nothing")
    func audit() {
        var candidate = Trial.policy(.adaptive)
        candidate.policy.settings.mode = .audit
        #expect(Simulation(Trial.mixed()).run(0, candidate).metrics[.checkpoints] == 0)
    }

    @Test("tables and plots show every policy, and are the same each time")
    func rendering() {
        let simulation = Simulation(Trial.mixed())
        let candidates = [Trial.policy(.never, name: "none"), Trial.policy(.daly, name: "a<b")]
        let results = candidates.map { candidate in (0..<3).map { simulation.run($0, candidate) } }
        let report = SimulationReport(simulation, candidates: candidates, results: results, failures: "weibull:0.7")
        #expect(report.rows.map(\.[0]) == ["POLICY", "none", "a<b"])
        #expect(report.differenceRows.map(\.[0]) == ["AGAINST none", "a<b"])
        #expect(Set(report.rows.map(\.count)).count == 1)
        for plot in report.plots {
            #expect(plot.text.hasPrefix("<svg ") && plot.text.hasSuffix("</svg>\n"))
            #expect(plot.text.contains("a&lt;b") && !plot.text.contains("a<b"))
            #expect(!plot.text.contains("nan") && !plot.text.contains("∞"))
        }
        #expect(
            report.plots.map(\.text)
                == SimulationReport(simulation, candidates: candidates, results: results, failures: "weibull:0.7").plots.map(\.text))
    }
}
