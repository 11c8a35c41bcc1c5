internal import Bytes

/// The name of a gateway process that survives its restarts, 1 to 255 bytes.
package struct GatewayID: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package init?(_ text: String) {
    guard isName(text) else { return nil }
    self.text = text
  }
  package static func == (a: GatewayID, b: GatewayID) -> Bool { haveSameBytes(a.text, b.text) }
  package var description: String { text }
}

/// A connection's number, unique within its gateway process.
package struct ClientID: Hashable, Sendable, CustomStringConvertible {
  package let number: UInt64
  package init(_ number: UInt64) { self.number = number }
  package var description: String { String(number, radix: 36) }

  static let byteCount = 8
}

/// Who a connection has proved to be, 1 to 255 bytes.
package struct UserID: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package init?(_ text: String) {
    guard isName(text) else { return nil }
    self.text = text
  }
  package static func == (a: UserID, b: UserID) -> Bool { haveSameBytes(a.text, b.text) }
  package var description: String { text }
}

/// The public name of a client's session, 1 to 255 bytes: a digest of the secret token.
///
/// The token itself stays in the gateway. Every gateway derives the same name from the token that a
/// returning client hands back, and nobody who sees the name can resume with it.
package struct SessionName: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package init?(_ text: String) {
    guard isName(text) else { return nil }
    self.text = text
  }
  package static func == (a: SessionName, b: SessionName) -> Bool { haveSameBytes(a.text, b.text) }
  package var description: String { text }
}

private func isName(_ text: String) -> Bool {
  let count = text.utf8.count
  return count >= 1 && count <= 255
}

/// Which run of a gateway process speaks: the fencing token. A greater one outdates all lesser.
package struct Incarnation: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let value: UInt64
  package init(_ value: UInt64) { self.value = value }
  package static func < (a: Incarnation, b: Incarnation) -> Bool { a.value < b.value }
  package var description: String { String(value) }
}

/// One run of a gateway process. Small, for many connections name theirs: copies share one object.
package struct GatewayRun: Hashable, Sendable {
  private final class Name: Sendable {
    let gateway: GatewayID
    let incarnation: Incarnation

    init(_ gateway: GatewayID, _ incarnation: Incarnation) {
      self.gateway = gateway
      self.incarnation = incarnation
    }
  }

  private let name: Name

  package init(of gateway: GatewayID, _ incarnation: Incarnation) {
    name = Name(gateway, incarnation)
  }

  package var gateway: GatewayID { name.gateway }
  package var incarnation: Incarnation { name.incarnation }

  package static func == (a: GatewayRun, b: GatewayRun) -> Bool {
    a.name === b.name || a.incarnation == b.incarnation && a.gateway == b.gateway
  }

  /// The number alone: runs of two gateways seldom share one, and a hash is taken for every join.
  package func hash(into hasher: inout Hasher) { hasher.combine(incarnation) }
}

/// One event loop of a gateway process; each has a link of its own.
package struct LaneNumber: Hashable, Sendable, CustomStringConvertible {
  package let value: UInt16
  package init(_ value: UInt16) { self.value = value }
  package var description: String { String(value) }
}

/// One connection of this service, numbered by the shell and never used twice.
package struct LinkID: Hashable, Sendable, CustomStringConvertible {
  package let value: UInt64
  package init(_ value: UInt64) { self.value = value }
  package var description: String { String(value) }
}

/// How many changes a channel's membership has seen in this run of the service.
package struct PresenceVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let value: UInt64
  package init(_ value: UInt64) { self.value = value }
  package static func < (a: PresenceVersion, b: PresenceVersion) -> Bool { a.value < b.value }
  func advanced(by count: Int) -> PresenceVersion {
    PresenceVersion(value &+ UInt64(clamping: count))
  }
  package var description: String { String(value) }
}

/// What makes connections one member: the user, else the session, else the connection itself.
package enum MemberKey: Hashable, Sendable {
  case user(UserID)
  case session(SessionName)
  case client(ClientID, at: GatewayRun)

  var byteCount: Int {
    switch self {
    case .user(let user): user.text.utf8.count
    case .session(let session): session.text.utf8.count
    case .client(_, let run): ClientID.byteCount + run.gateway.text.utf8.count + 8
    }
  }
}

/// A member as watchers see it.
package struct PresenceEntry: Hashable, Sendable {
  package var key: MemberKey
  /// The connection that the member came with first.
  package var client: ClientID
  /// What its connections last reported, at most `PresenceLimits.infoBytesMax`.
  package var info: [UInt8]

  package init(key: MemberKey, client: ClientID, info: [UInt8]) {
    self.key = key
    self.client = client
    self.info = info
  }

  /// About what the entry takes on the wire.
  var byteCount: Int { key.byteCount + ClientID.byteCount + info.count + 16 }
}
