import Ports
import Vocabulary

extension Report {
    /// A summary for the terminal.
    /// - Parameter width: columns, at least 40.
    package func text(width: Int = 80) -> String {
        var page = TextPage(width: width)
        page.heading("Audit report", Words.moment(generatedAt.time))
        page.rule("=")
        if let from, let to {
            page.paragraph(
                "\(Words.count(eventCount, "event")) from \(Words.moment(from.time)) to \(Words.moment(to.time)), \(Words.count(decisionCount, "decision"))."
            )
        } else {
            page.paragraph("The ledger is empty: nothing happened that could be reported.")
        }
        if !tasks.isEmpty {
            let counts = Standing.allCases.map { standing in (standing, tasks.count { $0.verdict == standing }) }.filter { $0.1 > 0 }
            page.paragraph(
                "Promises: " + counts.map { "\(Words.count($1, "task")) \($0 == .notObserved ? "open" : $0.words)" }.joined(separator: ", ") + ".")
        }
        if let period { page.paragraph(period.words) }
        writeTotals(to: &page)
        for task in tasks { task.write(to: &page) }
        writeNodes(to: &page)
        if !calibration.models.isEmpty || calibration.deadlines != nil {
            page.blank()
            page.paragraph("Calibration of the forecasts")
            calibration.write(to: &page)
        }
        if !incidents.isEmpty {
            page.blank()
            page.paragraph("Incidents")
            let start = from?.time ?? generatedAt.time
            page.table(
                [.init(title: "when"), .init(title: "what", takesRest: true)],
                incidents.suffix(20).map { [Words.offset(span(start, $0.at.time)), $0.sentence] })
            if incidents.count > 20 { page.paragraph("… and \(incidents.count - 20) before these.", indent: 2) }
        }
        if let proof {
            page.blank()
            page.paragraph("Proof")
            for (term, words) in proof.words { page.entry(term, words, column: 11) }
        }
        return page.text
    }

    private func writeTotals(to page: inout TextPage) {
        guard tasks.count > 1 else { return }
        page.blank()
        page.paragraph("All tasks")
        for (term, words) in totals.words { page.entry(term, words) }
    }

    private func writeNodes(to page: inout TextPage) {
        guard !nodes.isEmpty else { return }
        page.blank()
        page.paragraph("Nodes")
        page.table(
            [
                .init(title: "node"), .init(title: "standing"), .init(title: "losses", isRight: true), .init(title: "seen alive", isRight: true),
                .init(title: "hypervisor", takesRest: true),
            ],
            nodes.map { [$0.node.rawValue, $0.standing.rawValue, "\($0.failures)", Words.duration($0.exposureSeconds), $0.hypervisor ?? "unknown"] })
    }
}

private func writePredictions(_ predictions: [PredictionReport], _ title: String, indent: Int = 0, to page: inout TextPage) {
    guard !predictions.isEmpty else { return }
    page.blank()
    page.paragraph(title, indent: indent)
    page.table(
        [
            .init(title: "quantity"), .init(title: "n", isRight: true), .init(title: "predicted", isRight: true),
            .init(title: "observed", isRight: true),
            .init(title: "typical miss", isRight: true), .init(title: "ratio", isRight: true),
        ],
        predictions.map {
            [
                $0.quantity, "\($0.count)", Words.quantity($0.quantity, $0.meanPredicted), Words.quantity($0.quantity, $0.meanObserved),
                Words.quantity($0.quantity, $0.meanAbsoluteError), $0.medianRatio.map { Words.significant($0, 3) } ?? "-",
            ]
        })
}

extension TaskReport {
    private func since(_ moment: Moment) -> String { Words.offset(span(happened.submittedAt.time, moment.time)) }

    func write(to page: inout TextPage) {
        page.blank()
        page.heading("Task \(task)", verdict == .notObserved ? "OPEN" : verdict.words.uppercased())
        page.rule("-")
        page.paragraph(sentence, indent: 2)
        page.entry("state", outline)
        page.entry("result", happened.result ?? "none")
        if let union = lives.last(where: { $0.union != nil })?.union {
            page.entry("union", union.kind.rawValue + (union.options.isEmpty ? "" : " (\(union.options))"))
        }
        page.entry("declared", "\(Words.short(promised.sla)), policy \(promised.policy), prefers \(promised.preference)")
        if let penalty = penaltyWords { page.entry("penalty", penalty) }
        writePromises(to: &page)
        writeCost(to: &page)
        writeFailures(to: &page)
        writeCheckpoints(to: &page)
        writeDecisions(to: &page)
        writePredictions(predictions, "Predicted and observed, means", indent: 2, to: &page)
    }

    /// Where it is in its life, with the moments that matter.
    package var outline: String {
        let elapsed = Words.duration(happened.elapsedSeconds)
        let place = happened.node.map { " on \($0) in epoch \(happened.epoch)" } ?? ""
        guard let ended = happened.endedAt else { return "\(state)\(place), \(elapsed) after submission, \(Words.share(happened.progress)) done" }
        return "\(state)\(place) at \(Words.moment(ended.time)), \(elapsed) after submission" + (happened.reason.map { " (\($0))" } ?? "")
    }

    var penaltyWords: String? {
        guard let amount = promised.penaltyAmount, let per = promised.penaltyPerSeconds, let currency = promised.penaltyCurrency else { return nil }
        let terms =
            "\(Words.money(Money(amount, currency))) for each \(Words.duration(per)) late"
            + (promised.penaltyCap.map { ", at most \(Words.money(Money($0, currency)))" } ?? "")
        guard let owed = happened.penaltyOwed else { return "\(terms); there is no deadline to be late for" }
        if owed > 0 {
            return "\(Words.money(Money(owed, currency))) owed\(happened.penaltyIsFinal == true ? "" : " so far, and it grows") (\(terms))"
        }
        return "nothing owed\(happened.penaltyIsFinal == true ? "" : " so far") (\(terms))"
    }

    private func writePromises(to page: inout TextPage) {
        guard !promises.isEmpty else {
            page.entry("promises", "none: the SLA has no deadline and no limits")
            return
        }
        page.blank()
        page.table(
            [
                .init(title: "promise"), .init(title: "limit", isRight: true), .init(title: "observed", isRight: true), .init(title: "standing"),
                .init(title: "", takesRest: true),
            ],
            promises.map { [PromiseJudge.title($0.name), $0.limitWords, $0.observedWords, $0.standing.words, $0.sentence] })
    }

    private func writeCost(to page: inout TextPage) {
        page.blank()
        page.paragraph("Cost", indent: 2)
        for (term, words) in costWords { page.entry(term, words, indent: 4, column: 13) }
    }

    var costWords: [(String, String)] {
        var stopped = "\(Words.duration(cost.stopSeconds)) of \(Words.duration(cost.runningSeconds)) running"
        if let share = cost.stoppedShare { stopped += " (\(Words.share(share)))" }
        if let longest = cost.longestStopSeconds, cost.committedCheckpoints > 1 { stopped += ", \(Words.duration(longest)) at a time at most" }
        var made = "\(cost.committedCheckpoints) committed"
        if cost.failedCheckpoints > 0 { made += ", \(cost.failedCheckpoints) failed" }
        var sent = Words.bytes(cost.sentBytes)
        if cost.storedBytes != cost.sentBytes { sent += " (\(Words.bytes(cost.storedBytes)) with all copies)" }
        if cost.fetchedBytes > .zero { sent += ", \(Words.bytes(cost.fetchedBytes)) fetched to resume" }
        var words = [("checkpoints", made), ("stopped", stopped), ("sent", sent)]
        if cost.committedCheckpoints > 0 {
            words.append(("upload", "\(Words.duration(cost.uploadSeconds)); compression, beside it, \(Words.duration(cost.compressSeconds))"))
        }
        if cost.storedGiBHours > 0 { words.append(("kept", "\(Words.significant(cost.storedGiBHours, 3)) GiB hours in the store")) }
        if let currency = cost.currency, let time = cost.timeCost, let network = cost.networkCost, let storage = cost.storageCost {
            words.append(
                (
                    "in money",
                    "\(Words.cost(time)) for time, \(Words.cost(network)) for the network, \(Words.cost(storage)) for storage, in \(currency)"
                ))
        }
        if !failures.isEmpty {
            words.append(("failures", "\(Words.duration(cost.lostWorkSeconds)) of work lost, \(Words.duration(cost.downSeconds)) down"))
        }
        return words
    }

    private func writeFailures(to page: inout TextPage) {
        guard !failures.isEmpty else { return }
        page.blank()
        page.paragraph("Failures and resumptions", indent: 2)
        for failure in failures { page.paragraph("\(since(failure.at))  \(failure.words)", indent: 4, hanging: 10) }
    }

    private func writeCheckpoints(to page: inout TextPage) {
        guard !checkpoints.isEmpty else { return }
        page.blank()
        page.paragraph("Checkpoints", indent: 2)
        page.table(
            [
                .init(title: "checkpoint"), .init(title: "captured", isRight: true), .init(title: "done", isRight: true),
                .init(title: "stop", isRight: true),
                .init(title: "in all", isRight: true), .init(title: "sent", isRight: true), .init(title: "codec"), .init(title: "status"),
            ],
            checkpoints.suffix(30).map { made in
                [
                    made.checkpoint.rawValue, (made.capturedAt ?? made.startedAt).map(since) ?? "-", made.progress.map(Words.share) ?? "-",
                    made.stopSeconds.map(Words.duration) ?? "-", made.latencySeconds.map(Words.duration) ?? "-",
                    made.sentBytes.map { Words.bytes($0) } ?? "-",
                    made.codecWords, made.statusWords,
                ]
            }, indent: 2)
        if checkpoints.count > 30 { page.paragraph("… and \(checkpoints.count - 30) before these.", indent: 4) }
    }

    private func writeDecisions(to page: inout TextPage) {
        guard !decisions.isEmpty else { return }
        page.blank()
        var kinds: [Decision.Kind: Int] = [:]
        for decision in decisions { kinds[decision.kind, default: 0] += 1 }
        let counts = Decision.Kind.allCases.compactMap { kind in kinds[kind].map { "\($0) \(kind.rawValue)" } }.joined(separator: ", ")
        page.paragraph("Decisions (\(counts))", indent: 2)
        page.table(
            [
                .init(title: "decision"), .init(title: "when", isRight: true), .init(title: "came out"), .init(title: "sentence", takesRest: true),
            ],
            decisions.suffix(12).map {
                [
                    $0.decision.rawValue, since($0.at), $0.hindsight?.verdict.rawValue ?? "-",
                    $0.sentence + ($0.mode == .audit ? " (Audit: recorded, not acted on)" : "")
                        + ($0.hindsight?.verdict == .badly ? " But: \($0.hindsight?.sentence ?? "")" : ""),
                ]
            })
        for total in Totals.hindsights(decisions) { page.paragraph("\(total.words).", indent: 4, hanging: 2) }
        if decisions.count > 12 { page.paragraph("… and \(decisions.count - 12) before these: `cairn decisions --task \(task)`.", indent: 4) }
    }
}

extension Promise {
    private func words(_ value: Double) -> String {
        switch unit {
        case .seconds: Words.duration(Seconds(value))
        case .share: Words.share(value)
        }
    }
    var limitWords: String { words(limit) }
    var observedWords: String { observed.map(words) ?? "-" }
}

extension CheckpointReport {
    package var statusWords: String { resumptions > 0 ? "resumed" : status.rawValue }
    package var codecWords: String {
        guard let codec else { return "-" }
        return codec.rawValue
            + (replication.map { $0 == 1 ? "" : $0 == Replication($0.memory) ? "×\($0.memory)" : "×\($0.memory)/\($0.delta)" } ?? "")
    }
}

extension Interruption {
    /// What happened, what it cost, and how it went on, with the standing of each limit.
    var words: String {
        func held(_ standing: Standing) -> String { standing == .notObserved ? "" : " (limit \(standing.words))" }
        var sentence = "\(node), epoch \(epoch): \(cause.words)" + (reason.map { ", \($0)" } ?? "")
        if detectedAt > at { sentence += ", declared \(Words.duration(span(at.time, detectedAt.time))) after it was last heard" }
        sentence += ". " + (lostWorkSeconds.map { "Lost \(Words.duration($0)) of work" } ?? "What work was lost is not known")
        if let lostProgress { sentence += ", \(Words.share(lostProgress)) of the task" }
        sentence += held(lostWorkStanding) + ". "
        guard let resumedOn, let recoverySeconds else { return sentence + "It has not run again\(held(recoveryStanding))." }
        return sentence
            + "Ran again on \(resumedOn) from \(checkpoint?.rawValue ?? "the beginning") after \(Words.duration(recoverySeconds))\(held(recoveryStanding))."
    }
}

extension ReportPeriod {
    var words: String {
        let beginning = since.map { "From \(Words.moment($0.time))" } ?? "From the beginning"
        return beginning + (until.map { " to \(Words.moment($0.time))" } ?? "")
            + ": cost, failures, checkpoints and decisions are of that time; promises are judged by all that was known at its end."
    }
}

extension LedgerProof {
    /// What it takes to find the report's ledger again, and to miss it.
    var words: [(String, String)] {
        var words = [("ledger", head.ledger), ("record", "\(head.record)"), ("head", head.digest)]
        guard let signed else { return words + [("signed", "not yet")] }
        words.append(("signed", "record \(signed.head.record) at \(Words.moment(signed.atEpochSeconds))"))
        if signed.head.digest != head.digest { words.append(("", signed.head.digest)) }
        return words + [
            ("key", "\(signed.fingerprint.split(separator: ":").last ?? "") (its SHA-256)"),
            ("signature", "\(signed.signature.prefix(64)) \(signed.signature.dropFirst(64))"),
        ]
    }
}

extension Totals {
    var words: [(String, String)] {
        var stopped = "\(Words.duration(stopSeconds)) of \(Words.duration(runningSeconds)) running"
        if let stoppedShare { stopped += " (\(Words.share(stoppedShare)))" }
        var sent = "\(Words.bytes(sentBytes)) (\(Words.bytes(storedBytes)) with all copies)"
        if fetchedBytes > .zero { sent += ", \(Words.bytes(fetchedBytes)) fetched to resume" }
        var words = [
            ("checkpoints", "\(committedCheckpoints) committed" + (failedCheckpoints > 0 ? ", \(failedCheckpoints) failed" : "")),
            ("stopped", stopped), ("sent", sent), ("kept", "\(Words.significant(storedGiBHours, 3)) GiB hours in the store"),
            ("failures", "\(failures), \(Words.duration(lostWorkSeconds)) of work lost, \(Words.duration(downSeconds)) down"),
        ]
        for total in money {
            words.append(
                (
                    "in \(total.currency)",
                    "\(Words.cost(total.timeCost)) for time, \(Words.cost(total.networkCost)) for the network, "
                        + "\(Words.cost(total.storageCost)) for storage; \(Words.fixed(total.penaltyOwed, 2)) of penalties owed"
                ))
        }
        if !hindsights.isEmpty { words.append(("decisions", hindsights.map(\.words).joined(separator: "; "))) }
        return words
    }
}

extension Totals.HindsightTotal {
    var words: String {
        let parts = [(well, "well"), (badly, "badly"), (untested, "not put to the test"), (open, "open")].filter { $0.0 > 0 }
        return "\(kind.rawValue): " + parts.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }
}
