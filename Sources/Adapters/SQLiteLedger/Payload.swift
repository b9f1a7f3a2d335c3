import Foundation
import GRDB
import Ports
import Vocabulary

/// Values as JSON text: keys sorted, so that the same value is always the same text; infinities and not-a-number by name,
/// since a forecast may well be infinite and shall still be recorded.
struct Payload {
    private let encoder: JSONEncoder
    private let decoder: JSONDecoder

    init() {
        encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    }

    mutating func text(_ value: some Encodable) throws -> String { String(decoding: try encoder.encode(value), as: UTF8.self) }

    /// - Parameter what: names the row in the error.
    mutating func value<Value: Decodable>(_ type: Value.Type, _ text: String, of what: String) throws -> Value {
        do { return try decoder.decode(type, from: Data(text.utf8)) } catch { throw UnreadableRow(what: what, detail: "\(error)") }
    }
}

/// A row that does not say what this version can read or record.
struct UnreadableRow: Error {
    var what: String
    var detail: String
}

enum LedgerAccess { case opening, working }

/// Runs `body` and says in the port's words what went wrong.
///
/// Source: https://www.sqlite.org/rescode.html
func translating<Value>(_ path: String, while access: LedgerAccess, _ body: () throws -> Value) throws(LedgerError) -> Value {
    do {
        return try body()
    } catch let error as LedgerError {
        throw error
    } catch let error as DatabaseError {
        throw ledgerError(error, path: path, while: access)
    } catch let error as UnreadableRow {
        throw .failed(path: path, detail: "\(error.what): \(error.detail)")
    } catch {
        throw access == .opening ? .cannotOpen(path: path, detail: "\(error)") : .failed(path: path, detail: "\(error)")
    }
}

private func ledgerError(_ error: DatabaseError, path: String, while access: LedgerAccess) -> LedgerError {
    let detail = error.message ?? error.description
    // The shared-memory file of the write-ahead log could not be extended.
    if error.extendedResultCode == .SQLITE_IOERR_SHMSIZE { return .full(path: path) }
    switch error.resultCode {
    case .SQLITE_FULL: return .full(path: path)
    case .SQLITE_BUSY, .SQLITE_LOCKED: return .busy(path: path)
    case .SQLITE_NOTADB: return .cannotOpen(path: path, detail: "it is not a database")
    case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH: return .cannotOpen(path: path, detail: detail)
    case .SQLITE_READONLY where access == .working: return .failed(path: path, detail: "it is open for reading only")
    case .SQLITE_CORRUPT: return .failed(path: path, detail: "it is damaged (\(detail))")
    default: return access == .opening ? .cannotOpen(path: path, detail: detail) : .failed(path: path, detail: detail)
    }
}
