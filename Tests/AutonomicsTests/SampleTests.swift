import Autonomics
import Testing
import Vocabulary

@Suite("How often progress is recorded")
struct SampleTests {
    @Test(
        "every five seconds at first, then each five-hundredth of the task's age, and once a minute at least",
        arguments: [(0.0, 5.0), (2_500, 5), (5_000, 10), (30_000, 60), (1e7, 60), (-30, 5)])
    func thinning(_ age: Double, _ interval: Double) {
        let configuration = NodeAgent.Configuration(
            node: NodeID("a"), incarnation: Incarnation("i"), process: ProcessIdentity(pid: 1, startTicks: 1), heartbeat: Seconds(1))
        #expect(configuration.sampleInterval(atAge: Seconds(age)) == Seconds(interval))
    }
}
