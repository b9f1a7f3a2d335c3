import Foundation
import Synchronization
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Stands before a server of any protocol on TCP, and cuts, holds up or changes what passes; before an FTP server also its data connections.
final class CuttingRelay: Sendable {
    struct Passing: Sendable {
        enum Direction: Sendable, CaseIterable { case up, down }
        var direction: Direction
        /// Of an FTP data connection.
        var isData: Bool
        /// How many connections there have been, this one included.
        var connection: Int
    }
    enum Verdict: Sendable {
        case pass
        /// So many bytes pass, and then the connection ends, both ways; by a reset, or as if all were said.
        case cut(after: Int, isReset: Bool)
        /// Nothing passes on this connection any more, and it stays open.
        case hold
    }
    typealias Touch = @Sendable (_ passing: Passing, _ bytes: inout [UInt8]) -> Verdict

    private final class State: Sendable {
        let touch: Touch
        let connections = Mutex(0)
        /// One chunk at a time is judged.
        let turn = Mutex(())
        let listeners = Mutex<[LoopbackListener]>([])
        init(_ touch: @escaping Touch) { self.touch = touch }
        func judge(_ passing: Passing, _ bytes: inout [UInt8]) -> Verdict { turn.withLock { _ in touch(passing, &bytes) } }
    }
    private let state: State
    private let listener: LoopbackListener
    let host: String
    var port: Int { listener.port }

    /// - Parameters:
    ///   - host: an address of 127.0.0.0/8; the server is at 127.0.0.1.
    ///   - dataPorts: the ports at which an FTP server takes data, where what it says of them cannot be read here: they are then the same at `host`.
    init(at host: String = "127.0.0.1", to port: Int, dataPorts: ClosedRange<Int>? = nil, _ touch: @escaping Touch) throws {
        let state = State(touch)
        self.state = state
        self.host = host
        listener = try LoopbackListener(at: host) { Self.relay($0, to: port, isData: false, state) }
        for port in dataPorts.map(Array.init) ?? [] {
            let listener = try LoopbackListener(at: host, port: port) { Self.relay($0, to: port, isData: true, state) }
            state.listeners.withLock { $0.append(listener) }
        }
    }

    func stop() {
        listener.stop()
        for listener in state.listeners.withLock({ $0 }) { listener.stop() }
    }
    deinit { stop() }

    private static func relay(_ client: Int32, to port: Int, isData: Bool, _ state: State) {
        let number = state.connections.withLock { count in
            count += 1
            return count
        }
        guard let server = LoopbackListener.connection(to: port) else { return }
        defer { close(server) }
        let up = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            pump(from: client, to: server, Passing(direction: .up, isData: isData, connection: number), state)
            up.signal()
        }
        pump(from: server, to: client, Passing(direction: .down, isData: isData, connection: number), state)
        up.wait()
    }

    private static func pump(from: Int32, to: Int32, _ passing: Passing, _ state: State) {
        var held = false
        var early: [UInt8] = []
        while let more = Exchange.receive(from), !more.isEmpty {
            if held { continue }
            var bytes = early + more
            early = []
            if passing.direction == .down, !passing.isData {
                // Whole lines, as long as it is FTP in the clear.
                if bytes.starts(with: Array("229 ".utf8)), bytes.last != 10 {
                    early = bytes
                    continue
                }
                bytes = redirected(bytes, state)
            }
            switch state.judge(passing, &bytes) {
            case .pass: Exchange.send(to, bytes)
            case .hold: held = true
            case .cut(let count, let isReset):
                Exchange.send(to, Array(bytes.prefix(count)))
                if isReset { for end in [from, to] { reset(end) } }
                for end in [from, to] { shutdown(end, Int32(SHUT_RDWR)) }
                return
            }
        }
        shutdown(to, Int32(SHUT_WR))
    }

    /// When it is closed, what is under way is lost and the other side is told so.
    private static func reset(_ socket: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Where the server names a port for data (RFC 2428), it is to name one of ours.
    private static func redirected(_ bytes: [UInt8], _ state: State) -> [UInt8] {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasPrefix("229 "), let match = text.firstMatch(of: #/\(\|\|\|(\d+)\|\)/#), let port = Int(match.1) else { return bytes }
        do {
            let listener = try LoopbackListener { relay($0, to: port, isData: true, state) }
            state.listeners.withLock { $0.append(listener) }
            return Array(text.replacing("(|||\(port)|)", with: "(|||\(listener.port)|)").utf8)
        } catch { return bytes }
    }
}

/// Listens on loopback; a thread a connection.
final class LoopbackListener: Sendable {
    let port: Int
    private let listener: Int32
    private let isStopped = Mutex(false)
    private let isClosed = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - host: an address of 127.0.0.0/8.
    ///   - port: 0: any that is free.
    init(at host: String = "127.0.0.1", port: Int = 0, _ handle: @escaping @Sendable (Int32) -> Void) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        // Connections that another listener had there may still be dying.
        var isShared: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &isShared, socklen_t(MemoryLayout<Int32>.size))
        var name = Self.address(port, host)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, address, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRINUSE) }
        self.listener = listener
        self.port = Int(UInt16(bigEndian: name.sin_port))
        Thread.detachNewThread { [isClosed] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else {
                    // Here and nowhere else: its number is another's from then on.
                    close(listener)
                    isClosed.signal()
                    return
                }
                Thread.detachNewThread {
                    handle(connection)
                    close(connection)
                }
            }
        }
    }

    private static func address(_ port: Int, _ host: String = "127.0.0.1") -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = inet_addr(host)
        name.sin_port = UInt16(port).bigEndian
        return name
    }

    static func connection(to port: Int) -> Int32? {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = address(port)
        let isConnected = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
        if isConnected { return connection }
        close(connection)
        return nil
    }

    /// Afterwards another may listen there.
    func stop() {
        let isFirst = isStopped.withLock { isStopped in
            defer { isStopped = true }
            return !isStopped
        }
        guard isFirst else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        isClosed.wait()
    }
    deinit { stop() }
}

/// Counts what passes, and ends a connection once, at a byte.
final class OneCut: Sendable {
    let passed = Mutex(0)
    let isDone = Mutex(false)
    let direction: CuttingRelay.Passing.Direction
    let at: Int
    let isReset: Bool
    init(_ direction: CuttingRelay.Passing.Direction, at: Int, isReset: Bool) {
        self.direction = direction
        self.at = at
        self.isReset = isReset
    }
    func judge(_ passing: CuttingRelay.Passing, _ bytes: [UInt8]) -> CuttingRelay.Verdict {
        guard passing.direction == direction else { return .pass }
        return passed.withLock { passed in
            let before = passed
            passed += bytes.count
            guard before <= at, at < passed else { return .pass }
            isDone.withLock { $0 = true }
            return .cut(after: at - before, isReset: isReset)
        }
    }
}

/// Uses a server through a relay: once to see how much passes, then again and again, cut once in each of so many pieces of that, each way.
func cuttingAnywhere(
    pieces: Int = 8, relay: (@escaping CuttingRelay.Touch) throws -> CuttingRelay, _ use: (CuttingRelay) async throws -> Void
) async throws {
    let counters = CuttingRelay.Passing.Direction.allCases.map { OneCut($0, at: .max, isReset: false) }
    let counting = try relay { passing, bytes in
        for counter in counters { _ = counter.judge(passing, bytes) }
        return .pass
    }
    try await use(counting)
    counting.stop()
    let seed = UInt64.random(in: .min ... .max)
    let random = Seeded(seed)
    for counter in counters {
        let total = counter.passed.withLock { $0 }
        #expect(total > pieces)
        for piece in 0..<pieces {
            let at = total * piece / pieces + Int(random.next() % UInt64(max(total / pieces, 1)))
            let cut = OneCut(counter.direction, at: at, isReset: piece % 2 == 0)
            let relay = try relay { passing, bytes in cut.judge(passing, bytes) }
            defer { relay.stop() }
            do { try await use(relay) } catch { Issue.record("\(counter.direction) at \(at) of \(total), seed \(seed): \(error)") }
        }
    }
}
