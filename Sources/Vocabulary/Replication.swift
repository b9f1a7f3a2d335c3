/// Copies that the store is asked for, by the class of what is kept. A store that cannot replicate keeps one of each.
///
/// One number where all are alike, in documents as in declarations: `2`, or `{"base":3,"delta":2,"memory":1}`.
package struct Replication: Hashable, Sendable {
    /// Base systems, kernels and ramdisks: sent once, and needed by every checkpoint of every task on them.
    package var base: Int
    /// Memory images: of one checkpoint each.
    package var memory: Int
    /// Layers of the delta disk: needed by every later checkpoint of the task.
    package var delta: Int

    package init(base: Int, memory: Int, delta: Int) {
        self.base = base
        self.memory = memory
        self.delta = delta
    }

    package init(_ all: Int) { self.init(base: all, memory: all, delta: all) }

    /// Of what a loss would be worst for: manifests are kept as often as this.
    package var most: Int { max(base, memory, delta) }

    /// Copies of a byte of an ordinary checkpoint (memory and delta), of which `memoryShare`, 0 to 1, is memory.
    package func mean(memoryShare: Double) -> Double { Double(memory) * memoryShare + Double(delta) * (1 - memoryShare) }

    private var isUniform: Bool { base == memory && memory == delta }
}

extension Replication: ExpressibleByIntegerLiteral {
    package init(integerLiteral all: Int) { self.init(all) }
}

extension Replication: Codable {
    private enum CodingKeys: CodingKey { case base, memory, delta }

    package init(from decoder: any Decoder) throws {
        if let all = try? decoder.singleValueContainer().decode(Int.self) {
            self.init(all)
        } else {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            self.init(
                base: try container.decode(Int.self, forKey: .base), memory: try container.decode(Int.self, forKey: .memory),
                delta: try container.decode(Int.self, forKey: .delta))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        if isUniform {
            var container = encoder.singleValueContainer()
            try container.encode(base)
        } else {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(base, forKey: .base)
            try container.encode(memory, forKey: .memory)
            try container.encode(delta, forKey: .delta)
        }
    }
}

extension Replication: CustomStringConvertible {
    /// `2`, or `3 of the base, 1 of memory, 2 of the delta`.
    package var description: String { isUniform ? "\(base)" : "\(base) of the base, \(memory) of memory, \(delta) of the delta" }
}
