import Curl
import Ports
import Vocabulary

/// What a store asks of a file server, in either protocol, and how long it goes on asking.
struct Conversation: Sendable {
    let client: FileTransferClient
    /// No new attempt begins later than this after the first.
    let patience: Duration
    let random: any RandomSource

    private static let commandSeconds = 30
    private static let transferSeconds = 600
    private var isFTP: Bool { client.server.isFTP }

    // MARK: Attempts

    /// Does it until it works, cannot work, or patience is at an end: what may pass is tried again, on a new connection.
    ///
    /// Pauses are uniform in 0 to a bound that doubles from 0.1 to 5 s, so that clients who failed together do not come back together.
    /// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("full jitter").
    func persist<Value>(
        _ path: String, until deadline: ContinuousClock.Instant, _ body: (_ attempt: Int) async throws(Trouble) -> Value
    ) async throws(StoreError) -> Value {
        var bound = 0.1
        var attempt = 0
        while true {
            attempt += 1
            let detail: String
            do throws(Trouble) { return try await body(attempt) } catch {
                switch error {
                case .final(let error): throw error
                case .server(.broken(let text, _)), .passing(let text): detail = text
                case .server(let error): throw Self.storeError(error, path)
                }
            }
            let pause = Duration.seconds(bound * Double(random.next() >> 11) / Double(1 << 53))
            bound = min(bound * 2, 5)
            guard ContinuousClock.now + pause < deadline else {
                throw .unavailable(path: path, detail: attempt == 1 ? detail : "\(detail) (after \(attempt) attempts)")
            }
            do { try await Task.sleep(for: pause, clock: .continuous) } catch { throw .unavailable(path: path, detail: "given up: \(detail)") }
        }
    }

    static func storeError(_ error: FileTransferError, _ path: String) -> StoreError {
        switch error {
        case .missing: .notFound(path: path)
        case .refused(let text), .unusable(let text): .failed(path: path, detail: text)
        case .denied(let text): .denied(path: path, detail: text)
        case .full(let text): .full(path: path, detail: text)
        case .broken(let text, _): .unavailable(path: path, detail: text)
        }
    }

    // MARK: Requests

    private func perform(_ transfer: FileTransfer, fresh: Bool = false) async throws(Trouble) -> FileAnswer {
        do throws(FileTransferError) { return try await client.perform(transfer, fresh: fresh) } catch { throw .server(error) }
    }

    @discardableResult
    func command(_ commands: [String], timeoutSeconds: Int = commandSeconds) async throws(Trouble) -> FileAnswer {
        try await perform(FileTransfer(.commands, after: commands, timeoutSeconds: timeoutSeconds))
    }

    func making(_ directory: String) -> String { (isFTP ? "MKD " : "mkdir ") + directory }
    func renaming(_ source: String, to destination: String) -> [String] {
        isFTP ? ["RNFR " + source, "RNTO " + destination] : ["rename \(source) \(destination)"]
    }
    func removing(file: String) -> String { (isFTP ? "DELE " : "rm ") + file }
    func removing(directory: String) -> String { (isFTP ? "RMD " : "rmdir ") + directory }

    /// All that a directory holds; nil when there is no such directory.
    ///
    /// Over FTP by STAT: its answer comes on the control connection and has an end. What LIST and MLSD send ends with their data connection, and one
    /// that was cut looks like one that was short.
    func entries(of directory: String, timeoutSeconds: Int = commandSeconds) async throws(Trouble) -> [Listed]? {
        guard isFTP else {
            do throws(Trouble) {
                let answer = try await perform(FileTransfer(.list(directory: directory), timeoutSeconds: timeoutSeconds))
                return try listed(answer.bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }, directory)
            } catch .server(.missing) {
                return nil
            }
        }
        // Made between the two looks, it is there at the next one.
        for _ in 0..<3 {
            if let found = try await listing(of: directory, timeoutSeconds) { return found }
            if try await !exists(directory) { return nil }
        }
        throw .final(.denied(path: directory, detail: "it is there, and the server does not list it, or does not let us in"))
    }

    /// By STAT; nil when the directory itself is not in it. With -a it is: a server that cannot open one says that there is nothing, and that is no
    /// empty directory.
    private func listing(of directory: String, _ timeoutSeconds: Int) async throws(Trouble) -> [Listed]? {
        let answer: FileAnswer
        do throws(Trouble) { answer = try await command(["STAT -a " + directory], timeoutSeconds: timeoutSeconds) } catch .server(.refused) {
            return nil
        }
        guard let first = answer.lines.lastIndex(where: { $0.hasPrefix("213-") || $0.hasPrefix("212-") }) else {
            throw .final(.failed(path: directory, detail: "the server does not list by STAT: \(answer.lines.last ?? "")"))
        }
        let found = try listed(Array(answer.lines[(first + 1)...].dropLast()), directory)
        return found.contains { $0.name == "." } ? found : nil
    }

    /// FTP says the same of a directory that may not be entered as of one that is not there; but what it lies in lists it.
    private func exists(_ directory: String) async throws(Trouble) -> Bool {
        do throws(Trouble) {
            try await command(["CWD " + directory])
            return true
        } catch {
            switch error {
            case .server(.refused), .server(.missing): break
            default: throw error
            }
        }
        let above = FileServerStore.above(directory)
        guard above != directory, let there = try await entries(of: above) else { return false }
        let name = directory.split(separator: "/").last ?? ""
        return there.contains { $0.name == name && $0.isDirectory }
    }

    /// A part of a directory must not be taken for all of it: one line that cannot be read is an error.
    private func listed(_ lines: [String], _ directory: String) throws(Trouble) -> [Listed] {
        var found: [Listed] = []
        for line in lines {
            if line.isEmpty || line.hasPrefix("total ") { continue }
            guard let entry = Listed(line) else {
                throw .final(.failed(path: directory, detail: "a line of the server's list cannot be read: \(line.prefix(200))"))
            }
            found.append(entry)
        }
        return found
    }

    func upload(_ bytes: [UInt8], to file: String, from: Int, after commands: [String], fresh: Bool) async throws(Trouble) {
        _ = try await perform(FileTransfer(.upload(bytes, to: file, from: from), after: commands, timeoutSeconds: Self.transferSeconds), fresh: fresh)
    }

    func download(_ file: String, from: Int = 0, into sink: FileSink) async throws(Trouble) -> FileAnswer {
        try await perform(FileTransfer(.download(file, from: from, into: sink), timeoutSeconds: Self.transferSeconds))
    }

    /// Whether a file holds these bytes; nil when there is none.
    func holds(_ bytes: [UInt8], _ file: String) async throws(Trouble) -> Bool? {
        if isFTP {
            // Much the cheapest way to learn that there is nothing.
            do throws(Trouble) {
                let answer = try await command(["TYPE I", "SIZE " + file])
                guard answer.lines.last(where: { $0.hasPrefix("213 ") }).flatMap({ Int($0.dropFirst(4)) }) == bytes.count else { return false }
            } catch .server(.refused) { return nil } catch .server(.missing) { return nil }
        }
        do throws(Trouble) { return try await download(file, into: .compare(with: bytes)).isSame } catch .server(.missing) { return nil }
    }

    /// Free bytes where a directory lies, where the server tells (`statvfs@openssh.com`).
    func freeBytes(at directory: String) async throws(Trouble) -> Int? {
        guard !isFTP else { return nil }
        let answer: FileAnswer
        do throws(Trouble) { answer = try await command(["statvfs " + directory], timeoutSeconds: 5) } catch .server(.refused) { return nil }
        var values: [Substring: Int] = [:]
        for line in answer.lines.flatMap({ $0.split(whereSeparator: \.isNewline) }) {
            let words = line.split(separator: ":")
            if words.count == 2 { values[words[0]] = Int(words[1].drop { $0 == " " }) }
        }
        guard let size = values["f_frsize"], let free = values["f_bavail"] else { return nil }
        return size * free
    }
}

/// Why something did not work.
enum Trouble: Error {
    /// Asking again would not help.
    case final(StoreError)
    case server(FileTransferError)
    case passing(String)
}
