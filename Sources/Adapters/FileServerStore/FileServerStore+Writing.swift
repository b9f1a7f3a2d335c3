import Curl
import Ports
import Vocabulary

extension FileServerStore {
    /// A directory of its own with a file `content` that holds what it should.
    struct Temporary: Sendable {
        let directory: String
        var file: String { directory + "/" + FileServerStore.content }
    }

    enum Created { case done, taken, noParent }

    /// How often a parent directory is made that somebody else removes before it is used.
    private static let parentsMade = 5

    // MARK: Creating

    /// Writes a temporary, and renames its directory to a name that nobody has.
    /// - Returns: not `.noParent` with `makesParents`.
    func create(_ bytes: [UInt8], at path: String, makesParents: Bool, until deadline: ContinuousClock.Instant) async throws(StoreError) -> Created {
        // What is no sealed name (a part, a directory) is looked for here: that these two kinds race for one name is not how stores are used.
        let before: Created? = try await talk.persist(path, until: deadline) { _ throws(Trouble) in
            guard let there = try await talk.entries(of: parent(of: path)) else { return .noParent }
            if there.contains(where: { $0.name == name(of: path) }) { return .taken }
            guard there.contains(where: { $0.name == name(of: path) + Self.mark }) else { return nil }
            return try await clearHollow(path) ? nil : .taken
        }
        if let before, before == .taken || !makesParents { return before }
        let temporary = try await writeTemporary(bytes, for: path, until: deadline)
        do throws(StoreError) {
            var mayBeDone = false
            var refusals = 0
            if before == .noParent { try await makeDirectories(parent(of: path), for: path, until: deadline) }
            for _ in 0..<Self.parentsMade {
                let outcome = try await talk.persist(path, until: deadline) { _ throws(Trouble) in
                    try await rename(temporary, to: path, &mayBeDone, &refusals)
                }
                if outcome == .noParent, makesParents {
                    try await makeDirectories(parent(of: path), for: path, until: deadline)
                    continue
                }
                if outcome != .done { await discard(temporary) }
                return outcome
            }
            throw .unavailable(path: path, detail: "its directory is removed whenever it is made")
        } catch {
            await discard(temporary)
            throw error
        }
    }

    /// - Parameter mayBeDone: an earlier attempt's answer was lost. Nobody else renames the temporary: when it is gone, that attempt did it.
    private func rename(_ temporary: Temporary, to path: String, _ mayBeDone: inout Bool, _ refusals: inout Int) async throws(Trouble) -> Created {
        do throws(Trouble) {
            try await talk.command(talk.renaming(temporary.directory, to: sealed(path)))
            return .done
        } catch {
            guard case .server(let told) = error else { throw error }
            switch told {
            case .broken:
                mayBeDone = true
                throw error
            case .denied, .full, .unusable: throw error
            case .missing, .refused: break
            }
            if try await talk.entries(of: temporary.directory) == nil {
                if mayBeDone { return .done }
                throw .final(.unavailable(path: path, detail: "its temporary directory is gone"))
            }
            guard let there = try await talk.entries(of: parent(of: path)) else { return .noParent }
            if there.contains(where: { $0.name == name(of: path) + Self.mark }) {
                if try await !clearHollow(path) { return .taken }
                throw .passing("what a removal left stood in the way")
            }
            // Nothing is in the way now: its directory was made, or what had its name removed, since it failed.
            refusals += 1
            if refusals <= 3 { throw .passing(told.detail) }
            throw .final(.failed(path: path, detail: told.detail))
        }
    }

    /// Removes a sealed name without content: it fails when there is content.
    /// - Returns: false when there is content.
    private func clearHollow(_ path: String) async throws(Trouble) -> Bool {
        guard try await isHollow(path) else { return false }
        do throws(Trouble) { try await talk.command([talk.removing(directory: sealed(path))]) } catch .server(.missing) { return true } catch .server(
            .refused
        ) { return try await isHollow(path) }
        return true
    }

    // MARK: Replacing

    /// Renames a temporary's file; where the server does not replace by renaming, what is there goes first.
    func replace(
        _ target: String, by temporary: Temporary, _ bytes: [UInt8], for path: String, until deadline: ContinuousClock.Instant
    ) async throws(StoreError) {
        var mayBeDone = false
        var (parents, refusals) = (0, 0)
        try await talk.persist(path, until: deadline) { _ throws(Trouble) in
            while true {
                do throws(Trouble) {
                    try await talk.command(talk.renaming(temporary.file, to: target) + ["*" + talk.removing(directory: temporary.directory)])
                    return
                } catch {
                    guard case .server(let told) = error else { throw error }
                    switch told {
                    case .broken:
                        mayBeDone = true
                        throw error
                    case .denied, .full, .unusable: throw error
                    case .missing, .refused: break
                    }
                    if try await talk.entries(of: temporary.directory)?.contains(where: { $0.name == Self.content }) != true {
                        if mayBeDone, try await talk.holds(bytes, target) == true { return }
                        throw .final(.unavailable(path: path, detail: "its temporary file is gone"))
                    }
                    guard let there = try await talk.entries(of: parent(of: path)) else {
                        parents += 1
                        guard parents <= Self.parentsMade else { throw .passing("its directory is removed whenever it is made") }
                        try await makeDirectories(parent(of: path), for: path)
                        continue
                    }
                    guard let old = there.first(where: { $0.name == name(of: path) }) else {
                        // Its directory was made since it failed.
                        refusals += 1
                        if refusals <= 3 { throw .passing(told.detail) }
                        throw .final(.failed(path: path, detail: told.detail))
                    }
                    if old.isDirectory { throw .final(.failed(path: path, detail: "a directory is there")) }
                    do throws(Trouble) { try await talk.command([talk.removing(file: target)]) } catch .server(.missing) { continue }
                }
            }
        }
    }

    // MARK: Temporaries

    /// Sends bytes under a name that nobody has, and looks at what arrived.
    func writeTemporary(_ bytes: [UInt8], for path: String, until deadline: ContinuousClock.Instant) async throws(StoreError) -> Temporary {
        var temporary = fresh()
        var from = 0
        var damages = 0
        var (reached, stuck) = (-1, 0)
        var isPrepared = false
        return try await talk.persist(path, until: deadline) { attempt throws(Trouble) in
            do throws(Trouble) {
                try await talk.upload(
                    bytes, to: temporary.file, from: from, after: from == 0 ? ["*" + talk.making(temporary.directory)] : [], fresh: attempt > 1)
                try await verify(temporary, bytes, for: path)
                return temporary
            } catch {
                let old = temporary
                from = 0
                switch error {
                case .server(.broken(let text, _)):
                    if let free = await room(), free < bytes.count {
                        await discard(old)
                        let detail = "\(bytes.count) bytes do not fit into the \(free) that are free on \(talk.client.server.authority)"
                        throw .final(.full(path: path, detail: detail))
                    }
                    guard let found = await arrived(old), found < bytes.count else { break }
                    // vsftpd ends the connection when its disk is full, and libcurl does not hear the reason any more. The server answers, and time
                    // after time takes no byte more: that is no trouble of the way. Six times, since a reset at the end of an upload by TLS 1.3, whose
                    // session tickets nobody reads, can cut several in a row on a busy machine.
                    stuck = found == reached ? stuck + 1 : 0
                    reached = found
                    if stuck >= 6 {
                        await discard(old)
                        let detail = "the server takes \(found) of \(bytes.count) bytes and no more; its disk or a quota may be full: \(text)"
                        throw .final(.full(path: path, detail: detail))
                    }
                    if found >= Self.worthResuming {
                        from = found
                        throw error
                    }
                case .server(.missing), .server(.refused), .server(.denied):
                    // The first to write anything makes the place for it.
                    if !isPrepared {
                        try await makeDirectories(scratch, for: path)
                        isPrepared = true
                        temporary = fresh()
                        throw .passing("\(scratch) is not there")
                    }
                    if case .server(.missing(let text)) = error { throw .final(.failed(path: path, detail: text)) }
                case .final(.damaged(_, let detail)) where damages < 2:
                    damages += 1
                    temporary = fresh()
                    await discard(old)
                    throw .passing(detail)
                case .server, .final, .passing: break
                }
                // Each attempt has its own: a server may still be busy with the last one's.
                temporary = fresh()
                await discard(old)
                throw error
            }
        }
    }

    /// Bytes that are free, if the server tells.
    private func room() async -> Int? {
        do throws(Trouble) { return try await talk.freeBytes(at: scratch) } catch { return nil }
    }

    private func fresh() -> Temporary {
        Temporary(directory: scratch + "/" + String(talk.random.next(), radix: 36) + String(talk.random.next(), radix: 36))
    }

    /// Less is sent anew, bytes.
    private static let worthResuming = 1 << 20

    /// How much of a broken upload the server has; nil when it does not say. It may still grow, which the length tells in the end.
    private func arrived(_ temporary: Temporary) async -> Int? {
        do throws(Trouble) {
            return try await talk.entries(of: temporary.directory)?.first { $0.name == Self.content }?.bytes ?? 0
        } catch { return nil }
    }

    /// - Throws: `.damaged`.
    private func verify(_ temporary: Temporary, _ bytes: [UInt8], for path: String) async throws(Trouble) {
        guard let content = try await talk.entries(of: temporary.directory)?.first(where: { $0.name == Self.content }) else {
            throw .final(.damaged(path: path, detail: "what was sent is not there"))
        }
        guard content.bytes == bytes.count else {
            throw .final(.damaged(path: path, detail: "\(content.bytes) of \(bytes.count) bytes were stored"))
        }
        if readsBack, try await talk.holds(bytes, temporary.file) != true {
            throw .final(.damaged(path: path, detail: "what is stored is not what was sent"))
        }
        await removeLeftovers(as: content)
    }

    /// Tries once: the search for leftovers gets what stays.
    func discard(_ temporary: Temporary) async {
        do throws(Trouble) {
            try await talk.command(["*" + talk.removing(file: temporary.file), "*" + talk.removing(directory: temporary.directory)])
        } catch { return }
    }

    // MARK: Directories

    func makeDirectories(_ directory: String, for path: String, until deadline: ContinuousClock.Instant) async throws(StoreError) {
        try await talk.persist(path, until: deadline) { _ throws(Trouble) in try await makeDirectories(directory, for: path) }
    }

    private func makeDirectories(_ directory: String, for path: String) async throws(Trouble) {
        if directory == "/" || directory.isEmpty { return }
        do throws(Trouble) { try await talk.command([talk.making(directory)]) } catch {
            guard case .server(let told) = error else { throw error }
            switch told {
            case .missing, .refused, .denied: break
            case .full, .broken, .unusable: throw error
            }
            // There already, most likely; if not, what it lies in is perhaps not there.
            if try await talk.entries(of: directory) != nil { return }
            let above = Self.above(directory)
            var refusals = 0
            while true {
                if try await talk.entries(of: above) == nil { try await makeDirectories(above, for: path) }
                do throws(Trouble) { return _ = try await talk.command([talk.making(directory)]) } catch {
                    if try await talk.entries(of: directory) != nil { return }
                    let there = try await talk.entries(of: above)?.first { $0.name == directory.split(separator: "/").last ?? "" }
                    if there?.isDirectory == false { throw .final(.failed(path: path, detail: "a file is where a directory is wanted")) }
                    guard case .server(.missing(let text)) = error else { throw error }
                    // What it lies in may have been removed since; but not always.
                    refusals += 1
                    if refusals >= 3 { throw .final(.failed(path: path, detail: text)) }
                }
            }
        }
    }

    // MARK: Removing

    package func remove(_ path: String) async throws(StoreError) {
        try StorePath.check(path)
        try await talk.persist(path, until: deadline()) { _ throws(Trouble) in
            // A file, most often.
            do throws(Trouble) { return _ = try await talk.command([talk.removing(file: full(path))]) } catch {
                guard case .server(let told) = error else { throw error }
                switch told {
                case .missing, .refused, .denied: break
                case .full, .broken, .unusable: throw error
                }
                guard let there = try await talk.entries(of: parent(of: path)) else { return }
                for entry in there where [name(of: path), name(of: path) + Self.mark].contains(entry.name) {
                    guard entry.isDirectory else { throw error }
                    try await removeDirectory(parent(of: path) + "/" + entry.name, for: path)
                }
            }
        }
    }

    /// It goes in one step, into `.tmp`; what it held is removed there.
    private func removeDirectory(_ directory: String, for path: String) async throws(Trouble) {
        try await makeDirectories(scratch, for: path)
        let away = fresh().directory
        do throws(Trouble) { try await talk.command(talk.renaming(directory, to: away)) } catch {
            guard case .server(let told) = error else { throw error }
            if case .broken = told { throw error }
            // Gone already, by whoever removes it too.
            if try await talk.entries(of: directory) == nil { return }
            throw error
        }
        try await clear(away)
    }

    private func clear(_ directory: String) async throws(Trouble) {
        guard let there = try await talk.entries(of: directory) else { return }
        let files = there.filter { !$0.isDirectory }.map { "*" + talk.removing(file: directory + "/" + $0.name) }
        for entry in there where entry.isDirectory && entry.name != "." && entry.name != ".." { try await clear(directory + "/" + entry.name) }
        try await talk.command(files + ["*" + talk.removing(directory: directory)], timeoutSeconds: 600)
    }

    /// Once an hour, removes what writers who did not live to do it left three hours ago or earlier: by the server's clock, whatever hour it shows,
    /// and longer than a change to summer time.
    private func removeLeftovers(as new: Listed) async {
        guard housekeeping.begins(ContinuousClock.now) else { return }
        do throws(Trouble) {
            for old in try await talk.entries(of: scratch) ?? [] where !old.name.hasPrefix(".") && new.modifiedAt - old.modifiedAt > 3 * 3_600 {
                if old.isDirectory {
                    try await clear(scratch + "/" + old.name)
                } else {
                    try await talk.command(["*" + talk.removing(file: scratch + "/" + old.name)])
                }
            }
        } catch { housekeeping.failed() }
    }
}
