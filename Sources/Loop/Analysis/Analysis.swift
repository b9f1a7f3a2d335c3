import Knowledge
import Vocabulary

/// Turns what is known and seen into findings. Pure: the same input gives the same findings, live, in the simulator and in a replay.
package enum Analysis {
    package static func assess(_ knowledge: Knowledge, live: LiveView, fleet: Fleet, schedules: [TaskID: Schedule]) -> Findings {
        Findings(at: live.now, nodes: [], tasks: [])
    }
}
