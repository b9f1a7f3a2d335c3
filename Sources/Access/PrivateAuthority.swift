import Crypto
import Curl
import Foundation
import SwiftASN1
import Vocabulary
import X509

#if canImport(Glibc)
    import Glibc
#endif

/// Certificates of an authority of one's own, for the TLS between the manager, its agents and people.
///
/// Source: RFC 5280 for what is in them; an agent's certificate names its node as the URI `cairn:node:NAME`.
package struct PrivateAuthority {
    /// Its certificate, which everybody needs, and its key, which nobody but the authority does.
    package static let certificateName = "ca.pem"
    package static let keyName = "ca-key.pem"
    package static func uri(of node: NodeID) -> String { nodePrefix + node.rawValue }
    private static let nodePrefix = "cairn:node:"
    /// The node that a certificate's URI names.
    package static func node(of uri: String) -> NodeID? {
        uri.hasPrefix(nodePrefix) && uri.utf8.count > nodePrefix.utf8.count ? NodeID(String(uri.dropFirst(nodePrefix.count))) : nil
    }

    private let directory: String
    private let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// Where a certificate and its key were put.
    package struct Issued: Hashable, Sendable, Codable {
        package var certificate: String
        package var key: String
        package var expiresAt: Timestamp
    }

    /// A new authority in a directory.
    /// - Throws: when one is there already: what it issued would be worth nothing.
    package static func make(in directory: String, name: String, at now: Timestamp, days: Int) throws(AccessError) -> Issued {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw AccessError("cannot make \(directory): \(error.localizedDescription)") }
        for file in [certificateName, keyName] where access("\(directory)/\(file)", F_OK) == 0 {
            throw AccessError("\(directory)/\(file) is there already: an authority is made once. Move it away to begin a new one")
        }
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let expiresAt = now + Seconds(Double(days) * 86_400)
        let made: Certificate
        do {
            let subject = try DistinguishedName { CommonName(name) }
            made = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: key.publicKey, notValidBefore: date(now + backdated), notValidAfter: date(expiresAt),
                issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: key.publicKey)
                }, issuerPrivateKey: key)
        } catch { throw AccessError("the authority's certificate cannot be made: \(error)") }
        return try put(made, key, certificate: "\(directory)/\(certificateName)", key: "\(directory)/\(keyName)", expiresAt)
    }

    package init(in directory: String) throws(AccessError) {
        self.directory = directory
        let keyPath = "\(directory)/\(Self.keyName)"
        do throws(SecretFile.Problem) { try SecretFile.check(keyPath) } catch {
            throw AccessError("\(error.description). `cairn pki init \(directory)` makes an authority")
        }
        do {
            certificate = try Certificate(pemEncoded: try String(contentsOfFile: "\(directory)/\(Self.certificateName)", encoding: .utf8))
            key = try Certificate.PrivateKey(pemEncoded: try String(contentsOfFile: keyPath, encoding: .utf8))
        } catch { throw AccessError("the authority in \(directory) cannot be read: \(error)") }
    }

    /// A certificate for a node's agent, which can report as that node alone.
    package func issue(node: NodeID, at now: Timestamp, days: Int) throws(AccessError) -> Issued {
        try issue("node-" + node.rawValue, [.uniformResourceIdentifier(Self.uri(of: node))], .clientAuth, at: now, days: days)
    }

    /// A certificate for the manager, as it is reached: names and addresses.
    package func issue(server hosts: [String], at now: Timestamp, days: Int) throws(AccessError) -> Issued {
        guard let first = hosts.first else { throw AccessError("a server's certificate needs at least one name or address") }
        let names = hosts.map { host -> GeneralName in
            Self.address(host).map { .ipAddress(ASN1OctetString(contentBytes: ArraySlice($0))) } ?? .dnsName(host)
        }
        return try issue("server-" + first.replacingOccurrences(of: ":", with: "_"), names, .serverAuth, at: now, days: days)
    }

    private func issue(
        _ name: String, _ names: [GeneralName], _ usage: ExtendedKeyUsage.Usage, at now: Timestamp, days: Int
    ) throws(AccessError) -> Issued {
        guard !name.contains("/"), !name.contains("\0") else { throw AccessError("\(name) is no name for a file") }
        let own = Certificate.PrivateKey(P256.Signing.PrivateKey())
        // A certificate is worth nothing longer than the authority's own.
        let expiresAt = min(now + Seconds(Double(days) * 86_400), Timestamp(certificate.notValidAfter.timeIntervalSince1970))
        let made: Certificate
        do {
            made = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: own.publicKey, notValidBefore: Self.date(now + Self.backdated),
                notValidAfter: Self.date(expiresAt), issuer: certificate.subject,
                subject: try DistinguishedName { CommonName(String(name.prefix(64))) },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([usage])
                    SubjectAlternativeNames(names)
                    AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier)
                }, issuerPrivateKey: key)
        } catch { throw AccessError("a certificate for \(name) cannot be made: \(error)") }
        return try Self.put(made, own, certificate: "\(directory)/\(name).pem", key: "\(directory)/\(name)-key.pem", expiresAt)
    }

    /// Clocks differ a little.
    private static let backdated = Seconds(-300)

    private static func put(
        _ made: Certificate, _ key: Certificate.PrivateKey, certificate: String, key keyPath: String, _ expiresAt: Timestamp
    ) throws(AccessError) -> Issued {
        let texts: (certificate: String, key: String)
        do { texts = (try made.serializeAsPEM().pemString + "\n", try key.serializeAsPEM().pemString + "\n") } catch {
            throw AccessError("\(certificate) cannot be encoded: \(error)")
        }
        try PrivateFile.write(Array(texts.key.utf8), to: keyPath)
        try PrivateFile.write(Array(texts.certificate.utf8), to: certificate, mode: 0o644)
        return Issued(certificate: certificate, key: keyPath, expiresAt: expiresAt)
    }

    private static func date(_ time: Timestamp) -> Date { Date(timeIntervalSince1970: time.rawValue) }

    /// The 4 or 16 bytes of a numeric address.
    private static func address(_ host: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
        var six = in6_addr()
        if inet_pton(AF_INET6, host, &six) == 1 { return withUnsafeBytes(of: &six) { Array($0) } }
        return nil
    }
}
