import Knowledge
import PlanningModel
import Testing
import Vocabulary

@testable import Analysis

@Suite("Speed and progress")
struct SpeedTests {
    func sample(_ at: Double, _ fraction: Double) -> ProgressSample {
        ProgressSample(
            task: TaskID("t"), epoch: .first, node: NodeID("a"), at: Timestamp(at), fraction: fraction, cpuSeconds: .zero, blockWrittenBytes: .zero)
    }

    @Test("work done for each second that passes, weighed against what was declared")
    func steady() {
        // 1 % of 200 s of work every 4 s: 2 s of work in 4 s. Seen for 36 s: uncertain by 4/36, precision 81; the declaration's is 16.
        let speed = TaskAssessment.speed((0..<10).map { sample(Double($0) * 4, Double($0) * 0.01) }, work: Seconds(200))
        #expect(abs(speed.mean - (81 * 0.5 + 16) / 97) < 1e-9)
        #expect(abs(speed.standardError - 1 / 97.0.squareRoot()) < 1e-9)
        #expect(speed.observations == 10)
    }

    @Test("a guest that boots for some seconds is not taken for slow")
    func boots() {
        // Six seconds without progress: precision (6/4)² = 2.25 against 16.
        let speed = TaskAssessment.speed((0..<4).map { sample(Double($0) * 2, 0) }, work: Seconds(90))
        #expect(abs(speed.mean - (2.25 * 0.01 + 16) / 18.25) < 1e-9)
    }

    @Test("a source that jumps once does not move it")
    func jump() {
        var samples = (0..<20).map { sample(Double($0), Double($0) * 0.001) }
        samples[7].fraction = 0.9
        // 0.1 % of 1000 s a second.
        #expect(abs(TaskAssessment.speed(samples, work: Seconds(1_000)).mean - 1) < 0.01)
    }

    @Test("a task that stands still is slow, not endless; one sample says nothing")
    func stall() {
        // Six minutes and more at one place: precision (380/4)² = 9025.
        #expect(
            abs(TaskAssessment.speed((0..<20).map { sample(Double($0) * 20, 0.5) }, work: Seconds(100)).mean - (9_025 * 0.01 + 16) / 9_041) < 1e-9)
        #expect(TaskAssessment.speed([sample(0, 0.1)], work: Seconds(100)).observations == 0)
    }
}

@Suite("Failure rates")
struct FailureRateTests {
    @Test("a class of nodes is pooled: prior and exposure of all, failures of all")
    func pooled() throws {
        let capabilities = HypervisorCapabilities(uri: "", driver: "", version: "", acceleration: .emulation, captureWays: [])
        var known = Knowledge()
        for (index, name) in ["a", "b"].enumerated() {
            known = known.folding([
                EventRecord(
                    at: Timestamp(0), source: .manager,
                    event: .nodeJoined(node: NodeID(name), incarnation: Incarnation("\(index)"), hypervisor: capabilities))
            ])
        }
        known = known.folding([
            EventRecord(at: Timestamp(1_000), source: .manager, event: .nodeLost(node: NodeID("a"), phi: 9, silentSeconds: .zero))
        ])
        let fleet = Fleet(
            name: "f", nodes: [Fleet.Node(id: NodeID("a")), Fleet.Node(id: NodeID("b"))], store: .directory("/s"), imagesDirectory: "/i",
            defaults: .init(priorMTBFSeconds: Seconds(1_000), priorWeight: 1))
        let findings = Analysis.assess(known, live: LiveView(now: Timestamp(2_000), managerSince: Timestamp(0)), fleet: fleet, schedules: [:])
        // (1 prior + 1 failure) / (1000 prior + 1000 of a + 2000 of b) = 1/2000 for the kind; a lost node is worse than its kind.
        let rates = findings.nodes.map(\.failureRate)
        #expect(rates.map(\.failures) == [1, 1])
        #expect(rates[0].perSecond > rates[1].perSecond)
        #expect(abs(rates[1].perSecond - 1.0 / 2_000) < 0.05 / 2_000)
        #expect(rates[0].lowPerSecond < rates[0].perSecond && rates[0].perSecond < rates[0].highPerSecond)
    }

    @Test("a good opinion of a node does not outlive a burst of failures, and comes back after a quiet hour")
    func regimes() {
        let kind = FailureRate(expectedMTBFSeconds: 30 * 86_400, pseudoFailures: 1)
        func mtbf(_ failures: Int, _ exposure: Double) -> Double {
            FailureRegimes.rate(kind: kind, kindInterval: kind.credibleInterval(0.9), recentFailures: failures, recentExposure: Seconds(exposure))
                .mtbfSeconds.rawValue
        }
        // Nothing seen: 0.005 of a failing node's 1/600 on top of 1/2,592,000: 1/114,600.
        #expect(abs(mtbf(0, 0) - 1 / (0.005 / 600 + 0.995 / 2_592_000)) < 1)
        // Three failures in 600 s: surely failing, (1 + 3)/(600 + 600) a second.
        #expect(abs(mtbf(3, 600) - 300) < 1)
        // One in the last hour: about as likely either way.
        #expect((3_600.0...36_000).contains(mtbf(1, 3_600)))
        #expect(mtbf(0, 3_600) > 20 * 86_400)
    }
}

@Suite("What checkpoints will cost")
struct CostTests {
    @Test("samples tell of codecs that were not used")
    func samples() throws {
        func ratio(_ sampled: [SampledRatio]?) throws -> Double {
            var history = History(nodes: [Fleet.Node(id: NodeID("a"))])
            history.join("a", at: 0)
            history.submit(work: 1_000)
            for number in 1...3 {
                history.checkpoint(
                    number, captured: Double(number) * 20, upload: 1, sent: .mebibytes(20), nonZero: .mebibytes(40), sampled: sampled)
            }
            let costs = try #require(history.findings(at: 70).tasks.first).costs
            let gzip = try #require(costs.first { $0.codec == .gzip }).sentBytes.mean
            let zstd = try #require(costs.first { $0.codec == .zstd }).sentBytes.mean
            return gzip / zstd
        }
        // Gzip's unseen ratio is taken for a half, as zstd's was seen; then for a fifth.
        #expect(abs(try ratio(nil) - 1) < 0.01)
        #expect(abs(try ratio([SampledRatio(codec: .gzip, ratio: 0.2)]) - 0.4) < 0.1)
        // What was really sent counts more than what was sampled.
        #expect(abs(try ratio([SampledRatio(codec: .zstd, ratio: 0.2)]) - 1) < 0.01)
    }
}
