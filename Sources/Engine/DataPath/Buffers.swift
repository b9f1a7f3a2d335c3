/// Memory that is used again: a part's bytes go through few buffers, however many parts there are.
package enum Buffers {
    /// Makes `bytes` as long as this; what is in it then is of no meaning. Its memory is kept when it becomes shorter.
    package static func resize(_ bytes: inout [UInt8], to count: Int) {
        if bytes.count > count {
            bytes.removeLast(bytes.count - count)
        } else if bytes.capacity < count {
            // Given up before there is a larger one.
            bytes = []
            bytes = [UInt8](repeating: 0, count: count)
        } else if bytes.count < count {
            // In pieces: an array is copied at once, a sequence of as many zeros byte by byte, which takes minutes in builds for debugging.
            while bytes.count < count { bytes.append(contentsOf: zeros[..<min(zeros.count, count - bytes.count)]) }
        }
    }

    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)
}
