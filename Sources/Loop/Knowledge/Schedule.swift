import Vocabulary

/// The checkpointing of one task as it was last planned: what its node goes on with, and what was predicted.
package struct Schedule: Hashable, Sendable {
    package var decision: DecisionID
    package var decidedAt: Timestamp
    package var node: NodeID
    package var standing: StandingPlan
    package var predicted: CheckpointCosts?
    package init(decision: DecisionID, decidedAt: Timestamp, node: NodeID, standing: StandingPlan, predicted: CheckpointCosts?) {
        self.decision = decision
        self.decidedAt = decidedAt
        self.node = node
        self.standing = standing
        self.predicted = predicted
    }
}
