import Curl
import Foundation
import Ports
import Vocabulary

/// The agent's link to the manager over HTTP: one POST a heartbeat.
package struct HTTPManagerLink: ManagerLink {
    private let client: HTTPClient
    private let address: String
    private let tokenFile: String?

    /// - Parameters:
    ///   - manager: the manager's address, for example `http://127.0.0.1:7700`.
    ///   - tokenFile: holds the node's token; read at each exchange, so that it can be changed. nil: the client shows a certificate, or nothing.
    package init(manager: String, client: HTTPClient, tokenFile: String? = nil) {
        address = manager.hasSuffix("/") ? String(manager.dropLast()) : manager
        self.client = client
        self.tokenFile = tokenFile
    }

    package func exchange(_ report: NodeReport) async throws(LinkError) -> NodeOrders {
        let body: Data
        do { body = try JSONEncoder().encode(report) } catch { throw .garbled(detail: "the report cannot be encoded: \(error)") }
        return try await post("/v1/nodes/\(report.node.rawValue)/report", body)
    }

    private func post(_ path: String, _ body: Data) async throws(LinkError) -> NodeOrders {
        var headers = ["Content-Type: application/json"]
        if let tokenFile {
            do throws(SecretFile.Problem) { headers.append("Authorization: Bearer " + (try SecretFile.line(tokenFile))) } catch {
                throw .unreachable(detail: error.description)
            }
        }
        let answer: HTTPResponse
        do { answer = try await client.send(HTTPRequest("POST", address + path, headers: headers, body: [UInt8](body))) } catch {
            throw .unreachable(detail: "\(error)")
        }
        switch answer.status {
        case 200:
            do { return try JSONDecoder().decode(NodeOrders.self, from: Data(answer.body)) } catch { throw .garbled(detail: "\(error)") }
        // It does not know this agent, or hears too much of it: that can be mended, and the node goes on meanwhile.
        case 401, 403, 429: throw .unreachable(detail: "status \(answer.status): \(String(decoding: answer.body.prefix(1_000), as: UTF8.self))")
        case 400..<500: throw .refused(detail: String(decoding: answer.body.prefix(1_000), as: UTF8.self))
        default: throw .unreachable(detail: "status \(answer.status)")
        }
    }
}
