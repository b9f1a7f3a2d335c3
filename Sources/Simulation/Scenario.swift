import Vocabulary

/// What checkpoints really cost in the simulated world: what the planner has to find out.
///
/// The numbers are of the order of what was measured with QEMU on a small machine, and deliberately not what the planner believes at first.
package struct GuestCosts: Hashable, Sendable, Codable {
    /// The guest stands still, seconds: so much for any, and so much for each GiB of its memory.
    package var stopSeconds = 0.1
    package var stopSecondsPerGiB = 0.05
    /// Share of its memory that is not zero, 0 to 1.
    package var contentShare = 0.5
    /// Written to the delta disk while it works, bytes a second.
    package var writtenBytesPerSecond = 65_536.0
    /// Bytes left of each byte, and bytes compressed a second.
    package var gzipRatio = 0.45
    package var gzipBytesPerSecond = 35e6
    package var zstdRatio = 0.42
    package var zstdBytesPerSecond = 250e6
    /// Share of its speed that a guest loses while a checkpoint of it is compressed and sent, 0 to below 1.
    package var interferenceShare = 0.05
    /// To commit what was sent, seconds.
    package var commitSeconds = 0.2
    /// From the order until a guest runs that is started anew; and to restore one, its bytes being there. Seconds.
    package var startSeconds = 5.0
    package var restoreSeconds = 3.0
    /// How much tasks differ from each other in stop, content, writing and ratio, and a task's checkpoints among themselves:
    /// standard deviations of logarithms.
    package var taskSpread = 0.3
    package var checkpointSpread = 0.05
    /// How far the declared work is off: the same.
    package var workSpread = 0.0

    package init() {}

    /// The same every time and for every task.
    package var even: GuestCosts {
        var costs = self
        costs.taskSpread = 0
        costs.checkpointSpread = 0
        costs.workSpread = 0
        return costs
    }
}

/// How fast checkpoints travel, bytes a second. Transfers on one link share it evenly; what one leaves unused is not given to others.
package struct Links: Hashable, Sendable, Codable {
    /// Of each node, both ways together.
    package var nodeBytesPerSecond = 100e6
    /// Of the store, all nodes together; what is copied within the store counts once for each copy. nil: it is never what limits.
    package var storeBytesPerSecond: Double?
    package init() {}
}

/// Everything that is tried, but for the policy.
package struct Scenario: Sendable {
    package struct Task: Hashable, Sendable {
        package var sla: TaskSLA
        package var version: DocumentVersion
        /// Since the run began.
        package var submittedAfter: Seconds
        /// What its owner prefers, in prices: costs are counted by these, whatever policy is tried.
        package var prices: Prices
        package init(sla: TaskSLA, version: DocumentVersion, submittedAfter: Seconds, prices: Prices) {
            self.sla = sla
            self.version = version
            self.submittedAfter = submittedAfter
            self.prices = prices
        }
    }

    package var fleet: Fleet
    package var tasks: [Task]
    package var failures: FailureSource
    package var costs: GuestCosts
    package var links: Links
    /// Tasks that have not finished then never do.
    package var horizon: Seconds
    package var seed: UInt64
    package var moments = PlanningMoments()
    /// Nodes say how long they have been up when they join, as agents do; but for those of a trace that has no outage of theirs before.
    package var tellsUptime = true

    package init(
        fleet: Fleet, tasks: [Task], failures: FailureSource, costs: GuestCosts = GuestCosts(), links: Links = Links(),
        horizon: Seconds, seed: UInt64
    ) {
        self.fleet = fleet
        self.tasks = tasks
        self.failures = failures
        self.costs = costs
        self.links = links
        self.horizon = horizon
        self.seed = seed
    }
}

extension Scenario {
    /// The mean time that nodes are up between two failures: by the law, or as it was in the trace.
    package var meanMTBFSeconds: Double {
        switch failures {
        case .law(_, let mtbf, _, _): return mtbf
        case .trace(let trace, let nodes):
            let outages = nodes.flatMap { trace.outages(of: $0) }
            let down = outages.reduce(0) { $0 + $1.up - $1.down }
            return (trace.periodSeconds * Double(nodes.count) - down) / Double(max(1, outages.count))
        }
    }
}

/// A policy on trial.
package struct Candidacy: Hashable, Sendable {
    package var policy: CheckpointPolicy
    package var version: DocumentVersion
    /// It need not learn: the law of failures, nodes' ages and what the guest's checkpoints cost are told to it.
    package var isOracle = false
    /// What nodes' mean time between failures is told to be, instead of being learnt, seconds; nil: it is learnt.
    package var toldMTBFSeconds: Double?
    package init(policy: CheckpointPolicy, version: DocumentVersion) { self.policy = policy; self.version = version }
}

/// What one guest is like in one run: drawn from the scenario's costs, by seed, run and task.
struct Guest {
    private let costs: GuestCosts
    private let memoryBytes: Double
    private let deltaBytes: Double
    /// W: what it would need undisturbed, seconds.
    let workSeconds: Double
    private let stopSeconds: Double
    private let contentBytes: Double
    let writtenBytesPerSecond: Double
    private let ratioFactor: Double

    init(_ costs: GuestCosts, _ task: TaskSpec, seed: UInt64, run: Int, index: Int) {
        var stream = RandomStream(seed: seed, run: run, .guest, index)
        self.costs = costs
        memoryBytes = Double(task.memoryBytes.rawValue)
        deltaBytes = Double(task.deltaBytes.rawValue)
        workSeconds = task.workSeconds.rawValue * stream.factor(spread: costs.workSpread)
        stopSeconds =
            (costs.stopSeconds + costs.stopSecondsPerGiB * memoryBytes / 1_073_741_824) * stream.factor(spread: costs.taskSpread)
        contentBytes = memoryBytes * min(1, costs.contentShare * stream.factor(spread: costs.taskSpread))
        writtenBytesPerSecond = costs.writtenBytesPerSecond * stream.factor(spread: costs.taskSpread)
        ratioFactor = stream.factor(spread: costs.taskSpread / 2)
    }

    /// What a checkpoint consists of.
    struct Image {
        var stopSeconds: Double
        var memoryBytes: Double
        var diskBytes: Double
        var nonZeroBytes: Double
        var sentBytes: Double
        var compressSeconds: Double
    }

    /// What it costs on average, as a planner would want to know it.
    func trueCosts(_ links: Links, detectionSeconds: Double, work: Double) -> [CheckpointCosts] {
        func known(_ value: Double) -> Estimate { Estimate(mean: value, standardError: 0, observations: 1_000_000) }
        let disk = min(deltaBytes, writtenBytesPerSecond * max(0, work))
        let memory = min(memoryBytes, contentBytes)
        let content = memory + disk
        return Codec.allCases.map { codec in
            let (ratio, speed) = compression(codec)
            let sent = content * (codec == .none ? 1 : min(1, ratio * ratioFactor))
            let (compressing, uploading) = (content / speed, sent / links.nodeBytesPerSecond)
            let behind = max(compressing, uploading) + costs.commitSeconds
            return CheckpointCosts(
                codec: codec, stopSeconds: known(stopSeconds), interferenceSeconds: known(costs.interferenceShare * behind),
                latencySeconds: known(stopSeconds + behind), recoverySeconds: known(detectionSeconds + uploading + costs.restoreSeconds),
                sentBytes: known(sent), memoryShare: memory / max(1, content), compressSeconds: known(compressing), uploadSeconds: known(uploading))
        }
    }

    private func compression(_ codec: Codec) -> (ratio: Double, bytesPerSecond: Double) {
        switch codec {
        case .none: (1.0, Double.infinity)
        case .gzip: (costs.gzipRatio, costs.gzipBytesPerSecond)
        case .zstd: (costs.zstdRatio, costs.zstdBytesPerSecond)
        }
    }

    /// Its checkpoint number `number` (of all of its lives), after `work` seconds of work since the one before.
    func image(_ codec: Codec, number: Int, work: Double, seed: UInt64, run: Int, index: Int) -> Image {
        var factors = (stop: 1.0, content: 1.0, ratio: 1.0)
        if costs.checkpointSpread > 0 {
            var stream = RandomStream(seed: seed, run: run, .checkpoint, index, number)
            factors = (
                stream.factor(spread: costs.checkpointSpread * 4), stream.factor(spread: costs.checkpointSpread),
                stream.factor(spread: costs.checkpointSpread)
            )
        }
        let disk = min(deltaBytes, writtenBytesPerSecond * max(0, work))
        let memory = min(memoryBytes, contentBytes * factors.content)
        let content = memory + disk
        let (ratio, speed) = compression(codec)
        let left = codec == .none ? 1 : min(1, ratio * ratioFactor * factors.ratio)
        return Image(
            stopSeconds: stopSeconds * factors.stop, memoryBytes: memory, diskBytes: disk, nonZeroBytes: content,
            sentBytes: (content * left).rounded(), compressSeconds: content / speed)
    }
}
