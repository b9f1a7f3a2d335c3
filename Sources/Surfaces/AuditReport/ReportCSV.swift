import Ports
import Vocabulary

/// The tables that a report has as CSV.
package enum ReportTable: String, CaseIterable, Sendable {
    case proof, totals, tasks, checkpoints, failures, decisions, predictions, calibration, deadlines
}

extension Report {
    /// RFC 4180: commas, CRLF, quotes doubled, a header first; moments in RFC 3339, units in the names. Several tables follow each other
    /// with an empty line between them. The first column of each is named after what its rows are.
    ///
    /// Text that a spreadsheet would take for a formula gets an apostrophe in front.
    package func csv(_ tables: [ReportTable] = [.checkpoints, .decisions]) -> String {
        tables.map { table in
            var sheet = Sheet()
            switch table {
            case .proof: writeProof(to: &sheet)
            case .totals: writeTotals(to: &sheet)
            case .tasks: writeTasks(to: &sheet)
            case .checkpoints: writeCheckpoints(to: &sheet)
            case .failures: writeFailures(to: &sheet)
            case .decisions: writeDecisions(to: &sheet)
            case .predictions: writePredictions(to: &sheet)
            case .calibration: writeCalibration(to: &sheet)
            case .deadlines: writeDeadlines(to: &sheet)
            }
            return sheet.text
        }.joined(separator: "\r\n")
    }

    private func writeProof(to sheet: inout Sheet) {
        sheet.header(
            "proof", "record", "digest", "signedRecord", "signedDigest", "signedAtEpochSeconds", "key", "fingerprint", "signature", "since", "until")
        guard let proof else { return }
        let signed = proof.signed
        sheet.row(
            .text(proof.head.ledger), .number64(proof.head.record), .text(proof.head.digest), .number64(signed?.head.record),
            .text(signed?.head.digest), .number(signed?.atEpochSeconds.rawValue), .text(signed?.key), .text(signed?.fingerprint),
            .text(signed?.signature), .moment(period?.since), .moment(period?.until))
    }

    /// One row for each currency; without any, one without.
    private func writeTotals(to sheet: inout Sheet) {
        sheet.header(
            "totals", "tasks", "kept", "broken", "notObserved", "committedCheckpoints", "failedCheckpoints", "runningSeconds", "stopSeconds",
            "sentBytes", "storedBytes", "fetchedBytes", "storedGiBHours", "failures", "lostWorkSeconds", "downSeconds", "timeCost", "networkCost",
            "storageCost", "penaltyOwed")
        for money in totals.money.isEmpty ? [nil] : totals.money.map(Optional.some) {
            sheet.row(
                .text(money?.currency ?? "none"), .count(totals.tasks), .count(totals.kept), .count(totals.broken), .count(totals.notObserved),
                .count(totals.committedCheckpoints), .count(totals.failedCheckpoints), .seconds(totals.runningSeconds),
                .seconds(totals.stopSeconds), .bytes(totals.sentBytes), .bytes(totals.storedBytes), .bytes(totals.fetchedBytes),
                .number(totals.storedGiBHours), .count(totals.failures), .seconds(totals.lostWorkSeconds), .seconds(totals.downSeconds),
                .number(money?.timeCost), .number(money?.networkCost), .number(money?.storageCost), .number(money?.penaltyOwed))
        }
    }

    private func writeTasks(to sheet: inout Sheet) {
        sheet.header(
            "task", "state", "verdict", "preference", "result", "submittedAt", "startedAt", "endedAt", "elapsedSeconds", "deadline",
            "latenessSeconds",
            "penaltyOwed", "penaltyCurrency", "checkpoints", "stopSeconds", "stoppedShare", "sentBytes", "failures", "lostWorkSeconds", "downSeconds",
            "storedBytes",
            "fetchedBytes", "storedGiBHours", "currency", "timeCost", "networkCost", "storageCost")
        for task in tasks {
            sheet.row(
                .text(task.task.rawValue), .text(task.state), .text(task.verdict.rawValue), .text(task.promised.preference),
                .text(task.happened.result),
                .moment(task.happened.submittedAt), .moment(task.happened.startedAt), .moment(task.happened.endedAt),
                .seconds(task.happened.elapsedSeconds),
                .moment(task.promised.deadline), .seconds(task.happened.latenessSeconds), .number(task.happened.penaltyOwed),
                .text(task.promised.penaltyCurrency), .count(task.cost.committedCheckpoints), .seconds(task.cost.stopSeconds),
                .number(task.cost.stoppedShare), .bytes(task.cost.sentBytes), .count(task.failures.count), .seconds(task.cost.lostWorkSeconds),
                .seconds(task.cost.downSeconds), .bytes(task.cost.storedBytes), .bytes(task.cost.fetchedBytes), .number(task.cost.storedGiBHours),
                .text(task.cost.currency), .number(task.cost.timeCost), .number(task.cost.networkCost), .number(task.cost.storageCost))
        }
    }

    private func writeCheckpoints(to sheet: inout Sheet) {
        sheet.header(
            "checkpoint", "task", "status", "node", "epoch", "decision", "capturedAt", "committedAt", "progress", "way", "codec", "replication",
            "stopSeconds",
            "latencySeconds", "uploadSeconds", "compressSeconds", "memoryBytes", "diskBytes", "nonZeroBytes", "sentBytes", "includedBase",
            "resumptions",
            "reason")
        for task in tasks {
            for made in task.checkpoints {
                sheet.row(
                    .text(made.checkpoint.rawValue), .text(task.task.rawValue), .text(made.status.rawValue), .text(made.node?.rawValue),
                    .count(made.epoch.rawValue), .text(made.decision?.rawValue), .moment(made.capturedAt), .moment(made.committedAt),
                    .number(made.progress),
                    .text(made.way?.rawValue), .text(made.codec?.rawValue), .text(made.replication?.description), .seconds(made.stopSeconds),
                    .seconds(made.latencySeconds), .seconds(made.uploadSeconds), .seconds(made.compressSeconds), .bytes(made.memoryBytes),
                    .bytes(made.diskBytes), .bytes(made.nonZeroBytes), .bytes(made.sentBytes), .text(made.includedBase.map(String.init)),
                    .count(made.resumptions), .text(made.reason))
            }
        }
    }

    private func writeFailures(to sheet: inout Sheet) {
        sheet.header(
            "failure", "task", "cause", "reason", "node", "epoch", "detectedAt", "checkpoint", "lostWorkSeconds", "lostProgress", "lostWorkStanding",
            "resumedAt", "resumedOn", "recoverySeconds", "recoveryStanding", "foretoldBy")
        for task in tasks {
            for failure in task.failures {
                sheet.row(
                    .moment(failure.at), .text(task.task.rawValue), .text(failure.cause.rawValue), .text(failure.reason),
                    .text(failure.node.rawValue),
                    .count(failure.epoch.rawValue), .moment(failure.detectedAt), .text(failure.checkpoint?.rawValue),
                    .seconds(failure.lostWorkSeconds),
                    .number(failure.lostProgress), .text(failure.lostWorkStanding.rawValue), .moment(failure.resumedAt),
                    .text(failure.resumedOn?.rawValue),
                    .seconds(failure.recoverySeconds), .text(failure.recoveryStanding.rawValue), .text(failure.foretoldBy?.rawValue))
            }
        }
    }

    private func writeDecisions(to sheet: inout Sheet) {
        sheet.header(
            "decision", "at", "kind", "task", "node", "mode", "chosen", "intervalSeconds", "codec", "replication", "timeCost", "networkCost",
            "storageCost",
            "penaltyCost", "totalCost", "expectedSeconds", "expectedSentBytes", "probabilityMet", "alternatives", "binding", "rules", "slaDigest",
            "policyDigest", "sentence", "hindsight", "hindsightSentence")
        for decision in decisions + tasks.flatMap(\.decisions) {
            let chosen = decision.chosen
            sheet.row(
                .text(decision.decision.rawValue), .moment(decision.at), .text(decision.kind.rawValue), .text(decision.task?.rawValue),
                .text(decision.node?.rawValue), .text(decision.mode.rawValue), .text(chosen?.name), .seconds(chosen?.intervalSeconds),
                .text(chosen?.codec?.rawValue), .number(chosen?.replication), .number(chosen?.timeCost), .number(chosen?.networkCost),
                .number(chosen?.storageCost), .number(chosen?.penaltyCost), .number(chosen?.totalCost), .seconds(chosen?.expectedSeconds),
                .bytes(chosen?.expectedSentBytes), .number(chosen?.probabilityMet?.rawValue), .count(decision.alternatives.count),
                .text(decision.binding), .text(decision.rules.joined(separator: " ")), .text(decision.sla?.digest), .text(decision.policy?.digest),
                .text(decision.sentence), .text(decision.hindsight?.verdict.rawValue), .text(decision.hindsight?.sentence))
        }
    }

    private func writePredictions(to sheet: inout Sheet) {
        sheet.header("prediction", "task", "count", "meanPredicted", "meanObserved", "meanError", "meanAbsoluteError", "medianRatio")
        for task in tasks {
            for prediction in task.predictions {
                sheet.row(
                    .text(prediction.quantity), .text(task.task.rawValue), .count(prediction.count), .number(prediction.meanPredicted),
                    .number(prediction.meanObserved), .number(prediction.meanError), .number(prediction.meanAbsoluteError),
                    .number(prediction.medianRatio))
            }
        }
    }

    private func writeCalibration(to sheet: inout Sheet) {
        sheet.header(
            "calibration", "count", "meanPredicted", "meanObserved", "meanError", "meanAbsoluteError", "medianRatio", "lowRatio", "highRatio",
            "judgedCount", "withinTwoErrorsShare")
        for model in calibration.models {
            let summary = model.summary
            sheet.row(
                .text(summary.quantity), .count(summary.count), .number(summary.meanPredicted), .number(summary.meanObserved),
                .number(summary.meanError), .number(summary.meanAbsoluteError), .number(summary.medianRatio), .number(model.lowRatio),
                .number(model.highRatio), .count(model.judgedCount), .number(model.withinTwoErrorsShare))
        }
    }

    /// The reliability diagram.
    private func writeDeadlines(to sheet: inout Sheet) {
        sheet.header("deadlines", "to", "tasks", "meanPredicted", "metShare", "low", "high")
        for bin in calibration.deadlines?.bins ?? [] {
            sheet.row(
                .number(bin.from), .number(bin.to), .count(bin.tasks), .number(bin.meanPredicted), .number(bin.metShare), .number(bin.low),
                .number(bin.high))
        }
    }
}

/// One table of comma-separated values.
private struct Sheet {
    private(set) var text = ""

    struct Cell {
        var value: String
        static func text(_ text: String?) -> Cell { Cell(value: text.map(Sheet.quoted) ?? "") }
        static func moment(_ moment: Moment?) -> Cell { Cell(value: moment?.text ?? "") }
        static func number(_ number: Double?) -> Cell { Cell(value: number.map { "\($0)" } ?? "") }
        static func seconds(_ length: Seconds?) -> Cell { number(length?.rawValue) }
        static func bytes(_ bytes: ByteCount?) -> Cell { Cell(value: bytes.map { "\($0.rawValue)" } ?? "") }
        static func number64(_ number: Int64?) -> Cell { Cell(value: number.map { "\($0)" } ?? "") }
        static func count(_ count: Int?) -> Cell { Cell(value: count.map { "\($0)" } ?? "") }
    }

    mutating func header(_ names: String...) { text += names.joined(separator: ",") + "\r\n" }
    mutating func row(_ cells: Cell...) { text += cells.map(\.value).joined(separator: ",") + "\r\n" }

    private static func quoted(_ text: String) -> String {
        var text = text
        if let first = text.unicodeScalars.first, "=+-@\t\r".unicodeScalars.contains(first) { text = "'" + text }
        guard text.unicodeScalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
