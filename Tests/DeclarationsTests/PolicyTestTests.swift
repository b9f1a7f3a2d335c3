import Declarations
import Testing
import Vocabulary

@Suite("Policy tests are read")
struct PolicyTestTests {
    private func read(_ text: String) -> (tests: [(test: PolicyTest, line: Int)], problems: [Problem]) {
        PolicyTestReader().read(SourceFile(path: "t.yaml", text: text))
    }

    @Test("what is written is meant")
    func good() throws {
        let read = read(
            """
            apiVersion: cairn/v1
            kind: PolicyTest
            metadata: {name: one}
            spec:
              policy: ../p.yaml
              task: t.yaml
              situation: {mtbf: 6h, elapsed: 2h, progress: 20%, sinceCheckpoint: 1m, costs: {stop: 0.2s, latency: 20s, sent: 200MiB}}
              expect: {interval: {atMost: 20m}, codec: [zstd, gzip], now: false, replication: 2, mode: Audit, rules: [a, b]}
            ---
            apiVersion: cairn/v1
            kind: PolicyTest
            metadata: {name: two}
            spec:
              policy: p.yaml
              task: t.yaml
              situation: {mtbf: 1d, elapsed: 1m, progress: 1%}
              expect: {interval: never, codec: none, rules: none}
            """)
        #expect(read.problems.isEmpty, "\(read.problems)")
        try #require(read.tests.count == 2)
        let one = read.tests[0].test
        #expect(one.policyFile == "../p.yaml" && one.name == "one")
        #expect(one.situation.costs == PolicyTest.Costs(stopSeconds: Seconds(0.2), latencySeconds: Seconds(20), sentBytes: .mebibytes(200)))
        #expect(one.expected.interval == .within(.zero...Seconds(1_200)) && one.expected.isNow == false)
        #expect(one.expected.codecs == [.zstd, .gzip] && one.expected.rules == ["a", "b"] && one.expected.mode == .audit)
        let two = read.tests[1].test
        #expect(two.expected == PolicyTest.Expected(interval: .never, codecs: [Codec.none], rules: []))
        #expect(two.situation.sinceCheckpointSeconds == nil && two.situation.costs == nil)
    }

    @Test("every problem is told with its place")
    func bad() {
        let read = read(
            """
            apiVersion: cairn/v1
            kind: PolicyTest
            metadata: {name: one}
            spec:
              policy: p.yaml
              situation: {mtbf: 0s, elapsed: 2h, progress: 20%, sinceCheckpoint: 3h, costs: {stop: 9s, latency: 2s, sent: 1MiB}}
              expect: {interval: {atLeast: 2h, atMost: 1h}, now: maybe, codec: lzma}
            """)
        #expect(read.tests.isEmpty)
        let keys = Set(read.problems.map(\.key))
        for key in [
            "spec.task", "spec.situation.mtbf", "spec.situation.sinceCheckpoint", "spec.situation.costs.latency", "spec.expect.interval",
            "spec.expect.now", "spec.expect.codec",
        ] { #expect(keys.contains(key), "\(key): \(keys.sorted())") }
        #expect(read.problems.allSatisfy { $0.line >= 5 })
    }
}
