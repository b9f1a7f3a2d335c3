import Analysis
import Knowledge
import Vocabulary

/// What is to be done now, each decision with its reasons.
package struct Plan: Hashable, Sendable {
    /// In the order in which they are recorded and carried out.
    package var decisions: [Decision]
    /// The schedule in force for each running task, changed or not.
    package var schedules: [TaskID: Schedule]
    package init(decisions: [Decision], schedules: [TaskID: Schedule]) {
        self.decisions = decisions
        self.schedules = schedules
    }
}

/// Pure: no clock, no I/O; decisions are numbered from `nextDecision`.
package enum Planning {
    package static func plan(
        _ knowledge: Knowledge, findings: Findings, fleet: Fleet, schedules: [TaskID: Schedule], nextDecision: Int64
    ) -> Plan {
        Plan(decisions: [], schedules: schedules)
    }
}
