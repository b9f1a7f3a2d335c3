import Foundation
import Vocabulary

/// What a node keeps of one life of a task, in `WORK/tasks/TASK/EPOCH/`, beside the disks:
///
///     state.json                    this, replaced atomically
///     layers/000000.qcow2 …         lowest first; the last is written to, the others never change
///     memory-CHECKPOINT.img         between a capture and its commit
///     console.log
struct LocalState: Codable, Hashable, Sendable {
    var submission: TaskSubmission
    var epoch: Epoch
    /// The guest was started or restored; before that, everything here may be made anew.
    var isRunning = false
    var layers: [Layer] = []
    /// An overlay that is being rotated in; which of the two is in use, the hypervisor knows.
    var rotatingTo: String?
    /// A merge that was begun; whether it came to its end, the hypervisor knows.
    var merging: Merging?
    var capture: Captured?
    /// Empty, like their digests: the guest boots from its disk.
    var kernel: String
    var ramdisk: String
    var base: String
    var baseDigest: String
    var kernelDigest: String
    var ramdiskDigest: String
    var parent: CheckpointID?
    var progressAtStart = 0.0
    var nextNumber = 1
    var resumption: ResumeRecord?
    /// What base and delta are united by; nil: the guest has not told yet.
    var union: MountedUnion?

    /// The first layer lies on the base.
    var isOnBase: Bool { union?.kind == .backingFile }

    /// Content that tasks share: files here, and their digests.
    var contents: [(file: String, digest: String)] {
        [(kernel, kernelDigest), (ramdisk, ramdiskDigest), (base, baseDigest)].filter { $0.digest != "" }
    }

    struct Layer: Codable, Hashable, Sendable {
        /// In `layers/`.
        var file: String
        /// nil: not in the store yet.
        var content: ContentRecord?
    }

    /// Files in `layers/`: all above `base`, up to `top`, are put into `base`.
    struct Merging: Codable, Hashable, Sendable {
        var base: String
        var top: String
    }

    /// Memory and disk of one instant, on this node's disk and not committed yet.
    struct Captured: Codable, Hashable, Sendable {
        var checkpoint: CheckpointID
        var at: Timestamp
        var way: CaptureWay
        var stopSeconds: Seconds
        var definition: String
        var progress: Double?
        /// How many layers, from the lowest, belong to it.
        var layerCount: Int
    }
}

/// Files of one life of a task.
struct TaskDirectory: Sendable {
    let path: String
    let task: TaskID
    let epoch: Epoch

    init(work: String, task: TaskID, epoch: Epoch) {
        path = "\(work)/tasks/\(task)/\(padded(epoch.rawValue))"
        self.task = task
        self.epoch = epoch
    }

    var layers: String { path + "/layers" }
    func layer(_ file: String) -> String { layers + "/" + file }
    static func layerName(_ index: Int) -> String { padded(index) + ".qcow2" }
    var console: String { path + "/console.log" }
    func memory(_ checkpoint: CheckpointID) -> String { "\(path)/memory-\(checkpoint).img" }
    private var statePath: String { path + "/state.json" }

    func make() throws(EngineError) {
        do { try FileManager.default.createDirectory(atPath: layers, withIntermediateDirectories: true) } catch {
            throw .local(path: path, detail: error.localizedDescription)
        }
    }

    /// nil when there is none.
    /// - Throws: `.damaged` for one that is no state, `.local` for one that cannot be read.
    func load() throws(EngineError) -> LocalState? {
        guard FileManager.default.fileExists(atPath: statePath) else { return nil }
        let bytes: Data
        do { bytes = try Data(contentsOf: URL(fileURLWithPath: statePath)) } catch {
            throw .local(path: statePath, detail: error.localizedDescription)
        }
        do { return try JSONDecoder().decode(LocalState.self, from: bytes) } catch { throw .damaged(what: statePath, detail: "\(error)") }
    }

    /// Out of the engine's way, for people to look at; one that was put aside before is gone.
    func putAside() throws(EngineError) {
        try discard(path + ".damaged")
        guard rename(path, path + ".damaged") == 0 else { throw .local(path: path, detail: String(cString: strerror(errno))) }
    }

    func save(_ state: LocalState) throws(EngineError) {
        do { try JSONEncoder().encode(state).write(to: URL(fileURLWithPath: statePath), options: .atomic) } catch {
            throw .local(path: statePath, detail: error.localizedDescription)
        }
    }

    func discard(_ file: String) throws(EngineError) {
        guard FileManager.default.fileExists(atPath: file) else { return }
        do { try FileManager.default.removeItem(atPath: file) } catch { throw .local(path: file, detail: error.localizedDescription) }
    }

    func discardMemories() throws(EngineError) {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: path) } catch {
            throw .local(path: path, detail: error.localizedDescription)
        }
        for name in names where name.hasPrefix("memory-") { try discard(path + "/" + name) }
    }

    /// Layers that are no part of the chain any more.
    func discardLayers(butFor state: LocalState) throws(EngineError) {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: layers) } catch {
            throw .local(path: layers, detail: error.localizedDescription)
        }
        let used = Set(state.layers.map(\.file) + [state.rotatingTo].compactMap(\.self))
        for name in names where !used.contains(name) { try discard(layer(name)) }
    }

    func size(of layer: String) throws(EngineError) -> Int64 { try Transfer.size(of: self.layer(layer)) }

    func removeAll() throws(EngineError) { try discard(path) }

    /// Every life of every task here.
    static func all(work: String) throws(EngineError) -> [TaskDirectory] {
        let root = work + "/tasks"
        guard FileManager.default.fileExists(atPath: root) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: root).sorted().flatMap { task in
                try FileManager.default.contentsOfDirectory(atPath: root + "/" + task).sorted().compactMap { name in
                    Int(name).map { TaskDirectory(work: work, task: TaskID(task), epoch: Epoch($0)) }
                }
            }
        } catch { throw .local(path: root, detail: error.localizedDescription) }
    }
}
