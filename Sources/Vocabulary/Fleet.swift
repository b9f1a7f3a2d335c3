/// What an operator declares of the machines (`kind: Fleet`).
package struct Fleet: Hashable, Sendable, Codable {
    package var name: String
    package var nodes: [Node]
    package var store: StoreLocation
    /// Directory that holds the images; absolute.
    package var imagesDirectory: String
    package var defaults: Defaults

    package init(name: String, nodes: [Node], store: StoreLocation, imagesDirectory: String, defaults: Defaults = Defaults()) {
        self.name = name
        self.nodes = nodes
        self.store = store
        self.imagesDirectory = imagesDirectory
        self.defaults = defaults
    }

    package struct Node: Hashable, Sendable, Codable {
        package var id: NodeID
        /// libvirt connection URI; `qemu:///embed` means a libvirt inside the agent, rooted in its own directory.
        package var hypervisor: String
        /// Nodes of one class share what is learnt of their reliability.
        package var nodeClass: String
        /// How many tasks it may run at once.
        package var capacity: Int
        package var fence: FenceMethod
        /// How Xen runs the guests that start here; nil: the best way that the host has.
        package var guest: XenGuest?
        package init(
            id: NodeID, hypervisor: String = "qemu:///embed", nodeClass: String = "default", capacity: Int = 8, fence: FenceMethod = .storeOnly,
            guest: XenGuest? = nil
        ) {
            self.id = id
            self.hypervisor = hypervisor
            self.nodeClass = nodeClass
            self.capacity = capacity
            self.fence = fence
            self.guest = guest
        }
    }

    package struct Defaults: Hashable, Sendable, Codable {
        package var heartbeatSeconds: Seconds
        /// Suspicion (phi) from which a node is watched, and from which it is declared lost.
        package var suspectPhi: Double
        package var lostPhi: Double
        /// What is believed of a node's reliability before anything is seen: its mean time between failures, and how many
        /// failures that belief is worth.
        package var priorMTBFSeconds: Seconds
        package var priorWeight: Double
        package init(
            heartbeatSeconds: Seconds = Seconds(1), suspectPhi: Double = 3, lostPhi: Double = 8,
            priorMTBFSeconds: Seconds = .hours(24 * 30), priorWeight: Double = 1
        ) {
            self.heartbeatSeconds = heartbeatSeconds
            self.suspectPhi = suspectPhi
            self.lostPhi = lostPhi
            self.priorMTBFSeconds = priorMTBFSeconds
            self.priorWeight = priorWeight
        }
    }
}

/// How Xen runs a guest. A guest that was checkpointed as one of them is resumed as the same.
package enum XenGuest: String, Hashable, Sendable, Codable, CaseIterable {
    /// Paravirtualised: on every host; without live checkpoints where the hypervisor has no shadow paging.
    case pv
    /// Paravirtualised but for processor and memory, which the hardware virtualises.
    case pvh
    /// Fully virtualised, with paravirtual disks.
    case hvm
}

/// How a node is made harmless before its tasks are resumed elsewhere.
package enum FenceMethod: Hashable, Sendable, Codable {
    /// Ended by its process identifiers; for nodes that are processes on the manager's own machine.
    case process
    /// A command of the operator's (power switch, cluster tool); exit status 0 means that the node is off.
    case command([String])
    /// Only the epoch raised in the store keeps a stale node from committing.
    case storeOnly
}

package enum StoreLocation: Hashable, Sendable, Codable {
    /// Absolute path of a directory that every node can reach (local, or a mount).
    case directory(String)
    /// HDFS over WebHDFS: NameNode addresses (`http://host:port`), the directory in it, and the user.
    case webHDFS(nameNodes: [String], root: String, user: String)
}
