import Ports
import Vocabulary

/// Says which format a store has.
struct FormatMarker: Codable {
    var format = Format.version
}

/// A task's epochs and checkpoints as the store knows them: enough to recover every task without any database.
package struct CheckpointCatalog: Sendable {
    private let store: any CheckpointStore
    private let time: any TimeSource

    package init(store: any CheckpointStore, time: any TimeSource) {
        self.store = store
        self.time = time
    }

    package struct Raised: Hashable, Sendable {
        package var epoch: Epoch
        package var node: NodeID
        package var from: CheckpointID?
        /// The line of descent up to `from`, oldest first.
        package var committed: [CheckpointRecord]
        /// The task has ended in this epoch: no later one was begun.
        package var ended: EndRecord?
    }

    /// Opens a task's first epoch for a node.
    /// - Parameter submission: kept with it, so that the store alone knows what the task is before anything of it is committed.
    /// - Returns: the node that owns it: another one if it was opened before, by whoever did not live to tell.
    /// - Throws: `.staleEpoch` when the first epoch is over.
    package func openFirst(of task: TaskID, submission: TaskSubmission? = nil, for node: NodeID) async throws(EngineError) -> NodeID {
        try await markFormat()
        let bytes = try Documents.bytes(
            EpochRecord(task: task, epoch: .first, node: node, from: nil, at: time.now(), submission: submission))
        let path = Format.epoch(task, .first)
        let isNew = try await storing { () throws(StoreError) in try await store.createExclusively(bytes, at: path) }
        guard try await newestEpoch(of: task) == .first else { throw .staleEpoch(task: task, epoch: .first) }
        if !isNew, try await !manifests(task, .first).isEmpty {
            throw .local(path: Format.task(task), detail: "the store holds checkpoints of an earlier task of this name: they are not to be mixed")
        }
        try await openUnlessSealed(task, .first)
        return try await epochRecord(task, .first).node
    }

    /// A store of a later format is refused before anything is written to it; one of an earlier format is of this one from here on, so that
    /// earlier versions refuse it rather than pass over what they cannot read.
    private func markFormat() async throws(EngineError) {
        let marker = try Documents.bytes(FormatMarker())
        if try await storing({ () throws(StoreError) in try await store.createExclusively(marker, at: Format.marker) }) { return }
        let found = try await store.document(FormatMarker.self, at: Format.marker)
        if found.format < Format.version {
            try await storing { () throws(StoreError) in try await store.write(marker, to: Format.marker, replication: 3) }
        }
    }

    /// Ends the epoch in force and begins the next one, owned by `node`.
    ///
    /// 1. The directory that the old epoch commits into is moved away: from here on nothing can be committed in it. 2. Only
    /// then is the newest checkpoint looked for, so none is missed. 3. The new epoch's record is created exclusively: of
    /// several who try, one wins, and the others adopt what it wrote. 4. The winner opens the new epoch's directory. A crash
    /// after any of these is mended by raising again.
    package func raiseEpoch(of task: TaskID, from known: Epoch, for node: NodeID) async throws(EngineError) -> Raised {
        for _ in 0..<100 {
            guard let current = try await newestEpoch(of: task), current >= known else { throw Self.unknown(known, of: task) }
            if current > known, try await !isSealed(task, current) {
                // Somebody raised it and did not live to tell.
                let record = try await epochRecord(task, current)
                try await openUnlessSealed(task, current)
                return try await raised(record)
            }
            try await seal(task, current)
            if try await ended(task, in: current) != nil { return try await raised(try await epochRecord(task, current)) }
            try await markFormat()
            let next = EpochRecord(
                task: task, epoch: current.next, node: node, from: try await lineage(of: task, at: current).manifests.last?.record.id, at: time.now())
            let bytes = try Documents.bytes(next)
            let path = Format.epoch(task, next.epoch)
            if try await storing({ () throws(StoreError) in try await store.createExclusively(bytes, at: path) }) {
                try await openUnlessSealed(task, next.epoch)
                return try await raised(next)
            }
        }
        throw .local(path: Format.epochs(task), detail: "others keep raising the epoch")
    }

    /// The epoch in force; nil for a task that the store does not know.
    package func newestEpoch(of task: TaskID) async throws(EngineError) -> Epoch? {
        let entries = try await storing { () throws(StoreError) in try await store.list(Format.epochs(task)) }
        return entries.compactMap { Int($0.name.prefix { $0 != "." }) }.max().map { Epoch($0) }
    }

    private static func unknown(_ epoch: Epoch, of task: TaskID) -> EngineError {
        .local(
            path: Format.task(task),
            detail: "the store does not know epoch \(epoch) of this task: is it the store that the task was started with, and is it mounted?")
    }

    /// Folders of the contents that a task's checkpoints name, those beside its line of descent included.
    /// - Returns: nil when a manifest cannot be read: then nobody knows.
    func namedContents(_ task: TaskID) async throws(EngineError) -> Set<String>? {
        var named: Set<String> = []
        var entries = try await storing { () throws(StoreError) in try await store.list(Format.sealedEpochs(task)) }
        entries += try await storing { () throws(StoreError) in try await store.list(Format.openEpochs(task)) }
        for epoch in Set(entries.compactMap { Int($0.name) }).sorted() {
            for path in try await manifests(task, Epoch(epoch)).values {
                do throws(EngineError) {
                    let manifest = try await manifest(at: path)
                    named.formUnion(manifest.contents.map { Format.content($0) })
                } catch .damaged { return nil } catch .store(.notFound) { continue }
            }
        }
        return named
    }

    /// What is wrong with manifests that are passed over because they are damaged.
    package func damagedManifests(of task: TaskID) async throws(EngineError) -> [String] {
        var found: [String] = []
        for epoch in try await epochs(of: task).map(\.epoch) {
            for path in try await manifests(task, epoch).values.sorted() {
                do throws(EngineError) { _ = try await manifest(at: path) } catch .damaged(let what, let detail) {
                    found.append("\(EngineError.damaged(what: what, detail: detail))")
                }
            }
        }
        return found
    }

    /// The records of all of a task's epochs, oldest first; those that are damaged are left out.
    package func epochs(of task: TaskID) async throws(EngineError) -> [EpochRecord] {
        let entries = try await storing { () throws(StoreError) in try await store.list(Format.epochs(task)) }
        var records: [EpochRecord] = []
        for number in entries.compactMap({ Int($0.name.prefix { $0 != "." }) }).sorted() {
            do throws(EngineError) { records.append(try await epochRecord(task, Epoch(number))) } catch .damaged { continue }
        }
        return records
    }

    /// - Throws: `.staleEpoch` unless the epoch is in force and owned by the node; `.local` when the store does not know the epoch.
    package func require(_ epoch: Epoch, of task: TaskID, ownedBy node: NodeID) async throws(EngineError) {
        guard let newest = try await newestEpoch(of: task), newest >= epoch else { throw Self.unknown(epoch, of: task) }
        guard newest == epoch, try await epochRecord(task, epoch).node == node else { throw .staleEpoch(task: task, epoch: epoch) }
    }

    /// Why nothing can be committed in an epoch whose directory is not there. That alone does not say that the epoch is over: a store may not be
    /// mounted, or be another one, and a guest that its node gives up for that would be lost.
    /// - Returns: `.staleEpoch` where the store shows that the epoch is over; else that its directory is missing, which may pass.
    package func refusal(of task: TaskID, in epoch: Epoch) async throws(EngineError) -> EngineError {
        if try await isSealed(task, epoch) { return .staleEpoch(task: task, epoch: epoch) }
        if let newest = try await newestEpoch(of: task), newest > epoch { return .staleEpoch(task: task, epoch: epoch) }
        return .store(
            .unavailable(
                path: Format.open(task, epoch),
                detail:
                    "it is not there, and nothing says that the epoch is over: is this the store that the task was started with, and is it mounted?"))
    }

    package func tasks() async throws(EngineError) -> [TaskID] {
        try await storing { () throws(StoreError) in try await store.list("tasks") }.map { TaskID($0.name) }
    }

    /// Writes down that a task has ended: nobody resumes it any more, whatever becomes of the ledger. Said again, the first word stays.
    package func recordEnd(_ record: EndRecord) async throws(EngineError) {
        let bytes = try Documents.bytes(record)
        let path = Format.ended(record.task, record.epoch)
        _ = try await storing { () throws(StoreError) in try await store.createExclusively(bytes, at: path) }
    }

    /// How a task ended; nil for one that has not, or that the store does not know.
    /// - Throws: `.damaged` when it has ended, and what was written down of that does not read: such a task is not to be resumed.
    package func ended(_ task: TaskID) async throws(EngineError) -> EndRecord? {
        guard let newest = try await newestEpoch(of: task) else { return nil }
        return try await ended(task, in: newest)
    }

    /// Whether a task has ended, if only by a record that does not read.
    func hasEnded(_ task: TaskID) async throws(EngineError) -> Bool {
        do throws(EngineError) { return try await ended(task) != nil } catch .damaged { return true }
    }

    private func ended(_ task: TaskID, in epoch: Epoch) async throws(EngineError) -> EndRecord? {
        let path = Format.ended(task, epoch)
        do throws(EngineError) {
            return try await store.document(EndRecord.self, at: path)
        } catch .store(.notFound) { return nil } catch .damaged(let what, let detail) {
            throw .damaged(what: what, detail: "\(detail); the task has ended, and is not resumed: cancel it, or put the file back as it was")
        }
    }

    /// Committed checkpoints of the line of descent that ends in the epoch in force, oldest first.
    package func committed(_ task: TaskID) async throws(EngineError) -> [Manifest] { try await line(of: task).manifests }

    /// A line of descent, oldest first, and what of it cannot be read.
    package struct Line: Sendable {
        package var manifests: [Manifest] = []
        package var unreadable: [CheckpointID] = []
    }

    /// The line of descent that ends in the epoch in force.
    package func line(of task: TaskID) async throws(EngineError) -> Line {
        guard let current = try await newestEpoch(of: task) else { return Line() }
        return try await lineage(of: task, at: current)
    }

    package func manifest(_ checkpoint: CheckpointID, of task: TaskID) async throws(EngineError) -> Manifest {
        guard let epoch = Self.epoch(of: checkpoint) else { throw .noSuchCheckpoint(task, checkpoint) }
        for directory in [Format.sealed(task, epoch), Format.open(task, epoch)] {
            do throws(EngineError) { return try await manifest(at: "\(directory)/\(checkpoint).json") } catch .store(.notFound) { continue }
        }
        throw .noSuchCheckpoint(task, checkpoint)
    }

    // MARK: Reading

    static func epoch(of checkpoint: CheckpointID) -> Epoch? {
        let text = checkpoint.rawValue
        guard text.hasPrefix("e"), let number = Int(text.dropFirst().prefix { $0 != "-" }) else { return nil }
        return Epoch(number)
    }

    private func manifest(at path: String) async throws(EngineError) -> Manifest {
        try await store.document(Manifest.self, at: path)
    }

    private func epochRecord(_ task: TaskID, _ epoch: Epoch) async throws(EngineError) -> EpochRecord {
        try await store.document(EpochRecord.self, at: Format.epoch(task, epoch))
    }

    private func manifests(_ task: TaskID, _ epoch: Epoch) async throws(EngineError) -> [String: String] {
        var found: [String: String] = [:]
        for directory in [Format.sealed(task, epoch), Format.open(task, epoch)] {
            for entry in try await storing({ () throws(StoreError) in try await store.list(directory) }) where entry.name.hasSuffix(".json") {
                found[String(entry.name.dropLast(5))] = "\(directory)/\(entry.name)"
            }
        }
        return found
    }

    /// From the epoch back through the checkpoints that each epoch went on from.
    private func lineage(of task: TaskID, at newest: Epoch) async throws(EngineError) -> Line {
        var line = Line()
        var epoch = newest
        var upTo: String?
        while epoch >= .first {
            let here = try await manifests(task, epoch)
            for name in here.keys.sorted().reversed() where upTo.map({ name <= $0 }) ?? true {
                guard let path = here[name] else { continue }
                // A damaged one is as good as none to go on from: the task does from the one before.
                do throws(EngineError) { line.manifests.append(try await manifest(at: path)) } catch .damaged {
                    line.unreadable.append(CheckpointID(name))
                }
            }
            guard epoch > .first, let from = try await epochRecord(task, epoch).from, let earlier = Self.epoch(of: from), earlier < epoch else {
                break
            }
            upTo = from.rawValue
            epoch = earlier
        }
        return Line(manifests: line.manifests.reversed(), unreadable: line.unreadable.reversed())
    }

    private func raised(_ record: EpochRecord) async throws(EngineError) -> Raised {
        var committed: [CheckpointRecord] = []
        if let from = record.from, let epoch = Self.epoch(of: from) {
            committed = try await lineage(of: record.task, at: epoch).manifests.map(\.record).filter { $0.id <= from }
        }
        return Raised(
            epoch: record.epoch, node: record.node, from: record.from, committed: committed,
            ended: try await ended(record.task, in: record.epoch))
    }

    // MARK: Sealing

    private func isSealed(_ task: TaskID, _ epoch: Epoch) async throws(EngineError) -> Bool {
        try await storing { () throws(StoreError) in try await store.list(Format.sealedEpochs(task)) }.contains { $0.name == padded(epoch.rawValue) }
    }

    private func seal(_ task: TaskID, _ epoch: Epoch) async throws(EngineError) {
        if try await isSealed(task, epoch) { return }
        let moved = try await storing { () throws(StoreError) in
            try await store.moveDirectory(Format.open(task, epoch), to: Format.sealed(task, epoch))
        }
        // Never opened: sealed all the same, so that whoever comes late does not open it.
        if !moved { try await storing { () throws(StoreError) in try await store.makeDirectory(Format.sealed(task, epoch)) } }
    }

    private func openUnlessSealed(_ task: TaskID, _ epoch: Epoch) async throws(EngineError) {
        if try await isSealed(task, epoch) { throw .staleEpoch(task: task, epoch: epoch) }
        let path = Format.open(task, epoch)
        try await storing { () throws(StoreError) in try await store.makeDirectory(path) }
        // Somebody may have sealed it between the two: then it is not left open again behind his back.
        guard try await isSealed(task, epoch) else { return }
        if try await storing({ () throws(StoreError) in try await store.list(path) }).isEmpty {
            try await storing { () throws(StoreError) in try await store.remove(path) }
        }
        throw .staleEpoch(task: task, epoch: epoch)
    }
}
