import Knowledge
import PlanningModel
import Vocabulary

/// Turns what is known and seen into findings. Pure: the same input gives the same findings, live, in the simulator and in a replay.
package enum Analysis {
    /// - Parameter schedules: the checkpointing in force, which the forecasts assume to go on.
    package static func assess(_ knowledge: Knowledge, live: LiveView, fleet: Fleet, schedules: [TaskID: Schedule]) -> Findings {
        let nodes = fleet.nodes.map { NodeAssessment(fleet: fleet, knowledge: knowledge, live: live).finding(of: $0) }
        let rates = Dictionary(nodes.map { ($0.node, $0.failureRate) }, uniquingKeysWith: { first, _ in first })
        let model = CostModel(knowledge: knowledge, detection: NodeAssessment.detection(fleet.defaults))
        let tasks = knowledge.liveTasks.map { task in
            TaskAssessment(task: task, live: live, rate: task.node.flatMap { rates[$0] }, model: model).finding(schedule: schedules[task.id])
        }
        return Findings(at: live.now, nodes: nodes, tasks: tasks)
    }
}
