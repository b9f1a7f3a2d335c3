import Vocabulary

/// What is known, folded from the ledger's events into one value. The same events give the same knowledge, so a manager
/// that was killed knows after its restart what it knew before.
package struct Knowledge: Hashable, Sendable {
    /// Sequence number of the last event folded.
    package private(set) var sequence: Int64 = 0
    package private(set) var tasks: [TaskID: TaskKnowledge] = [:]
    package private(set) var nodes: [NodeID: NodeKnowledge] = [:]
    package private(set) var policies: [String: LoadedPolicy] = [:]
    package private(set) var store: StoreHealth?
    /// What checkpoints, resumptions and merges of any task have cost.
    package private(set) var costs = CostHistory()
    /// Uploads of the hour before the newest of them, and some older ones, in the order of commitment, whether their checkpoints are still there or
    /// not: a network's ceiling is about what was sent.
    package private(set) var recentUploads: [SentUpload] = []
    /// How many of them were kept when old ones went last: they go when there are twice as many, so that a commitment costs the same however many
    /// there are.
    private var uploadsKept = 0
    /// How often tasks were resumed.
    package private(set) var resumptions = 0
    /// Grows with whatever changes how often nodes are thought to fail.
    package private(set) var nodesVersion = 0
    /// Live tasks by the node that each is on, or on its way to.
    private var places: [NodeID: Set<TaskID>] = [:]
    /// Tasks whose captured checkpoint is not committed yet, with how many others there were when it was captured.
    private var uploading: [TaskID: Int] = [:]

    package init() {}

    package struct SentUpload: Hashable, Sendable {
        package var task: TaskID
        package var capturedAt: Timestamp
        package var committedAt: Timestamp
        /// All copies.
        package var bytes: ByteCount
    }

    package struct LoadedPolicy: Hashable, Sendable {
        package var policy: CheckpointPolicy
        package var version: DocumentVersion
        /// In force whatever the file and its rules say; nil: nobody has set one.
        package var modeSet: ModeSet?
        package init(policy: CheckpointPolicy, version: DocumentVersion, modeSet: ModeSet? = nil) {
            self.policy = policy
            self.version = version
            self.modeSet = modeSet
        }
    }

    package struct ModeSet: Hashable, Sendable {
        package var mode: CheckpointPolicy.Mode
        package var by: String
        package init(mode: CheckpointPolicy.Mode, by: String) { self.mode = mode; self.by = by }
    }

    package func folding(_ records: some Sequence<EventRecord>) -> Knowledge {
        var next = self
        next.fold(records)
        return next
    }

    /// In place.
    package mutating func fold(_ records: some Sequence<EventRecord>) { for record in records { fold(record) } }

    /// The nodes, policies and store of this one, with the tasks of another and what they have cost: all that it takes to plan for few of
    /// very many tasks.
    package func joined(withTasksOf other: Knowledge) -> Knowledge {
        var joined = self
        joined.tasks = other.tasks
        joined.places = other.places
        joined.costs = other.costs
        joined.recentUploads = other.recentUploads
        joined.uploadsKept = other.uploadsKept
        joined.uploading = other.uploading
        return joined
    }

    private mutating func noteUpload(_ checkpoint: CheckpointRecord) {
        recentUploads.append(
            SentUpload(
                task: checkpoint.task, capturedAt: checkpoint.capturedAt, committedAt: checkpoint.committedAt,
                bytes: checkpoint.storedBytes ?? checkpoint.sentBytes))
        guard recentUploads.count >= 2 * uploadsKept + 64 else { return }
        let oldest = checkpoint.committedAt.rawValue - 3_600
        recentUploads.removeAll { $0.committedAt.rawValue <= oldest }
        uploadsKept = recentUploads.count
    }

    /// Captured checkpoints on their way to the store now.
    package var uploads: Int { uploading.count }

    /// Oldest first; those of one moment by name, so that the same knowledge gives the same order.
    package var liveTasks: [TaskKnowledge] { liveTaskIDs.compactMap { tasks[$0] } }

    /// The same, where all that is known of very many tasks is not to be copied.
    package var liveTaskIDs: [TaskID] { inOrder(tasks.lazy.filter { !$0.value.state.isFinal }.map(\.key)) }

    /// Live tasks on a node, or on their way there, in the order of `liveTasks`: however many there are elsewhere.
    package func tasks(on node: NodeID) -> [TaskKnowledge] { inOrder(places[node] ?? []).compactMap { tasks[$0] } }
    /// How many they are.
    package func load(of node: NodeID) -> Int { places[node]?.count ?? 0 }

    private func inOrder(_ ids: some Sequence<TaskID>) -> [TaskID] {
        var live: [(at: Double, id: TaskID)] = []
        for id in ids { if let task = tasks[id] { live.append((task.submission.submittedAt.rawValue, id)) } }
        live.sort { $0.at < $1.at || $0.at == $1.at && $0.id < $1.id }
        return live.map(\.id)
    }

    private mutating func fold(_ record: EventRecord) {
        sequence = max(sequence, record.sequence)
        switch record.event {
        case .managerStarted, .policyRejected, .orderFailed, .staleCommitRefused, .fenceFailed, .ledgerRebuilt: break
        case .policyLoaded(let policy, let version):
            policies[policy.name] = LoadedPolicy(policy: policy, version: version, modeSet: policies[policy.name]?.modeSet)
        case .policyModeSet(let name, let mode, let by): policies[name]?.modeSet = mode.map { ModeSet(mode: $0, by: by) }
        case .storeHealthChanged(let health): store = health

        case .nodeJoined(let node, let incarnation, let capabilities, let uptime):
            nodes[node, default: NodeKnowledge(id: node)].joined(incarnation, capabilities, uptime: uptime, at: record.at)
            nodesVersion += 1
        case .nodeProcessesChanged(let node, let processes): nodes[node]?.processes = processes
        case .nodeSuspected(let node, _, _): nodes[node]?.standing = .suspected
        case .nodeTrusted(let node):
            nodes[node]?.trusted(at: record.at)
            nodesVersion += 1
        // One that was never heard here, when the ledger was made anew.
        case .nodeLost(let node, _, let silent):
            nodes[node, default: NodeKnowledge(id: node)].lost(at: record.at, silent: silent)
            nodesVersion += 1
        case .nodeFenced(let node, _, _): nodes[node]?.fencedAt = record.at
        case .nodeDrainAsked(let node, let by):
            nodes[node, default: NodeKnowledge(id: node)].drain = NodeKnowledge.Drain(since: record.at, by: by)
        case .nodeDrainEnded(let node, _): nodes[node]?.drain = nil

        case .taskSubmitted(let submission):
            if tasks[submission.task] == nil { tasks[submission.task] = TaskKnowledge(submission: submission) }
        case .checkpointCommitted(let checkpoint):
            let around = surroundings(of: checkpoint)
            // Of a task that is not known here it is taken in as well: costs are everybody's.
            if tasks[checkpoint.task]?.learn(from: checkpoint, around) ?? true {
                costs.observe(checkpoint, around)
                noteUpload(checkpoint)
            }
            fold(record, into: checkpoint.task)
        case .taskResumed(let resumption):
            costs.observe(resumption)
            resumptions += 1
            fold(record, into: resumption.task)
        case .taskCancelled(let task, _), .restoreAsked(let task, _), .epochRaised(let task, _, _, _), .taskPlaced(let task, _, _),
            .taskStarted(let task, _, _), .unionSeen(let task, _, _, _),
            .taskRefused(let task, _, _, _), .taskFinished(let task, _, _, _), .taskFailed(let task, _, _, _), .taskGivenUp(let task, _),
            .checkpointOrdered(let task, _, _, _, _, _), .checkpointStarted(let task, _, _, _, _), .checkpointCaptured(let task, _, _, _, _),
            .checkpointFailed(let task, _, _, _, _, _), .checkpointsPruned(let task, _), .checkpointVerified(let task, _, _, _),
            .taskFound(let task, _, _), .taskEndStored(let task),
            .taskStalled(let task, _, _, _, _):
            fold(record, into: task)
        case .layersMerged(let merge):
            costs.observe(merge)
            fold(record, into: merge.task)
        case .progressSeen(let sample): fold(record, into: sample.task)
        }
    }

    private mutating func fold(_ record: EventRecord, into task: TaskID) {
        var isUploading = false
        // In place: a task's knowledge is large, and would be taken out and put back else.
        if let place = tasks.index(forKey: task) {
            let before = tasks.values[place].node
            tasks.values[place].fold(record)
            isUploading = tasks.values[place].underway?.capturedAt != nil
            move(task, from: before, to: tasks.values[place].node)
        }
        if !isUploading {
            uploading[task] = nil
        } else if uploading[task] == nil {
            uploading[task] = uploading.count
        }
    }

    private mutating func move(_ task: TaskID, from old: NodeID?, to new: NodeID?) {
        guard old != new else { return }
        if let old {
            places[old]?.remove(task)
            if places[old]?.isEmpty ?? false { places[old] = nil }
        }
        if let new { places[new, default: []].insert(task) }
    }

    private func surroundings(of checkpoint: CheckpointRecord) -> Circumstances {
        let others = uploading.keys.contains(checkpoint.task) ? uploading.count - 1 : uploading.count
        return Circumstances(
            concurrentUploads: Double((uploading[checkpoint.task] ?? others) + others) / 2, dirtyBytes: tasks[checkpoint.task]?.dirtyBytesAtCapture)
    }
}

/// One node: whether it is there, and how long it has been seen to live between failures.
package struct NodeKnowledge: Hashable, Sendable {
    package let id: NodeID
    package internal(set) var incarnation: Incarnation?
    package internal(set) var capabilities: HypervisorCapabilities?
    package internal(set) var processes: NodeProcesses?
    package internal(set) var standing: NodeFinding.Standing = .unknown
    package internal(set) var failures = 0
    package var lastLostAt: Timestamp? { lives.last?.lostAt }
    /// Its lives that have ended, oldest first, at most `lifeLimit`.
    package internal(set) var lives: [Life] = []
    package static let lifeLimit = 100

    /// From a node's joining to its loss.
    package struct Life: Hashable, Sendable {
        /// How old it was when it was seen first.
        package var ageWhenSeen = Seconds.zero
        /// Observed alive.
        package var seconds: Seconds
        /// When it was declared lost.
        package var lostAt: Timestamp
    }
    /// How long it had been silent when it was declared lost.
    package internal(set) var lastSilence = Seconds.zero
    package internal(set) var fencedAt: Timestamp?
    /// Nothing is placed there, and what runs there goes on elsewhere; nil: it takes tasks.
    package internal(set) var drain: Drain?
    package struct Drain: Hashable, Sendable {
        package var since: Timestamp
        package var by: String
    }
    /// Time observed alive in lives that have ended.
    package private(set) var endedExposure = Seconds.zero
    /// When the life that goes on began; nil while it is lost.
    package private(set) var aliveSince: Timestamp?
    /// How old that life was then: for a node that is seen for the first time, how long its machine had been up, if it said so. One
    /// that comes back begins anew.
    package private(set) var ageWhenSeen = Seconds.zero

    package init(id: NodeID) { self.id = id }

    /// Time observed alive, in which `failures` happened.
    package func exposure(at now: Timestamp) -> Seconds {
        guard let aliveSince else { return endedExposure }
        return endedExposure + max(.zero, now - aliveSince)
    }

    /// How long the life that goes on has lasted; zero while it is lost.
    package func age(at now: Timestamp) -> Seconds { aliveSince.map { ageWhenSeen + max(.zero, now - $0) } ?? .zero }

    mutating func joined(_ incarnation: Incarnation, _ capabilities: HypervisorCapabilities, uptime: Seconds?, at time: Timestamp) {
        if aliveSince == nil { ageWhenSeen = failures == 0 ? max(.zero, uptime ?? .zero) : .zero }
        self.incarnation = incarnation
        self.capabilities = capabilities
        trusted(at: time)
    }

    mutating func trusted(at time: Timestamp) {
        standing = .trusted
        if aliveSince == nil { aliveSince = time }
    }

    mutating func lost(at time: Timestamp, silent: Seconds) {
        let seen = aliveSince.map { max(.zero, time - $0) } ?? .zero
        lives.append(Life(ageWhenSeen: ageWhenSeen, seconds: max(.zero, seen - silent), lostAt: time))
        if lives.count > Self.lifeLimit { lives.removeFirst() }
        endedExposure = max(.zero, exposure(at: time) - silent)
        aliveSince = nil
        ageWhenSeen = .zero
        standing = .lost
        failures += 1
        lastSilence = silent
    }

    /// Lost, and made harmless since.
    package var isFenced: Bool {
        guard standing == .lost, let lastLostAt, let fencedAt else { return false }
        return fencedAt >= lastLostAt
    }
}
