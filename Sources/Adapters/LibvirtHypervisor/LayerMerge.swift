import CLibvirt
import Foundation
import Ports
import Vocabulary

/// Merging layers of a running guest's delta disk, and which it has.
///
/// QEMU copies what the layers from `top` down to the one above `base` hold into `base`, and then puts the layer above `top` on `base`; the guest
/// reads the same at every instant, since what is copied is what it sees. A job that is cancelled, or that dies with its QEMU, leaves the chain as
/// it was, with some of the content in `base` as well.
/// Source: QEMU, docs/interop/live-block-operations.rst, `block-commit`; libvirt, virDomainBlockCommit.
struct LayerMerge {
    let domain: OpaquePointer
    let name: String

    func run(from top: String, into base: String, limit: Seconds) throws(HypervisorError) {
        let start = Date()
        // Relative: the reference in the layer above stays a file's name in its own directory.
        let flags = VIR_DOMAIN_BLOCK_COMMIT_RELATIVE.rawValue
        guard virDomainBlockCommit(domain, DomainXML.deltaTarget, base, top, 0, UInt32(flags)) == 0 else { throw failure("merge of layers", name) }
        while try isUnderWay() {
            if Date().timeIntervalSince(start) > limit.rawValue {
                try cancel()
                throw .busy(name: name, detail: "merging its layers took longer than \(limit.rawValue) s and was given up")
            }
            usleep(10_000)
        }
        // Whether it came to its end, the chain itself says.
        let chain = try Self.chain(domain, name)
        guard !chain.contains(top) else { throw .failed(operation: "merge of layers", name: name, code: 0, detail: "QEMU gave it up") }
    }

    /// A job of an earlier process is waited for, for a while, and then ended.
    func settle() throws(HypervisorError) {
        let start = Date()
        while try isUnderWay() {
            if Date().timeIntervalSince(start) > 10 { return try cancel() }
            usleep(10_000)
        }
    }

    private func isUnderWay() throws(HypervisorError) -> Bool {
        var information = virDomainBlockJobInfo()
        let found = virDomainGetBlockJobInfo(domain, DomainXML.deltaTarget, &information, 0)
        guard found >= 0 else { throw failure("look at a merge", name) }
        return found == 1
    }

    /// Returns when it has ended.
    private func cancel() throws(HypervisorError) {
        guard virDomainBlockJobAbort(domain, DomainXML.deltaTarget, 0) == 0 else {
            // It may have come to its end in this moment.
            if try !isUnderWay() { return }
            throw failure("giving up a merge", name)
        }
    }

    /// From QEMU's own view of its block devices.
    static func chain(_ domain: OpaquePointer, _ name: String) throws(HypervisorError) -> [String] {
        struct Reply: Decodable {
            struct Image: Decodable {
                var filename: String
                var below: Box?
                enum CodingKeys: String, CodingKey {
                    case filename
                    case below = "backing-image"
                }
            }
            final class Box: Decodable {
                let image: Image
                init(from decoder: any Decoder) throws { image = try Image(from: decoder) }
            }
            struct Device: Decodable {
                struct Inserted: Decodable { var image: Image, drv: String }
                var inserted: Inserted?
            }
            var `return`: [Device]
        }
        let answer = try QemuMonitor(domain: domain, name: name).command("query-block")
        let devices: [Reply.Device]
        do { devices = try JSONDecoder().decode(Reply.self, from: Data(answer.utf8)).return } catch {
            throw .failed(operation: "look at the disks", name: name, code: 0, detail: "QEMU answers \(answer.prefix(200)): \(error)")
        }
        // The base is raw.
        guard var image = devices.compactMap(\.inserted).first(where: { $0.drv == "qcow2" })?.image else {
            throw .failed(operation: "look at the disks", name: name, code: 0, detail: "it has no delta disk")
        }
        var chain = [try path(image.filename, name)]
        while let below = image.below?.image {
            chain.append(try path(below.filename, name))
            image = below
        }
        return chain
    }

    /// QEMU names an image whose chain was given to it, as libvirt gives it, by all of its options: `json:{"driver":"qcow2","file":{…},"backing":…}`.
    private static func path(_ filename: String, _ name: String) throws(HypervisorError) -> String {
        guard filename.hasPrefix("json:") else { return filename }
        struct Options: Decodable {
            struct File: Decodable { var filename: String }
            var file: File
        }
        do { return try JSONDecoder().decode(Options.self, from: Data(filename.dropFirst("json:".count).utf8)).file.filename } catch {
            throw .failed(operation: "look at the disks", name: name, code: 0, detail: "QEMU names a layer \(filename.prefix(200)): \(error)")
        }
    }
}

/// QEMU's monitor, through libvirt.
struct QemuMonitor {
    let domain: OpaquePointer
    let name: String

    /// - Returns: QEMU's answer.
    /// - Throws: `.failed` with QEMU's reason.
    @discardableResult
    func command(_ command: String, _ arguments: String? = nil) throws(HypervisorError) -> String {
        let text = #"{"execute":"\#(command)"\#(arguments.map { #","arguments":"# + $0 } ?? "")}"#
        var answer: UnsafeMutablePointer<CChar>?
        guard virDomainQemuMonitorCommand(domain, text, &answer, 0) == 0, let answer else { throw failure(command, name) }
        defer { free(answer) }
        let reply = String(cString: answer)
        struct Refused: Decodable {
            struct Reason: Decodable { var desc: String }
            var error: Reason?
        }
        do {
            if let reason = try JSONDecoder().decode(Refused.self, from: Data(reply.utf8)).error {
                throw HypervisorError.failed(operation: command, name: name, code: 0, detail: reason.desc)
            }
        } catch let error as HypervisorError { throw error } catch {
            throw .failed(operation: command, name: name, code: 0, detail: "QEMU answers \(reply.prefix(200))")
        }
        return reply
    }
}
