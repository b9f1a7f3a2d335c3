import PlanningModel
import Vocabulary

/// What an oracle knows for certain, in a simulation: what everybody else has to learn.
package struct Certainty: Sendable {
    /// The Weibull distribution of every node's lives, and how long each has lived.
    private let lifetimes: WeibullFit
    private let ages: [NodeID: Seconds]
    let costs: [TaskID: [CheckpointCosts]]

    package init(shape: Double, scaleSeconds: Double, ages: [NodeID: Seconds], costs: [TaskID: [CheckpointCosts]]) {
        lifetimes = WeibullFit(shape: shape, scaleSeconds: scaleSeconds)
        self.ages = ages
        self.costs = costs
    }

    func node(_ node: NodeID) -> NodeReliability? {
        let rate = 1 / lifetimes.meanSeconds
        return NodeReliability(
            constant: RateEstimate(
                perSecond: rate, standardError: 0, lowPerSecond: rate, highPerSecond: rate, failures: lifetimes.failures, exposureSeconds: .zero),
            lifetimes: lifetimes.shape == 1 ? nil : lifetimes, opinion: 0, age: ages[node] ?? .zero, shared: nil)
    }
}
