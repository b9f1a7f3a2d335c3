import ArgumentParser
import Autonomics
import Foundation
import NodeLink
import Vocabulary

struct AgentOptions: ParsableArguments {
    @Option(help: "The agent's own directory: disks, consoles, its journal.") var work = ".cairn-agent"
    @Option(help: "Seconds after which a sample of a task's progress is worth recording.") var sampleInterval = 5.0
    @Option(help: "Parts in flight at once, in uploads and fetches.") var parallel = 5
}

struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Run a node's agent.",
        discussion: """
            Drives this node's hypervisor, takes checkpoints and puts them straight into the store, and tells the manager with every heartbeat. When \
            the manager is away it goes on with the last plan.
            """)

    @Option(help: "This node's name in the fleet.") var node: String
    @Option(help: "The fleet's file.") var fleet: String
    @Option(help: "The manager's address.") var manager = "http://127.0.0.1:7700"
    @OptionGroup var credentials: Credentials
    @OptionGroup var options: AgentOptions

    func run() async throws {
        let declared = try FleetFile.read(fleet)
        if credentials.tokenFile != nil { try ManagerOptions.requirePrivacy(of: manager) }
        _ = try credentials.token()
        let link = HTTPManagerLink(
            manager: manager, client: try credentials.client(), tokenFile: credentials.tokenFile.map { absolute($0) })
        let agent = try Composition.agent(NodeID(node), fleet: declared, options: options, link: link)
        let supervisor = ServiceSupervisor()
        // It has its hypervisor, store and journal, and looks after guests, whether or not the manager answers.
        supervisor.tellReady("node \(node), manager \(manager)")
        try await agent.run { supervisor.tellAlive() }
    }
}
