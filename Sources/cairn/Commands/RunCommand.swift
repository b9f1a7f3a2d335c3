import Access
import ArgumentParser
import Autonomics
import Dashboard
import Declarations
import Fencing
import Foundation
import Logging
import ManagerAPI
import ManagerMetrics
import Ports
import SQLiteLedger
import Vocabulary

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the manager.",
        discussion: """
            Watches the fleet's nodes and tasks, decides, and has its decisions carried out; everything is kept in the state directory's ledger, \
            from which a manager that was killed carries on. With --node this process is that node's agent as well: one process, one machine.
            """)

    @OptionGroup var state: StateOption
    @Option(help: "The fleet's file.") var fleet: String
    @Option(help: "Directory of policy files; edited ones are picked up.") var policies = "policies"
    @OptionGroup var listen: ListenOptions
    @Option(help: "Seconds between two turns of the loop.") var cycle = 1.0
    @Option(help: "Be the agent of this node of the fleet, too.") var node: String?
    @OptionGroup var agent: AgentOptions

    func run() async throws {
        let declared = try FleetFile.read(fleet)
        let directory = state.own
        try directory.make()
        let lock = try directory.lock()
        defer { close(lock) }
        let log = Logbook(name: "manager")
        let supervisor = ServiceSupervisor()
        let listening = try listen.listening()
        let tokens: TokenKeeper
        do throws(AccessError) {
            tokens = try TokenKeeper(path: listen.tokens.map { absolute($0) } ?? directory.tokensPath, log: { log.say($0) })
            try listening.check(hasTokens: tokens.list?.tokens.isEmpty == false)
        } catch { throw Failure.cannotTry("\(error)") }
        let ledger: SQLiteLedger
        do throws(LedgerError) { ledger = try SQLiteLedger.open(path: directory.ledgerPath) } catch { throw Failure.cannotTry("\(error)") }
        let store = try Composition.store(declared.store)
        let tally = LedgerTally(ledger: ledger)
        let manager = Manager(
            configuration: .init(
                fleet: declared, version: Release.version, cycle: Seconds(cycle),
                readSLA: { (text, file) throws(CommandError) in try TaskFile.read(text, file: file) }),
            ledger: ledger, store: store, fence: NodeFence(), policies: PolicyDirectory(path: absolute(policies)), time: SystemTime(),
            witness: tally, log: { log.say($0) })
        try await manager.begin()
        let metrics = MetricsPage(
            tally: tally, source: manager, health: { await manager.health() }, cycles: { await manager.cycleTimes },
            ledgerBytes: { directory.ledgerBytes })
        let notary = LedgerNotary(ledger: ledger, key: try directory.key(), directory: directory, time: SystemTime(), log: { log.say($0) })
        // Beside the group, which would wait for it.
        let ending = Task { try await notary.signAtTheEnd() }
        defer { ending.cancel() }
        var logger = Logger(label: "http")
        logger.logLevel = .warning
        let pages = Dashboard(commands: manager, source: manager, ledger: ledger, time: SystemTime()).routes
        let numbers = Route.text("/metrics", as: Exposition.contentType, for: .readers) { try await metrics.text() }
        let server = ManagerServer(
            commands: manager, outlooks: manager, ledger: ledger, added: pages + [numbers], listening: listening, tokens: tokens, time: SystemTime())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [logger] in
                try await server.run(logger: logger) { port in
                    do {
                        let url = listening.url(port: port)
                        try directory.publish(.init(url: url, pid: getpid(), authority: listening.encryption?.nodeAuthority))
                        supervisor.tellReady("listening on \(url)")
                        log.say("listening on \(url), state in \(directory.path), store \(store.properties.location)")
                        if tokens.list == nil {
                            log.say("there are no tokens: whoever is on this machine may do everything (docs/operations.md#security)")
                        }
                    } catch { log.say("cannot publish the address: \(error)") }
                }
            }
            group.addTask { try await manager.run { supervisor.tellAlive() } }
            group.addTask { try await notary.run() }
            if let node {
                group.addTask { [agent] in
                    try await Composition.agent(NodeID(node), fleet: declared, options: agent, link: DirectLink(manager: manager)).run()
                }
            }
            // Nothing of it may end while the others go on.
            try await group.next()
            group.cancelAll()
        }
    }
}

/// How the manager is reached.
struct ListenOptions: ParsableArguments {
    @Option(help: "Address to listen on; one beyond this machine takes tokens and TLS.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0: any free one.") var port = 7700
    @Option(help: "PEM file of the manager's certificate: TLS.") var cert: String?
    @Option(help: "PEM file of its key, mode 600.") var key: String?
    @Option(help: "PEM file of the authority of the agents' certificates, which name their nodes; without it agents have tokens.") var ca: String?
    @Option(help: "The file of tokens; else tokens.json in the state directory.") var tokens: String?
    @Option(help: "Requests a second that one caller may make in the long run.") var rate = 200.0

    func validate() throws {
        if (cert == nil) != (key == nil) { throw ValidationError("--cert and --key belong together") }
        if ca != nil, cert == nil { throw ValidationError("--ca takes TLS: --cert and --key") }
        if !(rate >= 1 && rate.isFinite) { throw ValidationError("--rate: at least 1") }
    }

    func listening() throws -> Listening {
        var encryption: Listening.Encryption?
        if let cert, let key {
            encryption = .init(certificate: absolute(cert), key: absolute(key), nodeAuthority: ca.map { absolute($0) })
        }
        return Listening(host: host, port: port, encryption: encryption, requestsPerSecond: rate)
    }
}

/// The embedded node's link: a call.
struct DirectLink: ManagerLink {
    let manager: any ManagerCommands
    func exchange(_ report: NodeReport) async throws(LinkError) -> NodeOrders {
        do throws(CommandError) { return try await manager.exchange(report) } catch {
            switch error {
            case .failed(let detail): throw .unreachable(detail: detail)
            case .invalid, .notFound, .conflict: throw .refused(detail: "\(error)")
            }
        }
    }
}
