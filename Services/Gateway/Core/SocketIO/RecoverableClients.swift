internal import Bytes
internal import ChannelKit
internal import Loop
internal import Observe
internal import Platform
internal import SocketIO
internal import Synchronization

/// Which loop of the process holds the client of each secret. Any thread.
///
/// Bounded by the clients that are connected.
final class RecoveryBook: Sendable {
  private struct State {
    var loops: [SessionToken: Int] = [:]
    var orders = RateMeter()
  }

  private let state = Mutex(State())

  /// BUDGET: orders to other gateways. Each is a durable publication, and all sessions of all gateways
  /// are held against it.
  private static let orderRate = Rate(perSecond: 1, burst: .seconds(8))

  /// The loop that held it before.
  func take(_ token: SessionToken, for loop: Int) -> Int? {
    state.withLock { $0.loops.updateValue(loop, forKey: token) }
  }

  func remove(_ token: SessionToken, of loop: Int) {
    state.withLock { if $0.loops[token] == loop { $0.loops[token] = nil } }
  }

  func mayOrder(_ now: Instant) -> Bool {
    state.withLock { $0.orders.take(1, now, Self.orderRate) }
  }
}

/// The clients of one loop that may come back, by their secrets. Loop-confined.
///
/// Whoever comes back by a secret ends who was there with it: here at once, on other loops at their
/// next turn, on other gateways as a back end's order would, some seconds later.
final class RecoverableClients {
  private unowned let gateway: GatewayLoop
  private struct Known {
    let client: SocketIOClient
    let namespace: SocketNamespace
    let since: Instant
  }

  private var clients: [SessionToken: Known] = [:]

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var book: RecoveryBook { gateway.settings.recoveries }

  /// A client that is here from now on, with a secret that nobody had before.
  func add(_ client: SocketIOClient, _ pid: RecoveryPID, in namespace: SocketNamespace = .main) {
    clients[pid.token] = Known(client: client, namespace: namespace, since: gateway.loop.now)
    _ = book.take(pid.token, for: gateway.index)
  }

  /// A client with a secret of an earlier connection, which ends if it is still there. False where this
  /// process knows of none: it may be on another gateway, or nowhere.
  func replace(
    by client: SocketIOClient, _ pid: RecoveryPID, in namespace: SocketNamespace = .main
  ) -> Bool {
    let before = gateway.loop.now
    fence(pid.token, before: before)
    clients[pid.token] = Known(client: client, namespace: namespace, since: before)
    guard let loop = book.take(pid.token, for: gateway.index) else { return false }
    // One that is there still has its place in the book; what a full mailbox refuses ends by itself.
    if loop != gateway.index { _ = gateway.post(.fence(pid.token, before: before), to: loop) }
    return true
  }

  /// Has other gateways end an earlier connection, and tells where that order stands once it is on disk.
  /// False where nothing is ordered, since others have come back just now.
  func order(
    _ pid: RecoveryPID, _ ordered: @escaping (Result<Position, Refusal>) -> Void = { _ in }
  ) -> Bool {
    guard book.mayOrder(gateway.loop.now) else { return false }
    // The time is for gateways of an older version.
    let whom = IdentityOrder.Whom(
      client: ClientID(number: pid.clientNumber).text, before: gateway.loop.wallMilliseconds - 1,
      isFence: true)
    gateway.identityFeed.publish(.disconnect(whom), placed: ordered)
    return true
  }

  func remove(_ client: SocketIOClient, _ pid: RecoveryPID) {
    guard clients[pid.token]?.client === client else { return }
    clients[pid.token] = nil
    book.remove(pid.token, of: gateway.index)
  }

  /// Ends the client that has been here with that secret since before that moment.
  func fence(_ token: SessionToken, before: Instant) {
    guard let known = clients[token], known.since <= before else { return }
    clients[token] = nil
    gateway.metrics.engine.recovery.fenced.add()
    known.client.fence(in: known.namespace)
  }
}

/// What became of clients that came back, over all loops.
struct RecoveryMetrics: Sendable {
  let returned: CounterFamily<RecoveryLabel>
  let fenced: Counter

  init(_ metrics: Metrics) {
    returned = metrics.counters(
      "sapphire_gateway_socketio_returned_total",
      "Clients of Socket.IO that came back by their secret, by whether they were brought to where they were.",
      by: RecoveryLabel.self)
    fenced = metrics.counter(
      "sapphire_gateway_socketio_fenced_total",
      "Connections of Socket.IO that ended because their client came back on another.")
  }
}

/// What became of one.
enum RecoveryLabel: String, MetricLabel {
  case recovered
  /// It brought no position, or one that is none.
  case unplaced
  /// Something that it missed is no longer kept, or it may not have it.
  case lost
  /// Its channels could not be opened in time.
  case late
  /// Other gateways could not be told that it has come back.
  case unfenced

  static let labelName = "outcome"
}
