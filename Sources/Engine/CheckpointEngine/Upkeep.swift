import DataPath
import Ports
import Vocabulary

extension CheckpointEngine {
    /// Removes all checkpoints of a task from the store but these, and every object that none of these needs.
    ///
    /// - Parameter drop: checkpoints that were there by what their owner knows; answered for though an earlier call removed them and did not live
    ///   to say so.
    /// - Returns: the checkpoints that are gone.
    package func prune(_ task: TaskID, epoch: Epoch, keep: [CheckpointID], drop: [CheckpointID] = []) async throws(EngineError) -> [CheckpointID] {
        let upkeep = StoreUpkeep(store: store, time: time, failpoint: configuration.failpoint)
        let underway = try directory(task, epoch).load()?.capture?.checkpoint
        return try await upkeep.prune(task, keep: keep, drop: drop, underway: underway) { () throws(EngineError) in
            try await catalog.require(epoch, of: task, ownedBy: configuration.node)
        }
    }

    /// What is wrong with a checkpoint in the store; empty when nothing is.
    /// - Parameter readData: read every part and check its digests, too; else only that the parts are there with their lengths.
    package func verify(_ checkpoint: CheckpointID, of task: TaskID, readData: Bool) async throws(EngineError) -> [String] {
        let manifest = try await catalog.manifest(checkpoint, of: task)
        var seen = StoreUpkeep.Seen()
        return try await StoreUpkeep(store: store, time: time).problems(of: manifest, readData: readData, &seen)
    }
}

/// What is kept in a store, looked after by whoever may: checkpoints pruned, checked, and what nobody needs removed.
package struct StoreUpkeep: Sendable {
    let store: any CheckpointStore
    let catalog: CheckpointCatalog
    let time: any TimeSource
    private let failpoint: FailpointHook?

    package init(store: any CheckpointStore, time: any TimeSource, failpoint: FailpointHook? = nil) {
        self.store = store
        self.time = time
        self.failpoint = failpoint
        catalog = CheckpointCatalog(store: store, time: time)
    }

    private func passing(_ point: Failpoint) throws(EngineError) { if let failpoint { try failpoint(point) } }

    // MARK: Pruning

    /// Removes checkpoints but for `keep`, and the objects that none of these needs.
    ///
    /// Manifests go first: what is left half-way is rubbish, never a manifest without its objects. Nothing goes unless the newest checkpoint is
    /// kept and is there as a whole, and all that are kept can be read, as nobody else knows their objects; and `mayGoOn` is asked again before each step, as
    /// the task's epoch may end meanwhile.
    /// - Returns: of those that are not kept, the ones that are gone.
    func prune(
        _ task: TaskID, keep: [CheckpointID], drop: [CheckpointID], underway: CheckpointID?, mayGoOn: () async throws(EngineError) -> Void
    ) async throws(EngineError) -> [CheckpointID] {
        try await mayGoOn()
        let whole = try await catalog.line(of: task)
        let line = whole.manifests
        try Self.requireReadable(whole.unreadable.filter(keep.contains), of: task)
        let kept = line.filter { keep.contains($0.record.id) }
        // A line without its newest checkpoint would be a loss.
        guard let newest = line.last, kept.last == newest else { return [] }
        let useless = Set(line.map(\.record.id) + whole.unreadable + drop).subtracting(keep).filter { $0 < newest.record.id }.sorted()
        if !useless.isEmpty {
            var seen = Seen()
            let problems = try await problems(of: newest, readData: false, &seen)
            guard problems.isEmpty else {
                throw .damaged(
                    what: "\(task)'s newest checkpoint \(newest.record.id)",
                    detail: "nothing is pruned while the ones before may be needed: \(problems.prefix(3).joined(separator: "; "))")
            }
        }
        try passing(.pruneRead)
        for id in useless {
            try await mayGoOn()
            try await remove(id, of: task)
            try passing(.manifestRemoved)
        }
        try passing(.manifestsRemoved)
        let paths = try await rubbish(
            of: task, needed: Self.parts(of: kept), upTo: newest.record.id, underway: underway, mayGoOn: mayGoOn)
        for path in paths.map(\.path) {
            try await mayGoOn()
            try await storing { () throws(StoreError) in try await store.remove(path) }
        }
        try passing(.objectsRemoved)
        return useless
    }

    private static func requireReadable(_ unreadable: [CheckpointID], of task: TaskID) throws(EngineError) {
        guard let first = unreadable.first else { return }
        throw .damaged(
            what: "\(task)'s checkpoint \(first)",
            detail: "its manifest does not read, and it is to be kept: nothing is pruned, as nobody knows which parts it needs")
    }

    private func remove(_ id: CheckpointID, of task: TaskID) async throws(EngineError) {
        guard let epoch = CheckpointCatalog.epoch(of: id) else { return }
        for directory in [Format.open(task, epoch), Format.sealed(task, epoch)] {
            try await storing { () throws(StoreError) in try await store.remove("\(directory)/\(id).json") }
        }
    }

    static func parts(of manifests: [Manifest]) -> Set<String> {
        Set(manifests.flatMap { manifest in ([manifest.memory] + manifest.layers).flatMap { $0.parts.compactMap(\.path) } })
    }

    /// Folders and parts in a task's objects that nothing needs.
    /// - Parameter upTo: what belongs to younger checkpoints is on its way, and no rubbish; nil: nothing is on its way.
    func rubbish(
        of task: TaskID, needed: Set<String>, upTo: CheckpointID?, underway: CheckpointID?, mayGoOn: () async throws(EngineError) -> Void
    ) async throws(EngineError) -> [(path: String, bytes: Int64)] {
        var found: [(path: String, bytes: Int64)] = []
        for folder in try await storing({ () throws(StoreError) in try await store.list(Format.objects(task)) })
        where folder.name != underway?.rawValue {
            if let upTo, CheckpointID(folder.name) > upTo { continue }
            let path = Format.objects(task) + "/" + folder.name
            let parts = try await storing { () throws(StoreError) in try await store.list(path) }
            let useless = parts.filter { !needed.contains(path + "/" + $0.name) }
            if useless.count == parts.count {
                found.append((path, useless.reduce(0) { $0 + $1.bytes.rawValue }))
            } else {
                found += useless.map { (path + "/" + $0.name, $0.bytes.rawValue) }
            }
        }
        return found
    }

    /// What would go if only these were kept.
    package struct Preview: Hashable, Sendable, Codable {
        package var task: TaskID
        package var keep: [CheckpointID]
        package var remove: [CheckpointID]
        /// Of parts that nothing would need any more, rubbish of failed uploads included.
        package var freedBytes: ByteCount
    }

    /// Which checkpoints `Retention` keeps, and how much room that gives. Of a task that has ended, a `keepLast` of 0 keeps none.
    /// - Throws: `.damaged` where one cannot be read that is younger than the oldest that is kept.
    package func preview(_ task: TaskID, keepLast: Int?, keepFor: Seconds?) async throws(EngineError) -> Preview {
        let whole = try await catalog.line(of: task)
        let line = whole.manifests
        let isOver = try await catalog.hasEnded(task)
        var keep = Retention.kept(line.map { ($0.record.id, $0.record.committedAt) }, keepLast: keepLast, keepFor: keepFor, now: time.now())
        // Of a task that has ended nothing is needed any more.
        if isOver, keepLast == 0, keepFor == nil { keep = [] }
        try Self.requireReadable(Self.amongKept(whole.unreadable, keep), of: task)
        let kept = line.filter { keep.contains($0.record.id) }
        let paths = try await rubbish(
            of: task, needed: Self.parts(of: kept), upTo: isOver ? nil : line.last?.record.id ?? CheckpointID(""), underway: nil
        ) { () throws(EngineError) in }
        return Preview(
            task: task, keep: kept.map(\.record.id),
            remove: (line.map(\.record.id) + whole.unreadable).filter { !keep.contains($0) }.sorted(),
            freedBytes: ByteCount(paths.reduce(0) { $0 + $1.bytes }))
    }

    /// Of checkpoints that cannot be read, those that are as young as what is kept: by their names, as nothing else tells.
    private static func amongKept(_ unreadable: [CheckpointID], _ keep: [CheckpointID]) -> [CheckpointID] {
        keep.min().map { oldest in unreadable.filter { $0 > oldest } } ?? []
    }

    /// Prunes a task that has ended: nobody else touches its objects any more. With nothing kept, all of its checkpoints go.
    /// - Throws: `.local` for a task that has not ended: its node prunes it, by order of the manager.
    package func pruneEnded(_ task: TaskID, keep: [CheckpointID]) async throws(EngineError) -> [CheckpointID] {
        func mustHaveEnded() async throws(EngineError) {
            guard try await catalog.hasEnded(task) else {
                throw .local(path: Format.task(task), detail: "\(task) has not ended: its node prunes it, by order of the manager (without --fleet)")
            }
        }
        try await mustHaveEnded()
        let line = try await catalog.line(of: task)
        try Self.requireReadable(Self.amongKept(line.unreadable, keep), of: task)
        let gone = (line.manifests.map(\.record.id) + line.unreadable).filter { !keep.contains($0) }.sorted()
        for id in gone {
            try await remove(id, of: task)
            try passing(.manifestRemoved)
        }
        try passing(.manifestsRemoved)
        for path in try await endedRubbish(task).map(\.path) { try await storing { () throws(StoreError) in try await store.remove(path) } }
        try passing(.objectsRemoved)
        return gone
    }

    private func endedRubbish(_ task: TaskID) async throws(EngineError) -> [(path: String, bytes: Int64)] {
        let line = try await catalog.line(of: task)
        try Self.requireReadable(line.unreadable, of: task)
        return try await rubbish(of: task, needed: Self.parts(of: line.manifests), upTo: nil, underway: nil) { () throws(EngineError) in }
    }

    // MARK: Checking

    /// What was looked at already: checkpoints share layers and contents.
    package struct Seen: Sendable {
        var folders: [String: [String: ByteCount]] = [:]
        var parts: [String: String?] = [:]
        package private(set) var bytesRead: Int64 = 0
        private let told: @Sendable (Int64) -> Void
        /// - Parameter told: called with the bytes read so far after each part.
        package init(told: @escaping @Sendable (Int64) -> Void = { _ in }) { self.told = told }
        mutating func read(_ bytes: Int) {
            bytesRead += Int64(bytes)
            told(bytesRead)
        }
    }

    /// What `problems` reads of all of them together. Contents whose list cannot be read count for nothing.
    package func bytesToRead(_ manifests: [Manifest]) async throws(EngineError) -> Int64 {
        var parts: [String: Int] = [:]
        for part in manifests.flatMap({ ([$0.memory] + $0.layers).flatMap(\.parts) }) { if let path = part.path { parts[path] = part.storedBytes } }
        for digest in Set(manifests.flatMap(\.contents)).sorted() {
            let path = Format.content(digest) + "/content.json"
            do throws(EngineError) {
                let content = try await store.document(SharedContent.self, at: path)
                for part in content.content.parts { if let path = part.path { parts[path] = part.storedBytes } }
            } catch { guard Self.isDamage(error) else { throw error } }
        }
        return parts.values.reduce(0) { $0 + Int64($1) }
    }

    /// What is wrong with a checkpoint; empty when nothing is.
    package func problems(of manifest: Manifest, readData: Bool, _ seen: inout Seen) async throws(EngineError) -> [String] {
        var contents = [manifest.memory] + manifest.layers
        var problems: [String] = []
        for digest in manifest.contents {
            let path = Format.content(digest) + "/content.json"
            do throws(EngineError) {
                contents.append(try await store.document(SharedContent.self, at: path).content)
            } catch {
                guard Self.isDamage(error) else { throw error }
                problems.append("\(error)")
            }
        }
        var lengths: [String: Int64] = [:]
        for part in contents.flatMap(\.parts) {
            guard let path = part.path else { continue }
            lengths[path] = max(lengths[path] ?? 0, (part.offset ?? 0) + Int64(part.storedBytes))
        }
        for part in contents.flatMap(\.parts) {
            guard let path = part.path else { continue }
            // Without reading, an object is looked at once for all of its parts.
            let key = readData ? "\(path) \(part.offset ?? 0)" : path
            if let known = seen.parts[key] {
                if let known, !problems.contains(known) { problems.append(known) }
                continue
            }
            let problem = try await problem(of: part, at: path, length: lengths[path] ?? 0, readData: readData, &seen)
            seen.parts[key] = .some(problem)
            if let problem { problems.append(problem) }
        }
        return problems
    }

    private func problem(
        of part: PartRecord, at path: String, length: Int64, readData: Bool, _ seen: inout Seen
    ) async throws(EngineError) -> String? {
        do throws(EngineError) {
            if readData {
                let bytes = try await storing { () throws(StoreError) in try await part.stored(in: store, path) }
                seen.read(bytes.count)
                _ = try await onBlockingThread { () throws(EngineError) in try Transfer.unpack(bytes, part, path) }
            } else {
                let folder = StorePath.parent(of: path) ?? ""
                if seen.folders[folder] == nil {
                    let entries = try await storing { () throws(StoreError) in try await store.list(folder) }
                    seen.folders[folder] = Dictionary(entries.map { ($0.name, $0.bytes) }, uniquingKeysWith: { $1 })
                }
                let name = String(path.dropFirst(folder.count + 1))
                let there = seen.folders[folder]?[name]
                // Something may follow the parts of an object.
                guard let there, there == ByteCount(length) || part.offset != nil && there > ByteCount(length) else {
                    throw .damaged(what: path, detail: "it is not there with \(length) bytes")
                }
            }
            return nil
        } catch {
            // A store that does not answer says nothing about the checkpoint.
            guard Self.isDamage(error) else { throw error }
            return "\(error)"
        }
    }

    private static func isDamage(_ error: EngineError) -> Bool {
        switch error {
        case .damaged, .store(.notFound), .store(.damaged): true
        default: false
        }
    }
}
