import Vocabulary

/// A place for checkpoints: files by path, written whole or not at all.
///
/// Paths are relative to the store's root, `/`-separated, of `[A-Za-z0-9._:-]` components. What is written fits in memory
/// (the engine cuts large content into parts), or can be made again, so a failed upload can be sent again. All stores pass one
/// conformance suite. docs/format.md says what is kept where.
package protocol CheckpointStore: Sendable {
    var properties: StoreProperties { get }

    /// Writes `bytes` to `path`, replacing what is there: to a temporary name first, checked for length and checksum as
    /// the store holds it, then renamed. When it returns, the object is durable and whole.
    ///
    /// Creates missing parents of `path`. An object that is there already with this length and checksum is left as it is.
    /// - Throws: `StoreError`; nothing is at `path`, or what was there before, unless it was already whole.
    func write(_ bytes: [UInt8], to path: String, replication: Int) async throws(StoreError)

    /// As above, for an object that is made while it travels. Where files are dear to open and close (`partsPerObject`), a store sends it as it comes.
    func write(_ source: any ObjectSource, to path: String, replication: Int) async throws(StoreError)

    /// Commits `bytes` as `path` by an atomic rename from a temporary name, only if the parent directory exists at that
    /// instant and nothing is at `path`. This is what refuses a stale node: its directory has been sealed away.
    /// - Returns: false when the parent directory does not exist.
    /// - Throws: `.alreadyExists` when something is at `path` with other content; the same content is success.
    func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool

    /// Creates `path` with `bytes` only if nothing is there: of several racers exactly one gets true.
    ///
    /// The winner's bytes may not be readable for a moment after another's false.
    func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool

    /// Moves a directory. Atomic. Missing parents of `destination` are made first.
    /// - Returns: false when `source` does not exist (moved before, by whoever crashed and is trying again).
    func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool

    func makeDirectory(_ path: String) async throws(StoreError)

    /// - Throws: `.notFound`.
    func read(_ path: String) async throws(StoreError) -> [UInt8]

    /// Some of an object's bytes; fewer where the object ends before.
    /// - Throws: `.notFound`.
    func read(_ path: String, range: Range<Int64>) async throws(StoreError) -> [UInt8]

    /// Entries directly below a directory, sorted by name; empty when it does not exist.
    func list(_ path: String) async throws(StoreError) -> [StoreEntry]

    /// Removes a file or a whole directory; what is not there is removed already.
    func remove(_ path: String) async throws(StoreError)

    /// Never throws: trouble is the answer.
    func health() async -> StoreHealth
}

/// Bytes of one object that are made while they travel, and can be made again.
package protocol ObjectSource: Sendable {
    /// No more bytes come than these.
    var mostBytes: Int { get }
    /// From the first byte on; the same bytes each time.
    func begin() -> any ObjectReader
}

package protocol ObjectReader: AnyObject {
    /// The next piece; nil: that was all. Blocks: for a thread of blocking work.
    /// - Throws: `.failed` when it cannot be made.
    func next() throws(StoreError) -> [UInt8]?
}

extension ObjectSource {
    /// All of it. Blocks.
    package func bytes() throws(StoreError) -> [UInt8] {
        let reader = begin()
        var all: [UInt8] = []
        while let piece = try reader.next() {
            if all.isEmpty { all = piece } else { all += piece }
        }
        return all
    }
}

extension CheckpointStore {
    package func write(_ source: any ObjectSource, to path: String, replication: Int) async throws(StoreError) {
        try await write(try await onBlockingThread { () throws(StoreError) in try source.bytes() }, to: path, replication: replication)
    }

    package func read(_ path: String, range: Range<Int64>) async throws(StoreError) -> [UInt8] {
        let all = try await read(path)
        return Array(all[min(Int(range.lowerBound), all.count)..<min(Int(range.upperBound), all.count)])
    }
}

package struct StoreProperties: Hashable, Sendable {
    /// `directory`, `webhdfs`, `ftp`, `sftp`.
    package var kind: String
    /// For people: where it is, without credentials.
    package var location: String
    package var replicates: Bool
    /// Readers of a path that is written again see one version or the other; if not, for a moment they may see nothing. Commits and what was created
    /// exclusively are never written again, so nothing that counts depends on it.
    package var replacesAtomically: Bool
    /// What was acknowledged is on a disk. If not, it is as durable as the memory of the machines that hold it.
    package var flushes: Bool
    package var tellsFreeSpace: Bool
    /// Parts of a content that are best kept in one object: more than one where opening and closing a file costs as much as its bytes.
    package var partsPerObject: Int
    /// An object of several parts is best made so long that this divides its length, bytes: what follows its parts is of no meaning.
    package var objectRounding: Int
    package init(
        kind: String, location: String, replicates: Bool, replacesAtomically: Bool = true, flushes: Bool = true, tellsFreeSpace: Bool = true,
        partsPerObject: Int = 1, objectRounding: Int = 1
    ) {
        self.kind = kind
        self.location = location
        self.replicates = replicates
        self.replacesAtomically = replacesAtomically
        self.flushes = flushes
        self.tellsFreeSpace = tellsFreeSpace
        self.partsPerObject = partsPerObject
        self.objectRounding = objectRounding
    }
}

package struct StoreEntry: Hashable, Sendable {
    package var name: String
    package var isDirectory: Bool
    package var bytes: ByteCount
    package var modifiedAt: Timestamp
    package init(name: String, isDirectory: Bool, bytes: ByteCount, modifiedAt: Timestamp) {
        self.name = name
        self.isDirectory = isDirectory
        self.bytes = bytes
        self.modifiedAt = modifiedAt
    }
}

package enum StoreError: Error, Hashable, Sendable {
    case notFound(path: String)
    case alreadyExists(path: String)
    /// Not enough room, or a quota.
    case full(path: String, detail: String)
    case denied(path: String, detail: String)
    /// What the store holds is not what was sent.
    case damaged(path: String, detail: String)
    /// Nothing answers, or it is not ready (safe mode), after all retries.
    case unavailable(path: String, detail: String)
    case failed(path: String, detail: String)

    package var isRetryable: Bool {
        switch self {
        case .unavailable, .damaged: true
        case .notFound, .alreadyExists, .full, .denied, .failed: false
        }
    }
}

extension StoreError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notFound(let path): "not in the store: \(path)"
        case .alreadyExists(let path): "already in the store with other content: \(path)"
        case .full(let path, let detail): "the store is full, writing \(path): \(detail)"
        case .denied(let path, let detail): "the store refuses \(path): \(detail)"
        case .damaged(let path, let detail): "damaged in the store: \(path): \(detail)"
        case .unavailable(let path, let detail): "the store does not answer for \(path): \(detail)"
        case .failed(let path, let detail): "the store failed on \(path): \(detail)"
        }
    }
}
