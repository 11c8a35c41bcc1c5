internal import Platform

/// A service that `sapphire up` runs. The raw value names its executable, pid file and socket.
enum SupervisedService: String, CaseIterable, Sendable, Hashable {
  case hub, eventstore, presence, gateway

  var executableName: String { "sapphire-\(rawValue)" }
}

/// How the four services are started.
struct ServicePlan: Equatable {
  /// The directory of the executables.
  var programs: FilePath
  var data: DataDirectory
  /// A configuration file for all four.
  var configuration: String?
  /// Whether the configuration names the file of API keys; else it is the data directory's.
  var namesKeyFile = false
  var environment: [String]

  /// The program for `service`; the gateway listens on `publicAddress`.
  func program(_ service: SupervisedService, publicAddress: SocketAddress) -> ChildProgram {
    ChildProgram(
      path: programs.appending(service.executableName),
      arguments: arguments(service, publicAddress), environment: environment)
  }

  private func arguments(_ service: SupervisedService, _ publicAddress: SocketAddress) -> [String] {
    var words: [String]
    switch service {
    case .hub: words = ["--listen", endpoint(.hub), "--data", data.path]
    case .eventstore:
      words = ["--listen", endpoint(.eventstore), "--data", data.eventStore]
      words += ["--hub", endpoint(.hub)]
    case .presence: words = ["--listen", endpoint(.presence), "--data", data.path]
    case .gateway:
      words = ["--listen", publicAddress.authority, "--hub", endpoint(.hub)]
      words += ["--eventstore", endpoint(.eventstore), "--presence", endpoint(.presence)]
      if !namesKeyFile { words += ["--api-key-file", data.key.description] }
      words += ["--data", data.path]
    }
    if let configuration { words += ["--config", configuration] }
    return words
  }

  /// The command line that starts the event store once though it has lost events.
  var acceptLossCommand: String {
    let words = ["\(programs.appending(SupervisedService.eventstore.executableName))"]
      + arguments(.eventstore, .unix(path: "")) + ["--accept-loss"]
    return words.map(Self.quoted).joined(separator: " ")
  }

  /// A word as a shell takes it.
  private static func quoted(_ word: String) -> String {
    let plain = word.utf8.allSatisfy { byte in
      switch UInt8(byte) {
      case 0x61...0x7a, 0x41...0x5a, 0x30...0x39, 0x2b...0x2f, 0x3a, 0x3d, 0x40, 0x5f: true
      default: false
      }
    }
    guard !plain || word.isEmpty else { return word }
    return "'" + word.split(separator: "'", omittingEmptySubsequences: false)
      .joined(separator: "'\\''") + "'"
  }

  private func endpoint(_ service: SupervisedService) -> String {
    data.socket(of: service).description
  }
}

/// A line that a service prints on its standard output.
enum ServiceLine: Equatable {
  /// The gateway's port is open: `listening http://HOST:PORT`.
  case listening(url: String)
  /// It can work: `ready unix:PATH`, the gateway's `ready http://HOST:PORT`.
  case ready(endpoint: String)
  case other(String)

  init(_ line: String) {
    if line.hasPrefix("ready "), line.count > 6 {
      self = .ready(endpoint: String(line.dropFirst(6)))
    } else if line.hasPrefix("listening http://") || line.hasPrefix("listening https://") {
      self = .listening(url: String(line.dropFirst(10)))
    } else {
      self = .other(line)
    }
  }
}
