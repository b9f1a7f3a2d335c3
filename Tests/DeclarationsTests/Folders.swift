import Foundation
import Vocabulary

@testable import Declarations

/// Where the suite's files and the product's own are.
enum Folders {
    static let files = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Files")
    static let top = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The files of a folder whose names end so, sorted; none where there is no such folder.
    static func files(_ folder: URL, _ suffix: String) throws -> [URL] {
        guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.lastPathComponent.hasSuffix(suffix) }.sorted { $0.lastPathComponent < $1.lastPathComponent }
    }
}

/// What a text reads as; its digest is its length.
func read(_ text: String, as path: String = "test.yaml") -> ReadResult {
    DeclarationReader(digest: { "length:\($0.utf8.count)" }).read(SourceFile(path: path, text: text))
}

/// A file, decoded as the commands decode it, and named by its base name.
func read(_ file: URL) throws -> ReadResult { read(String(decoding: try Data(contentsOf: file), as: UTF8.self), as: file.lastPathComponent) }

/// A TaskSLA around a few lines of its spec.
func sla(task: String = "image: demo, memory: 128MiB, delta: 64MiB, run: work, work: 1h", _ rest: String = "") -> String {
    "apiVersion: cairn/v1\nkind: TaskSLA\nmetadata: {name: test}\nspec:\n  task: {\(task)}\n  progress: cpu-time\n\(rest)"
}
