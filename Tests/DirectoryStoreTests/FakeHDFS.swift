import Foundation
import Synchronization

@testable import WebHDFSStore

/// Enough of WebHDFS to lie with: NameNode and DataNode behind one address, files in memory, and a fault before any operation.
///
/// It may refuse, break off, and forget or change what it stores; it may not do anything that a request did not ask for.
final class FakeHDFS: Sendable {
    enum Fault: Sendable {
        case refuse(Int, String, String)
        case status(Int)
        /// The connection ends without an answer; `afterDoing` it, or not.
        case cut(afterDoing: Bool)
        /// What is stored or sent of a body.
        case keep(Int)
        case flipBit
        /// A checksum of another kind, right for none.
        case strangeChecksum
        case wrongChecksum
        case noOptions
    }
    struct File {
        var bytes: [UInt8]
        var id: Int64
        var blockSize = 1 << 20
        var replication = 3
    }
    struct State {
        var files: [String: File] = [:]
        var directories: Set<String> = ["/"]
        var operations: [String] = []
        var ids: Int64 = 100
    }
    private let state = Mutex(State())
    private let fault: @Sendable (_ operation: String, _ count: Int) -> Fault?
    private let server = Mutex<LoopbackServer?>(nil)
    var address: String { server.withLock { $0?.address ?? "" } }

    var files: [String: File] { state.withLock { $0.files } }
    var operations: [String] { state.withLock { $0.operations } }

    /// - Parameter fault: asked before an operation (`CREATE`, or `CREATE2` for its second step) with how often that was asked for, from 1.
    init(_ fault: @escaping @Sendable (_ operation: String, _ count: Int) -> Fault? = { _, _ in nil }) throws {
        self.fault = fault
        let made = try LoopbackServer { [weak self] exchange in self?.handle(exchange) }
        server.withLock { $0 = made }
    }
    func stop() { server.withLock { $0?.stop() } }

    private func handle(_ exchange: Exchange) {
        guard exchange.path.hasPrefix("/webhdfs/v1") else {
            let bean =
                #""CapacityTotal":2000000000000,"CapacityRemaining":1000000000000,"NumLiveDataNodes":3,"NumDeadDataNodes":0,"FSState":"Operational","LiveNodes":"{}""#
            return exchange.answer(200, json: "{\"beans\":[{\(bean)}]}")
        }
        let isSecond = exchange.parameter("second") != nil
        let operation = (exchange.parameter("op") ?? "") + (isSecond ? "2" : "")
        let count = state.withLock { state in
            state.operations.append(operation)
            return state.operations.count { $0 == operation }
        }
        let fault = fault(operation, count)
        switch fault {
        case .refuse(let status, let exception, let message): return exchange.refuse(status, exception, message)
        case .status(let status): return exchange.answer(status)
        case .cut(false): return
        default: break
        }
        let path = exchange.path.dropFirst("/webhdfs/v1".count).removingPercentEncoding ?? ""
        if !isSecond, ["CREATE", "OPEN", "GETFILECHECKSUM"].contains(operation) {
            if operation != "CREATE", files[path] == nil { return exchange.refuse(404, "FileNotFoundException") }
            return exchange.answer(307, headers: ["Location: \(address)\(exchange.target)&second=yes"])
        }
        if case .keep(let count) = fault, operation == "CREATE2", count < 0 {
            // The connection ends with the body half sent.
            _ = exchange.body(atMost: exchange.bodyLength / 2)
            return
        }
        let body = exchange.body()
        var reply: (status: Int, json: String) = (200, "")
        switch operation {
        case "CREATE2":
            state.withLock { state in
                state.ids += 1
                var kept = body
                if case .keep(let count) = fault { kept = Array(kept.prefix(count)) }
                if case .flipBit = fault { kept[kept.count / 2] ^= 4 }
                state.files[path] = File(
                    bytes: kept, id: state.ids, blockSize: Int(exchange.parameter("blocksize") ?? "") ?? 0,
                    replication: Int(exchange.parameter("replication") ?? "") ?? 3)
                state.directories.formUnion(Self.parents(path))
            }
            reply = (201, "")
        case "OPEN2":
            guard let file = files[path] else { return exchange.refuse(404, "FileNotFoundException") }
            let from = Int(exchange.parameter("offset") ?? "0") ?? 0
            let rest = Array(file.bytes.dropFirst(from).prefix(Int(exchange.parameter("length") ?? "") ?? .max))
            var sent: Int?
            if case .keep(let count) = fault { sent = count }
            return exchange.answer(200, rest, sending: sent)
        case "GETFILECHECKSUM2":
            guard let file = files[path] else { return exchange.refuse(404, "FileNotFoundException") }
            var algorithm = "MD5-of-0MD5-of-512CRC32C"
            var digest = FileChecksum(algorithm: algorithm)!.digests(of: file.bytes, blockSize: file.blockSize)[0]
            if case .strangeChecksum = fault { algorithm = "COMPOSITE-CRC64" }
            if case .wrongChecksum = fault { digest = String(digest.reversed()) }
            reply.json = #"{"FileChecksum":{"algorithm":"\#(algorithm)","bytes":"000002000000000000000000\#(digest)00000000","length":28}}"#
        default: reply = state.withLock { $0.answer(operation, path, exchange, fault) }
        }
        if case .cut(afterDoing: true) = fault { return }
        if reply.json.isEmpty { exchange.answer(reply.status) } else { exchange.answer(reply.status, json: reply.json) }
    }

    static func parents(_ path: String) -> [String] {
        var parents: [String] = []
        var rest = path[...]
        while let slash = rest.lastIndex(of: "/"), slash > rest.startIndex {
            rest = rest[..<slash]
            parents.append(String(rest))
        }
        return parents + ["/"]
    }
}

extension FakeHDFS.State {
    private static func refusal(_ status: Int, _ exception: String, _ message: String) -> (status: Int, json: String) {
        (status, #"{"RemoteException":{"exception":"\#(exception)","javaClassName":"x","message":"\#(message)"}}"#)
    }
    private func description(of path: String, suffix: String) -> String? {
        if let file = files[path] {
            return #"{"pathSuffix":"\#(suffix)","type":"FILE","length":\#(file.bytes.count),"blockSize":\#(file.blockSize),"#
                + #""replication":\#(file.replication),"modificationTime":1700000000000,"fileId":\#(file.id)}"#
        }
        guard directories.contains(path) else { return nil }
        return #"{"pathSuffix":"\#(suffix)","type":"DIRECTORY","length":0,"blockSize":0,"replication":0,"modificationTime":1700000000000,"fileId":7}"#
    }

    mutating func answer(_ operation: String, _ path: String, _ exchange: Exchange, _ fault: FakeHDFS.Fault?) -> (status: Int, json: String) {
        switch operation {
        case "GETFILESTATUS":
            guard let found = description(of: path, suffix: "") else { return Self.refusal(404, "FileNotFoundException", "not there") }
            return (200, #"{"FileStatus":\#(found)}"#)
        case "LISTSTATUS":
            guard directories.contains(path) else { return Self.refusal(404, "FileNotFoundException", "not there") }
            let below = (Array(files.keys) + directories).filter { $0.hasPrefix(path + "/") && !$0.dropFirst(path.count + 1).contains("/") }
            let list = below.compactMap { description(of: $0, suffix: String($0.dropFirst(path.count + 1))) }
            return (200, #"{"FileStatuses":{"FileStatus":[\#(list.joined(separator: ","))]}}"#)
        case "GETCONTENTSUMMARY":
            return (200, #"{"ContentSummary":{"spaceQuota":-1,"spaceConsumed":0,"quota":-1,"fileCount":1,"directoryCount":1}}"#)
        case "MKDIRS":
            directories.formUnion(FakeHDFS.parents(path) + [path])
            return (200, #"{"boolean":true}"#)
        case "DELETE":
            let had = files.removeValue(forKey: path) != nil
            return (200, #"{"boolean":\#(had)}"#)
        case "RENAME":
            let destination = exchange.parameter("destination") ?? ""
            guard let file = files[path] else { return Self.refusal(404, "FileNotFoundException", "rename source is not found.") }
            guard FakeHDFS.parents(destination).allSatisfy(directories.contains) else {
                return Self.refusal(404, "FileNotFoundException", "rename destination parent not found.")
            }
            if case .noOptions = fault {
                files[path] = nil
                files[directories.contains(destination) ? destination + "/" + path.split(separator: "/").last! : destination] = file
                return (200, #"{"boolean":true}"#)
            }
            if files[destination] != nil, exchange.parameter("renameoptions") != "OVERWRITE" {
                return Self.refusal(403, "FileAlreadyExistsException", "rename destination already exists")
            }
            files[path] = nil
            files[destination] = file
            return (200, "")
        default: return Self.refusal(400, "UnsupportedOperationException", operation)
        }
    }
}
