import Vocabulary

/// Holds what was observed against each limit of an SLA.
struct PromiseJudge {
    let sla: TaskSLA
    let submittedAt: Timestamp
    let ending: TaskStory.Ending?
    let happened: Happened
    let cost: TaskCost
    let failures: [Interruption]
    let now: Timestamp

    var promises: [Promise] { [deadline, lostWork, recovery, stoppedShare].compactMap { $0 } }

    static func title(_ name: Promise.Name) -> String {
        switch name {
        case .deadline: "deadline"
        case .lostWork: "lost work"
        case .recovery: "recovery"
        case .stoppedShare: "time stopped"
        }
    }

    private var deadline: Promise? {
        guard let declared = sla.deadline else { return nil }
        let time = declared.time(submitted: submittedAt)
        let limit = span(submittedAt, time)
        func promise(_ observed: Seconds?, _ standing: Standing, _ sentence: String) -> Promise {
            Promise(name: .deadline, unit: .seconds, limit: limit.rawValue, observed: observed?.rawValue, standing: standing, sentence: sentence)
        }
        let late = happened.latenessSeconds
        switch ending {
        case .finished(_, let at):
            let took = span(submittedAt, at)
            let difference = late ?? .zero
            if difference <= .zero { return promise(took, .kept, "Finished \(Words.duration(.zero - difference)) before the deadline.") }
            return promise(took, .broken, "Finished \(Words.duration(difference)) after the deadline.")
        case .givenUp(let reason, _): return promise(nil, .broken, "It will not finish: given up (\(reason)).")
        case .cancelled(let by, let at):
            if let late {
                return promise(span(submittedAt, at), .broken, "Not finished when it was cancelled, \(Words.duration(late)) after the deadline.")
            }
            return promise(nil, .notObserved, "Cancelled by \(by) \(Words.duration(span(at, time))) before the deadline.")
        case nil:
            if let late { return promise(span(submittedAt, now), .broken, "Not finished, \(Words.duration(late)) after the deadline.") }
            return promise(nil, .notObserved, "Not finished; \(Words.duration(span(now, time))) are left.")
        }
    }

    private var counted: [Interruption] { failures.filter(\.cause.counts) }

    private var lostWork: Promise? {
        guard let limit = sla.limits.lostWorkSeconds else { return nil }
        let worst = counted.filter { $0.lostWorkSeconds != nil }.max { $0.lostWorkSeconds ?? .zero < $1.lostWorkSeconds ?? .zero }
        let unknown = counted.count { $0.lostWorkSeconds == nil }
        let standings = counted.map(\.lostWorkStanding)
        var standing = Standing.notObserved
        var sentence: String
        if standings.contains(.broken), let worst, let lost = worst.lostWorkSeconds {
            standing = .broken
            sentence = "A failure lost \(Words.duration(lost)) of work, \(Words.duration(lost - limit)) more than was allowed."
            if let decision = worst.foretoldBy {
                sentence += " Decision \(decision) had recorded what could not be kept: \(worst.foretold.joined(separator: "; "))."
            }
        } else if counted.isEmpty {
            sentence = "No failure happened, so the limit was not put to the test."
        } else if unknown > 0 {
            sentence = "What \(Words.count(unknown, "failure")) lost is not known."
        } else if let lost = worst?.lostWorkSeconds {
            standing = .kept
            sentence = "The worst of \(Words.count(counted.count, "failure")) lost \(Words.duration(lost)) of work."
        } else {
            sentence = "What was lost is not known."
        }
        return Promise(
            name: .lostWork, unit: .seconds, limit: limit.rawValue, observed: worst?.lostWorkSeconds?.rawValue, standing: standing,
            sentence: sentence,
            foretoldBy: standing == .broken ? worst?.foretoldBy : nil)
    }

    private var recovery: Promise? {
        guard let limit = sla.limits.recoverySeconds else { return nil }
        let done = counted.filter { $0.recoverySeconds != nil }
        let worst = done.compactMap(\.recoverySeconds).max()
        let open = counted.filter { $0.recoverySeconds == nil }
        func promise(_ standing: Standing, _ observed: Seconds?, _ sentence: String) -> Promise {
            Promise(name: .recovery, unit: .seconds, limit: limit.rawValue, observed: observed?.rawValue, standing: standing, sentence: sentence)
        }
        if counted.isEmpty { return promise(.notObserved, nil, "No failure happened, so the limit was not put to the test.") }
        if let never = open.first(where: { $0.recoveryStanding == .broken }) {
            let waited = span(never.at.time, ending?.at ?? now)
            return promise(
                .broken, max(waited, worst ?? .zero), "After the failure of \(never.node) it did not run again within \(Words.duration(waited)).")
        }
        if let worst, worst > limit {
            return promise(.broken, worst, "It ran again after \(Words.duration(worst)), \(Words.duration(worst - limit)) later than allowed.")
        }
        if !open.isEmpty { return promise(.notObserved, worst, "It does not run again yet; the time for it is not over.") }
        return promise(.kept, worst, "It ran again after \(Words.duration(worst ?? .zero))\(done.count > 1 ? " at worst" : "").")
    }

    private var stoppedShare: Promise? {
        guard let limit = sla.limits.stoppedShare else { return nil }
        let standing: Standing
        let sentence: String
        if let share = cost.stoppedShare {
            let facts = "It stood still for \(Words.duration(cost.stopSeconds)) of \(Words.duration(cost.runningSeconds)) that it ran"
            if ending == nil {
                standing = .notObserved
                sentence = facts + ", so far."
            } else {
                standing = share <= limit ? .kept : .broken
                sentence = facts + "."
            }
        } else {
            standing = .notObserved
            sentence = "It never ran."
        }
        return Promise(name: .stoppedShare, unit: .share, limit: limit, observed: cost.stoppedShare, standing: standing, sentence: sentence)
    }
}
