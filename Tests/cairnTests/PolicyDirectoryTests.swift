import Autonomics
import Foundation
import Testing
import Vocabulary

@testable import cairn

@Suite("Policies are edited while the manager runs")
struct PolicyDirectoryTests {
    private let folder: URL
    private let source: PolicyDirectory

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "cairn-policies-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        source = PolicyDirectory(path: folder.path)
    }

    private func write(_ name: String, keepLast: String, policy: String = "default") throws {
        let text = """
            apiVersion: cairn/v1
            kind: CheckpointPolicy
            metadata: {name: \(policy)}
            spec:
              currency: EUR
              retention: {keepLast: \(keepLast)}

            """
        try Data(text.utf8).write(to: folder.appending(path: name), options: .atomic)
    }

    /// How many are kept by each policy that was loaded; nil for each file that was rejected.
    private func changes() async -> [Int?] {
        await source.changes().map { change in
            switch change {
            case .loaded(let policy, _): policy.settings.keepLast
            case .rejected: nil
            }
        }
    }

    @Test("a valid edit is taken once, a bad one is told of once and takes nothing, and mending it is an edit again")
    func edits() async throws {
        defer { do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) } }
        try write("a.yaml", keepLast: "3")
        #expect(await changes() == [3])
        #expect(await changes() == [])
        try write("a.yaml", keepLast: "4")
        #expect(await changes() == [4])
        try write("a.yaml", keepLast: "many")
        #expect(await changes() == [nil])
        #expect(await changes() == [])
        try write("a.yaml", keepLast: "4")
        #expect(await changes() == [4])
    }

    @Test("two files do not fight over one name, and what is no policy is refused")
    func conflicts() async throws {
        defer { do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) } }
        try write("a.yaml", keepLast: "3")
        try write("b.yaml", keepLast: "5")
        #expect(await changes() == [3, nil])
        try Data("apiVersion: cairn/v1\nkind: Fleet\n".utf8).write(to: folder.appending(path: "c.yaml"))
        try Data("keepLast: 9".utf8).write(to: folder.appending(path: "notes.txt"))
        #expect(await changes() == [nil])
    }

    @Test("a directory that is not there is told of once")
    func missing() async throws {
        try FileManager.default.removeItem(at: folder)
        #expect(await changes() == [nil])
        #expect(await changes() == [])
    }
}
