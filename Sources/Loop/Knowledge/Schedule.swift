import Vocabulary

/// The checkpointing of one task as it was last planned: what its node goes on with, and what was predicted.
package struct Schedule: Hashable, Sendable {
    package var decision: DecisionID
    package var decidedAt: Timestamp
    package var node: NodeID
    package var standing: StandingPlan
    package var predicted: CheckpointCosts?
    /// Under which documents and limits; another basis is another decision.
    package var basis: Basis
    /// In Audit mode, when a checkpoint was last decided that nobody took.
    package var lastAuditedAt: Timestamp?
    /// The oldest of the checkpoints that pruning was last decided to keep.
    package var prunedTo: CheckpointID?
    /// The newest checkpoint when merging was last decided.
    package var mergedAfter: CheckpointID?

    package struct Basis: Hashable, Sendable {
        package var mode: CheckpointPolicy.Mode
        package var sla: DocumentVersion
        package var policy: DocumentVersion
        package var rules: [String]
        package var binding: String?
        package init(mode: CheckpointPolicy.Mode, sla: DocumentVersion, policy: DocumentVersion, rules: [String], binding: String?) {
            self.mode = mode
            self.sla = sla
            self.policy = policy
            self.rules = rules
            self.binding = binding
        }
    }

    package init(
        decision: DecisionID, decidedAt: Timestamp, node: NodeID, standing: StandingPlan, predicted: CheckpointCosts?, basis: Basis,
        lastAuditedAt: Timestamp? = nil, prunedTo: CheckpointID? = nil, mergedAfter: CheckpointID? = nil
    ) {
        self.decision = decision
        self.decidedAt = decidedAt
        self.node = node
        self.standing = standing
        self.predicted = predicted
        self.basis = basis
        self.lastAuditedAt = lastAuditedAt
        self.prunedTo = prunedTo
        self.mergedAfter = mergedAfter
    }
}
