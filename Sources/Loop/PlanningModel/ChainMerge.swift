/// Whether to merge the layers of a disk now, and which.
///
/// A chain of many layers costs storage for what later layers hide, and time and network at each recovery; merging costs sending what was merged
/// once more, and some of the guest's time. What a chain costs grows with its length, so this is the question of lot sizes: merge when what the
/// layers have cost since the last merge has reached what merging them costs, which makes the two costs equal over each cycle and their sum least.
/// Source: F. W. Harris, "How many parts to make at once", Factory 10, 1913 (the square-root rule).
package struct ChainMerge: Hashable, Sendable {
    /// What each frozen layer takes in the store, lowest first, bytes before replication.
    package var layerBytes: [Double]
    /// Merged over unmerged size, 0 to 1: what later layers do not hide.
    package var shrink: Double
    package var replication: Double
    /// Time between two checkpoints, of which each brings a layer, seconds.
    package var intervalSeconds: Double
    /// Time for which the chain will still be used, seconds.
    package var remainingSeconds: Double
    /// Time for which what was merged away is still kept for earlier checkpoints, seconds.
    package var keptSeconds: Double
    /// λ, 1/s: each failure is a recovery, which fetches the chain.
    package var failureRatePerSecond: Double
    package var prices: ObjectivePrices
    package var fetchSecondsPerByte: Double
    package var uploadSecondsPerByte: Double
    /// Of merging itself.
    package var mergeSecondsPerByte: Double
    /// At a recovery, for each layer, whatever its size: opening it, putting it on the one below.
    package var layerSeconds: Double

    package init(
        layerBytes: [Double], shrink: Double, replication: Double, intervalSeconds: Double, remainingSeconds: Double, keptSeconds: Double,
        failureRatePerSecond: Double, prices: ObjectivePrices, fetchSecondsPerByte: Double, uploadSecondsPerByte: Double, mergeSecondsPerByte: Double,
        layerSeconds: Double
    ) {
        self.layerBytes = layerBytes
        self.shrink = min(max(shrink, 0), 1)
        self.replication = max(1, replication)
        self.intervalSeconds = max(0, intervalSeconds)
        self.remainingSeconds = max(0, remainingSeconds)
        self.keptSeconds = max(0, keptSeconds)
        self.failureRatePerSecond = max(0, failureRatePerSecond)
        self.prices = prices
        self.fetchSecondsPerByte = max(0, fetchSecondsPerByte)
        self.uploadSecondsPerByte = max(0, uploadSecondsPerByte)
        self.mergeSecondsPerByte = max(0, mergeSecondsPerByte)
        self.layerSeconds = max(0, layerSeconds)
    }

    /// Share of the time of merging and uploading that the guest loses: as for checkpoints, not observed on its own.
    static let interference = 0.05

    /// Merging all layers but the lowest `keep` into one.
    package struct Option: Hashable, Sendable {
        package var keep: Int
        /// Of one copy, sent again.
        package var sentBytes: Double
        package var cost: Double
        /// What the shorter chain saves, for each second that it is used.
        package var savingPerSecond: Double
        /// Until the task's end.
        package var saving: Double
        /// What the layers that would go have cost since they came.
        package var spent: Double
        /// At each recovery, seconds.
        package var recoverySavedSeconds: Double
        package var pays: Bool { saving > cost && spent >= cost }
    }

    /// - Precondition: at least two layers are left to merge.
    package func option(keep: Int) -> Option {
        precondition(keep >= 0 && keep < layerBytes.count - 1, "nothing to merge")
        let above = layerBytes[keep...].reduce(0, +)
        let merged = shrink * above
        let gone = above - merged
        let recovery = gone * fetchSecondsPerByte + Double(layerBytes.count - keep - 1) * layerSeconds
        let perRecovery = prices.perSecond * recovery + prices.perByteSent * gone
        let savingPerSecond = prices.perByteSecondStored * replication * gone + failureRatePerSecond * perRecovery
        let guestSeconds = Self.interference * (mergeSecondsPerByte * above + uploadSecondsPerByte * merged)
        let cost =
            prices.perByteSent * replication * merged + prices.perByteSecondStored * replication * merged * keptSeconds
            + prices.perSecond * guestSeconds
        // They came one by one: on average half of them were there.
        let spent = savingPerSecond * Double(layerBytes.count - keep) * intervalSeconds / 2
        return Option(
            keep: keep, sentBytes: merged, cost: cost, savingPerSecond: savingPerSecond, saving: savingPerSecond * remainingSeconds, spent: spent,
            recoverySavedSeconds: recovery)
    }

    /// All that there are, fewest layers kept first.
    package var options: [Option] { layerBytes.count < 2 ? [] : (0..<(layerBytes.count - 1)).map(option) }

    /// The one that saves most beyond its cost, of those that pay; nil: none does.
    package var best: Option? { options.filter(\.pays).max { $0.saving - $0.cost < $1.saving - $1.cost } }
}
