import ArgumentParser
import Foundation

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check what Cairn stands on here, and say how to mend what is wrong.",
        discussion: """
            Fleet and policies, secret files, the hypervisor and its programs, images, the store (by a probe of what checkpoints rest on, which is \
            removed again), the manager and its version, clocks, the ledger, free room. Run it as the services' user, on the manager's machine \
            and on every node. Exit status 0: nothing is wrong (there may be warnings); 1: something is; 2: there is no fleet to look at.
            """)

    @OptionGroup var manager: ManagerOptions
    @Option(help: "The fleet's file (default: fleet.yaml here, else /etc/cairn/fleet.yaml).") var fleet: String?
    @Option(help: "This machine's node in the fleet (default: the first).") var node: String?
    @Option(help: "Directory of policy files (default: policies beside the fleet).") var policies: String?
    @Option(help: "The agent's directory.") var work = "/var/lib/cairn/agent"
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let usual = ["fleet.yaml", "/etc/cairn/fleet.yaml"]
        guard let fleet = fleet ?? usual.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            throw Failure.cannotTry("there is neither fleet.yaml here nor /etc/cairn/fleet.yaml: name the fleet's file with --fleet")
        }
        let path = absolute(fleet)
        let beside = (path as NSString).deletingLastPathComponent + "/policies"
        var doctor = Doctor(
            fleetPath: path, node: node, policies: policies.map { absolute($0) } ?? beside, manager: manager, work: absolute(work))
        try await doctor.examine()
        let findings = doctor.findings
        let isBad = findings.contains { $0.verdict == .bad }
        if json {
            printJSON(findings)
        } else {
            for finding in findings {
                let word = Terminal.emphasised(finding.verdict.rawValue, if: finding.verdict == .bad || finding.verdict == .warning)
                print("\(word)\(String(repeating: " ", count: 9 - finding.verdict.rawValue.count))\(finding.area): \(finding.found)")
                if let mend = finding.mend { print("         to mend: \(mend)") }
            }
            let warnings = findings.count { $0.verdict == .warning }
            print(isBad ? "something is wrong" : warnings == 0 ? "all is well" : "nothing is wrong; \(warnings) warnings")
        }
        if isBad { throw ExitCode(1) }
    }
}
