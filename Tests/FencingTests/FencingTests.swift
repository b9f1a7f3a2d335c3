import Foundation
import Ports
import Testing
import Vocabulary

@testable import Fencing

@Suite("Fencing")
struct FencingTests {
    @Test("ends the very processes that the node reported")
    func process() async throws {
        let victim = Process()
        victim.executableURL = URL(fileURLWithPath: "/bin/sleep")
        victim.arguments = ["300"]
        try victim.run()
        let identity = try #require(ProcessTable.identity(of: victim.processIdentifier))
        #expect(ProcessTable.isAlive(identity))
        let said = try await NodeFence().fence(NodeID("a"), method: .process, lastReport: FenceTarget(agent: identity, guests: []))
        #expect(said == "of 1 processes, 1 were alive and have been ended")
        #expect(!ProcessTable.isAlive(identity))
        victim.waitUntilExit()
    }

    @Test("a later process with the same number is left alone")
    func reusedNumber() async throws {
        let bystander = Process()
        bystander.executableURL = URL(fileURLWithPath: "/bin/sleep")
        bystander.arguments = ["300"]
        try bystander.run()
        defer { bystander.terminate() }
        let real = try #require(ProcessTable.identity(of: bystander.processIdentifier))
        let earlier = ProcessIdentity(pid: real.pid, startTicks: real.startTicks - 1)
        let said = try await NodeFence().fence(NodeID("a"), method: .process, lastReport: FenceTarget(agent: earlier, guests: []))
        #expect(said == "of 1 processes, 0 were alive and have been ended")
        #expect(ProcessTable.isAlive(real))
    }

    @Test("the operator's command decides by its exit status, and learns which node")
    func command() async throws {
        let target = FenceTarget(agent: nil, guests: [])
        let said = try await NodeFence().fence(NodeID("a"), method: .command(["sh", "-c", "test $CAIRN_NODE = a"]), lastReport: target)
        #expect(said.hasSuffix("ended with 0"))
        await #expect(throws: FenceError.commandFailed(node: NodeID("b"), status: 3, detail: "no power switch\n")) {
            try await NodeFence().fence(NodeID("b"), method: .command(["sh", "-c", "echo no power switch; exit 3"]), lastReport: target)
        }
    }
}
