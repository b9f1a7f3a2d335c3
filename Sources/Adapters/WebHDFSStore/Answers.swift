import Curl
import Foundation
import Ports
import Vocabulary

/// What the servers answer, as JSON. Source: WebHDFS REST API, "JSON Schemas".
struct FileStatus: Decodable {
    enum Kind: String, Decodable {
        case file = "FILE"
        case directory = "DIRECTORY"
        case link = "SYMLINK"
    }
    var pathSuffix: String
    var type: Kind
    var length: Int64
    var blockSize: Int
    var replication: Int
    /// Milliseconds since 1970, by the NameNode's clock.
    var modificationTime: Int64
    /// A file or directory keeps it when it is renamed, and nothing else ever has it. HttpFS does not say it.
    var fileId: Int64?

    struct One: Decodable { var FileStatus: FileStatus }
    struct Many: Decodable {
        struct List: Decodable { var FileStatus: [FileStatus] }
        var FileStatuses: List
    }
}

struct ChecksumAnswer: Decodable {
    struct Checksum: Decodable { var algorithm, bytes: String }
    var FileChecksum: Checksum
}

struct ContentSummary: Decodable {
    /// -1: none.
    var spaceQuota: Int64
    var spaceConsumed: Int64
    /// Names: files and directories.
    var quota: Int64
    var fileCount, directoryCount: Int64
    struct One: Decodable { var ContentSummary: ContentSummary }
}

struct Outcome: Decodable { var boolean: Bool }

/// The NameNode's own account of itself, by JMX.
struct NameSystem: Decodable {
    var CapacityTotal: Int64
    var CapacityRemaining: Int64
    var NumLiveDataNodes: Int
    var NumDeadDataNodes: Int
    /// `Operational` or `safeMode`.
    var FSState: String
}

/// The DataNodes, as JSON inside of JSON.
struct DataNodeList: Decodable {
    struct DataNode: Decodable {
        var infoAddr: String
        var infoSecureAddr: String?
        var xferaddr: String
        var capacity: Int64?
        var remaining: Int64?
        /// Bytes that it has room for; nil: it has not told yet since the NameNode started, or the server does not say.
        var room: Int64? { capacity ?? 0 > 0 ? remaining : nil }
    }
    var LiveNodes: String
}

struct Beans<Bean: Decodable>: Decodable { var beans: [Bean] }

/// Why something did not work.
enum Trouble: Error {
    /// Asking again would not help.
    case final(StoreError)
    /// It may pass. `dataNode` (HOST:PORT of its HTTP address) is who was at fault, `received` what came before it broke.
    case passing(String, dataNode: String? = nil, received: [UInt8] = [])
    /// This NameNode is not the one in charge.
    case standby(String)
}

/// A server's refusal. Source: WebHDFS REST API, "Error Responses".
struct RemoteException: Decodable {
    var exception: String
    var message: String?
    private struct Envelope: Decodable { var RemoteException: RemoteException }

    /// - Returns: nil when the answer is no refusal of HDFS's own (a proxy's, or a web server's that HDFS has not yet taken over).
    init?(_ answer: HTTPResponse) {
        do { self = try JSONDecoder().decode(Envelope.self, from: Data(answer.body)).RemoteException } catch { return nil }
    }

    private var text: String { exception + ": " + (message?.prefix { $0 != "\n" } ?? "") }

    func trouble(_ path: String, status: Int) -> Trouble {
        let message = message ?? ""
        // A DataNode passes on what the NameNode told it, as a RemoteException that has lost its name.
        if message.contains("ode is in safe mode") { return .passing(text) }
        switch exception {
        case "StandbyException": return .standby(text)
        case "SafeModeException", "RetriableException", "LeaseExpiredException", "NotReplicatedYetException", "ConnectException", "SocketException",
            "SocketTimeoutException", "ConnectTimeoutException", "NoRouteToHostException", "EOFException", "ClosedChannelException",
            "BlockMissingException", "AlreadyBeingCreatedException", "RecoveryInProgressException":
            return .passing(text)
        case "FileNotFoundException", "ParentNotDirectoryException": return .final(.notFound(path: path))
        case "FileAlreadyExistsException": return .final(.alreadyExists(path: path))
        case "AccessControlException", "SecurityException", "AuthorizationException", "AuthenticationException", "InvalidToken":
            return .final(.denied(path: path, detail: text))
        // In safe mode after a start, or with every DataNode gone: there is nobody to send the client to.
        case "IOException" where message.contains("Failed to find datanode") || message.contains("No active nodes contain this block"):
            return .passing(text)
        // An older file's rename onto a directory: the name is taken. Source: FSDirRenameOp.validateRenameOverwrite.
        case "IOException" where message.contains("must both be"): return .final(.alreadyExists(path: path))
        // No DataNode takes the block: dead, busy or full. Who asked finds out.
        case "IOException"
        where message.contains("could only be replicated") || message.contains("could only be written")
            || message.contains("All datanodes") || message.contains("Unable to create new block"):
            return .passing(text)
        default:
            if exception.contains("Quota") { return .final(.full(path: path, detail: text)) }
            if message.contains("No space left") || exception == "DiskOutOfSpaceException" { return .final(.full(path: path, detail: text)) }
            return status >= 500 ? .passing(text) : .final(.failed(path: path, detail: text))
        }
    }
}
