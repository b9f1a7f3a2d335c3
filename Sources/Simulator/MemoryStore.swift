import Ports
import Synchronization
import Vocabulary

/// A checkpoint store in memory, with all that the port promises.
///
/// May be unavailable (all calls fail and health says so), and may have an object damaged or lost; with `isLagging`, the first read after a
/// lost race does not find the winner's bytes yet. What happens to single calls (failing before, or after they were carried out) is
/// `FaultyStore`'s part, which works with every store.
package final class MemoryStore: CheckpointStore {
    /// What changed, in order: what a checker replays.
    package enum Change: Hashable, Sendable {
        case written(String)
        case committed(String)
        case created(String)
        case moved(String, to: String)
        case removed(String)
    }
    fileprivate struct Object {
        var bytes: [UInt8]
        var at: Timestamp
    }
    fileprivate struct State {
        var objects: [String: Object] = [:]
        var directories: Set<String> = []
        var changes: [Change] = []
        var isAvailable = true
        var unread: Set<String> = []
        /// Writes of what was there already.
        var repeats = 0
    }
    private let state = Mutex(State())
    private let time: any TimeSource
    private let isLagging: Bool

    package let properties: StoreProperties

    package init(time: any TimeSource, isLagging: Bool = false, replicates: Bool = true, partsPerObject: Int = 1, objectRounding: Int = 1) {
        self.time = time
        self.isLagging = isLagging
        properties = StoreProperties(
            kind: "memory", location: "memory", replicates: replicates, partsPerObject: partsPerObject, objectRounding: objectRounding)
    }

    // MARK: What tests see and break

    package var changes: [Change] { state.withLock { $0.changes } }
    package var paths: [String] { state.withLock { $0.objects.keys.sorted() } }
    package var repeatedWrites: Int { state.withLock { $0.repeats } }
    package func bytes(at path: String) -> [UInt8]? { state.withLock { $0.objects[path]?.bytes } }
    package func setAvailable(_ isAvailable: Bool) { state.withLock { $0.isAvailable = isAvailable } }
    /// Flips a bit in the middle of an object.
    package func damage(_ path: String) {
        state.withLock { state in
            guard let count = state.objects[path]?.bytes.count, count > 0 else { return }
            state.objects[path]?.bytes[count / 2] ^= 0x10
        }
    }
    package func lose(_ path: String) { state.withLock { $0.objects[path] = nil } }
    package func put(_ bytes: [UInt8], at path: String) {
        let now = time.now()
        state.withLock { state in
            state.makeParents(of: path)
            state.objects[path] = Object(bytes: bytes, at: now)
        }
    }

    // MARK: The port

    package func write(_ bytes: [UInt8], to path: String, replication: Int) async throws(StoreError) {
        let now = time.now()
        try change(path) { state throws(StoreError) in
            guard !state.directories.contains(path) else { throw .failed(path: path, detail: "a directory is there") }
            if state.objects[path]?.bytes == bytes {
                state.repeats += 1
                return
            }
            state.makeParents(of: path)
            state.objects[path] = Object(bytes: bytes, at: now)
            state.changes.append(.written(path))
        }
    }

    package func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool {
        let now = time.now()
        return try change(path) { state throws(StoreError) in
            if let parent = StorePath.parent(of: path), !state.directories.contains(parent) { return false }
            if let there = state.objects[path] {
                guard there.bytes == bytes else { throw .alreadyExists(path: path) }
                return true
            }
            guard !state.directories.contains(path) else { throw .alreadyExists(path: path) }
            state.objects[path] = Object(bytes: bytes, at: now)
            state.changes.append(.committed(path))
            return true
        }
    }

    package func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool {
        let now = time.now()
        return try change(path) { state throws(StoreError) in
            guard state.objects[path] == nil, !state.directories.contains(path) else {
                if isLagging { state.unread.insert(path) }
                return false
            }
            state.makeParents(of: path)
            state.objects[path] = Object(bytes: bytes, at: now)
            state.changes.append(.created(path))
            return true
        }
    }

    package func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool {
        try StorePath.check(destination)
        return try change(source) { state throws(StoreError) in
            guard state.directories.contains(source) else { return false }
            guard !state.directories.contains(destination), state.objects[destination] == nil else {
                throw .failed(path: source, detail: "\(destination) is there already")
            }
            state.makeParents(of: destination)
            func moved(_ path: String) -> String? {
                path == source ? destination : path.hasPrefix(source + "/") ? destination + path.dropFirst(source.count) : nil
            }
            for directory in state.directories {
                guard let to = moved(directory) else { continue }
                state.directories.remove(directory)
                state.directories.insert(to)
            }
            for (path, object) in state.objects {
                guard let to = moved(path) else { continue }
                state.objects[path] = nil
                state.objects[to] = object
            }
            state.changes.append(.moved(source, to: destination))
            return true
        }
    }

    package func makeDirectory(_ path: String) async throws(StoreError) {
        try change(path) { state throws(StoreError) in
            guard state.objects[path] == nil else { throw .failed(path: path, detail: "a file is there") }
            state.makeParents(of: path + "/x")
        }
    }

    package func read(_ path: String) async throws(StoreError) -> [UInt8] {
        try change(path) { state throws(StoreError) in
            guard state.unread.remove(path) == nil, let object = state.objects[path] else { throw .notFound(path: path) }
            return object.bytes
        }
    }

    package func list(_ path: String) async throws(StoreError) -> [StoreEntry] {
        try change(path) { state throws(StoreError) in
            func name(_ entry: String) -> String? {
                guard entry.hasPrefix(path + "/"), !entry.dropFirst(path.count + 1).contains("/") else { return nil }
                return String(entry.dropFirst(path.count + 1))
            }
            let files = state.objects.compactMap { path, object in
                name(path).map { StoreEntry(name: $0, isDirectory: false, bytes: ByteCount(object.bytes.count), modifiedAt: object.at) }
            }
            let directories = state.directories.compactMap { path in
                name(path).map { StoreEntry(name: $0, isDirectory: true, bytes: .zero, modifiedAt: Timestamp(0)) }
            }
            return (files + directories).sorted { $0.name < $1.name }
        }
    }

    package func remove(_ path: String) async throws(StoreError) {
        try change(path) { state throws(StoreError) in
            let gone = state.objects.keys.filter { $0 == path || $0.hasPrefix(path + "/") }
            for object in gone { state.objects[object] = nil }
            let isDirectory = state.directories.contains(path)
            for directory in state.directories where directory == path || directory.hasPrefix(path + "/") { state.directories.remove(directory) }
            if isDirectory || !gone.isEmpty { state.changes.append(.removed(path)) }
        }
    }

    package func health() async -> StoreHealth {
        state.withLock { state in
            StoreHealth(
                reachable: state.isAvailable, detail: state.isAvailable ? "" : "it is switched off", liveHosts: properties.replicates ? 3 : nil,
                freeBytes: .gibibytes(100))
        }
    }

    private func change<Value: Sendable>(_ path: String, _ body: (inout State) throws(StoreError) -> Value) throws(StoreError) -> Value {
        try StorePath.check(path)
        let result: Result<Value, StoreError> = state.withLock { state in
            guard state.isAvailable else { return .failure(.unavailable(path: path, detail: "it is switched off")) }
            do throws(StoreError) { return .success(try body(&state)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

extension MemoryStore.State {
    fileprivate mutating func makeParents(of path: String) {
        var parent = StorePath.parent(of: path)
        while let directory = parent, directories.insert(directory).inserted { parent = StorePath.parent(of: directory) }
    }
}

/// Any store as one process sees it: calls may fail before they are carried out or after it, may take time, and fail all once the process
/// is dead. Breaks nothing of what the store holds.
package struct FaultyStore: CheckpointStore {
    private let base: any CheckpointStore
    private let faults: Faults
    private let pace: Pace?
    package let properties: StoreProperties

    /// - Parameter partsPerObject: in place of what the store itself says; where it is more than one, objects are rounded as HDFS likes it.
    package init(_ base: any CheckpointStore, faults: Faults, pace: Pace? = nil, partsPerObject: Int? = nil) {
        self.base = base
        var properties = base.properties
        if let partsPerObject {
            properties.partsPerObject = partsPerObject
            properties.objectRounding = 4_608
        }
        self.properties = properties
        self.faults = faults
        self.pace = pace
    }

    private func call<Value>(_ name: String, _ path: String, _ body: () async throws(StoreError) -> Value) async throws(StoreError) -> Value {
        let lost = StoreError.unavailable(path: path, detail: "no answer to \(name)")
        return try await faults.around("store.\(name) \(path)", lost) { () throws(StoreError) in
            if let pace, await !pace.pass("store.\(name)") { throw lost }
            // The process may have died while the call was on its way; the store would not hear of it then.
            if faults.isDead { throw lost }
            return try await body()
        }
    }

    package func write(_ bytes: [UInt8], to path: String, replication: Int) async throws(StoreError) {
        try await call("write", path) { () throws(StoreError) in try await base.write(bytes, to: path, replication: replication) }
    }
    package func write(_ source: any ObjectSource, to path: String, replication: Int) async throws(StoreError) {
        try await call("write", path) { () throws(StoreError) in try await base.write(source, to: path, replication: replication) }
    }
    package func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool {
        try await call("commit", path) { () throws(StoreError) in try await base.commit(bytes, as: path, replication: replication) }
    }
    package func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool {
        try await call("createExclusively", path) { () throws(StoreError) in try await base.createExclusively(bytes, at: path) }
    }
    package func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool {
        try await call("moveDirectory", source) { () throws(StoreError) in try await base.moveDirectory(source, to: destination) }
    }
    package func makeDirectory(_ path: String) async throws(StoreError) {
        try await call("makeDirectory", path) { () throws(StoreError) in try await base.makeDirectory(path) }
    }
    package func read(_ path: String) async throws(StoreError) -> [UInt8] {
        read(try await call("read", path) { () throws(StoreError) in try await base.read(path) }, path)
    }
    package func read(_ path: String, range: Range<Int64>) async throws(StoreError) -> [UInt8] {
        read(try await call("read", path) { () throws(StoreError) in try await base.read(path, range: range) }, path)
    }
    private func read(_ bytes: [UInt8], _ path: String) -> [UInt8] {
        var bytes = bytes
        if !bytes.isEmpty, faults.isMisread(path) { bytes[bytes.count / 2] ^= 1 }
        return bytes
    }
    package func list(_ path: String) async throws(StoreError) -> [StoreEntry] {
        try await call("list", path) { () throws(StoreError) in try await base.list(path) }
    }
    package func remove(_ path: String) async throws(StoreError) {
        try await call("remove", path) { () throws(StoreError) in try await base.remove(path) }
    }
    package func health() async -> StoreHealth { faults.isDead ? StoreHealth(reachable: false, detail: "no answer") : await base.health() }
}
