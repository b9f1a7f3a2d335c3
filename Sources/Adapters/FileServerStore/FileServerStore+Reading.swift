import Curl
import Ports
import Vocabulary

extension FileServerStore {
    enum Found: Hashable {
        case same(isSealed: Bool)
        case other(isSealed: Bool)
        case nothing
    }

    /// What is at a path, compared with bytes that we have.
    func found(_ bytes: [UInt8], at path: String, until deadline: ContinuousClock.Instant) async throws(StoreError) -> Found {
        try await talk.persist(path, until: deadline) { _ throws(Trouble) in
            if let same = try await talk.holds(bytes, sealed(path) + "/" + Self.content) {
                return same ? .same(isSealed: true) : .other(isSealed: true)
            }
            do throws(Trouble) {
                guard let same = try await talk.holds(bytes, full(path)) else { return .nothing }
                return same ? .same(isSealed: false) : .other(isSealed: false)
            } catch .server(.broken(let text, let answer)) {
                // SFTP opens a directory as if it were a file, and breaks when it is read.
                if try await talk.entries(of: full(path)) != nil { return .other(isSealed: false) }
                throw .server(.broken(text, answer: answer))
            }
        }
    }

    /// Whether a path is taken, by whatever.
    func exists(_ path: String) async throws(Trouble) -> Bool {
        try await talk.entries(of: parent(of: path))?.contains { [name(of: path), name(of: path) + Self.mark].contains($0.name) } ?? false
    }

    package func read(_ path: String) async throws(StoreError) -> [UInt8] {
        try StorePath.check(path)
        let deadline = deadline()
        var kept = Kept(file: full(path))
        var refusals = 0
        return try await talk.persist(path, until: deadline) { _ throws(Trouble) in
            for file in [kept.file, kept.file == full(path) ? sealed(path) + "/" + Self.content : full(path)] {
                if file != kept.file { kept = Kept(file: file) }
                do throws(Trouble) { return try await fetch(&kept) } catch .server(.missing) { continue } catch .server(.broken(let text, let answer))
                {
                    if answer.bytes.isEmpty, kept.bytes.isEmpty, try await talk.entries(of: file) != nil { throw .final(.notFound(path: path)) }
                    throw .server(.broken(text, answer: answer))
                }
            }
            // Missing, or not ours to read: some servers say the same of both.
            guard let there = try await talk.entries(of: parent(of: path)) else { throw .final(.notFound(path: path)) }
            if there.contains(where: { $0.name == name(of: path) && !$0.isDirectory }) {
                // Or it was put there between the two questions.
                refusals += 1
                guard refusals >= 3 else { throw .passing("\(path) has only just appeared") }
                throw .final(.denied(path: path, detail: "it is there, and the server does not hand it out"))
            }
            if there.contains(where: { $0.name == name(of: path) + Self.mark }), try await !isHollow(path) {
                throw .passing("\(path) has only just appeared")
            }
            throw .final(.notFound(path: path))
        }
    }

    /// What has come of a file until its connection broke.
    struct Kept {
        var file: String
        var bytes: [UInt8] = []
        var size: Int?
        var modifiedAt: Int?
    }

    /// Goes on where the last attempt broke, if the file is the same still.
    private func fetch(_ kept: inout Kept) async throws(Trouble) -> [UInt8] {
        let before = kept
        do throws(Trouble) {
            let answer = try await talk.download(kept.file, from: kept.bytes.count, into: .keep(atMost: Self.mostBytes - kept.bytes.count))
            if before.bytes.isEmpty { return answer.bytes }
            guard answer.modifiedAt == before.modifiedAt, (answer.size ?? 0) + before.bytes.count == before.size else {
                kept = Kept(file: kept.file)
                throw .passing("it was replaced while it was read")
            }
            return before.bytes + answer.bytes
        } catch .server(.broken(let text, let answer)) {
            // Without its size and time nothing tells whether it is the same later on.
            if before.bytes.isEmpty, let size = answer.size, let modifiedAt = answer.modifiedAt, answer.bytes.count < size {
                kept = Kept(file: kept.file, bytes: answer.bytes, size: size, modifiedAt: modifiedAt)
            } else if !before.bytes.isEmpty, answer.modifiedAt == before.modifiedAt, let rest = answer.size, rest + before.bytes.count == before.size,
                before.bytes.count + answer.bytes.count < rest + before.bytes.count
            {
                kept.bytes += answer.bytes
            } else if !answer.bytes.isEmpty {
                kept = Kept(file: kept.file)
            }
            throw .server(.broken(text, answer: answer))
        }
    }

    /// Objects fit in memory; this is far above any.
    private static let mostBytes = 1 << 30

    package func list(_ path: String) async throws(StoreError) -> [StoreEntry] {
        try StorePath.check(path)
        return try await talk.persist(path, until: deadline()) { _ throws(Trouble) in
            guard let found = try await talk.entries(of: full(path)) else { return [] }
            var entries: [String: StoreEntry] = [:]
            for entry in found where !entry.name.hasPrefix(".") {
                guard entry.name.hasSuffix(Self.mark) else {
                    if entries[entry.name] == nil {
                        entries[entry.name] = StoreEntry(
                            name: entry.name, isDirectory: entry.isDirectory, bytes: ByteCount(Int64(entry.bytes)),
                            modifiedAt: Timestamp(Double(entry.modifiedAt)))
                    }
                    continue
                }
                // Without content it is what a removal left: nothing. Gone since it was listed: not there.
                let inside = try await talk.entries(of: full(path) + "/" + entry.name)
                guard let content = inside?.first(where: { $0.name == Self.content }) else { continue }
                let name = String(entry.name.dropLast())
                entries[name] = StoreEntry(
                    name: name, isDirectory: false, bytes: ByteCount(Int64(content.bytes)), modifiedAt: Timestamp(Double(content.modifiedAt)))
            }
            return entries.values.sorted { $0.name < $1.name }
        }
    }

    /// A sealed name without content: of a removal that was not finished, on a server where directories are not renamed away.
    func isHollow(_ path: String) async throws(Trouble) -> Bool {
        try await talk.entries(of: sealed(path))?.contains { $0.name == Self.content } != true
    }
}
