import Vocabulary

/// The `store` of a Fleet.
struct StoreReading {
    static let addressPattern = #"https?:\/\/([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}"#
    static let fingerprintPattern = #"SHA256:[A-Za-z0-9+\/]{43}=?"#
    static let form = "one of {directory: …}, {webhdfs: {…}}, {ftp: {…}} and {sftp: {…}}"

    let reading: Reading

    func location() -> StoreLocation? {
        if reading.isScalar {
            if let text = reading.text(Self.form) {
                let advice = text.hasPrefix("/") ? "did you mean {directory: \(shown(text))}?" : Self.form
                reading.trouble("must be a mapping, and is \(shown(text))", advice)
            }
            return nil
        }
        let kinds: [(String, (Reading) -> StoreLocation?)] = [
            ("directory", { $0.absolutePath().map(StoreLocation.directory) }), ("webhdfs", webHDFS), ("ftp", ftp), ("sftp", sftp),
        ]
        guard let fields = reading.fields(DeclaredKeys.store) else { return nil }
        let given = kinds.compactMap { name, read in fields[name].map { (name, read($0)) } }
        switch given.count {
        case 1: return given[0].1
        case 0: if fields.meant.isEmpty { reading.trouble("has no place in it", "give directory, webhdfs, ftp or sftp") }
        default:
            let names = given.map(\.0)
            reading.trouble("is \(names.dropLast().joined(separator: ", ")) and \(names[names.count - 1]) at once", "leave only one of them")
        }
        return nil
    }

    // MARK: HDFS

    private func webHDFS(_ reading: Reading) -> StoreLocation? {
        guard let fields = reading.fields(DeclaredKeys.webHDFS) else { return nil }
        let wanted = "addresses of NameNodes, for example ['http://namenode:9870']"
        let items = fields.required("namenodes", wanted)?.items(wanted)
        var names = UniqueNames()
        let addresses = items?.compactMap { item in
            let address = self.address(item)
            if let address { names.use(address, at: item) }
            return address
        }
        let root = fields.required("root", "the directory in HDFS, for example /cairn")?.absolutePath()
        let authorities = fields["ca"].map { $0.absolutePath() }
        var isFine = true
        if let place = fields["ca"], let addresses, !addresses.contains(where: { $0.hasPrefix("https://") }) {
            place.trouble("means nothing without an https:// address", "leave it out, or give the NameNodes' https addresses")
            isFine = false
        }
        guard let identity = identity(fields), let addresses, let root, authorities != .some(nil), addresses.count == items?.count, isFine else {
            return nil
        }
        return .webHDFS(HDFSLocation(nameNodes: addresses, root: root, identity: identity, authorities: authorities ?? nil))
    }

    private func identity(_ fields: Fields) -> HDFSLocation.Identity? {
        enum Way { case simple, kerberos, token }
        let ways: [(String, Way)] = [("simple", .simple), ("kerberos", .kerberos), ("token", .token)]
        guard let way = fields["authentication"].map({ $0.choice(ways, "simple, kerberos or token") }) ?? .simple else { return nil }
        var isFine = true
        func foreign(_ name: String, _ wanted: String) {
            guard let place = fields[name] else { return }
            place.trouble("means nothing here", wanted)
            isFine = false
        }
        let user = way == .simple ? fields.required("user", "the user that HDFS knows us as, for example cairn") : nil
        let token = way == .token ? fields.required("token", "the absolute path of a file, of mode 600, that holds a delegation token") : nil
        if way != .simple { foreign("user", "with this authentication HDFS knows who we are") }
        if way != .kerberos { foreign("keytab", "with authentication: kerberos it does") }
        if way != .token { foreign("token", "with authentication: token it does") }
        switch way {
        case .simple:
            guard let user = user?.text("the user that HDFS knows us as"), isFine else { return nil }
            return .simple(user: user)
        case .kerberos:
            let keytab = fields["keytab"].map(secretFile)
            return isFine && keytab != .some(nil) ? .kerberos(keytab: keytab ?? nil) : nil
        case .token:
            guard let token = token.flatMap(secretFile), isFine else { return nil }
            return .token(token)
        }
    }

    private func address(_ reading: Reading) -> String? {
        let wanted = "for example http://namenode:9870"
        guard let text = reading.text(wanted) else { return nil }
        if let match = text.wholeMatch(of: #/https?:\/\/([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})/#) {
            if let port = Int(match.2), (1...65_535).contains(port) { return text }
            reading.trouble("\(shown(text)) has a port that is not from 1 to 65535", wanted)
            return nil
        }
        let advice =
            if text.wholeMatch(of: #/[A-Za-z0-9.-]+:[0-9]{1,5}/#) != nil {
                "did you mean http://\(shown(text))?"
            } else if text.hasSuffix("/"), text.dropLast().wholeMatch(of: #/https?:\/\/[A-Za-z0-9.-]+:[0-9]{1,5}/#) != nil {
                "did you mean \(shown(String(text.dropLast())))?"
            } else if text.hasPrefix("hdfs:") || text.hasPrefix("webhdfs:") {
                "the NameNode's HTTP address, \(wanted)"
            } else {
                wanted
            }
        reading.trouble("\(shown(text)) is no address of a NameNode", advice)
        return nil
    }

    // MARK: File servers

    private func ftp(_ reading: Reading) -> StoreLocation? {
        guard let fields = reading.fields(DeclaredKeys.ftp) else { return nil }
        var isFine = true
        let tls: FTPLocation.Encryption
        if let given = fields["tls"] {
            let choice = given.choice(FTPLocation.Encryption.allCases.map { ($0.rawValue, $0) }, "explicit (AUTH TLS), implicit, or off")
            isFine = choice != nil
            tls = choice ?? .explicit
        } else {
            tls = .explicit
        }
        let host = fields.required("host", "the server's name or address").flatMap(self.host)
        let port = fields["port"].map { $0.whole(1...65_535) }
        let root = fields.required("root", Self.rootForm).flatMap(serverRoot)
        let user = fields.required("user", "the user that the server knows us as").flatMap(self.user)
        let password = fields.required("password", "the absolute path of a file, of mode 600, that holds the password").flatMap(secretFile)
        let authorities = fields["ca"].map { $0.absolutePath() }
        if tls == .off, let place = fields["ca"] { place.trouble("means nothing without TLS", "leave it out, or give tls: explicit") }
        let readBack = fields["readBack"].map(truth)
        guard let host, let root, let user, let password, isFine, port != .some(nil), authorities != .some(nil), readBack != .some(nil) else {
            return nil
        }
        if tls == .off, fields["ca"] != nil { return nil }
        if tls == .off, let place = fields["tls"] {
            place.warning("sends the password and every checkpoint so that all on the way can read and change them", "use explicit or implicit")
        }
        return .ftp(
            FTPLocation(
                host: host, port: port ?? nil, root: root, user: user, passwordFile: password, encryption: tls, authorities: authorities ?? nil,
                readsBack: readBack ?? nil))
    }

    private func sftp(_ reading: Reading) -> StoreLocation? {
        guard let fields = reading.fields(DeclaredKeys.sftp) else {
            return nil
        }
        let host = fields.required("host", "the server's name or address").flatMap(self.host)
        let port = fields["port"].map { $0.whole(1...65_535) }
        let root = fields.required("root", Self.rootForm).flatMap(serverRoot)
        let user = fields.required("user", "the user that the server knows us as").flatMap(self.user)
        let key = fields["key"].flatMap(secretFile)
        let password = fields["password"].flatMap(secretFile)
        let knownHosts = fields["knownHosts"].flatMap { $0.absolutePath() }
        let fingerprint = fields["hostKey"].flatMap(self.fingerprint)
        let readBack = fields["readBack"].map(truth)
        var isFine = port != .some(nil) && readBack != .some(nil)
        isFine = one(of: ("key", "password"), fields, reading, "a file with a private key, or one with a password: exactly one of them") && isFine
        let wanted = "a file as OpenSSH's known_hosts, or the key's SHA256:… as ssh-keygen -l shows it: exactly one of them"
        isFine = one(of: ("knownHosts", "hostKey"), fields, reading, wanted) && isFine
        guard let host, let root, let user, isFine, let secret = key.map(SFTPLocation.Secret.key) ?? password.map(SFTPLocation.Secret.password),
            let hostKey = knownHosts.map(SFTPLocation.HostKey.knownHosts) ?? fingerprint.map(SFTPLocation.HostKey.fingerprint)
        else { return nil }
        return .sftp(
            SFTPLocation(
                host: host, port: port.flatMap { $0 } ?? 22, root: root, user: user, secret: secret, hostKey: hostKey, readsBack: readBack ?? nil))
    }

    private func one(of names: (String, String), _ fields: Fields, _ reading: Reading, _ wanted: String) -> Bool {
        switch (fields[names.0], fields[names.1]) {
        case (nil, nil): reading.trouble("has neither \(names.0) nor \(names.1)", wanted)
        case (_?, let second?): second.trouble("is given beside \(names.0)", wanted)
        default: return true
        }
        return false
    }

    private func host(_ reading: Reading) -> String? {
        let wanted = "a name or an address, for example backup.example.org"
        guard let text = reading.text(wanted) else { return nil }
        if text.wholeMatch(of: #/[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+/#) != nil {
            // A name and a port look like an address of IPv6 with one colon, and those have two at least.
            if text.count(where: { $0 == ":" }) != 1 { return text }
        }
        let advice =
            if text.contains("://") {
                "the host alone; port, user and root have keys of their own"
            } else if let match = text.wholeMatch(of: #/([A-Za-z0-9.-]+):([0-9]{1,5})/#) {
                "did you mean host: \(match.1), port: \(match.2)?"
            } else {
                wanted
            }
        reading.trouble("\(shown(text)) is no host", advice)
        return nil
    }

    private static let rootForm = "the directory on the server, for example /cairn"

    private func serverRoot(_ reading: Reading) -> String? {
        guard let path = reading.absolutePath() else { return nil }
        guard path.wholeMatch(of: #/[A-Za-z0-9._:\/-]+/#) != nil else {
            reading.trouble(
                "\(shown(path)) has characters that are not safe in a server's commands", "letters, digits, dots, colons, dashes and underscores")
            return nil
        }
        return path
    }

    private func user(_ reading: Reading) -> String? { reading.text("the user that the server knows us as") }

    private func secretFile(_ reading: Reading) -> String? {
        let wanted = "the absolute path of a file of mode 600; never the secret itself"
        // What it says is not shown: it may be the secret, written into the wrong place.
        guard let text = reading.text(wanted) else { return nil }
        guard text.hasPrefix("/"), !text.split(separator: "/").contains("..") else {
            reading.trouble("is no absolute path", wanted)
            return nil
        }
        return text
    }

    private func fingerprint(_ reading: Reading) -> String? {
        let wanted = "SHA256: and 43 characters, as ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub shows it"
        guard let text = reading.text(wanted) else { return nil }
        guard isMatched(text, by: Self.fingerprintPattern) else {
            reading.trouble("\(shown(text)) is no digest of a key", wanted)
            return nil
        }
        return text
    }

    private func truth(_ reading: Reading) -> Bool? { reading.choice([("true", true), ("false", false)], "true or false") }
}
