import Knowledge
import Testing
import Vocabulary

@testable import Overview

/// A fleet of two nodes and a policy; what happens is told event by event.
struct Scene {
    var knowledge = Knowledge()
    var findings = Findings(at: Timestamp(1_000), nodes: [], tasks: [])
    var schedules: [TaskID: Schedule] = [:]
    private var sequence: Int64 = 0
    static let version = DocumentVersion(name: "default", digest: "sha256:1")
    static let task = TaskID("primes-1")
    static let a = NodeID("a")

    init() {
        tell(
            .policyLoaded(
                CheckpointPolicy(
                    name: "default", currency: "EUR",
                    preferences: ["balanced": Prices(timePerHour: 1, networkPerGiB: 1, storagePerGiBHour: 1)], settings: .init()),
                version: Self.version), at: 0)
    }

    mutating func tell(_ event: Event, at seconds: Double) {
        sequence += 1
        knowledge = knowledge.folding([EventRecord(sequence: sequence, at: Timestamp(seconds), source: .manager, event: event)])
    }

    mutating func submit(_ task: TaskID = Scene.task, confidence: Double = 0.9, at seconds: Double = 100) {
        let sla = TaskSLA(
            name: "primes", task: TaskSpec(memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "x", workSeconds: Seconds(100)),
            progress: .cpuTime, deadline: Deadline(moment: .within(Seconds(1_000)), confidence: Probability(confidence)),
            penalty: Penalty(amount: Money(1, "EUR"), perSeconds: .minutes(1), cap: nil))
        tell(
            .taskSubmitted(TaskSubmission(task: task, sla: sla, version: Self.version, submittedAt: Timestamp(seconds))), at: seconds)
    }

    mutating func forecast(_ task: TaskID = Scene.task, met: Double, penalty: Double) {
        let rate = RateEstimate(perSecond: 0.001, standardError: 0, lowPerSecond: 0.0005, highPerSecond: 0.002, failures: 0, exposureSeconds: .zero)
        findings.tasks.append(
            TaskFinding(
                task: task, node: Self.a, epoch: .first, progress: 0.25, speed: Estimate(mean: 1, standardError: 0, observations: 1),
                workLeftSeconds: Estimate(mean: 75, standardError: 0, observations: 1), exposedSeconds: Seconds(12), sinceCaptureSeconds: Seconds(12),
                costs: [], failureRate: rate,
                forecast: FinishForecast(
                    expectedFinish: Timestamp(1_080), standardDeviationSeconds: Seconds(4), medianFinish: Timestamp(1_079),
                    p90Finish: Timestamp(1_085), p99Finish: Timestamp(1_099), probabilityMet: Probability(met), expectedPenalty: Money(penalty, "EUR")
                ),
                timeToDeadlineSeconds: Seconds(100), isObservedRunning: true))
    }

    var outlook: Outlook {
        Outlook(
            fleet: Fleet(name: "lab", nodes: [.init(id: Self.a), .init(id: NodeID("b"))], store: .directory("/s"), imagesDirectory: "/i"),
            version: "1", startedAt: Timestamp(0), cycles: 7, knowledge: knowledge, findings: findings, schedules: schedules)
    }
}

@Suite("the fleet at a glance")
struct OverviewTests {
    @Test("a task whose deadline is less sure than was asked for is at risk, with the penalty that is to be expected")
    func atRisk() throws {
        var scene = Scene()
        scene.submit(confidence: 0.9)
        scene.forecast(met: 0.89, penalty: 0.75)
        let fleet = FleetOverview(scene.outlook)
        let task = try #require(fleet.tasks.first)
        #expect(task.isAtRisk)
        #expect(task.moneyAtRisk == 0.75)
        #expect(task.progress == 0.25)
        #expect(fleet.totals.tasksAtRisk == 1)
        #expect(fleet.totals.moneyAtRisk == [.init(currency: "EUR", amount: 0.75)])
        #expect(fleet.totals.exposedSeconds == Seconds(12))

        scene.findings.tasks = []
        scene.forecast(met: 0.9, penalty: 0)
        #expect(!FleetOverview(scene.outlook).tasks[0].isAtRisk)
    }

    @Test("a task that has ended has no forecast, though the newest findings still hold one")
    func ended() {
        var scene = Scene()
        scene.submit()
        scene.forecast(met: 0.5, penalty: 3)
        scene.tell(.taskCancelled(task: Scene.task, by: "somebody"), at: 500)
        let fleet = FleetOverview(scene.outlook)
        #expect(fleet.tasks[0].probabilityMet == nil)
        #expect(!fleet.tasks[0].isAtRisk)
        #expect(fleet.totals.moneyAtRisk.isEmpty)
        #expect(fleet.totals.cancelledTasks == 1)
        #expect(fleet.totals.liveTasks == 0)
    }

    @Test("those that live come first, and totals are of all where the list is cut off")
    func order() {
        var scene = Scene()
        for number in 1...5 { scene.submit(TaskID("t-\(number)"), at: Double(100 + number)) }
        scene.tell(.taskCancelled(task: TaskID("t-5"), by: "somebody"), at: 300)
        let fleet = FleetOverview(scene.outlook, taskLimit: 4)
        #expect(fleet.tasks.map(\.task.rawValue) == ["t-4", "t-3", "t-2", "t-1"])
        #expect(fleet.totals.tasks == 5)
        #expect(TaskBrief.all(scene.outlook).last?.task == TaskID("t-5"))
    }

    @Test("a drain and a mode that somebody set are shown with who did it, until they are ended")
    func setBySomebody() {
        var scene = Scene()
        scene.tell(.nodeDrainAsked(node: Scene.a, by: "ada"), at: 10)
        scene.tell(.policyModeSet(name: "default", mode: .audit, by: "ada"), at: 11)
        var fleet = FleetOverview(scene.outlook)
        #expect(fleet.nodes.map(\.isDraining) == [true, false])
        #expect(fleet.nodes[0].drainAskedBy == "ada")
        #expect(fleet.policies[0].mode == .audit)
        #expect(fleet.policies[0].declaredMode == .enforce)
        #expect(fleet.policies[0].modeSetBy == "ada")
        // Another version of the file does not undo what somebody set.
        scene.tell(
            .policyLoaded(
                CheckpointPolicy(name: "default", currency: "EUR", preferences: [:], settings: .init()),
                version: DocumentVersion(name: "default", digest: "sha256:2")), at: 12)
        #expect(FleetOverview(scene.outlook).policies[0].mode == .audit)
        scene.tell(.nodeDrainEnded(node: Scene.a, by: "ada"), at: 13)
        scene.tell(.policyModeSet(name: "default", mode: nil, by: "ada"), at: 14)
        fleet = FleetOverview(scene.outlook)
        #expect(!fleet.nodes[0].isDraining)
        #expect(fleet.policies[0].mode == .enforce)
        #expect(fleet.policies[0].modeSetBy == nil)
    }

    @Test("suspicion beyond what a double can tell is shown as 300, and no failure expected as no time between failures")
    func limits() {
        var scene = Scene()
        let never = RateEstimate(perSecond: 0, standardError: 0, lowPerSecond: 0, highPerSecond: 0, failures: 0, exposureSeconds: .zero)
        scene.findings.nodes = [NodeFinding(node: Scene.a, standing: .lost, phi: .infinity, silentSeconds: Seconds(99), failureRate: never)]
        let node = FleetOverview(scene.outlook).nodes[0]
        #expect(node.phi == 300)
        #expect(node.mtbfSeconds == nil)
        #expect(node.standing == .lost)
    }
}
