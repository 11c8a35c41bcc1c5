/// A client's connection; unique over all gateways and never used again.
public struct ClientID: Hashable, Sendable, CustomStringConvertible {
  /// A connection's is a number, so that making one for every event costs no memory; tests of
  /// plugins give names.
  private enum Form: Hashable {
    case number(UInt64)
    case name(String)
  }
  private let form: Form

  public init(_ name: String) { form = .name(name) }
  /// Its text is 16 hexadecimal digits.
  public init(number: UInt64) { form = .number(number) }

  public var text: String {
    switch form {
    case .name(let name): return name
    case .number(let number):
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: max(0, 16 - digits.count)) + digits
    }
  }
  public var description: String { text }
}

/// A user that authentication has confirmed; may have several clients.
///
/// Compared by its bytes: another normal form of the same characters is another user.
public struct UserID: Hashable, Sendable, CustomStringConvertible {
  public let text: String
  public init(_ text: String) { self.text = text }
  public static func == (a: UserID, b: UserID) -> Bool { haveSameBytes(a.text, b.text) }
  public var description: String { text }
}

/// A timer's name within one client's subscription; setting it again moves it.
public struct TimerToken: Hashable, Sendable {
  public let value: UInt32
  public init(_ value: UInt32) { self.value = value }
}

/// What someone sent to a channel, before anything was decided about it.
public struct ChannelEvent: Sendable, Equatable {
  /// The name of the event or of the method called, where the client protocol has one.
  public var name: String?
  public var payload: Payload
  /// Makes sending again harmless: what was published under it before is not published twice. It
  /// goes with the decision's first publication (later ones get keys made from it), and is judged by
  /// the event as it was sent, since a decision may publish something else the second time.
  public var idempotencyKey: String?

  public init(_ payload: Payload, name: String? = nil, idempotencyKey: String? = nil) {
    self.payload = payload
    self.name = name
    self.idempotencyKey = idempotencyKey
  }
}

/// Who caused an event, as far as the gateway has confirmed it.
public struct ClientContext: Sendable, Equatable {
  /// Nil for a publisher without a connection: the HTTP API or one of our services.
  public let id: ClientID?
  /// Nil for an anonymous client, and for the API.
  public let user: UserID?
  /// Without the prefix `role:`; a handful at most.
  public let roles: [String]
  /// What authentication says about the client, usually JSON; presence shows it. May be empty.
  public let info: [UInt8]

  public init(id: ClientID?, user: UserID? = nil, roles: [String] = [], info: [UInt8] = []) {
    self.id = id
    self.user = user
    self.roles = roles
    self.info = info
  }

  /// A publisher with an API key: trusted to speak for others.
  public static let api = ClientContext(id: nil)

  public var isAPI: Bool { id == nil }

  public func has(role: String) -> Bool { roles.contains { haveSameBytes($0, role) } }
}

/// One message of a channel, in its place.
public struct Publication: Sendable, Equatable {
  /// Nil in a channel without history, and for what was published as `.ephemeral`.
  public var offset: Offset?
  /// When the sequencer took it, in milliseconds since 1970. Not strictly rising.
  public var timeMs: Int64
  public var payload: Payload
  /// Nil where the API published.
  public var publisher: ClientID?
  /// Nil where the publisher was anonymous or the API.
  public var user: UserID?

  public init(
    offset: Offset?, timeMs: Int64, payload: Payload, publisher: ClientID? = nil,
    user: UserID? = nil
  ) {
    self.offset = offset
    self.timeMs = timeMs
    self.payload = payload
    self.publisher = publisher
    self.user = user
  }
}
