internal import Bytes
public import Platform

/// A connected byte stream on a loop, with its outgoing queue, and perhaps a transform such as TLS.
/// An owner need not know of the transform: what it sends, and what it receives, is plaintext.
///
/// Owns the descriptor. Holds no buffer while idle: reads use the loop's buffer, writes a spare
/// one. Queued bytes leave at the end of the turn. Knows no protocol and enforces no bound on the
/// queue: the owner asks `queuedBytes` first. Loop-confined.
public final class Stream: LoopHandler, Flushable {
  let loop: EventLoop
  /// Strong, so that no reference is counted the slow way; given up at the end.
  var owner: (any StreamOwner)?
  var descriptor: Descriptor
  private var slot: PollSlot?
  var unread: [UInt8] = []
  var queue = OutQueue()
  var transformed: TransformedBytes?
  var state: State = .open
  private var isDirty = false
  private var tellsWhenEmpty = false
  private var isWaitingForRoom = false
  private var isWithheld = false
  private(set) var isReadingPaused = false
  var hasPeerFinished = false
  private var isHungUp = false

  enum State { case open, closingAfterWrite, lingering, ended }

  /// A queue that held more than this tells its owner when it has emptied.
  public static let drainedBytes = 64 * 1024
  /// BUDGET: what an owner that keeps an order of its own gives the queue at a time. Nothing that
  /// comes later can overtake it.
  public static let windowBytes = 16 * 1024
  /// BUDGET: what the kernel holds of such an owner's that it has not begun to send.
  public static let unsentBytesMax = 32 * 1024
  /// How long a peer may take to read what is left before a close, and then to close its side.
  public static let closingMax = Duration.seconds(5)
  public static let lingerMax = Duration.seconds(1)

  /// The most that a protocol may leave unread between two reads.
  public static let unreadBytesMax = 128 * 1024

  public init(
    _ descriptor: consuming Descriptor, on loop: EventLoop,
    transform: (any StreamTransform)? = nil
  ) {
    self.loop = loop
    self.descriptor = descriptor
    if let transform { transformed = TransformedBytes(transform) }
  }

  /// Begins to read and to tell `owner`, who must keep the stream.
  public func start(_ owner: any StreamOwner) throws(SystemError) {
    self.owner = owner
    slot = try loop.add(self, descriptor, interest)
    if let transformed, transformed.count > 0 { scheduleAlways() }
  }

  /// As `start`, but reads before the kernel is asked to watch: where the peer has sent something
  /// already, its first bytes need no event of their own. What can't be watched then ends as failed.
  ///
  /// Returns whether the peer had sent something, or gone. Not with a transform.
  public func startReading(_ owner: any StreamOwner) -> Bool {
    self.owner = owner
    let hadBytes = read()
    watch()
    return hadBytes
  }

  private func watch() {
    guard state != .ended, slot == nil else { return }
    do throws(SystemError) {
      slot = try loop.add(self, descriptor, interest)
    } catch {
      end(.failed(error.code))
    }
  }

  /// Bytes queued and not yet taken by the kernel.
  @inline(__always)
  public var queuedBytes: Int { transformed == nil ? queue.count : queue.count + transformedBytes }

  /// The same with what the peer sent and nobody has taken yet.
  public var heldBytes: Int { queuedBytes + unread.count }

  var transformedBytes: Int { transformed?.count ?? 0 }

  /// Whether the kernel has refused bytes that are still queued, or they wait for the transform.
  public var isBlocked: Bool {
    isWaitingForRoom || !queue.isEmpty && transformed?.isOpening == true
  }

  public var isOpen: Bool { state == .open }

  /// Whether nothing stands before what is sent now, and it leaves at once.
  @inline(__always)
  public var isClear: Bool { queuedBytes == 0 && !isWithheld }

  /// Whether something else has to be sent before what would come now; the owner sees to it.
  public var withholds: Bool {
    get { isWithheld }
    set { isWithheld = newValue }
  }

  /// Has the kernel keep no more than `unsentBytesMax` of what it can't send yet, so that what is
  /// urgent need not wait behind more. One system call.
  public func limitUnsent() {
    if state == .open { Sockets.setUnsentMax(descriptor, bytes: Int32(Self.unsentBytesMax)) }
  }

  /// What the peer's kernel has taken so far, and what it has not, the queue included. One or two
  /// system calls. Nil where nobody knows.
  public func progress() -> Sockets.Progress? {
    guard state != .ended, var progress = Sockets.progress(descriptor) else { return nil }
    progress.pending += UInt64(queuedBytes)
    return progress
  }

  // MARK: moving

  /// A second descriptor of the connection, for a stream on another loop; this one is to be closed
  /// behind it, with nothing queued and nothing unread. Not with a transform, whose state stays here.
  public func duplicateDescriptor() throws(SystemError) -> Descriptor {
    try Syscalls.duplicate(descriptor)
  }

  /// Offers the owner bytes that were received elsewhere, at the end of the turn, before any that are
  /// received here. Right after `start`.
  public func offerFirst(_ bytes: [UInt8]) {
    unread = bytes
    loop.atTurnEnd { [self] in offerUnread() }
  }

  // MARK: writing

  /// Queues a copy of `bytes`.
  public func send(_ bytes: borrowing Span<UInt8>) {
    guard state == .open else { return }
    prepareTail()
    queue.append(bytes)
    schedule()
  }

  /// Queues a copy of `bytes`.
  public func send(_ bytes: [UInt8]) {
    guard state == .open, !bytes.isEmpty else { return }
    prepareTail()
    queue.append(bytes)
    schedule()
  }

  /// Lets `body` append to the queue's tail directly.
  public func send(_ body: (inout [UInt8]) -> Void) { _ = sendMeasured(body) }

  /// As `send`, and gives how many bytes that were.
  public func sendMeasured(_ body: (inout [UInt8]) -> Void) -> Int {
    guard state == .open else { return 0 }
    let before = queue.count
    prepareTail()
    queue.append(body)
    schedule()
    return queue.count - before
  }

  /// Writes `chunk` at once if nothing is queued before it; what the kernel does not take is
  /// queued by reference. For one chunk that many streams get. Only in the flush step of a turn.
  /// With a transform it is queued, and leaves with all that this turn has for the stream.
  public func sendShared(_ chunk: [UInt8]) {
    guard state == .open else { return }
    guard transformed == nil else {
      prepareTail()
      queue.append(shared: chunk, from: 0)
      return schedule()
    }
    var offset = 0
    if queue.isEmpty {
      switch Syscalls.send(descriptor, chunk, from: 0) {
      case .count(let sent):
        if sent == chunk.count { return }
        offset = sent
      case .wouldBlock: break
      case .endOfStream: return end(.failed(32))
      case .failed(let code): return end(.failed(code))
      }
      queue.append(shared: chunk, from: offset)
      waitForRoom()
    } else {
      queue.append(shared: chunk, from: 0)
      schedule()
    }
  }

  /// As `sendShared`, for an owner that keeps back what a slow peer does not take. Returns how many
  /// bytes were taken; less than all only where more than `windowBytes` are left, of which nothing
  /// is queued: the owner has to send the first of them by `sendShared(_:from:to:)` at once.
  public func offer(_ chunk: [UInt8]) -> Int {
    guard state == .open else { return chunk.count }
    guard transformed == nil, queue.isEmpty else {
      guard queuedBytes + chunk.count <= Self.windowBytes else { return 0 }
      sendShared(chunk)
      return chunk.count
    }
    var sent = 0
    switch Syscalls.send(descriptor, chunk, from: 0) {
    case .count(let count):
      if count == chunk.count { return count }
      sent = count
    case .wouldBlock: break
    case .endOfStream:
      end(.failed(32))
      return chunk.count
    case .failed(let code):
      end(.failed(code))
      return chunk.count
    }
    guard chunk.count - sent <= Self.windowBytes else { return sent }
    queue.append(shared: chunk, from: sent)
    waitForRoom()
    return chunk.count
  }

  /// Queues part of a chunk by reference.
  public func sendShared(_ chunk: [UInt8], from start: Int, to end: Int) {
    guard state == .open, start < end else { return }
    prepareTail()
    queue.append(shared: chunk, from: start, to: end)
    schedule()
  }

  /// Closes once all that is queued has been written; what arrives meanwhile is read and dropped.
  public func closeAfterWriting() {
    guard state == .open else { return }
    state = .closingAfterWrite
    transformed?.sayEndBehindAll()
    scheduleAlways()
    loop.after(Self.closingMax) { [self] in end(.closedHere) }
  }

  /// Ends our side and waits for the peer's: closing with bytes unread would reset the connection,
  /// and the peer might lose the last that it was sent (RFC 9112 §9.6).
  private func linger() {
    guard !hasPeerFinished else { return end(.closedHere) }
    state = .lingering
    Sockets.shutdownWriting(descriptor)
    if isReadingPaused {
      isReadingPaused = false
      updateInterest()
    }
    loop.after(Self.lingerMax) { [self] in end(.closedHere) }
  }

  /// Closes now; what is queued is lost.
  public func close() {
    sayEnd()
    end(.closedHere)
  }

  /// Tells the peer's transform that nothing is missing, if nothing is.
  func sayEnd() {
    guard transformed != nil, state == .open || state == .closingAfterWrite, queue.isEmpty else {
      return
    }
    transformed?.endNow(descriptor)
  }

  /// Closes now with a reset, for a peer that is to get nothing more.
  public func abort() {
    if state != .ended { Sockets.setResetOnClose(descriptor) }
    end(.closedHere)
  }

  // MARK: flow

  /// Calls `streamDrained` the next time the queue is empty, at the end of this turn at the
  /// earliest; without this it is called after a queue was blocked or held more than 64 KiB.
  public func tellWhenEmpty() {
    tellsWhenEmpty = true
    if state == .open, queue.isEmpty { scheduleAlways() }
  }

  /// Stops reading until `resumeReading`: the kernel's buffers then slow the peer down.
  public func pauseReading() {
    guard !isReadingPaused else { return }
    isReadingPaused = true
    updateInterest()
  }

  public func resumeReading() {
    if isReadingPaused {
      isReadingPaused = false
      updateInterest()
    }
    if !unread.isEmpty { loop.atTurnEnd { [self] in offerUnread() } }
  }

  // MARK: loop

  public func ready(_ readiness: Readiness) {
    guard state != .ended else { return }
    if readiness.contains(.writable) { flushQueue() }
    guard state != .ended else { return }
    let isBroken = !readiness.isDisjoint(with: .broken)
    if hasPeerFinished {
      if isBroken { end(.peerClosed) }
    } else if isReadingPaused {
      if isBroken { waitUnwatched() }
    } else if isBroken || readiness.contains(.readable) {
      read()
    }
  }

  public func flush() {
    isDirty = false
    if state != .ended, !isWaitingForRoom { flushQueue() }
  }

  private func prepareTail() {
    if !queue.tailHasCapacity { queue.adopt(spare: loop.takeSpareBuffer()) }
  }

  @inline(__always)
  func schedule() {
    if !isDirty, !isWaitingForRoom { scheduleAlways() }
  }

  private func scheduleAlways() {
    guard !isDirty else { return }
    isDirty = true
    loop.markDirty(self)
  }

  private func flushQueue() {
    let written = queue.count
    if transformed != nil {
      switch writeTransformed() {
      case .drained: break
      case .blocked: return waitForRoom()
      case .failed(let code): return end(.failed(code))
      }
      if state == .open, transformed?.failure != nil { return fail() }
      // Nothing leaves before the transform is open: until then it is as if the kernel took nothing.
      guard queue.isEmpty else {
        tellsWhenEmpty = true
        return stopWaitingForRoom()
      }
    } else if !queue.isEmpty {
      switch queue.writeTail(to: descriptor) {
      case .drained: break
      case .blocked: return waitForRoom()
      case .failed(let code): return end(.failed(code))
      }
    }
    loop.giveBack(spare: queue.releaseTail())
    let wasBlocked = isWaitingForRoom
    stopWaitingForRoom()
    let isAwaited = wasBlocked || tellsWhenEmpty || written > Self.drainedBytes
    tellsWhenEmpty = false
    if state == .closingAfterWrite { return linger() }
    if isAwaited { owner?.streamDrained(self) }
  }

  private func writeTransformed() -> OutQueue.WriteResult {
    guard let transformed else { return .drained }
    return transformed.write(&queue, to: descriptor, loop)
  }

  private func stopWaitingForRoom() {
    guard isWaitingForRoom else { return }
    isWaitingForRoom = false
    updateInterest()
  }

  private func waitForRoom() {
    guard !isWaitingForRoom else { return }
    isWaitingForRoom = true
    updateInterest()
  }

  private var interest: Interest {
    var interest: Interest = isReadingPaused || hasPeerFinished ? [] : .read
    if isWaitingForRoom { interest.insert(.write) }
    return interest
  }

  func updateInterest() {
    if let slot { return loop.modify(slot, descriptor, interest) }
    guard isHungUp, !isReadingPaused else { return }
    isHungUp = false
    watch()
  }

  /// The peer is gone while its last bytes may not be read yet. A hang-up can't be masked, so the
  /// loop would turn for nothing: it forgets the descriptor until reading goes on.
  private func waitUnwatched() {
    guard let slot else { return }
    loop.remove(slot, descriptor)
    self.slot = nil
    isHungUp = true
  }

  /// The peer is told why, if the transform has a way to say it; nothing else is.
  func fail() {
    queue.removeAll()
    tellsWhenEmpty = false
    guard state == .open else { return end(broken) }
    state = .closingAfterWrite
    scheduleAlways()
    loop.after(Self.closingMax) { [self] in end(.closedHere) }
  }

  private var broken: StreamEnd { .broken(reason: transformed?.failure ?? "the transform failed") }

  func end(_ reason: StreamEnd) {
    guard state != .ended else { return }
    // A stream that has failed ends with the reason, however it was closed behind that.
    let reason = reason == .closedHere && transformed?.failure != nil ? broken : reason
    state = .ended
    if let slot { loop.remove(slot, descriptor) }
    slot = nil
    descriptor.close()
    queue.removeAll()
    unread = []
    // A timer may hold this object for some seconds more.
    transformed = nil
    loop.retire(self)
    loop.atTurnEnd { [self] in
      let told = owner
      owner = nil
      told?.streamEnded(self, reason)
    }
  }
}

@available(*, unavailable)
extension Stream: Sendable {}
