import DiskImages
import Foundation
import GuestImages
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

extension QEMUTests {
    /// A guest whose one disk is a chain on a raw base.
    private struct GuestOnBase {
        let name: String
        let folder: String
        let hypervisor: LibvirtHypervisor
        /// Kernel and ramdisk; empty: from its disk.
        var boot = ("", "")
        var memory = ByteCount.mebibytes(128)
        var run = ""

        init(_ name: String) throws {
            self.name = "cairn-\(name)"
            folder = "\(Lab.root)/\(name)"
            hypervisor = try #require(Lab.qemu)
            try FileManager.default.createDirectory(atPath: folder + "/elsewhere", withIntermediateDirectories: true)
        }

        func description(_ layer: String, base: String, in place: String) -> DomainDescription {
            DomainDescription(
                name: name, memoryBytes: memory, virtualCPUs: 1, kernel: boot.0, ramdisk: boot.1, base: base, activeLayer: "\(place)/\(layer)",
                console: "\(place)/console.log", run: run, union: .backingFile)
        }

        func text(in place: String) -> String {
            FileManager.default.contents(atPath: place + "/console.log").map { String(decoding: $0, as: UTF8.self) } ?? ""
        }

        func wait(in place: String, for condition: (String) -> Bool) async throws {
            for _ in 0..<2400 {
                if condition(text(in: place)) { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("not seen on the console: \(text(in: place).suffix(500))")
        }

        /// Two captures, the second with the guest put down and taken up in place; then the guest goes on elsewhere, over a copy of the base and
        /// one layer in place of two, with nothing left where it was.
        func goElsewhere(base: String, after seen: (String) -> Bool) async throws -> (merged: Int, elsewhere: String) {
            let disks = Lab.disks
            try await disks.makeFirstLayer(at: folder + "/0.qcow2", size: .mebibytes(1), onBase: base)
            try await hypervisor.start(description("0.qcow2", base: base, in: folder))
            try await wait(in: folder, for: seen)
            var taken: Capture?
            for (number, way) in [HypervisorKind.qemu.ways[0], .saveRestore].enumerated() {
                let next = "\(folder)/\(number + 1).qcow2"
                try await disks.makeOverlay(at: next, on: "\(folder)/\(number).qcow2")
                taken = try await hypervisor.capture(name, memoryPath: "\(folder)/memory-\(number)", nextLayer: next, way: way)
                try await Task.sleep(for: .seconds(1))
            }
            let chain = try await hypervisor.chain(name)
            #expect(chain == ["2.qcow2", "1.qcow2", "0.qcow2"].map { "\(folder)/\($0)" } + [base])
            try await hypervisor.destroy(name)
            let place = folder + "/elsewhere"
            try FileManager.default.copyItem(atPath: base, toPath: place + "/base")
            try FileManager.default.moveItem(atPath: base, toPath: base + ".gone")
            for layer in 0...1 { try FileManager.default.moveItem(atPath: "\(folder)/\(layer).qcow2", toPath: "\(place)/\(layer).qcow2") }
            try await disks.rebase(place + "/0.qcow2", ontoBase: place + "/base")
            try await disks.rebase(place + "/1.qcow2", onto: place + "/0.qcow2")
            try await disks.merge([place + "/0.qcow2", place + "/1.qcow2"], into: place + "/merged.qcow2")
            for layer in 0...1 { try FileManager.default.removeItem(atPath: "\(place)/\(layer).qcow2") }
            try await disks.makeOverlay(at: place + "/2.qcow2", on: place + "/merged.qcow2")
            try await hypervisor.restore(
                memoryPath: folder + "/memory-1", definition: try #require(taken).definition,
                as: description("2.qcow2", base: place + "/base", in: place))
            let merged = try FileManager.default.attributesOfItem(atPath: place + "/merged.qcow2")[.size] as? Int
            return (try #require(merged), place)
        }
    }

    @Test("a guest on a backing file goes on elsewhere over a copy of its base, to the undisturbed result")
    func backingFile() async throws {
        let recipe = ImageRecipe(name: "backing", directory: Lab.root + "/backing-image", deltaSize: .mebibytes(32), union: .backingFile)
        let image = try ImageBuilder().build(recipe)
        var guest = try GuestOnBase("backing")
        guest.boot = (image.kernel, image.ramdisk)
        guest.run = HypervisorConformance.run(.qemu)
        let (merged, elsewhere) = try await guest.goElsewhere(base: image.base) { $0.contains("CAIRN CHECK ok") }
        let expected = try image.expectedResult(run: guest.run)
        try await guest.wait(in: elsewhere) { $0.contains("CAIRN EXIT") }
        #expect(guest.text(in: elsewhere).contains("CAIRN RESULT \(expected)"))
        #expect(guest.text(in: elsewhere).contains("CAIRN CHECK ok") && !guest.text(in: elsewhere).contains("CORRUPT"))
        #expect(guest.text(in: guest.folder).contains("CAIRN UNION backing-file rw,noatime"))
        // Written so far: some MiB. The base is more than 40.
        #expect(merged < 24 << 20 && image.manifest.base.sizeBytes > .mebibytes(40))
        try await guest.hypervisor.destroy(guest.name)
        try FileManager.default.moveItem(atPath: image.base + ".gone", toPath: image.base)
        _ = try GuestImage.load(image.directory, verifyingDigests: true)
    }

    /// A disk that boots by itself and that nobody could touch: a boot sector of 120 bytes. Twenty times a second it reads sector 2, which only
    /// the base has, and sector 1, which must hold the number that it has in memory; then it counts on, writes the number there, and says "+"
    /// on the serial line. Whatever it finds amiss makes it say "!" and stop.
    private static let bootSector = """
        fa31c08ed88ec08ed0bc007cfbfc8816787cb90300e84500813e00905eba7535b90200e83700a1797c3b060090752640a3797cbf0090b90001f3abb90200b80103e81c00\
        b02be82500b90000ba50c3b486cd15ebbdb021e81400f4ebf8b80102bb009030f68a16787ccd1372e8c3e80200b00abaf803eec3
        """

    @Test("a disk that boots by itself goes on elsewhere, its memory and its disk of one instant")
    func ownDisk() async throws {
        var guest = try GuestOnBase("disk")
        guest.memory = .mebibytes(32)
        let base = guest.folder + "/disk.raw"
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let digits = Array(Self.bootSector.utf8)
        for index in stride(from: 0, to: digits.count, by: 2) {
            bytes[index / 2] = try #require(UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16))
        }
        (bytes[510], bytes[511], bytes[1024], bytes[1025]) = (0x55, 0xaa, 0x5e, 0xba)
        try Data(bytes).write(to: URL(fileURLWithPath: base))
        func count(_ text: String) -> Int { text.split(whereSeparator: \.isNewline).filter { $0.hasSuffix("+") }.count }
        let (_, elsewhere) = try await guest.goElsewhere(base: base) { count($0) > 20 }
        try await guest.wait(in: elsewhere) { count($0) > 20 || $0.contains("!") }
        #expect(!guest.text(in: guest.folder).contains("!") && !guest.text(in: elsewhere).contains("!"))
        #expect(try await guest.hypervisor.status(guest.name)?.state == .running)
        try await guest.hypervisor.destroy(guest.name)
        #expect(try Data(contentsOf: URL(fileURLWithPath: base + ".gone")) == Data(bytes))
    }
}
