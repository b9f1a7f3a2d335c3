import CheckpointEngine
import Evaluation
import Foundation
import PlanningModel
import Ports
import Vocabulary

/// Table II and figure 5: uploads.
extension PaperBench {
    /// One whole checkpoint to each store, in the paper's way (one stream) and in ours.
    func table2() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        let there = stores.available([.hdfs(3), .hdfs(2), .hdfs(1), .ftp, .sftp, .directory], &missing)
        let file = work + "/checkpoint"
        let bytes = Int64(sizes.upload) << 20
        try BenchFiles.random(file, bytes: bytes, seed: 2)
        defer { discardBench(file) }
        var paper: [PaperStore: [Double]] = [:]
        var ours: [PaperStore: [Double]] = [:]
        for _ in 0..<sizes.uploadRounds {
            for store in there {
                let opened = try stores.open(store, root: "t2")
                func upload(_ mode: TransferMode) async throws -> Double {
                    let seconds = try await timed {
                        do throws(EngineError) {
                            _ = try await Transfer(store: opened, mode: mode, time: SystemTime()).upload(
                                file, as: "\(PaperStores.plain)/file", codec: .none, replication: store.replication, meter: Transfer.Meter())
                        } catch { throw Failure.notDone("\(store.name): \(error)") }
                    }
                    try await stores.clear(opened)
                    return seconds
                }
                paper[store, default: []].append(
                    try await upload(TransferMode(form: .sequential, parallel: 1, leavesOutZeros: false, isInBackground: false)))
                ours[store, default: []].append(try await upload(TransferMode(isInBackground: false)))
            }
        }
        func value(_ store: PaperStore) -> Double? { paper[store].map { median($0) } }
        func order(_ statement: String, _ stores: [PaperStore], _ steps: [String]) -> ShapeFinding? {
            let values = stores.compactMap { store in value(store).map { (store.name, $0) } }
            return values.count == stores.count ? Shapes.order(statement, values, steps) : nil
        }
        let findings = [
            order("More replicas take longer.", [.hdfs(1), .hdfs(2), .hdfs(3)], ["<", "<"]),
            order("SFTP is slower than FTP, for the encryption.", [.ftp, .sftp], ["<"]),
            order("HDFS with three replicas is slower than the centralised FTP.", [.ftp, .hdfs(3)], ["<"]),
            order("HDFS with three replicas is slower than a mounted directory.", [.directory, .hdfs(3)], ["<"]),
        ].compactMap { $0 }
        return ScenarioResult(
            id: "table-2", title: "Table II: time to upload a checkpoint, by protocol",
            setup:
                "A checkpoint of \(sizes.upload) MiB (the paper's: 1496 MiB) that nothing can compress, medians of \(sizes.uploadRounds), in turns. "
                + "*One stream*: part after part, as the paper sends a file; *ours*: several parts at once. Each part is checked as the store holds it.",
            tables: [
                DataTable(
                    title: "", rowTitle: "Storage", columns: ["One stream, s", "Ours, s", "One stream, MiB/s", "Ours, MiB/s"],
                    rows: there.map { store in
                        let (a, b) = (median(paper[store] ?? []), median(ours[store] ?? []))
                        return .init(store.name, [a, b, Double(sizes.upload) / a, Double(sizes.upload) / b])
                    })
            ], paper: [PaperNumbers.table2],
            paperSays: [
                "SFTP is slower than the other approaches due to encryption of the channel; FTP and NFS are faster than the distributed ones.",
                "HDFS with one replica is similar to the centralised approaches; with more replicas it is slower.",
            ],
            charts: [
                Chart(
                    name: "table-2", title: "Uploading a checkpoint of \(sizes.upload) MiB", kind: .groupedBars, xLabel: "storage", yLabel: "seconds",
                    categories: there.map(\.name),
                    series: [
                        .init("one stream (the paper's way)", values: there.map { median(paper[$0] ?? []) }),
                        .init("ours, several parts at once", values: there.map { median(ours[$0] ?? []) }),
                    ])
            ], findings: findings, missing: missing.reasons)
    }

    /// A user disk filled more and more by a guest; each time uploaded compressed, as it is, and by equation 1.
    func figure5() async throws -> ScenarioResult {
        var missing = ScenarioMissing()
        // HDFS lets every other file wait 0.4 s to be closed, as long as a whole upload takes here: no 5 % could be told from that.
        guard let kind = stores.available([.sftp], &missing).first ?? stores.available([.directory], &missing).first else {
            throw Failure.cannotTry("there is no store")
        }
        let store = try stores.open(kind, root: "f5")
        let images = try await filledDisks(over: store)
        var forms: [(form: CompressionForm, codec: Codec, measured: [Technique: [[Double]]], choices: [Bool], verdicts: [CompressionVerdict])] = []
        for (form, codec) in [(CompressionForm.sequential, Codec.gzip), (.pipelined, .zstd)] {
            let mode = TransferMode(
                form: form == .sequential ? .sequential : .overlapped, leavesOutZeros: false, triesBefore: false, isInBackground: false)
            var estimates = CompressionEstimates()
            // Earlier checkpoints: one each of the emptiest and of the fullest disk, compressed and not.
            for image in [images.first, images.last].compactMap({ $0 }) {
                for technique in [Codec.none, codec] { _ = try await upload(image.path, technique, mode, kind, store, &estimates) }
            }
            var measured: [Technique: [[Double]]] = [:]
            var choices: [Bool] = []
            var verdicts: [CompressionVerdict] = []
            for image in images {
                var seconds: [Technique: [Double]] = [:]
                for round in 0..<sizes.uploadRounds {
                    // What went before leaves the store with something to do: so each goes first, second and last as often.
                    for turn in Technique.allCases.indices {
                        let technique = Technique.allCases[(round + turn) % Technique.allCases.count]
                        var deciding = 0.0
                        var chosen = technique == .always ? codec : .none
                        if technique == .mixed {
                            var verdict: CompressionVerdict?
                            deciding = try await timed { verdict = try estimates.verdict(image.path, form: form, codec: codec) }
                            if verdict?.pays == true { chosen = codec }
                            if let verdict { verdicts.append(verdict) }
                        }
                        let took = try await upload(image.path, chosen, mode, kind, store, &estimates)
                        seconds[technique, default: []].append(deciding + took)
                    }
                }
                choices.append(verdicts.suffix(sizes.uploadRounds).filter(\.pays).count * 2 > sizes.uploadRounds)
                for technique in Technique.allCases { measured[technique, default: []].append(seconds[technique] ?? []) }
            }
            forms.append((form, codec, measured, choices, verdicts))
        }
        for image in images { discardBench(image.path) }
        return figure5(kind, images, forms, missing)
    }

    enum Technique: String, CaseIterable { case always, never, mixed }

    private func figure5(
        _ kind: PaperStore, _ images: [(used: Int, path: String)],
        _ forms: [(form: CompressionForm, codec: Codec, measured: [Technique: [[Double]]], choices: [Bool], verdicts: [CompressionVerdict])],
        _ missing: ScenarioMissing
    ) -> ScenarioResult {
        var result = ScenarioResult(
            id: "figure-5", title: "Figure 5: compress always, never, or by equation 1",
            setup:
                "A guest fills its user disk of \(sizes.usedDisk) MiB (the paper's: 800 MiB) with what nothing can compress. Each time the whole disk, as a "
                + "raw image, is sent to \(kind.name) (HDFS, where closing a file takes nothing or 0.4 s by chance, would hide the difference): "
                + "*always* compressed, *never*, and *mixed*: by equation 1, whose estimates come from the uploads before and from the share of the disk that is "
                + "not zero. In the paper's form (all is compressed with gzip -1, then all is sent) and in ours (zstd -1, "
                + "compressed while it is sent). Medians of \(sizes.uploadRounds), in turns; the time to decide is counted.",
            paperSays: [
                "gzip without compression removes the zeros: of an image of 800 MiB with 554 MiB of data in 34 s, where copying takes 11 s.",
                "Below 200 MiB of 800 MiB used, compressing is faster; above, copying is. Mixed is the better of both at every usage.",
            ], missing: missing.reasons)
        let used = images.map { Double($0.used) }
        for one in forms {
            let name = one.form == .sequential ? "the paper's form" : "ours, overlapped"
            func values(_ technique: Technique) -> [Double] { (one.measured[technique] ?? []).map { median($0) } }
            let (always, never, mixed) = (values(.always), values(.never), values(.mixed))
            result.tables.append(
                DataTable(
                    title: "\(name), \(one.codec.rawValue)", rowTitle: "Used, MiB",
                    columns: [
                        "Always, s", "Never, s", "Mixed, s", "Mixed compresses (1) or not (0)", "Estimated compressed, s", "Estimated as it is, s",
                    ],
                    rows: images.indices.map { index in
                        let verdict = one.verdicts[index * sizes.uploadRounds + sizes.uploadRounds - 1]
                        return .init(
                            "\(images[index].used)",
                            [
                                always[index], never[index], mixed[index], one.choices[index] ? 1 : 0, verdict.compressedSeconds,
                                verdict.uncompressedSeconds,
                            ])
                    }))
            result.charts.append(
                Chart(
                    name: "figure-5-\(one.form.rawValue)", title: "User disk of \(sizes.usedDisk) MiB: \(name), \(one.codec.rawValue)", kind: .lines,
                    xLabel: "used, MiB", yLabel: "seconds",
                    series: [
                        .init("always compressed", values: always, xs: used), .init("never compressed", values: never, xs: used),
                        .init("mixed, by equation 1", values: mixed, xs: used),
                    ]))
            result.findings.append(
                Shapes.within(
                    "Mixed stays within 5 % of the better pure technique at every usage (\(name)).", share: 0.05,
                    images.indices.map { ("\(images[$0].used) MiB", mixed[$0], [always[$0], never[$0]]) }
                ).promised)
            if one.form == .sequential, always.count > 1 {
                let crossing = images.indices.first { always[$0] > never[$0] }.map { images[$0].used }
                result.findings.append(
                    ShapeFinding(
                        "Compressing pays on an empty disk and not on a full one.",
                        holds: always[0] < never[0] && (always.last ?? 0) > (never.last ?? 0),
                        because:
                            "(it ceases to at \(crossing.map { "\($0) of \(sizes.usedDisk) MiB" } ?? "none of the usages"); the paper: at 200 of 800 MiB)"
                    ))
            }
        }
        return result
    }

    /// One guest writes more and more; after each step its disk is captured. The disks as raw images.
    private func filledDisks(over store: any CheckpointStore) async throws -> [(used: Int, path: String)] {
        // Few words: the kernel hands on no more than 32 of them.
        let script =
            "echo CAIRN START; p=0; for u in \(sizes.usages.map(String.init).joined(separator: " ")); do dd if=/dev/urandom of=/root/f$u bs=1M "
            + "count=$((u-p)) 2>/dev/null; sync;p=$u;echo FILLED-$u.;sleep 4;done;sleep 60"
        // The file system takes a little more than what is in it.
        let guest = try await begin("f5", memory: sizes.memory, disk: sizes.usedDisk, run: script, over: store)
        var images: [(Int, String)] = []
        do {
            let directory = work + "/f5"
            try? FileManager.default.removeItem(atPath: directory)
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let way = try await hypervisor.capabilities().captureWays.first ?? .saveRestore
            var layer = guest.activeLayer
            for (index, used) in sizes.usages.enumerated() {
                try await guest.wait(for: "FILLED-\(used).", seconds: 120)
                // Beside the layer in use: a layer's reference to the one below is a name.
                let next = (layer as NSString).deletingLastPathComponent + "/" + padded(100 + index) + ".qcow2"
                try await disks.makeOverlay(at: next, on: layer)
                let frozen = layer
                _ = try await hypervisor.capture(guest.domain, memoryPath: directory + "/memory", nextLayer: next, way: way)
                let raw = "\(directory)/\(used).raw"
                try await Peers.run(
                    Peers.find("qemu-img") ?? "qemu-img", ["convert", "-q", "-U", "-f", "qcow2", "-O", "raw", "-S", "0", frozen, raw])
                images.append((used, raw))
                layer = next
                unlink(directory + "/memory")
            }
        } catch {
            try await guest.stop()
            throw error
        }
        try await guest.stop()
        return images
    }

    private func upload(
        _ file: String, _ codec: Codec, _ mode: TransferMode, _ kind: PaperStore, _ store: any CheckpointStore,
        _ estimates: inout CompressionEstimates
    ) async throws -> Double {
        let meter = Transfer.Meter()
        var stored: Int64 = 0
        let path = "\(PaperStores.plain)/\(UUID().uuidString)"
        let seconds = try await timed {
            do throws(EngineError) {
                stored = try await Transfer(store: store, mode: mode, time: SystemTime())
                    .upload(file, as: path + "/disk", codec: codec, replication: kind.replication, meter: meter).storedBytes
            } catch { throw Failure.notDone("\(error)") }
        }
        do throws(StoreError) { try await store.remove(path) } catch { throw Failure.notDone("\(error)") }
        let size = (try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int64) ?? 0
        estimates.observe(
            codec: codec, form: mode.form, size: Double(size), content: Double(meter.nonZeroBytes.rawValue), stored: Double(stored), seconds: seconds,
            compressSeconds: meter.compressSeconds.rawValue, uploadSeconds: meter.uploadSeconds.rawValue)
        return seconds
    }
}

/// Equation 1's estimates, as the paper has them: from the times of earlier checkpoints, the size of this one, and how much of it is not zero.
struct CompressionEstimates {
    /// Seconds of compression, by size and by content.
    private var compress = RecursiveFit(
        priorIntercept: 0, priorSlopes: [1 / 400e6, 1 / 35e6], typical: [256e6, 128e6], priorStandardError: 1)
    private var upload = RecursiveFit(priorIntercept: 0, priorSlopes: [1 / 100e6], typical: [256e6], priorStandardError: 1)
    /// Bytes stored, by size and by content.
    private var stored = RecursiveFit(priorIntercept: 0, priorSlopes: [0.001, 0.5], typical: [256e6, 128e6], priorStandardError: 64e6)

    mutating func observe(
        codec: Codec, form: TransferMode.Form, size: Double, content: Double, stored bytes: Double, seconds: Double, compressSeconds: Double,
        uploadSeconds: Double
    ) {
        if codec == .none {
            upload.observe([bytes], seconds)
            return
        }
        if form == .sequential { upload.observe([bytes], uploadSeconds) }
        compress.observe([size, content], form == .sequential ? compressSeconds : max(compressSeconds, seconds))
        stored.observe([size, content], bytes)
    }

    func verdict(_ file: String, form: CompressionForm, codec: Codec) throws -> CompressionVerdict {
        let (size, content) = try Self.sample(file)
        let packed = stored.predictNonNegative([size, content]).value
        return Compression.weigh(
            form: form, compressSeconds: compress.predictNonNegative([size, content]).value,
            uploadCompressedSeconds: upload.predictNonNegative([packed]).value, uploadUncompressedSeconds: upload.predictNonNegative([size]).value)
    }

    /// Size, and bytes that are not zero, from one block in 64.
    private static func sample(_ file: String) throws -> (Double, Double) {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure.notDone("cannot read \(file)") }
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        var block = [UInt8](repeating: 0, count: 4_096)
        var seen = 0
        var used = 0
        for offset in stride(from: 0, to: size, by: 64 * block.count) {
            let got = pread(descriptor, &block, block.count, offset)
            guard got > 0 else { break }
            seen += 1
            if block.prefix(got).contains(where: { $0 != 0 }) { used += 1 }
        }
        return (Double(size), seen == 0 ? 0 : Double(size) * Double(used) / Double(seen))
    }
}
