/// What an operator declares of the machines (`kind: Fleet`).
package struct Fleet: Hashable, Sendable, Codable {
    package var name: String
    package var nodes: [Node]
    package var store: StoreLocation
    /// Directory that holds the images; absolute.
    package var imagesDirectory: String
    package var defaults: Defaults

    package init(name: String, nodes: [Node], store: StoreLocation, imagesDirectory: String, defaults: Defaults = Defaults()) {
        self.name = name
        self.nodes = nodes
        self.store = store
        self.imagesDirectory = imagesDirectory
        self.defaults = defaults
    }

    package struct Node: Hashable, Sendable, Codable {
        package var id: NodeID
        /// libvirt connection URI; `qemu:///embed` means a libvirt inside the agent, rooted in its own directory.
        package var hypervisor: String
        /// Nodes of one class share what is learnt of their reliability.
        package var nodeClass: String
        /// Nodes of one domain (a rack, a room, a power supply) can fail together.
        package var domain: String
        /// How many tasks it may run at once.
        package var capacity: Int
        package var fence: FenceMethod
        /// How Xen runs the guests that start here; nil: the best way that the host has.
        package var guest: XenGuest?
        package init(
            id: NodeID, hypervisor: String = "qemu:///embed", nodeClass: String = "default", domain: String = "default", capacity: Int = 8,
            fence: FenceMethod = .storeOnly, guest: XenGuest? = nil
        ) {
            self.id = id
            self.hypervisor = hypervisor
            self.nodeClass = nodeClass
            self.domain = domain
            self.capacity = capacity
            self.fence = fence
            self.guest = guest
        }
    }

    package struct Defaults: Hashable, Sendable, Codable {
        package var heartbeatSeconds: Seconds
        /// Suspicion (phi) from which a node is watched, and from which it is declared lost.
        package var suspectPhi: Double
        package var lostPhi: Double
        /// What is believed of a node's reliability before anything is seen: its mean time between failures, and how many
        /// failures that belief is worth. nil: nothing is.
        package var priorMTBFSeconds: Seconds?
        package var priorWeight: Double
        package init(
            heartbeatSeconds: Seconds = Seconds(1), suspectPhi: Double = 3, lostPhi: Double = 8,
            priorMTBFSeconds: Seconds? = nil, priorWeight: Double = 1
        ) {
            self.heartbeatSeconds = heartbeatSeconds
            self.suspectPhi = suspectPhi
            self.lostPhi = lostPhi
            self.priorMTBFSeconds = priorMTBFSeconds
            self.priorWeight = priorWeight
        }
    }
}

/// How Xen runs a guest. A guest that was checkpointed as one of them is resumed as the same.
package enum XenGuest: String, Hashable, Sendable, Codable, CaseIterable {
    /// Paravirtualised: on every host; without live checkpoints where the hypervisor has no shadow paging.
    case pv
    /// Paravirtualised but for processor and memory, which the hardware virtualises.
    case pvh
    /// Fully virtualised, with paravirtual disks.
    case hvm
}

/// How a node is made harmless before its tasks are resumed elsewhere.
package enum FenceMethod: Hashable, Sendable, Codable {
    /// Ended by its process identifiers; for nodes that are processes on the manager's own machine.
    case process
    /// A command of the operator's (power switch, cluster tool); exit status 0 means that the node is off.
    case command([String])
    /// Only the epoch raised in the store keeps a stale node from committing.
    case storeOnly
}

package enum StoreLocation: Hashable, Sendable, Codable {
    /// Absolute path of a directory that every node can reach (local, or a mount).
    case directory(String)
    /// HDFS over WebHDFS.
    case webHDFS(HDFSLocation)
    /// A directory of an FTP server.
    case ftp(FTPLocation)
    /// A directory of an SSH server.
    case sftp(SFTPLocation)
}

package struct HDFSLocation: Hashable, Sendable, Codable {
    package enum Identity: Hashable, Sendable, Codable {
        /// HDFS believes who we say that we are.
        case simple(user: String)
        /// SPNEGO, with the ticket of whoever runs this, or with a keytab; absolute.
        case kerberos(keytab: String?)
        /// File that holds a delegation token; absolute.
        case token(String)
    }
    /// `http://host:port` or `https://host:port`.
    package var nameNodes: [String]
    /// Absolute, in HDFS.
    package var root: String
    package var identity: Identity
    /// File with the certificates of the authorities that are trusted for https; nil: the machine's own.
    package var authorities: String?
    package init(nameNodes: [String], root: String, identity: Identity, authorities: String? = nil) {
        self.nameNodes = nameNodes
        self.root = root
        self.identity = identity
        self.authorities = authorities
    }
}

package struct FTPLocation: Hashable, Sendable, Codable {
    package enum Encryption: String, Hashable, Sendable, Codable, CaseIterable {
        /// AUTH TLS on the ordinary port.
        case explicit
        /// TLS from the first byte on.
        case implicit
        /// None: the password and all data can be read and changed on the way.
        case off
        package var usualPort: Int { self == .implicit ? 990 : 21 }
    }
    package var host: String
    package var port: Int
    /// Absolute, on the server.
    package var root: String
    package var user: String
    /// File on every node that holds the password; absolute.
    package var passwordFile: String
    package var encryption: Encryption
    /// File with the certificates of the authorities that are trusted; nil: the machine's own.
    package var authorities: String?
    /// Whether what was written is read again and compared; nil: where nothing else protects it on its way.
    package var readsBack: Bool?
    package init(
        host: String, port: Int? = nil, root: String, user: String, passwordFile: String, encryption: Encryption = .explicit,
        authorities: String? = nil, readsBack: Bool? = nil
    ) {
        self.host = host
        self.port = port ?? encryption.usualPort
        self.root = root
        self.user = user
        self.passwordFile = passwordFile
        self.encryption = encryption
        self.authorities = authorities
        self.readsBack = readsBack
    }
}

package struct SFTPLocation: Hashable, Sendable, Codable {
    /// How the server is known for the right one.
    package enum HostKey: Hashable, Sendable, Codable {
        /// A file as OpenSSH's `known_hosts`; absolute.
        case knownHosts(String)
        /// `SHA256:…`, as `ssh-keygen -l` shows it.
        case fingerprint(String)
    }
    /// A file on every node that proves who we are; absolute.
    package enum Secret: Hashable, Sendable, Codable {
        case key(String)
        case password(String)
    }
    package var host: String
    package var port: Int
    /// Absolute, on the server.
    package var root: String
    package var user: String
    package var secret: Secret
    package var hostKey: HostKey
    package var readsBack: Bool?
    package init(host: String, port: Int = 22, root: String, user: String, secret: Secret, hostKey: HostKey, readsBack: Bool? = nil) {
        self.host = host
        self.port = port
        self.root = root
        self.user = user
        self.secret = secret
        self.hostKey = hostKey
        self.readsBack = readsBack
    }
}
