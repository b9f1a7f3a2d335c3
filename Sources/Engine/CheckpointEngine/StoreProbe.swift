import Ports
import Vocabulary

/// Tries whether a store does what checkpoints rest on (docs/format.md, "What a store must offer"), in a directory of its own that is removed again.
package struct StoreProbe: Sendable {
    package struct Outcome: Hashable, Sendable {
        /// What does not hold, in words.
        package var faults: [String] = []
        /// The store's clock less ours, as far as a file's time tells it (file systems round to a second at worst).
        package var clockAhead: Seconds?
        package var elapsed = Seconds.zero
    }

    private let store: any CheckpointStore
    private let time: any TimeSource
    private let directory: String
    /// Below it, as the root itself is not to be listed.
    private static let place = "probes"

    /// - Parameter name: one that nobody else uses.
    package init(store: any CheckpointStore, time: any TimeSource, name: String) {
        self.store = store
        self.time = time
        directory = "\(Self.place)/\(name)"
    }

    /// - Throws: where the store fails; what was made is removed as far as it lets us.
    package func run() async throws(StoreError) -> Outcome {
        let began = time.now()
        var outcome: Outcome
        do throws(StoreError) { outcome = try await tried() } catch {
            // The trouble that is told is the first one.
            do throws(StoreError) { try await store.remove(directory) } catch {}
            throw error
        }
        try await store.remove(directory)
        let left = try await store.list(Self.place)
        if left.contains(where: { directory.hasSuffix("/" + $0.name) }) { outcome.faults.append("a directory that was removed is still listed") }
        // Other probes may be under way.
        if left.isEmpty { try await store.remove(Self.place) }
        outcome.elapsed = time.now() - began
        return outcome
    }

    private func tried() async throws(StoreError) -> Outcome {
        var outcome = Outcome()
        func expect(_ holds: Bool, _ fault: String) { if !holds { outcome.faults.append(fault) } }
        let content = Array("what is written\n".utf8)
        let open = directory + "/open"
        let sealed = directory + "/sealed"

        try await store.makeDirectory(open)
        let before = time.now()
        try await store.write(content, to: open + "/part", replication: 1)
        let after = time.now()
        expect(try await store.read(open + "/part") == content, "what was written is not what is read")
        let entry = try await store.list(open).first { $0.name == "part" }
        expect(entry?.bytes == ByteCount(content.count), "what was written is not listed with its length")
        if let entry { outcome.clockAhead = entry.modifiedAt - Timestamp((before.rawValue + after.rawValue) / 2) }

        expect(try await store.commit(content, as: open + "/first", replication: 1), "a commit into an open directory is refused")
        expect(try await refusesOther(open + "/first"), "a commit replaces what another had committed")
        expect(try await store.createExclusively(content, at: directory + "/mine"), "an exclusive creation fails where nothing is")
        expect(!(try await store.createExclusively(Array("another".utf8), at: directory + "/mine")), "two exclusive creations succeed")
        expect(try await store.moveDirectory(open, to: sealed), "a directory cannot be moved")
        expect(!(try await store.moveDirectory(open, to: sealed + "2")), "a directory that was moved away can be moved again")
        expect(
            !(try await store.commit(content, as: open + "/late", replication: 1)), "a stale node could commit into a directory that was sealed away")
        expect(try await store.read(sealed + "/first") == content, "what was committed is not there after its directory was moved")
        return outcome
    }

    private func refusesOther(_ path: String) async throws(StoreError) -> Bool {
        do throws(StoreError) {
            _ = try await store.commit(Array("another".utf8), as: path, replication: 1)
            return false
        } catch {
            if case .alreadyExists = error { return true }
            throw error
        }
    }
}
