import AuditReport
import CheckpointEngine
import Curl
import Declarations
import Foundation
import GuestImages
import Ports
import SQLiteLedger
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// Looks at what Cairn stands on here, and says how to mend what is wrong.
struct Doctor {
    struct Finding: Encodable {
        enum Verdict: String, Encodable { case good, warning, bad, skipped }
        var area: String
        var verdict: Verdict
        var found: String
        /// What to do; nil where nothing is to be done.
        var mend: String?
    }

    var fleetPath: String
    var node: String?
    var policies: String
    var manager: ManagerOptions
    private var state: StateDirectory { manager.state.directory }
    var work: String
    private(set) var findings: [Finding] = []

    init(fleetPath: String, node: String?, policies: String, manager: ManagerOptions, work: String) {
        self.fleetPath = fleetPath
        self.node = node
        self.policies = policies
        self.manager = manager
        self.work = work
    }

    private mutating func add(_ area: String, _ verdict: Finding.Verdict, _ found: String, mend: String? = nil) {
        findings.append(Finding(area: area, verdict: verdict, found: found, mend: mend))
    }

    mutating func examine() async throws {
        let fleet = try FleetFile.read(fleetPath)
        add("fleet", .good, "\(fleetPath): \(fleet.name), \(fleet.nodes.count) nodes")
        await examinePolicies()
        examineSecrets(fleet)
        await examineNode(fleet)
        examineImages(fleet)
        await examineStore(fleet)
        await examineManager(fleet)
        examineLedger()
        examineSpace(fleet)
    }

    // MARK: Declarations and secrets

    private mutating func examinePolicies() async {
        let changes = await PolicyDirectory(path: policies).changes()
        var names: [String] = []
        for change in changes {
            switch change {
            case .loaded(let policy, _): names.append(policy.name)
            case .rejected(let name, let problems):
                add("policies", .bad, "\(name): \(problems.joined(separator: "; "))", mend: "cairn policy validate \(policies)/*.yaml")
            }
        }
        if names.contains("default") {
            add("policies", .good, "\(policies): \(names.sorted().joined(separator: ", "))")
        } else {
            let others = names.isEmpty ? "" : ", only \(names.sorted().joined(separator: ", "))"
            add(
                "policies", .warning, "\(policies) has no policy named default\(others)",
                mend: "name the directory with --policies, or put one there: a TaskSLA that names no policy wants default")
        }
    }

    private mutating func examineSecrets(_ fleet: Fleet) {
        var files: [String] = []
        switch fleet.store {
        case .directory: break
        case .webHDFS(let place):
            switch place.identity {
            case .simple: break
            case .kerberos(let keytab): files += [keytab].compactMap(\.self)
            case .token(let file): files.append(file)
            }
        case .ftp(let place): files.append(place.passwordFile)
        case .sftp(let place):
            switch place.secret {
            case .key(let file), .password(let file): files.append(file)
            }
        }
        for file in files {
            do throws(SecretFile.Problem) {
                try SecretFile.check(file)
                add("secrets", .good, "\(file) is its owner's alone")
            } catch { add("secrets", .bad, "\(error)", mend: "chmod 600 \(file), and chown it to the user that the services run as") }
        }
        if files.isEmpty { add("secrets", .good, "this fleet's store needs none") }
    }

    // MARK: This node

    private mutating func examineNode(_ fleet: Fleet) async {
        let chosen: Fleet.Node
        if let node {
            guard let found = fleet.nodes.first(where: { $0.id.rawValue == node }) else {
                return add(
                    "hypervisor", .bad, "the fleet has no node \(node)", mend: "it has \(fleet.nodes.map(\.id.rawValue).joined(separator: ", "))")
            }
            chosen = found
        } else {
            chosen = fleet.nodes[0]
        }
        if !chosen.hypervisor.hasPrefix("xen") { examinePrograms() }
        let root = "/tmp/cairn-doctor-\(getpid())"
        defer { do { try FileManager.default.removeItem(atPath: root) } catch {} }
        let hypervisor: any Hypervisor
        do { hypervisor = try Composition.hypervisor(chosen, work: root, images: fleet.imagesDirectory) } catch {
            let detail = (error as? Failure)?.message ?? "\(error)"
            let mend =
                chosen.hypervisor == "qemu:///embed"
                ? "apt-get install libvirt-daemon libvirt-daemon-driver-qemu qemu-system-x86; for root libvirt-daemon-system as well"
                : "is the daemon of \(chosen.hypervisor) running, and may this user connect to it?"
            return add("hypervisor", .bad, "\(chosen.hypervisor): \(detail)", mend: mend)
        }
        do throws(HypervisorError) {
            let can = try await hypervisor.capabilities()
            let ways = can.captureWays.map(\.rawValue).joined(separator: ", ")
            add("hypervisor", .good, "\(chosen.hypervisor): \(can.driver) \(can.version), \(can.acceleration.rawValue), captures by \(ways)")
            examineAcceleration(can)
        } catch { add("hypervisor", .bad, "\(chosen.hypervisor): \(error)", mend: "see the hypervisor's own log") }
    }

    private mutating func examineAcceleration(_ can: HypervisorCapabilities) {
        if can.acceleration == .emulation {
            if access("/dev/kvm", F_OK) != 0 {
                add(
                    "acceleration", .warning, "there is no /dev/kvm: guests are emulated, some ten times slower",
                    mend: "switch hardware virtualisation on (firmware, or the outer hypervisor), load kvm_intel or kvm_amd")
            } else if access("/dev/kvm", R_OK | W_OK) != 0 {
                add("acceleration", .warning, "this user may not use /dev/kvm", mend: "adduser USER kvm, and start the agent anew")
            } else {
                add(
                    "acceleration", .warning, "/dev/kvm is there, and no guest starts with it (or there is no image to try one with)",
                    mend: "cairn image build; if that changes nothing, guests are emulated")
            }
        }
        if can.driver == "QEMU", can.captureWays.first != .backgroundSnapshot {
            add(
                "capture", .warning, "guests cannot be captured by copy-on-write: they stand still for longer",
                mend: "sysctl vm.unprivileged_userfaultfd=1, or an agent that is root, with qemu:///embed")
        }
    }

    private mutating func examinePrograms() {
        for (program, arguments, debian) in [
            ("qemu-system-x86_64", ["--version"], "qemu-system-x86"), ("qemu-img", ["--version"], "qemu-utils"), ("mke2fs", ["-V"], "e2fsprogs"),
        ] {
            if let version = Self.firstLine(program, arguments) {
                add("programs", .good, version)
            } else {
                add("programs", .bad, "\(program) is not here", mend: "apt-get install \(debian)")
            }
        }
    }

    /// What a program says first; nil when it is not there.
    private static func firstLine(_ program: String, _ arguments: [String]) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        // A user who is not root often lacks the last two.
        let places: [String] = (folders + ["/usr/bin", "/usr/sbin", "/sbin"]).map { $0 + "/" + program }
        guard let path = places.first(where: { access($0, X_OK) == 0 }) else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch { return nil }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text.split(separator: "\n").first.map(String.init)
    }

    private mutating func examineImages(_ fleet: Fleet) {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: fleet.imagesDirectory).sorted() } catch {
            return add(
                "images", .bad, "\(fleet.imagesDirectory) cannot be read: \((error as NSError).localizedDescription)",
                mend: "make it, the same on every node; cairn image build \(fleet.imagesDirectory)/NAME")
        }
        var images = 0
        for name in names where FileManager.default.fileExists(atPath: "\(fleet.imagesDirectory)/\(name)/\(GuestImage.manifestName)") {
            images += 1
            do throws(ImageError) {
                let manifest = try GuestImage.load("\(fleet.imagesDirectory)/\(name)").manifest
                let unions = manifest.unionsAvailable.map(\.rawValue).joined(separator: ", ")
                add("images", .good, "\(name): kernel \(manifest.kernelVersion), unites by \(manifest.union.rawValue) (its kernel has \(unions))")
            } catch { add("images", .bad, "\(name): \(error)", mend: "build it anew beside this one, under another name") }
        }
        if images == 0 {
            add(
                "images", .warning, "\(fleet.imagesDirectory) has no image",
                mend: "cairn image build \(fleet.imagesDirectory)/NAME; guests of one's own need none")
        }
    }

    // MARK: The store

    private mutating func examineStore(_ fleet: Fleet) async {
        let store: any CheckpointStore
        do { store = try Composition.store(fleet.store) } catch {
            return add("store", .bad, (error as? Failure)?.message ?? "\(error)", mend: "correct the fleet's store")
        }
        let place = store.properties.location
        let health = await store.health()
        guard health.reachable else {
            return add("store", .bad, "\(place): \(health.detail)", mend: "is it mounted, running, and reachable from here?")
        }
        if !health.detail.isEmpty { add("store", .warning, "\(place): \(health.detail)") }
        do throws(StoreError) {
            let outcome = try await StoreProbe(store: store, time: SystemTime(), name: UUID().uuidString.lowercased()).run()
            for fault in outcome.faults { add("store", .bad, "\(place): \(fault)", mend: "this is no store for checkpoints: take another") }
            if outcome.faults.isEmpty {
                add("store", .good, "\(place): takes, commits, seals and removes as it must (\(String(format: "%.2f", outcome.elapsed.rawValue)) s)")
            }
            if let ahead = outcome.clockAhead { tellClock("the store's", ahead, worth: "only ages of what is cleaned depend on it") }
        } catch {
            let mend =
                switch error {
                case .denied: "let this user write there; of a service with ProtectSystem=strict, name the directory in ReadWritePaths="
                case .full: "make room, or raise the quota"
                default: "see docs/operations.md, “Stores”"
                }
            add("store", .bad, "\(place): \(error)", mend: mend)
        }
        if let free = health.freeBytes { tellSpace("the store", free, place) }
    }

    // MARK: The manager, clocks and versions

    private mutating func examineManager(_ fleet: Fleet) async {
        if manager.named == nil, !state.hasManager {
            return add(
                "manager", .skipped, "none is known in \(state.path)",
                mend: "start one, or name its state with --state or its address with --manager")
        }
        let before = SystemTime().now()
        let address: String
        let answer: HTTPResponse
        do { (address, answer) = try await manager.fetch("GET", "/v1/health") } catch {
            let found = (error as? Failure)?.message ?? "\(error)"
            return add("manager", .bad, found, mend: "systemctl status cairn-manager; journalctl -u cairn-manager")
        }
        let after = SystemTime().now()
        guard answer.status == 200 else {
            return add("manager", .warning, "\(address) answers with status \(answer.status)", mend: "may this user ask it?")
        }
        struct Health: Decodable {
            var cycles: Int64
            var lastCycleAt: Moment?
            /// These for those who may read.
            var version: String?
            var liveTasks: Int?
        }
        let health: Health
        do { health = try JSONDecoder().decode(Health.self, from: Data(answer.body)) } catch {
            return add("manager", .bad, "\(address) answers, and is no manager of this version: \(error)", mend: "run the same version everywhere")
        }
        switch health.version {
        case nil:
            add(
                "manager", .good, "\(address): \(health.cycles) turns of its loop; its version is for those with a token",
                mend: "--token-file FILE, to compare versions")
        case Release.version?:
            add("manager", .good, "\(address): version \(Release.version), \(health.cycles) turns of its loop, \(health.liveTasks ?? 0) live tasks")
        case let version?:
            add("manager", .warning, "\(address) has version \(version), this is \(Release.version)", mend: "run the same version everywhere")
        }
        guard let date = answer.headers["date"].flatMap(Self.httpDate) ?? health.lastCycleAt?.time else {
            return add("clocks", .skipped, "the manager has not turned yet")
        }
        tellClock(
            "the manager's", date - Timestamp((before.rawValue + after.rawValue) / 2),
            worth: "deadlines are the manager's, and what nodes tell has their clocks' times")
    }

    /// Source: RFC 9110, 5.6.7, IMF-fixdate.
    private static func httpDate(_ text: String) -> Timestamp? {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(secondsFromGMT: 0)
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        return format.date(from: text).map { Timestamp($0.timeIntervalSince1970) }
    }

    /// Files' and headers' times have whole seconds: two of them are nothing.
    private mutating func tellClock(_ whose: String, _ ahead: Seconds, worth: String) {
        let seconds = abs(ahead.rawValue)
        if seconds <= 2 {
            add("clocks", .good, "\(whose) and this machine's agree, to two seconds")
        } else {
            let verdict: Finding.Verdict = seconds <= 30 ? .warning : .bad
            add(
                "clocks", verdict,
                "\(whose) clock is \(Int(seconds.rounded())) s \(ahead.rawValue > 0 ? "ahead of" : "behind") this machine's: \(worth)",
                mend: "keep them by NTP: timedatectl set-ntp true")
        }
    }

    private mutating func examineLedger() {
        guard FileManager.default.fileExists(atPath: state.ledgerPath) else {
            return add("ledger", .skipped, "there is none in \(state.path)")
        }
        do throws(LedgerError) {
            _ = try SQLiteLedger.openReadOnly(path: state.ledgerPath)
            add("ledger", .good, "\(state.ledgerPath) can be read by this version")
        } catch { add("ledger", .bad, "\(error)", mend: "use the version that made it, or start the manager once; may this user read it?") }
    }

    // MARK: Room

    private mutating func examineSpace(_ fleet: Fleet) {
        for (what, path) in [("the state", state.path), ("the agent's work", work)] {
            guard FileManager.default.fileExists(atPath: path) else { continue }
            var facts = statvfs()
            guard statvfs(path, &facts) == 0 else { continue }
            tellSpace(what, ByteCount(Int64(facts.f_bavail) * Int64(facts.f_frsize)), path)
            if access(path, W_OK) != 0 {
                add(
                    "permissions", .warning, "this user may not write \(path)",
                    mend: "run the doctor as the user of the service: runuser -u cairn -- cairn doctor")
            }
        }
    }

    private mutating func tellSpace(_ what: String, _ free: ByteCount, _ path: String) {
        let text = "\(what) has \(String(format: "%.1f", free.mebibytes / 1024)) GiB free (\(path))"
        if free < .gibibytes(1) {
            add(
                "room", free < .mebibytes(100) ? .bad : .warning, text,
                mend: "make room: a checkpoint needs as much as its guest's memory for a while")
        } else {
            add("room", .good, text)
        }
    }
}
