import Vocabulary

/// Paths in a store: relative, `/`-separated, of `[A-Za-z0-9._:-]` components that do not start with a dot.
package enum StorePath {
    /// Store implementations keep their unfinished files below this name; it is never listed.
    package static let scratch = ".tmp"

    /// - Throws: `.failed` for a path that no store takes.
    package static func check(_ path: String) throws(StoreError) {
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        let fine = components.allSatisfy { component in
            !component.isEmpty && !component.hasPrefix(".")
                && component.utf8.allSatisfy { byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || [UInt8](".-_:".utf8).contains(byte)
                }
        }
        guard fine, path.utf8.count <= 1_000 else { throw .failed(path: path, detail: "this is no path in a store") }
    }

    package static func parent(of path: String) -> String? { path.lastIndex(of: "/").map { String(path[..<$0]) } }
}
