import Synchronization

/// A part's bytes on their way. One user at a time: whoever took it.
final class PartBuffer: @unchecked Sendable {
    var bytes: [UInt8] = []
}

/// The buffers of one transfer: as many as were ever in use at once, and not one for each part.
final class PartBuffers: Sendable {
    private let idle = Mutex<[PartBuffer]>([])
    func take() -> PartBuffer { idle.withLock { $0.popLast() } ?? PartBuffer() }
    /// A small one is not worth keeping: it would grow, and be one more large one.
    func giveBack(_ buffer: PartBuffer) {
        guard buffer.bytes.capacity >= Format.partSize else { return }
        idle.withLock { $0.append(buffer) }
    }
}

/// What is done once, by whoever comes first.
final class Once: Sendable {
    private let body: Mutex<(@Sendable () -> Void)?>
    init(_ body: @escaping @Sendable () -> Void) { self.body = Mutex(body) }
    func run() {
        let body = body.withLock { body in
            defer { body = nil }
            return body
        }
        body?()
    }
}

/// Lets so many in at once; the others wait in order.
final class Gate: Sendable {
    private let state: Mutex<State>
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    init(_ width: Int) { state = Mutex(State(free: width)) }

    func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.waiting.isEmpty {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
