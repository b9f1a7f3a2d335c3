import Vocabulary

/// Where the time of one task went, and what it cost. Every second from its submission on is in exactly one of the seven lengths.
package struct Account: Hashable, Sendable {
    /// Work that counts, at the end: work done and not lost.
    package var workSeconds = 0.0
    /// Work that a failure took away.
    package var lostSeconds = 0.0
    /// It stood still to be captured.
    package var stoppedSeconds = 0.0
    /// It ran slower while a checkpoint was sent, by so much in all.
    package var interferenceSeconds = 0.0
    /// From a failure until its node was found to be lost, and fenced.
    package var downSeconds = 0.0
    /// It was started or resumed.
    package var recoverySeconds = 0.0
    /// No node would take it.
    package var waitingSeconds = 0.0

    /// Over the network: copies, aborted uploads and what recoveries fetched.
    package var sentBytes = 0.0
    /// Kept in the store, copies included, times how long.
    package var storedByteSeconds = 0.0
    package var checkpoints = 0
    package var failures = 0
    /// Failures that cost more work than the SLA allows, recoveries that took longer, and whether it was stopped for too large a share.
    package var limitsBroken = 0
    package var hasFinished = false
    package var hasMissedDeadline = false
    package var penaltyOwed = 0.0

    package init() {}

    /// All of it.
    package var elapsedSeconds: Double {
        workSeconds + lostSeconds + stoppedSeconds + interferenceSeconds + downSeconds + recoverySeconds + waitingSeconds
    }

    package func cost(_ prices: Prices) -> (time: Double, network: Double, storage: Double, penalty: Double) {
        (
            prices.timePerSecond * elapsedSeconds, prices.networkPerByte * sentBytes, prices.storagePerByteSecond * storedByteSeconds, penaltyOwed
        )
    }
}

/// What is compared: each a mean over the tasks of a run.
package enum Metric: String, Hashable, Sendable, Codable, CaseIterable {
    case totalCost, timeCost, networkCost, storageCost, penaltyCost
    case finishSeconds, deadlineMissShare, unfinishedShare, limitsBroken
    case sentBytes, checkpoints, failures
    case lostWorkSeconds, stoppedSeconds, interferenceSeconds, downSeconds, recoverySeconds, waitingSeconds
}

/// One run of one policy.
package struct RunResult: Hashable, Sendable {
    /// In the order of the scenario's tasks.
    package var accounts: [Account]
    package var metrics: [Metric: Double]
    /// Things that happened in the simulated world, and how often something was planned.
    package var events: Int
    package var plannings: Int

    package var counts: (events: Int, plannings: Int) { (events, plannings) }

    init(accounts: [Account], prices: [Prices], events: Int, plannings: Int) {
        self.accounts = accounts
        self.events = events
        self.plannings = plannings
        var sums: [Metric: Double] = [:]
        for (account, prices) in zip(accounts, prices) {
            let cost = account.cost(prices)
            for metric in Metric.allCases {
                let value: Double =
                    switch metric {
                    case .totalCost: cost.time + cost.network + cost.storage + cost.penalty
                    case .timeCost: cost.time
                    case .networkCost: cost.network
                    case .storageCost: cost.storage
                    case .penaltyCost: cost.penalty
                    case .finishSeconds: account.elapsedSeconds
                    case .deadlineMissShare: account.hasMissedDeadline ? 1 : 0
                    case .unfinishedShare: account.hasFinished ? 0 : 1
                    case .limitsBroken: Double(account.limitsBroken)
                    case .sentBytes: account.sentBytes
                    case .checkpoints: Double(account.checkpoints)
                    case .failures: Double(account.failures)
                    case .lostWorkSeconds: account.lostSeconds
                    case .stoppedSeconds: account.stoppedSeconds
                    case .interferenceSeconds: account.interferenceSeconds
                    case .downSeconds: account.downSeconds
                    case .recoverySeconds: account.recoverySeconds
                    case .waitingSeconds: account.waitingSeconds
                    }
                sums[metric, default: 0] += value
            }
        }
        metrics = sums.mapValues { $0 / Double(max(1, accounts.count)) }
    }
}
