/// One thing that is wrong with a recipe or with this machine, in words that say what to do about it.
package struct ImageProblem: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The recipe's field (`deltaSize`, `files[0]`), or the tool that is missing.
    package var subject: String
    package var message: String
    package var suggestion: String?
    package init(_ subject: String, _ message: String, suggestion: String? = nil) {
        self.subject = subject
        self.message = message
        self.suggestion = suggestion
    }
    package var description: String { "\(subject): \(message)" + (suggestion.map { " (\($0))" } ?? "") }
}

/// Why there is no guest image.
package enum ImageError: Error, Hashable, Sendable {
    /// All that is wrong, at once: the recipe, missing tools, a kernel that lacks a driver.
    case problems([ImageProblem])
    /// A step of the build, or a tool that it runs, failed.
    case failed(step: String, detail: String)
    /// What lies in an image's directory is not, or no longer, an image.
    case damaged(path: String, detail: String)

    package var isRetryable: Bool { false }
}

extension ImageError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .problems(let problems): problems.map(\.description).joined(separator: "\n")
        case .failed(let step, let detail): "\(step) failed: \(detail)"
        case .damaged(let path, let detail): "\(path) is not a sound guest image: \(detail)"
        }
    }
}
