import AuditReport
import Planning
import Vocabulary

extension Admission {
    /// For the terminal.
    var text: String {
        var lines = ["\(task): \(isKept ? "can be kept" : "CANNOT be kept") on \(node), whose MTBF is \(Words.duration(Seconds(mtbfSeconds)))"]
        lines.append("  checkpoints: \(choice.name)")
        var finish = "  expected: \(Words.duration(choice.expectedSeconds)), \(Words.bytes(choice.expectedSentBytes)) sent"
        if let met = choice.probabilityMet, let deadlineSeconds {
            finish += "; the deadline in \(Words.duration(Seconds(deadlineSeconds))) is met with a probability of \(Words.share(met.rawValue))"
            if let confidence { finish += " (asked for: \(Words.share(confidence.rawValue)))" }
        }
        lines.append(finish)
        lines.append(
            "  expected cost: \(Words.cost(choice.totalCost)) (time \(Words.cost(choice.timeCost)), network \(Words.cost(choice.networkCost)), storage "
                + "\(Words.cost(choice.storageCost)), penalty \(Words.cost(choice.penaltyCost)))")
        if let binding { lines.append("  what binds: \(binding)") }
        for violation in choice.violations { lines.append("  broken: \(violation)") }
        if !isKept {
            let changes = wouldDo.map { $0.words(confidence) }
            lines.append(
                "  " + (changes.isEmpty ? "no one change of a declaration would do" : "any of these would do: " + changes.joined(separator: "; ")))
        }
        return lines.joined(separator: "\n")
    }
}

extension Admission.Change {
    /// "a deadline in 2 h 10 min for 99 % (not 2 h)".
    fileprivate func words(_ confidence: Probability?) -> String {
        let what =
            switch name {
            case "deadlineSeconds": "a deadline in"
            case "confidenceProbability": "a confidence of"
            case "lostWorkSeconds": "lost work up to"
            case "recoverySeconds": "a recovery up to"
            case "stoppedShare": "a stopped share up to"
            case "mtbfSeconds": "an MTBF of"
            default: name
            }
        let sureness = name == "deadlineSeconds" ? confidence.map { " for \(Words.share($0.rawValue))" } ?? "" : ""
        return "\(what) \(Words.quantity(name, enough))\(sureness) (not \(Words.quantity(name, declared)))"
    }
}
