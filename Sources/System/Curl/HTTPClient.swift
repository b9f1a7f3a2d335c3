import CCurl
import Foundation
import Ports

package struct HTTPRequest: Sendable {
    package var method: String
    package var url: String
    package var headers: [String]
    package var body: [UInt8]?
    /// A body that comes in pieces, of a length that nobody knows before (`Transfer-Encoding: chunked`).
    package var pieces: PieceReader?
    /// Longest time for all of it, seconds; 0: as long as something moves.
    package var timeoutSeconds: Int
    /// Most bytes of an answer that are taken.
    package var answerLimit: Int
    package init(
        _ method: String, _ url: String, headers: [String] = [], body: [UInt8]? = nil, timeoutSeconds: Int = 60, answerLimit: Int = 64 << 20
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeoutSeconds = timeoutSeconds
        self.answerLimit = answerLimit
    }
}

/// Pieces of a body on their way to libcurl. One user at a time: the request that it belongs to.
package final class PieceReader: @unchecked Sendable {
    private let reader: any ObjectReader
    private let look: (UnsafeRawBufferPointer) -> Void
    private let atEnd: () -> Void
    private var piece: [UInt8] = []
    private var offset = 0
    /// Why it ended early; nil: it did not.
    package private(set) var failure: StoreError?

    /// - Parameters:
    ///   - look: sees all bytes as they go.
    ///   - atEnd: all has gone, and the other side is about to be told so.
    package init(_ reader: any ObjectReader, look: @escaping (UnsafeRawBufferPointer) -> Void, atEnd: @escaping () -> Void = {}) {
        self.reader = reader
        self.look = look
        self.atEnd = atEnd
    }

    /// - Returns: bytes given, 0 at the end.
    fileprivate func give(_ space: UnsafeMutableRawPointer, _ most: Int) -> Int {
        while offset == piece.count {
            // Given up before the next is made: its memory may be used for that.
            piece = []
            offset = 0
            do throws(StoreError) {
                guard let next = try reader.next() else {
                    atEnd()
                    return 0
                }
                piece = next
            } catch {
                failure = error
                return Int(CURL_READFUNC_ABORT)
            }
        }
        // Whole pages, so that what looks at blocks sees whole ones.
        let count = piece.count - offset <= most || most < 4_096 ? min(most, piece.count - offset) : most & ~4_095
        piece.withUnsafeBytes { space.copyMemory(from: $0.baseAddress! + offset, byteCount: count) }
        look(UnsafeRawBufferPointer(start: space, count: count))
        offset += count
        return count
    }
}

package struct HTTPResponse: Sendable {
    package var status: Int
    /// Names in lower case.
    package var headers: [String: String]
    package var body: [UInt8]
}

package enum HTTPError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Nothing answers at the address.
    case unreachable(url: String, detail: String)
    /// The connection broke or the time ran out on the way; what was sent may have arrived.
    case broken(url: String, detail: String, received: [UInt8])
    case tooLong(url: String, limit: Int)
    case unusable(url: String, detail: String)
    /// Its certificate is not one that we take.
    case untrusted(url: String, detail: String)

    package var description: String {
        switch self {
        case .unreachable(let url, let detail): "\(url) does not answer: \(detail)"
        case .broken(let url, let detail, _): "the connection to \(url) broke: \(detail)"
        case .tooLong(let url, let limit): "\(url) answers with more than \(limit) bytes"
        case .unusable(let url, let detail): "\(url) cannot be asked: \(detail)"
        case .untrusted(let url, let detail): "\(url) is not trusted: \(detail)"
        }
    }
}

/// HTTP by libcurl: connections are kept and used again, redirections are not followed, each request has a thread of its own while it runs.
///
/// Source: libcurl's manual, curl_easy_setopt(3).
package struct HTTPClient: Sendable {
    private let pool = HandlePool(most: 16)
    /// Seconds until a connection must stand.
    private let connectSeconds: Int
    private let stallSeconds: Int
    private let authorities: String?
    private let negotiates: Bool
    private let identity: Identity?

    /// PEM files of a certificate that is shown to a server that asks for one, and of its key.
    package struct Identity: Hashable, Sendable {
        package var certificate: String
        package var key: String
        package init(certificate: String, key: String) { self.certificate = certificate; self.key = key }
    }

    /// - Parameters:
    ///   - authorities: file with the certificates that are trusted; nil: the machine's.
    ///   - negotiates: proves who we are by Kerberos (RFC 4559), with the credentials that GSS-API finds: a ticket, or a client keytab.
    ///   - stallSeconds: how long next to nothing may come or go before a connection counts as broken.
    package init(
        connectSeconds: Int = 5, stallSeconds: Int = 15, authorities: String? = nil, negotiates: Bool = false, identity: Identity? = nil
    ) {
        self.connectSeconds = connectSeconds
        self.stallSeconds = stallSeconds
        self.authorities = authorities
        self.negotiates = negotiates
        self.identity = identity
    }

    package func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        try await onBlockingThread { () throws(HTTPError) in try perform(request) }
    }

    private func perform(_ request: HTTPRequest) throws(HTTPError) -> HTTPResponse {
        guard let handle = pool.take() else { throw .unusable(url: request.url, detail: "libcurl cannot begin") }
        defer { pool.giveBack(handle) }
        let curl = handle.easy
        let answer = Answer(limit: request.answerLimit)
        var list: UnsafeMutablePointer<curl_slist>?
        // No "Expect: 100-continue": it costs a round trip, and some servers a second of waiting.
        for header in request.headers + ["Expect:"] { list = curl_slist_append(list, header) }
        defer { curl_slist_free_all(list) }
        setUp(curl, request, answer, list)
        let code: CURLcode
        if let pieces = request.pieces {
            cairn_curl_set_long(curl, CURLOPT_UPLOAD, 1)
            cairn_curl_set_long(curl, CURLOPT_UPLOAD_BUFFERSIZE, 128 << 10)
            cairn_curl_set_string(curl, CURLOPT_CUSTOMREQUEST, request.method)
            cairn_curl_set_write(curl, CURLOPT_READFUNCTION) { space, size, count, opaque in
                guard let space, let opaque else { return 0 }
                return Unmanaged<PieceReader>.fromOpaque(opaque).takeUnretainedValue().give(UnsafeMutableRawPointer(space), size * count)
            }
            cairn_curl_set_pointer(curl, CURLOPT_READDATA, Unmanaged.passUnretained(pieces).toOpaque())
            code = withExtendedLifetime(pieces) { curl_easy_perform(curl) }
        } else if let body = request.body {
            code = body.withUnsafeBufferPointer { bytes in
                var empty: UInt8 = 0
                return withUnsafeMutablePointer(to: &empty) { nothing in
                    cairn_curl_set_size(curl, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
                    let start = bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) } ?? UnsafeMutableRawPointer(nothing)
                    cairn_curl_set_pointer(curl, CURLOPT_POSTFIELDS, start)
                    cairn_curl_set_string(curl, CURLOPT_CUSTOMREQUEST, request.method)
                    return curl_easy_perform(curl)
                }
            }
        } else {
            if request.method != "GET" { cairn_curl_set_string(curl, CURLOPT_CUSTOMREQUEST, request.method) }
            code = curl_easy_perform(curl)
        }
        if answer.isTooLong { throw .tooLong(url: request.url, limit: request.answerLimit) }
        guard code == CURLE_OK else {
            let detail = String(cString: curl_easy_strerror(code))
            switch code {
            case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: throw .unreachable(url: request.url, detail: detail)
            case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: throw .unusable(url: request.url, detail: detail)
            case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER:
                throw .untrusted(url: request.url, detail: detail)
            default: throw .broken(url: request.url, detail: detail, received: answer.body)
            }
        }
        // libcurl takes what came until a connection ended for all of the head, and a redirection without its address for an answer.
        guard answer.isHeadWhole else { throw .broken(url: request.url, detail: "the answer's head is cut short", received: []) }
        var status = 0
        cairn_curl_get_long(curl, CURLINFO_RESPONSE_CODE, &status)
        return HTTPResponse(status: status, headers: answer.headers, body: answer.body)
    }

    private func setUp(_ curl: UnsafeMutableRawPointer, _ request: HTTPRequest, _ answer: Answer, _ headers: UnsafeMutablePointer<curl_slist>?) {
        cairn_curl_set_string(curl, CURLOPT_URL, request.url)
        cairn_curl_set_long(curl, CURLOPT_NOSIGNAL, 1)
        // No proxy, whatever the environment says (http_proxy): nodes, managers and stores are each other's neighbours, and a proxy that a machine
        // has for the outside world would get every checkpoint to carry, could not reach names of the inside, and cuts what lasts.
        cairn_curl_set_string(curl, CURLOPT_PROXY, "")
        cairn_curl_set_string(curl, CURLOPT_PROTOCOLS_STR, "http,https")
        cairn_curl_set_long(curl, CURLOPT_SSL_VERIFYPEER, 1)
        cairn_curl_set_long(curl, CURLOPT_SSL_VERIFYHOST, 2)
        if let authorities {
            cairn_curl_set_string(curl, CURLOPT_CAINFO, authorities)
            cairn_curl_set_pointer(curl, CURLOPT_CAPATH, nil)
        }
        if let identity {
            cairn_curl_set_string(curl, CURLOPT_SSLCERT, identity.certificate)
            cairn_curl_set_string(curl, CURLOPT_SSLKEY, identity.key)
        }
        if negotiates {
            cairn_curl_set_long(curl, CURLOPT_HTTPAUTH, 1 << 2)  // CURLAUTH_NEGOTIATE, a macro that Swift does not see
            cairn_curl_set_string(curl, CURLOPT_USERPWD, ":")
            // Servers hand out a cookie, so that not every request has to be proved anew.
            cairn_curl_set_string(curl, CURLOPT_COOKIEFILE, "")
        }
        cairn_curl_set_long(curl, CURLOPT_TCP_KEEPALIVE, 1)
        cairn_curl_set_long(curl, CURLOPT_CONNECTTIMEOUT, connectSeconds)
        cairn_curl_set_long(curl, CURLOPT_TIMEOUT, request.timeoutSeconds)
        // Less than a kilobyte a second for so long: it hangs.
        cairn_curl_set_long(curl, CURLOPT_LOW_SPEED_LIMIT, 1_024)
        cairn_curl_set_long(curl, CURLOPT_LOW_SPEED_TIME, stallSeconds)
        cairn_curl_set_long(curl, CURLOPT_BUFFERSIZE, 512 << 10)
        cairn_curl_set_list(curl, CURLOPT_HTTPHEADER, headers)
        let opaque = Unmanaged.passUnretained(answer).toOpaque()
        cairn_curl_set_write(curl, CURLOPT_WRITEFUNCTION) { data, size, count, opaque in
            guard let data, let opaque else { return 0 }
            return Unmanaged<Answer>.fromOpaque(opaque).takeUnretainedValue().take(UnsafeRawBufferPointer(start: data, count: size * count))
        }
        cairn_curl_set_pointer(curl, CURLOPT_WRITEDATA, opaque)
        cairn_curl_set_write(curl, CURLOPT_HEADERFUNCTION) { data, size, count, opaque in
            guard let data, let opaque else { return 0 }
            Unmanaged<Answer>.fromOpaque(opaque).takeUnretainedValue().takeHeader(UnsafeRawBufferPointer(start: data, count: size * count))
            return size * count
        }
        cairn_curl_set_pointer(curl, CURLOPT_HEADERDATA, opaque)
    }

    /// What comes back, as it comes.
    private final class Answer {
        private(set) var headers: [String: String] = [:]
        private(set) var body: [UInt8] = []
        private(set) var isTooLong = false
        /// The empty line after the headers has come.
        private(set) var isHeadWhole = false
        private let limit: Int
        init(limit: Int) { self.limit = limit }

        /// - Returns: bytes taken; another number than came ends the transfer.
        func take(_ data: UnsafeRawBufferPointer) -> Int {
            guard body.count + data.count <= limit else {
                isTooLong = true
                return 0
            }
            if body.isEmpty, let length = headers["content-length"].flatMap({ Int($0) }), length <= limit { body.reserveCapacity(length) }
            body.append(contentsOf: data)
            return data.count
        }

        func takeHeader(_ data: UnsafeRawBufferPointer) {
            let line = String(decoding: data, as: UTF8.self)
            guard let colon = line.firstIndex(of: ":") else {
                // A new answer's first line (after "100 Continue").
                if line.hasPrefix("HTTP/") { (headers, isHeadWhole) = ([:], false) }
                if line.allSatisfy(\.isNewline) { isHeadWhole = true }
                return
            }
            let value = line[line.index(after: colon)...]
            headers[line[..<colon].lowercased()] = String(value.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
        }
    }
}
