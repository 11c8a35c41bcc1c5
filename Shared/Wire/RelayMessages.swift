public import Bytes

// What gateways ask each other through the hub. A session of long polling, and a stream that is spoken to by
// requests, belong to one gateway; a request for it that comes to another one is carried out there.

/// Says that relays for that loop of the sender's process come over this link from here on.
public struct TakeRelays: WireMessage {
  public static let kind = Kind.takeRelays
  public static let layout = "lane:u16"
  public var lane: UInt16
  public init(lane: UInt16) { self.lane = lane }
  public func encode(into w: inout ByteWriter) { w.u16(lane) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    lane = try c.u16(s)
  }
}

/// Which loop of which gateway a relay is for.
public struct RelayPlace: Hashable, Sendable {
  /// A lane that stands for whichever loop is there.
  public static let anyLane = UInt16.max
  /// The `instance` of its hellos.
  public var gateway: UInt64
  public var lane: UInt16
  public init(gateway: UInt64, lane: UInt16) {
    self.gateway = gateway
    self.lane = lane
  }
}

/// Whom a relayed request names, as far as the gateway that read it can say.
public enum RelayedName: Equatable, Sendable {
  /// It names nobody: the session's id is all it shows.
  case nobody
  case user(String)
  /// It shows something that is good and names no user.
  case anonymous
  /// What it shows is not good here; the session may still know it.
  case refused

  var number: UInt8 {
    switch self {
    case .nobody: 0
    case .user: 1
    case .anonymous: 2
    case .refused: 3
    }
  }
}

/// Asks the gateway that holds a session to carry out a client's request. A request; its answer is *relayed*.
public struct Relay: WireMessage {
  public static let kind = Kind.relay
  public static let layout =
    "remainingMs:u32 number:u32 gateway:u64 lane:u16 door:u8 action:u8 session:text16 naming:u8 user:text16 credential:bytes32 body:bytes32"

  /// What kind of session it is.
  public enum Door: UInt8, Sendable, CaseIterable {
    case socketIO = 1
    case engineIO = 2
    /// A stream of the Centrifuge protocol.
    case emulation = 3
  }

  public enum Action: UInt8, Sendable, CaseIterable {
    /// A GET of long polling: answered when there is something for the client.
    case poll = 1
    /// What the client says: text of Engine.IO, or commands of Centrifuge.
    case say = 2
    /// The same, with the type of bytes, which Engine.IO 4 has no meaning for.
    case sayOctets = 3
  }

  public var remainingMs: UInt32
  /// By which `EndRelay` knows it: the sender's own, on this link.
  public var number: UInt32
  public var place: RelayPlace
  public var door: Door
  public var action: Action
  /// The session's secret name, 64 bytes at most.
  public var session: String
  public var name = RelayedName.nobody
  /// SHA-256 of the request's `Authorization`; empty where it has none.
  public var credential: [UInt8] = []
  public var body: [UInt8] = []

  /// What one may carry, either way.
  public static let bodyBytesMax = 16 << 20

  public init(
    remainingMs: UInt32, number: UInt32 = 0, place: RelayPlace, door: Door, action: Action,
    session: String, body: [UInt8] = []
  ) {
    self.remainingMs = remainingMs
    self.number = number
    self.place = place
    self.door = door
    self.action = action
    self.session = session
    self.body = body
  }

  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.u32(number)
    w.u64(place.gateway)
    w.u16(place.lane)
    w.u8(door.rawValue)
    w.u8(action.rawValue)
    w.text16(session)
    w.u8(name.number)
    if case .user(let user) = name { w.text16(user) } else { w.text16("") }
    w.bytes32(credential)
    w.bytes32(body)
  }

  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    number = try c.u32(s)
    place = RelayPlace(gateway: try c.u64(s), lane: try c.u16(s))
    guard let door = Door(rawValue: try c.u8(s)), let action = Action(rawValue: try c.u8(s)) else {
      throw .invalidValue
    }
    self.door = door
    self.action = action
    session = try c.text16(s)
    let naming = try c.u8(s)
    let user = try c.text16(s)
    switch naming {
    case 0: name = .nobody
    case 1: name = .user(user)
    case 2: name = .anonymous
    case 3: name = .refused
    default: throw .invalidValue
    }
    credential = try c.bytes32(s)
    body = try c.bytes32(s)
  }
}

/// The answer that the client is to get.
public struct Relayed: WireMessage {
  public static let kind = Kind.relayed
  public static let layout = "status:u16 plain:u8 contentType:text16 body:bytes32"
  /// Of HTTP.
  public var status: UInt16
  /// It may not be compressed: a secret of one may stand beside what another wrote.
  public var isPlain = false
  public var contentType: String
  public var body: [UInt8]
  public init(status: UInt16, contentType: String = "", body: [UInt8] = []) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }
  public func encode(into w: inout ByteWriter) {
    w.u16(status)
    w.bool(isPlain)
    w.text16(contentType)
    w.bytes32(body)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    status = try c.u16(s)
    isPlain = try c.bool(s)
    contentType = try c.text16(s)
    body = try c.bytes32(s)
  }
}

/// Says that a relay is waited for no longer, or not much longer; it is answered all the same.
public struct EndRelay: WireMessage {
  public static let kind = Kind.endRelay
  public static let layout = "number:u32 why:u8"

  public enum Why: UInt8, Sendable, CaseIterable {
    /// The client has gone, or what it asked.
    case gone = 1
    /// The client is there, and wants its answer now.
    case hurry = 2
  }

  public var number: UInt32
  public var why: Why
  public init(number: UInt32, why: Why) {
    self.number = number
    self.why = why
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(number)
    w.u8(why.rawValue)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    number = try c.u32(s)
    guard let why = Why(rawValue: try c.u8(s)) else { throw .invalidValue }
    self.why = why
  }
}
