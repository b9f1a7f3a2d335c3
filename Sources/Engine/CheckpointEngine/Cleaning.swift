import Ports
import Vocabulary

/// Finding and removing what nobody needs: what failed uploads left, objects of ended tasks' removed checkpoints, contents that no task refers to.
extension StoreUpkeep {
    /// Something that nobody needs.
    package struct Rubbish: Hashable, Sendable, Codable {
        package enum Reason: String, Hashable, Sendable, Codable {
            /// Parts that no checkpoint of an ended task names.
            case endedTask
            /// Parts of a live task that belong to no checkpoint, older than its newest one.
            case failedUpload
            /// A base, kernel or ramdisk that no checkpoint names.
            case unreferencedContent
        }
        package var path: String
        package var bytes: ByteCount
        package var reason: Reason
    }

    /// What there is of it. What may be on its way is none: a live task's parts that are younger than its newest checkpoint, contents that
    /// are younger than `age`. Nor is what a manifest may name that cannot be read (`CheckpointCatalog.damagedManifests`): of its task nothing, and no
    /// content.
    package func rubbish(olderThan age: Seconds) async throws(EngineError) -> [Rubbish] {
        var found: [Rubbish] = []
        var named: Set<String>? = []
        for task in try await catalog.tasks() {
            let isOver = try await catalog.hasEnded(task)
            let reason: Rubbish.Reason = isOver ? .endedTask : .failedUpload
            found += try await uselessParts(of: task, isOver: isOver).map { Rubbish(path: $0.path, bytes: ByteCount($0.bytes), reason: reason) }
            named = try await catalog.namedContents(task).flatMap { named?.union($0) }
        }
        guard let named else { return found }
        for folder in try await storing({ () throws(StoreError) in try await store.list(Format.contents) })
        where !named.contains(Format.contents + "/" + folder.name) {
            let path = Format.contents + "/" + folder.name
            let entries = try await storing { () throws(StoreError) in try await store.list(path) }
            guard entries.allSatisfy({ time.now() - $0.modifiedAt >= age }) else { continue }
            found.append(Rubbish(path: path, bytes: ByteCount(entries.reduce(0) { $0 + $1.bytes.rawValue }), reason: .unreferencedContent))
        }
        return found
    }

    /// Removes rubbish, each piece only if it still is some.
    ///
    /// A content is moved away in one step, and only then is it asked once more whether a checkpoint names it: whoever committed one before
    /// that gets it back, and whoever commits one after that finds it missing and sends it again.
    /// - Returns: what went.
    package func clean(_ rubbish: [Rubbish]) async throws(EngineError) -> [Rubbish] {
        var gone: [Rubbish] = []
        try await settleUnwanted()
        for piece in rubbish {
            switch piece.reason {
            case .endedTask, .failedUpload:
                let words = piece.path.split(separator: "/")
                guard words.count >= 4, words[0] == "tasks" else { continue }
                let task = TaskID(String(words[1]))
                let isOver = try await catalog.hasEnded(task)
                guard try await uselessParts(of: task, isOver: isOver).contains(where: { $0.path == piece.path }) else { continue }
                try await storing { () throws(StoreError) in try await store.remove(piece.path) }
                gone.append(piece)
            case .unreferencedContent:
                let name = String(piece.path.dropFirst(Format.contents.count + 1))
                let away = Format.unwanted + "/" + name
                guard try await storing({ () throws(StoreError) in try await store.moveDirectory(piece.path, to: away) }) else { continue }
                if try await settleUnwanted().contains(away) { gone.append(piece) }
            }
        }
        return gone
    }

    /// What was moved away goes back where a checkpoint names it, or might, and goes for good where none does.
    /// - Returns: what went for good.
    @discardableResult
    private func settleUnwanted() async throws(EngineError) -> [String] {
        let folders = try await storing { () throws(StoreError) in try await store.list(Format.unwanted) }
        guard !folders.isEmpty else { return [] }
        var named: Set<String>? = []
        for task in try await catalog.tasks() { named = try await catalog.namedContents(task).flatMap { named?.union($0) } }
        var gone: [String] = []
        for folder in folders {
            let away = Format.unwanted + "/" + folder.name
            let home = Format.contents + "/" + folder.name
            if named?.contains(home) ?? true, try await storing({ () throws(StoreError) in try await store.list(home) }).isEmpty {
                _ = try await storing { () throws(StoreError) in try await store.moveDirectory(away, to: home) }
            } else {
                try await storing { () throws(StoreError) in try await store.remove(away) }
                gone.append(away)
            }
        }
        return gone
    }

    private func uselessParts(of task: TaskID, isOver: Bool) async throws(EngineError) -> [(path: String, bytes: Int64)] {
        let line = try await catalog.line(of: task)
        guard line.unreadable.isEmpty else { return [] }
        return try await rubbish(
            of: task, needed: Self.parts(of: line.manifests), upTo: isOver ? nil : line.manifests.last?.record.id ?? CheckpointID(""), underway: nil
        ) { () throws(EngineError) in }
    }
}
