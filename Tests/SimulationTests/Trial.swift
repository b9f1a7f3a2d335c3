import Simulation
import Vocabulary

/// Small scenarios to try.
enum Trial {
    static func fleet(_ count: Int, capacity: Int = 8, mtbf: Seconds = .hours(24)) -> Fleet {
        Fleet(
            name: "f", nodes: (0..<count).map { Fleet.Node(id: NodeID("n\($0)"), capacity: capacity) }, store: .directory("/s"),
            imagesDirectory: "/i",
            defaults: .init(priorMTBFSeconds: mtbf))
    }

    static func task(
        _ name: String = "t", work: Double, deadline: Double? = nil, after: Double = 0, memory: Int64 = 512, limits: Limits = Limits()
    ) -> Scenario.Task {
        let spec = TaskSpec(
            image: "demo", memoryBytes: .mebibytes(memory), deltaBytes: .mebibytes(256), run: "work", workSeconds: Seconds(work))
        let sla = TaskSLA(
            name: name, task: spec, progress: .cpuTime,
            deadline: deadline.map { Deadline(moment: .within(Seconds($0)), confidence: Probability(0.9)) }, limits: limits,
            penalty: deadline.map { _ in Penalty(amount: Money(5, "EUR"), perSeconds: .hours(1), cap: Money(100, "EUR")) })
        return Scenario.Task(
            sla: sla, version: DocumentVersion(name: name, digest: "sha256:\(name)"), submittedAfter: Seconds(after),
            prices: Prices(timePerHour: 3, networkPerGiB: 0.01, storagePerGiBHour: 0.0002))
    }

    static func policy(_ strategy: IntervalStrategy, name: String = "p", compression: CompressionChoice = .estimate) -> Candidacy {
        Candidacy(
            policy: CheckpointPolicy(
                name: name, currency: "EUR",
                preferences: ["balanced": Prices(timePerHour: 3, networkPerGiB: 0.01, storagePerGiBHour: 0.0002)],
                settings: .init(strategy: strategy, floorSeconds: Seconds(5), compression: compression)),
            version: DocumentVersion(name: name, digest: "sha256:\(name)"))
    }

    static func trace(_ lines: String) -> FailureTrace? {
        FailureTrace.read("node,down_start_epoch_seconds,down_end_epoch_seconds,cause\n" + lines, file: "t.csv").trace
    }

    /// Weibull failures on five nodes, tasks of an hour to ten, with and without deadlines; planned seldom, so that tests are short.
    static func mixed(seed: UInt64 = 1, deadlines: Bool = true) -> Scenario {
        var scenario = Scenario(
            fleet: fleet(5, capacity: 2),
            tasks: [
                task("a", work: 3_600, deadline: deadlines ? 7_200 : nil), task("b", work: 20_000, deadline: deadlines ? 30_000 : nil),
                task("c", work: 36_000, after: 1_000, limits: Limits(lostWorkSeconds: Seconds(1_800), stoppedShare: 0.05)),
            ],
            failures: .law(.weibull(shape: 0.7), mtbfSeconds: 10_000, repair: .exponential, downSeconds: 600), horizon: .hours(24 * 30), seed: seed)
        scenario.moments.share = 1
        scenario.moments.leastSeconds = 900
        return scenario
    }
}
