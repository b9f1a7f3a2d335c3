import ArgumentParser
import Foundation
import GuestImages
import Vocabulary

struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "image", abstract: "Guest images.", subcommands: [Build.self, Result.self])

    struct Build: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a small image from Debian's kernel and busybox.",
            discussion: """
                A read-only base system and a ramdisk that unites it with the task's delta disk (AUFS if the kernel has it, else overlayfs), and the \
                workload `hashchain`, which computes something checkable.
                """)
        @Argument(help: "Directory to make the image in.") var directory: String
        @Option(help: "\(GuestUnion.words).") var union = "auto"
        @Option(help: "A kernel of your own.") var kernel: String?
        @Option(help: "Its modules' directory.") var modules: String?
        @Option(help: "A workload of your own: a static program that becomes /usr/bin/hashchain.") var workload: String?
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            guard let union = GuestUnion(rawValue: union) else { throw Failure.cannotTry("--union is \(GuestUnion.words), not \(self.union)") }
            let path = absolute(directory)
            let recipe = ImageRecipe(
                name: (path as NSString).lastPathComponent, directory: path, deltaSize: .mebibytes(64), union: union,
                kernel: kernel.map { absolute($0) },
                modules: modules.map { absolute($0) }, workload: workload.map { absolute($0) })
            let manifest: ImageManifest
            do throws(ImageError) {
                let image = try ImageBuilder().build(recipe) { if !json { print($0) } }
                manifest = image.manifest
            } catch { throw Failure.notDone("\(error)") }
            if json { printJSON(manifest) } else { print("\(path): kernel \(manifest.kernelVersion)") }
        }
    }

    struct Result: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what a hashchain run computes when nothing disturbs it: run on this machine, unpaced.")
        @Argument(help: "The image's directory.") var directory: String
        @Argument(help: "The run, as in the SLA: `hashchain --seconds 75 …`.") var command: String
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let result: String
            do throws(ImageError) { result = try GuestImage.load(absolute(directory)).expectedResult(run: command) } catch {
                throw Failure.notDone("\(error)")
            }
            if json { printJSON(["result": result]) } else { print(result) }
        }
    }
}
