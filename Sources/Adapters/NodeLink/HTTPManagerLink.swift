import Curl
import Foundation
import Ports
import Vocabulary

/// The agent's link to the manager over HTTP: one POST a heartbeat.
package struct HTTPManagerLink: ManagerLink {
    private let client: HTTPClient
    private let address: String

    /// - Parameter manager: the manager's address, for example `http://127.0.0.1:7700`.
    package init(manager: String, client: HTTPClient) {
        address = manager.hasSuffix("/") ? String(manager.dropLast()) : manager
        self.client = client
    }

    package func exchange(_ report: NodeReport) async throws(LinkError) -> NodeOrders {
        let body: Data
        do { body = try JSONEncoder().encode(report) } catch { throw .garbled(detail: "the report cannot be encoded: \(error)") }
        return try await post("/v1/nodes/\(report.node.rawValue)/report", body)
    }

    private func post(_ path: String, _ body: Data) async throws(LinkError) -> NodeOrders {
        let answer: (status: Int, body: [UInt8])
        do { answer = try await client.postJSON(address + path, [UInt8](body)) } catch { throw .unreachable(detail: "\(error)") }
        switch answer.status {
        case 200:
            do { return try JSONDecoder().decode(NodeOrders.self, from: Data(answer.body)) } catch { throw .garbled(detail: "\(error)") }
        case 400..<500: throw .refused(detail: String(decoding: answer.body.prefix(1_000), as: UTF8.self))
        default: throw .unreachable(detail: "status \(answer.status)")
        }
    }
}
