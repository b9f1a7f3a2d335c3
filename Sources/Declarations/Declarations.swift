import Vocabulary

/// A file as it was found.
package struct SourceFile: Hashable, Sendable {
    /// As problems name it.
    package var path: String
    package var text: String
    package init(path: String, text: String) { self.path = path; self.text = text }
}

/// One valid document, and what it was read from.
package enum Declaration: Hashable, Sendable {
    case taskSLA(TaskSLA, version: DocumentVersion)
    case policy(CheckpointPolicy, version: DocumentVersion)
    case fleet(Fleet, version: DocumentVersion)
}

package struct ReadResult: Hashable, Sendable {
    /// All of them, by position.
    package var problems: [Problem]
    /// Documents without an error, in the file's order; others of the same file may have some.
    package var declarations: [Declaration]
    package init(problems: [Problem], declarations: [Declaration]) { self.problems = problems; self.declarations = declarations }
}

/// Reads declarations from YAML (docs/declarations.md). Pure: whether files, policies or nodes exist is for others to find out.
package struct DeclarationReader: Sendable {
    /// Digest of a text, as `DocumentVersion` wants it.
    private let digest: @Sendable (String) -> String

    package init(digest: @escaping @Sendable (String) -> String) { self.digest = digest }

    package func read(_ file: SourceFile) -> ReadResult {
        let findings = Findings(file: file.path)
        let documents = Composition(text: file.text, findings: findings).documents()
        let digest = digest(file.text)
        var names: [String: UniqueNames] = [:]
        var declarations: [Declaration] = []
        for document in documents {
            let before = findings.errorCount
            let declaration = self.declaration(Reading(node: document, path: "", findings: findings), digest: digest, names: &names)
            if let declaration, findings.errorCount == before { declarations.append(declaration) }
        }
        return ReadResult(problems: findings.problems, declarations: declarations)
    }

    private func declaration(_ document: Reading, digest: String, names: inout [String: UniqueNames]) -> Declaration? {
        guard let fields = document.fields(DeclaredKeys.document) else { return nil }
        _ = fields.required("apiVersion", "write apiVersion: cairn/v1")?.choice([("cairn/v1", ())])
        let kind = fields.required("kind", "one of \(DeclaredKeys.kinds.joined(separator: ", "))")?.choice(DeclaredKeys.kinds.map { ($0, $0) })
        let metadata = fields.required("metadata", "write metadata: {name: …}")?.fields(DeclaredKeys.metadata)
        let nameReading = metadata?.required("name", Name.form)
        let name = nameReading?.name()
        let labels = metadata?["labels"]?.texts() ?? [:]
        if let kind, let name, let nameReading { names[kind, default: UniqueNames()].use(name, at: nameReading) }
        guard let spec = fields.required("spec", "what is declared"), let kind else { return nil }
        let version = DocumentVersion(name: name ?? "", digest: digest)
        switch kind {
        case "TaskSLA": return TaskSLAReading(spec: spec).taskSLA(name: name ?? "", labels: labels).map { .taskSLA($0, version: version) }
        case "CheckpointPolicy": return PolicyReading(spec: spec).policy(name: name ?? "").map { .policy($0, version: version) }
        default: return FleetReading(spec: spec).fleet(name: name ?? "").map { .fleet($0, version: version) }
        }
    }
}
