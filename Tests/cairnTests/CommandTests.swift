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

    @Test("an SLA is checked against a fleet before it is submitted: what can be kept, and what would do where it cannot")
    func admission() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cairn-admission-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) } }
        func fleet(_ mtbf: String) throws -> String {
            let file = folder.appending(path: "fleet-\(mtbf).yaml")
            try """
            apiVersion: cairn/v1
            kind: Fleet
            metadata: {name: f}
            spec:
              images: /images
              nodes: [{name: a}, {name: b}]
              store: {directory: /store}
              defaults: {reliability: {mtbf: \(mtbf)}}
            """.write(to: file, atomically: true, encoding: .utf8)
            return file.path
        }
        let good = try cairn("sla", "check", "sla/finish-sooner.yaml", "--fleet", try fleet("30d"))
        #expect(good.status == 0, "\(good)")
        #expect(good.output.contains("chain-soon: can be kept on ") && good.output.contains("expected cost: "))
        // The work alone takes 90 s; a failure a minute leaves no chance of 100 s.
        let hard = folder.appending(path: "hard.yaml")
        try String(contentsOf: Self.top.appending(path: "sla/finish-sooner.yaml"), encoding: .utf8)
            .replacingOccurrences(of: "within: 5m", with: "within: 100s").write(to: hard, atomically: true, encoding: .utf8)
        let bad = try cairn("sla", "check", hard.path, "--fleet", try fleet("1m"))
        #expect(bad.status == 1, "\(bad)")
        #expect(bad.output.contains("CANNOT be kept") && bad.output.contains("an MTBF of") && bad.output.contains("a deadline in"), "\(bad)")
        struct Checked: Decodable {
            struct Change: Decodable {
                var name: String
                var declared: Double
                var enough: Double
            }
            var isKept: Bool
            var wouldDo: [Change]
        }
        let json = try JSONDecoder().decode(
            [Checked].self, from: Data(try cairn("sla", "check", "--json", hard.path, "--fleet", try fleet("1m")).output.utf8))
        let better = try #require(json.first?.wouldDo.first { $0.name == "mtbfSeconds" })
        #expect(json.first?.isKept == false && better.enough > better.declared)
        // What is said to do does.
        let enough = try cairn("sla", "check", hard.path, "--fleet", try fleet("\(Int((better.enough * 1.5).rounded(.up)))s"))
        #expect(enough.status == 0, "\(enough)")
        let missing = try cairn("sla", "check", "sla/finish-sooner.yaml", "--fleet", try fleet("30d"), "--policies", folder.path)
        #expect(missing.status == 2)
    }

    @Test("policies are compared: 0 the same, 1 they differ, 2 one cannot be read")
    func difference() throws {
        let same = try cairn("policy", "diff", "policies/default.yaml", "policies/default.yaml")
        #expect(same.status == 0 && same.output.contains("say the same"))
        let other = try cairn("policy", "diff", "policies/default.yaml", "policies/fixed-10-minutes.yaml")
        #expect(other.status == 1, "\(other)")
        #expect(other.output.contains("interval.strategy") && other.output.contains("adaptive") && other.output.contains("fixed"))
        struct Compared: Decodable {
            struct Difference: Decodable {
                var key: String
                var left: String?
                var right: String?
            }
            var differences: [Difference]
        }
        let json = try JSONDecoder().decode(
            Compared.self, from: Data(try cairn("policy", "diff", "--json", "policies/default.yaml", "policies/fixed-10-minutes.yaml").output.utf8))
        #expect(json.differences.contains { $0.key == "interval.every" && $0.left == nil && $0.right == "10m" })
        let missing = try cairn("policy", "diff", "policies/none.yaml", "sla/finish-sooner.yaml")
        #expect(missing.status == 2 && missing.errors.contains("policies/none.yaml") && missing.errors.contains("sla/finish-sooner.yaml"))
    }

    @Test("a policy is tuned, written as it was checked, and valid")
    func tuning() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "cairn-tuned-" + UUID().uuidString + ".yaml")
        defer {
            if FileManager.default.fileExists(atPath: file.path) { do { try FileManager.default.removeItem(at: file) } catch { Issue.record(error) } }
        }
        let world = ["--tasks", "sla/save-network.yaml", "--nodes", "2", "--mtbf", "30m", "--downtime", "1m", "--quiet"]
        func tune(_ words: String...) throws -> Ended { try cairn(["policy", "tune", "policies/default.yaml"] + words + world) }
        let found = try tune(
            "--least", "network", "--at-most", "unfinishedShare=0.5", "--trials", "5", "--runs", "2", "--check-runs", "3", "--output", file.path)
        #expect(found.status == 0, "\(found)")
        #expect(try cairn("policy", "validate", file.path).status == 0)
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(text.hasPrefix("# Tuned by cairn policy tune") && text.contains("name: default-tuned") && text.contains("# What was changed:"))
        let impossible = try tune("--least", "network", "--at-most", "time=1", "--trials", "2", "--runs", "1", "--check-runs", "1")
        #expect(impossible.status == 1 && impossible.errors.contains("keeps the bounds"), "\(impossible)")
        let wrong = try tune("--least", "everything", "--meet", "200%", "--at-most", "cost")
        #expect(wrong.status == 1)
        for part in ["--least: 'everything'", "--meet: ", "--at-most: 'cost'"] { #expect(wrong.errors.contains(part), "\(wrong.errors)") }
    }
}
