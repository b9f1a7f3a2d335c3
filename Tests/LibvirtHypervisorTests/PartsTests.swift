import Foundation
import Ports
import Testing
import Vocabulary

@testable import LibvirtHypervisor

#if canImport(Glibc)
    import Glibc
#endif

/// What needs no hypervisor.
@Suite("Parts of the hypervisors")
struct PartsTests {
    static let domain = DomainDescription(
        name: "cairn-a&b", memoryBytes: .mebibytes(64), virtualCPUs: 1, kernel: "/k'", ramdisk: "/r", base: "/b<", activeLayer: "/l\"", console: "/c",
        run: "echo '<&>'")

    /// A directory for one test.
    private func scratch(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/cairn-xen-parts-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) } }
        try body(folder)
    }

    @Test("names and files with the characters that XML minds")
    func escaping() throws {
        let moved = try DomainXML.moved(DomainXML.definition(Self.domain, acceleration: .emulation), to: Self.domain)
        #expect(moved.contains("cairn-a&amp;b") && moved.contains("-- echo '&lt;&amp;&gt;'"))
    }

    @Test("a definition for Xen says what kind of guest it is, and goes over to other files", arguments: XenGuest.allCases)
    func xenDefinition(_ guest: XenGuest) throws {
        let definition = DomainXML.xenDefinition(Self.domain, as: guest)
        let read = try DomainXML.XenDomain(definition, name: "x")
        #expect(read.guest == guest && read.kernel == "/k'" && read.ramdisk == "/r" && read.base == "/b<" && read.delta == "/l\"")
        var other = Self.domain
        (other.base, other.activeLayer, other.kernel, other.ramdisk) = ("/B", "/L", "/K", "/R")
        let moved = try DomainXML.XenDomain(try DomainXML.moved(definition, to: other), name: "x")
        #expect(moved.guest == guest && moved.kernel == "/K" && moved.ramdisk == "/R" && moved.base == "/B" && moved.delta == "/L")
        // A read-only disk would not come up, and Xen would not say so.
        #expect(!definition.contains("readonly"))
    }

    @Test("what is no definition of a guest with our disks is refused", arguments: ["", "<domain>", "<domain><os/><devices/></domain>", "<x/>"])
    func noDefinition(_ text: String) { #expect(throws: HypervisorError.self) { try DomainXML.XenDomain(text, name: "x") } }

    // MARK: The save image

    @Test("the header is libvirt's, byte for byte, and the stream after it begins on a page")
    func header() {
        let definition = "<domain/>"
        let bytes = XenSaveImage.header(definition)
        // Source: libvirt 9.0, src/libxl/libxl_conf.h; and what `virsh save` wrote.
        #expect(Array(bytes[0..<16]) == [0x6c, 0x69, 0x62, 0x76, 0x69, 0x72, 0x74, 0x2d, 0x78, 0x6d, 0x6c, 0x0a, 0x20, 0x00, 0x20, 0x0d])
        #expect(Array(bytes[16..<20]) == [2, 0, 0, 0])
        let length = Int(bytes[20]) | Int(bytes[21]) << 8 | Int(bytes[22]) << 16 | Int(bytes[23]) << 24
        #expect(bytes[24..<64].allSatisfy { $0 == 0 })
        #expect(bytes.count == 64 + length && bytes.count % 4_096 == 0 && bytes.last == 0)
        #expect(bytes[64...].starts(with: definition.utf8))
        #expect(bytes[(64 + definition.utf8.count)..<(bytes.count - 1)].allSatisfy { $0 == UInt8(ascii: " ") })
    }

    @Test("another definition takes the old one's place, shorter or longer, and the stream stays", arguments: [1, 9, 1_000, 2_000, 4_000, 50_000])
    func replace(_ length: Int) throws {
        try scratch { folder in
            let path = folder + "/image"
            let stream = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            // As libvirt writes it: without any room.
            let old = Array("<old/>".utf8) + [0]
            try Data(XenSaveImage.magic + [2, 0, 0, 0, UInt8(old.count), 0, 0, 0] + [UInt8](repeating: 0, count: 40) + old + stream).write(
                to: URL(fileURLWithPath: path))
            #expect(try XenSaveImage.definition(in: path).text == "<old/>")
            for text in [String(repeating: "x", count: length), "<short/>", String(repeating: "y", count: length)] {
                try XenSaveImage.replace(text, in: path)
                let read = try XenSaveImage.definition(in: path)
                #expect(read.text == text)
                let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
                #expect(Array(bytes[(64 + read.length)...]) == stream)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["image"])
        }
    }

    @Test("what is no save image is refused: cut, of another kind, of another version, with an absurd length")
    func noSaveImage() throws {
        try scratch { folder in
            let path = folder + "/image"
            let good = XenSaveImage.header("<domain/>")
            var other = good
            other[0] = 0
            var later = good
            later[16] = 3
            var absurd = good
            absurd[23] = 0x7f
            var none = good
            none.replaceSubrange(20..<24, with: [0, 0, 0, 0])
            for bytes in [[], Array(good[0..<30]), Array(good[0..<200]), other, later, absurd, none] {
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                #expect(throws: HypervisorError.self) { try XenSaveImage.definition(in: path) }
                #expect(throws: HypervisorError.self) { try XenSaveImage.replace("<x/>", in: path) }
                #expect(Array(try Data(contentsOf: URL(fileURLWithPath: path))) == bytes)
            }
            #expect(throws: HypervisorError.self) { try XenSaveImage.definition(in: folder + "/nothing") }
        }
    }

    // MARK: Consoles

    @Test("the console daemon's options are read, and advice is given when it does not write consoles down")
    func consoleDaemon() throws {
        try scratch { folder in
            func daemon(_ words: [String]) throws {
                try FileManager.default.createDirectory(atPath: folder + "/17", withIntermediateDirectories: true)
                try Data(words.flatMap { Array($0.utf8) + [0] }).write(to: URL(fileURLWithPath: folder + "/17/cmdline"))
            }
            #expect(throws: HypervisorError.self) { try XenConsole.found(processes: folder) }
            for words in [
                ["/usr/sbin/xenconsoled"], ["xenconsoled", "--log=hv"], ["xenconsoled", "--log=all", "--timestamp=all"], ["other", "--log=all"],
            ] {
                try daemon(words)
                do {
                    _ = try XenConsole.found(processes: folder)
                    Issue.record("taken: \(words)")
                } catch { #expect("\(error)".contains("start ")) }
            }
            try daemon(["/usr/lib/xen-4.17/bin/xenconsoled", "--pid-file=/run/x", "--log=all", "--timestamp=hv"])
            #expect(try XenConsole.found(processes: folder).directory == "/var/log/xen/console")
            try daemon(["xenconsoled", "--log", "guest", "--log-dir=/elsewhere"])
            #expect(try XenConsole.found(processes: folder).directory == "/elsewhere")
        }
    }

    @Test("what the daemon appends to its log stands in the file that was named, and each life of a guest has its own")
    func consoleLink() throws {
        try scratch { folder in
            let console = XenConsole(directory: folder)
            let log = folder + "/guest-cairn-x.log"
            func append(_ text: String) throws {
                let file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
                try #require(file >= 0)
                #expect(XenSaveImage.write(Array(text.utf8), to: file))
                close(file)
            }
            func text(_ name: String) -> String {
                String(decoding: FileManager.default.contents(atPath: folder + "/" + name) ?? Data(), as: UTF8.self)
            }
            try append("somebody else's\n")
            try console.attach("cairn-x", to: folder + "/first")
            #expect(console.file(of: "cairn-x") == folder + "/first")
            try append("a\n")
            try console.attach("cairn-x", to: folder + "/first")
            try append("b\n")
            try console.attach("cairn-x", to: folder + "/second")
            try append("c\n")
            console.detach("cairn-x")
            #expect(console.file(of: "cairn-x") == nil)
            try append("d\n")
            console.detach("cairn-x")
            #expect(text("first") == "a\nb\n" && text("second") == "c\n" && text("guest-cairn-x.log") == "d\n")
            #expect(text("guest-cairn-x.log.before") == "somebody else's\n")
        }
    }

    // MARK: Locks, disks, libxl

    @Test("one at a time has a domain's lock, and others are told that it is busy")
    func lock() throws {
        try scratch { folder in
            let first = try DomainLock("cairn-x", in: folder)
            #expect(throws: HypervisorError.busy(name: "cairn-x", detail: "something else is being done to it")) {
                let second = try DomainLock("cairn-x", in: folder)
                _ = consume second
            }
            let other = try DomainLock("cairn-y", in: folder)
            _ = consume first
            let third = try DomainLock("cairn-x", in: folder)
            _ = consume third
            _ = consume other
        }
    }

    @Test("disks have Xen's numbers")
    func diskNumbers() {
        #expect(XenDisk.number("xvda") == 51_712)
        #expect(XenDisk.number("xvdb") == 51_728)
    }

    @Test("what is used of libxl is as its headers have it", .enabled(if: headersAreThere, "libxen-dev of 4.17 is not installed"))
    func libxlHeaders() throws {
        let shim = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../Sources/System/CXenlight").standardizedFileURL
            .path
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/cc")
        process.arguments = ["-fsyntax-only", "-Wall", "-Werror", "-DCAIRN_COMPARE_WITH_XEN", "-I\(shim)/include", "\(shim)/CXenlight.c"]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }

    static let headersAreThere: Bool = {
        let text = FileManager.default.contents(atPath: "/usr/lib/x86_64-linux-gnu/pkgconfig/xenlight.pc").map { String(decoding: $0, as: UTF8.self) }
        return text?.contains("Version: 4.17") == true && FileManager.default.isExecutableFile(atPath: "/usr/bin/cc")
    }()

    @Test("a host without Xen is told so, with what is missing", .enabled(if: !HypervisorKind.isXen))
    func noXen() {
        do {
            _ = try XenHypervisor(uri: "xen:///system", guest: nil)
            Issue.record("there is a Xen")
        } catch {
            switch error {
            case .unsupported, .cannotConnect: break
            default: Issue.record(error)
            }
        }
    }
}
