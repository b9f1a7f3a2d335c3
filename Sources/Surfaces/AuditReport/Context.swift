import Vocabulary

/// What decisions refer to: declarations by version, and the prices that follow from them.
package struct DeclarationContext: Hashable, Sendable {
    private(set) var slas: [TaskID: TaskSLA] = [:]
    private(set) var policies: [DocumentVersion: CheckpointPolicy] = [:]
    /// The version in force for each name.
    private(set) var newest: [String: DocumentVersion] = [:]

    package init(events: some Sequence<EventRecord>) {
        for record in events {
            switch record.event {
            case .taskSubmitted(let submission): slas[submission.task] = submission.sla
            case .policyLoaded(let policy, let version):
                policies[version] = policy
                newest[policy.name] = version
            default: break
            }
        }
    }

    /// The policy that a decision names, else the newest of the name in the SLA.
    func policy(of decision: Decision) -> CheckpointPolicy? {
        if let version = decision.policy, let policy = policies[version] { return policy }
        return decision.task.flatMap { slas[$0] }.flatMap(policy(for:))
    }

    func policy(for sla: TaskSLA) -> CheckpointPolicy? { newest[sla.policy].flatMap { policies[$0] } }

    /// The prices in force for a decision's task, with the name that people know them by.
    func preference(of decision: Decision) -> PricesInForce? {
        guard let sla = decision.task.flatMap({ slas[$0] }), let policy = policy(of: decision) else { return nil }
        guard var prices = PricesInForce(sla.preference, policy) else { return nil }
        // As they were reckoned with, where the decision recorded them.
        for input in decision.inputs {
            switch input.name {
            case "priceTimePerHour": prices.timePerHour = input.value
            case "priceNetworkPerGiB": prices.networkPerGiB = input.value
            case "priceStoragePerGiBHour": prices.storagePerGiBHour = input.value
            default: break
            }
        }
        return prices
    }
}

/// Prices with their name and currency.
package struct PricesInForce: Hashable, Sendable, Codable {
    package var preference: String
    package var currency: String
    package var timePerHour: Double
    package var networkPerGiB: Double
    package var storagePerGiBHour: Double

    init?(_ preference: Preference, _ policy: CheckpointPolicy) {
        switch preference {
        case .named(let name):
            guard let prices = policy.preferences[name] else { return nil }
            self.init(name, policy.currency, prices)
        case .prices(let prices): self.init("its own prices", policy.currency, prices)
        }
    }

    private init(_ name: String, _ currency: String, _ prices: Prices) {
        preference = name
        self.currency = currency
        timePerHour = prices.timePerHour
        networkPerGiB = prices.networkPerGiB
        storagePerGiBHour = prices.storagePerGiBHour
    }

    var prices: Prices { Prices(timePerHour: timePerHour, networkPerGiB: networkPerGiB, storagePerGiBHour: storagePerGiBHour) }

    /// How much longer a task may take to save one GiB on the network; nil: time costs nothing.
    var secondsPerGiBSent: Seconds? { timePerHour > 0 ? Seconds(networkPerGiB / timePerHour * 3_600) : nil }

    var words: String {
        "\(preference): \(Words.cost(timePerHour)) \(currency) an hour, \(Words.cost(networkPerGiB)) \(currency) a GiB sent, "
            + "\(Words.cost(storagePerGiBHour)) \(currency) a GiB kept for an hour"
    }
}
