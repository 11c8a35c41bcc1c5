internal import Bytes

/// The types of Socket.IO v5; the raw value is the ASCII digit that stands first.
public enum SocketPacketType: UInt8, Sendable, CaseIterable {
  case connect = 0x30
  case disconnect = 0x31
  case event = 0x32
  case ack = 0x33
  case connectError = 0x34
  case binaryEvent = 0x35
  case binaryAck = 0x36

  var isBinary: Bool { self == .binaryEvent || self == .binaryAck }
}

/// A namespace's name: `/`, or `/` and what tells it apart.
///
/// 1 to 255 bytes of UTF-8 that begin with a slash; no comma, no control characters. Equal are the
/// same bytes.
public struct SocketNamespace: Hashable, Sendable, CustomStringConvertible {
  public static let bytesMax = 255
  /// The one that is meant where none is named.
  public static let main = SocketNamespace(known: "/")

  private let name: ExactText
  public var text: String { name.text }

  /// Nil for what can't be one.
  public init?(_ text: String) {
    let bytes = text.utf8
    guard bytes.first == UInt8(ascii: "/"), bytes.count <= Self.bytesMax,
      bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: ",") })
    else { return nil }
    name = ExactText(text)
  }

  private init(known text: String) { name = ExactText(text) }

  public var description: String { text }
}

/// The number by which one side knows an acknowledgement it waits for: 0 to 2^53 − 1, a whole
/// number of JavaScript's.
public struct SocketAckID: Hashable, Sendable, CustomStringConvertible {
  public static let numberMax: UInt64 = 1 << 53 - 1
  public let number: UInt64

  /// Nil beyond `numberMax`.
  public init?(_ number: UInt64) {
    guard number <= Self.numberMax else { return nil }
    self.number = number
  }

  public var description: String { String(number) }
}

/// What an event is called.
public enum SocketEventName: Hashable, Sendable {
  case text(String)
  /// A whole number within ±(2^53 − 1).
  case number(Int64)

  public static let bytesMax = 255

  /// Names that have a meaning of their own on one side or the other; no event may be called so.
  public static let reserved: Set<String> = [
    "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
  ]
}

/// An event with its arguments.
public struct SocketEvent: Hashable, Sendable {
  public let name: SocketEventName
  /// The name is not among them.
  public let arguments: SocketArguments

  public init(_ name: SocketEventName, _ arguments: SocketArguments) {
    self.name = name
    self.arguments = arguments
  }
}

/// One whole packet, its attachments included.
///
/// Source: socketio/socket.io `docs/socket.io-protocol/v5-current.md`. JSON is held as it was
/// written.
public enum SocketPacket: Hashable, Sendable {
  /// `auth` is a JSON object, or nothing.
  case connect(SocketNamespace, auth: [UInt8]?)
  case disconnect(SocketNamespace)
  /// With an id the sender waits for an acknowledgement.
  case event(SocketNamespace, SocketEvent, SocketAckID?)
  case ack(SocketNamespace, SocketAckID, SocketArguments)
  /// A JSON object or string.
  case connectError(SocketNamespace, [UInt8])

  public var namespace: SocketNamespace {
    switch self {
    case .connect(let namespace, _), .disconnect(let namespace), .event(let namespace, _, _),
      .ack(let namespace, _, _), .connectError(let namespace, _):
      namespace
    }
  }
}
