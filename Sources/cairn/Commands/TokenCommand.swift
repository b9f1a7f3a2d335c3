import Access
import ArgumentParser
import AuditReport
import Foundation
import Vocabulary

extension TokenRecord.Role: ExpressibleByArgument {}

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Tokens: who may ask the manager for what.",
        discussion: """
            They are kept as digests in a file of the manager's, which it reads again when it changes. From the first token on, nobody gets \
            anything without one.
            """,
        subcommands: [Create.self, List.self, Revoke.self])

    struct Files: ParsableArguments {
        @OptionGroup var state: StateOption
        @Option(help: "The file of tokens; else tokens.json in the state directory.") var tokens: String?
        var path: String { tokens.map { absolute($0) } ?? state.directory.tokensPath }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token, and print it: it is told this once.",
            discussion: """
                viewer sees everything; owner submits tasks, and acts on its own; operator acts on everything; node is an agent's, which reports \
                as that node (an agent with a certificate of `cairn pki issue --node` needs none).
                """)
        @OptionGroup var files: Files
        @Option(help: "viewer, owner, operator or node.") var role: TokenRecord.Role
        @Option(help: "With --role owner: whose tasks.") var owner: String?
        @Option(help: "With --role node: which node's.") var node: String?
        @Option(help: "With --role viewer or operator: what the ledger calls who has it; else the role.") var name: String?
        @Option(help: "When it ends: after a length of time (30d), or at a moment (2027-01-31T12:00:00Z); else never.", transform: ending)
        var expires: Ending?
        @Option(name: .shortAndLong, help: "File to write the token to, mode 600; without it, standard output.") var output: String?
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            if (role == .owner) != (owner != nil) { throw ValidationError("--role owner and --owner NAME belong together") }
            if (role == .node) != (node != nil) { throw ValidationError("--role node and --node NAME belong together") }
            if name != nil, role == .owner || role == .node { throw ValidationError("--name is for viewers and operators") }
            let given = owner ?? node ?? name ?? role.rawValue
            guard !given.isEmpty, given.count <= 100, given.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
                throw ValidationError("a name is 1 to 100 characters without control characters")
            }
        }

        func run() async throws {
            let now = SystemTime().now()
            let (record, token) = TokenRecord.make(
                role, name: owner ?? node ?? name ?? role.rawValue, at: now, expiresAt: expires.map { $0.moment(from: now) })
            if files.tokens == nil { try files.state.directory.make() }
            do throws(AccessError) {
                try TokenFile.change(files.path) { (list) throws(AccessError) in list.tokens.append(record) }
                if let output { try TokenFile.writeSecret(token, to: absolute(output)) }
            } catch { throw Failure.cannotTry("\(error)") }
            if json {
                printJSON(Made(TokenSummary(record, at: now), token: output == nil ? token : nil))
            } else if output == nil {
                print(token)
            } else {
                print("token \(record.id)")
            }
        }

        private struct Made: Encodable {
            var id: String
            var role: String
            var name: String
            var createdAt: Moment
            var expiresAt: Moment?
            var token: String?
            init(_ summary: TokenSummary, token: String?) {
                (id, role, name, createdAt, expiresAt) = (summary.id, summary.role, summary.name, summary.createdAt, summary.expiresAt)
                self.token = token
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the tokens: who has them, never they themselves.")
        @OptionGroup var files: Files
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let now = SystemTime().now()
            let records: [TokenRecord]
            do throws(AccessError) { records = try TokenFile.readIfThere(files.path).tokens } catch { throw Failure.cannotTry("\(error)") }
            let summaries = records.map { TokenSummary($0, at: now) }
            if json { return printJSON(summaries) }
            guard !summaries.isEmpty else { return print("no tokens") }
            print(
                Terminal.columns(
                    [["ID", "ROLE", "NAME", "CREATED", "EXPIRES"]]
                        + summaries.map {
                            [$0.id, $0.role, $0.name, $0.createdAt.text, ($0.expiresAt?.text ?? "never") + ($0.isExpired ? " (over)" : "")]
                        }))
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take tokens back: from the next request on they are worth nothing.")
        @OptionGroup var files: Files
        @Argument(help: "Their ids, as `cairn token list` has them.") var ids: [String]

        func run() async throws {
            let missing: [String]
            do throws(AccessError) {
                missing = try TokenFile.change(files.path) { (list) throws(AccessError) in
                    let there = Set(list.tokens.map(\.id))
                    let missing = ids.filter { !there.contains($0) }
                    if missing.isEmpty { list.tokens.removeAll { ids.contains($0.id) } }
                    return missing
                }
            } catch { throw Failure.cannotTry("\(error)") }
            guard missing.isEmpty else { throw Failure.notDone("no token \(missing.joined(separator: ", ")); nothing was changed") }
            print("revoked \(ids.joined(separator: ", "))")
        }
    }
}

/// A token for people.
struct TokenSummary: Encodable {
    var id: String
    var role: String
    var name: String
    var createdAt: Moment
    var expiresAt: Moment?
    var isExpired: Bool

    init(_ record: TokenRecord, at now: Timestamp) {
        id = record.id
        role = record.role.rawValue
        name = record.name
        createdAt = Moment(record.createdAt)
        expiresAt = record.expiresAt.map { Moment($0) }
        isExpired = record.expiresAt.map { $0 <= now } ?? false
    }
}

/// When something ends: some time from now, or at a moment.
enum Ending: Sendable {
    case after(Seconds)
    case at(Timestamp)
    func moment(from now: Timestamp) -> Timestamp {
        switch self {
        case .after(let length): now + length
        case .at(let moment): moment
        }
    }
}

@Sendable func ending(_ text: String) throws -> Ending {
    if text.contains("T") || text.contains(":") {
        do { return .at(Timestamp(try Date(text, strategy: .iso8601).timeIntervalSince1970)) } catch {
            throw ValidationError("\(text) is no moment: 2027-01-31T12:00:00Z")
        }
    }
    return .after(try length(text))
}
