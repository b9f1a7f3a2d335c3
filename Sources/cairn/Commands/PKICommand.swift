import Access
import ArgumentParser
import AuditReport
import Foundation
import Vocabulary

struct PKICommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pki", abstract: "Certificates of an authority of your own, for TLS between manager, agents and people.",
        discussion: """
            The authority is a directory. Its ca.pem goes to everybody; its ca-key.pem to nobody: whoever has it can be every node and the manager.
            """,
        subcommands: [Init.self, Issue.self])

    struct Init: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make an authority.")
        @Argument(help: "The directory to make it in.") var directory: String
        @Option(help: "What its certificate calls it.") var name = "Cairn"
        @Option(help: "Days until it ends, and with it all that it issued.") var days = 3_650
        @Flag(help: "Print JSON.") var json = false

        func validate() throws { try PKICommand.check(days) }

        func run() async throws {
            do throws(AccessError) {
                PKICommand.told(try PrivateAuthority.make(in: absolute(directory), name: name, at: SystemTime().now(), days: days), json: json)
            } catch { throw Failure.cannotTry("\(error)") }
        }
    }

    struct Issue: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Issue a certificate and its key, as two files in the authority's directory.",
            discussion: "Move the key to where it is used; the authority needs it no more. Issuing again makes a new one, and the old one stays good."
        )
        @Argument(help: "The authority's directory.") var directory: String
        @Option(help: "For the agent of this node, which can report as that node alone.") var node: String?
        @Option(help: "For the manager, as it is reached: names and addresses with commas between.") var server: String?
        @Option(help: "Days until it ends.") var days = 365
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            if (node == nil) == (server == nil) { throw ValidationError("say for whom: --node NAME, or --server HOST,HOST") }
            try PKICommand.check(days)
        }

        func run() async throws {
            do throws(AccessError) {
                let authority = try PrivateAuthority(in: absolute(directory))
                let now = SystemTime().now()
                if let node { return PKICommand.told(try authority.issue(node: NodeID(node), at: now, days: days), json: json) }
                let hosts = (server ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
                PKICommand.told(try authority.issue(server: hosts, at: now, days: days), json: json)
            } catch { throw Failure.cannotTry("\(error)") }
        }
    }

    fileprivate static func check(_ days: Int) throws {
        guard (1...36_500).contains(days) else { throw ValidationError("--days: 1 to 36500") }
    }

    fileprivate static func told(_ issued: PrivateAuthority.Issued, json: Bool) {
        struct Told: Encodable {
            var certificate: String
            var key: String
            var expiresAt: Moment
        }
        let expiresAt = Moment(issued.expiresAt)
        if json { return printJSON(Told(certificate: issued.certificate, key: issued.key, expiresAt: expiresAt)) }
        print("\(issued.certificate)\n\(issued.key) (mode 600)\ngood until \(expiresAt.text)")
    }
}
