import DataPath
import Foundation
import Ports
import Vocabulary

/// Documents of the format as JSON: keys sorted, so that the same document is the same bytes.
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
            guard Digest.sha256([UInt8](try encoder.encode(sealed.document))) == sealed.digest else {
                throw EngineError.damaged(what: path, detail: "its digest is another")
            }
            return sealed.document
        } catch let error as EngineError { throw error } catch { throw .damaged(what: path, detail: "\(error)") }
    }

    private static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}

/// What every version's documents have.
private struct Versioned: Decodable {
    struct Document: Decodable { var format: Int }
    var document: Document
}
