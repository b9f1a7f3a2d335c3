import Vocabulary

/// The `spec` of a TaskSLA.
struct TaskSLAReading {
    /// A Linux kernel with its ramdisk unpacked does not come up in less.
    static let memory = ByteCount.mebibytes(32)...ByteCount.gibibytes(16 << 10)
    static let processors = 1...256
    /// The disk images' own limits, and ext4's block.
    static let delta = ByteCount.mebibytes(16)...ByteCount.gibibytes(16 << 10)
    static let deltaBlock = ByteCount(4_096)
    /// x86 Linux cuts its command line at 2048 bytes, some of which are ours. Source: COMMAND_LINE_SIZE, arch/x86/include/asm/setup.h.
    static let longestCommand = 1_900
    static let longestArguments = 1_000
    /// A failure has to be noticed, by several missed heartbeats, and a guest restored.
    static let recovery = Seconds(5)...Quantity.longestDuration
    static let lostWork = Seconds(1)...Quantity.longestDuration
    /// More money than anybody owes for one task; sums of it stay exact.
    static let mostMoney = 1e9
    static let defaultConfidence = 0.95
    private static let deadlineForm = "for example {within: 2h} or {at: 2027-01-31T18:00:00Z}"
    private static let progressForm = "write cpu-time, or {console: {pattern: …, result: …}}"

    let spec: Reading

    func taskSLA(name: String, labels: [String: String]) -> TaskSLA? {
        guard let fields = spec.fields(DeclaredKeys.taskSLA) else { return nil }
        let taskReading = fields.required("task", "what to run: image, memory, delta, run, work")
        let task = taskReading.flatMap(self.task)
        let progress = fields.required("progress", Self.progressForm).flatMap(self.progress)
        let deadline = fields["deadline"].flatMap { self.deadline($0, work: task?.workSeconds) }
        let limits = fields["limits"].map { self.limits($0, work: task?.workSeconds) }
        let penalty = fields["penalty"].flatMap(self.penalty)
        if let reading = fields["penalty"], fields["deadline"] == nil, !fields.meant.contains("deadline") {
            reading.trouble("is owed for lateness, and there is no deadline", "declare spec.deadline, or leave the penalty out")
        }
        let preference = fields["preference"].flatMap(self.preference)
        let policy = fields["policy"].flatMap { $0.name() }
        guard let task, let progress else { return nil }
        return TaskSLA(
            name: name, labels: labels, task: task, progress: progress, deadline: deadline, limits: limits ?? Limits(), penalty: penalty,
            preference: preference ?? .named("balanced"), policy: policy ?? "default")
    }

    // MARK: What to run

    private func task(_ reading: Reading) -> TaskSpec? {
        guard let fields = reading.fields(DeclaredKeys.task) else { return nil }
        let union = fields["union"].flatMap { $0.choice(GuestUnion.allCases.map { ($0.rawValue, $0) }) }
        let paths = files(fields, reading, union)
        let memory = fields.required("memory", "for example 256MiB")?.size(Self.memory)
        let cpus = fields["cpus"].flatMap { $0.whole(Self.processors) }
        let delta = fields.required("delta", "for example 1GiB")?.size(Self.delta)
        if let delta, delta.rawValue % Self.deltaBlock.rawValue != 0 {
            fields["delta"]?.trouble("must be a multiple of \(Quantity.text(Self.deltaBlock)), and is \(Quantity.text(delta))")
        }
        let command = "the command line that the guest runs"
        let arguments = arguments(fields)
        // A guest of one's own may know by itself what to run.
        let isOwn = fields["arguments"] != nil || (union == .backingFile && fields["image"] == nil)
        let run = isOwn && fields["run"] == nil ? "" : fields.required("run", command)?.text(atMost: Self.longestCommand, command)
        if let arguments, let run, arguments.utf8.count + run.utf8.count > Self.longestCommand {
            fields["arguments"]?.trouble(
                "and run are longer together than the kernel takes", "at most \(Self.longestCommand) bytes; a script takes more")
        }
        if union == .backingFile, fields["image"] == nil, fields["kernel"] == nil {
            for key in ["run", "arguments"] {
                fields[key]?.trouble("cannot be told to a guest that boots from its disk", "leave it out, or give the guest's kernel")
            }
        }
        let work = fields.required("work", "the time that the whole task needs, undisturbed")?.length()
        guard let memory, let delta, let run, let work else { return nil }
        return TaskSpec(
            image: paths["image"] ?? nil, base: paths["base"] ?? nil, kernel: paths["kernel"] ?? nil, ramdisk: paths["ramdisk"] ?? nil,
            union: union, arguments: arguments, memoryBytes: memory, virtualCPUs: cpus ?? 1, deltaBytes: delta, run: run, workSeconds: work)
    }

    /// What the guest boots from, by key.
    private func files(_ fields: Fields, _ reading: Reading, _ union: GuestUnion?) -> [String: String?] {
        let files = ["image", "base", "kernel", "ramdisk"]
        let form = "a path, absolute or below the fleet's images"
        let paths = Dictionary(uniqueKeysWithValues: files.map { name in (name, fields[name].flatMap { $0.path(form) }) })
        func isThere(_ name: String) -> Bool { fields[name] != nil || fields.meant.contains(name) }
        guard !isThere("image") else { return paths }
        if !files.contains(where: isThere) {
            reading.trouble("has nothing to boot", "give an image, or base, kernel and ramdisk")
        } else if union == .backingFile {
            if !isThere("base") { reading.trouble("has neither an image nor base", "give the disk that the guest boots from, raw") }
            if !isThere("kernel") { fields["ramdisk"]?.trouble("is of no use without a kernel", "give the guest's kernel, or neither") }
        } else {
            let missing = files.dropFirst().filter { !isThere($0) }
            if !missing.isEmpty {
                reading.trouble(
                    "has neither an image nor \(missing.joined(separator: " nor "))", "give an image, or all of base, kernel and ramdisk")
            }
        }
        return paths
    }

    private func arguments(_ fields: Fields) -> String? {
        guard let reading = fields["arguments"] else { return nil }
        let wanted = "the guest's own, for example root=/dev/vda ro"
        guard let text = reading.text(atMost: Self.longestArguments, wanted) else { return nil }
        if fields["image"] != nil {
            reading.trouble("are an image's own already", "leave them out, or give base, kernel and ramdisk instead")
        }
        for word in text.split(separator: " ") where word == "--" || word.hasPrefix("cairn.") || word.hasPrefix("console=") {
            reading.trouble("holds \(shown(String(word))), which Cairn itself puts there", "what the guest runs stands in run")
        }
        return text
    }

    private func progress(_ reading: Reading) -> ProgressSource? {
        if reading.isScalar {
            switch reading.choice(["cpu-time", "console"].map { ($0, $0) }, Self.progressForm) {
            case "cpu-time": return .cpuTime
            case "console": reading.trouble("console needs its patterns", Self.progressForm)
            default: break
            }
            return nil
        }
        guard let console = reading.fields(DeclaredKeys.progress)?.required("console")?.fields(DeclaredKeys.console) else { return nil }
        let progress = #"'PROGRESS (\d+)/(\d+)'"#
        let finished = #"'RESULT (\w+)'"#
        let pattern = console.required("pattern", "for example \(progress)")?.pattern(captures: 1...2, example: progress)
        let result = console.required("result", "for example \(finished)")?.pattern(captures: 1...1, example: finished)
        let failure = console["failure"].flatMap { $0.pattern(captures: 0...1, example: "'FAILED (.*)'") }
        guard let pattern, let result else { return nil }
        return .console(pattern: pattern, result: result, failure: failure)
    }

    // MARK: What is promised

    private func deadline(_ reading: Reading, work: Seconds?) -> Deadline? {
        if reading.isScalar {
            if let text = reading.text(Self.deadlineForm) { reading.trouble("must be a mapping, and is \(shown(text))", Self.deadlineForm) }
            return nil
        }
        guard let fields = reading.fields(DeclaredKeys.deadline) else { return nil }
        let at = fields["at"].flatMap { $0.moment() }
        let within = fields["within"].flatMap { $0.length() }
        switch (fields["at"], fields["within"]) {
        case (.some, let second?): second.trouble("contradicts at: a deadline is a moment or a time from submission", "leave one of them out")
        case (nil, nil):
            if fields.meant.isDisjoint(with: ["at", "within"]) {
                reading.trouble("has neither at nor within", Self.deadlineForm)
            }
        default: break
        }
        if let within, let work, within <= work {
            fields["within"]?.trouble(
                "cannot be met: the work alone needs \(Quantity.text(work)), undisturbed",
                "more than that, with room for boot, checkpoints and failures")
        }
        let confidence = fields["confidence"].flatMap { $0.share() }
        if confidence == 1 {
            fields["confidence"]?.trouble("of 1 cannot be promised: failures are random", "at most 0.999999; 0.95 and 0.99 are usual")
        }
        guard let moment = at.map(Deadline.Moment.at) ?? within.map(Deadline.Moment.within) else { return nil }
        return Deadline(moment: moment, confidence: Probability(confidence ?? Self.defaultConfidence))
    }

    private func limits(_ reading: Reading, work: Seconds?) -> Limits {
        guard let fields = reading.fields(DeclaredKeys.limits) else { return Limits() }
        if fields.isBare { reading.trouble("has no limit in it", "leave it out, or give lostWork, recovery or stopped") }
        let lostWork = fields["lostWork"].flatMap { $0.duration(Self.lostWork) }
        if let lostWork, let work, lostWork >= work {
            fields["lostWork"]?.warning("never binds: the whole work is \(Quantity.text(work))", "leave it out")
        }
        let stopped = fields["stopped"].flatMap { $0.share() }
        if stopped == 1 { fields["stopped"]?.warning("never binds: a guest cannot stand still for more than all of the time", "leave it out") }
        return Limits(lostWorkSeconds: lostWork, recoverySeconds: fields["recovery"].flatMap { $0.duration(Self.recovery) }, stoppedShare: stopped)
    }

    private func penalty(_ reading: Reading) -> Penalty? {
        guard let fields = reading.fields(DeclaredKeys.penalty) else { return nil }
        let amount = fields.required("amount", "for example 12.5")?.number(zero: false, atMost: Self.mostMoney)
        let per = fields.required("per", "the lateness that one amount is owed for, for example 1h")?.length()
        let cap = fields["cap"].flatMap { $0.number(zero: false, atMost: Self.mostMoney) }
        let currency = fields.required("currency", "three capital letters, for example EUR")?.currency()
        guard let amount, let per, let currency else { return nil }
        return Penalty(amount: Money(amount, currency), perSeconds: per, cap: cap.map { Money($0, currency) })
    }

    private func preference(_ reading: Reading) -> Preference? {
        if reading.isScalar { return reading.name().map(Preference.named) }
        return PricesReading.prices(reading).map(Preference.prices)
    }
}

/// Prices: the owner's exchange rates.
enum PricesReading {
    static let mostMoney = 1e9
    private static let form = "0 or more, in the policy's currency"

    static func prices(_ reading: Reading) -> Prices? {
        guard let fields = reading.fields(DeclaredKeys.prices) else { return nil }
        let time = fields.required("timePerHour", form)?.number(zero: true, atMost: mostMoney)
        let network = fields.required("networkPerGiB", form)?.number(zero: true, atMost: mostMoney)
        let storage = fields.required("storagePerGiBHour", form)?.number(zero: true, atMost: mostMoney)
        guard let time, let network, let storage else { return nil }
        guard time > 0 || network > 0 || storage > 0 else {
            reading.trouble("has all prices zero: nothing would be better than anything else", "give timePerHour a price")
            return nil
        }
        return Prices(timePerHour: time, networkPerGiB: network, storagePerGiBHour: storage)
    }
}
