import Foundation
import Testing
import Vocabulary

@testable import Declarations

@Suite("What declarations mean")
struct MeaningTests {
    private func good(_ name: String) throws -> Declaration {
        try #require(try read(Folders.files.appending(path: "good/\(name).yaml")).declarations.first)
    }

    @Test("a TaskSLA with everything in it")
    func fullSLA() throws {
        guard case .taskSLA(let sla, let version) = try good("sla-full") else { throw GoldenTests.Missing() }
        let expected = TaskSLA(
            name: "full", labels: ["team": "physics", "stage": "1"],
            task: TaskSpec(
                image: "demo", kernel: "/boot/vmlinuz", memoryBytes: ByteCount(1_610_612_736), virtualCPUs: 4, deltaBytes: .gibibytes(10),
                run: #"hashchain --steps 1000 && echo "done # yes""#, workSeconds: Seconds(9_000)),
            progress: .console(pattern: #"CAIRN PROGRESS (\d+)/(\d+)"#, result: "CAIRN RESULT ([0-9a-f]{64})", failure: "CAIRN FAIL (.*)"),
            deadline: Deadline(moment: .within(.hours(4)), confidence: Probability(0.99)),
            limits: Limits(lostWorkSeconds: .minutes(5), recoverySeconds: Seconds(90), stoppedShare: 0.02),
            penalty: Penalty(amount: Money(12.5, "EUR"), perSeconds: .hours(1), cap: Money(100, "EUR")),
            preference: .prices(Prices(timePerHour: 3, networkPerGiB: 0.1, storagePerGiBHour: 0)), policy: "fixed-10-minutes")
        #expect(sla == expected)
        #expect(version.name == "full")
        #expect(version.digest.hasPrefix("length:"))
    }

    @Test("a TaskSLA with nothing but what it must have")
    func minimalSLA() throws {
        guard case .taskSLA(let sla, _) = try good("sla-minimal") else { throw GoldenTests.Missing() }
        let task = TaskSpec(image: "demo", memoryBytes: .mebibytes(128), deltaBytes: .mebibytes(64), run: "/bin/true", workSeconds: .hours(1))
        #expect(sla == TaskSLA(name: "minimal", task: task, progress: .cpuTime))
        #expect(sla.preference == .named("balanced"))
        #expect(sla.policy == "default")
    }

    @Test("files that stand alone, and a moment on a leap day and a leap second")
    func filesAlone() throws {
        guard case .taskSLA(let sla, _) = try good("sla-files-alone") else { throw GoldenTests.Missing() }
        #expect(sla.task.image == nil)
        #expect([sla.task.base, sla.task.kernel, sla.task.ramdisk] == ["base.ext4", "vmlinuz", "/boot/initrd"])
        // 2028-03-01T00:00:00+01:00
        #expect(sla.deadline == Deadline(moment: .at(Timestamp(1_835_478_000)), confidence: Probability(0.95)))
    }

    @Test("a policy with everything in it")
    func fullPolicy() throws {
        guard case .policy(let policy, _) = try good("policy-full") else { throw GoldenTests.Missing() }
        #expect(
            policy.settings
                == CheckpointPolicy.Settings(
                    mode: .audit, strategy: .daly, floorSeconds: Seconds(30), ceilingSeconds: .hours(2), compression: .always, codecs: [.gzip],
                    replication: Replication(base: 3, memory: 1, delta: 2), keepLast: 5, keepForSeconds: Seconds(90),
                    chain: ChainRule(merge: .count, maxLayers: 8)))
        #expect(policy.currency == "CHF")
        #expect(policy.preferences["balanced"] == Prices(timePerHour: 2, networkPerGiB: 0.001, storagePerGiBHour: 0))
        #expect(policy.preferences["finish-sooner"] == PolicyReading.defaultPreferences["finish-sooner"])
        #expect(policy.preferences.count == 4)
        #expect(
            policy.rules == [
                .init(
                    name: "all-conditions",
                    when: .init(
                        labels: ["team": "physics", "stage": "trial"], probabilityMetBelow: Probability(0.5), mtbfBelowSeconds: .hours(24),
                        checkpointAboveBytes: .gibibytes(4)),
                    set: .init(
                        mode: .enforce, strategy: .fixed(.minutes(1)), floorSeconds: Seconds(10), ceilingSeconds: .hours(1), compression: .never,
                        codecs: [.none], replication: 1, keepLast: 1, merge: .never)),
                .init(name: "none-for-batch", when: .init(labels: ["class": "batch"]), set: .init(strategy: .never)),
            ])
    }

    @Test(
        "each strategy by its name",
        arguments: [
            ("adaptive", IntervalStrategy.adaptive), ("exact", .exact), ("daly", .daly), ("young", .young), ("never", .never),
            ("fixed, every: 10m", .fixed(.minutes(10))),
        ])
    func strategies(text: String, strategy: IntervalStrategy) throws {
        let result = read("apiVersion: cairn/v1\nkind: CheckpointPolicy\nmetadata: {name: a}\nspec: {currency: EUR, interval: {strategy: \(text)}}")
        guard case .policy(let policy, _)? = result.declarations.first else { throw GoldenTests.Missing() }
        #expect(policy.settings.strategy == strategy)
    }

    @Test("a fleet in HDFS, a fence by an alias")
    func fleet() throws {
        guard case .fleet(let fleet, _) = try good("fleet-hdfs") else { throw GoldenTests.Missing() }
        let power = FenceMethod.command(["ipmi-power", "--off"])
        let expected = Fleet(
            name: "hdfs",
            nodes: [
                .init(id: NodeID("rack1-a"), hypervisor: "xen:///system", fence: power, guest: .pvh),
                .init(id: NodeID("rack1-b"), hypervisor: "qemu+unix:///system", fence: power), .init(id: NodeID("spare")),
            ],
            store: .webHDFS(
                HDFSLocation(
                    nameNodes: ["http://127.0.0.1:41234", "https://namenode.example.org:9871"], root: "/cairn", identity: .simple(user: "cairn"))),
            imagesDirectory: "/var/lib/cairn/images", defaults: .init(suspectPhi: 2.5, lostPhi: 10))
        #expect(fleet == expected)
    }

    @Test("fleets on file servers, with what is usual where nothing is said")
    func fileServers() throws {
        guard case .fleet(let ftp, _) = try good("fleet-ftp") else { throw GoldenTests.Missing() }
        #expect(
            ftp.store
                == .ftp(
                    FTPLocation(
                        host: "backup.example.org", port: 21, root: "/cairn", user: "cairn", passwordFile: "/etc/cairn/ftp.password",
                        encryption: .explicit, authorities: "/etc/cairn/ca.pem")))
        guard case .fleet(let sftp, _) = try good("fleet-sftp") else { throw GoldenTests.Missing() }
        #expect(
            sftp.store
                == .sftp(
                    SFTPLocation(
                        host: "fd00::1", port: 2222, root: "/srv/cairn", user: "cairn", secret: .key("/etc/cairn/id_ed25519"),
                        hostKey: .fingerprint("SHA256:Nr9XM4a57GAA9XAGT6OGUG876zhcdHSZo1gVl2sQH8A"), readsBack: true)))
    }

    @Test("a fleet in a secured HDFS")
    func kerberos() throws {
        guard case .fleet(let fleet, _) = try good("fleet-hdfs-kerberos") else { throw GoldenTests.Missing() }
        let expected = HDFSLocation(
            nameNodes: ["https://nn1.example.org:9871", "https://nn2.example.org:9871"], root: "/cairn",
            identity: .kerberos(keytab: "/etc/cairn/cairn.keytab"), authorities: "/etc/cairn/ca.pem")
        #expect(fleet.store == .webHDFS(expected))
    }

    @Test("the demo's fleet")
    func demoFleet() throws {
        guard case .fleet(let fleet, _) = try good("fleet-demo") else { throw GoldenTests.Missing() }
        #expect(fleet.nodes.map(\.fence) == [.process, .process])
        #expect(fleet.nodes.map(\.capacity) == [4, 4])
        #expect(fleet.store == .directory("/tmp/cairn.abcdef/store"))
        #expect(fleet.defaults == .init(priorMTBFSeconds: .minutes(5), priorWeight: 1))
    }

    @Test("several documents of a file, in its order; one name may serve two kinds")
    func severalDocuments() throws {
        let result = try read(Folders.files.appending(path: "good/several-documents.yaml"))
        #expect(result.declarations.count == 2)
        guard case .taskSLA(_, let first) = result.declarations[0], case .policy(_, let second) = result.declarations[1] else {
            throw GoldenTests.Missing()
        }
        #expect(first == second)
    }

    @Test("a wrong document does not keep the others of its file from being read")
    func partly() throws {
        let result = try read(Folders.files.appending(path: "bad/document-second-is-wrong.yaml"))
        #expect(result.declarations.count == 1)
        #expect(result.problems.map(\.line) == [9])
    }

    @Test("a warning does not keep a declaration from being read")
    func warnings() throws {
        let result = try read(Folders.files.appending(path: "good/sla-warnings.yaml"))
        #expect(result.problems.map(\.severity) == [.warning, .warning])
        #expect(result.declarations.count == 1)
    }

    @Test("the default preferences differ enough to decide differently")
    func defaultPreferences() throws {
        let prices = PolicyReading.defaultPreferences
        let exchange = try ["finish-sooner", "balanced", "save-network"].map { name in
            let one = try #require(prices[name])
            return one.networkPerGiB / one.timePerHour
        }
        // What a GiB is worth in hours grows at least fivefold from each to the next: intervals double, since they go with its root.
        #expect(exchange[1] / exchange[0] > 5)
        #expect(exchange[2] / exchange[1] > 5)
    }
}
