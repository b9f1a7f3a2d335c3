import Foundation
import Testing

/// The program as a person runs it.
@Suite("Commands")
struct CommandTests {
    struct Ended {
        var status: Int32
        var output: String
        var errors: String
    }

    private static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The program lies beside the tests.
    func cairn(_ words: String...) throws -> Ended { try cairn(words) }

    func cairn(_ words: [String]) throws -> Ended {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "cairn")
        process.arguments = words
        process.currentDirectoryURL = Self.top
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-command-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) } }
        let files = ["output", "errors"].map { folder.appending(path: $0) }
        for file in files { try Data().write(to: file) }
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try process.run()
        process.waitUntilExit()
        let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
        return Ended(status: process.terminationStatus, output: texts[0], errors: texts[1])
    }

    @Test("validation ends with 0, 1 or 2, and tells every problem with its place")
    func validation() throws {
        let good = try cairn("sla", "validate", "sla/finish-sooner.yaml", "sla/save-network.yaml")
        #expect(good.status == 0)
        #expect(good.output == "sla/finish-sooner.yaml: valid\nsla/save-network.yaml: valid\n")
        let wrongKind = try cairn("sla", "validate", "policies/default.yaml")
        #expect(wrongKind.status == 1)
        #expect(wrongKind.output.hasPrefix("policies/default.yaml:1:1: error: kind: declares no TaskSLA"))
        let unreadable = try cairn("policy", "validate", "policies/default.yaml", "policies/none.yaml")
        #expect(unreadable.status == 2)
        #expect(unreadable.output == "policies/default.yaml: valid\n")
        #expect(unreadable.errors.contains("policies/none.yaml"))
    }

    @Test("problems as JSON")
    func json() throws {
        struct Checked: Decodable {
            struct Problem: Decodable {
                var line: Int
                var key: String
            }
            var isValid: Bool
            var problems: [Problem]
        }
        let bad = Self.top.appending(path: "Tests/DeclarationsTests/Files/bad")
        let file = try #require(try FileManager.default.contentsOfDirectory(atPath: bad.path).filter { $0.hasSuffix(".yaml") }.sorted().first)
        let ended = try cairn("fleet", "validate", "--json", bad.appending(path: file).path)
        #expect(ended.status == 1)
        let checked = try JSONDecoder().decode([Checked].self, from: Data(ended.output.utf8))
        #expect(checked.count == 1 && !checked[0].isValid && !checked[0].problems.isEmpty)
    }

    @Test("what cannot be tried ends with 2 and says why")
    func untried() throws {
        let lonely = try cairn("task", "list", "--state", "/nowhere/at/all")
        #expect(lonely.status == 2)
        #expect(lonely.errors.contains("/nowhere/at/all"))
        let wrong = try cairn("task", "frobnicate")
        #expect(wrong.status == 2)
        #expect(wrong.errors.contains("frobnicate"))
    }

    @Test("the same seed simulates the same to the last byte; every problem of what is to be simulated is told")
    func simulation() throws {
        func simulate(_ seed: String) throws -> Ended {
            try cairn(
                "simulate", "--policy", "policies/default.yaml", "policies/fixed-10-minutes.yaml", "--tasks", "sla", "--nodes", "3", "--mtbf", "5m",
                "--downtime", "1m", "--runs", "2", "--seed", seed, "--jobs", "2", "--json", "-", "--quiet")
        }
        let once = try simulate("3")
        #expect(once.status == 0, "\(once.errors)")
        #expect(once.errors.isEmpty)
        #expect(once.output.contains("\"cairn.simulation/v1\""))
        #expect(try simulate("3").output == once.output)
        #expect(try simulate("4").output != once.output)
        let trace = FileManager.default.temporaryDirectory.appending(path: "cairn-trace-" + UUID().uuidString)
        try Data("node,down_start_epoch_seconds,down_end_epoch_seconds,cause\n1,soon,7,x\n1,9,7,x\n".utf8).write(to: trace)
        defer { do { try FileManager.default.removeItem(at: trace) } catch { Issue.record(error) } }
        let bad = try cairn(
            "simulate", "--policy", "sla/finish-sooner.yaml", "--tasks", "sla", "--trace", trace.path, "--distribution", "normal", "--stop", "5")
        #expect(bad.status == 1)
        for part in ["declares no CheckpointPolicy", ":2: error:", ":3: error:", "--distribution", "--stop"] { #expect(bad.errors.contains(part)) }
        #expect(try cairn("simulate", "--policy", "policies/default.yaml", "--tasks", "nowhere", "--nodes", "3").status == 2)
    }

    @Test("policies are tested in situations, and a failure is told to people, programs and continuous integration")
    func policyTests() throws {
        let good = try cairn("policy", "test", "policies/tests")
        #expect(good.status == 0, "\(good.output)")
        #expect(good.output.hasSuffix("5 of 5 passed\n"))
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-tests-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) } }
        let own = try String(contentsOf: Self.top.appending(path: "policies/tests/default.yaml"), encoding: .utf8)
            .replacing("../default.yaml", with: Self.top.path + "/policies/default.yaml")
            .replacing("../fixed-10-minutes.yaml", with: folder.path + "/none.yaml")
            .replacing("tasks/", with: Self.top.path + "/policies/tests/tasks/").replacing("rules: [on-trial]", with: "rules: none")
        try Data(own.utf8).write(to: folder.appending(path: "changed.yaml"))
        let junit = folder.appending(path: "junit.xml")
        let bad = try cairn("policy", "test", folder.path, "--json", "--junit", junit.path)
        #expect(bad.status == 1)
        struct Result: Decodable {
            var name: String
            var hasPassed: Bool
            var failures: [String]
        }
        let failed = try JSONDecoder().decode([Result].self, from: Data(bad.output.utf8)).filter { !$0.hasPassed }
        #expect(failed.map(\.name) == ["on-trial-is-only-watched", "fixed-is-fixed"])
        #expect(failed.first?.failures == ["rules: none is expected, and it is on-trial"])
        let xml = try String(contentsOf: junit, encoding: .utf8)
        #expect(xml.contains("tests=\"5\" failures=\"2\"") && xml.contains("none.yaml"))
    }

    @Test(
        "each command says what it is for",
        arguments: ["run", "agent", "task", "checkpoint", "decisions", "explain", "audit", "sla", "policy", "simulate", "fleet", "image", "bench"])
    func help(_ command: String) throws {
        let ended = try cairn(command, "--help")
        #expect(ended.status == 0)
        #expect(ended.output.hasPrefix("OVERVIEW: ") && ended.output.contains("USAGE: cairn \(command)"))
    }
}
