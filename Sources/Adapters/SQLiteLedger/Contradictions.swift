import GRDB
import Vocabulary

/// What a changed row still tells of what was changed: most of its columns are in its payload as well.
enum Contradictions {
    static func words(_ table: String, row: Int64, in database: Database) -> String {
        do {
            let found = try of(table, row: row, in: database)
            return found.isEmpty
                ? "the row was changed, where nothing else tells what it held" : "the row was changed: " + found.joined(separator: "; ")
        } catch let error as UnreadableRow {
            return "the row was changed: \(error.what) cannot be read (\(error.detail))"
        } catch { return "the row was changed: it cannot be read (\(error))" }
    }

    private static func of(_ table: String, row: Int64, in database: Database) throws -> [String] {
        guard let chained = Chain.tables.first(where: { $0.name == table }),
            let found = try Row.fetchOne(database, sql: "SELECT * FROM \(table) WHERE \(chained.key) = ?", arguments: [row])
        else { return [] }
        var payload = Payload()
        func compare(_ expected: [(String, (any DatabaseValueConvertible)?)]) -> [String] {
            expected.compactMap { column, value in
                let there: DatabaseValue = found[column]
                let value = value?.databaseValue ?? .null
                return there == value ? nil : "\(column) is \(there), its payload says \(value)"
            }
        }
        switch table {
        case "events":
            let subject = EventTable.Subject(of: try payload.value(Event.self, found["payload_json"], of: "the payload of event \(row)"))
            return compare([("kind", subject.kind), ("task", subject.task?.rawValue)])
        case "decisions":
            let what = "the payload of decision \(row)"
            let decision = try payload.value(Decision.self, PackedPayload.text(found["payload_json"], of: what), of: what)
            return compare([
                ("number", try DecisionTable.number(of: decision.id)), ("id", decision.id.rawValue), ("at_epoch_seconds", decision.at.rawValue),
                ("kind", decision.kind.rawValue), ("task", decision.task?.rawValue), ("node", decision.node?.rawValue),
                ("mode", decision.mode.rawValue), ("sla_digest", decision.sla?.digest), ("policy_digest", decision.policy?.digest),
                ("sentence", decision.sentence),
            ])
        case "outcomes":
            let outcome = try payload.value(Outcome.self, found["payload_json"], of: "the payload of outcome \(row)")
            return compare([
                ("decision", outcome.decision.rawValue), ("at_epoch_seconds", outcome.at.rawValue), ("quantity", outcome.quantity),
                ("predicted", outcome.predicted), ("observed", outcome.observed),
            ])
        default: return []
        }
    }
}
