import Knowledge
import Ports
import Vocabulary

extension Report {
    /// Everything that the ledger holds, or what concerns one task.
    package static func read(
        from ledger: any Ledger, generatedAt: Timestamp, task: TaskID? = nil, period: ReportPeriod? = nil
    ) async throws(LedgerError) -> Report {
        let query = ExcerptQuery(task: task, decisionsSince: period?.since.map { Timestamp($0.time.rawValue - decisionsBefore.rawValue) })
        return make(from: try await ledger.excerpt(query), generatedAt: generatedAt, task: task, period: period)
    }

    /// Decisions from so long before a period are read, too: one that was in force when it began.
    private static let decisionsBefore = Seconds.hours(24)

    /// - Parameter whole: at least what is about the task, and about none.
    package static func make(
        from whole: LedgerExcerpt, generatedAt: Timestamp, task filter: TaskID? = nil, period: ReportPeriod? = nil
    ) -> Report {
        let since = period?.since?.time
        let until = period?.until?.time ?? Timestamp(.infinity)
        // As it looked at the period's end.
        let now = min(generatedAt, until)
        let events = whole.events.filter { $0.at <= until && (filter == nil || $0.event.task == nil || $0.event.task == filter) }
        let decisions = whole.decisions.filter { $0.at <= until && (filter == nil || $0.task == filter) }
        let outcomes = whole.outcomes.filter { $0.at <= until }
        let knowledge = Knowledge().folding(events)
        let context = DeclarationContext(events: events)
        var byDecision: [DecisionID: [Outcome]] = [:]
        for outcome in outcomes { byDecision[outcome.decision, default: []].append(outcome) }
        var ofTask: [TaskID: [Decision]] = [:]
        for decision in decisions { if let task = decision.task { ofTask[task, default: []].append(decision) } }

        let tasks = stories(events).filter { story in since.map { story.ending?.at ?? now >= $0 } ?? true }.map { story in
            TaskAccount(
                story: story, state: knowledge.tasks[story.submission.task]?.state.name ?? "unknown", decisions: ofTask[story.submission.task] ?? [],
                outcomes: byDecision, context: context, now: now, since: since
            ).report
        }
        func isTold(_ time: Timestamp) -> Bool { since.map { time >= $0 } ?? true }
        let told = decisions.filter { isTold($0.at) }
        let times = events.map(\.at).filter(isTold)
        let ofNodes = told.filter { $0.task == nil }.map { decision in
            DecisionReport(decision, outcomes: byDecision[decision.id] ?? [], hindsight: HindsightJudge.hindsight(ofNode: decision, events))
        }
        return Report(
            generatedAt: Moment(generatedAt), from: times.min().map(Moment.init), to: times.max().map(Moment.init), period: period,
            proof: whole.proof, eventCount: times.count, decisionCount: told.count, verdict: Standing.all(tasks.map(\.verdict), open: true),
            totals: Totals(tasks, others: ofNodes), tasks: tasks, decisions: ofNodes, nodes: nodes(knowledge, events, now),
            policies: policies(events),
            calibration: .make(
                events: events, decisions: told, outcomes: told.flatMap { byDecision[$0.id] ?? [] }, generatedAt: generatedAt, mostPoints: 200),
            incidents: incidents(events.filter { isTold($0.at) }))
    }

    private static func stories(_ events: [EventRecord]) -> [TaskStory] {
        var order: [TaskID] = []
        var stories: [TaskID: TaskStory] = [:]
        for record in events {
            if case .taskSubmitted(let submission) = record.event, stories[submission.task] == nil {
                stories[submission.task] = TaskStory(submission: submission)
                order.append(submission.task)
            } else if case .nodeLost = record.event {
                for task in order { stories[task]?.fold(record) }
            } else if let task = record.event.task {
                stories[task]?.fold(record)
            }
        }
        return order.compactMap { stories[$0] }
    }

    private static func nodes(_ knowledge: Knowledge, _ events: [EventRecord], _ now: Timestamp) -> [ReportedNode] {
        var lost: [NodeID: [Moment]] = [:]
        var fenced: [NodeID: [Moment]] = [:]
        for record in events {
            switch record.event {
            case .nodeLost(let node, _, _): lost[node, default: []].append(Moment(record.at))
            case .nodeFenced(let node, _, _): fenced[node, default: []].append(Moment(record.at))
            default: break
            }
        }
        return knowledge.nodes.values.sorted { $0.id < $1.id }.map { node in
            ReportedNode(
                node: node.id, standing: node.standing,
                hypervisor: node.capabilities.map { "\($0.driver) \($0.version), \($0.acceleration.rawValue)" },
                failures: node.failures, exposureSeconds: rounded(node.exposure(at: now)), lostAt: lost[node.id] ?? [],
                fencedAt: fenced[node.id] ?? [])
        }
    }

    private static func policies(_ events: [EventRecord]) -> [PolicyReport] {
        events.compactMap { record in
            guard case .policyLoaded(let policy, let version) = record.event else { return nil }
            return PolicyReport(version: version, loadedAt: Moment(record.at), currency: policy.currency, preferences: policy.preferences)
        }
    }

    private static func incidents(_ events: [EventRecord]) -> [Incident] {
        events.compactMap { record in
            let sentence: String
            switch record.event {
            case .policyRejected(let name, let problems): sentence = "The declaration \(name) was rejected: \(problems.joined(separator: "; "))."
            case .policyModeSet(let name, let mode, let by):
                sentence =
                    mode.map { "The policy \(name) was set to \($0.rawValue) by \(by)." }
                    ?? "\(by) let the policy \(name) be in its file's mode again."
            case .nodeDrainAsked(let node, let by): sentence = "Node \(node) was to be drained, as \(by) asked."
            case .nodeDrainEnded(let node, let by): sentence = "Node \(node) takes tasks again, as \(by) asked."
            case .checkpointVerified(let task, let checkpoint, let problems, _):
                if problems.isEmpty { return nil }
                sentence = "Checkpoint \(checkpoint) of \(task) is not as it was committed: \(problems.joined(separator: "; "))."
            case .storeHealthChanged(let health):
                if health.reachable, health.detail.isEmpty { return nil }
                sentence = health.reachable ? "The store is degraded: \(health.detail)." : "The store could not be reached: \(health.detail)."
            case .nodeLost(let node, _, let silent): sentence = "Node \(node) was declared lost after \(Words.duration(silent)) of silence."
            case .nodeFenced(let node, let method, let detail):
                sentence = "Node \(node) was fenced by \(method)\(detail.isEmpty ? "" : ": \(detail)")."
            case .fenceFailed(let node, let reason): sentence = "Node \(node) could not be fenced: \(reason)."
            case .taskStalled(let task, _, let node, let progress, let stalled):
                sentence = "\(task) has stood still at \(Words.share(progress)) on \(node) for \(Words.duration(stalled)), while its guest runs."
            case .taskRefused(let task, _, let node, let reason): sentence = "Node \(node) could not take \(task): \(reason)."
            case .orderFailed(let order, let node, _, let reason): sentence = "Node \(node) could not carry out \(order): \(reason)."
            case .ledgerRebuilt(_, let store, let tasks):
                sentence =
                    "The ledger was made anew from the store \(store), with \(Words.count(tasks, "task", "tasks")); what was before it is not known."
            case .staleCommitRefused(let task, let epoch, let checkpoint, let node):
                sentence = "The stale node \(node) was refused the commit of \(checkpoint) of \(task) in epoch \(epoch)."
            case .checkpointFailed(let task, _, let checkpoint, _, _, let reason): sentence = "Checkpoint \(checkpoint) of \(task) failed: \(reason)."
            default: return nil
            }
            return Incident(at: Moment(record.at), sentence: sentence)
        }
    }
}

extension Standing {
    /// Of tasks: one that is still open keeps the whole open.
    static func all(_ standings: [Standing], open: Bool) -> Standing {
        if standings.contains(.broken) { return .broken }
        return standings.isEmpty || standings.contains(.notObserved) ? .notObserved : .kept
    }
}

extension PredictionReport {
    /// One for each quantity that was both predicted and observed, by name.
    static func summaries(_ outcomes: [Outcome]) -> [PredictionReport] {
        var pairs: [String: [(predicted: Double, observed: Double)]] = [:]
        for outcome in outcomes {
            guard let predicted = outcome.predicted, predicted.isFinite, outcome.observed.isFinite else { continue }
            pairs[outcome.quantity, default: []].append((predicted, outcome.observed))
        }
        return pairs.sorted { $0.key < $1.key }.map { PredictionReport($0.key, $0.value) }
    }

    /// - Parameter pairs: at least one.
    init(_ quantity: String, _ pairs: [(predicted: Double, observed: Double)]) {
        let count = Double(pairs.count)
        let ratios = pairs.filter { $0.predicted > 0 }.map { $0.observed / $0.predicted }.sorted()
        self.init(
            quantity: quantity, count: pairs.count, meanPredicted: pairs.map(\.predicted).reduce(0, +) / count,
            meanObserved: pairs.map(\.observed).reduce(0, +) / count, meanError: pairs.map { $0.observed - $0.predicted }.reduce(0, +) / count,
            meanAbsoluteError: pairs.map { abs($0.observed - $0.predicted) }.reduce(0, +) / count, medianRatio: Self.median(ratios))
    }

    /// - Parameter sorted: in ascending order.
    private static func median(_ sorted: [Double]) -> Double? {
        guard !sorted.isEmpty else { return nil }
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }
}
