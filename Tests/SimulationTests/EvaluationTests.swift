import Testing
import Vocabulary

@testable import Simulation

@Suite("What the planner is judged by")
struct PlannerEvaluationTests {
    private static let candidacy = Candidacy(policy: LargeFleet.policy, version: DocumentVersion(name: "p", digest: "p"))

    @Test("an oracle is hardly beaten, and a planner that learns comes near it; the same seed gives the same")
    func regret() {
        let grid = RegretGrid(candidacy: Self.candidacy, preference: "balanced", seed: 3, lifetimes: 12)
        let cell = grid.cell(.exponential, mtbf: 3_600, work: 21_600)
        #expect(cell.regret > -0.03 && cell.regret < 0.15, "\(cell.regret)")
        #expect(cell.failures > 3 && cell.oracleCost > 3 * 6)
        #expect(grid.cell(.exponential, mtbf: 3_600, work: 21_600) == cell)
        let weibull = grid.cell(.weibull(shape: 0.5), mtbf: 3_600, work: 21_600)
        #expect(weibull.regret > -0.1 && weibull.regret < 0.3, "\(weibull.regret)")
    }

    @Test("the table marks what is above its bound")
    func marks() {
        func cell(_ law: String, _ regret: Double, _ reach: Double) -> RegretGrid.Cell {
            RegretGrid.Cell(
                law: law, mtbfSeconds: 600, workSeconds: 3_600, lifetimes: 2, plannerCost: 1 + regret, oracleCost: 1, regret: regret,
                regretReach: reach, failures: 6, events: 1)
        }
        let grid = RegretGrid(candidacy: Self.candidacy, preference: "balanced", seed: 1, lifetimes: 2)
        let report = RegretReport(grid, cells: [cell("exponential", 0.07, 0.01), cell("weibull:0.5", 0.07, 0.01), cell("weibull:0.8", 0.11, 0.02)])
        #expect(
            report.tables.map(\.rows) == [
                [["WORK \\ MTBF", "10 min"], ["1 h", "7.0 ±1.0 !"]], [["WORK \\ MTBF", "10 min"], ["1 h", "7.0 ±1.0"]],
                [["WORK \\ MTBF", "10 min"], ["1 h", "11.0 ±2.0 ?"]],
            ])
        #expect(report.above.count == 2 && report.surelyAbove.count == 1)
    }

    @Test("a dearer network is expected to send no more, and to finish no earlier; and so it comes out at the ends")
    func frontier() throws {
        let frontier = Frontier(Self.candidacy, timePerHour: 3, mtbf: 21_600, work: 86_400, lifetimes: 6, seed: 1)
        #expect(frontier.isMonotone)
        let (first, last) = (try #require(frontier.points.first), try #require(frontier.points.last))
        #expect(first.expectedSentBytes > 5 * last.expectedSentBytes && first.expectedSeconds < last.expectedSeconds)
        #expect(first.sentBytes.mean > 3 * last.sentBytes.mean && first.finishSeconds.mean < last.finishSeconds.mean)
        #expect(
            frontier.plot.hasSuffix("</svg>\n") && frontier.markdown.contains("| never |") == frontier.points.contains { $0.intervalSeconds == nil })
    }

    @Test("of very many tasks each is decided about once; then only what falls due")
    func large() {
        var fleet = LargeFleet(tasks: 60)
        #expect(fleet.cycle() >= 60)
        var later = 0
        for _ in 0..<3 {
            fleet.pass()
            later += fleet.cycle()
        }
        #expect(later < 60)
    }

    @Test("a trace's mean MTBF is the time up between two outages")
    func mean() throws {
        let trace = try #require(Trial.trace("1,1000,1010,x\n1,1100,1110,x\n2,1050,1060,x\n"))
        var scenario = Trial.mixed()
        scenario.failures = .trace(trace, nodes: ["1", "2"])
        // 2 · 110 s less 3 · 10 s down, three outages.
        #expect(abs(scenario.meanMTBFSeconds - 190.0 / 3) < 1e-9)
    }

    @Test("one that is told the MTBF does not learn another")
    func told() {
        var scenario = Trial.mixed(deadlines: false)
        scenario.fleet.defaults.priorMTBFSeconds = nil
        var told = Trial.policy(.young)
        told.toldMTBFSeconds = 1e9
        // A checkpoint in some 14 h of work is too many for √(2·0.5 s·1e9 s).
        let simulation = Simulation(scenario)
        #expect(simulation.run(0, told).metrics[.checkpoints] ?? 1 < simulation.run(0, Trial.policy(.young)).metrics[.checkpoints] ?? 0)
    }
}
