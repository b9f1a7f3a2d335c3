import ArgumentParser
import DiskImages
import Foundation
import GuestImages
import LibvirtHypervisor
import Ports
import Vocabulary

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measurements.",
        subcommands: [Checkpoint.self, Upload.self, Compress.self, Paper.self, Planner.self, FrontierBench.self, LedgerCommand.self])

    struct Checkpoint: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "How long a checkpoint stops the guest, beside save, copy of the disks and restore.",
            discussion: """
                One guest a memory size, ticking every 10 ms on its console. Both ways are measured in turn on the same guest, as the largest gap between \
                ticks as they arrive: ours (the best way that the hypervisor has), and virDomainSave, a copy of the delta disk's layers and \
                virDomainRestore, which is what `virsh save`, cp and `virsh restore` do, without virsh's own start. Exit status 1 when the median of \
                ours is not at most a fifth of the other's.
                """)
        @Option(help: "Memory sizes, IEC units, comma-separated.") var memory = "128MiB,256MiB,512MiB"
        @Option(help: "Times that each way is measured.") var rounds = 5
        @Option(help: "The image's directory; without it one is made.") var image: String?
        @Option(help: "Directory to work in; short.") var work = "/tmp/cairn-bench-\(getpid())"
        @Flag(help: "Print JSON.") var json = false
        @Option(name: .shortAndLong, help: "File to write the JSON to, too.") var output: String?

        func run() async throws {
            let sizes = try memory.split(separator: ",").map { text -> ByteCount in
                guard text.hasSuffix("MiB"), let count = Int64(text.dropLast(3)), count >= 96 else {
                    throw Failure.cannotTry("--memory takes sizes like 128MiB, at least 96MiB, not \(text)")
                }
                return .mebibytes(count)
            }
            guard rounds > 0 else { throw Failure.cannotTry("--rounds is at least 1") }
            let work = absolute(work)
            do { try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true) } catch {
                throw Failure.cannotTry("cannot make \(work): \(error.localizedDescription)")
            }
            defer { discard(work) }
            let guest: GuestImage
            do throws(ImageError) {
                if let image {
                    guest = try GuestImage.load(absolute(image))
                } else {
                    guest = try ImageBuilder().build(ImageRecipe(name: "bench", directory: work + "/image"))
                }
            } catch { throw Failure.cannotTry("\(error)") }
            let hypervisor: LibvirtHypervisor
            do throws(HypervisorError) {
                hypervisor = try LibvirtHypervisor(uri: "qemu:///embed", root: work + "/libvirt", probeKernel: guest.kernel)
            } catch { throw Failure.cannotTry("\(error)") }
            var measured: [StopMeasurement] = []
            let progress = ProgressLine("measuring", total: Double(sizes.count * rounds), unit: .pieces("rounds"), isQuiet: json)
            defer { progress.clear() }
            for (index, size) in sizes.enumerated() {
                progress.clear()
                if !json { print("\(Int(size.mebibytes)) MiB: \(rounds) rounds of each way …") }
                measured.append(
                    try await StopBench(hypervisor: hypervisor, image: guest, disks: QemuDisks(templates: work + "/templates"), work: work)
                        .measure(memory: size, rounds: rounds) { progress.show(Double(index * rounds + $0)) })
            }
            progress.clear()
            let report = StopReport(
                hypervisor: try await hypervisor.capabilities(), rounds: rounds, measuredAt: Date().formatted(.iso8601), sizes: measured)
            if let output {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
                try encoder.encode(report).write(to: URL(fileURLWithPath: output))
            }
            if json { printJSON(report) } else { print(report.table) }
            if !report.isWithinAFifth { throw ExitCode(1) }
        }

        private func discard(_ path: String) {
            do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path): \(error.localizedDescription)") }
        }
    }
}

/// Stops of one memory size, seconds, one entry a round.
struct StopMeasurement: Codable {
    var memoryMebibytes: Int
    /// Largest gap between two ticks.
    var liveSeconds: [Double]
    /// The same stops by QEMU's own events.
    var liveByHypervisorSeconds: [Double]
    var saveCopyRestoreSeconds: [Double]
    var liveMedianSeconds: Double { median(liveSeconds) }
    var saveCopyRestoreMedianSeconds: Double { median(saveCopyRestoreSeconds) }
    var ratio: Double { liveMedianSeconds / saveCopyRestoreMedianSeconds }
}

struct StopReport: Codable {
    var hypervisor: HypervisorCapabilities
    var rounds: Int
    var measuredAt: String
    var sizes: [StopMeasurement]

    var isWithinAFifth: Bool { sizes.allSatisfy { $0.ratio <= 0.2 } }

    var table: String {
        let rows =
            [["MEMORY", "CHECKPOINT STOPS", "BY QEMU'S EVENTS", "SAVE + COPY + RESTORE STOPS", "SHARE"]]
            + sizes.map {
                [
                    "\($0.memoryMebibytes) MiB", seconds($0.liveMedianSeconds), seconds(median($0.liveByHypervisorSeconds)),
                    seconds($0.saveCopyRestoreMedianSeconds), String(format: "%.0f %%", $0.ratio * 100),
                ]
            }
        return Terminal.columns(rows)
            + "\nMedians of \(rounds), \(hypervisor.driver) \(hypervisor.version), \(hypervisor.acceleration.rawValue), \(hypervisor.captureWays.first?.rawValue ?? "-")."
    }

    private func seconds(_ value: Double) -> String { String(format: "%.3f s", value) }

    private enum CodingKeys: String, CodingKey { case hypervisor, rounds, measuredAt, sizes }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return sorted.count % 2 == 1 ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
}

/// Measures both ways on one guest.
struct StopBench {
    let hypervisor: LibvirtHypervisor
    let image: GuestImage
    let disks: QemuDisks
    let work: String

    /// - Parameter done: called with the number of each round after it.
    func measure(memory: ByteCount, rounds: Int, done: (Int) -> Void) async throws -> StopMeasurement {
        let directory = work + "/m\(Int(memory.mebibytes))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        @Sendable func layer(_ index: Int) -> String { "\(directory)/\(padded(index)).qcow2" }
        try await disks.makeFirstLayer(at: layer(0), size: .mebibytes(256))
        let name = "cairn-bench-\(Int(memory.mebibytes))"
        let workingSet = Int(memory.mebibytes) / 4
        let domain = DomainDescription(
            name: name, memoryBytes: memory, virtualCPUs: 1, kernel: image.kernel, ramdisk: image.ramdisk, base: image.base, activeLayer: layer(0),
            console: directory + "/console.log",
            run: "hashchain --seconds 3600 --memory \(workingSet) --tick 10 --write-kib-per-s 128 --check-every 30")
        try await hypervisor.start(domain)
        var outcome = StopMeasurement(
            memoryMebibytes: Int(memory.mebibytes), liveSeconds: [], liveByHypervisorSeconds: [], saveCopyRestoreSeconds: [])
        do {
            let way = try await hypervisor.capabilities().captureWays.first ?? .saveRestore
            let watch = TickWatch(console: domain.console)
            try await watch.waitForTicks(300)
            for round in 1...rounds {
                try await disks.makeOverlay(at: layer(round), on: layer(round - 1))
                let memoryPath = "\(directory)/memory.img"
                var taken: Capture?
                outcome.liveSeconds.append(
                    try await watch.largestGap {
                        taken = try await hypervisor.capture(name, memoryPath: memoryPath, nextLayer: layer(round), way: way)
                    })
                outcome.liveByHypervisorSeconds.append(taken?.stopSeconds.rawValue ?? .nan)
                discard(memoryPath)
                outcome.saveCopyRestoreSeconds.append(
                    try await watch.largestGap {
                        try await hypervisor.saveAndRestoreInPlace(name, path: memoryPath) {
                            for index in 0...round { copy(layer(index), to: "\(directory)/copy-\(index)") }
                        }
                    })
                discard(memoryPath)
                done(round)
            }
        } catch {
            try await hypervisor.destroy(name)
            throw error
        }
        try await hypervisor.destroy(name)
        return outcome
    }

    private func copy(_ file: String, to copy: String) {
        discard(copy)
        do { try FileManager.default.copyItem(atPath: file, toPath: copy) } catch { print("cannot copy \(file): \(error.localizedDescription)") }
    }

    private func discard(_ file: String) {
        guard FileManager.default.fileExists(atPath: file) else { return }
        do { try FileManager.default.removeItem(atPath: file) } catch { print("left behind: \(file): \(error.localizedDescription)") }
    }
}

/// Looks at a console every two milliseconds and notes when ticks arrive.
final class TickWatch: Sendable {
    private let console: String
    init(console: String) { self.console = console }

    func waitForTicks(_ count: Int) async throws {
        let limit = Date().addingTimeInterval(120)
        while Date() < limit {
            let text = FileManager.default.contents(atPath: console).map { String(decoding: $0, as: UTF8.self) } ?? ""
            if text.components(separatedBy: "\nT ").count > count { return }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw Failure.notDone("the guest does not tick: see its console \(console)")
    }

    /// Largest time without anything new on the console, from a second before `body` to a second after it.
    func largestGap(_ body: () async throws -> Void) async throws -> Double {
        let recorder = Recorder(console: console)
        recorder.start()
        try await Task.sleep(for: .seconds(1))
        do { try await body() } catch {
            recorder.finish()
            throw error
        }
        try await Task.sleep(for: .seconds(1.5))
        return recorder.finish()
    }

    /// On a thread of its own: the cooperative pool's delays must not count.
    private final class Recorder: @unchecked Sendable {
        // Guarded by `lock`.
        private let lock = NSLock()
        private var isRunning = true
        private var gap = 0.0
        private let console: String
        init(console: String) { self.console = console }

        func start() {
            Thread { [self] in
                var size = -1
                var last = Date()
                while lock.withLock({ isRunning }) {
                    var status = stat()
                    let now = Date()
                    if stat(console, &status) == 0, Int(status.st_size) != size {
                        if size >= 0 { lock.withLock { gap = max(gap, now.timeIntervalSince(last)) } }
                        size = Int(status.st_size)
                        last = now
                    }
                    usleep(2_000)
                }
            }.start()
        }

        @discardableResult
        func finish() -> Double {
            lock.withLock {
                isRunning = false
                return gap
            }
        }
    }
}
