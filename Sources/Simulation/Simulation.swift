import Analysis
import Knowledge
import Vocabulary

/// Tries policies in a simulated world: discrete events on a virtual clock, seeded, with no clock and no I/O of its own.
package struct Simulation: Sendable {
    package let scenario: Scenario
    /// Silence after which Analysis takes a node with regular heartbeats for lost, seconds.
    package let detectionSeconds: Double

    package init(_ scenario: Scenario) {
        precondition(!scenario.fleet.nodes.isEmpty && !scenario.tasks.isEmpty, "nothing to simulate")
        self.scenario = scenario
        detectionSeconds = Self.detection(scenario.fleet)
    }

    /// One run: the same for the same scenario, policy and number, bit for bit, and with the same failures for each policy.
    package func run(_ number: Int, _ candidacy: Candidacy) -> RunResult {
        var world = World(scenario, candidacy, run: number, detectionSeconds: detectionSeconds)
        return world.simulate()
    }

    /// The same, and what happened in it.
    package func recording(_ number: Int, _ candidacy: Candidacy) -> (result: RunResult, log: [Happening]) {
        var world = World(scenario, candidacy, run: number, detectionSeconds: detectionSeconds)
        world.log = []
        let result = world.simulate()
        return (result, world.log ?? [])
    }

    /// Asked of Analysis, a quarter of a heartbeat at a time, so that the simulated manager finds out when the live one would.
    private static func detection(_ fleet: Fleet) -> Double {
        var fleet = fleet
        fleet.nodes = Array(fleet.nodes.prefix(1))
        let beat = fleet.defaults.heartbeatSeconds
        let begin = World.origin
        var heartbeats = LiveView.Heartbeats(first: begin)
        for number in 1...20 { heartbeats.heard(at: begin + beat * Double(number)) }
        let capabilities = HypervisorCapabilities(
            uri: "simulated:", driver: "simulation", version: "1", acceleration: .kvm, captureWays: [.backgroundSnapshot])
        let known = Knowledge().folding([
            EventRecord(
                at: begin, source: .manager,
                event: .nodeJoined(node: fleet.nodes[0].id, incarnation: Incarnation("life-1"), hypervisor: capabilities))
        ])
        var silence = Seconds.zero
        // A detector that never says so is asked for an hour of heartbeats.
        while silence < beat * 3600 {
            let live = LiveView(now: heartbeats.last + silence, managerSince: begin, heartbeats: [fleet.nodes[0].id: heartbeats])
            if Analysis.assess(known, live: live, fleet: fleet, schedules: [:]).nodes.first?.standing == .lost { break }
            silence = silence + beat * 0.25
        }
        return silence.rawValue
    }
}

/// Something that happened in a run, seconds from its beginning.
package struct Happening: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case nodeUp(NodeID), nodeDown(NodeID)
        /// Found out.
        case nodeLost(NodeID)
        case running(TaskID, NodeID, Epoch, work: Double)
        case captured(TaskID, work: Double)
        case committed(TaskID, work: Double)
        /// Its node failed under it.
        case failed(TaskID, work: Double)
        case finished(TaskID)
        /// Without having finished: given up, or the horizon came.
        case ended(TaskID)
    }
    package var at: Double
    package var kind: Kind
    package init(at: Double, _ kind: Kind) { self.at = at; self.kind = kind }
}
