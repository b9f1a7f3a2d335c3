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
        let said = try await NodeFence().fence(
            NodeID("a"), method: .process, processes: NodeProcesses(agent: identity, guests: [], directory: "/nowhere"))
        #expect(said == "of 1 processes, 1 were alive and have been ended")
        #expect(!ProcessTable.isAlive(identity))
        victim.waitUntilExit()
    }

    @Test("this machine says how long it has been up, and nothing else is taken for that")
    func uptime() throws {
        let now = try #require(ProcessTable.machineUptime())
        #expect(now > .zero)
        #expect(try #require(ProcessTable.machineUptime()) >= now)
        #expect(ProcessTable.uptime("12345.67 23456.78\n") == Seconds(12345.67))
        for text in ["", " \n", "-3 4", "up", "inf 1", "nan 1"] { #expect(ProcessTable.uptime(text) == nil, "\(text)") }
    }

    @Test("a later process with the same number is left alone")
    func reusedNumber() async throws {
        let bystander = Process()
        bystander.executableURL = URL(fileURLWithPath: "/bin/sleep")
        bystander.arguments = ["300"]
        try bystander.run()
        defer { kill(bystander.processIdentifier, SIGKILL) }
        let real = try #require(ProcessTable.identity(of: bystander.processIdentifier))
        let earlier = ProcessIdentity(pid: real.pid, startTicks: real.startTicks - 1)
        let said = try await NodeFence().fence(
            NodeID("a"), method: .process, processes: NodeProcesses(agent: earlier, guests: [], directory: "/nowhere"))
        #expect(said == "of 1 processes, 0 were alive and have been ended")
        #expect(ProcessTable.isAlive(real))
    }

    @Test("a guest that was started after the last report is found by its files")
    func unreportedGuest() async throws {
        let folder = NSTemporaryDirectory() + "cairn-fence-" + UUID().uuidString
        func guest(below directory: String) throws -> (process: Process, input: Pipe) {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/bash")
            process.arguments = ["-c", "exec -a /usr/bin/qemu-system-none /bin/sh -c 'read line' file=\(directory)/layers/000001.qcow2"]
            let input = Pipe()
            process.standardInput = input
            try process.run()
            return (process, input)
        }
        let ours = try guest(below: folder)
        let anothers = try guest(below: folder + "-other")
        // SIGTERM is blocked in children of a Dispatch thread.
        defer { kill(anothers.process.processIdentifier, SIGKILL) }
        for _ in 0..<500 where ProcessTable.guests(below: folder).isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        let gone = ProcessIdentity(pid: 1, startTicks: 1)
        let said = try await NodeFence().fence(
            NodeID("a"), method: .process, processes: NodeProcesses(agent: gone, guests: [], directory: folder))
        #expect(said == "of 2 processes, 1 were alive and have been ended")
        ours.process.waitUntilExit()
        #expect(ours.process.terminationReason == .uncaughtSignal)
        #expect(anothers.process.isRunning)
    }

    @Test("a directory is not taken for another that ends or begins alike")
    func directories() {
        #expect(ProcessTable.isBelow("/cairn", "/cairn/layers/0"))
        #expect(ProcessTable.isBelow("/cairn", "{\"filename\":\"/cairn/layers/0\"}"))
        #expect(ProcessTable.isBelow("/cairn", "file=/cairn/layers/0,if=virtio"))
        #expect(!ProcessTable.isBelow("/cairn", "/srv/cairn/layers/0"))
        #expect(!ProcessTable.isBelow("/cairn", "/cairn-b/layers/0"))
        #expect(!ProcessTable.isBelow("", "/anything"))
    }

    @Test("what it does not know it does not say to have ended, and itself it does not end")
    func refused() async throws {
        await #expect(throws: FenceError.stillAlive(node: NodeID("a"), detail: "its processes are not known")) {
            try await NodeFence().fence(NodeID("a"), method: .process, processes: nil)
        }
        let me = try #require(ProcessTable.identity(of: getpid()))
        await #expect(throws: FenceError.self) {
            try await NodeFence().fence(NodeID("a"), method: .process, processes: NodeProcesses(agent: me, guests: [], directory: "/nowhere"))
        }
    }

    @Test("a command that hangs is ended")
    func hangs() async throws {
        await #expect(throws: FenceError.commandFailed(node: NodeID("a"), status: SIGKILL, detail: "it took longer than 1 s; ")) {
            try await NodeFence(commandPatience: Seconds(1)).fence(NodeID("a"), method: .command(["sleep", "100"]), processes: nil)
        }
    }

    @Test("the operator's command decides by its exit status, and learns which node")
    func command() async throws {
        let said = try await NodeFence().fence(NodeID("a"), method: .command(["sh", "-c", "test $CAIRN_NODE = a"]), processes: nil)
        #expect(said.hasSuffix("ended with 0"))
        await #expect(throws: FenceError.commandFailed(node: NodeID("b"), status: 3, detail: "no power switch\n")) {
            try await NodeFence().fence(NodeID("b"), method: .command(["sh", "-c", "echo no power switch; exit 3"]), processes: nil)
        }
    }
}
