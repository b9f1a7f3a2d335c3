import AuditReport
import Foundation
import Ports
import Vocabulary

/// The machine's own clock.
struct SystemTime: TimeSource {
    func now() -> Timestamp { Timestamp(Date().timeIntervalSince1970) }
    func sleep(for length: Seconds) async throws { try await Task.sleep(for: .seconds(length.rawValue)) }
}

struct SystemRandom: RandomSource {
    func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}

/// Lines for people, with the time of day, on standard error or into a file.
struct Logbook: Sendable {
    private let name: String
    init(name: String) { self.name = name }

    func say(_ text: String) {
        // The journal has times of its own. Source: systemd.exec(5), JOURNAL_STREAM.
        let isJournalled = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil
        let time = isJournalled ? "" : Date().formatted(.iso8601.time(includingFractionalSeconds: true).year().month().day()) + " "
        for line in text.split(separator: "\n") { FileHandle.standardError.write(Data("\(time)\(name): \(line)\n".utf8)) }
    }
}

/// As every `--json` prints it; docs/json.md is the contract.
func printJSON(_ value: some Encodable) { print(JSONText.of(value), terminator: "") }

/// Bytes of a file.
/// - Throws: `Failure.cannotTry`, saying which file and why.
func contents(of path: String) throws -> String {
    do { return String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self) } catch {
        throw Failure.cannotTry("cannot read \(path): \((error as NSError).localizedDescription)")
    }
}

func absolute(_ path: String) -> String {
    URL(fileURLWithPath: path, relativeTo: URL(fileURLWithPath: FileManager.default.currentDirectoryPath)).standardizedFileURL.path
}
