import Vocabulary

/// Every key of every declaration.
enum DeclaredKeys {
    static let kinds = ["TaskSLA", "CheckpointPolicy", "Fleet"]

    /// A whole document; nil for a kind that is not there.
    static func document(kind: String) -> Keys? {
        let spec: Keys
        switch kind {
        case "TaskSLA": spec = taskSLA
        case "CheckpointPolicy": spec = policy
        case "Fleet": spec = fleet
        default: return nil
        }
        return Keys(
            document.keys.map { key in
                switch key.name {
                case "kind": Key("kind", .choice([kind]), default: nil)
                case "spec": Key("spec", .mapping(spec), default: nil, key.words)
                default: key
                }
            })
    }

    static let document = Keys([
        Key("apiVersion", .choice(["cairn/v1"]), default: nil),
        Key("kind", .choice(kinds), default: nil),
        Key("metadata", .mapping(metadata), default: nil),
        Key("spec", .mapping(Keys([])), default: nil, "what is declared"),
    ])

    static let metadata = Keys([
        Key("name", .name, default: nil, "unique within its kind"),
        Key("labels", .texts, default: "none", "of a TaskSLA: a policy's rules can ask for them"),
    ])

    static let prices = Keys([
        Key("timePerHour", price, default: nil, "currency for each hour that a task takes longer"),
        Key("networkPerGiB", price, default: nil, "currency for each GiB sent to the store"),
        Key("storagePerGiBHour", price, default: nil, "currency for each GiB and hour kept in the store"),
    ])
    private static let price = Form.number(zero: true, atMost: PricesReading.mostMoney)

    // MARK: TaskSLA

    static let taskSLA = Keys([
        Key("task", .mapping(task), default: nil, "what to run"),
        Key("progress", .either([.choice(["cpu-time"]), .mapping(progress)]), default: nil, "or a mapping with `console`"),
        Key("deadline", .mapping(deadline), default: "none"),
        Key("limits", .mapping(limits), default: "none", "at least one of them"),
        Key("penalty", .mapping(penalty), default: "none", "needs a deadline"),
        Key(
            "preference", .either([.name, .mapping(prices)]), default: "`balanced`",
            "a name from the policy, or prices of the owner's own, in the policy's currency"),
        Key("policy", .name, default: "`default`", "the policy that applies"),
    ])

    static let task = Keys([
        Key("image", .path, default: "none", "directory made by `cairn image build`; a relative one is below the fleet's `images`"),
        Key(
            "base", .path, default: "the image's",
            "file that replaces the image's; without an image all three of `base`, `kernel` and `ramdisk` are required, but see `union`"),
        Key("kernel", .path, default: "the image's", "likewise"),
        Key("ramdisk", .path, default: "the image's", "likewise"),
        Key(
            "union", .choice(GuestUnion.allCases.map(\.rawValue)), default: "the image's, else `auto`",
            "what unites base and delta; see [guests of one's own](#guests-of-ones-own)"),
        Key(
            "arguments", .text(atMost: TaskSLAReading.longestArguments), default: "",
            "only without an image: the kernel's command line of a guest of one's own"),
        Key("memory", .size(TaskSLAReading.memory), default: nil),
        Key("cpus", .whole(TaskSLAReading.processors), default: "1", "virtual CPUs"),
        Key(
            "delta", .size(TaskSLAReading.delta), default: nil,
            "a multiple of \(Quantity.text(TaskSLAReading.deltaBlock)): the disk that holds all that the task writes"),
        Key(
            "run", .text(atMost: TaskSLAReading.longestCommand), default: "none",
            "required, but with `arguments` or without kernel: the command line that the guest runs after boot; one line"),
        Key("work", .length, default: nil, "the time that the whole task needs, undisturbed"),
    ])

    static let progress = Keys([Key("console", .mapping(console), default: nil, "what the guest says on its console")])

    static let console = Keys([
        Key("pattern", .expression, default: nil, "one capture: a fraction or percentage (`0.25`, `25%`); two: done and total"),
        Key("result", .expression, default: nil, "one capture: the task's result; the line means that it finished"),
        Key("failure", .expression, default: "none", "at most one capture; the line means that the task itself failed"),
    ])

    static let deadline = Keys(
        [
            Key("at", .moment, default: "", "exactly one of `at` and `within`"),
            Key("within", .length, default: "", "from submission; longer than `task.work`"),
            Key(
                "confidence", .share, default: Quantity.text(TaskSLAReading.defaultConfidence),
                "below 1: how probable it must be, at any time, that the deadline is met"),
        ], .exactlyOne(["at", "within"]))

    static let limits = Keys(
        [
            Key("lostWork", .duration(TaskSLAReading.lostWork), default: "none", "work that may be lost to one failure"),
            Key("recovery", .duration(TaskSLAReading.recovery), default: "none", "from a failure until the task runs again"),
            Key("stopped", .share, default: "none", "of running time that the guest may stand still for checkpoints"),
        ], .atLeastOne)

    static let penalty = Keys([
        Key("amount", amount, default: nil, "owed for each `per` of lateness, linearly; needs a deadline"),
        Key("per", .length, default: nil),
        Key("cap", amount, default: "none", "the most that is owed"),
        Key("currency", .currency, default: nil),
    ])
    private static let amount = Form.number(zero: false, atMost: TaskSLAReading.mostMoney)

    // MARK: CheckpointPolicy

    static let policy = Keys(
        [
            Key("currency", .currency, default: nil, "what all prices are in"),
            Key("preferences", .names(.mapping(prices)), default: "below", "what owners may prefer; more names can be added"),
        ] + settings + [
            Key("network", .mapping(network), default: "none", "bounds what uploads take; see [staggering](policy-tools.md#staggering)"),
            Key("rules", .list(.mapping(rule)), default: "none", "tried in order; every one that matches is applied, later ones over earlier ones"),
        ])

    static let network = Keys([
        Key(
            "ceiling", .size(PolicyReading.networkCeiling), default: nil,
            "in a second: what uploads of all tasks of this policy may take together, copies counted")
    ])

    /// A policy's own, and its rules'.
    private static let settings = [
        Key(
            "mode", .choice(CheckpointPolicy.Mode.allCases.map(\.rawValue)), default: "`Enforce`",
            "`Enforce` acts; `Audit` decides and records, and acts on nothing"),
        Key("interval", .mapping(interval), default: "as below"),
        Key("compression", .mapping(compression), default: "as below"),
        Key(
            "replication", .either([.whole(PolicyReading.replication), .mapping(replication)]), default: replicationDefault,
            "copies of each part; a store that cannot replicate keeps one. One number, or one for each of `base`, `memory` and `delta`"),
        Key("retention", .mapping(retention), default: "as below", "at least one of its keys"),
        Key("chain", .mapping(chain), default: "as below", "at least one of its keys"),
    ]
    static let overrides = Keys(settings, .atLeastOne)
    private static let usual = CheckpointPolicy.Settings()
    private static let replicationDefault = "\(usual.replication)"

    static let interval = Keys([
        Key("strategy", .choice(PolicyReading.strategies), default: "`adaptive`", "see below"),
        Key("every", .duration(PolicyReading.interval), default: "", "required with `fixed` and only there; between floor and ceiling"),
        Key("floor", .duration(PolicyReading.interval), default: Quantity.text(usual.floorSeconds), "no checkpoint sooner after the one before"),
        Key("ceiling", .duration(PolicyReading.interval), default: Quantity.text(usual.ceilingSeconds), "not below the floor: no checkpoint later"),
    ])

    static let compression = Keys([
        Key(
            "choice", .choice(CompressionChoice.allCases.map(\.rawValue)), default: "`\(usual.compression.rawValue)`",
            "`estimate`: where it is predicted to pay; `always`; `never`"),
        Key(
            "codecs", .list(.choice(PolicyReading.codecs.map(\.rawValue))), default: "`[\(usual.codecs.map(\.rawValue).joined(separator: ", "))]`",
            "those that may be used, best liked first, each once; `always` needs one that compresses, `never` needs `none`"),
    ])

    static let replication = Keys([
        Key("base", .whole(PolicyReading.replication), default: nil, "copies of base systems, kernels and ramdisks"),
        Key("memory", .whole(PolicyReading.replication), default: nil, "copies of memory images"),
        Key("delta", .whole(PolicyReading.replication), default: nil, "copies of layers of the delta disk"),
    ])

    static let retention = Keys(
        [
            Key("keepLast", .whole(PolicyReading.keepLast), default: "\(usual.keepLast)", "newest checkpoints of each task"),
            Key("keepFor", .duration(PolicyReading.interval), default: "", "checkpoints that are no older are kept as well, however many"),
        ], .atLeastOne)

    static let chain = Keys(
        [
            Key(
                "merge", .choice(ChainRule.Merge.allCases.map(\.rawValue)), default: "`\(usual.chain.merge.rawValue)`",
                "when the layers of a running guest's delta disk are merged: `estimate`: when that is predicted to pay, or there are `maxLayers`; "
                    + "`count`: when there are `maxLayers`; `never`"
            ),
            Key("maxLayers", .whole(PolicyReading.maxLayers), default: "\(usual.chain.maxLayers)", "layers below the one in use"),
        ], .atLeastOne)

    static let rule = Keys([
        Key("name", .name, default: nil, "unique in the policy; decisions name the rules that applied"),
        Key("when", .mapping(condition), default: nil, "at least one condition; all that are given must hold"),
        Key(
            "set", .mapping(overrides), default: nil,
            "any of `mode`, `interval`, `compression`, `replication`, `retention`, `chain`, as in the policy; what is not given stays as it is"),
    ])

    static let condition = Keys(
        [
            Key("labels", .texts, default: "", "the task has all of these labels"),
            Key("probabilityMetBelow", .share, default: "", "the probability that the deadline is met is below this"),
            Key("mtbfBelow", .length, default: "", "the node's mean time between failures, as estimated, is below this"),
            Key("checkpointAbove", .size(PolicyReading.checkpointAbove), default: "", "a checkpoint is predicted to send more than this"),
        ], .atLeastOne)

    // MARK: Fleet

    static let fleet = Keys([
        Key("images", .absolutePath, default: nil, "the directory that holds the images, the same on every node"),
        Key("nodes", .list(.mapping(node)), default: nil, "at least one"),
        Key("store", .mapping(store), default: nil, "exactly one of its keys"),
        Key("defaults", .mapping(defaults), default: "as below"),
    ])

    private static let plainNode = Fleet.Node(id: NodeID("a"))
    static let node = Keys([
        Key("name", .name, default: nil, "unique in the fleet"),
        Key("class", .name, default: "`\(plainNode.nodeClass)`", "nodes of one class share what is learnt of their reliability"),
        Key(
            "domain", .name, default: "`\(plainNode.domain)`",
            "nodes of one domain (a rack, a power supply) can fail together: what takes several of them within a minute counts as one failure, and "
                + "threatens them all"),
        Key(
            "hypervisor", .match(FleetReading.hypervisorPattern, called: "text"), default: "`\(plainNode.hypervisor)`",
            "a libvirt URI; `qemu:///embed` is a libvirt inside the agent, `xen:///system` the Xen whose control domain the agent runs in"),
        Key(
            "guest", .choice(["auto"] + XenGuest.allCases.map(\.rawValue)), default: "`auto`",
            "how Xen runs the guests that start there, only with `xen:///system`; `auto`: `pvh` where the host has it, else `pv`. "
                + "A guest that is resumed stays what it was. `hvm` needs hardware that no test has: it is untried"
        ),
        Key("capacity", .whole(FleetReading.capacity), default: "\(plainNode.capacity)", "tasks at once"),
        Key(
            "fence", .either([.choice(["process", "store-only"]), .mapping(command)]), default: "`store-only`",
            "or `{command: [program, argument, …]}`"),
    ])
    static let command = Keys([Key("command", .list(.text()), default: nil, "the program and its arguments")])

    static let store = Keys(
        [
            Key("directory", .absolutePath, default: "", "reached by every node; exactly one of `directory`, `webhdfs`, `ftp` and `sftp`"),
            Key("webhdfs", .mapping(webHDFS), default: ""),
            Key("ftp", .mapping(ftp), default: ""),
            Key("sftp", .mapping(sftp), default: ""),
        ], .exactlyOne(["directory", "webhdfs", "ftp", "sftp"]))

    private static let authorities = "file with the certificates of the authorities that may have signed the servers'"
    static let webHDFS = Keys([
        Key(
            "namenodes", .list(.match(StoreReading.addressPattern, called: "text")), default: nil,
            "addresses `http://host:port` or `https://host:port`, each once"),
        Key("root", .absolutePath, default: nil, "the directory in HDFS"),
        Key(
            "authentication", .choice(["simple", "kerberos", "token"]), default: "`simple`",
            "`simple`: HDFS believes the user's name; `kerberos`: by SPNEGO; `token`: by a delegation token"),
        Key("user", .text(), default: "required with `simple`", "the user that HDFS knows Cairn as"),
        Key(
            "keytab", .absolutePath, default: "the ticket of the user that runs Cairn",
            "with `kerberos`: a keytab of one principal, of mode 600 or stricter"),
        Key(
            "token", .absolutePath, default: "required with `token`",
            "a file that holds the token as one line, of mode 600 or stricter; read for each request, so that another program can renew it"),
        Key("ca", .absolutePath, default: "the machine's", authorities + ", for `https` addresses"),
    ])

    private static let port = Form.whole(1...65_535)
    private static let serverRoot = "as the server's user sees it; of letters, digits and `. _ : -`"
    static let ftp = Keys([
        Key("host", .text(), default: nil, "name or address alone"),
        Key("port", port, default: "21", "990 with `tls: implicit`"),
        Key("root", .absolutePath, default: nil, serverRoot),
        Key("user", .text(), default: nil),
        Key(
            "password", .absolutePath, default: nil,
            "a file that holds the password as one line, of mode 600 or stricter, on the manager's machine and every node"),
        Key(
            "tls", .choice(FTPLocation.Encryption.allCases.map(\.rawValue)), default: "`explicit`",
            "`explicit` (AUTH TLS), `implicit` (TLS from the first byte), `off` (a warning)"),
        Key("ca", .absolutePath, default: "the machine's", authorities),
        Key("readBack", .truth, default: "with `tls: off` `true`, else `false`", readBack),
    ])
    static let sftp = Keys([
        Key("host", .text(), default: nil, "name or address alone"),
        Key("port", port, default: "22"),
        Key("root", .absolutePath, default: nil, serverRoot),
        Key("user", .text(), default: nil),
        Key(
            "key", .absolutePath, default: "",
            "exactly one of `key` and `password`: a file with a private key without a passphrase (Ed25519 or ECDSA; RSA only for servers that "
                + "still take SHA-1), of mode 600 or stricter"
        ),
        Key("password", .absolutePath, default: "", "a file with a password, of mode 600 or stricter"),
        Key(
            "knownHosts", .absolutePath, default: "",
            "exactly one of `knownHosts` and `hostKey`: a file as OpenSSH's `known_hosts`; any other host key is refused"),
        Key("hostKey", .match(StoreReading.fingerprintPattern, called: "text"), default: "", "the key's `SHA256:…`"),
        Key("readBack", .truth, default: "`false`", readBack),
    ])
    private static let readBack = "whether every file is read again after it was written, and compared"

    private static let plain = Fleet.Defaults()
    private static let phi = Form.number(zero: false, atMost: FleetReading.mostSuspicion)
    static let defaults = Keys([
        Key("heartbeat", .duration(FleetReading.heartbeat), default: Quantity.text(plain.heartbeatSeconds), "how often nodes report"),
        Key("suspicion", .mapping(suspicion), default: "as below"),
        Key("reliability", .mapping(reliability), default: "as below"),
    ])
    static let suspicion = Keys([
        Key("suspect", phi, default: Quantity.text(plain.suspectPhi), "not above `lost`: the suspicion (φ) from which a node is watched"),
        Key("lost", phi, default: Quantity.text(plain.lostPhi), "the suspicion from which it is declared lost"),
    ])
    static let reliability = Keys([
        Key(
            "mtbf", .length, default: "nothing is believed: from ten minutes to a year, and the first failures tell",
            "above the heartbeat: the mean time between a node's failures, as believed before anything is seen"),
        Key(
            "weight", .number(zero: false, atMost: FleetReading.mostWeight), default: Quantity.text(plain.priorWeight),
            "with `mtbf` only: how many failures that belief is worth"),
    ])
}
