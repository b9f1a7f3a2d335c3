import Vocabulary

/// What is written into a store. docs/format.md is the specification; this is its code.
package enum Format {
    package static let version = 1
    /// Raw bytes of a part, but for the last of a content.
    package static let partSize = 16 << 20

    package static let marker = "cairn-format"

    static func task(_ task: TaskID) -> String { "tasks/\(task)" }
    static func epochs(_ task: TaskID) -> String { "tasks/\(task)/epochs" }
    static func epoch(_ task: TaskID, _ epoch: Epoch) -> String { "tasks/\(task)/epochs/\(padded(epoch.rawValue)).json" }
    /// Manifests of the epoch in force.
    static func open(_ task: TaskID, _ epoch: Epoch) -> String { "tasks/\(task)/open/\(padded(epoch.rawValue))" }
    static func sealedEpochs(_ task: TaskID) -> String { "tasks/\(task)/sealed" }
    static func sealed(_ task: TaskID, _ epoch: Epoch) -> String { "tasks/\(task)/sealed/\(padded(epoch.rawValue))" }
    static func objects(_ task: TaskID) -> String { "tasks/\(task)/objects" }
    static func objects(_ task: TaskID, _ checkpoint: CheckpointID) -> String { "tasks/\(task)/objects/\(checkpoint)" }
    /// Content that many tasks share, by its digest.
    static func content(_ digest: String) -> String { "contents/" + digest.replacing(":", with: "-") }
}

/// One epoch's beginning: who owns it, and from which checkpoint it goes on.
package struct EpochRecord: Hashable, Sendable, Codable {
    package var format = Format.version
    package var task: TaskID
    package var epoch: Epoch
    package var node: NodeID
    /// nil: from the task's beginning.
    package var from: CheckpointID?
    package var at: Timestamp
}

/// A piece of content as the store holds it.
package struct PartRecord: Hashable, Sendable, Codable {
    /// nil: all zero, and not stored.
    package var path: String?
    package var rawBytes: Int
    package var storedBytes: Int
    package var codec: Codec
    /// Of the content, and of what is stored.
    package var rawDigest: String
    package var storedDigest: String
}

/// A file's content, in order.
package struct ContentRecord: Hashable, Sendable, Codable {
    package var bytes: Int64
    package var parts: [PartRecord]
    package var storedBytes: Int64 { parts.reduce(0) { $0 + Int64($1.path == nil ? 0 : $1.storedBytes) } }
}

/// A committed checkpoint: all that it takes to resume the task on another node.
package struct Manifest: Hashable, Sendable, Codable {
    package var format = Format.version
    package var cairn: String
    package var submission: TaskSubmission
    package var record: CheckpointRecord
    /// The domain's definition at the instant of capture (libvirt's XML).
    package var definition: String
    package var memory: ContentRecord
    /// Disk layers, lowest first.
    package var layers: [ContentRecord]
    /// Digests of content that tasks share.
    package var base: String
    package var kernel: String
    package var ramdisk: String
}

/// A document with a digest of its text, so that one that was damaged is never taken for whole.
struct Sealed<Document: Codable>: Codable {
    var digest: String
    var document: Document
}
