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
  let engine: EngineSettings
  let socket: SocketSettings
  /// By namespace.
  let plugins: [String: String]
  /// Behind bare Engine.IO; nil: it isn't served.
  let enginePlugin: String?
  private let events: [ChannelPattern]
  /// Channels that every client of the main namespace is subscribed to.
  let joinedByAll: [ChannelName]

  init(_ settings: SocketIOSettings = SocketIOSettings(), payloadBytesMax: Int = 1 << 20) {
    isOn = settings.enabled
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
    enginePlugin = settings.engine
  }

  func serves(_ path: EnginePath) -> Bool {
    isOn && (path == .socketIO || enginePlugin != nil)
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
