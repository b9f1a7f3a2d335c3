import Foundation

@testable import GuestImages

/// The workload's first step and its result, worked out again from its description, with another SHA-256 (this machine's
/// `sha256sum`): a model that shares no line with the program.
enum ChainModel {
    static func resultOfOneStep(seed: UInt64, memoryMiB: Int) throws -> String {
        let golden: UInt64 = 0x9e37_79b9_7f4a_7c15
        let blockWords = 512
        var memory = (0..<UInt64(memoryMiB << 20 / 8)).map { mix(seed &+ $0 &* golden) }
        var state = (0..<4).map { mix(seed &+ UInt64($0)) }

        let block = Int(state[0] % UInt64(memory.count / blockWords))
        state = words(of: try sha256(bytes(of: state) + bytes(of: [0]) + bytes(of: Array(memory[(block * blockWords)..<((block + 1) * blockWords)]))))
        let slot = block * blockWords + Int(state[1] % UInt64(blockWords / 4)) * 4
        for index in 0..<4 { memory[slot + index] = state[index] }

        let steps: UInt64 = 1
        let appendedBlocks: UInt64 = 0
        let condensed = (0..<(memory.count / blockWords)).flatMap {
            condense(Array(memory[($0 * blockWords)..<(($0 + 1) * blockWords)]), position: UInt64($0))
        }
        let digest = try sha256(bytes(of: state) + bytes(of: [steps]) + bytes(of: condensed) + bytes(of: [appendedBlocks]))
        return digest.map { String(format: "%02x", $0) }.joined()
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var x = value
        x = (x ^ x >> 30) &* 0xbf58_476d_1ce4_e5b9
        x = (x ^ x >> 27) &* 0x94d0_49bb_1331_11eb
        return x ^ x >> 31
    }

    private static func condense(_ block: [UInt64], position: UInt64) -> [UInt64] {
        (0..<4).map { lane in
            let start = mix(position &+ UInt64(lane) &+ 1)
            return mix(stride(from: lane, to: block.count, by: 4).reduce(start) { (($0 ^ block[$1]) &* 0x9e37_79b9_7f4a_7c15) ^ ($0 >> 29) })
        }
    }

    private static func bytes(of words: [UInt64]) -> [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }

    private static func words(of bytes: [UInt8]) -> [UInt64] {
        stride(from: 0, to: bytes.count, by: 8).map { start in (0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << (8 * UInt64($1)) } }
    }

    private static func sha256(_ content: [UInt8]) throws -> [UInt8] {
        let path = try BuiltImage.scratch("model")
        try Data(content).write(to: URL(fileURLWithPath: path))
        let text = try ExternalTool.digests.run([path], step: "a digest")
        let digits = Array(text.utf8.prefix(64))
        return stride(from: 0, to: 64, by: 2).map { UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16) ?? 0 }
    }
}
