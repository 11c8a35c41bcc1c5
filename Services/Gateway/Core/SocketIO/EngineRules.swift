internal import Bytes
internal import Config
internal import EngineIO
internal import SocketIO

/// Which address an Engine.IO session came to, and so what its messages are.
enum EnginePath: Equatable, Sendable {
  /// `/socket.io/`: packets of Socket.IO.
  case socketIO
  /// `/engine.io/`: messages, as a plugin understands them.
  case engineIO
}

/// What the section `socketio` makes of Engine.IO and Socket.IO: the same for all loops. A reference,
/// so that settings cost no more to hand around.
final class EngineRules: Sendable {
  let isOn: Bool
  /// Of Socket.IO, as the pieces of a request's path.
  let path: [String]
  let compressesSockets: Bool
  /// Of answers of long polling; nil: they go out as they are.
  let httpCompression: SocketIOSettings.HTTPCompression?
  let engine: EngineSettings
  let socket: SocketSettings
  /// By namespace.
  let plugins: [String: String]
  /// How long what a plugin sends is kept for clients that come back, by namespace.
  let kept: [String: Duration]
  /// Behind bare Engine.IO; nil: it isn't served.
  let enginePlugin: String?
  private let events: [ChannelPattern]
  /// Whether clients of the main namespace may come back to where they were.
  let recovers: Bool
  /// The age of what a client that comes back may have missed; nil: any.
  let recoveryMax: Duration?
  /// Channels that every client of the main namespace is subscribed to.
  let joinedByAll: [ChannelName]

  init(_ settings: SocketIOSettings = SocketIOSettings(), payloadBytesMax: Int = 1 << 20) {
    isOn = settings.enabled
    path = settings.path
    compressesSockets = settings.perMessageDeflate
    httpCompression = settings.httpCompression
    var engine = EngineSettings()
    engine.pingInterval = settings.pingInterval
    engine.pingTimeout = settings.pingTimeout
    engine.upgradeTimeout = settings.upgradeTimeout
    engine.maxHttpBufferSize = settings.maxHttpBufferSize
    engine.transports = Set(
      settings.transports.map { $0 == .polling ? EngineTransport.polling : .webSocket })
    engine.allowUpgrades = settings.allowUpgrades
    // The largest publication in base64, and what waits beside it.
    engine.queuedBytesMax = max(engine.queuedBytesMax, payloadBytesMax * 2)
    self.engine = engine
    var socket = SocketSettings()
    socket.connectTimeout = settings.connectTimeout
    socket.packets.maxAttachments = settings.maxAttachments
    socket.packets.packetBytesMax = max(4 * settings.maxHttpBufferSize, 1 << 20)
    self.socket = socket
    events = settings.events
    joinedByAll = settings.events.compactMap(\.exactName)
    plugins = Dictionary(
      settings.namespaces.map { ($0.name, $0.plugin) }, uniquingKeysWith: { first, _ in first })
    kept = Dictionary(
      settings.namespaces.compactMap { one in one.recovery.map { (one.name, $0) } },
      uniquingKeysWith: { first, _ in first })
    enginePlugin = settings.engine
    recovers = settings.recovers
    recoveryMax = settings.connectionStateRecovery?.maxDisconnectionDuration
  }

  func serves(_ path: EnginePath) -> Bool {
    isOn && (path == .socketIO || enginePlugin != nil)
  }

  /// Whether a request for that path may be for a session.
  func mayServe(_ path: [String]) -> Bool {
    path.first == self.path.first || path.first == "engine.io"
  }

  /// Whether the channel is an event of its own name.
  func speaksAsEvent(_ channel: ChannelName) -> Bool {
    events.contains { $0.matches(channel) } && !SocketIOSettings.ownEvents.contains(channel.text)
  }

  /// How often sessions are looked at: often enough for the shortest of their times.
  var tick: Duration {
    let shortest = min(
      engine.pingInterval, engine.pingTimeout, engine.upgradeTimeout, socket.connectTimeout,
      .seconds(10))
    return max(.milliseconds(10), shortest / 10)
  }
}
