import Vocabulary

/// Virtual machines on this node. A task's domain is named by its task (`cairn-TASK`), is transient, and belongs to Cairn.
///
/// One conformance suite runs on every implementation.
package protocol Hypervisor: Sendable {
    /// Found once, by trying.
    func capabilities() async throws(HypervisorError) -> HypervisorCapabilities

    /// Starts a guest from its description. A domain of that name that exists already is an error.
    func start(_ domain: DomainDescription) async throws(HypervisorError)

    /// nil when there is no such domain (never started, ended, or killed with its process).
    func status(_ name: String) async throws(HypervisorError) -> DomainStatus?

    /// All domains of Cairn's on this hypervisor.
    func domains() async throws(HypervisorError) -> [DomainStatus]

    /// Takes memory and disk of one instant: memory goes to `memoryPath` in the save image's format; the delta layer in use becomes
    /// immutable and the guest goes on writing to `nextLayer`, a prepared or to-be-made overlay on it. The guest runs on in every case.
    /// - Throws: on failure the guest runs on, with the layer it had or, if it failed late, with `nextLayer`: `definition` says which.
    func capture(_ name: String, memoryPath: String, nextLayer: String, way: CaptureWay) async throws(HypervisorError) -> Capture

    /// Puts the content of every layer above `base`, up to `top`, into `base`, while the guest runs and sees no change at any instant. Both are
    /// below the layer in use. Afterwards the layer above `top` lies on `base`; the files of the others are not needed any more, and stay.
    ///
    /// Interrupted anywhere (a limit, a crash of the caller, the guest's death) it leaves a chain that holds the same disk: `base` may have got
    /// some of what the layers above it, which are all there still, hold.
    /// - Parameter limit: longer than this and it is given up.
    /// - Throws: `.unsupported` where `capabilities().mergesLayers` is false; `.busy` when it took too long. `chain` says whether it came to its end.
    func mergeLayers(_ name: String, from top: String, into base: String, limit: Seconds) async throws(HypervisorError)

    /// Files of the delta disk as the hypervisor has them open, the one in use first. A merge that nobody waits for any more is ended first, or
    /// waited for, so that the answer stays true.
    /// - Throws: `.unsupported` where it cannot be told.
    func chain(_ name: String) async throws(HypervisorError) -> [String]

    /// The domain definition inside a save image or of a running domain, for the manifest.
    func definition(_ name: String) async throws(HypervisorError) -> String

    /// Resumes a saved guest with other paths: `definition` is rewritten so that the disk in use is `domain.activeLayer`, with every
    /// `<backingStore>` stripped (one that stays pins the old chain and corrupts silently).
    func restore(memoryPath: String, definition: String, as domain: DomainDescription) async throws(HypervisorError)

    /// Ends a guest at once. One that is not there is ended already.
    func destroy(_ name: String) async throws(HypervisorError)
}

/// What not every hypervisor can.
extension Hypervisor {
    package func mergeLayers(_ name: String, from top: String, into base: String, limit: Seconds) async throws(HypervisorError) {
        throw .unsupported(what: "merge layers", detail: "not while a guest runs")
    }
    package func chain(_ name: String) async throws(HypervisorError) -> [String] {
        throw .unsupported(what: "tell a disk's layers", detail: "of a running guest")
    }
}

/// What it takes to start or restore a guest on this node.
package struct DomainDescription: Hashable, Sendable, Codable {
    package var name: String
    package var memoryBytes: ByteCount
    package var virtualCPUs: Int
    /// Empty, both: the guest boots from its disk.
    package var kernel: String
    package var ramdisk: String
    /// Read-only, raw. The guest's first disk; with `GuestUnion.backingFile` the file below its only disk, `activeLayer`, which is a chain on it.
    package var base: String
    /// qcow2 overlay that the guest writes to.
    package var activeLayer: String
    /// File that the guest's console is appended to.
    package var console: String
    /// What the guest runs, after ` -- ` on the kernel's command line.
    package var run: String
    /// What unites base and delta; `auto`: as the guest's ramdisk is made.
    package var union: GuestUnion
    /// The kernel's command line without what Cairn adds; nil: that of images by `cairn image build`.
    package var arguments: String?
    package init(
        name: String, memoryBytes: ByteCount, virtualCPUs: Int, kernel: String, ramdisk: String, base: String, activeLayer: String, console: String,
        run: String, union: GuestUnion = .auto, arguments: String? = nil
    ) {
        self.name = name
        self.memoryBytes = memoryBytes
        self.virtualCPUs = virtualCPUs
        self.kernel = kernel
        self.ramdisk = ramdisk
        self.base = base
        self.activeLayer = activeLayer
        self.console = console
        self.run = run
        self.union = union
        self.arguments = arguments
    }
}

extension DomainDescription {
    /// The kernel's command line: the console, the guest's own arguments, what unites, and what runs.
    package func commandLine(console device: String = "ttyS0") -> String {
        let own = arguments ?? "quiet panic=5 init_on_free=1"
        // A guest that is not ours unites only when it is told to, and one of ours does what its ramdisk is made for, unless told.
        let isTold = union != .backingFile && (union != .auto || arguments != nil)
        return "console=\(device) \(own)" + (isTold ? " cairn.union=\(union.rawValue)" : "") + (run.isEmpty ? "" : " -- " + run)
    }
}

package struct DomainStatus: Hashable, Sendable {
    package enum State: String, Hashable, Sendable { case running, paused, shutOff, crashed }
    package var name: String
    package var state: State
    /// The guest's process, where it is one on this machine.
    package var process: ProcessIdentity?
    /// Counter of this life of the domain: restarts from zero at a restore.
    package var cpuSeconds: Seconds
    package var blockWrittenBytes: ByteCount
    package init(name: String, state: State, process: ProcessIdentity?, cpuSeconds: Seconds, blockWrittenBytes: ByteCount) {
        self.name = name
        self.state = state
        self.process = process
        self.cpuSeconds = cpuSeconds
        self.blockWrittenBytes = blockWrittenBytes
    }
}

package struct Capture: Hashable, Sendable {
    package var way: CaptureWay
    /// The guest stood still (from the hypervisor's own stop and resume events where it has them).
    package var stopSeconds: Seconds
    /// From the call until memory was on disk.
    package var elapsedSeconds: Seconds
    package var definition: String
    package init(way: CaptureWay, stopSeconds: Seconds, elapsedSeconds: Seconds, definition: String) {
        self.way = way
        self.stopSeconds = stopSeconds
        self.elapsedSeconds = elapsedSeconds
        self.definition = definition
    }
}

package enum HypervisorError: Error, Hashable, Sendable {
    case cannotConnect(uri: String, detail: String)
    case noSuchDomain(name: String)
    case alreadyRunning(name: String)
    case busy(name: String, detail: String)
    case unsupported(what: String, detail: String)
    /// Libvirt's own code and message.
    case failed(operation: String, name: String, code: Int32, detail: String)

    package var isRetryable: Bool {
        switch self {
        case .busy, .cannotConnect: true
        case .noSuchDomain, .alreadyRunning, .unsupported, .failed: false
        }
    }
}

extension HypervisorError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotConnect(let uri, let detail): "cannot connect to the hypervisor at \(uri): \(detail)"
        case .noSuchDomain(let name): "no domain \(name)"
        case .alreadyRunning(let name): "domain \(name) is running already"
        case .busy(let name, let detail): "domain \(name) is busy: \(detail)"
        case .unsupported(let what, let detail): "the hypervisor cannot \(what): \(detail)"
        case .failed(let operation, let name, let code, let detail): "\(operation) of \(name) failed (libvirt \(code)): \(detail)"
        }
    }
}
