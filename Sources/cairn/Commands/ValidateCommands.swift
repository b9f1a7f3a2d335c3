import ArgumentParser
import Declarations
import Foundation
import Vocabulary

struct SLACommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sla", abstract: "Declarations of tasks.", subcommands: [Validate.self, Check.self])

    struct Validate: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Check TaskSLA files: every problem at once.")
        @OptionGroup var validation: Validation
        func run() throws { try validation.run(kind: "TaskSLA") { if case .taskSLA = $0 { true } else { false } } }
    }
}

struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Policies.",
        subcommands: [Validate.self, Test.self, Diff.self, Replay.self, Tune.self, PolicyModeCommand.self])

    struct Validate: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Check CheckpointPolicy files: every problem at once.")
        @OptionGroup var validation: Validation
        func run() throws { try validation.run(kind: "CheckpointPolicy") { if case .policy = $0 { true } else { false } } }
    }
}

struct FleetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "fleet", abstract: "Fleets.", subcommands: [Validate.self])

    struct Validate: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Check Fleet files: every problem at once.")
        @OptionGroup var validation: Validation
        func run() throws { try validation.run(kind: "Fleet") { if case .fleet = $0 { true } else { false } } }
    }
}

/// Exit status 0: all are valid; 1: at least one is not; 2: at least one could not be read.
struct Validation: ParsableArguments {
    @Argument(help: "Files to check.") var files: [String]
    @Flag(help: "Print JSON.") var json = false

    private struct Result: Encodable {
        var file: String
        var isValid: Bool
        var problems: [Problem]
    }

    func run(kind: String, isWanted: (Declaration) -> Bool) throws {
        var results: [Result] = []
        var unreadable: [String] = []
        for file in files {
            let text: String
            do { text = try contents(of: file) } catch let failure as Failure {
                unreadable.append(failure.message)
                continue
            }
            let read = Documents.read(text, file: file)
            var problems = read.problems
            if !problems.contains(where: { $0.severity == .error }), !read.declarations.contains(where: isWanted) {
                problems.append(
                    Problem(
                        file: file, line: 1, column: 1, key: "kind", severity: .error, message: "declares no \(kind)",
                        suggestion: "a file for this command has `kind: \(kind)`"))
            }
            results.append(Result(file: file, isValid: !problems.contains { $0.severity == .error }, problems: problems))
        }
        if json {
            printJSON(results)
        } else {
            for result in results {
                for problem in result.problems { print(problem.description) }
                if result.isValid { print("\(result.file): valid") }
            }
        }
        if !unreadable.isEmpty { throw Failure(message: unreadable.joined(separator: "\n"), status: 2) }
        if results.contains(where: { !$0.isValid }) { throw ExitCode(1) }
    }
}
