/// The section `socketio`: Socket.IO at `/socket.io/` and bare Engine.IO at `/engine.io/`. Names and
/// defaults are the reference server's where it has the setting.
public struct SocketIOSettings: Sendable, Equatable {
  /// How a session may be carried.
  public enum Transport: String, Sendable, CaseIterable, Hashable {
    case polling, websocket
  }

  /// Whether the two addresses are served at all.
  public var enabled = true
  /// Where Socket.IO is: the pieces of `/socket.io/`, which a request's path may end with a slash behind.
  public var path = ["socket.io"]
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
  /// Whether WebSockets that begin as such may be compressed; how is for the section `compression` to say.
  public var perMessageDeflate = false
  /// How answers of long polling are compressed for clients that take that; nil: not at all.
  public var httpCompression: HTTPCompression? = HTTPCompression()
  /// Channels that are spoken as events of their own names. A name without a star is a channel that
  /// every client is subscribed to when it connects.
  public var events: [ChannelPattern] = []
  /// By name of a namespace: the plugin that answers events in it that have no other meaning.
  public var namespaces: [Namespace] = []
  /// The plugin behind `/engine.io/`; nil: the address is not served.
  public var engine: String?

  public struct HTTPCompression: Sendable, Equatable {
    /// Answers of fewer bytes go out as they are.
    public var threshold = 1_024
    /// 1 is fastest, 9 smallest.
    public var level = 6
    public init() {}
  }

  /// Whether clients of the main namespace may come back to where they were; nil: unless a plugin
  /// has that namespace.
  public var connectionStateRecovery: Recovery?

  public struct Recovery: Sendable, Equatable {
    public var enabled = true
    /// A client that has missed something older is not brought back; nil: what histories hold.
    public var maxDisconnectionDuration: Duration?

    public init() {}
  }

  /// Whether the main namespace offers it.
  public var recovers: Bool {
    connectionStateRecovery?.enabled ?? !namespaces.contains { $0.name == "/" }
  }

  public struct Namespace: Sendable, Equatable {
    /// `/`, or `/` and more.
    public let name: String
    public let plugin: String
    /// How long what its plugin sends is kept for clients that come back; nil: not at all. Never of `/`.
    public let recovery: Duration?

    public static let recoveryDefault = Duration.seconds(120)

    public init(name: String, plugin: String, recovery: Duration? = nil) {
      self.name = name
      self.plugin = plugin
      self.recovery = recovery
    }
  }

  /// Events that have a meaning of their own, which no channel may take over.
  public static let ownEvents: Set<String> = [
    "subscribe", "unsubscribe", "publish", "history", "presence", "publication", "refresh", "ping",
    "pong", "connected", "connection", "error", "gap", "unrecoverable", "reconnect", "expiring",
    "quality", "join", "leave", "update", "connect", "connect_error", "disconnect", "disconnecting",
    "newListener", "removeListener", "recovery",
  ]

  public init() {}
}

extension SocketIOSettings {
  /// - Parameter handlers: the plugins that answer calls; empty: any name is taken.
  init(reading value: ConfigValue?, handlers: [String], _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "socketio", &reading)
    func flag(_ key: String) -> Bool? {
      reader.read(key, &reading) { value throws(Refused) in try value.bool() }
    }
    enabled = flag("enabled") ?? enabled
    path =
      reader.read("path", &reading) { value throws(Refused) in try value.socketPath() } ?? path
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
    perMessageDeflate = flag("perMessageDeflate") ?? perMessageDeflate
    httpCompression = Self.httpCompression(reader.take("httpCompression"), &reading)
    events =
      reader.list("events", &reading) { value throws(Refused) in try value.eventPattern() } ?? events
    namespaces = Self.namespaces(reader.take("namespaces"), handlers, &reading)
    connectionStateRecovery = Self.recovery(reader.take("connectionStateRecovery"), &reading)
    engine = reader.read("engine", &reading) { value throws(Refused) in
      try value.callHandler(among: handlers)
    }
    reader.finish(&reading)
  }

  /// `true`, `false`, or an object that says how.
  private static func httpCompression(
    _ value: ConfigValue?, _ reading: inout ConfigReading
  ) -> HTTPCompression? {
    var settings = HTTPCompression()
    guard let value, value.content != .null else { return settings }
    if case .object = value.content {
      var reader = SettingsReader(value, path: "socketio.httpCompression", &reading)
      settings.threshold =
        reader.read("threshold", &reading) { value throws(Refused) in
          try value.bytes(in: 0...(64 << 20))
        } ?? settings.threshold
      settings.level =
        reader.read("level", &reading) { value throws(Refused) in try value.int(in: 1...9) }
        ?? settings.level
      reader.finish(&reading)
      return settings
    }
    do throws(Refused) {
      return try value.bool() ? settings : nil
    } catch {
      reading.report(
        value.place, "socketio.httpCompression",
        "write true, false, or how: { threshold: \"1KiB\", level: 6 }")
      return settings
    }
  }

  /// `true`, `false`, or an object with the reference server's names.
  private static func recovery(
    _ value: ConfigValue?, at path: String = "socketio.connectionStateRecovery",
    _ reading: inout ConfigReading
  ) -> Recovery? {
    guard let value else { return nil }
    var recovery = Recovery()
    guard case .object = value.content else {
      do throws(Refused) {
        recovery.enabled = try value.bool()
        return recovery
      } catch {
        reading.report(
          value.place, path, "write true, false or { maxDisconnectionDuration: \"2m\" }")
        return nil
      }
    }
    var reader = SettingsReader(value, path: path, &reading)
    recovery.maxDisconnectionDuration = reader.duration(
      "maxDisconnectionDuration", in: 1_000...604_800_000, &reading)
    _ = reader.read("skipMiddlewares", &reading) { value throws(Refused) in
      if try value.bool() { throw Refused("whoever comes back has to bring a good token: leave it out") }
    }
    reader.finish(&reading)
    return recovery
  }

  /// `{ plugin: "chat", connectionStateRecovery: true }`.
  private static func namespace(
    _ name: String, _ value: ConfigValue, _ handlers: [String], _ reading: inout ConfigReading
  ) -> Namespace? {
    let path = "socketio.namespaces.\(name)"
    var reader = SettingsReader(value, path: path, &reading)
    let plugin = reader.read("plugin", &reading) { value throws(Refused) in
      try value.callHandler(among: handlers)
    }
    let given = reader.take("connectionStateRecovery")
    let recovery = recovery(given, at: "\(path).connectionStateRecovery", &reading)
    reader.finish(&reading)
    if let given, name == "/" {
      reading.report(
        given.place, "\(path).connectionStateRecovery",
        "of the main namespace socketio.connectionStateRecovery says it")
    }
    guard let plugin else { return nil }
    return Namespace(
      name: name, plugin: plugin,
      recovery: recovery.flatMap {
        $0.enabled ? $0.maxDisconnectionDuration ?? Namespace.recoveryDefault : nil
      })
  }

  /// An object of free names: `{ "/chat": "chat" }`.
  private static func namespaces(
    _ value: ConfigValue?, _ handlers: [String], _ reading: inout ConfigReading
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
        if case .object(let settings) = member.value.content {
          if !settings.contains(where: { $0.key == "plugin" }) { throw Refused("name its plugin") }
          if let one = namespace(member.key, member.value, handlers, &reading) {
            namespaces.append(one)
          }
          continue
        }
        let plugin = try member.value.callHandler(among: handlers)
        namespaces.append(Namespace(name: member.key, plugin: plugin))
      } catch {
        reading.report(member.place, "socketio.namespaces.\(member.key)", error.reason)
      }
    }
    return namespaces
  }
}

extension ConfigValue {
  /// A path such as `/socket.io/`, with or without the slash at its end, as its pieces.
  fileprivate func socketPath() throws(Refused) -> [String] {
    let text = try text()
    guard text.hasPrefix("/"), text.utf8.count <= RouteRule.pathBytesMax else {
      throw Refused("write a path such as \"/socket.io/\"")
    }
    let inner = text.dropFirst().dropLast(text.hasSuffix("/") ? 1 : 0)
    let parts = inner.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard (1...RouteRule.segmentsMax).contains(parts.count),
      parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.allSatisfy(Self.isUnreserved) })
    else {
      throw Refused("write a path such as \"/socket.io/\": segments of A-Z a-z 0-9 - . _ ~")
    }
    if parts == ["socket.io"] { return parts }
    if let conflict = RouteRule.conflict(parts.map { .literal($0) }) { throw Refused(conflict) }
    return parts
  }

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
