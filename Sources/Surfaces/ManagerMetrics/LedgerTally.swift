import Ports
import Synchronization
import Vocabulary

/// Counts of what the ledger holds: events as they are folded, decisions as they are recorded.
package final class LedgerTally: EventWitness {
    private let ledger: any Ledger
    private let tally = Mutex(Tally())
    private let decided = Mutex(Decided())

    /// Decisions up to `through` are counted for good; those after it are counted each time, since one with a lower number may be recorded
    /// after one with a higher.
    private struct Decided {
        var through: Int64 = 0
        var counts: [DecisionCount.Subject: Int64] = [:]
    }
    static let unsettled: Int64 = 1_000

    package init(ledger: any Ledger) { self.ledger = ledger }

    package func saw(_ records: [EventRecord]) {
        tally.withLock { tally in for record in records { tally.fold(record) } }
    }

    package func counts() async throws(LedgerError) -> Exposition {
        var counts = tally.withLock { $0.counts }
        for kind in Decision.Kind.allCases {
            for mode in CheckpointPolicy.Mode.allCases { counts.add(.decisions, Self.labels(.init(kind: kind, mode: mode)), 0) }
        }
        for (subject, count) in try await decisions() { counts.add(.decisions, Self.labels(subject), Double(count)) }
        return counts
    }

    private static func labels(_ subject: DecisionCount.Subject) -> [String] { [subject.kind.word, subject.mode.rawValue.lowercased()] }

    private func decisions() async throws(LedgerError) -> [DecisionCount.Subject: Int64] {
        var known = decided.withLock { $0 }
        let settled = max(known.through, try await ledger.nextDecisionNumber() - Self.unsettled)
        if settled > known.through {
            for count in try await ledger.decisionCounts(after: known.through, through: settled) {
                known.counts[count.subject, default: 0] += count.count
            }
            known.through = settled
            decided.withLock { [known] last in if known.through > last.through { last = known } }
        }
        for count in try await ledger.decisionCounts(after: settled, through: .max) { known.counts[count.subject, default: 0] += count.count }
        return known.counts
    }
}

extension Decision.Kind {
    /// As a label's value.
    var word: String {
        switch self {
        case .schedule: "schedule"
        case .checkpoint: "checkpoint"
        case .place: "place"
        case .declareLost: "declare-lost"
        case .resume: "resume"
        case .giveUp: "give-up"
        case .prune: "prune"
        case .merge: "merge"
        case .rebuild: "rebuild"
        case .move: "move"
        }
    }
}
