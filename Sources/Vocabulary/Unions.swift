/// How a guest's base and its delta become one file system.
package enum GuestUnion: String, Hashable, Sendable, Codable, CaseIterable {
    /// AUFS if the guest's kernel has it, else overlayfs.
    case auto
    case aufs
    case overlayfs
    /// Below the guest: its one disk is a chain of layers that lies on the base. For guests that cannot be touched.
    case backingFile = "backing-file"

    /// For people who have to choose.
    package static let words = "auto, aufs, overlayfs or backing-file"
}

/// What unites a guest's base and delta, as found out and not as wanted.
package struct MountedUnion: Hashable, Sendable, Codable {
    /// Never `auto`.
    package var kind: GuestUnion
    /// The mount's options as the guest's kernel lists them; empty where the guest tells none.
    package var options: String
    package init(kind: GuestUnion, options: String = "") {
        self.kind = kind
        self.options = options
    }

    /// Out of a guest's line on its console, `CAIRN UNION KIND OPTIONS`; nil for every other line.
    package init?(consoleLine line: some StringProtocol) {
        guard line.hasPrefix("CAIRN UNION ") else { return nil }
        let words = line.dropFirst("CAIRN UNION ".count).split(separator: " ", maxSplits: 1)
        guard let kind = words.first.flatMap({ GuestUnion(rawValue: String($0)) }), kind != .auto else { return nil }
        self.kind = kind
        // Written by a guest: kept short, whatever it says.
        options = words.count == 2 ? String(words[1].trimmingPrefix(" ").filter { !$0.isNewline }.prefix(500)) : ""
    }
}
