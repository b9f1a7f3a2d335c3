import Knowledge
import Vocabulary

/// One task in one run.
///
///     waiting ──placed──▶ starting ──▶ running ◀──▶ stopped
///        ▲                   ▲            │  node fails
///        │ no node    resume │            ▼
///        └──────────────── down ◀─────────┘
struct TaskRun {
    enum Phase: UInt8 {
        /// No node takes it.
        case waiting
        /// It is started, or fetched and restored.
        case starting
        case running
        /// It stands still for a capture.
        case stopped
        /// Its node failed, and nobody has found out yet; or its order waits for a node that is gone.
        case down
        case done
    }

    /// A checkpoint from its capture to its commit.
    struct Underway {
        var number: Int
        var capturedAt: Double
        var work: Double
        var image: Guest.Image
        var order: CheckpointOrder
        var orderID: OrderID?
        var isTold = false
        var sendingSince = 0.0
    }

    /// A checkpoint that was committed, until it is told.
    struct Committed {
        var underway: Underway
        var epoch: Epoch
        var node: Int
        var at: Double
    }

    /// A checkpoint that is due and waits for its turn.
    struct Wanted {
        var order: CheckpointOrder
        var id: OrderID?
    }

    let submission: TaskSubmission
    let guest: Guest
    let submittedAt: Double
    var id: TaskID { submission.task }
    var phase = Phase.waiting
    var node: Int?
    var epoch = Epoch.first
    /// When the phase, or the speed, changed last; work done by then, in seconds that it would take undisturbed.
    var since: Double
    var work = 0.0
    /// Work for each second, 0 to 1.
    var speed = 1.0
    /// Work in the newest committed checkpoint, and in the newest capture of this life (or at its start).
    var savedWork = 0.0
    var capturedWork = 0.0
    var lifeBegan = 0.0
    var workAtStart = 0.0
    var failedAt: Double?
    /// A start or a resumption is in force that its node has not heard of.
    var isOrdered = false
    /// The node that was lost under it, until it is on another.
    var lostFrom: Int?
    var underway: Underway?
    /// Its transfer.
    var upload: Int?
    var wanted: Wanted?
    /// As it was found when it was planned last.
    var failureRatePerSecond = 0.0
    /// Bytes in the store of the checkpoints kept, oldest first, and their sum, copies included.
    var kept: [Double] = []
    var keptBytes = 0.0
    var keptSince = 0.0
    var keepCount: Int
    /// Sent bytes of the newest committed checkpoint: what a resumption fetches.
    var newestBytes = 0.0
    var fetch: Int?
    var fetchBegan = 0.0
    var restoringSince: Double?
    var captures = 0
    var schedule: Schedule?
    /// Of the schedule: what is done between plannings.
    var interval: Double?
    var standingOrder: CheckpointOrder?
    var nextPlanning = 0.0
    /// Entries of the queue with another version are passed over.
    var version: UInt32 = 0
    var account = Account()

    /// What the manager knows of it.
    var knowledge = Knowledge()
    private var untold: [EventRecord] = []
    /// Commits that were not told yet, of which the newest will be: the older ones would have been pruned, and costs forget. And the one before those,
    /// which they begin at.
    var commits: [Committed] = []
    static let mostUntold = 8

    init(_ submission: TaskSubmission, guest: Guest, submittedAt: Double, keepCount: Int) {
        self.submission = submission
        self.guest = guest
        self.submittedAt = submittedAt
        self.keepCount = keepCount
        since = submittedAt
    }

    /// For the next planning.
    mutating func tell(_ event: Event, at time: Timestamp) { untold.append(EventRecord(at: time, source: .manager, event: event)) }

    /// Folds what was told.
    mutating func fold() {
        guard !untold.isEmpty else { return }
        knowledge.fold(untold)
        untold.removeAll(keepingCapacity: true)
    }

    /// Puts the time since `since` where it belongs.
    mutating func advance(to now: Double) {
        let passed = now - since
        since = now
        guard passed > 0 else { return }
        switch phase {
        case .waiting: account.waitingSeconds += passed
        case .starting: account.recoverySeconds += passed
        case .running:
            work += passed * speed
            account.workSeconds += passed * speed
            account.interferenceSeconds += passed * (1 - speed)
        case .stopped: account.stoppedSeconds += passed
        case .down: account.downSeconds += passed
        case .done: break
        }
    }

    mutating func storeChanged(at now: Double) {
        account.storedByteSeconds += keptBytes * (now - keptSince)
        keptSince = now
    }
}

/// A checkpoint on its way to the store, or one on its way back.
struct Transfer {
    var task: Int
    var node: Int
    var bytes = 0.0
    var left = 0.0
    var speed = 0.0
    var since = 0.0
    /// The compressor makes so many bytes a second; unbounded where nothing is compressed.
    var mostBytesPerSecond: Double
    /// How much of the store's link a byte takes.
    var copies: Double
    /// After the last byte, seconds.
    var closingSeconds: Double
    var version: UInt32 = 0
    var isActive = false
}

/// When a running task is planned though nothing happened: often at the beginning of a life and towards its end, seldom in between, so that a
/// life of any length takes some dozens of plannings. In between, an interval changes by less than what counts as another one.
package struct PlanningMoments: Hashable, Sendable {
    /// Of the time that the life has lasted, or that is left, whichever is less; the larger, the fewer plannings.
    package var share = 0.5
    package var leastSeconds = 5.0
    package init() {}

    func next(after now: Double, lifeBegan: Double, left: Double) -> Double { now + max(leastSeconds, share * min(now - lifeBegan, left)) }

    /// The first checkpoints teach much about costs: planned after numbers 1, 2, 4, 8 …
    static func isDue(afterCheckpoint number: Int) -> Bool { number & (number - 1) == 0 }
}
