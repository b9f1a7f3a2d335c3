import Testing

@testable import WebHDFSStore

/// Against answers of GETFILECHECKSUM of Hadoop 2.7.3, for files in blocks of 1 MiB; written with CRC32C unless the algorithm says otherwise.
@Suite("Checksums of files in HDFS")
struct FileChecksumTests {
    /// The bytes that were put: byte i is (7 i + i / 256) mod 251.
    private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(($0 * 7 + $0 / 256) % 251) } }

    @Test(
        "are what the servers say",
        arguments: [
            (1, "MD5-of-0MD5-of-512CRC32C", "000002000000000000000000dc236201841049096ad31b6213203a9000000000"),
            (511, "MD5-of-0MD5-of-512CRC32C", "000002000000000000000000c4c141beb7c5a2cc9a7fa9ce7a2cc00000000000"),
            (512, "MD5-of-0MD5-of-512CRC32C", "000002000000000000000000e16fccb351d12d0b1da156ab90c6b60700000000"),
            (513, "MD5-of-0MD5-of-512CRC32C", "00000200000000000000000089bceab09891262010ce362294ad5d3500000000"),
            (1_000_000, "MD5-of-0MD5-of-512CRC32C", "00000200000000000000000023a578bb9295f0279bccf43301e8fd9800000000"),
            (3_000_000, "MD5-of-2048MD5-of-512CRC32C", "00000200000000000000080083e345c9b70d0e2a6f29521556ac232f00000000"),
            (513, "MD5-of-0MD5-of-512CRC32", "000002000000000000000000046d78fdd50cc73fe2af4217732d682400000000"),
            (3_000_000, "MD5-of-2048MD5-of-512CRC32", "0000020000000000000008007f114df90f6a6ab654f7a00c7f1ec26f00000000"),
        ])
    func agree(count: Int, algorithm: String, answer: String) throws {
        let checksum = try #require(FileChecksum(algorithm: algorithm))
        let digest = try #require(FileChecksum.digest(inAnswer: answer))
        #expect(checksum.digests(of: pattern(count)).first == digest)
        // In pieces that are no multiples of anything.
        #expect(checksum.digests(of: pattern(count), piece: 777).first == digest)
        #expect(checksum.digests(of: pattern(count), piece: 100_003).first == digest)
        // One bit.
        var other = pattern(count)
        other[count / 2] ^= 1
        #expect(!checksum.digests(of: other).contains(digest))
    }

    @Test(
        "of kinds that are not known are not computed",
        arguments: [
            "COMPOSITE-CRC32C", "MD5-of-0MD5-of-512CRC64", "MD5-of-0MD5-of-CRC32C", "MD5-of-0MD5-of-0CRC32", "CRC32C", "", "MD5-of-xMD5-of-512CRC32C",
        ])
    func unknownKinds(algorithm: String) { #expect(FileChecksum(algorithm: algorithm) == nil) }

    @Test("that are cut short are none")
    func shortAnswers() {
        #expect(FileChecksum.digest(inAnswer: "0000020000") == nil)
        #expect(FileChecksum.digest(inAnswer: String(repeating: "A", count: 56)) == String(repeating: "a", count: 32))
    }

    @Test("need one block for any part, and blocks that a NameNode takes")
    func blockSizes() {
        // 1 MiB is the least that NameNodes take, whole CRCs are of 512 bytes, and sixteen parts of 8 MiB are no more than one block.
        let mebibyte = 1 << 20
        let sizes: [(Int, block: Int)] = [
            (0, mebibyte), (1, mebibyte), (mebibyte, mebibyte), (mebibyte + 1, mebibyte + 512), (128 * mebibyte + 4_608, 128 * mebibyte + 4_608),
            (500 * mebibyte, 256 * mebibyte),
        ]
        for (size, block) in sizes { #expect(WebHDFSStore.blockSize(for: size) == block) }
    }
}

extension FileChecksum {
    func digests(of bytes: [UInt8], blockSize: Int = 1 << 20, piece: Int = .max) -> [String] {
        var running = Running(self, blockSize: blockSize)
        bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let end = offset + min(piece, bytes.count - offset)
                running.add(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]))
                offset = end
            }
        }
        return running.digests()
    }
}
