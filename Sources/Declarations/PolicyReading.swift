import Vocabulary

/// The `spec` of a CheckpointPolicy.
struct PolicyReading {
    /// What the three names mean in a policy that does not say; in its currency.
    static let defaultPreferences: [String: Prices] = [
        "finish-sooner": Prices(timePerHour: 6, networkPerGiB: 0.001, storagePerGiBHour: 0.0001),
        "balanced": Prices(timePerHour: 3, networkPerGiB: 0.01, storagePerGiBHour: 0.0002),
        "save-network": Prices(timePerHour: 1, networkPerGiB: 0.02, storagePerGiBHour: 0.0005),
    ]
    /// More often than every second no guest can be saved.
    static let interval = Seconds(1)...Quantity.longestDuration
    static let replication = 1...16
    static let keepLast = 1...1_000
    /// Hypervisors take no chain of more than 200 layers.
    static let maxLayers = 2...150
    static let strategies = ["adaptive", "exact", "daly", "young", "fixed", "never"]
    static let codecs = [Codec.zstd, .gzip, .none]
    static let checkpointAbove = ByteCount(1_024)...Quantity.largestSize
    static let networkCeiling = ByteCount(1_024)...Quantity.largestSize

    let spec: Reading

    func policy(name: String) -> CheckpointPolicy? {
        guard let fields = spec.fields(DeclaredKeys.policy) else { return nil }
        let currency = fields.required("currency", "what the prices are in, for example EUR")?.currency()
        let preferences = fields["preferences"].map(self.preferences) ?? [:]
        let given = overrides(fields)
        let settings = given.applied(to: CheckpointPolicy.Settings())
        Self.tellContradictions(settings, fields, whose: "the default")
        let rules = fields["rules"].map { self.rules($0, over: settings) } ?? []
        let network = fields["network"]?.fields(DeclaredKeys.network)
        let ceiling = network?.required("ceiling", "bytes a second, for example 40MiB")?.size(Self.networkCeiling)
        guard let currency else { return nil }
        return CheckpointPolicy(
            name: name, currency: currency, preferences: Self.defaultPreferences.merging(preferences) { $1 }, settings: settings, rules: rules,
            networkBytesPerSecond: ceiling)
    }

    private func preferences(_ reading: Reading) -> [String: Prices] {
        guard let fields = reading.fields([]) else { return [:] }
        var prices: [String: Prices] = [:]
        for (name, value) in fields.values {
            if let trouble = Name.trouble(name) { value.findings.add(fields.places[name], value.path, trouble.message, trouble.suggestion) }
            prices[name] = PricesReading.prices(value)
        }
        return prices
    }

    // MARK: Settings, the policy's own and its rules'

    private func overrides(_ fields: Fields) -> CheckpointPolicy.Overrides {
        var given = CheckpointPolicy.Overrides()
        given.mode = fields["mode"].flatMap { $0.choice(CheckpointPolicy.Mode.allCases.map { ($0.rawValue, $0) }) }
        if let interval = fields["interval"]?.fields(DeclaredKeys.interval) {
            given.floorSeconds = interval["floor"].flatMap { $0.duration(Self.interval) }
            given.ceilingSeconds = interval["ceiling"].flatMap { $0.duration(Self.interval) }
            given.strategy = strategy(interval)
        }
        if let compression = fields["compression"]?.fields(DeclaredKeys.compression) {
            given.compression = compression["choice"].flatMap { $0.choice(CompressionChoice.allCases.map { ($0.rawValue, $0) }) }
            given.codecs = compression["codecs"].flatMap(codecs)
        }
        given.replication = fields["replication"].flatMap(replication)
        if let retention = fields["retention"]?.fields(DeclaredKeys.retention) {
            given.keepLast = retention["keepLast"]?.whole(Self.keepLast)
            given.keepForSeconds = retention["keepFor"]?.duration(Self.interval)
            if retention.isBare {
                fields["retention"]?.trouble("keeps nothing in particular", "give keepLast, keepFor or both, for example {keepLast: 3}")
            }
        }
        if let chain = fields["chain"]?.fields(DeclaredKeys.chain) {
            given.merge = chain["merge"].flatMap { $0.choice(ChainRule.Merge.allCases.map { ($0.rawValue, $0) }) }
            given.maxLayers = chain["maxLayers"]?.whole(Self.maxLayers)
            if chain.isBare { fields["chain"]?.trouble("says nothing of chains", "for example {merge: count, maxLayers: 32}") }
        }
        return given
    }

    /// One number for all, or one for each class.
    private func replication(_ reading: Reading) -> Replication? {
        if reading.isScalar { return reading.whole(Self.replication).map { Replication($0) } }
        guard let fields = reading.fields(DeclaredKeys.replication) else { return nil }
        let classes = ["base", "memory", "delta"].map { fields.required($0, "for example 2; or one number for all")?.whole(Self.replication) }
        guard let base = classes[0], let memory = classes[1], let delta = classes[2] else { return nil }
        return Replication(base: base, memory: memory, delta: delta)
    }

    private func strategy(_ interval: Fields) -> IntervalStrategy? {
        let name = interval["strategy"].flatMap { $0.choice(Self.strategies.map { ($0, $0) }) }
        let every = interval["every"].flatMap { $0.duration(Self.interval) }
        let isMisspelt = interval.meant.contains("strategy")
        if let reading = interval["every"], name != "fixed", name != "never", !isMisspelt, interval["strategy"] == nil || name != nil {
            reading.trouble("is for the strategy fixed, and the strategy is \(name ?? "not given")", "write strategy: fixed, or leave every out")
        }
        switch name {
        case "adaptive": return .adaptive
        case "exact": return .exact
        case "daly": return .daly
        case "young": return .young
        case "fixed":
            if interval["every"] == nil, !interval.meant.contains("every") {
                interval["strategy"]?.trouble("fixed needs every", "for example {strategy: fixed, every: 10m}")
            }
            return every.map(IntervalStrategy.fixed)
        case "never":
            for key in ["every", "floor", "ceiling"] {
                interval[key]?.trouble("means nothing when the strategy is never", "leave it out")
            }
            return .never
        default: return nil
        }
    }

    private func codecs(_ reading: Reading) -> [Codec]? {
        guard let items = reading.items("codecs that may be used, best liked first: [zstd, gzip, none]") else { return nil }
        var names = UniqueNames()
        return items.compactMap { item in
            let codec = item.choice(Self.codecs.map { ($0.rawValue, $0) })
            if let codec { names.use(codec.rawValue, at: item) }
            return codec
        }
    }

    /// What cannot hold at once in `settings`, which are what `fields` gives and otherwise `whose`. What `fields` does not touch is not told again.
    private static func tellContradictions(_ settings: CheckpointPolicy.Settings, _ fields: Fields, whose: String) {
        let interval = fields["interval"]?.quietly
        let floor = interval?["floor"]
        let ceiling = interval?["ceiling"]
        let floorText = Quantity.text(settings.floorSeconds) + (floor == nil ? " (\(whose))" : "")
        let ceilingText = Quantity.text(settings.ceilingSeconds) + (ceiling == nil ? " (\(whose))" : "")
        if settings.floorSeconds > settings.ceilingSeconds {
            if let floor {
                floor.trouble("of \(floorText) is above the ceiling of \(ceilingText)", ceiling == nil ? "give a ceiling as well" : "swap them?")
            } else {
                ceiling?.trouble("of \(ceilingText) is below the floor of \(floorText)", "give a floor as well")
            }
        } else if case .fixed(let every) = settings.strategy, let reading = interval?["every"] ?? floor ?? ceiling {
            if every < settings.floorSeconds {
                reading.trouble("every \(Quantity.text(every)) is below the floor of \(floorText)", "lower the floor, or checkpoint less often")
            }
            if every > settings.ceilingSeconds {
                reading.trouble("every \(Quantity.text(every)) is above the ceiling of \(ceilingText)", "raise the ceiling, or checkpoint more often")
            }
        }
        guard let compression = fields["compression"]?.quietly, let place = compression["choice"] ?? compression["codecs"] else { return }
        if settings.compression == .always, !settings.codecs.contains(where: { $0 != .none }) {
            place.trouble("always compressing contradicts codecs that only have none", "add zstd or gzip")
        }
        if settings.compression == .never, compression["codecs"] != nil, !settings.codecs.contains(.none) {
            place.trouble("never compressing contradicts codecs without none", "add none, or leave the codecs out")
        }
    }

    // MARK: Rules

    private func rules(_ reading: Reading, over settings: CheckpointPolicy.Settings) -> [CheckpointPolicy.Rule] {
        var names = UniqueNames()
        return (reading.items("rules are {name, when, set}") ?? []).compactMap { item in
            guard let fields = item.fields(DeclaredKeys.rule) else { return nil }
            let name = fields.required("name", Name.form)?.name()
            if let name, let reading = fields["name"] { names.use(name, at: reading) }
            let when = fields.required("when", "labels, probabilityMetBelow, mtbfBelow or checkpointAbove").flatMap(condition)
            let set = fields.required("set", "what the rule changes").flatMap { self.set($0, over: settings) }
            guard let name, let when, let set else { return nil }
            return CheckpointPolicy.Rule(name: name, when: when, set: set)
        }
    }

    private func condition(_ reading: Reading) -> CheckpointPolicy.Condition? {
        guard let fields = reading.fields(DeclaredKeys.condition) else { return nil }
        if fields.isBare { reading.trouble("has no condition: the rule would always apply", "put it into the policy itself") }
        let labels = fields["labels"].map { $0.texts() ?? [:] }
        if let labels, labels.isEmpty, fields.values.count == 1 { fields["labels"]?.trouble("has no labels to compare with") }
        return CheckpointPolicy.Condition(
            labels: labels ?? [:], probabilityMetBelow: fields["probabilityMetBelow"].flatMap { $0.share() }.map { Probability($0) },
            mtbfBelowSeconds: fields["mtbfBelow"].flatMap { $0.length() },
            checkpointAboveBytes: fields["checkpointAbove"].flatMap { $0.size(Self.checkpointAbove) })
    }

    private func set(_ reading: Reading, over settings: CheckpointPolicy.Settings) -> CheckpointPolicy.Overrides? {
        guard let fields = reading.fields(DeclaredKeys.overrides) else { return nil }
        if fields.isBare { reading.trouble("changes nothing", "give mode, interval, compression, replication, retention or chain") }
        let overrides = overrides(fields)
        Self.tellContradictions(overrides.applied(to: settings), fields, whose: "the policy's")
        return overrides
    }
}
