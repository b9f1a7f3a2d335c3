import CheckpointEngine
import Evaluation
import Foundation
import Ports
import Vocabulary

/// Figures 3, 4 and 6: the time to make a checkpoint, by memory, by user disk, and in a series.
extension PaperBench {
    /// Of one size, both ways, seconds.
    struct Making {
        var paper: [PaperCheckpoint] = []
        var ours: [CheckpointRecord] = []
        func paper(_ part: (PaperCheckpoint) -> Double) -> Double { median(paper.map(part)) }
        func ours(_ part: (CheckpointRecord) -> Double) -> Double { median(ours.map(part)) }
    }

    private func making(_ name: String, memory: Int, disk: Int, run: String, _ kind: PaperStore, over store: any CheckpointStore) async throws
        -> Making
    {
        let guest = try await begin(name, memory: memory, disk: disk, run: run, over: store)
        var making = Making()
        do {
            // The base goes with the first, and the figures are about the others.
            _ = try await guest.checkpoint(replication: kind.replication)
            for _ in 0..<(isQuick ? 1 : 2) {
                making.paper.append(try await guest.paperCheckpoint(.union, to: store, replication: kind.replication))
                making.ours.append(try await guest.checkpoint(replication: kind.replication))
            }
        } catch {
            try await guest.stop()
            throw error
        }
        try await guest.stop()
        return making
    }

    private func chart(_ name: String, _ title: String, _ xLabel: String, _ all: [(size: Int, making: Making)]) -> [Chart] {
        let categories = all.map { "\($0.size)" }
        return [
            Chart(
                name: name, title: title + ": the paper's way", kind: .stackedBars, xLabel: xLabel, yLabel: "seconds", categories: categories,
                series: [
                    .init("save memory", values: all.map { $0.making.paper(\.saveMemory) }),
                    .init("save user disk", values: all.map { $0.making.paper(\.saveDisks) }),
                    .init("restart VM", values: all.map { $0.making.paper(\.restart) }),
                    .init("compress user disk", values: all.map { $0.making.paper(\.compress) }),
                    .init("upload memory", values: all.map { $0.making.paper(\.uploadMemory) }),
                    .init("upload user disk", values: all.map { $0.making.paper(\.uploadDisks) }),
                ]),
            Chart(
                name: name + "-ours", title: title + ": ours", kind: .stackedBars, xLabel: xLabel, yLabel: "seconds", categories: categories,
                series: [
                    .init("guest stands still", values: all.map { $0.making.ours { $0.stopSeconds.rawValue } }),
                    .init(
                        "beside the guest: save, compress, upload, commit",
                        values: all.map { $0.making.ours { ($0.latencySeconds - $0.stopSeconds).rawValue } }),
                ]),
        ]
    }

    private func table(_ rowTitle: String, _ all: [(size: Int, making: Making)]) -> DataTable {
        DataTable(
            title: "Medians, seconds", rowTitle: rowTitle,
            columns: [
                "Save memory", "Save user disk", "Restart VM", "**Stop, paper's way**", "Compress", "Upload", "**All, paper's way**",
                "**Stop, ours**", "**All, ours**", "Sent, paper's way, MiB", "Sent, ours, MiB",
            ],
            rows: all.map { size, making in
                .init(
                    "\(size)",
                    [
                        making.paper(\.saveMemory), making.paper(\.saveDisks), making.paper(\.restart), making.paper(\.stop),
                        making.paper(\.compress),
                        making.paper { $0.uploadMemory + $0.uploadDisks }, making.paper(\.total), making.ours { $0.stopSeconds.rawValue },
                        making.ours { $0.latencySeconds.rawValue }, making.paper { Double($0.bytes) / 1_048_576 },
                        making.ours { Double($0.sentBytes.rawValue) / 1_048_576 },
                    ])
            })
    }

    private func store(_ root: String, _ missing: inout ScenarioMissing) throws -> (PaperStore, any CheckpointStore) {
        let kind = stores.available([.hdfs(3)], &missing).first ?? .directory
        return (kind, try stores.open(kind, root: root))
    }

    func figure3() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        let (kind, store) = try store("f3", &missing)
        var all: [(Int, Making)] = []
        for memory in sizes.memories {
            all.append(
                (
                    memory,
                    try await making(
                        "f3-\(memory)", memory: memory, disk: sizes.userDisk,
                        run: "hashchain --seconds 3600 --rate 20 --memory \(Self.inUse(of: memory)) --write-kib-per-s 64", kind, over: store)
                ))
        }
        try await stores.clear(store)
        return ScenarioResult(
            id: "figure-3", title: "Figure 3: checkpoint time depending on memory",
            setup:
                "Guests of \(sizes.memories.map(String.init).joined(separator: ", ")) MiB of memory, of which the task uses half of what is above 64 MiB, and a user disk of \(sizes.userDisk) MiB that "
                + "is almost empty; \(kind.name); the base was uploaded before. Both ways on the same guest in turn. In the paper's way the guest stands still "
                + "for the first three parts.",
            tables: [table("Memory, MiB", all)],
            paperSays: ["The time increases linearly with memory, for saving it and restarting the VM; the time to upload it is proportional to it."],
            charts: chart("figure-3", "Checkpoint by memory", "memory, MiB", all),
            findings: [
                Shapes.growsLinearly(
                    "The paper's way takes longer the more memory there is, along a line.", all.map { (Double($0.0), $0.1.paper(\.total)) },
                    unit: "s a MiB"),
                Shapes.growsLinearly(
                    "The time to upload grows with the memory.", all.map { (Double($0.0), $0.1.paper(\.uploadMemory)) }, unit: "s a MiB"),
                ShapeFinding(
                    "Our stop does not grow with memory.",
                    holds: (all.last?.1.ours { $0.stopSeconds.rawValue } ?? 1) < 3 * max(all.first?.1.ours { $0.stopSeconds.rawValue } ?? 0, 0.02),
                    because: "("
                        + all.map { "\(EvaluationPage.figure($0.1.ours { $0.stopSeconds.rawValue })) s at \($0.0) MiB" }.joined(separator: ", ") + ")"
                ),
            ], missing: missing.reasons)
    }

    func figure4() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        let (kind, store) = try store("f4", &missing)
        var all: [(Int, Making)] = []
        for disk in sizes.userDisks {
            all.append(
                (
                    disk,
                    try await making(
                        "f4-\(disk)", memory: sizes.memory, disk: disk, run: "hashchain --seconds 3600 --rate 20 --memory 16 --write-kib-per-s 64",
                        kind,
                        over: store)
                ))
        }
        try await stores.clear(store)
        let line = Shapes.line(all.map { (Double($0.0), $0.1.paper(\.uploadDisks)) })
        return ScenarioResult(
            id: "figure-4", title: "Figure 4: checkpoint time depending on user disk",
            setup:
                "Guests of \(sizes.memory) MiB of memory and user disks of \(sizes.userDisks.map(String.init).joined(separator: ", ")) MiB that are almost empty; "
                + "\(kind.name); the base was uploaded before. In the paper's way the user disk is saved as a raw image and compressed (gzip -1) before it is sent.",
            tables: [table("User disk, MiB", all)],
            paperSays: [
                "The time increases with the user disk, for recreating the delta image.",
                "An almost empty user disk is compressed so well that uploading it takes just the time to compress it.",
            ],
            charts: chart("figure-4", "Checkpoint by user disk", "user disk, MiB", all),
            findings: [
                Shapes.growsLinearly(
                    "Saving the user disk takes longer the larger it is.", all.map { (Double($0.0), $0.1.paper(\.saveDisks)) }, unit: "s a MiB"),
                Shapes.growsLinearly("So does compressing it.", all.map { (Double($0.0), $0.1.paper(\.compress)) }, unit: "s a MiB"),
                ShapeFinding(
                    "Compressed, it takes next to no time to upload, whatever its size.",
                    holds: all.allSatisfy { $0.1.paper(\.uploadDisks) < 0.25 * max($0.1.paper(\.compress), 0.4) },
                    because: "(\(EvaluationPage.figure(line.slope * 100)) s more for 100 MiB more)"),
                ShapeFinding(
                    "Ours does not depend on the size of the disk, only on what was written: a layer holds no more.",
                    holds: (all.map { $0.1.ours { Double($0.diskBytes.rawValue) } }.max() ?? 0) < 64 * 1_048_576,
                    because:
                        "(at most \(EvaluationPage.figure((all.map { $0.1.ours { Double($0.diskBytes.rawValue) } }.max() ?? 0) / 1_048_576)) MiB of disk in a checkpoint)"
                ),
            ], missing: missing.reasons)
    }

    func figure6() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        let (kind, _) = try store("f6", &missing)
        var all: [(memory: Int, records: [CheckpointRecord])] = []
        for memory in sizes.seriesMemories {
            // A store that knows no base yet, for each.
            let store = try stores.open(kind, root: "f6-\(memory)")
            let guest = try await begin(
                "f6-\(memory)", memory: memory, disk: sizes.userDisk,
                run: "hashchain --seconds 3600 --rate 20 --memory \(Self.inUse(of: memory)) --dirty-mib-per-s 1 --write-kib-per-s 64", over: store)
            var records: [CheckpointRecord] = []
            do {
                for index in 0..<sizes.series {
                    let begun = ContinuousClock.now
                    records.append(try await guest.checkpoint(replication: kind.replication))
                    if index + 1 < sizes.series { try await Task.sleep(until: begun + .seconds(sizes.seriesEvery), clock: .continuous) }
                }
            } catch {
                try await guest.stop()
                throw error
            }
            try await guest.stop()
            try await stores.clear(store)
            all.append((memory, records))
        }
        let count = sizes.series
        return ScenarioResult(
            id: "figure-6", title: "Figure 6: a series of checkpoints",
            setup:
                "\(count) checkpoints of a guest, one every \(Int(sizes.seriesEvery)) s (the paper: every 100 s), made by ours, to \(kind.name) in which nothing is yet: "
                + "the first takes the base system of \(sizes.base) MiB along. Memory of \(sizes.seriesMemories.map(String.init).joined(separator: " and ")) MiB.",
            tables: [
                DataTable(
                    title: "Seconds from the stop until it is durable, and MiB sent", rowTitle: "Checkpoint",
                    columns: all.flatMap { ["\($0.memory) MiB, s", "\($0.memory) MiB, sent MiB"] },
                    rows: (0..<count).map { index in
                        .init(
                            "\(index + 1)",
                            all.flatMap { [$0.records[index].latencySeconds.rawValue, Double($0.records[index].sentBytes.rawValue) / 1_048_576] })
                    })
            ],
            paperSays: [
                "The first checkpoint is more expensive, as all disks must be uploaded; the others upload memory and what changed of the user disk.",
                "Without the delta disks each would take as long as the first.",
            ],
            charts: [
                Chart(
                    name: "figure-6", title: "A series of checkpoints", kind: .groupedBars, xLabel: "checkpoint", yLabel: "seconds until durable",
                    categories: (1...count).map(String.init),
                    series: all.map { .init("\($0.memory) MiB of memory", values: $0.records.map { $0.latencySeconds.rawValue }) })
            ],
            findings: all.map { memory, records in
                let others = median(records.dropFirst().map { $0.latencySeconds.rawValue })
                return ShapeFinding(
                    "The first takes longer than the others (\(memory) MiB).", holds: (records.first?.latencySeconds.rawValue ?? 0) > others,
                    because:
                        "(\(EvaluationPage.figure(records.first?.latencySeconds.rawValue ?? 0)) s, the others \(EvaluationPage.figure(others)) s)")
            }, missing: missing.reasons)
    }
}
