import AuditReport
import Hummingbird
import Ports
import Vocabulary

/// What is asked about decisions.
enum DecisionRoutes {
    static func all(_ ledger: any Ledger) -> [Route] {
        [
            Route(.get, "/v1/decisions", for: .readers) { call in
                try call.query.only("task", "kind", "before", "limit")
                let limit = try call.query.whole("limit", in: 1...1_000) ?? 100
                let before = try call.query["before"].map { text -> Int64 in
                    guard text.hasPrefix("d"), text.dropFirst().utf8.allSatisfy({ (48...57).contains($0) }), let number = Int64(text.dropFirst())
                    else {
                        throw CommandError.invalid(["before: \(text) is no decision: they are called d000012"])
                    }
                    return number
                }
                let kind = try call.query.choice("kind", Decision.Kind.self)
                // One more than is wanted tells whether there is a next page.
                let found = try await ledger.decisions(
                    DecisionQuery(
                        task: call.query["task"].map { TaskID($0) }, kinds: kind.map { [$0] } ?? [], before: before, newestFirst: true,
                        limit: limit + 1))
                var page: [DecisionReport] = []
                for decision in found.prefix(limit) { page.append(DecisionReport(decision, outcomes: try await ledger.outcomes(of: decision.id))) }
                return try .json(Page(decisions: page, next: found.count > limit ? page.last?.decision : nil))
            },
            Route(.get, "/v1/decisions/{decision}", for: .readers) { call in
                try call.query.only()
                let id = DecisionID(call.parameters["decision"] ?? "")
                guard let decision = try await ledger.decision(id) else { throw CommandError.notFound("no decision \(id)") }
                return try .json(DecisionReport(decision, outcomes: try await ledger.outcomes(of: id)))
            },
        ]
    }

    private struct Page: Encodable {
        var decisions: [DecisionReport]
        var next: DecisionID?
    }
}
