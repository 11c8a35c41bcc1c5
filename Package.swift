// swift-tools-version: 6.2
import PackageDescription

/// The settings of every Swift target: Swift 6 mode, no implicit existentials, imports that stay
/// internal, memory-unsafe code marked as such, and no warning left standing.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  // Accesses are checked for exclusivity while compiling and, in debug builds, while running: there
  // all tests go. See docs/adr/0030-exclusive-access.md.
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
  // The debugger's word of which C modules were imported is a number that each build draws anew: without
  // it two builds of one commit are the same, byte for byte (`make reproducible`).
  .unsafeFlags(
    ["-Xfrontend", "-no-clang-module-breadcrumbs"], .when(configuration: .release)),
]

func library(_ name: String, _ path: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, path: path, swiftSettings: strict)
}

func shared(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  library(name, "Shared/\(name)", dependencies)
}

func executable(_ name: String, _ path: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies, path: path, swiftSettings: strict,
    // What is deployed needs no Swift installed where it runs.
    linkerSettings: [
      .unsafeFlags(["-static-stdlib"], .when(platforms: [.linux], configuration: .release))
    ])
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: exclude,
    swiftSettings: strict)
}

/// The channel types: a folder of `Plugins/` and a target `<Name>Channel` each; `make plugin` adds
/// to this list and to the one in `Plugins/Registry`.
let plugins = [
  "Relay",
  "Broadcast",
  "Cursor",
  "Board",
  "Echo",
  "Conformance",
  "Follow",
  "Simulation",
  "State",
]
let pluginTargets = plugins.map { Target.Dependency(stringLiteral: "\($0)Channel") }

let package = Package(
  name: "sapphire",
  products: [
    .executable(name: "sapphire", targets: ["CommandMain"]),
    .executable(name: "sapphire-gateway", targets: ["GatewayMain"]),
    .executable(name: "sapphire-hub", targets: ["HubMain"]),
    .executable(name: "sapphire-eventstore", targets: ["EventStoreMain"]),
    .executable(name: "sapphire-presence", targets: ["PresenceMain"]),
    // For whoever writes plugins.
    .library(name: "ChannelKit", targets: ["ChannelKit"]),
    .library(name: "TestKit", targets: ["TestKit"]),
  ],
  targets: [
    // C libraries. Each has one importer among the sources; infra/check-layers names the exceptions.
    .target(name: "CLinux", path: "Shared/CLinux", cSettings: [.define("_GNU_SOURCE")]),
    .systemLibrary(
      name: "CSQLite", path: "Shared/CSQLite", pkgConfig: "sqlite3",
      providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(
      name: "COpenSSL", path: "Shared/COpenSSL", pkgConfig: "openssl",
      providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
      name: "CZlib", path: "Shared/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    // Row 0: no dependencies of ours (CLinux apart).
    shared("Bytes", ["CLinux"]),
    shared("Platform", ["CLinux", "Bytes"]),
    shared("Observe", ["Bytes"]),
    // Row 1: pure.
    shared("JSON", ["Bytes"]),
    shared("Wire", ["Bytes", "JSON"]),
    shared("HTTPCodec", ["Bytes"]),
    shared("WebSocketCodec", ["Bytes"]),
    shared("ChannelKit", ["Bytes", "JSON"]),
    shared("Delta", ["Bytes"]),
    shared("Schema", ["Bytes", "JSON"]),
    shared("EngineIO", ["Bytes", "JSON"]),
    shared("SocketIO", ["Bytes", "JSON"]),
    shared("Centrifuge", ["Bytes", "JSON"]),
    shared("Config", ["Bytes", "JSON", "Schema"]),
    // Row 1: wrappers of the C libraries.
    shared("Crypto", ["Bytes", "COpenSSL"]),
    shared("SQLite", ["Bytes", "CSQLite"]),
    // Row 2: streams as files, and the chain over their events. Pure.
    shared("Archive", ["Bytes", "JSON", "Wire", "Crypto"]),
    shared("Deflate", ["Bytes", "CZlib"]),
    shared("TLS", ["COpenSSL", "Bytes"]),
    // Row 2: who somebody is. Pure; the time is an argument.
    shared("Identity", ["Bytes", "JSON", "Config", "Crypto"]),
    // Row 2 and 3: what moves bytes.
    shared("Loop", ["Bytes", "CLinux", "Platform", "Observe"]),
    shared("TLSStream", ["Bytes", "Platform", "Loop", "TLS"]),
    shared("Link", ["Bytes", "Platform", "Observe", "Loop", "Wire", "Crypto"]),
    shared(
      "Service", ["Bytes", "Platform", "Observe", "Loop", "Wire", "Link", "Config", "JSON"]),
    shared(
      "Hooks",
      [
        "Bytes", "Platform", "Observe", "Loop", "JSON", "Config", "HTTPCodec", "Crypto", "TLS",
        "TLSStream",
      ]),
    shared(
      "Client",
      [
        "Bytes", "Platform", "Observe", "Loop", "JSON", "HTTPCodec", "WebSocketCodec", "Deflate", "Crypto",
        "TLS", "TLSStream",
      ]),

    // Services: Core is a library that tests can hold, Main an executable of some thirty lines.
    library(
      "HubCore", "Services/Hub/Core",
      ["Bytes", "Platform", "Observe", "Crypto", "Loop", "Wire", "Link", "Config", "Service"]),
    executable("HubMain", "Services/Hub/Main", ["HubCore", "Service"]),
    library(
      "EventStoreCore", "Services/EventStore/Core",
      [
        "Bytes", "Platform", "Observe", "Loop", "Wire", "Link", "Config", "Service", "SQLite",
        "Crypto", "JSON", "Archive",
      ]),
    executable("EventStoreMain", "Services/EventStore/Main", ["EventStoreCore", "Service"]),
    library(
      "PresenceCore", "Services/Presence/Core",
      ["Bytes", "Platform", "Observe", "Loop", "JSON", "Wire", "Link", "Config", "Service", "Hooks"]),
    executable("PresenceMain", "Services/Presence/Main", ["PresenceCore", "Service"]),
    .target(
      name: "GatewayCore",
      dependencies: [
        "Bytes", "Platform", "Observe", "JSON", "Loop", "Wire", "Link", "Config", "Service",
        "HTTPCodec", "WebSocketCodec", "Deflate", "Crypto", "ChannelKit", "TLS", "TLSStream",
        "Schema", "Identity", "EngineIO", "SocketIO", "Centrifuge", "Delta",
        "Hooks", "Archive",
      ],
      path: "Services/Gateway/Core", resources: [.embedInCode("Page")], swiftSettings: strict),
    executable(
      "GatewayMain", "Services/Gateway/Main", ["ChannelKit", "GatewayCore", "PluginRegistry", "Service"]),
    library(
      "CommandCore", "Services/Command/Core",
      [
        "Bytes", "Platform", "Observe", "JSON", "Loop", "Config", "HTTPCodec", "WebSocketCodec",
        "Crypto", "Client", "Service", "TLS", "TLSStream", "Identity", "Archive", "Wire",
      ]),
    executable(
      "CommandMain", "Services/Command/Main", ["CommandCore", "ChannelKit", "Config", "PluginRegistry"]),

    // Plugins; their own targets are added below.
    library("PluginRegistry", "Plugins/Registry", ["ChannelKit"] + pluginTargets),

    // Tests.
    .target(
      name: "TestKit", dependencies: [
        "Bytes", "Platform", "Loop", "Wire", "Link", "ChannelKit", "WebSocketCodec",
      ],
      path: "Shared/TestKit", swiftSettings: strict),
    tests("BytesTests", ["Bytes", "TestKit"]),
    tests("ArchiveTests", ["Archive", "Wire", "Crypto", "JSON", "Bytes"], exclude: ["Files"]),
    tests("PlatformTests", ["Platform", "TestKit"]),
    tests("ObserveTests", ["Observe", "Bytes"]),
    tests("JSONTests", ["JSON", "Bytes", "TestKit"]),
    tests("ConfigTests", ["Config", "Schema", "JSON", "Bytes"]),
    tests("HTTPCodecTests", ["HTTPCodec", "Bytes", "TestKit"]),
    tests("WebSocketCodecTests", ["WebSocketCodec", "Bytes", "TestKit"]),
    tests("EngineIOTests", ["EngineIO", "Bytes", "JSON", "TestKit"]),
    tests("SocketIOTests", ["SocketIO", "EngineIO", "Bytes", "JSON", "TestKit"]),
    tests(
      "CentrifugeTests", ["Centrifuge", "Delta", "Bytes", "JSON", "TestKit"], exclude: ["Vectors"]),
    tests("DeltaTests", ["Delta", "Bytes", "TestKit"], exclude: ["Vectors"]),
    tests("DeflateTests", ["Deflate", "WebSocketCodec", "Bytes", "TestKit"]),
    tests("CryptoTests", ["Crypto", "Bytes"]),
    tests("TLSTests", ["TLS", "TLSStream", "Loop", "Platform", "TestKit"]),
    executable(
      "TLSWorkload", "Tests/TLS/Workload", ["TLS", "TLSStream", "Loop", "Platform", "TestKit"]),
    tests("SchemaTests", ["Schema", "JSON", "TestKit"]),
    tests("IdentityTests", ["Identity", "Config", "Crypto", "Bytes"]),
    tests("LoopTests", ["Loop", "Platform", "Bytes", "TestKit"]),
    tests("WireTests", ["Wire", "Bytes", "TestKit"]),
    tests("LinkTests", ["Link", "Wire", "Loop", "Platform", "Crypto", "Bytes", "TestKit"]),
    tests("ChannelKitTests", ["ChannelKit", "Bytes", "TestKit"]),
    tests(
      "PluginTests",
      ["PluginRegistry", "ChannelKit", "JSON", "Bytes", "TestKit"] + pluginTargets),
    tests("HubTests", ["HubCore", "Wire", "Bytes", "TestKit"]),
    // Whole executables, by path: one service over its links, then all of them together.
    .testTarget(
      name: "ContractTests",
      dependencies: ["TestKit", "Wire", "Link", "Loop", "Platform", "Crypto", "Bytes"],
      path: "Tests/Contract", swiftSettings: strict),
    .testTarget(
      name: "ServiceTests",
      dependencies: ["TestKit", "Client", "Wire", "Link", "Loop", "Platform", "WebSocketCodec", "JSON", "Bytes"],
      path: "Tests/Services", swiftSettings: strict),
    // A disk in memory under SQLite and the store's files; its own tests are C, beside it.
    .target(
      name: "CSimulatedDisk", dependencies: ["CSQLite"], path: "Tests/Simulation/CSimulatedDisk"),
    library(
      "StoreSimulation", "Tests/Simulation/StoreSimulation",
      ["CSimulatedDisk", "EventStoreCore", "TestKit"]),
    // Store, hub, gateways and clients in one thread, with faults by a seed.
    executable(
      "Simulate", "Tests/Simulation/Main",
      [
        "StoreSimulation", "CSimulatedDisk", "EventStoreCore", "HubCore", "Wire", "Bytes", "Platform",
        "TestKit",
      ]),
    tests(
      "EventStoreTests",
      [
        "EventStoreCore", "Archive", "SQLite", "Wire", "Platform", "Bytes", "Crypto", "StoreSimulation",
        "CSimulatedDisk", "TestKit",
      ],
      exclude: ["Stores"]),
    executable(
      "CrashWorkload", "Tests/Crash/Workload", ["EventStoreCore", "Archive", "Platform", "Wire", "Bytes", "TestKit"]),
    tests(
      "PresenceTests",
      ["PresenceCore", "Hooks", "Config", "Link", "Wire", "Loop", "Observe", "Platform", "Bytes", "TestKit"]),
    tests("GatewayTests", ["GatewayCore", "Hooks", "EngineIO", "SocketIO", "Centrifuge", "Config", "Identity", "ChannelKit", "HTTPCodec", "WebSocketCodec", "Observe", "Wire", "JSON", "Platform", "Bytes", "TestKit"]),
    tests(
      "HooksTests",
      [
        "Hooks", "Config", "HTTPCodec", "Crypto", "JSON", "Loop", "Observe", "Platform", "TLS",
        "TLSStream", "Bytes", "TestKit",
      ]),
    tests(
      "ClientTests",
      [
        "Client", "Loop", "Platform", "HTTPCodec", "WebSocketCodec", "Deflate", "JSON", "Crypto", "Bytes",
        "TestKit",
      ]),
    tests(
      "CommandTests",
      ["CommandCore", "Client", "Config", "Bytes", "Platform", "JSON", "TestKit"]),
  ]
)

// Each plugin imports ChannelKit alone (and JSON, which is pure).
package.targets += plugins.map {
  library("\($0)Channel", "Plugins/\($0)", ["ChannelKit", "JSON"])
}
