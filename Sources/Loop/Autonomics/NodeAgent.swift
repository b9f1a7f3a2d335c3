import CheckpointEngine
import Execution
import Monitoring
import Ports
import Vocabulary

/// One node's agent: watches the tasks here, tells the manager with every heartbeat, carries out its orders, and goes on with the
/// standing plans when the manager is away.
package actor NodeAgent {
    package struct Configuration: Sendable {
        package var node: NodeID
        package var incarnation: Incarnation
        package var process: ProcessIdentity
        package var heartbeat: Seconds
        /// How long a sample waits until it is worth an event, seconds.
        package var sampleInterval: Seconds
        /// Without an answer for this long, the manager counts as away.
        package var patience: Seconds
        /// How long the node's machine has been up; nil: unknown, or the machine is not the node's own.
        package var uptime: @Sendable () -> Seconds?
        package init(
            node: NodeID, incarnation: Incarnation, process: ProcessIdentity, heartbeat: Seconds, sampleInterval: Seconds = Seconds(5),
            patience: Seconds = Seconds(10), uptime: @escaping @Sendable () -> Seconds? = { nil }
        ) {
            self.node = node
            self.incarnation = incarnation
            self.process = process
            self.heartbeat = heartbeat
            self.sampleInterval = sampleInterval
            self.patience = patience
            self.uptime = uptime
        }

        /// A sample is kept for ever: of a task that has been here for long, one each five-hundredth of its age is enough, and one a minute
        /// always. What plans are made of is the newest one, which every heartbeat brings.
        package func sampleInterval(atAge age: Seconds) -> Seconds { max(sampleInterval, min(age * (1.0 / 500), Seconds(60))) }
    }

    private let configuration: Configuration
    private let link: any ManagerLink
    private let engine: CheckpointEngine
    private let hypervisor: any Hypervisor
    private let journal: any EventJournal
    private let runner: OrderRunner
    private let time: any TimeSource
    private let log: @Sendable (String) -> Void

    private var watches: [TaskID: Watch] = [:]
    /// Orders under way, one a task; a stop may overtake a checkpoint.
    private var underway: [TaskID: Order] = [:]
    private var stopping: Set<TaskID> = []
    private var standing: [TaskID: StandingPlan] = [:]
    /// Tasks that the engine has here, as of the last look.
    private var present: [TaskObservation] = []
    /// Starts and resumptions that were carried out: each is told once, though it may be ordered again until the manager has heard.
    private var carriedOut: Set<OrderID> = []
    private var works: [Int: Task<Void, Never>] = [:]
    private var begun = 0
    /// Tasks that finished here, until the store knows it.
    private var untold: [TaskID: End] = [:]
    private struct End {
        var epoch: Epoch
        var result: String
        var isUnderWay = false
    }
    private var hasCleared = false
    private var found: HypervisorCapabilities?
    private var lastAnswer: Timestamp
    private var isAway = false

    /// What is watched of one task.
    private struct Watch {
        var sensor: TaskSensor
        var sample: ProgressSample?
        var union: MountedUnion?
        var end: TaskSensor.End?
        var sampledAt: Timestamp?
        var lastCheckpointAt: Timestamp
    }

    package init(
        configuration: Configuration, link: any ManagerLink, engine: CheckpointEngine, hypervisor: any Hypervisor, journal: any EventJournal,
        time: any TimeSource, log: @escaping @Sendable (String) -> Void
    ) {
        self.configuration = configuration
        self.link = link
        self.engine = engine
        self.hypervisor = hypervisor
        self.journal = journal
        self.time = time
        self.log = log
        runner = OrderRunner(engine: engine, journal: journal, node: configuration.node, time: time)
        lastAnswer = time.now()
    }

    /// - Parameter turned: called after every turn of the loop, also one that was lost.
    package func run(turned: @Sendable () -> Void = {}) async throws {
        while !Task.isCancelled {
            do { try await runOnce() } catch {
                // What cannot be written down must not be done; anything else may pass.
                if let error = error as? LedgerError, !error.isRetryable { throw error }
                if error is CancellationError { throw error }
                log("this heartbeat is lost: \(error)")
            }
            turned()
            try await time.sleep(for: configuration.heartbeat)
        }
    }

    package func runOnce() async throws {
        if !hasCleared {
            for damage in try await engine.clearUnfinished() {
                log("\(damage): its guest is ended, and its files are put aside beside it, as *.damaged")
            }
            hasCleared = true
        }
        let guests = try await look()
        tellEnds()
        let report = NodeReport(
            node: configuration.node, incarnation: configuration.incarnation, capabilities: try await capabilities(),
            processes: NodeProcesses(agent: configuration.process, guests: guests, directory: engine.configuration.work),
            uptimeSeconds: configuration.uptime(), sentAt: time.now(), tasks: observations(), events: try await journal.pending(limit: 500))
        let answer: Result<NodeOrders, LinkError>
        do throws(LinkError) { answer = .success(try await link.exchange(report)) } catch { answer = .failure(error) }
        switch answer {
        case .success(let orders):
            try await journal.acknowledge(through: orders.acknowledged)
            answered(orders)
        case .failure(let error): unanswered(error)
        }
    }

    /// Until every order that was begun has come to its end.
    package func ordersEnded() async { for work in works.values { await work.value } }
    /// How many are under way.
    package var ordersUnderway: Int { works.count }

    private func capabilities() async throws -> HypervisorCapabilities {
        if let found { return found }
        let fresh = try await hypervisor.capabilities()
        found = fresh
        return fresh
    }

    // MARK: Watching

    /// - Returns: the guests' processes.
    private func look() async throws -> [ProcessIdentity] {
        let here = try engine.tasks()
        present = here.map { TaskObservation(task: $0.submission.task, epoch: $0.epoch, state: .starting, sample: nil, checkpointing: nil) }
        for gone in watches.keys where !here.contains(where: { $0.submission.task == gone }) { watches[gone] = nil }
        var guests: [ProcessIdentity] = []
        for task in here {
            let id = task.submission.task
            // A hypervisor that is busy for a moment is no reason to fall silent.
            do {
                let status = try await hypervisor.status(task.domain)
                if let process = status?.process { guests.append(process) }
                // Between a start and its end the domain may come and go.
                if underway[id] != nil && status == nil { continue }
                try await look(at: task, status)
            } catch let error as HypervisorError { log("\(id) cannot be seen now: \(error)") }
        }
        return guests
    }

    private func look(at task: LocalTask, _ status: DomainStatus?) async throws {
        let id = task.submission.task
        let now = time.now()
        var watch =
            watches[id].flatMap { $0.sensor.epoch == task.epoch ? $0 : nil }
            ?? Watch(
                sensor: TaskSensor(
                    task: id, epoch: task.epoch, node: configuration.node, source: task.submission.sla.progress,
                    work: task.submission.sla.task.workSeconds, console: task.console, fraction: task.progressAtStart),
                lastCheckpointAt: now)
        guard watch.end == nil else { return }
        let seen = try watch.sensor.look(status: status, at: now)
        watch.sample = seen.sample
        // Told by the guest when it boots; of one that was resumed, or that tells nothing, the engine knows.
        let told = watch.sensor.union.flatMap { ($0.kind == .backingFile) == (task.union?.kind == .backingFile) ? $0 : nil }
        if let union = told ?? task.union, union != watch.union {
            try await journal.write(.unionSeen(task: id, epoch: task.epoch, node: configuration.node, union), at: now)
            watch.union = union
        }
        let age = now - task.submission.submittedAt
        if seen.end != nil || watch.sampledAt.map({ now - $0 >= configuration.sampleInterval(atAge: age) }) ?? true {
            watch.sampledAt = now
            try await journal.write(.progressSeen(seen.sample), at: now)
        }
        watches[id] = watch
        switch seen.end {
        case .finished(let result):
            // By the node, too: the manager's ledger may be lost, and the task is not to be resumed then.
            untold[id] = End(epoch: task.epoch, result: result)
            try await journal.write(.taskFinished(task: id, epoch: task.epoch, node: configuration.node, result: result), at: now)
            log("\(id) has finished with \(result)")
        case .failed(let reason):
            try await journal.write(.taskFailed(task: id, epoch: task.epoch, node: configuration.node, reason: reason), at: now)
            log("\(id) has failed: \(reason)")
        case nil: break
        }
        // Only what is written down is not looked for again.
        watches[id]?.end = seen.end
    }

    /// Every task that is here, also one that its hypervisor does not show now.
    private func observations() -> [TaskObservation] {
        present.filter { watches[$0.task] == nil }
            + watches.map { id, watch in
                let state: TaskObservation.State =
                    switch watch.end {
                    case .finished: .finished
                    case .failed: .failed
                    case nil: .running
                    }
                return TaskObservation(task: id, epoch: watch.sensor.epoch, state: state, sample: watch.sample, checkpointing: nil)
            }
    }

    /// Beside the heartbeats, which a slow store must not hold up; what fails is tried again with the next one.
    private func tellEnds() {
        for (task, end) in untold where !end.isUnderWay {
            untold[task]?.isUnderWay = true
            begun += 1
            let number = begun
            works[number] = Task {
                do throws(EngineError) {
                    try await engine.recordEnd(of: task, epoch: end.epoch, result: end.result)
                    untold[task] = nil
                } catch {
                    untold[task]?.isUnderWay = false
                    log("\(task): the store is not told yet that it has finished: \(error)")
                }
                works[number] = nil
            }
        }
    }

    // MARK: Orders

    private func answered(_ orders: NodeOrders) {
        lastAnswer = time.now()
        if isAway { log("the manager is back") }
        isAway = false
        standing = Dictionary(orders.standing.map { ($0.task, $0) }, uniquingKeysWith: { $1 })
        for order in orders.orders { begin(order) }
    }

    private func unanswered(_ error: LinkError) {
        let silent = time.now() - lastAnswer
        if !isAway, silent >= configuration.patience {
            isAway = true
            log(error.isRetryable ? "\(error); going on with the standing plans" : "\(error)")
        }
        // A manager that is there and will not have this node has other plans for its tasks.
        guard isAway, error.isRetryable else { return }
        for plan in standing.values {
            guard let interval = plan.intervalSeconds, let watch = watches[plan.task], watch.end == nil, watch.sensor.epoch == plan.epoch,
                time.now() - watch.lastCheckpointAt >= interval
            else { continue }
            let id = OrderID("standing-\(plan.task)-\(Int64(time.now().rawValue))")
            begin(Order(id: id, task: plan.task, epoch: plan.epoch, action: .checkpoint(plan.order)))
        }
    }

    /// Starts an order unless one for its task is under way; it comes again with the next heartbeat.
    private func begin(_ order: Order) {
        if case .stop = order.action {
            // A newer life of the task that is just coming up goes by the same name: it must not be ended in its stead.
            if let newer = underway[order.task], newer.epoch > order.epoch { return }
            guard stopping.insert(order.task).inserted else { return }
        } else {
            guard underway[order.task] == nil, !stopping.contains(order.task), !carriedOut.contains(order.id) else { return }
            underway[order.task] = order
        }
        if case .checkpoint = order.action { watches[order.task]?.lastCheckpointAt = time.now() }
        begun += 1
        let number = begun
        works[number] = Task {
            do {
                try await runner.carryOut(order, progress: { await self.progress(of: order.task) })
                switch order.action {
                case .start, .resume: carriedOut.insert(order.id)
                case .checkpoint, .stop, .prune, .merge: break
                }
            } catch { log("\(order.id): \(error)") }
            ended(order)
            works[number] = nil
        }
    }

    private func ended(_ order: Order) {
        if case .stop = order.action { stopping.remove(order.task) } else if underway[order.task]?.id == order.id { underway[order.task] = nil }
    }

    /// Read afresh from the console, so that a checkpoint carries the progress of its instant.
    private func progress(of task: TaskID) async -> Double? { watches[task]?.sample?.fraction }
}
