public import Bytes

/// What a process on a link is. A role may do only what its work needs.
public enum Role: UInt8, Sendable, CaseIterable {
  case gateway = 1
  case hub = 2
  case eventstore = 3
  case presence = 4
  case worker = 5
  /// The command line and operators' tools.
  case operations = 6

  public var name: String {
    switch self {
    case .gateway: "gateway"
    case .hub: "hub"
    case .eventstore: "eventstore"
    case .presence: "presence"
    case .worker: "worker"
    case .operations: "operations"
    }
  }
}

/// The first frame both ways. Nothing else is parsed before it.
public struct Hello: WireMessage {
  public static let kind = Kind.hello
  public static let layout =
    "magic:u64 versionMin:u16 versionMax:u16 role:u8 instance:u64 incarnation:u64 features:u64 nonce:bytes32 software:text16"
  /// The feature bit of a process that knows the kinds of relays: *takeRelays* to *endRelay*.
  public static let relays: UInt64 = 1
  /// That of a process that knows *removeHistory*.
  public static let removals: UInt64 = 2
  /// That of a process that knows *readMetrics*.
  public static let metrics: UInt64 = 4
  /// That of a process that knows *forkStream*, *trimStream*, *deleteStream* and *describeStreams*.
  public static let timelines: UInt64 = 8
  /// That of a hub that knows *streamChanged*.
  public static let changes: UInt64 = 512
  /// That of a process that knows *readEvents*.
  public static let eventsInOrder: UInt64 = 16
  /// That of a process that keeps to the producers' fields of *append*.
  public static let producers: UInt64 = 32
  /// That of a process that knows *putSnapshot* and *readSnapshot*.
  public static let snapshots: UInt64 = 64
  /// That of a process that knows *beginImport* to *imported*, and `at` in *describeStreams*.
  public static let imports: UInt64 = 128
  /// "SAPPHIRE" as eight bytes.
  public static let magic: UInt64 = 0x4552_4948_5050_4153
  public static let versionMin: UInt16 = 1
  public static let versionMax: UInt16 = 1

  public var versionMin = Self.versionMin
  public var versionMax = Self.versionMax
  public var role: Role
  /// Which process this is: random at its start, the same on all its links.
  public var instance: UInt64
  /// Grows with every start of the same service in the same place: the fencing token.
  public var incarnation: UInt64
  public var features: UInt64 = 0
  /// 32 random bytes on TCP, which the peer's proof covers; empty on a Unix socket.
  public var nonce: [UInt8] = []
  public var software: String = ""

  public init(role: Role, instance: UInt64, incarnation: UInt64) {
    self.role = role
    self.instance = instance
    self.incarnation = incarnation
  }

  public func encode(into w: inout ByteWriter) {
    w.u64(Self.magic)
    w.u16(versionMin)
    w.u16(versionMax)
    w.u8(role.rawValue)
    w.u64(instance)
    w.u64(incarnation)
    w.u64(features)
    w.bytes32(nonce)
    w.text16(software)
  }

  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    guard try c.u64(s) == Self.magic else { throw .invalidValue }
    versionMin = try c.u16(s)
    versionMax = try c.u16(s)
    guard versionMin <= versionMax, let role = Role(rawValue: try c.u8(s)) else {
      throw .invalidValue
    }
    self.role = role
    instance = try c.u64(s)
    incarnation = try c.u64(s)
    features = try c.u64(s)
    nonce = try c.bytes32(s)
    software = try c.text16(s)
  }

  public var knowsRelays: Bool { features & Self.relays != 0 }
  public var knowsRemovals: Bool { features & Self.removals != 0 }
  public var knowsTimelines: Bool { features & Self.timelines != 0 }
  public var knowsChanges: Bool { features & Self.changes != 0 }
  public var knowsEventsInOrder: Bool { features & Self.eventsInOrder != 0 }
  public var knowsProducers: Bool { features & Self.producers != 0 }
  public var knowsSnapshots: Bool { features & Self.snapshots != 0 }
  public var knowsImports: Bool { features & Self.imports != 0 }
  public var knowsMetrics: Bool { features & Self.metrics != 0 }

  /// The version both ends speak: the highest common one, nil if there is none.
  public func commonVersion(with peer: Hello) -> UInt16? {
    let highest = min(versionMax, peer.versionMax)
    return highest >= max(versionMin, peer.versionMin) ? highest : nil
  }
}

/// TCP only: proof of the shared key, HMAC-SHA-256 over both hellos' nonces and the sender's role.
public struct Proof: WireMessage {
  public static let kind = Kind.proof
  public static let layout = "mac:bytes32"
  public var mac: [UInt8]
  public init(mac: [UInt8]) { self.mac = mac }
  public func encode(into w: inout ByteWriter) { w.bytes32(mac) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    mac = try c.bytes32(s)
  }
}

/// Every second both ways: how many publications were sent and dropped on this link so far, and how
/// many frames went before this one, of any kind but those that may be ignored; 0 from a build that
/// does not count them.
public struct Heartbeat: WireMessage {
  public static let kind = Kind.heartbeat
  public static let layout = "sent:u64 dropped:u64 frames:u64?"
  public var sent: UInt64
  public var dropped: UInt64
  public var frames: UInt64
  public init(sent: UInt64, dropped: UInt64, frames: UInt64 = 0) {
    self.sent = sent
    self.dropped = dropped
    self.frames = frames
  }
  public func encode(into w: inout ByteWriter) {
    w.u64(sent)
    w.u64(dropped)
    w.u64(frames)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    sent = try c.u64(s)
    dropped = try c.u64(s)
    frames = c.isAtEnd ? 0 : try c.u64(s)
  }
}

/// Lets the peer send `bytes` more of bodies and headers.
public struct Credit: WireMessage {
  public static let kind = Kind.credit
  public static let layout = "bytes:u32"
  public var bytes: UInt32
  public init(bytes: UInt32) { self.bytes = bytes }
  public func encode(into w: inout ByteWriter) { w.u32(bytes) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    bytes = try c.u32(s)
  }
}

/// The answer to a request that could not be done.
public struct Failure: WireMessage, Error {
  public static let kind = Kind.failure
  public static let layout = "code:u16 retryAfterMs:u32 message:text16 number:u64?"
  public var code: ErrorCode
  /// When trying again makes sense; 0 if that is not known or never.
  public var retryAfterMs: UInt32
  /// A sentence for a person; holds no payload and no secret.
  public var message: String
  /// Of *fenced* the epoch in force, of *sequenceGap* the sequence number that is next; else 0.
  public var number: UInt64
  public init(
    _ code: ErrorCode, _ message: String? = nil, retryAfterMs: UInt32 = 0, number: UInt64 = 0
  ) {
    self.code = code
    self.message = message ?? code.reason
    self.retryAfterMs = retryAfterMs
    self.number = number
  }
  public func encode(into w: inout ByteWriter) {
    w.u16(code.rawValue)
    w.u32(retryAfterMs)
    w.text16(message)
    w.u64(number)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    code = ErrorCode(rawValue: try c.u16(s))
    retryAfterMs = try c.u32(s)
    message = try c.text16(s)
    number = c.isAtEnd ? 0 : try c.u64(s)
  }
}

/// The last frame: why the sender closes the link.
public struct Goodbye: WireMessage {
  public static let kind = Kind.goodbye
  public static let layout = "code:u16 message:text16"
  public var code: ErrorCode
  public var message: String
  public init(_ code: ErrorCode, _ message: String? = nil) {
    self.code = code
    self.message = message ?? code.reason
  }
  public func encode(into w: inout ByteWriter) {
    w.u16(code.rawValue)
    w.text16(message)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    code = ErrorCode(rawValue: try c.u16(s))
    message = try c.text16(s)
  }
}

/// Names on this link whoever requests with `number` act for; 0 is the service itself.
public struct OpenPrincipal: WireMessage {
  public static let kind = Kind.openPrincipal
  public static let layout =
    "number:u32 user:text16 rights:bytes32 expiresMs:i64 signature:bytes32"
  public var number: UInt32
  public var user: String
  /// SHA-256 over the rights that the gateway found; empty for an anonymous client.
  public var rights: [UInt8]
  /// Milliseconds since 1970; 0 never.
  public var expiresMs: Int64
  /// HMAC-SHA-256 by the gateway's key where the link is TCP; empty on a Unix socket.
  public var signature: [UInt8]
  public init(
    number: UInt32, user: String, rights: [UInt8] = [], expiresMs: Int64 = 0,
    signature: [UInt8] = []
  ) {
    self.number = number
    self.user = user
    self.rights = rights
    self.expiresMs = expiresMs
    self.signature = signature
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(number)
    w.text16(user)
    w.bytes32(rights)
    w.i64(expiresMs)
    w.bytes32(signature)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    number = try c.u32(s)
    user = try c.text16(s)
    rights = try c.bytes32(s)
    expiresMs = try c.i64(s)
    signature = try c.bytes32(s)
  }
}

/// Frees a principal's number.
public struct ClosePrincipal: WireMessage {
  public static let kind = Kind.closePrincipal
  public static let layout = "number:u32"
  public var number: UInt32
  public init(number: UInt32) { self.number = number }
  public func encode(into w: inout ByteWriter) { w.u32(number) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    number = try c.u32(s)
  }
}
