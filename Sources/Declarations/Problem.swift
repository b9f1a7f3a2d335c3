/// One thing that is wrong with a file, with where it is and what to do.
package struct Problem: Hashable, Sendable, Codable, CustomStringConvertible {
    package enum Severity: String, Hashable, Sendable, Codable { case error, warning }
    package var file: String
    /// From 1.
    package var line: Int
    package var column: Int
    /// Path of the key, for example `spec.task.memory`.
    package var key: String
    package var severity: Severity
    package var message: String
    package var suggestion: String?

    package init(file: String, line: Int, column: Int, key: String, severity: Severity, message: String, suggestion: String?) {
        self.file = file
        self.line = line
        self.column = column
        self.key = key
        self.severity = severity
        self.message = message
        self.suggestion = suggestion
    }

    package var description: String {
        "\(file):\(line):\(column): \(severity.rawValue): \(key.isEmpty ? "" : key + ": ")\(message)" + (suggestion.map { " (\($0))" } ?? "")
    }
}
