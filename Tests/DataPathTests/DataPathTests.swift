import CDataPath
import DataPath
import Foundation
import Testing
import Vocabulary

@Suite("Parts are packed and unpacked")
struct DataPathTests {
    static let contents: [[UInt8]] = {
        var random = SystemRandomNumberGenerator()
        return [
            [], [7], [UInt8](repeating: 0, count: 100_000), (0..<300_000).map { UInt8($0 / 1_000 & 255) },
            (0..<200_000).map { _ in UInt8.random(in: 0...255, using: &random) },
        ]
    }()

    @Test("what goes in comes out", arguments: Codec.allCases, contents)
    func roundTrip(codec: Codec, content: [UInt8]) throws {
        let packed = try PartCodec.compress(content, with: codec)
        #expect(try PartCodec.decompress(packed, with: codec, count: content.count) == content)
    }

    @Test("a part that is cut, damaged or of another length is refused", arguments: [Codec.gzip, .zstd])
    func damaged(codec: Codec) throws {
        let content = Self.contents[3]
        let packed = try PartCodec.compress(content, with: codec)
        #expect(packed.count < content.count / 10)
        #expect(throws: PartCodecError.self) { try PartCodec.decompress(Array(packed.dropLast(5)), with: codec, count: content.count) }
        #expect(throws: PartCodecError.self) { try PartCodec.decompress(packed, with: codec, count: content.count - 1) }
        #expect(throws: PartCodecError.self) { try PartCodec.decompress(packed, with: codec, count: content.count + 1) }
        #expect(throws: PartCodecError.self) { try PartCodec.decompress([1, 2, 3], with: codec, count: content.count) }
    }

    @Test("gzip's own tool reads our gzip")
    func gzipTool() throws {
        let file = NSTemporaryDirectory() + "cairn-\(UUID().uuidString).gz"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try Data(PartCodec.compress(Array("hello, cairn\n".utf8), with: .gzip)).write(to: URL(fileURLWithPath: file))
        let gunzip = Process()
        gunzip.executableURL = URL(fileURLWithPath: "/bin/gzip")
        gunzip.arguments = ["-dc", file]
        let output = Pipe()
        gunzip.standardOutput = output
        try gunzip.run()
        #expect(String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) == "hello, cairn\n")
    }

    @Test("zero blocks are counted by the page, the last one however short")
    func zeros() {
        var content = [UInt8](repeating: 0, count: 3 * 4_096 + 10)
        #expect(ZeroRuns.nonZeroBytes(content) == 0)
        content[5_000] = 1
        #expect(ZeroRuns.nonZeroBytes(content) == 4_096)
        content[3 * 4_096 + 9] = 1
        #expect(ZeroRuns.nonZeroBytes(content) == 4_106)
        #expect(ZeroRuns.nonZeroBytes([]) == 0)
    }

    @Test("long runs of zeros are left out and come back", arguments: 0..<200)
    func runs(seed: UInt64) {
        var random = Seeded(state: seed &+ 1)
        let content = (0..<Int(random.next() % 60)).flatMap { _ -> [UInt8] in
            let count = Int(random.next() % 100_000)
            return random.next() % 2 == 0
                ? [UInt8](repeating: 0, count: count) : (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) | 1 }
        }
        var packed = content
        let runs = ZeroRuns.pack(&packed)
        #expect(runs.isEmpty == (packed.count == content.count))
        guard !runs.isEmpty else { return }
        #expect(ZeroRuns.keptBytes(runs, of: content.count) == packed.count)
        #expect(ZeroRuns.nonZeroBytes(packed) == ZeroRuns.nonZeroBytes(content))
        packed += [UInt8](repeating: 7, count: content.count - packed.count)
        #expect(packed.withUnsafeMutableBytes { ZeroRuns.unpack($0, runs: runs) })
        #expect(packed == content)
    }

    @Test(
        "runs that are none of the part are refused, whatever they say",
        arguments: [[1], [0, 2], [0, 1, 1, 1], [-1, 3], [0, Int.max, 1], [1, 1, Int.max, 1], [2, 0, 1]])
    func wrongRuns(runs: [Int]) {
        var bytes = [UInt8](repeating: 1, count: 2 * 4_096)
        let isRight = runs.allSatisfy { (0...2).contains($0) } && runs.reduce(0, +) == 2
        #expect(bytes.withUnsafeMutableBytes { ZeroRuns.unpack($0, runs: runs) } == isRight)
    }

    /// xorshift64*.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_F491_4F6C_DD1D
        }
    }

    @Test("published digests")
    func digests() {
        // FIPS 180-2, appendix B.1; RFC 3720, appendix B.4.
        #expect(Digest.sha256(Array("abc".utf8)) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(cairn_crc32c(0, [UInt8](repeating: 0, count: 32), 32) == 0x8A91_36AA)
        #expect(cairn_crc32c(0, [UInt8](repeating: 0xFF, count: 32), 32) == 0x62A8_AB43)
        // In two steps as in one.
        let bytes = Array("123456789".utf8)
        #expect(cairn_crc32c(cairn_crc32c(0, bytes, 4), Array(bytes[4...]), 5) == 0xE306_9283)
    }
}
