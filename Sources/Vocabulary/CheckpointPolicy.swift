/// What an operator allows and prefers (`kind: CheckpointPolicy`).
package struct CheckpointPolicy: Hashable, Sendable, Codable {
    package enum Mode: String, Hashable, Sendable, Codable, CaseIterable {
        case enforce = "Enforce"
        /// Decides and records, acts on nothing.
        case audit = "Audit"
    }
    package var name: String
    package var currency: String
    /// Prices by name; `finish-sooner`, `balanced` and `save-network` are always there.
    package var preferences: [String: Prices]
    package var settings: Settings
    /// Tried in order; every rule that matches is applied, later ones over earlier ones.
    package var rules: [Rule]
    /// Bytes a second that uploads of all its tasks may take together, copies counted; nil: as much as there is.
    package var networkBytesPerSecond: ByteCount?

    package init(
        name: String, currency: String, preferences: [String: Prices], settings: Settings, rules: [Rule] = [],
        networkBytesPerSecond: ByteCount? = nil
    ) {
        self.name = name
        self.currency = currency
        self.preferences = preferences
        self.settings = settings
        self.rules = rules
        self.networkBytesPerSecond = networkBytesPerSecond
    }

    /// All that a rule may override.
    package struct Settings: Hashable, Sendable, Codable {
        package var mode: Mode
        package var strategy: IntervalStrategy
        package var floorSeconds: Seconds
        package var ceilingSeconds: Seconds
        package var compression: CompressionChoice
        /// Codecs that may be used, best liked first.
        package var codecs: [Codec]
        /// Copies of each part that the store is asked for; a store that cannot replicate keeps one.
        package var replication: Replication
        /// Newest checkpoints of a task that are kept; at least 1.
        package var keepLast: Int
        /// Checkpoints that are no older are kept as well.
        package var keepForSeconds: Seconds?
        package var chain: ChainRule
        package init(
            mode: Mode = .enforce, strategy: IntervalStrategy = .adaptive, floorSeconds: Seconds = Seconds(10),
            ceilingSeconds: Seconds = .hours(24), compression: CompressionChoice = .estimate,
            codecs: [Codec] = [.zstd, .gzip, .none], replication: Replication = 2, keepLast: Int = 3,
            keepForSeconds: Seconds? = nil, chain: ChainRule = ChainRule()
        ) {
            self.mode = mode
            self.strategy = strategy
            self.floorSeconds = floorSeconds
            self.ceilingSeconds = ceilingSeconds
            self.compression = compression
            self.codecs = codecs
            self.replication = replication
            self.keepLast = keepLast
            self.keepForSeconds = keepForSeconds
            self.chain = chain
        }

        /// Policies that were recorded before chains had a rule are read with the rule that was in force then: none was merged by it.
        package init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            mode = try container.decode(Mode.self, forKey: .mode)
            strategy = try container.decode(IntervalStrategy.self, forKey: .strategy)
            floorSeconds = try container.decode(Seconds.self, forKey: .floorSeconds)
            ceilingSeconds = try container.decode(Seconds.self, forKey: .ceilingSeconds)
            compression = try container.decode(CompressionChoice.self, forKey: .compression)
            codecs = try container.decode([Codec].self, forKey: .codecs)
            replication = try container.decode(Replication.self, forKey: .replication)
            keepLast = try container.decode(Int.self, forKey: .keepLast)
            keepForSeconds = try container.decodeIfPresent(Seconds.self, forKey: .keepForSeconds)
            chain = try container.decodeIfPresent(ChainRule.self, forKey: .chain) ?? ChainRule(merge: .never)
        }
    }

    package struct Rule: Hashable, Sendable, Codable {
        package var name: String
        package var when: Condition
        package var set: Overrides
        package init(name: String, when: Condition, set: Overrides) { self.name = name; self.when = when; self.set = set }
    }

    /// All that is given must hold.
    package struct Condition: Hashable, Sendable, Codable {
        /// Labels of the task, all of which must be equal.
        package var labels: [String: String]
        /// P(deadline met) is below this.
        package var probabilityMetBelow: Probability?
        /// The node's mean time between failures, as estimated, is below this.
        package var mtbfBelowSeconds: Seconds?
        /// A checkpoint is predicted to send more than this.
        package var checkpointAboveBytes: ByteCount?
        package init(
            labels: [String: String] = [:], probabilityMetBelow: Probability? = nil, mtbfBelowSeconds: Seconds? = nil,
            checkpointAboveBytes: ByteCount? = nil
        ) {
            self.labels = labels
            self.probabilityMetBelow = probabilityMetBelow
            self.mtbfBelowSeconds = mtbfBelowSeconds
            self.checkpointAboveBytes = checkpointAboveBytes
        }
    }

    /// nil leaves a setting as it is.
    package struct Overrides: Hashable, Sendable, Codable {
        package var mode: Mode?
        package var strategy: IntervalStrategy?
        package var floorSeconds: Seconds?
        package var ceilingSeconds: Seconds?
        package var compression: CompressionChoice?
        package var codecs: [Codec]?
        package var replication: Replication?
        package var keepLast: Int?
        package var keepForSeconds: Seconds?
        package var merge: ChainRule.Merge?
        package var maxLayers: Int?
        package init(
            mode: Mode? = nil, strategy: IntervalStrategy? = nil, floorSeconds: Seconds? = nil, ceilingSeconds: Seconds? = nil,
            compression: CompressionChoice? = nil, codecs: [Codec]? = nil, replication: Replication? = nil, keepLast: Int? = nil,
            keepForSeconds: Seconds? = nil, merge: ChainRule.Merge? = nil, maxLayers: Int? = nil
        ) {
            self.mode = mode
            self.strategy = strategy
            self.floorSeconds = floorSeconds
            self.ceilingSeconds = ceilingSeconds
            self.compression = compression
            self.codecs = codecs
            self.replication = replication
            self.keepLast = keepLast
            self.keepForSeconds = keepForSeconds
            self.merge = merge
            self.maxLayers = maxLayers
        }
        package func applied(to settings: Settings) -> Settings {
            var changed = settings
            if let mode { changed.mode = mode }
            if let strategy { changed.strategy = strategy }
            if let floorSeconds { changed.floorSeconds = floorSeconds }
            if let ceilingSeconds { changed.ceilingSeconds = ceilingSeconds }
            if let compression { changed.compression = compression }
            if let codecs { changed.codecs = codecs }
            if let replication { changed.replication = replication }
            if let keepLast { changed.keepLast = keepLast }
            if let keepForSeconds { changed.keepForSeconds = keepForSeconds }
            if let merge { changed.chain.merge = merge }
            if let maxLayers { changed.chain.maxLayers = maxLayers }
            return changed
        }
    }
}

/// When the layers of a delta disk are merged while the guest runs.
package struct ChainRule: Hashable, Sendable, Codable {
    package enum Merge: String, Hashable, Sendable, Codable, CaseIterable {
        /// When merging is predicted to cost less than going on without, or there are `maxLayers`.
        case estimate
        /// When there are `maxLayers`.
        case count
        case never
    }
    package var merge: Merge
    /// Frozen layers of a running guest, 2 to 150: hypervisors take no chain of more than 200.
    package var maxLayers: Int
    package init(merge: Merge = .estimate, maxLayers: Int = 32) {
        self.merge = merge
        self.maxLayers = maxLayers
    }
}

/// How the time between checkpoints is chosen.
package enum IntervalStrategy: Hashable, Sendable, Codable {
    /// Minimise the whole cost: time, network, storage and penalty, within the limits.
    case adaptive
    /// The optimum for exponential failures; Daly's and Young's approximations of it. They know no prices.
    case exact, daly, young
    case fixed(Seconds)
    case never

    package var name: String {
        switch self {
        case .adaptive: "adaptive"
        case .exact: "exact"
        case .daly: "daly"
        case .young: "young"
        case .fixed: "fixed"
        case .never: "never"
        }
    }
}

package enum CompressionChoice: String, Hashable, Sendable, Codable, CaseIterable {
    /// Compress when the estimate says that it pays (the paper's equation 1, and the owner's prices).
    case estimate
    case always
    case never
}

package enum Codec: String, Hashable, Sendable, Codable, CaseIterable {
    case none
    case gzip
    case zstd
}
