import PlanningModel
import Vocabulary

/// Where a task goes: of the nodes that can take it the cheapest; where costs are within a hundredth of each other, the one with fewer tasks, of those the one
/// that fails least often, and where that is the same, the one that has been up for longest: what has not failed for long has proved itself, wherever the
/// hazard falls with age, before enough failures were seen to say so. A pure function of the situation.
struct NodeChoice {
    let situation: Situation
    let node: NodeID
    let alternatives: [Alternative]
    let index: Int
    private let best: Candidate
    private let rate: Double

    /// - Returns: nil when no node can take it.
    init?(_ situation: Situation) {
        guard let nodes = situation.nodes, !nodes.isEmpty else { return nil }
        // Nodes that fail as often are as good as each other.
        var bestAtRate: [Double: Candidate] = [:]
        let candidates = nodes.map { node in
            if let known = bestAtRate[node.failureRatePerSecond] { return known }
            let there = situation.on(node)
            let best = there.objective.minimise(over: there.options, briefly: true).best
            bestAtRate[node.failureRatePerSecond] = best
            return best
        }
        let alternatives = zip(nodes, candidates).map { alternative($1, named: $0.name) }
        guard let least = alternatives.map(\.totalCost).min() else { return nil }
        let near = nodes.indices.filter { alternatives[$0].totalCost <= least * 1.01 + 1e-9 }
        guard let index = near.min(by: { nodes[$0].preference < nodes[$1].preference }) else { return nil }
        self.situation = situation
        node = nodes[index].node
        self.alternatives = alternatives
        self.index = index
        best = candidates[index]
        rate = nodes[index].failureRatePerSecond
    }

    /// What was chosen, reckoned in another situation.
    func evaluated(in situation: Situation) -> Candidate {
        var there = situation
        there.failureRatePerSecond = rate
        return there.objective.evaluate(best.option, intervalSeconds: best.intervalSeconds)
    }
}

extension Situation.NodeOption {
    fileprivate var name: String { "\(node), with \(tasks) other tasks" + (ageSeconds.map { ", up for \(plain($0)) s" } ?? "") }

    /// The least is preferred. As long as no ages were recorded, names decided between nodes with as many tasks.
    fileprivate var preference: (Int, Double, Double, NodeID) {
        ageSeconds.map { (tasks, failureRatePerSecond, -$0.rawValue, node) } ?? (tasks, 0, 0, node)
    }
}

extension Situation {
    fileprivate func on(_ node: NodeOption) -> Situation {
        var there = self
        there.failureRatePerSecond = node.failureRatePerSecond
        return there
    }
}
