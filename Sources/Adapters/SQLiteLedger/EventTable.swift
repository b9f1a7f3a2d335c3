import GRDB
import Ports
import Vocabulary

/// Events in SQL: what is searched for has a column, the rest is in the payload.
enum EventTable {
    static func append(_ records: [EventRecord], to database: Database) throws -> [EventRecord] {
        // An agent's event that is there already is passed over here; the table would refuse it.
        let insert = try database.cachedStatement(
            sql: """
                INSERT INTO events (at_epoch_seconds, source, node, incarnation, number, kind, task, payload_json)
                SELECT :at, :source, :node, :incarnation, :number, :kind, :task, :payload
                WHERE NOT EXISTS (SELECT 1 FROM events WHERE node = :node AND incarnation = :incarnation AND number = :number)
                """)
        var payload = Payload()
        var chain = try Chain.Writer(database)
        var appended: [EventRecord] = []
        for var record in records {
            let subject = Subject(of: record.event)
            let origin = Origin(record.source)
            try insert.execute(arguments: [
                "at": record.at.rawValue, "source": origin.source, "node": origin.node, "incarnation": origin.incarnation,
                "number": origin.number, "kind": subject.kind, "task": subject.task?.rawValue, "payload": payload.text(record.event),
            ])
            guard database.changesCount == 1 else { continue }
            record.sequence = database.lastInsertedRowID
            appended.append(record)
            try chain.add(Chain.events, row: record.sequence)
            try keepDocument(of: record, in: database, &payload, &chain)
        }
        return appended
    }

    static func events(after sequence: Int64, limit: Int, in database: Database) throws -> [EventRecord] {
        let statement = try database.cachedStatement(
            sql: """
                SELECT sequence, at_epoch_seconds, source, node, incarnation, number, payload_json FROM events
                WHERE sequence > ? ORDER BY sequence LIMIT ?
                """)
        return try records(statement, [sequence, max(0, limit)])
    }

    /// A task's events and those about no task; without a task, all.
    static func events(about task: TaskID?, in database: Database) throws -> [EventRecord] {
        let columns = "sequence, at_epoch_seconds, source, node, incarnation, number, payload_json"
        guard let task else { return try records(try database.cachedStatement(sql: "SELECT \(columns) FROM events ORDER BY sequence"), []) }
        // Each half by its own index.
        let statement = try database.cachedStatement(
            sql: """
                SELECT \(columns) FROM events WHERE task = ? UNION ALL SELECT \(columns) FROM events WHERE task IS NULL ORDER BY sequence
                """)
        return try records(statement, [task.rawValue])
    }

    static func declarations(in database: Database) throws -> [EventRecord] {
        let statement = try database.cachedStatement(
            sql: """
                SELECT sequence, at_epoch_seconds, source, node, incarnation, number, payload_json FROM events
                WHERE kind IN ('policyLoaded', 'taskSubmitted') ORDER BY sequence
                """)
        return try records(statement, [])
    }

    private static func records(_ statement: Statement, _ arguments: StatementArguments) throws -> [EventRecord] {
        var payload = Payload()
        var found: [EventRecord] = []
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try rows.next() {
            let sequence: Int64 = row[0]
            found.append(
                EventRecord(
                    sequence: sequence, at: Timestamp(row[1]), source: try Origin(row: row).eventSource(at: sequence),
                    event: try payload.value(Event.self, row[6], of: "event \(sequence)")))
        }
        return found
    }

    static func highestNumber(node: NodeID, incarnation: Incarnation, in database: Database) throws -> Int64 {
        let statement = try database.cachedStatement(sql: "SELECT max(number) FROM events WHERE node = ? AND incarnation = ?")
        return try Int64.fetchOne(statement, arguments: [node.rawValue, incarnation.rawValue]) ?? 0
    }

    /// The text of each version of a declaration, once, so that a decision's digests can be looked up.
    private static func keepDocument(of record: EventRecord, in database: Database, _ payload: inout Payload, _ chain: inout Chain.Writer) throws {
        let kind: String, version: DocumentVersion, content: String
        switch record.event {
        case .policyLoaded(let policy, let loaded): (kind, version, content) = ("CheckpointPolicy", loaded, try payload.text(policy))
        case .taskSubmitted(let submission): (kind, version, content) = ("TaskSLA", submission.version, try payload.text(submission.sla))
        default: return
        }
        try database.execute(
            sql: """
                INSERT INTO documents (kind, name, digest, first_event, content_json) SELECT :kind, :name, :digest, :event, :content
                WHERE NOT EXISTS (SELECT 1 FROM documents WHERE kind = :kind AND name = :name AND digest = :digest)
                """,
            arguments: ["kind": kind, "name": version.name, "digest": version.digest, "event": record.sequence, "content": content])
        if database.changesCount == 1 { try chain.add(Chain.documents, row: database.lastInsertedRowID) }
    }

    /// The columns that say who saw it.
    private struct Origin {
        var source: String
        var node: String?
        var incarnation: String?
        var number: Int64?

        init(_ source: EventSource) {
            switch source {
            case .manager: self.source = "manager"
            case .agent(let node, let incarnation, let number):
                (self.source, self.node, self.incarnation, self.number) = ("agent", node.rawValue, incarnation.rawValue, number)
            }
        }

        init(row: Row) {
            source = row[2]
            node = row[3]
            incarnation = row[4]
            number = row[5]
        }

        func eventSource(at sequence: Int64) throws -> EventSource {
            switch (source, node, incarnation, number) {
            case ("manager", _, _, _): return .manager
            case ("agent", let node?, let incarnation?, let number?):
                return .agent(node: NodeID(node), incarnation: Incarnation(incarnation), number: number)
            default: throw UnreadableRow(what: "event \(sequence)", detail: "its source is \(source)")
            }
        }
    }

    /// The columns that say what it is about.
    struct Subject {
        var kind: String
        var task: TaskID?

        init(_ kind: String, _ task: TaskID? = nil) {
            self.kind = kind
            self.task = task
        }

        init(of event: Event) {
            self =
                switch event {
                case .managerStarted: Subject("managerStarted")
                case .policyLoaded: Subject("policyLoaded")
                case .policyRejected: Subject("policyRejected")
                case .policyModeSet: Subject("policyModeSet")
                case .nodeDrainAsked: Subject("nodeDrainAsked")
                case .nodeDrainEnded: Subject("nodeDrainEnded")
                case .checkpointVerified(let task, _, _, _): Subject("checkpointVerified", task)
                case .taskSubmitted(let submission): Subject("taskSubmitted", submission.task)
                case .taskCancelled(let task, _): Subject("taskCancelled", task)
                case .restoreAsked(let task, _): Subject("restoreAsked", task)
                case .epochRaised(let task, _, _, _): Subject("epochRaised", task)
                case .taskPlaced(let task, _, _): Subject("taskPlaced", task)
                case .taskStarted(let task, _, _): Subject("taskStarted", task)
                case .taskResumed(let resumption): Subject("taskResumed", resumption.task)
                case .taskRefused(let task, _, _, _): Subject("taskRefused", task)
                case .unionSeen(let task, _, _, _): Subject("unionSeen", task)
                case .progressSeen(let sample): Subject("progressSeen", sample.task)
                case .taskFinished(let task, _, _, _): Subject("taskFinished", task)
                case .taskFailed(let task, _, _, _): Subject("taskFailed", task)
                case .taskStalled(let task, _, _, _, _): Subject("taskStalled", task)
                case .taskGivenUp(let task, _): Subject("taskGivenUp", task)
                case .checkpointOrdered(let task, _, _, _, _, _): Subject("checkpointOrdered", task)
                case .checkpointStarted(let task, _, _, _, _): Subject("checkpointStarted", task)
                case .checkpointCaptured(let task, _, _, _, _): Subject("checkpointCaptured", task)
                case .checkpointCommitted(let checkpoint): Subject("checkpointCommitted", checkpoint.task)
                case .checkpointFailed(let task, _, _, _, _, _): Subject("checkpointFailed", task)
                case .staleCommitRefused(let task, _, _, _): Subject("staleCommitRefused", task)
                case .checkpointsPruned(let task, _): Subject("checkpointsPruned", task)
                case .layersMerged(let merge): Subject("layersMerged", merge.task)
                case .taskFound(let task, _, _): Subject("taskFound", task)
                case .taskEndStored(let task): Subject("taskEndStored", task)
                case .ledgerRebuilt: Subject("ledgerRebuilt")
                case .nodeJoined: Subject("nodeJoined")
                case .nodeProcessesChanged: Subject("nodeProcessesChanged")
                case .nodeSuspected: Subject("nodeSuspected")
                case .nodeTrusted: Subject("nodeTrusted")
                case .nodeLost: Subject("nodeLost")
                case .nodeFenced: Subject("nodeFenced")
                case .fenceFailed: Subject("fenceFailed")
                case .storeHealthChanged: Subject("storeHealthChanged")
                case .orderFailed(_, _, let task, _): Subject("orderFailed", task)
                }
        }
    }
}
