import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

/// The monitor of a Xen guest's device model: the QEMU that serves its disks. It takes one caller at a time; the others wait.
///
/// The socket is the one that libxl opens for statistics; libxl's own (`qmp-libxl-`) is left to libxl.
/// Source: Xen 4.17, tools/libs/light/libxl_dm.c; QEMU, docs/interop/qmp-spec.
final class XenMonitor {
    /// A disk in use.
    struct Node: Equatable {
        var name: String
        var file: String
    }

    /// How long the device model may take to answer, seconds.
    private let patience: Double
    private let descriptor: Int32
    private let name: String
    private var unread: [UInt8] = []

    static func socket(of domain: UInt32) -> String { "/run/xen/qmp-libxenstat-\(domain)" }

    init(socket path: String, name: String, patience: Double = 30) throws(HypervisorError) {
        func trouble(_ call: String) -> HypervisorError {
            .failed(operation: "device model's monitor", name: name, code: errno, detail: "\(call) \(path): \(String(cString: strerror(errno)))")
        }
        self.name = name
        self.patience = patience
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw trouble("too long a path:") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let opened = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard opened >= 0 else { throw trouble("socket") }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        guard withUnsafePointer(to: &address, { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(opened, $0, size) } }) == 0 else {
            let error = trouble("connect to")
            close(opened)
            throw error
        }
        descriptor = opened
        _ = try line()
        try ask("qmp_capabilities")
    }

    deinit { close(descriptor) }

    // MARK: Disks

    /// What the guest's delta is written to now.
    func delta() throws(HypervisorError) -> Node {
        guard let delta = try layers().first else { throw noDelta() }
        return delta
    }

    /// The delta's layers, the one in use first.
    ///
    /// By the graph of nodes, and their files by the nodes that open them: the name of a layer that was put on top of another is a description in
    /// JSON of all that lies below, cut off where that grows long.
    func layers() throws(HypervisorError) -> [Node] {
        struct Device: Decodable {
            struct Inserted: Decodable {
                var node: String
                enum CodingKeys: String, CodingKey { case node = "node-name" }
            }
            var inserted: Inserted?
        }
        struct Graph: Decodable {
            struct Node: Decodable { var id: Int, name: String, type: String }
            struct Edge: Decodable { var parent: Int, child: Int, name: String }
            var nodes: [Node]
            var edges: [Edge]
        }
        struct Opened: Decodable {
            var file: String
            var node: String
            enum CodingKeys: String, CodingKey {
                case file
                case node = "node-name"
            }
        }
        // libxl names nodes after the disk, and we those that we put on top.
        let top = try ask("query-block", as: [Device].self).compactMap(\.inserted?.node).first {
            $0.hasPrefix("\(DomainXML.xenDeltaTarget)-") || $0.hasPrefix(Self.prefix)
        }
        guard let top else { throw noDelta() }
        let graph = try ask("x-debug-query-block-graph", as: Graph.self)
        let opened = try ask("query-named-block-nodes", ["flat": true], as: [Opened].self)
        let files = Dictionary(opened.map { ($0.node, $0.file) }, uniquingKeysWith: { first, _ in first })
        let names = Dictionary(graph.nodes.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
        var layers: [Node] = []
        var next = graph.nodes.first { $0.type == "block-driver" && $0.name == top }?.id
        while let id = next, layers.count <= graph.nodes.count {
            // A merge under way puts a node without a file of its own between layers.
            if let opener = graph.edges.first(where: { $0.parent == id && $0.name == "file" }), let file = names[opener.child].flatMap({ files[$0] })
            {
                layers.append(Node(name: names[id] ?? "", file: file))
            }
            next = graph.edges.first { $0.parent == id && $0.name == "backing" }?.child
        }
        return layers
    }

    private func noDelta() -> HypervisorError {
        .failed(operation: "device model's monitor", name: name, code: 0, detail: "it has no disk \(DomainXML.xenDeltaTarget)")
    }

    // MARK: Merging

    private static let job = "cairn-merge"

    /// Copies what the layers from `top` down to the one above `base` hold into `base`, and puts the layer above `top` on it. The guest runs, and
    /// sees no change. Given up at its limit, or with the device model, it leaves a chain with the same content.
    /// Source: QEMU, docs/interop/live-block-operations.rst, `block-commit`.
    func merge(from top: String, into base: String, limit: Seconds) throws(HypervisorError) {
        struct Arguments: Encodable {
            var job: String
            var device: String
            var top: String
            var base: String
            /// What the layer above is to call the base: a file of its own directory.
            var backing: String
            enum CodingKeys: String, CodingKey {
                case device
                case job = "job-id"
                case top = "top-node"
                case base = "base-node"
                case backing = "backing-file"
            }
        }
        let layers = try layers()
        func node(_ file: String) throws(HypervisorError) -> String {
            if let found = layers.dropFirst().first(where: { $0.file == file }) { return found.name }
            throw .failed(operation: "merge of layers", name: name, code: 0, detail: "\(file) is no layer below the one in use")
        }
        guard let active = layers.first else { throw noDelta() }
        try ask(
            "block-commit",
            Arguments(
                job: Self.job, device: active.name, top: try node(top), base: try node(base), backing: (base as NSString).lastPathComponent))
        guard try ended(within: limit) else {
            try cancel()
            throw .busy(name: name, detail: "merging its layers took longer than \(limit.rawValue) s and was given up")
        }
        guard try !self.layers().contains(where: { $0.file == top }) else {
            throw .failed(operation: "merge of layers", name: name, code: 0, detail: "its device model gave it up")
        }
    }

    /// A merge of an earlier caller is waited for, for a while, and then ended.
    func settle(within limit: Seconds = Seconds(10)) throws(HypervisorError) { if try !ended(within: limit) { try cancel() } }

    private func ended(within limit: Seconds) throws(HypervisorError) -> Bool {
        struct Job: Decodable { var device: String }
        let start = Date()
        while try ask("query-block-jobs", as: [Job].self).contains(where: { $0.device == Self.job }) {
            if Date().timeIntervalSince(start) > limit.rawValue { return false }
            usleep(20_000)
        }
        return true
    }

    private func cancel() throws(HypervisorError) {
        do throws(HypervisorError) { try ask("block-job-cancel", ["device": Self.job]) } catch {
            // It may have come to its end in this moment.
            if try !ended(within: .zero) { throw error }
        }
        guard try ended(within: Seconds(patience)) else { throw .busy(name: name, detail: "a merge of its layers does not end") }
    }

    // MARK: Counting

    /// Sum over the disks.
    func writtenBytes() throws(HypervisorError) -> ByteCount {
        struct Device: Decodable {
            struct Stats: Decodable { var wr_bytes: Int64 }
            var stats: Stats
        }
        return ByteCount(try ask("query-blockstats", as: [Device].self).reduce(0) { $0 + $1.stats.wr_bytes })
    }

    // MARK: Rotating

    private static let prefix = "cairn-"

    /// From now on the guest writes to `layer`, an overlay that is there; what it wrote to before does not change any more.
    func rotate(_ node: Node, onto layer: String) throws(HypervisorError) {
        struct Arguments: Encodable {
            var node: String
            var file: String
            var format = "qcow2"
            var mode = "existing"
            var newNode: String
            enum CodingKeys: String, CodingKey {
                case format, mode
                case node = "node-name"
                case file = "snapshot-file"
                case newNode = "snapshot-node-name"
            }
        }
        // Node names have at most 31 bytes. Source: QEMU, include/block/block_int-common.h.
        let new = Self.prefix + String(UInt64(Date().timeIntervalSince1970 * 1e6), radix: 36)
        try ask("blockdev-snapshot-sync", Arguments(node: node.name, file: layer, newNode: new))
    }

    // MARK: Asking

    struct Nothing: Codable {}

    private struct Question<Arguments: Encodable>: Encodable {
        var execute: String
        var arguments: Arguments?
    }

    private struct Reply<Value: Decodable>: Decodable {
        struct Reason: Decodable { var desc: String }
        var `return`: Value?
        var error: Reason?
        var event: String?
    }

    func ask(_ command: String) throws(HypervisorError) { _ = try ask(command, as: Nothing.self) }

    func ask(_ command: String, _ arguments: some Encodable) throws(HypervisorError) { _ = try ask(command, arguments, as: Nothing.self) }

    func ask<Answer: Decodable>(_ command: String, as: Answer.Type) throws(HypervisorError) -> Answer {
        try ask(command, Nothing?.none, as: Answer.self)
    }

    func ask<Answer: Decodable>(_ command: String, _ arguments: (some Encodable)?, as: Answer.Type) throws(HypervisorError) -> Answer {
        func trouble(_ detail: String) -> HypervisorError { .failed(operation: command, name: name, code: 0, detail: detail) }
        let question: Data
        do { question = try JSONEncoder().encode(Question(execute: command, arguments: arguments)) } catch { throw trouble("\(error)") }
        guard send(question + Data("\n".utf8)) else { throw trouble("its device model does not listen: \(String(cString: strerror(errno)))") }
        while true {
            let line = try line()
            let reply: Reply<Answer>
            do { reply = try JSONDecoder().decode(Reply<Answer>.self, from: Data(line)) } catch {
                throw trouble("its device model answers \(String(decoding: line.prefix(200), as: UTF8.self))")
            }
            if reply.event != nil { continue }
            if let reason = reply.error { throw trouble(reason.desc) }
            if let value = reply.return { return value }
        }
    }

    /// Without the signal that a device model that has ended would give us.
    private func send(_ bytes: Data) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = Glibc.send(descriptor, bytes.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return false }
                offset += count
            }
            return true
        }
    }

    private func line() throws(HypervisorError) -> [UInt8] {
        func trouble(_ detail: String) -> HypervisorError { .failed(operation: "device model's monitor", name: name, code: errno, detail: detail) }
        let limit = Date().addingTimeInterval(patience)
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(unread[..<end])
                unread.removeSubrange(...end)
                return line
            }
            var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = limit.timeIntervalSinceNow
            guard left > 0 else { throw .busy(name: name, detail: "its device model does not answer") }
            let ready = poll(&waited, 1, Int32(left * 1_000) + 1)
            if ready < 0 && errno != EINTR { throw trouble("poll: \(String(cString: strerror(errno)))") }
            if ready <= 0 { continue }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw trouble("its device model has ended") }
            unread += buffer[0..<count]
        }
    }
}
