import Foundation
import Monitoring
import Ports
import Testing
import Vocabulary

@Suite("Progress is read from the console")
struct ProgressReaderTests {
    let source = ProgressSource.console(pattern: #"CAIRN PROGRESS (\d+)/(\d+)"#, result: "CAIRN RESULT ([0-9a-f]+)", failure: "CAIRN FAIL (.*)")

    @Test("done and total", arguments: [("CAIRN PROGRESS 25/100", 0.25), ("[ 3.1] CAIRN PROGRESS 7/7", 1.0), ("CAIRN PROGRESS 9/3", 1.0)])
    func doneAndTotal(line: String, fraction: Double) throws {
        #expect(try ProgressReader(source)?.read(line[...]) == .progress(fraction))
    }

    @Test("a percentage and a fraction")
    func share() throws {
        let reader = try #require(try ProgressReader(.console(pattern: "at ([0-9.]+%?)", result: "end", failure: nil)))
        #expect(reader.read("at 12.5%") == .progress(0.125))
        #expect(reader.read("at 0.5") == .progress(0.5))
        #expect(reader.read("end of it") == .result("end of it"))
    }

    @Test("result, failure, and lines that say nothing")
    func others() throws {
        let reader = try #require(try ProgressReader(source))
        #expect(reader.read("CAIRN RESULT 0af") == .result("0af"))
        #expect(reader.read("CAIRN FAIL no space") == .failure("no space"))
        #expect(reader.read("T 17 3042") == nil)
        #expect(reader.read("CAIRN PROGRESS 1/0") == nil)
    }
}

@Suite("A task is watched")
struct TaskSensorTests {
    let console = NSTemporaryDirectory() + "cairn-sensor-\(UUID().uuidString).log"

    func sensor(_ source: ProgressSource) -> TaskSensor {
        TaskSensor(
            task: TaskID("t"), epoch: .first, node: NodeID("a"), source: source, work: Seconds(100), console: console, fraction: 0)
    }
    func status(_ state: DomainStatus.State, cpu: Double) -> DomainStatus {
        DomainStatus(name: "cairn-t", state: state, process: nil, cpuSeconds: Seconds(cpu), blockWrittenBytes: .zero)
    }

    @Test("what unites the guest's disks is read whatever progress is read from", arguments: [true, false])
    func union(isConsole: Bool) throws {
        defer { try? FileManager.default.removeItem(atPath: console) }
        var sensor = sensor(isConsole ? .console(pattern: "(.*)%", result: "R (.*)", failure: nil) : .cpuTime)
        try Data("booting\r\nCAIRN UNION aufs rw,dio\r\nCAIRN UNION auto\n".utf8).write(to: URL(fileURLWithPath: console))
        #expect(sensor.union == nil)
        _ = try sensor.look(status: status(.running, cpu: 1), at: Timestamp(1))
        #expect(sensor.union == MountedUnion(kind: .aufs, options: "rw,dio"))
    }

    @Test("half a line waits for its other half; a result outlives its domain")
    func lines() throws {
        defer { try? FileManager.default.removeItem(atPath: console) }
        var sensor = sensor(.console(pattern: #"P (\d+)/(\d+)"#, result: "R (.*)", failure: nil))
        try Data("P 1/10\nP 2/1".utf8).write(to: URL(fileURLWithPath: console))
        #expect(try sensor.look(status: status(.running, cpu: 1), at: Timestamp(1)).sample.fraction == 0.1)
        let handle = try #require(FileHandle(forWritingAtPath: console))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("0\nR abc\n".utf8))
        try handle.close()
        let last = try sensor.look(status: nil, at: Timestamp(2))
        #expect(last.sample.fraction == 1)
        #expect(last.end == .finished(result: "abc"))
    }

    @Test("a domain that vanishes without a result has failed")
    func vanished() throws {
        var sensor = sensor(.console(pattern: #"P (\d+)/(\d+)"#, result: "R (.*)", failure: nil))
        #expect(try sensor.look(status: nil, at: Timestamp(1)).end == .failed(reason: "the domain is gone"))
    }

    @Test("CPU time is summed across restores, where the hypervisor's counter restarts")
    func cpuTime() throws {
        var sensor = sensor(.cpuTime)
        _ = try sensor.look(status: status(.running, cpu: 30), at: Timestamp(1))
        // 30 s before the restore, 20 s after it, of 100 s of declared work.
        let seen = try sensor.look(status: status(.running, cpu: 20), at: Timestamp(2))
        #expect(seen.sample.cpuSeconds == Seconds(50))
        #expect(seen.sample.fraction == 0.5)
        #expect(try sensor.look(status: status(.shutOff, cpu: 20), at: Timestamp(3)).end == .finished(result: "powered off"))
    }
}
