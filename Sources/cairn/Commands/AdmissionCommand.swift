import Analysis
import ArgumentParser
import AuditReport
import Autonomics
import Declarations
import Foundation
import Knowledge
import Planning
import Ports
import Vocabulary

extension SLACommand {
    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say before submission whether an SLA can be kept on a fleet, at what cost, and what would do if not.",
            discussion:
                "Exit status 0: all can be kept; 1: one cannot, or is not valid; 2: something could not be read. What was learnt on a fleet is taken "
                + "from its manager's ledger with --learnt.")
        @Argument(help: "TaskSLA files.") var files: [String]
        @Option(help: "The fleet's file.") var fleet: String
        @Option(help: "Directory of policy files.") var policies = "policies"
        @Option(help: "A manager's state directory, to go by what it has learnt; without it, by the fleet's declared reliability.") var learnt:
            String?
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let fleet = try FleetFile.read(fleet)
            let now = SystemTime().now()
            var known = Knowledge()
            if let learnt {
                let events: [EventRecord]
                do { events = try await StateDirectory(path: absolute(learnt)).ledger().everyEvent() } catch let error as LedgerError {
                    throw Failure.cannotTry("\(error)")
                }
                known = known.folding(events)
            }
            known = known.folding(try await policyEvents(now))
            var admissions: [Admission] = []
            for file in files {
                let (sla, version) = try sla(file)
                guard let policy = known.policies[sla.policy] else {
                    throw Failure.cannotTry("\(file): there is no policy \(sla.policy) in \(policies): name their directory with --policies")
                }
                let task = TaskID("check:\(sla.name)")
                let asked = known.folding([
                    EventRecord(
                        at: now, source: .manager,
                        event: .taskSubmitted(TaskSubmission(task: task, sla: sla, version: version, submittedAt: now)))
                ])
                let live = LiveView(now: now, managerSince: now)
                guard let submitted = asked.tasks[task],
                    var admission = Admission.of(
                        submitted, findings: Analysis.assess(asked, live: live, fleet: fleet, schedules: [:]), policy: policy)
                else { throw Failure.cannotTry("\(self.fleet) has no nodes") }
                admission.task = TaskID(sla.name)
                admissions.append(admission)
            }
            if json {
                printJSON(admissions)
            } else {
                for admission in admissions { print(admission.text) }
            }
            if admissions.contains(where: { !$0.isKept }) { throw ExitCode(1) }
        }

        private func sla(_ file: String) throws -> (TaskSLA, DocumentVersion) {
            do { return try TaskFile.read(contents(of: file), file: file) } catch let error as CommandError {
                if case .invalid(let problems) = error { throw Failure(message: problems.joined(separator: "\n"), status: 1) }
                throw error
            }
        }

        private func policyEvents(_ now: Timestamp) async throws -> [EventRecord] {
            var events: [EventRecord] = []
            for change in await PolicyDirectory(path: absolute(policies)).changes() {
                switch change {
                case .loaded(let policy, let version):
                    events.append(EventRecord(at: now, source: .manager, event: .policyLoaded(policy, version: version)))
                case .rejected(_, let problems): throw Failure.cannotTry(problems.joined(separator: "\n"))
                }
            }
            return events
        }
    }
}
