import AuditReport
import Knowledge
import Ports
import Vocabulary

/// One task, live: its forecast and what is in the store beside its audit report. The JSON contract is in docs/json.md.
package struct TaskOverview: Hashable, Sendable, Codable {
    package static let schema = "cairn.task/v1"
    package var schema = TaskOverview.schema
    /// When everything here was so, but for the report, which may be newer.
    package var at: Moment
    package var brief: TaskBrief
    package var forecast: Forecast?
    /// One a codec; empty once it has ended.
    package var predicted: [CheckpointCosts]
    /// In the store, oldest first.
    package var stored: [StoredCheckpoint]
    package var report: TaskReport

    package struct Forecast: Hashable, Sendable, Codable {
        package var expectedFinish: Moment
        package var standardDeviationSeconds: Seconds
        /// With probabilities 0.1, 0.5, 0.9 and 0.99 it has finished by then.
        package var p10Finish: Moment?
        package var medianFinish: Moment
        package var p90Finish: Moment
        package var p99Finish: Moment
        package var probabilityMet: Probability?
        package var workLeftSeconds: Seconds
        /// Work done for each second that passes, relative to what was declared.
        package var speed: Double
        package var failuresPerHour: Double
    }

    package struct StoredCheckpoint: Hashable, Sendable, Codable {
        package var checkpoint: CheckpointID
        package var parent: CheckpointID?
        package var epoch: Epoch
        package var node: NodeID
        package var capturedAt: Moment
        package var committedAt: Moment
        package var progress: Double?
        package var memoryBytes: ByteCount
        /// What each disk layer takes in the store, before replication, lowest first; nil where it was not told.
        package var layerBytes: [ByteCount]?
        package var sentBytes: ByteCount
        package var storedBytes: ByteCount?
        package var codec: Codec
        package var replication: Replication
        package var stopSeconds: Seconds
        package var compressSeconds: Seconds
        package var uploadSeconds: Seconds
        /// When it was last read whole and compared with its digests; nil: not since it was committed.
        package var verifiedAt: Moment?
        /// What was found wrong then.
        package var problems: [String]?
    }

    /// - Returns: nil if there is no such task.
    package static func read(_ task: TaskID, outlook: Outlook, ledger: any Ledger, now: Timestamp) async throws(LedgerError) -> TaskOverview? {
        guard outlook.knowledge.tasks[task] != nil else { return nil }
        let report = try await Report.read(from: ledger, generatedAt: now, task: task)
        return report.tasks.first.flatMap { TaskOverview(task, outlook: outlook, report: $0) }
    }

    /// - Returns: nil if there is no such task.
    package init?(_ task: TaskID, outlook: Outlook, report: TaskReport) {
        guard let known = outlook.knowledge.tasks[task] else { return nil }
        let finding = known.state.isFinal ? nil : outlook.findings.tasks.first { $0.task == task }
        at = Moment(outlook.findings.at)
        brief = TaskBrief(known, finding: finding, schedule: outlook.schedules[task], at: outlook.findings.at)
        forecast = finding.flatMap { Forecast($0) }
        predicted = finding?.costs ?? []
        stored = known.committed.map { StoredCheckpoint($0, known.verifications[$0.id]) }
        self.report = report
    }
}

extension TaskOverview.Forecast {
    init?(_ finding: TaskFinding) {
        guard let forecast = finding.forecast else { return nil }
        self.init(
            expectedFinish: Moment(forecast.expectedFinish), standardDeviationSeconds: forecast.standardDeviationSeconds,
            p10Finish: forecast.p10Finish.map { Moment($0) }, medianFinish: Moment(forecast.medianFinish), p90Finish: Moment(forecast.p90Finish),
            p99Finish: Moment(forecast.p99Finish), probabilityMet: forecast.probabilityMet, workLeftSeconds: Seconds(finding.workLeftSeconds.mean),
            speed: finding.speed.mean, failuresPerHour: finding.failureRate.perSecond * 3_600)
    }
}

extension TaskOverview.StoredCheckpoint {
    package init(_ record: CheckpointRecord, _ verification: TaskKnowledge.Verification?) {
        self.init(
            checkpoint: record.id, parent: record.parent, epoch: record.epoch, node: record.node, capturedAt: Moment(record.capturedAt),
            committedAt: Moment(record.committedAt), progress: record.progress, memoryBytes: record.memoryBytes, layerBytes: record.layerBytes,
            sentBytes: record.sentBytes, storedBytes: record.storedBytes, codec: record.codec, replication: record.replication,
            stopSeconds: record.stopSeconds, compressSeconds: record.compressSeconds, uploadSeconds: record.uploadSeconds,
            verifiedAt: verification.map { Moment($0.at) }, problems: verification.flatMap { $0.problems.isEmpty ? nil : $0.problems })
    }
}
