import Ports
import Vocabulary

/// What is written into a store. docs/format.md is the specification; this is its code.
package enum Format {
    /// 2: the end of a task, submissions in epochs, what a checkpoint's chain and union are, part sizes, runs of zeros. 3: several parts in one object.
    /// Earlier ones are read as well.
    package static let version = 3
    /// Raw bytes of a part, but for the last of a content. Content says which size it has; what says nothing has that of format 1.
    package static let partSize = 8 << 20
    package static let partSizeOfFormat1 = 16 << 20

    package static let marker = "cairn-format"

    static func task(_ task: TaskID) -> String { "tasks/\(task)" }
    static func epochs(_ task: TaskID) -> String { "tasks/\(task)/epochs" }
    static func epoch(_ task: TaskID, _ epoch: Epoch) -> String { "tasks/\(task)/epochs/\(padded(epoch.rawValue)).json" }
    /// How the task ended, if it ended in this epoch.
    static func ended(_ task: TaskID) -> String { "tasks/\(task)/ended" }
    static func ended(_ task: TaskID, _ epoch: Epoch) -> String { "tasks/\(task)/ended/\(padded(epoch.rawValue)).json" }
    /// Manifests of the epoch in force.
    static func open(_ task: TaskID, _ epoch: Epoch) -> String { "tasks/\(task)/open/\(padded(epoch.rawValue))" }
    static func openEpochs(_ task: TaskID) -> String { "tasks/\(task)/open" }
    static func sealedEpochs(_ task: TaskID) -> String { "tasks/\(task)/sealed" }
    static func sealed(_ task: TaskID, _ epoch: Epoch) -> String { "tasks/\(task)/sealed/\(padded(epoch.rawValue))" }
    static func objects(_ task: TaskID) -> String { "tasks/\(task)/objects" }
    static func objects(_ task: TaskID, _ checkpoint: CheckpointID) -> String { "tasks/\(task)/objects/\(checkpoint)" }
    /// Content that many tasks share, by its digest.
    static let contents = "contents"
    static func content(_ digest: String) -> String { "contents/" + digest.replacing(":", with: "-") }
    /// Contents that no manifest named, on their way out.
    static let unwanted = "unwanted"
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
    /// What was submitted, in the record of a task's first epoch; absent in format 1.
    package var submission: TaskSubmission?
}

/// A task's end, as the store knows it: counts while no later epoch was begun.
package struct EndRecord: Hashable, Sendable, Codable {
    package enum Outcome: Hashable, Sendable, Codable {
        case finished(result: String)
        case givenUp(reason: String)
        case cancelled(by: String)
    }
    package var format = Format.version
    package var task: TaskID
    package var epoch: Epoch
    package var outcome: Outcome
    package var node: NodeID?
    package var at: Timestamp
    package init(task: TaskID, epoch: Epoch, outcome: Outcome, node: NodeID?, at: Timestamp) {
        self.task = task
        self.epoch = epoch
        self.outcome = outcome
        self.node = node
        self.at = at
    }
}

/// A piece of content as the store holds it.
package struct PartRecord: Hashable, Sendable, Codable {
    /// nil: all zero, and not stored.
    package var path: String?
    /// Where it begins in the object at `path`, bytes; nil: it is all of it.
    package var offset: Int64?
    package var rawBytes: Int
    package var storedBytes: Int
    package var codec: Codec
    /// Of the content, and of what is stored.
    package var rawDigest: String
    package var storedDigest: String
    /// Blocks of 4096 bytes: how many zero ones are left out of what is stored (before its codec), how many follow that are kept, and so on. nil: all
    /// is kept.
    package var runs: [Int]?

    /// Its bytes as the store has them.
    func stored(in store: any CheckpointStore, _ path: String) async throws(StoreError) -> [UInt8] {
        guard let offset else { return try await store.read(path) }
        return try await store.read(path, range: offset..<(offset + Int64(storedBytes)))
    }

    static func zeros(_ count: Int, digest: String) -> PartRecord {
        PartRecord(path: nil, rawBytes: count, storedBytes: 0, codec: .none, rawDigest: digest, storedDigest: "")
    }
}

/// A file's content, in order.
package struct ContentRecord: Hashable, Sendable, Codable {
    package var bytes: Int64
    /// Raw bytes of each part but the last; nil: 16 MiB, as in format 1.
    package var partBytes: Int?
    package var parts: [PartRecord]
    package var partSize: Int { partBytes ?? Format.partSizeOfFormat1 }
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
    /// Digests of content that tasks share. Of a guest that boots from its disk, kernel and ramdisk are empty.
    package var base: String
    package var kernel: String
    package var ramdisk: String

    package var contents: [String] { [base, kernel, ramdisk].filter { !$0.isEmpty } }
}

/// A document with a digest of its text, so that one that was damaged is never taken for whole.
struct Sealed<Document: Codable>: Codable {
    var digest: String
    var document: Document
}
