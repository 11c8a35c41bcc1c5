import Platform
import Testing

@testable import CommandCore

private func directory(
  _ option: String?, _ variables: [String: String] = [:], root: Bool = false
) throws -> String {
  try DataDirectory(
    option: option, environment: { variables[$0] }, isRoot: root, workingDirectory: "/cwd"
  ).path
}

@Suite struct DataDirectoryTests {
  @Test func theOptionComesBeforeTheEnvironmentAndBothBeforeTheDefault() throws {
    let variables = ["SAPPHIRE_DATA": "/env", "HOME": "/home/me"]
    #expect(try directory("/opt", variables) == "/opt")
    #expect(try directory(nil, variables) == "/env")
    #expect(try directory(nil, ["HOME": "/home/me"]) == "/home/me/.local/state/sapphire")
    #expect(try directory(nil, ["HOME": "/root"], root: true) == "/var/lib/sapphire")
    #expect(try directory(nil, ["SAPPHIRE_DATA": ""], root: true) == "/var/lib/sapphire")
  }

  @Test func relativePathsBecomeAbsolute() throws {
    #expect(try directory("state/") == "/cwd/state")
  }

  @Test func withoutAHomeTheDirectoryHasToBeNamed() {
    #expect(throws: UsageError.self) { _ = try directory(nil) }
    #expect(throws: UsageError.self) { _ = try directory("") }
  }

  @Test func aPathIsRefusedExactlyWhenASocketWouldNotFit() throws {
    // The longest socket is /run/eventstore.sock, 20 bytes.
    let fits = try DataDirectory(
      option: "/" + String(repeating: "x", count: 86), environment: { _ in nil }, isRoot: false,
      workingDirectory: "/")
    #expect(fits.socketPathFault == nil)
    let over = try DataDirectory(
      option: "/" + String(repeating: "x", count: 87), environment: { _ in nil }, isRoot: false,
      workingDirectory: "/")
    #expect(over.socketPathFault?.contains("at most 87 bytes") == true)
  }
}

@Suite struct ServicePlanTests {
  private func plan(configuration: String?) throws -> ServicePlan {
    let data = try DataDirectory(
      option: "/d", environment: { _ in nil }, isRoot: true, workingDirectory: "/")
    return ServicePlan(programs: "/bin", data: data, configuration: configuration, environment: [])
  }

  @Test func aKeyFileOfTheConfigurationIsTheGatewaysOwnToFind() throws {
    var plan = try plan(configuration: "/etc/s.json5")
    plan.namesKeyFile = true
    let arguments = plan.program(.gateway, publicAddress: .tcp(host: "::1", port: 8000)).arguments
    #expect(!arguments.contains("--api-key-file") && arguments.contains("/etc/s.json5"))
  }

  @Test func theGatewayIsToldItsPeersAndTheKeyFileButNeverTheKey() throws {
    let program = try plan(configuration: nil)
      .program(.gateway, publicAddress: .tcp(host: "::1", port: 8000))
    #expect(program.path == "/bin/sapphire-gateway")
    #expect(
      program.arguments == [
        "--listen", "[::1]:8000", "--hub", "unix:/d/run/hub.sock", "--eventstore",
        "unix:/d/run/eventstore.sock", "--presence", "unix:/d/run/presence.sock",
        "--api-key-file", "/d/api.key", "--data", "/d",
      ])
  }

  @Test func everyServiceGetsTheConfigurationFile() throws {
    for service in SupervisedService.allCases {
      let program = try plan(configuration: "/c.json5")
        .program(service, publicAddress: .tcp(host: "h", port: 1))
      #expect(program.arguments.suffix(2) == ["--config", "/c.json5"])
      #expect(program.arguments.first == "--listen")
    }
  }
}

@Suite struct ServiceLineTests {
  @Test func readsTheLinesThatServicesPrint() {
    #expect(ServiceLine("ready unix:/x") == .ready(endpoint: "unix:/x"))
    #expect(ServiceLine("listening http://h:1") == .listening(url: "http://h:1"))
    #expect(ServiceLine("listening tcp:h:1") == .other("listening tcp:h:1"))
    #expect(ServiceLine("ready ") == .other("ready "))
    #expect(ServiceLine("readyish x") == .other("readyish x"))
  }
}

@Suite struct LineSplitterTests {
  @Test func linesMayComeInPiecesAndTogether() {
    var lines = LineSplitter()
    #expect(lines.split([UInt8]("re".utf8).span).isEmpty)
    #expect(lines.split([UInt8]("ady\r\nx\n\ny".utf8).span) == ["ready", "x", ""])
    #expect(lines.finish() == "y")
    #expect(lines.finish() == nil)
  }

  @Test func anEndlessLineIsCut() {
    var lines = LineSplitter()
    let bytes = [UInt8](repeating: 97, count: LineSplitter.lineBytesMax + 1)
    #expect(lines.split(bytes.span).map(\.utf8.count) == [LineSplitter.lineBytesMax])
  }
}
