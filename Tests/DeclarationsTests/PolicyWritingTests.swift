import Declarations
import Testing
import Vocabulary

@Suite("Policies as they would be written")
struct PolicyWritingTests {
    private func policy(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> CheckpointPolicy {
        let result = read(text)
        try #require(result.problems.isEmpty, "\(result.problems) in\n\(text)", sourceLocation: sourceLocation)
        guard case .policy(let policy, _)? = result.declarations.first else { throw WrongKind() }
        return policy
    }
    private struct WrongKind: Error {}

    private static let full = """
        apiVersion: cairn/v1
        kind: CheckpointPolicy
        metadata: {name: full}
        spec:
          currency: USD
          preferences: {mine: {timePerHour: 0.1, networkPerGiB: 1e-05, storagePerGiBHour: 0}}
          mode: Audit
          interval: {strategy: fixed, every: 1m30.5s, floor: 2s, ceiling: 36525d}
          compression: {choice: always, codecs: [gzip]}
          replication: {base: 3, memory: 1, delta: 2}
          retention: {keepLast: 1, keepFor: 1w}
          chain: {merge: count, maxLayers: 7}
          network: {ceiling: 1.5MiB}
          rules:
            - {name: a, when: {labels: {"it's": "x: #y", stage: trial}, probabilityMetBelow: 33.3%, mtbfBelow: 1h1s, checkpointAbove: 1023KiB}, set: {interval: {strategy: never}, replication: 2}}
            - {name: b, when: {mtbfBelow: 1m}, set: {mode: Enforce, compression: {choice: never, codecs: [none]}, retention: {keepFor: 2s}, chain: {merge: never}}}
        """

    @Test("what is written reads back as the same policy, to the last bit")
    func roundTrip() throws {
        let minimal = "apiVersion: cairn/v1\nkind: CheckpointPolicy\nmetadata: {name: least}\nspec: {currency: EUR}\n"
        for text in [Self.full, minimal, minimal.replacing("{currency: EUR}", with: "{currency: EUR, interval: {strategy: never}}")] {
            let original = try policy(text)
            #expect(try policy(original.yaml(comments: ["why", "", "and: {so on"])) == original)
        }
        #expect(try policy(Self.full).networkBytesPerSecond == ByteCount(1_572_864))
    }

    @Test("a line break in a comment cannot become a key")
    func comments() throws {
        let original = try policy(Self.full)
        #expect(try policy(original.yaml(comments: ["evidence\nmode: Enforce", "a\u{2028}b"])) == original)
    }

    @Test("keys are compared with what a file leaves out resolved")
    func differences() throws {
        let head = "apiVersion: cairn/v1\nkind: CheckpointPolicy\nmetadata: {name: x}\nspec:\n  currency: EUR\n"
        let plain = try policy(head)
        // The default written out is no difference.
        #expect(PolicyDifference.between(plain, try policy(head + "  interval: {floor: 10s, ceiling: 24h}\n  replication: 2\n")).isEmpty)
        let other = try policy(
            head + "  interval: {floor: 5s}\n  network: {ceiling: 40MiB}\n  rules: [{name: r, when: {mtbfBelow: 1m}, set: {mode: Audit}}]\n")
        #expect(
            PolicyDifference.between(plain, other) == [
                PolicyDifference(key: "interval.floor", left: "10s", right: "5s"),
                PolicyDifference(key: "network.ceiling", left: nil, right: "40MiB"), PolicyDifference(key: "rules", left: nil, right: "[r]"),
                PolicyDifference(key: "rules.r.when.mtbfBelow", left: nil, right: "1m"),
                PolicyDifference(key: "rules.r.set.mode", left: nil, right: "Audit"),
            ])
        #expect(PolicyDifference.between(other, plain).map(\.key) == PolicyDifference.between(plain, other).map(\.key))
    }
}
