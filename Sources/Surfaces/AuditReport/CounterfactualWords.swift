import Vocabulary

extension Counterfactual {
    /// "A checkpoint would have been due at once if the MTBF had been under 41 min (it was 3 h)."
    var sentence: String {
        let bound = threshold < actual ? "under" : "above"
        let consequence =
            switch change {
            case .checkpointNow: "A checkpoint would have been due at once (\(instead))"
            case .checkpointLater: "No checkpoint would have been due yet (\(instead))"
            case .checkpoints: "Checkpoints would have been planned (\(instead))"
            case .noCheckpoints: "No checkpoint would have been planned at all"
            case .codec: "It would have been \(instead)"
            }
        return "\(consequence) if \(subject) had been \(bound) \(words(threshold)) (it was \(words(actual)))."
    }

    private var subject: String {
        switch input {
        case "mtbfSeconds": "the MTBF"
        case "workLeftSeconds": "the work left"
        case "exposedSeconds": "the work since the last checkpoint"
        case "stopSeconds": "the stop for a checkpoint"
        case "sentBytes": "what a checkpoint sends"
        case "priceTimePerHour": "the price of an hour"
        case "priceNetworkPerGiB": "the price of a GiB sent"
        case "timeToDeadlineSeconds": "the time to the deadline"
        default: input
        }
    }

    private func words(_ value: Double) -> String { Words.quantity(input, value) }
}
