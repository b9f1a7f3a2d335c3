import Foundation
import Testing
import Vocabulary

@testable import Declarations

/// Files that are wrong, each beside the diagnostics it must give. CAIRN_UPDATE_GOLDEN=1 writes those anew; read them before committing.
@Suite("Files, right and wrong")
struct GoldenTests {
    static let isRewriting = ProcessInfo.processInfo.environment["CAIRN_UPDATE_GOLDEN"] == "1"

    @Test("every bad file gives exactly its diagnostics")
    func bad() throws {
        let folder = Folders.files.appending(path: "bad")
        let files = try Folders.files(folder, ".yaml")
        for file in files {
            let result = try read(file)
            #expect(result.problems.contains { $0.severity == .error }, "\(file.lastPathComponent) has nothing wrong with it")
            let text = result.problems.map { $0.description + "\n" }.joined()
            let golden = file.deletingPathExtension().appendingPathExtension("txt")
            if Self.isRewriting { try Data(text.utf8).write(to: golden) }
            let expected = FileManager.default.contents(atPath: golden.path).map { String(decoding: $0, as: UTF8.self) }
            #expect(text == expected, "\(file.lastPathComponent)")
        }
        let diagnostics = try Folders.files(folder, ".txt")
        #expect(files.count >= 70)
        #expect(files.map { $0.deletingPathExtension().lastPathComponent } == diagnostics.map { $0.deletingPathExtension().lastPathComponent })
    }

    @Test("every good file declares something, without an error")
    func good() throws {
        let files = try Folders.files(Folders.files.appending(path: "good"), ".yaml")
        #expect(files.count >= 10)
        for file in files { try expectValid(try read(file), mayWarn: file.lastPathComponent == "sla-warnings.yaml") }
    }

    @Test("the policies and SLAs that come with the product are valid, and named after their files")
    func shipped() throws {
        let policies = try Folders.files(Folders.top.appending(path: "policies"), ".yaml")
        #expect(policies.map(\.lastPathComponent).contains("default.yaml"))
        for file in policies {
            let result = try read(file)
            try expectValid(result)
            for declaration in result.declarations {
                guard case .policy(let policy, _) = declaration else {
                    Issue.record("\(file.lastPathComponent) declares something else than a policy")
                    continue
                }
                #expect(policy.name == file.deletingPathExtension().lastPathComponent)
            }
        }
        for file in try Folders.files(Folders.top.appending(path: "sla"), ".yaml") {
            let result = try read(file)
            try expectValid(result)
            #expect(result.declarations.allSatisfy { if case .taskSLA = $0 { true } else { false } }, "\(file.lastPathComponent)")
        }
    }

    @Test("the default policy says what a policy is without saying anything")
    func defaultPolicy() throws {
        let result = try read(Folders.top.appending(path: "policies/default.yaml"))
        guard case .policy(let policy, _)? = result.declarations.first else { throw Missing() }
        #expect(policy.settings == CheckpointPolicy.Settings())
        #expect(policy.preferences.keys.sorted() == ["balanced", "finish-sooner", "save-network"])
    }

    @Test("the examples of the reference are valid, one of each kind")
    func documented() throws {
        let text = try String(contentsOf: Folders.top.appending(path: "docs/declarations.md"), encoding: .utf8)
        let examples = text.components(separatedBy: "```yaml\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
        let results = examples.map { read($0, as: "declarations.md") }
        for result in results { try expectValid(result) }
        let kinds = results.flatMap(\.declarations).map { declaration in
            switch declaration {
            case .taskSLA: "TaskSLA"
            case .policy: "CheckpointPolicy"
            case .fleet: "Fleet"
            }
        }
        #expect(Set(kinds) == ["TaskSLA", "CheckpointPolicy", "Fleet"])
    }

    @Test("the reference names every key that a declaration may have")
    func keys() throws {
        let text = try String(contentsOf: Folders.top.appending(path: "docs/declarations.md"), encoding: .utf8)
        // What each mapping says that it knows, when it is given a key that nobody knows.
        let probes = [
            "kind: TaskSLA\nspec: {zzzz: 1, task: {zzzz: 1}, progress: {console: {zzzz: 1}}, deadline: {zzzz: 1}, limits: {zzzz: 1}, "
                + "penalty: {zzzz: 1}, preference: {zzzz: 1}}",
            "kind: CheckpointPolicy\nspec: {zzzz: 1, interval: {zzzz: 1}, compression: {zzzz: 1}, retention: {zzzz: 1}, "
                + "replication: {zzzz: 1}, chain: {zzzz: 1}, "
                + "rules: [{zzzz: 1, when: {zzzz: 1}, set: {zzzz: 1}}]}",
            "kind: Fleet\nspec: {zzzz: 1, nodes: [{zzzz: 1, fence: {zzzz: 1}}], store: {zzzz: 1, webhdfs: {zzzz: 1}}, "
                + "defaults: {zzzz: 1, suspicion: {zzzz: 1}, reliability: {zzzz: 1}}}",
        ]
        var count = 0
        for problem in probes.flatMap({ read($0).problems }) where problem.message == "unknown key" {
            let known = try #require(problem.suggestion.flatMap { $0.hasPrefix("known here: ") ? $0.dropFirst(12) : nil })
            for key in known.components(separatedBy: ", ") {
                count += 1
                let isNamed = text.contains("`\(key)`") || text.contains(".\(key)`") || text.contains("`\(key).") || text.contains(".\(key).")
                #expect(isNamed || text.contains("`\(key)[]") || text.contains("{\(key):"), "docs/declarations.md does not name \(key)")
            }
        }
        #expect(count > 60)
    }

    struct Missing: Error {}

    private func expectValid(_ result: ReadResult, mayWarn: Bool = false, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(!result.declarations.isEmpty, sourceLocation: sourceLocation)
        let problems = mayWarn ? result.problems.filter { $0.severity == .error } : result.problems
        #expect(problems.map(\.description) == [], sourceLocation: sourceLocation)
    }
}
