import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// A web server on loopback that does what a test tells it, breaking off included. A thread a connection, one request each.
final class LoopbackServer: Sendable {
    var port: Int { listener.port }
    var address: String { "http://127.0.0.1:\(port)" }
    private let listener: LoopbackListener

    init(_ handle: @escaping @Sendable (Exchange) -> Void) throws {
        listener = try LoopbackListener { connection in
            if let exchange = Exchange(connection) { handle(exchange) }
        }
    }

    /// From here on nothing listens.
    func stop() { listener.stop() }
}

/// One request, and the connection that it came by.
final class Exchange {
    let connection: Int32
    let method: String
    /// Path and query as they came.
    let target: String
    let head: String
    /// What came of the body with the head.
    private var early: [UInt8]

    init?(_ connection: Int32) {
        self.connection = connection
        var bytes: [UInt8] = []
        var end: Int?
        while end == nil {
            guard let more = Self.receive(connection), !more.isEmpty else { return nil }
            bytes += more
            end = bytes.indices.first { bytes[$0...].starts(with: [13, 10, 13, 10]) }
        }
        head = String(decoding: bytes[..<end!], as: UTF8.self)
        early = Array(bytes[(end! + 4)...])
        let words = head.prefix { $0 != "\r\n" && $0 != "\r" }.split(separator: " ")
        guard words.count == 3 else { return nil }
        method = String(words[0])
        target = String(words[1])
    }

    var path: String { String(target.prefix { $0 != "?" }) }
    func parameter(_ name: String) -> String? {
        target.drop { $0 != "?" }.dropFirst().split(separator: "&").first { $0.hasPrefix(name + "=") }
            .flatMap { String($0.dropFirst(name.count + 1)).removingPercentEncoding }
    }
    var bodyLength: Int {
        head.split(whereSeparator: \.isNewline).first { $0.lowercased().hasPrefix("content-length:") }
            .flatMap { Int($0.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces)) } ?? 0
    }

    /// What of the body came with the head, once.
    func takeEarly() -> [UInt8] {
        defer { early = [] }
        return early
    }

    private var isChunked: Bool { head.lowercased().contains("\r\ntransfer-encoding: chunked") }

    /// Of the body, this many bytes, or as many as come.
    func body(atMost limit: Int = .max) -> [UInt8] {
        if isChunked { return chunks() }
        let wanted = min(limit, bodyLength)
        while early.count < wanted, let more = Self.receive(connection), !more.isEmpty { early += more }
        return Array(early.prefix(wanted))
    }

    /// Source: RFC 9112, 7.1. Without trailers, which libcurl sends none of.
    private func chunks() -> [UInt8] {
        var body: [UInt8] = []
        func need(_ count: Int) -> Bool {
            while early.count < count, let more = Self.receive(connection), !more.isEmpty { early += more }
            return early.count >= count
        }
        while true {
            var end: Int?
            while end == nil {
                end = early.firstIndex(of: 10)
                if end == nil, !need(early.count + 1) { return body }
            }
            let size = Int(String(decoding: early[..<end!], as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines), radix: 16) ?? 0
            early.removeFirst(end! + 1)
            guard need(size + 2) else { return body + early }
            body += early.prefix(size)
            early.removeFirst(size + 2)
            if size == 0 { return body }
        }
    }

    /// - Parameter sent: bytes of the body that are sent before the connection is cut; nil: all.
    func answer(_ status: Int, headers: [String] = [], _ body: [UInt8] = [], sending sent: Int? = nil) {
        let head = (["HTTP/1.1 \(status) Said", "Content-Length: \(body.count)", "Connection: close"] + headers + ["", ""]).joined(separator: "\r\n")
        Self.send(connection, Array(head.utf8) + body.prefix(sent ?? body.count))
    }
    func answer(_ status: Int, json: String) { answer(status, headers: ["Content-Type: application/json"], Array(json.utf8)) }
    func refuse(_ status: Int, _ exception: String, _ message: String = "so it is") {
        answer(status, json: #"{"RemoteException":{"exception":"\#(exception)","javaClassName":"x.\#(exception)","message":"\#(message)"}}"#)
    }

    static func send(_ connection: Int32, _ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(connection, $0.baseAddress! + done, $0.count - done, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            done += count
        }
    }
    /// nil: it broke; empty: it ended.
    static func receive(_ connection: Int32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(connection, &buffer, buffer.count, 0)
        return count < 0 ? nil : Array(buffer.prefix(count))
    }
}
