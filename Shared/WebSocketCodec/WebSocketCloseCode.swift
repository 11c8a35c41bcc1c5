/// Why a WebSocket connection is closed (RFC 6455 §7.4, and the IANA registry of close codes).
///
/// Any `UInt16` can be held; `isValidOnWire` says which ones may stand in a close frame.
public struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
  @inlinable public init(_ rawValue: UInt16) { self.rawValue = rawValue }

  public static let normal = WebSocketCloseCode(1000)
  public static let goingAway = WebSocketCloseCode(1001)
  public static let protocolError = WebSocketCloseCode(1002)
  public static let unsupportedData = WebSocketCloseCode(1003)
  /// What a close frame without a code stands for; never sent.
  public static let noStatus = WebSocketCloseCode(1005)
  /// A connection that ended without a close frame; never sent.
  public static let abnormal = WebSocketCloseCode(1006)
  /// Bytes that are not what the message says they are, such as text that is not UTF-8.
  public static let invalidData = WebSocketCloseCode(1007)
  public static let policyViolation = WebSocketCloseCode(1008)
  public static let messageTooBig = WebSocketCloseCode(1009)
  /// Sent by clients alone: the server did not agree to an extension that the client needs.
  public static let extensionMissing = WebSocketCloseCode(1010)
  public static let internalError = WebSocketCloseCode(1011)
  public static let serviceRestart = WebSocketCloseCode(1012)
  public static let tryAgainLater = WebSocketCloseCode(1013)
  public static let badGateway = WebSocketCloseCode(1014)

  /// Whether an endpoint may put this code in a close frame: 1000–1003, 1007–1014, 3000–4999.
  public var isValidOnWire: Bool {
    switch rawValue {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }

  public var description: String { String(rawValue) }
}
