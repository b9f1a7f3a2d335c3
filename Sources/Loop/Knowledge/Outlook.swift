import Vocabulary

/// All that the loop's newest turn knew, found and decided, at one moment: what a surface shows.
package struct Outlook: Sendable {
    package var fleet: Fleet
    package var version: String
    package var startedAt: Timestamp
    /// Turns of the loop since then.
    package var cycles: Int64
    package var knowledge: Knowledge
    /// Of the same moment as everything else here.
    package var findings: Findings
    package var schedules: [TaskID: Schedule]

    package init(
        fleet: Fleet, version: String, startedAt: Timestamp, cycles: Int64, knowledge: Knowledge, findings: Findings, schedules: [TaskID: Schedule]
    ) {
        self.fleet = fleet
        self.version = version
        self.startedAt = startedAt
        self.cycles = cycles
        self.knowledge = knowledge
        self.findings = findings
        self.schedules = schedules
    }
}

/// Whoever keeps the newest outlook: the manager.
package protocol OutlookSource: Sendable {
    /// nil: the loop has not turned yet.
    func outlook() async -> Outlook?
}
