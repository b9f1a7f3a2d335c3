import Foundation
import HTTPTypes
import Hummingbird
import Ports

/// An answer that is none: why, and what to do.
package struct Refusal: Error, Sendable {
    package var status: HTTPResponse.Status
    package var errors: [String]
    package var headers: HTTPFields
    package init(_ status: HTTPResponse.Status, _ errors: [String], headers: HTTPFields = [:]) {
        self.status = status
        self.errors = errors
        self.headers = headers
    }

    static func tooLarge(limit: Int) -> Refusal { Refusal(.contentTooLarge, ["the body is longer than \(limit) bytes"]) }

    init(_ error: CommandError) {
        let status: HTTPResponse.Status =
            switch error {
            case .invalid: .badRequest
            case .notFound: .notFound
            case .conflict: .conflict
            case .failed: .internalServerError
            }
        self.init(status, error.messages)
    }

    var response: Response {
        get throws {
            struct Body: Encodable { let errors: [String] }
            var response = try Response.json(Body(errors: errors), status: status)
            for field in headers { response.headers[field.name] = field.value }
            return response
        }
    }
}

extension Response {
    /// JSON as docs/json.md has it: keys sorted.
    package static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        return bytes(try encoder.encode(value), as: "application/json", status: status)
    }

    package static func bytes(_ bytes: some DataProtocol, as type: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
