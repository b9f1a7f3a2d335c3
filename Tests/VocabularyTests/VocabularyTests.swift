import Foundation
import Testing

@testable import Vocabulary

@Suite("Copies by class")
struct ReplicationTests {
    @Test("one number where all are alike, as it always was; else one for each class")
    func coding() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        for (value, text) in [(Replication(2), "2"), (Replication(base: 3, memory: 1, delta: 2), #"{"base":3,"delta":2,"memory":1}"#)] {
            #expect(String(decoding: try encoder.encode(value), as: UTF8.self) == text)
            #expect(try JSONDecoder().decode(Replication.self, from: Data(text.utf8)) == value)
        }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(Replication.self, from: Data(#"{"base":3}"#.utf8)) }
    }

    @Test("the copies of an average byte lie between memory's and the delta's")
    func mean() {
        let copies = Replication(base: 9, memory: 1, delta: 3)
        #expect(copies.mean(memoryShare: 1) == 1)
        #expect(copies.mean(memoryShare: 0) == 3)
        #expect(copies.mean(memoryShare: 0.75) == 1.5)
        #expect(copies.most == 9)
    }

    @Test("a policy of before chains had a rule is read, and merges none")
    func earlierPolicies() throws {
        var settings = CheckpointPolicy.Settings()
        settings.chain = ChainRule(merge: .never)
        var document = try #require(try JSONSerialization.jsonObject(with: JSONEncoder().encode(settings)) as? [String: Any])
        document["chain"] = nil
        let read = try JSONDecoder().decode(CheckpointPolicy.Settings.self, from: JSONSerialization.data(withJSONObject: document))
        #expect(read == settings)
    }
}
