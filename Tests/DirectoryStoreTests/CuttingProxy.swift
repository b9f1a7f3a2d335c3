import Curl
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Stands before a real HDFS, every server of it, and cuts transfers.
final class CuttingProxy: Sendable {
    struct Transfer: Sendable {
        /// `CREATE`, `OPEN` or `GETFILECHECKSUM`.
        var operation: String
        /// The DataNode's own HTTP port.
        var dataNode: Int
        /// How many of the kind there have been, this one included.
        var count: Int
    }
    struct Cut: Sendable {
        /// Bytes that pass: of the body on its way up, or of the answer on its way down.
        var after: Int
        /// In place of a cut: nothing passes any more, and the connection stays open until the client leaves it.
        var holds = false
        var whileCutting: @Sendable () -> Void = {}
    }
    private final class Record: Sendable {
        let transfers = Mutex<[Transfer]>([])
        func add(_ operation: String, _ dataNode: Int) -> Transfer {
            transfers.withLock { transfers in
                transfers.append(Transfer(operation: operation, dataNode: dataNode, count: transfers.count { $0.operation == operation } + 1))
                return transfers[transfers.count - 1]
            }
        }
    }
    private let record: Record
    private let servers: [LoopbackServer]
    let address: String
    var transfers: [Transfer] { record.transfers.withLock { $0 } }

    /// - Parameters:
    ///   - dataNodes: HTTP ports.
    ///   - pause: before each chunk of at most 64 KiB that passes to or from a DataNode, microseconds.
    ///   - cut: asked for each transfer with a DataNode.
    init(nameNode: String, dataNodes: [Int], pause: UInt32 = 0, cut: @escaping @Sendable (Transfer) -> Cut? = { _ in nil }) throws {
        let record = Record()
        let relays = try dataNodes.map { port in
            try LoopbackServer { exchange in
                let cut = cut(record.add(exchange.parameter("op") ?? "", port))
                if pause > 0 { Self.relay(exchange, to: port, pause: pause) } else { Self.relay(exchange, to: port, cut) }
            }
        }
        let names = zip(dataNodes, relays).map { ("127.0.0.1:\($0)", "127.0.0.1:\($1.port)") }
        let nameNodePort = Int(nameNode.split(separator: ":").last ?? "") ?? 0
        // Wherever the NameNode names a DataNode, in redirections and in JMX, it is to name the relay.
        let front = try LoopbackServer { exchange in
            guard let answer = Self.answer(from: nameNodePort, to: exchange, body: []) else { return }
            let text = names.reduce(String(decoding: answer, as: UTF8.self)) { $0.replacing($1.0, with: $1.1) }
            let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
            let lines = parts[0].split(separator: "\r\n")
            let location = lines.filter { $0.lowercased().hasPrefix("location:") }.map(String.init)
            exchange.answer(Int(lines[0].split(separator: " ")[1]) ?? 500, headers: location, Array(parts[1].utf8))
        }
        self.record = record
        servers = relays + [front]
        address = front.address
    }

    private static func connect(to port: Int) -> Int32? {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = UInt16(port).bigEndian
        name.sin_addr.s_addr = inet_addr("127.0.0.1")
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isConnected = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(connection, $0, size) == 0 }
        }
        if isConnected { return connection }
        close(connection)
        return nil
    }

    /// The request as it came, but for its connection's ending with the answer. HTTP/1.0, so that the answer is not in chunks.
    private static func head(of exchange: Exchange) -> [UInt8] {
        let rest = exchange.head.split(separator: "\r\n").dropFirst().filter { !$0.lowercased().hasPrefix("connection:") }
        return Array((["\(exchange.method) \(exchange.target) HTTP/1.0", "Connection: close"] + rest + ["", ""]).joined(separator: "\r\n").utf8)
    }

    private static func answer(from port: Int, to exchange: Exchange, body: [UInt8]) -> [UInt8]? {
        guard let there = connect(to: port) else { return nil }
        defer { close(there) }
        Exchange.send(there, head(of: exchange) + body)
        var answer: [UInt8] = []
        while let more = Exchange.receive(there), !more.isEmpty { answer += more }
        return answer.isEmpty ? nil : answer
    }

    private static func relay(_ exchange: Exchange, to port: Int, pause: UInt32) {
        guard let there = connect(to: port) else { return }
        defer { close(there) }
        Exchange.send(there, head(of: exchange) + exchange.takeEarly())
        let (client, up) = (exchange.connection, DispatchSemaphore(value: 0))
        Thread.detachNewThread {
            while let more = Exchange.receive(client), !more.isEmpty {
                usleep(pause)
                Exchange.send(there, more)
            }
            up.signal()
        }
        while let more = Exchange.receive(there), !more.isEmpty {
            usleep(pause)
            Exchange.send(client, more)
        }
        shutdown(client, Int32(SHUT_RDWR))
        up.wait()
    }

    private static func end(_ exchange: Exchange, by cut: Cut) {
        cut.whileCutting()
        while cut.holds, let more = Exchange.receive(exchange.connection), !more.isEmpty {}
    }

    private static func relay(_ exchange: Exchange, to port: Int, _ cut: Cut?) {
        guard let there = connect(to: port) else { return }
        defer { close(there) }
        Exchange.send(there, head(of: exchange))
        let isUpload = exchange.bodyLength > 0
        let up = exchange.body(atMost: isUpload ? cut?.after ?? .max : .max)
        Exchange.send(there, up)
        if isUpload, let cut { return end(exchange, by: cut) }
        var passed = 0
        while let more = Exchange.receive(there), !more.isEmpty {
            if let cut, passed + more.count >= cut.after {
                Exchange.send(exchange.connection, Array(more.prefix(cut.after - passed)))
                return end(exchange, by: cut)
            }
            passed += more.count
            Exchange.send(exchange.connection, more)
        }
    }
}
