import Knowledge
import Vocabulary

/// Puts what came true beside what a decision predicted. A decision's inputs that are predictions carry the name of the quantity they predict.
enum Settlement {
    enum Subject: Equatable {
        case decision(DecisionID)
        /// The newest decision of this kind about the task.
        case newest(Decision.Kind, TaskID)
    }

    /// Orders to checkpoint are named after their decision.
    static func order(for decision: DecisionID) -> OrderID { OrderID("checkpoint-\(decision)") }

    static func subject(of record: EventRecord) -> Subject? {
        switch record.event {
        case .checkpointCommitted(let checkpoint):
            guard checkpoint.order.rawValue.hasPrefix("checkpoint-") else { return nil }
            return .decision(DecisionID(String(checkpoint.order.rawValue.dropFirst("checkpoint-".count))))
        case .taskResumed(let resumption): return .newest(.resume, resumption.task)
        case .taskFinished(let task, _, _, _): return .newest(.place, task)
        default: return nil
        }
    }

    static func outcomes(of decision: Decision, _ record: EventRecord, knowledge: Knowledge) -> [Outcome] {
        var observed: [(String, Double)] = []
        switch record.event {
        case .checkpointCommitted(let checkpoint):
            observed = [
                ("stopSeconds", checkpoint.stopSeconds.rawValue), ("latencySeconds", checkpoint.latencySeconds.rawValue),
                ("sentBytes", Double(checkpoint.sentBytes.rawValue)), ("compressSeconds", checkpoint.compressSeconds.rawValue),
                ("uploadSeconds", checkpoint.uploadSeconds.rawValue),
            ]
            // That side of equation 1 that was chosen; of the other one nothing is known.
            let (compress, upload) = (checkpoint.compressSeconds.rawValue, checkpoint.uploadSeconds.rawValue)
            observed +=
                checkpoint.codec == .none
                ? [("equation1UncompressedSeconds", upload)]
                : [("equation1CompressedSeconds", max(compress, upload)), ("equation1SequentialCompressedSeconds", compress + upload)]
        case .taskResumed(let resumption):
            guard let task = knowledge.tasks[resumption.task], let interruption = task.interruptions.last else { return [] }
            // The node fell silent before it was declared lost; the decision says how long.
            let silent = decision.inputs.first { $0.name == "silentSeconds" }?.value ?? 0
            let lost = max(0, task.highestProgress - task.progressAtStart) * task.sla.task.workSeconds.rawValue
            observed = [
                ("recoverySeconds", (record.at - interruption.at).rawValue + silent), ("lostWorkSeconds", lost),
                ("fetchSeconds", resumption.fetchSeconds.rawValue), ("restoreSeconds", resumption.restoreSeconds.rawValue),
            ]
        case .taskFinished(let id, _, _, _):
            guard let task = knowledge.tasks[id] else { return [] }
            observed = [("finishSeconds", (record.at - task.submission.submittedAt).rawValue)]
        default: return []
        }
        return observed.map { name, value in
            Outcome(
                decision: decision.id, at: record.at, quantity: name, predicted: decision.inputs.first { $0.name == name }?.value, observed: value)
        }
    }
}
