import Vocabulary

/// The `spec` of a Fleet.
struct FleetReading {
    static let capacity = 1...1_000
    /// Suspicion is -log10 of a probability; at 100 it is beyond what doubles tell apart from zero.
    static let mostSuspicion = 100.0
    static let heartbeat = Seconds(0.1)...Seconds.minutes(5)
    static let mostWeight = 1e6
    static let hypervisorPattern = #"[a-z]+(\+[a-z0-9]+)?:\/\/[^\s]*"#

    let spec: Reading

    func fleet(name: String) -> Fleet? {
        guard let fields = spec.fields(DeclaredKeys.fleet) else { return nil }
        let images = fields.required("images", "the absolute path of the directory of images")?.absolutePath()
        let nodes = fields.required("nodes", "for example [{name: a}]").flatMap(self.nodes)
        let store = fields.required("store", StoreReading.form).flatMap { StoreReading(reading: $0).location() }
        let defaults = fields["defaults"].map(self.defaults) ?? Fleet.Defaults()
        guard let images, let nodes, let store else { return nil }
        return Fleet(name: name, nodes: nodes, store: store, imagesDirectory: images, defaults: defaults)
    }

    // MARK: Nodes

    private func nodes(_ reading: Reading) -> [Fleet.Node]? {
        var names = UniqueNames()
        return reading.items("for example [{name: a}]")?.compactMap { item in
            guard let fields = item.fields(DeclaredKeys.node) else { return nil }
            let name = fields.required("name", Name.form)?.name()
            if let name, let reading = fields["name"] { names.use(name, at: reading) }
            var node = Fleet.Node(id: NodeID(name ?? ""))
            if let given = fields["class"]?.name() { node.nodeClass = given }
            if let given = fields["domain"]?.name() { node.domain = given }
            if let given = fields["hypervisor"].flatMap(hypervisor) { node.hypervisor = given }
            node.guest = fields["guest"].flatMap { guest($0, on: node.hypervisor) }
            if let given = fields["capacity"]?.whole(Self.capacity) { node.capacity = given }
            if let given = fields["fence"].flatMap(fence) { node.fence = given }
            return name == nil ? nil : node
        }
    }

    private func hypervisor(_ reading: Reading) -> String? {
        let wanted = "a libvirt URI, for example qemu:///embed, qemu:///system or xen:///system"
        guard let text = reading.text(wanted) else { return nil }
        guard isMatched(text, by: Self.hypervisorPattern) else {
            reading.trouble("\(shown(text)) is no libvirt URI", wanted)
            return nil
        }
        return text
    }

    /// nil for `auto`.
    private func guest(_ reading: Reading, on hypervisor: String) -> XenGuest? {
        let kinds: [(String, XenGuest?)] = [("auto", nil)] + XenGuest.allCases.map { ($0.rawValue, $0) }
        let chosen = reading.choice(kinds)
        if chosen != nil, !hypervisor.hasPrefix("xen") {
            reading.trouble("says how Xen runs guests, and \(shown(hypervisor)) is no Xen", "leave it out, or give hypervisor: 'xen:///system'")
        }
        return chosen ?? nil
    }

    private func fence(_ reading: Reading) -> FenceMethod? {
        if reading.isScalar {
            switch reading.choice(["process", "store-only", "command"].map { ($0, $0) }) {
            case "process": return .process
            case "store-only": return .storeOnly
            case "command": reading.trouble("command needs its words", "write {command: [/path/to/program, argument]}")
            default: break
            }
            return nil
        }
        guard let command = reading.fields(DeclaredKeys.command)?.required("command", "the program and its arguments, as a list") else { return nil }
        guard let items = command.items("the program and its arguments, as a list") else { return nil }
        let words = items.compactMap { $0.text() }
        return words.count == items.count ? .command(words) : nil
    }

    // MARK: Defaults

    private func defaults(_ reading: Reading) -> Fleet.Defaults {
        var defaults = Fleet.Defaults()
        guard let fields = reading.fields(DeclaredKeys.defaults) else { return defaults }
        if let given = fields["heartbeat"]?.duration(Self.heartbeat) { defaults.heartbeatSeconds = given }
        if let suspicion = fields["suspicion"]?.fields(DeclaredKeys.suspicion) {
            if let given = suspicion["suspect"]?.number(zero: false, atMost: Self.mostSuspicion) { defaults.suspectPhi = given }
            if let given = suspicion["lost"]?.number(zero: false, atMost: Self.mostSuspicion) { defaults.lostPhi = given }
            if defaults.suspectPhi > defaults.lostPhi, let place = suspicion["suspect"] ?? suspicion["lost"] {
                let suspect = suspicion["suspect"] == nil ? " (the default)" : ""
                let lost = suspicion["lost"] == nil ? " (the default)" : ""
                place.trouble(
                    "a node would be lost at \(Quantity.text(defaults.lostPhi))\(lost), before it is suspected at "
                        + "\(Quantity.text(defaults.suspectPhi))\(suspect)",
                    suspect + lost == "" ? "swap them?" : "give both suspect and lost")
            }
        }
        if let reliability = fields["reliability"]?.fields(DeclaredKeys.reliability) {
            if let given = reliability["mtbf"]?.length() {
                defaults.priorMTBFSeconds = given
                if given <= defaults.heartbeatSeconds {
                    reliability["mtbf"]?.trouble(
                        "of \(Quantity.text(given)) is not above the heartbeat of \(Quantity.text(defaults.heartbeatSeconds))",
                        "nodes that fail faster than they report cannot be watched")
                }
            }
            if let given = reliability["weight"]?.number(zero: false, atMost: Self.mostWeight) {
                defaults.priorWeight = given
                if reliability["mtbf"] == nil { reliability["weight"]?.trouble("is the weight of no opinion", "give mtbf as well") }
            }
        }
        return defaults
    }
}
