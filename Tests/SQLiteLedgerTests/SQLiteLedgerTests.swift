import Foundation
import Ports
import Testing
import Vocabulary

@testable import SQLiteLedger

@Suite("The ledger keeps what it was given")
struct SQLiteLedgerTests {
    let scratch: Scratch
    let ledger: SQLiteLedger

    init() throws {
        scratch = try Scratch()
        ledger = try SQLiteLedger.open(path: scratch.ledgerPath)
    }

    func manager(_ event: Event, at seconds: Double = 0) -> EventRecord { EventRecord(at: Timestamp(seconds), source: .manager, event: event) }

    func agent(_ number: Int64, incarnation: String = "i-1", _ event: Event = .nodeTrusted(node: Samples.node)) -> EventRecord {
        EventRecord(at: Timestamp(0), source: .agent(node: Samples.node, incarnation: Incarnation(incarnation), number: number), event: event)
    }

    @Test("sequence numbers are given in the order of appending, from 1, without gaps")
    func order() async throws {
        let first = try await ledger.append([manager(.managerStarted(version: "1"), at: 9), manager(.nodeTrusted(node: Samples.node), at: 3)])
        let second = try await ledger.append([agent(1)])
        #expect((first + second).map(\.sequence) == [1, 2, 3])
        #expect(try await ledger.events(after: 0, limit: 100) == first + second)
        #expect(try await ledger.events(after: 1, limit: 1).map(\.sequence) == [2])
        #expect(try await ledger.events(after: 3, limit: 100).isEmpty)
        #expect(try await ledger.append([]).isEmpty)
    }

    @Test("an agent's event that is sent twice is kept once; another incarnation's is another event")
    func deduplication() async throws {
        let first = try await ledger.append([agent(1), agent(2)])
        // 2 again, twice, and 3: only 3 is new, and its sequence follows 2's without a gap.
        let second = try await ledger.append([agent(2), agent(3), agent(2)])
        #expect(first.map(\.sequence) == [1, 2])
        #expect(second.map(\.sequence) == [3])
        #expect(second.map(\.source) == [.agent(node: Samples.node, incarnation: Incarnation("i-1"), number: 3)])
        #expect(try await ledger.append([agent(1, incarnation: "i-2")]).map(\.sequence) == [4])
        #expect(try await ledger.acknowledged(node: Samples.node, incarnation: Incarnation("i-1")) == 3)
        #expect(try await ledger.acknowledged(node: Samples.node, incarnation: Incarnation("i-2")) == 1)
        #expect(try await ledger.acknowledged(node: Samples.node, incarnation: Incarnation("i-3")) == 0)
        #expect(try await ledger.acknowledged(node: NodeID("node-z"), incarnation: Incarnation("i-1")) == 0)
    }

    @Test("the manager's events are never taken for repetitions")
    func managersOwn() async throws {
        let twice = manager(.managerStarted(version: "1"))
        #expect(try await ledger.append([twice, twice]).map(\.sequence) == [1, 2])
    }

    @Test("every kind of event reads back as it was written")
    func everyEvent() async throws {
        let records = Samples.events.enumerated().map { index, event in
            index.isMultiple(of: 2)
                ? manager(event, at: 1_767_323_045.000001 + Double(index) / 3)
                : EventRecord(
                    at: Timestamp(Double(index) / 7), source: .agent(node: Samples.node, incarnation: Incarnation("i"), number: Int64(index)),
                    event: event)
        }
        let appended = try await ledger.append(records)
        #expect(appended.count == records.count)
        // One case each: a kind that is added to Event and not to the samples is found by the compiler in EventTable.
        #expect(Set(Samples.events.map { EventTable.Subject(of: $0).kind }).count == 41)
        try ledger.close()
        let read = try await SQLiteLedger.open(path: scratch.ledgerPath).events(after: 0, limit: .max)
        #expect(read == appended)
        #expect(read.map(\.event) == records.map(\.event))
        #expect(read.map(\.at) == records.map(\.at))
    }

    @Test("every kind of decision reads back as it was written, with what came of it")
    func everyDecision() async throws {
        let decisions = Decision.Kind.allCases.enumerated().map { Samples.decision($0 + 1, kind: $1, at: 1_767_323_045.25) }
        try await ledger.record(decisions)
        #expect(try await ledger.decisions(DecisionQuery()) == decisions)
        #expect(try await ledger.decision(DecisionID("d000002")) == decisions[1])
        #expect(try await ledger.decision(DecisionID("d000099")) == nil)
        let outcomes = [
            Outcome(decision: decisions[0].id, at: Timestamp(5), quantity: "stopSeconds", predicted: 0.1, observed: 0.09),
            Outcome(decision: decisions[0].id, at: Timestamp(6), quantity: "finishSeconds", predicted: .infinity, observed: 70),
            Outcome(decision: decisions[1].id, at: Timestamp(7), quantity: "sentBytes", predicted: nil, observed: 1e9),
        ]
        try await ledger.record(outcomes)
        #expect(try await ledger.outcomes(of: decisions[0].id) == Array(outcomes[..<2]))
        #expect(try await ledger.outcomes(task: Samples.task) == outcomes)
        #expect(try await ledger.outcomes(task: nil) == outcomes)
        #expect(try await ledger.outcomes(task: TaskID("nobody")).isEmpty)
    }

    @Test("decisions are asked for by task, kind, time and number, oldest or newest first")
    func queries() async throws {
        let other = TaskID("other-2")
        try await ledger.record([
            Samples.decision(1, kind: .place, at: 10), Samples.decision(2, kind: .schedule, at: 20),
            Samples.decision(3, kind: .place, task: other, at: 30),
            Samples.decision(4, kind: .declareLost, task: nil, at: 40),
        ])
        func numbers(_ query: DecisionQuery) async throws -> [String] { try await ledger.decisions(query).map(\.id.rawValue) }
        #expect(try await numbers(DecisionQuery(task: Samples.task)) == ["d000001", "d000002"])
        #expect(try await numbers(DecisionQuery(kinds: [.place, .declareLost])) == ["d000001", "d000003", "d000004"])
        #expect(try await numbers(DecisionQuery(since: Timestamp(20))) == ["d000002", "d000003", "d000004"])
        #expect(try await numbers(DecisionQuery(newestFirst: true, limit: 2)) == ["d000004", "d000003"])
        #expect(try await numbers(DecisionQuery(task: other, kinds: [.schedule])) == [])
    }

    @Test("the next decision's number follows the highest, also after one was never recorded")
    func numbers() async throws {
        #expect(try await ledger.nextDecisionNumber() == 1)
        try await ledger.record([Samples.decision(1), Samples.decision(5)])
        #expect(try await ledger.nextDecisionNumber() == 6)
    }

    @Test("a decision recorded again is passed over; another one of the same name is refused, and nothing of its batch is kept")
    func decisionTwice() async throws {
        try await ledger.record([Samples.decision(1)])
        try await ledger.record([Samples.decision(1), Samples.decision(2)])
        #expect(try await ledger.decisions(DecisionQuery()).count == 2)
        await #expect(throws: LedgerError.failed(path: scratch.ledgerPath, detail: "decision d000001: another one with this name is recorded")) {
            try await ledger.record([Samples.decision(3), Samples.decision(1, kind: .place)])
        }
        #expect(try await ledger.decisions(DecisionQuery()).count == 2)
        let nameless = Decision(
            id: DecisionID("x1"), at: Timestamp(0), kind: .place, task: nil, node: nil, mode: .audit, sla: nil, policy: nil, models: "", inputs: [],
            alternatives: [], chosen: nil, binding: nil, rules: [], sentence: "", steps: [])
        await #expect(throws: LedgerError.failed(path: scratch.ledgerPath, detail: "decision x1: its name is not `d` and a number")) {
            try await ledger.record([nameless])
        }
    }

    @Test("an outcome needs its decision, and is kept once however often it is recorded")
    func outcomesOfNothing() async throws {
        let outcome = Outcome(decision: DecisionID("d000001"), at: Timestamp(5), quantity: "stopSeconds", predicted: 0.1, observed: 0.09)
        await #expect(throws: LedgerError.self) { try await ledger.record([outcome]) }
        try await ledger.record([Samples.decision(1)])
        try await ledger.record([outcome])
        try await ledger.record([outcome])
        #expect(try await ledger.outcomes(task: nil) == [outcome])
    }

    @Test("appends from many tasks at once are each whole")
    func concurrentAppends() async throws {
        let ledger = ledger
        try await withThrowingTaskGroup(of: [Int64].self) { group in
            for batch in 0..<20 {
                group.addTask {
                    let records = (1...10).map { number in
                        EventRecord(
                            at: Timestamp(0), source: .agent(node: NodeID("n\(batch)"), incarnation: Incarnation("i"), number: number),
                            event: .nodeTrusted(node: NodeID("n\(batch)")))
                    }
                    return try await ledger.append(records).map(\.sequence)
                }
            }
            // A batch is one transaction: ten sequence numbers in a row.
            for try await sequences in group { #expect(sequences == Array(sequences[0]...(sequences[0] + 9))) }
        }
        #expect(try await ledger.events(after: 0, limit: .max).map(\.sequence) == Array(1...200))
    }

    @Test("an append goes on although the task that waits for it is cancelled")
    func cancellation() async throws {
        let ledger = ledger
        let record = manager(.managerStarted(version: "1"))
        let appending = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await ledger.append([record])
        }
        #expect(try await appending.value.map(\.sequence) == [1])
        #expect(try await ledger.events(after: 0, limit: 10).count == 1)
    }

    @Test("the speed of 100,000 appended and read events is printed, not judged")
    func speed() async throws {
        let clock = ContinuousClock()
        let total = 100_000
        let batches = stride(from: 0, to: total, by: 500).map { start in
            (start..<start + 500).map { index in
                EventRecord(
                    at: Timestamp(Double(index)), source: .agent(node: Samples.node, incarnation: Incarnation("i"), number: Int64(index)),
                    event: .progressSeen(Samples.sample))
            }
        }
        let writing = try await clock.measure { for batch in batches { _ = try await ledger.append(batch) } }
        let alone = try await clock.measure {
            for version in 0..<200 { _ = try await ledger.append([manager(.managerStarted(version: "\(version)"))]) }
        }
        var count = 0
        let reading = try await clock.measure {
            var sequence: Int64 = 0
            while let page = Optional(try await ledger.events(after: sequence, limit: 5_000)), let last = page.last {
                count += page.count
                sequence = last.sequence
            }
        }
        let bytes = try FileManager.default.attributesOfItem(atPath: scratch.ledgerPath)[.size] as? Int ?? 0
        print(
            "ledger: \(total) events appended in \(writing) (500 a transaction), 200 alone in \(alone), \(count) read in \(reading), \(bytes >> 20) MiB"
        )
        #expect(count == total + 200)
    }
}
