internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Identity
internal import Observe
internal import Platform
internal import Synchronization

/// Says who somebody is: by a token, by a one-time ticket, and whether that still holds.
///
/// One for all loops of a gateway. What is revoked, and orders about open connections, are numbered
/// as they come, so that each loop finds in its sweep what it has not carried out yet. Keeps no
/// token. Any thread.
final class Authenticator: Sendable {
  private struct State {
    var verifier: TokenVerifier?
    var revocations = Revocations()
    var admissions = Admissions()
    /// Grows with each revocation: loops look at what is open when it has.
    var revocationCount: UInt64 = 0
    /// Likewise with every change of keys and rules.
    var changeCount: UInt64 = 0
    var tickets: TicketTable
    var orders: [NumberedOrder] = []
    var lastOrder: UInt64 = 0
  }

  private struct NumberedOrder {
    var number: UInt64
    var order: IdentityOrder
    var at: Instant
  }

  private let state: Mutex<State>
  let settings: IdentitySettings
  private let directory: TicketDirectory?
  private let metrics: IdentityMetrics

  /// BUDGET: orders of the last seconds; more are refused until loops have carried them out.
  private static let ordersMax = 4_096
  private static let orderLife = Duration.seconds(15)

  init(_ settings: IdentitySettings, keys: TokenKeySet?, _ metrics: IdentityMetrics) {
    self.metrics = metrics
    self.settings = settings
    directory = settings.ticketDirectory.map { TicketDirectory($0, life: settings.ticketTTL) }
    let verifier = keys.map { TokenVerifier(keys: $0, rules: TokenRules(settings)) }
    state = Mutex(State(verifier: verifier, tickets: TicketTable(life: settings.ticketTTL)))
  }

  /// Takes over the keys of files that have changed. What a key has opened that is gone ends with
  /// the loops' next sweep.
  func replace(_ keys: TokenKeySet?) {
    state.withLock { [rules = TokenRules(settings)] in
      $0.verifier = keys.map { TokenVerifier(keys: $0, rules: rules) }
    }
    lookAgain()
  }

  /// Whether there are keys to check tokens by.
  var takesTokens: Bool { state.withLock { $0.verifier != nil } }

  /// Keys or rules are others: all that is open is looked at again, on every loop.
  func lookAgain() { state.withLock { $0.changeCount &+= 1 } }

  /// Whether a token of this key would be refused now.
  func isGone(_ key: KeyMark?) -> Bool {
    guard let key else { return false }
    return state.withLock { $0.verifier?.keys.contains(key) } != true
  }

  // MARK: tokens

  /// Who a connection token speaks for.
  func identity(token: String) throws(Refusal) -> Identity {
    try counted { () throws(Refusal) in
      let identity = try verified(token) { verifier, token, now throws(TokenError) in
        try verifier.identity(of: token, now: now)
      }
      guard !isRevoked(identity) else { throw .tokenRevoked }
      return identity
    }
  }

  /// Refuses a token that `identity(token:)` would refuse; one that is good is not counted.
  func check(token: String) throws(Refusal) {
    do throws(Refusal) {
      let identity = try verified(token) { verifier, token, now throws(TokenError) in
        try verifier.identity(of: token, now: now)
      }
      guard !isRevoked(identity) else { throw .tokenRevoked }
    } catch {
      metrics.refused.add()
      throw error
    }
  }

  private func counted<Result>(_ read: () throws(Refusal) -> Result) throws(Refusal) -> Result {
    do throws(Refusal) {
      let result = try read()
      metrics.accepted.add()
      return result
    } catch {
      metrics.refused.add()
      throw error
    }
  }

  /// What a subscription token allows; whether that is for this client, its session asks.
  func grant(token: String) throws(Refusal) -> SubscriptionGrant {
    try counted { () throws(Refusal) in
      let grant = try verified(token) { verifier, token, now throws(TokenError) in
        try verifier.grant(of: token, now: now)
      }
      guard !isRevoked(grant) else { throw .tokenRevoked }
      return grant
    }
  }

  private func verified<Result>(
    _ token: String,
    _ read: (TokenVerifier, [UInt8], Int64) throws(TokenError) -> Result
  ) throws(Refusal) -> Result {
    guard let verifier = state.withLock({ $0.verifier }) else { throw .noTokens }
    let now = Self.now
    guard now >= Self.clockIsSetFrom else { throw .clockUnset }
    do throws(TokenError) {
      return try read(verifier, Array(token.utf8), now)
    } catch { throw Refusal(error) }
  }

  // MARK: tickets

  /// A ticket for whoever the token speaks for.
  func ticket(token: String) throws(Refusal) -> Ticket {
    _ = try identity(token: token)
    let (claims, key) = try verified(token) { verifier, token, now throws(TokenError) in
      try verifier.claims(of: token, now: now)
    }
    return try ticket(TicketContent(claims: claims, key: key))
  }

  /// A ticket for whoever claims speak for that somebody with a key has made.
  func ticket(claims: [UInt8]) throws(Refusal) -> Ticket {
    try ticket(TicketContent(claims: claims, key: nil))
  }

  private func ticket(_ content: TicketContent) throws(Refusal) -> Ticket {
    do throws(TokenError) {
      _ = try Identity(trusted: content.claims, leewaySeconds: leewaySeconds, now: Self.now)
    } catch { throw .badRequest("a claim can't be used: \(error.text)") }
    let ticket = state.withLock { $0.tickets.issue(content, now: SystemClock.monotonic().nanoseconds) }
    guard let ticket else { throw .overloaded }
    if let directory {
      do throws(SystemError) {
        try directory.put(ticket.digest, content, nowMs: SystemClock.wallMilliseconds())
      } catch { throw .unavailable }
    }
    return ticket
  }

  /// Who a ticket speaks for, which is used up by that.
  func identity(ticket text: String) throws(Refusal) -> Identity {
    try counted { () throws(Refusal) in try used(text) }
  }

  private func used(_ text: String) throws(Refusal) -> Identity {
    guard let digest = Ticket.digest(shown: text), let content = redeem(digest),
      !isGone(content.key)
    else { throw .ticketInvalid }
    var identity: Identity
    do throws(TokenError) {
      identity = try Identity(trusted: content.claims, leewaySeconds: leewaySeconds, now: Self.now)
    } catch { throw Refusal(error) }
    identity.key = content.key
    guard !isRevoked(identity) else { throw .tokenRevoked }
    return identity
  }

  /// Where gateways share a directory it alone says whether a ticket is unused.
  private func redeem(_ digest: [UInt8]) -> TicketContent? {
    let content = state.withLock {
      $0.tickets.redeem(digest, now: SystemClock.monotonic().nanoseconds)
    }
    guard let directory else { return content }
    return directory.take(digest, nowMs: SystemClock.wallMilliseconds())
  }

  /// Whoever a request's head names: nobody, or the bearer of a token or ticket.
  ///
  /// A token in an address is refused: addresses stand in logs and histories.
  func identity(_ head: HTTPRequestHead) throws(Refusal) -> Identity? {
    guard head.target.query("token") == nil, head.target.query("access_token") == nil else {
      throw .tokenInURL
    }
    if let token = head.headers.credentials(of: "bearer") { return try identity(token: token) }
    if let ticket = head.target.query("ticket") { return try identity(ticket: ticket) }
    return nil
  }

  // MARK: what does not hold any more

  var leewaySeconds: Int { Int(clamping: settings.leeway.components.seconds) }

  func isRevoked(_ identity: Identity) -> Bool {
    state.withLock { $0.revocations.revokes(identity) }
  }

  func isRevoked(_ grant: SubscriptionGrant) -> Bool {
    state.withLock { $0.revocations.revokes(grant) }
  }

  /// Whether a right that ends then has ended.
  func hasEnded(_ end: Int64?, now: Int64) -> Bool {
    end.map { now >= $0 + Int64(leewaySeconds) } ?? false
  }

  /// Takes an order for all loops; false where there are too many, and then nothing of it was done.
  func take(_ order: IdentityOrder, now: Instant) -> Bool {
    state.withLock { state in
      // However many come, each connection is looked at once in a sweep.
      if case .revoke(let revocation) = order {
        guard state.revocations.add(revocation, now: Self.now) else { return false }
        state.revocationCount &+= 1
        return true
      }
      state.orders.removeAll { now.since($0.at) > Self.orderLife }
      guard state.orders.count < Self.ordersMax else { return false }
      state.lastOrder += 1
      state.orders.append(NumberedOrder(number: state.lastOrder, order: order, at: now))
      return true
    }
  }

  /// Remembers for those who come back what a back end has let them into, or put them out of.
  ///
  /// - Parameter at: when, in seconds of Unix time.
  func note(_ order: IdentityOrder, at: Int64) {
    state.withLock { $0.admissions.note(order, at: at, now: Self.now) }
  }

  /// What a back end has let a client into that comes back; nil: nothing that still holds.
  func admission(
    to channel: ChannelName, of identity: Identity?, _ context: ClientContext
  ) -> IdentityOrder.Admission? {
    state.withLock { $0.admissions.admission(to: channel, of: identity, context, now: Self.now) }
  }

  /// What a loop has done of what was ordered.
  struct Seen {
    fileprivate var order: UInt64 = 0
    fileprivate var revocations: UInt64 = 0
    fileprivate var changes: UInt64 = 0
  }

  /// What a loop has to do with its connections.
  struct Due {
    var orders: [IdentityOrder] = []
    /// Something was revoked.
    var revokes = false
    /// Keys or rules are others.
    var looksAgain = false

    var isNothing: Bool { orders.isEmpty && !revokes && !looksAgain }
  }

  /// What was ordered since `seen`, which is then up to date.
  func due(_ seen: inout Seen) -> Due {
    state.withLock { state in
      var due = Due(
        revokes: state.revocationCount != seen.revocations,
        looksAgain: state.changeCount != seen.changes)
      (seen.revocations, seen.changes) = (state.revocationCount, state.changeCount)
      if state.lastOrder != seen.order {
        due.orders = state.orders.filter { $0.number > seen.order }.map(\.order)
        seen.order = state.lastOrder
      }
      return due
    }
  }

  /// Forgets what is over; every few seconds, on one loop.
  func tidy() {
    state.withLock {
      $0.revocations.forget(now: Self.now)
      $0.admissions.forget(now: Self.now)
    }
    directory?.sweep(nowMs: SystemClock.wallMilliseconds())
  }

  /// Seconds of Unix time.
  static var now: Int64 { SystemClock.wallMilliseconds() / 1_000 }
  /// The first moment of 2026: a machine that is before it starts without a clock of its own and has
  /// not been told the time. Whatever has expired would be good there.
  private static let clockIsSetFrom: Int64 = 1_767_225_600
}

extension TokenRules {
  init(_ settings: IdentitySettings) {
    self.init(
      issuer: settings.issuer, audience: settings.audience, type: settings.type,
      leewaySeconds: Int(clamping: settings.leeway.components.seconds))
  }
}

extension Refusal {
  static let noTokens = Refusal(
    101, "token_invalid", "no tokens are taken here: identity.keyFiles names no keys", .unauthorized)
  static let clockUnset = Refusal(
    152, "unavailable", "this server's clock is not set: no token can be checked",
    .serviceUnavailable, retryAfterMs: 1000)
  static let tokenRevoked = Refusal(
    101, "token_revoked", "the token was revoked", .unauthorized)
  static let keyGone = Refusal(
    101, "token_invalid", "the key that the token was signed with is not taken any more",
    .unauthorized)
  static let tokenExpired = Refusal(109, "token_expired", "the token has expired", .unauthorized)
  static let ticketInvalid = Refusal(
    101, "ticket_invalid", "the ticket was used, has expired or was never given out", .unauthorized)
  static let tokenInURL = Refusal(
    107, "token_in_url",
    "a token does not belong in an address: send Authorization, a ticket or a connect message",
    .badRequest)
  static let signInFirst = Refusal(
    101, "authentication_required", "sign in first: a token or a ticket is needed", .unauthorized)

  init(_ error: TokenError) {
    self = error == .expired ? .tokenExpired
      : Refusal(101, "token_invalid", error.text, .unauthorized)
  }
}
