internal import Bytes
internal import Config
internal import Hooks
internal import Loop
internal import Observe
internal import Platform

/// What back ends were told, and what they were not.
package struct TellingMetrics: Sendable {
  let told: Counter
  let dropped: Counter
  let repeated: Counter
  let waiting: Gauge

  init(_ metrics: Metrics) {
    told = metrics.counter(
      "sapphire_presence_hook_events_total", "Events that a back end has taken.")
    dropped = metrics.counter(
      "sapphire_presence_hook_events_dropped_total",
      "Events that no back end was told: too many waited, or it refused them.")
    repeated = metrics.counter(
      "sapphire_presence_hook_retries_total", "Batches of events that were told once more.")
    waiting = metrics.gauge(
      "sapphire_presence_hook_events_waiting", "Events that a back end has still to be told.")
  }
}

/// Tells one back end what happens in channels: in batches, one after the other, each until it is
/// taken. Loop-confined.
///
///     idle ──news──▶ telling ──2xx──▶ telling … idle
///                       │  ▲
///                       ▼  │ after 100 ms, 200 ms … 10 s
///                     waiting
///
/// A batch that is refused for good (4xx, but for 408 and 429) is dropped and counted: told again it
/// would be refused again, and hold up all behind it.
package final class ChannelTeller {
  private let pool: HookPool
  private let keys: HookKeys
  private let loop: EventLoop
  private let metrics: TellingMetrics
  private let logger: Logger
  private let within: Duration
  private var queue: TellQueue
  private var isTelling = false
  private var failures = 0
  private var countedDropped: UInt64 = 0
  private var warnedAt: Platform.Instant?
  private var finished: (() -> Void)?

  private static let retryFirst = Duration.milliseconds(100)
  private static let retryMost = Duration.seconds(10)
  private static let warnEvery = Duration.seconds(10)
  /// How long a service that stops goes on telling.
  private static let finishMax = Duration.seconds(2)

  init(
    _ target: HookTarget, _ settings: HookSettings, _ metrics: TellingMetrics, _ logger: Logger,
    on loop: EventLoop
  ) {
    self.loop = loop
    self.metrics = metrics
    self.logger = logger
    within = settings.timeout
    keys = target.keys
    pool = HookPool(
      target,
      HookLimits(connectionsMax: 1, waitingMax: 1, answerBytesMax: settings.answerBytes), on: loop)
    let run = String(UInt64.random(in: .min ... .max), radix: 36)
    queue = TellQueue(run: run, waitingMax: settings.eventQueue)
    lookAtKeys()
  }

  /// The file of keys may have changed.
  private func lookAtKeys() {
    do throws(HookFileRefused) { try keys.lookAgain() } catch {
      logger.error(
        "the keys of hooks could not be read; the old ones stand",
        ["reason": .text(error.description)])
    }
    loop.after(.seconds(5)) { [weak self] in self?.lookAtKeys() }
  }

  func tell(_ channel: ChannelName, _ news: [ChannelNews]) {
    for event in news { queue.append(event, in: channel, timeMs: loop.wallMilliseconds) }
    count()
    if !isTelling { loop.atTurnEnd { [weak self] in self?.next() } }
  }

  private func next() {
    guard !isTelling else { return }
    guard let body = queue.batch() else { return finishNow() }
    isTelling = true
    var request = HookRequest(body, within: within)
    request.repeats = .untilAnswered
    pool.ask(request) { [weak self] in self?.settle($0) }
  }

  private func settle(_ result: Result<[UInt8], HookFailure>) {
    switch result {
    case .success:
      failures = 0
      metrics.told.add(count: queue.told())
    case .failure(.status(let status))
    where (400...499).contains(status) && status != 408 && status != 429:
      failures = 0
      queue.giveUp()
      warn("it refused events for good, which are dropped: status \(status)")
    case .failure(let failure):
      failures += 1
      metrics.repeated.add()
      warn("\(failure)")
      loop.after(wait) { [weak self] in self?.again() }
      return
    }
    again()
  }

  private func again() {
    isTelling = false
    count()
    next()
  }

  /// Twice as long after each failure.
  private var wait: Duration {
    min(Self.retryMost, Self.retryFirst * (1 << min(failures - 1, 10)))
  }

  private func count() {
    metrics.waiting.set(queue.count)
    guard queue.dropped > countedDropped else { return }
    metrics.dropped.add(queue.dropped - countedDropped)
    countedDropped = queue.dropped
    warn("too many events wait for it, or were refused; dropped so far: \(queue.dropped)")
  }

  private func warn(_ reason: String) {
    if let warnedAt, loop.now.since(warnedAt) < Self.warnEvery { return }
    warnedAt = loop.now
    logger.warning("the hook for events has failed", ["reason": .text(reason)])
  }

  // MARK: the end

  /// Calls `body` once everything was told, or after a while.
  func finish(_ body: @escaping () -> Void) {
    guard isTelling || !queue.isEmpty else { return body() }
    finished = body
    loop.after(Self.finishMax) { [weak self] in self?.finishNow() }
  }

  private func finishNow() {
    guard let finished else { return }
    self.finished = nil
    if !queue.isEmpty {
      logger.warning("a back end was not told everything", ["events": .count(queue.count)])
    }
    finished()
  }
}

@available(*, unavailable) extension ChannelTeller: Sendable {}
