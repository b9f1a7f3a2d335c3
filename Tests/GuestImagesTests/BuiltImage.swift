import Foundation
import Testing
import Vocabulary

@testable import GuestImages

/// The image that these tests stand on: made once a run, from this machine's real parts, and removed at the end.
enum BuiltImage {
    static let folder: String = {
        let path = URL(fileURLWithPath: NSTemporaryDirectory()).standardizedFileURL.path + "/cairn-guest-tests-\(getpid())"
        atexit { unlinkAll(BuiltImage.folder) }
        return path
    }()

    private static let built: Result<GuestImage, ImageError> = {
        do throws(ImageError) {
            return .success(try ImageBuilder().build(recipe("image")))
        } catch {
            return .failure(error)
        }
    }()

    static func get() throws -> GuestImage { try built.get() }

    static func recipe(_ name: String, deltaSize: ByteCount = .mebibytes(64)) -> ImageRecipe {
        ImageRecipe(name: name, directory: "\(folder)/\(name)", deltaSize: deltaSize)
    }

    /// A fresh path for what one test writes.
    static func scratch(_ name: String = #function) throws -> String {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return "\(folder)/\(name.prefix { $0.isLetter })-\(UUID().uuidString.prefix(8))"
    }

    static let missing: [String] = ImageBuilder.tools.compactMap(\.problem?.description)
    static let missingForBoot: [String] =
        missing + (ExternalTool(name: "qemu-system-x86_64", debianPackage: "qemu-system-x86").problem.map { [$0.description] } ?? [])
}

private func unlinkAll(_ path: String) {
    guard FileManager.default.fileExists(atPath: path) else { return }
    do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path): \(error)") }
}

extension Trait where Self == ConditionTrait {
    /// Skipped, visibly, where an image cannot be made.
    static var needsImageTools: Self { .enabled(if: BuiltImage.missing.isEmpty, "\(BuiltImage.missing.joined(separator: ", "))") }
    static var needsQEMU: Self { .enabled(if: BuiltImage.missingForBoot.isEmpty, "\(BuiltImage.missingForBoot.joined(separator: ", "))") }
}
