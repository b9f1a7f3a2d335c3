import Foundation
import Ports
import Vocabulary

/// Disk layers as small files, with the same rules as qcow2: an overlay finds the layer below it by its file's name in its own directory.
/// Breaks nothing by itself; see `FaultyDisks`.
package struct SimulatedDisks: DeltaDisks {
    package init() {}

    package func makeFirstLayer(at path: String, size: ByteCount) async throws(DeltaDiskError) {
        try attempt("make", path) { try SimulatedLayer(backing: nil, size: size.rawValue).write(to: path) }
    }

    package func makeFirstLayer(at path: String, size: ByteCount, onBase base: String) async throws(DeltaDiskError) {
        try attempt("make", path) { try SimulatedLayer(backing: nil, base: base, size: size.rawValue).write(to: path) }
    }

    package func makeOverlay(at path: String, on backing: String) async throws(DeltaDiskError) {
        guard SimulatedLayer.directory(of: path) == SimulatedLayer.directory(of: backing) else {
            throw .failed(operation: "make an overlay", path: path, detail: "\(backing) is in another directory")
        }
        try attempt("make an overlay", path) {
            let below = try SimulatedLayer.read(backing)
            try SimulatedLayer(backing: SimulatedLayer.name(of: backing), size: below.size).write(to: path)
        }
    }

    package func rebase(_ path: String, onto backing: String) async throws(DeltaDiskError) {
        try attempt("rebase", path) {
            var layer = try SimulatedLayer.read(path)
            layer.backing = SimulatedLayer.name(of: backing)
            try layer.write(to: path)
        }
    }

    package func rebase(_ path: String, ontoBase base: String) async throws(DeltaDiskError) {
        try attempt("rebase", path) {
            var layer = try SimulatedLayer.read(path)
            layer.base = base
            try layer.write(to: path)
        }
    }

    package func merge(_ layers: [String], into path: String) async throws(DeltaDiskError) {
        guard let top = layers.last, let lowest = layers.first else { throw .failed(operation: "merge", path: path, detail: "there are no layers") }
        try attempt("merge", path) {
            let size = try SimulatedLayer.read(top).size
            let base = try SimulatedLayer.read(lowest).base
            try SimulatedLayer(backing: nil, base: base, size: size, blocks: SimulatedLayer.contents(top)).write(to: path)
        }
    }

    package func check(_ path: String) async throws(DeltaDiskError) {
        do { _ = try SimulatedLayer.read(path) } catch { throw .damaged(path: path, detail: "\(error)") }
    }

    private func attempt(_ operation: String, _ path: String, _ body: () throws -> Void) throws(DeltaDiskError) {
        do { try body() } catch { throw .failed(operation: operation, path: path, detail: "\(error)") }
    }
}

/// Any disks as one process sees them: calls may fail before they are carried out or after it, and fail all once the process is dead.
package struct FaultyDisks: DeltaDisks {
    private let base: any DeltaDisks
    private let faults: Faults

    package init(_ base: any DeltaDisks, faults: Faults) {
        self.base = base
        self.faults = faults
    }

    private func call(_ name: String, _ path: String, _ body: () async throws(DeltaDiskError) -> Void) async throws(DeltaDiskError) {
        try await faults.around("disks.\(name) \(path)", .failed(operation: name, path: path, detail: "it was told to"), body)
    }

    package func makeFirstLayer(at path: String, size: ByteCount) async throws(DeltaDiskError) {
        try await call("makeFirstLayer", path) { () throws(DeltaDiskError) in try await base.makeFirstLayer(at: path, size: size) }
    }
    package func makeFirstLayer(at path: String, size: ByteCount, onBase base: String) async throws(DeltaDiskError) {
        try await call("makeFirstLayer", path) { () throws(DeltaDiskError) in
            try await self.base.makeFirstLayer(at: path, size: size, onBase: base)
        }
    }
    package func makeOverlay(at path: String, on backing: String) async throws(DeltaDiskError) {
        try await call("makeOverlay", path) { () throws(DeltaDiskError) in try await base.makeOverlay(at: path, on: backing) }
    }
    package func rebase(_ path: String, onto backing: String) async throws(DeltaDiskError) {
        try await call("rebase", path) { () throws(DeltaDiskError) in try await base.rebase(path, onto: backing) }
    }
    package func rebase(_ path: String, ontoBase base: String) async throws(DeltaDiskError) {
        try await call("rebase", path) { () throws(DeltaDiskError) in try await self.base.rebase(path, ontoBase: base) }
    }
    package func merge(_ layers: [String], into path: String) async throws(DeltaDiskError) {
        try await call("merge", path) { () throws(DeltaDiskError) in try await base.merge(layers, into: path) }
    }
    package func check(_ path: String) async throws(DeltaDiskError) {
        try await call("check", path) { () throws(DeltaDiskError) in try await base.check(path) }
    }
}
