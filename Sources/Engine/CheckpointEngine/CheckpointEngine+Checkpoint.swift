import DataPath
import Foundation
import Ports
import Vocabulary

/// Making a checkpoint: capture (the guest stops for it), upload and commit (the guest runs).
extension CheckpointEngine {
    /// The name of the next checkpoint: never one that was used before.
    package func nextCheckpoint(of task: TaskID, epoch: Epoch) throws(EngineError) -> CheckpointID {
        let directory = directory(task, epoch)
        guard var state = try directory.load(), state.isRunning else { throw .noSuchTask(task) }
        let id = CheckpointID(epoch: epoch, number: state.nextNumber)
        state.nextNumber += 1
        try directory.save(state)
        try passing(.numbered)
        return id
    }

    /// Takes a checkpoint, or goes on with one of this name that was interrupted.
    ///
    /// - Parameter progress: the task's progress just before, 0 to 1.
    /// - Throws: `.staleEpoch` when the epoch has ended meanwhile: the store refused the commit.
    package func checkpoint(
        _ task: TaskID, epoch: Epoch, id: CheckpointID, order: OrderID, plan: CheckpointOrder, progress: Double?
    ) async throws(EngineError) -> CheckpointRecord {
        let directory = directory(task, epoch)
        guard var state = try directory.load(), state.isRunning else { throw .noSuchTask(task) }
        try await settleRotation(&state, directory)
        try await settleMerge(&state, directory)
        // Committed by a call that did not live to say so.
        if let manifest = try await alreadyCommitted(task, id) {
            try finish(manifest, &state, directory)
            return manifest.record
        }
        if state.capture?.checkpoint != id {
            try await shorten(&state, directory)
            try await capture(id, progress: progress, &state, directory)
        }
        guard let captured = state.capture else { throw .noSuchCheckpoint(task, id) }
        let manifest = try await upload(captured, state, directory, order: order, plan: plan)
        let bytes = try Documents.bytes(manifest)
        let committed = try await storing { () throws(StoreError) in
            try await store.commit(bytes, as: "\(Format.open(task, epoch))/\(id).json", replication: plan.replication.most)
        }
        guard committed else { throw try await catalog.refusal(of: task, in: epoch) }
        try passing(.committed)
        // The first of a task: whoever cleans the store did not see that it needs its contents before this.
        if state.parent == nil {
            for (file, digest) in state.contents { _ = try await share(file, digest, plan, Transfer.Meter()) }
        }
        try finish(manifest, &state, directory)
        try passing(.finished)
        return manifest.record
    }

    private func alreadyCommitted(_ task: TaskID, _ id: CheckpointID) async throws(EngineError) -> Manifest? {
        do throws(EngineError) { return try await catalog.manifest(id, of: task) } catch .noSuchCheckpoint { return nil }
    }

    /// A rotation that nobody recorded the end of: the hypervisor says which layer the guest writes to.
    func settleRotation(_ state: inout LocalState, _ directory: TaskDirectory) async throws(EngineError) {
        guard let next = state.rotatingTo else { return }
        if try await isInUse(directory.layer(next), directory) {
            // The capture's memory is as good as lost, its layer is not: it goes with the next checkpoint.
            state.layers.append(.init(file: next))
        } else {
            try directory.discard(directory.layer(next))
        }
        state.rotatingTo = nil
        try directory.save(state)
    }

    /// As the guest's machine itself has it open; where it does not say, as the definition has it.
    private func isInUse(_ layer: String, _ directory: TaskDirectory) async throws(EngineError) -> Bool {
        let domain = Self.domain(of: directory.task)
        do throws(HypervisorError) { return try await hypervisor.chain(domain).contains(layer) } catch .unsupported {
            let definition = try await hypervising { () throws(HypervisorError) in try await hypervisor.definition(domain) }
            // It stands in XML.
            let escaped = layer.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("'", with: "&apos;")
            return definition.contains(layer) || definition.contains(escaped)
        } catch { throw .hypervisor(error) }
    }

    private func capture(_ id: CheckpointID, progress: Double?, _ state: inout LocalState, _ directory: TaskDirectory) async throws(EngineError) {
        // Earlier captures that never came to their commit, and those that nobody heard the end of.
        try directory.discardMemories()
        state.capture = nil
        guard let active = state.layers.last else { throw .local(path: directory.path, detail: "there are no layers") }
        let next = Self.nextLayer(state)
        try directory.discard(directory.layer(next))
        try await onDisk { () throws(DeltaDiskError) in try await disks.makeOverlay(at: directory.layer(next), on: directory.layer(active.file)) }
        try passing(.overlayMade)
        state.rotatingTo = next
        try directory.save(state)
        try passing(.rotationNoted)
        let way = try await hypervising { () throws(HypervisorError) in try await hypervisor.capabilities() }.captureWays.first ?? .saveRestore
        let domain = Self.domain(of: directory.task)
        let memory = directory.memory(id)
        let layer = directory.layer(next)
        let at = time.now()
        let taken = try await hypervising { () throws(HypervisorError) in
            try await hypervisor.capture(domain, memoryPath: memory, nextLayer: layer, way: way)
        }
        try passing(.captured)
        noteUnion(&state, directory)
        state.capture = LocalState.Captured(
            checkpoint: id, at: at, way: taken.way, stopSeconds: taken.stopSeconds, definition: taken.definition, progress: progress,
            layerCount: state.layers.count)
        state.layers.append(.init(file: next))
        state.rotatingTo = nil
        try directory.save(state)
        try passing(.captureNoted)
    }

    /// As the guest told on its console, where it did: in the life that it booted in, at its beginning.
    private func noteUnion(_ state: inout LocalState, _ directory: TaskDirectory) {
        guard state.union?.options ?? "" == "", let console = FileHandle(forReadingAtPath: directory.console) else { return }
        // A console that cannot be read tells nothing, as one on which nothing was told.
        let beginning = (try? console.read(upToCount: 1 << 20)) ?? Data()
        for line in String(decoding: beginning, as: UTF8.self).split(whereSeparator: \.isNewline) {
            // What lies below the guest the engine knows, and no guest may tell it otherwise.
            guard let told = MountedUnion(consoleLine: line), state.isOnBase == (told.kind == .backingFile) else { continue }
            state.union = told
            return
        }
    }

    private func upload(
        _ captured: LocalState.Captured, _ state: LocalState, _ directory: TaskDirectory, order: OrderID, plan: CheckpointOrder
    ) async throws(EngineError) -> Manifest {
        let task = directory.task
        let id = captured.checkpoint
        let meter = Transfer.Meter()
        var includedBase = false
        for (file, digest) in state.contents { if try await share(file, digest, plan, meter) { includedBase = true } }
        try passing(.contentsShared)
        let prefix = Format.objects(task, id)
        let memory = try await transfer.upload(
            directory.memory(id), as: prefix + "/memory", codec: plan.codec, replication: plan.replication.memory, meter: meter)
        try passing(.memoryUploaded)
        var layers: [ContentRecord] = []
        var diskBytes: Int64 = 0
        for (index, layer) in state.layers.prefix(captured.layerCount).enumerated() {
            if let content = layer.content {
                layers.append(content)
            } else {
                let content = try await transfer.upload(
                    directory.layer(layer.file), as: prefix + "/layer-\(padded(index))", codec: plan.codec, replication: plan.replication.delta,
                    meter: meter)
                diskBytes += content.bytes
                layers.append(content)
            }
        }
        try passing(.layersUploaded)
        let now = time.now()
        let record = CheckpointRecord(
            id: id, task: task, node: configuration.node, epoch: directory.epoch, parent: state.parent, capturedAt: captured.at, committedAt: now,
            way: captured.way, progress: captured.progress, stopSeconds: captured.stopSeconds, latencySeconds: now - captured.at,
            uploadSeconds: meter.uploadSeconds, compressSeconds: meter.compressSeconds, memoryBytes: ByteCount(memory.bytes),
            diskBytes: ByteCount(diskBytes), nonZeroBytes: meter.nonZeroBytes, sentBytes: meter.sentBytes, codec: plan.codec,
            replication: store.properties.replicates ? plan.replication : 1,
            storedBytes: store.properties.replicates ? meter.storedBytes : meter.sentBytes, includedBase: includedBase, order: order,
            layerBytes: layers.map { ByteCount($0.storedBytes) }, union: state.union, sampledRatios: meter.sampledRatios)
        return Manifest(
            cairn: configuration.version, submission: state.submission, record: record, definition: captured.definition, memory: memory,
            layers: layers,
            base: state.baseDigest, kernel: state.kernelDigest, ramdisk: state.ramdiskDigest)
    }

    /// What was committed is remembered, and its memory is not needed here any more.
    private func finish(_ manifest: Manifest, _ state: inout LocalState, _ directory: TaskDirectory) throws(EngineError) {
        if let captured = state.capture, captured.checkpoint == manifest.record.id {
            // Layers that were merged since are others than those that were sent, and go with the next checkpoint.
            if captured.layerCount == manifest.layers.count {
                for (index, content) in manifest.layers.enumerated() { state.layers[index].content = content }
            }
            state.capture = nil
        }
        if state.parent.map({ $0 < manifest.record.id }) ?? true { state.parent = manifest.record.id }
        try directory.save(state)
        try directory.discard(directory.memory(manifest.record.id))
    }

    // MARK: Shared content

    /// Puts content that tasks share into the store, once: its record is committed after its parts.
    /// - Returns: whether it had to be sent.
    private func share(_ file: String, _ digest: String, _ plan: CheckpointOrder, _ meter: Transfer.Meter) async throws(EngineError) -> Bool {
        let path = Format.content(digest)
        if try await storing({ () throws(StoreError) in try await store.list(path) }).contains(where: { $0.name == "content.json" }) { return false }
        guard try self.digest(file) == digest else {
            throw .local(
                path: file, detail: "it has changed since the task was started from it: put the file back as it was, and build images under new names"
            )
        }
        let content = try await transfer.upload(file, as: path + "/part", codec: .none, replication: plan.replication.base, meter: meter)
        let bytes = try Documents.bytes(SharedContent(digest: digest, content: content))
        _ = try await storing { () throws(StoreError) in try await store.createExclusively(bytes, at: path + "/content.json") }
        return true
    }

    /// A file on this node with the content of a digest: kept for every task here. No digest, no file.
    func shared(_ digest: String, _ meter: Transfer.Meter) async throws(EngineError) -> String {
        if digest.isEmpty { return "" }
        let folder = configuration.work + "/contents"
        let file = folder + "/" + digest.replacing(":", with: "-")
        if FileManager.default.fileExists(atPath: file) { return file }
        let path = Format.content(digest) + "/content.json"
        let record = try await store.document(SharedContent.self, at: path)
        let temporary = file + "." + UUID().uuidString
        do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
            throw .local(path: folder, detail: error.localizedDescription)
        }
        try await transfer.download(record.content, to: temporary, meter: meter)
        guard try self.digest(temporary) == digest else { throw .damaged(what: path, detail: "the content's digest is another") }
        guard rename(temporary, file) == 0 else { throw .local(path: file, detail: String(cString: strerror(errno))) }
        return file
    }
}

/// Content in the store that tasks share.
struct SharedContent: Codable, Hashable {
    var format = Format.version
    var digest: String
    var content: ContentRecord
}
