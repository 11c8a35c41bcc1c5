/// The services that listen. The raw value names section, pid file, socket and metrics.
public enum ServiceName: String, Sendable, CaseIterable, Hashable {
  case gateway, hub, eventstore, presence
}

/// A switch that can be left to the surroundings.
public enum Switch: String, Sendable, CaseIterable, Hashable {
  case auto, on, off
}

/// The field by which a proxy tells where a client comes from.
public enum ForwardedField: String, Sendable, CaseIterable, Hashable {
  case xForwardedFor = "x-forwarded-for"
  case forwarded
}

/// The section `gateway`.
public struct GatewaySettings: Sendable, Equatable {
  /// Where clients connect; at least one.
  public var listen: [Endpoint] = [.tcp(host: "127.0.0.1", port: 8000)]
  /// Event loops; nil: one per processor that the process may use.
  public var loops: Int?
  /// Origins let in besides the listener's own, such as `https://app.example.org`.
  public var origins: [String] = []
  /// Names for the gateway in `Host`, in lower case and without a port, or `*` for any. On an
  /// address that others reach none means any; on loopback they come on top of its own.
  public var hosts: [String] = []
  /// What clients that are not signed in may do where no rule says: auto means everything on
  /// loopback and nothing elsewhere.
  public var anonymous = Switch.auto
  /// Proxies that are believed on where clients come from.
  public var trustedProxies: [AddressRange] = []
  /// Whether peers on a Unix socket are such proxies.
  public var trustsUnixPeers = false
  /// The field by which proxies tell.
  public var forwardedField = ForwardedField.xForwardedFor
  /// Whether connections of proxies begin with a header of the PROXY protocol.
  public var proxyProtocol = false

  public init() {}

  /// Whether a client that is not signed in may do on `listener` what no rule decides.
  public func allowsAnonymous(on listener: Endpoint) -> Bool {
    anonymous == .on || anonymous == .auto && listener.isLoopback
  }
}

/// The section `hub`.
public struct HubSettings: Sendable, Equatable {
  /// Empty: as `links.hub` says, else `hub.sock` in the run directory.
  public var listen: [Endpoint] = []

  public init() {}
}

/// The section `eventstore`.
public struct EventStoreSettings: Sendable, Equatable {
  /// Empty: as `links.eventstore` says, else `eventstore.sock` in the run directory.
  public var listen: [Endpoint] = []
  /// The directory of the store; nil: `eventstore` in the data directory.
  public var data: String?

  public init() {}
}

/// The section `presence`.
public struct PresenceSettings: Sendable, Equatable {
  /// Empty: as `links.presence` says, else `presence.sock` in the run directory.
  public var listen: [Endpoint] = []
  /// How long a gateway that says nothing keeps its members (P11).
  public var lease: Duration = .seconds(10)
  /// How long a member whose connection broke may take to come back unnoticed (P12).
  public var grace: Duration = .seconds(5)

  public init() {}
}

/// The section `links`: where services find each other.
public struct LinkSettings: Sendable, Equatable {
  /// Nil: as the service's own section says, else its socket in the run directory.
  public var hub: Endpoint?
  public var eventstore: Endpoint?
  public var presence: Endpoint?
  /// A file with the secret that both ends of a TCP link prove to know.
  public var keyFile: String?
  /// Users, by name, whose processes may link over our Unix sockets besides our own and root.
  public var users: [String] = []

  public init() {}
}

/// The section `api`.
public struct APISettings: Sendable, Equatable {
  /// The file with the API key; nil: `api.key` in the data directory.
  public var keyFile: String?

  public init() {}
}

/// The section `diagnostics`.
public struct DiagnosticsSettings: Sendable, Equatable {
  /// `/ws/echo`; auto: while every listening address is loopback.
  public var echo = Switch.auto

  public init() {}

  public func echoIsOn(listening: [Endpoint]) -> Bool {
    echo == .on || echo == .auto && listening.allSatisfy(\.isLoopback)
  }
}

/// The section `log`.
public struct LogSettings: Sendable, Equatable {
  public enum Level: String, Sendable, CaseIterable { case debug, info, warning, error }
  public enum Format: String, Sendable, CaseIterable { case human, json }

  public var level = Level.info
  public var format = Format.human
  /// Levels of single subsystems (S004-29); a name may end in `*`. In the order written.
  public var subsystems: [Subsystem] = []

  public struct Subsystem: Sendable, Equatable {
    public let name: String
    public let level: Level
  }

  public init() {}

  /// All levels as one text: `info,gateway.link=debug`.
  public var levels: String {
    ([level.rawValue] + subsystems.map { "\($0.name)=\($0.level.rawValue)" })
      .joined(separator: ",")
  }
}

/// The section `vault`.
public struct VaultSettings: Sendable, Equatable {
  /// Where contents are kept; nil: `vault` in the event store's directory.
  public var directory: String?

  public init() {}
}
