import Foundation

@testable import SQLiteLedger

/// A directory that is removed when the test is over.
final class Scratch: Sendable {
    let directory: String
    var ledgerPath: String { directory + "/ledger.sqlite" }

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "cairn-ledger-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch { print("left behind: \(directory): \(error)") }
    }
}
