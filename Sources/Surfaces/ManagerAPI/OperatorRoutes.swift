import Foundation
import Hummingbird
import Ports
import Vocabulary

/// What operators ask about nodes, policies and the store.
enum OperatorRoutes {
    static func all(_ commands: any ManagerCommands) -> [Route] {
        [
            Route(.post, "/v1/nodes/{node}/drain", for: .operators) { call in
                try call.query.only()
                try await commands.drain(call.node, by: call.caller.name)
                return try .json(NodeAccepted(node: call.node))
            },
            Route(.post, "/v1/nodes/{node}/undrain", for: .operators) { call in
                try call.query.only()
                try await commands.undrain(call.node, by: call.caller.name)
                return try .json(NodeAccepted(node: call.node))
            },
            Route(.post, "/v1/policies/{policy}/mode", for: .operators) { call in
                try call.query.only("mode")
                let mode = try Self.mode(call.query["mode"])
                let policy = call.parameters["policy"] ?? ""
                try await commands.setMode(mode, ofPolicy: policy, by: call.caller.name)
                return try .json(ModeAccepted(policy: policy, mode: mode))
            },
            Route(.post, "/v1/tasks/{task}/checkpoints/{checkpoint}/verified", for: .operators) { call in
                try call.query.only()
                let found: Found
                do { found = try JSONDecoder().decode(Found.self, from: try await call.body()) } catch is DecodingError {
                    throw CommandError.invalid(["the body is no {\"problems\": […]}"])
                }
                let checkpoint = CheckpointID(call.parameters["checkpoint"] ?? "")
                try await commands.verified(call.task, checkpoint, problems: found.problems, by: call.caller.name)
                return try .json(VerificationAccepted(task: call.task, checkpoint: checkpoint))
            },
        ]
    }

    /// nil: as the policy's file says.
    private static func mode(_ text: String?) throws(CommandError) -> CheckpointPolicy.Mode? {
        guard let text else { throw .invalid(["mode: is missing: Enforce, Audit or declared"]) }
        if text == "declared" { return nil }
        guard let mode = CheckpointPolicy.Mode(rawValue: text) else { throw .invalid(["mode: \(text) is not Enforce, Audit or declared"]) }
        return mode
    }

    private struct Found: Decodable { let problems: [String] }
    private struct NodeAccepted: Encodable { let node: NodeID }
    private struct ModeAccepted: Encodable {
        let policy: String
        let mode: CheckpointPolicy.Mode?
    }
    private struct VerificationAccepted: Encodable {
        let task: TaskID
        let checkpoint: CheckpointID
    }
}
