import Analysis
import Knowledge
import Planning
import Vocabulary

/// Puts a policy into a situation, and compares what is decided with what must be.
package enum PolicyTrial {
    package struct Outcome: Hashable, Sendable {
        /// nil: never.
        package var interval: Seconds?
        package var codec: Codec
        package var isNow: Bool
        package var replication: Replication
        package var mode: CheckpointPolicy.Mode
        package var rules: [String]
        /// Why, as the manager would say it.
        package var sentence: String
        /// What is not as expected; empty: the test is passed.
        package var failures: [String]
    }

    private static let node = NodeID("node")
    private static let now = World.origin + .hours(24 * 365)

    /// nil when nothing was decided: the task is not one that runs.
    package static func judge(_ test: PolicyTest, _ candidacy: Candidacy, _ sla: TaskSLA, version: DocumentVersion) -> Outcome? {
        var sla = sla
        sla.policy = candidacy.policy.name
        let situation = test.situation
        // The rate is given and not to be learnt: an opinion that a million failures stand behind.
        let fleet = Fleet(
            name: "test", nodes: [Fleet.Node(id: node)], store: .directory("/"), imagesDirectory: "/",
            defaults: .init(priorMTBFSeconds: situation.mtbfSeconds, priorWeight: 1e6))
        let task = TaskID("\(sla.name)-1")
        let began = now + Seconds(-situation.elapsedSeconds.rawValue)
        let knowledge = Knowledge().folding(
            [
                (began, .policyLoaded(candidacy.policy, version: candidacy.version)),
                (
                    began,
                    .nodeJoined(
                        node: node, incarnation: Incarnation("1"),
                        hypervisor: HypervisorCapabilities(
                            uri: "test:", driver: "test", version: "1", acceleration: .kvm, captureWays: [.backgroundSnapshot]))
                ), (began, .taskSubmitted(TaskSubmission(task: task, sla: sla, version: version, submittedAt: began))),
                (began, .taskPlaced(task: task, epoch: .first, node: node)), (began, .taskStarted(task: task, epoch: .first, node: node)),
            ].map { (at: Timestamp, event: Event) in EventRecord(at: at, source: .manager, event: event) }
                + history(task, sla, situation).map { EventRecord(at: $0.0, source: .manager, event: $0.1) })
        var live = LiveView(now: now, managerSince: began, heartbeats: [node: LiveView.Heartbeats(first: now)])
        live.observations[task] = TaskObservation(task: task, epoch: .first, state: .running, sample: nil, checkpointing: nil)
        // As it settles: a forecast assumes the schedule that is in force, and before the first one there is none.
        var schedules: [TaskID: Schedule] = [:]
        var decided: Decision?
        var isNow = false
        for turn in 1...4 {
            let findings = Analysis.assess(knowledge, live: live, fleet: fleet, schedules: schedules)
            let plan = Planning.plan(knowledge, findings: findings, fleet: fleet, schedules: schedules, nextDecision: Int64(turn) * 10)
            let anew = plan.decisions.first { $0.kind == .schedule && $0.task == task }
            schedules = plan.schedules
            isNow = plan.decisions.contains { $0.kind == .checkpoint }
            guard let anew else { break }
            decided = anew
        }
        guard let decision = decided, let chosen = decision.chosen, let schedule = schedules[task] else { return nil }
        let alternative = decision.alternatives[chosen]
        var outcome = Outcome(
            interval: alternative.intervalSeconds, codec: alternative.codec ?? schedule.standing.order.codec,
            isNow: isNow, replication: schedule.standing.order.replication, mode: decision.mode,
            rules: decision.rules, sentence: decision.sentence, failures: [])
        outcome.failures = failures(test.expected, outcome)
        return outcome
    }

    /// What the task and its checkpoints have shown: samples of the last two minutes at the declared speed, and eight checkpoints if their costs are
    /// known, of which the newest is still there if there is one.
    private static func history(_ task: TaskID, _ sla: TaskSLA, _ situation: PolicyTest.Situation) -> [(Timestamp, Event)] {
        var events: [(Timestamp, Event)] = []
        let work = sla.task.workSeconds
        let since = situation.sinceCheckpointSeconds
        let captured = now + Seconds(-(since ?? situation.elapsedSeconds).rawValue)
        let progressThen = since.map { max(0, situation.progress - $0 / work) } ?? 0
        let known = situation.costs
        if known != nil || since != nil {
            let costs = known ?? PolicyTest.Costs(stopSeconds: Seconds(0.5), latencySeconds: Seconds(1), sentBytes: .mebibytes(1))
            let upload = max(0, costs.latencySeconds.rawValue - costs.stopSeconds.rawValue)
            let ids = (1...8).map { CheckpointID(epoch: .first, number: $0) }
            for id in known == nil ? Array(ids.suffix(1)) : ids {
                let record = CheckpointRecord(
                    id: id, task: task, node: node, epoch: .first, parent: nil, capturedAt: captured, committedAt: captured + costs.latencySeconds,
                    way: .backgroundSnapshot, progress: progressThen, stopSeconds: costs.stopSeconds, latencySeconds: costs.latencySeconds,
                    uploadSeconds: Seconds(upload), compressSeconds: Seconds(upload / 2), memoryBytes: ByteCount(costs.sentBytes.rawValue * 2),
                    diskBytes: .zero, nonZeroBytes: ByteCount(costs.sentBytes.rawValue * 2), sentBytes: costs.sentBytes, codec: .zstd,
                    replication: 1, includedBase: known == nil, order: OrderID("test-\(id)"))
                events.append(
                    (
                        captured,
                        .checkpointCaptured(task: task, epoch: .first, checkpoint: id, stopSeconds: costs.stopSeconds, progress: progressThen)
                    ))
                events.append((captured + costs.latencySeconds, .checkpointCommitted(record)))
            }
            events.append((now, .checkpointsPruned(task: task, checkpoints: since == nil ? ids : Array(ids.dropLast()))))
        }
        for step in (0...24).reversed() {
            let ago = Double(step) * 5
            guard ago <= situation.elapsedSeconds.rawValue else { continue }
            let fraction = situation.progress - ago / work.rawValue
            guard fraction >= 0 else { continue }
            let at = now + Seconds(-ago)
            events.append(
                (
                    at,
                    .progressSeen(
                        ProgressSample(
                            task: task, epoch: .first, node: node, at: at, fraction: fraction, cpuSeconds: .zero, blockWrittenBytes: .zero))
                ))
        }
        return events
    }

    private static func failures(_ expected: PolicyTest.Expected, _ outcome: Outcome) -> [String] {
        var failures: [String] = []
        switch expected.interval {
        case .never:
            if let interval = outcome.interval { failures.append("interval: never is expected, and it is \(duration(interval.rawValue))") }
        case .within(let range):
            let bounds = "\(duration(range.lowerBound.rawValue)) to \(duration(range.upperBound.rawValue))"
            if let interval = outcome.interval {
                if !range.contains(interval) { failures.append("interval: \(bounds) is expected, and it is \(duration(interval.rawValue))") }
            } else {
                failures.append("interval: \(bounds) is expected, and it is never")
            }
        case nil: break
        }
        func compare<Value: Equatable>(_ name: String, _ wanted: Value?, _ found: Value, _ text: (Value) -> String) {
            if let wanted, wanted != found { failures.append("\(name): \(text(wanted)) is expected, and it is \(text(found))") }
        }
        if let codecs = expected.codecs, !codecs.contains(outcome.codec) {
            failures.append("codec: \(codecs.map(\.rawValue).joined(separator: " or ")) is expected, and it is \(outcome.codec.rawValue)")
        }
        compare("now", expected.isNow, outcome.isNow) { String($0) }
        if let copies = expected.replication, Replication(copies) != outcome.replication {
            failures.append("replication: \(copies) is expected, and it is \(outcome.replication)")
        }
        compare("mode", expected.mode, outcome.mode) { $0.rawValue }
        compare("rules", expected.rules, outcome.rules) { $0.isEmpty ? "none" : $0.joined(separator: ", ") }
        return failures
    }
}
