import ArgumentParser
import AuditReport
import Foundation
import Vocabulary

extension AuditCommand {
    struct CalibrationCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "calibration", abstract: "How good predictions were: each quantity, and the probabilities of deadlines.",
            discussion: "Exit status: 0 something could be compared; 1 nothing that was predicted has been observed yet; 2 it could not be tried.")
        @OptionGroup var state: StateOption
        @Option(help: "Directory to write plots to, as SVG.") var plot: String?
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let calibration = try await Calibration.read(from: try state.directory.ledger(), generatedAt: SystemTime().now())
            if let plot {
                do {
                    try FileManager.default.createDirectory(atPath: plot, withIntermediateDirectories: true)
                    for (name, text) in calibration.plots { try Data(text.utf8).write(to: URL(fileURLWithPath: plot).appendingPathComponent(name)) }
                } catch { throw Failure.cannotTry("cannot write plots to \(plot): \(error.localizedDescription)") }
            }
            print(json ? calibration.json() : calibration.text(width: Terminal.width), terminator: "")
            if calibration.models.isEmpty, calibration.deadlines == nil { throw ExitCode(1) }
        }
    }
}
