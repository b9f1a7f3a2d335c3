import Curl
import Foundation
import Ports
import Vocabulary

#if canImport(Glibc)
    import Glibc
#endif

extension WebHDFSStore {
    /// A file under a name of its own that holds what it should.
    struct Temporary {
        let file: String
        let status: FileStatus
    }

    /// What is to be stored: there as a whole, or made while it travels.
    enum Content {
        case whole([UInt8])
        case made(any ObjectSource)

        /// A size that it does not exceed, bytes.
        var most: Int {
            switch self {
            case .whole(let bytes): bytes.count
            case .made(let source): source.mostBytes
            }
        }
        var source: any ObjectSource {
            switch self {
            case .whole(let bytes): WholeObject(bytes: bytes)
            case .made(let source): source
            }
        }
        func checksum(_ checksum: FileChecksum, blockSize: Int) throws(StoreError) -> FileChecksum.Running {
            var running = FileChecksum.Running(checksum, blockSize: blockSize)
            let reader = source.begin()
            while let piece = try reader.next() { piece.withUnsafeBytes { running.add($0) } }
            return running
        }
    }

    enum Renamed { case done, taken, noParent, noSource }

    /// Writes a temporary, and renames it. Whatever happens, it is gone afterwards, or found by the next search for leftovers.
    /// - Returns: not `.noSource`; not `.noParent` with `makesParents`, and not `.taken` with `overwrites`.
    func settle(
        _ content: Content, at path: String, replication: Int?, makesParents: Bool, overwrites: Bool, until deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> Renamed {
        let temporary = try await writeTemporary(content, replication: replication, for: path, until: deadline)
        do throws(StoreError) {
            for _ in 0..<Self.parentsMade {
                if makesParents { try await makeParents(of: path, until: deadline) }
                let outcome = try await rename(
                    temporary.file, temporary.status, isOurs: true, to: full(path), overwrites: overwrites, for: path, until: deadline)
                switch outcome {
                case .done: return outcome
                case .noSource: throw .unavailable(path: path, detail: "its temporary file is gone")
                case .taken where overwrites: throw .failed(path: path, detail: "a directory is there")
                case .noParent where makesParents: continue
                case .taken, .noParent:
                    await discard(temporary.file)
                    return outcome
                }
            }
            throw .unavailable(path: path, detail: "its directory is removed whenever it is made")
        } catch {
            await discard(temporary.file)
            throw error
        }
    }

    // MARK: Temporaries

    /// A block holds just the whole file, as a quota is charged for whole blocks while one is written, in whole CRCs of 512 bytes; at least 1 MiB, the least that
    /// NameNodes take unless told; and at most 256 MiB, which no object exceeds.
    static func blockSize(for count: Int) -> Int { min(max((count + 511) / 512 * 512, 1 << 20), 256 << 20) }

    private func writeTemporary(
        _ content: Content, replication: Int?, for path: String, until deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> Temporary {
        var leftOut: [String] = []
        var damages = 0
        return try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            // Each attempt has its own: a server may still be busy with the last one's.
            let file = root + "/" + StorePath.scratch + "/" + String(hdfs.random.next(), radix: 36) + String(hdfs.random.next(), radix: 36)
            do throws(Trouble) {
                let sent = try await create(file, content, replication: replication, leavingOut: leftOut, for: path)
                return Temporary(file: file, status: try await verify(file, content, sent, replication: replication, for: path))
            } catch {
                await discard(file)
                switch error {
                case .passing(let detail, let dataNode, _):
                    if await isFull(for: content.most, replication) { throw .final(.full(path: path, detail: detail)) }
                    await leaveOut(dataNode, &leftOut)
                case .final(.damaged(_, let detail)) where damages < 2:
                    damages += 1
                    throw .passing(detail)
                case .final, .standby: break
                }
                throw error
            }
        }
    }

    /// - Returns: what was sent, by the checksum that it should have if the servers make it as usual.
    private func create(
        _ file: String, _ content: Content, replication: Int?, leavingOut: [String], for path: String
    ) async throws(Trouble) -> FileChecksum.Running {
        let blockSize = Self.blockSize(for: content.most)
        var operation = WebHDFS.Operation(method: "PUT", name: "CREATE", file: file, path: path)
        operation.parameters = [("overwrite", "false"), ("blocksize", String(blockSize))]
        if let replication { operation.parameters.append(("replication", String(max(replication, 1)))) }
        if !leavingOut.isEmpty { operation.parameters.append(("excludedatanodes", leavingOut.joined(separator: ","))) }
        switch content {
        case .whole(let bytes):
            _ = try await hdfs.transfer(operation, body: bytes)
            return await onBlockingThread { () throws(Never) in
                var running = FileChecksum.Running(.usual, blockSize: blockSize)
                bytes.withUnsafeBytes { running.add($0) }
                return running
            }
        case .made(let source):
            let sent = Tally(.usual, blockSize: blockSize)
            let pieces = PieceReader(source.begin()) {
                sent.running.add($0)
            } atEnd: {
                // A full block is closed while we still send. Told of the file's end at once, the server asks the NameNode for the block before that has heard
                // of it from the DataNodes, and asks again 0.4 s later only.
                if sent.running.length > 0, sent.running.length % Int64(blockSize) == 0 { usleep(40_000) }
            }
            _ = try await hdfs.transfer(operation, pieces: pieces)
            return sent.running
        }
    }

    /// Adds a DataNode that failed to those that are not asked again; when the NameNode itself had none to offer, everyone gets another chance.
    func leaveOut(_ dataNode: String?, _ leftOut: inout [String]) async {
        guard let dataNode, let address = await hdfs.transferAddress(of: dataNode), !leftOut.contains(address) else {
            leftOut = []
            return
        }
        leftOut.append(address)
    }

    /// Tries once: the search for leftovers gets what stays.
    private func discard(_ file: String) async {
        let operation = WebHDFS.Operation(method: "DELETE", name: "DELETE", file: file, path: file, parameters: [("recursive", "false")])
        do throws(Trouble) { _ = try await hdfs.ask(operation, timeoutSeconds: 5) } catch { return }
    }

    // MARK: Verification

    /// - Throws: `.damaged`, or `.full` when that is why.
    private func verify(
        _ file: String, _ content: Content, _ sent: FileChecksum.Running, replication: Int?, for path: String
    ) async throws(Trouble) -> FileStatus {
        let there = try await status(ofFile: file, for: path)
        guard there.length == sent.length else {
            let detail = "\(there.length) of \(sent.length) bytes were stored"
            if await isFull(for: content.most, replication) { throw .final(.full(path: path, detail: detail)) }
            throw .final(.damaged(path: path, detail: detail))
        }
        guard try await hasContent(content, sent, file, there, for: path) else {
            throw .final(.damaged(path: path, detail: "the checksum of what is stored is another than that of what was sent"))
        }
        await removeLeftovers(as: there)
        return there
    }

    func holds(
        _ content: Content, at file: String, _ there: FileStatus, for path: String, until deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> Bool {
        guard there.type == .file, there.length <= Int64(content.most) else { return false }
        let running = try await onBlockingThread { () throws(StoreError) in try content.checksum(.usual, blockSize: there.blockSize) }
        guard there.length == running.length else { return false }
        return try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            do throws(Trouble) { return try await hasContent(content, running, file, there, for: path) } catch .final(.notFound) { return false }
        }
    }

    /// Of files of the right length: by the checksum, and when that says no, or is of a kind that we cannot compute, by reading it.
    /// - Parameter running: the content's checksum as it usually is.
    private func hasContent(
        _ content: Content, _ running: FileChecksum.Running, _ file: String, _ there: FileStatus, for path: String
    ) async throws(Trouble) -> Bool {
        if there.length == 0 { return true }
        let operation = WebHDFS.Operation(method: "GET", name: "GETFILECHECKSUM", file: file, path: path)
        let answer = try hdfs.decoded(ChecksumAnswer.self, try await hdfs.transfer(operation).body).FileChecksum
        do throws(StoreError) {
            if let checksum = FileChecksum(algorithm: answer.algorithm), let digest = FileChecksum.digest(inAnswer: answer.bytes) {
                var right = running
                if checksum != running.checksum || max(there.blockSize, 1) != running.blockSize {
                    right = try await onBlockingThread { () throws(StoreError) in try content.checksum(checksum, blockSize: there.blockSize) }
                }
                if right.digests().contains(digest) { return true }
            }
            return try await isSame(content, file, for: path)
        } catch {
            switch error {
            case .unavailable(_, let detail): throw .passing(detail)
            default: throw .final(error)
            }
        }
    }

    /// Piece by piece, of a file of the right length.
    private func isSame(_ content: Content, _ file: String, for path: String) async throws(StoreError) -> Bool {
        let reader = Pieces(content.source.begin())
        var offset: Int64 = 0
        while let piece = try await onBlockingThread({ () throws(StoreError) in try reader.next() }) {
            let range = offset..<(offset + Int64(piece.count))
            guard try await contents(of: file, range: range, for: path, until: ContinuousClock.now) == piece else { return false }
            offset = range.upperBound
        }
        return true
    }

    /// Whether that is why something did not get stored: a quota of the root or above it, or the DataNodes' disks.
    private func isFull(for count: Int, _ replication: Int?) async -> Bool {
        do throws(Trouble) {
            let block = Int64(Self.blockSize(for: count))
            let system = try await hdfs.bean(NameSystem.self, "FSNamesystemState")
            // Without any capacity at all no DataNode has told of its own yet, after a start of the NameNode.
            if system.CapacityTotal > 0, system.CapacityRemaining < block { return true }
            // A block lies on one DataNode: where none has room for it, all together may still have.
            let rooms = await hdfs.dataNodes()?.values.map(\.room) ?? []
            if !rooms.isEmpty, rooms.allSatisfy({ $0.map { $0 < block } ?? false }) { return true }
            var directory = root
            while true {
                let file = directory.isEmpty ? "/" : directory
                let operation = WebHDFS.Operation(method: "GET", name: "GETCONTENTSUMMARY", file: file, path: directory)
                let summary = try hdfs.decoded(ContentSummary.One.self, try await hdfs.ask(operation).body).ContentSummary
                if summary.spaceQuota >= 0, summary.spaceConsumed + block * Int64(replication ?? 3) > summary.spaceQuota { return true }
                if summary.quota >= 0, summary.fileCount + summary.directoryCount >= summary.quota { return true }
                guard let slash = directory.lastIndex(of: "/") else { return false }
                directory = String(directory[..<slash])
            }
        } catch {
            // Nobody can say: then it is what it looked like at first.
            return false
        }
    }

    // MARK: Renaming

    /// - Parameters:
    ///   - there: what `source` is.
    ///   - isOurs: nobody else would rename it, so if it is at the destination we did it.
    func rename(
        _ source: String, _ there: FileStatus, isOurs: Bool, to destination: String, overwrites: Bool, for path: String,
        until deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> Renamed {
        var mayBeDone = isOurs
        var operation = WebHDFS.Operation(method: "PUT", name: "RENAME", file: source, path: path)
        operation.parameters = [("destination", destination), ("renameoptions", overwrites ? "OVERWRITE" : "NONE")]
        return try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            do throws(Trouble) {
                let answer = try await hdfs.ask(operation)
                // With options there is nothing to say; a server that says yes or no did the other rename, which may have moved it into a directory.
                if answer.body.isEmpty { return .done }
                if try await isAt(destination, there) { return .done }
                throw .final(.failed(path: path, detail: "the server heeds no options of a rename: is it HttpFS? A NameNode's address is wanted"))
            } catch {
                switch error {
                // Done by an earlier attempt whose answer was lost?
                case .final(.alreadyExists):
                    if mayBeDone, try await isAt(destination, there) { return .done }
                    return .taken
                case .final(.notFound):
                    if mayBeDone, try await isAt(destination, there) { return .done }
                    return try await isAt(source, there) ? .noParent : .noSource
                case .passing:
                    mayBeDone = true
                    throw error
                case .standby, .final: throw error
                }
            }
        }
    }

    private func isAt(_ destination: String, _ there: FileStatus) async throws(Trouble) -> Bool {
        do throws(Trouble) {
            let found = try await status(ofFile: destination, for: destination)
            return found.fileId != nil && found.fileId == there.fileId
        } catch .final(.notFound) { return false }
    }

    // MARK: Leftovers

    /// Once an hour, removes what writers who did not live to do it began three hours ago or earlier, by the NameNode's clock: no upload of one object takes that
    /// long.
    private func removeLeftovers(as new: FileStatus) async {
        guard housekeeping.begins(ContinuousClock.now) else { return }
        do throws(StoreError) {
            let scratch = root + "/" + StorePath.scratch
            let soon = ContinuousClock.now
            let found = try await statuses(below: scratch, for: StorePath.scratch, until: soon)
            for old in found where new.modificationTime - old.modificationTime > 3 * 3_600_000 {
                try await remove(scratch + "/" + old.pathSuffix, for: StorePath.scratch, until: soon)
            }
        } catch { housekeeping.failed() }
    }
}

private struct WholeObject: ObjectSource {
    let bytes: [UInt8]
    var mostBytes: Int { bytes.count }
    func begin() -> any ObjectReader { Once(bytes) }

    private final class Once: ObjectReader {
        private var bytes: [UInt8]?
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        func next() -> [UInt8]? {
            defer { bytes = nil }
            return bytes
        }
    }
}

/// One user at a time: whoever compares.
private final class Pieces: @unchecked Sendable {
    private let reader: any ObjectReader
    init(_ reader: any ObjectReader) { self.reader = reader }
    func next() throws(StoreError) -> [UInt8]? { try reader.next() }
}

/// One user at a time: the thread that sends, and then whoever waited for it.
private final class Tally: @unchecked Sendable {
    var running: FileChecksum.Running
    init(_ checksum: FileChecksum, blockSize: Int) { running = FileChecksum.Running(checksum, blockSize: blockSize) }
}
