import Vocabulary

/// What a policy in Audit mode would have done with a task, beside what was done.
///
/// While a task is audited nothing is armed and nothing ordered: what was done is what an operator ordered, and what had been saved before.
/// A report shows it from `TaskReport.sideBySide`.
package struct AuditSideBySide: Hashable, Sendable, Codable {
    package struct Row: Hashable, Sendable, Codable {
        package var decision: DecisionID
        package var at: Moment
        package var kind: Decision.Kind
        /// `every 24 s, zstd, 2 copies`, `a checkpoint now`.
        package var wouldHave: String
        /// The schedule that was enforced last, and the age of the newest committed checkpoint.
        package var was: String
    }

    /// Over all of the time that the task was audited.
    package struct Sum: Hashable, Sendable, Codable {
        package var checkpoints: Int
        package var sentBytes: ByteCount
        package var stopSeconds: Seconds
    }

    /// Of a failure while it was audited.
    package struct Loss: Hashable, Sendable, Codable {
        package var at: Moment
        /// nil: not known.
        package var lostWorkSeconds: Seconds?
        /// With the checkpoints that would have been durable by then; predicted.
        package var wouldHaveLostSeconds: Seconds?
    }

    package var task: TaskID
    package var rows: [Row]
    /// As predicted.
    package var wouldHave: Sum
    /// As observed.
    package var was: Sum
    package var losses: [Loss]
}

extension TaskReport {
    /// nil: it was never audited.
    package var sideBySide: AuditSideBySide? {
        let audited = decisions.filter { $0.mode == .audit }
        guard !audited.isEmpty else { return nil }
        let spans = auditedSpans
        func isAudited(_ moment: Moment) -> Bool { spans.contains { $0.from <= moment && $0.to.map { moment < $0 } ?? true } }
        let wouldBe = audited.filter { $0.kind == .checkpoint }
        let taken = checkpoints.filter { $0.committedAt.map(isAudited) ?? false }
        return AuditSideBySide(
            task: task,
            rows: audited.map { decision in
                AuditSideBySide.Row(
                    decision: decision.decision, at: decision.at, kind: decision.kind,
                    wouldHave: decision.kind == .checkpoint ? "a checkpoint now" : decision.chosen?.name ?? decision.steps.first ?? decision.sentence,
                    was: inForce(at: decision.at))
            },
            wouldHave: AuditSideBySide.Sum(
                checkpoints: wouldBe.count, sentBytes: ByteCount(Int64(wouldBe.reduce(0) { $0 + max(0, $1.predicted("sentBytes") ?? 0) })),
                stopSeconds: Seconds(wouldBe.reduce(0) { $0 + ($1.predicted("stopSeconds") ?? 0) })),
            was: AuditSideBySide.Sum(
                checkpoints: taken.count, sentBytes: taken.reduce(.zero) { $0 + ($1.sentBytes ?? .zero) },
                stopSeconds: taken.reduce(.zero) { $0 + ($1.stopSeconds ?? .zero) }),
            losses: failures.filter { ($0.cause == .nodeLost || $0.cause == .guestFailed) && isAudited($0.at) }.map { loss($0, wouldBe) })
    }

    /// From a decision in Audit mode until the next one that is enforced, of those about checkpoints.
    private var auditedSpans: [(from: Moment, to: Moment?)] {
        var spans: [(from: Moment, to: Moment?)] = []
        for decision in decisions where decision.kind == .schedule || decision.kind == .checkpoint {
            let isOpen = spans.last.map { $0.to == nil } ?? false
            if decision.mode == .audit, !isOpen {
                spans.append((decision.at, nil))
            } else if decision.mode == .enforce, isOpen {
                spans[spans.count - 1].to = decision.at
            }
        }
        return spans
    }

    private func inForce(at moment: Moment) -> String {
        let enforced = decisions.last { $0.kind == .schedule && $0.mode == .enforce && $0.at < moment }
        let schedule = enforced.map { "nothing (until then \($0.chosen?.name ?? "unknown"))" } ?? "nothing"
        guard let newest = checkpoints.last(where: { $0.committedAt.map { $0 <= moment } ?? false }), let captured = newest.capturedAt else {
            return schedule + "; no checkpoint yet"
        }
        return schedule + "; the newest checkpoint is \(Words.duration(moment.time - captured.time)) old"
    }

    private func loss(_ failure: Interruption, _ wouldBe: [DecisionReport]) -> AuditSideBySide.Loss {
        let began = lives.last { $0.epoch == failure.epoch && $0.node == failure.node }?.startedAt
        // Of this life: what an earlier one would have saved, this one did not begin from.
        let saved = wouldBe.last { decision in
            began.map { $0 <= decision.at } ?? true && decision.at.time + Seconds(decision.predicted("latencySeconds") ?? 0) <= failure.at.time
        }
        let wouldHave = saved.map { span($0.at.time, failure.at.time) }
        let lost = failure.lostWorkSeconds
        return AuditSideBySide.Loss(
            at: failure.at, lostWorkSeconds: lost, wouldHaveLostSeconds: wouldHave.map { saved in lost.map { min($0, saved) } ?? saved } ?? lost)
    }
}

extension DecisionReport {
    fileprivate func predicted(_ quantity: String) -> Double? { inputs.first { $0.name == quantity }?.value }
}

extension AuditSideBySide {
    package func text(width: Int) -> String {
        var page = TextPage(width: width)
        page.heading("\(task): what would have been done, and what was", "\(Words.count(rows.count, "decision")) in Audit mode")
        page.rule("-")
        page.table(
            [
                TextPage.Column(title: "decision"), TextPage.Column(title: "at"), TextPage.Column(title: "would have"),
                TextPage.Column(title: "was", takesRest: true),
            ], rows.map { [$0.decision.rawValue, Words.moment($0.at.time), $0.wouldHave, $0.was] })
        page.blank()
        page.entry("would have", wouldHave.words + " (predicted)")
        page.entry("was", was.words)
        for loss in losses {
            page.entry(
                "failure",
                "\(Words.moment(loss.at.time)): \(loss.lostWorkSeconds.map { Words.duration($0) } ?? "an unknown length") of work lost; would have been "
                    + (loss.wouldHaveLostSeconds.map { Words.duration($0) } ?? "an unknown length"))
        }
        return page.text
    }
}

extension AuditSideBySide.Sum {
    fileprivate var words: String {
        "\(Words.count(checkpoints, "checkpoint")), \(Words.bytes(sentBytes)) sent, stopped for \(Words.duration(stopSeconds)) in all"
    }
}
