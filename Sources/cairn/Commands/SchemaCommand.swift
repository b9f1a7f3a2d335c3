import ArgumentParser
import Declarations
import Foundation

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of a kind of declaration, for editors.",
        discussion: """
            An editor that knows YAML completes and checks keys by it: begin a file with `# yaml-language-server: $schema=FILE`. The validate \
            commands check more, and say more.
            """)

    enum Kind: String, ExpressibleByArgument, CaseIterable { case taskSLA = "TaskSLA", checkpointPolicy = "CheckpointPolicy", fleet = "Fleet" }
    @Argument(help: "TaskSLA, CheckpointPolicy or Fleet.") var kind: Kind

    func run() throws {
        guard let text = JSONSchema.text(kind: kind.rawValue) else { throw Failure.cannotTry("there is no kind \(kind.rawValue)") }
        print(text, terminator: "")
    }
}
