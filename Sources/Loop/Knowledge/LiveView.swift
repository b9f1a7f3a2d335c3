import Vocabulary

/// What is seen and not kept: heartbeats and the latest observation of each task. A manager that starts again has an empty
/// one, and gives every node the benefit of the doubt from that moment.
package struct LiveView: Hashable, Sendable {
    package var now: Timestamp
    package var managerSince: Timestamp
    package var heartbeats: [NodeID: Heartbeats]
    package var observations: [TaskID: TaskObservation]

    package init(
        now: Timestamp, managerSince: Timestamp, heartbeats: [NodeID: Heartbeats] = [:], observations: [TaskID: TaskObservation] = [:]
    ) {
        self.now = now
        self.managerSince = managerSince
        self.heartbeats = heartbeats
        self.observations = observations
    }

    package struct Heartbeats: Hashable, Sendable {
        /// When the node was last heard, by the manager's clock.
        package private(set) var last: Timestamp
        /// Time between the latest heartbeats, oldest first, at most `windowLimit`.
        package private(set) var intervals: [Seconds] = []
        package static let windowLimit = 200

        package init(first: Timestamp) { last = first }

        /// The manager itself was away until now: that is no silence of the node's.
        package mutating func excuse(until time: Timestamp) { last = max(last, time) }

        package mutating func heard(at time: Timestamp) {
            intervals.append(max(.zero, time - last))
            if intervals.count > Self.windowLimit { intervals.removeFirst() }
            last = time
        }
    }
}
