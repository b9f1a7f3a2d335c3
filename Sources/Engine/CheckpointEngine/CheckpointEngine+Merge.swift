import Ports
import Vocabulary

/// Chains of layers kept short while the guest runs.
///
/// Each checkpoint adds a layer. Merging puts the upper ones of those that are frozen into one of them, on this node alone: what is in the store
/// stays as it is, and the merged layer goes there with the next checkpoint. In this order, so that a crash at any point leaves a chain that is
/// known to hold the guest's disk:
///
/// 1. what is merged into what is noted; 2. the hypervisor merges, and the files of all layers stay; 3. the shorter chain is noted, with a merged
/// layer whose content nobody knows yet; 4. files that are no part of it go.
///
/// Before 3, the old chain is what counts: whatever came into the merged layer is in the layers above it too, which hide it. So what the store
/// holds of each layer still makes up the same disk.
extension CheckpointEngine {
    /// Merges layers of a running task.
    ///
    /// - Parameter order: how many of the lowest layers stay as they are (nil: those that are each more than twice as large as what lies above
    ///   them), and how long it may take.
    /// - Returns: what was done; as many layers after as before when there was nothing to merge.
    /// - Throws: what was wrong; the chain is then the one before or the one after, and what the next call finds says which.
    package func merge(_ task: TaskID, epoch: Epoch, order: MergeOrder) async throws(EngineError) -> MergeRecord {
        let directory = directory(task, epoch)
        guard var state = try directory.load(), state.isRunning else { throw .noSuchTask(task) }
        try await settleRotation(&state, directory)
        try await settleMerge(&state, directory)
        return try await merge(&state, directory, order)
    }

    private func merge(
        _ state: inout LocalState, _ directory: TaskDirectory, _ order: MergeOrder
    ) async throws(EngineError) -> MergeRecord {
        // The one in use stays out of it.
        let top = state.layers.count - 2
        var sizes: [Int64] = []
        for layer in state.layers.dropLast() { sizes.append(try directory.size(of: layer.file)) }
        let base = max(0, order.keep ?? Self.base(sizes: sizes, atMost: min(order.atMost ?? .max, configuration.hardLimit / 2)))
        let before = state.layers.count
        guard base < top else {
            return MergeRecord(
                task: directory.task, node: configuration.node, epoch: directory.epoch, layersBefore: before, layersAfter: before,
                bytesBefore: .zero, bytesAfter: .zero, elapsedSeconds: .zero)
        }
        let started = time.now()
        let merging = LocalState.Merging(base: state.layers[base].file, top: state.layers[top].file)
        state.merging = merging
        try directory.save(state)
        try passing(.mergeNoted)
        try await hypervising { () throws(HypervisorError) in
            try await hypervisor.mergeLayers(
                Self.domain(of: directory.task), from: directory.layer(merging.top), into: directory.layer(merging.base),
                limit: order.limitSeconds)
        }
        try passing(.merged)
        try shortened(&state, directory, merging)
        return MergeRecord(
            task: directory.task, node: configuration.node, epoch: directory.epoch, layersBefore: before, layersAfter: state.layers.count,
            bytesBefore: ByteCount(sizes[base...top].reduce(0, +)), bytesAfter: ByteCount(try directory.size(of: merging.base)),
            elapsedSeconds: time.now() - started)
    }

    /// The shorter chain, in force from the moment that it is saved.
    private func shortened(_ state: inout LocalState, _ directory: TaskDirectory, _ merging: LocalState.Merging) throws(EngineError) {
        guard let base = state.layers.firstIndex(where: { $0.file == merging.base }),
            let top = state.layers.firstIndex(where: { $0.file == merging.top }), base < top, top < state.layers.count - 1
        else { throw .local(path: directory.path, detail: "the layers that were merged are not in its chain") }
        state.layers.replaceSubrange(base...top, with: [.init(file: merging.base)])
        // A capture that waits for its commit has all the layers below the one in use.
        if let count = state.capture?.layerCount { state.capture?.layerCount = count - (top - base) }
        state.merging = nil
        try directory.save(state)
        try passing(.mergeSaved)
        try directory.discardLayers(butFor: state)
        try passing(.layersDiscarded)
    }

    /// A merge that nobody recorded the end of: the hypervisor says whether there was one.
    func settleMerge(_ state: inout LocalState, _ directory: TaskDirectory) async throws(EngineError) {
        guard let merging = state.merging else { return }
        let chain = try await hypervising { () throws(HypervisorError) in try await hypervisor.chain(Self.domain(of: directory.task)) }
        if chain.contains(directory.layer(merging.top)) {
            // It did not come to its end: the chain is as it was, and what is known of its layers in the store is true.
            state.merging = nil
            try directory.save(state)
        } else {
            try shortened(&state, directory, merging)
        }
    }

    /// Before a capture adds one more to a chain that is as long as may be. A merge that fails is no reason to take no checkpoint.
    func shorten(_ state: inout LocalState, _ directory: TaskDirectory) async throws(EngineError) {
        guard state.layers.count >= configuration.hardLimit else { return }
        do throws(EngineError) { _ = try await merge(&state, directory, MergeOrder(limitSeconds: .minutes(10))) } catch .hypervisor {
            try await settleMerge(&state, directory)
        }
    }

    /// Which of the layers, lowest first, the ones above it are merged into: as low as can be while it does not get more than twice as large by
    /// that, so that large old layers are not sent again for the sake of small new ones.
    ///
    /// Each layer that stays is then more than twice as large as all above it, and merging again and again sends each byte a number of times that
    /// grows as the logarithm of the disk. Source: O'Neil et al., The log-structured merge-tree, Acta Informatica 33, 1996 (tiers that grow
    /// geometrically).
    static func base(sizes: [Int64], atMost: Int) -> Int {
        guard var base = sizes.indices.last else { return 0 }
        var above = sizes[base]
        while base > 0, sizes[base - 1] <= 2 * above || base >= max(1, atMost) {
            base -= 1
            above += sizes[base]
        }
        return base
    }
}
