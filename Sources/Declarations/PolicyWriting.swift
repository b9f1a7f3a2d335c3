import Vocabulary

/// A policy as it would be written, with all that a file may leave out.
extension CheckpointPolicy {
    /// Every key below `spec` with its value, defaults resolved: `interval.floor`, `preferences.balanced.timePerHour`,
    /// `rules.failing-nodes.set.interval.floor`. In the order of a file.
    package var keys: [(key: String, value: String)] {
        var keys = [(key: "currency", value: currency)]
        for (name, prices) in preferences.sorted(by: { $0.key < $1.key }) {
            keys += Self.entries(prices).map { ("preferences.\(name).\($0.key)", $0.value) }
        }
        keys += Self.entries(settings.all)
        if let networkBytesPerSecond { keys.append(("network.ceiling", Quantity.text(networkBytesPerSecond))) }
        if !rules.isEmpty { keys.append(("rules", "[\(rules.map(\.name).joined(separator: ", "))]")) }
        for rule in rules {
            keys += Self.entries(rule.when).map { ("rules.\(rule.name).when.\($0.key)", $0.value) }
            keys += Self.entries(rule.set).map { ("rules.\(rule.name).set.\($0.key)", $0.value) }
        }
        return keys
    }

    /// A file that declares it.
    /// - Parameter comments: lines above it, without their `#`.
    package func yaml(comments: [String] = []) -> String {
        // A reader takes a replacement character for a broken encoding.
        var lines = comments.map { $0.isEmpty ? "#" : "# " + shown($0, atMost: 150).replacing("\u{FFFD}", with: " ") }
        lines += [
            "apiVersion: cairn/v1", "kind: CheckpointPolicy", "metadata: {name: \(name)}", "spec:", "  currency: \(currency)", "  preferences:",
        ]
        for (name, prices) in preferences.sorted(by: { $0.key < $1.key }) { lines.append("    \(name): \(Self.mapping(Self.entries(prices)))") }
        lines += Self.groups(Self.entries(settings.all)).map { "  \($0.key): \($0.value)" }
        if let networkBytesPerSecond { lines.append("  network: {ceiling: \(Quantity.text(networkBytesPerSecond))}") }
        if !rules.isEmpty { lines.append("  rules:") }
        for rule in rules {
            lines.append("    - name: \(rule.name)")
            lines.append("      when: \(Self.mapping(Self.groups(Self.entries(rule.when))))")
            lines.append("      set: \(Self.mapping(Self.groups(Self.entries(rule.set))))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func entries(_ prices: Prices) -> [(key: String, value: String)] {
        [
            ("timePerHour", Quantity.text(prices.timePerHour)), ("networkPerGiB", Quantity.text(prices.networkPerGiB)),
            ("storagePerGiBHour", Quantity.text(prices.storagePerGiBHour)),
        ]
    }

    private static func entries(_ given: Overrides) -> [(key: String, value: String)] {
        var entries: [(key: String, value: String?)] = [("mode", given.mode?.rawValue), ("interval.strategy", given.strategy?.name)]
        if case .fixed(let every) = given.strategy { entries.append(("interval.every", Quantity.text(every))) }
        // They mean nothing then, and a file that gives them is refused.
        let isNever = given.strategy == .never
        entries += [
            ("interval.floor", isNever ? nil : given.floorSeconds.map { Quantity.text($0) }),
            ("interval.ceiling", isNever ? nil : given.ceilingSeconds.map { Quantity.text($0) }),
            ("compression.choice", given.compression?.rawValue),
            ("compression.codecs", given.codecs.map { "[\($0.map(\.rawValue).joined(separator: ", "))]" }),
        ]
        if let copies = given.replication {
            if copies == Replication(copies.base) {
                entries.append(("replication", String(copies.base)))
            } else {
                entries += [
                    ("replication.base", String(copies.base)), ("replication.memory", String(copies.memory)),
                    ("replication.delta", String(copies.delta)),
                ]
            }
        }
        entries += [
            ("retention.keepLast", given.keepLast.map { String($0) }), ("retention.keepFor", given.keepForSeconds.map { Quantity.text($0) }),
            ("chain.merge", given.merge?.rawValue), ("chain.maxLayers", given.maxLayers.map { String($0) }),
        ]
        return entries.compactMap { key, value in value.map { (key, $0) } }
    }

    private static func entries(_ when: Condition) -> [(key: String, value: String)] {
        var entries = when.labels.sorted { $0.key < $1.key }.map { (key: "labels." + quoted($0.key), value: quoted($0.value)) }
        if let bound = when.probabilityMetBelow { entries.append(("probabilityMetBelow", Quantity.text(bound.rawValue))) }
        if let bound = when.mtbfBelowSeconds { entries.append(("mtbfBelow", Quantity.text(bound))) }
        if let bound = when.checkpointAboveBytes { entries.append(("checkpointAbove", Quantity.text(bound))) }
        return entries
    }

    /// `interval.floor` and its neighbours as one mapping below `interval`.
    private static func groups(_ entries: [(key: String, value: String)]) -> [(key: String, value: String)] {
        var order: [String] = []
        var groups: [String: [(key: String, value: String)]] = [:]
        for entry in entries {
            let parts = entry.key.split(separator: ".", maxSplits: 1).map(String.init)
            if groups[parts[0]] == nil { order.append(parts[0]) }
            groups[parts[0], default: []].append((parts.count > 1 ? parts[1] : "", entry.value))
        }
        return order.map { name in
            let group = groups[name] ?? []
            return (name, group.count == 1 && group[0].key.isEmpty ? group[0].value : mapping(group))
        }
    }

    private static func mapping(_ entries: [(key: String, value: String)]) -> String {
        "{" + entries.map { "\($0.key): \($0.value)" }.joined(separator: ", ") + "}"
    }

    /// A text that YAML takes for nothing else.
    private static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
}

extension CheckpointPolicy.Settings {
    /// Overrides that make these settings of any others.
    fileprivate var all: CheckpointPolicy.Overrides {
        CheckpointPolicy.Overrides(
            mode: mode, strategy: strategy, floorSeconds: floorSeconds, ceilingSeconds: ceilingSeconds, compression: compression, codecs: codecs,
            replication: replication, keepLast: keepLast, keepForSeconds: keepForSeconds, merge: chain.merge, maxLayers: chain.maxLayers)
    }
}

/// Keys in which two policies differ, defaults resolved; what one of them does not have is nil there.
package struct PolicyDifference: Hashable, Sendable, Codable {
    package var key: String
    package var left: String?
    package var right: String?
    package init(key: String, left: String?, right: String?) {
        self.key = key
        self.left = left
        self.right = right
    }

    package static func between(_ left: CheckpointPolicy, _ right: CheckpointPolicy) -> [PolicyDifference] {
        let (ours, theirs) = (left.keys, right.keys)
        let byKey = Dictionary(theirs.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        let known = Set(ours.map(\.key))
        var differences = ours.compactMap { key, value in
            byKey[key] == value ? nil : PolicyDifference(key: key, left: value, right: byKey[key])
        }
        differences += theirs.filter { !known.contains($0.key) }.map { PolicyDifference(key: $0.key, left: nil, right: $0.value) }
        return differences
    }
}
