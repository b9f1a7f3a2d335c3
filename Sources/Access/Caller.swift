import Vocabulary

/// Who asks something of the manager, and what they may.
package struct Caller: Hashable, Sendable {
    package enum Role: Hashable, Sendable {
        /// Sees everything, changes nothing.
        case viewer
        /// Sees everything, submits tasks, and acts on those that are its own.
        case owner
        /// Acts on every task and node.
        case `operator`
        /// A node's agent: reports as itself, and nothing else.
        case node(NodeID)
        /// Whoever is on the manager's own machine while no tokens are set: everything.
        case local
        /// Whoever showed nothing: what is for anyone.
        case stranger
    }
    /// What the ledger calls them.
    package var name: String
    package var role: Role
    package init(name: String, role: Role) {
        self.name = name
        self.role = role
    }

    /// While no tokens are set, those on the machine are its operator.
    package static let local = Caller(name: "operator", role: .local)

    package static let stranger = Caller(name: "nobody", role: .stranger)

    package enum Deed: Hashable, Sendable {
        case read, submit
        /// Something done to a task; nil: to one that nobody owns, or that is not there.
        case act(onTaskOf: String?)
        /// Something done to nodes, policies or the whole fleet.
        case operate
        case report(as: NodeID)
    }

    package func may(_ deed: Deed) -> Bool {
        switch (role, deed) {
        case (.local, _): true
        case (.node(let node), .report(let other)): node == other
        case (.stranger, _), (.node, _), (_, .report): false
        case (.operator, _), (_, .read): true
        case (.viewer, _): false
        case (.owner, .submit): true
        case (.owner, .act(let owner)): owner == name
        case (.owner, .operate): false
        }
    }
}
