import CCurl
import Foundation
import Ports

/// One conversation with a file server: commands, then perhaps a transfer.
package struct FileTransfer: Sendable {
    package enum Kind: Sendable {
        case commands
        /// SFTP alone.
        case list(directory: String)
        /// `from` bytes are there already.
        case upload([UInt8], to: String, from: Int)
        case download(String, from: Int, into: FileSink)
    }
    /// Of the protocol's own; one with an asterisk before it may fail.
    package var commands: [String]
    package var kind: Kind
    /// Longest time for all of it, seconds.
    package var timeoutSeconds: Int
    package init(_ kind: Kind, after commands: [String] = [], timeoutSeconds: Int) {
        self.commands = commands
        self.kind = kind
        self.timeoutSeconds = timeoutSeconds
    }
}

/// What becomes of bytes that come.
package enum FileSink: Sendable {
    case keep(atMost: Int)
    /// A long transfer ends at the first byte that differs.
    case compare(with: [UInt8])
}

package struct FileAnswer: Sendable {
    /// What the server said, a line each (FTP), or what a command told (SFTP).
    package var lines: [String]
    package var bytes: [UInt8]
    /// Of the whole file, when the server said it.
    package var size: Int?
    /// Seconds since 1970.
    package var modifiedAt: Int?
    /// With `.compare`: whether it is the same, to the last byte.
    package var isSame: Bool
}

package enum FileTransferError: Error, Sendable {
    /// No such file or directory, as far as the server tells reasons apart.
    case missing(String)
    /// The server said no, and the connection is in order.
    case refused(String)
    /// Wrong password or key, a server that is not the one it should be, no permission.
    case denied(String)
    case full(String)
    /// It may pass. `answer` is what came before.
    case broken(String, answer: FileAnswer)
    case unusable(String)

    package var detail: String {
        switch self {
        case .missing(let text), .refused(let text), .denied(let text), .full(let text), .broken(let text, _), .unusable(let text): text
        }
    }
}

/// FTP and SFTP by libcurl: connections are kept and used again, each conversation has a thread of its own while it runs.
///
/// Source: libcurl's manual, curl_easy_setopt(3), and libcurl 7.88 where the manual is silent.
package struct FileTransferClient: Sendable {
    package let server: FileServer
    private let pool: HandlePool
    private let connectSeconds: Int
    /// How long next to nothing may come before a connection counts as broken.
    private let stallSeconds: Int

    package init(_ server: FileServer, connectSeconds: Int = 10, stallSeconds: Int = 15) {
        self.server = server
        pool = HandlePool(most: 8, isDriven: server.isFTP && server.isProtected)
        self.connectSeconds = connectSeconds
        self.stallSeconds = stallSeconds
    }

    /// - Parameter fresh: on a new connection.
    package func perform(_ transfer: FileTransfer, fresh: Bool = false) async throws(FileTransferError) -> FileAnswer {
        try await onBlockingThread { () throws(FileTransferError) in
            do throws(FileTransferError) { return try perform(transfer, on: pool.take(fresh: fresh)) } catch {
                // libssh2 takes a connection that ended in the middle of a login for a refusal. A second one tells.
                guard !server.isFTP, case .denied = error else { throw error }
                return try perform(transfer, on: pool.take(fresh: true))
            }
        }
    }

    private func perform(_ transfer: FileTransfer, on handle: Handle?) throws(FileTransferError) -> FileAnswer {
        guard let handle else { throw .unusable("libcurl cannot begin") }
        var isSound = false
        // A handle whose connection broke is not kept: the next one to take it would meet the same.
        defer {
            cairn_curl_set_pointer(handle.easy, CURLOPT_PASSWORD, nil)
            if isSound { pool.giveBack(handle) } else { handle.end() }
        }
        let curl = handle.easy
        let secret: String?
        do throws(SecretFile.Problem) { secret = try setUpServer(curl) } catch { throw .denied(error.description) }
        let sink: FileSink
        if case .download(_, _, let into) = transfer.kind { sink = into } else { sink = .keep(atMost: 16 << 20) }
        let receiver = Receiver(sink)
        var list: UnsafeMutablePointer<curl_slist>?
        for command in transfer.commands { list = curl_slist_append(list, command) }
        defer { curl_slist_free_all(list) }
        cairn_curl_set_list(curl, CURLOPT_QUOTE, list)
        cairn_curl_set_long(curl, CURLOPT_TIMEOUT, transfer.timeoutSeconds)
        setUp(receiver, curl)
        var reason = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        let code = reason.withUnsafeMutableBytes { buffer -> CURLcode in
            cairn_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, buffer.baseAddress)
            return run(transfer, handle)
        }
        // The buffer is gone from here on, whoever uses the handle next.
        cairn_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, nil)
        let text = reason.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        var answer = receiver.answer
        var number: curl_off_t = -1
        cairn_curl_get_size(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &number)
        if number >= 0 { answer.size = Int(number) }
        cairn_curl_get_size(curl, CURLINFO_FILETIME_T, &number)
        if number >= 0 { answer.modifiedAt = Int(number) }
        if receiver.isOver { return answer }
        if code == CURLE_OK {
            isSound = true
            return answer
        }
        let error = error(code, text.isEmpty ? String(cString: curl_easy_strerror(code)) : text, answer, secret)
        switch error {
        case .missing, .refused: isSound = true
        case .denied where code == CURLE_QUOTE_ERROR || code == CURLE_REMOTE_ACCESS_DENIED: isSound = true
        case .denied, .full, .broken, .unusable: break
        }
        // Of a connection that has ended, libcurl tells the last reason that libssh2 knows, which may be an earlier request's.
        if isSound, !server.isFTP, !stillAnswers(handle) {
            isSound = false
            throw .broken(error.detail + " (and then the connection ended)", answer: answer)
        }
        throw error
    }

    /// Whether the connection that was used last is in order: it lists the server's root, and was not made anew for that.
    private func stillAnswers(_ handle: Handle) -> Bool {
        let receiver = Receiver(.keep(atMost: 16 << 20))
        setUp(receiver, handle.easy)
        cairn_curl_set_list(handle.easy, CURLOPT_QUOTE, nil)
        cairn_curl_set_long(handle.easy, CURLOPT_UPLOAD, 0)
        cairn_curl_set_long(handle.easy, CURLOPT_NOBODY, 0)
        cairn_curl_set_long(handle.easy, CURLOPT_HTTPGET, 1)
        cairn_curl_set_size(handle.easy, CURLOPT_RESUME_FROM_LARGE, 0)
        cairn_curl_set_string(handle.easy, CURLOPT_URL, server.url("/"))
        let code = withExtendedLifetime(receiver) { handle.perform() }
        var connections = 1
        cairn_curl_get_long(handle.easy, CURLINFO_NUM_CONNECTS, &connections)
        return code == CURLE_OK && connections == 0
    }

    private func run(_ transfer: FileTransfer, _ handle: Handle) -> CURLcode {
        let curl = handle.easy
        switch transfer.kind {
        case .commands:
            cairn_curl_set_string(curl, CURLOPT_URL, server.url("/"))
            cairn_curl_set_long(curl, CURLOPT_NOBODY, 1)
            return handle.perform()
        case .list(let directory):
            cairn_curl_set_string(curl, CURLOPT_URL, server.url(directory.hasSuffix("/") ? directory : directory + "/"))
            return handle.perform()
        case .download(let file, let from, _):
            cairn_curl_set_string(curl, CURLOPT_URL, server.url(file))
            cairn_curl_set_long(curl, CURLOPT_FILETIME, 1)
            cairn_curl_set_size(curl, CURLOPT_RESUME_FROM_LARGE, curl_off_t(from))
            return handle.perform()
        case .upload(let bytes, let file, let from):
            cairn_curl_set_string(curl, CURLOPT_URL, server.url(file))
            cairn_curl_set_long(curl, CURLOPT_UPLOAD, 1)
            cairn_curl_set_size(curl, CURLOPT_INFILESIZE_LARGE, curl_off_t(bytes.count))
            cairn_curl_set_size(curl, CURLOPT_RESUME_FROM_LARGE, curl_off_t(from))
            return bytes.withUnsafeBytes { buffer in
                let source = Source(buffer)
                cairn_curl_set_write(curl, CURLOPT_READFUNCTION) { space, size, count, opaque in
                    guard let space, let opaque else { return 0 }
                    return Unmanaged<Source>.fromOpaque(opaque).takeUnretainedValue().give(UnsafeMutableRawPointer(space), size * count)
                }
                cairn_curl_set_seek(curl, CURLOPT_SEEKFUNCTION) { opaque, offset, _ in
                    guard let opaque else { return CURL_SEEKFUNC_FAIL }
                    return Unmanaged<Source>.fromOpaque(opaque).takeUnretainedValue().seek(Int(offset))
                }
                return withExtendedLifetime(source) {
                    let opaque = Unmanaged.passUnretained(source).toOpaque()
                    cairn_curl_set_pointer(curl, CURLOPT_READDATA, opaque)
                    cairn_curl_set_pointer(curl, CURLOPT_SEEKDATA, opaque)
                    return handle.perform()
                }
            }
        }
    }

    // MARK: Options

    /// - Returns: the password, to be kept out of what is told.
    private func setUpServer(_ curl: UnsafeMutableRawPointer) throws(SecretFile.Problem) -> String? {
        try server.check()
        cairn_curl_set_long(curl, CURLOPT_NOSIGNAL, 1)
        // As for HTTP: no proxy, whatever the environment says.
        cairn_curl_set_string(curl, CURLOPT_PROXY, "")
        cairn_curl_set_string(curl, CURLOPT_PROTOCOLS_STR, server.scheme)
        cairn_curl_set_long(curl, CURLOPT_CONNECTTIMEOUT, connectSeconds)
        cairn_curl_set_long(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, 2 * stallSeconds)
        // libcurl 7.88 begins an FTP data connection only when this is over, 200 ms unless told.
        cairn_curl_set_long(curl, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, 1)
        // Less than a kilobyte a second for so long: it hangs.
        cairn_curl_set_long(curl, CURLOPT_LOW_SPEED_LIMIT, 1_024)
        cairn_curl_set_long(curl, CURLOPT_LOW_SPEED_TIME, stallSeconds)
        cairn_curl_set_long(curl, CURLOPT_TCP_KEEPALIVE, 1)
        cairn_curl_set_long(curl, CURLOPT_BUFFERSIZE, 512 << 10)
        // libssh2 has as many requests under way as fit into one of these.
        cairn_curl_set_long(curl, CURLOPT_UPLOAD_BUFFERSIZE, server.isFTP ? 512 << 10 : 2 << 20)
        cairn_curl_set_string(curl, CURLOPT_USERNAME, server.user)
        var password: String?
        switch server.secret {
        case .password(let file):
            password = try SecretFile.line(file)
            cairn_curl_set_string(curl, CURLOPT_PASSWORD, password)
        case .key(let file): cairn_curl_set_string(curl, CURLOPT_SSH_PRIVATE_KEYFILE, file)
        }
        switch server.kind {
        case .ftp(let encryption, let authorities):
            cairn_curl_set_long(curl, CURLOPT_FTP_FILEMETHOD, Int(CURLFTPMETHOD_NOCWD.rawValue))
            cairn_curl_set_long(curl, CURLOPT_USE_SSL, Int(encryption == .none ? CURLUSESSL_NONE.rawValue : CURLUSESSL_ALL.rawValue))
            cairn_curl_set_long(curl, CURLOPT_FTPSSLAUTH, Int(CURLFTPAUTH_TLS.rawValue))
            cairn_curl_set_long(curl, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
            cairn_curl_set_long(curl, CURLOPT_SSL_VERIFYPEER, 1)
            cairn_curl_set_long(curl, CURLOPT_SSL_VERIFYHOST, 2)
            if let authorities {
                cairn_curl_set_string(curl, CURLOPT_CAINFO, authorities)
                cairn_curl_set_pointer(curl, CURLOPT_CAPATH, nil)
            }
        case .sftp(let hostKey):
            var ways = CURLSSH_AUTH_PUBLICKEY
            if case .password = server.secret { ways = CURLSSH_AUTH_PASSWORD | CURLSSH_AUTH_KEYBOARD }
            cairn_curl_set_long(curl, CURLOPT_SSH_AUTH_TYPES, Int(ways))
            switch hostKey {
            // Without a callback of ours libcurl takes a perfect match and nothing else.
            case .knownHosts(let file): cairn_curl_set_string(curl, CURLOPT_SSH_KNOWNHOSTS, file)
            case .fingerprint(let text):
                let digest = text.hasPrefix("SHA256:") ? text.dropFirst("SHA256:".count) : text[...]
                cairn_curl_set_string(curl, CURLOPT_SSH_HOST_PUBLIC_KEY_SHA256, String(digest))
            }
        }
        return password
    }

    private func setUp(_ receiver: Receiver, _ curl: UnsafeMutableRawPointer) {
        let opaque = Unmanaged.passUnretained(receiver).toOpaque()
        cairn_curl_set_write(curl, CURLOPT_WRITEFUNCTION) { data, size, count, opaque in
            guard let data, let opaque else { return 0 }
            return Unmanaged<Receiver>.fromOpaque(opaque).takeUnretainedValue().take(UnsafeRawBufferPointer(start: data, count: size * count))
        }
        cairn_curl_set_pointer(curl, CURLOPT_WRITEDATA, opaque)
        cairn_curl_set_write(curl, CURLOPT_HEADERFUNCTION) { data, size, count, opaque in
            guard let data, let opaque else { return 0 }
            Unmanaged<Receiver>.fromOpaque(opaque).takeUnretainedValue().takeLine(UnsafeRawBufferPointer(start: data, count: size * count))
            return size * count
        }
        cairn_curl_set_pointer(curl, CURLOPT_HEADERDATA, opaque)
    }

    // MARK: Errors

    private func error(_ code: CURLcode, _ text: String, _ answer: FileAnswer, _ secret: String?) -> FileTransferError {
        // Servers repeat what they were sent; libcurl names neither user nor password.
        let last = server.isFTP ? answer.lines.last { $0.count >= 4 && $0.prefix(3).allSatisfy(\.isNumber) } ?? "" : ""
        var detail = "\(server.scheme)://\(server.authority): \(text)" + (last.isEmpty || text.contains(last) ? "" : " (the server: \(last))")
        if let secret { detail = detail.replacing(secret, with: "…") }
        let reply = Int(last.prefix(3)) ?? 0
        if server.isFTP, let told = Self.error(reply, last, detail, code, answer) { return told }
        switch code {
        case CURLE_REMOTE_FILE_NOT_FOUND: return .missing(detail)
        case CURLE_QUOTE_ERROR:
            if text.contains("No such file") || text.contains("No such path") { return .missing(detail) }
            if text.contains("ermission denied") || text.contains("rite protect") { return .denied(detail) }
            return .refused(detail)
        case CURLE_REMOTE_DISK_FULL: return .full(detail)
        case CURLE_REMOTE_ACCESS_DENIED, CURLE_LOGIN_DENIED, CURLE_USE_SSL_FAILED, CURLE_SSL_CACERT_BADFILE: return .denied(detail)
        case CURLE_PEER_FAILED_VERIFICATION:
            return .denied(detail + (server.isFTP ? "" : ": its host key is not the one that is expected"))
        // What libcurl says of a connection that ended while SSH's keys were exchanged.
        case CURLE_FAILED_INIT where !server.isFTP: return .broken(detail, answer: answer)
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_FAILED_INIT, CURLE_UNKNOWN_OPTION,
            CURLE_NOT_BUILT_IN, CURLE_OUT_OF_MEMORY:
            return .unusable(detail)
        default: return .broken(detail, answer: answer)
        }
    }

    /// By the reply's number. Source: RFC 959, 4.2; RFC 4217 for 534.
    private static func error(_ reply: Int, _ line: String, _ detail: String, _ code: CURLcode, _ answer: FileAnswer) -> FileTransferError? {
        let isRefusal = [
            CURLE_QUOTE_ERROR, CURLE_UPLOAD_FAILED, CURLE_REMOTE_FILE_NOT_FOUND, CURLE_FTP_COULDNT_RETR_FILE, CURLE_PARTIAL_FILE,
            CURLE_LOGIN_DENIED, CURLE_REMOTE_ACCESS_DENIED, CURLE_REMOTE_DISK_FULL, CURLE_FTP_COULDNT_USE_REST,
        ].contains(code)
        guard isRefusal else { return nil }
        switch reply {
        case 452, 552: return .full(detail)
        // vsftpd says no more than this of a disk or a quota that is full.
        case 451 where line.contains("writing to local file"): return .full(detail)
        // 522: vsftpd saw no session that it knows on a data connection; a fresh conversation begins with one.
        case 421, 425, 426, 450, 451, 522: return .broken(detail, answer: answer)
        case 430, 530, 532, 534: return .denied(detail)
        case 550 where code == CURLE_REMOTE_FILE_NOT_FOUND: return .missing(detail)
        case 500...599: return .refused(detail)
        default: return nil
        }
    }
}

/// What is sent, as libcurl asks for it: copied once, into its own buffer.
private final class Source {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    func give(_ space: UnsafeMutableRawPointer, _ room: Int) -> Int {
        let count = min(room, bytes.count - offset)
        guard count > 0, let start = bytes.baseAddress else { return 0 }
        space.copyMemory(from: start + offset, byteCount: count)
        offset += count
        return count
    }
    func seek(_ to: Int) -> Int32 {
        guard (0...bytes.count).contains(to) else { return CURL_SEEKFUNC_FAIL }
        offset = to
        return CURL_SEEKFUNC_OK
    }
}

/// What comes back, as it comes.
private final class Receiver {
    private let sink: FileSink
    private var bytes: [UInt8] = []
    private var lines: [String] = []
    private var compared = 0
    private var isOther = false
    /// The transfer was ended by us: all is known that was asked for.
    private(set) var isOver = false
    init(_ sink: FileSink) { self.sink = sink }

    private static func begins(_ wanted: Slice<UnsafeRawBufferPointer>, _ data: UnsafeRawBufferPointer) -> Bool {
        let rest = UnsafeRawBufferPointer(rebasing: wanted)
        guard let ours = rest.baseAddress, let theirs = data.baseAddress else { return data.isEmpty }
        return memcmp(ours, theirs, data.count) == 0
    }

    /// - Returns: bytes taken; another number than came ends the transfer.
    func take(_ data: UnsafeRawBufferPointer) -> Int {
        switch sink {
        case .keep(let most):
            guard bytes.count + data.count <= most else { return 0 }
            if bytes.isEmpty { bytes.reserveCapacity(min(most, max(data.count, 64 << 10))) }
            bytes.append(contentsOf: data)
        case .compare(let wanted):
            if isOther || compared + data.count > wanted.count || !wanted.withUnsafeBytes({ Self.begins($0.dropFirst(compared), data) }) {
                isOther = true
                // What is short is let come to its end: the connection stays of use.
                if wanted.count <= 1 << 20 { return data.count }
                isOver = true
                return 0
            }
            compared += data.count
        }
        return data.count
    }

    func takeLine(_ data: UnsafeRawBufferPointer) {
        // Commands' answers alone: what a long session has said is nobody's business.
        guard lines.count < 200_000 else { return }
        var line = String(decoding: data, as: UTF8.self)
        while let last = line.last, last.isNewline { line.removeLast() }
        lines.append(line)
    }

    var answer: FileAnswer {
        var same = false
        if case .compare(let wanted) = sink { same = !isOther && compared == wanted.count }
        return FileAnswer(lines: lines, bytes: bytes, size: nil, modifiedAt: nil, isSame: same)
    }
}
