import Knowledge
import PlanningModel
import Vocabulary

/// The SLA and the policy, as they apply to one task now, in the planning model's terms.
struct Terms {
    let task: TaskKnowledge
    let finding: TaskFinding
    let policy: Knowledge.LoadedPolicy?
    let settings: CheckpointPolicy.Settings
    /// Names of the rules that applied.
    let rules: [String]
    let prices: Prices

    init(task: TaskKnowledge, finding: TaskFinding, policy: Knowledge.LoadedPolicy?) {
        self.task = task
        self.finding = finding
        self.policy = policy
        let applied = policy?.policy.applied(
            labels: task.sla.labels, probabilityMet: finding.forecast?.probabilityMet, failureRatePerSecond: finding.failureRate.perSecond,
            uncompressedBytes: finding.costs.first { $0.codec == .none }?.sentBytes.mean)
        var settings = applied?.settings ?? CheckpointPolicy.Settings()
        // Set by somebody: over the file and its rules.
        if let set = policy?.modeSet { settings.mode = set.mode }
        self.settings = settings
        rules = applied?.rules ?? []
        prices = policy?.policy.prices(task.sla.preference) ?? task.sla.preference.ownPrices
    }

    func costs(_ codec: Codec) -> CheckpointCosts? { finding.costs.first { $0.codec == codec } }

    /// - Parameters: of the task on the node in question, in seconds and failures a second.
    func situation(work: Double, unsaved: Double, rate: Double) -> Situation {
        let sla = task.sla
        var situation = Situation(
            settings: settings,
            costs: finding.costs.map { costs in
                Situation.Costs(
                    codec: costs.codec, stopSeconds: costs.stopSeconds.mean, interferenceSeconds: costs.interferenceSeconds.mean,
                    latencySeconds: costs.latencySeconds.mean, recoverySeconds: costs.recoverySeconds.mean, sentBytes: costs.sentBytes.mean,
                    memoryShare: costs.memoryShare, compressSeconds: costs.compressSeconds.mean, uploadSeconds: costs.uploadSeconds.mean)
            }, workLeftSeconds: work, unsavedSeconds: unsaved, failureRatePerSecond: rate, keptCheckpoints: task.committed.count, prices: prices,
            limits: sla.limits, meetProbability: sla.deadline?.confidence, timeToDeadlineSeconds: finding.timeToDeadlineSeconds,
            penaltyPerSecond: sla.penalty.map { $0.amount.amount / $0.perSeconds.rawValue }, penaltyCap: sla.penalty?.cap?.amount,
            forecastMet: finding.forecast?.probabilityMet)
        situation.modeSet = policy?.modeSet?.mode
        return situation
    }
}

extension CheckpointPolicy {
    /// The settings with those rules applied that hold, and their names.
    func applied(
        labels: [String: String], probabilityMet: Probability?, failureRatePerSecond: Double, uncompressedBytes: Double?
    ) -> (settings: Settings, rules: [String]) {
        func holds(_ condition: Condition) -> Bool {
            for (name, value) in condition.labels where labels[name] != value { return false }
            if let bound = condition.probabilityMetBelow {
                guard let probabilityMet, probabilityMet < bound else { return false }
            }
            if let bound = condition.mtbfBelowSeconds {
                guard failureRatePerSecond > 0, Seconds(1 / failureRatePerSecond) < bound else { return false }
            }
            if let bound = condition.checkpointAboveBytes {
                guard let uncompressedBytes, uncompressedBytes > Double(bound.rawValue) else { return false }
            }
            return true
        }
        var applied = (settings: settings, rules: [String]())
        for rule in rules where holds(rule.when) {
            applied.settings = rule.set.applied(to: applied.settings)
            applied.rules.append(rule.name)
        }
        return applied
    }

    /// Of a name that a later version of the policy dropped: time alone.
    func prices(_ preference: Preference) -> Prices {
        if case .named(let name) = preference, let prices = preferences[name] { return prices }
        return preference.ownPrices
    }
}

extension Preference {
    /// Its own, or those of a name that says nothing: time alone.
    fileprivate var ownPrices: Prices {
        if case .prices(let own) = self { return own }
        return Prices(timePerHour: 1, networkPerGiB: 0, storagePerGiBHour: 0)
    }
}

extension Situation {
    /// Codecs that the policy lets us choose from now, best liked first.
    private var codecs: [Codec] {
        switch settings.compression {
        case .estimate: settings.codecs
        case .always:
            settings.codecs.contains { $0 != .none } ? settings.codecs.filter { $0 != .none } : settings.codecs
        case .never: [.none]
        }
    }

    private func costs(_ codec: Codec) -> Costs? { costs.first { $0.codec == codec } }

    /// The paper's equation 1, in the pipelined form that the engine runs, for the codec that is liked best.
    var equation1: (codec: Codec, verdict: CompressionVerdict)? { equation1(.pipelined) }

    /// In either form: the paper's own is the sequential one.
    func equation1(_ form: CompressionForm) -> (codec: Codec, verdict: CompressionVerdict)? {
        guard let codec = settings.codecs.first(where: { $0 != .none }), let compressed = costs(codec), let plain = costs(.none) else { return nil }
        return (
            codec,
            Compression.weigh(
                form: form, compressSeconds: compressed.compressSeconds, uploadCompressedSeconds: compressed.uploadSeconds,
                uploadUncompressedSeconds: plain.uploadSeconds)
        )
    }

    /// The codec for strategies that know no prices: by equation 1.
    var codecByTime: Codec {
        guard settings.compression == .estimate, let equation1 else { return codecs.first ?? .none }
        return equation1.verdict.pays || !settings.codecs.contains(.none) ? equation1.codec : .none
    }

    /// What may be chosen from; the first codec there is where the policy allows none of them.
    var options: [CheckpointOption] {
        let allowed = codecs.compactMap { costs($0) }
        return (allowed.isEmpty ? Array(costs.prefix(1)) : allowed).map(option)
    }

    var optionByTime: CheckpointOption { costs(codecByTime).map(option) ?? options[0] }

    private func option(_ costs: Costs) -> CheckpointOption {
        CheckpointOption(
            name: costs.codec.rawValue, stopSeconds: costs.stopSeconds, interferenceSeconds: costs.interferenceSeconds,
            latencySeconds: costs.latencySeconds, recoverySeconds: costs.recoverySeconds, sentBytes: costs.sentBytes, storedBytes: costs.sentBytes,
            fetchedBytes: costs.sentBytes, replication: settings.replication.mean(memoryShare: costs.memoryShare))
    }

    /// In the planning model's terms.
    var objective: CostObjective {
        CostObjective(
            outlook: Outlook(
                workSeconds: workLeftSeconds, unsavedSeconds: unsavedSeconds, failureRatePerSecond: failureRatePerSecond,
                keptCheckpoints: keptCheckpoints, keepLast: settings.keepLast),
            prices: ObjectivePrices(
                perSecond: prices.timePerSecond, perByteSent: prices.networkPerByte, perByteSecondStored: prices.storagePerByteSecond),
            limits: ObjectiveLimits(
                lostWorkSeconds: limits.lostWorkSeconds?.rawValue, recoverySeconds: limits.recoverySeconds?.rawValue,
                stoppedShare: limits.stoppedShare, meetProbability: meetProbability?.rawValue,
                bounds: IntervalBounds(
                    floorSeconds: settings.floorSeconds.rawValue, ceilingSeconds: max(settings.floorSeconds, settings.ceilingSeconds).rawValue)),
            deadlineSeconds: timeToDeadlineSeconds?.rawValue,
            penalty: penaltyPerSecond.map { LatenessPenalty(amountPerSecond: $0, capAmount: penaltyCap ?? .infinity) })
    }
}

/// As it is recorded.
func alternative(_ candidate: Candidate, named name: String) -> Alternative {
    Alternative(
        name: name, intervalSeconds: candidate.intervalSeconds.map { Seconds($0) }, codec: Codec(rawValue: candidate.option.name),
        replication: candidate.option.replication, timeCost: candidate.terms.time, networkCost: candidate.terms.network,
        storageCost: candidate.terms.storage, penaltyCost: candidate.terms.penalty, expectedSeconds: Seconds(candidate.expectedSeconds),
        expectedSentBytes: ByteCount(Int64(candidate.expectedSentBytes.isFinite ? min(candidate.expectedSentBytes, 9e18) : 9e18)),
        probabilityMet: candidate.probabilityMet.map { Probability($0) },
        violations: candidate.violated.map { "\($0.name.rawValue): \(plain($0.value)) where \(plain($0.limit)) is the limit" })
}

/// "every 24 s, zstd, 2 copies" or "never".
func describe(_ candidate: Candidate) -> String {
    guard let interval = candidate.intervalSeconds else { return "never" }
    let codec = candidate.option.name == Codec.none.rawValue ? "uncompressed" : candidate.option.name
    let copies = candidate.option.replication > 1 ? ", \(plain(candidate.option.replication)) copies" : ""
    return "every \(plain(interval)) s, \(codec)\(copies)"
}

func plain(_ seconds: Seconds) -> String { plain(seconds.rawValue) }

/// Three significant digits at most: `0.12`, `7.5`, `24`, `3600`.
func plain(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return value.isNaN ? "unknown" : value > 0 ? "unbounded" : "-unbounded" }
    let size = abs(value)
    let decimals = size >= 10 || size == 0 ? 0 : size >= 1 ? 1 : size >= 0.1 ? 2 : 3
    let scale = [1.0, 10, 100, 1000][decimals]
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() ? String(Int64(rounded)) : String(rounded)
}

/// A probability or a share: `97 %`, and `99.95 %` near the ends.
func share(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e9 else { return value.isNaN ? "an unknown share" : "any share" }
    let percent = value * 100
    let rounded = percent > 99 && percent < 100 || percent < 1 ? (percent * 100).rounded() / 100 : percent.rounded()
    return rounded == rounded.rounded() ? "\(Int64(rounded)) %" : "\(rounded) %"
}
