// swift-tools-version: 6.2
import PackageDescription

// The house. Arrows point down only; docs/architecture.md says which room may import which, and a
// target's dependency list here is what enforces it.
//
// CAIRN_ROOMS=Planning,Analysis (target names, or `pure`) restricts the package to those rooms, what
// they stand on and their tests, so that a pure room builds and tests without the heavy dependencies:
//     CAIRN_ROOMS=pure swift test --scratch-path .build-pure

/// One room: a SwiftPM target, where it lives, what it may import, and its tests.
struct Room {
    var name: String
    var path: String
    var rooms: [String] = []
    var libraries: [Library] = []
    var kind: Kind = .pure
    var tests: [String]? = nil  // extra rooms that its tests import; nil: no tests
    var embedded: [String] = []
    enum Kind { case pure, outside, system(pkgConfig: String, apt: String), shim(links: [String]), program }
}

/// A library from outside, and the package that brings it.
enum Library: String, CaseIterable {
    case Yams, Crypto, ArgumentParser, GRDB, Hummingbird, HummingbirdCore, HummingbirdTLS, HTTPTypes, NIOCore, NIOSSL, X509, SwiftASN1, Logging
    var package: (url: String, version: Version, name: String) {
        switch self {
        case .Yams: ("https://github.com/jpsim/Yams", "6.2.2", "Yams")
        case .Crypto: ("https://github.com/apple/swift-crypto", "4.5.2", "swift-crypto")
        case .ArgumentParser: ("https://github.com/apple/swift-argument-parser", "1.8.2", "swift-argument-parser")
        case .GRDB: ("https://github.com/groue/GRDB.swift", "7.10.0", "GRDB.swift")
        case .Hummingbird, .HummingbirdCore, .HummingbirdTLS: ("https://github.com/hummingbird-project/hummingbird", "2.28.1", "hummingbird")
        case .HTTPTypes: ("https://github.com/apple/swift-http-types", "1.8.0", "swift-http-types")
        case .NIOCore: ("https://github.com/apple/swift-nio", "2.101.2", "swift-nio")
        case .NIOSSL: ("https://github.com/apple/swift-nio-ssl", "2.37.6", "swift-nio-ssl")
        case .X509: ("https://github.com/apple/swift-certificates", "1.21.1", "swift-certificates")
        case .SwiftASN1: ("https://github.com/apple/swift-asn1", "1.7.4", "swift-asn1")
        case .Logging: ("https://github.com/apple/swift-log", "1.16.2", "swift-log")
        }
    }
}

let house: [Room] = [
    // Words and the doors to the outside world.
    Room(name: "Vocabulary", path: "Sources/Vocabulary", tests: []),
    Room(name: "Ports", path: "Sources/Ports", rooms: ["Vocabulary", "CResources"], tests: []),
    Room(name: "Declarations", path: "Sources/Declarations", rooms: ["Vocabulary"], libraries: [.Yams], tests: []),

    // The loop: monitor, analyse, plan, execute, over knowledge.
    Room(name: "Knowledge", path: "Sources/Loop/Knowledge", rooms: ["Vocabulary", "PlanningModel"], tests: []),
    Room(name: "Monitoring", path: "Sources/Loop/Monitoring", rooms: ["Vocabulary", "Ports"], tests: []),
    Room(name: "PlanningModel", path: "Sources/Loop/PlanningModel", tests: []),
    Room(name: "Analysis", path: "Sources/Loop/Analysis", rooms: ["Vocabulary", "Knowledge", "PlanningModel"], tests: []),
    Room(name: "Planning", path: "Sources/Loop/Planning", rooms: ["Vocabulary", "Knowledge", "PlanningModel"], tests: ["Analysis"]),
    Room(
        name: "Execution", path: "Sources/Loop/Execution", rooms: ["Vocabulary", "Ports", "Knowledge", "Monitoring", "CheckpointEngine"],
        kind: .outside),
    Room(
        name: "Autonomics", path: "Sources/Loop/Autonomics",
        rooms: ["Vocabulary", "Ports", "Knowledge", "Monitoring", "Analysis", "Planning", "Execution", "CheckpointEngine"],
        kind: .outside, tests: ["Simulator", "SQLiteLedger", "DirectoryStore"]),

    // The checkpoint engine.
    Room(
        name: "DataPath", path: "Sources/Engine/DataPath", rooms: ["Vocabulary", "CZlib", "CZstd", "CDataPath"], libraries: [.Crypto], kind: .outside,
        tests: []),
    Room(
        name: "CheckpointEngine", path: "Sources/Engine/CheckpointEngine", rooms: ["Vocabulary", "Ports", "DataPath"], kind: .outside,
        tests: ["Simulator", "DirectoryStore", "DiskImages", "Execution"]),

    // One outside system each; never each other.
    Room(
        name: "LibvirtHypervisor", path: "Sources/Adapters/LibvirtHypervisor", rooms: ["Vocabulary", "Ports", "CLibvirt", "CChildren", "CXenlight"],
        kind: .outside,
        tests: ["DiskImages", "GuestImages"]),
    Room(name: "DiskImages", path: "Sources/Adapters/DiskImages", rooms: ["Vocabulary", "Ports"], kind: .outside),
    Room(
        name: "GuestImages", path: "Sources/Adapters/GuestImages", rooms: ["Vocabulary"], kind: .outside, tests: [],
        embedded: ["Guest/init.sh", "Guest/union.sh", "Guest/initramfs-hook.sh", "Guest/initramfs-boot.sh", "Guest/hashchain.c"]),
    Room(
        name: "DirectoryStore", path: "Sources/Adapters/DirectoryStore", rooms: ["Vocabulary", "Ports", "CResources"], kind: .outside,
        tests: ["WebHDFSStore", "FileServerStore", "Simulator", "Curl"]),
    Room(
        name: "WebHDFSStore", path: "Sources/Adapters/WebHDFSStore", rooms: ["Vocabulary", "Ports", "Curl", "DataPath", "CDataPath", "CZlib"],
        libraries: [.Crypto], kind: .outside),
    Room(name: "FileServerStore", path: "Sources/Adapters/FileServerStore", rooms: ["Vocabulary", "Ports", "Curl"], kind: .outside),
    Room(
        name: "SQLiteLedger", path: "Sources/Adapters/SQLiteLedger", rooms: ["Vocabulary", "Ports", "CZstd"], libraries: [.GRDB, .Crypto],
        kind: .outside, tests: ["Simulator"], embedded: ["decisions.dictionary"]),
    Room(name: "NodeLink", path: "Sources/Adapters/NodeLink", rooms: ["Vocabulary", "Ports", "Curl"], kind: .outside),
    Room(name: "Fencing", path: "Sources/Adapters/Fencing", rooms: ["Vocabulary", "Ports"], kind: .outside, tests: []),

    // Every port as a seeded fake with faults and a virtual clock.
    Room(name: "Simulator", path: "Sources/Simulator", rooms: ["Vocabulary", "Ports"], kind: .outside),

    // Policies tried on a virtual clock, by the same analysis and planning.
    Room(
        name: "Simulation", path: "Sources/Simulation", rooms: ["Vocabulary", "Knowledge", "Analysis", "Planning", "PlanningModel"], tests: []),

    // Who may ask for what.
    Room(name: "Access", path: "Sources/Access", rooms: ["Vocabulary", "Curl"], libraries: [.Crypto, .X509, .SwiftASN1], kind: .outside, tests: []),

    // They render facts and decide nothing.
    Room(name: "AuditReport", path: "Sources/Surfaces/AuditReport", rooms: ["Vocabulary", "Ports", "Knowledge"], kind: .outside, tests: []),
    Room(
        name: "ManagerAPI", path: "Sources/Surfaces/ManagerAPI",
        rooms: ["Vocabulary", "Ports", "Knowledge", "Access", "AuditReport", "Overview", "Curl"],
        libraries: [.Hummingbird, .HummingbirdCore, .HummingbirdTLS, .HTTPTypes, .NIOCore, .NIOSSL, .Logging], kind: .outside,
        tests: ["NodeLink", "Simulator"], embedded: ["openapi.json"]),

    Room(
        name: "ManagerMetrics", path: "Sources/Surfaces/ManagerMetrics", rooms: ["Vocabulary", "Ports", "Knowledge"],
        tests: ["AuditReport", "SQLiteLedger", "Simulator"]),

    Room(name: "Overview", path: "Sources/Surfaces/Overview", rooms: ["Vocabulary", "Ports", "Knowledge", "AuditReport"], kind: .outside, tests: []),
    Room(
        name: "Dashboard", path: "Sources/Surfaces/Dashboard",
        rooms: ["Vocabulary", "Ports", "Knowledge", "Overview", "AuditReport", "ManagerAPI", "Access"], libraries: [.Hummingbird, .HTTPTypes],
        kind: .outside, tests: ["Simulator"]),
    Room(name: "Evaluation", path: "Sources/Surfaces/Evaluation", tests: []),

    // The only place that names adapters.
    Room(
        name: "cairn", path: "Sources/cairn",
        rooms: [
            "Vocabulary", "Ports", "Declarations", "Knowledge", "Monitoring", "PlanningModel", "Analysis", "Planning", "Execution", "Autonomics",
            "DataPath", "CheckpointEngine", "LibvirtHypervisor", "DiskImages", "GuestImages", "DirectoryStore",
            "WebHDFSStore", "FileServerStore", "Curl", "SQLiteLedger", "NodeLink", "Fencing", "Simulation", "AuditReport", "ManagerAPI",
            "ManagerMetrics", "Overview", "Dashboard", "Evaluation", "Access", "CChildren", "CResources",
        ],
        libraries: [.ArgumentParser, .Logging], kind: .program, tests: []),

    // C: system libraries and thin shims.
    Room(name: "Curl", path: "Sources/System/Curl", rooms: ["CCurl", "Vocabulary", "Ports"], kind: .outside),
    Room(name: "CLibvirt", path: "Sources/System/CLibvirt", kind: .system(pkgConfig: "libvirt-qemu", apt: "libvirt-dev")),
    Room(name: "CZlib", path: "Sources/System/CZlib", kind: .system(pkgConfig: "zlib", apt: "zlib1g-dev")),
    Room(name: "CZstd", path: "Sources/System/CZstd", kind: .system(pkgConfig: "libzstd", apt: "libzstd-dev")),
    Room(name: "CCurl", path: "Sources/System/CCurl", kind: .shim(links: ["curl"])),
    Room(name: "CDataPath", path: "Sources/System/CDataPath", kind: .shim(links: [])),
    Room(name: "CChildren", path: "Sources/System/CChildren", kind: .shim(links: [])),
    Room(name: "CXenlight", path: "Sources/System/CXenlight", kind: .shim(links: ["dl"])),
    Room(name: "CResources", path: "Sources/System/CResources", kind: .shim(links: [])),
]

let pureRooms = ["Vocabulary", "Declarations", "Knowledge", "PlanningModel", "Analysis", "Planning", "Simulation"]

/// The rooms asked for by CAIRN_ROOMS with all that they stand on; everything without it.
func rooms(asked: String?) -> [Room] {
    guard let asked, !asked.isEmpty else { return house }
    var wanted = asked == "pure" ? pureRooms : asked.split(separator: ",").map(String.init)
    var kept: Set<String> = []
    let tested = Set(wanted)
    while let name = wanted.popLast() {
        guard kept.insert(name).inserted else { continue }
        guard let room = house.first(where: { $0.name == name }) else { fatalError("CAIRN_ROOMS names no room \(name)") }
        wanted += room.rooms
        if tested.contains(name) { wanted += room.tests ?? [] }
    }
    return house.filter { kept.contains($0.name) }.map { room in
        var room = room
        if !tested.contains(room.name) { room.tests = nil }
        return room
    }
}

let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

func dependencies(_ room: Room, _ names: [String], _ libraries: [Library]) -> [Target.Dependency] {
    names.map { .byName(name: $0) } + libraries.map { .product(name: $0.rawValue, package: $0.package.name) }
}

let chosen = rooms(asked: Context.environment["CAIRN_ROOMS"])
let libraries = Set(chosen.flatMap(\.libraries))
/// Each package once, though several of its libraries may be wanted.
let packages = Library.allCases.filter { libraries.contains($0) }.reduce(into: [(url: String, version: Version, name: String)]()) { found, library in
    if !found.contains(where: { $0.name == library.package.name }) { found.append(library.package) }
}

let targets: [Target] = chosen.flatMap { room -> [Target] in
    var made: [Target] = []
    switch room.kind {
    case .system(let pkgConfig, let apt):
        made.append(.systemLibrary(name: room.name, path: room.path, pkgConfig: pkgConfig, providers: [.apt([apt])]))
    case .shim(let links):
        made.append(.target(name: room.name, path: room.path, linkerSettings: links.map { .linkedLibrary($0) }))
    case .program:
        made.append(
            .executableTarget(
                name: room.name, dependencies: dependencies(room, room.rooms, room.libraries),
                path: room.path, swiftSettings: swift))
    case .pure, .outside:
        made.append(
            .target(
                name: room.name, dependencies: dependencies(room, room.rooms, room.libraries), path: room.path,
                resources: room.embedded.map { .embedInCode($0) }, swiftSettings: swift))
    }
    if let extra = room.tests {
        made.append(
            .testTarget(
                name: "\(room.name)Tests",
                dependencies: dependencies(room, [room.name] + room.rooms + extra, []),
                path: "Tests/\(room.name)Tests",
                exclude: ["Declarations": ["Files"], "AuditReport": ["Golden"], "CheckpointEngine": ["Store1"], "Evaluation": ["Golden"]][room.name]
                    ?? [],
                swiftSettings: swift))
    }
    return made
}

let package = Package(
    name: "cairn",
    platforms: [.macOS(.v15)],
    products: chosen.contains { $0.name == "cairn" } ? [.executable(name: "cairn", targets: ["cairn"])] : [],
    dependencies: packages.map { .package(url: $0.url, from: $0.version) },
    targets: targets
)
