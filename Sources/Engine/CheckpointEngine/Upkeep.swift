import DataPath
import Ports
import Vocabulary

extension CheckpointEngine {
    /// Removes all checkpoints of a task from the store but these, and every object that none of these needs.
    ///
    /// Manifests go first: what is left half-way is rubbish, never a manifest without its objects.
    /// - Returns: the checkpoints that went.
    package func prune(_ task: TaskID, epoch: Epoch, keep: [CheckpointID]) async throws(EngineError) -> [CheckpointID] {
        try await catalog.require(epoch, of: task, ownedBy: configuration.node)
        let line = try await catalog.committed(task)
        let kept = line.filter { keep.contains($0.record.id) }
        // A line without its newest checkpoint would be a loss.
        guard let newest = line.last, kept.last == newest else { return [] }
        let gone = line.filter { !keep.contains($0.record.id) }
        for manifest in gone {
            guard let old = CheckpointCatalog.epoch(of: manifest.record.id) else { continue }
            for directory in [Format.open(task, old), Format.sealed(task, old)] {
                try await storing { () throws(StoreError) in try await store.remove("\(directory)/\(manifest.record.id).json") }
            }
        }
        let needed = Set(kept.flatMap { manifest in ([manifest.memory] + manifest.layers).flatMap { $0.parts.compactMap(\.path) } })
        let underway = try directory(task, epoch).load()?.capture?.checkpoint
        for folder in try await storing({ () throws(StoreError) in try await store.list(Format.objects(task)) })
        where folder.name != underway?.rawValue {
            // Younger than the newest that is kept: a checkpoint on its way.
            guard CheckpointID(folder.name) <= newest.record.id else { continue }
            let path = Format.objects(task) + "/" + folder.name
            let parts = try await storing { () throws(StoreError) in try await store.list(path) }
            let useless = parts.filter { !needed.contains(path + "/" + $0.name) }
            if useless.count == parts.count {
                try await storing { () throws(StoreError) in try await store.remove(path) }
            } else {
                for part in useless { try await storing { () throws(StoreError) in try await store.remove(path + "/" + part.name) } }
            }
        }
        return gone.map(\.record.id)
    }

    /// What is wrong with a checkpoint in the store; empty when nothing is.
    /// - Parameter readData: read every part and check its digests, too; else only that the parts are there with their lengths.
    package func verify(_ checkpoint: CheckpointID, of task: TaskID, readData: Bool) async throws(EngineError) -> [String] {
        let manifest = try await catalog.manifest(checkpoint, of: task)
        var contents = [manifest.memory] + manifest.layers
        for digest in [manifest.base, manifest.kernel, manifest.ramdisk] {
            let path = Format.content(digest) + "/content.json"
            contents.append(
                try Documents.read(SharedContent.self, try await storing { () throws(StoreError) in try await store.read(path) }, from: path).content)
        }
        var problems: [String] = []
        for part in contents.flatMap(\.parts) {
            guard let path = part.path else { continue }
            do throws(EngineError) {
                if readData {
                    _ = try Transfer.unpack(try await storing { () throws(StoreError) in try await store.read(path) }, part, path)
                } else {
                    let name = path.split(separator: "/").last.map(String.init)
                    let entries = try await storing { () throws(StoreError) in try await store.list(StorePath.parent(of: path) ?? "") }
                    guard entries.contains(where: { $0.name == name && $0.bytes == ByteCount(part.storedBytes) }) else {
                        throw .damaged(what: path, detail: "it is not there with \(part.storedBytes) bytes")
                    }
                }
            } catch { problems.append("\(error)") }
        }
        return problems
    }
}
