/// The section `socketio`: Socket.IO at `/socket.io/` and bare Engine.IO at `/engine.io/`. Names and
/// defaults are the reference server's where it has the setting.
public struct SocketIOSettings: Sendable, Equatable {
  /// How a session may be carried.
  public enum Transport: String, Sendable, CaseIterable, Hashable {
    case polling, websocket
  }

  /// Whether the two addresses are served at all.
  public var enabled = true
  /// Between a pong and the next ping.
  public var pingInterval: Duration = .seconds(25)
  /// How long a client may take to answer a ping.
  public var pingTimeout: Duration = .seconds(20)
  /// How long a move from polling to a WebSocket may take.
  public var upgradeTimeout: Duration = .seconds(10)
  /// Until a client has connected to its first namespace.
  public var connectTimeout: Duration = .seconds(45)
  /// Bytes of one WebSocket message, and of one polling request's body.
  public var maxHttpBufferSize = 1_000_000
  /// Binary attachments of one event.
  public var maxAttachments = 10
  public var transports = Transport.allCases
  /// Whether a session that began with polling may move to a WebSocket.
  public var allowUpgrades = true
  /// Channels that are spoken as events of their own names. A name without a star is a channel that
  /// every client is subscribed to when it connects.
  public var events: [ChannelPattern] = []
  /// By name of a namespace: the plugin that answers events in it that have no other meaning.
  public var namespaces: [Namespace] = []
  /// The plugin behind `/engine.io/`; nil: the address is not served.
  public var engine: String?

  public struct Namespace: Sendable, Equatable {
    /// `/`, or `/` and more.
    public let name: String
    public let plugin: String
  }

  /// Events that have a meaning of their own, which no channel may take over.
  public static let ownEvents: Set<String> = [
    "subscribe", "unsubscribe", "publish", "history", "presence", "publication", "refresh", "ping",
    "pong", "connected", "connection", "error", "gap", "unrecoverable", "reconnect", "expiring",
    "quality", "join", "leave", "update", "connect", "connect_error", "disconnect", "disconnecting",
    "newListener", "removeListener",
  ]

  public init() {}
}

extension SocketIOSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "socketio", &reading)
    func flag(_ key: String) -> Bool? {
      reader.read(key, &reading) { value throws(Refused) in try value.bool() }
    }
    enabled = flag("enabled") ?? enabled
    pingInterval = reader.duration("pingInterval", in: 100...3_600_000, &reading) ?? pingInterval
    pingTimeout = reader.duration("pingTimeout", in: 100...3_600_000, &reading) ?? pingTimeout
    upgradeTimeout = reader.duration("upgradeTimeout", in: 100...600_000, &reading) ?? upgradeTimeout
    connectTimeout = reader.duration("connectTimeout", in: 100...600_000, &reading) ?? connectTimeout
    maxHttpBufferSize =
      reader.read("maxHttpBufferSize", &reading) { value throws(Refused) in
        try value.bytes(in: 1_024...(64 << 20))
      } ?? maxHttpBufferSize
    maxAttachments =
      reader.read("maxAttachments", &reading) { value throws(Refused) in
        try value.int(in: 0...1_000)
      } ?? maxAttachments
    transports =
      reader.list("transports", &reading, ifEmpty: "name at least one transport") {
        value throws(Refused) in
        try value.choice(of: Transport.self)
      } ?? transports
    allowUpgrades = flag("allowUpgrades") ?? allowUpgrades
    events =
      reader.list("events", &reading) { value throws(Refused) in try value.eventPattern() } ?? events
    namespaces = Self.namespaces(reader.take("namespaces"), &reading)
    engine = reader.text("engine", &reading)
    reader.finish(&reading)
  }

  /// An object of free names: `{ "/chat": "chat" }`.
  private static func namespaces(
    _ value: ConfigValue?, _ reading: inout ConfigReading
  ) -> [Namespace] {
    guard let value else { return [] }
    guard case .object(let members) = value.content else {
      reading.report(
        value.place, "socketio.namespaces", "write an object here: { \"/chat\": \"PLUGIN\" }")
      return []
    }
    var namespaces: [Namespace] = []
    for member in members {
      do throws(Refused) {
        guard member.key.utf8.first == UInt8(ascii: "/"), member.key.utf8.count <= 255,
          member.key.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: ",") })
        else { throw Refused("a namespace begins with a slash, and has no comma and no space") }
        namespaces.append(Namespace(name: member.key, plugin: try member.value.text()))
      } catch {
        reading.report(member.place, "socketio.namespaces.\(member.key)", error.reason)
      }
    }
    return namespaces
  }
}

extension ConfigValue {
  /// A pattern of channels that are spoken as events.
  fileprivate func eventPattern() throws(Refused) -> ChannelPattern {
    let text = try text()
    guard !SocketIOSettings.ownEvents.contains(text) else {
      throw Refused("the event \"\(text)\" has a meaning of its own")
    }
    guard let pattern = ChannelPattern(text) else {
      throw Refused("write a channel's name, with stars for any run of characters: \"map:*\"")
    }
    return pattern
  }
}
