/// The cookie by which a browser shows its token.
package enum SessionCookie {
    private static let name = "cairn-token"

    static func token(in headers: [String]) -> String? {
        for pair in headers.joined(separator: ";").split(separator: ";") {
            let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0] == name { return String(parts[1]) }
        }
        return nil
    }

    /// The value of `Set-Cookie`.
    package static func set(_ token: String, isEncrypted: Bool) -> String {
        "\(name)=\(token); Path=/; HttpOnly; SameSite=Strict" + (isEncrypted ? "; Secure" : "")
    }
    package static func clear(isEncrypted: Bool) -> String {
        "\(name)=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0" + (isEncrypted ? "; Secure" : "")
    }
}
