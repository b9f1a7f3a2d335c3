import Vocabulary

/// Every metric, by its name. Named as Prometheus has it: base units, the unit last, counters in `_total`.
/// Source: https://prometheus.io/docs/practices/naming/
package enum Metric: String, Hashable, Sendable, CaseIterable {
    // What happened, from the ledger: it outlives the manager.
    case checkpoints = "cairn_checkpoints_total"
    case sentBytes = "cairn_checkpoint_sent_bytes_total"
    case contentBytes = "cairn_checkpoint_content_bytes_total"
    case stopSeconds = "cairn_checkpoint_stop_seconds"
    case compressSeconds = "cairn_checkpoint_compress_seconds"
    case uploadSeconds = "cairn_checkpoint_upload_seconds"
    case latencySeconds = "cairn_checkpoint_latency_seconds"
    case interruptions = "cairn_interruptions_total"
    case resumptions = "cairn_resumptions_total"
    case recoverySeconds = "cairn_recovery_seconds"
    case lostWorkSeconds = "cairn_lost_work_seconds"
    case tasksSubmitted = "cairn_tasks_submitted_total"
    case tasksEnded = "cairn_tasks_ended_total"
    case promises = "cairn_sla_promises_total"
    case penalties = "cairn_penalties_money_total"
    case nodeFailures = "cairn_node_failures_total"
    case decisions = "cairn_decisions_total"
    case events = "cairn_ledger_events_total"
    case ledgerBytes = "cairn_ledger_size_bytes"

    // Tasks that live.
    case tasks = "cairn_tasks"
    case taskInfo = "cairn_task_info"
    case taskProgress = "cairn_task_progress_ratio"
    case probabilityMet = "cairn_task_deadline_met_probability"
    case wantedProbability = "cairn_task_deadline_wanted_probability"
    case deadlineDistance = "cairn_task_deadline_distance_seconds"
    case forecastFinish = "cairn_task_forecast_finish_timestamp_seconds"
    case exposureSeconds = "cairn_task_lost_work_exposure_seconds"
    case exposureMoney = "cairn_task_lost_work_exposure_money"
    case exposureLimit = "cairn_task_lost_work_limit_seconds"
    case interval = "cairn_task_checkpoint_interval_seconds"
    case newestCheckpoint = "cairn_task_newest_checkpoint_timestamp_seconds"
    case stalled = "cairn_task_stalled"
    case failedInARow = "cairn_task_checkpoint_failures_in_a_row"

    // Nodes of the fleet.
    case nodeInfo = "cairn_node_info"
    case nodeStanding = "cairn_node_standing"
    case nodePhi = "cairn_node_suspicion_phi"
    case nodeSilence = "cairn_node_silence_seconds"
    case nodeFailureRate = "cairn_node_failures_per_second"
    case nodeTasks = "cairn_node_tasks"
    case nodeCapacity = "cairn_node_capacity_tasks"

    // The store.
    case storeReachable = "cairn_store_reachable"
    case storeHosts = "cairn_store_live_hosts"
    case storeFree = "cairn_store_free_bytes"

    // The manager itself.
    case buildInfo = "cairn_build_info"
    case startTime = "cairn_manager_start_time_seconds"
    case cycleSeconds = "cairn_manager_cycle_seconds"
    case lastCycle = "cairn_manager_last_cycle_timestamp_seconds"

    package enum Kind: String, Sendable { case counter, gauge, histogram }

    package struct Definition: Sendable {
        package var kind: Kind
        package var help: String
        /// Names of its labels, in the order in which their values are given.
        package var labels: [String]
        /// Of a histogram; empty: those that its values came with.
        package var bounds: [Double]
    }

    /// Where it comes from, which says whether it outlives the manager and how many series there are.
    package enum Origin: String, Sendable, CaseIterable {
        case ledger = "What happened"
        case task = "Tasks that live"
        case node = "Nodes"
        case store = "The store"
        case manager = "The manager"
    }

    package var origin: Origin {
        switch self {
        case .checkpoints, .sentBytes, .contentBytes, .stopSeconds, .compressSeconds, .uploadSeconds, .latencySeconds, .interruptions, .resumptions,
            .recoverySeconds, .lostWorkSeconds, .tasksSubmitted, .tasksEnded, .promises, .penalties, .nodeFailures, .decisions, .events,
            .ledgerBytes:
            .ledger
        case .tasks, .taskInfo, .taskProgress, .probabilityMet, .wantedProbability, .deadlineDistance, .forecastFinish, .exposureSeconds,
            .exposureMoney, .exposureLimit, .interval, .newestCheckpoint, .stalled, .failedInARow:
            .task
        case .nodeInfo, .nodeStanding, .nodePhi, .nodeSilence, .nodeFailureRate, .nodeTasks, .nodeCapacity: .node
        case .storeReachable, .storeHosts, .storeFree: .store
        case .buildInfo, .startTime, .cycleSeconds, .lastCycle: .manager
        }
    }

    /// For seconds that a guest feels.
    private static let short = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
    /// For seconds of work on a checkpoint, and of recovery.
    private static let long = [0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1_800]
    /// For work that was lost.
    private static let work = [1.0, 5, 10, 30, 60, 300, 900, 1_800, 3_600, 14_400, 86_400]

    package var definition: Definition {
        switch self {
        case .checkpoints:
            counter(
                "Checkpoints by how they ended: committed, failed, or refused because their epoch was over; codec is unknown where the node chose it",
                ["policy", "codec", "outcome"])
        case .sentBytes: counter("Bytes of committed checkpoints that were sent to the store, compressed, for one copy", ["policy", "codec"])
        case .contentBytes: counter("Bytes of committed checkpoints that are not zero, before compression", ["policy", "codec"])
        case .stopSeconds: histogram("Time that the guest stood still for a checkpoint", ["policy"], Self.short)
        case .compressSeconds: histogram("Time that a checkpoint's compression took by itself", ["policy"], Self.long)
        case .uploadSeconds: histogram("Time that a checkpoint's upload took by itself", ["policy"], Self.long)
        case .latencySeconds: histogram("Time from a checkpoint's capture until it was committed", ["policy"], Self.long)
        case .interruptions:
            counter(
                "Lives of tasks that ended before their time: node (lost), guest (failed), asked (taken back by somebody)", ["policy", "cause"])
        case .resumptions: counter("Tasks that ran again, from a checkpoint or from their beginning", ["policy", "from"])
        case .recoverySeconds:
            histogram("Time from the last sign of life before an interruption until the task ran again", ["policy"], Self.long)
        case .lostWorkSeconds: histogram("Time that a task had run since the capture that it went on from", ["policy"], Self.work)
        case .tasksSubmitted: counter("Tasks submitted", ["policy"])
        case .tasksEnded: counter("Tasks that ended: finished, given-up or cancelled", ["policy", "state"])
        case .promises:
            counter(
                "Promises of SLAs that were put to the test, by whether they were kept; counted when the task ends", ["policy", "promise", "outcome"])
        case .penalties: counter("Penalties owed by tasks that ended late", ["policy", "currency"])
        case .nodeFailures: counter("How often a node was declared lost", ["node"])
        case .decisions: counter("Decisions recorded; those in Audit mode were not carried out", ["kind", "mode"])
        case .events: counter("Events in the ledger", [])
        case .ledgerBytes: gauge("Size of the ledger's files", [])

        case .tasks: gauge("Tasks that live, by state", ["policy", "state"])
        case .taskInfo: gauge("1 for each task that lives, with where and how it is", ["task", "policy", "node", "state"])
        case .taskProgress: gauge("Share of the work that is done", ["task", "policy"])
        case .probabilityMet: gauge("Forecast probability that the deadline is met", ["task", "policy"])
        case .wantedProbability: gauge("Probability of meeting the deadline that the SLA wants at any time", ["task", "policy"])
        case .deadlineDistance: gauge("Time until the deadline; below 0 once it has passed", ["task", "policy"])
        case .forecastFinish: gauge("When the task will have finished, at a percentile of the forecast", ["task", "policy", "percentile"])
        case .exposureSeconds: gauge("Work that a failure now would lose", ["task", "policy"])
        case .exposureMoney: gauge("What that work is worth by the time's price that the owner prefers", ["task", "policy", "currency"])
        case .exposureLimit: gauge("Work that may be lost to one failure, as the SLA limits it", ["task", "policy"])
        case .interval: gauge("Time between checkpoints in force; absent where none are planned", ["task", "policy"])
        case .newestCheckpoint: gauge("When the newest committed checkpoint was captured", ["task", "policy"])
        case .stalled: gauge("1 while the task stands still though its guest runs, else 0", ["task", "policy"])
        case .failedInARow: gauge("Checkpoints that failed since the last one that was committed", ["task", "policy"])

        case .nodeInfo: gauge("1 for each node, with its class and hypervisor", ["node", "class", "driver", "acceleration"])
        case .nodeStanding: gauge("1 for the node's standing and 0 for the others: unknown, trusted, suspected, lost", ["node", "standing"])
        case .nodePhi: gauge("Suspicion by phi accrual; at most 1000", ["node"])
        case .nodeSilence: gauge("Time since the node was last heard", ["node"])
        case .nodeFailureRate: gauge("Estimated failure rate of the node", ["node"])
        case .nodeTasks: gauge("Tasks that are on the node or on their way to it", ["node"])
        case .nodeCapacity: gauge("Tasks that the node may run at once", ["node"])

        case .storeReachable: gauge("1 when the store answered when it was last asked, else 0", [])
        case .storeHosts: gauge("Hosts of the store that are alive, where it has such", [])
        case .storeFree: gauge("Space that is free in the store, where it tells, as of the last change of its health", [])

        case .buildInfo: gauge("1, with the version", ["version"])
        case .startTime: gauge("When the manager started", [])
        case .cycleSeconds: histogram("Time that a turn of the manager's loop took: monitor, analyse, plan, execute", [], [])
        case .lastCycle: gauge("When the last turn of the manager's loop ended", [])
        }
    }

    private func counter(_ help: String, _ labels: [String]) -> Definition { Definition(kind: .counter, help: help, labels: labels, bounds: []) }
    private func gauge(_ help: String, _ labels: [String]) -> Definition { Definition(kind: .gauge, help: help, labels: labels, bounds: []) }
    private func histogram(_ help: String, _ labels: [String], _ bounds: [Double]) -> Definition {
        Definition(kind: .histogram, help: help, labels: labels, bounds: bounds)
    }
}
