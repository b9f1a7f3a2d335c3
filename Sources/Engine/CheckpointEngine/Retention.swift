import Vocabulary

/// Which checkpoints are kept.
package enum Retention {
    /// The newest is always kept. Besides it, the newest `keepLast` and those that are younger than `keepFor`, whichever are more; where neither is
    /// given, all.
    package static func kept(
        _ line: [(id: CheckpointID, at: Timestamp)], keepLast: Int?, keepFor: Seconds?, now: Timestamp
    ) -> [CheckpointID] {
        guard keepLast != nil || keepFor != nil else { return line.map(\.id) }
        let count = max(1, keepLast ?? 1)
        return line.enumerated().filter { index, checkpoint in
            index >= line.count - count || keepFor.map { now - checkpoint.at <= $0 } ?? false
        }.map(\.element.id)
    }
}
