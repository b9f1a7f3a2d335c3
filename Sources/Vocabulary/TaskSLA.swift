/// What the owner of a task declares (`kind: TaskSLA`): what to run, what is promised, what is preferred.
package struct TaskSLA: Hashable, Sendable, Codable {
    package var name: String
    package var labels: [String: String]
    package var task: TaskSpec
    package var progress: ProgressSource
    package var deadline: Deadline?
    package var limits: Limits
    package var penalty: Penalty?
    package var preference: Preference
    /// Name of the policy that applies.
    package var policy: String

    package init(
        name: String, labels: [String: String] = [:], task: TaskSpec, progress: ProgressSource, deadline: Deadline? = nil,
        limits: Limits = Limits(), penalty: Penalty? = nil, preference: Preference = .named("balanced"), policy: String = "default"
    ) {
        self.name = name
        self.labels = labels
        self.task = task
        self.progress = progress
        self.deadline = deadline
        self.limits = limits
        self.penalty = penalty
        self.preference = preference
        self.policy = policy
    }
}

/// The virtual machine and what runs in it.
package struct TaskSpec: Hashable, Sendable, Codable {
    /// Directory made by `cairn image build`; a relative one is looked for in the fleet's `images` directory.
    package var image: String?
    /// Files that replace the image's own, or stand alone when there is no image: read-only base system,
    /// kernel, ramdisk. Absolute, or relative to the fleet's `images` directory.
    package var base: String?
    package var kernel: String?
    package var ramdisk: String?
    /// nil: as the image says.
    package var union: GuestUnion?
    /// The kernel's command line for a guest that is not of `cairn image build`; what unites and what runs is added to it.
    package var arguments: String?
    package var memoryBytes: ByteCount
    package var virtualCPUs: Int
    /// Size of the delta disk, which holds all that the task writes.
    package var deltaBytes: ByteCount
    /// The command line that the guest runs after boot. Empty: the guest knows by itself what to run.
    package var run: String
    /// Time the whole task needs, undisturbed.
    package var workSeconds: Seconds

    package init(
        image: String? = nil, base: String? = nil, kernel: String? = nil, ramdisk: String? = nil, union: GuestUnion? = nil,
        arguments: String? = nil, memoryBytes: ByteCount, virtualCPUs: Int = 1, deltaBytes: ByteCount, run: String, workSeconds: Seconds
    ) {
        self.image = image
        self.base = base
        self.kernel = kernel
        self.ramdisk = ramdisk
        self.union = union
        self.arguments = arguments
        self.memoryBytes = memoryBytes
        self.virtualCPUs = virtualCPUs
        self.deltaBytes = deltaBytes
        self.run = run
        self.workSeconds = workSeconds
    }
}

/// Where progress is read from.
package enum ProgressSource: Hashable, Sendable, Codable {
    /// Lines on the guest's console. `pattern` has one capture (a fraction or a percentage: `0.25`, `25%`) or two
    /// (done, total); `result` has one capture, the task's result, and means that it finished; a line that
    /// `failure` matches means that the task itself failed.
    case console(pattern: String, result: String, failure: String?)
    /// Virtual CPU time used, against `TaskSpec.workSeconds` of declared work; finished when the guest powers itself off.
    case cpuTime
}

/// When the task must have finished.
package struct Deadline: Hashable, Sendable, Codable {
    package enum Moment: Hashable, Sendable, Codable {
        case at(Timestamp)
        /// From submission.
        case within(Seconds)
    }
    package var moment: Moment
    /// How probable it must be, at any time, that the deadline is met.
    package var confidence: Probability
    package init(moment: Moment, confidence: Probability) { self.moment = moment; self.confidence = confidence }
    package func time(submitted: Timestamp) -> Timestamp {
        switch moment {
        case .at(let time): time
        case .within(let length): submitted + length
        }
    }
}

/// Hard limits; nil means none.
package struct Limits: Hashable, Sendable, Codable {
    /// Work that may be lost to one failure.
    package var lostWorkSeconds: Seconds?
    /// From the failure until the task runs again.
    package var recoverySeconds: Seconds?
    /// Share of running time that the guest may stand still for checkpoints, 0 to 1.
    package var stoppedShare: Double?
    package init(lostWorkSeconds: Seconds? = nil, recoverySeconds: Seconds? = nil, stoppedShare: Double? = nil) {
        self.lostWorkSeconds = lostWorkSeconds
        self.recoverySeconds = recoverySeconds
        self.stoppedShare = stoppedShare
    }
}

/// What is owed for lateness: `amount` for every begun or unfinished share of `per`, linearly, up to `cap`.
package struct Penalty: Hashable, Sendable, Codable {
    package var amount: Money
    package var perSeconds: Seconds
    package var cap: Money?
    package init(amount: Money, perSeconds: Seconds, cap: Money?) { self.amount = amount; self.perSeconds = perSeconds; self.cap = cap }
    /// What lateness costs. Zero or negative lateness owes nothing.
    package func owed(lateness: Seconds) -> Money {
        let due = max(0, lateness / perSeconds) * amount.amount
        return Money(min(due, cap?.amount ?? .infinity), amount.currency)
    }
}

/// What the owner prefers: prices, by name from the policy or of their own.
package enum Preference: Hashable, Sendable, Codable {
    case named(String)
    case prices(Prices)
}

/// Exchange rates that make time, network and storage comparable, in the policy's currency.
package struct Prices: Hashable, Sendable, Codable {
    package var timePerHour: Double
    package var networkPerGiB: Double
    package var storagePerGiBHour: Double
    package init(timePerHour: Double, networkPerGiB: Double, storagePerGiBHour: Double) {
        self.timePerHour = timePerHour
        self.networkPerGiB = networkPerGiB
        self.storagePerGiBHour = storagePerGiBHour
    }
    package var timePerSecond: Double { timePerHour / 3600 }
    package var networkPerByte: Double { networkPerGiB / 1_073_741_824 }
    package var storagePerByteSecond: Double { storagePerGiBHour / 1_073_741_824 / 3600 }
}
