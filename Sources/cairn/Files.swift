import Declarations
import Foundation
import Ports
import Vocabulary

/// The one fleet of a file.
enum FleetFile {
    static func read(_ path: String) throws -> Fleet {
        let path = absolute(path)
        let read = Documents.read(try contents(of: path), file: path)
        let errors = read.problems.filter { $0.severity == .error }
        guard errors.isEmpty else { throw Failure(message: errors.map(\.description).joined(separator: "\n"), status: 1) }
        let fleets = read.declarations.compactMap { declaration -> Fleet? in
            if case .fleet(let fleet, _) = declaration { fleet } else { nil }
        }
        guard let fleet = fleets.first, fleets.count == 1 else {
            throw Failure.cannotTry("\(path) must declare one fleet; it declares \(fleets.count)")
        }
        return fleet
    }
}

/// The one TaskSLA of a text.
enum TaskFile {
    static func read(_ text: String, file: String) throws(CommandError) -> (TaskSLA, DocumentVersion) {
        let read = Documents.read(text, file: file)
        let errors = read.problems.filter { $0.severity == .error }
        guard errors.isEmpty else { throw .invalid(errors.map(\.description)) }
        let found = read.declarations.compactMap { declaration -> (TaskSLA, DocumentVersion)? in
            if case .taskSLA(let sla, let version) = declaration { (sla, version) } else { nil }
        }
        guard let one = found.first, found.count == 1 else { throw .invalid(["\(file): one TaskSLA is wanted, \(found.count) are declared"]) }
        return one
    }
}

/// The one CheckpointPolicy of a file.
enum PolicyFile {
    static func read(_ path: String) throws -> (policy: CheckpointPolicy, version: DocumentVersion) {
        let read = Documents.read(try contents(of: path), file: path)
        let errors = read.problems.filter { $0.severity == .error }
        guard errors.isEmpty else { throw Failure.cannotTry(errors.map(\.description).joined(separator: "\n")) }
        let found = read.declarations.compactMap { declaration -> (CheckpointPolicy, DocumentVersion)? in
            if case .policy(let policy, let version) = declaration { (policy, version) } else { nil }
        }
        guard let one = found.first, found.count == 1 else {
            throw Failure.cannotTry("\(path) must declare one CheckpointPolicy; it declares \(found.count)")
        }
        return one
    }

    /// What is wrong with either is told of both.
    static func both(_ left: String, _ right: String) throws -> (
        (policy: CheckpointPolicy, version: DocumentVersion), (policy: CheckpointPolicy, version: DocumentVersion)
    ) {
        let one: (policy: CheckpointPolicy, version: DocumentVersion)
        do { one = try read(left) } catch let first as Failure {
            do { _ = try read(right) } catch let second as Failure { throw Failure.cannotTry(first.message + "\n" + second.message) }
            throw first
        }
        return (one, try read(right))
    }
}
