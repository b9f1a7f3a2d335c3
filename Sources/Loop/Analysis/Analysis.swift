import Knowledge
import PlanningModel
import Vocabulary

/// Turns what is known and seen into findings. Pure: the same input gives the same findings, live, in the simulator and in a replay.
package enum Analysis {
    /// - Parameter schedules: the checkpointing in force, which the forecasts assume to go on.
    package static func assess(_ knowledge: Knowledge, live: LiveView, fleet: Fleet, schedules: [TaskID: Schedule]) -> Findings {
        let reliability = Reliability(fleet: fleet, knowledge: knowledge, now: live.now)
        let reliabilities = Dictionary(
            fleet.nodes.compactMap { node in reliability.node(node).map { (node.id, $0) } }, uniquingKeysWith: { first, _ in first })
        let assessment = NodeAssessment(fleet: fleet, knowledge: knowledge, live: live)
        let nodes = fleet.nodes.compactMap { node in reliabilities[node.id].map { assessment.finding(of: node, $0) } }
        let model = CostModel(knowledge: knowledge, detection: NodeAssessment.detection(fleet.defaults))
        let tasks = knowledge.liveTasks.map { task in
            TaskAssessment(task: task, live: live, node: task.node.flatMap { reliabilities[$0] }, model: model).finding(schedule: schedules[task.id])
        }
        return Findings(at: live.now, nodes: nodes, tasks: tasks)
    }
}
