import ArgumentParser
import Declarations
import Foundation
import Simulation
import Vocabulary

extension PolicyCommand {
    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check what policies decide in given situations.",
            discussion: """
                Each PolicyTest names a policy, a task and a situation, and what must be decided in it (docs/policy-tests.md). Exit status: 0 all are passed; \
                1 at least one is not, or is not valid; 2 something could not be read or written.
                """)
        @Argument(help: "Files of PolicyTests, or directories of them.") var paths: [String]
        @Flag(help: "Print JSON.") var json = false
        @Option(help: "File to write JUnit's XML to.") var junit: String?

        struct Result: Encodable {
            var name: String
            var file: String
            var line: Int
            var hasPassed: Bool
            /// What is not as expected, or why it could not be tried.
            var failures: [String]
            /// What was decided.
            var sentence: String?
        }

        func run() throws {
            let results = try files().flatMap { try self.results(of: $0) }
            if let junit {
                do { try Data(JUnit.text(results).utf8).write(to: URL(fileURLWithPath: junit)) } catch {
                    throw Failure.cannotTry("cannot write \(junit): \(error.localizedDescription)")
                }
            }
            if json {
                printJSON(results)
            } else {
                for result in results {
                    print("\(result.hasPassed ? "passed" : "FAILED")  \(result.name)  (\(result.file):\(result.line))")
                    for failure in result.failures { print("        \(failure)") }
                    if !result.hasPassed, let sentence = result.sentence { print("        decided: \(sentence)") }
                }
                print("\(results.count { $0.hasPassed }) of \(results.count) passed")
            }
            if results.isEmpty { throw Failure.notDone("no PolicyTest in \(paths.joined(separator: ", "))") }
            if results.contains(where: { !$0.hasPassed }) { throw ExitCode(1) }
        }

        private func files() throws -> [String] {
            try paths.flatMap { path -> [String] in
                var isDirectory: ObjCBool = false
                guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue else { return [path] }
                do {
                    return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.sorted()
                        .map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
                } catch { throw Failure.cannotTry("cannot read \(path): \(error.localizedDescription)") }
            }
        }

        private func results(of file: String) throws -> [Result] {
            let read = PolicyTestReader().read(SourceFile(path: file, text: try contents(of: file)))
            let errors = read.problems.filter { $0.severity == .error }
            var results = read.tests.map { test, line in
                let outcome = self.outcome(of: test, besides: file)
                return Result(
                    name: test.name, file: file, line: line, hasPassed: outcome.failures.isEmpty, failures: outcome.failures,
                    sentence: outcome.sentence)
            }
            if let first = errors.first {
                results.append(
                    Result(name: "valid", file: file, line: first.line, hasPassed: false, failures: errors.map(\.description), sentence: nil))
            }
            return results
        }

        private func outcome(of test: PolicyTest, besides file: String) -> (failures: [String], sentence: String?) {
            func beside(_ path: String) -> String {
                path.hasPrefix("/")
                    ? path : URL(fileURLWithPath: file).deletingLastPathComponent().appendingPathComponent(path).standardizedFileURL.path
            }
            var declarations: [Declaration] = []
            var troubles: [String] = []
            for path in [beside(test.policyFile), beside(test.taskFile)] {
                do {
                    let read = Documents.read(try contents(of: path), file: path)
                    troubles += read.problems.filter { $0.severity == .error }.map(\.description)
                    declarations += read.declarations
                } catch let failure as Failure { troubles.append(failure.message) } catch { troubles.append("\(error)") }
            }
            guard troubles.isEmpty else { return (troubles, nil) }
            let policies = declarations.compactMap {
                if case .policy(let policy, let version) = $0 { Candidacy(policy: policy, version: version) } else { nil }
            }
            let slas = declarations.compactMap { if case .taskSLA(let sla, let version) = $0 { (sla, version) } else { nil } }
            guard let policy = policies.first, policies.count == 1, let (sla, version) = slas.first, slas.count == 1 else {
                return (
                    [
                        "\(test.policyFile) must declare one CheckpointPolicy and \(test.taskFile) one TaskSLA; found: \(policies.count) and \(slas.count)"
                    ], nil
                )
            }
            guard let outcome = PolicyTrial.judge(test, policy, sla, version: version) else { return (["nothing was decided"], nil) }
            return (outcome.failures, outcome.sentence)
        }
    }
}

/// As continuous integration reads it: one suite a file.
enum JUnit {
    static func text(_ results: [PolicyCommand.Test.Result]) -> String {
        var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<testsuites tests=\"\(results.count)\" failures=\"\(failed(results))\">"]
        var files: [String] = []
        for result in results where !files.contains(result.file) { files.append(result.file) }
        for file in files {
            let own = results.filter { $0.file == file }
            lines.append("  <testsuite name=\"\(escaped(file))\" tests=\"\(own.count)\" failures=\"\(failed(own))\">")
            for result in own {
                let head =
                    "    <testcase name=\"\(escaped(result.name))\" classname=\"\(escaped(file))\" file=\"\(escaped(file))\" line=\"\(result.line)\""
                guard !result.hasPassed else {
                    lines.append(head + "/>")
                    continue
                }
                lines.append(head + ">")
                let text = (result.failures + [result.sentence].compactMap { $0 }).joined(separator: "\n")
                lines.append("      <failure message=\"\(escaped(result.failures.first ?? ""))\">\(escaped(text))</failure>")
                lines.append("    </testcase>")
            }
            lines.append("  </testsuite>")
        }
        return (lines + ["</testsuites>"]).joined(separator: "\n") + "\n"
    }

    private static func failed(_ results: [PolicyCommand.Test.Result]) -> Int { results.filter { !$0.hasPassed }.count }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;").replacingOccurrences(of: ">", with: "&gt;")
            .replacingOccurrences(of: "\"", with: "&quot;")
    }
}
