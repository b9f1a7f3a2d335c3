import Vocabulary

/// Reads policy tests from YAML (docs/policy-tests.md): a file holds one or more.
package struct PolicyTestReader: Sendable {
    package init() {}

    /// Tests without an error, in the file's order, each with its line; and every problem.
    package func read(_ file: SourceFile) -> (tests: [(test: PolicyTest, line: Int)], problems: [Problem]) {
        let findings = Findings(file: file.path)
        var names = UniqueNames()
        var tests: [(PolicyTest, Int)] = []
        for document in Composition(text: file.text, findings: findings).documents() {
            let before = findings.errorCount
            let reading = Reading(node: document, path: "", findings: findings)
            if let test = test(reading, &names), findings.errorCount == before { tests.append((test, reading.position?.line ?? 1)) }
        }
        return (tests, findings.problems)
    }

    private func test(_ document: Reading, _ names: inout UniqueNames) -> PolicyTest? {
        guard let fields = document.fields(["apiVersion", "kind", "metadata", "spec"]) else { return nil }
        _ = fields.required("apiVersion", "write apiVersion: cairn/v1")?.choice([("cairn/v1", ())])
        _ = fields.required("kind", "write kind: PolicyTest")?.choice([("PolicyTest", ())])
        let nameReading = fields.required("metadata", "write metadata: {name: …}")?.fields(["name"])?.required("name", Name.form)
        let name = nameReading?.name()
        if let name, let nameReading { names.use(name, at: nameReading) }
        guard let spec = fields.required("spec", "policy, task, situation and expect")?.fields(["policy", "task", "situation", "expect"]) else {
            return nil
        }
        let policy = spec.required("policy", "the policy's file, relative to this one")?.text()
        let task = spec.required("task", "a TaskSLA's file, relative to this one")?.text()
        let situation = spec.required("situation", "mtbf, elapsed, progress, sinceCheckpoint, costs").flatMap(self.situation)
        let expected = spec.required("expect", "what must be decided: interval, codec, now, replication, mode, rules").flatMap(self.expected)
        guard let name, let policy, let task, let situation, let expected else { return nil }
        return PolicyTest(name: name, policyFile: policy, taskFile: task, situation: situation, expected: expected)
    }

    private func situation(_ reading: Reading) -> PolicyTest.Situation? {
        guard let fields = reading.fields(["mtbf", "elapsed", "progress", "sinceCheckpoint", "costs"]) else { return nil }
        let mtbf = fields.required("mtbf", "the node's mean time between failures, for example 6h")?.length()
        let elapsed = fields.required("elapsed", "since the task began to run, for example 30m")?.duration(Seconds(60)...Quantity.longestDuration)
        let progress = fields.required("progress", "for example 25%")?.share()
        let since = fields["sinceCheckpoint"].flatMap { $0.duration(.zero...Quantity.longestDuration) }
        if let since, let elapsed, since > elapsed { fields["sinceCheckpoint"]?.trouble("is longer ago than the task has run") }
        let costs = fields["costs"].flatMap(self.costs)
        guard let mtbf, let elapsed, let progress else { return nil }
        return PolicyTest.Situation(mtbfSeconds: mtbf, elapsedSeconds: elapsed, progress: progress, sinceCheckpointSeconds: since, costs: costs)
    }

    private func costs(_ reading: Reading) -> PolicyTest.Costs? {
        guard let fields = reading.fields(["stop", "latency", "sent"]) else { return nil }
        let stop = fields.required("stop", "for example 0.2s")?.length()
        let latency = fields.required("latency", "from the capture to the commit, for example 20s")?.length()
        let sent = fields.required("sent", "with zstd, for example 200MiB")?.size(ByteCount(1)...Quantity.largestSize)
        if let stop, let latency, latency < stop { fields["latency"]?.trouble("is shorter than the stop, which is part of it") }
        guard let stop, let latency, let sent else { return nil }
        return PolicyTest.Costs(stopSeconds: stop, latencySeconds: latency, sentBytes: sent)
    }

    private func expected(_ reading: Reading) -> PolicyTest.Expected? {
        guard let fields = reading.fields(["interval", "codec", "now", "replication", "mode", "rules"]) else { return nil }
        if fields.isBare { reading.trouble("expects nothing", "give interval, codec, now, replication, mode or rules") }
        return PolicyTest.Expected(
            interval: fields["interval"].flatMap(interval),
            codecs: fields["codec"].flatMap { codec in
                let names = Codec.allCases.map { ($0.rawValue, $0) }
                return codec.isScalar
                    ? codec.choice(names).map { [$0] } : codec.items("codecs, any of which will do")?.compactMap { $0.choice(names) }
            },
            isNow: fields["now"].flatMap { $0.choice([("true", true), ("false", false)]) },
            replication: fields["replication"].flatMap { $0.whole(1...16) },
            mode: fields["mode"].flatMap { $0.choice(CheckpointPolicy.Mode.allCases.map { ($0.rawValue, $0) }) },
            rules: fields["rules"].flatMap { rules in
                rules.isScalar
                    ? rules.choice([("none", [])], "none, or a list of names") : rules.items("names of rules")?.compactMap { $0.name() }
            })
    }

    private func interval(_ reading: Reading) -> PolicyTest.Expected.Interval? {
        if reading.isScalar { return reading.choice([("never", .never)], "never, or {atLeast: …, atMost: …}") }
        guard let fields = reading.fields(["atLeast", "atMost"]) else { return nil }
        if fields.isBare { reading.trouble("has no bound", "give atLeast, atMost or both") }
        let low = fields["atLeast"].flatMap { $0.length() } ?? .zero
        let high = fields["atMost"].flatMap { $0.length() } ?? Quantity.longestDuration
        guard low <= high else {
            reading.trouble("can be kept by no interval: atLeast is above atMost", "swap them?")
            return nil
        }
        return .within(low...high)
    }
}
