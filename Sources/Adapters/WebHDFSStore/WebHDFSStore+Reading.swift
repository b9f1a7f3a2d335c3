import Curl
import Foundation
import Ports
import Vocabulary

extension WebHDFSStore {
    func status(ofFile file: String, for path: String) async throws(Trouble) -> FileStatus {
        let answer = try await hdfs.ask(WebHDFS.Operation(method: "GET", name: "GETFILESTATUS", file: file, path: path))
        return try hdfs.decoded(FileStatus.One.self, answer.body).FileStatus
    }

    /// nil: nothing is there.
    func status(_ path: String, until deadline: ContinuousClock.Instant) async throws(StoreError) -> FileStatus? {
        try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            do throws(Trouble) { return try await status(ofFile: full(path), for: path) } catch .final(.notFound) { return nil }
        }
    }

    func statuses(below directory: String, for path: String, until deadline: ContinuousClock.Instant) async throws(StoreError) -> [FileStatus] {
        let operation = WebHDFS.Operation(method: "GET", name: "LISTSTATUS", file: directory, path: path)
        return try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            try hdfs.decoded(FileStatus.Many.self, try await hdfs.ask(operation).body).FileStatuses.FileStatus
        }
    }

    /// A whole file, or some of it. What a broken connection brought is kept, and the rest fetched from another DataNode.
    func contents(
        of file: String, range: Range<Int64> = 0..<Int64.max, for path: String, until deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> [UInt8] {
        var bytes: [UInt8] = []
        var known: FileStatus?
        var leftOut: [String] = []
        return try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            let there = try await status(ofFile: file, for: path)
            guard there.type == .file else { throw .final(.notFound(path: path)) }
            // Replaced since: half of the one and half of the other would be neither.
            if known?.fileId != there.fileId || known?.length != there.length { bytes = [] }
            known = there
            let wanted = Int(range.clamped(to: 0..<there.length).count)
            guard bytes.count < wanted else { return bytes }
            var operation = WebHDFS.Operation(method: "GET", name: "OPEN", file: file, path: path)
            operation.parameters = [("offset", String(range.lowerBound + Int64(bytes.count))), ("length", String(wanted - bytes.count))]
            if !leftOut.isEmpty { operation.parameters.append(("excludedatanodes", leftOut.joined(separator: ","))) }
            do throws(Trouble) {
                let rest = try await hdfs.transfer(operation, limit: wanted - bytes.count).body
                if bytes.isEmpty { bytes = rest } else { bytes += rest }
            } catch {
                if case .passing(_, let dataNode, let received) = error {
                    bytes += received
                    await leaveOut(dataNode, &leftOut)
                }
                throw error
            }
            guard bytes.count == wanted else {
                throw .passing("\(path) ends at \(bytes.count) of \(wanted) bytes")
            }
            return bytes
        }
    }

    // MARK: Directories

    func makeDirectories(_ directory: String, for path: String, until deadline: ContinuousClock.Instant) async throws(StoreError) {
        let operation = WebHDFS.Operation(method: "PUT", name: "MKDIRS", file: directory, path: path)
        try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            let outcome: Outcome
            do throws(Trouble) {
                outcome = try hdfs.decoded(Outcome.self, try await hdfs.ask(operation).body)
            } catch .final(.notFound), .final(.alreadyExists) {
                throw .final(.failed(path: path, detail: "a file is where a directory is wanted"))
            }
            guard outcome.boolean else { throw .final(.failed(path: path, detail: "its directory cannot be made")) }
        }
    }

    func makeParents(of path: String, until deadline: ContinuousClock.Instant) async throws(StoreError) {
        guard let parent = StorePath.parent(of: path) else { return }
        try await makeDirectories(full(parent), for: path, until: deadline)
    }

    func remove(_ file: String, for path: String, until deadline: ContinuousClock.Instant) async throws(StoreError) {
        let operation = WebHDFS.Operation(method: "DELETE", name: "DELETE", file: file, path: path, parameters: [("recursive", "true")])
        try await hdfs.persist(path, until: deadline) { () throws(Trouble) in
            // False: nothing was there. So is a name below a file.
            do throws(Trouble) { _ = try await hdfs.ask(operation) } catch .final(.notFound) { return }
        }
    }
}
