import Foundation

/// A server of files, how it is known for the right one, and how it knows us.
package struct FileServer: Hashable, Sendable {
    package enum Encryption: String, Hashable, Sendable {
        /// Everything can be read and changed on the way, the password too.
        case none
        /// AUTH TLS on the ordinary port, or nothing (RFC 4217).
        case explicit
        /// TLS from the first byte on.
        case implicit
    }
    package enum HostKey: Hashable, Sendable {
        /// A file as OpenSSH's `known_hosts`, absolute path.
        case knownHosts(String)
        /// `SHA256:` and the digest in base64, as `ssh-keygen -l` shows it.
        case fingerprint(String)
    }
    package enum Kind: Hashable, Sendable {
        /// - Parameter authorities: file with the certificates that are trusted; nil: the machine's.
        case ftp(Encryption, authorities: String?)
        case sftp(HostKey)
    }
    package enum Secret: Hashable, Sendable {
        /// A file that holds the password, absolute path.
        case password(String)
        /// A file that holds a private key, absolute path.
        case key(String)
        var file: String {
            switch self {
            case .password(let file), .key(let file): file
            }
        }
    }
    package var kind: Kind
    package var host: String
    package var port: Int
    package var user: String
    package var secret: Secret

    package init(kind: Kind, host: String, port: Int, user: String, secret: Secret) {
        self.kind = kind
        self.host = host
        self.port = port
        self.user = user
        self.secret = secret
    }

    package var isFTP: Bool { if case .ftp = kind { true } else { false } }
    /// What arrives is what was sent: by the cipher's own codes.
    package var isProtected: Bool { if case .ftp(.none, _) = kind { false } else { true } }
    /// Host and port, for people.
    package var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
    var scheme: String {
        switch kind {
        case .ftp(.implicit, _): "ftps"
        case .ftp: "ftp"
        case .sftp: "sftp"
        }
    }
    /// - Parameter path: absolute.
    func url(_ path: String) -> String {
        // FTP's paths begin at where the user logs in; a slash of its own makes one absolute (RFC 1738, 3.2.2).
        "\(scheme)://\(authority)" + (isFTP ? "/%2F" + path.dropFirst() : path)
    }

    /// - Throws: when secrets or lists of keys are not as they should be.
    package func check() throws(SecretFile.Problem) {
        try SecretFile.check(secret.file)
        if case .password = secret { _ = try SecretFile.line(secret.file) }
        let readable: String?
        switch kind {
        case .ftp(_, let authorities): readable = authorities
        case .sftp(.knownHosts(let file)): readable = file
        case .sftp(.fingerprint): readable = nil
        }
        if let readable, !FileManager.default.isReadableFile(atPath: readable) { throw .init(description: "\(readable) cannot be read") }
    }
}
