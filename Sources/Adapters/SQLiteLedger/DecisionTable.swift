import Foundation
import GRDB
import Ports
import Vocabulary

/// Decisions and their outcomes in SQL.
enum DecisionTable {
    static func record(_ decisions: [Decision], in database: Database) throws {
        let known = try database.cachedStatement(sql: "SELECT CAST(payload_json AS BLOB) FROM decisions WHERE id = ?")
        let insert = try database.cachedStatement(
            sql: """
                INSERT INTO decisions (number, id, at_epoch_seconds, kind, task, node, mode, sla_digest, policy_digest, sentence, payload_json)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        var payload = Payload()
        var chain = try Chain.Writer(database)
        for decision in decisions {
            let text = try payload.text(decision)
            // Recorded once more after a crash: passed over. The same name for another decision is a mistake.
            if let there = try Data.fetchOne(known, arguments: [decision.id.rawValue]) {
                guard try PackedPayload.text(there, of: "decision \(decision.id)") == text else {
                    throw UnreadableRow(what: "decision \(decision.id)", detail: "another one with this name is recorded")
                }
                continue
            }
            try insert.execute(arguments: [
                try number(of: decision.id), decision.id.rawValue, decision.at.rawValue, decision.kind.rawValue, decision.task?.rawValue,
                decision.node?.rawValue, decision.mode.rawValue, decision.sla?.digest, decision.policy?.digest, decision.sentence,
                try PackedPayload.packed(text),
            ])
            try chain.add(Chain.decisions, row: database.lastInsertedRowID)
        }
    }

    static func record(_ outcomes: [Outcome], in database: Database) throws {
        let insert = try database.cachedStatement(
            sql: """
                INSERT INTO outcomes (decision, at_epoch_seconds, quantity, predicted, observed, payload_json)
                SELECT :decision, :at, :quantity, :predicted, :observed, :payload
                WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE decision = :decision AND payload_json = :payload)
                """)
        var payload = Payload()
        var chain = try Chain.Writer(database)
        for outcome in outcomes {
            try insert.execute(arguments: [
                "decision": outcome.decision.rawValue, "at": outcome.at.rawValue, "quantity": outcome.quantity, "predicted": outcome.predicted,
                "observed": outcome.observed, "payload": payload.text(outcome),
            ])
            if database.changesCount == 1 { try chain.add(Chain.outcomes, row: database.lastInsertedRowID) }
        }
    }

    static func decisions(_ query: DecisionQuery, in database: Database) throws -> [Decision] {
        var conditions: [String] = []
        var arguments: [any DatabaseValueConvertible] = []
        if let task = query.task {
            conditions.append("task = ?")
            arguments.append(task.rawValue)
        }
        if !query.kinds.isEmpty {
            conditions.append("kind IN (\(query.kinds.map { _ in "?" }.joined(separator: ", ")))")
            arguments += query.kinds.map(\.rawValue)
        }
        if let since = query.since {
            conditions.append("at_epoch_seconds >= ?")
            arguments.append(since.rawValue)
        }
        if let before = query.before {
            conditions.append("number < ?")
            arguments.append(before)
        }
        if let until = query.until {
            conditions.append("at_epoch_seconds <= ?")
            arguments.append(until.rawValue)
        }
        let condition = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let sql = "SELECT id, CAST(payload_json AS BLOB) FROM decisions \(condition) ORDER BY number \(query.newestFirst ? "DESC" : "ASC") LIMIT ?"
        arguments.append(max(0, query.limit))
        return try values(try database.cachedStatement(sql: sql), StatementArguments(arguments))
    }

    static func decision(_ id: DecisionID, in database: Database) throws -> Decision? {
        let statement = try database.cachedStatement(sql: "SELECT id, CAST(payload_json AS BLOB) FROM decisions WHERE id = ?")
        let found: [Decision] = try values(statement, [id.rawValue])
        return found.first
    }

    static func outcomes(of decision: DecisionID, in database: Database) throws -> [Outcome] {
        try values(
            try database.cachedStatement(sql: "SELECT decision, CAST(payload_json AS BLOB) FROM outcomes WHERE decision = ? ORDER BY number"),
            [decision.rawValue])
    }

    static func outcomes(task: TaskID?, in database: Database) throws -> [Outcome] {
        guard let task else {
            return try values(try database.cachedStatement(sql: "SELECT decision, CAST(payload_json AS BLOB) FROM outcomes ORDER BY number"), [])
        }
        let statement = try database.cachedStatement(
            sql: """
                SELECT outcomes.decision, CAST(outcomes.payload_json AS BLOB) FROM decisions JOIN outcomes ON outcomes.decision = decisions.id
                WHERE decisions.task = ? ORDER BY outcomes.number
                """)
        return try values(statement, [task.rawValue])
    }

    static func counts(after: Int64, through: Int64, in database: Database) throws -> [DecisionCount] {
        let statement = try database.cachedStatement(
            sql: "SELECT kind, mode, count(*) FROM decisions WHERE number > ? AND number <= ? GROUP BY kind, mode")
        return try Row.fetchAll(statement, arguments: [after, through]).map { row in
            let (name, how): (String, String) = (row[0], row[1])
            guard let kind = Decision.Kind(rawValue: name), let mode = CheckpointPolicy.Mode(rawValue: how) else {
                throw UnreadableRow(what: "the decisions", detail: "there is one of the kind \(name), mode \(how)")
            }
            return DecisionCount(subject: .init(kind: kind, mode: mode), count: row[2])
        }
    }

    static func outcomes(ofDecisionsSince since: Timestamp, in database: Database) throws -> [Outcome] {
        let statement = try database.cachedStatement(
            sql: """
                SELECT outcomes.decision, CAST(outcomes.payload_json AS BLOB) FROM decisions JOIN outcomes ON outcomes.decision = decisions.id
                WHERE decisions.at_epoch_seconds >= ? ORDER BY outcomes.number
                """)
        return try values(statement, [since.rawValue])
    }

    static func withoutOutcome(_ kind: Decision.Kind, in database: Database) throws -> Set<DecisionID> {
        let statement = try database.cachedStatement(
            sql: "SELECT id FROM decisions WHERE kind = ? AND NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes.decision = decisions.id)")
        return Set(try String.fetchAll(statement, arguments: [kind.rawValue]).map { DecisionID($0) })
    }

    static func highestNumber(in database: Database) throws -> Int64 {
        try Int64.fetchOne(try database.cachedStatement(sql: "SELECT max(number) FROM decisions")) ?? 0
    }

    /// The number in `d12` or `d000012`: decisions are kept and listed in the order of their numbers.
    static func number(of id: DecisionID) throws -> Int64 {
        guard id.rawValue.hasPrefix("d"), let number = Int64(id.rawValue.dropFirst()), number > 0 else {
            throw UnreadableRow(what: "decision \(id)", detail: "its name is not `d` and a number")
        }
        return number
    }

    private static func values<Value: Decodable>(_ statement: Statement, _ arguments: StatementArguments) throws -> [Value] {
        var payload = Payload()
        var found: [Value] = []
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try rows.next() {
            let name: String = row[0]
            let what = "\(Value.self) \(name)"
            found.append(try payload.value(Value.self, PackedPayload.text(row[1], of: what), of: what))
        }
        return found
    }
}
