import Knowledge
import PlanningModel
import Vocabulary

/// Turns what is known and seen into findings. Pure: the same input gives the same findings, live, in the simulator and in a replay.
package enum Analysis {
    /// - Parameter schedules: the checkpointing in force, which the forecasts assume to go on.
    package static func assess(_ knowledge: Knowledge, live: LiveView, fleet: Fleet, schedules: [TaskID: Schedule]) -> Findings {
        var reliability = Reliability()
        return assess(knowledge, live: live, fleet: fleet, schedules: schedules, reliability: &reliability)
    }

    /// - Parameters:
    ///   - nodes: those that are asked about; nil: all of the fleet. Tasks on others are told no failure rate.
    ///   - forecasts: whether it is forecast when tasks will have finished, which rules about deadlines and people want to know; it takes more than
    ///     all the rest.
    ///   - certainty: what need not be learnt, in a simulation.
    ///   - reliability: of earlier calls about the same ledger and fleet, which saves going through the nodes' histories again.
    package static func assess(
        _ knowledge: Knowledge, live: LiveView, fleet: Fleet, nodes: [Fleet.Node]? = nil, schedules: [TaskID: Schedule],
        reliability: inout Reliability, forecasts: Bool = true, certainty: Certainty? = nil
    ) -> Findings {
        if certainty == nil { reliability.learn(fleet, knowledge, live.now) }
        let asked = nodes ?? fleet.nodes
        let reliabilities = Dictionary(
            asked.compactMap { node in (certainty?.node(node.id) ?? reliability.node(node)).map { (node.id, $0) } },
            uniquingKeysWith: { first, _ in first })
        let assessment = NodeAssessment(fleet: fleet, knowledge: knowledge, live: live)
        let found = asked.compactMap { node in reliabilities[node.id].map { assessment.finding(of: node, $0) } }
        let model = CostModel(knowledge: knowledge, detection: NodeAssessment.detection(fleet.defaults))
        let tasks = knowledge.liveTaskIDs.compactMap { id in
            knowledge.tasks[id].map { task in
                TaskAssessment(
                    task: task, live: live, node: task.node.flatMap { reliabilities[$0] }, model: model, knownCosts: certainty?.costs[task.id]
                )
                .finding(schedule: schedules[task.id], withForecast: forecasts)
            }
        }
        return Findings(at: live.now, nodes: found, tasks: tasks)
    }
}
