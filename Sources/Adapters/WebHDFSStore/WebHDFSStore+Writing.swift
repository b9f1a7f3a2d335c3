import Curl
import Foundation
import Ports
import Vocabulary

extension WebHDFSStore {
    /// A file under a name of its own that holds what it should.
    struct Temporary {
        let file: String
        let status: FileStatus
    }

    enum Renamed { case done, taken, noParent, noSource }

    /// Writes a temporary, and renames it. Whatever happens, it is gone afterwards, or found by the next search for leftovers.
    /// - Returns: not `.noSource`; not `.noParent` with `makesParents`, and not `.taken` with `overwrites`.
    func settle(
        _ bytes: [UInt8], at path: String, replication: Int?, makesParents: Bool, overwrites: Bool, until deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> Renamed {
        let temporary = try await writeTemporary(bytes, replication: replication, for: path, until: deadline)
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

    /// A block holds the whole file: a multiple of 1 MiB (the least that NameNodes take unless told), as a quota is charged for whole blocks while
    /// one is written; and at most 128 MiB, as usual.
    static func blockSize(for count: Int) -> Int { min(max((count + (1 << 20) - 1) >> 20, 1), 128) << 20 }

    private func writeTemporary(
        _ bytes: [UInt8], replication: Int?, for path: String, until deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> Temporary {
        var leftOut: [String] = []
        var damages = 0
        return try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            // Each attempt has its own: a server may still be busy with the last one's.
            let file = root + "/" + StorePath.scratch + "/" + String(hdfs.random.next(), radix: 36) + String(hdfs.random.next(), radix: 36)
            do throws(Trouble) {
                try await create(file, bytes, replication: replication, leavingOut: leftOut, for: path)
                return Temporary(file: file, status: try await verify(file, bytes, replication: replication, for: path))
            } catch {
                await discard(file)
                switch error {
                case .passing(let detail, let dataNode, _):
                    if await isFull(for: bytes.count, replication) { throw .final(.full(path: path, detail: detail)) }
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

    private func create(_ file: String, _ bytes: [UInt8], replication: Int?, leavingOut: [String], for path: String) async throws(Trouble) {
        var operation = WebHDFS.Operation(method: "PUT", name: "CREATE", file: file, path: path)
        operation.parameters = [("overwrite", "false"), ("blocksize", String(Self.blockSize(for: bytes.count)))]
        if let replication { operation.parameters.append(("replication", String(max(replication, 1)))) }
        if !leavingOut.isEmpty { operation.parameters.append(("excludedatanodes", leavingOut.joined(separator: ","))) }
        _ = try await hdfs.transfer(operation, body: bytes)
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
    private func verify(_ file: String, _ bytes: [UInt8], replication: Int?, for path: String) async throws(Trouble) -> FileStatus {
        let there = try await status(ofFile: file, for: path)
        guard there.length == Int64(bytes.count) else {
            let detail = "\(there.length) of \(bytes.count) bytes were stored"
            if await isFull(for: bytes.count, replication) { throw .final(.full(path: path, detail: detail)) }
            throw .final(.damaged(path: path, detail: detail))
        }
        guard try await hasContent(bytes, file, there, for: path) else {
            throw .final(.damaged(path: path, detail: "the checksum of what is stored is another than that of what was sent"))
        }
        await removeLeftovers(as: there)
        return there
    }

    func holds(
        _ bytes: [UInt8], at file: String, _ there: FileStatus, for path: String, until deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> Bool {
        guard there.type == .file, there.length == Int64(bytes.count) else { return false }
        return try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            do throws(Trouble) { return try await hasContent(bytes, file, there, for: path) } catch .final(.notFound) { return false }
        }
    }

    /// Of files of the right length: by the checksum, and when that says no, or is of a kind that we cannot compute, by reading it.
    private func hasContent(_ bytes: [UInt8], _ file: String, _ there: FileStatus, for path: String) async throws(Trouble) -> Bool {
        if bytes.isEmpty { return true }
        let operation = WebHDFS.Operation(method: "GET", name: "GETFILECHECKSUM", file: file, path: path)
        let answer = try hdfs.decoded(ChecksumAnswer.self, try await hdfs.transfer(operation).body).FileChecksum
        if let checksum = FileChecksum(algorithm: answer.algorithm), let digest = FileChecksum.digest(inAnswer: answer.bytes) {
            let blockSize = there.blockSize
            let right = await onBlockingThread { () throws(Never) in checksum.digests(of: bytes, blockSize: max(blockSize, 1)) }
            if right.contains(digest) { return true }
        }
        do throws(StoreError) {
            return try await contents(of: file, for: path, until: ContinuousClock.now) == bytes
        } catch {
            switch error {
            case .unavailable(_, let detail): throw .passing(detail)
            default: throw .final(error)
            }
        }
    }

    /// Whether that is why something did not get stored: a quota of the root or above it, or the DataNodes' disks.
    private func isFull(for count: Int, _ replication: Int?) async -> Bool {
        do throws(Trouble) {
            let block = Int64(Self.blockSize(for: count))
            let system = try await hdfs.bean(NameSystem.self, "FSNamesystemState")
            // Without any capacity at all no DataNode has told of its own yet, after a start of the NameNode.
            if system.CapacityTotal > 0, system.CapacityRemaining < block { return true }
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

    /// Once an hour, removes what writers who did not live to do it left an hour ago or earlier, by the NameNode's clock.
    private func removeLeftovers(as new: FileStatus) async {
        guard housekeeping.begins(ContinuousClock.now) else { return }
        do throws(StoreError) {
            let scratch = root + "/" + StorePath.scratch
            let soon = ContinuousClock.now
            let found = try await statuses(below: scratch, for: StorePath.scratch, until: soon)
            for old in found where new.modificationTime - old.modificationTime > 3_600_000 {
                try await remove(scratch + "/" + old.pathSuffix, for: StorePath.scratch, until: soon)
            }
        } catch { housekeeping.failed() }
    }
}
