import Bytes
import Platform
import Synchronization
import Testing
import Wire

@testable import EventStoreCore

/// Collects what a store's threads hand out, and waits for it.
private final class Collector: Sendable {
  struct State {
    var completions: [StoreThread.Completion] = []
    var answers: [StoreThread.Tag: StoreThread.Answer] = [:]
    var probes: [EventStore.Holdings?] = []
    var failures: [StoreFailure] = []
    var largestBatch = 0
  }
  let state = Mutex(State())
  let point: WaitPoint

  init() throws { point = try WaitPoint() }

  var handlers: StoreThread.Handlers {
    StoreThread.Handlers(
      committed: { batch in
        self.change {
          $0.completions += batch
          $0.largestBatch = max($0.largestBatch, batch.count)
        }
      },
      answered: { tag, answer in self.change { $0.answers[tag] = answer } },
      probed: { _, holdings in self.change { $0.probes.append(holdings) } },
      failed: { failure in self.change { $0.failures.append(failure) } })
  }

  private func change(_ body: (inout State) -> Void) {
    state.withLock { body(&$0) }
    point.wake()
  }

  /// Waits until `holds`, at most 20 seconds.
  func wait(_ holds: (State) -> Bool) -> Bool {
    let deadline = SystemClock.monotonic() + .seconds(20)
    while SystemClock.monotonic() < deadline {
      if state.withLock({ holds($0) }) { return true }
      point.wait(milliseconds: 100)
    }
    return false
  }
}

struct StoreThreadTests {
  @Test func everyAcceptedAppendGetsItsOutcomeAndStopDrains() throws {
    let temporary = try TemporaryStore()
    let collector = try Collector()
    let store = try StoreThread(directory: temporary.directory, handlers: collector.handlers)
    for tag in 0..<5_000 {
      #expect(store.append(request("s\(tag % 7)", "\(tag)"), tag: UInt64(tag)) == .accepted)
    }
    store.stop()
    collector.state.withLock { state in
      #expect(state.completions.map(\.tag) == (0..<5_000).map { UInt64($0) })
      #expect(
        state.completions.compactMap { $0.outcome.receipt?.position }.sorted()
          == (1...5_000).map { Int64($0) })
      #expect(state.largestBatch > 1 && state.failures.isEmpty)
    }
    #expect(store.append(request("a", "late"), tag: 0) == .stopped)
    #expect(store.read(.heads([]), tag: 0) == .stopped)
    #expect(try temporary.open().position == 5_000)
  }

  @Test func queriesAreAnsweredBesideAppends() throws {
    let temporary = try TemporaryStore()
    let collector = try Collector()
    let store = try StoreThread(directory: temporary.directory, handlers: collector.handlers)
    _ = store.append(request("a", "1", "2"), tag: 1)
    #expect(collector.wait { $0.completions.count == 1 })
    _ = store.read(.page(name("a"), from: Offset(1), .forwards, count: 5, bytes: 1_000), tag: 2)
    _ = store.read(.heads([name("none"), name("a")]), tag: 3)
    _ = store.read(.streams(prefix: "", after: nil, limit: 1), tag: 4)
    _ = store.read(.unannounced(after: 0, limit: 9), tag: 5)
    _ = store.probe(tag: 6)
    #expect(collector.wait { $0.answers.count == 4 && $0.probes.count == 1 })
    store.stop()
    let holdings = collector.state.withLock { $0.probes[0] }
    #expect(holdings?.events == 2)
    // A page of the log for each table that was touched at least; the database is not made larger.
    #expect(holdings.map { (16_384..<1_000_000).contains($0.bytes) } == true)
    collector.state.withLock { state in
      if case .page(let page) = state.answers[2] {
        #expect(page.texts == ["2"])
      } else {
        Issue.record()
      }
      if case .heads(let heads) = state.answers[3] {
        #expect(heads.map(\.head.value) == [0, 2] && heads[0].epoch != nil)
      } else {
        Issue.record()
      }
      if case .streams(let heads, let hasMore) = state.answers[4] {
        #expect(heads.count == 1 && hasMore)
      } else {
        Issue.record()
      }
      if case .unannounced(let page) = state.answers[5] {
        #expect(page.announcements.count == 2)
      } else {
        Issue.record()
      }
    }
  }

  /// Anyone may make the gateway probe, so probes must cost durable publishing nothing.
  @Test func aThousandProbesAreAnsweredByAFewCommits() throws {
    let temporary = try TemporaryStore()
    let collector = try Collector()
    let store = try StoreThread(directory: temporary.directory, handlers: collector.handlers)
    let began = SystemClock.monotonic()
    for tag in 0..<1_000 { _ = store.probe(tag: UInt64(tag)) }
    _ = store.append(request("a", "1"), tag: 1)
    #expect(collector.wait { $0.completions.count == 1 && $0.probes.count == 1_000 })
    store.stop()
    #expect(collector.state.withLock { $0.probes.allSatisfy { $0 != nil } })
    print("a thousand probes and an append:", SystemClock.monotonic().since(began))
  }

  @Test func queueBeyondItsBoundIsOverloaded() throws {
    let queue = try WriteQueue()
    var large = request("a", "1")
    large.events[0].payload.bytes = [UInt8](repeating: 0, count: 1 << 20)
    var accepted = 0
    while accepted < 1_000, queue.add(large, 0) == .accepted { accepted += 1 }
    #expect(accepted == 63)
    #expect(queue.add(large, 0) == .overloaded)
    #expect(queue.take(waiting: 0).appends.count == 3)
    #expect(queue.add(large, 0) == .accepted)
  }

  /// SIGHUP: what was accepted under wider bounds is still taken.
  @Test func otherBoundsHoldFromTheNextRequestAndCommitOn() throws {
    let queue = try WriteQueue()
    for tag in 0..<10 { #expect(queue.add(request("a", "1"), UInt64(tag)) == .accepted) }
    var bounds = WriteBounds()
    bounds.queueBytes = 1
    bounds.commitEvents = 4
    queue.adopt(bounds)
    #expect(queue.add(request("a", "1"), 10) == .overloaded)
    #expect((0..<3).map { _ in queue.take(waiting: 0).appends.count } == [4, 4, 2])
    queue.adopt(WriteBounds())
    #expect(queue.add(request("a", "1"), 11) == .accepted)
  }

  @Test func oneTurnTakesAtMostOneCommitAndAtLeastOneRequest() throws {
    let queue = try WriteQueue()
    for tag in 0..<5_000 { _ = queue.add(request("a", "1"), UInt64(tag)) }
    #expect(queue.take(waiting: 0).appends.count == StoreLimits.commitEventsMax)
    #expect(queue.take(waiting: 0).appends.map(\.tag) == (4_096..<5_000).map { UInt64($0) })
    var huge = request("a", "1")
    huge.events[0].payload.bytes = [UInt8](repeating: 0, count: 9 << 20)
    _ = queue.add(huge, 1)
    _ = queue.add(request("a", "1"), 2)
    #expect(queue.take(waiting: 0).appends.map(\.tag) == [1])
    queue.stop()
    let last = queue.take(waiting: 0)
    #expect(last.appends.map(\.tag) == [2] && last.isLast)
  }

  @Test func failedOpenIsReportedToTheCallerAndLeavesNoThread() throws {
    let temporary = try TemporaryStore()
    let holder = try temporary.open()
    let collector = try Collector()
    let failure = #expect(throws: StoreFailure.self) {
      try StoreThread(directory: temporary.directory, handlers: collector.handlers)
    }
    #expect(failure?.exitCode == 75)
    withExtendedLifetime(holder) {}
  }

  // Row 24: a storm of compare-and-append on one stream; each offset is won exactly once.
  @Test func racingExpectedOffsetsGiveDenseUniqueOffsets() throws {
    let temporary = try TemporaryStore()
    let collector = try Collector()
    let store = try StoreThread(directory: temporary.directory, handlers: collector.handlers)
    let total = 100_000
    let racers = try (0..<8).map { racer in
      try Racer(store: store, racer: racer, of: 8, total: total)
    }
    for racer in racers { racer.wait() }
    #expect(collector.wait { $0.completions.count == total })
    store.stop()
    let won = collector.state.withLock {
      $0.completions.compactMap { $0.outcome.receipt?.first.value }
    }
    #expect(won == (1...UInt64(won.count)).map { $0 })
    #expect(won.count > 1_000 && won.count < total)
    #expect(try temporary.open().position == Int64(won.count))
  }

  /// A thread that appends with guesses of where the stream stands.
  private final class Racer {
    private var thread: RunningThread?

    init(store: StoreThread, racer: Int, of racers: Int, total: Int) throws {
      thread = try RunningThread(name: "racer") {
        for turn in 0..<(total / racers) {
          let guess = UInt64(turn / 2)
          let tag = UInt64(racer * total + turn)
          while store.append(request("race", "\(tag)", expected: guess), tag: tag) == .overloaded {}
        }
      }
    }

    func wait() { thread.take()?.join() }
  }
}
