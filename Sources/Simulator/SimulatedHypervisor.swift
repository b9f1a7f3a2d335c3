import Foundation
import Ports
import Synchronization
import Vocabulary

/// One machine's guests, which run on the virtual clock and outlive the agent that started them.
///
/// Their disks and consoles are real files where the engine wants them, and a memory image is a real file, too. May lose all guests at once
/// (`powerOff`) or one (`lose`). It finds out a mispairing: a guest whose memory is restored over a disk of another instant says so on its
/// console and in `mispairings`, and fails. Failing calls are `FaultyHypervisor`'s part.
package final class SimulatedHypervisor: Hypervisor {
    private struct Guest {
        var memory: SimulatedGuest
        var domain: DomainDescription
        var state = DomainStatus.State.running
        var process: ProcessIdentity?
        var seenAt: Timestamp
        var cpuSeconds = Seconds.zero
        /// Written since the layer in use came into use.
        var written: [Int: UInt64] = [:]
        var blockWrites: Int64 = 0
    }
    private struct State {
        var guests: [String: Guest] = [:]
        var mispairings = 0
        var started: [DomainDescription] = []
        /// Of the next merge, blocks that it writes before it stops.
        var stopAfter: (blocks: Int, isGoingOn: Bool)?
        /// A merge that goes on though nobody waits for it.
        var leftMerge: (name: String, top: String, base: String)?
        var merges = 0
    }
    /// A memory image's text, before the padding.
    private struct Image: Codable {
        var name: String
        var guest: SimulatedGuest
        var cpuSeconds: Seconds
    }
    private let state = Mutex(State())
    private let time: any TimeSource
    private let processes: SimulatedProcesses?
    private let ways: [CaptureWay]
    private let stop: Seconds
    private let imageBytes: Int
    private let canMerge: Bool
    /// As libvirt's own limit.
    private let longestChain: Int

    /// - Parameters:
    ///   - stopSeconds: what each capture says that the guest stood still.
    ///   - imageBytes: how long a memory image is made, at least; what is added is zero but for its last byte.
    package init(
        time: any TimeSource, processes: SimulatedProcesses? = nil, ways: [CaptureWay] = [.liveSnapshot], stopSeconds: Seconds = Seconds(0.2),
        imageBytes: Int = 0, canMerge: Bool = true, longestChain: Int = 200
    ) {
        self.time = time
        self.processes = processes
        self.ways = ways
        stop = stopSeconds
        self.imageBytes = imageBytes
        self.canMerge = canMerge
        self.longestChain = longestChain
    }

    // MARK: What tests see and break

    /// How often memory came up over a disk that is not its own.
    package var mispairings: Int { state.withLock { $0.mispairings } }
    /// Guests that run now.
    package var running: [DomainDescription] { state.withLock { state in state.guests.values.filter { $0.state == .running }.map(\.domain) } }
    /// Every guest that was ever started or restored here.
    package var started: [DomainDescription] { state.withLock { $0.started } }
    /// How far a guest is; nil when there is none.
    package func step(of name: String) -> Int? {
        let now = time.now()
        return state.withLock { state in
            catchUp(name, &state, now)
            return state.guests[name]?.memory.step
        }
    }
    /// The next merge is interrupted after so many blocks, and its caller hears of a failure.
    /// - Parameter isGoingOn: it comes to its end all the same, when somebody asks for the chain.
    package func interruptMerge(after blocks: Int, isGoingOn: Bool) { state.withLock { $0.stopAfter = (blocks, isGoingOn) } }
    package func interruptNoMerge() { state.withLock { $0.stopAfter = nil } }
    /// Merges that came to their end.
    package var merges: Int { state.withLock { $0.merges } }
    /// The machine loses its power: every guest is gone.
    package func powerOff() {
        let processes = state.withLock { state in
            defer { state.guests = [:] }
            return state.guests.values.compactMap(\.process)
        }
        for process in processes { self.processes?.exited(process) }
    }
    package func lose(_ name: String) {
        if let process = state.withLock({ $0.guests.removeValue(forKey: name)?.process }) { processes?.exited(process) }
    }

    // MARK: The port

    package func capabilities() async throws(HypervisorError) -> HypervisorCapabilities {
        HypervisorCapabilities(uri: "simulated:///", driver: "Simulated", version: "1", acceleration: .emulation, captureWays: ways)
    }

    package func start(_ domain: DomainDescription) async throws(HypervisorError) {
        guard let memory = SimulatedGuest(run: domain.run) else {
            throw .failed(operation: "start", name: domain.name, code: 1, detail: "cannot run `\(domain.run)`")
        }
        try bring(up: domain, memory, cpuSeconds: .zero)
    }

    package func status(_ name: String) async throws(HypervisorError) -> DomainStatus? {
        let now = time.now()
        return state.withLock { state in
            catchUp(name, &state, now)
            return state.guests[name].map { Self.status($0) }
        }
    }

    package func domains() async throws(HypervisorError) -> [DomainStatus] { state.withLock { $0.guests.values.map { Self.status($0) } } }

    package func capture(_ name: String, memoryPath: String, nextLayer: String, way: CaptureWay) async throws(HypervisorError) -> Capture {
        let now = time.now()
        let result: Result<Capture, HypervisorError> = state.withLock { state in
            catchUp(name, &state, now)
            guard var guest = state.guests[name], guest.state == .running else { return .failure(.noSuchDomain(name: name)) }
            guard ways.contains(way) else { return .failure(.unsupported(what: way.rawValue, detail: "not here")) }
            do {
                guard try SimulatedLayer.read(nextLayer).backing == SimulatedLayer.name(of: guest.domain.activeLayer) else {
                    return .failure(.failed(operation: "capture", name: name, code: 2, detail: "\(nextLayer) is not on the layer in use"))
                }
                guard try SimulatedLayer.chain(nextLayer).count <= longestChain else {
                    return .failure(.failed(operation: "capture", name: name, code: 2, detail: "the chain is longer than \(longestChain)"))
                }
                // Memory first: a failure leaves the guest with the layer that it had.
                try write(Image(name: name, guest: guest.memory, cpuSeconds: guest.cpuSeconds), to: memoryPath)
                var layer = try SimulatedLayer.read(guest.domain.activeLayer)
                layer.blocks.merge(guest.written) { $1 }
                try layer.write(to: guest.domain.activeLayer)
            } catch { return .failure(.failed(operation: "capture", name: name, code: 3, detail: "\(error)")) }
            guest.written = [:]
            guest.domain.activeLayer = nextLayer
            state.guests[name] = guest
            return .success(Capture(way: way, stopSeconds: stop, elapsedSeconds: stop, definition: Self.definition(guest.domain)))
        }
        return try result.get()
    }

    package func mergeLayers(_ name: String, from top: String, into base: String, limit: Seconds) async throws(HypervisorError) {
        guard canMerge else { throw .unsupported(what: "merge layers", detail: "not here") }
        let now = time.now()
        let result: Result<Void, HypervisorError> = state.withLock { state in
            catchUp(name, &state, now)
            guard let guest = state.guests[name] else { return .failure(.noSuchDomain(name: name)) }
            let stop = state.stopAfter
            state.stopAfter = nil
            do {
                let chain = try SimulatedLayer.chain(guest.domain.activeLayer)
                guard let high = chain.firstIndex(of: top), let low = chain.firstIndex(of: base), 0 < high, high < low else {
                    return .failure(.failed(operation: "merge", name: name, code: 7, detail: "\(base) and \(top) are not below the layer in use"))
                }
                let seen = try SimulatedLayer.contents(guest.domain.activeLayer)
                let isWhole = try Self.commit(chain[high..<low].reversed(), into: base, blocks: stop?.blocks)
                if isWhole && stop == nil { try Self.put(chain[high - 1], on: base) }
                if try SimulatedLayer.contents(guest.domain.activeLayer) != seen { state.mispairings += 1 }
            } catch { return .failure(.failed(operation: "merge", name: name, code: 8, detail: "\(error)")) }
            if let stop {
                if stop.isGoingOn { state.leftMerge = (name, top, base) }
                return .failure(.busy(name: name, detail: "the merge was interrupted"))
            }
            state.merges += 1
            return .success(())
        }
        try result.get()
    }

    package func chain(_ name: String) async throws(HypervisorError) -> [String] {
        let left = state.withLock { state in
            defer { if state.leftMerge?.name == name { state.leftMerge = nil } }
            return state.leftMerge?.name == name ? state.leftMerge : nil
        }
        if let left { try await mergeLayers(name, from: left.top, into: left.base, limit: Seconds(1)) }
        guard let guest = state.withLock({ $0.guests[name] }) else { throw .noSuchDomain(name: name) }
        do { return try SimulatedLayer.chain(guest.domain.activeLayer) } catch {
            throw .failed(operation: "chain", name: name, code: 9, detail: "\(error)")
        }
    }

    /// - Parameter blocks: stop after so many; nil: go on to the end.
    /// - Returns: whether it came to the end.
    private static func commit(_ layers: [String], into base: String, blocks: Int?) throws -> Bool {
        var below = try SimulatedLayer.read(base)
        var left = blocks ?? .max
        // From the highest that has a block: what is written is what the guest reads there.
        var seen: [Int: UInt64] = [:]
        for layer in layers { seen.merge(try SimulatedLayer.read(layer).blocks) { $1 } }
        for (block, value) in seen.sorted(by: { $0.key < $1.key }) {
            guard left > 0 else {
                try below.write(to: base)
                return false
            }
            below.blocks[block] = value
            left -= 1
        }
        try below.write(to: base)
        return true
    }

    private static func put(_ path: String, on base: String) throws {
        var layer = try SimulatedLayer.read(path)
        layer.backing = SimulatedLayer.name(of: base)
        try layer.write(to: path)
    }

    package func definition(_ name: String) async throws(HypervisorError) -> String {
        guard let guest = state.withLock({ $0.guests[name] }) else { throw .noSuchDomain(name: name) }
        return Self.definition(guest.domain)
    }

    package func restore(memoryPath: String, definition: String, as domain: DomainDescription) async throws(HypervisorError) {
        let image: Image
        do { image = try readImage(memoryPath) } catch {
            throw .failed(operation: "restore", name: domain.name, code: 4, detail: "\(memoryPath): \(error)")
        }
        guard image.name == domain.name, definition.contains("<name>\(domain.name)</name>") else {
            throw .failed(operation: "restore", name: domain.name, code: 5, detail: "the image is \(image.name)'s")
        }
        try bring(up: domain, image.guest, cpuSeconds: .zero)
    }

    package func destroy(_ name: String) async throws(HypervisorError) { lose(name) }

    // MARK: Guests

    private func bring(up domain: DomainDescription, _ memory: SimulatedGuest, cpuSeconds: Seconds) throws(HypervisorError) {
        let disk: [Int: UInt64]
        do { disk = try SimulatedLayer.contents(domain.activeLayer) } catch {
            throw .failed(operation: "start", name: domain.name, code: 6, detail: "\(domain.activeLayer): \(error)")
        }
        let isPaired = disk == memory.blocks
        let now = time.now()
        let isNew = state.withLock { state in
            guard state.guests[domain.name] == nil else { return false }
            state.started.append(domain)
            state.guests[domain.name] = Guest(memory: memory, domain: domain, seenAt: now)
            if !isPaired {
                state.mispairings += 1
                state.guests[domain.name]?.state = .crashed
            }
            return true
        }
        guard isNew else { throw .alreadyRunning(name: domain.name) }
        if !isPaired { say(["CHAIN FAIL the disk is not the one that memory knows"], on: domain.console) }
        let name = domain.name
        guard let process = processes?.spawn(ended: { [weak self] in self?.lose(name) }) else { return }
        state.withLock { $0.guests[name]?.process = process }
    }

    private func catchUp(_ name: String, _ state: inout State, _ now: Timestamp) {
        guard var guest = state.guests[name], guest.state == .running else { return }
        let passed = now - guest.seenAt
        guest.seenAt = now
        guest.cpuSeconds = guest.cpuSeconds + passed
        let (written, lines) = guest.memory.run(for: passed)
        guest.written.merge(written) { $1 }
        guest.blockWrites += Int64(written.count)
        say(lines, on: guest.domain.console)
        // It powers itself off when it has come to its end; one that says that it failed stays.
        if guest.memory.step == guest.memory.steps { guest.state = .shutOff }
        state.guests[name] = guest
    }

    private static func status(_ guest: Guest) -> DomainStatus {
        DomainStatus(
            name: guest.domain.name, state: guest.state, process: guest.process, cpuSeconds: guest.cpuSeconds,
            blockWrittenBytes: ByteCount(guest.blockWrites * 4_096))
    }

    private static func definition(_ domain: DomainDescription) -> String {
        "<domain><name>\(domain.name)</name><kernel>\(domain.kernel)</kernel><disk><source file='\(domain.activeLayer)'/></disk></domain>"
    }

    // MARK: Files

    private func say(_ lines: [String], on console: String) {
        guard !lines.isEmpty, let file = fopen(console, "a") else { return }
        for line in lines { fputs(line + "\n", file) }
        fclose(file)
    }

    private func write(_ image: Image, to path: String) throws {
        var data = try JSONEncoder().encode(image)
        data.append(UInt8(ascii: "\n"))
        if data.count < imageBytes {
            data.append(Data(count: imageBytes - data.count))
            data[imageBytes - 1] = 1
        }
        try data.write(to: URL(fileURLWithPath: path))
    }

    private func readImage(_ path: String) throws -> Image {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        return try JSONDecoder().decode(Image.self, from: data.prefix { $0 != UInt8(ascii: "\n") })
    }
}

/// Any hypervisor as one process sees it: calls may fail before they are carried out or after it, may take time, and fail all once the process
/// is dead; its guests go on.
package struct FaultyHypervisor: Hypervisor {
    private let base: any Hypervisor
    private let faults: Faults
    private let pace: Pace?

    package init(_ base: any Hypervisor, faults: Faults, pace: Pace? = nil) {
        self.base = base
        self.faults = faults
        self.pace = pace
    }

    private func call<Value>(
        _ name: String, _ domain: String, _ body: () async throws(HypervisorError) -> Value
    ) async throws(HypervisorError) -> Value {
        let lost = HypervisorError.busy(name: domain, detail: "no answer to \(name)")
        return try await faults.around("hypervisor.\(name) \(domain)", lost) { () throws(HypervisorError) in
            if let pace, await !pace.pass("hypervisor.\(name)") { throw lost }
            if faults.isDead { throw lost }
            return try await body()
        }
    }

    package func capabilities() async throws(HypervisorError) -> HypervisorCapabilities {
        try await call("capabilities", "") { () throws(HypervisorError) in try await base.capabilities() }
    }
    package func start(_ domain: DomainDescription) async throws(HypervisorError) {
        try await call("start", domain.name) { () throws(HypervisorError) in try await base.start(domain) }
    }
    package func status(_ name: String) async throws(HypervisorError) -> DomainStatus? {
        try await call("status", name) { () throws(HypervisorError) in try await base.status(name) }
    }
    package func domains() async throws(HypervisorError) -> [DomainStatus] {
        try await call("domains", "") { () throws(HypervisorError) in try await base.domains() }
    }
    package func capture(_ name: String, memoryPath: String, nextLayer: String, way: CaptureWay) async throws(HypervisorError) -> Capture {
        try await call("capture", name) { () throws(HypervisorError) in
            try await base.capture(name, memoryPath: memoryPath, nextLayer: nextLayer, way: way)
        }
    }
    package func mergeLayers(_ name: String, from top: String, into base: String, limit: Seconds) async throws(HypervisorError) {
        try await call("mergeLayers", name) { () throws(HypervisorError) in
            try await self.base.mergeLayers(name, from: top, into: base, limit: limit)
        }
    }
    package func chain(_ name: String) async throws(HypervisorError) -> [String] {
        try await call("chain", name) { () throws(HypervisorError) in try await base.chain(name) }
    }
    package func definition(_ name: String) async throws(HypervisorError) -> String {
        try await call("definition", name) { () throws(HypervisorError) in try await base.definition(name) }
    }
    package func restore(memoryPath: String, definition: String, as domain: DomainDescription) async throws(HypervisorError) {
        try await call("restore", domain.name) { () throws(HypervisorError) in
            try await base.restore(memoryPath: memoryPath, definition: definition, as: domain)
        }
    }
    package func destroy(_ name: String) async throws(HypervisorError) {
        try await call("destroy", name) { () throws(HypervisorError) in try await base.destroy(name) }
    }
}
