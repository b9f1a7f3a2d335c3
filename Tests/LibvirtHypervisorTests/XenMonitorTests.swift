import Foundation
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

#if canImport(Glibc)
    import Glibc
#endif

/// A device model that says what it is told to, a line for each question.
private final class FakeDeviceModel: @unchecked Sendable {
    let path = "/tmp/cairn-qmp-\(UUID().uuidString)"
    private let listener: Int32
    private let answers: [String]
    private let asked = NSLock()
    private var questions: [String] = []
    private let done = DispatchSemaphore(value: 0)

    init(_ answers: [String]) throws {
        self.answers = answers
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) } }
        try #require(bound == 0 && listen(listener, 1) == 0)
        Thread.detachNewThread { [self] in
            serve()
            done.signal()
        }
    }

    private func serve() {
        let caller = accept(listener, nil, nil)
        guard caller >= 0 else { return }
        defer { close(caller) }
        _ = XenSaveImage.write(Array("{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n".utf8), to: caller)
        var buffer = [UInt8](repeating: 0, count: 4_096)
        for answer in ["{\"return\": {}}"] + answers {
            let count = read(caller, &buffer, buffer.count)
            guard count > 0 else { return }
            asked.withLock { questions.append(String(decoding: buffer[0..<count], as: UTF8.self)) }
            // In two pieces, as a stream may come.
            let bytes = Array((answer + "\r\n").utf8)
            _ = XenSaveImage.write(Array(bytes[..<(bytes.count / 2)]), to: caller)
            _ = XenSaveImage.write(Array(bytes[(bytes.count / 2)...]), to: caller)
        }
    }

    /// What was asked, once the caller has gone.
    func end() -> [String] {
        shutdown(listener, Int32(SHUT_RDWR))
        done.wait()
        close(listener)
        unlink(path)
        return asked.withLock { questions }
    }
}

@Suite("A device model's monitor")
struct XenMonitorTests {
    /// What is told of a delta of three layers, `/d/0` to `/d/2`, with a merge's node in between; the names of the upper ones are descriptions.
    private static func disks(_ top: String) -> [String] {
        [
            """
            {"return": [{"device": "", "inserted": {"node-name": "xvda-raw", "drv": "raw", "file": "/b"}, "type": "unknown"}, {"device": "cd"}, \
            {"device": "", "inserted": {"node-name": "\(top)", "drv": "qcow2", "file": "json:{\\"backing\\": …"}, "type": "unknown"}]}
            """,
            """
            {"return": {"nodes": [{"id": 1, "type": "block-backend", "name": "\(top)"}, {"id": 2, "type": "block-driver", "name": "\(top)"}, \
            {"id": 3, "type": "block-driver", "name": "#f2"}, {"id": 4, "type": "block-driver", "name": "#filter"}, \
            {"id": 5, "type": "block-driver", "name": "#block7"}, {"id": 6, "type": "block-driver", "name": "#f1"}, \
            {"id": 7, "type": "block-driver", "name": "#block9"}, {"id": 8, "type": "block-driver", "name": "#f0"}], \
            "edges": [{"parent": 1, "child": 2, "name": "root", "perm": []}, {"parent": 2, "child": 3, "name": "file"}, \
            {"parent": 2, "child": 4, "name": "backing"}, {"parent": 4, "child": 5, "name": "backing"}, {"parent": 5, "child": 6, "name": "file"}, \
            {"parent": 5, "child": 7, "name": "backing"}, {"parent": 7, "child": 8, "name": "file"}]}}
            """,
            """
            {"return": [{"node-name": "\(top)", "file": "json:{}"}, {"node-name": "#f2", "file": "/d/2"}, {"node-name": "#f1", "file": "/d/1"}, \
            {"node-name": "#block7", "file": "/d/1"}, {"node-name": "#block9", "file": "/d/0"}, {"node-name": "#f0", "file": "/d/0"}]}
            """,
        ]
    }
    /// The same after everything was merged into `/d/0`.
    private static let merged = [
        disks("cairn-top")[0],
        """
        {"return": {"nodes": [{"id": 2, "type": "block-driver", "name": "cairn-top"}, {"id": 3, "type": "block-driver", "name": "#f2"}, \
        {"id": 7, "type": "block-driver", "name": "#block9"}, {"id": 8, "type": "block-driver", "name": "#f0"}], \
        "edges": [{"parent": 2, "child": 3, "name": "file"}, {"parent": 2, "child": 7, "name": "backing"}, {"parent": 7, "child": 8, "name": "file"}]}}
        """, disks("cairn-top")[2],
    ]

    @Test("finds the delta's layers whatever lies on top of it, past events, and rotates it", arguments: ["xvdb-qcow2", "cairn-abc"])
    func rotate(_ node: String) throws {
        let event = #"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESUME"}"#
        var answers = Self.disks(node)
        answers[0] = event + "\r\n" + answers[0]
        let model = try FakeDeviceModel(answers + Self.disks(node) + [#"{"return": {}}"#])
        do {
            let monitor = try XenMonitor(socket: model.path, name: "x")
            #expect(try monitor.layers().map(\.file) == ["/d/2", "/d/1", "/d/0"])
            let delta = try monitor.delta()
            #expect(delta == XenMonitor.Node(name: node, file: "/d/2"))
            try monitor.rotate(delta, onto: "/next \"layer\"")
        }
        let questions = model.end()
        #expect(questions.count == 8)
        struct Rotation: Decodable {
            var execute: String
            var arguments: [String: String]
        }
        let asked = try JSONDecoder().decode(Rotation.self, from: Data(try #require(questions.last).utf8))
        #expect(asked.execute == "blockdev-snapshot-sync")
        #expect(asked.arguments["node-name"] == node && asked.arguments["snapshot-file"] == "/next \"layer\"")
        #expect(asked.arguments["mode"] == "existing" && asked.arguments["format"] == "qcow2")
        #expect(try #require(asked.arguments["snapshot-node-name"]).utf8.count <= 31)
    }

    private static let (done, under) = (#"{"return": []}"#, #"{"return": [{"device": "cairn-merge"}]}"#)

    @Test("merges layers by their nodes, with a name that stays true where the layers are moved to, and waits for the end")
    func merge() throws {
        let model = try FakeDeviceModel(Self.disks("cairn-top") + [#"{"return": {}}"#, Self.under, Self.done] + Self.merged)
        do {
            let monitor = try XenMonitor(socket: model.path, name: "x")
            try monitor.merge(from: "/d/1", into: "/d/0", limit: Seconds(60))
        }
        let questions = model.end()
        struct Merge: Decodable {
            var execute: String
            var arguments: [String: String]
        }
        let asked = try JSONDecoder().decode(Merge.self, from: Data(questions[4].utf8))
        #expect(asked.execute == "block-commit")
        #expect(
            asked.arguments == ["job-id": "cairn-merge", "device": "cairn-top", "top-node": "#block7", "base-node": "#block9", "backing-file": "0"])
    }

    @Test("a merge that takes too long is cancelled, and told to be busy; one that left the chain as it was has failed")
    func mergeGivenUp() throws {
        let disks = Self.disks("cairn-top")
        let late = try FakeDeviceModel(disks + [#"{"return": {}}"#, Self.under, #"{"return": {}}"#, Self.done])
        do {
            let monitor = try XenMonitor(socket: late.path, name: "x")
            do {
                try monitor.merge(from: "/d/1", into: "/d/0", limit: Seconds(-1))
                Issue.record("it came to its end")
            } catch { #expect(error.isRetryable) }
        }
        #expect(late.end().contains { $0.contains("block-job-cancel") })
        let failing = try FakeDeviceModel(disks + [#"{"return": {}}"#, Self.done] + disks + disks + disks)
        do {
            let monitor = try XenMonitor(socket: failing.path, name: "x")
            #expect(throws: HypervisorError.failed(operation: "merge of layers", name: "x", code: 0, detail: "its device model gave it up")) {
                try monitor.merge(from: "/d/1", into: "/d/0", limit: Seconds(60))
            }
            // Neither what is not there nor what is in use.
            for top in ["/other", "/d/2"] {
                #expect(throws: HypervisorError.self) { try monitor.merge(from: top, into: "/d/0", limit: Seconds(60)) }
            }
        }
        #expect(failing.end().count { $0.contains("block-commit") } == 1)
    }

    @Test("counts what the guest wrote, over all disks")
    func written() throws {
        let model = try FakeDeviceModel([#"{"return": [{"stats": {"wr_bytes": 5, "x": 1}}, {"stats": {"wr_bytes": 7}}]}"#])
        do {
            let monitor = try XenMonitor(socket: model.path, name: "x")
            #expect(try monitor.writtenBytes() == ByteCount(12))
        }
        _ = model.end()
    }

    @Test(
        "what goes wrong is told in the device model's words",
        arguments: [
            (#"{"error": {"class": "GenericError", "desc": "Cannot find it"}}"#, "Cannot find it"), ("rubbish", "rubbish"),
            (#"{"return": []}"#, "no disk xvdb"),
        ])
    func refused(_ answer: String, _ word: String) throws {
        let model = try FakeDeviceModel([answer])
        do {
            let monitor = try XenMonitor(socket: model.path, name: "x")
            do {
                _ = try monitor.delta()
                Issue.record("taken")
            } catch { #expect("\(error)".contains(word)) }
        }
        _ = model.end()
    }

    @Test("a device model that ends or says nothing is told of, and not waited for without end")
    func silent() throws {
        let model = try FakeDeviceModel([])
        do {
            let monitor = try XenMonitor(socket: model.path, name: "x", patience: 5)
            #expect(throws: HypervisorError.self) { try monitor.delta() }
        }
        _ = model.end()
        #expect(throws: HypervisorError.self) { try XenMonitor(socket: "/tmp/there-is-none", name: "x") }
    }
}
