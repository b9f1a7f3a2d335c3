import Knowledge
import PlanningModel
import Vocabulary

/// When the layers of a running task's disk are merged.
extension Draft {
    /// Chains of this length are merged whatever the policy says, before a capture has to do it: hypervisors take no chain of more than 200.
    static let hardLimit = 120
    /// At a recovery, for each layer, whatever its size: a part to fetch, a reference to rewrite. Measured: 20 to 60 ms.
    static let layerSeconds = 0.05

    /// Why, and which.
    private struct Merge {
        var order: MergeOrder
        var why: String
        var inputs: [DecisionInput] = []
        var alternatives: [Alternative] = []
        var chosen: Int?
        var binding: String?
    }

    mutating func merge(_ task: TaskKnowledge) {
        guard case .running(let node) = task.state, task.underway == nil, let finding = finding(of: task.id),
            self.finding(of: node)?.standing == .trusted, knowledge.nodes[node]?.capabilities?.mergesLayers == true,
            let newest = task.newestCommitted, let sizes = newest.layerBytes,
            // After a merge the next checkpoint says what the layers are.
            task.lastMerge.map({ newest.capturedAt > $0.at }) ?? true, nextSchedules[task.id]?.mergedAfter != newest.id
        else { return }
        let terms = Terms(task: task, finding: finding, policy: knowledge.policies[task.sla.policy])
        guard let merge = merge(sizes, finding, terms, interval: nextSchedules[task.id]?.standing.intervalSeconds) else { return }
        nextSchedules[task.id]?.mergedAfter = newest.id
        decide(
            .merge, task: task, node: node, mode: terms.settings.mode, policy: terms.policy?.version, inputs: merge.inputs,
            alternatives: merge.alternatives, chosen: merge.chosen, binding: merge.binding, rules: terms.rules,
            "\(task.id): merge layers of its disk, \(sizes.count) below the one in use: \(merge.why)."
        ) { _ in [.merge(task: task.id, node: node, epoch: task.epoch, merge.order)] }
    }

    private func merge(_ sizes: [ByteCount], _ finding: TaskFinding, _ terms: Terms, interval: Seconds?) -> Merge? {
        guard sizes.count >= 2 else { return nil }
        let rule = terms.settings.chain
        // The guest goes without a checkpoint meanwhile.
        let limit = min(Seconds(60), max(Seconds(10), interval ?? Seconds(60)))
        let half = MergeOrder(atMost: max(1, rule.maxLayers / 2), limitSeconds: limit)
        if sizes.count >= Self.hardLimit {
            return Merge(
                order: MergeOrder(atMost: min(half.atMost ?? 1, Self.hardLimit / 2), limitSeconds: Seconds(60)),
                why: "no hypervisor takes a chain much longer", binding: "hardLimit")
        }
        if rule.merge != .never, sizes.count >= rule.maxLayers {
            return Merge(order: half, why: "the policy wants no more than \(rule.maxLayers)", binding: "maxLayers")
        }
        guard rule.merge == .estimate else { return nil }
        let model = model(sizes, finding, terms, interval: interval)
        let options = model.options
        let recovery = terms.costs(codecByTime(finding, terms))?.recoverySeconds.mean ?? 0
        let chosen: ChainMerge.Option
        let why: String
        var binding: String?
        if let most = terms.task.sla.limits.recoverySeconds?.rawValue, recovery + Double(sizes.count - 1) * Self.layerSeconds > most,
            recovery <= most, let shortest = options.first
        {
            chosen = shortest
            why = "with it a recovery would take longer than the \(plain(most)) s that the SLA allows"
            binding = "recovery"
        } else if let best = model.best {
            chosen = best
            why =
                "that costs \(plain(best.cost)) now and saves \(plain(best.saving)) until the end, and what the long chain has cost "
                + "since it was short has come to that (\(plain(best.spent)) \(terms.policy?.policy.currency ?? ""))"
        } else {
            return nil
        }
        return Merge(
            order: MergeOrder(keep: chosen.keep, limitSeconds: limit), why: why,
            inputs: [
                DecisionInput(name: "layers", value: Double(sizes.count)),
                DecisionInput(name: "layerBytes", value: model.layerBytes.reduce(0, +)),
                DecisionInput(name: "shrink", value: finding.merging.shrink.mean, standardError: finding.merging.shrink.standardError),
                DecisionInput(name: "failureRatePerSecond", value: model.failureRatePerSecond, standardError: finding.failureRate.standardError),
                DecisionInput(name: "remainingSeconds", value: model.remainingSeconds),
                DecisionInput(name: "mergeCost", value: chosen.cost), DecisionInput(name: "mergeSaving", value: chosen.saving),
                DecisionInput(name: "chainSpent", value: chosen.spent),
                DecisionInput(name: "recoverySavedSeconds", value: chosen.recoverySavedSeconds),
            ],
            alternatives: [Alternative(name: "leave the chain as it is", storageCost: chosen.saving)]
                + options.map {
                    Alternative(
                        name: $0.keep == 0 ? "merge all \(sizes.count)" : "merge the upper \(sizes.count - $0.keep)", networkCost: $0.cost,
                        expectedSentBytes: ByteCount(Int64($0.sentBytes)))
                },
            chosen: options.firstIndex(of: chosen).map { $0 + 1 }, binding: binding)
    }

    private func codecByTime(_ finding: TaskFinding, _ terms: Terms) -> Codec {
        terms.situation(work: finding.workLeftSeconds.mean, unsaved: 0, rate: finding.failureRate.perSecond).codecByTime
    }

    private func model(_ sizes: [ByteCount], _ finding: TaskFinding, _ terms: Terms, interval: Seconds?) -> ChainMerge {
        let costs = terms.costs(codecByTime(finding, terms))
        let perByte = costs.map { $0.uploadSeconds.mean / max($0.sentBytes.mean, 1) } ?? 1 / 50e6
        let interval = interval?.rawValue ?? terms.settings.ceilingSeconds.rawValue
        return ChainMerge(
            layerBytes: sizes.map { Double($0.rawValue) }, shrink: finding.merging.shrink.mean, replication: terms.settings.deltaReplication,
            intervalSeconds: interval, remainingSeconds: finding.workLeftSeconds.mean,
            keptSeconds: max(Double(terms.settings.keepLast) * interval, terms.settings.keepForSeconds?.rawValue ?? 0),
            failureRatePerSecond: finding.failureRate.perSecond,
            prices: ObjectivePrices(
                perSecond: terms.prices.timePerSecond, perByteSent: terms.prices.networkPerByte,
                perByteSecondStored: terms.prices.storagePerByteSecond), fetchSecondsPerByte: perByte, uploadSecondsPerByte: perByte,
            mergeSecondsPerByte: finding.merging.secondsPerMebibyte.mean / 1_048_576, layerSeconds: Self.layerSeconds)
    }
}

extension CheckpointPolicy.Settings {
    fileprivate var deltaReplication: Double { Double(replication.delta) }
}
