import DataPath
import Foundation
import Ports
import Vocabulary

/// One node's engine: starts tasks, takes their checkpoints, and resumes them, so that a crash at any point loses nothing that was committed.
///
/// It keeps no state in memory: what it needs is in the task's directory (`LocalState`) and in the store. Each call can be made again.
/// Calls for one task come one after the other, but for `stop`, which may come at any time.
package struct CheckpointEngine: Sendable {
    package let configuration: Configuration
    let store: any CheckpointStore
    let hypervisor: any Hypervisor
    let disks: any DeltaDisks
    let time: any TimeSource
    let catalog: CheckpointCatalog
    let transfer: Transfer

    package struct Configuration: Sendable {
        package var node: NodeID
        /// The node's own directory; absolute.
        package var work: String
        /// Where images are; absolute.
        package var images: String
        package var transfer: TransferMode
        /// Kept in manifests.
        package var version: String
        /// Chains longer than this are merged when a task is resumed.
        package var longestChain: Int
        /// Chains of this length are merged before the next capture, whatever the policy says: libvirt takes none of more than 200.
        package var hardLimit: Int
        package var failpoint: FailpointHook?
        package init(
            node: NodeID, work: String, images: String, transfer: TransferMode = TransferMode(), version: String, longestChain: Int = 8,
            hardLimit: Int = 150, failpoint: FailpointHook? = nil
        ) {
            self.node = node
            self.work = work
            self.images = images
            self.transfer = transfer
            self.version = version
            self.longestChain = longestChain
            self.hardLimit = hardLimit
            self.failpoint = failpoint
        }
    }

    package init(
        configuration: Configuration, store: any CheckpointStore, hypervisor: any Hypervisor, disks: any DeltaDisks, time: any TimeSource
    ) {
        self.configuration = configuration
        self.store = store
        self.hypervisor = hypervisor
        self.disks = disks
        self.time = time
        catalog = CheckpointCatalog(store: store, time: time)
        transfer = Transfer(store: store, mode: configuration.transfer, time: time)
    }

    func passing(_ point: Failpoint) throws(EngineError) { if let hook = configuration.failpoint { try hook(point) } }

    func directory(_ task: TaskID, _ epoch: Epoch) -> TaskDirectory { TaskDirectory(work: configuration.work, task: task, epoch: epoch) }

    /// The domain of a task, whatever its epoch: a saved guest cannot change its name.
    package static func domain(of task: TaskID) -> String { "cairn-\(task)" }

    /// Tasks whose guests were started here and have not been stopped.
    package func tasks() throws(EngineError) -> [LocalTask] {
        var tasks: [LocalTask] = []
        for directory in try TaskDirectory.all(work: configuration.work) {
            guard let state = try directory.load(), state.isRunning else { continue }
            tasks.append(
                LocalTask(
                    submission: state.submission, epoch: state.epoch, domain: Self.domain(of: state.submission.task), console: directory.console,
                    progressAtStart: state.progressAtStart, union: state.union))
        }
        return tasks
    }

    // MARK: Beginning

    /// Starts a task from its beginning.
    /// - Throws: `.staleEpoch` when another node has it.
    package func begin(_ submission: TaskSubmission, epoch: Epoch) async throws(EngineError) {
        let directory = directory(submission.task, epoch)
        if let state = try directory.load(), state.isRunning {
            guard state.submission == submission else {
                throw .local(path: directory.path, detail: "another task of this name runs here")
            }
            return
        }
        try await catalog.require(epoch, of: submission.task, ownedBy: configuration.node)
        try await stopEarlierLives(of: submission.task, before: epoch)
        // Whatever is here was left by a start that did not come to its end.
        try await hypervising { () throws(HypervisorError) in try await hypervisor.destroy(Self.domain(of: submission.task)) }
        try directory.removeAll()
        try directory.make()
        let images = try Images(submission.sla.task, directory: configuration.images)
        var state = LocalState(
            submission: submission, epoch: epoch, kernel: images.kernel, ramdisk: images.ramdisk, base: images.base,
            baseDigest: try digest(images.base), kernelDigest: try digest(images.kernel), ramdiskDigest: try digest(images.ramdisk))
        // Known at once; what is mounted in a guest, the guest tells.
        if images.union == .backingFile { state.union = MountedUnion(kind: .backingFile) }
        let onBase = state.isOnBase
        let first = TaskDirectory.layerName(0)
        try await onDisk { () throws(DeltaDiskError) in
            let size = submission.sla.task.deltaBytes
            if onBase {
                try await disks.makeFirstLayer(at: directory.layer(first), size: size, onBase: images.base)
            } else {
                try await disks.makeFirstLayer(at: directory.layer(first), size: size)
            }
        }
        state.layers = [.init(file: first)]
        try directory.save(state)
        let description = description(state, directory)
        try await bringUp(&state, in: directory) { () throws(HypervisorError) in try await hypervisor.start(description) }
    }

    /// A guest that did not come up for certain is ended: nobody would know of it.
    private func bringUp(
        _ state: inout LocalState, in directory: TaskDirectory, _ start: () async throws(HypervisorError) -> Void
    ) async throws(EngineError) {
        do throws(EngineError) {
            try await hypervising(start)
            state.isRunning = true
            try directory.save(state)
        } catch {
            let domain = Self.domain(of: directory.task)
            do throws(HypervisorError) { try await hypervisor.destroy(domain) } catch let second {
                throw .hypervisor(.failed(operation: "ending what did not come up (\(error))", name: domain, code: 0, detail: "\(second)"))
            }
            throw error
        }
    }

    /// Ends what an earlier process began here and did not bring to its end; to be called while nothing is under way.
    ///
    /// A task whose local state is damaged, as after a crash of the machine, cannot be checkpointed any more: it counts as unfinished, and resumes from what
    /// is in the store. Its files are put aside.
    /// - Returns: what is damaged.
    @discardableResult
    package func clearUnfinished() async throws(EngineError) -> [EngineError] {
        let all = try TaskDirectory.all(work: configuration.work)
        var running: Set<TaskID> = []
        var unfinished: [TaskDirectory] = []
        var damages: [String: EngineError] = [:]
        for directory in all {
            do throws(EngineError) {
                if try directory.load()?.isRunning == true { running.insert(directory.task) } else { unfinished.append(directory) }
            } catch {
                guard case .damaged = error else { throw error }
                damages[directory.path] = error
                unfinished.append(directory)
            }
        }
        for directory in unfinished {
            if !running.contains(directory.task) {
                try await hypervising { () throws(HypervisorError) in try await hypervisor.destroy(Self.domain(of: directory.task)) }
            }
            if damages[directory.path] == nil { try directory.removeAll() } else { try directory.putAside() }
        }
        return damages.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Ends a task's guest here and forgets what is local of it. What is in the store stays.
    package func stop(_ task: TaskID, epoch: Epoch) async throws(EngineError) {
        // Another life of it may run under the same name: that one is not to be ended.
        let newer = try TaskDirectory.all(work: configuration.work).contains { $0.task == task && $0.epoch > epoch }
        if !newer { try await hypervising { () throws(HypervisorError) in try await hypervisor.destroy(Self.domain(of: task)) } }
        try directory(task, epoch).removeAll()
    }

    /// One guest of a task at a time, whatever is left of earlier epochs here.
    private func stopEarlierLives(of task: TaskID, before epoch: Epoch) async throws(EngineError) {
        for directory in try TaskDirectory.all(work: configuration.work) where directory.task == task && directory.epoch < epoch {
            try await hypervising { () throws(HypervisorError) in try await hypervisor.destroy(Self.domain(of: task)) }
            try directory.removeAll()
        }
    }

    func description(_ state: LocalState, _ directory: TaskDirectory) -> DomainDescription {
        let spec = state.submission.sla.task
        return DomainDescription(
            name: Self.domain(of: state.submission.task), memoryBytes: spec.memoryBytes, virtualCPUs: spec.virtualCPUs, kernel: state.kernel,
            ramdisk: state.ramdisk, base: state.base, activeLayer: directory.layer(state.layers.last?.file ?? ""), console: directory.console,
            run: spec.run, union: state.isOnBase ? .backingFile : spec.union ?? .auto, arguments: spec.arguments)
    }

    func digest(_ file: String) throws(EngineError) -> String {
        if file.isEmpty { return "" }
        do { return try Digest.sha256(file: file) } catch { throw .local(path: file, detail: error.localizedDescription) }
    }

    /// Tells the store that a task has finished here.
    package func recordEnd(of task: TaskID, epoch: Epoch, result: String) async throws(EngineError) {
        try await catalog.recordEnd(
            EndRecord(task: task, epoch: epoch, outcome: .finished(result: result), node: configuration.node, at: time.now()))
    }

    // MARK: Resuming

    /// Resumes a task on this node in an epoch that this node owns, from a committed checkpoint or from the task's beginning.
    ///
    /// A checkpoint that turns out to be damaged is passed over for the one before it; the record says which it was.
    package func restore(_ submission: TaskSubmission, from: CheckpointID?, epoch: Epoch) async throws(EngineError) -> ResumeRecord {
        let directory = directory(submission.task, epoch)
        if let state = try directory.load(), state.isRunning, let done = state.resumption { return done }
        guard let from else {
            let started = time.now()
            try await begin(submission, epoch: epoch)
            return try remember(
                ResumeRecord(
                    task: submission.task, node: configuration.node, epoch: epoch, checkpoint: nil, fetchSeconds: .zero,
                    restoreSeconds: time.now() - started, fetchedBytes: .zero), in: directory)
        }
        try await catalog.require(epoch, of: submission.task, ownedBy: configuration.node)
        try await stopEarlierLives(of: submission.task, before: epoch)
        try await hypervising { () throws(HypervisorError) in try await hypervisor.destroy(Self.domain(of: submission.task)) }
        let line = try await catalog.committed(submission.task).filter { $0.record.id <= from }
        guard !line.isEmpty else { throw .noSuchCheckpoint(submission.task, from) }
        var damage: EngineError?
        for manifest in line.reversed() {
            do throws(EngineError) {
                return try await resume(manifest, in: directory)
            } catch {
                switch error {
                case .damaged, .store(.notFound), .store(.damaged): damage = damage ?? error
                case .store, .hypervisor, .disk, .staleEpoch, .noSuchTask, .noSuchCheckpoint, .tooNew, .local: throw error
                }
            }
        }
        throw damage ?? .noSuchCheckpoint(submission.task, from)
    }

    private func resume(_ manifest: Manifest, in directory: TaskDirectory) async throws(EngineError) -> ResumeRecord {
        let started = time.now()
        try directory.removeAll()
        try directory.make()
        let meter = Transfer.Meter()
        let checkpoint = manifest.record.id
        var state = LocalState(
            submission: manifest.submission, epoch: directory.epoch, kernel: try await shared(manifest.kernel, meter),
            ramdisk: try await shared(manifest.ramdisk, meter), base: try await shared(manifest.base, meter), baseDigest: manifest.base,
            kernelDigest: manifest.kernel, ramdiskDigest: manifest.ramdisk, parent: checkpoint, progressAtStart: manifest.record.progress ?? 0,
            union: manifest.record.union)
        for (index, content) in manifest.layers.enumerated() {
            let file = TaskDirectory.layerName(index)
            try await transfer.download(content, to: directory.layer(file), meter: meter)
            let base = state.isOnBase ? state.base : nil
            try await onDisk { () throws(DeltaDiskError) in
                if index > 0 {
                    try await disks.rebase(directory.layer(file), onto: directory.layer(TaskDirectory.layerName(index - 1)))
                } else if let base {
                    try await disks.rebase(directory.layer(file), ontoBase: base)
                }
            }
            state.layers.append(.init(file: file, content: content))
        }
        let memory = directory.memory(checkpoint)
        try await transfer.download(manifest.memory, to: memory, meter: meter)
        if state.layers.count > configuration.longestChain { try await merge(&state, directory) }
        try await addLayer(&state, directory)
        try directory.save(state)
        try passing(.fetched)
        let fetched = time.now()
        let description = description(state, directory)
        try await bringUp(&state, in: directory) { () throws(HypervisorError) in
            try await hypervisor.restore(memoryPath: memory, definition: manifest.definition, as: description)
        }
        try passing(.restored)
        try directory.discard(memory)
        return try remember(
            ResumeRecord(
                task: directory.task, node: configuration.node, epoch: directory.epoch, checkpoint: checkpoint, fetchSeconds: fetched - started,
                restoreSeconds: time.now() - fetched, fetchedBytes: meter.sentBytes), in: directory)
    }

    private func remember(_ resumption: ResumeRecord, in directory: TaskDirectory) throws(EngineError) -> ResumeRecord {
        guard var state = try directory.load() else { throw .noSuchTask(directory.task) }
        state.resumption = resumption
        try directory.save(state)
        return resumption
    }

    /// One layer in place of many; it goes to the store with the next checkpoint.
    private func merge(_ state: inout LocalState, _ directory: TaskDirectory) async throws(EngineError) {
        let merged = TaskDirectory.layerName(state.layers.count)
        let files = state.layers.map { directory.layer($0.file) }
        try await onDisk { () throws(DeltaDiskError) in try await disks.merge(files, into: directory.layer(merged)) }
        for file in files { try directory.discard(file) }
        state.layers = [.init(file: merged)]
    }

    private func addLayer(_ state: inout LocalState, _ directory: TaskDirectory) async throws(EngineError) {
        guard let last = state.layers.last else { throw .local(path: directory.path, detail: "there are no layers") }
        let next = Self.nextLayer(state)
        try await onDisk { () throws(DeltaDiskError) in try await disks.makeOverlay(at: directory.layer(next), on: directory.layer(last.file)) }
        state.layers.append(.init(file: next))
    }

    static func nextLayer(_ state: LocalState) -> String {
        let used = state.layers.compactMap { Int($0.file.prefix { $0 != "." }) }.max() ?? -1
        return TaskDirectory.layerName(used + 1)
    }
}

/// A task whose guest was started here.
package struct LocalTask: Hashable, Sendable {
    package var submission: TaskSubmission
    package var epoch: Epoch
    package var domain: String
    package var console: String
    package var progressAtStart: Double
    /// What base and delta are united by, as far as the engine knows.
    package var union: MountedUnion?
}
