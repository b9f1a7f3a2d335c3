import Autonomics
import Crypto
import Declarations
import Foundation
import Vocabulary

/// Policies from a directory of YAML files, looked at in every cycle. A file is taken whole or not at all; a bad one leaves what was
/// in force in force, and is told of once for each of its versions.
actor PolicyDirectory: PolicySource {
    private let path: String
    private var seen: [String: String] = [:]
    /// Which file each policy came from: two files must not fight over one name.
    private var origin: [String: String] = [:]

    init(path: String) { self.path = path }

    func changes() -> [PolicyChange] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.sorted()
        } catch {
            return changed("directory", path) ? [.rejected(name: path, problems: ["cannot read the directory: \(error.localizedDescription)"])] : []
        }
        return names.flatMap { file(path + "/" + $0) }
    }

    private func file(_ file: String) -> [PolicyChange] {
        guard let data = FileManager.default.contents(atPath: file) else { return [] }
        let text = String(decoding: data, as: UTF8.self)
        guard changed(file, Documents.digest(text)) else { return [] }
        let read = Documents.read(text, file: file)
        guard read.problems.allSatisfy({ $0.severity != .error }) else {
            return [.rejected(name: file, problems: read.problems.map(\.description))]
        }
        var changes: [PolicyChange] = []
        for declaration in read.declarations {
            guard case .policy(let policy, let version) = declaration else {
                changes.append(.rejected(name: file, problems: ["\(file): only policies belong into the policies directory"]))
                continue
            }
            if let other = origin[policy.name], other != file, FileManager.default.fileExists(atPath: other) {
                changes.append(.rejected(name: file, problems: ["\(file): the policy \(policy.name) is declared in \(other) already"]))
                continue
            }
            origin[policy.name] = file
            changes.append(.loaded(policy, version: version))
        }
        return changes
    }

    private func changed(_ key: String, _ digest: String) -> Bool {
        guard seen[key] != digest else { return false }
        seen[key] = digest
        return true
    }
}

/// Declarations as the commands read them.
enum Documents {
    static func digest(_ text: String) -> String {
        "sha256:" + SHA256.hash(data: Data(text.utf8)).map { (byte: UInt8) in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    }

    static func read(_ text: String, file: String) -> ReadResult {
        DeclarationReader(digest: digest).read(SourceFile(path: file, text: text))
    }
}
