import Vocabulary

/// Whether a decision turned out well, now that it is known what came of it.
package struct Hindsight: Hashable, Sendable, Codable {
    package enum Verdict: String, Hashable, Sendable, Codable, CaseIterable {
        case well
        case badly
        /// What it was made for did not come, so that it was not put to the test.
        case untested
        /// Its time is not over.
        case open

        package var words: String {
            switch self {
            case .well: "turned out well"
            case .badly: "turned out badly"
            case .untested: "not put to the test"
            case .open: "still open"
            }
        }
    }
    package var verdict: Verdict
    package var sentence: String

    init(_ verdict: Verdict, _ sentence: String) {
        self.verdict = verdict
        self.sentence = sentence
    }
}

/// Holds what a decision was made for against what came, by what was observed alone.
struct HindsightJudge {
    let account: TaskAccount
    let checkpoints: [CheckpointReport]
    let failures: [Interruption]

    private var isOver: Bool { account.story.ending != nil }

    func hindsight(of decision: Decision) -> Hindsight? {
        guard decision.mode == .enforce else { return nil }
        switch decision.kind {
        case .schedule: return schedule(decision)
        case .checkpoint: return checkpoint(decision)
        case .place: return place(decision)
        case .resume: return resume(decision)
        case .declareLost, .giveUp, .prune, .merge, .move, .rebuild: return nil
        }
    }

    /// By the failures that came while it was in force.
    private func schedule(_ decision: Decision) -> Hindsight {
        let next = account.decisions.first { $0.kind == .schedule && $0.at > decision.at }?.at
        let end = next ?? account.story.ending?.at
        let met = failures.filter { failure in
            failure.cause.counts && failure.at.time >= decision.at && (end.map { failure.at.time < $0 } ?? true)
        }
        let interval = decision.chosen.flatMap { decision.alternatives.indices.contains($0) ? decision.alternatives[$0].intervalSeconds : nil }
        let length = Words.duration(max(.zero, span(decision.at, end ?? account.now)))
        guard let worst = met.max(by: { ($0.lostWorkSeconds ?? .zero) < ($1.lostWorkSeconds ?? .zero) }) else {
            guard end != nil else { return Hindsight(.open, "In force for \(length), without a failure.") }
            return Hindsight(.untested, "No failure came in the \(length) that it was in force.")
        }
        let lost = worst.lostWorkSeconds.map { "lost \(Words.duration($0)) of work" } ?? "lost work that is not known"
        if met.contains(where: { $0.lostWorkStanding == .broken }) {
            return Hindsight(.badly, "A failure \(lost), more than the SLA allows.")
        }
        guard worst.lostWorkSeconds != nil else { return Hindsight(.open, "A failure \(lost).") }
        if decision.chosen != nil, interval == nil, worst.lostWorkSeconds != .zero {
            return Hindsight(.badly, "No checkpoint was to be taken, and a failure \(lost).")
        }
        return Hindsight(.well, "A failure \(lost)\(worst.lostWorkStanding == .kept ? ", within what the SLA allows" : "").")
    }

    /// By whether the task could go on from it.
    private func checkpoint(_ decision: Decision) -> Hindsight {
        guard let made = checkpoints.last(where: { $0.decision == decision.id }) else {
            return isOver ? Hindsight(.badly, "Nothing was heard of it.") : Hindsight(.open, "Nothing was heard of it yet.")
        }
        switch made.status {
        case .committed, .pruned:
            let after = made.latencySeconds.map { " after \(Words.duration($0))" } ?? ""
            if made.resumptions > 0 { return Hindsight(.well, "The task went on from \(made.checkpoint), safe\(after).") }
            return Hindsight(.untested, "\(made.checkpoint) was safe\(after); nothing had to go on from it.")
        case .failed, .refused: return Hindsight(.badly, "\(made.checkpoint) came to nothing: \(made.reason ?? made.status.rawValue).")
        case .unfinished:
            if made.reason == nil { return Hindsight(.open, "\(made.checkpoint) is under way.") }
            return Hindsight(.badly, "\(made.checkpoint) was not committed before its node was lost or the task ended.")
        }
    }

    private func place(_ decision: Decision) -> Hindsight? {
        guard let node = decision.node else { return nil }
        if let life = account.story.lives.first(where: { $0.node == node && ($0.startedAt ?? $0.endedAt ?? decision.at) >= decision.at }),
            let started = life.startedAt
        {
            return Hindsight(.well, "It ran on \(node) after \(Words.duration(max(.zero, span(decision.at, started)))).")
        }
        let moved = account.decisions.contains { ($0.kind == .place || $0.kind == .resume || $0.kind == .giveUp) && $0.at > decision.at }
        return isOver || moved ? Hindsight(.badly, "It never ran on \(node).") : Hindsight(.open, "It does not run on \(node) yet.")
    }

    private func resume(_ decision: Decision) -> Hindsight? {
        guard let node = decision.node else { return nil }
        let broken = failures.last { $0.detectedAt.time <= decision.at }
        if let broken, let resumed = broken.resumedAt, broken.resumedOn == node, let took = broken.recoverySeconds, resumed.time >= decision.at {
            let facts = "It ran again on \(node) after \(Words.duration(took))"
            return broken.recoveryStanding == .broken
                ? Hindsight(.badly, facts + ", later than the SLA allows.") : Hindsight(.well, facts + ".")
        }
        let tried = account.decisions.contains { ($0.kind == .resume || $0.kind == .giveUp) && $0.at > decision.at }
        return isOver || tried ? Hindsight(.badly, "It did not run again on \(node).") : Hindsight(.open, "It does not run on \(node) yet.")
    }

    /// A node that is heard of again in the same life of its agent had not been lost.
    static func hindsight(ofNode decision: Decision, _ events: [EventRecord]) -> Hindsight? {
        guard decision.kind == .declareLost, decision.mode == .enforce, let node = decision.node else { return nil }
        var before: Incarnation?
        for record in events {
            guard case .nodeJoined(node, let incarnation, _, _) = record.event else { continue }
            guard record.at > decision.at else {
                before = incarnation
                continue
            }
            let after = Words.duration(span(decision.at, record.at))
            return incarnation == before
                ? Hindsight(.badly, "It was heard of again after \(after), as if nothing had been.")
                : Hindsight(.well, "It came back after \(after), started anew.")
        }
        return Hindsight(.well, "It was not heard of again.")
    }
}
