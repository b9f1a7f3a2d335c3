/// Moments between two steps, by name: where a test lets the process die. In production nothing is called.
package enum Failpoint: String, Hashable, Sendable, CaseIterable {
    // Making a checkpoint.
    case numbered, overlayMade, rotationNoted, captured, captureNoted, contentsShared, memoryUploaded, layersUploaded, committed, finished
    // Merging layers.
    case mergeNoted, merged, mergeSaved, layersDiscarded
    // Pruning.
    case pruneRead, manifestRemoved, manifestsRemoved, objectsRemoved
    // Resuming.
    case fetched, restored
    // Making a ledger anew.
    case taskRead
}

/// What a test does at a failpoint: throw, as if nothing came after it.
package typealias FailpointHook = @Sendable (Failpoint) throws(EngineError) -> Void
