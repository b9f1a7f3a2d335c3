import Ports
import Vocabulary

/// Why a decision was made, what came of it, and what another preference would have made of it. The JSON contract is in docs/json.md.
package struct Explanation: Hashable, Sendable, Codable {
    package static let schema = "cairn.explanation/v1"
    package var schema = Explanation.schema
    package var decision: DecisionReport
    /// The prices that the task's preference stood for.
    package var prices: PricesInForce?
    /// The reasons, each a sentence with its numbers.
    package var why: [String]
    /// What would have had to be different for another choice, what is nearest first; nil where it was not asked for or cannot be said.
    package var whatIf: [Counterfactual]?
    package var comparison: Comparison?

    /// Another task's decision beside this one.
    package struct Comparison: Hashable, Sendable, Codable {
        package var decision: DecisionReport
        package var prices: PricesInForce?
        /// What would have been chosen here with the other's prices, and there with these.
        package var hereWithThosePrices: Repricing?
        package var thereWithThesePrices: Repricing?
        /// Inputs that both have and that differ by more than a hundredth.
        package var differentInputs: [InputPair]
        /// The difference in sentences.
        package var sentences: [String]
    }

    package struct InputPair: Hashable, Sendable, Codable {
        package var name: String
        package var here: Double
        package var there: Double
    }

    /// The alternatives that were weighed, at other prices.
    package struct Repricing: Hashable, Sendable, Codable {
        package struct Total: Hashable, Sendable, Codable {
            package var name: String
            package var totalCost: Double
            package var isAllowed: Bool
        }
        package var preference: String
        package var totals: [Total]
        /// The cheapest that breaks no limit; nil: all break one.
        package var wouldChoose: String?
        /// False where a term cannot be computed at these prices and was left out.
        package var isWhole: Bool
    }

    /// - Parameter other: what it is compared with; nil: of all tasks with another preference, the decision of the same kind that is
    ///   nearest in time.
    /// - Parameter whatIf: plans again with other numbers; this room decides nothing itself.
    /// - Returns: nil if there is no such decision.
    package static func read(
        decision id: DecisionID, comparedWith other: DecisionID?, from ledger: any Ledger, whatIf: (Decision) -> [Counterfactual]? = { _ in nil }
    ) async throws(LedgerError) -> Explanation? {
        guard let decision = try await ledger.decision(id) else { return nil }
        let context = DeclarationContext(events: try await ledger.declarations())
        let compared: Decision?
        if let other {
            guard let found = try await ledger.decision(other) else { return nil }
            compared = found
        } else {
            compared = try await context.counterpart(of: decision, in: ledger)
        }
        var outcomes = try await ledger.outcomes(of: id)
        if let compared { outcomes += try await ledger.outcomes(of: compared.id) }
        return make(decision, outcomes: outcomes, context: context, comparedWith: compared, whatIf: whatIf(decision))
    }

    package static func make(
        _ decision: Decision, outcomes: [Outcome], context: DeclarationContext, comparedWith other: Decision? = nil,
        whatIf: [Counterfactual]? = nil
    ) -> Explanation {
        let prices = context.preference(of: decision)
        return Explanation(
            decision: DecisionReport(decision, outcomes: outcomes), prices: prices, why: Reasons(decision: decision, prices: prices).sentences,
            whatIf: whatIf,
            comparison: other.map { other in
                Difference(here: decision, there: other, thesePrices: prices, thosePrices: context.preference(of: other), outcomes: outcomes)
                    .comparison
            })
    }

    package func json() -> String { JSONText.of(self) }
}

extension DeclarationContext {
    /// The nearest is looked for further and further away: a ledger may hold very many.
    func counterpart(of decision: Decision, in ledger: any Ledger) async throws(LedgerError) -> Decision? {
        for reach in [Seconds.hours(1), .hours(24), .hours(24 * 30), Seconds(.infinity)] {
            let query = DecisionQuery(
                kinds: [decision.kind], since: Timestamp(decision.at.rawValue - reach.rawValue), until: decision.at + reach, limit: .max)
            if let found = counterpart(of: decision, among: try await ledger.decisions(query)) { return found }
        }
        return nil
    }

    /// Of the candidates about another task with other prices, the one nearest in time.
    func counterpart(of decision: Decision, among candidates: [Decision]) -> Decision? {
        guard let here = preference(of: decision) else { return nil }
        return candidates.filter { candidate in
            candidate.task != decision.task && candidate.kind == decision.kind && preference(of: candidate).map { $0.prices != here.prices } ?? false
        }.min { abs(($0.at - decision.at).rawValue) < abs(($1.at - decision.at).rawValue) }
    }
}

extension Explanation.Repricing {
    /// Each term of a cost is its price times a quantity, so that other prices only scale it; a penalty is the SLA's and stays.
    init(_ decision: Decision, from: Prices, to new: PricesInForce) {
        let to = new.prices
        var isWhole = true
        totals = decision.alternatives.map { alternative in
            let time =
                from.timePerHour > 0
                ? alternative.timeCost * (to.timePerHour / from.timePerHour) : to.timePerSecond * alternative.expectedSeconds.rawValue
            let network =
                from.networkPerGiB > 0
                ? alternative.networkCost * (to.networkPerGiB / from.networkPerGiB)
                : to.networkPerByte * Double(alternative.expectedSentBytes.rawValue)
            var storage = 0.0
            if from.storagePerGiBHour > 0 {
                storage = alternative.storageCost * (to.storagePerGiBHour / from.storagePerGiBHour)
            } else if to.storagePerGiBHour > 0 {
                isWhole = false
            }
            return Total(
                name: alternative.name, totalCost: time + network + storage + alternative.penaltyCost, isAllowed: alternative.violations.isEmpty)
        }
        preference = new.preference
        self.isWhole = isWhole
        wouldChoose = totals.filter(\.isAllowed).min { $0.totalCost < $1.totalCost }?.name
    }
}

/// Why this alternative and no other, in sentences.
private struct Reasons {
    let decision: Decision
    let prices: PricesInForce?

    private var currency: String { prices.map { " \($0.currency)" } ?? "" }
    private func cost(_ amount: Double) -> String { Words.cost(amount) + currency }

    private var chosen: Alternative? {
        decision.chosen.flatMap { decision.alternatives.indices.contains($0) ? decision.alternatives[$0] : nil }
    }
    private var others: [Alternative] { decision.alternatives.enumerated().filter { $0.offset != decision.chosen }.map(\.element) }

    var sentences: [String] {
        var sentences: [String] = []
        if let chosen {
            if let nextBest = others.filter({ $0.violations.isEmpty }).min(by: { $0.totalCost < $1.totalCost }) {
                sentences.append(against(nextBest, chosen))
            } else if decision.alternatives.count == 1 {
                sentences.append("“\(chosen.name)” was the only alternative; it is expected to cost \(cost(chosen.totalCost)).")
            } else {
                sentences.append("“\(chosen.name)” is expected to cost \(cost(chosen.totalCost)). No other alternative keeps all limits.")
            }
            if let refused = others.filter({ !$0.violations.isEmpty && $0.totalCost < chosen.totalCost }).min(by: { $0.totalCost < $1.totalCost }) {
                sentences.append(
                    "“\(refused.name)” would be cheaper (\(cost(refused.totalCost))) but breaks a limit: \(refused.violations.joined(separator: "; "))."
                )
            }
            if !chosen.violations.isEmpty {
                sentences.append("It was recorded that it cannot keep everything: \(chosen.violations.joined(separator: "; ")).")
            }
            if let met = chosen.probabilityMet { sentences.append("With it the deadline is met with a probability of \(Words.share(met.rawValue)).") }
        }
        if let binding = decision.binding { sentences.append("The limit that bound: \(binding).") }
        if let prices, let seconds = prices.secondsPerGiBSent, chosen != nil {
            sentences.append("The preference \(prices.preference) makes a GiB on the network worth \(Words.duration(seconds)) of the task's time.")
        }
        if !decision.rules.isEmpty { sentences.append("Rules of the policy that applied: \(decision.rules.joined(separator: ", ")).") }
        if decision.mode == .audit { sentences.append("The policy is in Audit mode: this was recorded, and not acted on.") }
        return sentences
    }

    private func against(_ other: Alternative, _ chosen: Alternative) -> String {
        let terms = [
            ("time", other.timeCost - chosen.timeCost), ("network", other.networkCost - chosen.networkCost),
            ("storage", other.storageCost - chosen.storageCost), ("penalty", other.penaltyCost - chosen.penaltyCost),
        ]
        let difference = other.totalCost - chosen.totalCost
        let scale = max(abs(other.totalCost), abs(chosen.totalCost)) * 1e-6
        let parts = terms.filter { $0.1.isFinite && abs($0.1) > scale }.map { "\($0) \(cost(abs($1))) \($1 > 0 ? "more" : "less")" }
        let how = parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
        let comparison = difference > scale ? "\(cost(difference)) more" : difference < -scale ? "\(cost(-difference)) less" : "as much"
        return
            "“\(chosen.name)” is expected to cost \(cost(chosen.totalCost)); the next best that keeps all limits, “\(other.name)”, \(comparison)\(how)."
    }
}

/// How another preference made another decision.
private struct Difference {
    let here: Decision
    let there: Decision
    let thesePrices: PricesInForce?
    let thosePrices: PricesInForce?
    let outcomes: [Outcome]

    private func name(_ decision: Decision) -> String { decision.task?.rawValue ?? decision.id.rawValue }
    private func chosen(_ decision: Decision) -> String? {
        decision.chosen.flatMap { decision.alternatives.indices.contains($0) ? decision.alternatives[$0].name : nil }
    }

    var comparison: Explanation.Comparison {
        var hereThen: Explanation.Repricing?
        var thereThen: Explanation.Repricing?
        if let thesePrices, let thosePrices, thesePrices.currency == thosePrices.currency {
            if here.chosen != nil { hereThen = .init(here, from: thesePrices.prices, to: thosePrices) }
            if there.chosen != nil { thereThen = .init(there, from: thosePrices.prices, to: thesePrices) }
        }
        return .init(
            decision: DecisionReport(there, outcomes: outcomes), prices: thosePrices, hereWithThosePrices: hereThen, thereWithThesePrices: thereThen,
            differentInputs: differentInputs, sentences: sentences(hereThen, thereThen))
    }

    private var differentInputs: [Explanation.InputPair] {
        here.inputs.compactMap { input in
            guard let other = there.inputs.first(where: { $0.name == input.name }) else { return nil }
            guard abs(input.value - other.value) > 0.01 * max(abs(input.value), abs(other.value)) else { return nil }
            return .init(name: input.name, here: input.value, there: other.value)
        }
    }

    private func sentences(_ hereThen: Explanation.Repricing?, _ thereThen: Explanation.Repricing?) -> [String] {
        var sentences: [String] = []
        guard here.kind == there.kind else {
            return [
                "Decision \(there.id) is of another kind (\(there.kind.rawValue), not \(here.kind.rawValue)): what was weighed cannot be compared."
            ]
        }
        switch (chosen(here), chosen(there)) {
        case (let these?, let those?) where these == those: sentences.append("Both chose “\(these)”.")
        case (let these?, let those?): sentences.append("\(name(here)) chose “\(these)”; \(name(there)) chose “\(those)”.")
        default: return ["There was nothing to choose between."]
        }
        guard let thesePrices, let thosePrices else {
            return sentences + ["The prices in force for one of them are not in the ledger, so what they changed cannot be said."]
        }
        guard thesePrices.currency == thosePrices.currency else {
            return sentences + ["Their policies reckon in \(thesePrices.currency) and \(thosePrices.currency), so their costs cannot be compared."]
        }
        if thesePrices.prices == thosePrices.prices {
            return sentences + ["Both have the same prices: what differs comes from their inputs and limits."]
        }
        if let a = thesePrices.secondsPerGiBSent, let b = thosePrices.secondsPerGiBSent {
            let factor = a > .zero && b > .zero ? max(a / b, b / a) : nil
            let more = factor.map { $0 > 1.005 ? ", \(Words.significant($0, 2)) times as much," : "" } ?? ""
            let (dear, cheap) = b > a ? (thosePrices, thesePrices) : (thesePrices, thosePrices)
            sentences.append(
                "A GiB on the network is worth \(Words.duration(min(a, b))) of the task's time to \(cheap.preference) and \(Words.duration(max(a, b)))\(more) to \(dear.preference)."
            )
        }
        if let stretch { sentences.append(stretch) }
        if let hereThen, let these = chosen(here) { sentences.append(told(hereThen, instead: these, of: here)) }
        if let thereThen, let those = chosen(there) { sentences.append(told(thereThen, instead: those, of: there)) }
        let others = differentInputs.filter { !$0.name.hasPrefix("price") }
        if !others.isEmpty {
            sentences.append(
                "Their inputs differ too: \(others.prefix(6).map { "\($0.name) \(Words.quantity($0.name, $0.here)) and \(Words.quantity($0.name, $0.there))" }.joined(separator: ", "))."
            )
        }
        return sentences
    }

    /// The network's price acts like an addition of p_network·B·r/p_time to a checkpoint's cost C + I, and to first order the best interval
    /// grows with the root of it. Source: Young, CACM 1974, τ = √(2CM), with prices as in the planning model.
    private var stretch: String? {
        guard let thesePrices, let thosePrices, thesePrices.timePerHour > 0, thosePrices.timePerHour > 0, let index = here.chosen,
            here.alternatives.indices.contains(index), let interval = here.alternatives[index].intervalSeconds
        else { return nil }
        func input(_ name: String) -> Double? { here.inputs.first { $0.name == name }?.value }
        guard let stop = input("stopSeconds"), let sent = input("sentBytes"), sent > 0 else { return nil }
        let work = stop + (input("interferenceSeconds") ?? 0)
        let bytes = sent * (here.alternatives[index].replication ?? 1)
        func worth(_ prices: PricesInForce) -> Double { bytes * prices.prices.networkPerByte / prices.prices.timePerSecond }
        let (these, those) = (worth(thesePrices), worth(thosePrices))
        guard work + these > 0 else { return nil }
        let factor = ((work + those) / (work + these)).squareRoot()
        let effect =
            abs(factor - 1) < 0.02
            ? "to first order that leaves the interval as it is"
            : "to first order (√) that makes the best interval \(Words.significant(factor, 2)) times as long, so that "
                + "\(Words.duration(interval)) would become about \(Words.duration(interval * factor)) where no limit binds"
        return
            "A checkpoint of \(name(here)) takes \(Words.duration(Seconds(work))) of the task's time and sends \(Words.bytes(bytes)) with all copies, "
            + "worth \(Words.duration(Seconds(these))) to \(thesePrices.preference) and \(Words.duration(Seconds(those))) to \(thosePrices.preference): \(effect)."
    }

    private func told(_ repricing: Explanation.Repricing, instead actual: String, of decision: Decision) -> String {
        let currency = thesePrices?.currency ?? ""
        func amount(_ name: String) -> String {
            repricing.totals.first { $0.name == name }.map { "\(Words.cost($0.totalCost)) \(currency)" } ?? "unknown"
        }
        let part = repricing.isWhole ? "" : ", storage left out"
        let start = "With the prices of \(repricing.preference) and the inputs of \(name(decision))"
        guard let would = repricing.wouldChoose else { return start + " no alternative would have kept all limits." }
        if would == actual {
            let free = repricing.totals.min { $0.totalCost < $1.totalCost }
            let why =
                free.map { free in
                    free.name == actual
                        ? "of what was weighed there, the preference made no difference"
                        : "“\(free.name)” would have been cheaper still (\(amount(free.name))), but breaks a limit: it is the limits that decided"
                } ?? ""
            return start + " the choice would have been the same, “\(actual)”, at \(amount(actual))\(part): \(why)."
        }
        return start + ", of what was weighed, “\(would)” would have been chosen (\(amount(would))\(part)) and not “\(actual)” (\(amount(actual)))."
    }
}
