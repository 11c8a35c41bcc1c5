internal import Bytes
internal import ChannelKit
internal import HTTPCodec
internal import Identity

/// Who a client is and what its token allows, as long as that holds. Pure.
struct ClientStanding {
  /// Kept apart: most clients may be anonymous, and there may be many.
  private final class SignedIn {
    let identity: Identity
    let context: ClientContext

    init(_ id: ClientID, _ identity: Identity) {
      self.identity = identity
      context = ClientContext(
        id: id, user: identity.user.map { UserID($0) }, roles: identity.roles.sorted(),
        info: identity.info ?? [])
    }
  }

  private let id: ClientID
  private var signedIn: SignedIn?
  /// It has been told that its right ends soon.
  var isWarned = false

  init(_ id: ClientID, _ identity: Identity? = nil) {
    self.id = id
    signedIn = identity.map { SignedIn(id, $0) }
  }

  /// Nil for a client that has not signed in.
  var identity: Identity? { signedIn?.identity }
  var context: ClientContext { signedIn?.context ?? ClientContext(id: id) }
  /// When the right to be here ends, in seconds of Unix time.
  var expiresAt: Int64? { signedIn?.identity.expiresAt }

  /// Another token speaks for the client now; it has to be of the same user.
  mutating func renew(_ identity: Identity) throws(Refusal) {
    guard let old = self.identity else { throw .signInFirst }
    guard Self.isSame(old.user, identity.user) else { throw .otherUser }
    signedIn = SignedIn(id, identity)
    isWarned = false
  }

  /// The right to be here ends at another time, in seconds of Unix time, or never.
  mutating func extend(until end: Int64?) {
    guard var identity else { return }
    identity.expiresAt = end
    signedIn = SignedIn(id, identity)
    isWarned = false
  }

  private static func isSame(_ a: String?, _ b: String?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return a.utf8.elementsEqual(b.utf8)
  }

  /// What the client may do in a channel: by its token, else by the channel's rule.
  ///
  /// - Parameter isGranted: whether it has a subscription token of this channel, which stands for the rule.
  func may(
    _ right: Rights, _ name: ChannelName, _ policy: ChannelPolicy, _ access: AccessRules,
    isGranted: Bool = false
  ) -> Bool {
    guard !name.isReserved else { return false }
    if let identity {
      if identity.allows(right, in: name) { return true }
      if right == .subscribe, identity.channels.contains(name) { return true }
    }
    if access.may(right, context, policy) { return true }
    let isOpen = identity?.allows(.subscribe, in: name) ?? false
      || identity?.channels.contains(name) ?? false || isGranted
    switch right {
    case .subscribe: return isGranted
    // Whoever may subscribe may do these, where the rule does not say more.
    case .history: return isOpen && policy.readHistory == nil
    case .presence: return isOpen && policy.seePresence == nil
    default: return false
    }
  }
}

extension Refusal {
  static let otherUser = Refusal(
    103, "other_user", "a connection stays with its user: open another one", .forbidden)
}
