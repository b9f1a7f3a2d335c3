import Ports
import Testing
import Vocabulary

/// What every store must do, whatever it stands on. Sources/Ports/Store.swift is the contract.
@Suite("Every store")
struct StoreConformance {
    @Test("gives back what was written, of any length", arguments: StoreKind.present, [0, 1, 511, 512, 513, 1 << 20, (1 << 20) + 1, 16 << 20])
    func writesAreRead(kind: StoreKind, count: Int) async throws {
        try await kind.withStore { store in
            let bytes = content(count)
            try await store.write(bytes, to: "a/b/c", replication: 2)
            #expect(try await store.read("a/b/c") == bytes)
            let entry = try #require(try await store.list("a/b").first)
            #expect(entry.name == "c" && !entry.isDirectory && entry.bytes == ByteCount(Int64(count)))
        }
    }

    @Test("gives back what was made while it travelled, all of it and any range", arguments: StoreKind.present)
    func piecesAreRead(kind: StoreKind) async throws {
        try await kind.withStore { store in
            for pieces in [[content(3 << 20), content(511, seed: 2), content(2 << 20, seed: 3)], [content(1)], []] {
                let whole = Array(pieces.joined())
                let made = Pieces(pieces: pieces)
                try await store.write(made, to: "a/b/c", replication: 2)
                #expect(try await store.read("a/b/c") == whole)
                let before = try await store.list("a/b")
                #expect(before.map(\.bytes.rawValue) == [Int64(whole.count)])
                // The same once more is left alone.
                try await store.write(made, to: "a/b/c", replication: 2)
                #expect(try await store.list("a/b") == before)
                let count = Int64(whole.count)
                let edge: Int64 = 3 << 20
                let ranges: [Range<Int64>] = [
                    0..<1, 0..<count, edge - 1..<edge + 600, max(0, count - 1)..<count, count..<count + 5, count + 5..<count + 9,
                ]
                for range in ranges {
                    let clamped = range.clamped(to: 0..<count)
                    let wanted = Array(whole[Int(clamped.lowerBound)..<Int(clamped.upperBound)])
                    #expect(try await store.read("a/b/c", range: range) == wanted, "\(range)")
                }
            }
            #expect(await thrown { () throws(StoreError) in try await store.read("a/b/none", range: 0..<5) } == .notFound(path: "a/b/none"))
        }
    }

    @Test("takes nothing for whole whose making failed", arguments: StoreKind.present)
    func piecesThatFail(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.write([1, 2], to: "a/old", replication: 1)
            for path in ["a/new", "a/old"] {
                let error = await thrown { () throws(StoreError) in
                    try await store.write(Pieces(pieces: [content(2 << 20)], fails: true), to: path, replication: 1)
                }
                #expect(error == .failed(path: "piece", detail: "it is gone"))
            }
            #expect(try await store.list("a").map(\.name) == ["old"])
            #expect(try await store.read("a/old") == [1, 2])
        }
    }

    @Test("takes every character that paths may have", arguments: StoreKind.present)
    func takesEveryCharacter(kind: StoreKind) async throws {
        try await kind.withStore { store in
            let path = "AZaz09-_.:/x..y/sha256:0:"
            try await store.write([1], to: path, replication: 1)
            #expect(try await store.read(path) == [1])
            #expect(try await store.list("AZaz09-_.:/x..y").map(\.name) == ["sha256:0:"])
            #expect(try await store.list("AZaz09-_.:").map(\.name) == ["x..y"])
        }
    }

    @Test("refuses what is no path", arguments: StoreKind.present)
    func refusesOtherPaths(kind: StoreKind) async throws {
        try await kind.withStore { store in
            for path in ["", "/a", "a/", "a//b", "../a", "a/../b", ".tmp", ".tmp/a", "a b", "ä", "a?b", "a%2fb", "a~b"] {
                for error in [
                    await thrown { () throws(StoreError) in try await store.write([1], to: path, replication: 1) },
                    await thrown { () throws(StoreError) in try await store.read(path) },
                    await thrown { () throws(StoreError) in try await store.commit([1], as: path, replication: 1) },
                    await thrown { () throws(StoreError) in try await store.createExclusively([1], at: path) },
                    await thrown { () throws(StoreError) in try await store.moveDirectory("a", to: path) },
                    await thrown { () throws(StoreError) in try await store.moveDirectory(path, to: "a") },
                    await thrown { () throws(StoreError) in try await store.remove(path) },
                    await thrown { () throws(StoreError) in try await store.makeDirectory(path) },
                    await thrown { () throws(StoreError) in try await store.list(path) },
                ] {
                    guard case .failed = error else {
                        Issue.record("\(path): \(error.map { "\($0)" } ?? "taken")")
                        continue
                    }
                }
            }
        }
    }

    @Test("replaces what is there, and leaves alone what is the same", arguments: StoreKind.present)
    func replaces(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.write(content(3_000, seed: 1), to: "d/x", replication: 1)
            try await store.write(content(3_000, seed: 2), to: "d/x", replication: 1)
            #expect(try await store.read("d/x") == content(3_000, seed: 2))
            try await store.write([7], to: "d/x", replication: 1)
            let before = try await store.list("d")
            try await store.write([7], to: "d/x", replication: 1)
            #expect(try await store.list("d") == before)
            #expect(try await store.read("d/x") == [7])
        }
    }

    /// What is read of a path that is written again; nil: nothing, where a store says that this may be.
    private func version(_ store: any CheckpointStore, _ path: String) async throws -> [UInt8]? {
        do throws(StoreError) { return try await store.read(path) } catch {
            if case .notFound = error, !store.properties.replacesAtomically { return nil }
            throw error
        }
    }

    @Test("shows a reader one whole version at a time", arguments: StoreKind.present)
    func replacesAtomically(kind: StoreKind) async throws {
        try await kind.withStore { store in
            let versions = (0..<4).map { content(200_000, seed: UInt64($0)) }
            try await store.write(versions[0], to: "x", replication: 1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for round in 1..<12 { try await store.write(versions[round % 4], to: "x", replication: 1) } }
                group.addTask {
                    for _ in 0..<30 {
                        guard let bytes = try await version(store, "x") else { continue }
                        #expect(versions.contains(bytes), "\(bytes.count) bytes of no version")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("says what is not there", arguments: StoreKind.present)
    func saysWhatIsNotThere(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.makeDirectory("d")
            try await store.write([1], to: "f", replication: 1)
            for path in ["nothing", "d", "d/nothing", "no/thing", "f/below"] {
                #expect(await thrown { () throws(StoreError) in try await store.read(path) } == .notFound(path: path))
            }
            #expect(try await store.list("nothing").isEmpty)
            #expect(try await store.list("d").isEmpty)
        }
    }

    @Test("lists by name, files and directories, and nothing of its own", arguments: StoreKind.present)
    func lists(kind: StoreKind) async throws {
        try await kind.withStore { store in
            for name in ["b", "a", "c10", "c9", "B"] { try await store.write(content(name.utf8.count), to: "d/" + name, replication: 1) }
            try await store.makeDirectory("d/e/f")
            let entries = try await store.list("d")
            #expect(entries.map(\.name) == ["B", "a", "b", "c10", "c9", "e"])
            #expect(entries.map(\.isDirectory) == [false, false, false, false, false, true])
            #expect(entries.dropLast().map(\.bytes.rawValue) == [1, 1, 1, 3, 2])
            // In seconds since 1970, as any clock of these years says: 2020 to 2100.
            #expect(entries.filter { !$0.isDirectory }.allSatisfy { (1_577_836_800...4_102_444_800).contains($0.modifiedAt.rawValue) })
        }
    }

    @Test("removes files and whole directories, and what is not there", arguments: StoreKind.present)
    func removes(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.write([1], to: "d/e/x", replication: 1)
            try await store.write([1], to: "d/y", replication: 1)
            try await store.remove("d/y")
            #expect(try await store.list("d").map(\.name) == ["e"])
            try await store.remove("d")
            #expect(try await store.list("d").isEmpty)
            #expect(await thrown { () throws(StoreError) in try await store.read("d/e/x") } == .notFound(path: "d/e/x"))
            try await store.remove("d")
            try await store.remove("no/thing")
        }
    }

    // MARK: Commits

    @Test("commits only into a directory that is there", arguments: StoreKind.present)
    func commits(kind: StoreKind) async throws {
        try await kind.withStore { store in
            #expect(try await !store.commit([1], as: "open/m", replication: 1))
            #expect(try await store.list("open").isEmpty)
            #expect(await thrown { () throws(StoreError) in try await store.read("open/m") } == .notFound(path: "open/m"))
            try await store.makeDirectory("open")
            #expect(try await store.commit(content(5_000), as: "open/m", replication: 1))
            #expect(try await store.read("open/m") == content(5_000))
            // A directory is not what a file's name is below.
            try await store.write([1], to: "file", replication: 1)
            #expect(try await !store.commit([1], as: "file/m", replication: 1))
        }
    }

    @Test("commits the same content again, and never replaces other content", arguments: StoreKind.present)
    func commitsOnce(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.makeDirectory("open/directory")
            #expect(try await store.commit([1, 2], as: "open/m", replication: 1))
            #expect(try await store.commit([1, 2], as: "open/m", replication: 1))
            for other in [[1, 3], [1], [1, 2, 3], []] as [[UInt8]] {
                let error = await thrown { () throws(StoreError) in try await store.commit(other, as: "open/m", replication: 1) }
                #expect(error == .alreadyExists(path: "open/m"))
            }
            #expect(try await store.read("open/m") == [1, 2])
            // What has the name of a directory does not go into it.
            _ = await thrown { () throws(StoreError) in try await store.commit([1], as: "open/directory", replication: 1) }
            #expect(try await store.list("open/directory").isEmpty)
        }
    }

    @Test("refuses a commit into a directory that was moved away", arguments: StoreKind.present)
    func refusesStaleCommits(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.makeDirectory("open/1")
            #expect(try await store.commit([1], as: "open/1/a", replication: 1))
            #expect(try await store.moveDirectory("open/1", to: "sealed/1"))
            #expect(try await !store.commit([2], as: "open/1/b", replication: 1))
            #expect(try await store.list("open").isEmpty)
            #expect(try await store.list("sealed/1").map(\.name) == ["a"])
        }
    }

    @Test("lets a commit that races with the sealing either be in what is sealed, or fail", arguments: StoreKind.present)
    func sealingIsAtomic(kind: StoreKind) async throws {
        try await kind.withStore { store in
            for round in 0..<12 {
                let open = "open/\(round)"
                let sealed = "sealed/\(round)"
                try await store.makeDirectory(open)
                let committed = try await withThrowingTaskGroup(of: String?.self) { group in
                    for committer in 0..<4 {
                        let name = "m\(committer)"
                        group.addTask { try await store.commit([UInt8(committer)], as: "\(open)/\(name)", replication: 1) ? name : nil }
                    }
                    group.addTask {
                        let moved = try await store.moveDirectory(open, to: sealed)
                        #expect(moved)
                        return nil
                    }
                    return try await group.reduce(into: Set<String>()) { names, name in if let name { names.insert(name) } }
                }
                let found = try await store.list(sealed).map(\.name)
                #expect(Set(found) == committed, "round \(round)")
                #expect(try await store.list(open).isEmpty)
            }
        }
    }

    @Test("lets one of several commits with one name win", arguments: StoreKind.present)
    func oneCommitWins(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.makeDirectory("open")
            for round in 0..<6 {
                let path = "open/m\(round)"
                let winners = try await withThrowingTaskGroup(of: UInt8?.self) { group in
                    for racer in UInt8(0)..<5 {
                        group.addTask {
                            do throws(StoreError) {
                                return try await store.commit([racer], as: path, replication: 1) ? racer : nil
                            } catch .alreadyExists { return nil }
                        }
                    }
                    return try await group.reduce(into: [UInt8]()) { winners, winner in if let winner { winners.append(winner) } }
                }
                #expect(winners.count == 1, "round \(round): \(winners)")
                #expect(try await store.read(path) == winners)
            }
        }
    }

    // MARK: Exclusive creation

    @Test("creates for one of eight racers, with that racer's bytes", arguments: StoreKind.present)
    func createsExclusively(kind: StoreKind) async throws {
        try await kind.withStore { store in
            for round in 0..<20 {
                let path = "epochs/\(round)/e.json"
                let winners = try await withThrowingTaskGroup(of: Int?.self) { group in
                    for racer in 0..<8 {
                        group.addTask { try await store.createExclusively(content(1_000, seed: UInt64(racer)), at: path) ? racer : nil }
                    }
                    return try await group.reduce(into: [Int]()) { winners, winner in if let winner { winners.append(winner) } }
                }
                #expect(winners.count == 1, "round \(round): \(winners)")
                #expect(try await store.read(path) == winners.first.map { content(1_000, seed: UInt64($0)) })
                #expect(try await !store.createExclusively([1], at: path))
                #expect(try await store.list("epochs/\(round)").count == 1)
            }
        }
    }

    @Test("does not create where a directory is", arguments: StoreKind.present)
    func doesNotCreateInDirectory(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.makeDirectory("d/e")
            #expect(try await !store.createExclusively([1], at: "d/e"))
            #expect(try await store.list("d/e").isEmpty)
        }
    }

    // MARK: Moves

    @Test("moves a directory with all that is in it", arguments: StoreKind.present)
    func moves(kind: StoreKind) async throws {
        try await kind.withStore { store in
            #expect(try await !store.moveDirectory("a", to: "b/c"))
            try await store.write([1], to: "a/x/y", replication: 1)
            #expect(try await store.moveDirectory("a", to: "b/c/d"))
            #expect(try await store.read("b/c/d/x/y") == [1])
            #expect(try await store.list("a").isEmpty)
            #expect(try await !store.moveDirectory("a", to: "b/c/d"))
            #expect(try await store.read("b/c/d/x/y") == [1])
        }
    }

    @Test("does not move onto, nor into, a directory that is not empty", arguments: StoreKind.present)
    func doesNotMoveInto(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await store.write([1], to: "a/x", replication: 1)
            try await store.write([2], to: "b/a", replication: 1)
            _ = await thrown { () throws(StoreError) in try await store.moveDirectory("a", to: "b") }
            #expect(try await store.list("b").map(\.name) == ["a"])
            #expect(try await store.read("b/a") == [2])
            #expect(try await store.read("a/x") == [1])
        }
    }

    @Test("moves once for several movers", arguments: StoreKind.present)
    func movesOnce(kind: StoreKind) async throws {
        try await kind.withStore { store in
            for round in 0..<6 {
                try await store.write([1], to: "a\(round)/x", replication: 1)
                let moved = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for _ in 0..<4 { group.addTask { try await store.moveDirectory("a\(round)", to: "b/\(round)") } }
                    return try await group.reduce(into: 0) { count, moved in count += moved ? 1 : 0 }
                }
                #expect(moved == 1, "round \(round)")
                #expect(try await store.list("b/\(round)").map(\.name) == ["x"])
            }
        }
    }

    // MARK: All

    @Test("takes parts in parallel", arguments: StoreKind.present)
    func takesPartsInParallel(kind: StoreKind) async throws {
        try await kind.withStore { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for part in 0..<12 {
                    group.addTask { try await store.write(content(1_500_000, seed: UInt64(part)), to: "objects/p\(part)", replication: 2) }
                }
                try await group.waitForAll()
            }
            for part in 0..<12 { #expect(try await store.read("objects/p\(part)") == content(1_500_000, seed: UInt64(part))) }
        }
    }

    @Test("says that it is well", arguments: StoreKind.present)
    func isWell(kind: StoreKind) async throws {
        try await kind.withStore { store in
            let health = await store.health()
            #expect(health.reachable, "\(health.detail)")
            if store.properties.tellsFreeSpace {
                let free = try #require(health.freeBytes)
                #expect(free.rawValue > 0)
            }
            #expect(!store.properties.kind.isEmpty && !store.properties.location.isEmpty)
        }
    }
}

/// An object in pieces, some of which may fail to be made.
struct Pieces: ObjectSource {
    var pieces: [[UInt8]]
    var fails = false
    var mostBytes: Int { pieces.reduce(1) { $0 + $1.count } }
    func begin() -> any ObjectReader { Reader(self) }

    private final class Reader: ObjectReader {
        private var left: [[UInt8]]
        private let fails: Bool
        init(_ source: Pieces) {
            left = source.pieces
            fails = source.fails
        }
        func next() throws(StoreError) -> [UInt8]? {
            if !left.isEmpty { return left.removeFirst() }
            if fails { throw .failed(path: "piece", detail: "it is gone") }
            return nil
        }
    }
}
