import DataPath
import Foundation
import Ports
import Vocabulary

/// Documents of the format as JSON: keys sorted, so that the same document is the same bytes.
///
/// Documents of every earlier version are read, too; what is written has this version's number.
enum Documents {
    static func bytes(_ document: some Codable) throws(EngineError) -> [UInt8] {
        do {
            let encoder = encoder
            let text = try encoder.encode(document)
            return Array(try encoder.encode(Sealed(digest: Digest.sha256([UInt8](text)), document: document)))
        } catch { throw .local(path: "document", detail: "\(error)") }
    }

    /// - Throws: `.damaged` when it does not read, or its digest is another; `.tooNew`.
    static func read<Document: Codable>(_ type: Document.Type, _ bytes: [UInt8], from path: String) throws(EngineError) -> Document {
        let data = Data(bytes)
        do {
            let format = try JSONDecoder().decode(Versioned.self, from: data).document.format
            guard format <= Format.version else { throw EngineError.tooNew(what: path, format: format) }
            let sealed = try JSONDecoder().decode(Sealed<Document>.self, from: data)
            guard let text = text(of: bytes), Digest.sha256(text) == sealed.digest else {
                throw EngineError.damaged(what: path, detail: "its digest is another")
            }
            return sealed.document
        } catch let error as EngineError { throw error } catch { throw .damaged(what: path, detail: "\(error)") }
    }

    /// The bytes of the document itself, as they stand there: keys that this version does not know are part of it.
    private static func text(of bytes: [UInt8]) -> [UInt8]? {
        let middle = Array(#"","document":"#.utf8)
        // Before it stand the key `digest` and 71 characters of a digest.
        let opening = Array(#"{"digest":""#.utf8)
        guard bytes.starts(with: opening), bytes.last == UInt8(ascii: "}") else { return nil }
        guard let end = bytes[opening.count...].firstIndex(of: UInt8(ascii: "\"")) else { return nil }
        guard bytes[end...].starts(with: middle) else { return nil }
        return Array(bytes[(end + middle.count)..<(bytes.count - 1)])
    }

    private static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}

extension CheckpointStore {
    /// A document of the format. One that does not read is read once more: it may have been spoiled on its way, or be whole in another copy.
    /// - Throws: `.store`, `.damaged` whoever found the damage, `.tooNew`.
    func document<Document: Codable>(_ type: Document.Type, at path: String) async throws(EngineError) -> Document {
        do throws(EngineError) {
            return try await lookingTwice { () throws(EngineError) in
                try Documents.read(type, try await storing { () throws(StoreError) in try await read(path) }, from: path)
            }
        } catch .store(.damaged(let path, let detail)) { throw .damaged(what: path, detail: detail) }
    }
}

/// Runs what reads from the store, and again when that found damage: nobody gives up on something because of one bad answer.
func lookingTwice<Value>(_ body: () async throws(EngineError) -> Value) async throws(EngineError) -> Value {
    do throws(EngineError) { return try await body() } catch {
        switch error {
        case .damaged, .store(.damaged): return try await body()
        default: throw error
        }
    }
}

/// What every version's documents have.
private struct Versioned: Decodable {
    struct Document: Decodable { var format: Int }
    var document: Document
}
