import Vocabulary

/// Layers of a delta disk: qcow2 files in one flat directory, each on top of the one before.
package protocol DeltaDisks: Sendable {
    /// A new empty file system of `size` for a task that starts.
    func makeFirstLayer(at path: String, size: ByteCount) async throws(DeltaDiskError)
    /// The same on a base: an overlay on `base`, a raw file at an absolute path, as large as that or as `size`, whichever is more.
    func makeFirstLayer(at path: String, size: ByteCount, onBase base: String) async throws(DeltaDiskError)
    /// An empty overlay on `backing` (same directory, referred to by its file name).
    func makeOverlay(at path: String, on backing: String) async throws(DeltaDiskError)
    /// Rewrites only the reference of `path` to the layer below it, which must be the same content under another name.
    func rebase(_ path: String, onto backing: String) async throws(DeltaDiskError)
    /// Rewrites only the reference of a first layer to the base below it, which must be the same content at another place.
    func rebase(_ path: String, ontoBase base: String) async throws(DeltaDiskError)
    /// Merges the layers of a chain (lowest first) into one file without a backing file; with the base as its backing file, and nothing of the
    /// base in it, where the lowest layer lies on a base.
    func merge(_ layers: [String], into path: String) async throws(DeltaDiskError)
    /// Structural check of one layer.
    func check(_ path: String) async throws(DeltaDiskError)
}

package enum DeltaDiskError: Error, Hashable, Sendable {
    case missingTool(name: String, debianPackage: String)
    case full(path: String)
    case damaged(path: String, detail: String)
    case failed(operation: String, path: String, detail: String)
    package var isRetryable: Bool { false }
}

extension DeltaDiskError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missingTool(let name, let debianPackage): "\(name) is not installed: install the package \(debianPackage)"
        case .full(let path): "no space left for \(path)"
        case .damaged(let path, let detail): "damaged disk layer \(path): \(detail)"
        case .failed(let operation, let path, let detail): "\(operation) of \(path) failed: \(detail)"
        }
    }
}
