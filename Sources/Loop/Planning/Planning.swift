import Knowledge
import PlanningModel
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

/// Pure: no clock, no I/O; decisions are numbered from `nextDecision`. The same input gives the same plan, and a plan that was carried
/// out gives an empty next one.
package enum Planning {
    /// Version of what is computed here, kept with each decision.
    package static let models = "3"
    /// How often the manager looks, about: what a ceiling of the network lets through until the next time may begin now.
    package static let lookSeconds = 1.0

    /// - Parameter elsewhere: tasks that each node has beside those that are known here, where planning is for few of many.
    package static func plan(
        _ knowledge: Knowledge, findings: Findings, fleet: Fleet, schedules: [TaskID: Schedule], nextDecision: Int64,
        elsewhere: [NodeID: Int] = [:]
    ) -> Plan {
        var draft = Draft(knowledge: knowledge, findings: findings, fleet: fleet, schedules: schedules, nextDecision: nextDecision)
        draft.arriving = elsewhere
        draft.declareNodesLost()
        for finding in findings.tasks {
            guard let task = knowledge.tasks[finding.task] else { continue }
            switch task.state {
            case .submitted: draft.place(task)
            case .placed(let node), .resuming(let node, _):
                if draft.isFenced(node) { draft.resume(task, from: node) }
            case .interrupted(let node): draft.recover(task, on: node)
            case .running(let node):
                if draft.isFenced(node) {
                    draft.resume(task, from: node)
                } else {
                    draft.schedule(task, on: node)
                    draft.drain(task, on: node)
                }
            case .finished, .givenUp, .cancelled: break
            }
            draft.prune(task)
            draft.merge(task)
        }
        draft.takeTurns()
        return Plan(decisions: draft.decisions, schedules: draft.nextSchedules)
    }
}

/// A plan in the making: what each part of planning reads, and adds to.
struct Draft {
    let knowledge: Knowledge
    let findings: Findings
    let fleet: Fleet
    let schedules: [TaskID: Schedule]
    private(set) var decisions: [Decision] = []
    var nextSchedules: [TaskID: Schedule] = [:]
    /// Tasks that this plan sends to a node, and that it has elsewhere, on top of those that are known there.
    var arriving: [NodeID: Int] = [:]
    /// Tasks that could be checkpointed now, and whose policy bounds what uploads take together; by the policy's name.
    var turns: [String: [Turn]] = [:]
    private var number: Int64
    private let nodeFindings: [NodeID: NodeFinding]
    /// Where each task's is.
    private let taskFindings: [TaskID: Int]

    init(knowledge: Knowledge, findings: Findings, fleet: Fleet, schedules: [TaskID: Schedule], nextDecision: Int64) {
        self.knowledge = knowledge
        self.findings = findings
        self.fleet = fleet
        self.schedules = schedules
        number = nextDecision
        nodeFindings = Dictionary(findings.nodes.map { ($0.node, $0) }, uniquingKeysWith: { first, _ in first })
        taskFindings = Dictionary(findings.tasks.indices.map { (findings.tasks[$0].task, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func finding(of node: NodeID) -> NodeFinding? { nodeFindings[node] }
    func finding(of task: TaskID) -> TaskFinding? { taskFindings[task].map { findings.tasks[$0] } }
    func isFenced(_ node: NodeID) -> Bool { knowledge.nodes[node]?.isFenced ?? false }

    /// Records a decision.
    @discardableResult
    mutating func decide(
        _ kind: Decision.Kind, task: TaskKnowledge? = nil, node: NodeID? = nil, mode: CheckpointPolicy.Mode = .enforce,
        policy: DocumentVersion? = nil,
        inputs: [DecisionInput] = [], situation: Situation? = nil, alternatives: [Alternative] = [], chosen: Int? = nil, binding: String? = nil,
        rules: [String] = [],
        _ sentence: String, steps: (DecisionID) -> [PlanStep]
    ) -> DecisionID {
        let id = DecisionID("d" + padded(Int(number)))
        number += 1
        decisions.append(
            Decision(
                id: id, at: findings.at, kind: kind, task: task?.id, node: node, mode: mode, sla: task?.submission.version, policy: policy,
                models: Planning.models, inputs: inputs, situation: situation, alternatives: alternatives, chosen: chosen, binding: binding,
                rules: rules,
                sentence: sentence,
                steps: steps(id)))
        return id
    }
}
