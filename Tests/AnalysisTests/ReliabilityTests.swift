import Knowledge
import PlanningModel
import Testing
import Vocabulary

@testable import Analysis

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Reliability of nodes")
struct ReliabilityTests {
    /// Nodes a and b, each with lives at the quantiles of a Weibull distribution, in turn short and long, and a minute down after each.
    static func history(shape: Double, scale: Double, lives: Int, quiet: Double, mtbf: Seconds = .hours(24 * 30)) -> (
        history: History, end: Double
    ) {
        var history = History(nodes: [Fleet.Node(id: NodeID("a")), Fleet.Node(id: NodeID("b"), domain: "other")], mtbf: mtbf)
        var end = 0.0
        for (index, name) in ["a", "b"].enumerated() {
            var time = 0.0
            for life in 0..<lives {
                history.join(name, at: time)
                // Every third, so that neighbours are not alike; every number comes once where 3 does not divide the lives.
                let position = (Double((life * 3 + index) % lives) + 0.5) / Double(lives)
                time += scale * pow(-log(1 - position), 1 / shape)
                history.lose(name, at: time)
                time += 60
            }
            history.join(name, at: time)
            end = max(end, time)
        }
        history.records.sort { $0.at < $1.at }
        return (history, end + quiet)
    }

    @Test("where lives are Weibull, the rate in force is the hazard at the node's age, and falls as it grows older")
    func hazard() throws {
        let (history, end) = Self.history(shape: 0.5, scale: 20_000, lives: 20, quiet: 100)
        func rate(_ now: Double) -> RateEstimate { history.findings(at: now).nodes[0].failureRate }
        let young = rate(end)
        let hazard = try #require(young.hazard)
        #expect(hazard.probability.rawValue > 0.9)
        #expect(abs(hazard.shape - 0.5) < 0.12)
        #expect(hazard.overSeconds == .hours(1))
        let old = rate(end + 5 * 86_400)
        // H(t) = √(t/η): from some 100 s on for an hour (√3700 − √100)/√20,000/3600 a second, from 5 days on 20 times less.
        #expect(young.perSecond > 8 * old.perSecond)
        #expect(old.perSecond > 0 && old.lowPerSecond < old.perSecond && old.perSecond < old.highPerSecond)
        #expect(hazard.ageSeconds >= Seconds(100))
    }

    @Test("one that is kept says the same as a new one, to the last bit, at every moment", arguments: [false, true])
    func kept(withOutages: Bool) {
        var (history, end) = Self.history(shape: 0.6, scale: 20_000, lives: 20, quiet: 0)
        if withOutages {
            // One that is lost with a each time and comes back after it, and one that is there from the middle on.
            history.fleet.nodes += ["c", "d"].map { Fleet.Node(id: NodeID($0), domain: history.fleet.nodes[0].domain) }
            history.join("c", at: 0)
            for record in history.records {
                guard case .nodeLost(NodeID("a"), _, _) = record.event else { continue }
                history.lose("c", at: record.at.rawValue + 10)
                history.join("c", at: record.at.rawValue + 100)
            }
            history.join("d", at: end / 2)
            history.records.sort { $0.at < $1.at }
        }
        var kept = Reliability()
        var knowledge = Knowledge()
        var moments = history.records.map(\.at.rawValue) + (1...30).map { end + pow(1.5, Double($0)) }
        moments.sort()
        var untold = history.records[...]
        for now in moments {
            let told = untold.prefix { $0.at.rawValue <= now }
            untold = untold.dropFirst(told.count)
            knowledge.fold(told)
            func findings(_ reliability: inout Reliability) -> Findings {
                Analysis.assess(
                    knowledge, live: LiveView(now: Timestamp(now), managerSince: Timestamp(now)), fleet: history.fleet, schedules: [:],
                    reliability: &reliability)
            }
            var new = Reliability()
            #expect(findings(&kept) == findings(&new), "at \(now) s")
        }
    }

    @Test("a node that says it has been up for long is planned for as one that has been seen for long")
    func uptime() {
        var (history, end) = Self.history(shape: 0.5, scale: 20_000, lives: 20, quiet: 100)
        history.fleet.nodes += ["old", "new", "silent"].map { Fleet.Node(id: NodeID($0), domain: $0) }
        history.join("old", at: end, uptime: 10 * 86_400)
        history.join("new", at: end, uptime: 10)
        history.join("silent", at: end)
        let rates = history.findings(at: end + 1).nodes.map { $0.failureRate.perSecond }
        #expect(rates[2] < 0.2 * rates[3])
        #expect(rates[3] <= rates[4] && rates[4] < 1.2 * rates[3])
    }

    @Test("a shape is fitted to many nodes as well, of which only some have failed")
    func many() {
        var (history, end) = Self.history(shape: 0.5, scale: 20_000, lives: 20, quiet: 100)
        history.fleet.nodes += (1...3000).map { Fleet.Node(id: NodeID("n\($0)"), domain: "n\($0)") }
        for number in 1...3000 { history.join("n\(number)", at: end - 10_000) }
        // Each sixth has failed an hour after it came.
        for number in stride(from: 6, through: 3000, by: 6) {
            history.lose("n\(number)", at: end - 6_400 + Double(number))
            history.join("n\(number)", at: end - 6_300 + Double(number))
        }
        history.records.sort { $0.at < $1.at }
        #expect(history.findings(at: end).nodes[0].failureRate.hazard != nil)
    }

    @Test("where lives are exponential, age says nothing")
    func exponential() {
        let (history, end) = Self.history(shape: 1, scale: 20_000, lives: 20, quiet: 7_200, mtbf: Seconds(20_000))
        let rate = history.findings(at: end).nodes[0].failureRate
        #expect((rate.hazard?.probability.rawValue ?? 0) < 0.4)
        #expect(abs(rate.mtbfSeconds / Seconds(20_000) - 1) < 0.35)
    }

    @Test("few failures speak for no shape")
    func few() {
        let (history, end) = Self.history(shape: 0.4, scale: 20_000, lives: 2, quiet: 100)
        #expect(history.findings(at: end).nodes[0].failureRate.hazard == nil)
    }

    @Test("a task is planned for with the hazard over the interval that it makes best: shorter just after a failure")
    func coming() throws {
        var (history, end) = Self.history(shape: 0.5, scale: 20_000, lives: 20, quiet: 100)
        history.submit(work: 200_000, at: end - 50)
        let young = try #require(history.findings(at: end).tasks.first).failureRate
        let old = try #require(history.findings(at: end + 50_000).tasks.first).failureRate
        #expect(young.perSecond > 2 * old.perSecond)
        let over = try #require(young.hazard).overSeconds.rawValue
        // C is about 0.5 s of stop and a twentieth of the latency: √(2C/λ).
        let cost = try #require(history.findings(at: end).tasks.first?.costs.map { $0.stopSeconds.mean + $0.interferenceSeconds.mean }.min())
        #expect(abs(over / (2 * cost / young.perSecond).squareRoot() - 1) < 0.01)
    }

    @Test("nodes lost within a minute are one outage of their domain, and none of the class's own failures")
    func outage() throws {
        func lost(_ times: [Double], domains: [String]) throws -> [RateEstimate] {
            var history = History(
                nodes: zip(["a", "b", "c"], domains).map { Fleet.Node(id: NodeID($0), domain: $1) }, mtbf: Seconds(100_000), weight: 1)
            for name in ["a", "b", "c"] { history.join(name, at: 0) }
            for (name, time) in zip(["a", "b", "c"], times) { history.lose(name, at: time) }
            history.records.sort { $0.at < $1.at }
            for name in ["a", "b", "c"] { history.join(name, at: 10_100) }
            return history.findings(at: 100_000).nodes.map(\.failureRate)
        }
        let together = try lost([10_000, 10_020, 10_050], domains: ["r", "r", "r"])
        let apart = try lost([7_000, 8_000, 10_000], domains: ["r", "r", "r"])
        let elsewhere = try lost([10_000, 10_020, 10_050], domains: ["r1", "r2", "r3"])
        #expect(apart[0].failures == 3)
        #expect(elsewhere[0].failures == 3)
        #expect(together[0].failures == 0)
        // Own: one failure's worth of opinion in 100,000 s and 3·(10,000 + 89,900) s seen; the domain's: one in about 99,900 s and the opinion's 100,000.
        // The doubt that a node might be failing leaves a trace.
        #expect(abs(together[0].perSecond - (1 / 399_700.0 + 1 / 199_900.0)) < 3e-7)
        // One event says less than three: a wider interval for its rate.
        #expect(together[0].highPerSecond / together[0].perSecond > apart[0].highPerSecond / apart[0].perSecond)
        // Two of three nodes: a node of the domain is taken by two thirds of its outages.
        let two = try lost([10_000, 10_020, 50_000], domains: ["r", "r", "r"])
        #expect(two[0].failures == 1)
    }

    @Test("an outage raises the rate of each node of its domain, of those that lived through it too, and of no other")
    func threatened() {
        var history = History(
            nodes: ["a", "b", "c", "d"].map { Fleet.Node(id: NodeID($0), nodeClass: $0, domain: $0 == "d" ? "far" : "near") }, mtbf: .hours(10_000))
        for name in ["a", "b", "c", "d"] { history.join(name, at: 0) }
        let before = history.findings(at: 99_999).nodes.map(\.failureRate.perSecond)
        history.lose("a", at: 100_000)
        history.lose("b", at: 100_030)
        let after = history.findings(at: 100_100).nodes.map(\.failureRate.perSecond)
        #expect(after[2] > 5 * before[2])
        #expect(abs(after[3] / before[3] - 1) < 0.01)
    }
}

@Suite("A task's own failures, progress and stalls")
struct TaskReliabilityTests {
    @Test("a task's own failures are a rate of their own, on top of its node's")
    func own() throws {
        var history = History(nodes: [Fleet.Node(id: NodeID("a"))])
        history.join("a", at: 0)
        history.submit(work: 36_000)
        #expect(try #require(history.findings(at: 3_000).tasks.first).ownFailureRate == nil)
        let before = try #require(history.findings(at: 3_000).tasks.first).failureRate.perSecond
        history.happen(.taskFailed(task: History.task, epoch: .first, node: NodeID("a"), reason: "out of memory"), at: 3_000)
        let finding = try #require(history.findings(at: 3_010).tasks.first)
        let own = try #require(finding.ownFailureRate)
        // One in 3000 s of running and 600 s.
        #expect(abs(own.perSecond - 1 / 3_600.0) < 1e-9)
        #expect(own.failures == 1)
        #expect(abs(finding.failureRate.perSecond - before - own.perSecond) < 0.05 * own.perSecond)
        // No failure of the node's.
        #expect(history.findings(at: 3_010).nodes[0].failureRate.failures == 0)
    }

    @Test("a sample that lies moves nothing; a source that really jumped is believed after five")
    func level() {
        func samples(_ change: (Int, Double) -> Double) -> [ProgressSample] {
            (0..<12).map { index in
                ProgressSample(
                    task: History.task, epoch: .first, node: NodeID("a"), at: Timestamp(Double(index) * 5),
                    fraction: change(index, Double(index) * 0.01), cpuSeconds: .zero, blockWrittenBytes: .zero)
            }
        }
        #expect(abs(TaskAssessment.level(samples { $1 }) - 0.11) < 1e-9)
        #expect(abs(TaskAssessment.level(samples { $0 == 11 ? 0.95 : $1 }) - 0.11) < 0.02)
        #expect(abs(TaskAssessment.level(samples { $0 == 10 ? 0 : $1 }) - 0.11) < 0.02)
        #expect(TaskAssessment.level(samples { $0 >= 7 ? $1 + 0.5 : $1 }) > 0.55)
        #expect(TaskAssessment.level([]) == 0)
    }

    @Test("a silent source is not run ahead of by more than a minute")
    func ahead() throws {
        var history = History(nodes: [Fleet.Node(id: NodeID("a"))])
        history.join("a", at: 0)
        history.submit(work: 1_000)
        for step in 1...20 { history.sample(Double(step) * 0.005, at: Double(step) * 5) }
        #expect(abs(try #require(history.findings(at: 110).tasks.first).progress - 0.11) < 0.001)
        #expect(abs(try #require(history.findings(at: 900).tasks.first).progress - 0.16) < 0.002)
    }

    @Test("a task that goes on saying the same stands still, by its own measure; one that is silent or slow does not")
    func stall() throws {
        func stalled(every pause: Double, then still: Double, samples: Bool = true) throws -> Seconds? {
            var history = History(nodes: [Fleet.Node(id: NodeID("a"))])
            history.join("a", at: 0)
            history.submit(work: 36_000)
            var time = 0.0
            var fraction = 0.0
            for _ in 0..<10 {
                time += pause
                fraction += 0.01
                history.sample(fraction, at: time)
            }
            let since = time
            while samples, time < since + still {
                time += 5
                history.sample(fraction, at: time)
            }
            return try #require(history.findings(at: since + still).tasks.first).stalledSeconds
        }
        #expect(try stalled(every: 5, then: 100) == nil)
        #expect(try stalled(every: 5, then: 200) == Seconds(200))
        // One that rises every five minutes is given fifteen.
        #expect(try stalled(every: 300, then: 600) == nil)
        #expect(try stalled(every: 300, then: 1_000) == Seconds(1_000))
        // Samples have ended: its node is silent, or its agent away.
        #expect(try stalled(every: 5, then: 500, samples: false) == nil)
    }
}

@Suite("Costs that depend on more")
struct CostRegressorTests {
    func costs(_ history: History, at now: Double) throws -> CheckpointCosts {
        try #require(history.findings(at: now).tasks.first?.costs.first { $0.codec == .zstd })
    }

    /// A second task whose uploads are under way all the time, or none.
    func history(shared: Bool, secondsFor50MiB: Double) -> History {
        var history = History(nodes: [Fleet.Node(id: NodeID("a"))])
        history.join("a", at: 0)
        history.submit(work: 36_000)
        for number in 1...30 {
            let time = Double(number) * 100
            let other = TaskID("t-2")
            if shared && number == 1 {
                let spec = TaskSpec(image: "demo", memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(256), run: "x", workSeconds: Seconds(1e5))
                let sla = TaskSLA(
                    name: "t", labels: [:], task: spec, progress: .cpuTime, deadline: nil, limits: Limits(), preference: .named("balanced"),
                    policy: "p")
                history.happen(
                    .taskSubmitted(
                        TaskSubmission(task: other, sla: sla, version: DocumentVersion(name: "t", digest: "sha256:t"), submittedAt: Timestamp(0))),
                    at: time - 5)
                history.happen(.taskPlaced(task: other, epoch: .first, node: NodeID("a")), at: time - 5)
                history.happen(.taskStarted(task: other, epoch: .first, node: NodeID("a")), at: time - 5)
            }
            if shared { history.checkpoint(number, of: other, captured: time - 2, upload: 0, sent: .zero, nonZero: .zero, commit: false) }
            let size = ByteCount.mebibytes(Int64(30 + number % 5 * 10))
            history.checkpoint(
                number, captured: time, upload: secondsFor50MiB * size.mebibytes / 50, sent: size, nonZero: .mebibytes(100))
        }
        return history
    }

    @Test("other uploads that were under way are counted, and what they cost is learnt")
    func concurrency() throws {
        let alone = history(shared: false, secondsFor50MiB: 1)
        #expect(alone.knowledge.costs.concurrency.mean == 0)
        let shared = history(shared: true, secondsFor50MiB: 2)
        #expect(try abs(#require(shared.knowledge.costs.concurrency.mean) - 1) < 1e-9)
        // 50 MiB of 100 that are not zero: one second alone, two beside another that goes on; predicted for as many others as there were.
        #expect(abs(try costs(alone, at: 3_200).uploadSeconds.mean / 1 - 1) < 0.1)
        #expect(abs(try costs(shared, at: 3_200).uploadSeconds.mean / 2 - 1) < 0.1)
    }

    @Test("what the guest has written since the last checkpoint makes the next one larger")
    func dirty() throws {
        var history = History(nodes: [Fleet.Node(id: NodeID("a"))])
        history.join("a", at: 0)
        history.submit(work: 36_000)
        var written: Int64 = 0
        for number in 1...20 {
            let dirty = Int64(number % 4 * 10)
            written += dirty
            history.sample(Double(number) * 0.001, at: Double(number) * 100 - 1, written: .mebibytes(written))
            // 60 MiB of memory that are not zero, and what was written.
            history.checkpoint(
                number, captured: Double(number) * 100, upload: 1, sent: .mebibytes(30 + dirty / 2), nonZero: .mebibytes(60 + dirty),
                disk: .mebibytes(dirty))
        }
        #expect(history.knowledge.tasks[History.task]?.costs.dirtyBytes.observations == 20)
        #expect(history.knowledge.tasks[History.task]?.dirtyBytesAtCapture == .zero)
        let little = try costs(history, at: 2_100).sentBytes.mean / 1_048_576
        history.sample(0.03, at: 2_101, written: .mebibytes(written + 100))
        let much = try costs(history, at: 2_102).sentBytes.mean / 1_048_576
        // Half of 60 + 15, the mean of what was written, and of 60 + 100.
        #expect(abs(little - 38) < 4, "\(little)")
        #expect(abs(much - 80) < 8, "\(much)")
    }
}
