internal import Bytes
internal import Config
internal import HTTPCodec
internal import Hooks
internal import Loop
internal import Observe
internal import Platform

/// What one loop asks back ends, and which of its clients wait for that.
///
/// Clients that have nothing to do with hooks have nothing here. Decides nothing: `ClientSession+Hooks`
/// says what is asked and what follows from the answer. Loop-confined.
final class HookDesk {
  typealias Completion = (Result<HookResult, Refusal>) -> Void

  private let gateway: GatewayLoop
  let rules: HookRules
  private var pools: [AskedHook: HookPool] = [:]
  /// By the client's session, of clients that something is asked for.
  private var orders: [ObjectIdentifier: HookOrder] = [:]
  /// Fields of clients' requests that back ends are shown.
  private var fields: [ObjectIdentifier: [HookField]] = [:]
  /// What back ends want to be reminded of, and have for clients in channels.
  private var kept: [ObjectIdentifier: HookKept] = [:]
  /// When rights were asked for: of connections, and of subscriptions by their channels.
  private var refreshes: [ObjectIdentifier: [ChannelName?: HookRefresh]] = [:]
  private var warnedAt: [AskedHook: Instant] = [:]

  /// A hook that fails is named in the log once in so long.
  private static let warnEvery = Duration.seconds(10)

  init(_ gateway: GatewayLoop, _ rules: HookRules) {
    self.gateway = gateway
    self.rules = rules
    for hook in AskedHook.allCases {
      guard let target = rules.targets[hook.name] else { continue }
      pools[hook] = HookPool(target, rules.limits, on: gateway.loop)
    }
  }

  func asks(_ hook: AskedHook) -> Bool { pools[hook] != nil }

  func close() { for pool in pools.values { pool.close() } }

  // MARK: asking

  /// Asks, and tells once what a result says, or why there is none; within the hooks' time.
  func ask(
    _ hook: AskedHook, _ body: [UInt8], of client: ObjectIdentifier?, shown: [HookField]? = nil,
    isWanted: @escaping () -> Bool, _ completion: @escaping Completion
  ) {
    guard let pool = pools[hook] else { return completion(.failure(.hookUnavailable)) }
    var request = HookRequest(body, within: rules.timeout)
    request.fields = shown ?? client.flatMap { fields[$0] } ?? []
    request.isWanted = isWanted
    switch hook {
    case .connect, .refresh, .subscribe, .subRefresh: request.repeats = .untilAnswered
    case .publish, .rpc: request.repeats = .untilSent
    }
    let metrics = gateway.metrics.hooks
    let begun = gateway.loop.now
    metrics.underWay.add(1)
    pool.ask(request) { [self] result in
      metrics.underWay.add(-1)
      metrics.seconds[hook].record(SystemClock.monotonic().since(begun))
      completion(settle(hook, result))
    }
  }

  private func settle(
    _ hook: AskedHook, _ result: Result<[UInt8], HookFailure>
  ) -> Result<HookResult, Refusal> {
    do throws(HookFailure) {
      let answer = try HookAnswer(try result.get())
      gateway.metrics.hooks.outcomes[HookOutcome(answer)].add()
      switch answer {
      case .result(let object): return .success(HookResult(object))
      case .error(let code, let message, let isTemporary):
        return .failure(.hook(code, message, isTemporary: isTemporary))
      case .disconnect(let code, let reason): return .failure(.goodbye(code, reason))
      }
    } catch { return .failure(failed(hook, error)) }
  }

  /// Counts and names a failure, and says what the client is told.
  func failed(_ hook: AskedHook, _ failure: HookFailure) -> Refusal {
    guard failure != .unwanted else { return .hookUnavailable }
    gateway.metrics.hooks.outcomes[HookOutcome(failure)].add()
    warn(hook, failure)
    if failure == .queueFull { return .overloaded }
    return hook == .rpc && failure.mayHaveActed ? .hookOutcomeUnknown : .hookUnavailable
  }

  private func warn(_ hook: AskedHook, _ failure: HookFailure) {
    if let last = warnedAt[hook], gateway.loop.now.since(last) < Self.warnEvery { return }
    warnedAt[hook] = gateway.loop.now
    gateway.logger.warning(
      "a hook has failed", ["hook": .text(hook.rawValue), "reason": .text("\(failure)")])
  }

  // MARK: what clients brought

  /// Keeps what back ends are shown of a client's request until the client is gone.
  func note(_ headers: HTTPHeaders, of client: ObjectIdentifier) {
    note(rules.shown(of: headers), of: client)
  }

  func note(_ shown: [HookField], of client: ObjectIdentifier) {
    if !shown.isEmpty { fields[client] = shown }
  }

  /// Keeps what the back end's answer to `connect` has for later.
  func keep(_ welcome: HookWelcome, of client: ObjectIdentifier) {
    guard !welcome.kept.isEmpty else { return }
    gateway.memory.grew(by: welcome.kept.bytesCount)
    kept[client] = welcome.kept
  }

  /// JSON that back ends have asked to be shown with what is asked for the client.
  func meta(of client: ObjectIdentifier) -> [UInt8]? { kept[client]?.meta }

  /// What a back end has for the client in a channel that it puts it into.
  func place(of client: ObjectIdentifier, in channel: ChannelName) -> HookPlace? {
    kept.isEmpty ? nil : kept[client]?.places[channel]
  }

  // MARK: order

  /// Whether what the client says now has to wait.
  func isHolding(_ client: ObjectIdentifier) -> Bool {
    !orders.isEmpty && orders[client]?.isHolding ?? false
  }

  func mayPass(_ client: ObjectIdentifier, subscribing channel: ChannelName) -> Bool {
    orders[client]?.mayPass(subscribing: channel) ?? true
  }

  func isSubscribing(_ client: ObjectIdentifier, _ channel: ChannelName) -> Bool {
    orders[client]?.isSubscribing(channel) ?? false
  }

  /// Subscriptions that are being asked for.
  func subscribingCount(_ client: ObjectIdentifier) -> Int { orders[client]?.subscribingCount ?? 0 }

  /// False where too much waits already.
  func hold(_ client: ObjectIdentifier, bytes: Int, _ step: @escaping () -> Void) -> Bool {
    gateway.metrics.hooks.heldMessages.add()
    gateway.memory.grew(by: bytes)
    return orders[client, default: HookOrder()].hold(bytes: bytes, step)
  }

  /// Calls `resume` once nothing is held any more.
  func whenReleased(_ client: ObjectIdentifier, _ resume: @escaping () -> Void) {
    orders[client]?.resume = resume
  }

  /// Bytes of what is asked for the client, and of what it has said behind that.
  func heldBytes(_ client: ObjectIdentifier) -> Int {
    (orders[client]?.heldBytes ?? 0) + (kept[client]?.bytesCount ?? 0)
  }

  /// - Parameter bytes: what is kept until the answer is there.
  func begin(_ client: ObjectIdentifier, bytes: Int = 0) {
    orders[client, default: HookOrder()].begin(bytes: bytes)
    gateway.memory.grew(by: bytes)
  }

  func begin(_ client: ObjectIdentifier, subscribing channel: ChannelName) {
    orders[client, default: HookOrder()].begin(subscribing: channel)
  }

  /// Nothing is asked for alone any more; what has waited goes on.
  func end(_ client: ObjectIdentifier) {
    orders[client]?.end()
    release(client)
  }

  /// - Parameter body: what follows from the answer, before anything that has waited for it.
  func end(_ client: ObjectIdentifier, subscribing channel: ChannelName, _ body: () -> Void) {
    orders[client]?.end(subscribing: channel)
    body()
    release(client)
  }

  private func release(_ client: ObjectIdentifier) {
    while let step = orders[client]?.next() { step() }
    guard let order = orders[client], !order.isHolding else { return }
    orders[client] = nil
    order.resume?()
  }

  // MARK: staying

  /// Whether a right of the client is to be asked for now: not while it is, nor too soon after.
  ///
  /// - Parameters:
  ///   - channel: nil: the right to be here.
  ///   - end: when the right ends; one that ends at another time than the last known is another right.
  func mayRefresh(_ client: ObjectIdentifier, _ channel: ChannelName? = nil, end: Int64?) -> Bool {
    guard let refresh = refreshes[client]?[channel] else { return true }
    return !refresh.isUnderWay && (refresh.end != end || gateway.loop.now >= refresh.nextAt)
  }

  func beginsRefresh(_ client: ObjectIdentifier, _ channel: ChannelName? = nil) {
    if refreshes[client]?.count ?? 0 > gateway.settings.channelsPerConnectionMax {
      refreshes[client] = refreshes[client]?.filter(\.value.isUnderWay)
    }
    refreshes[client, default: [:]][channel] = HookRefresh(
      isUnderWay: true, end: nil, nextAt: gateway.loop.now)
  }

  /// - Parameters:
  ///   - end: when the right ends now.
  ///   - left: how long it lasts; nil where no answer came.
  func refreshed(
    _ client: ObjectIdentifier, _ channel: ChannelName? = nil, end: Int64?, left: Duration?
  ) {
    guard refreshes[client] != nil else { return }
    let wait = left.map { max(.seconds(1), $0 / 2) } ?? HookRefresh.retryAfter
    refreshes[client]?[channel] = HookRefresh(
      isUnderWay: false, end: end, nextAt: gateway.loop.now + wait)
  }

  /// The client is gone, and all that it still waited for with it.
  func ended(_ client: ObjectIdentifier) {
    orders[client] = nil
    fields[client] = nil
    refreshes[client] = nil
    kept[client] = nil
  }
}

/// When a client's right was asked for, and when it may be again.
struct HookRefresh {
  var isUnderWay: Bool
  /// When that right ended as it was known then, in seconds of Unix time; nil for never.
  var end: Int64?
  var nextAt: Instant

  static let retryAfter = Duration.seconds(3)
}

extension GatewayLoop {
  /// A back end says who they are that bring neither token nor ticket.
  var asksWhoComes: Bool { hooks?.asks(.connect) ?? false }
}

extension Refusal {
  /// The back end that decides is away, too slow, or says nothing that can be used.
  static let hookUnavailable = Refusal(
    163, "hook_unavailable", "whoever decides this gives no answer now; try again",
    .serviceUnavailable, retryAfterMs: 1000)
  static let hookOutcomeUnknown = Refusal(
    159, "outcome_unknown", "no answer came; it may or may not have been done", .gatewayTimeout,
    retryAfterMs: 1000)

  /// What a back end refuses in its own words.
  static func hook(_ code: Int, _ message: String, isTemporary: Bool) -> Refusal {
    Refusal(
      code, "refused", message, isTemporary ? .serviceUnavailable : .forbidden,
      retryAfterMs: isTemporary ? 1000 : 0)
  }

  /// A back end wants the client to go.
  static func goodbye(_ code: UInt16, _ reason: String) -> Refusal {
    var refusal = Refusal.disconnected
    if !reason.isEmpty { refusal.message = reason }
    refusal.endsWith = code
    return refusal
  }
}
