internal import Bytes

/// All settings of all services. One file may serve every service; each reads its own part.
///
/// Without a file these are the defaults: everything on one machine, on loopback.
public struct Configuration: Sendable, Equatable {
  public var channels = ChannelRules.standard
  public var routes: [RouteRule] = []
  public var gateway = GatewaySettings()
  public var hub = HubSettings()
  public var eventstore = EventStoreSettings()
  public var presence = PresenceSettings()
  public var links = LinkSettings()
  public var api = APISettings()
  public var tls = TLSSettings()
  public var identity = IdentitySettings()
  public var apiKeys: [APIKeyRule] = []
  public var limits = Limits()
  public var compression = CompressionSettings()
  public var socketio = SocketIOSettings()
  public var centrifuge = CentrifugeSettings()
  public var hooks = HookSettings()
  public var diagnostics = DiagnosticsSettings()
  public var log = LogSettings()
  public var vault = VaultSettings()

  public init() {}

  /// Where `service` listens: its own `listen`, else its link's endpoint, else its socket.
  ///
  /// - Parameter runDirectory: the directory of sockets, such as `/var/lib/sapphire/run`.
  /// - Errors: `.pathTooLong` where the socket's path would not fit.
  public func listen(
    of service: ServiceName, runDirectory: String
  ) throws(Endpoint.Refusal) -> [Endpoint] {
    let own = ownListen(of: service)
    if !own.isEmpty { return own }
    if let linked = linked(service) { return [linked] }
    return [try .socket(path: "\(runDirectory)/\(service.rawValue).sock")]
  }

  /// Where the others find `service`: its link's endpoint, else where it listens.
  ///
  /// - Errors: `.pathTooLong` where the socket's path would not fit.
  public func link(
    to service: ServiceName, runDirectory: String
  ) throws(Endpoint.Refusal) -> Endpoint {
    if let linked = linked(service) { return linked }
    guard let own = ownListen(of: service).first else {
      return try .socket(path: "\(runDirectory)/\(service.rawValue).sock")
    }
    // An address that stands for all of the machine's is reached through loopback.
    switch own {
    case .tcp(host: "0.0.0.0", let port): return .tcp(host: "127.0.0.1", port: port)
    case .tcp(host: "::", let port): return .tcp(host: "::1", port: port)
    default: return own
    }
  }

  private func ownListen(of service: ServiceName) -> [Endpoint] {
    switch service {
    case .gateway: gateway.listen
    case .hub: hub.listen
    case .eventstore: eventstore.listen
    case .presence: presence.listen
    }
  }

  private func linked(_ service: ServiceName) -> Endpoint? {
    switch service {
    case .gateway: nil
    case .hub: links.hub
    case .eventstore: links.eventstore
    case .presence: links.presence
    }
  }
}

/// What came of reading a configuration: the settings, and all that is wrong with them.
///
/// With problems the settings are for inspection only; a service must not start on them.
public struct ConfigCheck: Sendable {
  public let configuration: Configuration
  /// In the order of the file, then the environment.
  public let problems: [ConfigProblem]

  public var isSound: Bool { problems.isEmpty }

  /// The problems, one a line; empty where there are none.
  public var report: String { problems.map { "\($0)\n" }.joined() }
}

extension Configuration {
  /// Reads a JSON5 file's text, then what the environment overrides, and finds every problem.
  ///
  /// - Parameters:
  ///   - file: the file's name, for messages only.
  ///   - text: the file's bytes; nil where there is no file.
  ///   - environment: all variables; those named `SAPPHIRE_<SECTION>_<KEY>` are read.
  ///   - channelTypes: the names of the channel types compiled in; empty: any name is taken.
  ///   - callHandlers: those of the plugins that answer calls, likewise.
  ///   - channelFault: what a rule's type, one of `channelTypes`, says of it; nil: nobody asks.
  /// - Cost: linear in the text. Pure; any thread.
  public static func check(
    file: String, text: [UInt8]?, environment: [String: String] = [:], channelTypes: [String] = [],
    callHandlers: [String] = [], channelFault: ChannelTypeCheck? = nil
  ) -> ConfigCheck {
    var reading = ConfigReading(file: file)
    reading.channelFault = channelFault
    var root: ConfigValue?
    if let text {
      do throws(JSON5Error) {
        root = try JSON5.parse(text)
      } catch {
        reading.report(.line(error.line), "", error.reason)
        return ConfigCheck(configuration: Configuration(), problems: reading.problems)
      }
    }
    let merged = overriding(root, with: environment, &reading)
    let configuration = Configuration(
      reading: merged, types: channelTypes, handlers: callHandlers, &reading)
    configuration.checkTogether(&reading)
    let inOrder = reading.problems.enumerated().sorted {
      ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset)
    }
    return ConfigCheck(configuration: configuration, problems: inOrder.map(\.element))
  }

  init(
    reading value: ConfigValue?, types: [String], handlers: [String] = [],
    _ reading: inout ConfigReading
  ) {
    var reader = SettingsReader(value, path: "", &reading)
    // Rules of channels name them.
    hooks = HookSettings(reading: reader.take("hooks"), &reading)
    reading.hooks = Set(hooks.urls.keys)
    channels = ChannelRules(reading: reader.take("channels"), types: types, &reading)
    routes = RouteRule.list(reading: reader.take("routes"), &reading)
    gateway = GatewaySettings(reading: reader.take("gateway"), &reading)
    hub = HubSettings(reading: reader.take("hub"), &reading)
    eventstore = EventStoreSettings(reading: reader.take("eventstore"), &reading)
    presence = PresenceSettings(reading: reader.take("presence"), &reading)
    links = LinkSettings(reading: reader.take("links"), &reading)
    api = APISettings(reading: reader.take("api"), &reading)
    tls = TLSSettings(reading: reader.take("tls"), &reading)
    identity = IdentitySettings(reading: reader.take("identity"), &reading)
    apiKeys = APIKeyRule.list(reading: reader.take("apiKeys"), &reading)
    limits = Limits(reading: reader.take("limits"), &reading)
    compression = CompressionSettings(reading: reader.take("compression"), &reading)
    socketio = SocketIOSettings(reading: reader.take("socketio"), handlers: handlers, &reading)
    centrifuge = CentrifugeSettings(
      reading: reader.take("centrifuge"), handlers: handlers, &reading)
    diagnostics = DiagnosticsSettings(reading: reader.take("diagnostics"), &reading)
    log = LogSettings(reading: reader.take("log"), &reading)
    vault = VaultSettings(reading: reader.take("vault"), &reading)
    reader.finish(&reading)
  }

  /// What no section can see by itself.
  private func checkTogether(_ reading: inout ConfigReading) {
    if identity.keyFiles.isEmpty, identity.isRequired {
      reading.report(
        .defaults, "identity.keyFiles",
        "name a file with the keys of tokens: identity.required is true, and nobody could sign in")
    }
    if let index = routes.firstIndex(where: { $0.takes(socketio.path) }) {
      reading.report(
        .defaults, "routes[\(index)].path",
        "/\(socketio.path.joined(separator: "/"))/ is Socket.IO's: socketio.path")
    }
    if gateway.proxyProtocol, let certificate = tls.certificate {
      reading.report(
        certificate.place, "tls.certificate",
        "leave out tls or gateway.proxyProtocol: proxies that speak that protocol speak TLS themselves")
    }
    let between =
      [links.hub, links.eventstore, links.presence].compactMap { $0 }
      + hub.listen + eventstore.listen + presence.listen
    if links.keyFile == nil, let first = between.first(where: \.isTCP) {
      reading.report(
        .defaults, "links.keyFile",
        "name a file with a secret: services that are linked over TCP (\(first)) prove to each "
          + "other that they know it")
    }
  }
}

extension Endpoint {
  var isTCP: Bool { if case .tcp = self { true } else { false } }
}

extension ConfigProblem {
  /// Problems are told in the order of lines, then variables, then what has no place.
  fileprivate var rank: Int {
    switch place {
    case .line(let line): line
    case .variable: Int.max - 1
    case .defaults: Int.max
    }
  }
}
