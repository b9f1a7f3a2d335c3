import Knowledge
import Ports
import Vocabulary

/// The ledger with the knowledge folded from it, kept in step: what is appended is folded in the ledger's order, whoever appended it.
actor Chronicle {
    private let ledger: any Ledger
    private(set) var knowledge = Knowledge()
    /// Appended but not folded, because something before it is still on its way here.
    private var waiting: [Int64: EventRecord] = [:]
    private let witness: (any EventWitness)?

    init(ledger: any Ledger, witness: (any EventWitness)?) {
        self.ledger = ledger
        self.witness = witness
    }

    private func fold(_ records: [EventRecord]) {
        knowledge.fold(records)
        witness?.saw(records)
    }

    /// Folds everything that the ledger holds.
    func recall() async throws(LedgerError) {
        while true {
            let page = try await ledger.events(after: knowledge.sequence, limit: 5_000)
            guard !page.isEmpty else { return }
            fold(page)
        }
    }

    /// - Returns: the records that are new.
    @discardableResult
    func append(_ records: [EventRecord]) async throws(LedgerError) -> [EventRecord] {
        guard !records.isEmpty else { return [] }
        let appended = try await ledger.append(records)
        for record in appended where record.sequence > knowledge.sequence { waiting[record.sequence] = record }
        foldWaiting()
        // Something before it, or among what was passed over, was appended by a call that failed all the same: it is in the ledger.
        if !waiting.isEmpty || appended.count < records.count { try await catchUp() }
        return appended
    }

    private func foldWaiting() {
        var ready: [EventRecord] = []
        while let next = waiting.removeValue(forKey: knowledge.sequence + Int64(ready.count) + 1) { ready.append(next) }
        fold(ready)
    }

    private func catchUp() async throws(LedgerError) {
        let before = knowledge.sequence
        let missed = try await ledger.events(after: before, limit: 5_000)
        // Another call may have folded some of it meanwhile.
        fold(missed.filter { $0.sequence > knowledge.sequence })
        waiting = waiting.filter { $0.key > knowledge.sequence }
        foldWaiting()
    }
}
