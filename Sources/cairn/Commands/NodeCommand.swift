import ArgumentParser
import Vocabulary

struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node", abstract: "Nodes.", subcommands: [Drain.self, Undrain.self])

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take the tasks off a node, and give it none, until the drain is ended.",
            discussion: """
                Each task that runs there is checkpointed, and goes on elsewhere from that checkpoint. As long as no other node can take it, it stays. \
                `cairn task list` says where tasks are.
                """)
        @OptionGroup var manager: ManagerOptions
        @Argument var node: String
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let answer = try await manager.ask("/v1/nodes/\(escaped(node))/drain", for: NodeAccepted.self)
            if json { printJSON(answer) } else { print("\(answer.node): is drained") }
        }
    }

    struct Undrain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let a node that was drained take tasks again.")
        @OptionGroup var manager: ManagerOptions
        @Argument var node: String
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let answer = try await manager.ask("/v1/nodes/\(escaped(node))/undrain", for: NodeAccepted.self)
            if json { printJSON(answer) } else { print("\(answer.node): takes tasks") }
        }
    }

    /// What the manager answers to a command about a node.
    struct NodeAccepted: Codable {
        var node: NodeID
    }
}

/// `cairn policy mode`.
struct PolicyModeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mode", abstract: "Set a policy to Enforce or Audit over its file and rules, or let it be as declared.",
        discussion: "It stays so, also when the file is edited or the manager starts again, until it is set once more.")
    @OptionGroup var manager: ManagerOptions
    @Argument(help: "The policy's name.") var policy: String
    @Argument(help: "Enforce, Audit or declared.") var mode: String
    @Flag(help: "Print JSON.") var json = false

    private struct ModeAccepted: Codable {
        var policy: String
        /// Absent: as declared.
        var mode: CheckpointPolicy.Mode?
    }

    func run() async throws {
        guard mode == "declared" || CheckpointPolicy.Mode(rawValue: mode) != nil else {
            throw Failure.cannotTry("no mode is called \(mode): Enforce, Audit or declared")
        }
        let answer = try await manager.ask("/v1/policies/\(escaped(policy))/mode?mode=\(mode)", for: ModeAccepted.self)
        if json { printJSON(answer) } else { print("\(answer.policy): \(answer.mode.map { "in mode \($0.rawValue)" } ?? "as declared")") }
    }
}
