public import Platform

/// Something whose descriptor a loop watches.
public protocol LoopHandler: AnyObject {
  /// Called in the dispatch step of a turn. May remove any registration, its own included.
  func ready(_ readiness: Readiness)
}

/// Something that has output to write at the end of the turn.
public protocol Flushable: AnyObject {
  func flush()
}

/// One thread's event loop. Everything registered with it belongs to that thread.
///
/// A turn always runs in this order, which others rely on:
///
///     poll → dispatch what is ready → timers → turn-end work → flush → free what was closed
///
/// Mailboxes are dispatched like any other descriptor. Flushing comes last, so that all that one
/// turn produced for a connection leaves in one write.
///
/// Knows nothing of protocols. Not Sendable: only `LoopHandle` and `Mailbox` cross threads.
public final class EventLoop {
  private var poller: Poller
  private var handlers: [(any LoopHandler)?] = []
  private var generations: [UInt32] = []
  private var freeSlots: [Int] = []
  private var timers = TimerQueue()
  private var dirty: [any Flushable] = []
  private var turnEnd: [() -> Void] = []
  private var retired: [AnyObject] = []
  private var isStopping = false
  private var receiveBuffer: [UInt8]
  private var spareBuffers: [[UInt8]] = []
  private var largeBuffers: [[UInt8]] = []
  private var openingsLeft = EventLoop.openingsPerTurn
  private var openingsWaited = false
  /// Whether openings had to wait, in this turn or the last: then newcomers do as well.
  private(set) var isBehindWithOpenings = false

  /// The monotonic time at which this turn began.
  public private(set) var now: Instant
  /// The wall clock at the same moment, in milliseconds since 1970.
  public private(set) var wallMilliseconds: Int64

  /// BUDGET: one read takes at most this much of a connection, so that a fast one can't hold a turn.
  public static let receiveBytesMax = 256 * 1024

  /// BUDGET: streams whose transform is taken further in its opening in one turn, each of which costs
  /// half a millisecond; the others wait in the kernel, so that a storm holds up nobody who is in.
  public static let openingsPerTurn = 8

  public init() throws(SystemError) {
    poller = try Poller()
    receiveBuffer = [UInt8](repeating: 0, count: Self.receiveBytesMax)
    now = SystemClock.monotonic()
    wallMilliseconds = SystemClock.wallMilliseconds()
  }

  // MARK: descriptors

  /// Watches `descriptor` until `remove`. The loop keeps `handler` alive meanwhile.
  public func add(
    _ handler: any LoopHandler, _ descriptor: borrowing Descriptor, _ interest: Interest
  ) throws(SystemError) -> PollSlot {
    let index: Int
    if let free = freeSlots.popLast() {
      index = free
    } else {
      index = handlers.count
      handlers.append(nil)
      generations.append(0)
    }
    let slot = PollSlot(index: index, generation: generations[index])
    do throws(SystemError) {
      try poller.add(descriptor, slot, interest)
    } catch {
      freeSlots.append(index)
      throw error
    }
    handlers[index] = handler
    return slot
  }

  /// Changes what `descriptor` is watched for.
  public func modify(_ slot: PollSlot, _ descriptor: borrowing Descriptor, _ interest: Interest) {
    guard isCurrent(slot) else { return }
    // A registered descriptor that is open can be modified; a failure would be a programmer error.
    try? poller.modify(descriptor, slot, interest)
  }

  /// Stops watching. Events already collected for this slot are dropped.
  public func remove(_ slot: PollSlot, _ descriptor: borrowing Descriptor) {
    guard isCurrent(slot) else { return }
    poller.remove(descriptor)
    let index = slot.index
    if let handler = handlers[index] { retired.append(handler) }
    handlers[index] = nil
    generations[index] &+= 1
    freeSlots.append(index)
  }

  private func isCurrent(_ slot: PollSlot) -> Bool {
    slot.index < generations.count && generations[slot.index] == slot.generation
      && handlers[slot.index] != nil
  }

  // MARK: timers

  /// Runs `body` in the timer step of the first turn at or after `deadline`.
  @discardableResult
  public func at(_ deadline: Instant, _ body: @escaping () -> Void) -> TimerID {
    timers.add(deadline, body)
  }

  /// Runs `body` once `delay` has passed.
  @discardableResult
  public func after(_ delay: Duration, _ body: @escaping () -> Void) -> TimerID {
    timers.add(SystemClock.monotonic() + delay, body)
  }

  /// Forgets a timer; one that has run or was cancelled is no error.
  public func cancel(_ timer: TimerID) { timers.cancel(timer) }

  // MARK: the end of a turn

  /// Flushes `item` at the end of this turn. The caller sees to it that it asks once a turn.
  public func markDirty(_ item: any Flushable) { dirty.append(item) }

  /// Runs `body` in this turn, before flushing.
  public func atTurnEnd(_ body: @escaping () -> Void) { turnEnd.append(body) }

  /// Keeps `object` alive until the turn is over.
  public func retire(_ object: AnyObject) { retired.append(object) }

  // MARK: buffers

  /// The loop's receive buffer, `receiveBytesMax` bytes; give it back in the same call.
  func takeReceiveBuffer() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &receiveBuffer)
    if taken.isEmpty { taken = [UInt8](repeating: 0, count: Self.receiveBytesMax) }
    return taken
  }

  func giveBack(receiveBuffer buffer: consuming [UInt8]) { receiveBuffer = buffer }

  /// An empty array that has capacity from an earlier use, so that idle connections hold none.
  public func takeSpareBuffer() -> [UInt8] { spareBuffers.popLast() ?? [] }

  /// Keeps an array's capacity for the next taker, within bounds.
  public func giveBack(spare buffer: consuming [UInt8]) {
    guard spareBuffers.count < 64, buffer.capacity <= 64 * 1024, buffer.capacity > 0 else { return }
    buffer.removeAll(keepingCapacity: true)
    spareBuffers.append(buffer)
  }

  /// An empty array that may have a large capacity, for the length of one call.
  func takeLargeBuffer() -> [UInt8] { largeBuffers.popLast() ?? [] }

  /// Keeps a few arrays' capacity for the next takers.
  func giveBack(large buffer: consuming [UInt8]) {
    guard largeBuffers.count < 4, buffer.capacity >= 16 * 1024, buffer.capacity <= 1 << 20 else {
      return
    }
    buffer.removeAll(keepingCapacity: true)
    largeBuffers.append(buffer)
  }

  // MARK: openings

  /// Whether a transform's opening may be taken further in this turn. Who may not is asked again in
  /// the next one, and newcomers are not accepted until then: who came first is through first.
  func mayOpen() -> Bool {
    guard openingsLeft <= 0 else { return true }
    openingsWaited = true
    isBehindWithOpenings = true
    return false
  }

  /// One was, at a cost.
  func countOpening() { openingsLeft -= 1 }

  // MARK: running

  /// Turns until `stop`.
  public func run() {
    while !isStopping { turn() }
  }

  /// Ends `run` after this turn.
  public func stop() { isStopping = true }

  /// One turn. `waiting` caps how long it sleeps when nothing is due; nil waits for an event.
  public func turn(waiting: Duration? = nil) {
    let count = poller.wait(timeoutMs: sleepMs(waiting))
    now = SystemClock.monotonic()
    wallMilliseconds = SystemClock.wallMilliseconds()
    openingsLeft = Self.openingsPerTurn
    isBehindWithOpenings = openingsWaited
    openingsWaited = false
    var index = 0
    while index < count {
      let (slot, readiness) = poller.event(at: index)
      if slot.index < handlers.count, generations[slot.index] == slot.generation,
        let handler = handlers[slot.index]
      {
        handler.ready(readiness)
      }
      index += 1
    }
    while let due = timers.popDue(now) { due() }
    finishTurn()
  }

  /// Flushing may dirty more (a closed peer, a drained queue); it settles within few passes.
  private func finishTurn() {
    while !turnEnd.isEmpty || !dirty.isEmpty {
      var work: [() -> Void] = []
      swap(&work, &turnEnd)
      for body in work { body() }
      var items: [any Flushable] = []
      swap(&items, &dirty)
      for item in items { item.flush() }
      if dirty.isEmpty {
        items.removeAll(keepingCapacity: items.count < 4096)
        swap(&items, &dirty)
      }
    }
    if !retired.isEmpty { retired.removeAll(keepingCapacity: retired.count < 1024) }
    Allocator.populateGrowth()
  }

  private func sleepMs(_ cap: Duration?) -> Int32 {
    // What was asked for between two turns, before the first one above all, can't wait for an event.
    guard turnEnd.isEmpty, dirty.isEmpty else { return 0 }
    var sleep: Duration? = cap
    if let next = timers.nextDeadline {
      let left = next.since(SystemClock.monotonic())
      sleep = sleep.map { min($0, left) } ?? left
    }
    guard let sleep else { return -1 }
    // Rounded up: waking a little early would only turn once more for nothing.
    let ms = (sleep.nanosecondsClamped + 999_999) / 1_000_000
    return Int32(clamping: ms)
  }
}

@available(*, unavailable)
extension EventLoop: Sendable {}
