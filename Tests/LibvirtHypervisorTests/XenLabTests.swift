import Foundation
import GuestImages
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

/// What `scripts/lab xen test` asks for; nothing where Xen is not.
enum XenLab {
    private static let environment = HypervisorKind.isXen ? ProcessInfo.processInfo.environment : [:]
    /// How often each way's pause is measured.
    static let rounds = environment["CAIRN_XEN_PAUSES"].flatMap { Int($0) } ?? 0
    /// The union that the image was made for.
    static let union = environment["CAIRN_XEN_UNION"]
}

/// How long a guest stands still for a capture, as seen in the control domain: between two of its ticks on its console. `scripts/lab xen test` makes
/// a table of it. Nothing that was timed is asserted here.
@Suite("The pause of each way on Xen", .serialized, .enabled(if: XenLab.rounds > 0, "measured where CAIRN_XEN_PAUSES says how often"))
struct XenPauses {
    @Test("no tick is lost or comes twice, and the guest finds itself whole", arguments: WayCase.all)
    func pause(_ tried: WayCase) async throws {
        var guest = try await Guest(
            tried.kind, "pause-\(tried.way)", run: "hashchain --seconds 3600 --memory 64 --dirty-mib-per-s 2 --check-every 4 --tick 20")
        var description = guest.description(layer: 0)
        description.memoryBytes = .mebibytes(256)
        try await guest.hypervisor.start(description)
        try await guest.wait(for: "CAIRN CHECK ok")
        for _ in 0..<XenLab.rounds {
            let watch = try ConsoleWatch(guest.console())
            try await Task.sleep(for: .seconds(1))
            let (taken, memory) = try await guest.capture(tried.way)
            try await Task.sleep(for: .seconds(2))
            let seen = try watch.end()
            let size = try FileManager.default.attributesOfItem(atPath: memory)[.size] as? Int ?? 0
            try FileManager.default.removeItem(atPath: memory)
            #expect(taken.way == tried.way)
            #expect(seen.missing == 0 && seen.repeated == 0 && seen.ticks > 50, "\(seen)")
            print(
                """
                PAUSE {"guest":"\(tried.kind)","way":"\(tried.way)","memoryBytes":\(description.memoryBytes.rawValue),"imageBytes":\(size),\
                "seenSeconds":\(seen.longestSeconds),"secondLongestSeconds":\(seen.secondLongestSeconds),"tickSeconds":\(seen.meanSeconds),\
                "toldSeconds":\(taken.stopSeconds.rawValue),"elapsedSeconds":\(taken.elapsedSeconds.rawValue)}
                """)
        }
        let before = guest.text().components(separatedBy: "CAIRN CHECK ok").count
        for _ in 0..<600 where guest.text().components(separatedBy: "CAIRN CHECK ok").count <= before {
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(guest.text().components(separatedBy: "CAIRN CHECK ok").count > before)
        #expect(!guest.text().contains("CORRUPT"))
        try await guest.hypervisor.destroy(guest.name)
    }
}

/// The lab's own program that follows a console (scripts/lib/xen/console-watch.c): a process of its own, which nothing here holds up.
private final class ConsoleWatch {
    struct Seen: Decodable {
        var ticks: Int
        var longestSeconds: Double
        var secondLongestSeconds: Double
        var meanSeconds: Double
        var missing: Int
        var repeated: Int
    }
    private let process = Process()
    private let output = Pipe()

    init(_ console: String) throws {
        process.executableURL = URL(fileURLWithPath: "/lab/console-watch")
        process.arguments = [console, "600"]
        process.standardOutput = output
        try process.run()
    }

    func end() throws -> Seen {
        process.terminate()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return try JSONDecoder().decode(Seen.self, from: said)
    }
}

/// An image that was made for one union, on Xen. `scripts/lab xen test` goes through those that the guest's kernel offers.
@Suite("A union on Xen", .serialized, .enabled(if: XenLab.union != nil, "tried where CAIRN_XEN_UNION names the image's"))
struct XenUnion {
    @Test("a guest with it goes on elsewhere from its capture, to the undisturbed result", arguments: HypervisorKind.present)
    func union(_ kind: HypervisorKind) async throws {
        let union = try #require(XenLab.union)
        var guest = try await Guest(kind, "union", run: HypervisorConformance.run(kind))
        try await guest.hypervisor.start(guest.description(layer: 0))
        try await guest.wait(for: "CAIRN UNION \(union)")
        try await guest.wait(for: "CAIRN CHECK ok")
        let (taken, memory) = try await guest.capture(kind.ways[0])
        try await guest.hypervisor.destroy(guest.name)
        let elsewhere = guest.directory + "/elsewhere"
        let moved = try await guest.moved(to: elsewhere, layers: 1)
        try await guest.hypervisor.restore(memoryPath: memory, definition: taken.definition, as: moved)
        try await guest.wait(for: "CAIRN RESULT \(try guest.image.expectedResult(run: guest.run))", in: elsewhere)
        #expect(guest.text(in: elsewhere).contains("CAIRN CHECK ok") && !guest.text(in: elsewhere).contains("CORRUPT"))
        try await guest.waitForPowerOff()
        try await guest.hypervisor.destroy(guest.name)
    }
}
