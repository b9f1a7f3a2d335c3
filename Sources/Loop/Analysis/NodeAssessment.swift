import Knowledge
import PlanningModel
import Vocabulary

/// Whether a node is there, and how often it fails in the hour to come.
struct NodeAssessment {
    let fleet: Fleet
    let knowledge: Knowledge
    let live: LiveView

    func finding(of node: Fleet.Node, _ reliability: NodeReliability) -> NodeFinding {
        let known = knowledge.nodes[node.id]
        let (phi, silent) = suspicion(of: node.id)
        let standing: NodeFinding.Standing =
            switch known?.standing {
            // Never heard of in this ledger. One that has tasks all the same, in a ledger made anew, is waited for like any other.
            case nil, .unknown: live.heartbeats[node.id] == nil && phi >= fleet.defaults.lostPhi && knowledge.load(of: node.id) > 0 ? .lost : .unknown
            // Until it joins again, whatever is heard.
            case .lost: .lost
            case .trusted, .suspected: phi >= fleet.defaults.lostPhi ? .lost : phi >= fleet.defaults.suspectPhi ? .suspected : .trusted
            }
        return NodeFinding(node: node.id, standing: standing, phi: phi, silentSeconds: silent, failureRate: reliability.rate(over: .hours(1)))
    }

    /// The detector for a fleet's heartbeat: half a heartbeat (at least half a second) of deviation is always assumed, and two missed
    /// heartbeats cause no suspicion, so that a busy machine raises no alarm. At one heartbeat a second, φ = 8 is reached after some 6 s.
    static func detector(_ defaults: Fleet.Defaults) -> PhiAccrual {
        let heartbeat = defaults.heartbeatSeconds.rawValue
        return PhiAccrual(expectedIntervalSeconds: heartbeat, minimumDeviationSeconds: max(0.5, heartbeat / 2), acceptablePauseSeconds: 2 * heartbeat)
    }

    /// How long it takes to declare a node lost.
    static func detection(_ defaults: Fleet.Defaults) -> Seconds {
        Seconds(detector(defaults).silenceSeconds(reaching: max(0.302, defaults.lostPhi)))
    }

    private func suspicion(of node: NodeID) -> (phi: Double, silent: Seconds) {
        var detector = Self.detector(fleet.defaults)
        guard let heard = live.heartbeats[node] else {
            // The manager has just started: it was its own absence, not the node's. Three heartbeats of grace.
            detector.heartbeat(atSeconds: live.managerSince.rawValue + 3 * fleet.defaults.heartbeatSeconds.rawValue)
            return (detector.phi(atSeconds: live.now.rawValue), max(.zero, live.now - live.managerSince))
        }
        var time = heard.last.rawValue - heard.intervals.reduce(0) { $0 + $1.rawValue }
        detector.heartbeat(atSeconds: time)
        for interval in heard.intervals {
            time += interval.rawValue
            detector.heartbeat(atSeconds: time)
        }
        return (detector.phi(atSeconds: live.now.rawValue), max(.zero, live.now - heard.last))
    }
}
