import Testing

@testable import PlanningModel

@Suite("Uploads are staggered below a ceiling")
struct UploadAdmissionTests {
    private let admission = UploadAdmission(ceilingBytesPerSecond: 10, stepSeconds: 1)

    private func due(_ bytes: Double, value: Double = 1, slack: Double? = nil) -> UploadAdmission.Upload {
        UploadAdmission.Upload(bytes: bytes, valuePerByte: value, isDue: true, slackSeconds: slack)
    }
    private func early(_ bytes: Double, slack: Double) -> UploadAdmission.Upload {
        UploadAdmission.Upload(bytes: bytes, valuePerByte: 1, isDue: false, slackSeconds: slack)
    }

    @Test("the most valuable byte goes first, and as many as the link takes before the next look")
    func byValue() {
        // 4 + 4 bytes leave room for a third before the next look, in which 10 go through; then it is full.
        #expect(admission.admitted([due(4, value: 1), due(4, value: 3), due(4, value: 2), due(4, value: 0.5)], backlogBytes: 0) == [1, 2, 0])
        #expect(admission.admitted([due(100, value: 1), due(100, value: 2)], backlogBytes: 0) == [1])
        #expect(admission.admitted([due(1)], backlogBytes: 10) == [])
        #expect(admission.admitted([due(1)], backlogBytes: 9.9) == [0])
        #expect(admission.admitted([], backlogBytes: 0) == [])
    }

    @Test("what is not due waits until everybody's limits need it to begin")
    func limits() {
        // Three of 20 bytes, 2 s each, that must have begun within 5 s: the first within 1 s, and 1 s is the next look.
        let three = [early(20, slack: 5), early(20, slack: 5), early(20, slack: 5)]
        #expect(admission.admitted(three, backlogBytes: 0) == [])
        let sooner = three.map { early($0.bytes, slack: 4.9) }
        #expect(admission.admitted(sooner, backlogBytes: 0) == [0])
        // However valuable: its 30 bytes would take the 3 s that they do not have.
        #expect(admission.admitted(three + [due(30, value: 1e9)], backlogBytes: 0) == [])
        #expect(admission.admitted(three + [due(10, value: 1e9)], backlogBytes: 0) == [3])
        // The earliest time first, and one that is too late already before all.
        #expect(admission.admitted([early(20, slack: 0.5), early(20, slack: -3), due(20, value: 9)], backlogBytes: 0) == [1])
    }

    @Test("the backlog is what the ceiling has not let through yet")
    func backlog() {
        // 30 bytes at 0 s are through at 3 s; 20 at 2 s wait for them and are through at 5 s.
        let began: [(atSeconds: Double, bytes: Double)] = [(2, 20), (0, 30)]
        #expect(admission.backlog(of: began, nowSeconds: 2) == 30)
        #expect(admission.backlog(of: began, nowSeconds: 4.5) == 5)
        #expect(admission.backlog(of: began, nowSeconds: 60) == 0)
        #expect(admission.backlog(of: [], nowSeconds: 60) == 0)
    }

    /// A look a second, until nothing waits any more.
    private func play(_ uploads: [UploadAdmission.Upload], dueAt: [Double]) -> [(index: Int, at: Double)] {
        var began: [(index: Int, at: Double)] = []
        var waiting = Array(uploads.indices)
        var now = 0.0
        while !waiting.isEmpty, now < 100_000 {
            let queue = began.map { (atSeconds: $0.at, bytes: uploads[$0.index].bytes) }
            let seen = waiting.map { index in
                UploadAdmission.Upload(
                    bytes: uploads[index].bytes, valuePerByte: uploads[index].valuePerByte, isDue: dueAt[index] <= now,
                    slackSeconds: uploads[index].slackSeconds.map { $0 - now })
            }
            let admitted = admission.admitted(seen, backlogBytes: admission.backlog(of: queue, nowSeconds: now)).map { waiting[$0] }
            began += admitted.map { ($0, now) }
            waiting.removeAll { admitted.contains($0) }
            now += 1
        }
        return began
    }

    @Test("over random bursts the ceiling holds, no limit that could be kept is broken, and nothing waits for ever", arguments: UInt64(1)...4)
    func property(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<100 * thoroughness { burst(&random, seed) }
    }

    private func burst(_ random: inout Seeded, _ seed: UInt64) {
        let count = Int.random(in: 1...25, using: &random)
        var uploads: [UploadAdmission.Upload] = []
        var dueAt: [Double] = []
        for _ in 0..<count {
            let limited = Bool.random(using: &random)
            let slack = Double.random(in: 1...150, using: &random)
            uploads.append(
                UploadAdmission.Upload(
                    bytes: Double.random(in: 0.5...80, using: &random), valuePerByte: Double.random(in: 0...9, using: &random), isDue: false,
                    slackSeconds: limited ? slack : nil))
            // With a limit, due at the last moment, as an interval that a limit shortened is.
            dueAt.append(limited ? slack : Double.random(in: 0...50, using: &random))
        }
        let began = play(uploads, dueAt: dueAt)
        #expect(began.count == count, "seed \(seed)")

        // The ceiling, over every time between two beginnings.
        let largest = uploads.map(\.bytes).max() ?? 0
        for first in began.indices {
            var sum = 0.0
            for last in first..<began.count {
                sum += uploads[began[last].index].bytes
                #expect(sum <= 10 * (began[last].at - began[first].at + 1) + largest + 1e-9, "seed \(seed)")
            }
        }

        // By whole steps, as nothing begins in between: could all have been kept?
        var serial = 0.0
        var canBeKept = true
        for upload in uploads.filter({ $0.slackSeconds != nil }).sorted(by: { $0.slackSeconds! < $1.slackSeconds! }) {
            canBeKept = canBeKept && serial <= upload.slackSeconds!
            serial += upload.bytes / 10
        }
        guard canBeKept else { return }
        for (index, at) in began {
            if let slack = uploads[index].slackSeconds { #expect(at <= slack, "seed \(seed): \(index) at \(at), by \(slack)") }
        }
    }

    @Test("without limits the order is that of value")
    func order() {
        var random = Seeded(7)
        let uploads = (0..<20).map { _ in due(15, value: Double.random(in: 0...1, using: &random)) }
        let values = play(uploads, dueAt: Array(repeating: 0, count: 20)).map { uploads[$0.index].valuePerByte }
        #expect(values == values.sorted(by: >))
    }
}
