import Curl
import Ports
import Synchronization
import Vocabulary

/// A directory of an FTP or SFTP server. One copy of everything.
///
/// What may be replaced (a part) is a file. What must be made by one and never replaced (a commit, an exclusive creation) is a file `content` in a
/// directory of its own, named as the path with a tilde behind: no rename of files is exclusive on every server (RNTO replaces what is there), but a
/// directory is renamed by rename(2), which refuses a target that is not empty, and one whose parent is gone, in one step.
///
/// Whatever gets a name was whole before: it is sent into a directory of its own below `.tmp`, looked at, and then renamed.
package struct FileServerStore: CheckpointStore {
    let talk: Conversation
    /// On the server, without a slash behind: empty for the server's own root.
    let root: String
    let readsBack: Bool
    let housekeeping = Housekeeping()

    static let content = "content"
    static let mark = "~"

    /// When leftovers were looked for.
    final class Housekeeping: Sendable {
        private let last = Mutex<ContinuousClock.Instant?>(nil)
        func begins(_ now: ContinuousClock.Instant) -> Bool {
            last.withLock { last in
                if let before = last, now - before < .seconds(3_600) { return false }
                last = now
                return true
            }
        }
        func failed() { last.withLock { $0 = nil } }
    }

    package var properties: StoreProperties {
        let server = talk.client.server
        return StoreProperties(
            kind: server.isFTP ? "ftp" : "sftp", location: "\(server.isFTP ? "ftp" : "sftp")://\(server.authority)\(root.isEmpty ? "/" : root)",
            replicates: false, replacesAtomically: server.isFTP, flushes: false,
            tellsFreeSpace: !server.isFTP)
    }

    /// Asks nobody yet, so that a manager starts while the server is away; but looks at the files with secrets.
    /// - Parameters:
    ///   - root: absolute path on the server.
    ///   - readsBack: whether what was written is read again and compared; by default where nothing else protects it on its way.
    ///   - patience: how long something that may pass is tried again.
    ///   - stallSeconds: how long next to nothing may come before a connection counts as broken.
    /// - Throws: `.denied` for secrets that others can read, `.failed` for a root that is none.
    package init(
        server: FileServer, root: String, readsBack: Bool? = nil, random: any RandomSource, patience: Duration = .seconds(60), stallSeconds: Int = 15
    ) throws(StoreError) {
        let components = root.split(separator: "/")
        // Paths go into commands that quote nothing.
        let isFine = components.allSatisfy { component in
            component != "." && component != ".."
                && component.utf8.allSatisfy { byte in
                    byte < 128
                        && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber || [UInt8]("._-:".utf8).contains(byte))
                }
        }
        guard root.hasPrefix("/"), isFine else {
            throw .failed(path: root, detail: "a root on a file server is an absolute path of letters, digits, dots, colons and dashes")
        }
        do throws(SecretFile.Problem) { try server.check() } catch { throw .denied(path: server.authority, detail: error.description) }
        self.root = components.map { "/" + $0 }.joined()
        self.readsBack = readsBack ?? !server.isProtected
        talk = Conversation(client: FileTransferClient(server, stallSeconds: stallSeconds), patience: patience, random: random)
    }

    func deadline() -> ContinuousClock.Instant { ContinuousClock.now + talk.patience }
    func full(_ path: String) -> String { root + "/" + path }
    func sealed(_ path: String) -> String { full(path) + Self.mark }
    var scratch: String { full(StorePath.scratch) }
    func parent(of path: String) -> String { StorePath.parent(of: path).map { full($0) } ?? (root.isEmpty ? "/" : root) }
    static func above(_ directory: String) -> String {
        directory.lastIndex(of: "/").map { $0 == directory.startIndex ? "/" : String(directory[..<$0]) } ?? "/"
    }
    func name(of path: String) -> String { String(path.split(separator: "/").last ?? "") }

    // MARK: The port

    package func write(_ bytes: [UInt8], to path: String, replication: Int) async throws(StoreError) {
        try StorePath.check(path)
        let deadline = deadline()
        let there = try await found(bytes, at: path, until: deadline)
        guard there != .same(isSealed: true), there != .same(isSealed: false) else { return }
        let target = there == .other(isSealed: true) ? sealed(path) + "/" + Self.content : full(path)
        let temporary = try await writeTemporary(bytes, for: path, until: deadline)
        do throws(StoreError) { try await replace(target, by: temporary, bytes, for: path, until: deadline) } catch {
            await discard(temporary)
            throw error
        }
    }

    package func commit(_ bytes: [UInt8], as path: String, replication: Int) async throws(StoreError) -> Bool {
        try StorePath.check(path)
        let deadline = deadline()
        switch try await create(bytes, at: path, makesParents: false, until: deadline) {
        case .done: return true
        case .noParent: return false
        case .taken:
            switch try await found(bytes, at: path, until: deadline) {
            case .same: return true
            case .other, .nothing: throw .alreadyExists(path: path)
            }
        }
    }

    package func createExclusively(_ bytes: [UInt8], at path: String) async throws(StoreError) -> Bool {
        try StorePath.check(path)
        return try await create(bytes, at: path, makesParents: true, until: deadline()) == .done
    }

    package func moveDirectory(_ source: String, to destination: String) async throws(StoreError) -> Bool {
        try StorePath.check(source)
        try StorePath.check(destination)
        let deadline = deadline()
        var mayBeDone = false
        try await makeDirectories(parent(of: destination), for: destination, until: deadline)
        return try await talk.persist(source, until: deadline) { _ throws(Trouble) in
            // The destination first: once another mover has made it appear, the source is gone.
            let isTaken = try await exists(destination)
            guard try await talk.entries(of: full(source)) != nil else {
                // With the answer of an earlier attempt lost: it was us, or somebody who meant the same.
                return mayBeDone && isTaken
            }
            if isTaken { throw .final(.alreadyExists(path: destination)) }
            do throws(Trouble) { try await talk.command(talk.renaming(full(source), to: full(destination))) } catch {
                guard case .server(let told) = error else { throw error }
                switch told {
                case .broken: mayBeDone = true
                case .missing, .refused:
                    if try await talk.entries(of: full(source)) == nil { return false }
                    if try await exists(destination) { throw .final(.alreadyExists(path: destination)) }
                case .denied, .full, .unusable: break
                }
                throw error
            }
            return true
        }
    }

    package func makeDirectory(_ path: String) async throws(StoreError) {
        try StorePath.check(path)
        try await makeDirectories(full(path), for: path, until: deadline())
    }

    package func health() async -> StoreHealth {
        // Quick, and without retries: who asks will ask again.
        do throws(Trouble) {
            // Nothing was written yet: what will hold the root says.
            var nearest = root.isEmpty ? "/" : root
            while nearest != "/", try await talk.entries(of: nearest, timeoutSeconds: 5) == nil { nearest = Self.above(nearest) }
            let free = try await talk.freeBytes(at: nearest)
            return StoreHealth(reachable: true, detail: "", freeBytes: free.map { ByteCount(Int64($0)) })
        } catch {
            let detail =
                switch error {
                case .final(let error): "\(error)"
                case .passing(let text): text
                case .server(let error): error.detail
                }
            return StoreHealth(reachable: false, detail: detail)
        }
    }
}
