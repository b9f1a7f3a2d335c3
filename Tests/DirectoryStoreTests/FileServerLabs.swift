import Curl
import FileServerStore
import Foundation
import Ports
import Testing

/// What `scripts/lab ftp run -- swift test` gives.
enum FTPLab {
    private static let environment = ProcessInfo.processInfo.environment
    static let address = environment["CAIRN_FTP"]
    static let implicitAddress = environment["CAIRN_FTPS"]
    static let directory = environment["CAIRN_FTP_DIR"] ?? ""
    /// A directory on a file system of 40 MiB.
    static let small = environment["CAIRN_FTP_SMALL"]
    static var isThere: Bool { address != nil }
    static let turnstile = Lab.Turnstile()

    static func server(
        _ encryption: FileServer.Encryption = .none, port: Int? = nil, host: String = "127.0.0.1", user: String = "anonymous",
        password: String? = nil,
        authorities: String? = nil
    ) throws -> FileServer {
        let address = try #require(encryption == .implicit ? implicitAddress : address)
        let listening = try #require(Int(address.split(separator: ":").last ?? ""))
        return FileServer(
            kind: .ftp(encryption, authorities: authorities ?? directory + "/ca.pem"), host: host, port: port ?? listening, user: user,
            secret: .password(password ?? directory + "/password"))
    }

    /// Where the server that is spoken to in the clear first takes data.
    static func dataPorts() throws -> ClosedRange<Int> {
        let lines = try String(contentsOfFile: directory + "/ftp.conf", encoding: .utf8).split(separator: "\n")
        func value(_ name: String) throws -> Int {
            try #require(lines.first { $0.hasPrefix(name + "=") }.flatMap { Int($0.dropFirst(name.count + 1)) })
        }
        return try value("pasv_min_port")...value("pasv_max_port")
    }

    static func store(_ server: FileServer, root: String, readsBack: Bool? = nil, patience: Duration = .seconds(60)) throws -> FileServerStore {
        try FileServerStore(
            server: server, root: root, readsBack: readsBack, random: Seeded(UInt64.random(in: .min ... .max)), patience: patience)
    }

    static func freshRoot() -> String { directory + "/data/" + UUID().uuidString }

    static func withStore(_ encryption: FileServer.Encryption, _ body: (any CheckpointStore) async throws -> Void) async throws {
        try await turnstile.together {
            let root = freshRoot()
            defer { removed(root) }
            try await body(try store(try server(encryption), root: root))
        }
    }

    /// `scripts/lab ftp WORD` on this lab.
    static func run(_ word: String) throws { try Lab.run(lab: "ftp", directory: directory, [word]) }
}

/// What `scripts/lab sftp run -- swift test` gives.
enum SFTPLab {
    private static let environment = ProcessInfo.processInfo.environment
    static let address = environment["CAIRN_SFTP"]
    static let directory = environment["CAIRN_SFTP_DIR"] ?? ""
    static let small = environment["CAIRN_SFTP_SMALL"]
    /// A file with this user's password for that server alone, where it can have one.
    static let password = environment["CAIRN_SFTP_PASSWORD"]
    static var isThere: Bool { address != nil }
    static let turnstile = Lab.Turnstile()

    static func server(
        port: Int? = nil, key: String? = nil, hostKey: FileServer.HostKey? = nil
    ) throws -> FileServer {
        let address = try #require(address)
        let listening = try #require(Int(address.split(separator: ":").last ?? ""))
        return FileServer(
            kind: .sftp(try hostKey ?? fingerprint()), host: "127.0.0.1", port: port ?? listening, user: environment["CAIRN_SFTP_USER"] ?? "",
            secret: .key(key ?? directory + "/key"))
    }
    static func fingerprint() throws -> FileServer.HostKey {
        .fingerprint(try String(contentsOfFile: directory + "/fingerprint", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines))
    }
    static func freshRoot() -> String { directory + "/data/" + UUID().uuidString }

    static func withStore(_ body: (any CheckpointStore) async throws -> Void) async throws {
        try await turnstile.together {
            let root = freshRoot()
            defer { removed(root) }
            try await body(try FTPLab.store(try server(hostKey: .knownHosts(directory + "/known_hosts")), root: root))
        }
    }
    static func run(_ word: String) throws { try Lab.run(lab: "sftp", directory: directory, [word]) }
}

private func removed(_ root: String) {
    guard FileManager.default.fileExists(atPath: root) else { return }
    do { try FileManager.default.removeItem(atPath: root) } catch { Issue.record("\(root) stays: \(error)") }
}
