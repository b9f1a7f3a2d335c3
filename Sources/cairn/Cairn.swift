import ArgumentParser
import CResources
import Foundation

#if canImport(Glibc)
    import Glibc
#endif

@main
struct Cairn: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cairn",
        abstract: "Keeps long-running tasks in virtual machines within their service level agreements.",
        discussion: """
            Exit status: 0 what was asked for was done, or is valid; 1 it was not, or is not; 2 it could not be tried (wrong usage, \
            an unreadable file, no manager).
            """,
        version: Release.version,
        subcommands: [
            RunCommand.self, AgentCommand.self, TaskCommand.self, NodeCommand.self, CheckpointCommand.self, StoreCommand.self, DecisionsCommand.self,
            ExplainCommand.self, TokenCommand.self, PKICommand.self,
            AuditCommand.self,
            TopCommand.self, DoctorCommand.self, SLACommand.self, PolicyCommand.self, SimulateCommand.self, FleetCommand.self, SchemaCommand.self,
            ImageCommand.self, BenchCommand.self,
        ])

    static func main() async {
        // A peer that goes away is an error where it is written to, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        cairn_give_memory_back()
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch let failure as Failure {
            FileHandle.standardError.write(Data((failure.message + "\n").utf8))
            Foundation.exit(failure.status)
        } catch {
            let code = exitCode(for: error)
            let text = fullMessage(for: error)
            if code == .success { print(text) } else if !text.isEmpty { FileHandle.standardError.write(Data((text + "\n").utf8)) }
            Foundation.exit(code == .success ? 0 : code == .validationFailure ? 2 : 1)
        }
    }
}

/// An end that is not success, with what to tell the person.
struct Failure: Error {
    var message: String
    var status: Int32

    /// What was asked for did not happen, or is not valid.
    static func notDone(_ message: String) -> Failure { Failure(message: "cairn: " + message, status: 1) }
    /// It could not even be tried.
    static func cannotTry(_ message: String) -> Failure { Failure(message: "cairn: " + message, status: 2) }
}

enum Release {
    static let version = "0.1.0"
}
