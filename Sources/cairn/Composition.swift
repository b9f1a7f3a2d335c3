import Autonomics
import CheckpointEngine
import Curl
import DirectoryStore
import DiskImages
import Fencing
import FileServerStore
import Foundation
import LibvirtHypervisor
import Ports
import SQLiteLedger
import Vocabulary
import WebHDFSStore

/// Puts the adapters together: the only place that names them.
enum Composition {
    static func store(_ location: StoreLocation) throws -> any CheckpointStore {
        do throws(StoreError) {
            switch location {
            case .directory(let path): return try DirectoryStore(root: path, random: SystemRandom())
            case .webHDFS(let place):
                let identity: WebHDFS.Identity
                switch place.identity {
                case .simple(let user): identity = .user(user)
                case .token(let file): identity = .token(file: file)
                case .kerberos(let keytab):
                    identity = .kerberos
                    if let keytab {
                        do throws(SecretFile.Problem) { try SecretFile.check(keytab) } catch {
                            throw .denied(path: keytab, detail: error.description)
                        }
                        // GSS-API gets tickets by it whenever it has none, and keeps them in this process alone.
                        setenv("KRB5_CLIENT_KTNAME", "FILE:" + keytab, 1)
                        setenv("KRB5CCNAME", "MEMORY:cairn", 1)
                    }
                }
                return try WebHDFSStore(
                    nameNodes: place.nameNodes, root: place.root, identity: identity, authorities: place.authorities, random: SystemRandom())
            case .ftp(let place):
                let encryption: FileServer.Encryption =
                    switch place.encryption {
                    case .off: .none
                    case .explicit: .explicit
                    case .implicit: .implicit
                    }
                let server = FileServer(
                    kind: .ftp(encryption, authorities: place.authorities), host: place.host, port: place.port, user: place.user,
                    secret: .password(place.passwordFile))
                return try FileServerStore(server: server, root: place.root, readsBack: place.readsBack, random: SystemRandom())
            case .sftp(let place):
                let hostKey: FileServer.HostKey =
                    switch place.hostKey {
                    case .knownHosts(let file): .knownHosts(file)
                    case .fingerprint(let text): .fingerprint(text)
                    }
                let secret: FileServer.Secret =
                    switch place.secret {
                    case .key(let file): .key(file)
                    case .password(let file): .password(file)
                    }
                let server = FileServer(kind: .sftp(hostKey), host: place.host, port: place.port, user: place.user, secret: secret)
                return try FileServerStore(server: server, root: place.root, readsBack: place.readsBack, random: SystemRandom())
            }
        } catch { throw Failure.cannotTry("\(error)") }
    }

    static func hypervisor(_ node: Fleet.Node, work: String, images: String) throws -> any Hypervisor {
        let uri = node.hypervisor
        do throws(HypervisorError) {
            if uri.hasPrefix("xen") { return try XenHypervisor(uri: uri, guest: node.guest) }
            return try LibvirtHypervisor(uri: uri, root: work + "/libvirt", probeKernel: anyKernel(in: images))
        } catch { throw Failure.cannotTry("\(error)") }
    }

    /// An image's kernel, to find out with whether KVM works here.
    private static func anyKernel(in images: String) -> String? {
        guard let names = FileManager.default.enumerator(atPath: images) else { return nil }
        for case let name as String in names where name.hasSuffix("vmlinuz") { return images + "/" + name }
        return nil
    }

    static func agent(_ node: NodeID, fleet: Fleet, options: AgentOptions, link: any ManagerLink) throws -> NodeAgent {
        guard let declared = fleet.nodes.first(where: { $0.id == node }) else {
            throw Failure.cannotTry("the fleet \(fleet.name) has no node \(node); it has \(fleet.nodes.map(\.id.rawValue).joined(separator: ", "))")
        }
        let work = absolute(options.work)
        do { try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true) } catch {
            throw Failure.cannotTry("cannot make \(work): \(error.localizedDescription)")
        }
        _ = try lockFile(work + "/lock", busy: "another agent is running in \(work)")
        let log = Logbook(name: "agent \(node)")
        let store = try store(fleet.store)
        let hypervisor = try hypervisor(declared, work: work, images: fleet.imagesDirectory)
        let journal: SQLiteJournal
        do throws(LedgerError) {
            journal = try SQLiteJournal.open(path: work + "/journal.db", node: node, newName: Incarnation(UUID().uuidString))
        } catch { throw Failure.cannotTry("\(error)") }
        let engine = CheckpointEngine(
            configuration: .init(
                node: node, work: work, images: fleet.imagesDirectory, transfer: TransferMode(parallel: options.parallel), version: Release.version),
            store: store, hypervisor: hypervisor, disks: QemuDisks(templates: work + "/templates"), time: SystemTime())
        guard let process = ProcessTable.identity(of: getpid()) else { throw Failure.cannotTry("/proc does not say when this process began") }
        log.say("node \(node), hypervisor \(declared.hypervisor), work in \(work), store \(store.properties.location)")
        return NodeAgent(
            configuration: .init(
                node: node, incarnation: Incarnation(UUID().uuidString), process: process, heartbeat: fleet.defaults.heartbeatSeconds,
                sampleInterval: Seconds(options.sampleInterval),
                // Nodes that are processes share a machine, which is older than they are.
                uptime: { declared.fence == .process ? nil : ProcessTable.machineUptime() }),
            link: link, engine: engine, hypervisor: hypervisor, journal: journal, time: SystemTime(), log: { log.say($0) })
    }
}
