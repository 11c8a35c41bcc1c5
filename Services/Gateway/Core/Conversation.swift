internal import Bytes
internal import Platform

/// What a connection carries: HTTP, and after an upgrade or for an answer without end something else,
/// until the connection ends. It knows nothing of TLS. Loop-confined.
protocol Conversation: AnyObject {
  /// The one client that the connection is for, as long as it lasts.
  var onlySession: ClientSession? { get }
  /// The client in whose account it is what the connection holds, where it is one client's.
  var memoryOwner: ClientSession? { get }
  /// What its client makes it hold, beside what the connection's stream has.
  var heldBytes: Int { get }
  /// Bytes have come; answers how many were taken.
  func received(_ bytes: borrowing Span<UInt8>) -> Int
  /// All that was queued has gone, where that was asked for or had been much.
  func drained()
  /// The client has closed its side. Whether there is still something to say.
  func peerFinished() -> Bool
  /// Once a second: deadlines and heartbeats.
  func sweep(_ now: Instant)
  /// Whether the clients that it carries are still who they were.
  func checkIdentity(_ now: Int64, _ due: Authenticator.Due)
  /// Until when no sweep finds anything to do, unless bytes come or wait for the client; nil where
  /// each sweep has to look.
  func quietUntil(_ now: Instant) -> Instant?
  /// Lets its client go, with what it holds, since all clients hold too much.
  func letGoForMemory()
  /// The gateway stops.
  func drain()
  /// The connection is closed.
  func ended()
}

extension Conversation {
  var onlySession: ClientSession? { nil }
  var memoryOwner: ClientSession? { onlySession }
  /// Nothing that its client says is heard.
  func received(_ bytes: borrowing Span<UInt8>) -> Int { bytes.count }
  func peerFinished() -> Bool { false }
  func sweep(_ now: Instant) {}
  func checkIdentity(_ now: Int64, _ due: Authenticator.Due) {
    onlySession?.checkIdentity(now, due)
  }
  func quietUntil(_ now: Instant) -> Instant? { nil }
  func drain() {}
  func ended() {}
}
