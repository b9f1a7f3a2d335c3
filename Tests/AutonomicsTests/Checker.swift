import Foundation
import Simulator
import Testing
import Vocabulary

/// The four rules, checked over all that the store and the ledger have recorded: no committed checkpoint is lost, no task resumed twice,
/// no stale node commits, nothing is reported that did not happen.
extension World {
    func checkRules(work: Int) async throws {
        let committed = checkStore()
        try await checkLedger(committed, work: work)
    }

    private struct Epoch: Decodable {
        struct Document: Decodable { var from: String? }
        var document: Document
    }

    /// - Returns: every checkpoint that was ever committed, as `TASK/ID`.
    private func checkStore() -> Set<String> {
        var committed: [String: [String]] = [:]
        var newestEpoch: [String: Int] = [:]
        for change in store.changes {
            switch change {
            case .committed(let path):
                let words = path.split(separator: "/").map(String.init)
                guard words.count == 5, words[2] == "open", let epoch = Int(words[3]) else { continue }
                #expect(epoch >= newestEpoch[words[1], default: 1], "seed \(seed): \(path) was committed in an epoch that was over")
                committed[words[1], default: []].append(String(words[4].dropLast(5)))
            case .created(let path):
                let words = path.split(separator: "/").map(String.init)
                guard words.count == 4, words[2] == "epochs", let epoch = Int(words[3].dropLast(5)) else { continue }
                guard let bytes = store.bytes(at: path) else { continue }
                #expect(epoch == newestEpoch[words[1], default: 0] + 1, "seed \(seed): \(path) came out of turn")
                newestEpoch[words[1]] = epoch
                do {
                    let from = try JSONDecoder().decode(Epoch.self, from: Data(bytes)).document.from
                    #expect(from == committed[words[1]]?.max(), "seed \(seed): \(path) does not go on from the newest checkpoint")
                } catch { Issue.record("seed \(seed): \(path): \(error)") }
            case .written, .moved, .removed: break
            }
        }
        return Set(committed.flatMap { task, ids in ids.map { task + "/" + $0 } })
    }

    private func checkLedger(_ committed: Set<String>, work: Int) async throws {
        struct Resumed: Hashable { var task: TaskID, epoch: Vocabulary.Epoch }
        var resumed: Set<Resumed> = []
        var started: Set<TaskID> = []
        var finished: Set<TaskID> = []
        for record in try await events {
            switch record.event {
            case .taskStarted(let task, _, _): #expect(started.insert(task).inserted, "seed \(seed): \(task) was started twice")
            case .taskResumed(let it):
                let isFirst = resumed.insert(Resumed(task: it.task, epoch: it.epoch)).inserted
                #expect(isFirst, "seed \(seed): \(it.task) was resumed twice in epoch \(it.epoch)")
            case .checkpointCommitted(let checkpoint):
                #expect(committed.contains("\(checkpoint.task)/\(checkpoint.id)"), "seed \(seed): \(checkpoint.id) is not in the store")
            case .taskFinished(let task, _, _, let result):
                finished.insert(task)
                #expect(result == SimulatedGuest.result(steps: work), "seed \(seed): \(task) finished with a wrong result")
            default: break
            }
        }
        for task in tasks where !finished.contains(task) { Issue.record("seed \(seed): \(task) has not finished") }
    }

    /// For failures: the last lines of the log.
    func story(_ count: Int = 60) -> String { log.suffix(count).joined(separator: "\n") }
}
