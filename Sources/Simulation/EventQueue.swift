/// What happens next: a heap by time; what happens at the same time happens in the order in which it was put in.
struct EventQueue {
    enum Kind: UInt8 {
        case submit, task, transfer, nodeDown, nodeUp, nodeSilent, nodeBare, look
    }

    struct Entry {
        var time: Double
        fileprivate var order: UInt64
        var kind: Kind
        var subject: Int32
        /// Entries whose subject has moved on since are passed over.
        var version: UInt32

        fileprivate func comes(before other: Entry) -> Bool { time < other.time || time == other.time && order < other.order }
    }

    private var heap: [Entry] = []
    private var pushed: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }

    mutating func push(_ kind: Kind, _ subject: Int, at time: Double, version: UInt32 = 0) {
        pushed += 1
        var child = heap.count
        let entry = Entry(time: time, order: pushed, kind: kind, subject: Int32(subject), version: version)
        heap.append(entry)
        heap.withUnsafeMutableBufferPointer { heap in
            while child > 0 {
                let parent = (child - 1) / 4
                guard entry.comes(before: heap[parent]) else { break }
                heap[child] = heap[parent]
                child = parent
            }
            heap[child] = entry
        }
    }

    mutating func pop() -> Entry? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        let count = heap.count
        guard count > 0 else { return first }
        // Most of what a simulation without plannings takes is here.
        heap.withUnsafeMutableBufferPointer { heap in
            var parent = 0
            while true {
                let begin = 4 * parent + 1
                guard begin < count else { break }
                var least = begin
                var child = begin + 1
                let end = min(begin + 4, count)
                while child < end {
                    if heap[child].comes(before: heap[least]) { least = child }
                    child += 1
                }
                guard heap[least].comes(before: last) else { break }
                heap[parent] = heap[least]
                parent = least
            }
            heap[parent] = last
        }
        return first
    }
}
