internal import JSON

/// What the sessions of one path may do. Names and defaults are the reference server's where it has
/// the setting.
public struct EngineSettings: Hashable, Sendable {
  /// Between a pong and the next ping.
  public var pingInterval = Duration.seconds(25)
  /// How long a client may take to answer a ping.
  public var pingTimeout = Duration.seconds(20)
  /// How long an upgrade may take from its WebSocket on.
  public var upgradeTimeout = Duration.seconds(10)
  /// How long an orderly close waits for a poll that can carry it.
  public var closeTimeout = Duration.seconds(30)
  /// Bytes of one polling request's body, and of one WebSocket message (which the WebSocket's
  /// reader holds).
  public var maxHttpBufferSize = 1_000_000
  public var transports: Set<EngineTransport> = [.polling, .webSocket]
  /// Whether a session that began with polling may move to a WebSocket.
  public var allowUpgrades = true
  /// Packets of one polling request.
  public var packetsPerPayloadMax = 4_096
  /// BUDGET: packets of one poll's response, 2 or more. Clients in wide use refuse more than 16 in a
  /// payload; what is left waits for the next poll.
  public var packetsPerPollMax = 16
  /// BUDGET: bytes of one poll's response; a packet that is larger comes alone.
  public var bytesPerPollMax = 8 << 20
  /// BUDGET: packets that wait for a poll or for the end of an upgrade.
  public var queuedPacketsMax = 4_096
  /// BUDGET: what they take on the wire, in bytes; the largest message in base64 fits once.
  public var queuedBytesMax = 2 << 20

  public init() {}

  var payloadLimits: EnginePayload.Limits {
    EnginePayload.Limits(bytesMax: maxHttpBufferSize, packetsMax: packetsPerPayloadMax)
  }

  /// The first packet of a session:
  /// `0{"sid":…,"upgrades":[…],"pingInterval":…,"pingTimeout":…,"maxPayload":…}`, in milliseconds
  /// and bytes.
  public func handshake(_ id: EngineSessionID, over transport: EngineTransport) -> EngineFrame {
    var writer = JSONWriter(appendingTo: [EnginePacketType.open.rawValue])
    writer.beginObject()
    writer.field("sid", id.reveal())
    writer.key("upgrades")
    writer.beginArray()
    if canUpgrade(from: transport) { writer.string(EngineTransport.webSocket.rawValue) }
    writer.endArray()
    writer.field("pingInterval", Self.milliseconds(pingInterval))
    writer.field("pingTimeout", Self.milliseconds(pingTimeout))
    writer.field("maxPayload", Int64(maxHttpBufferSize))
    writer.endObject()
    return .text(writer.bytes)
  }

  func canUpgrade(from transport: EngineTransport) -> Bool {
    allowUpgrades && transport == .polling && transports.contains(.webSocket)
  }

  private static func milliseconds(_ duration: Duration) -> UInt64 {
    duration.nanosecondsForward / 1_000_000
  }
}

extension Duration {
  /// What is added to a moment of the monotonic clock; negative durations count as none.
  var nanosecondsForward: UInt64 {
    let (seconds, attoseconds) = components
    let (whole, isOver) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, isOverToo) = whole.addingReportingOverflow(
      UInt64(clamping: attoseconds / 1_000_000_000))
    return isOver || isOverToo ? .max : sum
  }
}

extension UInt64 {
  /// The moment that much later; the last one there is where the sum is beyond it.
  func later(_ duration: Duration) -> UInt64 {
    let (sum, isOver) = addingReportingOverflow(duration.nanosecondsForward)
    return isOver ? .max : sum
  }
}
