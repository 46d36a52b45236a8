// swift-tools-version: 6.2
import PackageDescription

/// One set of rules for every target: Swift 6, no warnings, imports internal unless said otherwise.
let rules: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")

func engine(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: rules)
}

/// The programs carry Swift's libraries in themselves: a process that records one check-in would take
/// longer to load them than to record it. What `import Foundation` asks to be linked with holds for
/// the shared libraries; the static ones need the others named too.
let foundation = [
    "Foundation", "CoreFoundation", "FoundationInternationalization", "FoundationEssentials",
    "_FoundationICU", "_FoundationCShims", "_FoundationCollections",
]

func program(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies + [arguments], path: path, swiftSettings: rules,
        linkerSettings: [.unsafeFlags(["-static-stdlib"] + foundation.map { "-l\($0)" })])
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: rules)
}

/// Tests that compute nothing themselves that an optimiser would help: they are compiled in less time.
func plainTests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies,
        swiftSettings: rules + [.unsafeFlags(["-Onone"])])
}

func system(_ name: String, pkgConfig: String, package: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

let package = Package(
    name: "karvan",
    products: [
        .library(
            name: "Karvan",
            targets: [
                "Causality", "Merge", "SyncProtocol", "RecordSchema", "ReplicaStore", "AntiEntropy",
                "ReplicaSync", "CurlTransport",
            ]),
        .executable(name: "karvan", targets: ["karvan"]),
        .executable(name: "karvan-hub", targets: ["karvan-hub"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        system("CSQLite", pkgConfig: "sqlite3", package: "libsqlite3-dev"),
        .systemLibrary(name: "CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        system("CZstd", pkgConfig: "libzstd", package: "libzstd-dev"),
        .systemLibrary(name: "CCSV", providers: [.apt(["libcsv-dev"])]),
        .systemLibrary(name: "CQREncode", providers: [.apt(["libqrencode-dev"])]),
        .systemLibrary(name: "CPNG", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CAvahi", providers: [.apt(["libavahi-client-dev"])]),
        .systemLibrary(name: "CXLSXWriter", providers: [.apt(["libxlsxwriter-dev"])]),
        .systemLibrary(name: "CNcurses", providers: [.apt(["libncurses-dev"])]),

        .target(name: "CGatheredLog", dependencies: ["CSQLite"]),
        engine("Causality"),
        engine("Merge", ["Causality"]),
        engine("SyncProtocol", ["Causality", "Merge", "CZstd", crypto]),
        engine("RecordSchema", ["Merge", "SyncProtocol", "Causality"]),
        engine("FieldRecords", ["RecordSchema", "Merge", "SyncProtocol", "Causality", "CCSV"]),
        engine(
            "ReplicaStore",
            [
                "RecordSchema", "SyncProtocol", "Merge", "Causality", "CSQLite", "CGatheredLog",
                crypto,
            ]),
        engine("AntiEntropy", ["SyncProtocol", "Causality"]),
        engine("Bundles", ["SyncProtocol", "Causality"]),
        engine(
            "ReplicaSync",
            [
                "AntiEntropy", "Bundles", "ReplicaStore", "RecordSchema", "SyncProtocol",
                "Causality",
            ]),
        engine("CurlTransport", ["AntiEntropy", "SyncProtocol", "CCurl"]),
        engine("ServiceDiscovery", ["CAvahi"]),
        engine(
            "Hub",
            [
                "FieldRecords", "ReplicaStore", "ReplicaSync", "AntiEntropy", "SyncProtocol",
                "Causality", "RecordSchema", "Merge", crypto,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        engine(
            "Recording",
            ["ReplicaStore", "FieldRecords", "RecordSchema", "SyncProtocol", "Merge", "Causality"]),
        engine(
            "ConflictInspection",
            [
                "Recording", "ReplicaStore", "FieldRecords", "RecordSchema", "Merge", "Causality",
                "SyncProtocol",
            ]),
        engine("QRCodes", ["CQREncode", "CPNG"]),
        engine("ProgramOutput"),
        engine("Spreadsheets", ["CXLSXWriter"]),
        engine(
            "Reports",
            [
                "ConflictInspection", "Recording", "ReplicaStore", "FieldRecords", "RecordSchema",
                "SyncProtocol", "Merge", "Causality", "QRCodes", "Spreadsheets", "ProgramOutput",
            ]),
        engine("Terminals", ["CNcurses", "ProgramOutput"]),
        engine(
            "ConflictBrowsing",
            [
                "ConflictInspection", "Recording", "FieldRecords", "RecordSchema", "SyncProtocol",
                "Causality", "ProgramOutput", "Terminals",
            ]),
        engine(
            "BundleReports",
            [
                "ReplicaSync", "Bundles", "ReplicaStore", "FieldRecords", "SyncProtocol",
                "Causality", "ProgramOutput",
            ]),

        program(
            "karvan",
            [
                "ReplicaStore", "ReplicaSync", "FieldRecords", "Recording", "ConflictInspection",
                "AntiEntropy", "CurlTransport", "RecordSchema", "SyncProtocol", "Merge",
                "Causality", "Bundles", "BundleReports", "ServiceDiscovery", "ConflictBrowsing",
                "Terminals", "Reports", "Spreadsheets",
                "ProgramOutput", "Hub", .product(name: "Logging", package: "swift-log"),
            ]),
        program(
            "karvan-hub",
            [
                "Hub", "ReplicaStore", "ReplicaSync", "Bundles", "BundleReports", "FieldRecords",
                "Recording", "RecordSchema", "SyncProtocol",
                "Merge", "Causality", "ProgramOutput", "QRCodes", "CurlTransport",
                .product(name: "Logging", package: "swift-log"),
            ]),
        program(
            "karvan-bench",
            [
                "ReplicaStore", "RecordSchema", "SyncProtocol", "Merge", "Causality",
                "FieldRecords", "AntiEntropy", "ReplicaSync", "Hub", "Recording", "CSQLite",
            ], path: "tools/benchmark"),
        .target(
            name: "FuzzTargets",
            dependencies: ["FieldRecords", "RecordSchema", "SyncProtocol", "Merge", "Causality"],
            path: "tools/fuzzing/targets", swiftSettings: rules),
        // Only declares what libFuzzer has: tools/fuzz links it, and an ordinary build needs none.
        .systemLibrary(name: "CFuzzer", path: "tools/fuzzing/CFuzzer"),
        .executableTarget(
            name: "karvan-fuzz", dependencies: ["FuzzTargets", "SyncProtocol", "CFuzzer"],
            path: "tools/fuzzing/program", swiftSettings: rules),

        .target(
            name: "Simulation",
            dependencies: [
                "StoreTestSupport", "TestSupport", "Hub", "AntiEntropy", "ReplicaSync",
                "ReplicaStore",
                "FieldRecords",
                "RecordSchema", "SyncProtocol", "Merge", "Causality",
            ], path: "tools/simulator/world", swiftSettings: rules),
        program("karvan-simulate", ["Simulation"], path: "tools/simulator/program"),

        plainTests(
            "CurlTransportTests", ["CurlTransport", "AntiEntropy", "SyncProtocol", "Causality"]),
        tests(
            "FieldRecordsTests",
            ["FieldRecords", "RecordSchema", "SyncProtocol", "Merge", "Causality", "CSQLite"]),
        plainTests(
            "HubTests",
            [
                "TestSupport", "Hub", "AntiEntropy", "FieldRecords", "ReplicaStore", "ReplicaSync",
                "Bundles",
                "RecordSchema",
                "SyncProtocol", "Merge",
                "Causality", .product(name: "Logging", package: "swift-log"),
            ]),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: rules),
        .target(name: "CFaultVFS", dependencies: ["CSQLite"], path: "Tests/CFaultVFS"),
        .target(
            name: "StoreTestSupport",
            dependencies: [
                "CFaultVFS", "ReplicaStore", "RecordSchema", "SyncProtocol", "Merge", "Causality",
            ], path: "Tests/StoreTestSupport", swiftSettings: rules),
        tests("AntiEntropyTests", ["AntiEntropy", "SyncProtocol", "Causality"]),
        tests("CausalityTests", ["TestSupport", "Causality"]),
        tests("MergeTests", ["TestSupport", "Merge", "Causality"]),
        tests("SyncProtocolTests", ["TestSupport", "SyncProtocol", "Merge", "Causality"]),
        plainTests(
            "ProtocolTests",
            [
                "TestSupport", "ConflictInspection", "ReplicaStore", "RecordSchema",
                "SyncProtocol", "Merge", "Causality",
            ]),
        tests(
            "ConflictInspectionTests",
            [
                "TestSupport", "ConflictInspection", "ConflictBrowsing", "Terminals", "Recording",
                "ReplicaStore", "FieldRecords", "RecordSchema", "SyncProtocol", "Merge",
                "Causality",
            ]),
        // Not on the programs that it starts: their linking is not the tests'.
        plainTests("ProgramTests", ["ProgramOutput", crypto]),
        tests("FuzzTests", ["FuzzTargets"]),
        tests("QRCodeTests", ["QRCodes"]),
        tests(
            "ReplicaStoreTests",
            [
                "TestSupport", "StoreTestSupport", "ReplicaStore", "RecordSchema", "SyncProtocol",
                "Merge",
                "Causality",
            ]),
        tests("SimulationTests", ["Simulation", "TestSupport"]),
    ]
)
