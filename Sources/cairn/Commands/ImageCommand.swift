import ArgumentParser
import Foundation
import GuestImages
import Vocabulary

struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "Guest images.", subcommands: [Build.self, Prepare.self, Result.self])

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

    struct Prepare: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let an existing Debian guest unite a read-only base with Cairn's delta disk.",
            discussion: """
                Adds a hook and a boot script to the guest's own initramfs-tools and makes its ramdisks anew. They do something only where the \
                kernel's command line has cairn.union=, which Cairn puts there: started in any other way the guest is as it was. The guest is its \
                root directory or its ext4 file system (raw). Repeat it at will.
                """)
        @Argument(help: "The guest's root directory, or its file system.") var guest: String
        @Flag(help: "Take out what was added.") var remove = false
        @Option(help: "Directory that gets the guest's newest kernel and its ramdisk, as vmlinuz and ramdisk.") var bootFiles: String?
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let outcome: GuestPreparation.Outcome
            do throws(ImageError) {
                outcome = try GuestPreparation(absolute(guest), removing: remove).run(bootFiles: bootFiles.map { absolute($0) }) {
                    if !json { print($0) }
                }
            } catch { throw Failure.notDone("\(error)") }
            if json { return printJSON(outcome) }
            for path in outcome.changed { print("changed: \(path)") }
            if outcome.changed.isEmpty { print("nothing to change") }
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
