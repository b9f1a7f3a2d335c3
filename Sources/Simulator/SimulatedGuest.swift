import Foundation
import Ports
import Vocabulary

/// What a simulated guest does: a chain of hashes, one step a second, each step written to the disk. Its result is right only if memory and
/// disk have been of one instant at every restore.
///
/// `run` is `chain STEPS`, and may go on with `failing-at STEP`: there it says that it failed, each time it comes there; or with `hanging-at STEP`: there
/// it runs on and does nothing more.
package struct SimulatedGuest: Codable, Hashable, Sendable {
    /// All that it holds in memory.
    var steps: Int
    var failingAt: Int?
    var hangingAt: Int?
    var step = 0
    var hash: UInt64 = 0
    /// What it has written to the disk, by block: what the disk must hold when memory is as here.
    var blocks: [Int: UInt64] = [:]
    /// Seconds that it ran towards the next step.
    var rest = 0.0

    private static let blockCount = 16

    init?(run: String) {
        let words = run.split(separator: " ").map(String.init)
        guard words.count >= 2, words[0] == "chain", let steps = Int(words[1]), steps > 0 else { return nil }
        self.steps = steps
        if words.count == 4, words[2] == "failing-at" { failingAt = Int(words[3]) }
        if words.count == 4, words[2] == "hanging-at" { hangingAt = Int(words[3]) }
    }

    /// How its console is read.
    package static let progress = ProgressSource.console(
        pattern: #"CHAIN PROGRESS (\d+)/(\d+)"#, result: "CHAIN RESULT ([0-9a-f]+)", failure: "CHAIN FAIL (.*)")

    /// What `chain STEPS` must come to.
    package static func result(steps: Int) -> String { text((0..<steps).reduce(0) { advanced($0, $1) }) }

    private static func advanced(_ hash: UInt64, _ step: Int) -> UInt64 { SeededRandom.mixed(hash &+ UInt64(step) &+ 0x9E37_79B9_7F4A_7C15) }
    private static func text(_ hash: UInt64) -> String { String(hash, radix: 16) }

    var isAtEnd: Bool { step == steps || step == failingAt || step == hangingAt }

    /// Runs for a while.
    /// - Returns: blocks that it wrote, and lines for its console.
    mutating func run(for length: Seconds) -> (written: [Int: UInt64], lines: [String]) {
        guard !isAtEnd else { return ([:], []) }
        rest += max(0, length.rawValue)
        var written: [Int: UInt64] = [:]
        let before = step
        // A microsecond of grace for sums of halves and tenths.
        while rest + 1e-6 >= 1, !isAtEnd {
            rest -= 1
            hash = Self.advanced(hash, step)
            written[step % Self.blockCount] = hash
            step += 1
        }
        blocks.merge(written) { $1 }
        guard step > before else { return ([:], []) }
        var lines = ["CHAIN PROGRESS \(step)/\(steps)"]
        if step == failingAt { lines.append("CHAIN FAIL at step \(step)") } else if step == steps { lines.append("CHAIN RESULT \(Self.text(hash))") }
        return (written, lines)
    }
}

/// A disk layer's file: blocks, and below them another layer by its file's name.
struct SimulatedLayer: Codable, Hashable {
    var format = "simulated layer"
    var backing: String?
    /// A file that it lies on, which must be there.
    var base: String?
    var size: Int64
    var blocks: [Int: UInt64] = [:]

    static func read(_ path: String) throws -> SimulatedLayer {
        try JSONDecoder().decode(SimulatedLayer.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }

    /// The disk as a guest sees it through the chain that ends in `path`.
    static func contents(_ path: String) throws -> [Int: UInt64] {
        let layer = try read(path)
        if let base = layer.base { _ = try Data(contentsOf: URL(fileURLWithPath: base)) }
        guard let backing = layer.backing else { return layer.blocks }
        return try contents(directory(of: path) + "/" + backing).merging(layer.blocks) { $1 }
    }

    /// Files of the chain that ends in `path`, that one first.
    static func chain(_ path: String) throws -> [String] {
        var chain = [path]
        while let backing = try read(chain[chain.count - 1]).backing { chain.append(directory(of: path) + "/" + backing) }
        return chain
    }

    static func directory(of path: String) -> String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "." }
    static func name(of path: String) -> String { path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path }
}
